//! The road of a call whose caller and upstream both speak openai-chat: the bytes are forwarded, and only
//! what placement, settlement and the closed list of edits need is read from them.
//!
//! - [`Request`]: one strict pass over the request body, and its edits;
//! - [`StreamTee`]: the streamed answer on its way through;
//! - [`ReplyPeek`]: a whole answer.

mod features;
mod peek;
pub(crate) mod request;
mod tee;
mod words;

pub use features::{Features, Output};
pub use peek::ReplyPeek;
pub use request::{Changes, Request};
pub use tee::{End, StreamTee};
