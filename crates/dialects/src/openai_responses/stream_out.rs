//! Events → streamed answer: every wire event has its number, from 0 without gaps, and is given as itself, so
//! that whoever keeps the events can repeat them from any number on.

use super::{
    OWN, encode, error,
    head::{self, Head, Moment, Thoughts},
    item, part,
    types::noted,
};
use crate::{
    codec::{ReplyContext, StreamEncoder},
    object::{Fields, Object, list, quoted},
    sse,
};
use domain::{
    Bag, Delta, Event, Fault, Finish, Fold, Item, ItemKind, Losses, Message, Opened, Part, Raw, Usage,
    state::Status,
};

/// What stands at the end of a stream after its last event, as Open Responses wants it; the vendor's own
/// clients skip it.
pub const DONE: &str = "data: [DONE]\n\n";

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireEvent {
    /// Its number, from 0. A client that has seen number `n` goes on with `starting_after=n`.
    pub sequence: u64,
    /// Its type (`response.output_text.delta`): a word of the dialect.
    pub name: Box<str>,
    /// Its JSON, the type and number in it.
    pub data: String,
}

impl WireEvent {
    /// Appends the event as a frame of the stream.
    pub fn write_sse(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend(self.name.bytes().filter(|byte| byte.is_ascii_graphic()));
        out.push(b'\n');
        sse::write_data(out, &self.data);
    }
}

/// Writes a streamed answer, of one reply of a model or of several in a row.
///
/// A response of several replies (a loop of tools that the gateway runs): push the events of each reply, but
/// `CandidateFinished` and `Finished` of the last one only; items of the gateway go in with
/// [`ResponseStream::item`] between the replies. Usage is what the last `Event::Usage` says: push sums.
#[derive(Debug)]
pub struct ResponseStream {
    head: Head,
    custom: Vec<String>,
    model: Box<str>,
    sequence: u64,
    /// Whether `created` and `in_progress` were said.
    created: bool,
    running: bool,
    over: bool,
    fold: Fold,
    /// The items of the reply at hand, by their index in it.
    items: Vec<Slot>,
    /// Items done, as they stand in the response.
    output: Vec<(usize, String)>,
    /// The next place in the output.
    next: usize,
    /// An item that has ended, before it is known whether the answer was cut there.
    closing: Option<usize>,
    usage: Option<Usage>,
    tier: Option<Box<str>>,
    finish: Option<Finish>,
    declined: bool,
    extra: Bag,
    losses: Losses,
}

/// An item of the reply at hand.
#[derive(Debug)]
struct Slot {
    /// Its place in the output and its id, once it began.
    place: Option<(usize, String)>,
    custom: bool,
    /// Its host says items of this dialect: names, forms and ids are its own.
    own: bool,
    in_content: bool,
    /// The part being said.
    part: Option<Saying>,
    parts: u32,
    logprobs: Vec<String>,
    /// A break between parts that the host said by beginning the next one.
    skip_break: bool,
    closed: bool,
}

#[derive(Debug)]
struct Saying {
    kind: PartOf,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartOf {
    Text,
    Refusal,
    Summary,
    Thought,
}

impl ResponseStream {
    /// Before the first event.
    #[must_use]
    pub fn new(head: Head) -> Self {
        let custom = head.echo.custom_tools();
        Self {
            head,
            custom,
            model: Box::default(),
            sequence: 0,
            created: false,
            running: false,
            over: false,
            fold: Fold::new(),
            items: Vec::new(),
            output: Vec::new(),
            next: 0,
            closing: None,
            usage: None,
            tier: None,
            finish: None,
            declined: false,
            extra: Bag::new(),
            losses: Losses::none(),
        }
    }

    /// Says `response.queued` after `response.created`, for a response that waits for its turn.
    pub fn queue(&mut self, out: &mut Vec<WireEvent>) {
        if !std::mem::replace(&mut self.created, true) {
            self.say_response("response.created", Status::Queued, out);
            self.say_response("response.queued", Status::Queued, out);
        }
    }

