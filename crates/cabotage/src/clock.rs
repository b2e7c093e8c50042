//! The real clock, and one that is set off from it.

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// The system's clock, shifted by a fixed span: nothing for the real time, some months for `demo --at`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock {
    started: Instant,
    shift: SignedDuration,
}

impl SystemClock {
    /// The real time.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time comes from")]
    pub(crate) fn real() -> Self {
        Self { started: Instant::now(), shift: SignedDuration::ZERO }
    }

    /// Shows `at` now and runs on from there.
    #[cfg_attr(not(test), allow(dead_code, reason = "the demo's --at uses it"))]
    #[expect(clippy::disallowed_methods, reason = "the one place where the time comes from")]
    pub(crate) fn showing(at: Timestamp) -> Self {
        Self { started: Instant::now(), shift: at.duration_since(Timestamp::now()) }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time comes from")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.shift).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_runs_on_from_where_it_was_set() {
        let at: Timestamp = "2026-11-30T23:59:40Z".parse().unwrap();
        let clock = SystemClock::showing(at);
        let shown = clock.now();
        assert!(shown >= at && shown.duration_since(at) < SignedDuration::from_secs(5), "{shown}");
        assert!(clock.monotonic() <= clock.monotonic());
    }
}
