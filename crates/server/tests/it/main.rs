//! Black-box tests of the data plane: the real listener and engine, simulated clouds, a journal in memory. What the
//! clouds saw, by their own journal, is the oracle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and reads the real clock; its helpers too"
)]

mod bad_input;
mod broken_upstreams;
mod cancel;
mod chat;
mod connections;
mod conversations;
mod embeddings;
mod failover;
mod faults;
mod flip;
mod gateway;
mod raw;
mod responses_unkept;
mod secrets;
mod wire;
