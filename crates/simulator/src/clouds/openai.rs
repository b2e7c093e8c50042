//! `api.openai.com`: Chat Completions, Responses, Embeddings and the model list, behind Cloudflare.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{chat, embeddings, event, responses};
use crate::exchange::{Ask, Reply, headers as pairs, model_in};
use crate::identity::{Ids, hash};

const RESPONSES: &str = "/v1/responses";

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    if ask.cloud.credentials.open || !ask.bearer().is_empty() {
        if !ask.cloud.credentials.accepts(ask.bearer()) {
            return failure(ask, 401, None);
        }
    } else {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        return error(ask, 401, message, "invalid_request_error", None, None);
    }
    match (ask.method.as_str(), ask.path) {
        ("POST", "/v1/chat/completions") => completion(ask),
        ("POST", RESPONSES) => response(ask),
        ("POST", "/v1/embeddings") => embedded(ask),
        ("GET", "/v1/models") => Reply::json(200, headers(ask), &models(ask)),
        (_, "/v1/chat/completions" | RESPONSES | "/v1/embeddings" | "/v1/models") => {
            let message = format!("Not allowed to {} on {}.", ask.method, ask.path);
            error(ask, 405, &message, "invalid_request_error", None, Some("method_not_supported"))
        }
        (method, path) => {
            let message = format!("Invalid URL ({method} {path})");
            error(ask, 404, &message, "invalid_request_error", None, None)
        }
    }
}

/// An error body of this status.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    let (usual, kind, code) = usual(ask, status);
    let mut reply = error(ask, status, message.unwrap_or(&usual), kind, None, code);
    if status == 429 {
        reply.headers.extend(pairs([("retry-after", "1"), ("retry-after-ms", "1000")]));
    }
    reply
}

/// The same as an event of a stream.
pub(crate) fn stream_failure(ask: &Ask<'_>, status: u16, sent: u64) -> Bytes {
    let (message, kind, code) = usual(ask, status);
    if ask.path == RESPONSES {
        return responses::failure(sent, code.unwrap_or(kind), &message);
    }
    event(&json!({"error": {"message": message, "type": kind, "param": null, "code": code}})).into()
}

