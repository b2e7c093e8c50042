//! A gateway in a process of its own, to be killed and measured.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running gateway; killed where the test fails.
pub(crate) struct GatewayChild {
    child: Child,
    /// Where it serves callers.
    pub(crate) address: SocketAddr,
}

impl GatewayChild {
    /// The binary with the configuration `cabotage.toml` of `dir`; ready to serve when this returns.
    pub(crate) fn serve(dir: &Path) -> Self {
        let mut command = crate::cabotage(dir);
        command.args(["serve", "-c", "cabotage.toml"]);
        Self::start(command)
    }

    /// Any program that says on standard error where it serves callers, as `cabotage serve` does.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let _code = child.wait();
                panic!("the gateway ended: {said:#?}")
            };
            if let Some(rest) = line.strip_prefix("callers:        http://") {
                break rest.trim_end_matches("/v1").parse().unwrap();
            }
            said.push(line);
        };
        // Read on, so that the gateway never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) {
        // It says where it serves a little before it listens to signals.
        let until = Instant::now() + Duration::from_secs(20);
        while !answers(self.address) {
            assert!(Instant::now() < until, "the gateway does not answer");
        }
        std::thread::sleep(Duration::from_millis(200));
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the gateway stopped with {status}");
    }

    /// Memory that it holds, in KiB: a row of `/proc/PID/status` such as `VmRSS`.
    pub(crate) fn memory_kib(&self, row: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Whether somebody answers HTTP there.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<usize> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\n\r\n")?;
        socket.read(&mut [0; 64])
    };
    ask().is_ok_and(|length| length > 0)
}

impl Drop for GatewayChild {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _code = self.child.wait();
    }
}
