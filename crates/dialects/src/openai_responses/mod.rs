//! OpenAI Responses: what api.openai.com, Azure, xAI, Bedrock's OpenAI surface and others answer at `/responses`,
//! and what Open Responses describes as an open form of it.
//!
//! Facts: the types of the vendor's Python SDK, the Open Responses schema, and recordings. What is different
//! here from the other dialects:
//!
//! - **State.** A request may ask the API to keep something (`store`, `previous_response_id`, `conversation`,
//!   `background`). [`decode`] gives that as [`StateAsk`] beside the call; a call without it asks its upstream to
//!   keep nothing ([`StateAsk::refuse`] for a road without a runtime).
//! - **The answer repeats the request.** [`Head`] is everything of a `response` object besides its output.
//! - **Items have ids.** A made-up id is derived from the response's id and the item's place
//!   ([`Head::item_id`]), so stream and stored object agree without remembering anything.
//! - **Foreign proofs** (Claude's signatures) go to the caller as `encrypted_content` of ours and come back
//!   byte-identical; see `proof.rs`.
//!
//! Notes (`$…`) in bags: `$id`, `$status` (an item's own), `$type` (where it is not the usual one), `$content`
//! (a text in place of a list), `$nulls` (members written as `null`), `$block` (an item of this dialect only),
//! `$ask` (the state fields, where nobody took them), `$=name` (a member as it was written).

mod ask;
mod decode;
mod encode;
mod error;
mod head;
mod item;
mod part;
mod proof;
mod request;
mod response;
mod stream;
mod stream_out;
#[cfg(test)]
mod tests;
mod types;

use crate::codec::{Codec, Encoded, Envelope, ReplyContext, StreamDecoder, StreamEncoder, Target, WireError};
use domain::{Call, Dialect, Fault, Reply};

pub use ask::{Echo, StateAsk, Truncation};
pub use decode::{Decoded, append_items, decode, decode_count, is_instructions};
pub use domain::state::Status;
pub use encode::{compaction, input_tokens, response, snapshot};
pub use error::failure;
pub use head::{Failure, Head, Thoughts};
pub use item::{decode_item, encode_item, item_id, reference};
pub use stream_out::{DONE, ResponseStream, WireEvent};

/// This dialect, for bags and signatures.
const OWN: Dialect = Dialect::OpenAiResponses;

/// The codec.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiResponses;

impl Codec for OpenAiResponses {
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
        Box::new(stream::Decoder::new())
    }

    fn stream_encoder(&self, context: &ReplyContext<'_>) -> Box<dyn StreamEncoder> {
        Box::new(stream_out::Encoder::new(context))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> WireError {
        error::decode(status, body)
    }

    fn encode_error(&self, fault: &Fault) -> Vec<u8> {
        error::encode(fault)
    }
}
