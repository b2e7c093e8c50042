//! One deployment's health as its calls have seen it.
//!
//! Closed: all pass. Open: none pass until a time; opened by consecutive failures, by a low success rate, or by
//! an upstream that said how long to wait. Half-open: one probe at a time; its success closes, its failure opens
//! for longer. What a call that began before the opening meets tells nothing of the time after it: it neither
//! closes the breaker nor makes the pause longer; nor does the failure of a call that was let pass an open breaker
//! as a last resort. Lock-free: a call reads two words.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    time::Duration,
};

/// This many failures in a row open the breaker.
const CONSECUTIVE_FAILURES: u32 = 5;
/// Success rate (moving, in thousandths) below which it opens once enough calls were seen.
const MIN_SUCCESS_PERMILLE: u32 = 500;
/// Calls seen before the rate counts.
const MIN_SAMPLES: u32 = 20;
/// First pause, doubled at each failed probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause that we choose ourselves.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that an upstream may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// What the breaker says of a call that wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Pass.
    Closed,
    /// Pass, as the one probe of a half-open breaker. Its end must be reported.
    Probe,
    /// Not before this monotonic time.
    Open(Duration),
}

/// One deployment's breaker.
#[derive(Debug)]
pub struct Breaker {
    /// Monotonic milliseconds until which it is open; 0 while closed.
    open_until_ms: AtomicU64,
    /// Monotonic milliseconds of the last opening.
    opened_ms: AtomicU64,
    probing: AtomicBool,
    failures_in_a_row: AtomicU32,
    /// Openings since the last success: the exponent of the pause.
    openings: AtomicU32,
    success_permille: AtomicU32,
    samples: AtomicU32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            open_until_ms: AtomicU64::new(0),
            opened_ms: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            failures_in_a_row: AtomicU32::new(0),
            openings: AtomicU32::new(0),
            success_permille: AtomicU32::new(1_000),
            samples: AtomicU32::new(0),
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Breaker {
    /// Whether a call would pass now, without taking the probe. For ranking and for the screen.
    #[must_use]
    pub fn peek(&self, now: Duration) -> Gate {
        match self.open_until_ms.load(Acquire) {
            0 => Gate::Closed,
            until if ms(now) < until => Gate::Open(Duration::from_millis(until)),
            until if self.probing.load(Acquire) => Gate::Open(Duration::from_millis(until.max(ms(now) + 1))),
            _ => Gate::Probe,
        }
    }

    /// Asks to pass. A `Probe` answer takes the one place; it is given back by `success`, `failure` or `abandon`.
    #[must_use]
    pub fn pass(&self, now: Duration) -> Gate {
        match self.peek(now) {
            Gate::Probe if self.probing.swap(true, AcqRel) => Gate::Open(now + FIRST_PAUSE),
            gate => gate,
        }
    }

    /// A call that had passed at the monotonic time `started` ended well.
    pub fn success(&self, started: Duration) {
        self.note(1_000);
        if self.before_opening(started) {
            return;
        }
        self.failures_in_a_row.store(0, Relaxed);
        self.openings.store(0, Relaxed);
        if self.open_until_ms.load(Relaxed) != 0 {
            self.success_permille.store(1_000, Relaxed);
            self.samples.store(0, Relaxed);
            self.open_until_ms.store(0, Release);
        }
        self.probing.store(false, Release);
    }

    /// A call that had passed at `started` failed at `now` in a way that tells of the deployment's health. `asked`
    /// is the upstream's own `Retry-After`.
    pub fn failure(&self, started: Duration, now: Duration, asked: Option<Duration>) {
        let rate = self.note(0);
        let until = self.open_until_ms.load(Acquire);
        let still_open = until != 0 && ms(now) < until;
        let old = self.before_opening(started);
        if let Some(asked) = asked {
            self.open(now, asked.min(MAX_RETRY_AFTER));
        }
        if old || still_open {
            return;
        }
        let in_a_row = self.failures_in_a_row.fetch_add(1, Relaxed) + 1;
        let low_rate = self.samples.load(Relaxed) >= MIN_SAMPLES && rate < MIN_SUCCESS_PERMILLE;
        if until != 0 || in_a_row >= CONSECUTIVE_FAILURES || low_rate {
            let exponent = self.openings.fetch_add(1, Relaxed).min(10);
            self.open(now, FIRST_PAUSE.saturating_mul(1 << exponent).min(MAX_PAUSE));
        }
        self.probing.store(false, Release);
    }

    /// Whether it is open by something that came to light after `started`.
    fn before_opening(&self, started: Duration) -> bool {
        self.open_until_ms.load(Acquire) != 0 && ms(started) < self.opened_ms.load(Acquire)
    }

    /// A probe that ended without telling anything (the caller left): gives its place back.
    pub fn abandon(&self) {
        self.probing.store(false, Release);
    }

    fn open(&self, now: Duration, pause: Duration) {
        self.opened_ms.store(ms(now), Release);
        self.open_until_ms.fetch_max(ms(now + pause).max(1), AcqRel);
    }

    /// Exponential moving average over about 16 calls.
    fn note(&self, sample: u32) -> u32 {
        self.samples.fetch_add(1, Relaxed);
        let before = self.success_permille.load(Relaxed);
        let after = (before * 15 + sample) / 16;
        self.success_permille.store(after, Relaxed);
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn opens_after_failures_in_a_row_probes_once_and_closes_on_success() {
        let breaker = Breaker::default();
        for _ in 0..CONSECUTIVE_FAILURES {
            assert_eq!(breaker.pass(at(10)), Gate::Closed);
            breaker.failure(at(10), at(10), None);
        }
        assert!(matches!(breaker.pass(at(11)), Gate::Open(_)));
        assert_eq!(breaker.pass(at(1_011)), Gate::Probe);
        assert!(matches!(breaker.pass(at(1_011)), Gate::Open(_)), "one probe at a time");
        breaker.failure(at(1_011), at(1_020), None);
        assert!(matches!(breaker.pass(at(2_500)), Gate::Open(_)), "the second pause is longer");
        assert_eq!(breaker.pass(at(3_100)), Gate::Probe);
        breaker.success(at(3_100));
        assert_eq!(breaker.pass(at(3_101)), Gate::Closed);
    }

    #[test]
    fn an_abandoned_probe_gives_its_place_back() {
        let breaker = Breaker::default();
        breaker.failure(at(0), at(0), Some(at(100)));
        assert_eq!(breaker.pass(at(101)), Gate::Probe);
        breaker.abandon();
        assert_eq!(breaker.pass(at(102)), Gate::Probe);
    }

    #[test]
    fn honours_and_bounds_retry_after() {
        let breaker = Breaker::default();
        breaker.failure(at(0), at(0), Some(Duration::from_secs(7)));
        assert_eq!(breaker.peek(at(6_999)), Gate::Open(at(7_000)));
        breaker.failure(at(0), at(0), Some(Duration::from_secs(1_000_000)));
        assert_eq!(breaker.peek(at(1)), Gate::Open(at(3_600_000)));
    }

    #[test]
    fn many_calls_that_fail_at_once_open_it_once() {
        let breaker = Breaker::default();
        for _ in 0..64 {
            assert_eq!(breaker.pass(at(10)), Gate::Closed);
        }
        for _ in 0..64 {
            breaker.failure(at(10), at(20), None);
        }
        assert_eq!(breaker.peek(at(21)), Gate::Open(at(1_020)), "the first pause, not the longest");
        breaker.success(at(10));
        assert_eq!(breaker.peek(at(21)), Gate::Open(at(1_020)), "an old call tells nothing new");
        breaker.success(at(21));
        assert_eq!(breaker.peek(at(22)), Gate::Closed, "one that was let pass all the same does");
    }

    #[test]
    fn a_grey_failure_opens_by_rate() {
        let breaker = Breaker::default();
        let mut opened = false;
        for call in 0..200 {
            if breaker.pass(at(call)) != Gate::Closed {
                opened = true;
                break;
            }
            if call % 4 == 0 { breaker.success(at(call)) } else { breaker.failure(at(call), at(call), None) }
        }
        assert!(opened);
    }
}
