//! Error bodies, both ways. Google's are `{"error": {code, message, status, details}}`; streams without
//! `alt=sse` wrap them in a list; proxies on the way send HTML.

use super::types::{Fields, Object};
use crate::codec::{WireError, WireErrorKind};
use domain::{Code, Fault, RetryClass};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireFault {
    code: Option<serde_json::Value>,
    message: Option<String>,
    status: Option<String>,
    details: Vec<serde_json::Value>,
}

/// Reads an error body of HTTP status `status`.
pub(super) fn decode(status: u16, body: &[u8]) -> WireError {
    let text = String::from_utf8_lossy(body);
    let Some(fault) = find(text.trim()) else {
        return WireError {
            kind: of_status(status),
            code: None,
            message: bounded(text.trim(), 512),
            param: None,
        };
    };
    let message = fault.message.clone().unwrap_or_default();
    let word = fault.status.clone().or_else(|| fault.code.as_ref().map(ToString::to_string));
    let status = match fault.code.as_ref().and_then(serde_json::Value::as_u64) {
        Some(code) if status < 400 => u16::try_from(code).unwrap_or(status),
        _ => status,
    };
    WireError {
        kind: kind(status, &fault, &message.to_ascii_lowercase()),
        code: word.as_deref().and_then(|word| bounded(word, 64)),
        message: bounded(&message, 512),
        param: violated_field(&fault).and_then(|field| bounded(&field, 64)),
    }
}

/// The `error` object in an object, in a list, or in a JSON text inside `message` (Google nests those).
fn find(text: &str) -> Option<WireFault> {
    let list: Vec<Box<serde_json::value::RawValue>>;
    let object = if text.starts_with('[') {
        list = serde_json::from_str(text).ok()?;
        list.first()?.get()
    } else {
        text
    };
    let fields = Fields::of(object)?;
    serde_json::from_str(fields.get("error")?.get()).ok()
}

fn kind(status: u16, fault: &WireFault, message: &str) -> WireErrorKind {
    let reason = |wanted: &str| {
        fault.details.iter().any(|detail| detail.get("reason").and_then(|r| r.as_str()) == Some(wanted))
    };
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if reason("API_KEY_INVALID")
        || reason("ACCESS_TOKEN_EXPIRED")
        || has(&["api key not valid", "api key expired"])
    {
        return WireErrorKind::Auth;
    }
    match fault.status.as_deref() {
        Some("RESOURCE_EXHAUSTED") if is_daily(fault) || has(&["billing", "prepayment credits"]) => {
            WireErrorKind::Quota
        }
        Some("RESOURCE_EXHAUSTED") => WireErrorKind::RateLimit,
        Some("UNAUTHENTICATED" | "PERMISSION_DENIED") => WireErrorKind::Auth,
        Some("NOT_FOUND") => WireErrorKind::ModelNotFound,
        Some("UNAVAILABLE") => WireErrorKind::Overloaded,
        Some("INTERNAL" | "UNKNOWN" | "DEADLINE_EXCEEDED" | "ABORTED" | "DATA_LOSS") => WireErrorKind::Server,
        Some("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE") => {
            if has(&["token count", "maximum number of tokens", "context length", "too many tokens"])
                && has(&["exceed", "too long", "too many"])
            {
                WireErrorKind::ContextLength
            } else if has(&["thought_signature", "thought signature", "thoughtsignature"]) {
                WireErrorKind::ForeignSignature
            } else {
                WireErrorKind::Invalid
            }
        }
        _ => of_status(status),
    }
}

/// True where the quota that was met is one per day: waiting a minute does not help.
fn is_daily(fault: &WireFault) -> bool {
    let violations =
        fault.details.iter().filter_map(|detail| detail.get("violations")).filter_map(|list| list.as_array());
    violations
        .flatten()
        .filter_map(|violation| violation.get("quotaId").and_then(|id| id.as_str()))
        .any(|id| id.contains("PerDay"))
}

fn violated_field(fault: &WireFault) -> Option<String> {
    let violations = fault.details.iter().filter_map(|detail| detail.get("fieldViolations")?.as_array());
    violations.flatten().find_map(|violation| Some(violation.get("field")?.as_str()?.to_owned()))
}

