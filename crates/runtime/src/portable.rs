//! State that moves: an open format (`docs/state-format.md`), its export and import, and importers for others'.
//!
//! One JSON object a line. The first names the format, each further one is a conversation or a response with its
//! own items and a digest, the last counts them and chains the digests. An export can be broken off and an import
//! begun again: what is there already, with the same digest, is left as it is.

mod selected;

pub use selected::{Selected, export_selected};

use crate::{
    faults,
    keep::{self, Provenance},
    turn::{is_id, prefix},
};
use dialects::{Envelope, openai_responses as wire};
use domain::{
    ConversationId, Dialect, Fault, Item, Raw, ResponseId, TenantId,
    state::{
        Base, ContextOf, ConversationRecord, NewItem, Order, Owner, Page, ResponseRecord, StateError,
        StateStore, Status, StoredItem, Turn,
    },
};
use serde::{Deserialize, Serialize};

/// The format's name, in the first line.
pub const FORMAT: &str = "cabotage-state/1";
/// Objects read from a store in one step.
const STEP: u32 = 100;

/// An item in the format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PortableItem {
    /// Its id.
    pub id: Box<str>,
    /// In the form of Open Responses.
    pub item: Raw,
    /// Where it came from; absent for what a caller said and no model has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Provenance>,
    /// The context of later turns begins with it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub opens_context: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A conversation in the format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PortableConversation {
    /// Its id.
    pub id: Box<str>,
    /// Microseconds of Unix time.
    pub created_us: i64,
    /// Microseconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_us: Option<i64>,
    /// `{"metadata": {…}}`.
    pub body: Raw,
    /// Its items, in order.
    pub items: Vec<PortableItem>,
}

/// A response in the format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PortableResponse {
    /// Its id.
    pub id: Box<str>,
    /// The response that it followed, where that is a part of the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<str>>,
    /// The conversation that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Box<str>>,
    /// Its status.
    pub status: Box<str>,
    /// Microseconds of Unix time.
    pub created_us: i64,
    /// Microseconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_us: Option<i64>,
    /// The response object (`response`), where it ran (`from`), what was lost (`losses`).
    pub body: Raw,
    /// What was said to the model in this turn; where nothing before it is a part of the export, all before it.
    pub input: Vec<PortableItem>,
    /// What it answered.
    pub output: Vec<PortableItem>,
}

#[derive(Serialize, Deserialize)]
struct First {
    format: Box<str>,
    tenant: Box<str>,
    store: Box<str>,
}

/// A line to be written; its digest is put behind it.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Conversation(PortableConversation),
    Response(PortableResponse),
    End(Count),
}

/// A line as it is read: one of the three, and the digest.
#[derive(Deserialize)]
struct Sealed {
    #[serde(default)]
    conversation: Option<Raw>,
    #[serde(default)]
    response: Option<Raw>,
    #[serde(default)]
    end: Option<Count>,
    digest: Box<str>,
}

impl Sealed {
    /// What the line says, and the digest of its text as it stands.
    fn open(&self) -> Result<(Line, Box<str>), String> {
        let digest = |what: &str, raw: &Raw| -> Box<str> {
            let text = format!("{{\"{what}\":{}}}", raw.text());
            blake3::hash(text.as_bytes()).to_hex().as_str().into()
        };
        match (&self.conversation, &self.response, &self.end) {
            (Some(raw), None, None) => {
                let made = raw.read().map_err(|error| error.to_string())?;
                Ok((Line::Conversation(made), digest("conversation", raw)))
            }
            (None, Some(raw), None) => {
                let made = raw.read().map_err(|error| error.to_string())?;
                Ok((Line::Response(made), digest("response", raw)))
            }
            (None, None, Some(count)) => Ok((Line::End(count.clone()), self.digest.clone())),
            _ => Err("a line holds one of `conversation`, `response` and `end`".to_owned()),
        }
    }
}

/// A line with its digest.
fn sealed(text: &str, digest: &str) -> String {
    format!("{},\"digest\":\"{digest}\"}}", text.strip_suffix('}').unwrap_or(text))
}

