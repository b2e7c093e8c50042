//! The port's twin in memory, for tests: the same answers as a store on disk (one suite runs on both), and
//! nothing that outlives it.

use super::{
    Answer, Base, Context, ContextOf, ConversationRecord, Erase, ErasureReceipt, Kept, Leased, Listed,
    NewItem, Owner, Page, RecordedEvent, ResponseRecord, StateError, StateStore, Status, StoredItem,
    StoredTurn, THREAD_ITEMS_MAX, Turn,
};
use crate::ids::{ConversationId, ItemId, ResponseId, SubjectId, TenantId};
use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A state store in memory.
#[derive(Debug, Default)]
pub struct MemoryStateStore {
    name: Box<str>,
    spaces: Mutex<HashMap<TenantId, Space>>,
}

/// Everything of one tenant.
#[derive(Debug, Default)]
struct Space {
    responses: BTreeMap<ResponseId, Response>,
    conversations: BTreeMap<ConversationId, (ConversationRecord, u64)>,
    threads: HashMap<u64, Thread>,
    last_thread: u64,
}

#[derive(Debug)]
struct Response {
    record: ResponseRecord,
    previous: Option<ResponseId>,
    subject: Option<SubjectId>,
    place: Option<Place>,
    /// Its own input, while it is in no thread.
    pending: Vec<StoredItem>,
    events: BTreeMap<u64, RecordedEvent>,
}

/// Where a response's items lie: `start..input_end` is its input, `input_end..end` its output.
#[derive(Clone, Copy, Debug)]
struct Place {
    thread: u64,
    start: u64,
    input_end: u64,
    end: u64,
}

#[derive(Debug, Default)]
struct Thread {
    subject: Option<SubjectId>,
    items: Vec<OwnedItem>,
    tip: u64,
    fence: u64,
    lease_until_us: i64,
}

/// An item and whose it is.
#[derive(Clone, Debug)]
struct OwnedItem {
    item: StoredItem,
    subject: Option<SubjectId>,
}

impl MemoryStateStore {
    /// An empty store of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Space>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, tenant: &TenantId, look: impl FnOnce(&Space) -> T) -> T {
        match self.lock().get(tenant) {
            Some(space) => look(space),
            None => look(&Space::default()),
        }
    }

    fn change<T>(&self, tenant: &TenantId, change: impl FnOnce(&mut Space) -> T) -> T {
        change(self.lock().entry(tenant.clone()).or_default())
    }
}

impl Thread {
    fn append(
        &mut self,
        items: Vec<NewItem>,
        subject: Option<&SubjectId>,
    ) -> Result<Vec<StoredItem>, StateError> {
        if self.tip.saturating_add(items.len() as u64) > THREAD_ITEMS_MAX {
            return Err(StateError::TooLarge { what: "the conversation", max: THREAD_ITEMS_MAX });
        }
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            let item = StoredItem {
                id: item.id,
                position: self.tip,
                body: item.body,
                opens_context: item.opens_context,
            };
            self.tip += 1;
            self.items.push(OwnedItem { item: item.clone(), subject: subject.cloned() });
            kept.push(item);
        }
        Ok(kept)
    }

    fn before(&self, end: u64) -> Vec<StoredItem> {
        self.items.iter().map(|kept| &kept.item).filter(|item| item.position < end).cloned().collect()
    }
}

impl Space {
    fn new_thread(&mut self, subject: Option<&SubjectId>) -> u64 {
        self.last_thread += 1;
        self.threads.insert(self.last_thread, Thread { subject: subject.cloned(), ..Thread::default() });
        self.last_thread
    }

    fn thread(&mut self, thread: u64) -> Result<&mut Thread, StateError> {
        self.threads.get_mut(&thread).ok_or(StateError::Missing)
    }

    fn copy_thread(&mut self, from: u64, end: u64, subject: Option<&SubjectId>) -> u64 {
        let copied: Vec<OwnedItem> = self.threads.get(&from).map_or_else(Vec::new, |thread| {
            thread.items.iter().filter(|kept| kept.item.position < end).cloned().collect()
        });
        let to = self.new_thread(subject);
        if let Some(thread) = self.threads.get_mut(&to) {
            thread.items = copied;
            thread.tip = end;
        }
        to
    }

