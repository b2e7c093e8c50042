//! Reading records in order, from any position, while the journal is written or long after.

use super::{
    frame::{self, Parsed},
    segment::{self, Header},
    window::Window,
};
use domain::record::Record;
use ledger::DecodeError;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Acquire},
    },
};

/// Where a reader stands: kept by the drainer beside what it has made of the records before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The segment; 0 before the first.
    pub segment: u64,
    /// The byte in the segment where the next frame begins.
    pub offset: u64,
    /// The sequence number that is expected next; 0 where any will do.
    pub sequence: u64,
}

/// A record and where it stands.
#[derive(Debug)]
pub struct Found {
    /// Its sequence number.
    pub sequence: u64,
    /// Its segment.
    pub segment: u64,
    /// The byte where its frame begins.
    pub offset: u64,
    /// The record, or why this binary cannot read it.
    pub record: Result<Record, DecodeError>,
}

/// Reads a directory of segments in order. Never trusts a frame whose CRC is wrong: damage in the middle is
/// stepped over and counted, a torn tail is waited for. Memory: 64 KiB or one frame, whichever is more.
pub struct Reader {
    dir: PathBuf,
    position: Position,
    file: Option<File>,
    /// The file from `position.offset` on.
    window: Window,
    lost: u64,
    last_only: Option<u64>,
    /// The segment that is being written, where the writer is of this process.
    written: Option<Arc<AtomicU64>>,
}

/// A whole frame at the beginning of the window.
#[derive(Clone, Copy)]
struct Whole {
    sequence: u64,
    /// Head and payload.
    length: usize,
}

impl Reader {
    /// A reader that goes on at `position`.
    #[must_use]
    pub fn new(dir: &Path, position: Position) -> Self {
        Self {
            dir: dir.into(),
            position,
            file: None,
            window: Window::default(),
            lost: 0,
            last_only: None,
            written: None,
        }
    }

    /// A reader beside the writer, which says which segment it writes: the directory then need not be looked
    /// through at every end.
    pub(super) fn beside(mut self, written: Arc<AtomicU64>) -> Self {
        self.written = Some(written);
        self
    }

    /// A reader that does not go beyond segment `last`.
    #[must_use]
    pub const fn up_to(mut self, last: u64) -> Self {
        self.last_only = Some(last);
        self
    }

    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// How many records are missing between those that were read: damaged, or deleted before their time.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The next record; `None` at the end of what has been written so far: ask again later.
    ///
    /// # Errors
    /// The file system's. The position stands, so it may be tried again.
    pub fn next_record(&mut self) -> io::Result<Option<Found>> {
        loop {
            if self.file.is_none() && !self.open_segment()? {
                return Ok(None);
            }
            let Some(Whole { sequence, length }) = self.peek()? else {
                if !self.leave_segment()? {
                    return Ok(None);
                }
                continue;
            };
            let expected = self.position.sequence;
            let (segment, offset) = (self.position.segment, self.position.offset);
            self.position.offset += length as u64;
            if sequence < expected {
                self.window.skip(length);
                continue;
            }
            if expected != 0 {
                self.lost += sequence - expected;
            }
            self.position.sequence = sequence + 1;
            let payload = self.window.bytes().get(frame::HEAD..length).unwrap_or_default();
            let record = ledger::decode(payload);
            self.window.skip(length);
            return Ok(Some(Found { sequence, segment, offset, record }));
        }
    }

    /// To be called before a pause: gives memory back that a burst took.
    pub(crate) fn pause(&mut self) {
        self.window.reset(self.position.offset);
    }

    /// How often it has read from a file.
    #[cfg(test)]
    pub(crate) const fn reads(&self) -> usize {
        self.window.reads
    }

