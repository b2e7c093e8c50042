//! The clouds' own identity crates against a token endpoint on loopback. An identity is found through environment
//! variables, so each one is asked in a process of its own, this same binary.
#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at what is wrong")]

use domain::{Clock, ManualClock, Secret, SecretNeed};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// 2100-01-01, in the two forms that the clouds write.
const END_UNIX: u64 = 4_102_444_800;
const END: &str = "2100-01-01T00:00:00Z";

/// Answers token requests of all three clouds; the number of them stands in each token.
fn token_endpoint() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let asked = AtomicU32::new(0);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a clone")).lines();
            let request = lines.next().expect("a request line").expect("text");
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = if request.contains("/msi") {
                let n = asked.fetch_add(1, Ordering::SeqCst);
                format!(
                    r#"{{"access_token":"entra-{n}","expires_on":"{END_UNIX}","resource":"r","token_type":"Bearer"}}"#
                )
            } else if request.contains("/token") {
                let n = asked.fetch_add(1, Ordering::SeqCst);
                format!(r#"{{"access_token":"google-{n}","expires_in":3600,"token_type":"Bearer"}}"#)
            } else if request.contains("/aws") {
                let n = asked.fetch_add(1, Ordering::SeqCst);
                format!(
                    r#"{{"AccessKeyId":"AKID","SecretAccessKey":"sk-{n}","Token":"st","Expiration":"{END}"}}"#
                )
            } else {
                "{}".to_owned()
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmetadata-flavor: Google\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            // A client that has left is no matter of this endpoint.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// Asks for a cloud's identity in a process with these variables and no others of its kind.
fn ask(cloud: &str, variables: &[(&str, String)]) -> String {
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", "one_identity", "--ignored", "--nocapture", "--test-threads=1"]).env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            child.env(name, value);
        }
    }
    child.env("HOME", "/nonexistent").env("ASKED_CLOUD", cloud);
    child.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let output = child.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Not a test by itself: what [`ask`] runs.
#[tokio::test]
#[ignore = "run by the other tests of this file, in a process with its own environment"]
async fn one_identity() {
    let need = match std::env::var("ASKED_CLOUD").as_deref() {
        Ok("entra") => SecretNeed::Entra { scope: SCOPE },
        Ok("google") => SecretNeed::Google,
        Ok("aws") => SecretNeed::Aws,
        // Somebody ran the ignored tests by hand.
        _ => return,
    };
    let clock = Arc::new(ManualClock::at("2026-11-21T10:00:00Z".parse().expect("instant")));
    let source = credentials::identity(&need, Arc::clone(&clock) as Arc<dyn Clock>).expect("an identity");
    assert!(source.current().is_none(), "nothing before the first use");
    let first = match source.fetch().await {
        Ok(secret) => secret,
        Err(error) => {
            println!("said: {error}");
            return;
        }
    };
    clock.advance(std::time::Duration::from_secs(10));
    let second = source.refresh(&first).await.expect("refreshed");
    for secret in [first, second] {
        match secret.as_ref() {
            Secret::Token { value, expires_at } => println!("got: {value} until {expires_at:?}"),
            Secret::Aws { access_key_id, secret_access_key, session_token, expires_at } => {
                println!("got: {access_key_id} {secret_access_key} {session_token:?} until {expires_at:?}");
            }
            Secret::None => println!("got: nothing"),
        }
    }
}

fn got(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once("got: ").map(|(_, got)| got)).collect()
}

#[test]
fn a_managed_identity_of_azure() {
    let endpoint = format!("http://127.0.0.1:{}/msi", token_endpoint());
    let text = ask("entra", &[("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", "h".into())]);
    let until = format!("until Some({END})");
    assert_eq!(got(&text), [format!("entra-0 {until}"), format!("entra-1 {until}")], "{text}");
}

#[test]
fn the_metadata_server_of_google() {
    let host = format!("127.0.0.1:{}", token_endpoint());
    let text = ask("google", &[("GCE_METADATA_HOST", host)]);
    assert_eq!(got(&text), ["google-0 until None", "google-1 until None"], "{text}");
}

#[test]
fn the_container_credentials_of_aws() {
    let uri = format!("http://127.0.0.1:{}/aws", token_endpoint());
    let variables =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri), ("AWS_EC2_METADATA_DISABLED", "true".into())];
    let text = ask("aws", &variables);
    let tail = format!("Some(\"st\") until Some({END})");
    assert_eq!(got(&text), [format!("AKID sk-0 {tail}"), format!("AKID sk-1 {tail}")], "{text}");
}

#[test]
fn static_keys_of_aws_that_are_refused_are_told_apart() {
    let variables =
        [("AWS_ACCESS_KEY_ID", "AKID".to_owned()), ("AWS_SECRET_ACCESS_KEY", "static".to_owned())];
    let mut failed = Command::new(std::env::current_exe().expect("this binary"));
    failed
        .args(["--exact", "one_identity", "--ignored", "--nocapture"])
        .env_clear()
        .env("ASKED_CLOUD", "aws");
    failed.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let output = failed.output().expect("it runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("gives no other"), "{text}");
}

#[test]
fn tls_to_microsoft_stands_and_a_broken_identity_is_no_other() {
    // A closed port: the error must be of the connection, not that TLS is unknown or another identity was tried.
    let variables = [
        ("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("AZURE_CLIENT_ID", "app".to_owned()),
        ("AZURE_CLIENT_SECRET", "canary".to_owned()),
        ("AZURE_AUTHORITY_HOST", "https://127.0.0.1:1/".to_owned()),
    ];
    let text = ask("entra", &variables);
    assert!(text.contains("said: upstream_auth (gateway)") && text.contains("client secret:"), "{text}");
    assert!(!text.contains("canary") && !text.contains("scheme"), "{text}");
}
