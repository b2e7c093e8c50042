//! From a checked configuration to a running gateway, and from there to its end.

mod gateway;
pub(crate) mod journal;
mod origin;
mod reload;
pub(crate) mod shipped;
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