    /// Opens the segment of the position, or the next that exists. False where there is none.
    fn open_segment(&mut self) -> io::Result<bool> {
        let wanted = self.position.segment.max(1);
        let Some(number) = segment::list(&self.dir)?
            .into_iter()
            .find(|number| *number >= wanted && self.last_only.is_none_or(|last| *number <= last))
        else {
            return Ok(false);
        };
        let file = match File::open(segment::path(&self.dir, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if number != self.position.segment || self.position.offset < segment::HEADER as u64 {
            self.position.segment = number;
            self.position.offset = segment::HEADER as u64;
            if let Ok(header) = Header::read(&file)
                && self.position.sequence != 0
                && header.first_sequence > self.position.sequence
            {
                self.lost += header.first_sequence - self.position.sequence;
                self.position.sequence = header.first_sequence;
            }
        }
        self.file = Some(file);
        self.window.reset(self.position.offset);
        Ok(true)
    }

    /// Goes to the next segment where there is one. What is left of this one then is not a frame.
    fn leave_segment(&mut self) -> io::Result<bool> {
        let here = self.position.segment;
        // The number is raised once the segment has its name.
        if self.written.as_ref().is_some_and(|written| written.load(Acquire) <= here) {
            return Ok(false);
        }
        let next = segment::list(&self.dir)?
            .into_iter()
            .find(|number| *number > here && self.last_only.is_none_or(|last| *number <= last));
        let Some(next) = next else { return Ok(false) };
        // The next one exists, so this one is complete now; it may not have been when it was read.
        if self.peek()?.is_some() {
            return Ok(true);
        }
        self.position = Position { segment: next, offset: 0, ..self.position };
        self.file = None;
        Ok(true)
    }

    /// The frame at the position, or the next whole one after damage. `None`: the file has no whole frame here
    /// (yet).
    fn peek(&mut self) -> io::Result<Option<Whole>> {
        let Some(file) = &self.file else { return Ok(None) };
        // An error in the middle of a search leaves the window elsewhere.
        if self.window.from() != self.position.offset {
            self.window.reset(self.position.offset);
        }
        loop {
            match frame::parse(self.window.bytes()) {
                Parsed::Frame { sequence, length, .. } => return Ok(Some(Whole { sequence, length })),
                Parsed::NeedBytes(needed) => {
                    if self.window.fill(file, needed)? {
                        continue;
                    }
                    // The end of the file behind a whole frame: the end of what has been written so far.
                    if self.window.bytes().is_empty() {
                        return Ok(None);
                    }
                    return self.resynchronise();
                }
                Parsed::Invalid => return self.resynchronise(),
            }
        }
    }

    /// Looks for a whole frame with a later sequence number behind bytes that are none. Where there is none, the
    /// bytes are a torn tail, and the position stays before them.
    fn resynchronise(&mut self) -> io::Result<Option<Whole>> {
        let Some(file) = &self.file else { return Ok(None) };
        // Read again from the position: the frame may have been in the making a moment ago.
        self.window.reset(self.position.offset);
        loop {
            let bytes = self.window.bytes();
            let Some(candidate) = bytes.iter().position(|byte| *byte == frame::MAGIC) else {
                self.window.skip(bytes.len());
                if self.window.fill(file, 1)? {
                    continue;
                }
                break;
            };
            self.window.skip(candidate);
            let may_be = match frame::parse(self.window.bytes()) {
                Parsed::Frame { sequence, length, .. }
                    if sequence > self.position.sequence.saturating_sub(1) =>
                {
                    self.position.offset = self.window.from();
                    return Ok(Some(Whole { sequence, length }));
                }
                // Where the file ends before what this would need, it is none; another may begin in it.
                Parsed::NeedBytes(needed) => self.window.fill(file, needed)?,
                Parsed::Frame { .. } | Parsed::Invalid => false,
            };
            if !may_be {
                self.window.skip(1);
            }
        }
        // Nothing behind: forget the bytes, so that a frame that was being written is read whole next time.
        self.window.reset(self.position.offset);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{
        FileJournal, JournalSettings,
        samples::{attempt, outcome},
    };
    use domain::journal::Journal as _;
    use std::{io::Write as _, path::PathBuf};

    fn open(dir: &Path) -> FileJournal {
        let small = JournalSettings {
            segment_bytes: 128 << 10,
            open_calls_max: 8,
            ..JournalSettings::new(dir, "acme/1")
        };
        FileJournal::open(small, 0).unwrap().0
    }

    fn calls(journal: &FileJournal, range: std::ops::Range<u128>) {
        for n in range {
            let _permit = journal.admit().unwrap();
            journal.append(&attempt(n, 1)).unwrap();
            journal.append(&outcome(n, 1, true)).unwrap();
        }
    }

    fn count(reader: &mut Reader) -> u64 {
        let mut count = 0;
        while let Some(found) = reader.next_record().unwrap() {
            assert!(found.record.is_ok());
            count += 1;
        }
        count
    }

    #[test]
    fn a_look_at_a_quiet_journal_is_one_read_and_no_listing() {
        let dir = tempfile::tempdir().unwrap();
        let (here, away) = (dir.path().join("here"), dir.path().join("away"));
        let journal = open(&here);
        calls(&journal, 0..10);
        let mut reader = journal.reader(Position::default());
        assert_eq!(count(&mut reader), 20);
        // Where the folder is not to be found, it cannot be listed.
        std::fs::rename(&here, &away).unwrap();
        for _ in 0..10 {
            let before = reader.reads();
            assert!(reader.next_record().unwrap().is_none());
            assert_eq!(reader.reads() - before, 1);
        }
        calls(&journal, 10..11);
        let before = reader.reads();
        assert_eq!(count(&mut reader), 2);
        assert_eq!(reader.reads() - before, 2, "the records, and the end behind them");
    }

    #[test]
    fn a_reader_beside_the_writer_follows_it_from_segment_to_segment() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path());
        let mut reader = journal.reader(Position::default());
        let mut read = 0;
        for n in 0..1_200 {
            calls(&journal, n..n + 1);
            if n % 7 == 0 {
                read += count(&mut reader);
                assert_eq!(reader.position().sequence, journal.stats().sequence + 1);
                reader.pause();
            }
        }
        read += count(&mut reader);
        assert!(reader.position().segment >= 3);
        assert_eq!((read, reader.lost()), (2_400, 0));
    }

    /// A segment with so many frames, each of 20 to 300 bytes, and where they begin.
    fn segment_of(dir: &Path, frames: u64) -> (PathBuf, Vec<usize>) {
        let header = Header { number: 1, first_sequence: 1, scan_from: 1, log_id: "acme/1".into() };
        let (mut bytes, mut begins) = (header.bytes(), vec![]);
        for sequence in 1..=frames {
            begins.push(bytes.len());
            bytes.extend_from_slice(&frame_of(sequence));
        }
        let path = segment::path(dir, 1);
        std::fs::write(&path, bytes).unwrap();
        (path, begins)
    }

    fn frame_of(sequence: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        ledger::encode(&outcome(sequence.into(), 1, true), &mut bytes);
        let crc = frame::checksum(&bytes);
        frame::seal(&mut bytes, sequence, crc);
        bytes
    }

    #[test]
    fn damage_of_any_length_is_stepped_over_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (path, begins) = segment_of(dir.path(), 3_000);
        let whole = std::fs::read(&path).unwrap();
        assert!(begins[1_600] - begins[100] > 80_000);
        // The longest is longer than the buffer. A head that promises a long frame, and then nothing of it.
        let mut promise = vec![frame::MAGIC, frame::VERSION, 0, 0, 0, 0xa0, 0, 0];
        promise.resize(999, 7);
        for frames in [1, 2, 50, 700, 1_500] {
            for pattern in [&[0][..], &[frame::MAGIC], &promise, &whole[begins[3]..begins[6] - 1]] {
                let mut bad = whole.clone();
                let range = begins[100]..begins[100 + frames];
                let filling = pattern.iter().copied().cycle();
                bad[range].iter_mut().zip(filling).for_each(|(byte, other)| *byte = other);
                std::fs::write(&path, &bad).unwrap();
                let mut reader = Reader::new(dir.path(), Position::default());
                let read = count(&mut reader);
                assert_eq!((read, reader.lost()), (3_000 - frames as u64, frames as u64), "{pattern:?}");
            }
        }
    }

    #[test]
    fn a_frame_in_the_making_is_read_whole_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = segment_of(dir.path(), 3);
        let mut reader = Reader::new(dir.path(), Position::default());
        assert_eq!(count(&mut reader), 3);
        let position = reader.position();
        let mut file = File::options().append(true).open(&path).unwrap();
        for part in frame_of(4).chunks(9) {
            assert!(reader.next_record().unwrap().is_none());
            assert_eq!(reader.position(), position);
            file.write_all(part).unwrap();
        }
        assert_eq!(reader.next_record().unwrap().unwrap().sequence, 4);
        // Zeros that become a frame, as where a write grows the file before it fills it.
        let offset = reader.position().offset;
        let next = frame_of(5);
        file.write_all(&vec![0; next.len()]).unwrap();
        assert!(reader.next_record().unwrap().is_none());
        std::os::unix::fs::FileExt::write_all_at(
            &File::options().write(true).open(&path).unwrap(),
            &next,
            offset,
        )
        .unwrap();
        assert_eq!(reader.next_record().unwrap().unwrap().sequence, 5);
        assert_eq!((count(&mut reader), reader.lost()), (0, 0));
    }
}
