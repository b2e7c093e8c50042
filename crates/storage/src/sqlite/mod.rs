//! SQLite as the index of the journal: sums per minute, a sparse index of calls, the drainer's position. It may
//! be deleted at any time and is made again from the segments that are still there.

mod drain;
mod query;
mod schema;
mod store;

pub use drain::{Drainer, DrainerSettings, DrainerStats};
pub use query::CallRecord;
pub use store::LedgerStore;

/// What can go wrong with the database or the segments.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the ledger database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The database was made by a newer binary.
    #[error("the ledger database has version {found}, this binary knows {known}: upgrade the binary")]
    Newer {
        /// In the file.
        found: i64,
        /// Of this binary.
        known: i64,
    },
    /// The database is the index of another log.
    #[error(
        "the ledger database indexes the log `{found}`, not `{wanted}`: give this journal another database"
    )]
    OtherLog {
        /// In the file.
        found: String,
        /// Of the journal.
        wanted: String,
    },
    /// The segments cannot be read.
    #[error("reading the journal: {0}")]
    Journal(#[from] std::io::Error),
}
