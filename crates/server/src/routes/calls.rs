//! `GET /cabotage/v1/calls/{id}`: what is known only at a call's end: tokens, cost, losses, who served it.

use crate::{answer, body::Outgoing};
use domain::{CallId, Code, Dialect, Fault, record::Outcome};
use engine::{Caller, Engine};
use http::Response;
use serde_json::json;

/// One call of the caller's own workload. Foreign, unknown and forgotten ids are the same 404.
pub(super) fn answer(engine: &Engine, caller: &Caller, call: CallId, id: &str) -> Response<Outgoing> {
    let outcomes = id.parse::<CallId>().map(|id| engine.outcomes(caller, id)).unwrap_or_default();
    if outcomes.is_empty() {
        let fault = Fault::caller(
            Code::RouteNotFound,
            "no call of yours with this id is in memory; `cabotage ledger show --call` reads the journal",
        );
        return answer::fault(Dialect::OpenAiChat, call, &fault, None);
    }
    let attempts: Vec<_> = outcomes
        .iter()
        .map(|record| {
            let (outcome, code) = match record.outcome {
                Outcome::Done => ("done", None),
                Outcome::Failed(code) => ("failed", Some(code.name())),
                Outcome::Cut(code) => ("cut", Some(code.name())),
                Outcome::CallerLeft => ("caller_left", None),
                Outcome::Unknown => ("unknown", None),
            };
            json!({
                "attempt": record.attempt,
                "last": record.last,
                "outcome": outcome,
                "code": code,
                "upstream_status": record.upstream_status,
                "usage": {
                    "uncached_in": record.usage.uncached_in,
                    "cache_read": record.usage.cache_read,
                    "cache_write": record.usage.cache_write + record.usage.cache_write_1h,
                    "out_visible": record.usage.out_visible,
                    "out_reasoning": record.usage.out_reasoning,
                    "source": record.usage.source.name(),
                },
                "cost_usd": record.cost.map(|cost| cost.to_string()),
                "cost_basis": record.cost_basis.name(),
                "finish": record.finish,
                "served_by": record.served_by.name(),
                "upstream_request_id": record.upstream_request_id,
                "translation_loss": record.losses,
                "first_content_us": record.first_content_us,
                "total_us": record.total_us,
            })
        })
        .collect();
    super::json(&json!({"id": id, "attempts": attempts}))
}
