//! The database: opened, migrated, and written in one transaction per batch.

use super::{StoreError, schema};
use crate::journal::Position;
use domain::{
    Agent, CallClass, CallId, Keeper,
    class::Counts,
    record::{AttemptRecord, OutcomeRecord, Record},
};
use ledger::show::Sums;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

/// How long a writer waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(30);

/// The ledger's database. One connection; the drainer has its own, so has every reader.
pub struct LedgerStore {
    pub(super) connection: Connection,
}

/// Who, what and where: what sums are kept by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) minute_us: i64,
    pub(super) workload: Box<str>,
    pub(super) deployment: Box<str>,
    pub(super) key: Box<str>,
    pub(super) model: Box<str>,
}

/// By what profiles are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ProfileSlot {
    day_us: i64,
    workload: Box<str>,
    class: CallClass,
    keeper: Keeper,
    agent: u8,
}

const DAY_US: i64 = 86_400_000_000;

/// What an outcome does not repeat of its attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    workload: Box<str>,
    deployment: Box<str>,
    key: Box<str>,
    model: Box<str>,
}

/// A point of the sparse index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) sequence: u64,
    pub(super) at_us: i64,
}

/// What one batch of records adds up to. Applied whole or not at all.
#[derive(Default)]
pub(super) struct Batch {
    sums: BTreeMap<Slot, Sums>,
    opened: HashMap<(CallId, u16), Owner>,
    /// Outcomes whose attempts came in an earlier batch.
    closed: Vec<(CallId, u16)>,
    profiles: BTreeMap<ProfileSlot, Counts>,
    points: Vec<Point>,
    pub(super) records: u64,
    pub(super) unreadable: u64,
}

impl LedgerStore {
    /// Opens or makes the database for the journal `log_id`.
    ///
    /// # Errors
    /// [`StoreError`]: above all a database of a newer binary or of another log.
    pub fn open(path: &Path, log_id: &str) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // The journal is the truth: what a loss of power takes from the database is drained again.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        schema::migrate(&mut connection)?;
        let found: Option<String> =
            connection.query_row("SELECT log_id FROM drain", [], |row| row.get(0)).optional()?;
        match found {
            Some(found) if found != log_id => Err(StoreError::OtherLog { found, wanted: log_id.to_owned() }),
            Some(_) => Ok(Self { connection }),
            None => {
                connection.execute("INSERT INTO drain VALUES (1, ?1, 0, 0, 0, 0, 0)", params![log_id])?;
                Ok(Self { connection })
            }
        }
    }

    /// Opens an existing database to read only, beside a gateway that writes it.
    ///
    /// # Errors
    /// [`StoreError`], also where there is no database.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let found = schema::version(&connection)?;
        if found > schema::VERSION {
            return Err(StoreError::Newer { found, known: schema::VERSION });
        }
        Ok(Self { connection })
    }

    /// How long to wait for another connection's lock.
    pub(super) fn wait_for_locks(&self, at_most: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(at_most)?)
    }

    /// Up to where the journal has been drained.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn position(&self) -> Result<Position, StoreError> {
        Ok(self.connection.query_row("SELECT segment, offset, sequence FROM drain", [], |row| {
            Ok(Position {
                segment: unsigned(row.get(0)?),
                offset: unsigned(row.get(1)?),
                sequence: unsigned(row.get(2)?),
            })
        })?)
    }

    /// Records that are missing from the journal, and records that this binary could not read.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn gaps(&self) -> Result<(u64, u64), StoreError> {
        Ok(self.connection.query_row("SELECT lost, unreadable FROM drain", [], |row| {
            Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
        })?)
    }

    /// Applies a batch and moves the position, in one transaction: a crash leaves both or neither.
    pub(super) fn apply(&mut self, batch: &Batch, to: Position, lost: u64) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        write_sums(&transaction, &batch.sums)?;
        write_attempts(&transaction, batch)?;
        write_profiles(&transaction, &batch.profiles)?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT OR REPLACE INTO sparse VALUES (?1, ?2, ?3, ?4)")?;
            for point in &batch.points {
                insert.execute(params![
                    signed(point.segment),
                    signed(point.offset),
                    signed(point.sequence),
                    point.at_us
                ])?;
            }
        }
        transaction.execute(
            "UPDATE drain SET segment = ?1, offset = ?2, sequence = ?3, lost = lost + ?4, unreadable = unreadable + ?5",
            params![
                signed(to.segment),
                signed(to.offset),
                signed(to.sequence),
                signed(lost),
                signed(batch.unreadable)
            ],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Forgets the index of segments before `segment`.
    pub(super) fn forget_before(&mut self, segment: u64) -> Result<(), StoreError> {
        self.connection.execute("DELETE FROM sparse WHERE segment < ?1", params![signed(segment)])?;
        Ok(())
    }

    fn owner(&self, call: CallId, attempt: u16) -> Result<Option<Owner>, StoreError> {
        let mut find = self.connection.prepare_cached(
            "SELECT workload, deployment, key, model FROM open_attempt WHERE call = ?1 AND attempt = ?2",
        )?;
        Ok(find
            .query_row(params![call.bits().to_be_bytes(), attempt], |row| {
                Ok(Owner {
                    workload: row.get(0)?,
                    deployment: row.get(1)?,
                    key: row.get(2)?,
                    model: row.get(3)?,
                })
            })
            .optional()?)
    }
}

