//! Turns that go on while nobody waits: a bounded set of tasks, what they have said so far, and the way to stop
//! them.

use crate::{
    faults,
    keep::KeptResponse,
    model::{AnsweredBody, failure},
    settings::{Client, Runtime},
    stream::TurnStream,
    turn::{Created, Turning},
};
use dialects::openai_responses::{self as wire, WireEvent};
use domain::{
    Code, Event, Fault, Raw, ResponseId, RetryClass, Source, TenantId,
    state::{RecordedEvent, StateStore, Status},
};
use engine::Refused;
use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// A runner says that it is alive for so long, and says it again at a third of it.
const ALIVE: Duration = Duration::from_secs(60);
/// Events recorded in one step.
const GROUP: usize = 64;

/// The turns under way in this process.
#[derive(Debug)]
pub(crate) struct Running {
    places: Arc<Semaphore>,
    live: Mutex<HashMap<(TenantId, ResponseId), Arc<Live>>>,
}

impl Running {
    pub(crate) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), live: Mutex::default() }
    }

    pub(crate) fn of(&self, tenant: &TenantId, id: &ResponseId) -> Option<Arc<Live>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(&(tenant.clone(), id.clone())).cloned()
    }

    fn put(&self, tenant: &TenantId, id: &ResponseId, live: &Arc<Live>) {
        let mut all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((tenant.clone(), id.clone()), Arc::clone(live));
    }

    fn remove(&self, tenant: &TenantId, id: &ResponseId) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&(tenant.clone(), id.clone()));
    }
}

/// A turn under way.
#[derive(Debug)]
pub(crate) struct Live {
    log: Mutex<Log>,
    progress: watch::Sender<Progress>,
    cancel: watch::Sender<bool>,
}

#[derive(Debug)]
struct Log {
    events: Vec<WireEvent>,
    bytes: usize,
    object: Raw,
}

/// How far a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) events: usize,
    pub(crate) over: bool,
}

impl Live {
    fn new(object: Raw) -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::new(Log { events: Vec::new(), bytes: 0, object }),
            progress: watch::Sender::new(Progress { events: 0, over: false }),
            cancel: watch::Sender::new(false),
        })
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response object as it stands now.
    pub(crate) fn object(&self) -> Raw {
        self.log().object.clone()
    }

    /// The events from an index on.
    pub(crate) fn events(&self, from: usize) -> Vec<WireEvent> {
        self.log().events.get(from..).unwrap_or_default().to_vec()
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Asks it to stop.
    pub(crate) fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// Keeps events for whoever follows; above the bound they are let go and the object alone tells.
    fn say(&self, events: &[WireEvent], object: Option<Raw>, most: usize) {
        let mut log = self.log();
        if let Some(object) = object {
            log.object = object;
        }
        for event in events {
            if log.bytes <= most {
                log.bytes = log.bytes.saturating_add(event.data.len());
                log.events.push(event.clone());
            }
        }
        let events = log.events.len();
        drop(log);
        self.progress.send_replace(Progress { events, over: false });
    }

    fn end(&self) {
        self.progress.send_modify(|progress| progress.over = true);
    }
}

impl Runtime {
    /// Answers at once and works on.
    pub(crate) async fn start_background(
        self: &Arc<Self>,
        turning: Turning,
    ) -> Result<Created, Box<Refused>> {
        let refused = |fault: Fault| crate::model::refused(&*turning.client.model, fault);
        let Ok(place) = Arc::clone(&self.running.places).try_acquire_owned() else {
            let message = "as many background turns are under way as this gateway runs; try again shortly";
            let fault = Fault::new(Source::Gateway, RetryClass::Stop, Code::Overloaded, message);
            return Err(refused(fault.after(Some(Duration::from_secs(5)))));
        };
        let streamed = turning.call.stream.is_some();
        let mut events = Vec::new();
        let mut stream = wire::ResponseStream::new(turning.head.clone());
        stream.queue(&mut events);
        let object = wire::snapshot(&turning.head, Status::Queued, &[], None, None);
        // It is there before the caller knows its id.
        let until = self.now_us().saturating_add(micros(ALIVE));
        turning.begin(&object, streamed, until).await.map_err(refused)?;
        let head = turning.client.model.head();
        let (tenant, id) = (turning.client.tenant.clone(), turning.id.clone());
        let live = Live::new(object.clone());
        live.say(&events, None, self.settings.limits.event_bytes);
        self.running.put(&tenant, &id, &live);
        let runtime = Arc::clone(self);
        let for_task = Arc::clone(&live);
        let task = async move {
            let client = turning.client.clone();
            let alive = keep_alive(&runtime, &client, &id);
            let record = Recorder {
                runtime: &runtime,
                client: &client,
                id: id.clone(),
                live: &for_task,
                waiting: Vec::new(),
                streamed,
            };
            tokio::pin!(alive);
            let run = run(turning, stream, events, record);
            tokio::pin!(run);
            tokio::select! {
                () = &mut run => {}
                // Nobody wants it any more (deleted, or ended elsewhere).
                () = &mut alive => {}
            }
            for_task.end();
            runtime.running.remove(&tenant, &id);
            drop(place);
        };
        tokio::spawn(task);
        Ok(if streamed {
            Created::Stream { head, stream: TurnStream::live(live, 0) }
        } else {
            Created::Whole { head, body: object }
        })
    }

