//! The wire formats that people speak: wire text to the inner form and back. Pure, no IO, no clock.
//!
//! Start reading at [`codec::Codec`]: every dialect is a folder with the same files and implements that one
//! trait, so knowing one means knowing all. Conversions go through items (2N, not N²). Laws, tested for each:
//! - `encode(decode(x)) = x` as JSON, for requests and replies of the same dialect;
//! - `fold(events of the stream) = reply`;
//! - what a translation cannot carry is a named [`domain::Loss`], never silence.

pub mod anthropic_messages;
pub mod bedrock_converse;
mod carried;
pub mod codec;
pub mod edit;
mod framed;
pub mod gemini;
mod object;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod openai_responses;
mod output_schema;
pub mod scan;
pub mod sse;
#[cfg(test)]
mod testkit;
mod thinking;
mod turns;
mod wire_fault;

pub use codec::{
    Codec, Encoded, Envelope, MaxTokensField, Quirks, ReplyContext, StreamDecoder, StreamEncoder, Target,
    WireError, WireErrorKind,
};

use domain::Dialect;

/// The codec of a dialect.
#[must_use]
pub fn codec(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiChat => &openai_chat::OpenAiChat,
        Dialect::OpenAiResponses => &openai_responses::OpenAiResponses,
        Dialect::AnthropicMessages => &anthropic_messages::AnthropicMessages,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::BedrockConverse => &bedrock_converse::BedrockConverse,
    }
}
