//! Streamed answer → events.
//!
//! `messageStart`, then per block (`contentBlockStart` for tools only) its deltas and `contentBlockStop`,
//! then `messageStop`, then `metadata` with the counts. An exception frame may stand anywhere.

use super::{
    OWN, error,
    frames::{Frame, Frames},
    response::tier_of,
    types::{WireUsage, finish_of},
};
use crate::{
    StreamDecoder,
    framed::bad,
    object::{Fields, Object, note, raw_of},
    turns::{OUTPUT_TOOL, notes_of},
    wire_fault::fault_of,
};
use domain::{Bag, Delta, Event, Fault, Finish, Opened, Raw, Signature};
use std::collections::BTreeMap;

/// Most content blocks of one answer.
const MAX_BLOCKS: u32 = 16_384;
/// Most bytes held of blocks that are handed on whole.
const MAX_HELD: usize = 8 << 20;

/// Reads a streamed answer.
#[derive(Debug)]
pub(super) struct Decoder {
    frames: Frames,
    state: State,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { frames: Frames::default(), state: State::default() }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { frames, state } = self;
        if state.over {
            return Ok(());
        }
        frames.push(bytes, |frame| state.frame(&frame, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.state.over {
            return Ok(());
        }
        self.state.over = true;
        if self.state.stopped && self.frames.is_empty() {
            out.push(Event::Finished);
            return Ok(());
        }
        Err(bad("the stream ended without `messageStop`"))
    }
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    over: bool,
    stopped: bool,
    counted: bool,
    open: BTreeMap<u32, Block>,
    items: u32,
    held: usize,
    calls_tools: bool,
    answered_by_tool: bool,
}

/// A block between its start and its stop.
#[derive(Debug)]
struct Block {
    item: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Said,
    Thought,
    Tool { came: bool, output: bool },
    Foreign { word: Box<str>, fields: BTreeMap<Box<str>, Raw>, input: String },
}

fn misfit<E>(_: E) -> Fault {
    bad("an event does not have its form")
}

impl State {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.over {
            return Ok(());
        }
        let payload = std::str::from_utf8(&frame.payload).map_err(misfit)?;
        if frame.is_exception {
            self.fail(frame, payload, out);
            return Ok(());
        }
        let mut fields: Fields = serde_json::from_str(payload).map_err(misfit)?;
        // Padding against traffic analysis.
        drop(fields.take("p"));
        match frame.name.as_str() {
            "messageStart" => {
                self.start(out);
                Ok(())
            }
            "contentBlockStart" => self.block_start(fields, out),
            "contentBlockDelta" => self.block_delta(fields, out),
            "contentBlockStop" => {
                let index = fields.read("contentBlockIndex", "a number").map_err(misfit)?;
                self.block_stop(index.unwrap_or(0), out);
                Ok(())
            }
            "messageStop" => self.message_stop(fields, out),
            "metadata" => self.metadata(fields, out),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, frame: &Frame, payload: &str, out: &mut Vec<Event>) {
        let status = error::status_of(&frame.name);
        let words = serde_json::from_str::<Fields>(payload).ok().and_then(|mut fields| {
            fields.string("message").ok().flatten().or_else(|| fields.string("Message").ok().flatten())
        });
        let words = words.or_else(|| frame.error_message.clone()).unwrap_or_default();
        self.over = true;
        out.push(Event::Failed(fault_of(&error::read(&frame.name, &words, status), status)));
    }