    /// Ends the background turns of runners that fell silent (a crash): they are `failed`, with the reason.
    pub(crate) async fn bury(&self, store: &Arc<dyn StateStore>) -> Result<u64, Fault> {
        let found = store.abandoned(self.now_us(), 64).await.map_err(|error| faults::of_store(&error))?;
        let mut buried = 0;
        for (tenant, record) in found {
            if self.running.of(&tenant, &record.id).is_some() {
                continue;
            }
            let message = "the gateway stopped while the response was under way; send the request again";
            let fault = Fault::new(Source::Gateway, RetryClass::Stop, Code::Internal, message);
            self.end_alone(store, &tenant, &record, Status::Failed, Some(&fault)).await?;
            buried += 1;
        }
        Ok(buried)
    }

    /// Ends a response that nobody here runs.
    pub(crate) async fn end_alone(
        &self,
        store: &Arc<dyn StateStore>,
        tenant: &TenantId,
        record: &domain::state::ResponseRecord,
        status: Status,
        fault: Option<&Fault>,
    ) -> Result<Raw, Fault> {
        let mut kept = KeptResponse::read(&record.body)?;
        let head = kept.head.take().ok_or_else(|| faults::internal("a running response has no head"))?;
        let to = if status == Status::Cancelled { status } else { Status::Failed };
        let failed = fault.map(failure);
        let object = wire::snapshot(&head, to, &[], None, failed.as_ref());
        kept.response = object.clone();
        let found = store.turn(tenant, &record.id).await.map_err(|error| faults::of_store(&error))?;
        let input = found.map(|found| found.input).unwrap_or_default();
        let turn = domain::state::Turn {
            owner: domain::state::Owner { tenant: tenant.clone(), subject: None },
            base: domain::state::Base::Fresh,
            response: domain::state::ResponseRecord {
                status,
                body: kept.write()?,
                runner_until_us: 0,
                ..record.clone()
            },
            input: input
                .into_iter()
                .map(|item| domain::state::NewItem {
                    id: item.id,
                    body: item.body,
                    opens_context: item.opens_context,
                })
                .collect(),
            output: Vec::new(),
        };
        store.commit(turn).await.map_err(|error| faults::of_store(&error))?;
        Ok(object)
    }
}

/// Says that the runner is alive; ends where nobody wants the response any more.
async fn keep_alive(runtime: &Runtime, client: &Client, id: &ResponseId) {
    loop {
        tokio::time::sleep(ALIVE / 3).await;
        let until = runtime.now_us().saturating_add(micros(ALIVE));
        if let Ok(false) = client.store.keep_alive(&client.tenant, id, until).await {
            return;
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Keeps what is said: for those who follow now, and for those who come later.
struct Recorder<'a> {
    runtime: &'a Runtime,
    client: &'a Client,
    id: ResponseId,
    live: &'a Arc<Live>,
    waiting: Vec<WireEvent>,
    streamed: bool,
}

impl Recorder<'_> {
    async fn say(&mut self, events: Vec<WireEvent>, object: Option<Raw>, flush: bool) {
        self.live.say(&events, object, self.runtime.settings.limits.event_bytes);
        self.record(events, flush).await;
    }

    async fn record(&mut self, events: Vec<WireEvent>, flush: bool) {
        if !self.streamed {
            return;
        }
        self.waiting.extend(events);
        if self.waiting.is_empty() || (self.waiting.len() < GROUP && !flush) {
            return;
        }
        let events = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|event| RecordedEvent { sequence: event.sequence, body: recorded(&event) })
            .collect();
        let kept = self.client.store.append_events(&self.client.tenant, &self.id, events).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "events of a stream could not be recorded; it cannot be resumed from there");
        }
    }
}

