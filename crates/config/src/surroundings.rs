//! What a configuration reads beside its own text: environment variables and files. A port, so that every check
//! can be tested without either.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Largest file that a configuration names, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Environment variables and files.
pub trait Surroundings {
    /// The value of an environment variable; `None` where it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// The bytes of a file, at most [`MAX_FILE_BYTES`].
    ///
    /// # Errors
    /// The system's error.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files of a folder, sorted by name.
    ///
    /// # Errors
    /// The system's error.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The process's own environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let length = std::fs::metadata(path)?.len();
        if length > MAX_FILE_BYTES {
            return Err(io::Error::other(format!("longer than {MAX_FILE_BYTES} bytes")));
        }
        std::fs::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// Variables and files that exist only in memory: for tests and for the demo, whose configuration is text.
#[derive(Clone, Debug, Default)]
pub struct Imagined {
    /// Variables by name.
    pub variables: BTreeMap<String, String>,
    /// Files by path.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Surroundings for Imagined {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let files: Vec<PathBuf> =
            self.files.keys().filter(|path| path.parent() == Some(dir)).cloned().collect();
        if files.is_empty() { Err(io::Error::from(io::ErrorKind::NotFound)) } else { Ok(files) }
    }
}
