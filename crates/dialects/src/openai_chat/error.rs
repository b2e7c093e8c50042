//! Error bodies: reading those of every host that we have seen, writing OpenAI's.

use crate::{
    codec::{WireError, WireErrorKind},
    sse,
};
use domain::{Code, Fault, RetryClass, Source};
use serde_json::Value;

const MAX_MESSAGE: usize = 512;
const MAX_CODE: usize = 64;

/// Reads an error body: OpenAI's `{"error":{…}}`, a list with one, Mistral's `detail` or `message`, Cohere's
/// `message`, Bedrock's `message`, FastAPI's list of details, HTML and plain text.
pub(crate) fn decode(status: u16, body: &[u8]) -> WireError {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body.get(..body.len().min(4 * MAX_MESSAGE)).unwrap_or_default());
        return WireError {
            kind: kind(status, "", ""),
            message: cut(text.trim(), MAX_MESSAGE),
            ..WireError::default()
        };
    };
    let value = match &value {
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        other => other,
    };
    let inner = value
        .get("error")
        .filter(|error| !error.is_null())
        .or_else(|| value.get("choices")?.as_array()?.iter().find_map(|choice| choice.get("error")))
        .unwrap_or(value);
    let code = ["code", "type", "status", "error_type"]
        .iter()
        .filter_map(|name| inner.get(name).and_then(word))
        .find(|word| word != "error" && word != "null")
        .or_else(|| value.get("error_type").and_then(word));
    let also =
        ["type", "status"].iter().filter_map(|name| inner.get(name)?.as_str()).collect::<Vec<_>>().join(" ");
    let filter =
        inner.get("innererror").and_then(|e| e.get("code")).and_then(Value::as_str).unwrap_or_default();
    let message = message_of(inner).or_else(|| message_of(value));
    let words = format!("{} {also} {filter}", code.as_deref().unwrap_or_default()).to_ascii_lowercase();
    let numeric = inner.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = numeric.filter(|code| (400..600).contains(code)).unwrap_or(status);
    WireError {
        kind: kind(status, &words, &message.as_deref().unwrap_or_default().to_ascii_lowercase()),
        code: code.and_then(|code| cut(&code, MAX_CODE)),
        message: message.and_then(|message| cut(&message, MAX_MESSAGE)),
        param: inner.get("param").and_then(Value::as_str).and_then(|param| cut(param, MAX_CODE)),
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn message_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => ["message", "detail", "error", "msg"].iter().find_map(|name| match value.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(list) => {
                list.iter().find_map(|entry| entry.get("msg").and_then(Value::as_str)).map(str::to_owned)
            }
            Value::Object(inner) => inner.get("message").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        }),
    }
}

fn cut(text: &str, most: usize) -> Option<Box<str>> {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).filter(|text| !text.is_empty()).map(Into::into)
}

/// What it means. Codes first, then words (lower case), then the status.
fn kind(status: u16, codes: &str, words: &str) -> WireErrorKind {
    let code = |list: &[&str]| list.iter().any(|part| codes.contains(part));
    let says = |list: &[&str]| list.iter().any(|part| words.contains(part));
    if code(&["content_filter", "content_policy", "responsibleaipolicy", "content_management"])
        || says(&["content management policy", "content policy violation"])
    {
        return WireErrorKind::ContentFilter;
    }
    if code(&["context_length_exceeded", "too_many_tokens", "string_above_max_length"])
        || (matches!(status, 200 | 400 | 413 | 422)
            && says(&[
                "maximum context length",
                "max context length",
                "context length",
                "context window",
                "prompt is too long",
                "prompt too long",
                "input is too long",
                "input tokens exceed",
                "too large for model",
                "input token count",
                "too many tokens",
                "reduce the length of the messages",
            ]))
    {
        return WireErrorKind::ContextLength;
    }
    if code(&["insufficient_quota", "billing", "payment_required"])
        || says(&[
            "exceeded your current quota",
            "specified api usage limits",
            "insufficient credit",
            "insufficient balance",
        ])
        || status == 402
    {
        return WireErrorKind::Quota;
    }
    if code(&["rate_limit", "ratelimit", "too_many_requests", "resource_exhausted"]) || status == 429 {
        return WireErrorKind::RateLimit;
    }
    if code(&["overloaded", "no_capacity", "capacity"]) || matches!(status, 503 | 529) {
        return WireErrorKind::Overloaded;
    }
    if code(&["invalid_api_key", "authentication", "permission", "unauthenticated", "unauthorized"])
        || matches!(status, 401 | 403)
    {
        return WireErrorKind::Auth;
    }
    let names_model = says(&["model", "deployment"]);
    if code(&["model_not_found", "deploymentnotfound", "model_not_available", "model_decommissioned"])
        || (status == 404 && (names_model || code(&["not_found"])))
        || (status == 400
            && says(&["is not a valid model", "does not exist", "was removed on"])
            && names_model)
    {
        return WireErrorKind::ModelNotFound;
    }
    if says(&["invalid signature in thinking", "thought signature", "thought_signature"]) {
        return WireErrorKind::ForeignSignature;
    }
    match status {
        400..=499 => WireErrorKind::Invalid,
        500..=599 => WireErrorKind::Server,
        _ => match codes {
            _ if code(&["invalid_request"]) => WireErrorKind::Invalid,
            _ if code(&["server_error", "internal"]) => WireErrorKind::Server,
            _ => WireErrorKind::Unknown,
        },
    }
}

