//! What the tests of several dialects share: recordings, the order law of events, splits.

use crate::{Codec, Envelope, StreamDecoder, Target};
use domain::{Call, Capabilities, Dialect, Event, Fault, Fold, Item, ItemKind, Message, ModelName, Origin};
use domain::{Part, Reply, Role, ToolCall, ToolResult, Turn};
use serde_json::Value;
use std::{collections::BTreeSet, path::PathBuf};

/// The recordings of one folder by file name. `None`, said aloud, where there are none; a folder that was
/// named and is not there fails the test.
pub(crate) fn fixtures(folder: &str) -> Option<Vec<(String, Value)>> {
    let (root, named) = match std::env::var_os("CABOTAGE_FIXTURES") {
        Some(root) => (PathBuf::from(root), true),
        None => (PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"), false),
    };
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        assert!(!named, "CABOTAGE_FIXTURES is set but {} has no {folder}", root.display());
        eprintln!("skipped: no recordings at {}", root.display());
        return None;
    };
    let mut found: Vec<(String, Value)> = entries
        .flatten()
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).expect("a recording is readable");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).expect("a recording is JSON"))
        })
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Some(found)
}

/// A target with capabilities as given.
pub(crate) fn target<'a>(model: &'a str, capabilities: &'a Capabilities) -> Target<'a> {
    Target { model, capabilities, quirks: crate::Quirks::default() }
}

/// Decodes and encodes a request of the codec's own dialect.
pub(crate) fn round_trip(codec: &dyn Codec, body: &Value, envelope: &Envelope<'_>) -> Value {
    let call = codec.decode_call(body.to_string().as_bytes(), envelope).expect("the request is read");
    let can = Capabilities::default();
    let model = call.model.as_str().to_owned();
    let encoded = codec.encode_call(&call, &target(&model, &can)).expect("the request is written");
    assert!(encoded.losses.is_empty(), "{}", encoded.losses);
    serde_json::from_slice(&encoded.body).expect("what is written is JSON")
}

/// Encodes a call and reads what was written.
pub(crate) fn encoded(codec: &dyn Codec, call: &Call, target: &Target<'_>) -> (Value, String) {
    let encoded = codec.encode_call(call, target).expect("the call is written");
    let body = serde_json::from_slice(&encoded.body).expect("what is written is JSON");
    (body, encoded.losses.to_string())
}

/// Reads a stream in one piece.
pub(crate) fn read_all(mut decoder: Box<dyn StreamDecoder>, bytes: &[u8]) -> Result<Vec<Event>, Fault> {
    let mut out = Vec::new();
    decoder.push(bytes, &mut out)?;
    decoder.end(&mut out)?;
    Ok(out)
}

/// Reads a stream in pieces that end at `cuts` (taken modulo the length).
pub(crate) fn read_cut(
    mut decoder: Box<dyn StreamDecoder>,
    bytes: &[u8],
    cuts: &[usize],
) -> Result<Vec<Event>, Fault> {
    let mut ends: BTreeSet<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.insert(bytes.len());
    let (mut out, mut from) = (Vec::new(), 0);
    for end in ends {
        decoder.push(&bytes[from..end], &mut out)?;
        from = end;
    }
    decoder.end(&mut out)?;
    Ok(out)
}

/// The reply that events make.
pub(crate) fn fold(events: &[Event]) -> Reply {
    let mut fold = Fold::new();
    events.iter().for_each(|event| fold.push(event));
    fold.into_reply().expect("the stream did not fail")
}

/// Checks the order that `domain::Event` promises.
pub(crate) fn check_order(events: &[Event]) {
    assert!(matches!(events.first(), Some(Event::Started { .. })), "{events:?}");
    assert!(matches!(events.last(), Some(Event::Finished | Event::Failed(_))), "{events:?}");
    let (mut opened, mut open, mut ended) = (0, BTreeSet::new(), false);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Started { .. } => assert_eq!(at, 0),
            Event::Opened { item, .. } => {
                assert_eq!(*item, opened, "items are numbered without gaps");
                opened += 1;
                open.insert(*item);
            }
            Event::Delta { item, .. } => assert!(open.contains(item), "a delta of an item that is not open"),
            Event::Closed { item, .. } => assert!(open.remove(item), "closed twice"),
            Event::CandidateFinished { .. } => {
                assert!(open.is_empty() && !ended, "a candidate ends once, its items closed");
                ended = true;
            }
            Event::Finished | Event::Failed(_) => assert_eq!(at + 1, events.len()),
            _ => {}
        }
    }
}

/// Builds calls as the decoder of OpenAI's dialect would.
#[derive(Debug)]
pub(crate) struct Chat(pub(crate) Call);

impl Chat {
    pub(crate) fn new() -> Self {
        Self(Call::new(Dialect::OpenAiChat, ModelName::new("some-model")))
    }

    fn turn(mut self, role: Role, kinds: Vec<ItemKind>) -> Self {
        let message = u32::try_from(self.0.turns.len()).expect("few turns");
        self.0.turns.push(Turn { role, name: None, bag: domain::Bag::new() });
        for (part, kind) in kinds.into_iter().enumerate() {
            let part = u32::try_from(part).expect("few parts");
            self.0.items.push(Item::new(kind, Origin { message, part }));
        }
        self
    }

    /// A message of texts.
    pub(crate) fn says(self, role: Role, texts: &[&str]) -> Self {
        let parts = texts.iter().zip(0..).map(|(text, index)| Part::text(*text, index)).collect();
        self.parts(role, parts)
    }

    /// A message of parts.
    pub(crate) fn parts(self, role: Role, parts: Vec<Part>) -> Self {
        self.turn(role, vec![ItemKind::Message(Message { role, parts })])
    }

    /// An assistant's turn of anything.
    pub(crate) fn assistant(self, kinds: Vec<ItemKind>) -> Self {
        self.turn(Role::Assistant, kinds)
    }

    /// A tool's answer.
    pub(crate) fn result(self, id: &str, text: &str) -> Self {
        let parts = vec![Part::text(text, 0)];
        let result = ToolResult { call_id: id.into(), name: None, parts, is_error: None };
        self.turn(Role::Tool, vec![ItemKind::ToolResult(result)])
    }
}

/// A tool call.
pub(crate) fn calls(id: &str, name: &str, arguments: &str) -> ItemKind {
    ItemKind::ToolCall(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        signature: None,
    })
}

/// A function tool.
pub(crate) fn tool(name: &str) -> domain::Tool {
    domain::Tool {
        name: name.into(),
        description: Some("does it".into()),
        parameters: Some(
            domain::Raw::parse(r#"{"type":"object","properties":{"z":{},"a":{}}}"#).expect("JSON"),
        ),
        strict: None,
        kind: domain::ToolKind::Function,
        bag: domain::Bag::new(),
    }
}
