//! Tests of placement as a whole, with the packs and the fact book that ship.

mod bank;
mod book;
mod cost;
mod explained;
mod golden;
mod key;
mod memo;
mod mistakes;
mod residency;
mod standing;
mod support;
