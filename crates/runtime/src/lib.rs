//! The stateful side: responses and conversations on top of models that keep nothing, on any cloud.
//!
//! A turn: what it follows is read from a state store (`domain::state`), put before what is said now, sent as one
//! stateless call through the port [`Model`] (in the gateway: [`EngineModel`]), and committed before its last
//! event is released, so that the next turn may name it at once. There is no second road to a provider.
//!
//! Where to begin: [`Runtime::create`]. What of a conversation a place can take is decided in [`validity`]; what
//! may lie where is decided by the terms, in [`stores`].

mod background;
mod checks;
mod compact;
mod context;
mod conversations;
mod faults;
mod keep;
mod lease;
mod model;
pub mod portable;
mod responses;
mod settings;
pub mod stores;
mod stream;
mod turn;
pub mod validity;

pub use keep::Provenance;
pub use model::{Answered, AnsweredBody, EngineModel, Events, Future, Model};
pub use responses::read_page;
pub use settings::{Client, Compaction, Concurrency, Limits, Runtime, RuntimeSettings};
pub use stores::{StateStores, StorePlace};
pub use stream::TurnStream;
pub use turn::Created;
