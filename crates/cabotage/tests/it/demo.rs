//! `cabotage demo` and the commands that ask it: explain, ledger show, kill, heal.

use crate::{cabotage, folder};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const FREE_PORTS: [&str; 6] = ["demo", "--port", "0", "--admin-port", "0", "--machine-readable"];

/// A running demo; killed where the test fails.
pub(crate) struct Demo {
    child: Child,
    pub(crate) data: String,
    admin: String,
    simulator: String,
    pub(crate) folder: PathBuf,
    place: PathBuf,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _code = self.child.wait();
    }
}

/// An answer: status, head and body as text.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str())).unwrap_or_default()
    }
}

impl Demo {
    /// A demo on free ports whose temporary files go to `place`.
    pub(crate) fn start(place: &Path, more: &[&str]) -> Self {
        let mut command = cabotage(place);
        command.args(FREE_PORTS).args(more).env("TMPDIR", place).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = |name: &str| {
            let line = lines.next().expect("the demo ended").unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{name} expected: {line}")).to_owned()
        };
        let (data, admin, simulator) = (next("data=http://"), next("admin="), next("simulator="));
        let folder = next("folder=").into();
        Self { child, data, admin, simulator, folder, place: place.to_path_buf() }
    }

    fn call(&self, key: &str, text: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.data).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        self.send(&mut stream, key, text, false);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn send(&self, stream: &mut TcpStream, key: &str, text: &str, streamed: bool) {
        let messages = serde_json::json!([{ "role": "user", "content": text }]);
        let body =
            serde_json::json!({ "model": "gpt-5.4", "stream": streamed, "messages": messages }).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.data,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = cabotage(&self.place);
        command.args(arguments).env("CABOTAGE_ADMIN", &self.admin).env("CABOTAGE_SIM", &self.simulator);
        command.output().unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
    }

    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_call_moves_when_its_cloud_dies_and_never_outside_of_what_is_permitted() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &[]);
    let answer = demo.call("sk-demo", "Hello");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("You said: Hello"), "{}", answer.body);
    assert_eq!(answer.header("x-cabotage-deployment"), "gpt-5.4/azure-westeurope");
    assert_eq!(answer.header("x-cabotage-served-by"), "simulated");
    assert!(answer.header("x-cabotage-cost").ends_with("list-price-not-billed"), "{}", answer.head);

    assert_eq!(said(&demo.run(&["demo", "kill", "azure-westeurope"])), "killed: azure-westeurope\n");
    let answer = demo.call("sk-demo", "Hello");
    assert_eq!(
        answer.header("x-cabotage-attempts"),
        "gpt-5.4/azure-westeurope=upstream_unreachable, gpt-5.4/azure-swedencentral=ok"
    );

    assert!(demo.run(&["demo", "kill", "azure"]).status.success());
    assert_eq!(demo.call("sk-demo", "Hello").header("x-cabotage-deployment"), "gpt-5.4/bedrock-us-east-2");
    let answer = demo.call("sk-demo-eu", "Hello");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("bedrock-us-east-2 is healthy, withheld: eu-residency"), "{}", answer.body);

    assert!(said(&demo.run(&["demo", "heal"])).starts_with("healed: azure-westeurope"));
    let until = Instant::now() + Duration::from_secs(8);
    while demo.call("sk-demo-eu", "Hello").status != 200 {
        assert!(Instant::now() < until, "not answered after heal");
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = demo.run(&["demo", "kill", "azure-mars"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("there are: azure-westeurope"), "{}", said(&output));
}

#[test]
fn the_official_scene_of_midnight_in_short() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &["--at", "2026-11-30T23:59:57Z"]);
    assert!(demo.run(&["demo", "kill", "azure"]).status.success());
    let answer = demo.call("sk-demo-bank", "Hello");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("withheld: acme-aws-contract"), "{}", answer.body);
    let until = Instant::now() + Duration::from_secs(6);
    loop {
        let answer = demo.call("sk-demo-bank", "Hello");
        if answer.status == 200 {
            assert_eq!(answer.header("x-cabotage-deployment"), "gpt-5.4/bedrock-us-east-2");
            break;
        }
        assert!(Instant::now() < until, "midnight did not come: {}", answer.body);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn explain_asks_the_running_gateway() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &[]);
    let march = ["explain", "gpt-5.4", "--workload", "research", "--at", "2026-03-15"];
    let output = demo.run(&march);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("msoai-2026-02-stateless"), "{}", said(&output));
    let json = demo.json(&[&march[..], &["--json"]].concat());
    assert_eq!(json["outcome"], "placed");
    let refused = &json["refused"][0];
    assert_eq!(refused["deployment"], "gpt-5.4/bedrock-us-east-2");
    assert_eq!(refused["rules"][0]["id"], "msoai-2026-02-stateless");
    assert_eq!(refused["rules"][0]["mode"], "enforce");
    for field in ["provider", "seller", "operator", "cloud", "region", "can"] {
        assert!(refused.get(field).is_some(), "{field}");
    }
    let split = demo.json(&[&march[..], &["--host", "aws", "--json"]].concat());
    assert_eq!(split["split"]["verdict"], "split");
    assert_eq!(split["class"], "stateful");

    let down = ["explain", "--model", "gpt-5.4", "--workload", "support-eu", "--assume-down", "azure"];
    let output = demo.run(&down);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("withheld: eu-residency"), "{}", said(&output));
    for (arguments, part) in [
        (["explain", "gpt-5", "--workload", "research"], "near it: gpt-5.4"),
        (["explain", "gpt-5.4", "--workload", "reserch"], "near it: research"),
        (["explain", "gpt-5.4", "--assume-down", "azure"], "for which workload?"),
    ] {
        let output = demo.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(part), "{}", said(&output));
    }
}

