//! Amazon Bedrock Converse and ConverseStream: `POST /model/{id}/converse[-stream]`.
//!
//! The model stands in the path, so a body without it. A block is an object with one member that names its
//! kind; a stream is AWS event-stream frames. What the inner form does not know stays in bags under its wire
//! name, as in every dialect.

mod blocks;
mod decode;
mod encode;
mod error;
mod frames;
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
const OWN: Dialect = Dialect::BedrockConverse;

/// The codec of Bedrock Converse.
#[derive(Clone, Copy, Debug, Default)]
pub struct BedrockConverse;

impl Codec for BedrockConverse {
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

    fn encode_reply(&self, reply: &Reply, _context: &ReplyContext<'_>) -> Encoded {
        encode::reply(reply)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new())
    }

    fn stream_encoder(&self, _context: &ReplyContext<'_>) -> Box<dyn StreamEncoder> {
        Box::new(stream_out::Encoder::new())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> WireError {
        error::decode(status, body)
    }

    fn encode_error(&self, fault: &Fault) -> Vec<u8> {
        error::encode(fault)
    }
}
