//! A demo as a child process, and what a user does with it.

use super::stage::Stage;
use crate::{commands::demo::folder, http1, http1::Answer};
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// Lines that a demo may print before its addresses.
const LINES_MAX: usize = 64;
/// How long a demo may take to come up.
const START_MAX: Duration = Duration::from_secs(30);

/// What a command printed and how it ended.
pub(super) struct Ran {
    pub(super) text: String,
    pub(super) code: i32,
}

/// A folder that goes with the scene.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(folder::temporary("tour")?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's temporary folder.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// A running demo. Dropped, it is killed.
pub(super) struct Demo {
    child: Child,
    data: String,
    admin: String,
    simulator: String,
    folder: PathBuf,
}

impl Demo {
    /// Starts a demo on free ports with its files in `dir`, and waits until it is up.
    pub(super) fn start(stage: &mut Stage, dir: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(dir.join("demo.log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["demo", "--port", "0", "--admin-port", "0", "--machine-readable", "--state"])
            .arg(dir.join("demo"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("starting a demo")?;
        let out = child.stdout.take().ok_or_else(|| anyhow!("the demo has no output"))?;
        let mut demo = Self {
            child,
            data: String::new(),
            admin: String::new(),
            simulator: String::new(),
            folder: PathBuf::new(),
        };
        let (sender, lines) = mpsc::sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            let lines = BufReader::new(out.take(64 * 1024)).lines().map_while(Result::ok);
            // Where nobody waits any longer, the rest is of no interest.
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        for _ in 0..LINES_MAX {
            let Ok(line) = lines.recv_timeout(START_MAX) else {
                let log = fs::read_to_string(dir.join("demo.log")).unwrap_or_default();
                bail!(
                    "the demo ended before it was up, or was not up after {} s: {log}",
                    START_MAX.as_secs()
                );
            };
            match line.split_once('=') {
                Some(("data", url)) => url.clone_into(&mut demo.data),
                Some(("admin", url)) => url.clone_into(&mut demo.admin),
                Some(("simulator", url)) => url.clone_into(&mut demo.simulator),
                Some(("folder", path)) => {
                    demo.folder = path.into();
                    break;
                }
                _ => {}
            }
        }
        stage.mask(&demo.data, "http://127.0.0.1:8080");
        stage.mask(&demo.folder.display().to_string(), "DIR");
        Ok(demo)
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `kill -9`.
    pub(super) fn kill_9(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a call and shows it.
    pub(super) fn call(&self, stage: &Stage, key: &str, model: &str, text: &str) -> anyhow::Result<Answer> {
        let body = question(model, text, false);
        stage.command(&format!(
            "curl -i {}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' -d '{body}'",
            self.data
        ));
        let answer = self.ask(key, &body)?;
        stage.answer(&answer);
        Ok(answer)
    }

    /// Sends a call and shows nothing.
    pub(super) fn quietly(&self, key: &str, model: &str, text: &str) -> anyhow::Result<Answer> {
        self.ask(key, &question(model, text, false))
    }

    /// Sends a request and shows it, without its answer.
    pub(super) fn post(&self, stage: &Stage, key: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        stage.command(&format!(
            "curl -i {}{path} -H 'authorization: Bearer {key}' -H 'content-type: application/json' -d '{body}'",
            self.data
        ));
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        http1::ask(&self.data, "POST", path, &headers, body.as_bytes())
    }

    /// Sends a streamed call and shows it.
    pub(super) fn stream(&self, stage: &Stage, key: &str, model: &str, text: &str) -> anyhow::Result<Answer> {
        let body = question(model, text, true);
        stage.command(&format!(
            "curl -N {}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' -d '{body}'",
            self.data
        ));
        self.ask(key, &body)
    }

    /// Begins a streamed call and leaves it open: the connection, its first bytes read.
    pub(super) fn open_stream(
        &self,
        key: &str,
        model: &str,
        text: &str,
    ) -> anyhow::Result<std::net::TcpStream> {
        let url = url::Url::parse(&self.data)?;
        let (host, port) = (url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
        let mut stream = http1::connect(host, port)?;
        let body = question(model, text, true);
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let request = http1::Request {
            method: "POST",
            target: "/v1/chat/completions",
            host,
            headers: &headers,
            body: body.as_bytes(),
        };
        http1::send(&mut stream, &request)?;
        let mut first = [0; 512];
        if stream.read(&mut first)? == 0 {
            bail!("the stream ended before it began");
        }
        Ok(stream)
    }

    fn ask(&self, key: &str, body: &str) -> anyhow::Result<Answer> {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        http1::ask(&self.data, "POST", "/v1/chat/completions", &headers, body.as_bytes())
    }

    /// Runs a command of this binary and shows it with what it prints. The flags that say where this demo is are
    /// left out of the picture: a user's demo stands on the usual ports.
    pub(super) fn run(&self, stage: &Stage, arguments: &[&str]) -> anyhow::Result<Ran> {
        let shown: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        stage.command(&format!("cabotage {}", shown.join(" ")));
        let ran = self.run_quietly(arguments)?;
        stage.say(&ran.text);
        Ok(ran)
    }

    /// Runs a command of this binary and shows nothing.
    pub(super) fn run_quietly(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        let output = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env("CABOTAGE_ADMIN", &self.admin)
            .env("CABOTAGE_SIM", &self.simulator)
            .stdin(Stdio::null())
            .output()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Ran { text, code: output.status.code().unwrap_or(-1) })
    }

    /// The command's JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let ran = self.run_quietly(arguments)?;
        serde_json::from_str(&ran.text).with_context(|| format!("no JSON: {}", ran.text))
    }

    /// Runs a Python program with OpenAI's client, pointed at this demo.
    pub(super) fn python(&self, python: &Path, program: &str) -> anyhow::Result<Ran> {
        let output = Command::new(python)
            .args(["-c", program])
            .env("OPENAI_BASE_URL", format!("{}/v1", self.data))
            .env("OPENAI_API_KEY", "sk-demo")
            .stdin(Stdio::null())
            .output()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Ran { text, code: output.status.code().unwrap_or(-1) })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have been killed before; its files go with the scene.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn question(model: &str, text: &str, stream: bool) -> String {
    let messages = json!([{ "role": "user", "content": text }]);
    // Written by hand, so that it reads in the order in which people write it.
    let stream = if stream { ",\"stream\":true" } else { "" };
    format!("{{\"model\":\"{model}\"{stream},\"messages\":{messages}}}")
}