    /// The thread to append to.
    fn target(&mut self, base: &Base, subject: Option<&SubjectId>) -> Result<u64, StateError> {
        match base {
            Base::Fresh => Ok(self.new_thread(subject)),
            Base::After(id) => {
                let base = self.responses.get(id).ok_or(StateError::Missing)?;
                let place = followable(base)?;
                let thread = self.threads.get(&place.thread).ok_or(StateError::Missing)?;
                let named = self.conversations.values().any(|(_, thread)| *thread == place.thread);
                if thread.tip == place.end && !named {
                    return Ok(place.thread);
                }
                Ok(self.copy_thread(place.thread, place.end, subject))
            }
            Base::In { conversation, fence } => {
                let thread = self.conversation_thread(conversation)?;
                if self.thread(thread)?.fence != *fence {
                    return Err(StateError::Fenced);
                }
                Ok(thread)
            }
        }
    }

    fn conversation_thread(&self, id: &ConversationId) -> Result<u64, StateError> {
        self.conversations.get(id).map(|(_, thread)| *thread).ok_or(StateError::Missing)
    }

    fn commit(&mut self, turn: Turn) -> Result<Kept, StateError> {
        let id = turn.response.id.clone();
        if let Some(before) = self.responses.get(&id)
            && (!before.record.status.is_running() || turn.response.status.is_running())
        {
            return Ok(Kept::Before(before.record.status));
        }
        if turn.response.status.is_running() {
            match &turn.base {
                Base::Fresh => {}
                Base::After(base) => {
                    followable(self.responses.get(base).ok_or(StateError::Missing)?)?;
                }
                Base::In { conversation, fence } => {
                    let thread = self.conversation_thread(conversation)?;
                    if self.thread(thread)?.fence != *fence {
                        return Err(StateError::Fenced);
                    }
                }
            }
        }
        if let Base::In { conversation, fence } = &turn.base
            && !turn.response.status.is_running()
            && let Ok(thread) = self.conversation_thread(conversation)
            && let Some(thread) = self.threads.get_mut(&thread).filter(|thread| thread.fence == *fence)
        {
            thread.lease_until_us = 0;
        }
        let subject = turn.owner.subject;
        let begun = self.responses.get(&id).map(|old| (old.previous.clone(), old.subject.clone()));
        let (previous, whose) = begun.unwrap_or_else(|| (turn.base.previous().cloned(), subject.clone()));
        let mut response = Response {
            previous,
            subject: whose,
            place: None,
            pending: Vec::new(),
            events: self
                .responses
                .get_mut(&id)
                .map(|old| std::mem::take(&mut old.events))
                .unwrap_or_default(),
            record: turn.response,
        };
        if response.record.status.has_answer() {
            let thread = self.target(&turn.base, subject.as_ref())?;
            let into = self.thread(thread)?;
            let start = into.tip;
            into.append(turn.input, subject.as_ref())?;
            let input_end = into.tip;
            into.append(turn.output, subject.as_ref())?;
            response.place = Some(Place { thread, start, input_end, end: into.tip });
        } else {
            response.pending = (0..)
                .zip(turn.input)
                .map(|(position, item)| StoredItem {
                    id: item.id,
                    position,
                    body: item.body,
                    opens_context: item.opens_context,
                })
                .collect();
        }
        self.responses.insert(id, response);
        Ok(Kept::Now)
    }

    fn delete_response(&mut self, id: &ResponseId) -> bool {
        let Some(gone) = self.responses.remove(id) else { return false };
        let Some(place) = gone.place else { return true };
        if self.conversations.values().any(|(_, thread)| *thread == place.thread) {
            return true;
        }
        let needed = self
            .responses
            .values()
            .filter_map(|other| other.place)
            .filter(|other| other.thread == place.thread)
            .map(|other| other.end)
            .max();
        match needed {
            None => {
                self.threads.remove(&place.thread);
            }
            Some(end) => {
                if let Some(thread) = self.threads.get_mut(&place.thread) {
                    thread.items.retain(|kept| kept.item.position < end);
                    thread.tip = thread.tip.min(end);
                }
            }
        }
        true
    }

    fn context_items(&self, of: &ContextOf) -> Option<(Vec<StoredItem>, Status)> {
        match of {
            ContextOf::Response(id) => {
                let response = self.responses.get(id)?;
                let items = match response.place {
                    Some(place) => self.threads.get(&place.thread)?.before(place.end),
                    None => Vec::new(),
                };
                Some((items, response.record.status))
            }
            ContextOf::Conversation(id) => {
                let thread = self.conversation_thread(id).ok()?;
                Some((self.threads.get(&thread)?.before(u64::MAX), Status::Completed))
            }
        }
    }
}