    /// Says `response.created` (unless [`ResponseStream::queue`] did) and `response.in_progress`. The first
    /// event of a reply does so too, where nobody did.
    pub fn begin(&mut self, out: &mut Vec<WireEvent>) {
        if !std::mem::replace(&mut self.created, true) {
            self.say_response("response.created", Status::InProgress, out);
        }
        if !std::mem::replace(&mut self.running, true) {
            self.say_response("response.in_progress", Status::InProgress, out);
        }
    }

    /// The time of completion, to be said before the event that completes it.
    pub const fn completed_at(&mut self, seconds: i64) {
        self.head.completed_at = Some(seconds);
    }

    /// Takes the next event of a reply and appends what says it to `out`.
    pub fn push(&mut self, event: &Event, out: &mut Vec<WireEvent>) {
        if self.over {
            return;
        }
        match event {
            Event::Started { model, .. } => {
                self.flush(None, out);
                self.model.clone_from(model);
                self.begin(out);
                self.fold = Fold::new();
                self.items.clear();
                self.fold.push(event);
            }
            Event::Opened { candidate: 0, .. } | Event::Delta { candidate: 0, .. } => {
                self.begin(out);
                self.fold.push(event);
                match event {
                    Event::Opened { opened, .. } => self.opened(opened),
                    Event::Delta { item, delta, .. } => self.delta(*item as usize, delta, out),
                    _ => {}
                }
            }
            Event::Closed { candidate: 0, item } => {
                let index = *item as usize;
                if self.folded(index).is_some_and(encode::is_shown) {
                    self.flush(None, out);
                    self.closing = Some(index);
                }
            }
            Event::Opened { .. } => self.losses.add("choices"),
            Event::Delta { .. } | Event::Closed { .. } => {}
            Event::Logprobs { candidate, value } => self.logprobs(*candidate, value),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::CandidateFinished { candidate: 0, finish } => {
                let cut = matches!(finish, Finish::Length | Finish::ContentFilter);
                self.flush(cut.then_some("incomplete"), out);
                self.finish = Some(finish.clone());
            }
            Event::CandidateFinished { .. } => {}
            Event::Extra { candidate, bag } => {
                bag.lose_into(OWN, if candidate.is_some() { "choices" } else { "" }, &mut self.losses);
                if candidate.is_none() && bag.dialect() == Some(OWN) {
                    self.extra.merge(bag);
                }
            }
            Event::Finished => self.finished(out),
            Event::Failed(fault) => self.fail(fault, out),
        }
    }

    /// Says a whole item of the gateway's own (a tool's result, a compaction).
    pub fn item(&mut self, item: &Item, out: &mut Vec<WireEvent>) {
        if self.over {
            return;
        }
        self.begin(out);
        self.flush(None, out);
        let custom = encode::is_custom(item, &self.custom);
        let id = item::item_id(item).unwrap_or_else(|| self.head.item_id(&item.kind, custom, self.next));
        let shape = item::Shape { id: Some(&id), ..encode::shape(&self.head, custom) };
        let Some(text) = item::write(item, &shape, &mut self.losses) else { return };
        let place = self.take_place();
        self.item_event("response.output_item.added", place, &text, out);
        self.item_event("response.output_item.done", place, &text, out);
        self.output.push((place, text));
    }

    /// Breaks the response off: the stream's `error` event, then `response.failed`. What was being said is not
    /// said to be done.
    pub fn fail(&mut self, fault: &Fault, out: &mut Vec<WireEvent>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.begin(out);
        let failure = error::failure(fault);
        let mut event = Object::new();
        event.string("code", fault.code.name()).string("message", &fault.message);
        match &fault.param {
            Some(param) => event.string("param", param),
            None => event.json("param", "null"),
        };
        self.emit("error", event, out);
        let output = self.texts();
        let moment = Moment {
            output: &output,
            usage: self.usage.as_ref(),
            tier: self.tier.as_deref(),
            failure: Some(&failure),
            ..Moment::new(Status::Failed, &self.model)
        };
        let text = head::text(&self.head, &moment);
        self.say_text("response.failed", &text, out);
    }

    /// Ends the response because the caller called it off: what was done of it stands.
    pub fn cancel(&mut self, out: &mut Vec<WireEvent>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.begin(out);
        self.say_response("response.cancelled", Status::Cancelled, out);
    }

