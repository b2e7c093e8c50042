//! The pitfalls of translation that can befall a call which came in as openai-chat, each a golden test.
//!
//! - `cases/P01.json` …: what goes in: requests, replies, streams and error bodies, by name;
//! - `snapshots/P01.snap` …: what comes out, with its losses; reviewed in the diff;
//! - `requests`, `schemas`, `responses`, `streams`, `errors`: what the row of the list demands, as assertions,
//!   because a snapshot alone cannot say what is right;
//! - `coverage`: every number of the list is tested here, tested elsewhere (named), or out of scope (why).
//!
//! Everything goes through the real codecs end to end, by `run`. Streams are fed whole and in pieces of one and
//! of seven bytes, which must make no difference.

mod client;
mod coverage;
mod errors;
mod requests;
mod responses;
pub(crate) mod run;
mod schemas;
mod streams;
mod targets;
