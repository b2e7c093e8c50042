//! The twin in memory does what every state store must do.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails shall panic"
)]

mod state_suite;

use domain::state::MemoryStateStore;

#[test]
fn the_twin_in_memory_is_a_state_store() {
    state_suite::all(|| MemoryStateStore::new("memory"));
}
