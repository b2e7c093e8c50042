//! The rules of a pack over time: when each holds and how it acts then. One model, drawn as text here and as a
//! picture in the book.

use super::{RuleInfo, Terms, sentence};
use crate::{
    explain::{WIDTH, wrap},
    instant,
    permission::Mode,
};
use jiff::Timestamp;
use std::{fmt::Write as _, sync::Arc};

/// How a rule acts during a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// As its mode says.
    As(Mode),
    /// It refuses nothing: a notice.
    Notice,
}

impl Acts {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::As(mode) => mode.name(),
            Self::Notice => "notice",
        }
    }

    /// The mark that fills a bar.
    const fn mark(self) -> char {
        match self {
            Self::As(Mode::Enforce) => '#',
            Self::As(Mode::Warn) => '=',
            Self::As(Mode::Observe) => '-',
            Self::Notice => '.',
        }
    }
}

/// What the marks mean.
pub const LEGEND: &str =
    "# enforce   = warn   - observe   . notice (refuses nothing)   | the date asked about";

/// A stretch of time in which a rule acts in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// First instant; `None`: since ever.
    pub from: Option<Timestamp>,
    /// First instant after it; `None`: open.
    pub until: Option<Timestamp>,
    /// How it acts.
    pub acts: Acts,
}

impl Stretch {
    /// True where it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// A rule with its stretches.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// Sorted, not overlapping, without a gap.
    pub stretches: Vec<Stretch>,
}

impl Bar {
    /// How the rule acts at `now`; `None`: it is not in force.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<Acts> {
        self.stretches.iter().find(|stretch| stretch.holds(now)).map(|stretch| stretch.acts)
    }
}

/// The rules of a pack over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Every rule, by its begin, then its end, then its id.
    pub bars: Vec<Bar>,
    /// Every instant at which one of them changes; sorted.
    pub boundaries: Vec<Timestamp>,
    /// The instant that is asked about.
    pub now: Timestamp,
}

impl Timeline {
    /// The timeline of a pack.
    #[must_use]
    pub fn new(terms: &Terms, pack: &str, now: Timestamp) -> Self {
        let mut bars: Vec<Bar> = terms
            .rules
            .values()
            .filter(|rule| *rule.info.pack == *pack)
            .map(|rule| {
                let modes: Vec<_> = rule.modes.iter().map(|mode| (mode.from, mode.mode)).collect();
                Bar { rule: Arc::clone(&rule.info), stretches: stretches(&rule.info, &modes, rule.notice) }
            })
            .collect();
        bars.sort_by(|a, b| {
            let key = |bar: &Bar| {
                (bar.rule.from, bar.rule.until.unwrap_or(Timestamp::MAX), Arc::clone(&bar.rule.id))
            };
            key(a).cmp(&key(b))
        });
        let mut boundaries: Vec<Timestamp> = bars
            .iter()
            .flat_map(|bar| &bar.stretches)
            .flat_map(|stretch| [stretch.from, stretch.until])
            .flatten()
            .collect();
        boundaries.sort();
        boundaries.dedup();
        Self { bars, boundaries, now }
    }

    /// The first instant of each window, `None` for the one before the first boundary.
    fn windows(&self) -> Vec<Option<Timestamp>> {
        std::iter::once(None).chain(self.boundaries.iter().copied().map(Some)).collect()
    }

