//! The binary from outside.

mod check;
mod serve;

use std::{path::Path, process::Command};

/// The binary with an environment of its own: no variable of the machine reaches it.
fn cabotage(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabotage"));
    command.current_dir(dir).env_clear();
    command
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