/// What an export held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Conversations.
    pub conversations: u64,
    /// Responses.
    pub responses: u64,
    /// Items of both.
    pub items: u64,
    /// Responses under way, which are not exported.
    pub running: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Objects that are there now and were not before.
    pub new: u64,
    /// Objects that were there already, with the same digest.
    pub already: u64,
    /// Ids of objects that were there already and say something else; they are left as they were.
    pub different: Vec<Box<str>>,
    /// Whether the last line was met and its count and digest agree.
    pub complete: bool,
}

/// Why an import stopped. What was imported before stands; the same file can be imported again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line is not as it was written.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The store said no.
    #[error("line {line}: {cause}")]
    Store {
        /// Counted from 1.
        line: usize,
        /// Why.
        cause: StateError,
    },
}

fn digest(line: &Line) -> Result<(String, Box<str>), Fault> {
    let text = serde_json::to_string(line).map_err(|error| faults::internal(&error.to_string()))?;
    let digest = blake3::hash(text.as_bytes()).to_hex().as_str().into();
    Ok((text, digest))
}

fn portable(items: &[StoredItem]) -> Result<Vec<PortableItem>, Fault> {
    items
        .iter()
        .map(|stored| {
            let kept = keep::read_item(&stored.body)?;
            let id = stored.id.as_str().into();
            Ok(PortableItem { id, item: kept.item, from: kept.from, opens_context: stored.opens_context })
        })
        .collect()
}

fn stored(items: &[PortableItem]) -> Result<Vec<NewItem>, Fault> {
    items
        .iter()
        .map(|item| keep::keep_json(item.item.clone(), &item.id, item.from.as_ref(), item.opens_context))
        .collect()
}

fn raw(text: &str) -> Result<Raw, Fault> {
    Raw::parse(text).map_err(|error| faults::internal(&error.to_string()))
}

async fn conversation_of(
    store: &dyn StateStore,
    tenant: &TenantId,
    record: &ConversationRecord,
) -> Result<PortableConversation, Fault> {
    let mut items = Vec::new();
    let mut page = Page::first(Order::Ascending, STEP);
    loop {
        let found = store.items(tenant, &record.id, page.clone()).await;
        let found = found.map_err(|error| faults::of_store(&error))?;
        page.after = found.items.last().map(|item| item.id.clone());
        items.extend(portable(&found.items)?);
        if !found.has_more || page.after.is_none() {
            break;
        }
    }
    Ok(PortableConversation {
        id: record.id.as_str().into(),
        created_us: record.created_us,
        expires_us: record.expires_us,
        body: raw(&record.body)?,
        items,
    })
}

async fn response_of(
    store: &dyn StateStore,
    tenant: &TenantId,
    id: &ResponseId,
) -> Result<Option<PortableResponse>, Fault> {
    let found = store.turn(tenant, id).await.map_err(|error| faults::of_store(&error))?;
    let Some(found) = found else { return Ok(None) };
    let mut input = portable(&found.input)?;
    let mut previous = None;
    if let Some(before) = &found.previous {
        let there = store.response(tenant, before).await.map_err(|error| faults::of_store(&error))?;
        if there.is_some() {
            previous = Some(before.as_str().into());
        } else {
            // What it followed is gone; what was said there is still a part of its context.
            let context = store.context(tenant, ContextOf::Response(id.clone())).await;
            let context = context.map_err(|error| faults::of_store(&error))?;
            let own: Vec<u64> = found.output.iter().map(|item| item.position).collect();
            let all = context.map(|context| context.items).unwrap_or_default();
            let said: Vec<StoredItem> =
                all.into_iter().filter(|item| !own.contains(&item.position)).collect();
            input = portable(&said)?;
        }
    }
    let record = found.response;
    Ok(Some(PortableResponse {
        id: record.id.as_str().into(),
        previous,
        conversation: record.conversation.as_ref().map(|id| id.as_str().into()),
        status: record.status.name().into(),
        created_us: record.created_us,
        expires_us: record.expires_us,
        body: raw(&record.body)?,
        input,
        output: portable(&found.output)?,
    }))
}

