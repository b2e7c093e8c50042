//! Facts that add up instead of shadowing each other: attestations. Each row is one that somebody confirmed, for
//! its scope and until its expiry; what holds is all of them together.

use super::{DatedFact, Fact};
use crate::attribute::{UNKNOWN, Value};
use jiff::Timestamp;
use std::sync::Arc;

/// Matching rows in any order → rows that do not overlap, sorted by date, each the union of those in force.
pub(super) fn gather(rows: &[DatedFact]) -> Vec<DatedFact> {
    let mut dates: Vec<Timestamp> = rows.iter().flat_map(|row| [row.from, row.until]).flatten().collect();
    dates.sort();
    dates.dedup();
    let starts = std::iter::once(None).chain(dates.iter().copied().map(Some));
    let ends = dates.iter().copied().map(Some).chain(std::iter::once(None));
    let mut all: Vec<DatedFact> = Vec::new();
    for (from, until) in starts.zip(ends) {
        let in_force = |row: &&DatedFact| {
            row.from.is_none_or(|start| from.is_some_and(|from| start <= from))
                && row.until.is_none_or(|end| until.is_some_and(|until| until <= end))
        };
        let facts: Vec<&Fact> = rows.iter().filter(in_force).map(|row| &row.fact).collect();
        let Some(fact) = together(&facts) else { continue };
        match all.last_mut() {
            Some(last) if last.fact == fact && last.until == from && from.is_some() => last.until = until,
            _ => all.push(DatedFact { from, until, fact }),
        }
    }
    all
}

/// Several facts as one: all words, the weakest basis, the lowest confidence, the oldest look-up, every source.
fn together(facts: &[&Fact]) -> Option<Fact> {
    let first = facts.first()?;
    let words = facts.iter().flat_map(|fact| fact.value.words()).filter(|word| *word != UNKNOWN);
    let mut sources: Vec<&str> = Vec::new();
    for fact in facts {
        if !fact.source.is_empty() && !sources.contains(&&*fact.source) {
            sources.push(&fact.source);
        }
    }
    Some(Fact {
        value: Value::set(words, UNKNOWN),
        // A declared fact is never shown as observed: the enumeration's order is the order of weakness.
        basis: facts.iter().map(|fact| fact.basis).min().unwrap_or(first.basis),
        source: sources.join("; ").into(),
        as_of: facts
            .iter()
            .map(|fact| &fact.as_of)
            .filter(|day| !day.is_empty())
            .min()
            .map_or_else(|| "".into(), Arc::clone),
        confidence: facts.iter().map(|fact| fact.confidence).max().unwrap_or(first.confidence),
    })
}
