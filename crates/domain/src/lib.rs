//! The words of Cabotage as types: what a call, an item, a reply, an event, a usage, a fault and a
//! journal record are, and the ports (traits) through which pure code reaches the outside world.
//!
//! This crate never does IO, reads no clock and no environment, and depends on no other crate of ours.
//! A word means the same here, in the configuration, in the documents and on the screen
//! (`docs/ARCHITECTURE.md` has the list).

pub mod agent;
pub mod atom;
pub mod bag;
pub mod call;
pub mod capability;
pub mod class;
pub mod clock;
pub mod dialect;
pub mod event;
pub mod fault;
pub mod ids;
pub mod item;
pub mod journal;
pub mod loss;
pub mod money;
pub mod product;
pub mod raw;
pub mod record;
pub mod reply;
pub mod secret;
pub mod state;
pub mod usage;

pub use agent::{Agent, AgentMarks};
pub use bag::Bag;
pub use call::{
    Call, Effort, LogprobOptions, Options, OutputFormat, ReasoningOptions, StreamOptions, Tool, ToolChoice,
    ToolKind, Turn,
};
pub use capability::{Capabilities, ReasoningControl};
pub use class::{CallClass, Certainty, Classed, ConversationRef, Keeper, Link, Sign, Signs};
pub use clock::{Clock, ManualClock};
pub use dialect::Dialect;
pub use event::{Delta, Event, Fold, Opened};
pub use fault::{Code, Fault, RetryClass, Source};
pub use ids::{
    CallId, ConversationId, DecisionId, DeploymentId, IdText, ItemId, KeyId, ModelName, ResponseId,
    SnapshotEpoch, SubjectId, TenantId, WorkloadId,
};
pub use item::{
    Item, ItemKind, Media, MediaSource, Message, Origin, Part, PartKind, Reasoning, Role, Signature,
    ToolCall, ToolResult,
};
pub use loss::{Loss, Losses};
pub use raw::Raw;
pub use reply::{Candidate, Finish, Reply};
pub use secret::{Secret, SecretNeed, SecretSource};
pub use usage::{Usage, UsageSource};
