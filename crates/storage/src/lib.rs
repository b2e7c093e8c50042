//! Where records are kept: the journal on the disk, and SQLite as its index.
//!
//! `journal` implements the port `domain::journal::Journal`: append-only segments that survive `kill -9`.
//! `sqlite` drains them into sums that can be asked, exactly once by sequence number; it is never on the path
//! of a request. `state` implements the port `domain::state::StateStore`: responses and conversations, sealed.
//! Unix only (file locks, positioned writes, preallocation).

pub mod journal;
pub mod sqlite;
pub mod state;

pub use journal::{Durability, FileJournal, JournalSettings, JournalStats, OpenError, Recovery};
pub use sqlite::{Drainer, DrainerSettings, DrainerStats, LedgerStore, StoreError};
pub use state::{MasterKey, OpenStateError, SqliteStateStore, StateSettings, StateStats};
