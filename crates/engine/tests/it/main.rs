//! Black-box tests of the engine: real sockets, simulated clouds, a journal in memory.

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

mod upstream;
