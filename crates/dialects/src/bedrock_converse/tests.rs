//! The laws over recordings, and the pitfalls by their numbers.

mod laws;
mod pitfalls;
mod streams;
