//! Pitfalls that concern this dialect by itself, each by its number, and the small laws.

#![allow(clippy::needless_pass_by_value, reason = "test builders take `json!` values as they are written")]

mod replies;
mod requests;
mod streams;

use super::OpenAiChat;
use crate::{Codec, Envelope, Quirks, Target};
use domain::{Call, Capabilities, Fault, ReasoningControl};
use serde_json::Value;

fn able() -> Capabilities {
    Capabilities { reasoning: ReasoningControl::Effort, ..Capabilities::default() }
}

fn read(body: &Value) -> Result<Call, Fault> {
    OpenAiChat.decode_call(body.to_string().as_bytes(), &Envelope::default())
}

fn write(body: &Value, quirks: Quirks) -> Value {
    write_to(body, quirks, &able()).expect("can be written")
}

fn write_to(body: &Value, quirks: Quirks, capabilities: &Capabilities) -> Result<Value, Fault> {
    let call = read(body).expect("can be read");
    let target = Target { model: call.model.as_str(), capabilities, quirks };
    OpenAiChat.encode_call(&call, &target).map(|encoded| serde_json::from_slice(&encoded.body).expect("JSON"))
}
