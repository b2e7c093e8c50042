//! The port of a state store. Its shape is that of a database with several writers (leases with fencing tokens,
//! idempotent commits), so that one for many replicas fits behind it.

use super::{
    Base, Context, ContextOf, ConversationRecord, Erase, ErasureReceipt, Kept, Leased, Listed, NewItem,
    Owner, Page, RecordedEvent, ResponseRecord, StoredItem, StoredTurn, Turn,
};
use crate::ids::{ConversationId, ItemId, ResponseId, TenantId};
use std::{future::Future, pin::Pin, sync::Arc};

/// What a store answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// Why a store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// As much work is waiting as the store takes. Try again shortly.
    #[error("the state store has as much work waiting as it takes")]
    Busy,
    /// There is no such thing, or it is another tenant's: nobody learns which.
    #[error("there is no such thing here")]
    Missing,
    /// The response to follow is still running.
    #[error("the response is still running")]
    Running,
    /// The response to follow has no answer (failed, cancelled).
    #[error("the response has no answer to follow")]
    NoAnswer,
    /// The page's cursor names an item that is not in the list.
    #[error("the cursor names no item of this list")]
    NoCursor,
    /// Something with this id is there already.
    #[error("something with this id is there already")]
    Exists,
    /// Somebody else got the conversation's lease meanwhile; nothing was changed.
    #[error("the lease on the conversation was lost")]
    Fenced,
    /// A body or thread is above its bound.
    #[error("{what} is larger than the store takes ({max})")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The bound: bytes, or items of a thread.
        max: u64,
    },
    /// The store cannot be read or written.
    #[error("the state store failed: {0}")]
    Broken(Arc<str>),
    /// Something is there and cannot be opened: another master key, or damage.
    #[error("stored content cannot be opened: {0}")]
    Unreadable(Arc<str>),
}

/// Whoever keeps state. Time is an argument. Every change has reached the disk when its answer comes (what an
/// answer has told survives `kill -9` and loss of power) and is seen by every read that begins after it.
pub trait StateStore: Send + Sync {
    /// The operator's name for it.
    fn name(&self) -> &str;

    // === responses ===

    /// Keeps a turn that begins (running status) or ends. An end that comes twice, or after another end, changes
    /// nothing. An end in a conversation gives its lease back in the same step.
    ///
    /// Errors: `Missing` where the base is not there (any more), `Running` and `NoAnswer` where it cannot be
    /// followed, `Fenced`, `TooLarge`.
    fn commit(&self, turn: Turn) -> Answer<'_, Kept>;

