//! The path of one call. Start reading at [`infer`], one page: admit, place, attempt, settle.
//!
//! This crate knows no HTTP server, no axum and no SQL: `server` brings calls in, the journal's port takes
//! records out. Time comes from [`domain::Clock`]; placement is `placement`'s and is only asked here.

mod ahead;
mod alarm;
pub mod attempt;
pub mod breaker;
pub mod budget;
pub mod call;
pub mod caller;
pub mod classify;
mod clock;
pub mod deployment;
pub mod engine;
pub mod explain;
pub mod infer;
mod memo;
pub mod metrics;
pub mod needs;
pub mod place;
pub mod refusal;
pub mod settle;
pub mod shared;
pub mod snapshot;
pub mod socket;
pub mod stream;
pub mod tailor;
pub mod upstream;

pub use alarm::Alarm;
pub use attempt::{AnswerBody, WholeReply};
pub use budget::Buffered;
pub use call::ActiveCall;
pub use caller::{Caller, Explains, Workload};
pub use deployment::{Deployment, Timeouts};
pub use engine::{Engine, EngineSettings};
pub use infer::Served;
pub use refusal::{Head, Refused, Relayed};
pub use snapshot::{
    DeploymentSpec, KeySpec, Model, ModelSpec, Snapshot, SnapshotError, SnapshotSpec, WorkloadSpec,
};
pub use stream::{Piece, ReplyStream};
pub use tailor::{Place, Tailor};