    /// The response object as it stands now, for whoever asks for it meanwhile; after the last event: as it
    /// stands in that event.
    #[must_use]
    pub fn response(&self) -> Raw {
        let status = if self.running { Status::InProgress } else { Status::Queued };
        let text = self.response_text(if self.over { self.end_status().0 } else { status });
        crate::object::raw_of(&text)
    }

    /// What could not be carried so far.
    #[must_use]
    pub const fn losses(&self) -> &Losses {
        &self.losses
    }

    // === items ===

    const fn take_place(&mut self) -> usize {
        let place = self.next;
        self.next += 1;
        place
    }

    fn opened(&mut self, opened: &Opened) {
        let custom =
            matches!(opened, Opened::ToolCall { name, .. } if self.custom.iter().any(|own| **own == **name));
        self.items.push(Slot {
            place: None,
            custom,
            own: false,
            in_content: self.head.thoughts == Thoughts::Content,
            part: None,
            parts: 0,
            logprobs: Vec::new(),
            skip_break: false,
            closed: false,
        });
    }

    /// The item as it is now.
    fn folded(&self, index: usize) -> Option<&Item> {
        self.fold.reply().candidates.first()?.items.get(index)
    }

    /// Begins the item on the wire, where it has not.
    fn begin_item(&mut self, index: usize, out: &mut Vec<WireEvent>) -> Option<(usize, String)> {
        if let Some(place) = self.items.get(index)?.place.clone() {
            return Some(place);
        }
        self.flush(None, out);
        let item = item::begun(self.folded(index)?);
        let custom = self.items.get(index)?.custom;
        let own_id = item::item_id(&item);
        let id = own_id.unwrap_or_else(|| self.head.item_id(&item.kind, custom, self.next));
        let shape = item::Shape {
            id: Some(&id),
            status: (!matches!(item.kind, ItemKind::Reasoning(_) | ItemKind::Foreign { .. }))
                .then_some("in_progress"),
            ..encode::shape(&self.head, custom)
        };
        let text = match &item.kind {
            // Empty arguments are not yet an empty object.
            ItemKind::ToolCall(call) if item.bag.dialect() != Some(OWN) => begun_call(call, &id, custom),
            _ => item::write(&item, &shape, &mut Losses::none())?,
        };
        let place = (self.take_place(), id);
        self.item_event("response.output_item.added", place.0, &text, out);
        self.items.get_mut(index)?.place = Some(place.clone());
        Some(place)
    }

    fn delta(&mut self, index: usize, delta: &Delta, out: &mut Vec<WireEvent>) {
        match delta {
            Delta::Text(text) => self.piece(index, PartOf::Text, text, out),
            Delta::Refusal(text) => {
                self.declined = true;
                self.piece(index, PartOf::Refusal, text, out);
            }
            Delta::Reasoning(text) => {
                let Some(slot) = self.items.get_mut(index) else { return };
                if text == item::BREAK && std::mem::take(&mut slot.skip_break) {
                    return;
                }
                let kind = if slot.in_content { PartOf::Thought } else { PartOf::Summary };
                self.piece(index, kind, text, out);
            }
            Delta::Arguments(text) => self.arguments(index, text, out),
            Delta::Settled { item, done: false } => {
                if let Some(slot) = self.items.get_mut(index) {
                    slot.own = true;
                    slot.custom = noted(&item.bag, super::types::TYPE).as_deref() == Some("custom_tool_call");
                }
                self.begin_item(index, out);
            }
            Delta::Progress { dialect: OWN, event } => self.progress(index, event, out),
            Delta::Annotation { dialect, field, .. } if *dialect != OWN => {
                self.losses.add(&format!("messages.{field}"));
            }
            // The item holds it when it is done.
            _ => {}
        }
    }

