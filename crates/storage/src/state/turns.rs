//! Responses and turns: begun, ended, read, deleted.

use super::{
    session::{Session, check_size, place, signed, sql, unsigned},
    threads::{END, Span},
};
use domain::{
    ConversationId, ItemId, ResponseId, TenantId,
    state::{
        Base, Context, ContextOf, Kept, Listed, NewItem, Page, ResponseRecord, StateError, Status,
        StoredItem, StoredTurn, Turn,
    },
};
use rusqlite::{OptionalExtension, Row, params};

/// A response's row, its body still sealed.
pub(super) struct ResponseRow {
    row: i64,
    id: ResponseId,
    key: i64,
    status: Status,
    previous: Option<ResponseId>,
    conversation: Option<ConversationId>,
    place: Option<Place>,
    body: Vec<u8>,
    pending: Option<Vec<u8>>,
    created_us: i64,
    expires_us: Option<i64>,
    runner_until_us: i64,
}

/// Where its items lie.
#[derive(Clone, Copy)]
struct Place {
    thread: i64,
    start: i64,
    input_end: i64,
    end: i64,
}

const COLUMNS: &str =
    "SELECT row, id, key, status, previous, conversation, thread, start_at, input_end, end_at,
    body, pending, created_us, expires_us, runner_until_us FROM response";

/// The code of a status in the table. Running ones are below 2 (`response_running`).
const fn code(status: Status) -> i64 {
    match status {
        Status::Queued => 0,
        Status::InProgress => 1,
        Status::Completed => 2,
        Status::Incomplete => 3,
        Status::Failed => 4,
        Status::Cancelled => 5,
    }
}

