//! Appending: one write on the thread that appends, under one mutex.

use super::{
    Durability, JournalSettings, OpenError,
    decisions::Decisions,
    frame,
    open_attempts::{OpenAttempts, RECOVERED},
    read::{Position, Reader},
    recover::{self, Recovery},
    segment::{self, Header},
};
use domain::{
    CallId, Usage,
    journal::{Journal, JournalError, Permit, Ticket},
    record::{CostBasis, NoticeRecord, Outcome, OutcomeRecord, Record, ServedBy},
};
use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
};

/// Room that is kept for one open call's outcome, in bytes: the longest there is.
pub(super) const OUTCOME_ROOM: u64 = (frame::HEAD + ledger::codec::RECORD_BYTES_MAX) as u64;

thread_local! {
    /// One frame is made here at a time, outside the lock. Grows to the longest frame once, 48 KiB at most.
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The journal of one process. Clones share it.
#[derive(Clone)]
pub struct FileJournal {
    shared: Arc<Shared>,
}

struct Shared {
    settings: JournalSettings,
    /// Held while the process lives; the system gives it back when the process dies in whatever way.
    _lock: File,
    state: Mutex<State>,
    open_calls: AtomicU64,
    broken: AtomicBool,
    /// The number of the segment that is written: raised once the file has its name.
    segment: Arc<AtomicU64>,
    counts: Counts,
}

/// What metrics read without the lock.
#[derive(Default)]
struct Counts {
    sequence: AtomicU64,
    appended: AtomicU64,
    bytes: AtomicU64,
    rotations: AtomicU64,
    write_errors: AtomicU64,
    refused_full: AtomicU64,
    refused_broken: AtomicU64,
    decisions_known: AtomicU64,
}

/// How the journal is doing. Counts since the process started but for `sequence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Sequence number of the last record.
    pub sequence: u64,
    /// Records written.
    pub appended: u64,
    /// Bytes written, frames included.
    pub bytes: u64,
    /// Calls that hold a permit.
    pub open_calls: u64,
    /// Segments begun.
    pub rotations: u64,
    /// Writes that failed; each made its segment bad.
    pub write_errors: u64,
    /// Calls refused because as many were open as there is room for.
    pub refused_full: u64,
    /// Calls and records refused because nothing could be written.
    pub refused_broken: u64,
    /// Decisions that already stood in the segment and were not written again.
    pub decisions_known: u64,
    /// True while new calls are refused.
    pub broken: bool,
}

/// What the mutex guards.
struct State {
    file: File,
    number: u64,
    /// Bytes of the segment that are header and whole frames.
    written: u64,
    /// A write failed here: what follows `written` is not to be trusted.
    bad: bool,
    next_sequence: u64,
    decisions: Decisions,
    attempts: OpenAttempts,
    /// A spare segment is known to be there.
    spare: bool,
    /// A decision and the attempt that needs it are put together here, to be one write.
    scratch: Vec<u8>,
}

impl FileJournal {
    /// Opens the journal of a directory: takes its lock, mends a torn tail, closes attempts that the last
    /// process left open as [`Outcome::Unknown`] at `now_us` (microseconds of Unix time), begins a segment.
    ///
    /// # Errors
    /// [`OpenError`]: in use, another log, settings that cannot work, or the file system's own.
    pub fn open(settings: JournalSettings, now_us: i64) -> Result<(Self, Recovery), OpenError> {
        check(&settings)?;
        let dir = settings.dir.clone();
        let failed = |doing| {
            let dir = dir.clone();
            move |error| OpenError::Io { dir, doing, error }
        };
        std::fs::create_dir_all(&dir).map_err(failed("making the directory"))?;
        let lock = lock(&dir)?;
        let found = recover::scan(&settings)?;
        let attempts_max = (settings.open_calls_max as usize).saturating_mul(4).max(1024);
        let mut attempts = found.attempts;
        attempts.limit(attempts_max);
        let (file, number) = begin(&settings, found.next_segment, found.next_sequence, &attempts)
            .map_err(failed("beginning a segment"))?;
        let state = State {
            file,
            number,
            written: segment::HEADER as u64,
            bad: false,
            next_sequence: found.next_sequence,
            decisions: Decisions::default(),
            attempts,
            spare: false,
            scratch: Vec::new(),
        };
        let counts = Counts::default();
        counts.sequence.store(found.next_sequence.saturating_sub(1), Relaxed);
        let journal = Self {
            shared: Arc::new(Shared {
                settings,
                _lock: lock,
                state: Mutex::new(state),
                open_calls: AtomicU64::new(0),
                broken: AtomicBool::new(false),
                segment: Arc::new(AtomicU64::new(number)),
                counts,
            }),
        };
        let recovery = found.recovery;
        journal
            .close_open_attempts(now_us)
            .map_err(|error| io::Error::other(error.to_string()))
            .map_err(failed("closing the attempts of the last process"))?;
        Ok((journal, recovery))
    }

