//! Conversations: threads with a name, under leases.

use super::{
    session::{Session, check_size, place, sql, unsigned},
    threads::{END, Span, thread_of},
};
use domain::{
    ConversationId, ItemId, TenantId,
    state::{ContextOf, ConversationRecord, Leased, Listed, NewItem, Owner, Page, StateError, StoredItem},
};
use rusqlite::{OptionalExtension, Row, params};

/// A conversation's row, its body still sealed.
struct ConversationRow {
    id: ConversationId,
    key: i64,
    body: Vec<u8>,
    created_us: i64,
    expires_us: Option<i64>,
}

const COLUMNS: &str = "SELECT name, key, body, created_us, expires_us FROM thread";

fn read_row(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    Ok(ConversationRow {
        id: ConversationId::new(&row.get::<_, String>(0)?),
        key: row.get(1)?,
        body: row.get(2)?,
        created_us: row.get(3)?,
        expires_us: row.get(4)?,
    })
}

impl Session {
    /// The thread of a conversation.
    pub(super) fn conversation_thread(
        &self,
        tenant: i64,
        id: &ConversationId,
    ) -> Result<Option<i64>, StateError> {
        self.number("SELECT row FROM thread WHERE tenant = ?1 AND name = ?2", params![tenant, id.as_str()])
    }

    fn whole(&self, tenant: i64, id: &ConversationId) -> Result<Span, StateError> {
        let thread = self.conversation_thread(tenant, id)?.ok_or(StateError::Missing)?;
        Ok(Span { thread, from: 0, to: END })
    }

    /// The thread of a conversation whose lease has this token.
    pub(super) fn fenced(&self, tenant: i64, id: &ConversationId, fence: u64) -> Result<i64, StateError> {
        let thread = self.conversation_thread(tenant, id)?.ok_or(StateError::Missing)?;
        let now = self.number("SELECT fence FROM thread WHERE row = ?1", params![thread])?;
        if now.map(unsigned) == Some(fence) { Ok(thread) } else { Err(StateError::Fenced) }
    }

    fn open_conversation(&self, found: ConversationRow) -> Result<ConversationRecord, StateError> {
        let body = self.key(found.key)?.open(&place("conversation", found.id.as_str()), found.body)?;
        Ok(ConversationRecord {
            id: found.id,
            body,
            created_us: found.created_us,
            expires_us: found.expires_us,
        })
    }

    pub(super) fn conversation(
        &self,
        tenant: &TenantId,
        id: &ConversationId,
    ) -> Result<Option<ConversationRecord>, StateError> {
        let text = format!("{COLUMNS} WHERE tenant = ?1 AND name = ?2");
        let mut statement = self.connection.prepare_cached(&text).map_err(sql)?;
        let values = params![self.tenant(tenant)?, id.as_str()];
        let found = statement.query_row(values, read_row).optional().map_err(sql)?;
        found.map(|found| self.open_conversation(found)).transpose()
    }

    pub(super) fn conversations(
        &self,
        tenant: &TenantId,
        after: Option<&ConversationId>,
        limit: u32,
    ) -> Result<Vec<ConversationRecord>, StateError> {
        let text =
            format!("{COLUMNS} WHERE tenant = ?1 AND name IS NOT NULL AND name > ?2 ORDER BY name LIMIT ?3");
        let mut statement = self.connection.prepare_cached(&text).map_err(sql)?;
        let values = params![self.tenant(tenant)?, after.map_or("", ConversationId::as_str), limit];
        let rows = statement.query_map(values, read_row).map_err(sql)?;
        rows.map(|row| self.open_conversation(row.map_err(sql)?)).collect()
    }

    pub(super) fn items(
        &self,
        tenant: &TenantId,
        id: &ConversationId,
        page: &Page,
    ) -> Result<Listed, StateError> {
        self.page(self.whole(self.tenant(tenant)?, id)?, page)
    }

    pub(super) fn item(
        &self,
        tenant: &TenantId,
        id: &ConversationId,
        item: &ItemId,
    ) -> Result<Option<StoredItem>, StateError> {
        let whole = match self.whole(self.tenant(tenant)?, id) {
            Err(StateError::Missing) => return Ok(None),
            other => other?,
        };
        let Some(found) = self.place_of(whole, item)? else { return Ok(None) };
        let from = found - super::threads::at(whole.thread, 0);
        Ok(self.span(Span { thread: whole.thread, from, to: from + 1 })?.pop())
    }

    // === changes ===