const fn of_status(status: u16) -> WireErrorKind {
    match status {
        400 | 413 | 422 => WireErrorKind::Invalid,
        401 | 403 => WireErrorKind::Auth,
        404 => WireErrorKind::ModelNotFound,
        429 => WireErrorKind::RateLimit,
        503 | 529 => WireErrorKind::Overloaded,
        500..=599 => WireErrorKind::Server,
        _ => WireErrorKind::Unknown,
    }
}

fn bounded(text: &str, most: usize) -> Option<Box<str>> {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).filter(|text| !text.is_empty()).map(Into::into)
}

/// The fault of an `error` that stands inside a 200 body or stream.
pub(super) fn inside(body: &[u8]) -> Fault {
    let error = decode(200, body);
    let stop = |code, message: &'static str| Fault::caller(code, message);
    let mut fault = match error.kind {
        // A limit: the deployment is busy, not broken.
        WireErrorKind::RateLimit => Fault {
            counts_against_health: false,
            ..Fault::upstream(Code::RateLimited, "The upstream's rate limit was met.")
        },
        WireErrorKind::Quota => Fault {
            counts_against_health: false,
            ..Fault::upstream(Code::QuotaExhausted, "The upstream's quota is used up.")
        },
        WireErrorKind::Auth => {
            Fault::upstream(Code::UpstreamAuth, "The upstream refused the gateway's credentials.")
        }
        WireErrorKind::ModelNotFound => {
            Fault::upstream(Code::UpstreamModelUnavailable, "The upstream does not have the model.")
        }
        WireErrorKind::ContextLength => {
            stop(Code::ContextLengthExceeded, "The context is too long for the model; shorten it.")
        }
        WireErrorKind::ContentFilter => {
            stop(Code::ContentFilter, "The provider's filter refused the prompt.")
        }
        WireErrorKind::Invalid | WireErrorKind::ForeignSignature => {
            let mut fault =
                Fault::upstream(Code::UpstreamRejected, "The upstream refused the request as malformed.");
            fault.counts_against_health = false;
            fault
        }
        WireErrorKind::Overloaded | WireErrorKind::Server | WireErrorKind::Unknown => {
            Fault::upstream(Code::UpstreamError, "The upstream failed inside its answer.")
        }
    };
    if error.kind == WireErrorKind::ForeignSignature {
        fault.retry = RetryClass::SameAgain;
    }
    fault.because(&format!(
        "{}: {}",
        error.code.as_deref().unwrap_or("error"),
        error.message.as_deref().unwrap_or_default()
    ))
}

/// The body for a caller who speaks Gemini. Google's fields, our stable code as the reason.
pub(super) fn encode(fault: &Fault) -> Vec<u8> {
    let status = fault.status();
    let word = match status {
        400 | 413 | 415 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 | 405 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        502 | 503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    let mut detail = Object::new();
    detail.put("@type", "type.googleapis.com/google.rpc.ErrorInfo");
    detail.put("reason", fault.code.name());
    detail.put("domain", "cabotage");
    let mut details = vec![detail.finish()];
    if let Some(param) = &fault.param {
        let mut violation = Object::new();
        violation.put("field", &**param);
        violation.put("description", &*fault.message);
        let mut bad = Object::new();
        bad.put("@type", "type.googleapis.com/google.rpc.BadRequest");
        bad.put_text("fieldViolations", &super::types::array([violation.finish()]));
        details.push(bad.finish());
    }
    if let Some(wait) = fault.retry_after {
        let mut retry = Object::new();
        retry.put("@type", "type.googleapis.com/google.rpc.RetryInfo");
        retry.put("retryDelay", &format!("{}s", wait.as_secs().max(1)));
        details.push(retry.finish());
    }
    let mut error = Object::new();
    error.put("code", &status);
    error.put("message", &*fault.message);
    error.put("status", word);
    error.put_text("details", &super::types::array(details));
    let mut body = Object::new();
    body.put_text("error", &error.finish());
    body.finish().into_bytes()
}