    fn start(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Started { id: Box::default(), model: Box::default(), created: None });
        }
    }

    fn open(&mut self, index: u32, opened: Opened, kind: Kind, out: &mut Vec<Event>) -> Result<u32, Fault> {
        if self.items >= MAX_BLOCKS {
            return Err(bad("the answer has more than 16,384 blocks"));
        }
        self.start(out);
        let item = self.items;
        self.items += 1;
        out.push(Event::Opened { candidate: 0, item, opened });
        self.open.insert(index, Block { item, kind });
        Ok(item)
    }

    fn block_start(&mut self, mut fields: Fields, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = fields.read("contentBlockIndex", "a number").map_err(misfit)?.unwrap_or(0);
        let Some(start) = fields.take("start") else { return Ok(()) };
        let mut start = Fields::of(&start, "start").map_err(misfit)?;
        let tool = start.peek("toolUse").cloned();
        if let Some(tool) = tool {
            let mut inner = Fields::of(&tool, "toolUse").map_err(misfit)?;
            if inner.peek("type").is_none_or(|what| what.text() != "\"server_tool_use\"") {
                let id = inner.must_string("toolUseId").map_err(misfit)?;
                let name = inner.must_string("name").map_err(misfit)?;
                if name == OUTPUT_TOOL {
                    self.answered_by_tool = true;
                    let kind = Kind::Tool { came: false, output: true };
                    return self.open(index, Opened::Message, kind, out).map(drop);
                }
                self.calls_tools = true;
                let opened = Opened::ToolCall { id: id.into(), name: name.into() };
                let item = self.open(index, opened, Kind::Tool { came: false, output: false }, out)?;
                for (field, value) in notes_of(inner) {
                    let delta = Delta::Annotation { dialect: OWN, field, value };
                    out.push(Event::Delta { candidate: 0, item, delta });
                }
                return Ok(());
            }
        }
        let word = ["toolUse", "toolResult", "image"].into_iter().find(|word| start.peek(word).is_some());
        let Some(word) = word else { return Ok(()) };
        let inner = start.take(word).unwrap_or_else(Raw::null);
        self.hold(inner.text().len())?;
        let fields = Fields::of(&inner, word).map_err(misfit)?.into_iter().collect();
        let kind = Kind::Foreign { word: word.into(), fields, input: String::new() };
        self.open(index, Opened::Foreign(word.into()), kind, out).map(drop)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        self.held = self.held.saturating_add(bytes);
        if self.held > MAX_HELD { Err(bad("the answer's blocks are above 8 MiB")) } else { Ok(()) }
    }

    fn block_delta(&mut self, mut fields: Fields, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = fields.read("contentBlockIndex", "a number").map_err(misfit)?.unwrap_or(0);
        let Some(delta) = fields.take("delta") else { return Ok(()) };
        let mut delta = Fields::of(&delta, "delta").map_err(misfit)?;
        if !self.open.contains_key(&index) {
            // Only tools announce themselves; what a block is shows in its first delta.
            let (opened, kind) = if delta.peek("reasoningContent").is_some() {
                (Opened::Reasoning, Kind::Thought)
            } else if delta.peek("text").is_some() || delta.peek("citation").is_some() {
                (Opened::Message, Kind::Said)
            } else {
                return Err(bad("a delta came for a block that is not open"));
            };
            self.open(index, opened, kind, out)?;
        }
        let Some(Block { item, kind }) = self.open.get_mut(&index) else { return Ok(()) };
        let item = *item;
        let mut say = |delta: Delta| out.push(Event::Delta { candidate: 0, item, delta });
        match kind {
            Kind::Said => {
                if let Some(text) = delta.string("text").map_err(misfit)?.filter(|text| !text.is_empty()) {
                    say(Delta::Text(text));
                }
                if let Some(value) = delta.take("citation") {
                    say(Delta::Annotation { dialect: OWN, field: "citations".into(), value });
                }
            }
            Kind::Thought => {
                let Some(thought) = delta.take("reasoningContent") else { return Ok(()) };
                let mut thought = Fields::of(&thought, "reasoningContent").map_err(misfit)?;
                let proof = |data: String| Signature { dialect: OWN, data: data.into() };
                if let Some(text) = thought.string("text").map_err(misfit)?.filter(|text| !text.is_empty()) {
                    say(Delta::Reasoning(text));
                }
                if let Some(data) = thought.string("signature").map_err(misfit)? {
                    say(Delta::Signature(proof(data)));
                }
                if let Some(data) = thought.string("redactedContent").map_err(misfit)? {
                    say(Delta::Redacted(proof(data)));
                }
            }
            Kind::Tool { came, output } => {
                let Some(tool) = delta.take("toolUse") else { return Ok(()) };
                let piece = Fields::of(&tool, "toolUse").map_err(misfit)?.string("input").map_err(misfit)?;
                if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
                    *came = true;
                    say(if *output { Delta::Text(piece) } else { Delta::Arguments(piece) });
                }
            }
            Kind::Foreign { word, fields, input } => {
                let Some(piece) = delta.take(word) else { return Ok(()) };
                grow(word, fields, input, &piece);
                return self.hold(piece.text().len());
            }
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(Block { item, kind }) = self.open.remove(&index) else { return };
        let last = match kind {
            Kind::Said | Kind::Thought | Kind::Tool { came: true, .. } => None,
            Kind::Tool { output, .. } => {
                let text = "{}".to_owned();
                Some(if output { Delta::Text(text) } else { Delta::Arguments(text) })
            }
            Kind::Foreign { word, mut fields, input } => {
                if &*word == "toolUse" {
                    let text = if input.is_empty() { "{}" } else { &input };
                    let raw = Raw::parse(text).unwrap_or_else(|_| note(text));
                    fields.insert("input".into(), raw);
                }
                let mut inner = Object::new();
                for (name, raw) in &fields {
                    inner.raw(name, raw);
                }
                let mut block = Object::new();
                block.json(&word, &inner.finish());
                Some(Delta::Block { dialect: OWN, value: raw_of(&block.finish()) })
            }
        };
        out.extend(last.map(|delta| Event::Delta { candidate: 0, item, delta }));
        out.push(Event::Closed { candidate: 0, item });
    }

    fn message_stop(&mut self, mut fields: Fields, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.stopped {
            return Ok(());
        }
        self.start(out);
        let indices: Vec<u32> = self.open.keys().copied().collect();
        for index in indices {
            self.block_stop(index, out);
        }
        self.stopped = true;
        if let Some(reason) = fields.string("stopReason").map_err(misfit)? {
            let (finish, word) = finish_of(&reason, self.calls_tools);
            let answered = self.answered_by_tool && !self.calls_tools && finish == Finish::ToolCalls;
            if let Some(word) = word {
                let mut bag = Bag::new();
                bag.put(OWN, "$stop_reason", note(word));
                out.push(Event::Extra { candidate: Some(0), bag });
            }
            let finish = if answered { Finish::Stop } else { finish };
            out.push(Event::CandidateFinished { candidate: 0, finish });
        }
        extra(fields, out);
        if self.counted {
            self.over = true;
            out.push(Event::Finished);
        }
        Ok(())
    }

    fn metadata(&mut self, mut fields: Fields, out: &mut Vec<Event>) -> Result<(), Fault> {
        self.start(out);
        if let Some(raw) = fields.take("usage") {
            let usage: WireUsage = raw.read().map_err(misfit)?;
            out.push(Event::Usage(usage.normal()));
            let mut bag = Bag::new();
            bag.put(OWN, "$usage", raw);
            out.push(Event::Extra { candidate: None, bag });
        }
        if let Some(tier) = fields.peek("serviceTier").and_then(tier_of) {
            out.push(Event::ServiceTier(tier));
        }
        extra(fields, out);
        self.counted = true;
        if self.stopped {
            self.over = true;
            out.push(Event::Finished);
        }
        Ok(())
    }
}

/// Fields of the answer that only the dialect knows.
fn extra(fields: Fields, out: &mut Vec<Event>) {
    let bag = fields.into_bag(OWN);
    if !bag.is_empty() {
        out.push(Event::Extra { candidate: None, bag });
    }
}

/// A delta of a block that is handed on whole.
fn grow(word: &str, fields: &mut BTreeMap<Box<str>, Raw>, input: &mut String, piece: &Raw) {
    if let Ok(list) = piece.read::<Vec<Raw>>() {
        let mut so_far: Vec<Raw> = fields.get("content").and_then(|raw| raw.read().ok()).unwrap_or_default();
        so_far.extend(list);
        fields.insert("content".into(), Raw::of(&so_far).unwrap_or_else(|_| Raw::null()));
        return;
    }
    for (name, raw) in piece.read::<Fields>().unwrap_or_default().into_iter() {
        match raw.read::<String>() {
            Ok(text) if word == "toolUse" && &*name == "input" => input.push_str(&text),
            _ => {
                fields.insert(name, raw);
            }
        }
    }
}
