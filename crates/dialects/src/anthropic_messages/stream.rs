//! Streamed answer → events.
//!
//! `message_start`, then per content block `content_block_start`, its deltas, `content_block_stop`, then
//! `message_delta` with the stop reason and cumulative counts (the last value holds), then `message_stop`.

use super::{
    OWN, error,
    types::{WireUsage, finish_of, waits},
};
use crate::{
    framed::{self, Frames, bad},
    object::{Fields, Object, note, raw_of},
    turns::{OUTPUT_TOOL, notes_of},
    wire_fault::fault_of,
};
use domain::{Bag, Delta, Event, Fault, Finish, Opened, Raw, Signature};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// Most content blocks of one answer.
const MAX_BLOCKS: u32 = 16_384;
/// Most bytes held of blocks that are handed on whole.
const MAX_HELD: usize = 8 << 20;

/// Reads a streamed answer.
pub(super) type Decoder = framed::Decoder<State>;

#[derive(Debug, Default)]
pub(super) struct State {
    started: bool,
    over: bool,
    open: BTreeMap<u32, Block>,
    items: u32,
    held: usize,
    calls_tools: bool,
    calls_wait: bool,
    answered_by_tool: bool,
    usage: BTreeMap<Box<str>, Raw>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block between its start and its stop.
#[derive(Debug)]
struct Block {
    item: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// What `citations` was at the start, where empty: said at the stop, if none came.
    Text {
        uncited: Option<Raw>,
    },
    Thinking,
    /// `input` of the start, and whether any argument text came.
    Tool {
        input: Option<Raw>,
        came: bool,
        output: bool,
    },
    Foreign {
        fields: BTreeMap<Box<str>, Raw>,
        input: String,
    },
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
}

impl Frames for State {
    const LAST: &'static str = "message_stop";

    fn over(&mut self) -> &mut bool {
        &mut self.over
    }

    fn frame(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.over || data.trim().is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let wire: Wire<'_> = serde_json::from_str(data)
            .map_err(|error| bad(&format!("a frame is not the JSON of an event: {error}")))?;
        match &*wire.kind {
            "message_start" => self.start(wire.message, out),
            "content_block_start" => self.block_start(wire.index, wire.content_block, out),
            "content_block_delta" => self.block_delta(wire.index, wire.delta, out),
            "content_block_stop" => {
                self.block_stop(wire.index, out);
                Ok(())
            }
            "message_delta" => self.message_delta(wire.delta, wire.usage, out),
            "message_stop" => {
                self.finish(out);
                Ok(())
            }
            "error" => {
                let said = error::decode(500, data.as_bytes());
                let status = error::status_of(said.code.as_deref().unwrap_or_default());
                self.over = true;
                out.push(Event::Failed(fault_of(&said, status)));
                Ok(())
            }
            // Pings and event types that came after us.
            _ => Ok(()),
        }
    }
}

impl State {
    fn start(&mut self, message: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let misfit = |_| bad("`message_start` does not have its form");
        let raw = message.ok_or_else(|| bad("`message_start` has no message"))?;
        let mut fields = Fields::of(&Raw::from(raw), "message").map_err(misfit)?;
        out.push(Event::Started {
            id: fields.string("id").map_err(misfit)?.unwrap_or_default().into(),
            model: fields.string("model").map_err(misfit)?.unwrap_or_default().into(),
            created: None,
        });
        let usage = fields.take("usage");
        for name in ["type", "role", "content", "stop_reason", "stop_sequence"] {
            drop(fields.take(name));
        }
        self.extra(fields, out);
        match usage {
            Some(usage) => self.count(&usage, out),
            None => Ok(()),
        }
    }

    /// Fields of the answer that only the dialect knows.
    fn extra(&self, fields: Fields, out: &mut Vec<Event>) {
        let mut bag = Bag::new();
        for (name, raw) in fields.into_iter() {
            if !matches!(&*name, "type" | "role" | "content" | "stop_reason" | "stop_sequence") {
                bag.put(OWN, &name, raw);
            }
        }
        if !bag.is_empty() {
            out.push(Event::Extra { candidate: None, bag });
        }
    }

    /// Lays newer counts over older ones: they are cumulative, so the last one holds.
    fn count(&mut self, raw: &Raw, out: &mut Vec<Event>) -> Result<(), Fault> {
        let misfit = |_| bad("`usage` is not an object of counts");
        for (name, value) in Fields::of(raw, "usage").map_err(misfit)?.into_iter() {
            self.usage.insert(name, value);
        }
        let merged = object_of(&self.usage);
        let usage: WireUsage = merged.read().map_err(|_| bad("`usage` is not an object of counts"))?;
        out.push(Event::Usage(usage.normal()));
        if let Some(tier) = usage.service_tier {
            out.push(Event::ServiceTier(tier));
        }
        let mut bag = Bag::new();
        bag.put(OWN, "$usage", merged);
        out.push(Event::Extra { candidate: None, bag });
        Ok(())
    }

