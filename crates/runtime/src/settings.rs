//! The runtime: what it is set to, and what all its turns share.

use crate::{background::Running, lease::Queues, model::Model};
use domain::{
    CallId, Clock, ModelName, TenantId,
    state::{Owner, StateStore},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// On whose behalf: the tenant, the store that the terms gave it, and the way to a model.
#[derive(Clone)]
pub struct Client {
    /// Whose state it is.
    pub tenant: TenantId,
    /// Where it lies.
    pub store: Arc<dyn StateStore>,
    /// How a model is asked, as this caller.
    pub model: Arc<dyn Model>,
}

impl Client {
    /// The owner of what is kept now; `end_user` as the request says.
    pub(crate) fn owner(&self, end_user: Option<&str>) -> Owner {
        Owner { tenant: self.tenant.clone(), subject: end_user.map(domain::SubjectId::new) }
    }
}

/// What happens to a turn on a conversation that another turn has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// It waits for its turn, at most so long, first come first served within this process.
    Serialise(Duration),
    /// 409 `conversation_locked`.
    Refuse,
}

/// Who shortens conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// The model, by the name that callers use; it is placed by the terms like any other call.
    pub model: ModelName,
    /// Most tokens of the summary.
    pub max_output_tokens: u64,
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one item, as JSON.
    pub item_bytes: usize,
    /// Most items of a context.
    pub context_items: usize,
    /// Most background turns at a time; one more is a 503.
    pub background: usize,
    /// Most bytes of recorded events of one response; a longer stream goes on and cannot be resumed.
    pub event_bytes: usize,
    /// Most items in one `conversations.items.create` (the API's own bound).
    pub items_at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            item_bytes: 16 * 1024 * 1024,
            context_items: 16_384,
            background: 1_024,
            event_bytes: 16 * 1024 * 1024,
            items_at_once: 20,
        }
    }
}

/// What a runtime needs from the outside.
pub struct RuntimeSettings {
    /// The one way to learn the time.
    pub clock: Arc<dyn Clock>,
    /// 256 random bits of this process: of ids.
    pub seed: [u8; 32],
    /// What happens to concurrent turns.
    pub concurrency: Concurrency,
    /// Who compacts; `None`: nobody, and `/responses/compact` is refused.
    pub compaction: Option<Compaction>,
    /// How long a response is kept; `None`: until it is deleted. Conversations are kept until deleted.
    pub keep_responses: Option<Duration>,
    /// Bounds.
    pub limits: Limits,
}

impl RuntimeSettings {
    /// Concurrent turns wait a minute, responses are kept 30 days (as the API has it), nobody compacts.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: [u8; 32]) -> Self {
        Self {
            clock,
            seed,
            concurrency: Concurrency::Serialise(Duration::from_secs(60)),
            compaction: None,
            keep_responses: Some(Duration::from_secs(30 * 24 * 3600)),
            limits: Limits::default(),
        }
    }
}

/// The stateful side of one gateway.
pub struct Runtime {
    pub(crate) settings: RuntimeSettings,
    pub(crate) running: Running,
    pub(crate) queues: Queues,
    ids: [u8; 32],
    count: AtomicU64,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime")
    }
}

impl Runtime {
    /// A runtime without any turn.
    #[must_use]
    pub fn new(settings: RuntimeSettings) -> Arc<Self> {
        Arc::new(Self {
            running: Running::new(settings.limits.background),
            queues: Queues::default(),
            ids: blake3::derive_key("cabotage state ids", &settings.seed),
            count: AtomicU64::new(0),
            settings,
        })
    }

    /// A new id: time, so that ids sort, and bits that nobody outside can guess.
    pub(crate) fn new_id(&self, prefix: &str) -> String {
        let count = self.count.fetch_add(1, Relaxed);
        let hash = blake3::keyed_hash(&self.ids, &count.to_le_bytes());
        let mut random = [0; 16];
        random.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        let ms = u64::try_from(self.settings.clock.now().as_millisecond()).unwrap_or(0);
        format!("{prefix}_{:032x}", CallId::from_parts(ms, u128::from_le_bytes(random)).bits())
    }

    pub(crate) fn now_us(&self) -> i64 {
        self.settings.clock.now().as_microsecond()
    }

    pub(crate) fn now_s(&self) -> i64 {
        self.settings.clock.now().as_second()
    }

    /// When a response that is made now is to be forgotten.
    pub(crate) fn response_end(&self) -> Option<i64> {
        let keep = i64::try_from(self.settings.keep_responses?.as_micros()).unwrap_or(i64::MAX);
        Some(self.now_us().saturating_add(keep))
    }
}
