//! Laws of the dialects over recorded traffic, and what translations look like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at what is wrong, and a test binary exports nothing"
)]

mod fixtures;
mod openai_chat;
mod pitfalls;
mod ugly_requests;
mod vendors_view;
mod words;
