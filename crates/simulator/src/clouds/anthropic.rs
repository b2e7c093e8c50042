//! `api.anthropic.com`: Messages and the model list.

use bytes::Bytes;
use serde_json::{Value, json};

use super::messages;
use crate::clock::rfc3339_seconds;
use crate::exchange::{Ask, Reply, headers as pairs, model_in};
use crate::identity::Ids;

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let key = ask.header("x-api-key");
    let given = if key.is_empty() { ask.bearer() } else { key };
    if given.is_empty() && !ask.cloud.credentials.open {
        return failure(ask, 401, Some("x-api-key header is required"));
    }
    if !ask.cloud.credentials.accepts(given) {
        return failure(ask, 401, None);
    }
    match (ask.method.as_str(), ask.path) {
        ("POST", "/v1/messages") => message(ask),
        ("GET", "/v1/models") => Reply::json(200, headers(ask), &models(ask)),
        (_, "/v1/messages" | "/v1/models") => failure(ask, 405, Some("Method Not Allowed")),
        _ => failure(ask, 404, Some("Not Found")),
    }
}

/// An error body of this status.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    let mut all = headers(ask);
    let id = all.iter().find(|(name, _)| name == "request-id").map(|(_, id)| id.clone()).unwrap_or_default();
    let (kind, usual) = usual(status);
    let body = json!({"type": "error", "error": {"type": kind, "message": message.unwrap_or(usual)},
        "request_id": id});
    all.push(("x-should-retry".to_owned(), matches!(status, 408 | 429 | 500..).to_string()));
    if status == 429 {
        all.push(("retry-after".to_owned(), "1".to_owned()));
    }
    Reply::json(status, all, &body)
}

/// The same as an event of a stream.
pub(crate) fn stream_failure(_ask: &Ask<'_>, status: u16) -> Bytes {
    let (kind, message) = usual(status);
    messages::named("error", &json!({"error": {"type": kind, "message": message}})).into()
}

/// The API's own ping event.
pub(crate) fn ping(_ask: &Ask<'_>) -> Bytes {
    Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n")
}

/// Headers of every answer.
pub(crate) fn headers(ask: &Ask<'_>) -> Vec<(String, String)> {
    let mut ids = Ids::new(ask.seq, "anthropic-headers");
    let mut all = pairs([
        ("server", "cloudflare"),
        ("via", "1.1 google"),
        ("x-robots-tag", "none"),
        ("cf-cache-status", "DYNAMIC"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ]);
    let reset = rfc3339_seconds(ask.now_ms + 1_000);
    for (what, limit) in [
        ("requests", 4_000_u64),
        ("tokens", 4_800_000),
        ("input-tokens", 4_000_000),
        ("output-tokens", 800_000),
    ] {
        let name = |part: &str| format!("anthropic-ratelimit-{what}-{part}");
        all.push((name("limit"), limit.to_string()));
        all.push((name("remaining"), (limit - 1).to_string()));
        all.push((name("reset"), reset.clone()));
    }
    let organisation = Ids::new(0, &ask.cloud.name).uuid();
    all.push(("anthropic-organization-id".to_owned(), organisation));
    all.push(("request-id".to_owned(), format!("req_011C{}", ids.base62(20))));
    all.push(("cf-ray".to_owned(), format!("{}-AMS", ids.hex(16))));
    all.push(("x-envoy-upstream-service-time".to_owned(), (ids.next() % 900 + 40).to_string()));
    all
}

fn message(ask: &Ask<'_>) -> Reply {
    let version = ask.header("anthropic-version");
    if version.is_empty() {
        return failure(ask, 400, Some("anthropic-version: header is required"));
    }
    if version != "2023-06-01" && version != messages::VERSION_2026 {
        let message = format!("anthropic-version: \"{version}\" is not a valid version");
        return failure(ask, 400, Some(&message));
    }
    let model = model_in(ask.json);
    if model.is_empty() && ask.json.is_object() {
        return failure(ask, 400, Some("model: Field required"));
    }
    if !model.is_empty() && !ask.serves(model) {
        return failure(ask, 404, Some(&format!("model: {model}")));
    }
    let prompt = match messages::read(ask.json, model, version) {
        Ok(prompt) => prompt,
        Err(message) => return failure(ask, 400, Some(&message)),
    };
    let style = messages::Style {
        id: format!("msg_01{}", Ids::new(ask.seq, "anthropic").base62(22)),
        model: model.to_owned(),
        call_prefix: "toolu_01",
        geo: Some("global"),
    };
    messages::reply(ask, &prompt, &style, headers(ask))
}

fn models(ask: &Ask<'_>) -> Value {
    let named = &ask.cloud.spec.models;
    let fallback = ["claude-opus-5-5".to_owned()];
    let names = if named.is_empty() { fallback.as_slice() } else { named.as_slice() };
    let rows: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"type": "model", "id": name, "display_name": name, "created_at": "2026-09-01T00:00:00Z"})
        })
        .collect();
    json!({"data": rows, "has_more": false, "first_id": names.first(), "last_id": names.last()})
}

/// Type and message that go with a status.
fn usual(status: u16) -> (&'static str, &'static str) {
    match status {
        400 | 405 => ("invalid_request_error", "The request is invalid"),
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low"),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource"),
        404 => ("not_found_error", "Not Found"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your organization's rate limit"),
        503 | 529 => ("overloaded_error", "Overloaded"),
        504 => ("timeout_error", "Request timed out"),
        _ => ("api_error", "Internal server error"),
    }
}