    fn block_start(
        &mut self,
        index: u32,
        block: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if !self.started {
            return Err(bad("a content block came before `message_start`"));
        }
        if self.items >= MAX_BLOCKS {
            return Err(bad("the answer has more than 16,384 blocks"));
        }
        let misfit = |_| bad("`content_block_start` does not have its form");
        let raw = Raw::from(block.ok_or_else(|| bad("`content_block_start` has no block"))?);
        let mut fields = Fields::of(&raw, "content_block").map_err(misfit)?;
        let what = fields.must_string("type").map_err(misfit)?;
        let item = self.items;
        self.items += 1;
        let mut deltas = Vec::new();
        let (opened, mut kind) = match what.as_str() {
            "text" => {
                let text = fields.string("text").map_err(misfit)?.unwrap_or_default();
                if !text.is_empty() {
                    deltas.push(Delta::Text(text));
                }
                (Opened::Message, Kind::Text { uncited: None })
            }
            "thinking" => {
                let text = fields.string("thinking").map_err(misfit)?.unwrap_or_default();
                if !text.is_empty() {
                    deltas.push(Delta::Reasoning(text));
                }
                let data = fields.string("signature").map_err(misfit)?.unwrap_or_default();
                if !data.is_empty() {
                    deltas.push(Delta::Signature(Signature { dialect: OWN, data: data.into() }));
                }
                (Opened::Reasoning, Kind::Thinking)
            }
            "redacted_thinking" => {
                let data = fields.must_string("data").map_err(misfit)?;
                deltas.push(Delta::Redacted(Signature { dialect: OWN, data: data.into() }));
                (Opened::Reasoning, Kind::Thinking)
            }
            "tool_use" => {
                let id = fields.must_string("id").map_err(misfit)?;
                let name = fields.must_string("name").map_err(misfit)?;
                let input = fields.take("input").filter(|raw| raw.value() != serde_json::json!({}));
                if name == OUTPUT_TOOL {
                    self.answered_by_tool = true;
                    fields = Fields::default();
                    (Opened::Message, Kind::Tool { input, came: false, output: true })
                } else {
                    self.calls_tools = true;
                    self.calls_wait |= waits(fields.peek("caller"));
                    let opened = Opened::ToolCall { id: id.into(), name: name.into() };
                    (opened, Kind::Tool { input, came: false, output: false })
                }
            }
            _ => {
                let mut kept: BTreeMap<Box<str>, Raw> = fields.into_iter().collect();
                fields = Fields::default();
                kept.insert("type".into(), note(&what));
                self.hold(raw.text().len())?;
                (Opened::Foreign(what.into()), Kind::Foreign { fields: kept, input: String::new() })
            }
        };
        out.push(Event::Opened { candidate: 0, item, opened });
        for (field, value) in notes_of(fields) {
            match &mut kind {
                Kind::Text { uncited } if &*field == "$citations" => *uncited = Some(value),
                _ => deltas.push(Delta::Annotation { dialect: OWN, field, value }),
            }
        }
        out.extend(deltas.into_iter().map(|delta| Event::Delta { candidate: 0, item, delta }));
        self.open.insert(index, Block { item, kind });
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        self.held = self.held.saturating_add(bytes);
        if self.held > MAX_HELD { Err(bad("the answer's blocks are above 8 MiB")) } else { Ok(()) }
    }

