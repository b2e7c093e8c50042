//! What an answer shows of who wrote it. Faults are those of every host.

use crate::evidence::{Fingerprint, MayShow};

/// `openai-version` and `openai-processing-ms` also stand in Azure's answers, so they are no marks.
/// `server: cloudflare` and `cf-ray` tell of the client's edge, never of the cloud behind it.
pub(super) const FINGERPRINT: Fingerprint = Fingerprint {
    headers: &["openai-organization", "openai-project"],
    shared: &[("x-request-id", "req_"), ("openai-version", "2020-10-01"), ("x-openai-proxy-wasm", "")],
    ids: &[],
    fields: &[],
    request_id: Some("x-request-id"),
    region: None,
    may_show: MayShow::Own,
};
