//! What in a fact book wants a person's attention: rows that nobody looked up for long, rows with one source,
//! dates that come, rows that match nothing.

use super::{Availability, BookRow, Confidence, DeploymentSpec, FactBook, book::weight};
use crate::attribute::{Attribute, Value};
use domain::DeploymentId;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::Serialize;
use std::sync::Arc;

/// One row of the file, with all that it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowNoted {
    /// Where it stands.
    pub place: String,
    /// Of whom.
    pub of: String,
    /// What it says.
    pub says: Vec<(Attribute, Value)>,
    /// The day it was looked up.
    pub as_of: Arc<str>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Its sources, joined.
    pub source: Arc<str>,
    /// How many sources it names.
    pub sources: usize,
}

/// A date that comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coming {
    /// When.
    pub at: Timestamp,
    /// What happens: `retired`, or the end of an attestation.
    pub what: String,
    /// Of whom.
    pub of: String,
    /// Deployments of the fleet that it concerns.
    pub deployments: Vec<DeploymentId>,
    /// Where the row stands.
    pub place: String,
}

/// What wants attention.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Staleness {
    /// Rows that were looked up longer ago than asked, oldest first.
    pub old: Vec<RowNoted>,
    /// Rows that rest on one source.
    pub single_source: Vec<RowNoted>,
    /// Rows said to be verified that name fewer than two sources: the second is not on record.
    pub second_source_unnamed: Vec<RowNoted>,
    /// Retirements and ends of attestations within the span asked, by date.
    pub coming: Vec<Coming>,
    /// Rows that match no deployment of the fleet; empty where no fleet is given.
    pub unmatched: Vec<RowNoted>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows looked up more than so many days before `now` are old.
    pub older_than_days: u16,
    /// Dates within so many days after `now` are coming.
    pub within_days: u16,
}

/// Looks through the book. Rows without a day of their own and the operator's statements are never old.
#[must_use]
pub fn stale(book: &FactBook, fleet: Option<&[DeploymentSpec]>, now: Timestamp, limits: Limits) -> Staleness {
    let today = now.to_zoned(TimeZone::UTC).date();
    let oldest = today.checked_sub(i64::from(limits.older_than_days).days()).unwrap_or(Date::MIN);
    let is_old = |row: &BookRow| row.dated.fact.as_of.parse::<Date>().is_ok_and(|day| day < oldest);
    let one =
        |row: &BookRow| matches!(row.dated.fact.confidence, Confidence::Primary | Confidence::Secondary);
    let unnamed = |row: &BookRow| row.dated.fact.confidence == Confidence::Verified && row.sources < 2;
    let mut old = noted(book, is_old);
    old.sort_by(|a, b| a.as_of.cmp(&b.as_of));
    let known: Vec<_> = fleet.unwrap_or_default().iter().map(|spec| (&spec.id, book.known(spec))).collect();
    let matching = |row: &BookRow| -> Vec<DeploymentId> {
        let fits = known.iter().filter(|(_, known)| weight(row, known).is_some());
        fits.map(|(id, _)| (*id).clone()).collect()
    };
    let unmatched = match fleet {
        Some(_) => noted(book, |row| matching(row).is_empty()),
        None => Vec::new(),
    };
    let end = now.checked_add((24 * i64::from(limits.within_days)).hours()).unwrap_or(Timestamp::MAX);
    let mut coming: Vec<Coming> = Vec::new();
    for row in book.rows() {
        let Some((at, what)) = coming_of(row) else { continue };
        if at > now && at <= end {
            let deployments = matching(row);
            coming.push(Coming { at, what, of: row.subject(), deployments, place: row.place() });
        }
    }
    coming.sort_by_key(|coming| coming.at);
    Staleness {
        old,
        single_source: noted(book, one),
        second_source_unnamed: noted(book, unnamed),
        coming,
        unmatched,
    }
}

/// The date of a row that an operator should know beforehand.
fn coming_of(row: &BookRow) -> Option<(Timestamp, String)> {
    let value = &row.dated.fact.value;
    match row.attribute {
        Attribute::Availability if Availability::of(value.as_word()) == Availability::Retired => {
            Some((row.dated.from?, "retired".to_owned()))
        }
        Attribute::Attestations => Some((row.dated.until?, format!("attestation ends: {value}"))),
        _ => None,
    }
}

/// The rows of the files that `wanted` picks, each once with all that it says.
fn noted(book: &FactBook, wanted: impl Fn(&BookRow) -> bool) -> Vec<RowNoted> {
    let mut all: Vec<RowNoted> = Vec::new();
    for row in book.rows().iter().filter(|row| wanted(row)) {
        let place = row.place();
        let says = (row.attribute, row.dated.fact.value.clone());
        match all.last_mut() {
            Some(last) if last.place == place => last.says.push(says),
            _ => all.push(RowNoted {
                place,
                of: row.subject(),
                says: vec![says],
                as_of: Arc::clone(&row.dated.fact.as_of),
                confidence: row.dated.fact.confidence,
                source: Arc::clone(&row.dated.fact.source),
                sources: row.sources,
            }),
        }
    }
    all
}
