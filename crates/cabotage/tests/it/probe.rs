//! `cabotage probe`, against hosts on loopback.

use crate::{cabotage, folder};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

const ANSWER: &str = "HTTP/1.1 401 Unauthorized\r\nserver: cloudflare\r\ncf-ray: 8a1b2c-SIN\r\n\
    openai-version: 2020-10-01\r\nset-cookie: __cf_bm=secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Answers every connection the same, over whatever `wrap` makes of it.
fn host<S: Read + Write>(wrap: impl Fn(std::net::TcpStream) -> S + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = wrap(stream);
            // The probe measures the round trip by connections on which it sends nothing.
            if let Ok(1..) = stream.read(&mut [0; 4096]) {
                let _gone = stream.write_all(ANSWER.as_bytes());
                let _gone = stream.flush();
            }
        }
    });
    address
}

fn tls_host() -> (SocketAddr, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Test Authority");
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let mut params =
        rcgen::CertificateParams::new(["localhost".to_owned(), "api.example.com".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = rcgen::date_time_ymd(2027, 1, 2);
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let address = host(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        rustls::StreamOwned::new(connection, stream)
    });
    (address, authority_pem)
}

#[test]
fn names_issuer_headers_and_a_verdict_with_its_reasons() {
    let (address, authority) = tls_host();
    let dir = folder(&[("ca.pem", &authority)]);
    let url = format!("https://localhost:{}/v1", address.port());
    let run = |more: &[&str]| cabotage(dir.path()).arg("probe").arg(&url).args(more).output().unwrap();

    let output = run(&["--ca-file", "ca.pem", "--provider", "openai", "--json"]);
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{seen:#}");
    assert_eq!(seen["tls"]["names"], serde_json::json!(["localhost", "api.example.com"]));
    assert!(seen["tls"]["issuer"].as_str().unwrap().contains("Test Authority"), "{seen:#}");
    assert_eq!(seen["tls"]["ends"], "2027-01-02 00:00:00 UTC");
    assert_eq!(seen["http"]["status"], 401);
    assert!(seen["rtt_ms"].as_f64().is_some());
    assert!(!seen.to_string().contains("__cf_bm=secret"), "{seen:#}");
    assert!(seen["verdict"]["who"].as_str().unwrap().starts_with("consistent with"), "{seen:#}");
    assert_eq!(seen["verdict"]["cloud"], "unknown");

    let text = String::from_utf8(run(&["--ca-file", "ca.pem"]).stdout).unwrap();
    for part in [
        "Cloudflare stands in front",
        "cloud behind it: unknown",
        "round trip",
        "api.example.com",
        "bears marks of",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn an_untrusted_certificate_is_shown_and_the_host_asked_nothing() {
    let (address, _) = tls_host();
    let dir = folder(&[]);
    let url = format!("https://localhost:{}", address.port());
    let output = cabotage(dir.path()).args(["probe", &url]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["NOT TRUSTED", "api.example.com", "no answer came"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn plain_http_is_probed_and_said_to_be_plain() {
    let address = host(|stream| stream);
    let dir = folder(&[]);
    let output = cabotage(dir.path()).args(["probe", &format!("http://{address}")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("no TLS") && text.contains("this machine's own"), "{text}");
    for wrong in ["ftp://x", "http://user:pass@x", "http://"] {
        let output = cabotage(dir.path()).args(["probe", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong}");
    }
}
