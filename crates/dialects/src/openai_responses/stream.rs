//! Streamed answer → events.
//!
//! `response.created`, then per item `output_item.added`, its parts and deltas, `output_item.done` with the item
//! whole, then `response.completed` (or `incomplete`, `failed`) with the answer whole. What is whole holds: a
//! delta that a host forgot is made up for when its item is done, an item that it forgot when the answer is.

use super::{
    OWN, error, item,
    response::{created, of_fields},
    types::WireUsage,
};
use crate::{
    framed::{self, Frames, bad},
    object::{Fields, raw_of},
};
use domain::{Delta, Event, Fault, Finish, Item, ItemKind, Message, Opened, Origin, PartKind, Raw, Reply};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// Most items of one answer.
const MAX_ITEMS: u32 = 16_384;

/// Reads a streamed answer.
pub(super) type Decoder = framed::Decoder<State>;

#[derive(Debug, Default)]
pub(super) struct State {
    started: bool,
    over: bool,
    items: u32,
    /// By the wire's index.
    slots: BTreeMap<u32, Slot>,
    calls: bool,
}

/// An item of the answer.
#[derive(Debug)]
struct Slot {
    item: u32,
    /// Bytes of text, thought or arguments that came so far.
    said: usize,
    /// What kind was opened: deltas of another kind are not for it.
    kind: Kind,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Call,
    Foreign,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    output_index: Option<u32>,
    summary_index: Option<u32>,
    content_index: Option<u32>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    delta: Option<Text>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A text; of any other form only that it was none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Is(String),
    Not(serde::de::IgnoredAny),
}

impl Text {
    fn into_text(self) -> String {
        match self {
            Self::Is(text) => text,
            Self::Not(_) => String::new(),
        }
    }
}

impl Frames for State {
    const LAST: &'static str = "response.completed";

    fn over(&mut self) -> &mut bool {
        &mut self.over
    }

    fn frame(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.over || data.trim().is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let wire: Wire<'_> = serde_json::from_str(data)
            .map_err(|error| bad(&format!("a frame is not the JSON of an event: {error}")))?;
        let index = wire.output_index.unwrap_or_default();
        let text = |wire: Wire<'_>| wire.delta.map(Text::into_text).unwrap_or_default();
        match &*wire.kind {
            "response.created" | "response.queued" | "response.in_progress" => self.start(wire.response, out),
            "response.output_item.added" => self.added(index, wire.item, out),
            "response.output_item.done" => self.done(index, wire.item, out),
            "response.output_text.delta" => self.say(index, Kind::Message, Delta::Text(text(wire)), out),
            "response.refusal.delta" => self.say(index, Kind::Message, Delta::Refusal(text(wire)), out),
            "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary.delta"
            | "response.reasoning.delta" => {
                self.say(index, Kind::Reasoning, Delta::Reasoning(text(wire)), out)
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.say(index, Kind::Call, Delta::Arguments(text(wire)), out)
            }
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                self.finish(wire.response, out)
            }
            "response.failed" => {
                self.failed(wire.response, out);
                Ok(())
            }
            "error" => {
                self.fail(&wire.error.map_or_else(|| raw_of(data), Raw::from), out);
                Ok(())
            }
            // An error of a host that has no word for the event.
            "" if wire.error.is_some() => {
                self.fail(&wire.error.map_or_else(Raw::null, Raw::from), out);
                Ok(())
            }
            "response.reasoning_summary_part.added" if wire.summary_index > Some(0) => {
                self.progress(index, data, out);
                self.say(index, Kind::Reasoning, Delta::Reasoning(item::BREAK.into()), out)
            }
            "response.content_part.added" if wire.content_index.is_none_or(|part| part == 0) => {
                if self.kind_of(index) == Some(Kind::Reasoning) {
                    self.progress(index, data, out);
                }
                Ok(())
            }
            kind if is_repetition(kind) || wire.output_index.is_none() => Ok(()),
            _ => {
                self.progress(index, data, out);
                Ok(())
            }
        }
    }
}

impl State {
    fn start(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let raw = response.map_or_else(|| raw_of("{}"), Raw::from);
        let misfit = |_| bad("`response` is not an object with an `id`");
        let mut fields = Fields::of(&raw, "response").map_err(misfit)?;
        out.push(Event::Started {
            id: fields.string("id").map_err(misfit)?.unwrap_or_default().into(),
            model: fields.string("model").map_err(misfit)?.unwrap_or_default().into(),
            created: created(&mut fields),
        });
        Ok(())
    }

