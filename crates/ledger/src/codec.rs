//! Journal records as canonical CBOR: `[version, kind, {field: value}]` with integer keys in ascending order,
//! definite lengths, shortest integers, and defaults (0, false, empty) left out, so that equal records have
//! equal bytes.
//!
//! Field numbers are forever: a number is never given another meaning. A reader skips fields that it does not
//! know, so an older binary reads a newer journal; a newer *kind* is an error that readers count and step over.
//! Every string is bounded ([`bound`]) and a longer one is cut with `…`, so every record but a decision stays
//! under [`RECORD_BYTES_MAX`].

mod numbers;
mod reading;
mod writing;

pub use reading::{DecodeError, decode};
pub use writing::encode;

/// The version of the form that [`encode`] writes.
pub const VERSION: u8 = 1;

/// Longest encoding of an attempt, outcome, refusal or notice, in bytes. A test holds the codec to it.
pub const RECORD_BYTES_MAX: usize = 512;

/// Longest encoding of a decision, in bytes: its body is kept to [`bound::DECISION_BODY`].
pub const DECISION_BYTES_MAX: usize = bound::DECISION_BODY + 64;

/// Bounds of strings in records, in bytes of UTF-8, the mark of a cut (3 bytes) included.
pub mod bound {
    /// Workload and key ids.
    pub const ID: usize = 64;
    /// Model names.
    pub const MODEL: usize = 96;
    /// Deployment ids.
    pub const DEPLOYMENT: usize = 80;
    /// The upstream's id of a request.
    pub const UPSTREAM_REQUEST_ID: usize = 64;
    /// A finish class.
    pub const FINISH: usize = 32;
    /// Names of losses.
    pub const LOSSES: usize = 160;
    /// Ids of waived rules: one of the longest fits.
    pub const WAIVED: usize = 72;
    /// The kind of a notice.
    pub const NOTICE_KIND: usize = 32;
    /// The text of a notice.
    pub const NOTICE_TEXT: usize = 400;
    /// The body of a decision: 64 candidates with their rules fit. A longer one is replaced by a JSON object
    /// that says so and holds the beginning as a string.
    pub const DECISION_BODY: usize = 48 * 1024;
}

/// Kinds of records, the second element of the outer array.
mod kind {
    pub(super) const DECISION: u8 = 1;
    pub(super) const ATTEMPT: u8 = 2;
    pub(super) const OUTCOME: u8 = 3;
    pub(super) const REFUSAL: u8 = 4;
    pub(super) const NOTICE: u8 = 5;
}

/// Field numbers, shared by both directions. Never reused, never renumbered.
mod field {
    // Attempt, outcome, refusal: what they have in common.
    pub(super) const CALL: u8 = 1;
    pub(super) const ATTEMPT: u8 = 2;
    pub(super) const AT_US: u8 = 3;
    // Attempt and refusal.
    pub(super) const WORKLOAD: u8 = 4;
    pub(super) const KEY: u8 = 5;
    pub(super) const MODEL: u8 = 6;
    pub(super) const DEPLOYMENT: u8 = 7;
    pub(super) const DECISION: u8 = 8;
    pub(super) const STREAM: u8 = 9;
    pub(super) const REQUEST_BYTES: u8 = 10;
    pub(super) const CODE: u8 = 11;
    // Outcome.
    pub(super) const LAST: u8 = 12;
    pub(super) const OUTCOME: u8 = 13;
    pub(super) const UPSTREAM_STATUS: u8 = 14;
    pub(super) const USAGE: u8 = 15;
    pub(super) const COST: u8 = 16;
    pub(super) const COST_BASIS: u8 = 17;
    pub(super) const FINISH: u8 = 18;
    pub(super) const SERVED_BY: u8 = 19;
    pub(super) const UPSTREAM_REQUEST_ID: u8 = 20;
    pub(super) const LOSSES: u8 = 21;
    pub(super) const FIRST_CONTENT_US: u8 = 22;
    pub(super) const TOTAL_US: u8 = 23;
    pub(super) const RELEASED_BYTES: u8 = 24;
    // Decision and notice.
    pub(super) const BODY: u8 = 25;
    pub(super) const KIND: u8 = 26;
    pub(super) const TEXT: u8 = 27;
    // Attempt.
    pub(super) const WAIVED: u8 = 28;
    // Outcome.
    pub(super) const CLASS: u8 = 29;
    // Inside the class map.
    pub(super) const CALL_CLASS: u8 = 1;
    pub(super) const SIGNS: u8 = 2;
    pub(super) const CERTAINTY: u8 = 3;
    pub(super) const AGENT: u8 = 4;
    pub(super) const LINK: u8 = 5;
    pub(super) const CONVERSATION: u8 = 6;
    pub(super) const TURN: u8 = 7;
    // Inside the usage map.
    pub(super) const UNCACHED_IN: u8 = 1;
    pub(super) const CACHE_READ: u8 = 2;
    pub(super) const CACHE_WRITE: u8 = 3;
    pub(super) const CACHE_WRITE_1H: u8 = 4;
    pub(super) const OUT_VISIBLE: u8 = 5;
    pub(super) const OUT_REASONING: u8 = 6;
    pub(super) const AUDIO_IN: u8 = 7;
    pub(super) const AUDIO_OUT: u8 = 8;
    pub(super) const SOURCE: u8 = 9;
}

#[cfg(test)]
mod tests;