fn followable(response: &Response) -> Result<Place, StateError> {
    match (response.record.status.is_running(), response.place) {
        (true, _) => Err(StateError::Running),
        (false, Some(place)) => Ok(place),
        (false, None) => Err(StateError::NoAnswer),
    }
}

fn now<'a, T: Send + 'a>(value: Result<T, StateError>) -> Answer<'a, T> {
    Box::pin(ready(value))
}

impl StateStore for MemoryStateStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn commit(&self, turn: Turn) -> Answer<'_, Kept> {
        let tenant = turn.owner.tenant.clone();
        now(self.change(&tenant, |space| space.commit(turn)))
    }

    fn response(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, Option<ResponseRecord>> {
        now(Ok(self.read(tenant, |space| space.responses.get(id).map(|found| found.record.clone()))))
    }

    fn delete_response(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, bool> {
        now(Ok(self.change(tenant, |space| space.delete_response(id))))
    }

    fn input_items(&self, tenant: &TenantId, id: &ResponseId, asked: Page) -> Answer<'_, Listed> {
        now(self.read(tenant, |space| {
            let response = space.responses.get(id).ok_or(StateError::Missing)?;
            let items = match response.place {
                Some(place) => space
                    .threads
                    .get(&place.thread)
                    .map_or_else(Vec::new, |thread| thread.before(place.input_end)),
                None => response.pending.clone(),
            };
            asked.cut(items)
        }))
    }

    fn turn(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, Option<StoredTurn>> {
        now(Ok(self.read(tenant, |space| {
            let response = space.responses.get(id)?;
            let (input, output) = match response.place {
                Some(place) => {
                    let all = space.threads.get(&place.thread)?.before(place.end);
                    let own = all.into_iter().filter(|item| item.position >= place.start);
                    own.partition(|item| item.position < place.input_end)
                }
                None => (response.pending.clone(), Vec::new()),
            };
            let previous = response.previous.clone();
            Some(StoredTurn { response: response.record.clone(), previous, input, output })
        })))
    }

    fn responses(
        &self,
        tenant: &TenantId,
        after: Option<ResponseId>,
        limit: u32,
    ) -> Answer<'_, Vec<ResponseRecord>> {
        now(Ok(self.read(tenant, |space| {
            let later = space
                .responses
                .values()
                .filter(|found| after.as_ref().is_none_or(|id| found.record.id > *id));
            later.take(limit as usize).map(|found| found.record.clone()).collect()
        })))
    }

    fn keep_alive(&self, tenant: &TenantId, id: &ResponseId, until_us: i64) -> Answer<'_, bool> {
        now(Ok(self.change(tenant, |space| {
            let running = space.responses.get_mut(id).filter(|found| found.record.status.is_running());
            running.map(|found| found.record.runner_until_us = until_us).is_some()
        })))
    }

    fn abandoned(&self, now_us: i64, limit: u32) -> Answer<'_, Vec<(TenantId, ResponseRecord)>> {
        let spaces = self.lock();
        let all = spaces
            .iter()
            .flat_map(|(tenant, space)| space.responses.values().map(move |found| (tenant, found)));
        let found = all
            .filter(|(_, found)| found.record.status.is_running() && found.record.runner_until_us < now_us)
            .take(limit as usize)
            .map(|(tenant, found)| (tenant.clone(), found.record.clone()))
            .collect();
        now(Ok(found))
    }

    fn append_events(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        events: Vec<RecordedEvent>,
    ) -> Answer<'_, ()> {
        now(self.change(tenant, |space| {
            let response = space.responses.get_mut(id).ok_or(StateError::Missing)?;
            for event in events {
                response.events.entry(event.sequence).or_insert(event);
            }
            Ok(())
        }))
    }

    fn events(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        after: Option<u64>,
        limit: u32,
    ) -> Answer<'_, Vec<RecordedEvent>> {
        now(self.read(tenant, |space| {
            let response = space.responses.get(id).ok_or(StateError::Missing)?;
            let from = after.map_or(0, |after| after + 1);
            Ok(response.events.range(from..).take(limit as usize).map(|(_, event)| event.clone()).collect())
        }))
    }

    fn context(&self, tenant: &TenantId, of: ContextOf) -> Answer<'_, Option<Context>> {
        now(Ok(self.read(tenant, |space| {
            let (mut items, status) = space.context_items(&of)?;
            if let Some(opens) = items.iter().rposition(|item| item.opens_context) {
                items.drain(..opens);
            }
            Some(Context { items, status })
        })))
    }

    fn create_conversation(
        &self,
        owner: Owner,
        record: ConversationRecord,
        items: Vec<NewItem>,
    ) -> Answer<'_, ()> {
        now(self.change(&owner.tenant, |space| {
            if space.conversations.contains_key(&record.id) {
                return Err(StateError::Exists);
            }
            let thread = space.new_thread(owner.subject.as_ref());
            space.thread(thread)?.append(items, owner.subject.as_ref())?;
            space.conversations.insert(record.id.clone(), (record, thread));
            Ok(())
        }))
    }

    fn conversation(&self, tenant: &TenantId, id: &ConversationId) -> Answer<'_, Option<ConversationRecord>> {
        now(Ok(self.read(tenant, |space| space.conversations.get(id).map(|(record, _)| record.clone()))))
    }

    fn conversations(
        &self,
        tenant: &TenantId,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Answer<'_, Vec<ConversationRecord>> {
        now(Ok(self.read(tenant, |space| {
            let later = space
                .conversations
                .values()
                .filter(|(record, _)| after.as_ref().is_none_or(|id| record.id > *id));
            later.take(limit as usize).map(|(record, _)| record.clone()).collect()
        })))
    }

    fn update_conversation(&self, tenant: &TenantId, record: ConversationRecord) -> Answer<'_, bool> {
        now(Ok(self.change(tenant, |space| {
            let found = space.conversations.get_mut(&record.id);
            found
                .map(|(old, _)| {
                    old.body = record.body;
                    old.expires_us = record.expires_us;
                })
                .is_some()
        })))
    }

    fn delete_conversation(&self, tenant: &TenantId, id: &ConversationId) -> Answer<'_, bool> {
        now(Ok(self.change(tenant, |space| {
            let Some((_, thread)) = space.conversations.remove(id) else { return false };
            space.threads.remove(&thread);
            true
        })))
    }

    fn fork(
        &self,
        tenant: &TenantId,
        from: ContextOf,
        through: Option<ItemId>,
        record: ConversationRecord,
        owner: Owner,
    ) -> Answer<'_, ()> {
        now(self.change(tenant, |space| {
            if space.conversations.contains_key(&record.id) {
                return Err(StateError::Exists);
            }
            let (thread, end) = match &from {
                ContextOf::Conversation(id) => (space.conversation_thread(id)?, u64::MAX),
                ContextOf::Response(id) => {
                    let place = followable(space.responses.get(id).ok_or(StateError::Missing)?)?;
                    (place.thread, place.end)
                }
            };
            let source = space.thread(thread)?;
            let end = end.min(source.tip);
            let end = match through {
                None => end,
                Some(item) => {
                    let mut all = source.items.iter().map(|kept| &kept.item);
                    let found = all.find(|kept| kept.id == item && kept.position < end);
                    found.ok_or(StateError::NoCursor)?.position + 1
                }
            };
            let copy = space.copy_thread(thread, end, owner.subject.as_ref());
            space.conversations.insert(record.id.clone(), (record, copy));
            Ok(())
        }))
    }

    fn items(&self, tenant: &TenantId, id: &ConversationId, asked: Page) -> Answer<'_, Listed> {
        now(self.read(tenant, |space| {
            let (items, _) =
                space.context_items(&ContextOf::Conversation(id.clone())).ok_or(StateError::Missing)?;
            asked.cut(items)
        }))
    }

    fn item(&self, tenant: &TenantId, id: &ConversationId, item: &ItemId) -> Answer<'_, Option<StoredItem>> {
        now(Ok(self.read(tenant, |space| {
            let (items, _) = space.context_items(&ContextOf::Conversation(id.clone()))?;
            items.into_iter().find(|kept| kept.id == *item)
        })))
    }

    fn add_items(
        &self,
        owner: Owner,
        id: &ConversationId,
        fence: u64,
        items: Vec<NewItem>,
    ) -> Answer<'_, Vec<StoredItem>> {
        now(self.change(&owner.tenant, |space| {
            let base = Base::In { conversation: id.clone(), fence };
            let thread = space.target(&base, None)?;
            space.thread(thread)?.append(items, owner.subject.as_ref())
        }))
    }

    fn delete_item(&self, tenant: &TenantId, id: &ConversationId, item: &ItemId) -> Answer<'_, bool> {
        now(Ok(self.change(tenant, |space| {
            let thread = space.conversation_thread(id).ok().and_then(|thread| space.threads.get_mut(&thread));
            let Some(thread) = thread else { return false };
            let Some(found) = thread.items.iter().position(|kept| kept.item.id == *item) else {
                return false;
            };
            thread.items.remove(found);
            true
        })))
    }

    fn lease(
        &self,
        tenant: &TenantId,
        id: &ConversationId,
        now_us: i64,
        until_us: i64,
    ) -> Answer<'_, Leased> {
        now(self.change(tenant, |space| {
            let thread = space.conversation_thread(id)?;
            let thread = space.thread(thread)?;
            if thread.lease_until_us > now_us {
                return Ok(Leased::Held { until_us: thread.lease_until_us });
            }
            thread.fence += 1;
            thread.lease_until_us = until_us;
            Ok(Leased::Yours { fence: thread.fence })
        }))
    }

    fn renew(&self, tenant: &TenantId, id: &ConversationId, fence: u64, until_us: i64) -> Answer<'_, ()> {
        now(self.change(tenant, |space| {
            let thread = space.conversation_thread(id)?;
            let thread = space.thread(thread)?;
            if thread.fence != fence {
                return Err(StateError::Fenced);
            }
            thread.lease_until_us = until_us;
            Ok(())
        }))
    }

    fn release(&self, tenant: &TenantId, id: &ConversationId, fence: u64) -> Answer<'_, ()> {
        now(self.change(tenant, |space| {
            let thread = space.conversation_thread(id).ok().and_then(|thread| space.threads.get_mut(&thread));
            if let Some(thread) = thread.filter(|thread| thread.fence == fence) {
                thread.lease_until_us = 0;
            }
            Ok(())
        }))
    }

    fn expire(&self, now_us: i64, limit: u32) -> Answer<'_, u64> {
        let mut left = limit as usize;
        for space in self.lock().values_mut() {
            let past = |at: Option<i64>| at.is_some_and(|at| at <= now_us);
            let old: Vec<ResponseId> = space
                .responses
                .values()
                .filter(|found| past(found.record.expires_us) && !found.record.status.is_running())
                .take(left)
                .map(|found| found.record.id.clone())
                .collect();
            left -= old.len();
            for id in &old {
                space.delete_response(id);
            }
            let old: Vec<(ConversationId, u64)> = space
                .conversations
                .values()
                .filter(|(record, _)| past(record.expires_us))
                .take(left)
                .map(|(record, thread)| (record.id.clone(), *thread))
                .collect();
            left -= old.len();
            for (id, thread) in old {
                space.conversations.remove(&id);
                space.threads.remove(&thread);
            }
        }
        now(Ok(u64::from(limit) - left as u64))
    }

    fn erase(&self, tenant: &TenantId, what: Erase, at_us: i64) -> Answer<'_, ErasureReceipt> {
        let mut receipt = ErasureReceipt {
            store: self.name.clone(),
            tenant: tenant.as_str().into(),
            at_us,
            log_emptied: true,
            ..ErasureReceipt::default()
        };
        self.change(tenant, |space| {
            let hit = |subject: Option<&SubjectId>| match &what {
                Erase::Tenant => true,
                Erase::Subject(wanted) => subject == Some(wanted),
            };
            for thread in space.threads.values_mut() {
                let before = thread.items.len();
                thread.items.retain(|kept| !hit(kept.subject.as_ref()));
                receipt.items += (before - thread.items.len()) as u64;
            }
            let before = space.responses.len();
            space.responses.retain(|_, found| !hit(found.subject.as_ref()));
            receipt.responses = (before - space.responses.len()) as u64;
            let threads = &mut space.threads;
            let before = space.conversations.len();
            space.conversations.retain(|_, (_, thread)| {
                !hit(threads.get(thread).and_then(|thread| thread.subject.as_ref()))
            });
            receipt.conversations = (before - space.conversations.len()) as u64;
            let used: Vec<u64> = space
                .responses
                .values()
                .filter_map(|found| found.place)
                .map(|place| place.thread)
                .chain(space.conversations.values().map(|(_, thread)| *thread))
                .collect();
            threads.retain(|id, _| used.contains(id));
        });
        now(Ok(receipt))
    }
}