/// The fault of an error that came inside of a 2xx answer or stream. It counts against health where the
/// host failed, not where it refused what was asked.
pub(super) fn fault_inside(error: &WireError) -> Fault {
    let stop = |code, message: &'static str| Fault::new(Source::Upstream, RetryClass::Stop, code, message);
    let fault = match error.kind {
        WireErrorKind::ContextLength => stop(
            Code::ContextLengthExceeded,
            "The input is longer than the model's context window: shorten the messages.",
        ),
        WireErrorKind::ContentFilter => {
            stop(Code::ContentFilter, "The provider's content filter refused the call.")
        }
        WireErrorKind::RateLimit => Fault::new(
            Source::Upstream,
            RetryClass::NextCandidate,
            Code::RateLimited,
            "The provider limits the rate of calls: try again later.",
        ),
        WireErrorKind::Quota => Fault::new(
            Source::Upstream,
            RetryClass::NextCandidate,
            Code::QuotaExhausted,
            "The quota at the provider is used up.",
        ),
        WireErrorKind::Auth => {
            Fault::upstream(Code::UpstreamAuth, "The upstream rejected the gateway's credentials.")
        }
        WireErrorKind::ModelNotFound => {
            Fault::upstream(Code::UpstreamModelUnavailable, "The model is not available at the upstream.")
        }
        WireErrorKind::Invalid | WireErrorKind::ForeignSignature => Fault::new(
            Source::Upstream,
            RetryClass::NextCandidate,
            Code::UpstreamRejected,
            "The upstream refused the request inside of its answer.",
        ),
        WireErrorKind::Overloaded | WireErrorKind::Server | WireErrorKind::Unknown => {
            Fault::upstream(Code::UpstreamError, "The upstream reported an error inside of its answer.")
        }
    };
    let detail = [error.code.as_deref(), error.message.as_deref()];
    fault.because(&detail.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

/// A stream ended before its end mark.
pub(crate) fn cut_off() -> Fault {
    Fault::upstream(
        Code::UpstreamBadResponse,
        "The upstream's stream broke off before its end; the answer is not complete.",
    )
}

/// Writes an error body in OpenAI's shape.
pub(crate) fn encode(fault: &Fault) -> Vec<u8> {
    let body = serde_json::json!({"error": {
        "message": fault.message,
        "type": type_of(fault),
        "param": fault.param,
        "code": fault.code.name(),
    }});
    serde_json::to_vec(&body).unwrap_or_default()
}

/// OpenAI's `type` for a fault: by status as its API does.
fn type_of(fault: &Fault) -> &'static str {
    match (fault.code, fault.status()) {
        (Code::QuotaExhausted, _) => "insufficient_quota",
        (_, 401) => "authentication_error",
        (_, 403) => "permission_error",
        (_, 404) => "not_found_error",
        (_, 429) => "rate_limit_error",
        (_, 400..=499) => "invalid_request_error",
        (_, 503) => "service_unavailable",
        _ => "server_error",
    }
}

/// Appends the frame that ends a broken stream: the error, and no `[DONE]` behind it.
pub fn stream_error_frame(fault: &Fault, out: &mut Vec<u8>) {
    let json = encode(fault);
    sse::write_data(out, std::str::from_utf8(&json).unwrap_or("{}"));
}
