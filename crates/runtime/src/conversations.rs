//! Conversations: the API's objects over a store's threads.

use crate::{
    checks, faults, keep,
    responses::list,
    settings::{Client, Runtime},
    turn::{is_id, prefix},
};
use dialects::openai_responses as wire;
use domain::{
    Code, ConversationId, Fault, Item, ItemId, Raw,
    state::{ContextOf, ConversationRecord, Listed, NewItem, Page, StateError},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, json};

/// Bounds of metadata: pairs, characters of a key, characters of a value.
const METADATA: (usize, usize, usize) = (16, 64, 512);

#[derive(Debug, Default, Deserialize)]
struct Create {
    #[serde(default, deserialize_with = "list_of_items")]
    items: Option<Vec<Raw>>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Add {
    #[serde(default, deserialize_with = "list_of_items")]
    items: Option<Vec<Raw>>,
}

#[derive(Debug, Default, Deserialize)]
struct Fork {
    /// The last item to be taken over; all where it is not there.
    #[serde(default)]
    through: Option<String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

impl Runtime {
    /// `POST /v1/conversations`.
    ///
    /// # Errors
    /// `invalid_json`, `invalid_request` with the place, `item_too_large`.
    pub async fn create_conversation(&self, client: &Client, body: &[u8]) -> Result<Raw, Fault> {
        let asked: Create = read_or_default(body)?;
        let metadata = checked(asked.metadata)?;
        let items = self.read_items(&asked.items.unwrap_or_default())?;
        let record = self.new_record(&metadata);
        let object = show(&record)?;
        let created = client.store.create_conversation(client.owner(None), record, items).await;
        created.map_err(|error| faults::of_store(&error))?;
        Ok(object)
    }

    fn new_record(&self, metadata: &Map<String, Value>) -> ConversationRecord {
        ConversationRecord {
            id: ConversationId::new(&self.new_id("conv")),
            body: json!({ "metadata": metadata }).to_string().into(),
            created_us: self.now_us(),
            expires_us: None,
        }
    }

    async fn conversation_record(
        &self,
        client: &Client,
        id: &ConversationId,
    ) -> Result<ConversationRecord, Fault> {
        let found = client.store.conversation(&client.tenant, id).await;
        found.map_err(|error| faults::of_store(&error))?.ok_or_else(|| faults::no_conversation(id.as_str()))
    }

    /// `GET /v1/conversations/{id}`.
    ///
    /// # Errors
    /// `conversation_not_found`.
    pub async fn conversation(&self, client: &Client, id: &ConversationId) -> Result<Raw, Fault> {
        show(&self.conversation_record(client, id).await?)
    }

    /// `POST /v1/conversations/{id}`: new metadata.
    ///
    /// # Errors
    /// `conversation_not_found`, `invalid_request`.
    pub async fn update_conversation(
        &self,
        client: &Client,
        id: &ConversationId,
        body: &[u8],
    ) -> Result<Raw, Fault> {
        let asked: Create = read_or_default(body)?;
        let metadata = checked(asked.metadata)?;
        let mut record = self.conversation_record(client, id).await?;
        record.body = json!({ "metadata": metadata }).to_string().into();
        let object = show(&record)?;
        let updated = client.store.update_conversation(&client.tenant, record).await;
        if updated.map_err(|error| faults::of_store(&error))? {
            Ok(object)
        } else {
            Err(faults::no_conversation(id.as_str()))
        }
    }

    /// `DELETE /v1/conversations/{id}`, with its items.
    ///
    /// # Errors
    /// `conversation_not_found`.
    pub async fn delete_conversation(&self, client: &Client, id: &ConversationId) -> Result<Raw, Fault> {
        let gone = client.store.delete_conversation(&client.tenant, id).await;
        if !gone.map_err(|error| faults::of_store(&error))? {
            return Err(faults::no_conversation(id.as_str()));
        }
        Ok(Raw::from(json!({ "id": id.as_str(), "object": "conversation.deleted", "deleted": true })))
    }

    /// `GET /v1/conversations/{id}/items`; `encrypted` where the caller asked for
    /// `include=reasoning.encrypted_content`.
    ///
    /// # Errors
    /// `conversation_not_found`, `invalid_request` for a cursor that is not in the list.
    pub async fn list_items(
        &self,
        client: &Client,
        id: &ConversationId,
        page: Page,
        encrypted: bool,
    ) -> Result<Raw, Fault> {
        match client.store.items(&client.tenant, id, page).await {
            Ok(listed) => list(&listed, encrypted),
            Err(StateError::Missing) => Err(faults::no_conversation(id.as_str())),
            Err(error) => Err(faults::of_store(&error)),
        }
    }

    /// `POST /v1/conversations/{id}/items`: at most 20.
    ///
    /// # Errors
    /// `conversation_not_found`, `conversation_locked`, `invalid_request`, `item_too_large`.
    pub async fn add_items(&self, client: &Client, id: &ConversationId, body: &[u8]) -> Result<Raw, Fault> {
        let asked: Add = read(body)?;
        let items = asked.items.unwrap_or_default();
        if items.is_empty() {
            return Err(faults::invalid("items", "`items` is empty"));
        }
        let items = self.read_items(&items)?;
        let held = self.hold(client, id).await?;
        let added = client.store.add_items(client.owner(None), id, held.fence, items).await;
        match added {
            Ok(items) => list(&Listed { items, has_more: false }, false),
            Err(StateError::Missing) => Err(faults::no_conversation(id.as_str())),
            Err(error) => Err(faults::of_store(&error)),
        }
    }

