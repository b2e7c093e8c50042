//! A configuration that is only asked about: nothing listens, nothing is called, and no secret need be at hand.

use super::{problem_count, shipped::SHIPPED};
use anyhow::Context as _;
use config::{Checked, Process, Surroundings, Text};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What stands before a variable's name in its place.
pub(crate) const INSTEAD: &str = "in the place of ";

/// The process's files, and for every variable that is not set a word in its place: where a call may run does not
/// depend on secrets.
pub(crate) struct WithoutSecrets;

impl Surroundings for WithoutSecrets {
    fn variable(&self, name: &str) -> Option<String> {
        Process.variable(name).or_else(|| Some(format!("{INSTEAD}{name}")))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Process.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Process.list(dir)
    }
}

/// Reads and checks a configuration. `None`: its problems have been printed.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read(file: &Path) -> anyhow::Result<Option<Checked>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    match config::check(Text { file, text: &text }, SHIPPED, &WithoutSecrets) {
        Ok(checked) => Ok(Some(checked)),
        Err(problems) => {
            eprintln!("{problems}\n\n{}", problem_count(&problems));
            Ok(None)
        }
    }
}