    fn kind_of(&self, index: u32) -> Option<Kind> {
        self.slots.get(&index).map(|slot| slot.kind)
    }

    fn added(&mut self, index: u32, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        // A host that begins an item without what it must have says it when the item is done.
        let Some(item) = raw.and_then(|raw| item::read(&Raw::from(raw), Origin::default()).ok()) else {
            return Ok(());
        };
        if self.slots.contains_key(&index) {
            return Ok(());
        }
        self.open(index, &item, out)
    }

    fn open(&mut self, index: u32, item: &Item, out: &mut Vec<Event>) -> Result<(), Fault> {
        self.start(None, out)?;
        if self.items >= MAX_ITEMS {
            return Err(bad("the answer has more than 16,384 items"));
        }
        let (opened, kind) = match &item.kind {
            ItemKind::Message(_) => (Opened::Message, Kind::Message),
            ItemKind::Reasoning(_) => (Opened::Reasoning, Kind::Reasoning),
            ItemKind::ToolCall(call) => {
                self.calls = true;
                let (id, name) = (call.id.as_str().into(), call.name.as_str().into());
                (Opened::ToolCall { id, name }, Kind::Call)
            }
            ItemKind::ToolResult(_) => (Opened::Foreign("function_call_output".into()), Kind::Foreign),
            ItemKind::Foreign { what } => (Opened::Foreign(what.clone()), Kind::Foreign),
        };
        let slot = Slot { item: self.items, said: 0, kind, closed: false };
        self.items += 1;
        out.push(Event::Opened { candidate: 0, item: slot.item, opened });
        let begun = Delta::Settled { item: Box::new(item::begun(item)), done: false };
        out.push(Event::Delta { candidate: 0, item: slot.item, delta: begun });
        self.slots.insert(index, slot);
        Ok(())
    }