fn status_of(code: i64) -> Result<Status, StateError> {
    let found = Status::ALL.into_iter().find(|status| self::code(*status) == code);
    found.ok_or_else(|| {
        StateError::Unreadable("a response has a status that this binary does not know".into())
    })
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<(ResponseRow, i64)> {
    let thread: Option<i64> = row.get(6)?;
    let place = match thread {
        Some(thread) => Some(Place { thread, start: row.get(7)?, input_end: row.get(8)?, end: row.get(9)? }),
        None => None,
    };
    let name = |column: usize| row.get::<_, Option<String>>(column);
    let found = ResponseRow {
        row: row.get(0)?,
        id: ResponseId::new(&row.get::<_, String>(1)?),
        key: row.get(2)?,
        status: Status::Failed,
        previous: name(4)?.as_deref().map(ResponseId::new),
        conversation: name(5)?.as_deref().map(ConversationId::new),
        place,
        body: row.get(10)?,
        pending: row.get(11)?,
        created_us: row.get(12)?,
        expires_us: row.get(13)?,
        runner_until_us: row.get(14)?,
    };
    Ok((found, row.get(3)?))
}

impl ResponseRow {
    /// What it followed must have an answer and not be under way.
    fn followable(&self) -> Result<Place, StateError> {
        match (self.status.is_running(), self.place) {
            (true, _) => Err(StateError::Running),
            (false, Some(place)) => Ok(place),
            (false, None) => Err(StateError::NoAnswer),
        }
    }
}

impl Session {
    /// A response of a tenant.
    pub(super) fn response_row(
        &self,
        tenant: i64,
        id: &ResponseId,
    ) -> Result<Option<ResponseRow>, StateError> {
        let text = format!("{COLUMNS} WHERE tenant = ?1 AND id = ?2");
        let mut statement = self.connection.prepare_cached(&text).map_err(sql)?;
        let found = statement.query_row(params![tenant, id.as_str()], read_row).optional().map_err(sql)?;
        let Some((mut found, status)) = found else { return Ok(None) };
        found.status = status_of(status)?;
        Ok(Some(found))
    }

    fn open_response(&self, found: &ResponseRow) -> Result<ResponseRecord, StateError> {
        let key = self.key(found.key)?;
        Ok(ResponseRecord {
            id: found.id.clone(),
            status: found.status,
            body: key.open(&place("response", found.id.as_str()), found.body.clone())?,
            conversation: found.conversation.clone(),
            created_us: found.created_us,
            expires_us: found.expires_us,
            runner_until_us: found.runner_until_us,
        })
    }

    pub(super) fn response(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
    ) -> Result<Option<ResponseRecord>, StateError> {
        let found = self.response_row(self.tenant(tenant)?, id)?;
        found.map(|found| self.open_response(&found)).transpose()
    }

    // === commit ===

    pub(super) fn commit(&self, turn: &Turn) -> Result<Kept, StateError> {
        check_size("a response", &turn.response.body)?;
        let tenant = self.tenant_or_new(&turn.owner.tenant)?;
        let before = self.response_row(tenant, &turn.response.id)?;
        let running = turn.response.status.is_running();
        if let Some(before) = &before
            && (running || !before.status.is_running())
        {
            return Ok(Kept::Before(before.status));
        }
        if running {
            self.check_base(tenant, &turn.base)?;
        }
        let mut placed = None;
        if turn.response.status.has_answer() {
            let thread = self.target(tenant, turn)?;
            let input = self.append(thread, tenant, &turn.owner, &turn.input)?;
            let output = self.append(thread, tenant, &turn.owner, &turn.output)?;
            placed = Some(Place { thread, start: input.from, input_end: input.to, end: output.to });
        }
        self.put_response(tenant, turn, placed, before.map(|before| (before.row, before.key)))?;
        if let Base::In { conversation, fence } = &turn.base
            && !running
        {
            // One flush for both: the next turn need not wait for another.
            self.release(tenant, conversation, *fence)?;
        }
        Ok(Kept::Now)
    }

    fn put_response(
        &self,
        tenant: i64,
        turn: &Turn,
        placed: Option<Place>,
        before: Option<(i64, i64)>,
    ) -> Result<(), StateError> {
        let record = &turn.response;
        // Whoever ends it, it stays the subject's for whom it was begun.
        let (row, key) = match before {
            Some((row, key)) => (Some(row), self.key(key)?),
            None => (None, self.key_for(tenant, &turn.owner)?),
        };
        let body = key.seal(&place("response", record.id.as_str()), &record.body)?;
        let pending = match placed {
            Some(_) => None,
            None => {
                let text = write_pending(&turn.input)?;
                check_size("the input", &text)?;
                Some(key.seal(&place("pending", record.id.as_str()), &text)?)
            }
        };
        // The row stays the same where there is one: recorded events point to it.
        let text =
            "INSERT INTO response (row, tenant, id, key, status, previous, conversation, thread, start_at,
                input_end, end_at, body, pending, created_us, expires_us, runner_until_us)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
            ON CONFLICT (row) DO UPDATE SET key = excluded.key, status = excluded.status,
                thread = excluded.thread, start_at = excluded.start_at, input_end = excluded.input_end,
                end_at = excluded.end_at, body = excluded.body, pending = excluded.pending,
                expires_us = excluded.expires_us, runner_until_us = excluded.runner_until_us";
        self.run(
            text,
            params![
                row,
                tenant,
                record.id.as_str(),
                key.row,
                code(record.status),
                turn.base.previous().map(ResponseId::as_str),
                record.conversation.as_ref().map(ConversationId::as_str),
                placed.map(|placed| placed.thread),
                placed.map(|placed| placed.start),
                placed.map(|placed| placed.input_end),
                placed.map(|placed| placed.end),
                body,
                pending,
                record.created_us,
                record.expires_us,
                record.runner_until_us,
            ],
        )?;
        Ok(())
    }

    /// Whether a base can be followed.
    fn check_base(&self, tenant: i64, base: &Base) -> Result<(), StateError> {
        match base {
            Base::Fresh => Ok(()),
            Base::After(id) => {
                self.response_row(tenant, id)?.ok_or(StateError::Missing)?.followable().map(|_| ())
            }
            Base::In { conversation, fence } => self.fenced(tenant, conversation, *fence).map(|_| ()),
        }
    }

    /// The thread that a turn is appended to.
    fn target(&self, tenant: i64, turn: &Turn) -> Result<i64, StateError> {
        let created_us = turn.response.created_us;
        match &turn.base {
            Base::Fresh => {
                let key = self.key_for(tenant, &turn.owner)?;
                self.new_thread(tenant, key.row, created_us)
            }
            Base::After(id) => {
                let base = self.response_row(tenant, id)?.ok_or(StateError::Missing)?.followable()?;
                let open = "SELECT tip FROM thread WHERE row = ?1 AND name IS NULL AND tip = ?2";
                if self.number(open, params![base.thread, base.end])?.is_some() {
                    return Ok(base.thread);
                }
                // Somebody else has gone on from there, or it is a conversation's: a thread of its own.
                self.tip(base.thread)?;
                let key = self.key_for(tenant, &turn.owner)?;
                let thread = self.new_thread(tenant, key.row, created_us)?;
                self.copy(Span { thread: base.thread, from: 0, to: base.end }, thread)?;
                Ok(thread)
            }
            Base::In { conversation, fence } => self.fenced(tenant, conversation, *fence),
        }
    }

    // === reading ===

    pub(super) fn input_items(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        page: &Page,
    ) -> Result<Listed, StateError> {
        let found = self.response_row(self.tenant(tenant)?, id)?.ok_or(StateError::Missing)?;
        match found.place {
            Some(placed) => self.page(Span { thread: placed.thread, from: 0, to: placed.input_end }, page),
            None => page.cut(self.pending(&found)?),
        }
    }

    pub(super) fn turn(&self, tenant: &TenantId, id: &ResponseId) -> Result<Option<StoredTurn>, StateError> {
        let Some(found) = self.response_row(self.tenant(tenant)?, id)? else { return Ok(None) };
        let (input, output) = match found.place {
            Some(Place { thread, start, input_end, end }) => (
                self.span(Span { thread, from: start, to: input_end })?,
                self.span(Span { thread, from: input_end, to: end })?,
            ),
            None => (self.pending(&found)?, Vec::new()),
        };
        let response = self.open_response(&found)?;
        Ok(Some(StoredTurn { response, previous: found.previous, input, output }))
    }

    pub(super) fn responses(
        &self,
        tenant: &TenantId,
        after: Option<&ResponseId>,
        limit: u32,
    ) -> Result<Vec<ResponseRecord>, StateError> {
        let text = format!("{COLUMNS} WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let mut statement = self.connection.prepare_cached(&text).map_err(sql)?;
        let values = params![self.tenant(tenant)?, after.map_or("", ResponseId::as_str), limit];
        let rows = statement.query_map(values, read_row).map_err(sql)?;
        rows.map(|row| {
            let (mut found, status) = row.map_err(sql)?;
            found.status = status_of(status)?;
            self.open_response(&found)
        })
        .collect()
    }

    pub(super) fn context(&self, tenant: &TenantId, of: &ContextOf) -> Result<Option<Context>, StateError> {
        let tenant = self.tenant(tenant)?;
        match of {
            ContextOf::Response(id) => {
                let Some(found) = self.response_row(tenant, id)? else { return Ok(None) };
                let Some(placed) = found.place else {
                    return Ok(Some(Context { items: Vec::new(), status: found.status }));
                };
                match self.tip(placed.thread) {
                    Err(StateError::Missing) => return Ok(None),
                    other => other?,
                };
                let items = self.context_of(Span { thread: placed.thread, from: 0, to: placed.end })?;
                Ok(Some(Context { items, status: found.status }))
            }
            ContextOf::Conversation(id) => {
                let Some(thread) = self.conversation_thread(tenant, id)? else { return Ok(None) };
                let items = self.context_of(Span { thread, from: 0, to: END })?;
                Ok(Some(Context { items, status: Status::Completed }))
            }
        }
    }

    /// The thread of a response and the end of its part in it.
    pub(super) fn followed(&self, tenant: i64, id: &ResponseId) -> Result<Span, StateError> {
        let placed = self.response_row(tenant, id)?.ok_or(StateError::Missing)?.followable()?;
        Ok(Span { thread: placed.thread, from: 0, to: placed.end })
    }

    fn pending(&self, found: &ResponseRow) -> Result<Vec<StoredItem>, StateError> {
        let Some(sealed) = found.pending.clone() else { return Ok(Vec::new()) };
        let text = self.key(found.key)?.open(&place("pending", found.id.as_str()), sealed)?;
        read_pending(&text)
    }

    // === changes ===

    pub(super) fn delete_response(&self, tenant: i64, id: &ResponseId) -> Result<bool, StateError> {
        let Some(found) = self.response_row(tenant, id)? else { return Ok(false) };
        self.run("DELETE FROM response WHERE row = ?1", params![found.row])?;
        self.remove_events(found.row)?;
        if let Some(placed) = found.place {
            self.shorten(placed.thread)?;
        }
        Ok(true)
    }

    /// Removes what no response of a thread without a name needs any more.
    pub(super) fn shorten(&self, thread: i64) -> Result<(), StateError> {
        let unnamed = "SELECT tip FROM thread WHERE row = ?1 AND name IS NULL";
        let Some(tip) = self.number(unnamed, params![thread])? else { return Ok(()) };
        let needed =
            self.number("SELECT max(end_at) FROM response WHERE thread = ?1", params![thread])?.unwrap_or(0);
        if needed < tip {
            self.remove(Span { thread, from: needed, to: END })?;
            self.run("UPDATE thread SET tip = ?2 WHERE row = ?1", params![thread, needed])?;
        }
        let last = "DELETE FROM thread WHERE row = ?1 AND name IS NULL
            AND NOT EXISTS (SELECT 1 FROM response WHERE thread = ?1)";
        self.run(last, params![thread])?;
        Ok(())
    }

    pub(super) fn keep_alive(&self, tenant: i64, id: &ResponseId, until_us: i64) -> Result<bool, StateError> {
        let text = "UPDATE response SET runner_until_us = ?3 WHERE tenant = ?1 AND id = ?2 AND status < 2";
        Ok(self.run(text, params![tenant, id.as_str(), until_us])? > 0)
    }

    pub(super) fn abandoned(
        &self,
        now_us: i64,
        limit: u32,
    ) -> Result<Vec<(TenantId, ResponseRecord)>, StateError> {
        let text = "SELECT t.name, r.tenant, r.id FROM response r JOIN tenant t ON t.row = r.tenant
            WHERE r.status < 2 AND r.runner_until_us < ?1 ORDER BY r.runner_until_us LIMIT ?2";
        let mut statement = self.connection.prepare_cached(text).map_err(sql)?;
        let rows = statement
            .query_map(params![now_us, limit], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
            })
            .map_err(sql)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(sql)?;
        let mut found = Vec::with_capacity(rows.len());
        for (name, tenant, id) in rows {
            if let Some(row) = self.response_row(tenant, &ResponseId::new(&id))? {
                found.push((TenantId::new(&name), self.open_response(&row)?));
            }
        }
        Ok(found)
    }
}

