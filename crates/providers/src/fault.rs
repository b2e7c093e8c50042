//! A non-2xx answer → fault: whose it is, what may be tried after it, how long to wait, whether it tells of the
//! deployment's health. What the words mean is the dialect's to say ([`dialects::WireError`]); what the status
//! means, and the rules that hold for every host, stand here. Providers correct the kind before they ask.

use crate::{endpoint::Endpoint, retry_after};
use dialects::{WireError, WireErrorKind};
use domain::{Code, Dialect, Fault, RetryClass, Source};
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A non-2xx answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, or as much of it as was read.
    pub body: &'a [u8],
    /// What the endpoint's dialect reads in the body (`Codec::decode_error`).
    pub said: &'a WireError,
    /// The time, for dates in headers.
    pub now: Timestamp,
    /// The caller's bytes were passed through, so what is malformed in them is the caller's.
    pub passed_through: bool,
}

/// The longest error body that is relayed to a caller, in bytes.
pub const LONGEST_RELAYED: usize = 64 * 1024;

/// The fault that `answer` is, where `kind` is what its words mean.
#[must_use]
pub fn classify(endpoint: &Endpoint, answer: &Answer<'_>, kind: WireErrorKind) -> Fault {
    let kind = match kind {
        WireErrorKind::Unknown | WireErrorKind::Invalid | WireErrorKind::Server => {
            by_status(answer.status, kind)
        }
        spoken => spoken,
    };
    let fault = match kind {
        WireErrorKind::RateLimit => waiting(Code::RateLimited, "The model's host limits the rate of calls."),
        WireErrorKind::Quota => waiting(Code::QuotaExhausted, "The quota at the model's host is used up."),
        WireErrorKind::Overloaded => {
            Fault::upstream(Code::UpstreamError, "The model's host is overloaded; try again in a while.")
        }
        WireErrorKind::Auth => auth(endpoint, answer.status),
        WireErrorKind::ModelNotFound => Fault::upstream(
            Code::UpstreamModelUnavailable,
            "The deployment or its model does not exist at its host (any more).",
        ),
        WireErrorKind::ContextLength => Fault::caller(
            Code::ContextLengthExceeded,
            "The call is longer than the model's context; shorten it or ask for a model with a longer one.",
        ),
        WireErrorKind::ContentFilter => {
            Fault::caller(Code::ContentFilter, "The filter of the model's host refused the prompt.")
        }
        // The same bytes would be refused again; another candidate may be the host that made them. Who can leave
        // the proofs out does so after that.
        WireErrorKind::ForeignSignature => Fault::new(
            Source::Upstream,
            RetryClass::NextCandidate,
            Code::UpstreamRejected,
            "The model's host refused the reasoning of another host.",
        ),
        WireErrorKind::Invalid => invalid(answer),
        WireErrorKind::Server | WireErrorKind::Unknown => by_number(answer.status),
    };
    dress(fault, answer)
}

/// Adds what every fault of an upstream carries: its status, its words (for the operator), how long to wait.
fn dress(mut fault: Fault, answer: &Answer<'_>) -> Fault {
    fault.upstream_status = Some(answer.status);
    let waits = fault.retry_after.is_none()
        && matches!(fault.code, Code::RateLimited | Code::QuotaExhausted | Code::UpstreamError);
    if waits {
        let asked = ["retry-after", "retry-after-ms"].iter().any(|name| answer.headers.contains_key(*name));
        // Every answer of some hosts tells when their limits reset. Where no limit was hit that says nothing of
        // this fault; only an explicit wish counts.
        if answer.status == 429 || asked {
            fault.retry_after = retry_after::read(answer.headers, answer.now);
        }
    }
    if fault.source == Source::Caller && answer.passed_through {
        fault.param.clone_from(&answer.said.param);
    }
    let words = match (&answer.said.code, &answer.said.message) {
        (Some(code), Some(message)) => format!("HTTP {}: {code}: {message}", answer.status),
        (Some(word), None) | (None, Some(word)) => format!("HTTP {}: {word}", answer.status),
        (None, None) => {
            let start = answer.body.get(..answer.body.len().min(200)).unwrap_or_default();
            format!("HTTP {}: {}", answer.status, String::from_utf8_lossy(start).escape_debug())
        }
    };
    fault.because(&words)
}

/// What the status says where the words say nothing certain.
fn by_status(status: u16, kind: WireErrorKind) -> WireErrorKind {
    match status {
        401 | 403 => WireErrorKind::Auth,
        402 => WireErrorKind::Quota,
        404 | 410 => WireErrorKind::ModelNotFound,
        429 => WireErrorKind::RateLimit,
        503 | 529 => WireErrorKind::Overloaded,
        400 | 413 | 422 => WireErrorKind::Invalid,
        _ => kind,
    }
}

/// A limit: other candidates may have room; the deployment is busy, not broken.
fn waiting(code: Code, message: &'static str) -> Fault {
    Fault::new(Source::Upstream, RetryClass::NextCandidate, code, message)
}

