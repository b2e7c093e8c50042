//! A turn as it is said to its caller: events as they come, the last one after the commit.

use crate::{
    background::{Live, Progress, wire_event},
    model::Events,
    turn::{Said, Turning},
};
use dialects::openai_responses::{self as wire, WireEvent, failure};
use domain::{
    Code, Delta, Event, Fault, Item, ItemKind, Opened, PartKind, Reply,
    state::{RecordedEvent, Status},
};
use std::{future::poll_fn, sync::Arc};
use tokio::sync::watch;

/// A turn's events. Dropped, a turn in the foreground is cancelled and nothing of it is kept; one in the
/// background goes on.
pub struct TurnStream(Source);

enum Source {
    Here(Box<Here>),
    Live { live: Arc<Live>, progress: watch::Receiver<Progress>, next: usize, after: Option<u64> },
    Recorded(Vec<WireEvent>),
    Over,
}

/// A turn in the foreground.
struct Here {
    turning: Turning,
    stream: wire::ResponseStream,
    body: Box<dyn Events>,
    place: engine::Place,
    losses: String,
    said: Said,
    begun: bool,
}

impl TurnStream {
    pub(crate) fn here(
        turning: Turning,
        body: Box<dyn Events>,
        place: engine::Place,
        losses: String,
    ) -> Self {
        let stream = wire::ResponseStream::new(turning.head.clone());
        let said = Said::default();
        Self(Source::Here(Box::new(Here { turning, stream, body, place, losses, said, begun: false })))
    }

    pub(crate) fn live(live: Arc<Live>, next: usize) -> Self {
        let progress = live.progress();
        Self(Source::Live { live, progress, next, after: None })
    }

    pub(crate) fn live_after(live: Arc<Live>, after: Option<u64>) -> Self {
        let progress = live.progress();
        Self(Source::Live { live, progress, next: 0, after })
    }

    pub(crate) fn recorded(events: &[RecordedEvent]) -> Self {
        Self(Source::Recorded(events.iter().map(wire_event).collect()))
    }

    /// The next events, at least one; `None` at the end.
    pub async fn next(&mut self) -> Option<Vec<WireEvent>> {
        match &mut self.0 {
            Source::Over => None,
            Source::Recorded(events) => {
                let events = std::mem::take(events);
                self.0 = Source::Over;
                (!events.is_empty()).then_some(events)
            }
            Source::Live { live, progress, next, after } => loop {
                let now = *progress.borrow_and_update();
                if now.events > *next {
                    let mut events = live.events(*next);
                    *next += events.len();
                    if let Some(after) = after {
                        events.retain(|event| event.sequence > *after);
                    }
                    if !events.is_empty() {
                        return Some(events);
                    }
                    continue;
                }
                if now.over || progress.changed().await.is_err() {
                    let late = live.events(*next);
                    *next += late.len();
                    self.0 = Source::Over;
                    return (!late.is_empty()).then_some(late);
                }
            },
            Source::Here(here) => match here.next().await {
                Some((events, over)) => {
                    if over {
                        self.0 = Source::Over;
                    }
                    Some(events)
                }
                None => {
                    self.0 = Source::Over;
                    None
                }
            },
        }
    }
}

impl Here {
    /// The next events, and whether they are the last.
    async fn next(&mut self) -> Option<(Vec<WireEvent>, bool)> {
        if !std::mem::replace(&mut self.begun, true) {
            let mut events = Vec::new();
            self.stream.begin(&mut events);
            if !events.is_empty() {
                return Some((events, false));
            }
        }
        loop {
            let batch = poll_fn(|cx| self.body.poll_next(cx)).await;
            let Some(batch) = batch else {
                let message = "the provider's answer ended before its end";
                return Some((self.broken(&Fault::upstream(Code::UpstreamBadResponse, message)), true));
            };
            for event in &batch {
                if let Event::Failed(fault) = event {
                    let mut events = self.said.released();
                    events.extend(self.broken(fault));
                    return Some((events, true));
                }
                self.said.take(event, &mut self.stream, self.turning.runtime.now_s());
            }
            if self.said.finished() {
                return Some((self.finish().await, true));
            }
            let events = self.said.released();
            if !events.is_empty() {
                return Some((events, false));
            }
        }
    }

