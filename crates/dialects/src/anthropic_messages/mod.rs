//! Anthropic Messages: `POST /v1/messages`, as api.anthropic.com, Claude on Vertex (`rawPredict`) and Claude
//! in Azure speak it.
//!
//! What the inner form does not know stays in bags under its wire name; spellings that JSON could say in two
//! ways (`content` as text or list) are notes (`$…`) in the bags, so that a call or reply of this dialect
//! comes out as it went in.

mod decode;
mod encode;
mod error;
mod request;
mod response;
mod stream;
mod stream_out;
mod types;

#[cfg(test)]
mod tests;

use crate::{Codec, Encoded, Envelope, ReplyContext, StreamDecoder, StreamEncoder, Target, WireError};
use domain::{Call, Dialect, Fault, Reply};

/// The dialect's name, for bags and signatures.
const OWN: Dialect = Dialect::AnthropicMessages;

/// The codec of Anthropic Messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnthropicMessages;

impl Codec for AnthropicMessages {
    fn dialect(&self) -> Dialect {
        OWN
    }

    fn decode_call(&self, body: &[u8], envelope: &Envelope<'_>) -> Result<Call, Fault> {
        decode::call(body, envelope)
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
