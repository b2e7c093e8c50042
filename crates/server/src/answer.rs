//! What goes back to the caller: the gateway's own headers, and faults as error bodies.

use crate::body::Outgoing;
use domain::{CallId, Dialect, Fault, product::header as ours};
use engine::{Head, Relayed};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// A fault as a whole answer in the caller's dialect.
pub(crate) fn fault(
    dialect: Dialect,
    call: CallId,
    fault: &Fault,
    head: Option<&Head>,
) -> Response<Outgoing> {
    let body = dialects::codec(dialect).encode_error(fault);
    let mut response = Response::new(Outgoing::whole(body.into()));
    *response.status_mut() =
        StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fault_headers(headers, fault);
    match head {
        Some(head) => own_headers(headers, head),
        None => call_headers(headers, call),
    }
    response
}

/// An upstream's own error, handed on as it came: its caller speaks its dialect and the error tells of the request.
pub(crate) fn relayed(relayed: Relayed, fault: &Fault, head: &Head) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(relayed.body));
    *response.status_mut() = relayed.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fault_headers(headers, fault);
    own_headers(headers, head);
    response
}

fn fault_headers(headers: &mut HeaderMap, fault: &Fault) {
    put(headers, ours::CODE, fault.code.name());
    if let Some(wait) = fault.retry_after {
        put(headers, header::RETRY_AFTER.as_str(), &wait.as_millis().div_ceil(1_000).to_string());
    }
}

/// The headers that every answer of a call has.
pub(crate) fn own_headers(headers: &mut HeaderMap, head: &Head) {
    call_headers(headers, head.call);
    if let Some(decision) = head.decision {
        put(headers, ours::DECISION, &decision.to_string());
    }
    if let Some(deployment) = &head.deployment {
        put(headers, ours::DEPLOYMENT, deployment.as_str());
    }
    for (name, value) in [
        (ours::ATTEMPTS, &head.attempts),
        (ours::WHY, &head.why),
        (ours::WARNING, &head.warning),
        (ours::WAIVED, &head.waived),
        (ours::CLASS, &head.class),
        (ours::CONVERSATION, &head.conversation),
    ] {
        if !value.is_empty() {
            put(headers, name, value);
        }
    }
    if !head.losses.is_empty() {
        put(headers, ours::TRANSLATION_LOSS, &head.losses.to_string());
    }
    if let Some(cost) = &head.cost {
        put(headers, ours::COST, cost);
    }
    if let Some(served_by) = head.served_by {
        put(headers, ours::SERVED_BY, served_by.name());
    }
}

/// The id of the call, under our name and under the one that OpenAI's clients read.
fn call_headers(headers: &mut HeaderMap, call: CallId) {
    let id = call.to_string();
    put(headers, ours::CALL_ID, &id);
    put(headers, "x-request-id", &id);
}

/// Sets a header; characters that a header cannot hold become `?`.
fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).or_else(|_| {
        let visible: String =
            value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        HeaderValue::from_str(&visible)
    });
    if let Ok(value) = value {
        headers.insert(HeaderName::from_static(name), value);
    }
}
