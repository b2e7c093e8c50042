//! Chunks → events.

use crate::{
    codec::StreamDecoder,
    openai_chat::{
        OWN, error, finish, reasoning,
        response::{
            FINISH, Members, OBJECT, Piece, USAGE, arguments, class_of, made_up_id, read_as, split_content,
        },
        types::{Filled, Lenient, WireUsage},
    },
    sse::{Frame, Framer},
};
use domain::{Bag, Code, Delta, Event, Fault, Finish, Opened, Raw};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most items of one candidate, and most candidates.
const MAX_ITEMS: u32 = 16_384;

/// Reads a streamed answer.
#[derive(Default)]
pub(in crate::openai_chat) struct Decoder {
    framer: Framer,
    state: State,
}

#[derive(Default)]
struct State {
    started: bool,
    over: bool,
    candidates: BTreeMap<u32, Candidate>,
    /// Unknown members that were told already, so that each is told once.
    told: BTreeMap<(Option<u32>, String), String>,
    tier: Option<Box<str>>,
    pending: Bag,
}

#[derive(Default)]
struct Candidate {
    next: u32,
    thought: Option<u32>,
    message: Option<u32>,
    tools: Vec<Tool>,
    finished: bool,
}

struct Tool {
    wire: Option<u64>,
    id: String,
    name: String,
    /// Set once the name is known.
    item: Option<u32>,
    held: String,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { framer, state } = self;
        framer.push(bytes, |frame| state.frame(frame, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { framer, state } = self;
        framer.end(|frame| state.frame(frame, out))?;
        if state.over {
            return Ok(());
        }
        let all = !state.candidates.is_empty() && state.candidates.values().all(|one| one.finished);
        if !all {
            return Err(error::cut_off());
        }
        state.over = true;
        out.push(Event::Finished);
        Ok(())
    }
}

fn bad(detail: &str) -> Fault {
    Fault::upstream(
        Code::UpstreamBadResponse,
        "The upstream's stream is not one of chat completion chunks; the answer was given up.",
    )
    .because(detail)
}

impl State {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let data = frame.data.trim();
        if self.over || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done(out);
            return Ok(());
        }
        let chunk: Members<'_> = match serde_json::from_str(data) {
            Ok(chunk) => chunk,
            // JSON that is no object (`""`): a host's sign of life.
            Err(_) if serde_json::from_str::<&RawValue>(data).is_ok_and(|v| !v.get().starts_with('{')) => {
                return Ok(());
            }
            Err(error) => return Err(bad(&error.to_string())),
        };
        if frame.event == Some("error") || chunk.get("error").is_some_and(|e| read_as::<Filled>(e).0) {
            self.fail(data, out);
            return Ok(());
        }
        let choices: Option<Vec<Members<'_>>> = match chunk.get("choices") {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|error| bad(&error.to_string()))?,
            None => None,
        };
        let choices = choices.unwrap_or_default();
        self.top(&chunk, !choices.is_empty(), out);
        for choice in &choices {
            let word = choice.get("finish_reason").and_then(|raw| read_as::<Lenient>(raw).0);
            if choice.get("error").is_some_and(|e| read_as::<Filled>(e).0) || word.as_deref() == Some("error")
            {
                self.fail(data, out);
                return Ok(());
            }
            self.choice(choice, word.as_deref(), out)?;
        }
        self.usage(&chunk, out);
        Ok(())
    }

    fn fail(&mut self, data: &str, out: &mut Vec<Event>) {
        self.over = true;
        out.push(Event::Failed(error::fault_inside(&error::decode(200, data.as_bytes()))));
    }

    fn done(&mut self, out: &mut Vec<Event>) {
        self.over = true;
        for (index, one) in &mut self.candidates {
            if !one.finished {
                let finish = if one.tools.is_empty() { Finish::Stop } else { Finish::ToolCalls };
                one.close(*index, out);
                out.push(Event::CandidateFinished { candidate: *index, finish });
            }
        }
        if self.candidates.is_empty() {
            out.push(Event::Failed(bad("the end mark came before any choice")));
        } else {
            out.push(Event::Finished);
        }
    }

    /// Members of the whole answer. The answer starts with its first choice, or with the first id: Azure
    /// sends filter results ahead of both.
    fn top(&mut self, chunk: &Members<'_>, choices: bool, out: &mut Vec<Event>) {
        let text = |name: &str| chunk.get(name).and_then(|raw| read_as::<Lenient>(raw).0).unwrap_or_default();
        let id = text("id");
        let mut extra = Bag::new();
        for (name, raw) in chunk {
            match name.as_str() {
                "id" | "object" | "created" | "model" | "choices" | "usage" | "obfuscation" | "error" => {}
                "service_tier" => {
                    if let Some(tier) = read_as::<Lenient>(raw).0.filter(|tier| !tier.is_empty())
                        && self.tier.as_ref() != Some(&tier)
                    {
                        self.tier = Some(tier);
                    }
                }
                name => self.tell(None, name, raw, &mut extra),
            }
        }
        if !self.started && (choices || !id.is_empty()) {
            self.started = true;
            let created = chunk.get("created").and_then(|raw| serde_json::from_str(raw.get()).ok());
            out.push(Event::Started { id, model: text("model"), created });
            self.pending.put(OWN, OBJECT, Raw::from(&serde_json::Value::from("chat.completion")));
        }
        self.pending.merge(&extra);
        if self.started {
            if !self.pending.is_empty() {
                out.push(Event::Extra { candidate: None, bag: std::mem::take(&mut self.pending) });
            }
            let told = (None, "$tier".to_owned());
            if let Some(tier) = &self.tier
                && self.told.get(&told).map(String::as_str) != Some(&**tier)
            {
                self.told.insert(told, tier.to_string());
                out.push(Event::ServiceTier(tier.clone()));
            }
        }
    }

    fn tell(&mut self, candidate: Option<u32>, name: &str, raw: &RawValue, extra: &mut Bag) {
        if raw.get() == "null" || self.told.len() >= MAX_ITEMS as usize {
            return;
        }
        let key = (candidate, name.to_owned());
        if self.told.get(&key).map(String::as_str) != Some(raw.get()) {
            self.told.insert(key, raw.get().to_owned());
            extra.put(OWN, name, Raw::from(raw));
        }
    }

    fn usage(&mut self, chunk: &Members<'_>, out: &mut Vec<Event>) {
        let groq = chunk.get("x_groq").and_then(|raw| serde_json::from_str::<Members<'_>>(raw.get()).ok());
        let raw = chunk
            .get("usage")
            .copied()
            .filter(|raw| raw.get() != "null")
            .or_else(|| groq.as_ref()?.get("usage").copied().filter(|raw| raw.get() != "null"));
        let Some(raw) = raw else { return };
        if let Ok(usage) = serde_json::from_str::<WireUsage>(raw.get()) {
            let mut bag = Bag::new();
            bag.put(OWN, USAGE, Raw::from(raw));
            out.push(Event::Usage(usage.normal()));
            out.push(Event::Extra { candidate: None, bag });
        }
    }

    fn choice(
        &mut self,
        choice: &Members<'_>,
        word: Option<&str>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let index = choice.get("index").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(0_u32);
        if index >= MAX_ITEMS {
            return Err(bad("a choice with an index above 16,384"));
        }
        let mut extra = Bag::new();
        for (name, raw) in choice {
            if !matches!(
                name.as_str(),
                "index" | "delta" | "message" | "finish_reason" | "logprobs" | "error"
            ) {
                self.tell(Some(index), name, raw, &mut extra);
            }
        }
        let one = self.candidates.entry(index).or_default();
        let delta = choice.get("delta").filter(|raw| raw.get().starts_with('{'));
        if let Some(delta) = delta.filter(|_| !one.finished) {
            let delta: Members<'_> =
                serde_json::from_str(delta.get()).map_err(|error| bad(&error.to_string()))?;
            one.delta(index, &delta, out)?;
        }
        if let Some(raw) = choice.get("logprobs") {
            let filled = serde_json::from_str::<BTreeMap<String, Filled>>(raw.get());
            if filled.is_ok_and(|members| members.values().any(|member| member.0)) {
                out.push(Event::Logprobs { candidate: index, value: Raw::from(*raw) });
            }
        }
        let class = word.and_then(|word| class_of(word, !one.tools.is_empty()));
        if let (Some(class), Some(word), false) = (class, word, one.finished) {
            one.finished = true;
            one.close(index, out);
            if finish::write(&class) != word {
                extra.put(OWN, FINISH, Raw::from(&serde_json::Value::from(word)));
            }
            if !extra.is_empty() {
                out.push(Event::Extra { candidate: Some(index), bag: extra });
            }
            out.push(Event::CandidateFinished { candidate: index, finish: class });
        } else if !extra.is_empty() {
            out.push(Event::Extra { candidate: Some(index), bag: extra });
        }
        Ok(())
    }
}

