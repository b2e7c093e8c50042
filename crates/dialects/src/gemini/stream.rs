//! Streamed answers, both ways. A stream is a row of partial replies: as server-sent events (`alt=sse`) or,
//! without that, as one JSON list. There is no end mark; an answer is whole when every candidate has its
//! `finishReason` (or the prompt was blocked), so ends are told when the connection ends.

use super::{
    encode::{call_part, content, finish_word, is_own_logprobs, text_part, usage_object},
    error,
    response::{WireCandidate, WirePart, bad, call_id, chunk, finish_of},
    types::{Object, array},
};
use crate::{
    codec::{ReplyContext, StreamDecoder, StreamEncoder},
    sse::{Framer, MAX_FRAME_BYTES, write_data},
};
use domain::{
    Bag, Delta, Dialect, Event, Fault, Finish, Losses, Opened, Raw, Signature, ToolCall, Usage, bag,
};
use std::collections::BTreeMap;

const G: Dialect = Dialect::Gemini;
/// Most items in one candidate, and most candidates.
const MAX_ITEMS: u32 = 16_384;

// --- bytes → events -------------------------------------------------------------------------------------

/// Reads a stream in either form.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    form: Form,
    state: State,
}

#[derive(Debug, Default)]
enum Form {
    /// Nothing but white space and a byte-order mark yet.
    #[default]
    Unknown,
    Sse(Framer),
    List(Splitter),
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { form, state } = self;
        if matches!(form, Form::Unknown) {
            let first =
                bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte));
            match first {
                None => return Ok(()),
                Some(b'[' | b'{') => *form = Form::List(Splitter::default()),
                Some(_) => *form = Form::Sse(Framer::new()),
            }
        }
        match form {
            Form::Unknown => Ok(()),
            Form::Sse(framer) => framer.push(bytes, |frame| state.frame(frame.data, out)),
            Form::List(splitter) => splitter.push(bytes, |text| state.chunk(text, out)),
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { form, state } = self;
        match form {
            Form::Unknown => {}
            Form::Sse(framer) => framer.end(|frame| state.frame(frame.data, out))?,
            Form::List(splitter) if splitter.depth > 0 && !state.over => {
                return Err(bad("broke off in the middle of a chunk"));
            }
            Form::List(_) => {}
        }
        state.end(out)
    }
}