    /// Gives a thread a name, or makes one.
    fn name_thread(
        &self,
        tenant: i64,
        owner: &Owner,
        record: &ConversationRecord,
    ) -> Result<i64, StateError> {
        check_size("a conversation", &record.body)?;
        if self.conversation_thread(tenant, &record.id)?.is_some() {
            return Err(StateError::Exists);
        }
        let key = self.key_for(tenant, owner)?;
        let body = key.seal(&place("conversation", record.id.as_str()), &record.body)?;
        let text = "INSERT INTO thread
                (tenant, name, key, body, created_us, expires_us, tip, fence, lease_until_us)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0)";
        let values = params![tenant, record.id.as_str(), key.row, body, record.created_us, record.expires_us];
        self.run(text, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(super) fn create_conversation(
        &self,
        owner: &Owner,
        record: &ConversationRecord,
        items: &[NewItem],
    ) -> Result<(), StateError> {
        let tenant = self.tenant_or_new(&owner.tenant)?;
        let thread = self.name_thread(tenant, owner, record)?;
        self.append(thread, tenant, owner, items)?;
        Ok(())
    }

    pub(super) fn update_conversation(
        &self,
        tenant: i64,
        record: &ConversationRecord,
    ) -> Result<bool, StateError> {
        check_size("a conversation", &record.body)?;
        let Some(thread) = self.conversation_thread(tenant, &record.id)? else { return Ok(false) };
        let key = self.number("SELECT key FROM thread WHERE row = ?1", params![thread])?.unwrap_or(0);
        let body = self.key(key)?.seal(&place("conversation", record.id.as_str()), &record.body)?;
        let text = "UPDATE thread SET body = ?2, expires_us = ?3 WHERE row = ?1";
        self.run(text, params![thread, body, record.expires_us])?;
        Ok(true)
    }

    pub(super) fn delete_conversation(&self, tenant: i64, id: &ConversationId) -> Result<bool, StateError> {
        let Some(thread) = self.conversation_thread(tenant, id)? else { return Ok(false) };
        self.remove_thread(thread)?;
        Ok(true)
    }

    /// Removes a thread with its items, whoever they are about.
    pub(super) fn remove_thread(&self, thread: i64) -> Result<usize, StateError> {
        let items = self.remove(Span { thread, from: 0, to: END })?;
        self.run("DELETE FROM thread WHERE row = ?1", params![thread])?;
        Ok(items)
    }

    pub(super) fn fork(
        &self,
        from: &ContextOf,
        through: Option<&ItemId>,
        record: &ConversationRecord,
        owner: &Owner,
    ) -> Result<(), StateError> {
        let tenant = self.tenant_or_new(&owner.tenant)?;
        if self.conversation_thread(tenant, &record.id)?.is_some() {
            return Err(StateError::Exists);
        }
        let mut span = match from {
            ContextOf::Conversation(id) => self.whole(tenant, id)?,
            ContextOf::Response(id) => self.followed(tenant, id)?,
        };
        span.to = span.to.min(self.tip(span.thread)?);
        if let Some(item) = through {
            let found = self.place_of(span, item)?.ok_or(StateError::NoCursor)?;
            span.to = found - super::threads::at(thread_of(found), 0) + 1;
        }
        let thread = self.name_thread(tenant, owner, record)?;
        self.copy(span, thread)
    }

    pub(super) fn add_items(
        &self,
        owner: &Owner,
        id: &ConversationId,
        fence: u64,
        items: &[NewItem],
    ) -> Result<Vec<StoredItem>, StateError> {
        let tenant = self.tenant(&owner.tenant)?;
        let thread = self.fenced(tenant, id, fence)?;
        let span = self.append(thread, tenant, owner, items)?;
        let kept = (unsigned(span.from)..).zip(items).map(|(position, item)| StoredItem {
            id: item.id.clone(),
            position,
            body: item.body.clone(),
            opens_context: item.opens_context,
        });
        Ok(kept.collect())
    }

    pub(super) fn delete_item(
        &self,
        tenant: i64,
        id: &ConversationId,
        item: &ItemId,
    ) -> Result<bool, StateError> {
        let Some(thread) = self.conversation_thread(tenant, id)? else { return Ok(false) };
        match self.place_of(Span { thread, from: 0, to: END }, item)? {
            Some(found) => Ok(self.run("DELETE FROM item WHERE place = ?1", params![found])? > 0),
            None => Ok(false),
        }
    }

    // === leases ===

    pub(super) fn lease(
        &self,
        tenant: i64,
        id: &ConversationId,
        now_us: i64,
        until_us: i64,
    ) -> Result<Leased, StateError> {
        let thread = self.conversation_thread(tenant, id)?.ok_or(StateError::Missing)?;
        let taken = "UPDATE thread SET fence = fence + 1, lease_until_us = ?3
            WHERE row = ?1 AND lease_until_us <= ?2 RETURNING fence";
        if let Some(fence) = self.number(taken, params![thread, now_us, until_us])? {
            return Ok(Leased::Yours { fence: unsigned(fence) });
        }
        let held = self.number("SELECT lease_until_us FROM thread WHERE row = ?1", params![thread])?;
        Ok(Leased::Held { until_us: held.unwrap_or(now_us) })
    }

    pub(super) fn renew(
        &self,
        tenant: i64,
        id: &ConversationId,
        fence: u64,
        until_us: i64,
    ) -> Result<(), StateError> {
        let thread = self.fenced(tenant, id, fence)?;
        self.run("UPDATE thread SET lease_until_us = ?2 WHERE row = ?1", params![thread, until_us])?;
        Ok(())
    }

    pub(super) fn release(&self, tenant: i64, id: &ConversationId, fence: u64) -> Result<(), StateError> {
        if let Ok(thread) = self.fenced(tenant, id, fence) {
            self.run("UPDATE thread SET lease_until_us = 0 WHERE row = ?1", params![thread])?;
        }
        Ok(())
    }
}
