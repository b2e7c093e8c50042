//! What the routes of OpenAI's APIs share: reading a call, and refusing one.

use crate::{answer, body, body::Outgoing, listener::ServerSettings};
use bytes::Bytes;
use domain::{AgentMarks, CallId, Code, Dialect, Fault};
use engine::{ActiveCall, Buffered, Caller, Engine, Head, Refused};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use hyper::body::Incoming;

/// The dialect of their errors.
pub(super) const DIALECT: Dialect = Dialect::OpenAiChat;

/// The call in a request, and the bytes that it holds of the common bound; or the answer that refuses it.
pub(super) async fn read(
    engine: &Engine,
    settings: ServerSettings,
    caller: &Caller,
    call: CallId,
    request: Request<Incoming>,
    scan: fn(CallId, Bytes) -> Result<ActiveCall, Fault>,
) -> Result<(ActiveCall, Buffered), Box<Response<Outgoing>>> {
    let read = received(engine, settings, caller, call, request, |bytes| scan(call, bytes)).await?;
    Ok((read.asked.from_agent(read.agent), read.buffered))
}

/// What was read of a request.
pub(super) struct Read<T> {
    /// What its body asks.
    pub(super) asked: T,
    /// What its headers tell of an agent.
    pub(super) agent: AgentMarks,
    /// The bytes that it holds of the common bound.
    pub(super) buffered: Buffered,
}

/// The body of a request, read within its bounds and scanned; or the answer that refuses it.
pub(super) async fn received<T>(
    engine: &Engine,
    settings: ServerSettings,
    caller: &Caller,
    call: CallId,
    request: Request<Incoming>,
    scan: impl FnOnce(Bytes) -> Result<T, Fault>,
) -> Result<Read<T>, Box<Response<Outgoing>>> {
    let (parts, incoming) = request.into_parts();
    let refuse = |fault: &Fault| Box::new(answer::fault(DIALECT, call, fault, None));
    check_headers(&parts.headers).map_err(|fault| refuse(&fault))?;
    let received = body::receive(engine, incoming, settings.max_body, settings.body_timeout)
        .await
        .map_err(|fault| refuse(&fault))?;
    let asked = scan(received.bytes).map_err(|fault| {
        engine.refuse(caller, call, &fault);
        refuse(&fault)
    })?;
    let mut agent = AgentMarks::default();
    parts.headers.iter().for_each(|(name, value)| agent.see(name.as_str(), value.as_bytes()));
    Ok(Read { asked, agent, buffered: received.buffered })
}

/// The type of a whole answer.
pub(super) const JSON: &str = "application/json";
/// The type of a streamed one.
pub(super) const SSE: &str = "text/event-stream; charset=utf-8";

/// An answer with the headers that every answer of a call has.
pub(super) fn answered(body: Outgoing, content_type: &'static str, head: &Head) -> Response<Outgoing> {
    let mut response = answer::response(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer::own_headers(headers, head);
    response
}

/// A call that got no answer.
pub(super) fn refused(call: CallId, refused: Refused) -> Response<Outgoing> {
    match refused.relayed {
        Some(relayed) => answer::relayed(relayed, &refused.fault, &refused.head),
        None => answer::fault(DIALECT, call, &refused.fault, Some(&refused.head)),
    }
}

/// A body that we would have to guess at is refused before it is read: what was checked is what is sent.
fn check_headers(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Fault::caller(
            Code::UnsupportedMediaType,
            "request bodies with a content-encoding are not read; send the JSON uncompressed",
        ));
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") || kind.is_empty() {
        Ok(())
    } else {
        Err(Fault::caller(
            Code::UnsupportedMediaType,
            "the body must be JSON: send the header `content-type: application/json` (curl: -H 'content-type: application/json')",
        ))
    }
}
