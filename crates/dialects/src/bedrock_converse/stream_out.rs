//! Events → streamed answer.

use super::{
    OWN, error,
    frames::write,
    types::{stop_reason, usage_text},
};
use crate::{
    StreamEncoder,
    object::{Fields, Object, quoted},
    turns::{tool_id, write_notes},
};
use domain::{Bag, Delta, Event, Finish, Losses, Opened, Raw, Usage};
use std::{collections::BTreeMap, mem};

/// Writes a streamed answer.
#[derive(Debug)]
pub(super) struct Encoder {
    begun: bool,
    open: BTreeMap<u32, Open>,
    usage: Usage,
    finish: Option<Finish>,
    stop_word: Option<Raw>,
    extra: Bag,
    losses: Losses,
}

/// An item being written. Its start is held until its first piece, when its notes are known.
#[derive(Debug)]
struct Open {
    opened: Opened,
    begun: bool,
    notes: Bag,
}

impl Encoder {
    pub(super) const fn new() -> Self {
        Self {
            begun: false,
            open: BTreeMap::new(),
            usage: Usage {
                uncached_in: 0,
                cache_read: 0,
                cache_write: 0,
                cache_write_1h: 0,
                out_visible: 0,
                out_reasoning: 0,
                audio_in: 0,
                audio_out: 0,
                source: domain::UsageSource::Unknown,
            },
            finish: None,
            stop_word: None,
            extra: Bag::new(),
            losses: Losses::none(),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !mem::replace(&mut self.begun, true) {
            write("event", "messageStart", r#"{"role":"assistant"}"#.to_owned(), out);
        }
    }

    fn delta(&mut self, item: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.remove(&item) else { return };
        let mut piece = Object::new();
        match (&open.opened, delta) {
            (Opened::Message, Delta::Text(text) | Delta::Refusal(text)) => {
                piece.string("text", text);
            }
            (Opened::Reasoning, Delta::Reasoning(text)) => {
                piece.json("reasoningContent", &format!(r#"{{"text":{}}}"#, quoted(text)));
            }
            (Opened::Reasoning, Delta::Signature(proof)) if proof.dialect == OWN => {
                piece.json("reasoningContent", &format!(r#"{{"signature":{}}}"#, quoted(&proof.data)));
            }
            (Opened::Reasoning, Delta::Redacted(proof)) if proof.dialect == OWN => {
                piece.json("reasoningContent", &format!(r#"{{"redactedContent":{}}}"#, quoted(&proof.data)));
            }
            (_, Delta::Signature(_) | Delta::Redacted(_)) => self.losses.add("reasoning.signature"),
            (Opened::ToolCall { .. }, Delta::Arguments(text)) => {
                piece.json("toolUse", &format!(r#"{{"input":{}}}"#, quoted(text)));
            }
            (Opened::Message, Delta::Annotation { dialect, field, value })
                if *dialect == OWN && &**field == "citations" =>
            {
                piece.raw("citation", value);
            }
            (_, Delta::Annotation { dialect, field, value }) if *dialect == OWN => {
                open.notes.append(OWN, field, value);
            }
            (_, Delta::Settled { item, done: true }) => item.lose_into(OWN, "messages", &mut self.losses),
            (_, Delta::Annotation { field, .. }) => self.losses.add(&format!("messages.{field}")),
            (Opened::Foreign(_), Delta::Block { dialect, value }) if *dialect == OWN => {
                open.begun = true;
                whole_block(item, value, out);
            }
            (Opened::Foreign(what), Delta::Block { .. }) => self.losses.add(&format!("messages.{what}")),
            _ => {}
        }
        if !piece.is_empty() {
            start_tool(item, &mut open, out);
            open.begun = true;
            write_delta(item, &piece.finish(), out);
        }
        self.open.insert(item, open);
    }

    fn close(&mut self, item: u32, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.remove(&item) else { return };
        start_tool(item, &mut open, out);
        if open.begun {
            write("event", "contentBlockStop", format!(r#"{{"contentBlockIndex":{item}}}"#), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let items: Vec<u32> = self.open.keys().copied().collect();
        for item in items {
            self.close(item, out);
        }
        let mut stop = Object::new();
        match &self.stop_word {
            Some(word) => stop.raw("stopReason", word),
            None => stop.string("stopReason", stop_reason(self.finish.as_ref())),
        };
        if let Some(raw) = self.extra.get(OWN, "additionalModelResponseFields") {
            stop.raw("additionalModelResponseFields", raw);
        }
        write("event", "messageStop", stop.finish(), out);
        let mut metadata = Object::new();
        match self.extra.get(OWN, "$usage") {
            Some(raw) => metadata.raw("usage", raw),
            None => metadata.json("usage", &usage_text(&self.usage)),
        };
        if self.extra.get(OWN, "metrics").is_none() {
            metadata.json("metrics", r#"{"latencyMs":0}"#);
        }
        for (name, raw) in self.extra.fields_for(OWN) {
            if name != "additionalModelResponseFields" {
                metadata.raw(name, raw);
            }
        }
        write("event", "metadata", metadata.finish(), out);
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { .. } => self.begin(out),
            Event::Opened { candidate: 0, item, opened } => {
                self.begin(out);
                let open = Open { opened: opened.clone(), begun: false, notes: Bag::new() };
                self.open.insert(*item, open);
            }
            Event::Delta { candidate: 0, item, delta } => self.delta(*item, delta, out),
            Event::Closed { candidate: 0, item } => self.close(*item, out),
            Event::Opened { .. } => self.losses.add("choices"),
            Event::Delta { .. } | Event::Closed { .. } => {}
            Event::Logprobs { .. } => self.losses.add("logprobs"),
            Event::Usage(usage) => self.usage = *usage,
            Event::ServiceTier(_) => {}
            Event::CandidateFinished { candidate: 0, finish } => self.finish = Some(finish.clone()),
            Event::CandidateFinished { .. } => {}
            Event::Extra { candidate, bag } => {
                bag.lose_into(OWN, "", &mut self.losses);
                if bag.dialect() == Some(OWN) {
                    match candidate {
                        None => self.extra.merge(bag),
                        Some(_) => self.stop_word = bag.get(OWN, "$stop_reason").cloned(),
                    }
                }
            }
            Event::Finished => self.finish(out),
            Event::Failed(fault) => {
                let mut body = Object::new();
                body.string("message", &fault.message);
                write("exception", error::stream_exception(fault), body.finish(), out);
            }
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// `contentBlockStart` of a tool call: other blocks have none.
fn start_tool(item: u32, open: &mut Open, out: &mut Vec<u8>) {
    let Opened::ToolCall { id, name } = &open.opened else { return };
    if mem::replace(&mut open.begun, true) {
        return;
    }
    let mut inner = Object::new();
    inner.string("toolUseId", &tool_id(id)).string("name", name);
    write_notes(&mut inner, &open.notes, OWN);
    let mut start = Object::new();
    start.json("toolUse", &inner.finish());
    write_start(item, &start.finish(), out);
}

fn write_start(item: u32, start: &str, out: &mut Vec<u8>) {
    let mut event = Object::new();
    event.scalar("contentBlockIndex", item).json("start", start);
    write("event", "contentBlockStart", event.finish(), out);
}

fn write_delta(item: u32, delta: &str, out: &mut Vec<u8>) {
    let mut event = Object::new();
    event.scalar("contentBlockIndex", item).json("delta", delta);
    write("event", "contentBlockDelta", event.finish(), out);
}

/// A block of this dialect that came whole: what is in its start and what in its delta is the wire's rule.
fn whole_block(item: u32, value: &Raw, out: &mut Vec<u8>) {
    let Some((word, inner)) = value.read::<Fields>().ok().and_then(|fields| fields.into_iter().next()) else {
        return;
    };
    let mut inner = inner.read::<Fields>().unwrap_or_default();
    let delta = match &*word {
        "toolUse" => {
            let input = inner.take("input");
            input.map(|raw| format!(r#"{{"toolUse":{{"input":{}}}}}"#, quoted(raw.text())))
        }
        "toolResult" => inner.take("content").map(|raw| format!(r#"{{"toolResult":{}}}"#, raw.text())),
        "image" => inner.take("source").map(|raw| format!(r#"{{"image":{{"source":{}}}}}"#, raw.text())),
        _ => None,
    };
    let mut rest = Object::new();
    for (name, raw) in inner.into_iter() {
        rest.raw(&name, &raw);
    }
    let mut start = Object::new();
    start.json(&word, &rest.finish());
    write_start(item, &start.finish(), out);
    if let Some(delta) = delta {
        write_delta(item, &delta, out);
    }
}
