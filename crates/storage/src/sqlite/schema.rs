//! Tables, by `user_version`. A step is never edited after a release; a change is a new step.

use super::StoreError;
use rusqlite::Connection;

/// One step each, in order. Step n brings the database to version n + 1.
const STEPS: [&str; 2] = [
    // `drain`: one row, written in the same transaction as what was drained: that makes it exactly once.
    // `rollup`: sums by minute and by who, what and where; the columns are those of `ledger::show::Sums`.
    // `open_attempt`: attempts whose outcome was not in their batch: what an outcome does not repeat.
    // `sparse`: a point in the journal every so many bytes, to find a call by the time in its id.
    "
    CREATE TABLE drain (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        log_id TEXT NOT NULL,
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        unreadable INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE rollup (
        minute_us INTEGER NOT NULL,
        workload TEXT NOT NULL,
        deployment TEXT NOT NULL,
        key TEXT NOT NULL,
        model TEXT NOT NULL,
        calls INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        cut INTEGER NOT NULL,
        caller_left INTEGER NOT NULL,
        unknown INTEGER NOT NULL,
        uncached_in INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL,
        out_visible INTEGER NOT NULL,
        out_reasoning INTEGER NOT NULL,
        cost_pico INTEGER NOT NULL,
        estimated_pico INTEGER NOT NULL,
        simulated_pico INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        PRIMARY KEY (minute_us, workload, deployment, key, model)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE open_attempt (
        call BLOB NOT NULL,
        attempt INTEGER NOT NULL,
        workload TEXT NOT NULL,
        deployment TEXT NOT NULL,
        key TEXT NOT NULL,
        model TEXT NOT NULL,
        PRIMARY KEY (call, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sparse (
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        at_us INTEGER NOT NULL,
        PRIMARY KEY (segment, offset)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sparse_by_time ON sparse (at_us);
    ",
    // `profile`: what workloads are like, by day: calls by class, by where state lives, by agent. All three are from
    // closed lists, so a workload has at most some hundred rows a day, and as a rule one or two.
    "
    CREATE TABLE profile (
        day_us INTEGER NOT NULL,
        workload TEXT NOT NULL,
        class TEXT NOT NULL,
        keeper TEXT NOT NULL,
        agent INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        looked INTEGER NOT NULL,
        continued INTEGER NOT NULL,
        conversations INTEGER NOT NULL,
        turns_max INTEGER NOT NULL,
        first_us INTEGER NOT NULL,
        last_us INTEGER NOT NULL,
        PRIMARY KEY (day_us, workload, class, keeper, agent)
    ) STRICT, WITHOUT ROWID;
    ",
];

/// The version that this binary makes and knows.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// The version from which on there are profiles.
pub(super) const PROFILES: i64 = 2;

/// Brings a database to [`VERSION`], each step in its own transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > VERSION {
        return Err(StoreError::Newer { found, known: VERSION });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (index, step) in STEPS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version of a database; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))?)
}
