//! Attempts without an outcome: while running, to know how far back a recovery must read; at a start, to find
//! what the last process left open. One fold over records serves both.

use domain::{CallId, record::Record};
use std::collections::BTreeMap;

/// The kind of the notice about a call that ended between two attempts.
pub(super) const RECOVERED: &str = "recovered-unknown";

/// Attempts whose end is not on record, and calls that stand between two attempts.
pub(super) struct OpenAttempts {
    attempts: BTreeMap<(u128, u16), Open>,
    max: usize,
}

#[derive(Clone, Copy)]
struct Open {
    /// The segment of the attempt's record.
    segment: u64,
    /// True where the attempt ended and the call did not: another attempt was to follow.
    between: bool,
}

impl OpenAttempts {
    /// An empty set that holds at most `max` attempts and forgets the oldest beyond (which only happens where
    /// calls are never settled).
    pub(super) const fn new(max: usize) -> Self {
        Self { attempts: BTreeMap::new(), max }
    }

    /// Takes a record in that stands in `segment`.
    pub(super) fn see(&mut self, record: &Record, segment: u64) {
        match record {
            Record::Attempt(attempt) => {
                let key = (attempt.call.bits(), attempt.attempt);
                if attempt.attempt > 1 {
                    self.close_between(key.0);
                }
                self.attempts.insert(key, Open { segment, between: false });
                if self.attempts.len() > self.max {
                    self.attempts.pop_first();
                }
            }
            Record::Outcome(outcome) => {
                let key = (outcome.call.bits(), outcome.attempt);
                if outcome.last {
                    self.attempts.remove(&key);
                } else if let Some(open) = self.attempts.get_mut(&key) {
                    open.between = true;
                }
            }
            Record::Refusal(refusal) => self.close_between(refusal.call.bits()),
            // A recovery has noted the call's end: its text begins with the call's id.
            Record::Notice(notice) if &*notice.kind == RECOVERED => {
                let call = notice.text.split(' ').next().and_then(|word| word.parse::<CallId>().ok());
                if let Some(call) = call {
                    self.close_between(call.bits());
                }
            }
            Record::Decision(_) | Record::Notice(_) => {}
        }
    }

    fn close_between(&mut self, call: u128) {
        let ended = self.attempts.range((call, 0)..=(call, u16::MAX)).find(|(_, open)| open.between);
        if let Some(key) = ended.map(|(key, _)| *key) {
            self.attempts.remove(&key);
        }
    }

    /// The oldest segment that a recovery would have to read, if any before `current`.
    pub(super) fn oldest_segment(&self, current: u64) -> u64 {
        self.attempts.values().map(|open| open.segment).min().unwrap_or(current).min(current)
    }

    /// Sets another bound. What is held already stays.
    pub(super) const fn limit(&mut self, max: usize) {
        self.max = max;
    }

    /// Forgets all: what was open has been closed on record.
    pub(super) fn clear(&mut self) {
        self.attempts.clear();
    }

    /// All of them in order: `(call, attempt, the attempt itself has ended)`.
    pub(super) fn list(&self) -> Vec<(CallId, u16, bool)> {
        let item = |(key, open): (&(u128, u16), &Open)| (CallId::from_bits(key.0), key.1, open.between);
        self.attempts.iter().map(item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples::{attempt, outcome, refusal};

    #[test]
    fn follows_calls_through_their_attempts() {
        let mut open = OpenAttempts::new(10);
        open.see(&attempt(1, 1), 1);
        open.see(&attempt(2, 1), 2);
        assert_eq!(open.oldest_segment(9), 1);
        open.see(&outcome(1, 1, true), 3);
        assert_eq!(open.oldest_segment(9), 2);
        open.see(&outcome(2, 1, false), 3);
        assert_eq!(open.list(), [(CallId::from_bits(2), 1, true)]);
        open.see(&attempt(2, 2), 3);
        assert_eq!(open.list(), [(CallId::from_bits(2), 2, false)]);
        open.see(&outcome(2, 2, false), 3);
        open.see(&refusal(2), 3);
        assert!(open.list().is_empty());
        assert_eq!(open.oldest_segment(9), 9);
    }

    #[test]
    fn forgets_the_oldest_at_its_bound() {
        let mut open = OpenAttempts::new(3);
        for call in 1..=5 {
            open.see(&attempt(call, 1), 1);
        }
        let calls: Vec<u128> = open.list().iter().map(|(call, ..)| call.bits()).collect();
        assert_eq!(calls, [3, 4, 5]);
    }
}