/// Writes all conversations and responses of a tenant, a line at a time.
///
/// # Errors
/// What the store or `write` says.
pub async fn export(
    store: &dyn StateStore,
    tenant: &TenantId,
    mut write: impl FnMut(&str) -> Result<(), Fault> + Send,
) -> Result<Count, Fault> {
    let first = First { format: FORMAT.into(), tenant: tenant.as_str().into(), store: store.name().into() };
    write(&serde_json::to_string(&first).map_err(|error| faults::internal(&error.to_string()))?)?;
    let mut count = Count::default();
    let mut chain = blake3::Hasher::new();
    let mut put = |line: Line, chain: &mut blake3::Hasher| -> Result<(), Fault> {
        let (text, digest) = digest(&line)?;
        chain.update(digest.as_bytes());
        write(&sealed(&text, &digest))
    };
    let mut after = None;
    loop {
        let found = store.conversations(tenant, after.clone(), STEP).await;
        let found = found.map_err(|error| faults::of_store(&error))?;
        for record in &found {
            let made = conversation_of(store, tenant, record).await?;
            count.conversations += 1;
            count.items += made.items.len() as u64;
            put(Line::Conversation(made), &mut chain)?;
        }
        let Some(last) = found.last() else { break };
        after = Some(last.id.clone());
    }
    let mut after = None;
    loop {
        let found = store.responses(tenant, after.clone(), STEP).await;
        let found = found.map_err(|error| faults::of_store(&error))?;
        for record in &found {
            if record.status.is_running() {
                count.running += 1;
            } else if let Some(made) = response_of(store, tenant, &record.id).await? {
                count.responses += 1;
                count.items += (made.input.len() + made.output.len()) as u64;
                put(Line::Response(made), &mut chain)?;
            }
        }
        let Some(last) = found.last() else { break };
        after = Some(last.id.clone());
    }
    let (text, _) = digest(&Line::End(count.clone()))?;
    write(&sealed(&text, chain.finalize().to_hex().as_str()))?;
    Ok(count)
}

/// Reads what [`export`] wrote into a store, as this tenant's. Ids stay as they are, so that a client goes on with
/// the ids that it knows.
///
/// # Errors
/// [`ImportError`] at the first line that is wrong. What came before stands.
pub async fn import(
    store: &dyn StateStore,
    tenant: &TenantId,
    lines: impl Iterator<Item = String> + Send,
) -> Result<Imported, ImportError> {
    let mut done = Imported::default();
    let mut count = Count::default();
    let mut chain = blake3::Hasher::new();
    for (index, text) in lines.enumerate() {
        let line = index + 1;
        let wrong = |why: String| ImportError::Line { line, why };
        if index == 0 {
            let first: First = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            if &*first.format != FORMAT {
                return Err(wrong(format!("the format is `{}`, this binary reads `{FORMAT}`", first.format)));
            }
            continue;
        }
        let sealed: Sealed = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let (read, found) = sealed.open().map_err(wrong)?;
        if let Line::End(said) = &read {
            let agrees = (said.conversations, said.responses) == (count.conversations, count.responses)
                && *sealed.digest == *chain.finalize().to_hex().as_str();
            if !agrees {
                return Err(wrong(
                    "the count or digest of the whole does not agree: lines are missing".into(),
                ));
            }
            done.complete = true;
            continue;
        }
        if found != sealed.digest {
            return Err(wrong("the line is not as it was written: its digest differs".into()));
        }
        chain.update(found.as_bytes());
        let fault = |fault: Fault| wrong(fault.to_string());
        let put = match &read {
            Line::Conversation(made) => {
                count.conversations += 1;
                put_conversation(store, tenant, made).await
            }
            Line::Response(made) => {
                count.responses += 1;
                put_response(store, tenant, made).await
            }
            Line::End(_) => continue,
        };
        match put {
            Ok(()) => done.new += 1,
            Err(Put::There) => match again(store, tenant, &read).await.map_err(fault)? {
                Some(there) if there == sealed.digest => done.already += 1,
                _ => done.different.push(id_of(&read)),
            },
            Err(Put::Store(cause)) => return Err(ImportError::Store { line, cause }),
            Err(Put::Fault(cause)) => return Err(fault(cause)),
        }
    }
    Ok(done)
}

