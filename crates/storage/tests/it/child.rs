//! What the test binary does when it is started again as a child, to be killed.
//!
//! The children are tests that do nothing unless their environment variable names a folder.

use crate::records::{attempt, decision, open, outcome};
use domain::journal::Journal;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use storage::{Drainer, DrainerSettings};

const FOLDER: &str = "JOURNAL_TEST_FOLDER";
const FIRST: &str = "JOURNAL_TEST_FIRST";

/// Starts this binary again as the child `name`; `shell` is put before it, for limits.
pub(crate) fn start(name: &str, dir: &Path, first: u64, shell: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" --exact child::{name} --nocapture --test-threads 1"))
        .arg(this)
        .env(FOLDER, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn asked() -> Option<(PathBuf, u64)> {
    let folder = std::env::var_os(FOLDER)?;
    let first = std::env::var(FIRST).ok()?.parse().ok()?;
    Some((folder.into(), first))
}

/// Writes calls for ever (or until nothing can be written) and says each record after it is written.
#[test]
fn writes_calls() {
    let Some((dir, first)) = asked() else { return };
    let (journal, _) = open(&dir);
    let mut out = std::io::stdout().lock();
    for n in first.. {
        let Ok(_permit) = journal.admit() else { return };
        if journal.append(&decision()).is_err() || journal.append(&attempt(n, 1)).is_err() {
            return;
        }
        writeln!(out, "attempt {n}").unwrap();
        // Every third call fails over once.
        let last = if n % 3 == 0 {
            if journal.append(&outcome(n, 1, false)).is_err() || journal.append(&attempt(n, 2)).is_err() {
                return;
            }
            2
        } else {
            1
        };
        if journal.append(&outcome(n, last, true)).is_err() {
            return;
        }
        writeln!(out, "outcome {n}").unwrap();
        let stats = journal.stats();
        if stats.write_errors > 0 && n > first + 2_000 {
            writeln!(out, "errors {} rotations {}", stats.write_errors, stats.rotations).unwrap();
            return;
        }
    }
}

/// The same with a drainer in small batches.
#[test]
fn writes_and_drains() {
    let Some((dir, first)) = asked() else { return };
    let (journal, _) = open(&dir);
    let settings = DrainerSettings {
        batch_max: 7,
        idle: std::time::Duration::from_millis(1),
        ..DrainerSettings::new(dir.join("ledger.db"))
    };
    let _drainer = Drainer::start(journal.clone(), settings).unwrap();
    let mut out = std::io::stdout().lock();
    for n in first.. {
        let Ok(_permit) = journal.admit() else { return };
        journal.append(&attempt(n, 1)).unwrap();
        journal.append(&outcome(n, 1, true)).unwrap();
        writeln!(out, "outcome {n}").unwrap();
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}
