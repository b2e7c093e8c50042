//! OpenAI Responses on the wire, as OpenAI and Azure speak it: `read` turns a request into a prompt,
//! `write` an answer into a body or a stream, `sealed` is the reasoning that only its own cloud can open.
//!
//! The cloud keeps nothing: what an earlier answer said must come in again with the request.

mod read;
mod sealed;
mod write;

use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) use read::{Asked, Refused, read};

use crate::answer::plan;
use crate::exchange::{Ask, Reply};

/// What differs between the hosts of this wire format.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// The model as answered.
    pub(crate) model: String,
    /// Azure's content filter annotations.
    pub(crate) filters: bool,
    /// OpenAI's padding of deltas.
    pub(crate) obfuscation: bool,
}

/// The reply to a read request, in the host's style.
pub(crate) fn reply(ask: &Ask<'_>, asked: &Asked, style: &Style, headers: Vec<(String, String)>) -> Reply {
    let answer = plan(ask.cloud, &asked.prompt);
    let writer = write::Writer::new(ask, asked, style, &answer);
    let mut reply = if asked.stream {
        Reply::stream(headers, "text/event-stream; charset=utf-8", writer.stream())
    } else {
        Reply::json(200, headers, &writer.whole())
    };
    reply.usage = Some(answer.usage);
    reply.pace_ms = answer.directive.pace_ms;
    reply.fault = answer.directive.fault;
    reply
}

/// The event that ends a failed stream, after `sent` events.
pub(crate) fn failure(sent: u64, code: &str, message: &str) -> Bytes {
    let fields = json!({"code": code, "message": message, "param": null});
    event("error", sent, &fields).into()
}

/// A named, numbered event.
fn event(kind: &str, number: u64, fields: &Value) -> String {
    let mut body = json!({"type": kind, "sequence_number": number});
    if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
        body.extend(fields.clone());
    }
    format!("event: {kind}\ndata: {body}\n\n")
}
