//! Events → streamed answer.
//!
//! The dialect knows one open block at a time. Items that a stream of another dialect opens meanwhile are
//! held back and follow when their turn comes.

use super::{
    OWN, error,
    types::{stop_reason, usage_text},
};
use crate::{
    ReplyContext, StreamEncoder,
    object::{Fields, Object},
    sse::write_event,
    turns::{tool_id, write_notes},
};
use domain::{Bag, Delta, Event, Finish, Losses, Opened, Raw, Usage};
use std::mem;

/// Most bytes of text held back for items whose turn has not come; more is lost, and said so.
const MAX_HELD: usize = 8 << 20;

/// Writes a streamed answer.
#[derive(Debug)]
pub(super) struct Encoder {
    id: Box<str>,
    model: Option<Box<str>>,
    upstream_id: Box<str>,
    upstream_model: Box<str>,
    begun: bool,
    index: u32,
    current: Option<Current>,
    waiting: Vec<Event>,
    held: usize,
    usage: Usage,
    tier: Option<Box<str>>,
    finish: Option<Finish>,
    stop_word: Option<Raw>,
    extra: Bag,
    losses: Losses,
}

/// The item being written.
#[derive(Debug)]
struct Current {
    item: u32,
    opened: Opened,
    begun: bool,
    notes: Bag,
}

impl Encoder {
    pub(super) fn new(context: &ReplyContext<'_>) -> Self {
        Self {
            id: context.id.into(),
            model: context.model.map(Into::into),
            upstream_id: Box::default(),
            upstream_model: Box::default(),
            begun: false,
            index: 0,
            current: None,
            waiting: Vec::new(),
            held: 0,
            usage: Usage::default(),
            tier: None,
            finish: None,
            stop_word: None,
            extra: Bag::new(),
            losses: Losses::none(),
        }
    }