    /// Bars over the boundaries, with a mark at the window in which the date lies. Time is not to scale: a window
    /// is a column, because two months between two contracts matter as much as two years.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let names = self.bars.iter().map(|bar| bar.rule.id.chars().count()).max().unwrap_or(0);
        let windows = self.windows();
        let room = WIDTH.saturating_sub(names + 4);
        // The newest windows stay where not all of them find room.
        let width = (room / windows.len().max(1)).clamp(2, 8);
        let skipped = windows.len().saturating_sub(room / width);
        let shown = windows.get(skipped..).unwrap_or_default();
        let here = shown.iter().rposition(|from| from.is_none_or(|from| from <= self.now));
        if !self.boundaries.is_empty() {
            let letters: String = (skipped..)
                .zip(shown)
                .map(|(index, from)| {
                    let letter = from.map_or(' ', |_| letter(index));
                    format!("{letter}{}", " ".repeat(width - 1))
                })
                .collect();
            let _ = writeln!(out, "  {:names$}  {}", "", letters.trim_end());
        }
        for bar in &self.bars {
            let mut line = String::new();
            for (index, from) in shown.iter().enumerate() {
                let inside = from.unwrap_or_else(|| {
                    self.boundaries.first().map_or(self.now, |first| sentence::last(*first))
                });
                let mark = bar.at(inside).map_or(' ', Acts::mark);
                let middle = width / 2;
                line.extend(
                    (0..width).map(|at| if Some(index) == here && at == middle { '|' } else { mark }),
                );
            }
            let _ = writeln!(out, "  {:names$}  {}", bar.rule.id, line.trim_end());
        }
        let legend: Vec<String> = (skipped..)
            .zip(shown)
            .filter_map(|(index, from)| Some(format!("{}={}", letter(index), day((*from)?))))
            .collect();
        if !legend.is_empty() {
            wrap(&mut out, "  ", &legend.join("   "));
        }
        if skipped > 0 {
            let _ = writeln!(out, "  ({skipped} earlier windows are not drawn)");
        }
        out
    }
}

/// `a` for the first boundary; beyond the alphabets a `+`.
fn letter(index: usize) -> char {
    let letters = ('a'..='z').chain('A'..='Z');
    index.checked_sub(1).and_then(|index| letters.clone().nth(index)).unwrap_or('+')
}

/// A date where it is the first moment of one in UTC, else the instant.
fn day(instant: Timestamp) -> String {
    let text = instant::format(instant);
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), str::to_owned)
}

/// The life of a rule, cut where its mode changes.
fn stretches(rule: &RuleInfo, modes: &[(Option<Timestamp>, Mode)], notice: bool) -> Vec<Stretch> {
    if notice {
        return vec![Stretch { from: rule.from, until: rule.until, acts: Acts::Notice }];
    }
    let inside = |date: &Timestamp| {
        rule.from.is_none_or(|from| from < *date) && rule.until.is_none_or(|until| *date < until)
    };
    let mut cuts: Vec<Timestamp> = modes.iter().filter_map(|(from, _)| *from).filter(inside).collect();
    cuts.sort();
    cuts.dedup();
    let starts = std::iter::once(rule.from).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain(std::iter::once(rule.until));
    starts
        .zip(ends)
        .map(|(from, until)| {
            let at = |date: Timestamp| {
                modes
                    .iter()
                    .rfind(|(since, _)| since.is_none_or(|since| since <= date))
                    .map_or(Mode::Observe, |(_, mode)| *mode)
            };
            // A stretch that began before any date acts as the modes without a date say.
            let mode = from.map_or_else(
                || modes.iter().rfind(|(since, _)| since.is_none()).map_or(Mode::Observe, |(_, mode)| *mode),
                at,
            );
            Stretch { from, until, acts: Acts::As(mode) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::PackChoice;
    use std::collections::BTreeMap;

    const PACK: &str = r#"
[pack]
id = "p"
title = "P"
binds = "us"
status = "draft"
mode = [{ mode = "observe" }, { mode = "enforce", from = 2026-03-01 }]

[[rule]]
id = "dated"
title = "T"
from = 2026-01-01
until = 2026-06-01
applies_to = { family = "claude" }
forbidden = { cloud = "aws" }
source = "s"
clause = "c"

[[rule]]
id = "note"
title = "T"
notice = "Know this"
source = "s"
clause = "c"
"#;

    #[test]
    fn bars_change_their_mark_where_the_mode_changes() {
        let pack = PackChoice { file: "p.toml", text: PACK, mode: None };
        let terms = Terms::compile(&[pack], &BTreeMap::new()).unwrap();
        let timeline = Timeline::new(&terms, "p", instant::parse("2026-04-01").unwrap());
        assert_eq!(
            timeline.text(),
            "                 a       b       c\n\
             \x20 note   ....................|...........\n\
             \x20 dated          --------####|###\n\
             \x20 a=2026-01-01 b=2026-03-01 c=2026-06-01\n"
        );
    }
}
