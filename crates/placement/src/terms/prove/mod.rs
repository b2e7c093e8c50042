//! Questions about terms whose answer must hold for every call that there can be, not for the cases that somebody
//! thought of: "no stateless OpenAI call leaves Azure before 2026-04-27", "the amended pack permits all that the
//! old one did". They stand beside a pack in `terms/<pack>.prove.toml`.
//!
//! [`sheet`] reads them. [`query`] makes of a claim the policy sets whose relation has to be shown, one query per
//! action. Whoever runs a solver (it is a process, so nobody here) answers with "so it is" or with a request that
//! proves the contrary; [`example`] puts that request to the ordinary engine, makes it as plain as it can be made,
//! and says it in words. [`report`] is what is printed.
//!
//! What a proof covers:
//! - every rule counts as if it were enforced, whatever its mode; waivers are left out;
//! - every attribute may hold every value that the schema allows and the gateway can make: each word of a closed
//!   list, any word at all of an open one, any set of them that is not empty, in any combination;
//! - every instant from 1970 on. An event that ends a rule has the date that the file of questions gives it, else
//!   none.
//!
//! What it does not: whether the facts that somebody recorded about a deployment are true.

pub mod example;
pub mod query;
pub mod report;
pub mod sheet;

pub use example::Example;
pub use query::{Body, Inquiry, Query, Relation, Words};
pub use report::{Outcome, Report, Verdict};
pub use sheet::{Claim, ClaimKind, Comparison, Exception, PackRef, ProveFile, Scope, read};
