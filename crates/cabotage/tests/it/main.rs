//! The binary from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may fail, and wait by the real clock"
)]

mod caller;
mod catalog;
mod check;
mod child;
mod demo;
mod kill9;
mod live;
mod memory;
mod probe;
mod prove;
mod responses_upstream;
mod serve;
mod state;
mod state_cost;
mod state_kills;
mod terms;

use simulator::{CloudKind, CloudSpec};
use std::{path::Path, process::Command};

/// The binary with an environment of its own: no variable of the machine reaches it.
fn cabotage(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabotage"));
    command.current_dir(dir).env_clear();
    command
}

/// A simulated cloud on a free port, with whatever models it is asked for.
fn cloud_spec(name: &str, kind: CloudKind, region: Option<&str>) -> CloudSpec {
    CloudSpec { name: name.into(), kind, region: region.map(str::to_owned), port: 0, models: Vec::new() }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}
