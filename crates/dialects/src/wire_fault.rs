//! What an error that stands inside a stream or a 2xx body means: the same table for every dialect whose
//! errors come as a kind and words.

use crate::{WireError, WireErrorKind};
use domain::{Code, Fault, RetryClass, Source};

/// The fault for an error that the upstream reported inside an answer. `status` is the HTTP status that the
/// error would have had as an answer of its own.
pub(crate) fn fault_of(error: &WireError, status: u16) -> Fault {
    let (code, retry, health, message) = match error.kind {
        WireErrorKind::RateLimit => {
            (Code::RateLimited, RetryClass::NextCandidate, false, "the upstream's rate limit is reached")
        }
        WireErrorKind::Quota => (
            Code::QuotaExhausted,
            RetryClass::NextCandidate,
            false,
            "the upstream account's quota is used up",
        ),
        WireErrorKind::Overloaded => {
            (Code::PermittedUnavailable, RetryClass::NextCandidate, true, "the upstream is overloaded")
        }
        WireErrorKind::Auth => (
            Code::UpstreamAuth,
            RetryClass::NextCandidate,
            true,
            "the upstream refused the gateway's credentials",
        ),
        WireErrorKind::ModelNotFound => (
            Code::UpstreamModelUnavailable,
            RetryClass::NextCandidate,
            true,
            "the upstream does not offer this model",
        ),
        WireErrorKind::ContextLength => (
            Code::ContextLengthExceeded,
            RetryClass::Stop,
            false,
            "the messages are longer than the model's context; shorten them",
        ),
        WireErrorKind::ContentFilter => (
            Code::ContentFilter,
            RetryClass::Stop,
            false,
            "the upstream's content filter refused the request",
        ),
        WireErrorKind::Invalid | WireErrorKind::ForeignSignature => {
            (Code::InvalidRequest, RetryClass::Stop, false, "the upstream refused the request as invalid")
        }
        WireErrorKind::Server | WireErrorKind::Unknown => (
            Code::UpstreamError,
            RetryClass::NextCandidate,
            true,
            "the upstream broke off its answer with an error",
        ),
    };
    let mut fault = Fault::new(Source::Upstream, retry, code, message);
    fault.counts_against_health = health;
    fault.upstream_status = Some(status);
    let said = [error.code.as_deref(), error.message.as_deref()];
    fault.because(&said.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

/// The first `limit` bytes of a text, cut on a character boundary.
pub(crate) fn cut(text: &str, limit: usize) -> Box<str> {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

/// What an error's words say, where its type is too broad to tell (context length, quota, foreign
/// signatures). Matched in lower case against the sentences that hosts are known to use.
pub(crate) fn kind_of_words(words: &str) -> Option<WireErrorKind> {
    let words = words.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    if says(&[
        "prompt is too long",
        "input is too long",
        "input tokens exceeded",
        "too many input tokens",
        "exceed context limit",
        "exceeds the maximum context",
        "maximum context length",
        "context window",
    ]) {
        return Some(WireErrorKind::ContextLength);
    }
    if says(&["usage limit", "credit balance", "quota", "billing"]) {
        return Some(WireErrorKind::Quota);
    }
    if words.contains("signature") && says(&["thinking", "reasoning"]) {
        return Some(WireErrorKind::ForeignSignature);
    }
    None
}
