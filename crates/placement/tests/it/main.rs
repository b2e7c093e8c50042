//! Tests of placement as a whole, with the packs and the fact book that ship.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "helpers of tests fail a test by panicking; clippy allows it only inside test functions"
)]

mod approvals;
mod bank;
mod book;
mod catalog;
mod compared;
mod cost;
mod explained;
mod golden;
mod key;
mod memo;
mod mistakes;
mod packs;
mod pins;
mod plain;
mod raw_policies;
mod residency;
mod standing;
mod support;
mod terms_tools;
mod waivers;