    /// A piece of a part: the part is begun where another kind was being said, or none.
    fn piece(&mut self, index: usize, kind: PartOf, text: &str, out: &mut Vec<WireEvent>) {
        let Some((place, id)) = self.begin_item(index, out) else { return };
        let Some(slot) = self.items.get_mut(index) else { return };
        if slot.part.as_ref().is_some_and(|part| part.kind != kind) {
            self.end_part(index, out);
        }
        let Some(slot) = self.items.get_mut(index) else { return };
        let part = slot.parts;
        if slot.part.is_none() {
            slot.part = Some(Saying { kind, text: String::new() });
            let event = part_event(place, &id, kind, part, Some(&part_text(kind, "", "[]")));
            self.emit(kind.added(), event, out);
        }
        if let Some(saying) = self.items.get_mut(index).and_then(|slot| slot.part.as_mut()) {
            saying.text.push_str(text);
        }
        let mut event = part_event(place, &id, kind, part, None);
        event.string("delta", text);
        if kind == PartOf::Text {
            event.json("logprobs", "[]");
        }
        self.emit(kind.delta(), event, out);
    }

    fn end_part(&mut self, index: usize, out: &mut Vec<WireEvent>) {
        let Some(slot) = self.items.get_mut(index) else { return };
        let (Some(saying), Some((place, id))) = (slot.part.take(), slot.place.clone()) else { return };
        let part = slot.parts;
        slot.parts += 1;
        let logprobs = list(&slot.logprobs);
        let kind = saying.kind;
        let mut event = part_event(place, &id, kind, part, None);
        event.string(kind.member(), &saying.text);
        if kind == PartOf::Text {
            event.json("logprobs", &logprobs);
        }
        self.emit(kind.done(), event, out);
        // What the host says of the part besides its text is in the item that it settled.
        let whole =
            self.settled_part(index, part).unwrap_or_else(|| part_text(kind, &saying.text, &logprobs));
        let event = part_event(place, &id, kind, part, Some(&whole));
        self.emit(kind.part_done(), event, out);
    }

    fn settled_part(&self, index: usize, part: u32) -> Option<String> {
        if !self.items.get(index)?.own {
            return None;
        }
        let ItemKind::Message(Message { role, parts }) = &self.folded(index)?.kind else { return None };
        let found: &Part = parts.get(part as usize)?;
        let form = part::Form { role: *role, full: true, logprobs: None };
        part::write(found, form, &mut Losses::none())
    }

    fn arguments(&mut self, index: usize, text: &str, out: &mut Vec<WireEvent>) {
        let Some((place, id)) = self.begin_item(index, out) else { return };
        let Some(slot) = self.items.get(index) else { return };
        // The input of a custom tool may be wrapped: it is said when it is whole.
        if slot.custom && !slot.own {
            return;
        }
        let name = if slot.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        let mut event = place_event(place, &id);
        event.string("delta", text);
        self.emit(name, event, out);
    }

    fn end_arguments(&mut self, index: usize, out: &mut Vec<WireEvent>) {
        let Some(slot) = self.items.get(index) else { return };
        let (own, custom) = (slot.own, slot.custom);
        let Some((place, id)) = slot.place.clone() else { return };
        let Some(ItemKind::ToolCall(call)) = self.folded(index).map(|item| &item.kind) else { return };
        let (arguments, said_nothing) = match (custom, own) {
            (true, false) => (item::unwrapped(&call.arguments), true),
            (false, false) if call.arguments.is_empty() => (String::from("{}"), true),
            _ => (call.arguments.clone(), false),
        };
        let (delta, done, member) = if custom {
            ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments")
        };
        let name = call.name.clone();
        if said_nothing {
            let mut event = place_event(place, &id);
            event.string("delta", &arguments);
            self.emit(delta, event, out);
        }
        let mut event = place_event(place, &id);
        event.string(member, &arguments);
        if !custom {
            event.string("name", &name);
        }
        self.emit(done, event, out);
    }

