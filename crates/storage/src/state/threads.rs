//! Threads and their items: append, copy, read, page.

use super::session::{Session, check_size, place, signed, sql, unsigned};
use domain::{
    ItemId,
    state::{Listed, NewItem, Order, Owner, Page, StateError, StoredItem, THREAD_ITEMS_MAX},
};
use rusqlite::{Row, params};

/// Bits of an item's place that are its position.
const SHIFT: u32 = 20;

/// The place of a position in a thread.
pub(super) fn at(thread: i64, position: i64) -> i64 {
    (thread << SHIFT) | position
}

/// The thread of a place.
pub(super) const fn thread_of(place: i64) -> i64 {
    place >> SHIFT
}

const fn position_of(place: i64) -> i64 {
    place & ((1 << SHIFT) - 1)
}

/// The end of everything in a thread, as a position.
pub(super) const END: i64 = (1 << SHIFT) - 1;

/// A piece of a thread: positions `from..to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) thread: i64,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    const fn places(self) -> (i64, i64) {
        ((self.thread << SHIFT) | self.from, (self.thread << SHIFT) | self.to)
    }
}

const COLUMNS: &str = "SELECT place, id, key, opens, body FROM item";

impl Session {
    /// A new thread without a name.
    pub(super) fn new_thread(&self, tenant: i64, key: i64, created_us: i64) -> Result<i64, StateError> {
        let insert = "INSERT INTO thread (tenant, key, created_us, tip, fence, lease_until_us) VALUES (?1, ?2, ?3, 0, 0, 0)";
        self.run(insert, params![tenant, key, created_us])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The position behind the last item of a thread.
    pub(super) fn tip(&self, thread: i64) -> Result<i64, StateError> {
        self.number("SELECT tip FROM thread WHERE row = ?1", params![thread])?.ok_or(StateError::Missing)
    }

    /// Appends items; returns their positions as a span.
    pub(super) fn append(
        &self,
        thread: i64,
        tenant: i64,
        owner: &Owner,
        items: &[NewItem],
    ) -> Result<Span, StateError> {
        let from = self.tip(thread)?;
        let to = from.saturating_add(signed(items.len() as u64));
        if to > END {
            return Err(StateError::TooLarge { what: "the conversation", max: THREAD_ITEMS_MAX });
        }
        if items.is_empty() {
            return Ok(Span { thread, from, to });
        }
        let key = self.key_for(tenant, owner)?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO item (place, id, key, opens, body) VALUES (?1, ?2, ?3, ?4, ?5)")
            .map_err(sql)?;
        for (position, item) in (from..).zip(items) {
            check_size("an item", &item.body)?;
            let body = key.seal(&place("item", item.id.as_str()), &item.body)?;
            insert
                .execute(params![at(thread, position), item.id.as_str(), key.row, item.opens_context, body])
                .map_err(sql)?;
        }
        self.run("UPDATE thread SET tip = ?2 WHERE row = ?1", params![thread, to])?;
        Ok(Span { thread, from, to })
    }

    /// Copies the items of a span to the same positions of a new thread.
    pub(super) fn copy(&self, span: Span, to: i64) -> Result<(), StateError> {
        let (low, high) = span.places();
        let copy = "INSERT INTO item (place, id, key, opens, body)
            SELECT place + ?3, id, key, opens, body FROM item WHERE place >= ?1 AND place < ?2";
        self.run(copy, params![low, high, at(to, 0) - at(span.thread, 0)])?;
        self.run("UPDATE thread SET tip = ?2 WHERE row = ?1", params![to, span.to])?;
        Ok(())
    }

    /// Removes the items of a span; returns how many there were.
    pub(super) fn remove(&self, span: Span) -> Result<usize, StateError> {
        let (low, high) = span.places();
        self.run("DELETE FROM item WHERE place >= ?1 AND place < ?2", params![low, high])
    }

    /// Every item of a span, in order.
    pub(super) fn span(&self, span: Span) -> Result<Vec<StoredItem>, StateError> {
        let (low, high) = span.places();
        let text = format!("{COLUMNS} WHERE place >= ?1 AND place < ?2 ORDER BY place");
        self.items_of(&text, params![low, high])
    }

    /// The items of a span from the last that opens a context.
    pub(super) fn context_of(&self, span: Span) -> Result<Vec<StoredItem>, StateError> {
        let (low, high) = span.places();
        let last = "SELECT max(place) FROM item WHERE opens = 1 AND place >= ?1 AND place < ?2";
        let from = self.number(last, params![low, high])?.map_or(span.from, position_of);
        self.span(Span { from, ..span })
    }

    /// The place of an item in a span; of several with this id, the first.
    pub(super) fn place_of(&self, span: Span, id: &ItemId) -> Result<Option<i64>, StateError> {
        let (low, high) = span.places();
        let text = "SELECT min(place) FROM item WHERE id = ?1 AND place >= ?2 AND place < ?3";
        self.number(text, params![id.as_str(), low, high])
    }

    /// A piece of a span.
    pub(super) fn page(&self, span: Span, page: &Page) -> Result<Listed, StateError> {
        let (mut low, mut high) = span.places();
        let cursor = |id: &ItemId| self.place_of(span, id)?.ok_or(StateError::NoCursor);
        let ascending = page.order == Order::Ascending;
        if let Some(after) = &page.after {
            let found = cursor(after)?;
            if ascending { low = low.max(found + 1) } else { high = high.min(found) }
        }
        if let Some(before) = &page.before {
            let found = cursor(before)?;
            if ascending { high = high.min(found) } else { low = low.max(found + 1) }
        }
        // With `before` alone the piece next to the cursor is wanted: it is read backwards and turned round.
        let backwards = page.before.is_some() && page.after.is_none();
        let direction = if ascending == backwards { "DESC" } else { "ASC" };
        let text = format!("{COLUMNS} WHERE place >= ?1 AND place < ?2 ORDER BY place {direction} LIMIT ?3");
        let limit = page.limit as usize;
        let mut items = self.items_of(&text, params![low, high, signed(limit as u64 + 1)])?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        if backwards {
            items.reverse();
        }
        Ok(Listed { items, has_more })
    }

    fn items_of(&self, text: &str, values: impl rusqlite::Params) -> Result<Vec<StoredItem>, StateError> {
        let mut statement = self.connection.prepare_cached(text).map_err(sql)?;
        let mut rows = statement.query(values).map_err(sql)?;
        let mut items = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            items.push(self.open_item(row)?);
        }
        Ok(items)
    }

    fn open_item(&self, row: &Row<'_>) -> Result<StoredItem, StateError> {
        let at: i64 = row.get(0).map_err(sql)?;
        let id = row.get_ref(1).map_err(sql)?.as_str().map(ItemId::new).map_err(|error| sql(error.into()))?;
        let key = self.key(row.get(2).map_err(sql)?)?;
        let body = key.open(&place("item", id.as_str()), row.get(4).map_err(sql)?)?;
        let opens_context = row.get(3).map_err(sql)?;
        Ok(StoredItem { id, position: unsigned(position_of(at)), body, opens_context })
    }
}
