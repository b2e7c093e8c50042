//! Recorded events, dates of expiry, and erasure.

use super::{
    session::{Session, check_size, place, signed, sql},
    threads::{END, at, thread_of},
    turns::{event_place, event_sequence},
};
use domain::{
    ResponseId, TenantId,
    state::{Erase, ErasureReceipt, RecordedEvent, StateError},
};
use rusqlite::params;
use std::collections::BTreeSet;

impl Session {
    // === events ===

    /// Records a group of events. A group whose beginning is there is left as it is.
    pub(super) fn append_events(
        &self,
        tenant: i64,
        id: &ResponseId,
        events: &[RecordedEvent],
    ) -> Result<(), StateError> {
        let found = self.response_row(tenant, id)?.ok_or(StateError::Missing)?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        if signed(last.sequence) >= END {
            return Err(StateError::TooLarge { what: "the record of a stream", max: END as u64 });
        }
        let key = self.key(found.key())?;
        let mut text = String::new();
        for event in events {
            text.push_str(&format!("{} {}\n{}\n", event.sequence, event.body.len(), event.body));
        }
        check_size("a group of events", &text)?;
        let where_to = event_place(found.row(), first.sequence);
        let body = key.seal(&place("event", &where_to.to_string()), &text)?;
        let insert = "INSERT OR IGNORE INTO event (place, last, key, body) VALUES (?1, ?2, ?3, ?4)";
        self.run(insert, params![where_to, signed(last.sequence), key.row, body])?;
        Ok(())
    }

    pub(super) fn events(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, StateError> {
        let found = self.response_row(self.tenant(tenant)?, id)?.ok_or(StateError::Missing)?;
        let text = "SELECT place, key, body FROM event WHERE place >= ?1 AND place < ?2 AND last > ?3 ORDER BY place";
        let mut statement = self.connection.prepare_cached(text).map_err(sql)?;
        let values = params![at(found.row(), 0), at(found.row(), END), after.map_or(-1, signed)];
        let mut rows = statement.query(values).map_err(sql)?;
        let mut events = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            let at: i64 = row.get(0).map_err(sql)?;
            let key = self.key(row.get(1).map_err(sql)?)?;
            let text = key.open(&place("event", &at.to_string()), row.get(2).map_err(sql)?)?;
            let group = read_events(&text, event_sequence(at))?;
            events.extend(group.into_iter().filter(|event| after.is_none_or(|after| event.sequence > after)));
            if events.len() >= limit as usize {
                break;
            }
        }
        Ok(events)
    }

    pub(super) fn remove_events(&self, response: i64) -> Result<(), StateError> {
        let text = "DELETE FROM event WHERE place >= ?1 AND place < ?2";
        self.run(text, params![at(response, 0), at(response, END)])?;
        Ok(())
    }

    // === expiry ===

    pub(super) fn expire(&self, now_us: i64, limit: u32) -> Result<u64, StateError> {
        let text = "SELECT tenant, id FROM response WHERE expires_us <= ?1 AND status >= 2 LIMIT ?2";
        let old: Vec<(i64, String)> =
            self.list(text, params![now_us, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (tenant, id) in &old {
            self.delete_response(*tenant, &ResponseId::new(id))?;
        }
        let left = i64::from(limit) - signed(old.len() as u64);
        let text = "SELECT row FROM thread WHERE expires_us <= ?1 AND name IS NOT NULL LIMIT ?2";
        let threads: Vec<i64> = self.list(text, params![now_us, left], |row| row.get(0))?;
        for thread in &threads {
            self.remove_thread(*thread)?;
        }
        Ok(old.len() as u64 + threads.len() as u64)
    }

    // === erasure ===

    /// Deletes everything that was sealed with an owner's keys, and the keys. The caller empties the log after
    /// the commit.
    pub(super) fn erase(
        &self,
        store: &str,
        tenant: &TenantId,
        what: &Erase,
        at_us: i64,
    ) -> Result<ErasureReceipt, StateError> {
        let row = self.tenant(tenant)?;
        let subject = match what {
            Erase::Subject(subject) => Some(self.master.subject(tenant, Some(subject))),
            Erase::Tenant => None,
        };
        let mut receipt = ErasureReceipt {
            store: store.into(),
            tenant: tenant.as_str().into(),
            subject_digest: hex(subject.as_deref().unwrap_or_default()).into(),
            at_us,
            ..ErasureReceipt::default()
        };
        let keys: Vec<i64> = match &subject {
            Some(subject) => self.list(
                "SELECT row FROM data_key WHERE tenant = ?1 AND subject = ?2",
                params![row, subject],
                |found| found.get(0),
            )?,
            None => {
                self.list("SELECT row FROM data_key WHERE tenant = ?1", params![row], |found| found.get(0))?
            }
        };
        let mut ids = BTreeSet::new();
        for key in keys {
            self.erase_key(key, &mut receipt, &mut ids)?;
        }
        let mut hasher = blake3::Hasher::new();
        for id in &ids {
            hasher.update(id.as_bytes());
            hasher.update(b"\n");
        }
        receipt.ids_digest = hasher.finalize().to_hex().as_str().into();
        Ok(receipt)
    }

    fn erase_key(
        &self,
        key: i64,
        receipt: &mut ErasureReceipt,
        ids: &mut BTreeSet<String>,
    ) -> Result<(), StateError> {
        let mut touched = BTreeSet::new();
        let items: Vec<(i64, String)> =
            self.list("SELECT place, id FROM item WHERE key = ?1", params![key], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        for (at, id) in items {
            touched.insert(thread_of(at));
            ids.insert(id);
        }
        let responses: Vec<(i64, String)> =
            self.list("SELECT row, id FROM response WHERE key = ?1", params![key], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        for (row, id) in responses {
            ids.insert(id);
            self.remove_events(row)?;
        }
        let threads: Vec<(i64, Option<String>)> =
            self.list("SELECT row, name FROM thread WHERE key = ?1", params![key], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        receipt.items += self.run("DELETE FROM item WHERE key = ?1", params![key])? as u64;
        receipt.events += self.run("DELETE FROM event WHERE key = ?1", params![key])? as u64;
        receipt.responses += self.run("DELETE FROM response WHERE key = ?1", params![key])? as u64;
        for (row, name) in threads {
            match name {
                Some(name) => {
                    ids.insert(name);
                    receipt.conversations += 1;
                    receipt.items += self.remove_thread(row)? as u64;
                }
                // A chain that another subject went on with stays, without what was this one's.
                None => {
                    touched.insert(row);
                }
            }
        }
        for thread in touched {
            self.shorten(thread)?;
        }
        receipt.keys_destroyed += self.run("DELETE FROM data_key WHERE row = ?1", params![key])? as u64;
        Ok(())
    }

    fn list<T>(
        &self,
        text: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StateError> {
        let mut statement = self.connection.prepare_cached(text).map_err(sql)?;
        statement.query_map(values, read).map_err(sql)?.collect::<Result<_, _>>().map_err(sql)
    }
}

fn read_events(mut text: &str, first: u64) -> Result<Vec<RecordedEvent>, StateError> {
    let damaged = || StateError::Unreadable(format!("the events from {first} on are not as written").into());
    let mut events = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once('\n').ok_or_else(damaged)?;
        let (sequence, length) = head.split_once(' ').ok_or_else(damaged)?;
        let length: usize = length.parse().map_err(|_| damaged())?;
        let (body, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        text = rest.strip_prefix('\n').ok_or_else(damaged)?;
        let sequence = sequence.parse().map_err(|_| damaged())?;
        events.push(RecordedEvent { sequence, body: body.into() });
    }
    Ok(events)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
