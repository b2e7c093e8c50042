//! OpenAI Chat Completions: what most SDKs speak, and what most hosts answer, each with its own accent.
//!
//! - [`passthrough`]: caller and upstream both speak it; bytes are forwarded;
//! - `decode` and `encode`, `request` and `response`: to and from the inner form;
//! - `stream`: both directions of a streamed answer;
//! - `error`: error bodies, also of hosts that have their own.
//!
//! Members that hosts add to the documented form are read where a recording shows them: `reasoning_content`
//! (DeepSeek, vLLM), `reasoning` and `reasoning_details` (OpenRouter), `thinking` parts (Mistral),
//! `extra_content.google.thought_signature` (Gemini's compatibility surface).

mod decode;
mod encode;
pub(crate) mod error;
mod finish;
pub mod passthrough;
mod reasoning;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;
mod types;
mod writer;

use crate::codec::{Codec, Encoded, Envelope, ReplyContext, StreamDecoder, StreamEncoder, Target, WireError};
use domain::{Call, Dialect, Fault, Reply};

pub use error::stream_error_frame;

/// The codec.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat;

/// This dialect, for bags.
const OWN: Dialect = Dialect::OpenAiChat;

impl Codec for OpenAiChat {
    fn dialect(&self) -> Dialect {
        OWN
    }

    fn decode_call(&self, body: &[u8], _envelope: &Envelope<'_>) -> Result<Call, Fault> {
        decode::call(body)
    }

    fn encode_call(&self, call: &Call, target: &Target<'_>) -> Result<Encoded, Fault> {
        request::encode(call, target)
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Reply, Fault> {
        response::decode(body)
    }

    fn encode_reply(&self, reply: &Reply, context: &ReplyContext<'_>) -> Encoded {
        encode::reply(reply, context)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn stream_encoder(&self, context: &ReplyContext<'_>) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(context))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> WireError {
        error::decode(status, body)
    }

    fn encode_error(&self, fault: &Fault) -> Vec<u8> {
        error::encode(fault)
    }
}
