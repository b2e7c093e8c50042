//! `POST /v1/chat/completions`: OpenAI Chat Completions for every deployment.

use super::openai::{self, DIALECT, JSON, SSE};
use crate::{body::Outgoing, listener::ServerSettings};
use dialects::ReplyContext;
use domain::CallId;
use engine::{ActiveCall, AnswerBody, Caller, Engine, WholeReply};
use http::{Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;

/// Answers one call.
pub(super) async fn answer(
    engine: Arc<Engine>,
    settings: ServerSettings,
    caller: Caller,
    call: CallId,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let scanned = openai::read(&engine, settings, &caller, call, request, ActiveCall::openai_chat).await;
    let (active, buffered) = match scanned {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let requested = active.model().to_owned();
    let include_usage = active.include_usage();
    match engine.infer(&caller, active).await {
        Err(refused) => openai::refused(call, refused),
        Ok(mut reply) => {
            // Bytes that pass through have their own.
            let id = match &reply.body {
                AnswerBody::Whole(WholeReply::Bytes(_)) => String::new(),
                AnswerBody::Stream(stream) if !stream.yields_events() => String::new(),
                _ => format!("chatcmpl-{:032x}", call.bits()),
            };
            let context =
                ReplyContext { id: &id, model: Some(&requested), created: reply.created, include_usage };
            let (body, content_type) = match reply.body {
                AnswerBody::Whole(WholeReply::Bytes(bytes)) => (Outgoing::whole(bytes), JSON),
                AnswerBody::Whole(WholeReply::Reply(whole)) => {
                    let encoded = dialects::codec(DIALECT).encode_reply(&whole, &context);
                    reply.head.losses.extend(&encoded.losses);
                    (Outgoing::whole(encoded.body.into()), JSON)
                }
                AnswerBody::Stream(stream) => {
                    let encoder =
                        stream.yields_events().then(|| dialects::codec(DIALECT).stream_encoder(&context));
                    (Outgoing::stream(stream, encoder, buffered, settings.keep_alive), SSE)
                }
            };
            openai::answered(body, content_type, &reply.head)
        }
    }
}
