//! `POST /v1/chat/completions`: OpenAI Chat Completions for every deployment.

use crate::{answer, body, body::Outgoing, listener::ServerSettings};
use dialects::ReplyContext;
use domain::{CallId, Code, Dialect, Fault};
use engine::{ActiveCall, AnswerBody, Caller, Engine, WholeReply};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use std::sync::Arc;

const DIALECT: Dialect = Dialect::OpenAiChat;

/// Answers one call.
pub(super) async fn answer(
    engine: Arc<Engine>,
    settings: ServerSettings,
    caller: Caller,
    call: CallId,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let (parts, incoming) = request.into_parts();
    if let Err(fault) = check_headers(&parts.headers) {
        return answer::fault(DIALECT, call, &fault, None);
    }
    let received = match body::receive(&engine, incoming, settings.max_body, settings.body_timeout).await {
        Ok(received) => received,
        Err(fault) => return answer::fault(DIALECT, call, &fault, None),
    };
    let active = match ActiveCall::openai_chat(call, received.bytes) {
        Ok(active) => active,
        Err(fault) => {
            engine.refuse(&caller, call, &fault);
            return answer::fault(DIALECT, call, &fault, None);
        }
    };
    let requested = active.model().to_owned();
    let include_usage = active.include_usage();
    match engine.infer(&caller, active).await {
        Err(refused) => match refused.relayed {
            Some(relayed) => answer::relayed(relayed, &refused.fault, &refused.head),
            None => answer::fault(DIALECT, call, &refused.fault, Some(&refused.head)),
        },
        Ok(mut reply) => {
            let id = format!("chatcmpl-{:032x}", call.bits());
            let context =
                ReplyContext { id: &id, model: Some(&requested), created: reply.created, include_usage };
            let (body, content_type) = match reply.body {
                AnswerBody::Whole(WholeReply::Bytes(bytes)) => (Outgoing::whole(bytes), "application/json"),
                AnswerBody::Whole(WholeReply::Reply(whole)) => {
                    let encoded = dialects::codec(DIALECT).encode_reply(&whole, &context);
                    reply.head.losses.extend(&encoded.losses);
                    (Outgoing::whole(encoded.body.into()), "application/json")
                }
                AnswerBody::Stream(stream) => {
                    let encoder =
                        stream.yields_events().then(|| dialects::codec(DIALECT).stream_encoder(&context));
                    (Outgoing::stream(stream, encoder, received.buffered), "text/event-stream; charset=utf-8")
                }
            };
            let mut response = Response::new(body);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            answer::own_headers(headers, &reply.head);
            response
        }
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
