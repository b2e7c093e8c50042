//! What an answer shows of who wrote it, and what its error types mean.

use crate::{
    evidence::{Fingerprint, MayShow},
    fault::Answer,
};
use dialects::WireErrorKind;

/// `x-amzn-requestid` stands in the answers of other AWS services too, but of no other host of models that is
/// known here. Which region of a profile computed an answer is not told.
pub(super) const FINGERPRINT: Fingerprint = Fingerprint {
    headers: &["x-amzn-bedrock-*", "x-amzn-requestid"],
    shared: &[],
    ids: &["msg_bdrk_", "toolu_bdrk_"],
    fields: &["latencyMs"],
    request_id: Some("x-amzn-requestid"),
    region: None,
    may_show: MayShow::Also(&["openai"]),
};

/// The exception's name: `ThrottlingException:http://…` and `com.amazon…#ThrottlingException` are both written.
fn exception<'a>(answer: &Answer<'a>) -> &'a str {
    let from_header = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let name = from_header.or(answer.said.code.as_deref()).unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

/// What the error means: the exception's name first, then what the dialect read in the words.
pub(super) fn kind(answer: &Answer<'_>) -> WireErrorKind {
    let said = answer.said.message.as_deref().unwrap_or_default();
    match exception(answer) {
        "ThrottlingException" | "ModelNotReadyException" => WireErrorKind::RateLimit,
        "ServiceQuotaExceededException" => WireErrorKind::Quota,
        "ServiceUnavailableException" => WireErrorKind::Overloaded,
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => WireErrorKind::Auth,
        "ResourceNotFoundException" => WireErrorKind::ModelNotFound,
        "InternalServerException" | "ModelErrorException" => WireErrorKind::Server,
        // The status says it: 408.
        "ModelTimeoutException" => WireErrorKind::Unknown,
        "ValidationException"
            if said.contains("model identifier is invalid") || said.contains("on-demand throughput") =>
        {
            WireErrorKind::ModelNotFound
        }
        _ => answer.said.kind,
    }
}

/// Whether the keys that signed the request are over, so that new ones may do.
pub(super) fn keys_expired(answer: &Answer<'_>) -> bool {
    matches!(
        exception(answer),
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException"
    )
}