    /// Writes an outcome for every attempt that the last process left open. A crash in here is recovered from
    /// like any other: what has been closed stays closed, the rest is found again.
    fn close_open_attempts(&self, now_us: i64) -> Result<(), JournalError> {
        let open = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).attempts.list();
        for (index, (call, attempt, between)) in open.iter().enumerate() {
            let followed = open.get(index + 1).is_some_and(|(next, ..)| next == call);
            if *between {
                // The attempt has its outcome; what never came is the next one.
                let text = format!("{call} ended between attempt {attempt} and the next");
                self.append(&notice(now_us, RECOVERED, &text))?;
            } else {
                self.append(&Record::Outcome(unknown_outcome(*call, *attempt, !followed, now_us)))?;
            }
        }
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.attempts.clear();
        Ok(())
    }

    /// Where the segments are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.settings.dir
    }

    /// Whose log it is.
    #[must_use]
    pub fn log_id(&self) -> &str {
        &self.shared.settings.log_id
    }

    /// How it is doing.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let counts = &self.shared.counts;
        JournalStats {
            sequence: counts.sequence.load(Relaxed),
            appended: counts.appended.load(Relaxed),
            bytes: counts.bytes.load(Relaxed),
            open_calls: self.shared.open_calls.load(Relaxed),
            rotations: counts.rotations.load(Relaxed),
            write_errors: counts.write_errors.load(Relaxed),
            refused_full: counts.refused_full.load(Relaxed),
            refused_broken: counts.refused_broken.load(Relaxed),
            decisions_known: counts.decisions_known.load(Relaxed),
            broken: self.shared.broken.load(Relaxed),
        }
    }

    /// A reader of this journal that goes on at `position`. It costs next to nothing where nothing is new.
    #[must_use]
    pub fn reader(&self, position: Position) -> Reader {
        Reader::new(self.dir(), position).beside(Arc::clone(&self.shared.segment))
    }

    /// Whether a record may have been written that a reader at `position` has not read. Only a look at a number.
    pub(crate) fn has_more(&self, position: Position) -> bool {
        self.shared.counts.sequence.load(Relaxed) >= position.sequence.max(1)
    }

    /// Sets disk aside for the next segment, so that a data thread only renames a file when one is full.
    /// For a thread that may wait; the drainer calls it.
    ///
    /// # Errors
    /// The file system's. Nothing is lost by it: the segment is then made when it is needed.
    pub fn prepare_spare(&self) -> io::Result<()> {
        let settings = &self.shared.settings;
        let spare = {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.spare || state.written <= settings.segment_bytes / 2 {
                return Ok(());
            }
            let spare = segment::spare_path(&settings.dir);
            state.spare = spare.exists();
            if state.spare {
                return Ok(());
            }
            spare
        };
        if over_bound(settings)? {
            return Ok(());
        }
        let making = settings.dir.join("spare.tmp");
        segment::allocate(&making, settings.segment_bytes)?;
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::rename(&making, &spare)?;
        state.spare = true;
        Ok(())
    }

    /// Deletes segments before `number` that no recovery needs; the current one always stays. Returns how many
    /// went. The caller has drained them and knows that they are past their retention.
    ///
    /// # Errors
    /// The file system's.
    pub fn delete_segments_before(&self, number: u64) -> io::Result<u64> {
        let needed = {
            let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.attempts.oldest_segment(state.number)
        };
        let mut gone = 0;
        for old in segment::list(&self.shared.settings.dir)? {
            if old < number.min(needed) {
                std::fs::remove_file(segment::path(&self.shared.settings.dir, old))?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Tries to make a broken journal whole. One thread tries at a time; the others are refused meanwhile.
    fn heal(&self) -> Result<(), JournalError> {
        let mut state = match self.shared.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(JournalError::Broken("it is being mended".into())),
        };
        self.shared.make_room(&mut state, frame::BYTES_MAX as u64, false)
    }
}

impl Journal for FileJournal {
    fn admit(&self) -> Result<Permit, JournalError> {
        let open = self.shared.open_calls.fetch_add(1, Relaxed);
        let max = u64::from(self.shared.settings.open_calls_max);
        if open >= max {
            self.shared.open_calls.fetch_sub(1, Relaxed);
            self.shared.counts.refused_full.fetch_add(1, Relaxed);
            return Err(JournalError::Full { open: max });
        }
        if self.shared.broken.load(Relaxed)
            && let Err(error) = self.heal()
        {
            self.shared.open_calls.fetch_sub(1, Relaxed);
            self.shared.counts.refused_broken.fetch_add(1, Relaxed);
            return Err(error);
        }
        let shared = Arc::clone(&self.shared);
        Ok(Permit::new(move || {
            shared.open_calls.fetch_sub(1, Relaxed);
        }))
    }

    fn append(&self, record: &Record) -> Result<Ticket, JournalError> {
        FRAME.with_borrow_mut(|buffer| {
            frame::begin(buffer);
            ledger::encode(record, buffer);
            let crc = frame::checksum(buffer);
            // The state is whole between statements that can panic (none is known), so a poisoned lock is usable.
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Record::Decision(decision) = record {
                if let Some(sequence) = state.decisions.sequence_in(decision.id.0, state.number) {
                    self.shared.counts.decisions_known.fetch_add(1, Relaxed);
                    return Ok(Ticket::written(sequence));
                }
                state.decisions.hold(decision.id.0, buffer.get(frame::HEAD..).unwrap_or_default());
            }
            let written = self.shared.write(&mut state, record, buffer, &crc);
            if written.is_err() {
                self.shared.counts.refused_broken.fetch_add(1, Relaxed);
            }
            written.map(Ticket::written)
        })
    }
}

impl Shared {
    /// Writes one frame, with the decision before it where the segment lacks it. A failed write makes the
    /// segment bad and is tried once more in a new one.
    fn write(
        &self,
        state: &mut State,
        record: &Record,
        buffer: &mut [u8],
        crc: &crc32fast::Hasher,
    ) -> Result<u64, JournalError> {
        let outcome = matches!(record, Record::Outcome(_));
        let mut last_error = None;
        for _ in 0..2 {
            self.make_room(state, buffer.len() as u64, outcome)?;
            match self.write_once(state, record, buffer, crc.clone()) {
                Ok(sequence) => return Ok(sequence),
                Err(error) => {
                    self.counts.write_errors.fetch_add(1, Relaxed);
                    // Cut back to the last whole frame; where even that fails, readers reject the rest by its CRC.
                    let _best_effort = state.file.set_len(state.written);
                    state.bad = true;
                    last_error = Some(error);
                }
            }
        }
        self.broken.store(true, Relaxed);
        Err(JournalError::Broken(
            last_error.map_or_else(|| "no room".into(), |error| error.to_string().into()),
        ))
    }

    fn write_once(
        &self,
        state: &mut State,
        record: &Record,
        buffer: &mut [u8],
        crc: crc32fast::Hasher,
    ) -> io::Result<u64> {
        let mut sequence = state.next_sequence;
        let decision = match record {
            Record::Attempt(attempt) => state.decisions.missing_in(attempt.decision.0, state.number),
            _ => None,
        };
        let written = if let Some(payload) = decision {
            frame::begin(&mut state.scratch);
            state.scratch.extend_from_slice(payload);
            let decision_crc = frame::checksum(&state.scratch);
            frame::seal(&mut state.scratch, sequence, decision_crc);
            sequence += 1;
            frame::seal(buffer, sequence, crc);
            state.scratch.extend_from_slice(buffer);
            state.file.write_all_at(&state.scratch, state.written)?;
            state.scratch.len() as u64
        } else {
            frame::seal(buffer, sequence, crc);
            state.file.write_all_at(buffer, state.written)?;
            buffer.len() as u64
        };
        match record {
            Record::Attempt(attempt) if sequence > state.next_sequence => {
                state.decisions.wrote(attempt.decision.0, state.number, state.next_sequence);
            }
            Record::Decision(decision) => state.decisions.wrote(decision.id.0, state.number, sequence),
            _ => {}
        }
        state.attempts.see(record, state.number);
        state.written += written;
        self.counts.appended.fetch_add(sequence + 1 - state.next_sequence, Relaxed);
        self.counts.bytes.fetch_add(written, Relaxed);
        self.counts.sequence.store(sequence, Relaxed);
        state.next_sequence = sequence + 1;
        Ok(sequence)
    }

    /// Sees to it that `bytes` fit, and, but for an outcome, that the outcomes of all open calls fit behind
    /// them. An outcome whose new segment cannot be made is written past the end of the room instead.
    fn make_room(&self, state: &mut State, bytes: u64, outcome: bool) -> Result<(), JournalError> {
        let open = self.open_calls.load(Relaxed).saturating_add(1);
        let reserve = if outcome { 0 } else { open * OUTCOME_ROOM + frame::BYTES_MAX as u64 };
        if !state.bad && state.written + bytes + reserve <= self.settings.segment_bytes {
            // That an outcome fits in the room set aside for it says nothing about a new call.
            if !outcome {
                self.broken.store(false, Relaxed);
            }
            return Ok(());
        }
        match self.rotate(state) {
            Ok(()) => {
                self.broken.store(false, Relaxed);
                Ok(())
            }
            Err(_) if outcome && !state.bad => Ok(()),
            Err(error) => {
                self.broken.store(true, Relaxed);
                Err(JournalError::Broken(error.to_string().into()))
            }
        }
    }

    fn rotate(&self, state: &mut State) -> io::Result<()> {
        if over_bound(&self.settings)? {
            return Err(io::Error::other(
                "the journal has reached its bound of bytes and waits for the drainer",
            ));
        }
        let (file, number) =
            begin(&self.settings, state.number.saturating_add(1), state.next_sequence, &state.attempts)?;
        // Gives back what was set aside and not used. The records stand.
        let _best_effort = state.file.set_len(state.written);
        state.file = file;
        state.number = number;
        state.spare = false;
        self.segment.store(number, Release);
        state.written = segment::HEADER as u64;
        state.bad = false;
        self.counts.rotations.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Makes the file of a segment: allocated and with its header before it takes its name, so that a reader never
/// sees half of one.
fn begin(
    settings: &JournalSettings,
    number: u64,
    first_sequence: u64,
    attempts: &OpenAttempts,
) -> io::Result<(File, u64)> {
    let making = settings.dir.join("next.tmp");
    let file = if std::fs::rename(segment::spare_path(&settings.dir), &making).is_ok() {
        OpenOptions::new().read(true).write(true).open(&making)?
    } else {
        segment::allocate(&making, settings.segment_bytes)?
    };
    let header = Header {
        number,
        first_sequence,
        scan_from: attempts.oldest_segment(number),
        log_id: settings.log_id.clone(),
    };
    file.write_all_at(&header.bytes(), 0)?;
    std::fs::rename(&making, segment::path(&settings.dir, number))?;
    Ok((file, number))
}

/// True where one more segment would pass the bound of bytes.
fn over_bound(settings: &JournalSettings) -> io::Result<bool> {
    let Some(max) = settings.bytes_max else { return Ok(false) };
    let mut bytes = settings.segment_bytes;
    for number in segment::list(&settings.dir)? {
        bytes = bytes.saturating_add(std::fs::metadata(segment::path(&settings.dir, number))?.len());
    }
    Ok(bytes > max)
}

fn check(settings: &JournalSettings) -> Result<(), OpenError> {
    if settings.durability != Durability::Process {
        return Err(OpenError::Settings(format!(
            "durability `{}` is not built yet; set it to `process` (survives kill -9, not a loss of power)",
            settings.durability.name()
        )));
    }
    if settings.log_id.is_empty() || settings.log_id.len() > segment::LOG_ID_MAX {
        return Err(OpenError::Settings(format!(
            "a log id has 1 to {} bytes, this one has {}",
            segment::LOG_ID_MAX,
            settings.log_id.len()
        )));
    }
    if settings.open_calls_max == 0 || settings.segment_bytes < settings.segment_bytes_min() {
        return Err(OpenError::Settings(format!(
            "{} open calls need segments of at least {} bytes, not {}",
            settings.open_calls_max,
            settings.segment_bytes_min(),
            settings.segment_bytes
        )));
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError::Io { dir: dir.into(), doing: "opening its lock", error };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("journal.lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.into() }),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn notice(at_us: i64, kind: &str, text: &str) -> Record {
    Record::Notice(NoticeRecord { at_us, kind: kind.into(), text: text.into() })
}

/// The terminal of an attempt whose end nobody saw: no tokens, no cost, a visible gap.
fn unknown_outcome(call: CallId, attempt: u16, last: bool, at_us: i64) -> OutcomeRecord {
    OutcomeRecord {
        call,
        attempt,
        last,
        at_us,
        outcome: Outcome::Unknown,
        upstream_status: 0,
        usage: Usage::default(),
        cost: None,
        cost_basis: CostBasis::Unpriced,
        finish: "".into(),
        served_by: ServedBy::Unknown,
        upstream_request_id: "".into(),
        losses: "".into(),
        first_content_us: 0,
        total_us: 0,
        released_bytes: 0,
        class: domain::Classed::default(),
    }
}