/// A comment line.
pub(crate) fn ping(_ask: &Ask<'_>) -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

/// Headers of every answer.
pub(crate) fn headers(ask: &Ask<'_>) -> Vec<(String, String)> {
    let mut ids = Ids::new(ask.seq, "openai-headers");
    let mut all = pairs([
        ("openai-organization", "cabotage-simulated"),
        ("openai-version", "2020-10-01"),
        ("x-openai-proxy-wasm", "v0.1"),
        ("server", "cloudflare"),
        ("cf-cache-status", "DYNAMIC"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("x-content-type-options", "nosniff"),
        ("alt-svc", "h3=\":443\"; ma=86400"),
        ("x-ratelimit-limit-requests", "30000"),
        ("x-ratelimit-limit-tokens", "150000000"),
        ("x-ratelimit-remaining-requests", "29999"),
        ("x-ratelimit-remaining-tokens", "149999225"),
        ("x-ratelimit-reset-requests", "2ms"),
        ("x-ratelimit-reset-tokens", "120ms"),
    ]);
    all.push(("openai-processing-ms".to_owned(), (ids.next() % 900 + 40).to_string()));
    all.push(("openai-project".to_owned(), format!("proj_{}", Ids::new(0, &ask.cloud.name).base62(24))));
    all.push(("x-request-id".to_owned(), format!("req_{}", ids.hex(32))));
    all.push(("cf-ray".to_owned(), format!("{}-AMS", ids.hex(16))));
    all
}

fn completion(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    if model.is_empty() && ask.json.is_object() {
        return error(ask, 400, "you must provide a model parameter", "invalid_request_error", None, None);
    }
    if !ask.serves(model) {
        return failure(ask, 404, None);
    }
    let asked = match chat::read(ask.json, model) {
        Ok(asked) => asked,
        Err((message, param)) => {
            return error(ask, 400, &message, "invalid_request_error", param, None);
        }
    };
    let mut ids = Ids::new(ask.seq, "openai");
    let style = chat::Style {
        id: format!("chatcmpl-{}", ids.base62(29)),
        model: snapshot(model),
        fingerprint: Some(format!("fp_{:010x}", hash(model.as_bytes()) & 0xff_ffff_ffff)),
        tier: Some("default"),
        filters: false,
        reasoning_content: false,
        obfuscation: true,
        call_id: ("call_", 24),
    };
    chat::reply(ask, &asked, &style, headers(ask))
}

fn response(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    let refused = |refused: responses::Refused| {
        let responses::Refused { status, message, param, code } = refused;
        error(ask, status, &message, "invalid_request_error", param.as_deref(), code)
    };
    if model.is_empty() && ask.json.is_object() {
        return refused(responses::Refused::missing("model"));
    }
    if !ask.serves(model) {
        return failure(ask, 404, None);
    }
    let style = responses::Style { model: snapshot(model), filters: false, obfuscation: true };
    match responses::read(ask, model) {
        Ok(asked) => responses::reply(ask, &asked, &style, headers(ask)),
        Err(why) => refused(why),
    }
}

fn embedded(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    if model.is_empty() || !ask.serves(model) {
        return failure(ask, 404, None);
    }
    embeddings::reply(ask, model, headers(ask))
        .unwrap_or_else(|(message, param)| error(ask, 400, &message, "invalid_request_error", param, None))
}

/// The dated name that an alias is answered with.
pub(super) fn snapshot(model: &str) -> String {
    match model {
        "gpt-5.4" => "gpt-5.4-2026-03-05".to_owned(),
        other => other.to_owned(),
    }
}

fn models(ask: &Ask<'_>) -> Value {
    let named = &ask.cloud.spec.models;
    let fallback = ["gpt-5.4".to_owned(), "gpt-6.1-sol".to_owned()];
    let names = if named.is_empty() { fallback.as_slice() } else { named.as_slice() };
    let rows: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": 1_772_668_800, "owned_by": "system"}))
        .collect();
    json!({"object": "list", "data": rows})
}

type Usual = (String, &'static str, Option<&'static str>);

/// Message, type and code that go with a status.
fn usual(ask: &Ask<'_>, status: u16) -> Usual {
    match status {
        400 => ("The request is invalid.".to_owned(), "invalid_request_error", None),
        401 => {
            let tail: String = {
                let letters: Vec<char> = ask.bearer().chars().rev().take(4).collect();
                letters.into_iter().rev().collect()
            };
            let message = format!(
                "Incorrect API key provided: ****{tail}. You can find your API key at https://platform.openai.com/account/api-keys."
            );
            (message, "invalid_request_error", Some("invalid_api_key"))
        }
        403 => (
            "You are not allowed to use this resource.".to_owned(),
            "invalid_request_error",
            Some("forbidden"),
        ),
        404 => {
            let message =
                format!("The model `{}` does not exist or you do not have access to it.", model_in(ask.json));
            (message, "invalid_request_error", Some("model_not_found"))
        }
        429 => {
            let message = format!(
                "Rate limit reached for {} in organization cabotage-simulated on requests per min (RPM). Please try again in 1s.",
                model_in(ask.json)
            );
            (message, "requests", Some("rate_limit_exceeded"))
        }
        503 => {
            ("The engine is currently overloaded, please try again later".to_owned(), "server_error", None)
        }
        _ => {
            let message = "The server had an error while processing your request. Sorry about that!";
            (message.to_owned(), "server_error", None)
        }
    }
}

fn error(
    ask: &Ask<'_>,
    status: u16,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Reply {
    let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
    Reply::json(status, headers(ask), &body)
}