    fn block_delta(
        &mut self,
        index: u32,
        delta: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let text = delta.map(RawValue::get).ok_or_else(|| bad("`content_block_delta` has no delta"))?;
        let Some(Block { item, kind }) = self.open.get_mut(&index) else {
            return Err(bad("a delta came for a block that is not open"));
        };
        if let Kind::Foreign { fields, input } = kind {
            grow(fields, input, text)?;
            return self.hold(text.len());
        }
        let wire: WireDelta<'_> =
            serde_json::from_str(text).map_err(|_| bad("a `content_block_delta` does not have its form"))?;
        let delta = match &*wire.kind {
            "text_delta" => wire.text.map(Delta::Text),
            "thinking_delta" => wire.thinking.map(Delta::Reasoning),
            "signature_delta" => wire
                .signature
                .filter(|data| !data.is_empty())
                .map(|data| Delta::Signature(Signature { dialect: OWN, data: data.into() })),
            "input_json_delta" => {
                let piece = wire.partial_json.filter(|piece| !piece.is_empty());
                if let Kind::Tool { came, output, .. } = kind {
                    *came |= piece.is_some();
                    let output = *output;
                    piece.map(|piece| if output { Delta::Text(piece) } else { Delta::Arguments(piece) })
                } else {
                    None
                }
            }
            "citations_delta" => {
                if let Kind::Text { uncited } = kind {
                    *uncited = None;
                }
                let field = "citations".into();
                let note = |value| Delta::Annotation { dialect: OWN, field, value };
                wire.citation.map(Raw::from).map(note)
            }
            _ => None,
        };
        let empty = matches!(&delta, Some(Delta::Text(text) | Delta::Reasoning(text)) if text.is_empty());
        if let Some(delta) = delta.filter(|_| !empty) {
            out.push(Event::Delta { candidate: 0, item: *item, delta });
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(Block { item, kind }) = self.open.remove(&index) else { return };
        let last = match kind {
            Kind::Text { uncited } => {
                uncited.map(|value| Delta::Annotation { dialect: OWN, field: "$citations".into(), value })
            }
            Kind::Thinking | Kind::Tool { came: true, .. } => None,
            Kind::Tool { input, output, .. } => {
                let text = input.map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned());
                Some(if output { Delta::Text(text) } else { Delta::Arguments(text) })
            }
            Kind::Foreign { mut fields, input } => {
                if !input.is_empty() {
                    let raw = Raw::parse(&input).unwrap_or_else(|_| note(&input));
                    fields.insert("input".into(), raw);
                }
                Some(Delta::Block { dialect: OWN, value: object_of(&fields) })
            }
        };
        out.extend(last.map(|delta| Event::Delta { candidate: 0, item, delta }));
        out.push(Event::Closed { candidate: 0, item });
    }

    fn message_delta(
        &mut self,
        delta: Option<&RawValue>,
        usage: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let misfit = |_| bad("`message_delta` does not have its form");
        if let Some(delta) = delta {
            let mut fields = Fields::of(&Raw::from(delta), "delta").map_err(misfit)?;
            if let Some(reason) = fields.string("stop_reason").map_err(misfit)? {
                self.stop_reason = Some(reason);
            }
            if let Some(text) = fields.string("stop_sequence").map_err(misfit)? {
                self.stop_sequence = Some(text);
            }
            self.extra(fields, out);
        }
        match usage {
            Some(usage) => self.count(&Raw::from(usage), out),
            None => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        let indices: Vec<u32> = self.open.keys().copied().collect();
        for index in indices {
            self.block_stop(index, out);
        }
        self.over = true;
        if let Some(reason) = self.stop_reason.take() {
            let (finish, word) = finish_of(&reason, self.stop_sequence.as_deref(), self.calls_wait);
            let answered = self.answered_by_tool && !self.calls_tools && finish == Finish::ToolCalls;
            if let Some(word) = word {
                let mut bag = Bag::new();
                bag.put(OWN, "$stop_reason", note(word));
                out.push(Event::Extra { candidate: Some(0), bag });
            }
            let finish = if answered { Finish::Stop } else { finish };
            out.push(Event::CandidateFinished { candidate: 0, finish });
        }
        out.push(Event::Finished);
    }
}

/// A delta of a block that is handed on whole: texts are appended to the field of their name, the pieces of
/// its input are collected, anything else is laid over.
fn grow(fields: &mut BTreeMap<Box<str>, Raw>, input: &mut String, delta: &str) -> Result<(), Fault> {
    let misfit = |_| bad("a `content_block_delta` does not have its form");
    let parts: Fields = serde_json::from_str(delta).map_err(misfit)?;
    for (name, raw) in parts.into_iter() {
        let text = raw.read::<String>().ok();
        match (&*name, text) {
            ("type", _) => {}
            ("partial_json", Some(piece)) => input.push_str(&piece),
            (_, Some(piece)) => {
                let so_far = fields.get(&name).and_then(|raw| raw.read::<String>().ok()).unwrap_or_default();
                fields.insert(name, note(&format!("{so_far}{piece}")));
            }
            (_, None) => {
                fields.insert(name, raw);
            }
        }
    }
    Ok(())
}

fn object_of(fields: &BTreeMap<Box<str>, Raw>) -> Raw {
    let mut object = Object::new();
    for (name, raw) in fields {
        object.raw(name, raw);
    }
    raw_of(&object.finish())
}
