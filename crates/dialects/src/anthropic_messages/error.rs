//! Error bodies: `{"type":"error","error":{"type":…,"message":…},"request_id":…}`.

use crate::{
    WireError, WireErrorKind,
    object::Object,
    wire_fault::{cut, kind_of_words},
};
use domain::{Code, Fault};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<Inner<'a>>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// What an error body says. HTML, an empty body and other forms say nothing.
pub(super) fn decode(status: u16, body: &[u8]) -> WireError {
    let Ok(Body { error: Some(inner) }) = serde_json::from_slice(body) else {
        return WireError { kind: by_status(status), ..WireError::default() };
    };
    let word = inner.kind.as_deref().unwrap_or_default();
    let message = inner.message.as_deref().unwrap_or_default();
    let mut kind = by_type(word).unwrap_or_else(|| by_status(status));
    if matches!(kind, WireErrorKind::Invalid | WireErrorKind::RateLimit | WireErrorKind::Auth) {
        let words = kind_of_words(message);
        let fits = kind == WireErrorKind::Invalid || words == Some(WireErrorKind::Quota);
        kind = words.filter(|_| fits).unwrap_or(kind);
    }
    WireError {
        kind,
        code: (!word.is_empty()).then(|| cut(word, 64)),
        message: (!message.is_empty()).then(|| cut(message, 512)),
        param: None,
    }
}

/// An error's type as a kind.
fn by_type(word: &str) -> Option<WireErrorKind> {
    Some(match word {
        "invalid_request_error" | "request_too_large" => WireErrorKind::Invalid,
        "authentication_error" | "permission_error" => WireErrorKind::Auth,
        "billing_error" => WireErrorKind::Quota,
        "not_found_error" => WireErrorKind::ModelNotFound,
        "rate_limit_error" => WireErrorKind::RateLimit,
        "overloaded_error" => WireErrorKind::Overloaded,
        "api_error" | "timeout_error" => WireErrorKind::Server,
        _ => return None,
    })
}

fn by_status(status: u16) -> WireErrorKind {
    match status {
        401 | 403 => WireErrorKind::Auth,
        402 => WireErrorKind::Quota,
        429 => WireErrorKind::RateLimit,
        529 => WireErrorKind::Overloaded,
        _ => WireErrorKind::Unknown,
    }
}

/// The HTTP status that an error type has as an answer of its own.
pub(super) fn status_of(word: &str) -> u16 {
    match word {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

/// The error body for a caller.
pub(super) fn encode(fault: &Fault) -> Vec<u8> {
    let word = match fault.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 | 405 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        status if status < 500 => "invalid_request_error",
        _ => "api_error",
    };
    let mut error = Object::new();
    error.string("type", word);
    if fault.code == Code::ContextLengthExceeded {
        // Clients of this dialect recognise the case by these words.
        error.string("message", &format!("prompt is too long: {}", fault.message));
    } else {
        error.string("message", &fault.message);
    }
    error.string("code", fault.code.name());
    if let Some(param) = &fault.param {
        error.string("param", param);
    }
    let mut body = Object::new();
    body.string("type", "error").json("error", &error.finish());
    body.finish().into_bytes()
}
