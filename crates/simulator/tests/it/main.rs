//! The simulator on real sockets: each cloud's wire shape, faults, outages, journal, control API.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a panic is the verdict, and the wall clock is what is measured"
)]

mod anthropic;
mod azure;
mod bedrock;
mod client;
mod embeddings;
mod faults;
mod fixtures;
mod google;
mod journal;
mod load;
mod openai;
mod outage;
mod responses;
mod responses_input;
mod vllm;
