//! `bedrock-runtime.{region}.amazonaws.com`: Converse, ConverseStream, and OpenAI models by `/openai/v1`.
//! Signatures are checked, API keys accepted.

use bytes::Bytes;
use serde_json::json;

use super::{chat, converse, event};
use crate::eventstream::exception;
use crate::exchange::{Ask, Reply, decoded, model_in};
use crate::identity::Ids;
use crate::sigv4;

const CHAT_PATH: &str = "/openai/v1/chat/completions";

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    if let Err((kind, message)) = authorise(ask) {
        return refused(ask, 403, kind, &message);
    }
    if ask.path == CHAT_PATH && ask.method == http::Method::POST {
        return completion(ask);
    }
    let rest = ask.path.strip_prefix("/model/").unwrap_or_default();
    let route = rest.strip_suffix("/converse").map(|model| (model, false));
    let route = route.or_else(|| rest.strip_suffix("/converse-stream").map(|model| (model, true)));
    match route {
        Some((model, streamed)) if ask.method == http::Method::POST => {
            conversation(ask, &decoded(model), streamed)
        }
        _ => {
            let body = json!({"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"},
                "Version": "1.0"});
            let mut all = headers(ask);
            all.push(("x-amzn-errortype".to_owned(), "UnknownOperationException".to_owned()));
            Reply::json(404, all, &body)
        }
    }
}

/// An error body of this status.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    let (kind, _, usual) = usual(status);
    refused(ask, status, kind, message.unwrap_or(usual))
}

/// The same as an event of a stream: an exception frame on the binary routes.
pub(crate) fn stream_failure(ask: &Ask<'_>, status: u16) -> Bytes {
    let (_, kind, message) = usual(status);
    if ask.path == CHAT_PATH {
        return event(&json!({"error": {"message": message, "type": "server_error", "code": null}})).into();
    }
    exception(kind, message)
}

/// A sign of life: a comment line, or a frame of a kind that readers must skip.
pub(crate) fn ping(ask: &Ask<'_>) -> Bytes {
    if ask.path == CHAT_PATH {
        return Bytes::from_static(b": keep-alive\n\n");
    }
    crate::eventstream::event("initial-response", &json!({}))
}

/// Headers of every answer.
pub(crate) fn headers(ask: &Ask<'_>) -> Vec<(String, String)> {
    let mut ids = Ids::new(ask.seq, "bedrock-headers");
    vec![("x-amzn-requestid".to_owned(), ids.uuid())]
}

/// A valid signature or a known API key.
fn authorise(ask: &Ask<'_>) -> Result<(), sigv4::Refused> {
    if ask.cloud.credentials.open {
        return Ok(());
    }
    let header = ask.header("authorization");
    if header.is_empty() {
        return Err(("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned()));
    }
    if header.starts_with("AWS4-") {
        return sigv4::verify(ask, "bedrock", ask.cloud.region());
    }
    if ask.cloud.credentials.accepts(ask.bearer()) {
        return Ok(());
    }
    let message = "Authentication failed: Please make sure your API Key is valid.";
    Err(("AccessDeniedException", message.to_owned()))
}

fn refused(ask: &Ask<'_>, status: u16, kind: &str, message: &str) -> Reply {
    let mut all = headers(ask);
    all.push((
        "x-amzn-errortype".to_owned(),
        format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"),
    ));
    if ask.path == CHAT_PATH {
        let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
        let body = json!({"error": {"message": message, "type": kind, "param": null, "code": null}});
        return Reply::json(status, all, &body);
    }
    Reply::json(status, all, &json!({ "message": message }))
}

/// Why this model id is not answered here.
fn unserved(ask: &Ask<'_>, model: &str) -> Option<String> {
    if model.is_empty() || !ask.serves(model) {
        return Some("The provided model identifier is invalid.".to_owned());
    }
    // From gpt-5.6 on the runtime wants a geo or global profile id.
    let bare = model.strip_prefix("openai.gpt-");
    if bare.is_some_and(|version| version.starts_with("5.6") || version.starts_with('6')) {
        return Some(format!(
            "Invocation of model ID {model} with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
        ));
    }
    None
}

fn conversation(ask: &Ask<'_>, model: &str, streamed: bool) -> Reply {
    if let Some(message) = unserved(ask, model) {
        return failure(ask, 400, Some(&message));
    }
    match converse::read(ask.json, model) {
        Ok(prompt) => converse::reply(ask, &prompt, streamed, headers(ask)),
        Err(message) => failure(ask, 400, Some(&message)),
    }
}

fn completion(ask: &Ask<'_>) -> Reply {
    let model = model_in(ask.json);
    if let Some(message) = unserved(ask, model) {
        return failure(ask, 400, Some(&message));
    }
    let asked = match chat::read(ask.json, model) {
        Ok(asked) => asked,
        Err((message, _)) => return failure(ask, 400, Some(&message)),
    };
    let style = chat::Style {
        id: format!("chatcmpl-{}", Ids::new(ask.seq, "bedrock").uuid()),
        model: model.to_owned(),
        fingerprint: None,
        tier: Some("default"),
        filters: false,
        reasoning_content: false,
        obfuscation: false,
        call_id: ("chatcmpl-tool-", 32),
    };
    chat::reply(ask, &asked, &style, headers(ask))
}

/// Error type in headers, in streams, and message that go with a status.
fn usual(status: u16) -> (&'static str, &'static str, &'static str) {
    match status {
        400 | 413 => ("ValidationException", "validationException", "The request is invalid."),
        401 | 403 => (
            "AccessDeniedException",
            "validationException",
            "You don't have access to the model with the specified model ID.",
        ),
        404 => ("ResourceNotFoundException", "validationException", "The resource was not found."),
        408 => ("ModelTimeoutException", "modelStreamErrorException", "The model took too long."),
        424 => ("ModelErrorException", "modelStreamErrorException", "The model returned an error."),
        429 => (
            "ThrottlingException",
            "throttlingException",
            "Too many requests, please wait before trying again.",
        ),
        503 => (
            "ServiceUnavailableException",
            "serviceUnavailableException",
            "Bedrock is unable to process your request.",
        ),
        _ => (
            "InternalServerException",
            "internalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
    }
}
