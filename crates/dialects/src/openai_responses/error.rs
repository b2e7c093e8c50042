//! Error bodies: `{"error":{"message","type","param","code"}}`, OpenAI's in every API; and the error of a response
//! object, whose codes are a list of their own.

use super::head::Failure;
use crate::{
    codec::{WireError, WireErrorKind},
    object::Fields,
    openai_chat::error as openai,
    wire_fault,
};
use domain::{Code, Fault, Raw};

/// What an error body says.
pub(super) fn decode(status: u16, body: &[u8]) -> WireError {
    let mut error = openai::decode(status, body);
    let code = error.code.as_deref().unwrap_or_default();
    let words = error.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    if code == "invalid_encrypted_content"
        || (words.contains("encrypted content") && (words.contains("verified") || words.contains("decrypt")))
    {
        error.kind = WireErrorKind::ForeignSignature;
    } else if matches!(code, "cyber_policy" | "bio_policy" | "misalignment_policy_violation") {
        error.kind = WireErrorKind::ContentFilter;
    }
    error
}

/// The error body for a caller.
pub(super) fn encode(fault: &Fault) -> Vec<u8> {
    openai::encode(fault)
}

/// The fault of an error inside of an answer or stream: the `error` member of a response, or a stream's `error`
/// event, which is the same object without one around it.
pub(super) fn fault_inside(error: &Raw) -> Fault {
    let code: String =
        Fields::of(error, "").ok().and_then(|mut fields| fields.string("code").ok()?).unwrap_or_default();
    let status = match code.as_str() {
        "rate_limit_exceeded" => 429,
        "server_error" | "" => 500,
        "vector_store_timeout" => 504,
        _ => 400,
    };
    let said = decode(status, format!("{{\"error\":{}}}", error.text()).as_bytes());
    wire_fault::fault_of(&said, status)
}

/// A fault as the error of a response object. The codes there are a short list; ours stands in `type`.
#[must_use]
pub fn failure(fault: &Fault) -> Failure {
    let code = match (fault.code, fault.status()) {
        (_, 429) => "rate_limit_exceeded",
        (Code::PlacementRefused | Code::NotAvailableThere, _) => "server_error",
        (Code::ContextLengthExceeded | Code::ContentFilter, _) | (_, 400..=422) => "invalid_prompt",
        _ => "server_error",
    };
    Failure {
        code: code.into(),
        message: fault.message.as_ref().into(),
        kind: Some(fault.code.name().into()),
        param: fault.param.clone(),
    }
}