    /// An event of this dialect about the item: where a part begins, it decides the form of ours; anything else
    /// is said again with our numbers.
    fn progress(&mut self, index: usize, event: &Raw, out: &mut Vec<WireEvent>) {
        let Ok(mut fields) = event.read::<Fields>() else { return };
        let Ok(Some(name)) = fields.string("type") else { return };
        match name.as_str() {
            "response.reasoning_summary_part.added" | "response.content_part.added" => {
                self.end_part(index, out);
                if let Some(slot) = self.items.get_mut(index) {
                    let summary = name == "response.reasoning_summary_part.added";
                    slot.in_content = !summary;
                    slot.skip_break = summary && slot.parts > 0;
                }
            }
            _ => {
                let Some((place, id)) = self.begin_item(index, out) else { return };
                let mut again = Object::new();
                for (field, raw) in fields.into_iter() {
                    match &*field {
                        "sequence_number" | "type" => {}
                        "output_index" => {
                            again.scalar("output_index", place);
                        }
                        "item_id" => {
                            again.string("item_id", &id);
                        }
                        other => {
                            again.raw(other, &raw);
                        }
                    }
                }
                self.emit(&name, again, out);
            }
        }
    }

    fn logprobs(&mut self, candidate: u32, value: &Raw) {
        let Some(found) = encode::logprobs_list(value).filter(|_| candidate == 0) else {
            self.losses.add("logprobs");
            return;
        };
        let is_message =
            |index: &usize| matches!(self.folded(*index).map(|item| &item.kind), Some(ItemKind::Message(_)));
        let last = (0..self.items.len()).rev().find(is_message);
        if let Some(slot) = last.and_then(|index| self.items.get_mut(index)).filter(|slot| !slot.own) {
            slot.logprobs.extend(found.iter().map(|raw| raw.text().to_owned()));
        }
    }

    /// Says that the item is done which was closed last.
    fn flush(&mut self, status: Option<&str>, out: &mut Vec<WireEvent>) {
        if let Some(index) = self.closing.take() {
            self.close(index, status, out);
        }
    }

    fn close(&mut self, index: usize, status: Option<&str>, out: &mut Vec<WireEvent>) {
        let Some(item) = self.folded(index).cloned() else { return };
        if self.items.get(index).is_none_or(|slot| slot.closed) || !encode::is_shown(&item) {
            return;
        }
        let Some((place, id)) = self.begin_item(index, out) else {
            // Nothing in this dialect says it; the loss has a name.
            item::write(&item, &item::Shape::ANSWER, &mut self.losses);
            return;
        };
        self.end_part(index, out);
        self.end_arguments(index, out);
        let Some(slot) = self.items.get_mut(index) else { return };
        slot.closed = true;
        let custom = slot.custom;
        let logprobs = (!slot.logprobs.is_empty()).then(|| list(&slot.logprobs));
        let shape = item::Shape {
            id: Some(&id),
            status: status.filter(|_| !matches!(item.kind, ItemKind::Foreign { .. })),
            logprobs: logprobs.as_deref(),
            in_content: slot.in_content,
            ..encode::shape(&self.head, custom && !slot.own)
        };
        let Some(text) = item::write(&item, &shape, &mut self.losses) else { return };
        self.item_event("response.output_item.done", place, &text, out);
        self.output.push((place, text));
    }

    // === the response ===

    fn finished(&mut self, out: &mut Vec<WireEvent>) {
        self.begin(out);
        self.flush(None, out);
        // Items that nobody closed: the answer is complete, so they are.
        for index in 0..self.items.len() {
            self.close(index, None, out);
        }
        self.over = true;
        let (status, _) = head::ended(self.finish.as_ref(), self.declined, &mut self.losses);
        let name = if status == Status::Incomplete { "response.incomplete" } else { "response.completed" };
        self.say_response(name, status, out);
    }

    fn end_status(&self) -> (Status, Option<&'static str>) {
        head::ended(self.finish.as_ref(), self.declined, &mut Losses::none())
    }