fn recorded(event: &WireEvent) -> Box<str> {
    format!("{} {}", event.name, event.data).into()
}

/// A recorded event as it went over the wire.
pub(crate) fn wire_event(event: &RecordedEvent) -> WireEvent {
    let (name, data) = event.body.split_once(' ').unwrap_or(("error", &event.body));
    WireEvent { sequence: event.sequence, name: name.into(), data: data.to_owned() }
}

/// Runs a turn to its end, or until it is cancelled.
async fn run(
    mut turning: Turning,
    mut stream: wire::ResponseStream,
    said: Vec<WireEvent>,
    mut recorder: Recorder<'_>,
) {
    let mut cancelled = recorder.live.cancel.subscribe();
    recorder.record(said, false).await;
    let mut events = Vec::new();
    stream.begin(&mut events);
    recorder.say(events, Some(stream.response()), true).await;
    let ended = tokio::select! {
        biased;
        _ = cancelled.wait_for(|cancelled| *cancelled) => Err(None),
        ended = drive(&mut turning, &mut stream, &mut recorder) => ended.map_err(Some),
    };
    let mut events = Vec::new();
    let kept = match ended {
        Ok(End { said, place, losses }) => {
            // The last events wait for the commit.
            let object = stream.response();
            let kept = turning.keep(&object, &said, Some(&place), &losses, recorder.streamed).await;
            events = said.events;
            kept
        }
        Err(None) => {
            stream.cancel(&mut events);
            let object = last_object(&events).unwrap_or_else(|| stream.response());
            turning.keep_without_answer(&object, Status::Cancelled, recorder.streamed).await
        }
        Err(Some(fault)) => {
            stream.fail(&fault, &mut events);
            let object = last_object(&events).unwrap_or_else(|| stream.response());
            turning.keep_without_answer(&object, Status::Failed, recorder.streamed).await
        }
    };
    let mut object = last_object(&events).unwrap_or_else(|| stream.response());
    if let Err(fault) = kept {
        let failed = failure(&fault);
        object = wire::snapshot(&turning.head, Status::Failed, &[], None, Some(&failed));
        events = vec![crate::stream::error_event(&fault, events.first().map_or(0, |event| event.sequence))];
        let _already_told = turning.keep_without_answer(&object, Status::Failed, recorder.streamed).await;
    }
    recorder.say(events, Some(object), true).await;
}

/// The response object in the last event that has one.
fn last_object(events: &[WireEvent]) -> Option<Raw> {
    #[derive(serde::Deserialize)]
    struct Holds {
        response: Raw,
    }
    events
        .iter()
        .rev()
        .find_map(|event| serde_json::from_str::<Holds>(&event.data).ok())
        .map(|held| held.response)
}

/// How a turn ended well.
struct End {
    said: crate::turn::Said,
    place: engine::Place,
    losses: String,
}

/// Asks the model and says what it says, all but the last events.
async fn drive(
    turning: &mut Turning,
    stream: &mut wire::ResponseStream,
    recorder: &mut Recorder<'_>,
) -> Result<End, Fault> {
    let answered = turning.ask().await.map_err(|refused| refused.fault)?;
    let losses = answered.head.losses.to_string();
    let mut said = crate::turn::Said::default();
    match answered.body {
        AnsweredBody::Whole(reply) => {
            for event in crate::stream::events_of(&reply) {
                said.take(&event, stream, turning.runtime.now_s());
            }
            recorder.say(said.released(), None, false).await;
        }
        AnsweredBody::Events(mut body) => {
            while let Some(batch) = poll_fn(|cx| body.poll_next(cx)).await {
                for event in batch {
                    if let Event::Failed(fault) = event {
                        return Err(fault);
                    }
                    said.take(&event, stream, turning.runtime.now_s());
                }
                recorder.say(said.released(), None, false).await;
                if said.finished() {
                    break;
                }
            }
        }
    }
    if !said.finished() {
        let message = "the provider's answer ended before its end";
        return Err(Fault::upstream(Code::UpstreamBadResponse, message));
    }
    Ok(End { said, place: answered.place, losses })
}