impl ResponseRow {
    /// Its row number.
    pub(super) const fn row(&self) -> i64 {
        self.row
    }

    /// Its key.
    pub(super) const fn key(&self) -> i64 {
        self.key
    }
}

// === pending input ===

/// Items that are in no thread yet, as text: for each a line with mark and lengths, then id and body.
fn write_pending(items: &[NewItem]) -> Result<String, StateError> {
    let mut text = String::new();
    for item in items {
        check_size("an item", &item.body)?;
        let mark = u8::from(item.opens_context);
        let id = item.id.as_str();
        text.push_str(&format!("{mark} {} {}\n{id}{}\n", id.len(), item.body.len(), item.body));
    }
    Ok(text)
}

fn read_pending(mut text: &str) -> Result<Vec<StoredItem>, StateError> {
    let damaged =
        || StateError::Unreadable("the input of a running response is not as it was written".into());
    let mut items = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once('\n').ok_or_else(damaged)?;
        let (mark, lengths) = head.split_once(' ').ok_or_else(damaged)?;
        let (id_length, body_length) = lengths.split_once(' ').ok_or_else(damaged)?;
        let number = |digits: &str| digits.parse::<usize>().map_err(|_| damaged());
        let (id, rest) = rest.split_at_checked(number(id_length)?).ok_or_else(damaged)?;
        let (body, rest) = rest.split_at_checked(number(body_length)?).ok_or_else(damaged)?;
        text = rest.strip_prefix('\n').ok_or_else(damaged)?;
        items.push(StoredItem {
            id: ItemId::new(id),
            position: items.len() as u64,
            body: body.into(),
            opens_context: mark == "1",
        });
    }
    Ok(items)
}

/// A group of events is kept under this place.
pub(super) fn event_place(response: i64, sequence: u64) -> i64 {
    super::threads::at(response, signed(sequence))
}

/// The sequence number of an event's place.
pub(super) fn event_sequence(place: i64) -> u64 {
    unsigned(place & END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_input_reads_back() {
        let item = |id: &str, body: &str, opens_context| NewItem {
            id: ItemId::new(id),
            body: body.into(),
            opens_context,
        };
        let items = [item("a", "{\"x\":1}\n2 3", false), item("b c", "", true), item("ü", "ä\n", false)];
        let read = read_pending(&write_pending(&items).unwrap()).unwrap();
        assert_eq!(read.len(), 3);
        for (index, (read, item)) in read.iter().zip(&items).enumerate() {
            assert_eq!(
                (&read.id, &read.body, read.opens_context),
                (&item.id, &item.body, item.opens_context)
            );
            assert_eq!(read.position, index as u64);
        }
        for bad in ["0 1 5\naabc\n", "x", "0 1 1\naä\n", "0 1 1\naab", "0 1\na\n"] {
            assert!(read_pending(bad).is_err(), "{bad}");
        }
    }
}
