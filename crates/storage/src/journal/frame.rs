//! The frame around a record's bytes. All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | [`MAGIC`] |
//! | 1 | [`VERSION`] |
//! | 2..4 | 0, reserved |
//! | 4..8 | length of the payload |
//! | 8..16 | sequence number, from 1, across segments and restarts |
//! | 16..20 | CRC-32 of the payload followed by bytes 0..16 of this head |
//! | 20.. | the payload: one record as `ledger::codec` writes it |
//!
//! The payload comes first in the checksum, so that most of it is computed before the lock is taken.

use crc32fast::Hasher;

/// First byte of a frame.
pub const MAGIC: u8 = 0xCB;
/// Second byte of a frame.
pub const VERSION: u8 = 1;
/// Length of the head in bytes.
pub const HEAD: usize = 20;
/// Longest payload that is written or believed.
pub const PAYLOAD_MAX: usize = ledger::codec::DECISION_BYTES_MAX;
/// Longest frame.
pub const BYTES_MAX: usize = HEAD + PAYLOAD_MAX;

/// Starts a frame in an emptied buffer: room for the head, the payload is to follow.
pub fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(HEAD, 0);
}

/// The checksum of the payload that stands behind the head's room.
#[must_use]
pub fn checksum(frame: &[u8]) -> Hasher {
    let mut crc = Hasher::new();
    crc.update(frame.get(HEAD..).unwrap_or_default());
    crc
}

/// Fills in the head. `crc` is what [`checksum`] gave for the same buffer.
pub fn seal(frame: &mut [u8], sequence: u64, mut crc: Hasher) {
    let length = u32::try_from(frame.len().saturating_sub(HEAD)).unwrap_or(u32::MAX);
    let Some(head) = frame.first_chunk_mut::<HEAD>() else { return };
    let mut fields = [0u8; 16];
    let [magic, version, _, _, l0, l1, l2, l3, sequence_bytes @ ..] = &mut fields;
    (*magic, *version) = (MAGIC, VERSION);
    [*l0, *l1, *l2, *l3] = length.to_le_bytes();
    *sequence_bytes = sequence.to_le_bytes();
    crc.update(&fields);
    let (front, back) = head.split_at_mut(16);
    front.copy_from_slice(&fields);
    back.copy_from_slice(&crc.finalize().to_le_bytes());
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole frame.
    Frame {
        /// Its sequence number.
        sequence: u64,
        /// Its record's bytes.
        payload: &'a [u8],
        /// Its length, head included.
        length: usize,
    },
    /// So far it may be a frame; this many bytes are needed to tell.
    NeedBytes(usize),
    /// Not a frame: torn, damaged, or never written.
    Invalid,
}

/// Reads the frame at the beginning of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    match bytes {
        [] => return Parsed::NeedBytes(HEAD),
        [magic, ..] if *magic != MAGIC => return Parsed::Invalid,
        [_, version, ..] if *version != VERSION => return Parsed::Invalid,
        _ => {}
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Parsed::NeedBytes(HEAD) };
    let (fields, crc) = head.split_at(16);
    let [_, _, _, _, l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7] = fields else { return Parsed::Invalid };
    let payload_length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    if payload_length == 0 || payload_length > PAYLOAD_MAX {
        return Parsed::Invalid;
    }
    let length = HEAD + payload_length;
    let Some(payload) = rest.get(..payload_length) else { return Parsed::NeedBytes(length) };
    let mut hasher = Hasher::new();
    hasher.update(payload);
    hasher.update(fields);
    if hasher.finalize().to_le_bytes() != *crc {
        return Parsed::Invalid;
    }
    let sequence = u64::from_le_bytes([*s0, *s1, *s2, *s3, *s4, *s5, *s6, *s7]);
    Parsed::Frame { sequence, payload, length }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence: u64, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![9; 3];
        begin(&mut buffer);
        buffer.extend_from_slice(payload);
        let crc = checksum(&buffer);
        seal(&mut buffer, sequence, crc);
        buffer
    }

    #[test]
    fn the_layout_is_what_the_table_says() {
        let bytes = frame(0x0102, b"abc");
        assert_eq!(bytes[..16], [0xCB, 1, 0, 0, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[20..], b"abc");
        assert_eq!(parse(&bytes), Parsed::Frame { sequence: 0x0102, payload: b"abc", length: 23 });
    }

    #[test]
    fn a_torn_frame_asks_for_more_and_a_flipped_bit_is_seen() {
        let bytes = frame(7, b"some record");
        for length in 0..bytes.len() {
            let expected = if length < HEAD { HEAD } else { bytes.len() };
            assert_eq!(parse(&bytes[..length]), Parsed::NeedBytes(expected), "{length}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(!matches!(parse(&bad), Parsed::Frame { .. }), "byte {at} bit {bit}");
            }
        }
        assert_eq!(parse(&[0; 64]), Parsed::Invalid);
    }
}
