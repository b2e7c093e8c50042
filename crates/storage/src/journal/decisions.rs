//! Which decisions stand in the current segment, and the bodies of recent ones, so that an attempt is never
//! without its decision in its own segment.

use std::collections::{HashMap, VecDeque};

/// Most decisions whose bodies are held.
const HELD_MAX: usize = 4096;
/// Most bytes of bodies that are held.
const HELD_BYTES_MAX: usize = 8 << 20;

/// Bodies of recent decisions, oldest first out.
#[derive(Default)]
pub(super) struct Decisions {
    held: HashMap<u64, Held>,
    order: VecDeque<u64>,
    bytes: usize,
}

struct Held {
    /// The record as encoded.
    payload: Box<[u8]>,
    /// The segment that it was last written to, and its sequence number there.
    written: Option<(u64, u64)>,
}

impl Decisions {
    /// The sequence number of a decision that stands in `segment`.
    pub(super) fn sequence_in(&self, id: u64, segment: u64) -> Option<u64> {
        let (written_in, sequence) = self.held.get(&id)?.written?;
        (written_in == segment).then_some(sequence)
    }

    /// The bytes of a decision that is known but does not stand in `segment`.
    pub(super) fn missing_in(&self, id: u64, segment: u64) -> Option<&[u8]> {
        let held = self.held.get(&id)?;
        let there = held.written.is_some_and(|(written_in, _)| written_in == segment);
        (!there).then_some(&*held.payload)
    }

    /// Keeps a decision's bytes.
    pub(super) fn hold(&mut self, id: u64, payload: &[u8]) {
        if self.held.contains_key(&id) {
            return;
        }
        self.bytes += payload.len();
        self.order.push_back(id);
        self.held.insert(id, Held { payload: payload.into(), written: None });
        while self.order.len() > HELD_MAX || self.bytes > HELD_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(gone) = self.held.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(gone.payload.len());
            }
        }
    }

    /// Notes that it has been written.
    pub(super) fn wrote(&mut self, id: u64, segment: u64, sequence: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.written = Some((segment, sequence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_missing_in_every_new_segment() {
        let mut decisions = Decisions::default();
        assert_eq!(decisions.missing_in(1, 1), None);
        decisions.hold(1, b"body");
        assert_eq!(decisions.missing_in(1, 1), Some(&b"body"[..]));
        decisions.wrote(1, 1, 10);
        assert_eq!((decisions.missing_in(1, 1), decisions.sequence_in(1, 1)), (None, Some(10)));
        assert_eq!((decisions.missing_in(1, 2), decisions.sequence_in(1, 2)), (Some(&b"body"[..]), None));
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        let mut decisions = Decisions::default();
        for id in 0..10_000 {
            decisions.hold(id, b"body");
        }
        assert_eq!((decisions.held.len(), decisions.order.len()), (HELD_MAX, HELD_MAX));
        assert_eq!(decisions.bytes, HELD_MAX * 4);
        let large = vec![0; 48 << 10];
        for id in 20_000..21_000 {
            decisions.hold(id, &large);
        }
        assert!(decisions.bytes <= HELD_BYTES_MAX && decisions.held.len() < 200);
    }
}
