//! `POST /v1/responses`: OpenAI Responses for every deployment. A call that nobody keeps anything for goes straight
//! to the engine; what keeps state needs the stateful side.

use super::{
    Asked,
    openai::{self, JSON, Read, SSE},
};
use crate::{StateSide, body::Outgoing};
use bytes::Bytes;
use dialects::{
    StreamEncoder,
    openai_responses::{self as responses, DONE, Decoded, Head, ResponseStream, WireEvent},
};
use domain::{AgentMarks, CallId, Event, Losses, Raw};
use engine::{ActiveCall, AnswerBody, Buffered, WholeReply};
use http::{Request, Response};
use hyper::body::Incoming;
use placement::{Surface, classify};
use runtime::{Created, TurnStream};
use std::time::Duration;

/// An estimate of tokens where no provider was asked to count: bytes of the request's texts by this.
const BYTES_PER_TOKEN: usize = 4;

/// Answers one call: with state where it asks for any, else straight through the engine.
pub(super) async fn answer(asked: Asked, request: Request<Incoming>) -> Response<Outgoing> {
    let Asked { engine, state, settings, caller, call } = &asked;
    let read = openai::received(engine, *settings, caller, *call, request, |body| responses::decode(&body));
    let Read { asked: decoded, agent, buffered } = match read.await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    // What only a keeper of state can do, and what is merely kept unless the caller says no, are two things.
    let needs = decoded.ask.refuse(&decoded.call);
    if needs.is_err() || decoded.ask.stores() {
        let client = match state {
            Some(state) => Some((state, state.client(engine, caller.clone()).await)),
            None => None,
        };
        match (client, needs) {
            (Some((state, Ok(client))), _) => {
                return kept(state, client, *call, decoded, buffered, settings.keep_alive).await;
            }
            (Some((_, Err(fault))), Err(_)) => return asked.refuse(&fault),
            (None, Err(fault)) => return asked.refuse(&fault),
            // There are stores and the terms permit none: said in so many words that is a refusal. Left to the
            // default, or without any store, not keeping it is a named loss.
            (Some((_, Err(fault))), Ok(())) if decoded.ask.store == Some(true) => {
                return asked.refuse(&fault);
            }
            (Some(_) | None, Ok(())) => {}
        }
    }
    unkept(&asked, decoded, agent, buffered).await
}

/// A turn that is kept.
async fn kept(
    state: &StateSide,
    client: runtime::Client,
    call: CallId,
    decoded: Decoded,
    buffered: Buffered,
    keep_alive: Duration,
) -> Response<Outgoing> {
    match state.runtime.create(client, decoded).await {
        Err(refused) => openai::refused(call, *refused),
        Ok(Created::Whole { head, body }) => {
            openai::answered(Outgoing::whole(body.text().to_owned().into()), JSON, &head)
        }
        Ok(Created::Stream { head, stream }) => {
            openai::answered(turn(stream, Some(buffered), keep_alive), SSE, &head)
        }
    }
}

/// The events of a turn as a body.
pub(super) fn turn(stream: TurnStream, buffered: Option<Buffered>, keep_alive: Duration) -> Outgoing {
    let pieces = futures_util::stream::unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        let mut out = Vec::with_capacity(256);
        let Some(events) = stream.next().await else {
            return Some((Bytes::from_static(DONE.as_bytes()), None));
        };
        for event in &events {
            event.write_sse(&mut out);
        }
        Some((Bytes::from(out), Some(stream)))
    });
    Outgoing::turn(pieces, buffered, keep_alive)
}

/// A call for which nobody keeps anything.
async fn unkept(
    asked: &Asked,
    decoded: Decoded,
    agent: AgentMarks,
    buffered: Buffered,
) -> Response<Outgoing> {
    let Decoded { call: mut inner, mut ask } = decoded;
    let lost = ask.stores();
    // The answer says what is true.
    if let Ok(no) = Raw::parse("false") {
        ask.echo.set("store", no);
    }
    let head = Head::new(format!("resp_{:032x}", asked.call.bits()), 0, inner.model.as_str(), &ask);
    // The API keeps an answer unless it is told not to; upstreams of this call are told so, and terms judge what they
    // are told.
    inner.options.store = Some(false);
    let classification = classify(&inner);
    inner.options.store = None;
    let active =
        ActiveCall::items(asked.call, inner, Surface::OpenAiResponses, classification).from_agent(agent);
    let mut reply = match asked.engine.infer(&asked.caller, active).await {
        Err(refused) => return openai::refused(asked.call, refused),
        Ok(reply) => reply,
    };
    if lost {
        reply.head.losses.add("store");
    }
    let head = Head { created_at: reply.created, completed_at: Some(reply.created), ..head };
    let (body, content_type) = match reply.body {
        AnswerBody::Whole(WholeReply::Bytes(bytes)) => (Outgoing::whole(bytes), JSON),
        AnswerBody::Whole(WholeReply::Reply(whole)) => {
            let encoded = responses::response(&whole, &head);
            reply.head.losses.extend(&encoded.losses);
            (Outgoing::whole(encoded.body.into()), JSON)
        }
        AnswerBody::Stream(stream) => {
            let encoder = Some(Box::new(Events::new(head)) as Box<dyn StreamEncoder>);
            (Outgoing::stream(stream, encoder, buffered, asked.settings.keep_alive), SSE)
        }
    };
    openai::answered(body, content_type, &reply.head)
}

/// `POST /v1/responses/input_tokens`: an estimate, since the places where the call may run count differently.
pub(super) async fn count(asked: Asked, request: Request<Incoming>) -> Response<Outgoing> {
    let Asked { engine, settings, caller, call, .. } = &asked;
    let read = openai::received(engine, *settings, caller, *call, request, |bytes| {
        responses::decode_count(&bytes).map(|_understood| bytes.len())
    });
    match read.await {
        Err(response) => *response,
        Ok(read) => {
            let tokens = u64::try_from(read.asked.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
            let body = Outgoing::whole(responses::input_tokens(tokens).into());
            openai::answered(body, JSON, &engine::Head::of(*call))
        }
    }
}

/// The events of one answer, written as the Responses API streams them.
struct Events {
    stream: ResponseStream,
    written: Vec<WireEvent>,
}

impl Events {
    fn new(head: Head) -> Self {
        Self { stream: ResponseStream::new(head), written: Vec::new() }
    }
}

impl StreamEncoder for Events {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.stream.push(event, &mut self.written);
        for event in self.written.drain(..) {
            event.write_sse(out);
        }
        if matches!(event, Event::Finished | Event::Failed(_)) {
            out.extend_from_slice(DONE.as_bytes());
        }
    }

    fn losses(&self) -> &Losses {
        self.stream.losses()
    }
}
