//! A streamed answer on its way from the upstream to the caller.
//!
//! It owns the attempt's [`Settlement`]: at the answer's end the terminal is in the journal before the last
//! piece is handed out; a drop before that is the caller's leaving. Reading is by polling, in the caller's own
//! task: no buffer grows, a slow caller slows the upstream, and dropping closes the upstream's connection.

use crate::{
    alarm::Alarm,
    deployment::Deployment,
    settle::{Health, Settlement},
    shared::Shared,
    upstream::AnswerBody,
};
use bytes::Bytes;
use dialects::{
    StreamDecoder,
    openai_chat::{
        self,
        passthrough::{End, StreamTee},
    },
};
use domain::{Code, Event, Fault, record::ServedBy};
use providers::BodyMarks;
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::OwnedSemaphorePermit;

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Bytes to hand on as they are.
    Bytes(Bytes),
    /// Events to be written in the caller's dialect.
    Events(Vec<Event>),
}

/// How the upstream's bytes are read.
pub(crate) enum Road {
    /// Same dialect: forwarded as they are, read for usage and end.
    Tee(Box<StreamTee>),
    /// Another dialect: read to events.
    Events(Box<dyn StreamDecoder>),
}

/// A streamed answer.
pub struct ReplyStream {
    shared: Arc<Shared>,
    deployment: Arc<Deployment>,
    body: Option<AnswerBody>,
    road: Road,
    settlement: Option<Settlement>,
    ready: VecDeque<Piece>,
    events: Vec<Event>,
    forward: Vec<Bytes>,
    frames: u64,
    content: bool,
    started: Duration,
    last_content: Duration,
    last_bytes: Duration,
    last_released: Duration,
    alarm: Alarm,
    failed: Option<Fault>,
    handed_out: bool,
    _place: OwnedSemaphorePermit,
}

/// What a stream is made of.
pub(crate) struct Opening {
    pub(crate) shared: Arc<Shared>,
    pub(crate) body: AnswerBody,
    pub(crate) road: Road,
    pub(crate) settlement: Settlement,
    pub(crate) started: Duration,
    pub(crate) place: OwnedSemaphorePermit,
}

/// An upstream that has sent its end mark gets this long to end the body, so that its connection can be kept.
const CLOSING: Duration = Duration::from_millis(500);

/// How a stream began.
pub(crate) enum Beginning {
    /// Content is there, or the wait for it is over: hand the stream out.
    Content,
    /// It failed before any content: another candidate may take over.
    Failed(Fault),
}

impl ReplyStream {
    pub(crate) fn open(opening: Opening) -> Self {
        let Opening { shared, body, road, settlement, started, place } = opening;
        let deployment = Arc::clone(settlement.deployment());
        let alarm = Alarm::after(deployment.timeouts.first_content);
        Self {
            shared,
            deployment,
            body: Some(body),
            road,
            settlement: Some(settlement),
            ready: VecDeque::new(),
            events: Vec::new(),
            forward: Vec::new(),
            frames: 0,
            content: false,
            started,
            last_content: started,
            last_bytes: started,
            last_released: started,
            alarm,
            failed: None,
            handed_out: false,
            _place: place,
        }
    }

    /// True where the pieces are events that must be written in the caller's dialect.
    #[must_use]
    pub const fn yields_events(&self) -> bool {
        matches!(self.road, Road::Events(_))
    }

    /// Bytes went to the caller.
    pub fn released(&mut self, bytes: usize) {
        self.last_released = self.last_bytes;
        if let Some(settlement) = &mut self.settlement {
            settlement.released(bytes);
        }
    }