    /// The output in the order of its places.
    fn texts(&self) -> Vec<String> {
        let mut placed: Vec<&(usize, String)> = self.output.iter().collect();
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, text)| text.clone()).collect()
    }

    fn response_text(&self, status: Status) -> String {
        let output = self.texts();
        let incomplete = if status == Status::Incomplete { self.end_status().1 } else { None };
        let moment = Moment {
            output: &output,
            usage: self.usage.as_ref().filter(|_| !status.is_running()),
            tier: self.tier.as_deref(),
            incomplete,
            extra: Some(&self.extra),
            ..Moment::new(status, &self.model)
        };
        head::text(&self.head, &moment)
    }

    fn say_response(&mut self, name: &str, status: Status, out: &mut Vec<WireEvent>) {
        let text = self.response_text(status);
        self.say_text(name, &text, out);
    }

    fn say_text(&mut self, name: &str, response: &str, out: &mut Vec<WireEvent>) {
        let mut event = Object::new();
        event.json("response", response);
        self.emit(name, event, out);
    }

    fn item_event(&mut self, name: &str, place: usize, item: &str, out: &mut Vec<WireEvent>) {
        let mut event = Object::new();
        event.scalar("output_index", place).json("item", item);
        self.emit(name, event, out);
    }

    /// Numbers an event and gives it out.
    fn emit(&mut self, name: &str, mut event: Object, out: &mut Vec<WireEvent>) {
        event.string("type", name).scalar("sequence_number", self.sequence);
        out.push(WireEvent { sequence: self.sequence, name: name.into(), data: event.finish() });
        self.sequence += 1;
    }
}

impl PartOf {
    const fn added(self) -> &'static str {
        match self {
            Self::Summary => "response.reasoning_summary_part.added",
            _ => "response.content_part.added",
        }
    }

    const fn delta(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
            Self::Summary => "response.reasoning_summary_text.delta",
            Self::Thought => "response.reasoning_text.delta",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.done",
            Self::Refusal => "response.refusal.done",
            Self::Summary => "response.reasoning_summary_text.done",
            Self::Thought => "response.reasoning_text.done",
        }
    }

    const fn part_done(self) -> &'static str {
        match self {
            Self::Summary => "response.reasoning_summary_part.done",
            _ => "response.content_part.done",
        }
    }

    /// The member that holds the text.
    const fn member(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            _ => "text",
        }
    }
}

/// A part as JSON.
fn part_text(kind: PartOf, text: &str, logprobs: &str) -> String {
    let mut part = Object::new();
    match kind {
        PartOf::Text => {
            part.string("type", "output_text").json("annotations", "[]").json("logprobs", logprobs);
        }
        PartOf::Refusal => {
            part.string("type", "refusal");
        }
        PartOf::Summary => {
            part.string("type", "summary_text");
        }
        PartOf::Thought => {
            part.string("type", "reasoning_text");
        }
    }
    part.json(kind.member(), &quoted(text));
    part.finish()
}

/// A call as it begins.
fn begun_call(call: &domain::ToolCall, id: &str, custom: bool) -> String {
    let mut object = Object::new();
    object.string("type", if custom { "custom_tool_call" } else { "function_call" });
    object.string("id", id).string("status", "in_progress");
    object.string("call_id", &call.id).string("name", &call.name);
    object.string(if custom { "input" } else { "arguments" }, "");
    object.finish()
}

fn place_event(place: usize, id: &str) -> Object {
    let mut event = Object::new();
    event.string("item_id", id).scalar("output_index", place);
    event
}

fn part_event(place: usize, id: &str, kind: PartOf, part: u32, whole: Option<&str>) -> Object {
    let mut event = place_event(place, id);
    event.scalar(if kind == PartOf::Summary { "summary_index" } else { "content_index" }, part);
    if let Some(whole) = whole {
        event.json("part", whole);
    }
    event
}

/// Writes a streamed answer as frames, where nothing is known of the request but the context.
#[derive(Debug)]
pub(super) struct Encoder {
    stream: ResponseStream,
    upstream: bool,
    events: Vec<WireEvent>,
}

impl Encoder {
    pub(super) fn new(context: &ReplyContext<'_>) -> Self {
        let stream = ResponseStream::new(Head::of_context(context));
        Self { stream, upstream: context.id.is_empty(), events: Vec::new() }
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let (Event::Started { id, created, .. }, true) = (event, self.upstream) {
            self.stream.head.id = id.to_string();
            self.stream.head.created_at = created.unwrap_or(self.stream.head.created_at);
        }
        self.stream.push(event, &mut self.events);
        for event in self.events.drain(..) {
            event.write_sse(out);
        }
        if self.stream.over && matches!(event, Event::Finished | Event::Failed(_)) {
            out.extend_from_slice(DONE.as_bytes());
        }
    }

    fn losses(&self) -> &Losses {
        self.stream.losses()
    }
}
