//! The database: opened, migrated, and written in one transaction per batch.

use super::{StoreError, schema};
use crate::journal::Position;
use domain::{
    Agent, CallClass, CallId, Keeper,
    class::Counts,
    record::{OutcomeRecord, Record},
};
use ledger::show::Sums;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    rc::Rc,
    sync::LazyLock,
    time::Duration,
};

/// How long a writer waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(30);

/// Pages that the connection keeps, in KiB; SQLite has them as a negative number.
const CACHE_KIB: i64 = -1_024;
/// Bytes of the write-ahead log that are kept for use again: as many as SQLite checkpoints at.
const LOG_BYTES: i64 = 4 << 20;

/// The ledger's database. One connection; the drainer has its own, so has every reader.
pub struct LedgerStore {
    pub(super) connection: Connection,
}

/// What sums are kept by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    minute_us: i64,
    owner: Rc<Owner>,
}

/// By what profiles are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ProfileSlot {
    day_us: i64,
    workload: Rc<str>,
    class: CallClass,
    keeper: Keeper,
    agent: u8,
}

const DAY_US: i64 = 86_400_000_000;

/// Who, what and where: what an outcome does not repeat of its attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    workload: Rc<str>,
    deployment: Box<str>,
    key: Box<str>,
    model: Box<str>,
}

/// The owners of a batch, each once and in order: many records have few.
#[derive(Default)]
struct Owners(Vec<Rc<Owner>>);

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
    owners: Owners,
    sums: BTreeMap<Slot, Sums>,
    opened: HashMap<(CallId, u16), Rc<Owner>>,
    /// Outcomes whose attempts came in an earlier batch.
    closed: HashSet<(CallId, u16)>,
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
        // Batches write to the newest rows, so a megabyte of pages serves as well as more.
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        // What a burst made of the log is given back to the disk.
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
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
        write_points(&transaction, &batch.points)?;
        transaction
            .prepare_cached(
                "UPDATE drain SET segment = ?1, offset = ?2, sequence = ?3, lost = lost + ?4, \
                 unreadable = unreadable + ?5",
            )?
            .execute(params![
                signed(to.segment),
                signed(to.offset),
                signed(to.sequence),
                signed(lost),
                signed(batch.unreadable)
            ])?;
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
                let owner = self.owners.of(
                    attempt.workload.as_str(),
                    attempt.deployment.as_str(),
                    attempt.key.as_str(),
                    attempt.model.as_str(),
                );
                self.opened.insert((attempt.call, attempt.attempt), owner);
            }
            Record::Outcome(outcome) => {
                let key = (outcome.call, outcome.attempt);
                let owner = match self.opened.remove(&key) {
                    Some(owner) => owner,
                    None => match store.owner(key.0, key.1)? {
                        Some(owner) if self.closed.insert(key) => Rc::new(owner),
                        // It has its outcome, or its attempt is lost or was drained into a database that is gone.
                        _ => self.owners.of("?", "?", "?", "?"),
                    },
                };
                if outcome.last {
                    self.profile(outcome, &owner);
                }
                self.slot(outcome.at_us, owner).add_outcome(outcome);
            }
            Record::Refusal(refusal) => {
                let (workload, model) = (refusal.workload.as_str(), refusal.model.as_str());
                let owner = self.owners.of(workload, "", refusal.key.as_str(), model);
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
            workload: Rc::clone(&owner.workload),
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

    fn slot(&mut self, at_us: i64, owner: Rc<Owner>) -> &mut Sums {
        let minute_us = at_us.div_euclid(60_000_000).saturating_mul(60_000_000);
        self.sums.entry(Slot { minute_us, owner }).or_default()
    }
}

impl Owners {
    fn of(&mut self, workload: &str, deployment: &str, key: &str, model: &str) -> Rc<Owner> {
        let names = (workload, deployment, key, model);
        let place = self.0.partition_point(|owner| owner.names() < names);
        match self.0.get(place) {
            Some(known) if known.names() == names => Rc::clone(known),
            _ => {
                let owner = Rc::new(Owner {
                    workload: workload.into(),
                    deployment: deployment.into(),
                    key: key.into(),
                    model: model.into(),
                });
                self.0.insert(place, Rc::clone(&owner));
                owner
            }
        }
    }
}

impl Owner {
    fn names(&self) -> (&str, &str, &str, &str) {
        (&self.workload, &self.deployment, &self.key, &self.model)
    }
}

fn write_sums(transaction: &Transaction<'_>, sums: &BTreeMap<Slot, Sums>) -> Result<(), StoreError> {
    if sums.is_empty() {
        return Ok(());
    }
    let mut upsert = transaction.prepare_cached(&UPSERT_SUMS)?;
    for (slot, sums) in sums {
        upsert.raw_bind_parameter(1, slot.minute_us)?;
        upsert.raw_bind_parameter(2, &*slot.owner.workload)?;
        upsert.raw_bind_parameter(3, &*slot.owner.deployment)?;
        upsert.raw_bind_parameter(4, &*slot.owner.key)?;
        upsert.raw_bind_parameter(5, &*slot.owner.model)?;
        for (index, number) in sums.numbers().into_iter().enumerate() {
            upsert.raw_bind_parameter(6 + index, signed(number))?;
        }
        upsert.raw_execute()?;
    }
    Ok(())
}

/// Sums in the database stop at the largest integer that it has rather than turn into floating point.
static UPSERT_SUMS: LazyLock<String> = LazyLock::new(|| {
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
});

fn write_profiles(
    transaction: &Transaction<'_>,
    profiles: &BTreeMap<ProfileSlot, Counts>,
) -> Result<(), StoreError> {
    if profiles.is_empty() {
        return Ok(());
    }
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
    if !batch.opened.is_empty() {
        let insert = "INSERT OR REPLACE INTO open_attempt VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut insert = transaction.prepare_cached(insert)?;
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
    }
    if !batch.closed.is_empty() {
        let delete = "DELETE FROM open_attempt WHERE call = ?1 AND attempt = ?2";
        let mut delete = transaction.prepare_cached(delete)?;
        for (call, attempt) in &batch.closed {
            delete.execute(params![call.bits().to_be_bytes(), attempt])?;
        }
    }
    Ok(())
}

fn write_points(transaction: &Transaction<'_>, points: &[Point]) -> Result<(), StoreError> {
    if points.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO sparse VALUES (?1, ?2, ?3, ?4)")?;
    for Point { segment, offset, sequence, at_us } in points {
        insert.execute(params![signed(*segment), signed(*offset), signed(*sequence), at_us])?;
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
