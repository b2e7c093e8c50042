//! `cabotage serve`: starts, takes a changed configuration, keeps the old one where the new one is broken, stops.

use crate::{cabotage, folder};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// A gateway under test; killed where the test fails.
struct Gateway {
    child: Child,
    data: String,
    admin: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _code = self.child.wait();
    }
}

impl Gateway {
    fn start(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Self, Vec<String>) {
        let mut command = cabotage(dir);
        command.arg("serve").args(arguments).envs(variables.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let (mut data, mut admin) = (None, None);
        while data.is_none() || admin.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("ended: {said:?}")).unwrap();
            if let Some(rest) = line.strip_prefix("callers:        http://") {
                data = Some(rest.trim_end_matches("/v1").to_owned());
            }
            if let Some(rest) = line.strip_prefix("administration: http://") {
                admin = Some(rest.to_owned());
            }
            said.push(line);
        }
        // Read on, so that the gateway never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        (Self { child, data: data.unwrap(), admin: admin.unwrap() }, said)
    }

    fn get(&self, address: &str, path: &str, key: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    /// The status of a call of `model`.
    fn call(&self, model: &str) -> (u16, String) {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        let mut stream = TcpStream::connect(&self.data).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.data,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0), answer)
    }

    fn models(&self) -> (u16, String) {
        self.get(&self.data, "/v1/models", KEY)
    }

    /// Waits until the list of models has `name`.
    fn wait_for_model(&self, name: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.models().1.contains(name) {
            assert!(Instant::now() < until, "{name} never came: {}", self.models().1);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

const KEY: &str = "sk-test-0123456789abcdef";

fn configuration(model: &str) -> String {
    format!(
        "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         [[deployment]]\nprovider = \"vllm\"\nendpoint = \"http://127.0.0.1:9\"\nmodel = \"{model}\"\n\
         [[key]]\nid = \"me\"\nsecret = {{ env = \"K\" }}\n"
    )
}

#[test]
fn it_serves_reloads_whole_or_not_at_all_and_stops() {
    let dir = folder(&[("cabotage.toml", &configuration("first"))]);
    let file = dir.path().join("cabotage.toml");
    let (gateway, _) = Gateway::start(dir.path(), &["-c", "cabotage.toml"], &[("K", KEY)]);
    assert_eq!(gateway.get(&gateway.admin, "/healthz", "").0, 200);
    assert_eq!(gateway.get(&gateway.admin, "/readyz", "").0, 200);
    assert_eq!(gateway.get(&gateway.data, "/v1/models", "wrong").0, 401);
    assert!(gateway.models().1.contains("first"));

    std::fs::write(&file, configuration("second")).unwrap();
    gateway.wait_for_model("second");
    std::fs::write(&file, configuration("third").replace("provider", "provder")).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(gateway.models().1.contains("second"), "the old one stays in force");
    std::fs::write(&file, configuration("fourth")).unwrap();
    gateway.wait_for_model("fourth");

    assert!(dir.path().join("cabotage-data/ledger.sqlite").exists());
    assert_eq!(gateway.stop(), Some(0));
}

/// A pack with one rule that refuses `provider`.
fn pack(provider: &str) -> String {
    format!(
        "[pack]\nid = \"house\"\ntitle = \"House rules\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n\
         [[rule]]\nid = \"house-1\"\ntitle = \"Not there\"\napplies_to = {{ action = \"infer\" }}\n\
         forbidden = {{ provider = \"{provider}\" }}\nsource = \"board\"\nclause = \"1\"\nowner = \"board\"\n\
         reviewed = 2026-11-21\nwaivable = true\n"
    )
}

#[test]
fn an_edited_term_holds_for_the_next_call() {
    let text = format!("{}\n[terms]\ndir = \"terms\"\n", configuration("m"));
    let dir = folder(&[("cabotage.toml", &text), ("terms/house.toml", &pack("nobody"))]);
    let (gateway, _) = Gateway::start(dir.path(), &["-c", "cabotage.toml"], &[("K", KEY)]);
    let (status, answer) = gateway.call("m");
    assert_eq!(status, 503, "permitted, and nothing listens there: {answer}");
    std::fs::write(dir.path().join("terms/house.toml"), pack("vllm")).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let refused = loop {
        let (status, answer) = gateway.call("m");
        if status == 403 {
            break answer;
        }
        assert!(Instant::now() < until, "never refused: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(refused.contains("house-1"), "{refused}");
}

/// The gateway says where it serves before it watches its files: what is edited in between holds too.
#[test]
fn a_term_that_is_edited_at_the_very_start_holds() {
    for _ in 0..5 {
        let text = format!("{}\n[terms]\ndir = \"terms\"\n", configuration("m"));
        let dir = folder(&[("cabotage.toml", &text), ("terms/house.toml", &pack("nobody"))]);
        let (gateway, _) = Gateway::start(dir.path(), &["-c", "cabotage.toml"], &[("K", KEY)]);
        std::fs::write(dir.path().join("terms/house.toml"), pack("vllm")).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        while gateway.call("m").0 != 403 {
            assert!(Instant::now() < until, "never refused");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A host with an OpenAI-style API that answers every request the same.
fn answering_host() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = Vec::new();
            let mut piece = [0; 4096];
            while !seen.ends_with(b"}") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => seen.extend_from_slice(&piece[..n]),
                }
            }
            let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _gone = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

/// Calls until the answer has this status.
fn wait_for_status(gateway: &Gateway, status: u16) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let (found, answer) = gateway.call("m");
        if found == status {
            return answer;
        }
        assert!(Instant::now() < until, "never {status}: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn waivers_and_raw_policies_are_reloaded_whole_or_not_at_all_and_a_waived_call_is_marked() {
    let host = answering_host();
    let text = format!("{}\n[terms]\ndir = \"terms\"\n", configuration("m"))
        .replace("http://127.0.0.1:9\"", &format!("http://{host}\""));
    let dir = folder(&[("cabotage.toml", &text), ("terms/house.toml", &pack("vllm"))]);
    let write = |name: &str, text: &str| std::fs::write(dir.path().join("terms").join(name), text).unwrap();
    let (gateway, _) = Gateway::start(dir.path(), &["-c", "cabotage.toml"], &[("K", KEY)]);
    assert!(wait_for_status(&gateway, 403).contains("house-1"));
    let day = |days: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        jiff::Timestamp::from_second(i64::try_from(now).unwrap() + days * 86_400).unwrap().to_string()
    };
    let waiver = format!(
        "[[waiver]]\nrule = \"house-1\"\nworkload = \"default\"\nreason = \"r\"\nrequester = \"a\"\napprover = \"b\"\nfrom = {}\nuntil = {}\n",
        day(-1),
        day(1)
    );
    write("waivers.toml", &waiver);
    let answer = wait_for_status(&gateway, 200);
    assert!(answer.contains("x-cabotage-waived: house-1\r\n"), "{answer}");
    let call = answer.split("x-cabotage-call-id: ").nth(1).unwrap().split('\r').next().unwrap().to_owned();

    // A waiver by one person alone: the old terms stay, the waiver that was good among them.
    write("waivers.toml", &waiver.replace("approver = \"b\"", "approver = \"A\""));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(gateway.call("m").0, 200, "the old terms stay in force");

    let raw = "@id(\"raw-1\") @title(\"Not there\") @says(\"It may not.\") @source(\"board\") @clause(\"2\")\nforbid (principal, action, resource) when { resource.provider == \"vllm\" };\n";
    write("waivers.toml", &waiver);
    write("house.cedar", raw);
    assert!(wait_for_status(&gateway, 403).contains("raw-1"));
    write("house.cedar", &raw.replace("resource.provider", "resource.proviter"));
    std::thread::sleep(Duration::from_secs(1));
    assert!(gateway.call("m").1.contains("raw-1"), "the old terms stay in force");
    std::fs::remove_file(dir.path().join("terms/house.cedar")).unwrap();
    wait_for_status(&gateway, 200);
    assert_eq!(gateway.stop(), Some(0));

    let shown = cabotage(dir.path())
        .args(["ledger", "show", "--journal", "cabotage-data", "--call", &call])
        .output()
        .unwrap();
    let shown =
        format!("{}{}", String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.contains("waived: house-1"), "{shown}");
}

#[test]
fn a_provider_key_in_the_environment_is_enough() {
    let dir = folder(&[]);
    let variables = [
        ("OPENAI_API_KEY", "sk-canary"),
        ("CABOTAGE_DATA_ADDRESS", "127.0.0.1:0"),
        ("CABOTAGE_ADMIN_ADDRESS", "127.0.0.1:0"),
    ];
    let (gateway, mut said) = Gateway::start(dir.path(), &[], &variables);
    said.retain(|line| line.contains("key"));
    assert!(!said.concat().contains("canary"));
    assert_eq!(gateway.get(&gateway.data, "/v1/models", "guess").0, 401, "a key was made");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = configuration("m").replace("data = \"127.0.0.1:0\"", &format!("data = \"{address}\""));
    let dir = folder(&[("cabotage.toml", &text)]);
    let output = cabotage(dir.path()).args(["serve", "-c", "cabotage.toml"]).env("K", KEY).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&address) && said.contains("Another program has this port"), "{said}");
}
