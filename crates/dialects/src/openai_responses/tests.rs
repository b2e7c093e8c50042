//! Tests by subject.

mod answers;
mod items;
mod laws;
mod pitfalls;
mod requests;
mod streams;

use serde_json::Value;

/// JSON bytes as a value.
fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("what is written is JSON")
}