    /// Reads until the first content, a failure, or the end of `patience`. Nothing has been released by then, so
    /// a failure can still be answered by another candidate.
    pub(crate) async fn begin(&mut self, patience: Duration) -> Beginning {
        let held = poll_fn(|cx| {
            loop {
                if self.content || self.body.is_none() {
                    return Poll::Ready(());
                }
                if self.poll_upstream(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        });
        // The end of the patience is no fault: the caller gets its headers and keep-alive comments.
        let _ = tokio::time::timeout(patience, held).await;
        match self.failed.take() {
            Some(fault) => Beginning::Failed(fault),
            None => {
                self.handed_out = true;
                Beginning::Content
            }
        }
    }

    /// Gives the open end back, for a stream that failed before any content.
    pub(crate) fn take_settlement(&mut self) -> Option<Settlement> {
        self.settlement.take()
    }

    /// The settlement, while the answer is under way.
    pub(crate) const fn settlement(&mut self) -> Option<&mut Settlement> {
        self.settlement.as_mut()
    }

    /// The next piece; `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(piece));
            }
            if self.body.is_none() {
                return Poll::Ready(None);
            }
            if self.poll_upstream(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Reads once from the upstream. `Ready` means that something has changed.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        let clock = &self.shared.clock;
        match body.poll_next(cx, || clock.monotonic()) {
            Poll::Ready(Ok(Some(bytes))) => self.take(&bytes),
            Poll::Ready(Ok(None)) => self.end(),
            Poll::Ready(Err(fault)) => self.fail(fault),
            Poll::Pending => return self.poll_alarm(cx),
        }
        Poll::Ready(())
    }

    /// How long nothing has come of which the caller was told.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.shared.clock.monotonic().saturating_sub(self.last_released)
    }

