//! A model that answers as it is told, and what it was asked.

use dialects::openai_responses::{self as wire, WireEvent};
use domain::{
    Call, CallId, Candidate, Code, Delta, Dialect, Event, Fault, Finish, Item, ItemKind, Losses, ManualClock,
    Message, Opened, Origin, Part, PartKind, Raw, Reasoning, Reply, ResponseId, Role, Signature, TenantId,
    ToolCall, Usage,
    state::{MemoryStateStore, StateStore},
};
use engine::{Head, Place, Refused, Tailor};
use runtime::{
    Answered, AnsweredBody, Client, Created, Events, Future, Model, Runtime, RuntimeSettings, TurnStream,
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::sync::Notify;

/// What the model does next.
pub(crate) enum Next {
    Say(&'static str),
    /// A thought with a proof, and a call of a tool.
    CallTool(&'static str),
    Refuse(Fault),
    /// Says something only after it is let go.
    Wait(&'static str, Arc<Notify>),
    /// Breaks off after some text.
    Break(&'static str),
}

pub(crate) struct Script {
    next: Mutex<VecDeque<Next>>,
    /// Each call as its place saw it, with what it lost.
    pub(crate) asked: Mutex<Vec<(Call, String)>>,
    place: Mutex<Place>,
}

impl Script {
    pub(crate) fn new(next: impl IntoIterator<Item = Next>) -> Arc<Self> {
        Arc::new(Self {
            next: Mutex::new(next.into_iter().collect()),
            asked: Mutex::default(),
            place: Mutex::new(place(Dialect::AnthropicMessages, "claude.example")),
        })
    }

    pub(crate) fn moves_to(&self, dialect: Dialect, realm: &str) {
        *self.place.lock().unwrap() = place(dialect, realm);
    }

    /// What the model was told in its `n`th call.
    pub(crate) fn texts(&self, n: usize) -> Vec<String> {
        texts(&self.asked.lock().unwrap()[n].0)
    }

    pub(crate) fn losses(&self, n: usize) -> String {
        self.asked.lock().unwrap()[n].1.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

pub(crate) fn place(dialect: Dialect, realm: &str) -> Place {
    Place {
        deployment: format!("at-{realm}").as_str().into(),
        dialect,
        realm: realm.into(),
        model: "served".into(),
    }
}

pub(crate) fn texts(call: &Call) -> Vec<String> {
    call.items
        .iter()
        .map(|item| match &item.kind {
            ItemKind::Message(said) => said
                .parts
                .iter()
                .map(|part| match &part.kind {
                    PartKind::Text { text, .. } => text.as_str(),
                    _ => "?",
                })
                .collect(),
            ItemKind::ToolCall(call) => format!("call {}", call.id),
            ItemKind::ToolResult(result) => format!("result {}", result.call_id),
            ItemKind::Reasoning(_) => "thought".to_owned(),
            ItemKind::Foreign { what } => format!("foreign {what}"),
        })
        .collect()
}

fn message(text: &str) -> Item {
    let said = Message { role: Role::Assistant, parts: vec![Part::text(text, 0)] };
    Item::new(ItemKind::Message(said), Origin::default())
}

fn reply(items: Vec<Item>, finish: Finish) -> Reply {
    Reply {
        id: "up-1".into(),
        model: "served".into(),
        candidates: vec![Candidate { index: 0, items, finish: Some(finish), ..Candidate::default() }],
        usage: Some(Usage::from_inclusive(10, 0, 5, 0)),
        ..Reply::default()
    }
}

fn events(text: &str, whole: bool) -> Vec<Event> {
    let mut events = vec![
        Event::Started { id: "up-1".into(), model: "served".into(), created: None },
        Event::Opened { candidate: 0, item: 0, opened: Opened::Message },
    ];
    for word in text.split_inclusive(' ') {
        events.push(Event::Delta { candidate: 0, item: 0, delta: Delta::Text(word.to_owned()) });
    }
    if whole {
        events.push(Event::Closed { candidate: 0, item: 0 });
        events.push(Event::Usage(Usage::from_inclusive(10, 0, 5, 0)));
        events.push(Event::CandidateFinished { candidate: 0, finish: Finish::Stop });
        events.push(Event::Finished);
    }
    events
}

struct Scripted {
    events: VecDeque<Event>,
}

impl Events for Scripted {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        Poll::Ready(self.events.pop_front().map(|event| vec![event]))
    }
}

impl Model for Script {
    fn infer(&self, call: Call, tailor: Arc<dyn Tailor>) -> Future<'_, Result<Answered, Box<Refused>>> {
        Box::pin(async move {
            let place = self.place.lock().unwrap().clone();
            let streamed = call.stream.is_some();
            let (fitted, losses) = tailor.fit(&call, &place).unwrap_or((call, Losses::none()));
            self.asked.lock().unwrap().push((fitted, losses.to_string()));
            let next = self.next.lock().unwrap().pop_front().expect("the script has ended");
            let mut head = self.head();
            head.losses = losses;
            let items = match next {
                Next::Refuse(fault) => return Err(Box::new(Refused { fault, head, relayed: None })),
                Next::Break(text) => {
                    let mut events: VecDeque<Event> = events(text, false).into();
                    events.push_back(Event::Failed(Fault::upstream(Code::UpstreamTimeout, "it stopped")));
                    let body = AnsweredBody::Events(Box::new(Scripted { events }));
                    return Ok(Answered { head, place, body });
                }
                Next::Wait(text, let_go) => {
                    let_go.notified().await;
                    vec![message(text)]
                }
                Next::Say(text) if streamed => {
                    let body = AnsweredBody::Events(Box::new(Scripted { events: events(text, true).into() }));
                    return Ok(Answered { head, place, body });
                }
                Next::Say(text) => vec![message(text)],
                Next::CallTool(id) => {
                    let signature = Some(Signature { dialect: place.dialect, data: "proof".into() });
                    let thought = Reasoning { text: "I need it".into(), signature, redacted: false };
                    let call = ToolCall {
                        id: id.into(),
                        name: "look".into(),
                        arguments: "{}".into(),
                        signature: None,
                    };
                    vec![
                        Item::new(ItemKind::Reasoning(thought), Origin::default()),
                        Item::new(ItemKind::ToolCall(call), Origin { message: 0, part: 1 }),
                    ]
                }
            };
            let finish = if items.len() > 1 { Finish::ToolCalls } else { Finish::Stop };
            Ok(Answered { head, place, body: AnsweredBody::Whole(Box::new(reply(items, finish))) })
        })
    }

    fn head(&self) -> Head {
        Head::of(CallId::from_bits(1))
    }
}

/// A runtime with a store and a model.
pub(crate) struct Bench {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) store: Arc<MemoryStateStore>,
    pub(crate) script: Arc<Script>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) fn bench(next: impl IntoIterator<Item = Next>) -> Bench {
    bench_with(next, |_| {})
}

pub(crate) fn bench_with(
    next: impl IntoIterator<Item = Next>,
    set: impl FnOnce(&mut RuntimeSettings),
) -> Bench {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let mut settings = RuntimeSettings::new(Arc::clone(&clock) as _, [7; 32]);
    set(&mut settings);
    let store = Arc::new(MemoryStateStore::new("memory"));
    let script = Script::new(next);
    let client = Client {
        tenant: TenantId::new("acme"),
        store: Arc::clone(&store) as Arc<dyn StateStore>,
        model: Arc::clone(&script) as Arc<dyn Model>,
    };
    Bench { runtime: Runtime::new(settings), store, script, client, clock }
}

impl Bench {
    pub(crate) async fn try_create(&self, body: Value) -> Result<Created, Fault> {
        let decoded = wire::decode(body.to_string().as_bytes())?;
        self.runtime.create(self.client.clone(), decoded).await.map_err(|refused| refused.fault)
    }

    pub(crate) async fn create(&self, body: Value) -> Value {
        match self.try_create(body).await {
            Ok(Created::Whole { body, .. }) => body.value(),
            Ok(Created::Stream { .. }) => panic!("a stream came"),
            Err(fault) => panic!("{fault}"),
        }
    }

    pub(crate) async fn stream(&self, body: Value) -> TurnStream {
        match self.try_create(body).await {
            Ok(Created::Stream { stream, .. }) => stream,
            Ok(Created::Whole { body, .. }) => panic!("whole: {}", body.text()),
            Err(fault) => panic!("{fault}"),
        }
    }

    pub(crate) async fn fails(&self, body: Value) -> Fault {
        match self.try_create(body).await {
            Err(fault) => fault,
            Ok(Created::Whole { body, .. }) => panic!("it answered: {}", body.text()),
            Ok(Created::Stream { .. }) => panic!("it answered with a stream"),
        }
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Value, Fault> {
        self.runtime.retrieve(&self.client, &ResponseId::new(id)).await.map(|raw: Raw| raw.value())
    }
}

pub(crate) async fn all(mut stream: TurnStream) -> Vec<WireEvent> {
    let mut all = Vec::new();
    while let Some(events) = stream.next().await {
        all.extend(events);
    }
    all
}

pub(crate) fn names(events: &[WireEvent]) -> Vec<&str> {
    events.iter().map(|event| &*event.name).collect()
}

pub(crate) fn text_of(response: &Value) -> &str {
    let output = response["output"].as_array().unwrap();
    output.iter().rev().find_map(|item| item["content"][0]["text"].as_str()).unwrap_or_default()
}

pub(crate) fn id_of(response: &Value) -> &str {
    response["id"].as_str().unwrap()
}
