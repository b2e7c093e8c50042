//! Segment files: their names, their header, their making.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// First bytes of a segment.
pub const MAGIC: [u8; 8] = *b"JRNLSEG1";
/// Length of the header in bytes; the first frame follows it.
pub const HEADER: usize = 144;
/// Longest log id in bytes.
pub const LOG_ID_MAX: usize = 96;

/// What a segment says of itself. Little-endian on the disk: magic 8, number 8, first sequence 8, scan-from 8,
/// length of the log id 2, the log id padded with zeros to 96, 10 reserved, CRC-32 of all before it 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Counts the segments of the journal from 1.
    pub number: u64,
    /// The sequence number of the first record that is written here.
    pub first_sequence: u64,
    /// The oldest segment with an attempt that was open when this one began: recovery reads from there.
    pub scan_from: u64,
    /// `origin/replica`.
    pub log_id: Box<str>,
}

impl Header {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        for number in [self.number, self.first_sequence, self.scan_from] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let log_id = self.log_id.as_bytes();
        let log_id = log_id.get(..log_id.len().min(LOG_ID_MAX)).unwrap_or_default();
        bytes.extend_from_slice(&u16::try_from(log_id.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(log_id);
        bytes.resize(HEADER - 4, 0);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads it back; `None` where the bytes are not a whole and undamaged header.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let (body, crc) = header.split_last_chunk::<4>()?;
        if crc32fast::hash(body).to_le_bytes() != *crc {
            return None;
        }
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (first_sequence, rest) = rest.split_first_chunk::<8>()?;
        let (scan_from, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        if *magic != MAGIC {
            return None;
        }
        let log_id = rest.get(..usize::from(u16::from_le_bytes(*length)).min(LOG_ID_MAX))?;
        Some(Self {
            number: u64::from_le_bytes(*number),
            first_sequence: u64::from_le_bytes(*first_sequence),
            scan_from: u64::from_le_bytes(*scan_from),
            log_id: std::str::from_utf8(log_id).ok()?.into(),
        })
    }

    /// Reads the header of a segment file.
    ///
    /// # Errors
    /// The file system's; a damaged header is `InvalidData`.
    pub fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0)?;
        Self::parse(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a damaged segment header"))
    }
}

/// The file of a segment.
#[must_use]
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number:010}.seg"))
}

/// The file that is allocated ahead for the next segment.
#[must_use]
pub fn spare_path(dir: &Path) -> PathBuf {
    dir.join("spare.seg")
}

/// The numbers of all segments in a directory, ascending. Other files are ignored.
///
/// # Errors
/// The file system's.
pub fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix("journal-"))
            .and_then(|name| name.strip_suffix(".seg"))
            .and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes an empty file with `bytes` of disk set aside for it. Where that fails, nothing is left behind.
///
/// # Errors
/// The file system's: above all a full disk.
pub fn allocate(path: &Path, bytes: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    // The length stays as written, so a reader's end of file is the end of the records.
    let set_aside = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, bytes);
    match set_aside {
        Ok(()) => Ok(file),
        // A file system that cannot preallocate: outcomes then depend on the disk having room.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(file),
        Err(error) => {
            drop(file);
            let _best_effort = std::fs::remove_file(path);
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_damage_is_seen() {
        let header = Header { number: 3, first_sequence: 900, scan_from: 2, log_id: "acme/eu-1".into() };
        let bytes = header.bytes();
        assert_eq!(bytes.len(), HEADER);
        assert_eq!(Header::parse(&bytes), Some(header));
        for at in 0..HEADER {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert_eq!(Header::parse(&bad), None, "byte {at}");
        }
        assert_eq!(Header::parse(&bytes[..HEADER - 1]), None);
    }

    #[test]
    fn segments_are_listed_in_order_and_others_ignored() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["journal-0000000012.seg", "journal-0000000003.seg", "spare.seg", "journal-x.seg", "a"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(list(dir.path()).unwrap(), [3, 12]);
    }
}