    fn say(&mut self, index: u32, kind: Kind, delta: Delta, out: &mut Vec<Event>) -> Result<(), Fault> {
        if !self.slots.contains_key(&index) {
            // A text whose item nobody began.
            let item = match kind {
                Kind::Message => Item::new(
                    ItemKind::Message(Message { role: domain::Role::Assistant, parts: Vec::new() }),
                    Origin::default(),
                ),
                Kind::Reasoning => {
                    Item::new(ItemKind::Reasoning(domain::Reasoning::default()), Origin::default())
                }
                Kind::Call | Kind::Foreign => return Ok(()),
            };
            self.open(index, &item, out)?;
        }
        let Some(slot) = self.slots.get_mut(&index).filter(|slot| slot.kind == kind && !slot.closed) else {
            return Ok(());
        };
        let length = match &delta {
            Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text) | Delta::Arguments(text) => {
                text.len()
            }
            _ => 0,
        };
        if length > 0 {
            slot.said += length;
            out.push(Event::Delta { candidate: 0, item: slot.item, delta });
        }
        Ok(())
    }

    fn progress(&self, index: u32, data: &str, out: &mut Vec<Event>) {
        if let Some(slot) = self.slots.get(&index).filter(|slot| !slot.closed) {
            let delta = Delta::Progress { dialect: OWN, event: raw_of(data) };
            out.push(Event::Delta { candidate: 0, item: slot.item, delta });
        }
    }

    fn done(&mut self, index: u32, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let raw = raw.map(Raw::from).ok_or_else(|| bad("`output_item.done` has no item"))?;
        let item = item::read(&raw, Origin::default())
            .map_err(|_| bad("the item of `output_item.done` does not have its form"))?;
        self.whole(index, item, out)
    }

    /// An item is whole: what its deltas did not say is said, then it is closed.
    fn whole(&mut self, index: u32, item: Item, out: &mut Vec<Event>) -> Result<(), Fault> {
        if !self.slots.contains_key(&index) {
            self.open(index, &item, out)?;
        }
        let Some(slot) = self.slots.get_mut(&index).filter(|slot| !slot.closed) else { return Ok(()) };
        slot.closed = true;
        let mut deltas = unsaid(&item, slot.said);
        if let ItemKind::Reasoning(domain::Reasoning { signature: Some(proof), redacted, .. }) = &item.kind {
            let proof = proof.clone();
            deltas.push(if *redacted { Delta::Redacted(proof) } else { Delta::Signature(proof) });
        }
        if let (ItemKind::Foreign { .. }, Some(block)) = (&item.kind, item.bag.get(OWN, "$block")) {
            deltas.push(Delta::Block { dialect: OWN, value: block.clone() });
        }
        deltas.push(Delta::Settled { item: Box::new(item), done: true });
        let own = slot.item;
        out.extend(deltas.into_iter().map(|delta| Event::Delta { candidate: 0, item: own, delta }));
        out.push(Event::Closed { candidate: 0, item: own });
        Ok(())
    }

    fn finish(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        self.start(response, out)?;
        let raw = response.map(Raw::from).ok_or_else(|| bad("the last event has no response"))?;
        let misfit = |_| bad("the last event's response is not an object");
        let fields = Fields::of(&raw, "response").map_err(misfit)?;
        let reply = match of_fields(fields) {
            Ok(reply) => reply,
            Err(fault) => {
                self.end_with(Event::Failed(fault), out);
                return Ok(());
            }
        };
        self.settle(reply, out)
    }

    fn settle(&mut self, mut reply: Reply, out: &mut Vec<Event>) -> Result<(), Fault> {
        let candidate = reply.candidates.pop().unwrap_or_default();
        // An answer that numbers its items otherwise has said them all the same.
        let all_said = self.slots.len() >= candidate.items.len();
        for (index, item) in candidate.items.into_iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            if all_said && !self.slots.contains_key(&index) {
                continue;
            }
            self.whole(index, item, out)?;
        }
        for slot in self.slots.values_mut().filter(|slot| !slot.closed) {
            slot.closed = true;
            out.push(Event::Closed { candidate: 0, item: slot.item });
        }
        if let Some(value) = candidate.logprobs {
            out.push(Event::Logprobs { candidate: 0, value });
        }
        if let Some(usage) = reply.usage {
            out.push(Event::Usage(usage));
        }
        out.extend(reply.service_tier.map(Event::ServiceTier));
        out.push(Event::Extra { candidate: None, bag: reply.bag });
        // Some hosts leave the items out of the last event.
        let finish = match candidate.finish {
            Some(Finish::Stop) if self.calls => Some(Finish::ToolCalls),
            finish => finish,
        };
        if let Some(finish) = finish {
            out.push(Event::CandidateFinished { candidate: 0, finish });
        }
        self.end_with(Event::Finished, out);
        Ok(())
    }

    /// The answer broke off; what it used is booked all the same.
    fn failed(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) {
        let mut fields = response.and_then(|raw| Fields::of(&Raw::from(raw), "").ok()).unwrap_or_default();
        let usage = fields.take("usage").and_then(|raw| raw.read::<WireUsage>().ok());
        out.extend(usage.map(|usage| Event::Usage(usage.normal())));
        self.fail(&fields.take("error").unwrap_or_else(|| raw_of("{}")), out);
    }

    fn fail(&mut self, error: &Raw, out: &mut Vec<Event>) {
        self.end_with(Event::Failed(error::fault_inside(error)), out);
    }

    fn end_with(&mut self, event: Event, out: &mut Vec<Event>) {
        self.over = true;
        out.push(event);
    }
}

/// Events that say again, whole, what deltas said: the item's own end is enough.
fn is_repetition(kind: &str) -> bool {
    matches!(
        kind,
        "response.output_text.done"
            | "response.refusal.done"
            | "response.content_part.done"
            | "response.reasoning_text.done"
            | "response.reasoning.done"
            | "response.reasoning_summary_text.done"
            | "response.reasoning_summary.done"
            | "response.reasoning_summary_part.done"
            | "response.function_call_arguments.done"
            | "response.custom_tool_call_input.done"
    )
}

/// What of a whole item its deltas did not say, where they said the first `said` bytes of it.
fn unsaid(item: &Item, said: usize) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let mut left = said;
    let mut rest = |text: &str| {
        let rest = text.get(left.min(text.len())..).unwrap_or_default().to_owned();
        left = left.saturating_sub(text.len());
        (!rest.is_empty()).then_some(rest)
    };
    match &item.kind {
        ItemKind::Message(said) => {
            for part in &said.parts {
                match &part.kind {
                    PartKind::Text { text, .. } => deltas.extend(rest(text).map(Delta::Text)),
                    PartKind::Refusal(text) => deltas.extend(rest(text).map(Delta::Refusal)),
                    _ => {}
                }
            }
        }
        ItemKind::ToolCall(call) => deltas.extend(rest(&call.arguments).map(Delta::Arguments)),
        // A summary and the thought itself may both have come; what is whole is one of them.
        ItemKind::Reasoning(thought) if said == 0 => {
            deltas.extend(rest(&thought.text).map(Delta::Reasoning));
        }
        _ => {}
    }
    deltas
}
