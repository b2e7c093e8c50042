//! Gemini's `generateContent` and `streamGenerateContent`, as AI Studio and Vertex speak it.
//!
//! The model and the kind of answer stand in the path ([`crate::Envelope`]). Facts of the wire: Google's
//! reference of `GenerateContentRequest` and `GenerateContentResponse`, and recordings of both hosts.

mod decode;
mod encode;
mod error;
mod ids;
mod media;
mod options;
mod request;
mod response;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod types;

use crate::codec::{Codec, Encoded, Envelope, ReplyContext, StreamDecoder, StreamEncoder, Target, WireError};
use domain::{Call, Dialect, Fault, Reply};

/// The codec of `gemini`.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

impl Codec for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
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
        encode::encode(reply, context)
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
