//! The drainer: one thread that moves records from the journal into SQLite, a batch per transaction.

use super::{
    StoreError,
    store::{Batch, LedgerStore, Point},
};
use crate::journal::{FileJournal, Found, Reader};
use domain::record::Record;
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How the drainer works.
#[derive(Clone, Debug)]
pub struct DrainerSettings {
    /// The database file; its folder exists.
    pub database: PathBuf,
    /// Most records in one transaction.
    pub batch_max: u32,
    /// How long it sleeps when there is nothing to do.
    pub idle: Duration,
    /// How long it waits for another connection's lock before it counts an error and tries again.
    pub busy: Duration,
    /// How long drained segments are kept: what `ledger show --call` can look into. By the time of the records,
    /// so a gateway that is idle deletes nothing.
    pub retention: Duration,
}

impl DrainerSettings {
    /// Batches of 4,096, a look four times a second, segments kept for 30 days.
    #[must_use]
    pub fn new(database: impl Into<PathBuf>) -> Self {
        Self {
            database: database.into(),
            batch_max: 4096,
            idle: Duration::from_millis(250),
            busy: Duration::from_secs(5),
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// How the drainer is doing. The lag in records is the journal's `sequence` less `drained`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainerStats {
    /// Sequence number of the last record that is in the database.
    pub drained: u64,
    /// Transactions since the start.
    pub batches: u64,
    /// Transactions that failed and will be tried again.
    pub errors: u64,
    /// Records that were missing or damaged, since the start.
    pub lost: u64,
    /// Records of a kind or version that this binary does not know, since the start.
    pub unreadable: u64,
}

#[derive(Default)]
struct Counts {
    drained: AtomicU64,
    batches: AtomicU64,
    errors: AtomicU64,
    lost: AtomicU64,
    unreadable: AtomicU64,
}

/// The running drainer. Dropped, it stops after the batch at hand; what is not drained is drained next time.
pub struct Drainer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    counts: Counts,
    stop: AtomicBool,
    /// True while somebody waits for [`Drainer::catch_up`].
    asked: Mutex<bool>,
    wake: Condvar,
    /// Signalled after every batch and every look that found nothing.
    progress: Condvar,
}

impl Drainer {
    /// Opens the database and starts the thread.
    ///
    /// # Errors
    /// [`StoreError`] where the database cannot be opened, or the thread not be started.
    pub fn start(journal: FileJournal, settings: DrainerSettings) -> Result<Self, StoreError> {
        let work = Work::open(journal, settings)?;
        let shared = Arc::new(Shared {
            counts: Counts::default(),
            stop: AtomicBool::new(false),
            asked: Mutex::new(false),
            wake: Condvar::new(),
            progress: Condvar::new(),
        });
        shared.counts.drained.store(work.drained(), Relaxed);
        let for_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("drainer".into()).spawn(move || work.run(&for_thread))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How it is doing.
    #[must_use]
    pub fn stats(&self) -> DrainerStats {
        let counts = &self.shared.counts;
        DrainerStats {
            drained: counts.drained.load(Relaxed),
            batches: counts.batches.load(Relaxed),
            errors: counts.errors.load(Relaxed),
            lost: counts.lost.load(Relaxed),
            unreadable: counts.unreadable.load(Relaxed),
        }
    }

    /// Wakes the drainer and waits until record `sequence` is in the database, at most `wait`. Blocks: not for a
    /// data thread. True where it is there.
    #[must_use]
    pub fn catch_up(&self, sequence: u64, wait: Duration) -> bool {
        let reached = || self.shared.counts.drained.load(Relaxed) >= sequence;
        let mut asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = true;
        self.shared.wake.notify_one();
        let waiting = |_: &mut bool| !reached();
        drop(
            self.shared
                .progress
                .wait_timeout_while(asked, wait, waiting)
                .unwrap_or_else(PoisonError::into_inner),
        );
        reached()
    }

    /// Stops after what has been written so far is drained, or after the batch at hand where that fails.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Relaxed);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Drop for Drainer {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the thread owns.
struct Work {
    journal: FileJournal,
    store: LedgerStore,
    reader: Reader,
    settings: DrainerSettings,
    /// Segment and offset of the last point of the sparse index.
    last_point: (u64, u64),
    /// The newest time in a record: what "now" is for retention.
    newest_us: i64,
    /// Drained segments that still exist and when they began, oldest first.
    segments: VecDeque<(u64, i64)>,
}

/// Bytes of journal between two points of the sparse index.
const POINT_EVERY: u64 = 256 << 10;

impl Work {
    fn open(journal: FileJournal, settings: DrainerSettings) -> Result<Self, StoreError> {
        let store = LedgerStore::open(&settings.database, journal.log_id())?;
        store.wait_for_locks(settings.busy)?;
        let reader = journal.reader(store.position()?);
        let segments = store.segment_times()?.into();
        Ok(Self { journal, store, reader, settings, last_point: (0, 0), newest_us: 0, segments })
    }

    fn drained(&self) -> u64 {
        self.reader.position().sequence.saturating_sub(1)
    }

    fn run(mut self, shared: &Shared) {
        loop {
            let stopping = shared.stop.load(Relaxed);
            let more = match self.batch(&shared.counts) {
                // A batch that was not full has caught up: what comes meanwhile makes the next one worth its
                // transaction.
                Ok(records) => records >= u64::from(self.settings.batch_max) || (stopping && records > 0),
                Err(error) => {
                    shared.counts.errors.fetch_add(1, Relaxed);
                    tracing::warn!(%error, "the drainer will try again");
                    self.start_over();
                    false
                }
            };
            shared.progress.notify_all();
            if more {
                continue;
            }
            if stopping {
                return;
            }
            self.reader.pause();
            if let Err(error) = self.journal.prepare_spare() {
                tracing::debug!(%error, "no spare segment");
            }
            let asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |asked: &mut bool| !std::mem::take(asked) && !shared.stop.load(Relaxed);
            let (mut asked, _) = shared
                .wake
                .wait_timeout_while(asked, self.settings.idle, idle)
                .unwrap_or_else(PoisonError::into_inner);
            *asked = false;
        }
    }

    /// Reads and commits one batch. Returns how many records it had.
    fn batch(&mut self, counts: &Counts) -> Result<u64, StoreError> {
        let lost_before = self.reader.lost();
        let mut batch = Batch::default();
        let mut unreadable = 0;
        while batch.records + unreadable < u64::from(self.settings.batch_max)
            && self.journal.has_more(self.reader.position())
        {
            let Some(found) = self.reader.next_record()? else { break };
            match &found.record {
                Ok(record) => {
                    batch.take(record, &self.store)?;
                    if let Some(at_us) = time_of(record) {
                        self.newest_us = self.newest_us.max(at_us);
                        self.point(&mut batch, &found, at_us);
                    }
                }
                Err(error) => {
                    unreadable += 1;
                    tracing::warn!(sequence = found.sequence, %error, "a record that cannot be read");
                }
            }
        }
        batch.unreadable = unreadable;
        let lost = self.reader.lost() - lost_before;
        let records = batch.records + unreadable;
        if records == 0 && lost == 0 {
            return Ok(0);
        }
        self.store.apply(&batch, self.reader.position(), lost)?;
        counts.drained.store(self.drained(), Relaxed);
        counts.batches.fetch_add(1, Relaxed);
        counts.lost.fetch_add(lost, Relaxed);
        counts.unreadable.fetch_add(unreadable, Relaxed);
        self.delete_old()?;
        Ok(records)
    }

    fn point(&mut self, batch: &mut Batch, found: &Found, at_us: i64) {
        let (segment, offset) = self.last_point;
        if segment == found.segment && found.offset < offset + POINT_EVERY {
            return;
        }
        if self.segments.back().is_none_or(|(known, _)| *known < found.segment) {
            self.segments.push_back((found.segment, at_us));
        }
        self.last_point = (found.segment, found.offset);
        let (segment, offset, sequence) = (found.segment, found.offset, found.sequence);
        batch.point(Point { segment, offset, sequence, at_us });
    }

    /// Deletes segments all of whose records are drained and past their retention: those before the last one
    /// that began before the retention did.
    fn delete_old(&mut self) -> Result<(), StoreError> {
        let retention = i64::try_from(self.settings.retention.as_micros()).unwrap_or(i64::MAX);
        let keep_from = self.newest_us.saturating_sub(retention);
        let mut first_kept = None;
        // A segment ends where the next begins.
        while self.segments.get(1).is_some_and(|(_, began_us)| *began_us < keep_from) {
            self.segments.pop_front();
            first_kept = self.segments.front().map(|(segment, _)| *segment);
        }
        if let Some(segment) = first_kept {
            self.journal.delete_segments_before(segment)?;
            self.store.forget_before(segment)?;
        }
        Ok(())
    }

    /// After a failure: back to what the database says.
    fn start_over(&mut self) {
        if let Ok(position) = self.store.position() {
            self.reader = self.journal.reader(position);
            self.last_point = (0, 0);
        }
    }
}

fn time_of(record: &Record) -> Option<i64> {
    match record {
        Record::Attempt(attempt) => Some(attempt.at_us),
        Record::Outcome(outcome) => Some(outcome.at_us),
        Record::Refusal(refusal) => Some(refusal.at_us),
        Record::Notice(notice) => Some(notice.at_us),
        Record::Decision(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{
        JournalSettings,
        samples::{attempt, outcome},
    };
    use domain::journal::Journal as _;

    #[test]
    fn a_look_that_finds_nothing_touches_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (here, away) = (dir.path().join("here"), dir.path().join("away"));
        let (journal, _) = FileJournal::open(JournalSettings::new(&here, "acme/1"), 0).unwrap();
        let settings = DrainerSettings::new(dir.path().join("ledger.db"));
        let mut work = Work::open(journal.clone(), settings).unwrap();
        let counts = Counts::default();
        let quiet = |work: &mut Work| {
            let before = work.reader.reads();
            for _ in 0..10 {
                assert_eq!(work.batch(&counts).unwrap(), 0);
                journal.prepare_spare().unwrap();
            }
            assert_eq!(work.reader.reads(), before);
        };
        quiet(&mut work);
        for round in 1..=3 {
            journal.append(&attempt(round, 1)).unwrap();
            journal.append(&outcome(round, 1, true)).unwrap();
            let before = work.reader.reads();
            assert_eq!(work.batch(&counts).unwrap(), 2);
            assert!(work.reader.reads() - before <= 1, "one read has both");
            std::fs::rename(&here, &away).unwrap();
            quiet(&mut work);
            std::fs::rename(&away, &here).unwrap();
            assert_eq!(counts.drained.load(Relaxed), journal.stats().sequence);
        }
        assert_eq!(counts.batches.load(Relaxed), 3);
    }
}