impl Candidate {
    fn delta(&mut self, index: u32, delta: &Members<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let text = |name: &str| {
            delta.get(name).and_then(|raw| read_as::<Lenient>(raw).0).filter(|text| !text.is_empty())
        };
        let details: Vec<Raw> = delta
            .get("reasoning_details")
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        if details.is_empty() {
            if let Some(text) = text("reasoning_content").or_else(|| text("reasoning")) {
                self.think(index, text.into(), out)?;
            }
        } else {
            for element in &details {
                self.detail(index, element, out)?;
            }
        }
        if let Some(raw) = delta.get("content") {
            if raw.get().starts_with('[') {
                for (piece, text) in split_content(raw).map_err(|error| bad(&error.to_string()))? {
                    match piece {
                        _ if text.is_empty() => {}
                        Piece::Thought => self.think(index, text, out)?,
                        Piece::Text => self.say(index, Delta::Text(text), out)?,
                    }
                }
            } else if let Some(text) = text("content") {
                self.say(index, Delta::Text(text.into()), out)?;
            }
        }
        if let Some(text) = text("refusal") {
            self.say(index, Delta::Refusal(text.into()), out)?;
        }
        let notes: Vec<Raw> =
            delta.get("annotations").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        for value in notes {
            self.say(index, Delta::Annotation { dialect: OWN, field: "annotations".into(), value }, out)?;
        }
        let calls: Vec<Members<'_>> =
            delta.get("tool_calls").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        for call in &calls {
            self.tool(index, call, out)?;
        }
        Ok(())
    }

