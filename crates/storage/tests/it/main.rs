//! The journal and the drainer from outside: killed, torn, damaged, full, drained again.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails shall panic, in its helpers too; a measurement needs a clock"
)]

mod child;
mod crash;
mod damage;
mod drain;
mod full;
mod records;
mod rotation;
mod state;
