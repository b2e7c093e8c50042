//! State that a store keeps for the stateful side: responses, conversations and their items, and the port to it.
//!
//! What a response or an item *says* is JSON that only `runtime` reads; a store sees ids, order, owners and
//! dates, and keeps the rest sealed. Items lie in *threads*: a conversation is a thread with a name, a chain of
//! responses (`previous_response_id`) is one without. A turn appends to the tip of its thread; a turn on an
//! older response gets a thread of its own with a copy of what was before it.

mod memory;
mod port;

pub use memory::MemoryStateStore;
pub use port::{Answer, StateError, StateStore};

use crate::ids::{ConversationId, ItemId, ResponseId, SubjectId, TenantId};

/// Most items of one thread.
pub const THREAD_ITEMS_MAX: u64 = (1 << 20) - 1;
/// Most bytes of one body (item, response, conversation, event) that a store takes.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Whose content it is: the tenant owns it, the subject may ask for its erasure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Who sees it.
    pub tenant: TenantId,
    /// The person it is about, where the application says so. Content with a subject has a key of its own.
    pub subject: Option<SubjectId>,
}

/// How far a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted, not begun.
    Queued,
    /// Under way.
    InProgress,
    /// Done.
    Completed,
    /// Ended before its end (token limit, filter).
    Incomplete,
    /// Broken.
    Failed,
    /// Stopped by its caller.
    Cancelled,
}

impl Status {
    /// Every status, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::InProgress, Self::Completed, Self::Incomplete, Self::Failed, Self::Cancelled];

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this wire word.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// True while somebody works on it.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }

    /// True where it has an answer that a next turn can follow.
    #[must_use]
    pub const fn has_answer(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete)
    }
}

/// An item to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Its id. Unique among our own; a caller's may repeat, then the first in order is found.
    pub id: ItemId,
    /// What it says, with its provenance: JSON.
    pub body: Box<str>,
    /// The context of later turns begins with this item; what stands before it is kept but not replayed
    /// (compaction).
    pub opens_context: bool,
}

/// An item as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// Its id.
    pub id: ItemId,
    /// Its place in its thread; grows, with gaps where items were deleted.
    pub position: u64,
    /// What it says.
    pub body: Box<str>,
    /// The context of later turns begins with it.
    pub opens_context: bool,
}

/// A response as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseRecord {
    /// Its id.
    pub id: ResponseId,
    /// How far it is.
    pub status: Status,
    /// The response object and what only we know of it: JSON.
    pub body: Box<str>,
    /// The conversation that it is a part of.
    pub conversation: Option<ConversationId>,
    /// When it was accepted, in microseconds of Unix time.
    pub created_us: i64,
    /// When it is to be forgotten, in microseconds of Unix time.
    pub expires_us: Option<i64>,
    /// Until when its runner has said to be alive, in microseconds of Unix time; 0 where nobody runs it.
    pub runner_until_us: i64,
}

/// What a turn follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Fresh,
    /// A response of the same tenant that has an answer.
    After(ResponseId),
    /// What is in a conversation, under a lease.
    In {
        /// The conversation.
        conversation: ConversationId,
        /// The fencing token of the lease.
        fence: u64,
    },
}

/// A turn to be kept, begun or ended. The same call may come twice: the second changes nothing.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Whose.
    pub owner: Owner,
    /// What it follows.
    pub base: Base,
    /// The response. A running status keeps it beside the thread; one with an answer puts `input` and `output`
    /// behind the base; a failed or cancelled one is kept, and its items are no part of any thread.
    pub response: ResponseRecord,
    /// What was said to the model in this turn.
    pub input: Vec<NewItem>,
    /// What it answered.
    pub output: Vec<NewItem>,
}

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept as it was given.
    Now,
    /// It had ended before, with this status; nothing was changed.
    Before(Status),
}

/// What the next turn is to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The items in order, from the last that opens a context.
    pub items: Vec<StoredItem>,
    /// Of a response: how far it is.
    pub status: Status,
}

