//! One turn: what it follows, the call, the answer, the commit.

use crate::{
    checks, context, faults,
    keep::{self, KeptResponse, Provenance},
    lease::Held,
    model::{Answered, AnsweredBody, refused},
    settings::{Client, Runtime},
    stream::{TurnStream, events_of, status_of},
    validity::{Fitting, has_proofs, refuses_proofs},
};
use dialects::openai_responses::{self as wire, Decoded, StateAsk, Truncation, WireEvent};
use domain::{
    Call, Code, ConversationId, Dialect, Event, Fault, Fold, Item, ItemKind, Raw, ResponseId,
    state::{Base, ContextOf, Kept, NewItem, ResponseRecord, StateError, Status, StoredItem, Turn},
};
use engine::{Head, Place, Refused};
use serde::Deserialize;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// Times that a context is halved for `truncation: auto`.
const HALVES: u32 = 6;

/// Responses that one input refers to items of, at most: each is read by itself.
const RESPONSES_REFERRED_TO: usize = 256;

/// What `create` answers.
pub enum Created {
    /// A whole response object.
    Whole {
        /// What is told of the call.
        head: Head,
        /// The object.
        body: Raw,
    },
    /// Events as they come.
    Stream {
        /// What is told of the call.
        head: Head,
        /// The events.
        stream: TurnStream,
    },
}

/// A turn under way.
pub(crate) struct Turning {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) client: Client,
    pub(crate) id: ResponseId,
    pub(crate) head: wire::Head,
    pub(crate) call: Call,
    fitting: Arc<Fitting>,
    own: Vec<Item>,
    base: Base,
    held: Option<Held>,
    stores: bool,
    /// `truncation: auto`: the context may be shortened so many times more.
    halves: u32,
    end_user: Option<Box<str>>,
    created_us: i64,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Events that were not released yet.
    pub(crate) events: Vec<WireEvent>,
    fold: Fold,
    /// Where among them the last ones begin, once they are there.
    last: Option<usize>,
}

impl Said {
    /// Takes the next event.
    pub(crate) fn take(&mut self, event: &Event, stream: &mut wire::ResponseStream, now_s: i64) {
        if self.last.is_some() {
            return;
        }
        if matches!(event, Event::Finished) {
            stream.completed_at(now_s);
            self.last = Some(self.events.len());
        }
        self.fold.push(event);
        stream.push(event, &mut self.events);
    }

    /// Whether the last event was said.
    pub(crate) const fn finished(&self) -> bool {
        self.last.is_some()
    }

    /// What may be released: all but the last events.
    pub(crate) fn released(&mut self) -> Vec<WireEvent> {
        let end = self.last.unwrap_or(self.events.len());
        if let Some(last) = &mut self.last {
            *last = 0;
        }
        self.events.drain(..end).collect()
    }

    fn items(&self) -> &[Item] {
        self.fold.reply().candidates.first().map_or(&[], |candidate| candidate.items.as_slice())
    }
}

impl Runtime {
    /// Answers one turn: `POST /v1/responses`.
    ///
    /// # Errors
    /// What is to be told to the caller: codes of the Responses API, or of the call that was made.
    pub async fn create(self: &Arc<Self>, client: Client, decoded: Decoded) -> Result<Created, Box<Refused>> {
        let model = Arc::clone(&client.model);
        let background = decoded.ask.background;
        let mut turning = match self.prepare(client, decoded).await {
            Ok(turning) => turning,
            Err(fault) => return Err(refused(&*model, fault)),
        };
        if background {
            return self.start_background(turning).await;
        }
        let answered = turning.ask().await?;
        let Answered { head, place, body } = answered;
        if place.dialect == Dialect::OpenAiChat {
            // Hosts of that dialect show the thought itself, not a summary.
            turning.head.thoughts = wire::Thoughts::Content;
        }
        let losses = head.losses.to_string();
        match body {
            AnsweredBody::Events(body) => {
                Ok(Created::Stream { head, stream: TurnStream::here(turning, body, place, losses) })
            }
            AnsweredBody::Whole(reply) => {
                let mut stream = wire::ResponseStream::new(turning.head.clone());
                let mut said = Said::default();
                for event in events_of(&reply) {
                    said.take(&event, &mut stream, self.now_s());
                }
                turning.head.completed_at = Some(self.now_s());
                let encoded = wire::response(&reply, &turning.head);
                let mut head = head;
                head.losses.extend(&encoded.losses);
                let body = String::from_utf8(encoded.body)
                    .ok()
                    .and_then(|text| Raw::parse(&text).ok())
                    .ok_or_else(|| refused(&*model, faults::internal("the response is not JSON")))?;
                turning
                    .keep(&body, &said, Some(&place), &losses, false)
                    .await
                    .map_err(|fault| Box::new(Refused { fault, head: head.clone(), relayed: None }))?;
                Ok(Created::Whole { head, body })
            }
        }
    }

