//! How facts look as text.

use jiff::Timestamp;
use placement::{
    Value,
    facts::{FactShown, Stretch},
    instant,
};

/// Columns of the fact's name, so that values stand under each other.
const NAME: usize = 28;

/// `2026-04-27`, or with the time where it is not the first moment of the day.
pub(super) fn date(at: Timestamp) -> String {
    let text = instant::format(at);
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), str::to_owned)
}

/// `since 2026-03-05, until 2027-09-02, then retired`.
pub(super) fn dates(from: Option<Timestamp>, until: Option<Timestamp>, then: Option<&Value>) -> String {
    let mut parts = Vec::new();
    parts.extend(from.map(|from| format!("since {}", date(from))));
    parts.extend(until.map(|until| format!("until {}", date(until))));
    if let (Some(_), Some(then)) = (until, then) {
        parts.push(format!("then {then}"));
    }
    parts.join(", ")
}

/// One fact with what it rests on, and what it shadows.
pub(super) fn fact(shown: &FactShown) -> String {
    use std::fmt::Write as _;
    let own = &shown.fact;
    let mut out = format!("  {:<NAME$} {}", shown.attribute.name(), own.value);
    let span = dates(shown.since, shown.until, shown.then.as_ref());
    if !span.is_empty() {
        let _ = write!(out, "  ({span})");
    }
    out.push('\n');
    let blank = "";
    let Some(place) = &shown.place else {
        let why = if own.source.is_empty() { "nobody states it" } else { &own.source };
        let _ = writeln!(out, "  {blank:<NAME$}   {why}");
        return out;
    };
    let looked = if own.as_of.is_empty() { String::new() } else { format!(", looked up {}", own.as_of) };
    let overlay = if shown.overlay { ", overlay" } else { "" };
    let _ = writeln!(
        out,
        "  {blank:<NAME$}   {}, {}{looked}{overlay}: {}",
        own.basis.name(),
        own.confidence.name(),
        own.source
    );
    if **place != *own.source {
        let _ = writeln!(out, "  {blank:<NAME$}   {place}");
    }
    for other in &shown.shadows {
        let _ = writeln!(out, "  {blank:<NAME$}   shadows {} of {}", other.value, other.place);
    }
    out
}

/// Values with their dates, joined; `not stated` where there are none.
pub(super) fn stretches(all: &[Stretch]) -> String {
    if all.is_empty() {
        return "not stated".to_owned();
    }
    let one = |stretch: &Stretch| {
        let span = dates(stretch.from, stretch.until, None);
        let value = &stretch.fact.value;
        if span.is_empty() { value.to_string() } else { format!("{value} ({span})") }
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}
