//! What is kept of items and responses, as JSON: the open form of Open Responses with what only we know beside it.

use crate::faults;
use dialects::openai_responses as wire;
use domain::{
    Dialect, Fault, Item, ItemKind, Raw,
    state::{NewItem, StoredItem},
};
use engine::Place;
use serde::{Deserialize, Serialize};

/// Where an item came from, and so where its opaque blobs are valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The model as the caller asked for it.
    pub model: Box<str>,
    /// The model as its host named it.
    pub served_model: Box<str>,
    /// The deployment that answered.
    pub deployment: Box<str>,
    /// The dialect in which it was received.
    pub dialect: Dialect,
    /// Where signatures, encrypted thoughts and file ids of it are valid: the host.
    pub realm: Box<str>,
    /// When, Unix seconds.
    pub at: i64,
}

impl Provenance {
    pub(crate) fn of(model: &str, place: &Place, at: i64) -> Self {
        Self {
            model: model.into(),
            served_model: place.model.clone(),
            deployment: place.deployment.as_str().into(),
            dialect: place.dialect,
            realm: place.realm.clone(),
            at,
        }
    }
}

/// An item as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeptItem {
    /// In the form of Open Responses.
    pub(crate) item: Raw,
    /// Where it came from; of what a caller said: where the turn ran that it was said in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Provenance>,
}

/// A response as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeptResponse {
    /// The response object as the caller saw it.
    pub(crate) response: Raw,
    /// What of the request a later change of the object needs (a cancellation, a failure); while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<wire::Head>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Provenance>,
    /// What could not be carried, as in the header.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(crate) losses: Box<str>,
    /// Whether its events are recorded.
    #[serde(default)]
    pub(crate) streamed: bool,
}

impl KeptResponse {
    pub(crate) fn write(&self) -> Result<Box<str>, Fault> {
        text(self)
    }

    pub(crate) fn read(body: &str) -> Result<Self, Fault> {
        serde_json::from_str(body).map_err(|error| faults::internal(&error.to_string()))
    }
}

/// An item for the store.
pub(crate) fn keep(item: &Item, id: &str, from: Option<&Provenance>) -> Result<NewItem, Fault> {
    keep_json(wire::encode_item(item, id), id, from, opens_context(item))
}

/// An item for the store that is JSON already.
pub(crate) fn keep_json(
    item: Raw,
    id: &str,
    from: Option<&Provenance>,
    opens_context: bool,
) -> Result<NewItem, Fault> {
    let body = text(&KeptItem { item, from: from.cloned() })?;
    Ok(NewItem { id: id.into(), body, opens_context })
}

/// An item from the store, with where it came from.
pub(crate) fn unkeep(stored: &StoredItem) -> Result<(Item, Option<Provenance>), Fault> {
    let kept = read_item(&stored.body)?;
    let item = wire::decode_item(&kept.item)
        .map_err(|fault| faults::internal(&format!("a stored item cannot be read: {fault}")))?;
    Ok((item, kept.from))
}

pub(crate) fn read_item(body: &str) -> Result<KeptItem, Fault> {
    serde_json::from_str(body).map_err(|error| faults::internal(&error.to_string()))
}

/// Whether the context of later turns begins with it.
pub(crate) fn opens_context(item: &Item) -> bool {
    matches!(&item.kind, ItemKind::Foreign { what } if &**what == "compaction")
}

/// An item as a list shows it: without our own members, and without encrypted thoughts unless asked for.
pub(crate) fn show(stored: &StoredItem, encrypted: bool) -> Result<Raw, Fault> {
    let kept = read_item(&stored.body)?;
    let hidden = |name: &str| name.starts_with("cabotage_") || (name == "encrypted_content" && !encrypted);
    let Ok(mut object) = kept.item.read::<serde_json::Map<String, serde_json::Value>>() else {
        return Ok(kept.item);
    };
    let is_compaction = object.get("type").and_then(serde_json::Value::as_str) == Some("compaction");
    if !is_compaction && object.keys().any(|name| hidden(name)) {
        object.retain(|name, _| !hidden(name));
        return Raw::of(&object).map_err(|error| faults::internal(&error.to_string()));
    }
    Ok(kept.item)
}

fn text<T: Serialize>(value: &T) -> Result<Box<str>, Fault> {
    let text = serde_json::to_string(value).map_err(|error| faults::internal(&error.to_string()))?;
    Ok(text.into_boxed_str())
}