    /// Everything before a model is asked.
    async fn prepare(self: &Arc<Self>, client: Client, decoded: Decoded) -> Result<Turning, Fault> {
        let Decoded { mut call, ask } = decoded;
        unsupported(&ask)?;
        let id = ResponseId::new(&self.new_id("resp"));
        let head = wire::Head::new(id.as_str(), self.now_s(), call.model.as_str(), &ask);
        let (base, held, stored) = self.follow(&client, &ask).await?;
        if stored.len() > self.settings.limits.context_items {
            let max = self.settings.limits.context_items as u64;
            return Err(faults::too_large("The conversation", max, "previous_response_id"));
        }
        let mut before = Vec::with_capacity(stored.len());
        let mut named = Vec::new();
        let mut parts = context::take_parts(&mut call);
        let references = parts.own.iter().any(|item| wire::reference(item).is_some());
        for item in &stored {
            let (read, from) = keep::unkeep(item)?;
            if references {
                named.push((read.clone(), item.id.to_string()));
            }
            before.push((read, from));
        }
        if references {
            self.name_elsewhere(&client, &parts.own, &mut named).await?;
        }
        parts.own = checks::resolve_references(&named, parts.own)?;
        checks::sizes(&parts.own, &self.settings.limits)?;
        let earlier: Vec<&Item> = before.iter().map(|(item, _)| item).collect();
        checks::tool_outputs(&earlier, &parts.own)?;
        let own = parts.own.clone();
        let end_user = call.options.end_user.clone();
        let (call, fitting) = context::assemble(call, parts, before);
        if call.items.is_empty() {
            return Err(faults::invalid(
                "input",
                "there is nothing to answer: `input` is empty and nothing was said before",
            ));
        }
        let mut turning = Turning {
            runtime: Arc::clone(self),
            client,
            id,
            head,
            call,
            fitting: Arc::new(fitting),
            own,
            base,
            held,
            stores: ask.stores(),
            halves: if ask.truncation == Truncation::Auto { HALVES } else { 0 },
            end_user,
            created_us: self.now_us(),
        };
        if let Some(threshold) = crate::compact::threshold(&ask)? {
            turning.compact_above(threshold).await?;
        }
        Ok(turning)
    }

    /// What a turn follows: its base, the hold on its conversation, and what was said there.
    async fn follow(
        &self,
        client: &Client,
        ask: &StateAsk,
    ) -> Result<(Base, Option<Held>, Vec<StoredItem>), Fault> {
        if let Some(previous) = &ask.previous_response_id {
            let id = ResponseId::new(previous);
            let found = client.store.context(&client.tenant, ContextOf::Response(id.clone())).await;
            let found = found.map_err(|error| faults::of_store(&error))?;
            let context = found.ok_or_else(|| faults::no_previous(previous))?;
            if context.status.is_running() {
                return Err(faults::still_running(previous));
            }
            if !context.status.has_answer() {
                return Err(faults::no_answer(previous));
            }
            return Ok((Base::After(id), None, context.items));
        }
        let Some(conversation) = &ask.conversation else { return Ok((Base::Fresh, None, Vec::new())) };
        let id = ConversationId::new(conversation);
        // Who keeps nothing changes nothing, and needs no hold.
        let held = if ask.stores() { Some(self.hold(client, &id).await?) } else { None };
        let found = client.store.context(&client.tenant, ContextOf::Conversation(id.clone())).await;
        let found = found.map_err(|error| faults::of_store(&error))?;
        let context = found.ok_or_else(|| faults::no_conversation(conversation))?;
        let fence = held.as_ref().map_or(0, |held| held.fence);
        Ok((Base::In { conversation: id, fence }, held, context.items))
    }
}