fn id_of(line: &Line) -> Box<str> {
    match line {
        Line::Conversation(made) => made.id.clone(),
        Line::Response(made) => made.id.clone(),
        Line::End(_) => "".into(),
    }
}

enum Put {
    There,
    Store(StateError),
    Fault(Fault),
}

/// The digest of what is there under a line's id.
async fn again(store: &dyn StateStore, tenant: &TenantId, line: &Line) -> Result<Option<Box<str>>, Fault> {
    let there = match line {
        Line::Conversation(made) => {
            let record = store.conversation(tenant, &ConversationId::new(&made.id)).await;
            match record.map_err(|error| faults::of_store(&error))? {
                Some(record) => Line::Conversation(conversation_of(store, tenant, &record).await?),
                None => return Ok(None),
            }
        }
        Line::Response(made) => match response_of(store, tenant, &ResponseId::new(&made.id)).await? {
            Some(found) => Line::Response(found),
            None => return Ok(None),
        },
        Line::End(_) => return Ok(None),
    };
    digest(&there).map(|(_, digest)| Some(digest))
}

async fn put_conversation(
    store: &dyn StateStore,
    tenant: &TenantId,
    made: &PortableConversation,
) -> Result<(), Put> {
    let record = ConversationRecord {
        id: ConversationId::new(&made.id),
        body: made.body.text().into(),
        created_us: made.created_us,
        expires_us: made.expires_us,
    };
    let items = stored(&made.items).map_err(Put::Fault)?;
    let owner = Owner { tenant: tenant.clone(), subject: None };
    store.create_conversation(owner, record, items).await.map_err(|error| match error {
        StateError::Exists => Put::There,
        other => Put::Store(other),
    })
}

async fn put_response(store: &dyn StateStore, tenant: &TenantId, made: &PortableResponse) -> Result<(), Put> {
    let status = Status::by_name(&made.status).filter(|status| !status.is_running()).ok_or_else(|| {
        Put::Fault(faults::invalid("status", "the status of a response is not a final one"))
    })?;
    let base = match &made.previous {
        Some(previous) => Base::After(ResponseId::new(previous)),
        None => Base::Fresh,
    };
    let turn = Turn {
        owner: Owner { tenant: tenant.clone(), subject: None },
        base,
        response: ResponseRecord {
            id: ResponseId::new(&made.id),
            status,
            body: made.body.text().into(),
            conversation: made.conversation.as_deref().map(ConversationId::new),
            created_us: made.created_us,
            expires_us: made.expires_us,
            runner_until_us: 0,
        },
        input: stored(&made.input).map_err(Put::Fault)?,
        output: stored(&made.output).map_err(Put::Fault)?,
    };
    match store.commit(turn).await {
        Ok(domain::state::Kept::Now) => Ok(()),
        Ok(domain::state::Kept::Before(_)) => Err(Put::There),
        Err(error) => Err(Put::Store(error)),
    }
}

/// Moves a tenant's state from one store to another: exports, imports, compares, and only then deletes at the
/// source. Broken off, it can be begun again.
///
/// # Errors
/// Where anything could not be carried, with the reason; then nothing is deleted at the source.
pub async fn move_all(
    from: &dyn StateStore,
    to: &dyn StateStore,
    tenant: &TenantId,
) -> Result<Imported, Fault> {
    let mut lines = Vec::new();
    let count = export(from, tenant, |line| {
        lines.push(line.to_owned());
        Ok(())
    })
    .await?;
    let done =
        import(to, tenant, lines.into_iter()).await.map_err(|error| faults::internal(&error.to_string()))?;
    if !done.complete || !done.different.is_empty() || count.running > 0 {
        let message = format!(
            "nothing was deleted at the source: {} responses are under way there, {} objects are other ones at the target",
            count.running,
            done.different.len()
        );
        return Err(faults::invalid("state", message));
    }
    let failed = |error: StateError| faults::of_store(&error);
    while let Some(record) = from.conversations(tenant, None, 1).await.map_err(failed)?.first() {
        from.delete_conversation(tenant, &record.id).await.map_err(failed)?;
    }
    while let Some(record) = from.responses(tenant, None, 1).await.map_err(failed)?.first() {
        from.delete_response(tenant, &record.id).await.map_err(failed)?;
    }
    Ok(done)
}

