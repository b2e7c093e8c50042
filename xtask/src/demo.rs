//! `cargo xtask demo`: builds and starts the demo; and a demo on free ports for the tests.

use crate::{run, test::cargo};
use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Builds and runs `cabotage demo` with the caller's arguments.
pub(crate) fn foreground(root: &Path, arguments: &[String]) -> Result<()> {
    run(cargo(root).args(["run", "--quiet", "--package", "cabotage", "--", "demo"]).args(arguments))
}

/// The built binary.
pub(crate) fn binary(root: &Path) -> Result<PathBuf> {
    run(cargo(root).args(["build", "--quiet", "--package", "cabotage"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let binary = target.join("debug/cabotage");
    if binary.exists() { Ok(binary) } else { bail!("no binary at {}", binary.display()) }
}

/// A demo that runs in the background and is stopped when dropped.
pub(crate) struct Demo {
    child: Child,
    data: String,
    admin: String,
    simulator: String,
}

impl Demo {
    /// Starts a demo on free ports and waits until it is ready. It prints its addresses as `name=url` lines.
    pub(crate) fn start(root: &Path) -> Result<Self> {
        let mut child = Command::new(binary(root)?)
            .args(["demo", "--port", "0", "--admin-port", "0", "--machine-readable"])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the demo")?;
        let Some(stdout) = child.stdout.take() else { bail!("the demo has no output") };
        let started = Instant::now();
        let (mut data, mut admin, mut simulator) = (None, None, None);
        let mut lines = BufReader::new(stdout).lines();
        while data.is_none() || admin.is_none() || simulator.is_none() {
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the demo was not ready after 60 s");
            }
            let Some(line) = lines.next().transpose()? else { bail!("the demo ended before it was ready") };
            match line.split_once('=') {
                Some(("data", url)) => data = Some(url.to_owned()),
                Some(("admin", url)) => admin = Some(url.to_owned()),
                Some(("simulator", url)) => simulator = Some(url.to_owned()),
                _ => {}
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            child,
            data: data.unwrap_or_default(),
            admin: admin.unwrap_or_default(),
            simulator: simulator.unwrap_or_default(),
        })
    }

    /// Tells a test program where the demo is.
    pub(crate) fn environment(&self, command: &mut Command) {
        command
            .env("CABOTAGE_BASE_URL", format!("{}/v1", self.data))
            .env("CABOTAGE_ADMIN", &self.admin)
            .env("CABOTAGE_SIM_URL", &self.simulator)
            .env("CABOTAGE_API_KEY", "sk-demo");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // As a person would end it, so that it removes its folder; and for good where it does not obey.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
