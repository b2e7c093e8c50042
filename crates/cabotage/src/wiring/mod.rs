//! From a checked configuration to a running gateway, and from there to its end.

mod gateway;
pub(crate) mod journal;
pub(crate) mod offline;
mod origin;
mod reload;
pub(crate) mod shipped;
pub(crate) mod state;
pub(crate) mod stop;

pub(crate) use gateway::{Gateway, random};
pub(crate) use origin::Origin;

use config::Problems;

/// `3 problems`, for the last line.
pub(crate) fn problem_count(problems: &Problems) -> String {
    match problems.0.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    }
}

/// Logs what is allowed in the terms and should be known: expired waivers, approvals that count for nothing.
pub(crate) fn told_of_terms(checked: &config::Checked, clock: &dyn domain::Clock) {
    for note in checked.terms.notes(clock.now()).0 {
        tracing::warn!("{note}");
    }
}
