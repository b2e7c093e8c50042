//! Tables, by `user_version`, as in `sqlite::schema`: a step is never edited after a release.

use super::OpenStateError;
use rusqlite::Connection;

/// One step each, in order. Step n brings the database to version n + 1.
const STEPS: [&str; 1] = [
    // `body`, `pending`, `wrapped` are sealed (`cipher`). Readable are ids of ours, order, owners, dates, sizes.
    // `item.place` is the thread's number × 2^20 + the position in it: a thread's items lie side by side.
    // `event.place` is the response's row × 2^20 + the first sequence number of the group.
    // Row numbers of keys, threads and responses are never used again: a stale reference finds nothing.
    "
    CREATE TABLE store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        master BLOB NOT NULL
    ) STRICT;
    CREATE TABLE tenant (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE data_key (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant INTEGER NOT NULL,
        subject BLOB NOT NULL,
        wrapped BLOB NOT NULL,
        UNIQUE (tenant, subject)
    ) STRICT;
    CREATE TABLE thread (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant INTEGER NOT NULL,
        name TEXT,
        key INTEGER NOT NULL,
        body BLOB,
        created_us INTEGER NOT NULL,
        expires_us INTEGER,
        tip INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        lease_until_us INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX thread_by_name ON thread (tenant, name) WHERE name IS NOT NULL;
    CREATE INDEX thread_by_key ON thread (key);
    CREATE INDEX thread_by_end ON thread (expires_us) WHERE expires_us IS NOT NULL;
    CREATE TABLE item (
        place INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        key INTEGER NOT NULL,
        opens INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX item_by_id ON item (id);
    CREATE INDEX item_by_key ON item (key);
    CREATE INDEX item_that_opens ON item (place) WHERE opens = 1;
    CREATE TABLE response (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant INTEGER NOT NULL,
        id TEXT NOT NULL,
        key INTEGER NOT NULL,
        status INTEGER NOT NULL,
        previous TEXT,
        conversation TEXT,
        thread INTEGER,
        start_at INTEGER,
        input_end INTEGER,
        end_at INTEGER,
        body BLOB NOT NULL,
        pending BLOB,
        created_us INTEGER NOT NULL,
        expires_us INTEGER,
        runner_until_us INTEGER NOT NULL,
        UNIQUE (tenant, id)
    ) STRICT;
    CREATE INDEX response_by_thread ON response (thread, end_at) WHERE thread IS NOT NULL;
    CREATE INDEX response_by_key ON response (key);
    CREATE INDEX response_by_end ON response (expires_us) WHERE expires_us IS NOT NULL;
    CREATE INDEX response_running ON response (runner_until_us) WHERE status < 2;
    CREATE TABLE event (
        place INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        key INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX event_by_key ON event (key);
    ",
];

/// The version that this binary makes and knows.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings a database to [`VERSION`], each step in its own transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenStateError> {
    let found = version(connection)?;
    if found > VERSION {
        return Err(OpenStateError::Newer { found, known: VERSION });
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
pub(super) fn version(connection: &Connection) -> Result<i64, OpenStateError> {
    Ok(connection.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))?)
}
