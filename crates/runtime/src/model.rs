//! The port to a model: one stateless call, answered whole or as it comes. In the gateway it is the engine; in
//! tests a script.

use crate::faults;
use dialects::openai_responses as wire;
use domain::{Call, Event, Fault, Reply, Sign, Signs};
use engine::{ActiveCall, AnswerBody, Caller, Engine, Head, Piece, Place, Refused, ReplyStream, Tailor};
use placement::{Classification, Surface};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Something that is answered later.
pub type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// A model, asked as one caller.
pub trait Model: Send + Sync {
    /// Asks. `tailor` fits the call to each place that is tried.
    fn infer(&self, call: Call, tailor: Arc<dyn Tailor>) -> Future<'_, Result<Answered, Box<Refused>>>;

    /// A head for an answer that no model gave.
    fn head(&self) -> Head;
}

/// An answer.
pub struct Answered {
    /// What is told of the call.
    pub head: Head,
    /// Where it ran.
    pub place: Place,
    /// What it says.
    pub body: AnsweredBody,
}

/// The body of an answer.
pub enum AnsweredBody {
    /// Complete.
    Whole(Box<Reply>),
    /// As it comes.
    Events(Box<dyn Events>),
}

/// An answer as it comes. Dropped, the upstream is left.
pub trait Events: Send {
    /// The next events; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<Event>>>;
}

/// The engine as a model, for one caller.
pub struct EngineModel {
    engine: Arc<Engine>,
    caller: Caller,
}

impl EngineModel {
    /// For this caller.
    #[must_use]
    pub const fn new(engine: Arc<Engine>, caller: Caller) -> Self {
        Self { engine, caller }
    }
}

impl Model for EngineModel {
    fn infer(&self, call: Call, tailor: Arc<dyn Tailor>) -> Future<'_, Result<Answered, Box<Refused>>> {
        Box::pin(async move {
            let id = self.engine.new_call_id();
            // Nobody but us keeps anything: what reaches the provider is whole in itself, so terms judge it as a
            // stateless call; where its conversation lies is told.
            let kept_here = Classification::by(Signs::NONE.with(Sign::GatewayState, true));
            let call = ActiveCall::items(id, call, Surface::OpenAiResponses, kept_here).tailored(tailor);
            let served = self.engine.infer(&self.caller, call).await.map_err(Box::new)?;
            let body = match served.body {
                AnswerBody::Stream(stream) => AnsweredBody::Events(Box::new(Streamed(stream))),
                AnswerBody::Whole(engine::WholeReply::Reply(reply)) => AnsweredBody::Whole(reply),
                AnswerBody::Whole(engine::WholeReply::Bytes(bytes)) => {
                    let codec = dialects::codec(served.place.dialect);
                    let reply = codec.decode_reply(&bytes).map_err(|fault| {
                        Box::new(Refused { fault, head: served.head.clone(), relayed: None })
                    })?;
                    AnsweredBody::Whole(Box::new(reply))
                }
            };
            Ok(Answered { head: served.head, place: served.place, body })
        })
    }

    fn head(&self) -> Head {
        Head::of(self.engine.new_call_id())
    }
}

struct Streamed(Box<ReplyStream>);

impl Events for Streamed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        self.0.poll_next(cx).map(|piece| {
            piece.map(|piece| match piece {
                Piece::Events(events) => {
                    // Nearly so many bytes go on to the caller.
                    self.0.released(events.iter().map(weight).sum());
                    events
                }
                Piece::Bytes(_) => vec![Event::Failed(faults::internal("a turn was passed through unread"))],
            })
        })
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::Delta { delta: domain::Delta::Text(text) | domain::Delta::Arguments(text), .. } => text.len(),
        _ => 0,
    }
}

/// A fault with the head of a call that no model was asked for.
pub(crate) fn refused(model: &dyn Model, fault: Fault) -> Box<Refused> {
    Box::new(Refused { fault, head: model.head(), relayed: None })
}

/// A response's failure as the API says it.
pub(crate) fn failure(fault: &Fault) -> wire::Failure {
    wire::failure(fault)
}
