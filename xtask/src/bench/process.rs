//! What the system says of processes: CPU time by `/proc`.

use super::gate::Gate;
use anyhow::{Context as _, Result};
use std::{fs, process::Command, sync::LazyLock, time::Instant};

/// CPU time and wall time, at an instant or between two.
pub(super) struct Usage {
    at: Instant,
    /// Of the gate, in seconds.
    gate: f64,
    /// Of this process.
    own: f64,
    /// Of the whole machine.
    machine: f64,
}

/// The unit of the system's CPU times, per second.
static TICKS: LazyLock<f64> = LazyLock::new(|| {
    let said = Command::new("getconf").arg("CLK_TCK").output().ok();
    said.and_then(|said| String::from_utf8(said.stdout).ok()?.trim().parse().ok()).unwrap_or(100.0)
});

impl Usage {
    pub(super) fn now(gate: &Gate) -> Result<Self> {
        let mut seconds = 0.0;
        for id in gate.processes() {
            seconds += process(&id.to_string())?;
        }
        Ok(Self { at: Instant::now(), gate: seconds, own: process("self")?, machine: machine()? })
    }

    /// What was used since `self` was taken.
    pub(super) fn until_now(&self, gate: &Gate) -> Result<Used> {
        let now = Self::now(gate)?;
        let gate = now.gate - self.gate;
        let others = (now.machine - self.machine) - gate - (now.own - self.own);
        let wall = now.at.duration_since(self.at).as_secs_f64();
        Ok(Used { gate, foreign: others.max(0.0) / wall })
    }
}

/// CPU used in a span of time.
pub(super) struct Used {
    gate: f64,
    /// Cores kept busy by processes that do not belong here.
    pub(super) foreign: f64,
}

impl Used {
    /// By the gate, in microseconds.
    pub(super) const fn gate_us(&self) -> f64 {
        self.gate * 1e6
    }
}

/// User and system time of a process in seconds.
fn process(id: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("this needs Linux's /proc")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    // Behind the name: state is field 3, utime 14, stime 15.
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    Ok(ticks / *TICKS)
}

/// Busy time of all cores in seconds.
fn machine() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    // user, nice, system; then idle and iowait, which are no work; irq, softirq.
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|index| fields.get(*index)).sum::<f64>();
    Ok(busy / *TICKS)
}