    /// One alarm for all bounds on time: it rings at the nearest, and is set anew where content came meanwhile.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.alarm.poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.settlement.is_none() {
            // The answer is complete and booked; the upstream forgot to close.
            self.body = None;
            return Poll::Ready(());
        }
        let now = self.shared.clock.monotonic();
        let timeouts = &self.deployment.timeouts;
        let idle = if self.content { timeouts.idle_content } else { timeouts.first_content };
        let until = (self.last_content + idle).min(self.started + timeouts.total);
        if now >= until {
            let message = if self.content {
                "the provider stopped sending in the middle of its answer"
            } else {
                "the provider sent no content in time"
            };
            self.fail(Fault::upstream(Code::UpstreamTimeout, message));
            return Poll::Ready(());
        }
        self.alarm.set_after(until - now);
        // Polled once more so that the new time wakes this task.
        self.alarm.poll(cx)
    }

    /// Bytes came.
    fn take(&mut self, bytes: &Bytes) {
        let now = self.shared.clock.monotonic();
        self.last_bytes = now;
        if let Some(settlement) = &mut self.settlement
            && !self.content
            && settlement.evidence() != ServedBy::Simulated
        {
            let evidence =
                self.deployment.endpoint.evidence(&http::HeaderMap::new(), BodyMarks { id: None, bytes });
            if matches!(evidence.verdict, ServedBy::Confirmed | ServedBy::Contradicted) {
                settlement.served_by(evidence.verdict);
            }
        }
        let result = match &mut self.road {
            Road::Tee(tee) => {
                let result = tee.push(bytes, &mut self.forward);
                self.ready.extend(self.forward.drain(..).map(Piece::Bytes));
                result
            }
            Road::Events(decoder) => decoder.push(bytes, &mut self.events),
        };
        self.note_progress(now);
        match result {
            Ok(()) => self.hand_out(),
            Err(fault) => {
                // What was whole before the broken piece is the caller's.
                self.hand_out();
                self.fail(fault);
            }
        }
    }

    /// Was that content?
    fn note_progress(&mut self, now: Duration) {
        let content = match &self.road {
            Road::Tee(tee) => {
                let more = tee.frames() > self.frames;
                self.frames = tee.frames();
                more && tee.content_seen()
            }
            Road::Events(_) => self
                .events
                .iter()
                .any(|event| matches!(event, Event::Delta { delta, .. } if delta.is_content())),
        };
        if content {
            self.last_content = now;
            if !self.content {
                self.content = true;
                if let Some(settlement) = &mut self.settlement {
                    settlement.first_content();
                }
            }
        }
    }

    /// Books what the events or the tee say, and queues the pieces.
    fn hand_out(&mut self) {
        match &mut self.road {
            Road::Tee(tee) => {
                if let Some(fault) = tee.failure().cloned() {
                    self.fail(fault);
                } else if tee.is_done() {
                    self.complete();
                }
            }
            Road::Events(_) => {
                let events = std::mem::take(&mut self.events);
                let mut complete = false;
                let mut failed = None;
                for event in &events {
                    match event {
                        Event::Usage(usage) => {
                            if let Some(settlement) = &mut self.settlement {
                                settlement.usage = Some(*usage);
                            }
                        }
                        Event::ServiceTier(tier) => {
                            if let Some(settlement) = &mut self.settlement {
                                settlement.tier = Some(tier.clone());
                            }
                        }
                        Event::CandidateFinished { finish, .. } => {
                            if let Some(settlement) = &mut self.settlement {
                                settlement.finish(finish.class());
                            }
                        }
                        Event::Finished => complete = true,
                        Event::Failed(fault) => failed = Some(fault.clone()),
                        _ => {}
                    }
                }
                if let Some(fault) = failed {
                    let before: Vec<Event> =
                        events.into_iter().take_while(|event| !matches!(event, Event::Failed(_))).collect();
                    if !before.is_empty() {
                        self.ready.push_back(Piece::Events(before));
                    }
                    self.fail(fault);
                    return;
                }
                if complete {
                    self.complete();
                }
                if !events.is_empty() {
                    self.ready.push_back(Piece::Events(events));
                }
            }
        }
    }

    /// The upstream closed.
    fn end(&mut self) {
        let now = self.shared.clock.monotonic();
        let result = match &mut self.road {
            Road::Tee(tee) => {
                let end = tee.end(&mut self.forward);
                self.ready.extend(self.forward.drain(..).map(Piece::Bytes));
                match end {
                    End::Complete => Ok(()),
                    End::Broken(fault) => Err(fault),
                }
            }
            Road::Events(decoder) => decoder.end(&mut self.events),
        };
        self.note_progress(now);
        match result {
            Ok(()) => {
                self.hand_out();
                self.complete();
                self.body = None;
            }
            Err(fault) => {
                self.hand_out();
                self.fail(fault);
            }
        }
    }

    /// The answer is complete: its terminal is written before its last piece is handed out.
    fn complete(&mut self) {
        let Some(mut settlement) = self.settlement.take() else { return };
        if let Road::Tee(tee) = &self.road {
            book_tee(tee, &mut settlement);
        }
        settlement.done();
        self.alarm.set_after(CLOSING);
    }

    /// The answer broke off.
    fn fail(&mut self, fault: Fault) {
        self.body = None;
        if !self.handed_out && !self.content {
            // The engine decides whether another candidate takes over; nothing was released.
            self.failed.get_or_insert(fault);
            return;
        }
        let Some(mut settlement) = self.settlement.take() else { return };
        if let Road::Tee(tee) = &self.road {
            book_tee(tee, &mut settlement);
        }
        let health =
            if fault.counts_against_health { Health::Bad(fault.retry_after) } else { Health::Unknown };
        settlement.cut(fault.code, health);
        self.queue_failure(fault);
    }

    /// Tells the caller within the stream, in its dialect.
    pub(crate) fn queue_failure(&mut self, fault: Fault) {
        let piece = match &self.road {
            Road::Tee(_) => {
                let mut frame = Vec::with_capacity(256);
                openai_chat::stream_error_frame(&fault, &mut frame);
                Piece::Bytes(frame.into())
            }
            Road::Events(_) => Piece::Events(vec![Event::Failed(fault)]),
        };
        self.ready.push_back(piece);
    }
}

fn book_tee(tee: &StreamTee, settlement: &mut Settlement) {
    if let Some(usage) = tee.usage() {
        settlement.usage = Some(usage);
    }
    if let Some(tier) = tee.service_tier() {
        settlement.tier = Some(tier.into());
    }
    if let Some(finish) = tee.finish() {
        settlement.finish(finish.class());
    }
}
