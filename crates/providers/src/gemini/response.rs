//! What an answer shows of who wrote it, and what its error words mean beyond the dialect's reading.

use crate::{
    evidence::{Fingerprint, MayShow},
    fault::Answer,
};
use dialects::WireErrorKind;

/// `server: scaffolding on HTTPServer2` stands in the cloud's answers too. The cloud's `trafficType` is never
/// here.
pub(super) const FINGERPRINT: Fingerprint = Fingerprint {
    headers: &["x-gemini-service-tier"],
    shared: &[("server-timing", "gfet4t7")],
    ids: &[],
    fields: &[],
    request_id: None,
    region: None,
    may_show: MayShow::Own,
};

/// A wrong key is told with status 400 and `INVALID_ARGUMENT`.
pub(super) fn kind(answer: &Answer<'_>) -> WireErrorKind {
    let said = answer.said.message.as_deref().unwrap_or_default();
    if answer.status == 400 && (said.contains("API key not valid") || said.contains("API key expired")) {
        return WireErrorKind::Auth;
    }
    answer.said.kind
}
