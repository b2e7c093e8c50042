//! Scriptable simulated clouds on loopback, for `demo`, drills and tests.
//!
//! Each cloud of [`SimulatorConfig`] has a listener of its own, speaks HTTP/1.1 and looks on the wire
//! as that cloud does: paths, credentials, headers, ids, usage, stream framing, error bodies. Answers
//! are computed from the request alone. Faults are scripted per cloud ([`FaultRule`]); whole clouds can
//! be killed and healed. The journal ([`ExchangeRecord`]) of what was received and sent is the oracle of tests.
//!
//! This crate knows none of ours: the same mistake must not stand on both sides.

mod answer;
mod body;
mod clock;
mod clouds;
mod config;
mod control;
mod eventstream;
mod exchange;
mod fault;
mod fields;
mod identity;
mod journal;
mod listener;
mod pace;
mod sigv4;
mod simulator;

pub use config::{AccessKey, CloudKind, CloudSpec, Credentials, SimulatorConfig, demo_clouds};
pub use fault::{FaultAction, FaultRule, When};
pub use journal::{ExchangeRecord, JournalQuery, ReportedUsage};
pub use simulator::{CloudState, Simulator, SimulatorError};
