//! Responses after their turn: read, followed, stopped, deleted.

use crate::{
    faults,
    keep::{self, KeptResponse},
    settings::{Client, Runtime},
    stores::StateStores,
    stream::TurnStream,
};
use domain::{
    Fault, ItemId, Raw, ResponseId, SubjectId,
    state::{Erase, ErasureReceipt, Listed, Order, Page, ResponseRecord, StateError, Status},
};
use serde_json::json;

/// Most items of one page, and how many where nothing is said: the API's own.
const PAGE_MAX: u32 = 100;
const PAGE: u32 = 20;
/// Recorded events read in one step.
const EVENTS: u32 = 1 << 20;

impl Runtime {
    /// `GET /v1/responses/{id}`: the object as it stands.
    ///
    /// # Errors
    /// `response_not_found`, `state_unavailable`.
    pub async fn retrieve(&self, client: &Client, id: &ResponseId) -> Result<Raw, Fault> {
        let record = self.record(client, id).await?;
        if record.status.is_running()
            && let Some(live) = self.running.of(&client.tenant, id)
        {
            return Ok(live.object());
        }
        Ok(KeptResponse::read(&record.body)?.response)
    }

    async fn record(&self, client: &Client, id: &ResponseId) -> Result<ResponseRecord, Fault> {
        let found = client.store.response(&client.tenant, id).await;
        found.map_err(|error| faults::of_store(&error))?.ok_or_else(|| faults::no_response(id.as_str()))
    }

    /// `GET /v1/responses/{id}?stream=true&starting_after=N`: the events behind number N, those to come included.
    ///
    /// # Errors
    /// `response_not_found`; `invalid_request` where the response was not made with `background` and `stream`.
    pub async fn resume(
        &self,
        client: &Client,
        id: &ResponseId,
        starting_after: Option<u64>,
    ) -> Result<TurnStream, Fault> {
        let record = self.record(client, id).await?;
        let kept = KeptResponse::read(&record.body)?;
        if !kept.streamed {
            let message = "only a response that was made with `background: true` and `stream: true` can be streamed again";
            return Err(faults::invalid("stream", message));
        }
        if let Some(live) = self.running.of(&client.tenant, id) {
            return Ok(TurnStream::live_after(live, starting_after));
        }
        let events = client.store.events(&client.tenant, id, starting_after, EVENTS).await;
        Ok(TurnStream::recorded(&events.map_err(|error| faults::of_store(&error))?))
    }

    /// `POST /v1/responses/{id}/cancel`. A response that has ended is answered as it is.
    ///
    /// # Errors
    /// `response_not_found`; `invalid_request` for one that was not made in the background.
    pub async fn cancel(&self, client: &Client, id: &ResponseId) -> Result<Raw, Fault> {
        let record = self.record(client, id).await?;
        if !record.status.is_running() {
            let object = KeptResponse::read(&record.body)?.response;
            let background = object.value().get("background") == Some(&serde_json::Value::Bool(true));
            if !background {
                let message = "only a response that was made with `background: true` can be cancelled";
                return Err(faults::invalid("response_id", message));
            }
            return Ok(object);
        }
        let Some(live) = self.running.of(&client.tenant, id) else {
            return self.end_alone(&client.store, &client.tenant, &record, Status::Cancelled, None).await;
        };
        let mut progress = live.progress();
        live.cancel();
        let over = progress.wait_for(|progress| progress.over);
        // It stops at once; a store that is slow is waited for, but not for ever.
        let _late = tokio::time::timeout(std::time::Duration::from_secs(30), over).await;
        Ok(live.object())
    }

    /// `DELETE /v1/responses/{id}`. One that is running is stopped.
    ///
    /// # Errors
    /// `response_not_found`.
    pub async fn delete(&self, client: &Client, id: &ResponseId) -> Result<Raw, Fault> {
        if let Some(live) = self.running.of(&client.tenant, id) {
            let mut progress = live.progress();
            live.cancel();
            let over = progress.wait_for(|progress| progress.over);
            let _late = tokio::time::timeout(std::time::Duration::from_secs(30), over).await;
        }
        let gone = client.store.delete_response(&client.tenant, id).await;
        if !gone.map_err(|error| faults::of_store(&error))? {
            return Err(faults::no_response(id.as_str()));
        }
        Ok(Raw::from(json!({ "id": id.as_str(), "object": "response", "deleted": true })))
    }

    /// `GET /v1/responses/{id}/input_items`.
    ///
    /// # Errors
    /// `response_not_found`, `invalid_request` for a cursor that is not in the list.
    pub async fn input_items(&self, client: &Client, id: &ResponseId, page: Page) -> Result<Raw, Fault> {
        match client.store.input_items(&client.tenant, id, page).await {
            Ok(listed) => list(&listed, false),
            Err(StateError::Missing) => Err(faults::no_response(id.as_str())),
            Err(error) => Err(faults::of_store(&error)),
        }
    }

    /// Erases what is about a subject from the client's store.
    ///
    /// # Errors
    /// `state_unavailable`.
    pub async fn erase(&self, client: &Client, subject: &SubjectId) -> Result<ErasureReceipt, Fault> {
        let what = Erase::Subject(subject.clone());
        let erased = client.store.erase(&client.tenant, what, self.now_us()).await;
        erased.map_err(|error| faults::of_store(&error))
    }

    /// Forgets what is past its date and ends what nobody runs any more. To be called every few seconds.
    pub async fn upkeep(&self, stores: &StateStores) {
        for store in stores.all() {
            if let Err(fault) = self.bury(store).await {
                tracing::warn!(%fault, store = store.name(), "abandoned responses could not be ended");
            }
            if let Err(error) = store.expire(self.now_us(), 256).await {
                tracing::warn!(%error, store = store.name(), "old state could not be forgotten");
            }
        }
    }
}

/// The list object.
pub(crate) fn list(listed: &Listed, encrypted: bool) -> Result<Raw, Fault> {
    let data =
        listed.items.iter().map(|item| keep::show(item, encrypted)).collect::<Result<Vec<Raw>, Fault>>()?;
    let id = |item: Option<&domain::state::StoredItem>| item.map(|item| item.id.to_string());
    let object = ListObject {
        object: "list",
        first_id: id(listed.items.first()),
        last_id: id(listed.items.last()),
        has_more: listed.has_more,
        data,
    };
    Raw::of(&object).map_err(|error| faults::internal(&error.to_string()))
}

#[derive(serde::Serialize)]
struct ListObject {
    object: &'static str,
    data: Vec<Raw>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// Reads `after`, `before`, `order` and `limit` of a query; others are not its business.
///
/// # Errors
/// `invalid_request` with the parameter.
pub fn read_page<'a>(query: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Page, Fault> {
    let mut page = Page::first(Order::Descending, PAGE);
    for (name, value) in query {
        match name {
            "after" => page.after = Some(ItemId::new(value)),
            "before" => page.before = Some(ItemId::new(value)),
            "order" => {
                page.order = match value {
                    "asc" => Order::Ascending,
                    "desc" => Order::Descending,
                    _ => return Err(faults::invalid("order", "`order` is `asc` or `desc`")),
                };
            }
            "limit" => {
                page.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=PAGE_MAX).contains(limit))
                    .ok_or_else(|| faults::invalid("limit", "`limit` is a number from 1 to 100"))?;
            }
            _ => {}
        }
    }
    Ok(page)
}
