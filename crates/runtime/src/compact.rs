//! Compaction: a model that the operator names writes down what matters of a conversation, and later turns begin
//! with that. The item is ours and portable: any model on any cloud reads it.
//!
//! Its `encrypted_content` is `cbc1:` and the summary as base64: not secret from the caller, whose own words it
//! is, and in no provider's keeping. A provider's own compaction item stays opaque and is valid only there.

use crate::{
    context, faults,
    keep::Provenance,
    model::{Answered, AnsweredBody, refused},
    settings::{Client, Compaction, Runtime},
    turn::Turning,
    validity::Fitting,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dialects::openai_responses::{self as wire, Decoded, StateAsk};
use domain::{
    Call, Dialect, Fault, Item, ItemKind, Losses, Message, Origin, Part, PartKind, Raw, Role, Usage,
};
use engine::{Head, Refused};
use serde_json::{Value, json};
use std::sync::Arc;

const MARK: &str = "cbc1:";
/// Bytes of context that count as one token where nobody has counted: a low guess, so that it compacts early.
const BYTES_PER_TOKEN: u64 = 4;

/// What the model is told.
const TASK: &str = "Write down everything of the conversation so far that is needed to go on with it: what is \
wanted, what was decided, facts, names, numbers, results of tools, open questions, and what is to be done next. \
Be complete and short. Write only these notes.";

/// What stands before the notes where they are read again.
const READ_AGAIN: &str = "Notes of the conversation so far, which was shortened:";

/// When a request wants its context compacted: tokens.
pub(crate) fn threshold(ask: &StateAsk) -> Result<Option<u64>, Fault> {
    let Some(raw) = &ask.context_management else { return Ok(None) };
    let wrong = || {
        let message = "`context_management` is a list with one `{\"type\": \"compaction\", \"compact_threshold\": tokens}`";
        faults::invalid("context_management", message)
    };
    let value = raw.value();
    let [one] = value.as_array().ok_or_else(wrong)?.as_slice() else { return Err(wrong()) };
    if one.get("type").and_then(Value::as_str) != Some("compaction") {
        return Err(wrong());
    }
    one.get("compact_threshold").and_then(Value::as_u64).map(Some).ok_or_else(wrong)
}

/// An item as a model reads it: our compaction item is a message with the notes.
pub(crate) fn expanded(item: Item) -> Item {
    match notes(&item) {
        Some(notes) => {
            let text = format!("{READ_AGAIN}\n{notes}");
            let said = Message { role: Role::User, parts: vec![Part::text(text, 0)] };
            Item::new(ItemKind::Message(said), Origin::default())
        }
        None => item,
    }
}

/// The notes in a compaction item of ours.
fn notes(item: &Item) -> Option<String> {
    let ItemKind::Foreign { what } = &item.kind else { return None };
    if &**what != "compaction" {
        return None;
    }
    let block = item.bag.get(Dialect::OpenAiResponses, "$block")?.value();
    let sealed = block.get("encrypted_content")?.as_str()?.strip_prefix(MARK)?;
    String::from_utf8(STANDARD.decode(sealed).ok()?).ok()
}

fn item_of(notes: &str, id: &str) -> Raw {
    Raw::from(
        json!({ "id": id, "type": "compaction", "encrypted_content": format!("{MARK}{}", STANDARD.encode(notes)) }),
    )
}

/// About how many tokens a context has.
fn tokens(items: &[Item]) -> u64 {
    let bytes: usize = items.iter().map(|item| wire::encode_item(item, "").text().len()).sum();
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

impl Runtime {
    fn compaction(&self) -> Result<&Compaction, Fault> {
        self.settings.compaction.as_ref().ok_or_else(|| {
            let message =
                "this gateway has no model for compaction: the operator names one as `state.compaction_model`";
            Fault::caller(domain::Code::UnsupportedParameter, message)
        })
    }

    /// Has the operator's model write the notes of a conversation.
    async fn notes_of(
        &self,
        client: &Client,
        items: Vec<Item>,
        from: Vec<Option<Provenance>>,
    ) -> Result<(Head, String, Usage), Box<Refused>> {
        let compaction = self.compaction().map_err(|fault| refused(&*client.model, fault))?;
        let mut call = Call::new(Dialect::OpenAiResponses, compaction.model.clone());
        call.options.max_output_tokens = Some(compaction.max_output_tokens);
        let task = Message { role: Role::User, parts: vec![Part::text(TASK, 0)] };
        let items = items.into_iter().chain([Item::new(ItemKind::Message(task), Origin::default())]);
        wire::append_items(&mut call, items);
        let tailor: Arc<dyn engine::Tailor> = Arc::new(Fitting::new(from, Losses::none()));
        let Answered { head, body, .. } = client.model.infer(call, tailor).await?;
        let AnsweredBody::Whole(reply) = body else {
            return Err(refused(&*client.model, faults::internal("notes came as a stream")));
        };
        let mut notes = String::new();
        for item in reply.candidates.first().map_or(&[][..], |candidate| candidate.items.as_slice()) {
            if let ItemKind::Message(said) = &item.kind {
                for part in &said.parts {
                    if let PartKind::Text { text, .. } = &part.kind {
                        notes.push_str(text);
                    }
                }
            }
        }
        if notes.trim().is_empty() {
            let message = "the model that compacts said nothing; nothing was changed";
            let fault = Fault::upstream(domain::Code::UpstreamBadResponse, message);
            return Err(Box::new(Refused { fault, head, relayed: None }));
        }
        Ok((head, notes, reply.usage.unwrap_or_default()))
    }

    /// `POST /v1/responses/compact`: the items that stand for the conversation from now on. Nothing is kept.
    ///
    /// # Errors
    /// `nothing_to_compact`, `previous_response_not_found`, `unsupported_parameter` where the operator names no
    /// model, or what the call of that model says.
    pub async fn compact(&self, client: &Client, decoded: Decoded) -> Result<(Head, Raw), Box<Refused>> {
        let fail = |fault: Fault| refused(&*client.model, fault);
        let Decoded { mut call, ask } = decoded;
        self.compaction().map_err(fail)?;
        let before = self.said_before(client, &ask).await.map_err(fail)?;
        let parts = context::take_parts(&mut call);
        if before.is_empty() && parts.own.is_empty() {
            let message = "there is nothing to compact: send the conversation's items in `input`, or `previous_response_id`";
            return Err(fail(Fault::caller(domain::Code::NothingToCompact, message).at("input")));
        }
        let users: Vec<Item> = before
            .iter()
            .map(|(item, _)| item)
            .chain(&parts.own)
            .filter(|item| matches!(&item.kind, ItemKind::Message(said) if said.role == Role::User))
            .cloned()
            .collect();
        let (whole, mut fitting) = context::assemble(call, parts, before);
        let from = std::mem::take(fitting.provenance_mut());
        let (head, notes, usage) = self.notes_of(client, whole.items, from).await?;
        let id = self.new_id("resp");
        let mut output: Vec<Raw> = users
            .iter()
            .map(|item| {
                let id = wire::item_id(item).unwrap_or_else(|| self.new_id("msg"));
                wire::encode_item(item, &id)
            })
            .collect();
        output.push(item_of(&notes, &self.new_id("cmp")));
        let body = wire::compaction(&id, self.now_s(), &output, &usage);
        let body = String::from_utf8(body).ok().and_then(|text| Raw::parse(&text).ok());
        Ok((head, body.ok_or_else(|| fail(faults::internal("the compaction is not JSON")))?))
    }

    /// What was said in the conversation that a request names.
    async fn said_before(
        &self,
        client: &Client,
        ask: &StateAsk,
    ) -> Result<Vec<(Item, Option<Provenance>)>, Fault> {
        use domain::state::ContextOf;
        let of = match (&ask.previous_response_id, &ask.conversation) {
            (Some(id), _) => ContextOf::Response(id.as_str().into()),
            (None, Some(id)) => ContextOf::Conversation(id.as_str().into()),
            (None, None) => return Ok(Vec::new()),
        };
        let found =
            client.store.context(&client.tenant, of).await.map_err(|error| faults::of_store(&error))?;
        let found = found.ok_or_else(|| match (&ask.previous_response_id, &ask.conversation) {
            (Some(id), _) => faults::no_previous(id),
            (None, id) => faults::no_conversation(id.as_deref().unwrap_or_default()),
        })?;
        if found.status.is_running() {
            return Err(faults::still_running(ask.previous_response_id.as_deref().unwrap_or_default()));
        }
        found.items.iter().map(crate::keep::unkeep).collect()
    }
}

impl Turning {
    /// Compacts what was said before this turn where it is above so many tokens: the notes are an item of the
    /// turn's own input, and later turns begin with it.
    pub(crate) async fn compact_above(&mut self, threshold: u64) -> Result<(), Fault> {
        let said: usize = self.call.items.len() - self.own_count();
        let (old, own) = self.call.items.split_at(said.min(self.call.items.len()));
        let keep: Vec<Item> =
            old.iter().filter(|item| wire::is_instructions(&self.call, item)).cloned().collect();
        if tokens(old) <= threshold || old.len() == keep.len() {
            return Ok(());
        }
        let own = own.to_vec();
        let client = self.client.clone();
        let from = self.provenance();
        let made = self.runtime.notes_of(&client, old.to_vec(), from).await;
        let (_, notes, _) = made.map_err(|refused| refused.fault)?;
        let id = self.runtime.new_id("cmp");
        let compacted = wire::decode_item(&item_of(&notes, &id))?;
        let mut call = self.call.clone();
        call.items.clear();
        call.turns.truncate(keep.len());
        call.items.extend(keep.iter().cloned());
        let mut from = vec![None; keep.len() + 1];
        from.extend(own.iter().map(|_| None));
        wire::append_items(&mut call, [expanded(compacted.clone())].into_iter().chain(own));
        self.put_before(call, Fitting::new(from, Losses::none()));
        self.own_first(compacted);
        Ok(())
    }
}
