//! `{region}-aiplatform.googleapis.com`: Gemini by generateContent, Claude by rawPredict, and the
//! OpenAI-compatible endpoint.
//!
//! The location in the path must be the region of the host; `global` hosts have the region `global`.

use bytes::Bytes;
use serde_json::Value;

use super::{anthropic, chat, event, generate, messages};
use crate::exchange::{Ask, Reply, decoded, headers as pairs, model_in};
use crate::fields;
use crate::identity::Ids;

/// Versions of the Messages API on Vertex: the documented one, and the one that Anthropic's own client
/// (2.12) sends there.
const CLAUDE_VERSIONS: [&str; 2] = ["vertex-2023-10-16", messages::VERSION_2026];

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    if !ask.cloud.credentials.accepts(ask.bearer()) {
        return failure(ask, 401, None);
    }
    let segments: Vec<&str> = ask.path.split('/').skip(1).collect();
    let [_, "projects", project, "locations", location, rest @ ..] = segments.as_slice() else {
        return failure(ask, 404, None);
    };
    let region = ask.cloud.region();
    if ask.method != http::Method::POST || (!region.is_empty() && *location != region) {
        let message = format!("Location `{location}` of project `{project}` was not found at this endpoint.");
        return failure(ask, 404, Some(&message));
    }
    match rest {
        ["publishers", "google", "models", model] => match model.split_once(':') {
            Some((model, "generateContent" | "streamGenerateContent")) => gemini(ask, &decoded(model)),
            _ => failure(ask, 404, None),
        },
        ["publishers", "anthropic", "models", model] => match model.split_once(':') {
            Some((model, "rawPredict" | "streamRawPredict")) => claude(ask, &decoded(model)),
            _ => failure(ask, 404, None),
        },
        ["endpoints", "openapi", "chat", "completions"] => completion(ask),
        _ => failure(ask, 404, None),
    }
}

/// An error body of this status: Google's, or Anthropic's where the model itself answers.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    if is_claude(ask) && matches!(status, 400 | 413 | 500 | 529) {
        let mut reply = anthropic::failure(ask, status, message);
        reply.headers = headers(ask);
        return reply;
    }
    let body = generate::error_body(status, message.unwrap_or(generate::usual(status)), &Value::Null);
    let text = serde_json::to_string_pretty(&body).unwrap_or_default() + "\n";
    Reply::text(status, headers(ask), "application/json; charset=UTF-8", text)
}

/// The same as an event of a stream.
pub(crate) fn stream_failure(ask: &Ask<'_>, status: u16) -> Bytes {
    if is_claude(ask) {
        return anthropic::stream_failure(ask, status);
    }
    event(&generate::error_body(status, generate::usual(status), &Value::Null)).into()
}

/// Anthropic's ping for Claude, a comment line for the others.
pub(crate) fn ping(ask: &Ask<'_>) -> Bytes {
    if is_claude(ask) {
        return anthropic::ping(ask);
    }
    Bytes::from_static(b": keep-alive\n\n")
}

/// Headers of every answer.
pub(crate) fn headers(_ask: &Ask<'_>) -> Vec<(String, String)> {
    pairs([
        ("server", "scaffolding on HTTPServer2"),
        ("vary", "Origin, X-Origin, Referer"),
        ("x-xss-protection", "0"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("alt-svc", "h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000"),
    ])
}

fn is_claude(ask: &Ask<'_>) -> bool {
    ask.path.contains("/publishers/anthropic/")
}

fn unserved(ask: &Ask<'_>, model: &str) -> Option<Reply> {
    if !model.is_empty() && ask.serves(model) {
        return None;
    }
    let message = format!(
        "Publisher Model `{model}` was not found or your project does not have access to it. Please ensure you are using a valid model version."
    );
    Some(failure(ask, 404, Some(&message)))
}

fn gemini(ask: &Ask<'_>, model: &str) -> Reply {
    if let Some(reply) = unserved(ask, model) {
        return reply;
    }
    match generate::read(ask.json, model) {
        Ok(prompt) => {
            let style = generate::Style { model: model.to_owned(), vertex: true };
            generate::reply(ask, &prompt, &style, headers(ask))
        }
        Err(message) => failure(ask, 400, Some(&message)),
    }
}

fn claude(ask: &Ask<'_>, model: &str) -> Reply {
    if let Some(reply) = unserved(ask, model) {
        return reply;
    }
    let version = fields::text(ask.json, "anthropic_version");
    let refused = if version.is_empty() {
        Some("anthropic_version: Field required".to_owned())
    } else if !CLAUDE_VERSIONS.contains(&version) {
        Some(format!("anthropic_version: Input should be '{}'", CLAUDE_VERSIONS.join("' or '")))
    } else if ask.json.get("model").is_some() {
        Some("model: Extra inputs are not permitted".to_owned())
    } else {
        None
    };
    if let Some(message) = refused {
        return failure(ask, 400, Some(&message));
    }
    match messages::read(ask.json, model, version) {
        Ok(prompt) => {
            let style = messages::Style {
                id: format!("msg_vrtx_01{}", Ids::new(ask.seq, "vertex").base62(22)),
                model: model.split('@').next().unwrap_or(model).to_owned(),
                call_prefix: "toolu_vrtx_01",
                geo: None,
            };
            messages::reply(ask, &prompt, &style, headers(ask))
        }
        Err(message) => failure(ask, 400, Some(&message)),
    }
}

fn completion(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    if let Some(reply) = unserved(ask, model) {
        return reply;
    }
    match chat::read(ask.json, model) {
        Ok(asked) => {
            let style = chat::Style {
                id: Ids::new(ask.seq, "vertex").base62(22),
                model: model.to_owned(),
                fingerprint: Some(String::new()),
                tier: None,
                filters: false,
                reasoning_content: false,
                obfuscation: false,
                call_id: ("function-call-", 19),
            };
            chat::reply(ask, &asked, &style, headers(ask))
        }
        Err((message, _)) => failure(ask, 400, Some(&message)),
    }
}