    fn open(&mut self, index: u32, opened: Opened, out: &mut Vec<Event>) -> Result<u32, Fault> {
        let item = self.next;
        if item >= MAX_ITEMS {
            return Err(bad("more than 16,384 items"));
        }
        self.next += 1;
        out.push(Event::Opened { candidate: index, item, opened });
        Ok(item)
    }

    fn think(&mut self, index: u32, text: String, out: &mut Vec<Event>) -> Result<(), Fault> {
        let item = self.thought(index, out)?;
        out.push(Event::Delta { candidate: index, item, delta: Delta::Reasoning(text) });
        Ok(())
    }

    fn thought(&mut self, index: u32, out: &mut Vec<Event>) -> Result<u32, Fault> {
        if let Some(item) = self.message.take() {
            out.push(Event::Closed { candidate: index, item });
        }
        match self.thought {
            Some(item) => Ok(item),
            None => {
                let item = self.open(index, Opened::Reasoning, out)?;
                self.thought = Some(item);
                Ok(item)
            }
        }
    }

    fn detail(&mut self, index: u32, element: &Raw, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some((thought, _)) = reasoning::from_detail(element) else { return Ok(()) };
        if !thought.text.is_empty() {
            self.think(index, thought.text, out)?;
        }
        let Some(proof) = thought.signature else { return Ok(()) };
        if thought.redacted
            && let Some(item) = self.thought.take()
        {
            out.push(Event::Closed { candidate: index, item });
        }
        let item = self.thought(index, out)?;
        let delta = if thought.redacted { Delta::Redacted(proof) } else { Delta::Signature(proof) };
        out.push(Event::Delta { candidate: index, item, delta });
        // A proof ends a block of thoughts.
        self.thought = None;
        out.push(Event::Closed { candidate: index, item });
        Ok(())
    }

