//! A part of what a tenant has in a store: one conversation, or a response with those that it followed.

use super::{Count, FORMAT, First, Line, conversation_of, digest, response_of, sealed};
use crate::faults;
use domain::{
    ConversationId, Fault, ResponseId, TenantId,
    state::{StateError, StateStore, THREAD_ITEMS_MAX},
};

/// Records read from a store in one step.
const STEP: u32 = 100;

/// What is exported of all that a tenant has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// A conversation and the responses that are a part of it.
    Conversation(ConversationId),
    /// A response and those that it followed, as far as they are there.
    Response(ResponseId),
}

/// Writes one conversation or one chain of responses, as [`super::export`] writes everything.
///
/// # Errors
/// `conversation_not_found`, `response_not_found`; `response_in_progress` for one that is under way;
/// `invalid_request` for a response that is a part of a conversation, with the conversation's id; what the store or
/// `write` says.
pub async fn export_selected(
    store: &dyn StateStore,
    tenant: &TenantId,
    selected: &Selected,
    write: impl FnMut(&str) -> Result<(), Fault> + Send,
) -> Result<Count, Fault> {
    let mut out = Writer { write, count: Count::default(), chain: blake3::Hasher::new() };
    match selected {
        Selected::Conversation(id) => {
            let record = store.conversation(tenant, id).await.map_err(of_store)?;
            let record = record.ok_or_else(|| faults::no_conversation(id.as_str()))?;
            out.first(store, tenant)?;
            let made = conversation_of(store, tenant, &record).await?;
            out.count.conversations += 1;
            out.count.items += made.items.len() as u64;
            out.put(&Line::Conversation(made))?;
            out.responses_of(store, tenant, id).await?;
        }
        Selected::Response(id) => {
            let chain = chain(store, tenant, id).await?;
            out.first(store, tenant)?;
            for id in chain.iter().rev() {
                out.response(store, tenant, id).await?;
            }
        }
    }
    out.end()
}

/// A response and those before it, the last first.
async fn chain(store: &dyn StateStore, tenant: &TenantId, id: &ResponseId) -> Result<Vec<ResponseId>, Fault> {
    let record = store.response(tenant, id).await.map_err(of_store)?;
    let record = record.ok_or_else(|| faults::no_response(id.as_str()))?;
    if record.status.is_running() {
        return Err(faults::still_running(id.as_str()));
    }
    if let Some(conversation) = &record.conversation {
        let message = format!("The response is a part of the conversation `{conversation}`: export that.");
        return Err(faults::invalid("response_id", message));
    }
    let mut chain = Vec::new();
    let mut next = Some(id.clone());
    while let Some(id) = next {
        // A chain has at most as many responses as its thread has items.
        if chain.len() as u64 > THREAD_ITEMS_MAX {
            break;
        }
        let Some(found) = store.turn(tenant, &id).await.map_err(of_store)? else { break };
        chain.push(id);
        next = found.previous;
    }
    Ok(chain)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` asks for")]
fn of_store(error: StateError) -> Fault {
    faults::of_store(&error)
}

/// Writes lines, counts them and chains their digests.
struct Writer<W> {
    write: W,
    count: Count,
    chain: blake3::Hasher,
}

impl<W: FnMut(&str) -> Result<(), Fault> + Send> Writer<W> {
    fn first(&mut self, store: &dyn StateStore, tenant: &TenantId) -> Result<(), Fault> {
        let first =
            First { format: FORMAT.into(), tenant: tenant.as_str().into(), store: store.name().into() };
        let text = serde_json::to_string(&first).map_err(|error| faults::internal(&error.to_string()))?;
        (self.write)(&text)
    }

    fn put(&mut self, line: &Line) -> Result<(), Fault> {
        let (text, digest) = digest(line)?;
        self.chain.update(digest.as_bytes());
        (self.write)(&sealed(&text, &digest))
    }

    async fn response(
        &mut self,
        store: &dyn StateStore,
        tenant: &TenantId,
        id: &ResponseId,
    ) -> Result<(), Fault> {
        if let Some(made) = response_of(store, tenant, id).await? {
            self.count.responses += 1;
            self.count.items += (made.input.len() + made.output.len()) as u64;
            self.put(&Line::Response(made))?;
        }
        Ok(())
    }

    async fn responses_of(
        &mut self,
        store: &dyn StateStore,
        tenant: &TenantId,
        conversation: &ConversationId,
    ) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let found = store.responses(tenant, after, STEP).await.map_err(of_store)?;
            for record in &found {
                match &record.conversation {
                    Some(own) if own == conversation && record.status.is_running() => self.count.running += 1,
                    Some(own) if own == conversation => self.response(store, tenant, &record.id).await?,
                    _ => {}
                }
            }
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.id.clone());
        }
    }

    fn end(mut self) -> Result<Count, Fault> {
        let (text, _) = digest(&Line::End(self.count.clone()))?;
        (self.write)(&sealed(&text, self.chain.finalize().to_hex().as_str()))?;
        Ok(self.count)
    }
}
