//! Error bodies (`{"message": …}`, sometimes with `__type`) and exception names.

use crate::{
    WireError, WireErrorKind,
    object::Object,
    wire_fault::{cut, kind_of_words},
};
use domain::{Code, Fault};
use serde::Deserialize;

#[derive(Default, Deserialize)]
struct Body {
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "__type", alias = "code")]
    kind: Option<String>,
}

/// What an error body says. The exception's name stands in a header as a rule, so the words tell too.
pub(super) fn decode(status: u16, body: &[u8]) -> WireError {
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    read(body.kind.as_deref().unwrap_or_default(), body.message.as_deref().unwrap_or_default(), status)
}

/// What an exception's name and words say.
pub(super) fn read(name: &str, message: &str, status: u16) -> WireError {
    // `com.amazon.coral#ThrottlingException:http://…` is the long form of the name.
    let name = name.rsplit('#').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    let kind = by_name(name).or_else(|| by_status(status)).unwrap_or_default();
    WireError {
        kind: refine(kind, message),
        code: (!name.is_empty()).then(|| cut(name, 64)),
        message: (!message.is_empty()).then(|| cut(message, 512)),
        param: None,
    }
}

/// The kind of an exception. Streams spell it with a small first letter.
fn by_name(name: &str) -> Option<WireErrorKind> {
    let name = name.strip_suffix("Exception").unwrap_or(name);
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let name: String = first.into_iter().chain(letters).collect();
    Some(match name.as_str() {
        "Validation" => WireErrorKind::Invalid,
        "Throttling" | "TooManyRequests" => WireErrorKind::RateLimit,
        "ServiceQuotaExceeded" => WireErrorKind::Quota,
        "ServiceUnavailable" | "ModelNotReady" => WireErrorKind::Overloaded,
        "AccessDenied"
        | "UnrecognizedClient"
        | "ExpiredToken"
        | "InvalidSignature"
        | "MissingAuthenticationToken"
        | "IncompleteSignature" => WireErrorKind::Auth,
        "ResourceNotFound" => WireErrorKind::ModelNotFound,
        "InternalServer" | "ModelError" | "ModelStreamError" | "ModelTimeout" => WireErrorKind::Server,
        _ => return None,
    })
}

const fn by_status(status: u16) -> Option<WireErrorKind> {
    Some(match status {
        400 => WireErrorKind::Invalid,
        401 | 403 => WireErrorKind::Auth,
        404 => WireErrorKind::ModelNotFound,
        429 => WireErrorKind::RateLimit,
        503 => WireErrorKind::Overloaded,
        408 | 424 | 500 | 502 | 504 => WireErrorKind::Server,
        _ => return None,
    })
}

fn refine(kind: WireErrorKind, message: &str) -> WireErrorKind {
    let words = message.to_ascii_lowercase();
    match kind {
        WireErrorKind::Invalid | WireErrorKind::Server if words.contains("model identifier is invalid") => {
            WireErrorKind::ModelNotFound
        }
        WireErrorKind::Invalid | WireErrorKind::Server
            if words.contains("on-demand throughput isn") || words.contains("end of its life") =>
        {
            WireErrorKind::ModelNotFound
        }
        WireErrorKind::Invalid => kind_of_words(message).unwrap_or(kind),
        _ => kind,
    }
}

/// The HTTP status that an exception in a stream has as an answer of its own.
pub(super) fn status_of(name: &str) -> u16 {
    match name {
        "validationException" => 400,
        "throttlingException" => 429,
        "modelStreamErrorException" => 424,
        "modelTimeoutException" => 408,
        "serviceUnavailableException" => 503,
        _ => 500,
    }
}

/// The name of the exception for a fault.
fn exception(fault: &Fault) -> &'static str {
    match fault.status() {
        401 | 403 => "AccessDeniedException",
        404 | 405 => "ResourceNotFoundException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        504 => "ModelTimeoutException",
        status if status < 500 => "ValidationException",
        502 => "ModelErrorException",
        _ => "InternalServerException",
    }
}

/// The name of the exception frame for a fault in a stream.
pub(super) fn stream_exception(fault: &Fault) -> &'static str {
    match fault.status() {
        429 => "throttlingException",
        503 => "serviceUnavailableException",
        502 | 504 => "modelStreamErrorException",
        status if status < 500 => "validationException",
        _ => "internalServerException",
    }
}

/// The error body for a caller.
pub(super) fn encode(fault: &Fault) -> Vec<u8> {
    let mut body = Object::new();
    body.string("__type", exception(fault));
    if fault.code == Code::ContextLengthExceeded {
        // Clients of this dialect recognise the case by these words.
        body.string("message", &format!("Input is too long for requested model. {}", fault.message));
    } else {
        body.string("message", &fault.message);
    }
    body.string("code", fault.code.name());
    body.finish().into_bytes()
}
