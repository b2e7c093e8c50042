//! What stands between the load and the mock.

use super::{free_address, mock::Mock, pinned};
use anyhow::{Context as _, Result, bail};
use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A kind of gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// None: what added times are counted from.
    Direct,
    /// The gateway.
    Cabotage,
    /// The bare hyper hop.
    Hyper,
    /// nginx as a reverse proxy with kept connections, one worker.
    Nginx,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Cabotage => "cabotage",
            Self::Hyper => "bare hyper",
            Self::Nginx => "nginx",
        }
    }
}

/// A running gate; killed when dropped.
pub(super) struct Gate {
    child: Child,
    folder: PathBuf,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What callers authenticate with.
    pub(super) key: &'static str,
    /// What callers ask for.
    pub(super) model: &'static str,
    /// From the start of the process to its first 200.
    pub(super) cold: Duration,
}

/// A gate must answer within this time.
const START: Duration = Duration::from_secs(30);

impl Gate {
    /// Starts a gate on a core. `None` where it is not installed.
    pub(super) fn start(kind: Kind, mock: &Mock, binary: &Path, core: Option<usize>) -> Result<Option<Self>> {
        Self::start_under(&[], kind, mock, binary, core)
    }

    /// The same, where the gateway's command is another one's last argument.
    pub(super) fn start_under(
        under: &[String],
        kind: Kind,
        mock: &Mock,
        binary: &Path,
        core: Option<usize>,
    ) -> Result<Option<Self>> {
        let address = free_address()?;
        let folder =
            std::env::temp_dir().join(format!("cabotage-bench-{}-{}", std::process::id(), address.port()));
        fs::create_dir_all(&folder)?;
        let mut command = match kind {
            Kind::Direct => return Ok(None),
            Kind::Cabotage => {
                let file = folder.join("cabotage.toml");
                fs::write(&file, configuration(address, free_address()?, mock.address, &folder)?)?;
                let mut command = match under {
                    [] => pinned(binary, core),
                    [program, arguments @ ..] => {
                        let mut command = Command::new(program);
                        command.args(arguments).arg(binary);
                        command
                    }
                };
                command.arg("serve").arg("-c").arg(file);
                command
            }
            Kind::Hyper => {
                let mut command = pinned(&std::env::current_exe()?, core);
                command.args([
                    "bench",
                    "--hop-to",
                    &mock.address.to_string(),
                    "--listen",
                    &address.to_string(),
                ]);
                command
            }
            Kind::Nginx => {
                let Some(nginx) = nginx() else { return Ok(None) };
                let file = folder.join("nginx.conf");
                fs::write(&file, nginx_configuration(address, mock.address, &folder))?;
                let mut command = pinned(&nginx, core);
                command.arg("-p").arg(&folder).arg("-c").arg(file).arg("-e").arg(folder.join("error.log"));
                command
            }
        };
        let log = fs::File::create(folder.join("log"))?;
        let began = Instant::now();
        let child = command
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", kind.name()))?;
        let mut gate =
            Self { child, folder, address, key: "sk-bench-0", model: "bench", cold: Duration::ZERO };
        while !gate.answers() {
            if let Some(status) = gate.child.try_wait()? {
                bail!("{} ended, {status}: {}", kind.name(), fs::read_to_string(gate.folder.join("log"))?);
            }
            if began.elapsed() > START {
                bail!("{} did not answer: {}", kind.name(), fs::read_to_string(gate.folder.join("log"))?);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        gate.cold = began.elapsed();
        Ok(Some(gate))
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut socket = TcpStream::connect(self.address)?;
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            let body =
                format!(r#"{{"model":"{}","messages":[{{"role":"user","content":"hi"}}]}}"#, self.model);
            let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json";
            let (key, length) = (self.key, body.len());
            write!(
                socket,
                "{head}\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}"
            )?;
            let mut start = [0; 12];
            socket.read_exact(&mut start)?;
            Ok(start.ends_with(b" 200"))
        };
        ask().unwrap_or(false)
    }

    /// The process and its children (nginx has a worker).
    pub(super) fn processes(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id)
            .chain(children.split_whitespace().filter_map(|child| child.parse().ok()))
            .collect()
    }

    /// Resident memory in MB.
    pub(super) fn resident_mb(&self) -> Result<f64> {
        let mut kib = 0.0;
        for id in self.processes() {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
            kib += line.trim().trim_end_matches(" kB").parse::<f64>()?;
        }
        Ok(kib / 1024.0)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // nginx's master takes its worker along only when it is asked.
        let id = self.child.id().to_string();
        let _asked = Command::new("kill").args(["-TERM", &id]).status();
        // One that is watched by another program has a profile to write first.
        for _ in 0..1000 {
            if let Ok(Some(_)) = self.child.try_wait() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _gone = self.child.kill();
        let _code = self.child.wait();
        let _left_for_the_system_to_clean = fs::remove_dir_all(&self.folder);
    }
}

/// 64 deployments, both shipped packs, 1,000 keys, the journal on the disk, one thread for calls.
fn configuration(data: SocketAddr, admin: SocketAddr, mock: SocketAddr, folder: &Path) -> Result<String> {
    let mut text = format!(
        "[listen]\ndata = \"{data}\"\nadmin = \"{admin}\"\n[journal]\ndir = \"{}\"\n[limits]\nworkers = 1\n",
        folder.join("data").display()
    );
    for pack in ["microsoft-openai", "eu-residency"] {
        write!(text, "[[terms.pack]]\nid = \"{pack}\"\nmode = \"enforce\"\n")?;
    }
    for number in 0..64 {
        write!(
            text,
            "[[deployment]]\nname = \"d{number}\"\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\nwire_model = \"bench\"\n\
             endpoint = \"http://{mock}\"\nconcurrency = 10000\napi_key = {{ value = \"sk-upstream-{number}\", in_clear = true }}\n"
        )?;
    }
    text.push_str("[[model]]\nname = \"bench\"\nof = \"gpt-5.4\"\n");
    for number in 0..1000 {
        write!(
            text,
            "[[key]]\nid = \"k{number}\"\nsecret = {{ value = \"sk-bench-{number}\", in_clear = true }}\n"
        )?;
    }
    Ok(text)
}

fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join("nginx")).find(|file| file.exists())
}

fn nginx_configuration(listen: SocketAddr, mock: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
           access_log off; keepalive_requests 1000000000; tcp_nodelay on;\n\
           client_body_buffer_size 256k; client_max_body_size 32m;\n\
           client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n\
           uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
           upstream mock {{ server {mock}; keepalive 512; keepalive_requests 1000000000; }}\n\
           server {{\n\
             listen {listen} backlog=4096;\n\
             location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }}\n\
           }}\n\
         }}\n"
    )
}
