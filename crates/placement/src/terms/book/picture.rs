//! The timeline of a pack as an inline picture (SVG). Time is not to scale: each stretch between two dates is a
//! column, because two months between two contracts matter as much as two years.

use super::escape;
use crate::{
    instant,
    permission::Mode,
    terms::{
        sentence,
        timeline::{Acts, Timeline},
    },
};
use std::fmt::Write as _;

/// Width of the picture, in its own units.
const WIDTH: usize = 960;
/// Room for the names of rules, on the left.
const NAMES: usize = 250;
/// Height of the row of dates.
const DATES: usize = 46;
/// Height of a bar with its gap.
const ROW: usize = 24;
/// At most this many columns are drawn; of more, the newest.
const COLUMNS_MAX: usize = 40;

/// The picture; empty where nothing in the pack has a date.
pub(super) fn svg(timeline: &Timeline) -> String {
    if timeline.boundaries.is_empty() {
        return String::new();
    }
    let all: Vec<Option<_>> =
        std::iter::once(None).chain(timeline.boundaries.iter().copied().map(Some)).collect();
    let columns = all.get(all.len().saturating_sub(COLUMNS_MAX)..).unwrap_or_default();
    let width = (WIDTH - NAMES) / columns.len().max(1);
    let height = DATES + ROW * timeline.bars.len() + 8;
    let mut out = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"When each rule holds\">\n"
    );
    let left = |column: usize| NAMES + column * width;
    // Dates that stand too close for one line are told on two.
    for (column, from) in columns.iter().enumerate() {
        let Some(from) = from else { continue };
        let at = left(column);
        let line = if width < 76 && column % 2 == 0 { 12 } else { 28 };
        let _ = writeln!(
            out,
            "<text class=\"date\" x=\"{at}\" y=\"{line}\" text-anchor=\"middle\">{}</text>\
             <line class=\"cut\" x1=\"{at}\" x2=\"{at}\" y1=\"{}\" y2=\"{}\"/>",
            day(*from),
            line + 4,
            height - 4,
        );
    }
    for (row, bar) in timeline.bars.iter().enumerate() {
        let top = DATES + row * ROW;
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"0\" y=\"{}\">{}</text>",
            top + 14,
            escape(&crate::explain::cut(&bar.rule.id, 36))
        );
        for (column, from) in columns.iter().enumerate() {
            let inside = from.or_else(|| timeline.boundaries.first().map(|first| sentence::last(*first)));
            let Some(acts) = inside.and_then(|inside| bar.at(inside)) else { continue };
            // The last column has no end: its bar runs on to the edge.
            let end = if column + 1 == columns.len() { WIDTH } else { left(column + 1) };
            let _ = writeln!(
                out,
                "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"15\"/>",
                class(acts),
                left(column),
                top + 3,
                end.saturating_sub(left(column))
            );
        }
    }
    if let Some(here) = columns.iter().rposition(|from| from.is_none_or(|from| from <= timeline.now)) {
        let at = left(here) + width / 2;
        let _ = writeln!(
            out,
            "<line class=\"now\" x1=\"{at}\" x2=\"{at}\" y1=\"{}\" y2=\"{height}\"/>\
             <text class=\"today\" x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            DATES - 4,
            DATES - 7,
            day(timeline.now),
        );
    }
    out.push_str("</svg>\n");
    out
}

/// The class of the style sheet that colours a bar.
pub(super) const fn class(acts: Acts) -> &'static str {
    match acts {
        Acts::As(Mode::Enforce) => "enforce",
        Acts::As(Mode::Warn) => "warn",
        Acts::As(Mode::Observe) => "observe",
        Acts::Notice => "notice",
    }
}

fn day(at: jiff::Timestamp) -> String {
    instant::format(at).chars().take(10).collect()
}