impl Runtime {
    /// Adds the items that `own` refers to and that the turn does not follow: clients refer to an earlier answer's
    /// items without naming that answer. Whose they are stands in their ids.
    async fn name_elsewhere(
        &self,
        client: &Client,
        own: &[Item],
        named: &mut Vec<(Item, String)>,
    ) -> Result<(), Fault> {
        let known: HashSet<&str> = named.iter().map(|(_, id)| id.as_str()).collect();
        let wanted: BTreeSet<String> = own
            .iter()
            .filter_map(wire::reference)
            .filter(|id| !known.contains(id.as_str()))
            .filter_map(|id| maker(&id))
            .collect();
        if wanted.len() > RESPONSES_REFERRED_TO {
            let what = "The number of responses whose items are referred to";
            return Err(faults::too_large(what, RESPONSES_REFERRED_TO as u64, "input"));
        }
        for id in wanted {
            let found = client.store.turn(&client.tenant, &ResponseId::new(&id)).await;
            let Some(turn) = found.map_err(|error| faults::of_store(&error))? else { continue };
            for item in turn.input.iter().chain(&turn.output) {
                named.push((keep::unkeep(item)?.0, item.id.to_string()));
            }
        }
        Ok(())
    }
}

/// The response that an item belongs to, by the form of the item's id: `msg_{response}_{place}`.
fn maker(item: &str) -> Option<String> {
    let (response, _place) = item.split_once('_')?.1.rsplit_once('_')?;
    Some(format!("resp_{response}"))
}

/// What this gateway does not do, said before anything is done.
fn unsupported(ask: &StateAsk) -> Result<(), Fault> {
    if ask.prompt.is_some() {
        let message =
            "`prompt` (a prompt stored at the provider) is not known here: send its text in `instructions`";
        return Err(Fault::caller(Code::UnsupportedParameter, message).at("prompt"));
    }
    if ask.background && !ask.stores() {
        return Err(faults::invalid(
            "background",
            "`background` needs `store`: the answer has to be kept for you",
        ));
    }
    Ok(())
}

impl Turning {
    /// Asks the model; once more without proofs where a place refused one, and with a shorter context where it
    /// is too long and the caller lets us.
    pub(crate) async fn ask(&mut self) -> Result<Answered, Box<Refused>> {
        let mut bare = !has_proofs(&self.call);
        loop {
            let again = !bare || self.halves > 0;
            let call = if again { self.call.clone() } else { take_call(&mut self.call) };
            let tailor: Arc<dyn engine::Tailor> = Arc::clone(&self.fitting) as Arc<dyn engine::Tailor>;
            let refused = match self.client.model.infer(call, tailor).await {
                Ok(answered) => return Ok(answered),
                Err(refused) => refused,
            };
            if !bare && refuses_proofs(&refused.fault) {
                bare = true;
                self.fitting = Arc::new(self.fitting.bare());
            } else if refused.fault.code == Code::ContextLengthExceeded && self.halves > 0 && self.shorten() {
                self.halves -= 1;
            } else {
                return Err(refused);
            }
        }
    }

    fn shorten(&mut self) -> bool {
        let mut fitting = self.fitting.same();
        let shorter = context::shorten(&mut self.call, &mut fitting);
        self.fitting = Arc::new(fitting);
        shorter
    }

    /// How many items are said in this turn.
    pub(crate) fn own_count(&self) -> usize {
        self.own.len()
    }

    pub(crate) fn provenance(&self) -> Vec<Option<Provenance>> {
        self.fitting.from().to_vec()
    }

    /// Puts an item before what is said in this turn, to be kept with it.
    pub(crate) fn own_first(&mut self, item: Item) {
        self.own.insert(0, item);
    }

    pub(crate) fn put_before(&mut self, call: Call, fitting: Fitting) {
        self.call = call;
        self.fitting = Arc::new(fitting);
    }

    fn record(&self, status: Status, body: Box<str>, runner_until_us: i64) -> ResponseRecord {
        ResponseRecord {
            id: self.id.clone(),
            status,
            body,
            conversation: self.base.conversation().cloned(),
            created_us: self.created_us,
            expires_us: self.runtime.response_end(),
            runner_until_us,
        }
    }

