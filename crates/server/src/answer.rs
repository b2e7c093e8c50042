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
    let mut response = response(Outgoing::whole(body.into()));
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
    let mut response = response(Outgoing::whole(relayed.body));
    *response.status_mut() = relayed.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fault_headers(headers, fault);
    own_headers(headers, head);
    response
}

/// A response with room for the headers that an answer of a call has.
pub(crate) fn response(body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response
}

/// Headers of a usual answer, `date` and `content-length` among them.
const HEADERS: usize = 14;

fn fault_headers(headers: &mut HeaderMap, fault: &Fault) {
    put(headers, &CODE, fault.code.name());
    if let Some(wait) = fault.retry_after {
        put(headers, &header::RETRY_AFTER, &wait.as_millis().div_ceil(1_000).to_string());
    }
}

// Names of ours as headers, read once and not at every answer.
static CALL_ID: HeaderName = HeaderName::from_static(ours::CALL_ID);
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static CODE: HeaderName = HeaderName::from_static(ours::CODE);
static DECISION: HeaderName = HeaderName::from_static(ours::DECISION);
static DEPLOYMENT: HeaderName = HeaderName::from_static(ours::DEPLOYMENT);
static ATTEMPTS: HeaderName = HeaderName::from_static(ours::ATTEMPTS);
static WHY: HeaderName = HeaderName::from_static(ours::WHY);
static WARNING: HeaderName = HeaderName::from_static(ours::WARNING);
static WAIVED: HeaderName = HeaderName::from_static(ours::WAIVED);
static CLASS: HeaderName = HeaderName::from_static(ours::CLASS);
static CONVERSATION: HeaderName = HeaderName::from_static(ours::CONVERSATION);
static TRANSLATION_LOSS: HeaderName = HeaderName::from_static(ours::TRANSLATION_LOSS);
static COST: HeaderName = HeaderName::from_static(ours::COST);
static SERVED_BY: HeaderName = HeaderName::from_static(ours::SERVED_BY);

/// The headers that every answer of a call has.
pub(crate) fn own_headers(headers: &mut HeaderMap, head: &Head) {
    call_headers(headers, head.call);
    if let Some(decision) = head.decision {
        put(headers, &DECISION, decision.text().as_str());
    }
    if let Some(deployment) = &head.deployment {
        put(headers, &DEPLOYMENT, deployment.as_str());
    }
    for (name, value) in [
        (&ATTEMPTS, &head.attempts),
        (&WHY, &head.why),
        (&WARNING, &head.warning),
        (&WAIVED, &head.waived),
        (&CLASS, &head.class),
        (&CONVERSATION, &head.conversation),
    ] {
        if !value.is_empty() {
            put(headers, name, value);
        }
    }
    if !head.losses.is_empty() {
        put(headers, &TRANSLATION_LOSS, &head.losses.to_string());
    }
    if let Some(cost) = &head.cost {
        put(headers, &COST, cost);
    }
    if let Some(served_by) = head.served_by {
        headers.insert(SERVED_BY.clone(), HeaderValue::from_static(served_by.name()));
    }
}

/// The id of the call, under our name and under the one that OpenAI's clients read.
fn call_headers(headers: &mut HeaderMap, call: CallId) {
    let Ok(id) = HeaderValue::from_str(call.text().as_str()) else { return };
    headers.insert(CALL_ID.clone(), id.clone());
    headers.insert(REQUEST_ID.clone(), id);
}

/// Sets a header; characters that a header cannot hold become `?`.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).or_else(|_| {
        let visible: String =
            value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        HeaderValue::from_str(&visible)
    });
    if let Ok(value) = value {
        headers.insert(name.clone(), value);
    }
}
