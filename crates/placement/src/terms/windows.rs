//! Time cut where anything changes: between two boundaries neither a rule nor a fact does, so one answer
//! holds for the whole stretch.

use crate::permission::WindowIndex;
use jiff::Timestamp;

/// All boundaries, sorted; window `i` ends where boundary `i` begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    boundaries: Vec<Timestamp>,
}

impl Windows {
    /// From boundaries in any order, with doubles.
    #[must_use]
    pub fn new(boundaries: impl IntoIterator<Item = Timestamp>) -> Self {
        let mut boundaries: Vec<Timestamp> = boundaries.into_iter().collect();
        boundaries.sort();
        boundaries.dedup();
        Self { boundaries }
    }

    /// The window in which `now` lies. A boundary belongs to the window that it opens.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> WindowIndex {
        let index = self.boundaries.partition_point(|boundary| *boundary <= now);
        WindowIndex(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The first instant of a window; `None` for the first window and for one that is not there.
    #[must_use]
    pub fn start(&self, window: WindowIndex) -> Option<Timestamp> {
        let before = usize::try_from(window.0).ok()?.checked_sub(1)?;
        self.boundaries.get(before).copied()
    }

    /// The first instant after a window; `None` for the last.
    #[must_use]
    pub fn end(&self, window: WindowIndex) -> Option<Timestamp> {
        self.boundaries.get(usize::try_from(window.0).ok()?).copied()
    }

    /// An instant inside the window, to evaluate it at: its first; of the first window, the millisecond
    /// before its end. `None` where there is no such window.
    #[must_use]
    pub fn inside(&self, window: WindowIndex) -> Option<Timestamp> {
        match (self.start(window), self.end(window)) {
            (Some(start), _) => Some(start),
            (None, Some(end)) if window.0 == 0 => {
                end.checked_sub(jiff::SignedDuration::from_millis(1)).ok().or(Some(end))
            }
            (None, None) if window.0 == 0 => Some(Timestamp::UNIX_EPOCH),
            _ => None,
        }
    }

    /// How many windows there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.boundaries.len() + 1
    }

    /// The next boundary after `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.end(self.at(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::parse;

    #[test]
    fn a_boundary_belongs_to_the_window_that_it_opens() {
        let [a, b] = ["2026-02-27", "2026-04-27"].map(|date| parse(date).unwrap());
        let windows = Windows::new([b, a, b]);
        assert_eq!(windows.count(), 3);
        let before = parse("2026-04-26T23:59:59.999Z").unwrap();
        assert_eq!((windows.at(before), windows.at(b)), (WindowIndex(1), WindowIndex(2)));
        assert_eq!((windows.start(WindowIndex(1)), windows.end(WindowIndex(1))), (Some(a), Some(b)));
        assert_eq!((windows.next(before), windows.next(b)), (Some(b), None));
        for window in [0, 1, 2].map(WindowIndex) {
            assert_eq!(windows.inside(window).map(|now| windows.at(now)), Some(window));
        }
        assert_eq!(windows.inside(WindowIndex(3)), None);
        assert_eq!(Windows::default().inside(WindowIndex(0)), Some(Timestamp::UNIX_EPOCH));
    }
}
