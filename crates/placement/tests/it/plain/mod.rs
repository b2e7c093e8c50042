//! The Microsoft–OpenAI terms a second time, as plain code: no Cedar, no sheet, no type of `placement`, no date
//! library. Written from the dated rule rows of the research notes, not from the pack, so that a mistake in
//! one is not repeated in the other. [`crate::compared`] holds the two against each other.

pub(crate) mod calendar;
pub(crate) mod rules;
