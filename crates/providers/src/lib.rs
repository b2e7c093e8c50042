//! Who is called: URLs, authentication, quirks, error codes and fingerprints of the clouds that serve models.
//! Pure: no IO, no clock, no environment; a secret and the time are arguments.
//!
//! Start reading at [`provider::Provider`], then [`openai`], the plainest folder. [`registry`] is the one list:
//! help, documents, configuration schema and test matrices derive from it. What a folder holds:
//! `mod.rs` (descriptor) · `config.rs` (as written → checked) · `request.rs` (URLs and constant headers, made
//! once) · `response.rs` (answers → faults and evidence) · `tests.rs`. A plain OpenAI-style host is one row in
//! [`openai_compatible`].

pub mod anthropic;
pub mod azure;
pub mod bedrock;
pub mod endpoint;
pub mod evidence;
pub mod fault;
pub mod gemini;
pub mod openai;
pub mod openai_compatible;
pub mod origin;
pub mod provider;
pub mod registry;
pub mod retry_after;
pub mod vertex;
pub mod written;

pub use endpoint::{Endpoint, Operation, Reach, RequestParts};
pub use evidence::{BodyMarks, Evidence, Signal};
pub use fault::Answer;
pub use origin::{Origin, Scheme};
pub use provider::{Descriptor, FieldUse, Provider};
pub use written::{AuthMethod, FieldError, QuirksWritten, Written};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod recorded;
