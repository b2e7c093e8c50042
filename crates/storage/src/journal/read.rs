//! Reading records in order, from any position, while the journal is written or long after.

use super::{
    frame::{self, Parsed},
    segment::{self, Header},
};
use domain::record::Record;
use ledger::DecodeError;
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;

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
/// stepped over and counted, a torn tail is waited for. Memory: one chunk and one frame, but at damage, where
/// the rest of the segment is searched.
pub struct Reader {
    dir: PathBuf,
    position: Position,
    file: Option<File>,
    /// Bytes of the file from `position.offset` on, after `start`.
    buffer: Vec<u8>,
    start: usize,
    lost: u64,
    last_only: Option<u64>,
}

/// What the bytes at hand are.
enum Next {
    Frame {
        sequence: u64,
        payload: Vec<u8>,
        length: usize,
    },
    /// The file has no whole frame here (yet).
    End,
}

impl Reader {
    /// A reader that goes on at `position`.
    #[must_use]
    pub fn new(dir: &Path, position: Position) -> Self {
        Self { dir: dir.into(), position, file: None, buffer: Vec::new(), start: 0, lost: 0, last_only: None }
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
            match self.peek()? {
                Next::Frame { sequence, payload, length } => {
                    let offset = self.position.offset;
                    self.start += length;
                    self.position.offset += length as u64;
                    let expected = self.position.sequence;
                    if sequence < expected {
                        continue;
                    }
                    if expected != 0 {
                        self.lost += sequence - expected;
                    }
                    self.position.sequence = sequence + 1;
                    let segment = self.position.segment;
                    return Ok(Some(Found { sequence, segment, offset, record: ledger::decode(&payload) }));
                }
                Next::End => {
                    if !self.leave_segment()? {
                        return Ok(None);
                    }
                }
            }
        }
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
        self.buffer.clear();
        self.start = 0;
        Ok(true)
    }

    /// Goes to the next segment where there is one. What is left of this one then is not a frame.
    fn leave_segment(&mut self) -> io::Result<bool> {
        let here = self.position.segment;
        let next = segment::list(&self.dir)?
            .into_iter()
            .find(|number| *number > here && self.last_only.is_none_or(|last| *number <= last));
        let Some(next) = next else { return Ok(false) };
        // The next one exists, so this one is complete now; it may not have been when it was read.
        if !matches!(self.peek()?, Next::End) {
            return Ok(true);
        }
        self.position = Position { segment: next, offset: 0, ..self.position };
        self.file = None;
        Ok(true)
    }

    /// The frame at the position, or the next whole one after damage.
    fn peek(&mut self) -> io::Result<Next> {
        loop {
            let bytes = self.buffer.get(self.start..).unwrap_or_default();
            match frame::parse(bytes) {
                Parsed::Frame { sequence, payload, length } => {
                    return Ok(Next::Frame { sequence, payload: payload.to_vec(), length });
                }
                Parsed::NeedBytes(needed) => {
                    if !self.fill(needed)? {
                        return self.resynchronise();
                    }
                }
                Parsed::Invalid => return self.resynchronise(),
            }
        }
    }

    /// Looks for a whole frame with a later sequence number behind bytes that are none. Where there is none, the
    /// bytes are a torn tail, and the position stays before them.
    fn resynchronise(&mut self) -> io::Result<Next> {
        // Read again from the position: the frame may have been in the making a moment ago.
        self.buffer.clear();
        self.start = 0;
        while self.fill(self.buffer.len() + CHUNK)? {}
        let bytes = self.buffer.as_slice();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(candidate) = rest.iter().position(|byte| *byte == frame::MAGIC) else { break };
            at += candidate;
            let candidate = bytes.get(at..).unwrap_or_default();
            if let Parsed::Frame { sequence, payload, length } = frame::parse(candidate)
                && sequence > self.position.sequence.saturating_sub(1)
            {
                let found = Next::Frame { sequence, payload: payload.to_vec(), length };
                self.start += at;
                self.position.offset += at as u64;
                return Ok(found);
            }
            at += 1;
        }
        // Nothing behind: forget the bytes, so that a frame that was being written is read whole next time.
        self.buffer.clear();
        self.start = 0;
        Ok(Next::End)
    }

    /// Reads on until `needed` bytes are at hand. False at the end of the file.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        while self.buffer.len() < needed {
            let have = self.buffer.len();
            self.buffer.resize(have + CHUNK.max(needed - have), 0);
            let space = self.buffer.get_mut(have..).unwrap_or_default();
            let result = file.read_at(space, self.position.offset + have as u64);
            let read = *result.as_ref().unwrap_or(&0);
            self.buffer.truncate(have + read);
            result?;
            if read == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
