//! Time as an argument.

use jiff::Timestamp;
use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

/// The one way to learn the time. The real clock stands in the binary; tests and `demo --at` use others, so
/// a decision can be made for any instant and every test is repeatable.
pub trait Clock: Send + Sync {
    /// The wall-clock instant: for terms, dates, records.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back: for timeouts, breakers, latency.
    fn monotonic(&self) -> Duration;
}

/// A clock that stands until it is told to move. For tests.
#[derive(Debug)]
pub struct ManualClock {
    wall_us: AtomicI64,
    elapsed_us: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self { wall_us: AtomicI64::new(start.as_microsecond()), elapsed_us: AtomicU64::new(0) }
    }

    /// Moves both readings forward.
    pub fn advance(&self, by: Duration) {
        let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.elapsed_us.fetch_add(us, Ordering::SeqCst);
        self.wall_us.fetch_add(i64::try_from(us).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock, as an administrator or a leap of NTP would; the monotonic reading stands.
    pub fn set(&self, to: Timestamp) {
        self.wall_us.store(to.as_microsecond(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.wall_us.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.elapsed_us.load(Ordering::SeqCst))
    }
}