    /// A response.
    fn response(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, Option<ResponseRecord>>;

    /// Forgets a response, and its items where no other response or conversation needs them. False where there
    /// was none.
    fn delete_response(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, bool>;

    /// What the model was given for a response: the items before it in its thread, and its own input.
    ///
    /// Errors: `Missing`, `NoCursor`.
    fn input_items(&self, tenant: &TenantId, id: &ResponseId, page: Page) -> Answer<'_, Listed>;

    /// A response with its own items.
    fn turn(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, Option<StoredTurn>>;

    /// Responses of a tenant in order of their ids, behind `after`: for export.
    fn responses(
        &self,
        tenant: &TenantId,
        after: Option<ResponseId>,
        limit: u32,
    ) -> Answer<'_, Vec<ResponseRecord>>;

    /// Says that a running response's runner is alive. False where the response is not running any more.
    fn keep_alive(&self, tenant: &TenantId, id: &ResponseId, until_us: i64) -> Answer<'_, bool>;

    /// Running responses whose runner has not been heard of since `now_us`; at most `limit`.
    fn abandoned(&self, now_us: i64, limit: u32) -> Answer<'_, Vec<(TenantId, ResponseRecord)>>;

    // === events ===

    /// Records events of a running or just ended response, in order. Ones that are there are left as they are.
    fn append_events(&self, tenant: &TenantId, id: &ResponseId, events: Vec<RecordedEvent>)
    -> Answer<'_, ()>;

    /// Recorded events behind a sequence number, at least one where there is one, at most about `limit`.
    fn events(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        after: Option<u64>,
        limit: u32,
    ) -> Answer<'_, Vec<RecordedEvent>>;

    // === context and conversations ===

    /// What a next turn follows; `None` where there is no such thing.
    fn context(&self, tenant: &TenantId, of: ContextOf) -> Answer<'_, Option<Context>>;

    /// Makes a conversation.
    ///
    /// Errors: `Exists`, `TooLarge`.
    fn create_conversation(
        &self,
        owner: Owner,
        record: ConversationRecord,
        items: Vec<NewItem>,
    ) -> Answer<'_, ()>;

    /// A conversation.
    fn conversation(&self, tenant: &TenantId, id: &ConversationId) -> Answer<'_, Option<ConversationRecord>>;

    /// Conversations of a tenant in order of their ids, behind `after`: for export.
    fn conversations(
        &self,
        tenant: &TenantId,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Answer<'_, Vec<ConversationRecord>>;

    /// Changes what a conversation says of itself. False where there is none.
    fn update_conversation(&self, tenant: &TenantId, record: ConversationRecord) -> Answer<'_, bool>;

    /// Forgets a conversation with its items. Its responses stay as they are and can no longer be followed.
    fn delete_conversation(&self, tenant: &TenantId, id: &ConversationId) -> Answer<'_, bool>;

    /// Makes conversation `record` with a copy of the items of `from`, up to `through` (all where `None`).
    ///
    /// Errors: `Missing`, `NoCursor` (no such item), `Exists`.
    fn fork(
        &self,
        tenant: &TenantId,
        from: ContextOf,
        through: Option<ItemId>,
        record: ConversationRecord,
        owner: Owner,
    ) -> Answer<'_, ()>;

    /// A piece of a conversation.
    ///
    /// Errors: `Missing`, `NoCursor`.
    fn items(&self, tenant: &TenantId, id: &ConversationId, page: Page) -> Answer<'_, Listed>;

    /// One item of a conversation.
    fn item(&self, tenant: &TenantId, id: &ConversationId, item: &ItemId) -> Answer<'_, Option<StoredItem>>;

    /// Appends items to a conversation under a lease.
    ///
    /// Errors: `Missing`, `Fenced`, `TooLarge`.
    fn add_items(
        &self,
        owner: Owner,
        id: &ConversationId,
        fence: u64,
        items: Vec<NewItem>,
    ) -> Answer<'_, Vec<StoredItem>>;

    /// Deletes one item of a conversation. False where there is none.
    fn delete_item(&self, tenant: &TenantId, id: &ConversationId, item: &ItemId) -> Answer<'_, bool>;

    // === leases ===

    /// Takes the lease on a conversation, if nobody has it at `now_us`.
    ///
    /// Errors: `Missing`.
    fn lease(&self, tenant: &TenantId, id: &ConversationId, now_us: i64, until_us: i64)
    -> Answer<'_, Leased>;

    /// Prolongs a lease.
    ///
    /// Errors: `Fenced`, `Missing`.
    fn renew(&self, tenant: &TenantId, id: &ConversationId, fence: u64, until_us: i64) -> Answer<'_, ()>;

    /// Gives a lease back; nothing happens where it was lost.
    fn release(&self, tenant: &TenantId, id: &ConversationId, fence: u64) -> Answer<'_, ()>;

    // === upkeep ===

    /// Forgets what is past its date, at most about `limit` responses and conversations. Returns how many.
    fn expire(&self, now_us: i64, limit: u32) -> Answer<'_, u64>;

    /// Erases, so that nothing of it can be read from the store's files again.
    fn erase(&self, tenant: &TenantId, what: Erase, at_us: i64) -> Answer<'_, ErasureReceipt>;
}

impl Base {
    /// The response that it follows.
    #[must_use]
    pub const fn previous(&self) -> Option<&ResponseId> {
        match self {
            Self::After(id) => Some(id),
            Self::Fresh | Self::In { .. } => None,
        }
    }

    /// The conversation that it is in.
    #[must_use]
    pub const fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::In { conversation, .. } => Some(conversation),
            Self::Fresh | Self::After(_) => None,
        }
    }
}
