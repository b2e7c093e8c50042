//! What an answer shows of who wrote it, and the one fault that does not look like what it is.

use crate::{
    evidence::{Fingerprint, MayShow},
    fault::Answer,
};
use dialects::WireErrorKind;

/// `via: 1.1 google` stands in nearly every answer, so it tells nothing of Google's own service.
pub(super) const FINGERPRINT: Fingerprint = Fingerprint {
    headers: &[
        "anthropic-organization-id",
        "anthropic-workspace-id",
        "anthropic-ratelimit-*",
        "anthropic-priority-*",
    ],
    shared: &[("request-id", "req_")],
    ids: &["msg_01"],
    fields: &[],
    request_id: Some("request-id"),
    region: None,
    may_show: MayShow::Own,
};

/// A used-up spending limit is told with status 400.
pub(super) fn kind(answer: &Answer<'_>) -> WireErrorKind {
    let said = answer.said.message.as_deref().unwrap_or_default();
    if answer.status == 400 && (said.contains("usage limits") || said.contains("credit balance")) {
        return WireErrorKind::Quota;
    }
    answer.said.kind
}
