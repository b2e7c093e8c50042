//! One turn at a time on a conversation: a queue within this process, a lease among processes.

use crate::{
    faults,
    settings::{Client, Concurrency, Runtime},
};
use domain::{
    ConversationId, Fault, TenantId,
    state::{Leased, StateError, StateStore},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Mutex as Turnstile, OwnedMutexGuard},
    task::AbortHandle,
};

/// A lease lasts so long, and is renewed at a third of it.
const LEASE: Duration = Duration::from_secs(60);
/// Between two looks at another process's lease.
const LOOK: Duration = Duration::from_millis(50);

/// A queue per conversation that somebody waits for or has.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<Whose, Weak<Turnstile<()>>>>);

/// A conversation of a tenant.
type Whose = (TenantId, ConversationId);

impl Queues {
    fn of(&self, tenant: &TenantId, id: &ConversationId) -> Arc<Turnstile<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() > 1_024 {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let place = queues.entry((tenant.clone(), id.clone())).or_default();
        place.upgrade().unwrap_or_else(|| {
            let queue = Arc::new(Turnstile::new(()));
            *place = Arc::downgrade(&queue);
            queue
        })
    }
}

/// The right to change a conversation. Given back when dropped.
pub(crate) struct Held {
    store: Arc<dyn StateStore>,
    tenant: TenantId,
    id: ConversationId,
    pub(crate) fence: u64,
    renewal: AbortHandle,
    turn: Option<OwnedMutexGuard<()>>,
    /// The commit has given the lease back in the same step.
    released: bool,
}

impl Held {
    /// The lease was given back by the commit.
    pub(crate) fn committed(mut self) {
        self.released = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
        if self.released {
            return;
        }
        // The next in the queue comes after the lease is really free.
        let (store, tenant, id, fence, turn) =
            (Arc::clone(&self.store), self.tenant.clone(), self.id.clone(), self.fence, self.turn.take());
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            handle.spawn(async move {
                let _expires_by_itself = store.release(&tenant, &id, fence).await;
                drop(turn);
            });
        }
    }
}

impl Runtime {
    /// Waits for a conversation, or refuses, as set.
    pub(crate) async fn hold(&self, client: &Client, id: &ConversationId) -> Result<Held, Fault> {
        let queue = self.queues.of(&client.tenant, id);
        match self.settings.concurrency {
            Concurrency::Refuse => {
                let turn = queue.try_lock_owned().map_err(|_| faults::locked())?;
                self.lease(client, id, turn).await?.ok_or_else(faults::locked)
            }
            Concurrency::Serialise(patience) => {
                let waiting = async {
                    let mut turn = queue.lock_owned().await;
                    loop {
                        match self.try_lease(client, id, turn).await? {
                            Ok(held) => return Ok(held),
                            Err(back) => turn = back,
                        }
                        tokio::time::sleep(LOOK).await;
                    }
                };
                tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| Err(faults::locked()))
            }
        }
    }

    async fn lease(
        &self,
        client: &Client,
        id: &ConversationId,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Option<Held>, Fault> {
        Ok(self.try_lease(client, id, turn).await?.ok())
    }

    /// The lease, or the place in the queue back where another process has it.
    async fn try_lease(
        &self,
        client: &Client,
        id: &ConversationId,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Result<Held, OwnedMutexGuard<()>>, Fault> {
        let now = self.now_us();
        let length = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
        let leased = client.store.lease(&client.tenant, id, now, now.saturating_add(length)).await;
        let fence = match leased {
            Ok(Leased::Yours { fence }) => fence,
            Ok(Leased::Held { .. }) => return Ok(Err(turn)),
            Err(StateError::Missing) => return Err(faults::no_conversation(id.as_str())),
            Err(error) => return Err(faults::of_store(&error)),
        };
        let renewal = {
            let (store, tenant, id) = (Arc::clone(&client.store), client.tenant.clone(), id.clone());
            let clock = Arc::clone(&self.settings.clock);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(LEASE / 3).await;
                    let until = clock.now().as_microsecond().saturating_add(length);
                    if let Err(StateError::Fenced | StateError::Missing) =
                        store.renew(&tenant, &id, fence, until).await
                    {
                        return;
                    }
                }
            })
            .abort_handle()
        };
        Ok(Ok(Held {
            store: Arc::clone(&client.store),
            tenant: client.tenant.clone(),
            id: id.clone(),
            fence,
            renewal,
            turn: Some(turn),
            released: false,
        }))
    }
}
