//! A wall clock that jumps is recorded: terms begin and end by it, so whoever reads the records must know.

use crate::engine::Engine;
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A difference between the wall clock and the monotonic one above this is a jump. NTP slews by far less in the
/// seconds between two looks.
const JUMP: SignedDuration = SignedDuration::from_secs(5);

/// Both clocks as they were at the last look.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch(Mutex<Option<(Timestamp, Duration)>>);

impl ClockWatch {
    /// How far the wall clock stepped since the last look, forward or back, where that is a jump.
    fn look(&self, wall: Timestamp, monotonic: Duration) -> Option<SignedDuration> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, then) = last.replace((wall, monotonic))?;
        let passed = SignedDuration::try_from(monotonic.saturating_sub(then)).unwrap_or(SignedDuration::MAX);
        let step = wall.duration_since(before).saturating_sub(passed);
        (step.abs() > JUMP).then_some(step)
    }
}

impl Engine {
    /// Compares the wall clock with the monotonic one and journals a `clock-jump` where it stepped by more than
    /// five seconds since the last look. To be called every few seconds. A machine that slept jumps forward.
    pub fn watch_clock(&self) {
        let clock = &self.shared.clock;
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        let Some(step) = self.clock_watch.look(wall, monotonic) else { return };
        let way = if step.is_negative() { "back" } else { "forward" };
        let text = format!("the wall clock stepped {way} by {:#}, to {wall}", step.abs());
        tracing::warn!("{text}: terms are judged by it");
        self.notice("clock-jump", &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineSettings;
    use domain::{ManualClock, journal::MemoryJournal, record::Record};
    use std::sync::Arc;

    #[test]
    fn a_clock_that_jumps_is_recorded_and_one_that_runs_is_not() {
        let clock = Arc::new(ManualClock::at("2026-04-26T23:59:50Z".parse().unwrap()));
        let journal = Arc::new(MemoryJournal::default());
        let engine = Engine::new(EngineSettings {
            clock: Arc::clone(&clock) as _,
            journal: Arc::clone(&journal) as _,
            max_buffered: 1,
            seed: [0; 32],
        });
        let jumps = || -> Vec<String> {
            let records = journal.records().into_iter();
            let text = |record| match record {
                Record::Notice(notice) if &*notice.kind == "clock-jump" => Some(notice.text.to_string()),
                _ => None,
            };
            records.filter_map(text).collect()
        };
        engine.watch_clock();
        // An hour passes, the clock is slewed by four seconds: nothing.
        clock.advance(Duration::from_secs(3_600));
        engine.watch_clock();
        clock.advance(Duration::from_secs(5));
        clock.set("2026-04-27T01:00:00Z".parse().unwrap());
        engine.watch_clock();
        assert_eq!(jumps(), [""; 0]);
        // Back over the boundary, and forward again.
        clock.set("2026-04-26T22:00:00Z".parse().unwrap());
        engine.watch_clock();
        engine.watch_clock();
        assert_eq!(jumps(), ["the wall clock stepped back by 3h, to 2026-04-26T22:00:00Z"]);
        clock.advance(Duration::from_secs(10));
        clock.set("2026-04-26T22:00:16Z".parse().unwrap());
        engine.watch_clock();
        assert_eq!(jumps().last().unwrap(), "the wall clock stepped forward by 6s, to 2026-04-26T22:00:16Z");
    }
}