    /// `GET /v1/conversations/{id}/items/{item}`.
    ///
    /// # Errors
    /// `conversation_not_found`, `item_not_found`.
    pub async fn item(
        &self,
        client: &Client,
        id: &ConversationId,
        item: &ItemId,
        encrypted: bool,
    ) -> Result<Raw, Fault> {
        let found = client.store.item(&client.tenant, id, item).await;
        match found.map_err(|error| faults::of_store(&error))? {
            Some(found) => keep::show(&found, encrypted),
            None => {
                self.conversation_record(client, id).await?;
                Err(faults::no_item(item.as_str(), "item_id"))
            }
        }
    }

    /// `DELETE /v1/conversations/{id}/items/{item}`: answers the conversation.
    ///
    /// # Errors
    /// `conversation_not_found`, `item_not_found`, `conversation_locked`.
    pub async fn delete_item(
        &self,
        client: &Client,
        id: &ConversationId,
        item: &ItemId,
    ) -> Result<Raw, Fault> {
        let _held = self.hold(client, id).await?;
        let record = self.conversation_record(client, id).await?;
        let gone = client.store.delete_item(&client.tenant, id, item).await;
        if gone.map_err(|error| faults::of_store(&error))? {
            show(&record)
        } else {
            Err(faults::no_item(item.as_str(), "item_id"))
        }
    }

    /// A new conversation with the items of another up to one of them. Ours: `POST
    /// /v1/conversations/{id}/fork` with `{"through": item, "metadata": {…}}`, both optional. A chain of
    /// responses is forked by `previous_response_id` alone.
    ///
    /// # Errors
    /// `conversation_not_found`, `item_not_found`, `invalid_request`.
    pub async fn fork_conversation(
        &self,
        client: &Client,
        id: &ConversationId,
        body: &[u8],
    ) -> Result<Raw, Fault> {
        let asked: Fork = read_or_default(body)?;
        let record = self.new_record(&checked(asked.metadata)?);
        let object = show(&record)?;
        let through = asked.through.as_deref().map(ItemId::new);
        let from = ContextOf::Conversation(id.clone());
        match client.store.fork(&client.tenant, from, through, record, client.owner(None)).await {
            Ok(()) => Ok(object),
            Err(StateError::Missing) => Err(faults::no_conversation(id.as_str())),
            Err(StateError::NoCursor) => {
                Err(faults::no_item(asked.through.as_deref().unwrap_or_default(), "through"))
            }
            Err(error) => Err(faults::of_store(&error)),
        }
    }

    /// A caller's items, checked, each with an id.
    fn read_items(&self, items: &[Raw]) -> Result<Vec<NewItem>, Fault> {
        let most = self.settings.limits.items_at_once;
        if items.len() > most {
            return Err(faults::invalid(
                "items",
                format!("`items` holds {}; at most {most} at once", items.len()),
            ));
        }
        let read = items
            .iter()
            .enumerate()
            .map(|(index, raw)| {
                wire::decode_item(raw).map_err(|mut fault| {
                    let inner = fault.param.take().map(|param| format!(".{param}")).unwrap_or_default();
                    fault.at(format!("items[{index}]{inner}"))
                })
            })
            .collect::<Result<Vec<Item>, Fault>>()?;
        checks::sizes(&read, &self.settings.limits)?;
        read.iter()
            .map(|item| {
                let known = wire::item_id(item).filter(|id| is_id(id));
                let id = known.unwrap_or_else(|| self.new_id(prefix(&item.kind)));
                keep::keep(item, &id, None)
            })
            .collect()
    }
}

fn show(record: &ConversationRecord) -> Result<Raw, Fault> {
    let kept: Value =
        serde_json::from_str(&record.body).map_err(|error| faults::internal(&error.to_string()))?;
    Ok(Raw::from(json!({
        "id": record.id.as_str(),
        "object": "conversation",
        "created_at": record.created_us.div_euclid(1_000_000),
        "metadata": kept.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })))
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() { Code::InvalidRequest } else { Code::InvalidJson };
        Fault::caller(code, format!("the body is not what this route takes: {error}"))
    })
}

/// `items`, with an error that names it.
fn list_of_items<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Vec<Raw>>, D::Error> {
    Option::deserialize(from).map_err(|_| D::Error::custom("`items` is a list of items"))
}

fn read_or_default<T: for<'a> Deserialize<'a> + Default>(body: &[u8]) -> Result<T, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { read(body) }
}

fn checked(metadata: Option<Map<String, Value>>) -> Result<Map<String, Value>, Fault> {
    let metadata = metadata.unwrap_or_default();
    let (pairs, key_length, value_length) = METADATA;
    if metadata.len() > pairs {
        return Err(faults::invalid("metadata", "`metadata` holds at most 16 pairs"));
    }
    for (key, value) in &metadata {
        if key.chars().count() > key_length {
            return Err(faults::invalid("metadata", "a key of `metadata` has at most 64 characters"));
        }
        let fits = value.as_str().is_some_and(|text| text.chars().count() <= value_length);
        if !fits {
            let param = format!("metadata.{key}");
            return Err(faults::invalid(&param, "a value of `metadata` is a text of at most 512 characters"));
        }
    }
    Ok(metadata)
}
