//! The clouds: which one answers, and what all of them can be asked.
//!
//! One file per cloud with the same functions in the same order: `answer` (route, credentials, reply),
//! `failure` (an error body of that status in the cloud's own shape), `stream_failure` (the same inside a
//! stream), `ping`, `headers`. The wire shapes that several clouds share have files of their own:
//! `chat` (OpenAI Chat Completions), `responses` (OpenAI Responses), `embeddings` (OpenAI Embeddings), `messages` (Anthropic), `converse` (Bedrock), `generate` (Gemini).

mod anthropic;
mod azure;
mod bedrock;
mod chat;
mod converse;
mod embeddings;
mod gemini;
mod generate;
mod messages;
mod openai;
mod responses;
mod vertex;
mod vllm;

use bytes::Bytes;
use serde_json::Value;

use crate::config::CloudKind;
use crate::exchange::{Ask, Reply, decoded, model_in};
use crate::fields;

/// The cloud's answer to a request, faults aside.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    match ask.cloud.spec.kind {
        CloudKind::Openai => openai::answer(ask),
        CloudKind::Azure => azure::answer(ask),
        CloudKind::Anthropic => anthropic::answer(ask),
        CloudKind::Bedrock => bedrock::answer(ask),
        CloudKind::Vertex => vertex::answer(ask),
        CloudKind::Gemini => gemini::answer(ask),
        CloudKind::Vllm => vllm::answer(ask),
    }
}

/// An error of this status as the cloud writes it; `message`: instead of the usual one.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    match ask.cloud.spec.kind {
        CloudKind::Openai => openai::failure(ask, status, message),
        CloudKind::Azure => azure::failure(ask, status, message),
        CloudKind::Anthropic => anthropic::failure(ask, status, message),
        CloudKind::Bedrock => bedrock::failure(ask, status, message),
        CloudKind::Vertex => vertex::failure(ask, status, message),
        CloudKind::Gemini => gemini::failure(ask, status, message),
        CloudKind::Vllm => vllm::failure(ask, status, message),
    }
}

/// An error of this status as an event inside a stream, after `sent` events.
pub(crate) fn stream_failure(ask: &Ask<'_>, status: u16, sent: u64) -> Bytes {
    match ask.cloud.spec.kind {
        CloudKind::Openai => openai::stream_failure(ask, status, sent),
        CloudKind::Azure => azure::stream_failure(ask, status, sent),
        CloudKind::Anthropic => anthropic::stream_failure(ask, status),
        CloudKind::Bedrock => bedrock::stream_failure(ask, status),
        CloudKind::Vertex => vertex::stream_failure(ask, status),
        CloudKind::Gemini => gemini::stream_failure(ask, status),
        CloudKind::Vllm => vllm::stream_failure(ask, status),
    }
}

/// A sign of life inside a stream that carries no content.
pub(crate) fn ping(ask: &Ask<'_>) -> Bytes {
    match ask.cloud.spec.kind {
        CloudKind::Anthropic => anthropic::ping(ask),
        CloudKind::Bedrock => bedrock::ping(ask),
        CloudKind::Vertex => vertex::ping(ask),
        _ => openai::ping(ask),
    }
}

/// The model that a request asks for, in its body or its path; "" when none.
pub(crate) fn model_asked(path: &str, json: &Value) -> String {
    let named = model_in(json);
    if !named.is_empty() {
        return named.to_owned();
    }
    let mut segments = path.split('/');
    while let Some(segment) = segments.next() {
        if matches!(segment, "models" | "model" | "deployments") {
            let model = segments.next().unwrap_or_default();
            let bare = if segment == "models" { model.split(':').next().unwrap_or_default() } else { model };
            return decoded(bare);
        }
    }
    String::new()
}

/// Whether a request asks for a stream.
pub(crate) fn asks_stream(path: &str, json: &Value) -> bool {
    fields::flag(json, "stream")
        || path.ends_with(":streamGenerateContent")
        || path.ends_with(":streamRawPredict")
        || path.ends_with("/converse-stream")
}

/// `value` as a server-sent event without a name.
fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}
