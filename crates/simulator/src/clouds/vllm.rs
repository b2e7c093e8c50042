//! A vLLM server on premises: OpenAI's Chat Completions and Embeddings under uvicorn, reasoning in the open.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{chat, embeddings, event};
use crate::exchange::{Ask, Reply, headers as pairs, model_in};
use crate::identity::Ids;

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    if !ask.cloud.credentials.accepts(ask.bearer()) {
        return Reply::json(401, headers(ask), &json!({"error": "Unauthorized"}));
    }
    match (ask.method.as_str(), ask.path) {
        ("POST", "/v1/chat/completions") => completion(ask),
        ("POST", "/v1/embeddings") => embedded(ask),
        ("GET", "/v1/models") => Reply::json(200, headers(ask), &models(ask)),
        ("GET", "/health") => Reply::text(200, headers(ask), "application/json", ""),
        (_, "/v1/chat/completions" | "/v1/embeddings" | "/v1/models") => {
            Reply::json(405, headers(ask), &json!({"detail": "Method Not Allowed"}))
        }
        _ => Reply::json(404, headers(ask), &json!({"detail": "Not Found"})),
    }
}

/// An error body of this status.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    let (kind, usual) = usual(ask, status);
    let message = message.unwrap_or(&usual);
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": status}});
    Reply::json(status, headers(ask), &body)
}

/// The same as an event of a stream.
pub(crate) fn stream_failure(ask: &Ask<'_>, status: u16) -> Bytes {
    let (kind, message) = usual(ask, status);
    event(&json!({"error": {"message": message, "type": kind, "param": null, "code": status}})).into()
}

/// Headers of every answer.
pub(crate) fn headers(_ask: &Ask<'_>) -> Vec<(String, String)> {
    pairs([("server", "uvicorn")])
}

fn completion(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    if !ask.serves(model) {
        return failure(ask, 404, None);
    }
    let mut asked = match chat::read(ask.json, model) {
        Ok(asked) => asked,
        Err((message, _)) => return failure(ask, 400, Some(&message)),
    };
    let silenced = ask.json.get("reasoning_effort").and_then(Value::as_str) == Some("none");
    if asked.prompt.effort.is_none() && model.contains("gpt-oss") && !silenced {
        asked.prompt.effort = Some("medium".to_owned());
    }
    let style = chat::Style {
        id: format!("chatcmpl-{}", Ids::new(ask.seq, "vllm").uuid()),
        model: model.to_owned(),
        fingerprint: None,
        tier: None,
        filters: false,
        reasoning_content: true,
        obfuscation: false,
        call_id: ("chatcmpl-tool-", 32),
    };
    chat::reply(ask, &asked, &style, headers(ask))
}

fn embedded(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    if !ask.serves(model) {
        return failure(ask, 404, None);
    }
    embeddings::reply(ask, model, headers(ask))
        .unwrap_or_else(|(message, _)| failure(ask, 400, Some(&message)))
}

fn models(ask: &Ask<'_>) -> Value {
    let named = &ask.cloud.spec.models;
    let fallback = ["gpt-oss-120b".to_owned()];
    let names = if named.is_empty() { fallback.as_slice() } else { named.as_slice() };
    let rows: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"id": name, "object": "model", "created": 1_772_668_800, "owned_by": "vllm", "root": name,
                "parent": null, "max_model_len": 131_072})
        })
        .collect();
    json!({"object": "list", "data": rows})
}

/// Type and message that go with a status.
fn usual(ask: &Ask<'_>, status: u16) -> (&'static str, String) {
    match status {
        400 => ("BadRequestError", "The request is invalid.".to_owned()),
        401 => ("AuthenticationError", "Unauthorized".to_owned()),
        404 => ("NotFoundError", format!("The model `{}` does not exist.", model_in(ask.json))),
        429 => ("TooManyRequestsError", "The server is at its limit.".to_owned()),
        503 => ("ServiceUnavailableError", "The engine is not ready.".to_owned()),
        _ => ("InternalServerError", "The engine has failed.".to_owned()),
    }
}