    /// `message_start`, held until the first block so that it can tell the counts that came before it.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if mem::replace(&mut self.begun, true) {
            return;
        }
        let own_id = self.upstream_id.starts_with("msg_") || self.id.is_empty();
        let mut message = Object::new();
        message.string("id", if own_id { &self.upstream_id } else { &self.id });
        message.string("type", "message").string("role", "assistant");
        message.string("model", self.model.as_deref().unwrap_or(&self.upstream_model));
        message.json("content", "[]").json("stop_reason", "null").json("stop_sequence", "null");
        message.json("usage", &self.usage_now());
        message.bag(&self.extra, OWN);
        let mut event = Object::new();
        event.string("type", "message_start").json("message", &message.finish());
        frame("message_start", event, out);
    }

    fn usage_now(&self) -> String {
        match self.extra.get(OWN, "$usage") {
            Some(raw) => raw.text().to_owned(),
            None => usage_text(&self.usage, self.tier.as_deref()),
        }
    }

    fn item_event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Opened { candidate: 0, item, opened } if self.current.is_none() => {
                self.begin(out);
                let opened = opened.clone();
                self.current = Some(Current { item: *item, opened, begun: false, notes: Bag::new() });
            }
            Event::Delta { candidate: 0, item, delta } if self.is_current(*item) => self.delta(delta, out),
            Event::Closed { candidate: 0, item } if self.is_current(*item) => {
                self.close(out);
                for event in mem::take(&mut self.waiting) {
                    self.item_event(&event, out);
                }
            }
            Event::Opened { candidate: 0, .. }
            | Event::Delta { candidate: 0, .. }
            | Event::Closed { candidate: 0, .. } => {
                if let Event::Delta { delta, .. } = event {
                    self.held = self.held.saturating_add(weight(delta));
                }
                if self.held > MAX_HELD {
                    self.losses.add("stream.interleaved");
                } else {
                    self.waiting.push(event.clone());
                }
            }
            Event::Opened { .. } => self.losses.add("choices"),
            _ => {}
        }
    }

    fn is_current(&self, item: u32) -> bool {
        self.current.as_ref().is_some_and(|current| current.item == item)
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        let Some(mut current) = self.current.take() else { return };
        let mut piece = Object::new();
        match (&current.opened, delta) {
            (Opened::Message, Delta::Text(text) | Delta::Refusal(text)) => {
                piece.string("type", "text_delta").string("text", text);
            }
            (Opened::Reasoning, Delta::Reasoning(text)) => {
                piece.string("type", "thinking_delta").string("thinking", text);
            }
            (Opened::Reasoning, Delta::Signature(proof)) if proof.dialect == OWN => {
                piece.string("type", "signature_delta").string("signature", &proof.data);
            }
            (Opened::Reasoning, Delta::Redacted(proof)) if proof.dialect == OWN => {
                let mut block = Object::new();
                block.string("type", "redacted_thinking").string("data", &proof.data);
                write_notes(&mut block, &current.notes, OWN);
                self.write_start(&block.finish(), out);
                current.begun = true;
            }
            (_, Delta::Signature(_) | Delta::Redacted(_)) => self.losses.add("reasoning.signature"),
            (Opened::ToolCall { .. }, Delta::Arguments(text)) => {
                piece.string("type", "input_json_delta").string("partial_json", text);
            }
            (_, Delta::Annotation { dialect, field, value }) if *dialect == OWN => {
                if current.begun && &**field == "citations" {
                    piece.string("type", "citations_delta").raw("citation", value);
                } else {
                    current.notes.append(OWN, field, value);
                }
            }
            (_, Delta::Settled { item, done: true }) => item.lose_into(OWN, "messages", &mut self.losses),
            (_, Delta::Annotation { field, .. }) => self.losses.add(&format!("messages.{field}")),
            (Opened::Foreign(_), Delta::Block { dialect, value }) if *dialect == OWN => {
                self.whole_block(value, out);
                current.begun = true;
            }
            (Opened::Foreign(what), Delta::Block { .. }) => self.losses.add(&format!("messages.{what}")),
            _ => {}
        }
        if !piece.is_empty() {
            self.start_block(&mut current, out);
            self.write_delta(&piece.finish(), out);
        }
        self.current = Some(current);
    }

    /// `content_block_start`, held until the first piece: no empty text blocks, and the notes are known.
    fn start_block(&mut self, current: &mut Current, out: &mut Vec<u8>) {
        if mem::replace(&mut current.begun, true) {
            return;
        }
        let mut block = Object::new();
        match &current.opened {
            Opened::Message => block.string("type", "text").string("text", ""),
            Opened::Reasoning => {
                block.string("type", "thinking").string("thinking", "").string("signature", "")
            }
            Opened::ToolCall { id, name } => block
                .string("type", "tool_use")
                .string("id", &tool_id(id))
                .string("name", name)
                .json("input", "{}"),
            Opened::Foreign(what) => block.string("type", what),
        };
        write_notes(&mut block, &current.notes, OWN);
        self.write_start(&block.finish(), out);
    }

    /// A block of this dialect that came whole: its input goes as a delta, as clients expect it.
    fn whole_block(&mut self, value: &Raw, out: &mut Vec<u8>) {
        let mut fields = value.read::<Fields>().unwrap_or_default();
        let is_call = fields.peek("type").is_some_and(|what| what.text().ends_with("tool_use\""));
        let input = if is_call { fields.take("input") } else { None };
        let mut block = Object::new();
        for (name, raw) in fields.into_iter() {
            block.raw(&name, &raw);
        }
        if is_call {
            block.json("input", "{}");
        }
        self.write_start(&block.finish(), out);
        if let Some(input) = input {
            let mut piece = Object::new();
            piece.string("type", "input_json_delta").string("partial_json", input.text());
            self.write_delta(&piece.finish(), out);
        }
    }

    fn write_start(&self, block: &str, out: &mut Vec<u8>) {
        let mut event = Object::new();
        event.string("type", "content_block_start").scalar("index", self.index).json("content_block", block);
        frame("content_block_start", event, out);
    }

    fn write_delta(&self, delta: &str, out: &mut Vec<u8>) {
        let mut event = Object::new();
        event.string("type", "content_block_delta").scalar("index", self.index).json("delta", delta);
        frame("content_block_delta", event, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut current) = self.current.take() else { return };
        if matches!(current.opened, Opened::ToolCall { .. }) || !current.notes.is_empty() {
            self.start_block(&mut current, out);
        }
        if current.begun {
            let mut event = Object::new();
            event.string("type", "content_block_stop").scalar("index", self.index);
            frame("content_block_stop", event, out);
            self.index += 1;
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        // Items that nobody closed: the answer is complete, so they are.
        while self.current.is_some() {
            self.close(out);
            for event in mem::take(&mut self.waiting) {
                self.item_event(&event, out);
            }
        }
        let (class, sequence) = stop_reason(self.finish.as_ref());
        let mut delta = Object::new();
        match &self.stop_word {
            Some(word) => delta.raw("stop_reason", word),
            None => delta.string("stop_reason", class),
        };
        match sequence {
            Some(text) => delta.string("stop_sequence", text),
            None => delta.json("stop_sequence", "null"),
        };
        delta.bag(&self.extra, OWN);
        let mut event = Object::new();
        event.string("type", "message_delta").json("delta", &delta.finish()).json("usage", &self.usage_now());
        frame("message_delta", event, out);
        let mut event = Object::new();
        event.string("type", "message_stop");
        frame("message_stop", event, out);
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { id, model, .. } => {
                self.upstream_id.clone_from(id);
                self.upstream_model.clone_from(model);
            }
            Event::Opened { .. } | Event::Delta { .. } | Event::Closed { .. } => self.item_event(event, out),
            Event::Logprobs { .. } => self.losses.add("logprobs"),
            Event::Usage(usage) => self.usage = *usage,
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
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
                let body = error::encode(fault);
                write_event(out, "error", &String::from_utf8_lossy(&body));
            }
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn weight(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Reasoning(text) | Delta::Refusal(text) | Delta::Arguments(text) => {
            text.len()
        }
        Delta::Signature(proof) | Delta::Redacted(proof) => proof.data.len(),
        Delta::Annotation { value, .. } | Delta::Block { value, .. } => value.text().len(),
        Delta::Settled { .. } | Delta::Progress { .. } => 0,
    }
}

fn frame(event: &'static str, object: Object, out: &mut Vec<u8>) {
    write_event(out, event, &object.finish());
}