#[test]
fn the_written_files_are_whole_and_explain_reads_them_without_a_gateway() {
    let place = folder(&[]);
    let run = |arguments: &[&str]| cabotage(place.path()).args(arguments).output().unwrap();
    let output = run(&["demo", "--write", "mine"]);
    assert!(output.status.success(), "{}", said(&output));
    let output = run(&["check", "-c", "mine/cabotage.toml"]);
    assert!(output.status.success() && said(&output).contains("15 deployments"), "{}", said(&output));
    let again = run(&["demo", "--write", "mine"]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("is there already"), "{}", said(&again));

    let bank =
        ["explain", "gpt-5.4", "-c", "mine/cabotage.toml", "--workload", "advice", "--at", "2026-11-30"];
    assert_eq!(run(&bank).status.code(), Some(0));
    let pack = place.path().join("mine/terms/acme-bank.toml");
    let text = std::fs::read_to_string(&pack).unwrap();
    std::fs::write(&pack, text.replace("{ cloud = \"aws\" }", "{ cloud = [\"aws\", \"azure\"] }")).unwrap();
    let output = run(&bank);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("acme-bank.toml:"), "{}", said(&output));
    std::fs::write(&pack, "[pack").unwrap();
    let output = run(&bank);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn an_edited_line_is_obeyed_by_the_next_call() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &[]);
    assert_eq!(demo.call("sk-demo-bank", "Hello").status, 200);
    let pack = demo.folder.join("terms/acme-bank.toml");
    let text = std::fs::read_to_string(&pack).unwrap();
    std::fs::write(&pack, text.replace("{ cloud = \"aws\" }", "{ cloud = [\"aws\", \"azure\"] }")).unwrap();
    let until = Instant::now() + Duration::from_secs(8);
    let refused = loop {
        let answer = demo.call("sk-demo-bank", "Hello");
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < until, "the edit was not obeyed");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("acme-aws-contract") && refused.body.contains("acme-bank.toml:"),
        "{}",
        refused.body
    );
}

#[test]
fn nothing_is_missing_after_kill_9() {
    let place = folder(&[]);
    let mut demo = Demo::start(place.path(), &["--state", "kept"]);
    let journal = demo.folder.join("data").display().to_string();
    let mut last = String::new();
    for number in 0..12 {
        let answer = demo.call("sk-demo", &format!("Call {number}"));
        assert_eq!(answer.status, 200);
        answer.header("x-cabotage-call-id").clone_into(&mut last);
    }
    assert_eq!(demo.call("sk-wrong", "Hello").status, 401);
    let mut slow = TcpStream::connect(&demo.data).unwrap();
    demo.send(&mut slow, "sk-demo-eu", r#"[[sim {"deltas":1000,"pace_ms":50}]]"#, true);
    assert!(slow.read(&mut [0; 256]).unwrap() > 0);
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();

    // Beside the dead one: the answered calls are there, drained or not.
    let total =
        |demo: &Demo, by: &str| demo.json(&["ledger", "show", "--journal", &journal, "--by", by, "--json"]);
    let report = total(&demo, "workload");
    assert_eq!((&report["total"]["calls"], &report["open"]), (&12.into(), &1.into()), "{report}");
    let call = demo.json(&["ledger", "show", "--journal", &journal, "--call", &last, "--json"]);
    let records: Vec<&str> =
        call["records"].as_array().unwrap().iter().map(|own| own["record"].as_str().unwrap()).collect();
    assert_eq!(records, ["decision", "attempt", "outcome"]);

    let demo = Demo::start(place.path(), &["--state", "kept"]);
    assert_eq!(demo.call("sk-demo", "Hello").status, 200);
    let report = total(&demo, "workload");
    assert_eq!((&report["total"]["calls"], &report["total"]["unknown"]), (&14.into(), &1.into()), "{report}");
    assert_eq!(report["lost_records"], 0);
    let by_deployment = total(&demo, "deployment");
    assert_eq!(by_deployment["lines"][0]["name"], "gpt-5.4/azure-westeurope");
    let text =
        said(&demo.run(&["ledger", "show", "-c", &demo.folder.join("cabotage.toml").display().to_string()]));
    assert!(text.contains("Simulated answers: list price, not billed."), "{text}");
    let wrong = demo.run(&["ledger", "show", "--journal", "."]);
    assert!(!wrong.status.success() && said(&wrong).contains("holds no journal"), "{}", said(&wrong));
    // What the user named stays.
    demo.interrupt();
    assert!(place.path().join("kept/cabotage.toml").exists());
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &[]);
    assert!(demo.folder.starts_with(std::fs::canonicalize(place.path()).unwrap()));
    assert_eq!(demo.call("sk-demo", "Hello").status, 200);
    let data = demo.data.clone();
    let code = demo.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    assert!(TcpStream::connect(data).is_err(), "somebody still listens");
}

