//! The stateful side over a scripted model and the store's twin in memory: turns, background, conversations,
//! bad input, portability.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails shall panic, in its helpers too"
)]

mod background;
mod bad_input;
mod conversations;
mod moves;
mod script;
mod turns;
