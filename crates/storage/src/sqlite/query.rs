//! What is asked of the ledger: sums of a span of time, and everything about one call.

use super::{
    StoreError, schema,
    store::{LedgerStore, unsigned},
};
use crate::journal::{Position, Reader};
use domain::{CallClass, CallId, DecisionId, Keeper, class::Counts, record::Record};
use ledger::show::{Row, Sums};
use rusqlite::params;
use std::{collections::BTreeMap, path::Path};

/// A record of a call and its sequence number.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// Its sequence number in the journal.
    pub sequence: u64,
    /// The record.
    pub record: Record,
}

/// How far the order of records may differ from the order of their times: a clock set back by less than this
/// does not hide a call from the sparse index; by more, the whole journal is read.
const SLACK_US: i64 = 60_000_000;

/// Most records of one call that are returned: 64 attempts, each with outcome and decision.
const CALL_RECORDS_MAX: usize = 192;

impl LedgerStore {
    /// The sums of all minutes in `from_us..until_us` (microseconds of Unix time), oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn rows(&self, from_us: i64, until_us: i64) -> Result<Vec<Row>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT * FROM rollup WHERE minute_us >= ?1 AND minute_us < ?2 \
             ORDER BY minute_us, workload, deployment, key, model",
        )?;
        let mut rows = select.query(params![from_us, until_us])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut sums = Sums::default();
            for (index, number) in sums.numbers_mut().into_iter().enumerate() {
                *number = unsigned(row.get(5 + index)?);
            }
            all.push(Row {
                minute_us: row.get(0)?,
                workload: row.get(1)?,
                deployment: row.get(2)?,
                key: row.get(3)?,
                model: row.get(4)?,
                sums,
            });
        }
        Ok(all)
    }

    /// What every workload is like, by its calls of the days from `from_us` on (microseconds of Unix time).
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn profiles(&self, from_us: i64) -> Result<BTreeMap<String, Counts>, StoreError> {
        let mut all: BTreeMap<String, Counts> = BTreeMap::new();
        if schema::version(&self.connection)? < schema::PROFILES {
            // Of an older binary; the next start of the gateway brings it up.
            return Ok(all);
        }
        let mut select = self.connection.prepare_cached("SELECT * FROM profile WHERE day_us >= ?1")?;
        let mut rows = select.query(params![from_us])?;
        while let Some(row) = rows.next()? {
            let (class, keeper): (String, String) = (row.get(2)?, row.get(3)?);
            let agent: u8 = row.get(4)?;
            let calls = unsigned(row.get(5)?);
            let mut one = Counts {
                looked: unsigned(row.get(6)?),
                continued: unsigned(row.get(7)?),
                conversations: unsigned(row.get(8)?),
                turns_max: unsigned(row.get(9)?),
                first_us: row.get(10)?,
                last_us: row.get(11)?,
                ..Counts::default()
            };
            let classes = one.classes.iter_mut().zip(CallClass::ALL);
            classes.filter(|(_, own)| own.name() == class).for_each(|(count, _)| *count = calls);
            let keepers = one.keepers.iter_mut().zip(Keeper::ALL);
            keepers.filter(|(_, own)| own.name() == keeper).for_each(|(count, _)| *count = calls);
            if let Some(count) = one.agents.get_mut(usize::from(agent)) {
                *count = calls;
            }
            all.entry(row.get(1)?).or_default().add(&one);
        }
        Ok(all)
    }

    /// All records of one call that the journal in `dir` still has, in order, with the decisions that they name.
    /// Empty for a call that is unknown or whose segment is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn call(&self, dir: &Path, call: CallId) -> Result<Vec<CallRecord>, StoreError> {
        // The first 48 bits of the id are its time in milliseconds.
        let made_us = i64::try_from(call.bits() >> 80).unwrap_or(i64::MAX).saturating_mul(1000);
        let start = self.point_before(made_us.saturating_sub(SLACK_US))?;
        let found = records_of(dir, call, start)?;
        if found.is_empty() && start != Position::default() {
            return records_of(dir, call, Position::default());
        }
        Ok(found)
    }

    /// The last point of the sparse index before an instant: everything later is behind it.
    fn point_before(&self, at_us: i64) -> Result<Position, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT segment, offset, sequence FROM sparse WHERE at_us <= ?1 \
             ORDER BY segment DESC, offset DESC LIMIT 1",
        )?;
        let mut rows = select.query(params![at_us])?;
        let Some(row) = rows.next()? else { return Ok(Position::default()) };
        Ok(Position {
            segment: unsigned(row.get(0)?),
            offset: unsigned(row.get(1)?),
            sequence: unsigned(row.get(2)?),
        })
    }

    /// The segments in the sparse index and when they began, oldest first.
    pub(super) fn segment_times(&self) -> Result<Vec<(u64, i64)>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT segment, min(at_us) FROM sparse GROUP BY segment ORDER BY segment")?;
        let mut rows = select.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push((unsigned(row.get(0)?), row.get(1)?));
        }
        Ok(all)
    }

    /// How many minutes, attempts still open and index points are held: for metrics and tests.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn sizes(&self) -> Result<[u64; 3], StoreError> {
        let mut sizes = [0; 3];
        for (size, table) in sizes.iter_mut().zip(["rollup", "open_attempt", "sparse"]) {
            let count: i64 =
                self.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
            *size = unsigned(count);
        }
        Ok(sizes)
    }

    /// Deletes the sums of minutes before an instant. Returns how many rows went.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn delete_sums_before(&mut self, at_us: i64) -> Result<u64, StoreError> {
        let gone = self.connection.execute("DELETE FROM rollup WHERE minute_us < ?1", params![at_us])?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}

/// Reads from a position to the end, or to the call's terminal.
fn records_of(dir: &Path, call: CallId, start: Position) -> Result<Vec<CallRecord>, StoreError> {
    let mut reader = Reader::new(dir, start);
    let mut found: Vec<CallRecord> = Vec::new();
    // The decision that an attempt names stands before it in its segment; the last ones read are kept for it.
    let mut decisions: Vec<CallRecord> = Vec::new();
    while let Some(next) = reader.next_record()? {
        let Ok(record) = next.record else { continue };
        let (of, decision, last) = match &record {
            Record::Attempt(attempt) => (attempt.call, Some(attempt.decision), false),
            Record::Outcome(outcome) => (outcome.call, None, outcome.last),
            Record::Refusal(refusal) => (refusal.call, refusal.decision, true),
            Record::Decision(_) => {
                if decisions.len() >= 4096 {
                    decisions.remove(0);
                }
                decisions.push(CallRecord { sequence: next.sequence, record });
                continue;
            }
            Record::Notice(_) => continue,
        };
        if of != call {
            continue;
        }
        if let Some(id) = decision {
            let known = found.iter().any(|record| is_decision(record, id));
            if !known && let Some(decision) = decisions.iter().rfind(|record| is_decision(record, id)) {
                found.push(decision.clone());
            }
        }
        found.push(CallRecord { sequence: next.sequence, record });
        if last || found.len() >= CALL_RECORDS_MAX {
            break;
        }
    }
    Ok(found)
}

fn is_decision(record: &CallRecord, id: DecisionId) -> bool {
    matches!(&record.record, Record::Decision(decision) if decision.id == id)
}