    fn input(&self, from: Option<&Provenance>) -> Result<Vec<NewItem>, Fault> {
        let tail = self.id.as_str().strip_prefix("resp_").unwrap_or_default();
        self.own
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let known = wire::item_id(item).filter(|id| is_id(id));
                let id = known.unwrap_or_else(|| format!("{}_{tail}_in{index}", prefix(&item.kind)));
                keep::keep(item, &id, from)
            })
            .collect()
    }

    /// Keeps the response as one that is under way.
    pub(crate) async fn begin(&self, object: &Raw, streamed: bool, until_us: i64) -> Result<(), Fault> {
        let kept = KeptResponse {
            response: object.clone(),
            head: Some(self.head.clone()),
            from: None,
            losses: "".into(),
            streamed,
        };
        let turn = Turn {
            owner: self.client.owner(self.end_user.as_deref()),
            base: self.base.clone(),
            response: self.record(Status::Queued, kept.write()?, until_us),
            input: self.input(None)?,
            output: Vec::new(),
        };
        self.commit(turn).await
    }

    /// Keeps the turn with its answer: before the last event is released.
    pub(crate) async fn keep(
        &mut self,
        object: &Raw,
        said: &Said,
        place: Option<&Place>,
        losses: &str,
        streamed: bool,
    ) -> Result<(), Fault> {
        if !self.stores {
            return Ok(());
        }
        let answer: Answer<'_> =
            object.read().map_err(|error| faults::internal(&format!("a response object: {error}")))?;
        let model = self.head.model.as_deref().unwrap_or_default();
        let from = place.map(|place| Provenance::of(model, place, self.runtime.now_s()));
        let kept = KeptResponse {
            response: object.clone(),
            head: None,
            from: from.clone(),
            losses: losses.into(),
            streamed,
        };
        let turn = Turn {
            owner: self.client.owner(self.end_user.as_deref()),
            base: self.base.clone(),
            response: self.record(status_of(answer.status), kept.write()?, 0),
            input: self.input(from.as_ref())?,
            output: output(said.items(), &answer, from.as_ref())?,
        };
        self.commit(turn).await?;
        if let Some(held) = self.held.take() {
            held.committed();
        }
        Ok(())
    }

    /// Keeps the response without an answer: failed or cancelled.
    pub(crate) async fn keep_without_answer(
        &mut self,
        object: &Raw,
        status: Status,
        streamed: bool,
    ) -> Result<(), Fault> {
        let kept =
            KeptResponse { response: object.clone(), head: None, from: None, losses: "".into(), streamed };
        let turn = Turn {
            owner: self.client.owner(self.end_user.as_deref()),
            base: self.base.clone(),
            response: self.record(status, kept.write()?, 0),
            input: self.input(None)?,
            output: Vec::new(),
        };
        self.commit(turn).await
    }

    async fn commit(&self, turn: Turn) -> Result<(), Fault> {
        match self.client.store.commit(turn).await {
            Ok(Kept::Now | Kept::Before(Status::Completed | Status::Incomplete)) => Ok(()),
            Ok(Kept::Before(Status::Cancelled)) => {
                Err(faults::invalid("response_id", "the response was cancelled meanwhile"))
            }
            Ok(Kept::Before(_)) => Err(faults::internal("the response had ended before")),
            Err(StateError::Missing) => Err(match (&self.base, &self.head.previous_response_id) {
                (Base::In { conversation, .. }, _) => faults::no_conversation(conversation.as_str()),
                (_, Some(previous)) => faults::no_previous(previous),
                _ => faults::internal("a turn on nothing is missing something"),
            }),
            Err(error) => Err(faults::of_store(&error)),
        }
    }
}

fn take_call(call: &mut Call) -> Call {
    let empty = Call::new(call.dialect, call.model.clone());
    std::mem::replace(call, empty)
}

/// What is read of a response object that was just written.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    status: &'a str,
    #[serde(default)]
    output: Vec<AnswerItem>,
}

#[derive(Deserialize)]
struct AnswerItem {
    #[serde(rename = "type", default)]
    what: String,
    #[serde(default)]
    id: Option<String>,
}

/// The answer's items, with the ids that the caller saw.
fn output(items: &[Item], answer: &Answer<'_>, from: Option<&Provenance>) -> Result<Vec<NewItem>, Fault> {
    let mut shown = answer.output.iter().peekable();
    let mut kept = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let same = |what: &str| match &item.kind {
            ItemKind::Message(_) => what == "message",
            ItemKind::Reasoning(_) => what == "reasoning",
            ItemKind::ToolCall(_) => matches!(what, "function_call" | "custom_tool_call"),
            ItemKind::ToolResult(_) => what.ends_with("_output"),
            ItemKind::Foreign { what: own } => what == &**own,
        };
        let id = match shown.next_if(|shown| same(&shown.what)) {
            Some(AnswerItem { id: Some(id), .. }) => id.clone(),
            _ => wire::item_id(item).unwrap_or_else(|| format!("{}_{index}", prefix(&item.kind))),
        };
        kept.push(keep::keep(item, &id, from)?);
    }
    Ok(kept)
}

pub(crate) const fn prefix(kind: &ItemKind) -> &'static str {
    match kind {
        ItemKind::Message(_) => "msg",
        ItemKind::Reasoning(_) => "rs",
        ItemKind::ToolCall(_) => "fc",
        ItemKind::ToolResult(_) => "fco",
        ItemKind::Foreign { .. } => "item",
    }
}

/// Whether a caller's id can stand as ours: letters, digits, `_` and `-`, at most 128.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
