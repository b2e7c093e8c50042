//! Where may a call run, where can it run, and why nowhere else.
//!
//! Terms (contracts, residency, law, access rules: `terms/*.toml`) are dated rows that compile to Cedar
//! policies; facts (`catalog/facts.toml`, overruled by the operator) are dated rows about deployments. From
//! both and an instant comes a [`Permission`] per [`PermissionKey`], and from the permissions of all
//! candidates a [`Standing`]: the part of a decision that health does not change. [`rank`] adds health.
//!
//! Everything here is pure: the instant, the facts and the terms are arguments, so "where would it have run
//! on 15 March 2026" is the same call as "where does it run now". No clock, no sockets, no files.
//!
//! Where to begin: [`terms::Terms::compile`] and [`facts::FactBook::parse`] → [`Fleet::new`] →
//! [`Placement::new`] → [`Placement::standing`] → [`rank`]; [`explain`] draws the picture for people.

pub mod attribute;
pub mod classify;
pub mod decision;
pub mod explain;
pub mod facts;
pub mod fleet;
pub mod instant;
pub mod permission;
pub mod place;
pub mod problem;
mod reader;
pub mod standing;
pub mod terms;

pub use attribute::{Attribute, Value};
pub use classify::{CallClass, Classification, Sign, classify};
pub use decision::{Decision, place};
pub use facts::{Availability, Basis, DeploymentFacts, DeploymentSpec, FactBook};
pub use fleet::{Fleet, Pins, Raised, WorkloadProfile};
pub use permission::{
    Action, DataClasses, DeploymentIndex, Finding, Mode, Permission, PermissionKey, PrincipalClass, Surface,
    WindowIndex,
};
pub use place::Placement;
pub use problem::{Problem, Problems};
pub use standing::{Can, Candidate, Live, Outcome, Question, Standing, rank, rank_by_latency};
pub use terms::{Binds, PackChoice, RuleInfo, Terms};
