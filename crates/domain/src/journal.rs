//! The journal's port: what the engine asks of whoever keeps the records.
//!
//! Two barriers. Every attempt is appended before its first upstream byte; the outcome is appended before the
//! caller's last byte. `append` returns when the record is written (it survives `kill -9`); a stricter
//! durability is awaited on the [`Ticket`]. The room for a call's outcome is taken at admission
//! ([`Journal::admit`]), so that settling cannot fail for want of room.

use crate::record::Record;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    sync::Mutex,
    sync::atomic::{AtomicU64, Ordering},
};

/// Why the journal cannot take a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// As many calls are open as room was set aside for.
    #[error("the journal has room for {open} open calls and all are taken; retry shortly")]
    Full {
        /// How many are open.
        open: u64,
    },
    /// The disk is full or failing, or the segment is bad. New calls must be refused until it recovers.
    #[error("the journal cannot write: {0}")]
    Broken(Arc<str>),
}

/// The right to append one call's outcome without failing for want of room. Given back when dropped.
pub struct Permit {
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Permit {
    /// A permit that calls `release` when it is dropped.
    #[must_use]
    pub fn new(release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { release: Some(Box::new(release)) }
    }

    /// A permit that holds nothing.
    #[must_use]
    pub const fn free() -> Self {
        Self { release: None }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

/// A wait for the flush of a record to the disk.
pub type Flush = Pin<Box<dyn Future<Output = Result<(), JournalError>> + Send>>;

/// What `append` gives back: the record's sequence number, and a wait for durability beyond the process.
pub struct Ticket {
    /// Counts the records of this journal from 1, across segments and restarts.
    pub sequence: u64,
    durable: Option<Flush>,
}

impl Ticket {
    /// A record that is as durable as it will be (`durability = "process"`).
    #[must_use]
    pub const fn written(sequence: u64) -> Self {
        Self { sequence, durable: None }
    }

    /// A record whose flush to the disk is under way.
    #[must_use]
    pub fn pending(
        sequence: u64,
        durable: Pin<Box<dyn Future<Output = Result<(), JournalError>> + Send>>,
    ) -> Self {
        Self { sequence, durable: Some(durable) }
    }

    /// Waits until the record is as durable as the journal's setting promises.
    ///
    /// # Errors
    /// Where the flush failed: the record may be lost with the machine's power.
    pub async fn durable(self) -> Result<u64, JournalError> {
        if let Some(wait) = self.durable {
            wait.await?;
        }
        Ok(self.sequence)
    }
}

/// Whoever keeps the records.
pub trait Journal: Send + Sync {
    /// Takes room for one call's outcome.
    ///
    /// # Errors
    /// [`JournalError::Full`] at the bound of open calls, [`JournalError::Broken`] where nothing can be written.
    fn admit(&self) -> Result<Permit, JournalError>;

    /// Appends a record. Sync and short: one write to the page cache. Never waits for a disk flush.
    ///
    /// # Errors
    /// [`JournalError::Broken`] where the write failed. An outcome under a [`Permit`] never fails for want of room.
    fn append(&self, record: &Record) -> Result<Ticket, JournalError>;
}

/// A journal in memory, for tests: keeps every record, has room for all.
#[derive(Default)]
pub struct MemoryJournal {
    records: Mutex<Vec<Record>>,
    sequence: AtomicU64,
}

impl MemoryJournal {
    /// All records so far, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().map(|records| records.clone()).unwrap_or_default()
    }
}

impl Journal for MemoryJournal {
    fn admit(&self) -> Result<Permit, JournalError> {
        Ok(Permit::free())
    }

    fn append(&self, record: &Record) -> Result<Ticket, JournalError> {
        let mut records = self.records.lock().map_err(|_| JournalError::Broken("poisoned".into()))?;
        records.push(record.clone());
        Ok(Ticket::written(self.sequence.fetch_add(1, Ordering::Relaxed) + 1))
    }
}