    fn broken(&mut self, fault: &Fault) -> Vec<WireEvent> {
        let mut events = Vec::new();
        self.stream.fail(fault, &mut events);
        events
    }

    /// Commits, then releases the last events.
    async fn finish(&mut self) -> Vec<WireEvent> {
        let object = self.stream.response();
        let mut events = self.said.released();
        let kept = self.turning.keep(&object, &self.said, Some(&self.place), &self.losses, false).await;
        match kept {
            Ok(()) => events.append(&mut self.said.events),
            Err(fault) => {
                let number = self.said.events.first().map_or(0, |event| event.sequence);
                events.push(error_event(&fault, number));
            }
        }
        events
    }
}

/// The API's `error` event, for a turn whose end could not be kept.
pub(crate) fn error_event(fault: &Fault, sequence: u64) -> WireEvent {
    let said = failure(fault);
    let data = serde_json::json!({
        "type": "error",
        "sequence_number": sequence,
        "code": fault.code.name(),
        "message": said.message,
        "param": said.param,
    });
    WireEvent { sequence, name: "error".into(), data: data.to_string() }
}

/// A whole answer as the events that make it.
pub(crate) fn events_of(reply: &Reply) -> Vec<Event> {
    let mut events =
        vec![Event::Started { id: reply.id.clone(), model: reply.model.clone(), created: reply.created }];
    if !reply.bag.is_empty() {
        events.push(Event::Extra { candidate: None, bag: reply.bag.clone() });
    }
    if let Some(candidate) = reply.candidates.first() {
        for (index, item) in (0_u32..).zip(&candidate.items) {
            let opened = opening(item);
            events.push(Event::Opened { candidate: 0, item: index, opened });
            for delta in deltas(item) {
                events.push(Event::Delta { candidate: 0, item: index, delta });
            }
            let whole = Delta::Settled { item: Box::new(item.clone()), done: true };
            events.push(Event::Delta { candidate: 0, item: index, delta: whole });
            events.push(Event::Closed { candidate: 0, item: index });
        }
        if let Some(value) = &candidate.logprobs {
            events.push(Event::Logprobs { candidate: 0, value: value.clone() });
        }
    }
    if let Some(usage) = reply.usage {
        events.push(Event::Usage(usage));
    }
    if let Some(tier) = &reply.service_tier {
        events.push(Event::ServiceTier(tier.clone()));
    }
    if let Some(finish) = reply.candidates.first().and_then(|candidate| candidate.finish.clone()) {
        events.push(Event::CandidateFinished { candidate: 0, finish });
    }
    events.push(Event::Finished);
    events
}

fn opening(item: &Item) -> Opened {
    match &item.kind {
        ItemKind::Message(_) | ItemKind::ToolResult(_) => Opened::Message,
        ItemKind::Reasoning(_) => Opened::Reasoning,
        ItemKind::ToolCall(call) => {
            Opened::ToolCall { id: call.id.as_str().into(), name: call.name.as_str().into() }
        }
        ItemKind::Foreign { what } => Opened::Foreign(what.clone()),
    }
}

fn deltas(item: &Item) -> Vec<Delta> {
    match &item.kind {
        ItemKind::Message(said) => said
            .parts
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Text { text, .. } => Some(Delta::Text(text.clone())),
                PartKind::Refusal(text) => Some(Delta::Refusal(text.clone())),
                _ => None,
            })
            .collect(),
        ItemKind::Reasoning(thought) if !thought.text.is_empty() => {
            vec![Delta::Reasoning(thought.text.clone())]
        }
        ItemKind::ToolCall(call) => vec![Delta::Arguments(call.arguments.clone())],
        _ => Vec::new(),
    }
}

/// The status in a response object.
pub(crate) fn status_of(word: &str) -> Status {
    Status::by_name(word).unwrap_or(Status::Failed)
}
