//! `GET /v1/models`: what the caller's workload can ask for by name.

use crate::{answer, body::Outgoing};
use domain::{CallId, Code, Dialect, Fault};
use engine::{Caller, Engine};
use http::Response;
use serde_json::json;

/// The list, or one model.
pub(super) fn answer(engine: &Engine, caller: &Caller, call: CallId, model: &str) -> Response<Outgoing> {
    let object =
        |name: &str| json!({"id": name, "object": "model", "created": 0, "owned_by": domain::product::NAME});
    if model.is_empty() {
        let data: Vec<_> = engine.models(caller).iter().map(|name| object(name.as_str())).collect();
        return super::json(&json!({"object": "list", "data": data}));
    }
    if engine.models(caller).iter().any(|name| name.as_str() == model) {
        return super::json(&object(model));
    }
    let fault =
        Fault::caller(Code::ModelNotFound, "there is no such model; GET /v1/models lists those there are")
            .at("model");
    answer::fault(Dialect::OpenAiChat, call, &fault, None)
}