/// Our credentials were refused. Never the caller's fault, whatever the upstream's words say. An identity that
/// gives out new secrets is asked once; a key is not going to change.
fn auth(endpoint: &Endpoint, status: u16) -> Fault {
    let fault = Fault::upstream(
        Code::UpstreamAuth,
        "The gateway's credentials for the model's host do not work; its operator has been told why.",
    );
    let retry = if status == 401 && endpoint.secret_renews() {
        RetryClass::SameAgain
    } else {
        RetryClass::NextCandidate
    };
    Fault { retry, ..fault }
}

/// The request was refused as malformed. The caller's where his own bytes went out. Where they were translated,
/// his most likely too (a schema, an image, a number that this host does not take): 400, so that clients do not
/// repeat it; the operator reads the host's words in the detail.
fn invalid(answer: &Answer<'_>) -> Fault {
    match answer.status {
        413 => Fault::caller(Code::BodyTooLarge, "The call is larger than the model's host takes."),
        _ if answer.passed_through => {
            Fault::caller(Code::InvalidRequest, "The model's host refused the request as invalid.")
        }
        _ => Fault::caller(
            Code::InvalidRequest,
            "The model's host refused the translated request as invalid; a parameter, schema or file in it is \
             not what that host takes.",
        ),
    }
}

/// What is left to the bare number.
fn by_number(status: u16) -> Fault {
    match status {
        300..=399 => Fault::upstream(
            Code::UpstreamBadResponse,
            "The model's host answered with a redirect, which is never followed.",
        ),
        408 | 504 => Fault::upstream(Code::UpstreamTimeout, "The model's host did not answer in time."),
        409 | 424 | 425 => {
            Fault::upstream(Code::UpstreamError, "The model's host could not take the call now.")
        }
        400..=499 => Fault {
            counts_against_health: false,
            ..Fault::upstream(
                Code::UpstreamRejected,
                "The model's host refused the gateway's request; its operator has been told why.",
            )
        },
        500..=599 => Fault::upstream(Code::UpstreamError, "The model's host failed."),
        _ => Fault::upstream(
            Code::UpstreamBadResponse,
            "The model's host answered with a status that its API does not have.",
        ),
    }
}

/// Whether a caller of `dialect` may read this error body as it is: a 4xx that tells of the request (not of our
/// credentials, route or deployment, and not of our limits), at most [`LONGEST_RELAYED`] bytes, and an error
/// object of the dialect.
#[must_use]
pub fn relayable(dialect: Dialect, status: u16, body: &[u8]) -> bool {
    let of_the_request = (400..500).contains(&status) && !matches!(status, 401..=404 | 407 | 408 | 410 | 429);
    if !of_the_request || body.len() > LONGEST_RELAYED {
        return false;
    }
    let Ok(object) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) else {
        return false;
    };
    let sentence = |raw: Option<&&RawValue>| {
        raw.and_then(|raw| serde_json::from_str::<ErrorObject>(raw.get()).ok())
            .is_some_and(|error| !error.message.is_empty())
    };
    let is_string =
        |name: &str| object.get(name).is_some_and(|raw| serde_json::from_str::<String>(raw.get()).is_ok());
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini => sentence(object.get("error")),
        Dialect::AnthropicMessages => {
            object.get("type").is_some_and(|raw| raw.get() == "\"error\"") && sentence(object.get("error"))
        }
        Dialect::BedrockConverse => is_string("message") || is_string("Message"),
    }
}

#[derive(Deserialize)]
struct ErrorObject {
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_error_objects_about_the_request_are_relayed() {
        let openai =
            br#"{"error":{"message":"temperature must be at most 2","type":"invalid_request_error"}}"#;
        let anthropic =
            br#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens"}}"#;
        let gemini = br#"{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}"#;
        let bedrock = br#"{"message":"1 validation error"}"#;
        let bodies: [(Dialect, &[u8]); 4] = [
            (Dialect::OpenAiChat, openai),
            (Dialect::AnthropicMessages, anthropic),
            (Dialect::Gemini, gemini),
            (Dialect::BedrockConverse, bedrock),
        ];
        for (dialect, body) in bodies {
            for status in [400, 409, 413, 422] {
                assert!(relayable(dialect, status, body), "{dialect} {status}");
            }
            for status in [200, 302, 401, 402, 403, 404, 407, 408, 410, 429, 500, 503] {
                assert!(!relayable(dialect, status, body), "{dialect} {status}");
            }
        }
        assert!(!relayable(Dialect::OpenAiChat, 400, bedrock));
        assert!(!relayable(Dialect::AnthropicMessages, 400, openai));
        for not in [
            "",
            "<html>",
            "[]",
            "null",
            r#"{"error":"text"}"#,
            r#"{"error":{"message":""}}"#,
            r#"{"error":{"message":1}}"#,
        ] {
            assert!(!relayable(Dialect::OpenAiChat, 400, not.as_bytes()), "{not}");
        }
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(LONGEST_RELAYED));
        assert!(!relayable(Dialect::OpenAiChat, 400, long.as_bytes()));
    }
}
