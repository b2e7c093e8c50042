//! The threads: one that writes, in batches, and a few that read. No data thread ever waits for the disk.
//!
//! The writer takes every change that is waiting (up to a bound) into one transaction, each in a savepoint of
//! its own, and answers when the transaction has reached the disk: many turns share one flush.

use super::session::{Session, sql};
use domain::state::StateError;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Changes that may wait for the writer.
const WRITES_WAITING: usize = 4_096;
/// Reads that may wait for a reader.
const READS_WAITING: usize = 4_096;
/// Changes in one transaction.
const BATCH: usize = 256;
/// Tries to empty the log after an erasure, and the time between them: a reader may be using it.
const LOG_TRIES: u32 = 200;
const LOG_PAUSE: Duration = Duration::from_millis(10);

/// What became of a transaction: whether the log was emptied after it.
pub(super) type Committed = Result<bool, StateError>;
/// Tells whoever waits, once the transaction's end is known.
pub(super) type Tell = Box<dyn FnOnce(&Committed) + Send>;

/// What makes a change within its savepoint. True: did it; and how to answer.
pub(super) type Make = Box<dyn FnOnce(&Session) -> (bool, Tell) + Send>;

/// A change: makes itself within a savepoint and says how to answer.
pub(super) struct Change {
    /// True: did it. False: its savepoint is rolled back.
    pub(super) make: Make,
    /// Whether the log is to be emptied after the commit.
    pub(super) empties_log: bool,
}

/// A read.
pub(super) type Read = Box<dyn FnOnce(&Session) + Send>;

/// The running threads.
pub(super) struct Workers {
    changes: Option<SyncSender<Change>>,
    reads: Option<SyncSender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads. `writer` is `None` for a database that is opened to read only.
    pub(super) fn start(
        writer: Option<Session>,
        readers: Vec<Session>,
        erasures: Arc<AtomicU64>,
        stats: Arc<Counts>,
    ) -> std::io::Result<Self> {
        let mut threads = Vec::new();
        let changes = match writer {
            Some(session) => {
                let (sender, waiting) = sync_channel(WRITES_WAITING);
                let run = move || Writer { session, waiting, erasures, counts: stats }.run();
                threads.push(std::thread::Builder::new().name("state-writer".into()).spawn(run)?);
                Some(sender)
            }
            None => None,
        };
        let (sender, waiting) = sync_channel::<Read>(READS_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for session in readers {
            let waiting = Arc::clone(&waiting);
            let run = move || {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(read) = next else { return };
                    read(&session);
                }
            };
            threads.push(std::thread::Builder::new().name("state-reader".into()).spawn(run)?);
        }
        Ok(Self { changes, reads: Some(sender), threads })
    }

    /// Hands a change to the writer.
    pub(super) fn change(&self, change: Change) -> Result<(), StateError> {
        match self.changes.as_ref().map(|changes| changes.try_send(change)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(StateError::Busy),
            Some(Err(TrySendError::Disconnected(_))) => Err(stopped()),
            None => Err(StateError::Broken("it is opened to read only".into())),
        }
    }

    /// Hands a read to a reader.
    pub(super) fn read(&self, read: Read) -> Result<(), StateError> {
        match self.reads.as_ref().map(|reads| reads.try_send(read)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(StateError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(stopped()),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.changes = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

pub(super) fn stopped() -> StateError {
    StateError::Broken("it has stopped".into())
}

/// How the writer is doing.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) changes: AtomicU64,
    pub(super) transactions: AtomicU64,
    pub(super) failures: AtomicU64,
}

struct Writer {
    session: Session,
    waiting: Receiver<Change>,
    erasures: Arc<AtomicU64>,
    counts: Arc<Counts>,
}

impl Writer {
    fn run(self) {
        while let Ok(first) = self.waiting.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = self.waiting.try_recv()
            {
                batch.push(next);
            }
            self.batch(batch);
        }
    }

    fn batch(&self, batch: Vec<Change>) {
        self.counts.changes.fetch_add(batch.len() as u64, Relaxed);
        let mut left = batch.into_iter().peekable();
        // As a rule once; again where SQLite has ended the transaction by itself in the middle.
        while left.peek().is_some() {
            let mut told = Vec::new();
            let ended = self.transaction(&mut left, &mut told);
            self.counts.transactions.fetch_add(1, Relaxed);
            if let Err(error) = &ended {
                self.counts.failures.fetch_add(1, Relaxed);
                tracing::error!(%error, "the state store could not write");
            }
            for tell in told {
                tell(&ended);
            }
        }
    }

    /// Makes changes in one transaction until there is none left or the transaction is broken.
    fn transaction(&self, left: &mut impl Iterator<Item = Change>, told: &mut Vec<Tell>) -> Committed {
        let connection = &self.session.connection;
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(sql);
        let mut empties_log = false;
        let mut broken = begun.err();
        for change in left.by_ref() {
            if broken.is_some() {
                // Nothing of it is made; it learns that the transaction failed.
                let Change { make, .. } = change;
                told.push(untried(make));
                continue;
            }
            let made = self.savepoint(change, &mut empties_log);
            told.push(made);
            if connection.is_autocommit() {
                broken = Some(StateError::Broken("the transaction was rolled back (disk full?)".into()));
                break;
            }
        }
        let ended = match broken {
            Some(error) => Err(error),
            None => connection.execute_batch("COMMIT").map_err(sql),
        };
        if let Err(error) = ended {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            self.session.forget_keys();
            return Err(error);
        }
        self.session.keep_new_keys();
        Ok(empties_log && self.empty_log())
    }

    fn savepoint(&self, change: Change, empties_log: &mut bool) -> Tell {
        let connection = &self.session.connection;
        if let Err(error) = connection.execute_batch("SAVEPOINT change").map_err(sql) {
            tracing::error!(%error, "no savepoint");
            return untried(change.make);
        }
        let (done, tell) = (change.make)(&self.session);
        if done {
            *empties_log |= change.empties_log;
            let _ = connection.execute_batch("RELEASE change");
        } else if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK TO change; RELEASE change");
            self.session.drop_new_keys();
        }
        tell
    }

    /// Moves the log into the database and cuts it to nothing, so that nothing erased stands in it.
    fn empty_log(&self) -> bool {
        self.erasures.fetch_add(1, Release);
        for _ in 0..LOG_TRIES {
            let busy = "PRAGMA wal_checkpoint(TRUNCATE)";
            match self.session.connection.query_row(busy, [], |row| row.get::<_, i64>(0)) {
                Ok(0) => return true,
                Ok(_) | Err(_) => std::thread::sleep(LOG_PAUSE),
            }
        }
        tracing::warn!(
            "the log could not be emptied after an erasure; what is in it cannot be read without the destroyed key"
        );
        false
    }
}

/// A change that nobody made: its maker is dropped, so whoever waits learns that the store stopped.
fn untried(make: Make) -> Tell {
    Box::new(move |_| drop(make))
}