impl Batch {
    /// Takes one record in.
    pub(super) fn take(&mut self, record: &Record, store: &LedgerStore) -> Result<(), StoreError> {
        self.records += 1;
        match record {
            Record::Attempt(attempt) => {
                self.opened.insert((attempt.call, attempt.attempt), owner_of(attempt));
            }
            Record::Outcome(outcome) => {
                let key = (outcome.call, outcome.attempt);
                let owner = match self.opened.remove(&key) {
                    Some(owner) => owner,
                    None => match store.owner(key.0, key.1)? {
                        Some(_) if self.closed.contains(&key) => unknown_owner(),
                        Some(owner) => {
                            self.closed.push(key);
                            owner
                        }
                        // Its attempt is lost or was drained into a database that is gone.
                        None => unknown_owner(),
                    },
                };
                if outcome.last {
                    self.profile(outcome, &owner);
                }
                self.slot(outcome.at_us, owner).add_outcome(outcome);
            }
            Record::Refusal(refusal) => {
                let owner = Owner {
                    workload: refusal.workload.as_str().into(),
                    deployment: "".into(),
                    key: refusal.key.as_str().into(),
                    model: refusal.model.as_str().into(),
                };
                self.slot(refusal.at_us, owner).add_refusal();
            }
            Record::Decision(_) | Record::Notice(_) => {}
        }
        Ok(())
    }

    fn profile(&mut self, outcome: &OutcomeRecord, owner: &Owner) {
        let class = &outcome.class;
        let slot = ProfileSlot {
            day_us: outcome.at_us.div_euclid(DAY_US).saturating_mul(DAY_US),
            workload: owner.workload.clone(),
            class: class.class,
            keeper: class.keeper(),
            agent: class.agent.map_or(0, Agent::number),
        };
        self.profiles.entry(slot).or_default().add(&Counts::of(class, outcome.at_us));
    }

    /// Adds a point to the sparse index.
    pub(super) fn point(&mut self, point: Point) {
        self.points.push(point);
    }

    fn slot(&mut self, at_us: i64, owner: Owner) -> &mut Sums {
        let Owner { workload, deployment, key, model } = owner;
        let minute_us = at_us.div_euclid(60_000_000).saturating_mul(60_000_000);
        self.sums.entry(Slot { minute_us, workload, deployment, key, model }).or_default()
    }
}

fn owner_of(attempt: &AttemptRecord) -> Owner {
    Owner {
        workload: attempt.workload.as_str().into(),
        deployment: attempt.deployment.as_str().into(),
        key: attempt.key.as_str().into(),
        model: attempt.model.as_str().into(),
    }
}

fn unknown_owner() -> Owner {
    Owner { workload: "?".into(), deployment: "?".into(), key: "?".into(), model: "?".into() }
}

fn write_sums(transaction: &Transaction<'_>, sums: &BTreeMap<Slot, Sums>) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached(&upsert_statement())?;
    for (slot, sums) in sums {
        upsert.raw_bind_parameter(1, slot.minute_us)?;
        upsert.raw_bind_parameter(2, &slot.workload)?;
        upsert.raw_bind_parameter(3, &slot.deployment)?;
        upsert.raw_bind_parameter(4, &slot.key)?;
        upsert.raw_bind_parameter(5, &slot.model)?;
        for (index, number) in sums.numbers().into_iter().enumerate() {
            upsert.raw_bind_parameter(6 + index, signed(number))?;
        }
        upsert.raw_execute()?;
    }
    Ok(())
}

/// Sums in the database stop at the largest integer that it has rather than turn into floating point.
fn upsert_statement() -> String {
    let places: Vec<String> = (1..=5 + Sums::NAMES.len()).map(|place| format!("?{place}")).collect();
    let updates: Vec<String> = Sums::NAMES
        .iter()
        .map(|name| {
            format!(
                "{name} = CASE WHEN {name} > {max} - excluded.{name} THEN {max} ELSE {name} + excluded.{name} END",
                max = i64::MAX
            )
        })
        .collect();
    format!(
        "INSERT INTO rollup VALUES ({}) ON CONFLICT DO UPDATE SET {}",
        places.join(", "),
        updates.join(", ")
    )
}

fn write_profiles(
    transaction: &Transaction<'_>,
    profiles: &BTreeMap<ProfileSlot, Counts>,
) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO profile VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO UPDATE SET \
         calls = calls + excluded.calls, looked = looked + excluded.looked, \
         continued = continued + excluded.continued, conversations = conversations + excluded.conversations, \
         turns_max = max(turns_max, excluded.turns_max), first_us = min(first_us, excluded.first_us), \
         last_us = max(last_us, excluded.last_us)",
    )?;
    for (slot, counts) in profiles {
        upsert.execute(params![
            slot.day_us,
            slot.workload,
            slot.class.name(),
            slot.keeper.name(),
            slot.agent,
            signed(counts.calls()),
            signed(counts.looked),
            signed(counts.continued),
            signed(counts.conversations),
            signed(counts.turns_max),
            counts.first_us,
            counts.last_us,
        ])?;
    }
    Ok(())
}

fn write_attempts(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), StoreError> {
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO open_attempt VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for ((call, attempt), owner) in &batch.opened {
        insert.execute(params![
            call.bits().to_be_bytes(),
            attempt,
            owner.workload,
            owner.deployment,
            owner.key,
            owner.model
        ])?;
    }
    let mut delete =
        transaction.prepare_cached("DELETE FROM open_attempt WHERE call = ?1 AND attempt = ?2")?;
    for (call, attempt) in &batch.closed {
        delete.execute(params![call.bits().to_be_bytes(), attempt])?;
    }
    Ok(())
}

/// SQLite has signed integers only.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What was written with [`signed`].
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
