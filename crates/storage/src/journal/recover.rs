//! What a start makes of the segments that the last process left.

use super::{
    JournalSettings, OpenError,
    frame::{self, Parsed},
    open_attempts::OpenAttempts,
    read::{Position, Reader},
    segment::{self, Header},
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// What was found at opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records read to find what was open.
    pub records: u64,
    /// Attempts without an outcome: each has now one, `Unknown`.
    pub unknown: u64,
    /// Calls that stood between two attempts: each has a notice.
    pub between: u64,
    /// Bytes behind the last whole record that were cut off: a write that the process did not live to finish.
    pub torn_bytes: u64,
    /// Records that are damaged or missing before that.
    pub lost: u64,
}

/// What the writer goes on from.
pub(super) struct Scanned {
    pub(super) attempts: OpenAttempts,
    pub(super) next_segment: u64,
    pub(super) next_sequence: u64,
    pub(super) recovery: Recovery,
}

/// Reads what must be read, and mends the last segment's tail.
pub(super) fn scan(settings: &JournalSettings) -> Result<Scanned, OpenError> {
    let dir = &settings.dir;
    let failed = |doing| move |error| OpenError::Io { dir: dir.clone(), doing, error };
    let mut scanned = Scanned {
        attempts: OpenAttempts::new(usize::MAX),
        next_segment: 1,
        next_sequence: 1,
        recovery: Recovery::default(),
    };
    let Some((number, file, header)) = last_segment(dir).map_err(failed("reading the last segment"))? else {
        return Ok(scanned);
    };
    if header.log_id != settings.log_id {
        return Err(OpenError::OtherLog {
            dir: dir.clone(),
            found: header.log_id.into(),
            wanted: settings.log_id.clone().into(),
        });
    }
    let start = Position { segment: header.scan_from, offset: 0, sequence: 0 };
    let mut reader = Reader::new(dir, start).up_to(number);
    while let Some(found) = reader.next_record().map_err(failed("reading the last records"))? {
        scanned.recovery.records += 1;
        if let Ok(record) = &found.record {
            scanned.attempts.see(record, found.segment);
        }
    }
    let end = reader.position();
    scanned.recovery.lost = reader.lost();
    scanned.next_segment = number + 1;
    scanned.next_sequence = end.sequence.max(header.first_sequence);
    let torn = mend_tail(&file, end.offset).map_err(failed("cutting off the torn tail"))?;
    scanned.recovery.torn_bytes = torn.bytes;
    scanned.next_sequence += torn.records;
    scanned.recovery.lost += torn.records;
    for (_, _, between) in scanned.attempts.list() {
        if between {
            scanned.recovery.between += 1;
        } else {
            scanned.recovery.unknown += 1;
        }
    }
    Ok(scanned)
}

/// The last segment with a readable header. One without (a machine that lost power while making it) holds no
/// record and is set aside under another name.
fn last_segment(dir: &Path) -> io::Result<Option<(u64, File, Header)>> {
    for number in segment::list(dir)?.into_iter().rev() {
        let path = segment::path(dir, number);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        match Header::read(&file) {
            Ok(header) => return Ok(Some((number, file, header))),
            Err(error) if is_damage(&error) => std::fs::rename(&path, path.with_extension("damaged"))?,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// What stood behind the last whole record.
struct Torn {
    bytes: u64,
    /// Frames that are there in full length with a wrong CRC: they may have been read before they were damaged,
    /// so their sequence numbers are not given again.
    records: u64,
}

fn mend_tail(file: &File, end: u64) -> io::Result<Torn> {
    let length = file.metadata()?.len();
    let end = end.max(segment::HEADER as u64);
    let bytes = length.saturating_sub(end);
    let mut records = 0;
    if bytes > 0 {
        let mut tail = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(frame::BYTES_MAX)];
        file.read_exact_at(&mut tail, end)?;
        if !matches!(frame::parse(&tail), Parsed::NeedBytes(_)) {
            // At most one record a smallest frame; too many is harmless, too few is not.
            records = 1 + bytes / frame::HEAD as u64;
        }
        file.set_len(end)?;
    }
    Ok(Torn { bytes, records })
}