#[test]
fn ctrl_c_while_it_starts_leaves_nothing_behind_either() {
    let place = folder(&[]);
    for wait in [20, 60, 120, 250] {
        let mut command = cabotage(place.path());
        command.args(FREE_PORTS).env("TMPDIR", place.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let until = Instant::now() + Duration::from_secs(8);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it did not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().flatten().map(|own| own.path()).collect();
        assert!(left.is_empty(), "after {wait} ms: {left:?}");
    }
}

#[test]
fn the_files_of_a_killed_demo_go_with_the_next_one_and_those_of_a_living_one_stay() {
    let place = folder(&[]);
    let killed = Demo::start(place.path(), &[]);
    let abandoned = killed.folder.clone();
    drop(killed);
    assert!(abandoned.exists());
    let living = Demo::start(place.path(), &[]);
    assert!(!abandoned.exists());
    let another = Demo::start(place.path(), &[]);
    assert!(living.folder.exists() && another.folder.exists());
    assert_eq!(living.call("sk-demo", "Hello").status, 200);
}

#[test]
fn a_taken_port_is_a_clear_error_and_leaves_nothing_behind() {
    let place = folder(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for arguments in [
        ["demo", "--admin-port", "0", "--sim-port", "0", "--port", &port],
        ["demo", "--port", "0", "--sim-port", "0", "--admin-port", &port],
        ["demo", "--port", "0", "--admin-port", "0", "--sim-port", &port],
    ] {
        let output = cabotage(place.path()).args(arguments).env("TMPDIR", place.path()).output().unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&port) && text.contains("choose"), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_strange_folder_is_not_overwritten() {
    let place = folder(&[("mine/cabotage.toml", "# my own\n")]);
    let output = cabotage(place.path()).args(FREE_PORTS).args(["--state", "mine"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("is not the demo's"), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(place.path().join("mine/cabotage.toml")).unwrap(), "# my own\n");
}

/// `cargo xtask catalog` checks the prices and dates of `catalog/demo.toml`: it must name what the demo runs.
#[test]
fn every_deployment_of_the_demo_is_one_that_the_catalog_checks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: &str| -> Vec<toml::Table> {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        table["deployment"].as_array().unwrap().iter().map(|row| row.as_table().unwrap().clone()).collect()
    };
    let word = |row: &toml::Table, name: &str| {
        row.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let of_demo = |row: &toml::Table| {
        let wire = if row.contains_key("wire_model") { word(row, "wire_model") } else { word(row, "model") };
        let profile = word(row, "profile");
        (word(row, "provider"), if profile.is_empty() { wire } else { format!("{profile}.{wire}") })
    };
    let demo: BTreeSet<_> = read("demo/cabotage.toml").iter().map(of_demo).collect();
    let checked: BTreeSet<_> =
        read("catalog/demo.toml").iter().map(|row| (word(row, "provider"), word(row, "model"))).collect();
    assert_eq!(demo, checked);
}

#[test]
fn one_simulated_cloud_runs_alone_with_scripted_faults() {
    let rules = r#"[{"when":{},"action":{"kind":"status","status":429}}]"#;
    let place = folder(&[("faults.json", rules), ("broken.json", "{")]);
    let sim = ["sim", "azure-westeurope", "--port", "0", "--control-port", "0", "--faults"];
    let mut command = cabotage(place.path());
    let mut child = command.args(sim).arg("faults.json").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take(3).collect();
    let address = |line: &str| line.split_once("http://").unwrap().1.split(' ').next().unwrap().to_owned();
    assert!(lines[0].contains("SIMULATED") && lines[1].contains("azure-westeurope"), "{lines:?}");
    let mut stream = TcpStream::connect(address(&lines[1])).unwrap();
    let head = "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: a\r\napi-key: simulated-azure-key\r\n\
                content-type: application/json\r\ncontent-length: 54\r\nconnection: close\r\n\r\n";
    let body = r#"{"model":"m","messages":[{"role":"user","content":""}]}"#;
    let head = head.replace("54", &body.len().to_string());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("x-cabotage-simulated: true"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
    for (arguments, part) in [
        (["sim", "azure-mars", "--control-port", "0"], "there are: azure-westeurope"),
        (["sim", "--port", "7", "--control-port=0"], "--port fits one cloud"),
        (["sim", "--port=0", "--faults", "broken.json"], "is no list of faults"),
    ] {
        let output = cabotage(place.path()).args(arguments).output().unwrap();
        assert!(!output.status.success() && said(&output).contains(part), "{}", said(&output));
    }
}
