//! The operator's listener: health, readiness, metrics, and the question "where would it run". Bound to loopback by
//! default; it has no authentication of its own yet and must not be exposed.

mod explain;
mod listener;

pub use explain::OUTCOME;
pub use listener::{AdminError, AdminListener};
