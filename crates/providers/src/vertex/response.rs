//! What an answer shows of who wrote it. Faults are those of every host.

use crate::evidence::{Fingerprint, MayShow};

/// AI Studio never writes `trafficType`; a deployed model's own endpoint names itself.
pub(super) const FINGERPRINT: Fingerprint = Fingerprint {
    headers: &["x-vertex-ai-endpoint-id", "x-vertex-ai-deployed-model-id"],
    shared: &[("server", "scaffolding on HTTPServer2"), ("vary", "X-Origin"), ("vary", "Origin")],
    ids: &["msg_vrtx_", "toolu_vrtx_"],
    fields: &["trafficType"],
    request_id: None,
    region: None,
    may_show: MayShow::Also(&["anthropic"]),
};