/// OpenAI's conversation as its API shows it: `{"id", "metadata", "created_at", "items": [items] | list object}`.
///
/// # Errors
/// `invalid_request` with the place.
pub fn from_openai_conversation(text: &str) -> Result<PortableConversation, Fault> {
    #[derive(Deserialize)]
    struct Theirs {
        id: Box<str>,
        #[serde(default)]
        created_at: i64,
        #[serde(default)]
        metadata: Option<Raw>,
        items: Raw,
    }
    #[derive(Deserialize)]
    struct Listed {
        data: Vec<Raw>,
    }
    let wrong = |error: serde_json::Error| faults::invalid("conversation", error.to_string());
    let theirs: Theirs = serde_json::from_str(text).map_err(wrong)?;
    let items: Vec<Raw> = if theirs.items.text().starts_with('[') {
        theirs.items.read().map_err(wrong)?
    } else {
        theirs.items.read::<Listed>().map_err(wrong)?.data
    };
    let read = items.iter().map(wire::decode_item).collect::<Result<Vec<Item>, Fault>>()?;
    let metadata = theirs.metadata.filter(|raw| raw.text() != "null");
    let metadata = metadata.map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned());
    Ok(PortableConversation {
        id: theirs.id,
        created_us: theirs.created_at.saturating_mul(1_000_000),
        expires_us: None,
        body: raw(&format!("{{\"metadata\":{metadata}}}"))?,
        items: numbered(&read),
    })
}

/// A plain list of chat messages (`[{"role", "content", "tool_calls" …}]`) as a conversation with this id.
///
/// # Errors
/// `invalid_request` with the place.
pub fn from_messages(id: &str, created_us: i64, text: &str) -> Result<PortableConversation, Fault> {
    let messages = Raw::parse(text).map_err(|error| faults::invalid("messages", error.to_string()))?;
    let body = format!("{{\"model\":\"import\",\"messages\":{}}}", messages.text());
    let call = dialects::codec(Dialect::OpenAiChat).decode_call(body.as_bytes(), &Envelope::default())?;
    Ok(PortableConversation {
        id: id.into(),
        created_us,
        expires_us: None,
        body: raw("{\"metadata\":{}}")?,
        items: numbered(&call.items),
    })
}

fn numbered(items: &[Item]) -> Vec<PortableItem> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let known = wire::item_id(item).filter(|id| is_id(id));
            let id = known.unwrap_or_else(|| format!("{}_import_{index:06}", prefix(&item.kind)));
            PortableItem {
                item: wire::encode_item(item, &id),
                id: id.into(),
                from: None,
                opens_context: keep::opens_context(item),
            }
        })
        .collect()
}

/// Puts a conversation that an importer made into a store; false where it was there with the same content.
///
/// # Errors
/// `invalid_request` where another is there under the id; what the store says.
pub async fn import_conversation(
    store: &dyn StateStore,
    tenant: &TenantId,
    made: PortableConversation,
) -> Result<bool, Fault> {
    let line = Line::Conversation(made);
    let Line::Conversation(made) = &line else { return Ok(false) };
    match put_conversation(store, tenant, made).await {
        Ok(()) => Ok(true),
        Err(Put::There) => {
            let (_, own) = digest(&line)?;
            if again(store, tenant, &line).await? == Some(own) {
                Ok(false)
            } else {
                Err(faults::invalid(
                    "id",
                    format!("another conversation `{}` is there already", id_of(&line)),
                ))
            }
        }
        Err(Put::Store(error)) => Err(faults::of_store(&error)),
        Err(Put::Fault(fault)) => Err(fault),
    }
}
