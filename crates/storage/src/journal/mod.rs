//! The journal: append-only segments of framed records in one directory, written by one process.
//!
//! A record is written by the thread that appends it, with one `pwrite` under a mutex; the page cache keeps it
//! when the process dies (`docs/decisions/0003-journal-threads.md` has the measurement behind that). Room for
//! the outcomes of all open calls is preallocated, so that a full disk refuses new calls and drops no record.

mod decisions;
pub mod frame;
mod open_attempts;
pub mod read;
mod recover;
#[cfg(test)]
pub(crate) mod samples;
pub mod segment;
mod window;
mod writer;

pub use read::{Found, Position, Reader};
pub use recover::Recovery;
pub use writer::{FileJournal, JournalStats};

use std::path::PathBuf;

/// How far a record must have come before a call goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Written to the page cache: survives the death of the process, not that of the machine.
    #[default]
    Process,
    /// The outcome also waits for the disk. Not built yet: refused at opening.
    Power,
    /// The attempt waits for the disk before its first upstream byte. Not built yet: refused at opening.
    Strict,
}

impl Durability {
    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
            Self::Strict => "strict",
        }
    }
}

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// The directory; made where it is missing. Holds nothing but the journal.
    pub dir: PathBuf,
    /// `origin/replica`, at most [`segment::LOG_ID_MAX`] bytes: whose log this is. Stays the same for a directory.
    pub log_id: Box<str>,
    /// Size of a segment in bytes, preallocated. At least twice the room of all open calls' outcomes.
    pub segment_bytes: u64,
    /// Most calls that may be open; the next is refused with 503.
    pub open_calls_max: u32,
    /// Most bytes that all segments together may take; `None`: as many as the disk has. At the bound new calls
    /// are refused as on a full disk.
    pub bytes_max: Option<u64>,
    /// How far a record must have come.
    pub durability: Durability,
}

impl JournalSettings {
    /// Segments of 64 MiB (about 150,000 calls each), 20,000 open calls, as much disk as there is.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, log_id: &str) -> Self {
        Self {
            dir: dir.into(),
            log_id: log_id.into(),
            segment_bytes: 64 << 20,
            open_calls_max: 20_000,
            bytes_max: None,
            durability: Durability::Process,
        }
    }

    /// The smallest size of a segment for these settings.
    #[must_use]
    pub fn segment_bytes_min(&self) -> u64 {
        2 * writer::OUTCOME_ROOM * u64::from(self.open_calls_max) + 2 * frame::BYTES_MAX as u64
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes it.
    #[error("the journal in {dir} is in use by another process: stop it, or give this one another directory")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds another log.
    #[error("the journal in {dir} is the log `{found}`, not `{wanted}`: give this one another directory")]
    OtherLog {
        /// The directory.
        dir: PathBuf,
        /// The log that is there.
        found: String,
        /// The log that was asked for.
        wanted: String,
    },
    /// The settings cannot work.
    #[error("journal settings: {0}")]
    Settings(String),
    /// The file system said no.
    #[error("the journal in {dir}: {doing}: {error}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The error.
        error: std::io::Error,
    },
}