/// Cuts a JSON list into its objects; everything between them is white space, commas and brackets.
#[derive(Debug, Default)]
struct Splitter {
    held: Vec<u8>,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    fn push<F>(&mut self, bytes: &[u8], mut on_object: F) -> Result<(), Fault>
    where
        F: FnMut(&str) -> Result<(), Fault>,
    {
        for &byte in bytes {
            if self.depth == 0 {
                match byte {
                    b'{' => self.depth = 1,
                    b'[' | b']' | b',' | 0xef | 0xbb | 0xbf => continue,
                    byte if byte.is_ascii_whitespace() => continue,
                    _ => return Err(bad("is not a list of chunks")),
                }
                self.held.push(byte);
                continue;
            }
            if self.held.len() >= MAX_FRAME_BYTES {
                return Err(bad("has a chunk above 1 MiB"));
            }
            self.held.push(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' if !self.in_string => self.depth = self.depth.saturating_add(1),
                b'}' if !self.in_string => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                let held = std::mem::take(&mut self.held);
                on_object(std::str::from_utf8(&held).map_err(|_| bad("is not valid UTF-8"))?)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    /// `Finished` or `Failed` was told.
    over: bool,
    blocked: bool,
    id: Box<str>,
    usage: Option<Usage>,
    tier: Option<Box<str>>,
    candidates: BTreeMap<u32, Progress>,
}

/// How far a candidate has come.
#[derive(Debug, Default)]
struct Progress {
    items: u32,
    open: Option<Open>,
    calls: u32,
    has_index: bool,
    finish: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Message,
    Reasoning,
}

impl State {
    fn frame(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        match data.trim() {
            "" | "[DONE]" => Ok(()),
            text => self.chunk(text, out),
        }
    }

    fn chunk(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.over {
            return Ok(());
        }
        let chunk = match chunk(text) {
            Ok(chunk) => chunk,
            Err(fault) if fault.code == domain::Code::UpstreamBadResponse => return Err(fault),
            Err(fault) => {
                self.over = true;
                out.push(Event::Failed(fault));
                return Ok(());
            }
        };
        if !self.started {
            self.started = true;
            self.id = chunk.id.unwrap_or_default();
            let (id, model) = (self.id.clone(), chunk.model.unwrap_or_default());
            out.push(Event::Started { id, model, created: chunk.created });
        }
        self.blocked |= chunk.blocked;
        for candidate in chunk.candidates {
            self.candidate(candidate, out)?;
        }
        if let Some(usage) = chunk.usage.filter(|usage| self.usage != Some(*usage)) {
            self.usage = Some(usage);
            out.push(Event::Usage(usage));
        }
        if let Some(tier) = chunk.tier.filter(|tier| self.tier.as_ref() != Some(tier)) {
            self.tier = Some(tier.clone());
            out.push(Event::ServiceTier(tier));
        }
        if !chunk.bag.is_empty() {
            out.push(Event::Extra { candidate: None, bag: chunk.bag });
        }
        Ok(())
    }

    fn candidate(&mut self, wire: WireCandidate, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = wire.index;
        if index >= MAX_ITEMS {
            return Err(bad("has too many candidates"));
        }
        let progress = self.candidates.entry(index).or_default();
        progress.has_index |= wire.has_index;
        for part in wire.parts {
            if progress.items >= MAX_ITEMS {
                return Err(bad("has too many parts"));
            }
            progress.part(index, part, &self.id, out);
        }
        if let Some(value) = wire.logprobs {
            out.push(Event::Logprobs { candidate: index, value });
        }
        if !wire.bag.is_empty() {
            out.push(Event::Extra { candidate: Some(index), bag: wire.bag });
        }
        if wire.finish.is_some() {
            progress.finish = wire.finish;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.over {
            return Ok(());
        }
        let whole = self.candidates.values().all(|progress| progress.finish.is_some());
        if !self.started || !whole || (self.candidates.is_empty() && !self.blocked) {
            self.over = true;
            return Err(bad("broke off before its finish reason"));
        }
        self.over = true;
        if self.candidates.is_empty() {
            let mut bag = Bag::new();
            bag.put(G, "$noCandidate", Raw::null());
            out.push(Event::Extra { candidate: Some(0), bag });
            out.push(Event::CandidateFinished { candidate: 0, finish: Finish::ContentFilter });
        }
        for (index, progress) in &mut self.candidates {
            progress.close(*index, out);
            let mut bag = Bag::new();
            if !progress.has_index {
                bag.put(G, "$noIndex", Raw::null());
            }
            let word = progress.finish.take().unwrap_or_default();
            let finish = finish_of(&word, progress.calls > 0, &mut bag);
            if !bag.is_empty() {
                out.push(Event::Extra { candidate: Some(*index), bag });
            }
            out.push(Event::CandidateFinished { candidate: *index, finish });
        }
        out.push(Event::Finished);
        Ok(())
    }
}

impl Progress {
    fn part(&mut self, candidate: u32, part: WirePart, reply: &str, out: &mut Vec<Event>) {
        match part {
            WirePart::Text { text, signature, .. } => {
                self.say(candidate, Open::Message, text, signature, out);
            }
            WirePart::Thought { text, signature } => {
                self.say(candidate, Open::Reasoning, text, signature, out);
            }
            WirePart::Call { id, name, arguments, signature } => {
                self.close(candidate, out);
                let id = id.unwrap_or_else(|| call_id(reply, candidate, self.calls, &name, &arguments));
                self.calls += 1;
                let opened = Opened::ToolCall { id: id.into(), name: name.into() };
                let deltas = [Some(Delta::Arguments(arguments)), signature.map(Delta::Signature)];
                self.whole(candidate, opened, deltas.into_iter().flatten(), out);
            }
            WirePart::Block { what, block } => {
                self.close(candidate, out);
                let delta = Delta::Block { dialect: G, value: block };
                self.whole(candidate, Opened::Foreign(what), std::iter::once(delta), out);
            }
        }
    }

    fn whole<I: Iterator<Item = Delta>>(
        &mut self,
        candidate: u32,
        opened: Opened,
        deltas: I,
        out: &mut Vec<Event>,
    ) {
        let item = self.items;
        out.push(Event::Opened { candidate, item, opened });
        out.extend(deltas.map(|delta| Event::Delta { candidate, item, delta }));
        out.push(Event::Closed { candidate, item });
        self.items += 1;
    }

    fn say(
        &mut self,
        candidate: u32,
        kind: Open,
        text: String,
        signature: Option<Signature>,
        out: &mut Vec<Event>,
    ) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        if self.open != Some(kind) {
            self.close(candidate, out);
            let opened = if kind == Open::Message { Opened::Message } else { Opened::Reasoning };
            out.push(Event::Opened { candidate, item: self.items, opened });
            self.open = Some(kind);
            self.items += 1;
        }
        let item = self.items.saturating_sub(1);
        if !text.is_empty() {
            let delta = if kind == Open::Message { Delta::Text(text) } else { Delta::Reasoning(text) };
            out.push(Event::Delta { candidate, item, delta });
        }
        if let Some(signature) = signature {
            out.push(Event::Delta { candidate, item, delta: Delta::Signature(signature) });
        }
    }

    fn close(&mut self, candidate: u32, out: &mut Vec<Event>) {
        if self.open.take().is_some() {
            out.push(Event::Closed { candidate, item: self.items.saturating_sub(1) });
        }
    }
}

// --- events → bytes -------------------------------------------------------------------------------------

/// Writes a stream as server-sent events. Text goes out as it comes; calls when they are whole; the finish
/// reasons, usage and extra fields in one last chunk.
pub(super) struct Encoder {
    id: Box<str>,
    model: Option<Box<str>>,
    open: BTreeMap<(u32, u32), Held>,
    finished: BTreeMap<u32, Finish>,
    logprobs: BTreeMap<u32, Raw>,
    extras: BTreeMap<u32, Bag>,
    bag: Bag,
    usage: Option<Usage>,
    losses: Losses,
    over: bool,
}

enum Held {
    Message,
    Reasoning,
    Call(ToolCall),
    Foreign,
}

impl Encoder {
    /// At the start of a stream.
    pub(super) fn new(context: &ReplyContext<'_>) -> Self {
        Self {
            id: context.id.into(),
            model: context.model.map(Into::into),
            open: BTreeMap::new(),
            finished: BTreeMap::new(),
            logprobs: BTreeMap::new(),
            extras: BTreeMap::new(),
            bag: bag::Bag::new(),
            usage: None,
            losses: Losses::none(),
            over: false,
        }
    }

    fn part(&self, candidate: u32, part: String, out: &mut Vec<u8>) {
        let mut object = Object::new();
        object.put_text("content", &content(&Bag::new(), vec![part]));
        object.put("index", &candidate);
        let mut chunk = Object::new();
        chunk.put_text("candidates", &array([object.finish()]));
        self.close_chunk(chunk, out);
    }

    fn close_chunk(&self, mut chunk: Object, out: &mut Vec<u8>) {
        chunk.put_some("modelVersion", self.model.as_ref());
        chunk.put("responseId", &self.id);
        write_data(out, &chunk.finish());
    }

    fn delta(&mut self, candidate: u32, item: u32, delta: &Delta, out: &mut Vec<u8>) {
        let none = Bag::new();
        let held = self.open.get_mut(&(candidate, item));
        let part = match (held, delta) {
            (Some(Held::Call(call)), Delta::Arguments(text)) => {
                call.arguments.push_str(text);
                return;
            }
            (Some(Held::Call(call)), Delta::Signature(proof)) => {
                call.signature = Some(proof.clone());
                return;
            }
            (_, Delta::Signature(proof) | Delta::Redacted(proof)) if proof.dialect != G => {
                self.losses.add("reasoning.signature");
                return;
            }
            (held, Delta::Signature(proof)) => {
                text_part("", matches!(held, Some(Held::Reasoning)), Some(&proof.data), &none)
            }
            (_, Delta::Text(text)) => text_part(text, false, None, &none),
            (_, Delta::Reasoning(text)) => text_part(text, true, None, &none),
            (_, Delta::Refusal(text)) => {
                self.losses.add("candidates.refusal");
                text_part(text, false, None, &none)
            }
            (_, Delta::Block { dialect: G, value }) => value.text().to_owned(),
            (_, Delta::Annotation { field, .. }) => {
                self.losses.add(&format!("candidates.{field}"));
                return;
            }
            (_, Delta::Redacted(_)) => {
                self.losses.add("reasoning.redacted");
                return;
            }
            (_, Delta::Block { .. }) => {
                self.losses.add("candidates.block");
                return;
            }
            (_, Delta::Settled { item, done: true }) => {
                item.lose_into(G, "candidates", &mut self.losses);
                return;
            }
            (_, Delta::Arguments(_) | Delta::Settled { .. } | Delta::Progress { .. }) => return,
        };
        self.part(candidate, part, out);
    }

    fn last_chunk(&mut self, out: &mut Vec<u8>) {
        let mut chunk = Object::new();
        let blocked = self.extras.values().any(|bag| bag.get(G, "$noCandidate").is_some());
        if !blocked {
            let finished = std::mem::take(&mut self.finished);
            let written = finished.iter().map(|(index, finish)| {
                let empty = Bag::new();
                let bag = self.extras.get(index).unwrap_or(&empty);
                let mut object = Object::new();
                object.put_text("content", &content(&Bag::new(), vec![text_part("", false, None, &empty)]));
                object.put("finishReason", &finish_word(finish, bag));
                object.put("index", index);
                if let Some(logprobs) = self.logprobs.get(index) {
                    object.put_text("logprobsResult", logprobs.text());
                }
                object.put_bag(bag, "");
                object.finish()
            });
            chunk.put_text("candidates", &array(written));
        }
        match (self.bag.get(G, "$usageMetadata"), &self.usage) {
            (Some(raw), _) => chunk.put_text("usageMetadata", raw.text()),
            (None, Some(usage)) => chunk.put_text("usageMetadata", &usage_object(usage)),
            (None, None) => {}
        }
        if let Some(raw) = self.bag.get(G, "$createTime") {
            chunk.put_text("createTime", raw.text());
        }
        chunk.put_bag(&self.bag, "");
        self.close_chunk(chunk, out);
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Started { id, model, .. } => {
                if self.id.is_empty() {
                    self.id.clone_from(id);
                }
                self.model.get_or_insert_with(|| model.clone());
            }
            Event::Opened { candidate, item, opened } => {
                let held = match opened {
                    Opened::Message => Held::Message,
                    Opened::Reasoning => Held::Reasoning,
                    Opened::Foreign(_) => Held::Foreign,
                    Opened::ToolCall { id, name } => Held::Call(ToolCall {
                        id: id.to_string(),
                        name: name.to_string(),
                        arguments: String::new(),
                        signature: None,
                    }),
                };
                if self.open.len() < MAX_ITEMS as usize {
                    self.open.insert((*candidate, *item), held);
                }
            }
            Event::Delta { candidate, item, delta } => self.delta(*candidate, *item, delta, out),
            Event::Closed { candidate, item } => {
                if let Some(Held::Call(call)) = self.open.remove(&(*candidate, *item)) {
                    let own = call.signature.as_ref().filter(|proof| proof.dialect == G);
                    if own.is_none() && call.signature.is_some() {
                        self.losses.add("reasoning.signature");
                    }
                    let part = call_part(&call, own.map(|proof| &*proof.data));
                    self.part(*candidate, part, out);
                }
            }
            Event::Logprobs { candidate, value } => {
                if is_own_logprobs(value) {
                    self.logprobs.insert(*candidate, value.clone());
                } else {
                    self.losses.add("logprobs");
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(_) => {}
            Event::CandidateFinished { candidate, finish } => {
                self.finished.insert(*candidate, finish.clone());
            }
            Event::Extra { candidate, bag } => {
                bag.lose_into(G, "", &mut self.losses);
                match candidate {
                    None => self.bag.merge(bag),
                    Some(index) => self.extras.entry(*index).or_default().merge(bag),
                }
            }
            Event::Finished => {
                self.over = true;
                self.last_chunk(out);
            }
            Event::Failed(fault) => {
                self.over = true;
                write_data(out, &String::from_utf8_lossy(&error::encode(fault)));
            }
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