    fn say(&mut self, index: u32, delta: Delta, out: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(item) = self.thought.take() {
            out.push(Event::Closed { candidate: index, item });
        }
        let item = match self.message {
            Some(item) => item,
            None => {
                let item = self.open(index, Opened::Message, out)?;
                self.message = Some(item);
                item
            }
        };
        out.push(Event::Delta { candidate: index, item, delta });
        Ok(())
    }

    /// A piece of a tool call. Told apart by index; by id where a host gives every call index 0 or none.
    fn tool(&mut self, index: u32, call: &Members<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let wire: Option<u64> = call.get("index").and_then(|raw| serde_json::from_str(raw.get()).ok());
        let id: String = call.get("id").and_then(|raw| read_as::<Lenient>(raw).0).unwrap_or_default().into();
        let inner = call.get("function").or_else(|| call.get("custom"));
        let inner: Members<'_> =
            inner.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let name: String =
            inner.get("name").and_then(|raw| read_as::<Lenient>(raw).0).unwrap_or_default().into();
        let piece = inner
            .get("arguments")
            .or_else(|| inner.get("input"))
            .map(|raw| arguments(raw))
            .unwrap_or_default();
        let fits = |tool: &Tool| {
            let same_id = id.is_empty() || tool.id.is_empty() || tool.id == id;
            match wire {
                Some(_) => tool.wire == wire && same_id,
                None => id.is_empty() && name.is_empty() || (!id.is_empty() && tool.id == id),
            }
        };
        let at = match self.tools.iter().rposition(fits) {
            Some(at) => at,
            None => {
                self.tools.push(Tool {
                    wire,
                    id: id.clone(),
                    name: String::new(),
                    item: None,
                    held: String::new(),
                });
                self.tools.len() - 1
            }
        };
        self.close_text(index, out);
        let next = self.next;
        let Some(tool) = self.tools.get_mut(at) else { return Ok(()) };
        if tool.id.is_empty() {
            tool.id = id;
        }
        if tool.name.is_empty() {
            tool.name = name;
        }
        let item = match tool.item {
            Some(item) => item,
            None if tool.name.is_empty() => {
                if tool.held.len() + piece.len() > crate::sse::MAX_FRAME_BYTES {
                    return Err(bad("a tool call without a name"));
                }
                tool.held.push_str(&piece);
                return Ok(());
            }
            None => {
                if next >= MAX_ITEMS {
                    return Err(bad("more than 16,384 items"));
                }
                if tool.id.is_empty() {
                    tool.id = made_up_id(index, at);
                }
                tool.item = Some(next);
                self.next += 1;
                let opened =
                    Opened::ToolCall { id: tool.id.as_str().into(), name: tool.name.as_str().into() };
                out.push(Event::Opened { candidate: index, item: next, opened });
                next
            }
        };
        let text = std::mem::take(&mut tool.held) + &piece;
        if !text.is_empty() {
            out.push(Event::Delta { candidate: index, item, delta: Delta::Arguments(text) });
        }
        if let Some(proof) =
            call.get("extra_content").and_then(|raw| reasoning::google_proof(&Raw::from(*raw)))
        {
            out.push(Event::Delta { candidate: index, item, delta: Delta::Signature(proof) });
        }
        Ok(())
    }

    fn close_text(&mut self, index: u32, out: &mut Vec<Event>) {
        for item in [self.thought.take(), self.message.take()].into_iter().flatten() {
            out.push(Event::Closed { candidate: index, item });
        }
    }

    fn close(&mut self, index: u32, out: &mut Vec<Event>) {
        self.close_text(index, out);
        for item in self.tools.iter().filter_map(|tool| tool.item) {
            out.push(Event::Closed { candidate: index, item });
        }
    }
}