/// Where the next turn begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextOf {
    /// Behind a response.
    Response(ResponseId),
    /// At the end of a conversation.
    Conversation(ConversationId),
}

/// A turn as kept, for export: only its own items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTurn {
    /// The response.
    pub response: ResponseRecord,
    /// The response that it followed, whether or not that still exists.
    pub previous: Option<ResponseId>,
    /// Its own input.
    pub input: Vec<StoredItem>,
    /// Its output.
    pub output: Vec<StoredItem>,
}

/// A conversation as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRecord {
    /// Its id.
    pub id: ConversationId,
    /// Metadata and what only we know of it: JSON.
    pub body: Box<str>,
    /// When it was made, in microseconds of Unix time.
    pub created_us: i64,
    /// When it is to be forgotten, in microseconds of Unix time.
    pub expires_us: Option<i64>,
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Begin behind this item, in the order asked for.
    pub after: Option<ItemId>,
    /// End before this item, in the order asked for.
    pub before: Option<ItemId>,
    /// Newest first?
    pub order: Order,
    /// Most items.
    pub limit: u32,
}

impl Page {
    /// The first `limit` items in an order.
    #[must_use]
    pub const fn first(order: Order, limit: u32) -> Self {
        Self { after: None, before: None, order, limit }
    }
}

impl Page {
    /// Cuts the page out of a whole list in ascending order. With `before` alone it is the piece next to the
    /// cursor, not the one at the other end.
    ///
    /// # Errors
    /// [`StateError::NoCursor`]
    pub fn cut(&self, mut items: Vec<StoredItem>) -> Result<Listed, StateError> {
        if self.order == Order::Descending {
            items.reverse();
        }
        let limit = self.limit as usize;
        let find = |id: &ItemId, items: &[StoredItem]| {
            items.iter().position(|item| item.id == *id).ok_or(StateError::NoCursor)
        };
        if let Some(before) = &self.before {
            let end = find(before, &items)?;
            items.truncate(end);
            if self.after.is_none() {
                let skip = items.len().saturating_sub(limit);
                return Ok(Listed { has_more: skip > 0, items: items.split_off(skip) });
            }
        }
        if let Some(after) = &self.after {
            let begin = find(after, &items)? + 1;
            items.drain(..begin);
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(Listed { items, has_more })
    }
}

/// In which order a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first: the API's default.
    Descending,
}

/// A piece of a list, as found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The items in the order asked for.
    pub items: Vec<StoredItem>,
    /// Whether more follow in that order.
    pub has_more: bool,
}

/// The right to change a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// It is yours; the fencing token is greater than every one before it.
    Yours {
        /// To be shown with every change.
        fence: u64,
    },
    /// Somebody else has it.
    Held {
        /// Until when, unless it is renewed; microseconds of Unix time.
        until_us: i64,
    },
}

/// A recorded event of a streamed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its sequence number on the wire.
    pub sequence: u64,
    /// The event: JSON.
    pub body: Box<str>,
}

/// Whose content is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erase {
    /// One subject's, of one tenant.
    Subject(SubjectId),
    /// Everything of a tenant.
    Tenant,
}

/// What an erasure did. It names no content; `items` and `ids_digest` let an export from before prove what it
/// held.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ErasureReceipt {
    /// The store, by the operator's name for it.
    pub store: Box<str>,
    /// The tenant.
    pub tenant: Box<str>,
    /// A keyed digest of the subject's id (not the id), hex; empty for a whole tenant.
    pub subject_digest: Box<str>,
    /// When, in microseconds of Unix time.
    pub at_us: i64,
    /// Responses erased.
    pub responses: u64,
    /// Items erased.
    pub items: u64,
    /// Conversations erased.
    pub conversations: u64,
    /// Groups of recorded events erased.
    pub events: u64,
    /// Data keys destroyed: what was sealed with them cannot be read by anybody, wherever a copy lies.
    pub keys_destroyed: u64,
    /// BLAKE3 over the sorted ids of all erased responses, conversations and items, one a line; hex.
    pub ids_digest: Box<str>,
    /// True where the store has also emptied its write-ahead log after the erasure.
    pub log_emptied: bool,
}
