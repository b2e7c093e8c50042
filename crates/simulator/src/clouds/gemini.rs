//! `generativelanguage.googleapis.com` (AI Studio): generateContent, its stream, and the model list.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{event, generate};
use crate::exchange::{Ask, Reply, decoded, headers as pairs};
use crate::identity::Ids;

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let header = ask.header("x-goog-api-key");
    let given = if header.is_empty() { ask.query_value("key") } else { header.to_owned() };
    if given.is_empty() && !ask.cloud.credentials.open {
        let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
        return failure(ask, 403, Some(message));
    }
    if !ask.cloud.credentials.accepts(&given) {
        return invalid_key(ask);
    }
    let rest = ask.path.strip_prefix("/v1beta/").or_else(|| ask.path.strip_prefix("/v1/"));
    let Some(rest) = rest else { return failure(ask, 404, None) };
    if rest == "models" && ask.method == http::Method::GET {
        return Reply::json(200, headers(ask), &models(ask));
    }
    let route = rest.strip_prefix("models/").and_then(|rest| rest.split_once(':'));
    match route {
        Some((model, "generateContent" | "streamGenerateContent")) if ask.method == http::Method::POST => {
            generated(ask, &decoded(model))
        }
        _ => failure(ask, 404, None),
    }
}

/// An error body of this status.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    error(ask, status, message.unwrap_or(generate::usual(status)), &Value::Null)
}

/// The same as an event of a stream.
pub(crate) fn stream_failure(_ask: &Ask<'_>, status: u16) -> Bytes {
    event(&generate::error_body(status, generate::usual(status), &Value::Null)).into()
}

/// Headers of every answer.
pub(crate) fn headers(ask: &Ask<'_>) -> Vec<(String, String)> {
    let duration = Ids::new(ask.seq, "gemini-headers").next() % 900 + 40;
    let mut all = pairs([
        ("server", "scaffolding on HTTPServer2"),
        ("vary", "Origin, X-Origin, Referer"),
        ("x-xss-protection", "0"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("alt-svc", "h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000"),
    ]);
    all.push(("server-timing".to_owned(), format!("gfet4t7; dur={duration}")));
    all
}

fn generated(ask: &Ask<'_>, model: &str) -> Reply {
    if !ask.serves(model) {
        let message = format!(
            "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."
        );
        return failure(ask, 404, Some(&message));
    }
    match generate::read(ask.json, model) {
        Ok(prompt) => {
            let style = generate::Style { model: model.to_owned(), vertex: false };
            generate::reply(ask, &prompt, &style, headers(ask))
        }
        Err(message) => failure(ask, 400, Some(&message)),
    }
}

fn invalid_key(ask: &Ask<'_>) -> Reply {
    let message = "API key not valid. Please pass a valid API key.";
    let details = json!([
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
            "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}},
        {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
    ]);
    error(ask, 400, message, &details)
}

fn error(ask: &Ask<'_>, status: u16, message: &str, details: &Value) -> Reply {
    let mut details = details.clone();
    if status == 429 {
        details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]);
    }
    let body = generate::error_body(status, message, &details);
    let text = serde_json::to_string_pretty(&body).unwrap_or_default() + "\n";
    Reply::text(status, headers(ask), "application/json; charset=UTF-8", text)
}

fn models(ask: &Ask<'_>) -> Value {
    let named = &ask.cloud.spec.models;
    let fallback = ["gemini-3.5-flash".to_owned()];
    let names = if named.is_empty() { fallback.as_slice() } else { named.as_slice() };
    let rows: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"name": format!("models/{name}"), "version": "001", "displayName": name,
                "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"]})
        })
        .collect();
    json!({ "models": rows })
}
