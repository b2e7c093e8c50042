//! What changes between two fact books, or between two dates of one, in rows and in the deployments of a fleet.

use super::{BookRow, DatedFact, DeploymentFacts, DeploymentSpec, Fact, FactBook};
use crate::attribute::Attribute;
use domain::DeploymentId;
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// A fact with the dates between which it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// First instant; `None`: since ever.
    pub from: Option<Timestamp>,
    /// First instant after it; `None`: open.
    pub until: Option<Timestamp>,
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
}

impl From<&DatedFact> for Stretch {
    fn from(dated: &DatedFact) -> Self {
        Self { from: dated.from, until: dated.until, fact: dated.fact.clone() }
    }
}

/// A fact of a deployment that is not the same before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whose.
    pub deployment: DeploymentId,
    /// Which.
    #[serde(rename = "fact")]
    pub attribute: Attribute,
    /// As it was; empty: not stated.
    pub before: Vec<Stretch>,
    /// As it is then; empty: not stated.
    pub after: Vec<Stretch>,
}

/// A fact of which the rows about the same deployments are not the same in two books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowChange {
    /// Which.
    #[serde(rename = "fact")]
    pub attribute: Attribute,
    /// Of whom, as a person reads it.
    pub of: String,
    /// Where it stood; empty where it was not there.
    pub place_before: Vec<String>,
    /// Where it stands; empty where it is gone.
    pub place_after: Vec<String>,
    /// What was stated.
    pub before: Vec<Stretch>,
    /// What is stated.
    pub after: Vec<Stretch>,
}

/// A row that begins or ends between two dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// True where the row begins then, false where it ends.
    pub begins: bool,
    /// Which fact.
    #[serde(rename = "fact")]
    pub attribute: Attribute,
    /// Of whom.
    pub of: String,
    /// What it says, until when or since when.
    #[serde(flatten)]
    pub stretch: Stretch,
    /// Where it stands.
    pub place: String,
}

/// What two books say differently of these deployments. Two facts are the same where value, basis and dates are:
/// a new source or a new day of looking it up changes nothing for a call.
#[must_use]
pub fn compare_books(old: &FactBook, new: &FactBook, fleet: &[DeploymentSpec]) -> Vec<Difference> {
    let mut all = Vec::new();
    for spec in fleet {
        let (before, after) = (old.describe(spec), new.describe(spec));
        for attribute in Attribute::facts() {
            let [before, after] = [&before, &after].map(|facts| stretches(facts, attribute));
            if !alike(&before, &after) {
                all.push(Difference { deployment: spec.id.clone(), attribute, before, after });
            }
        }
    }
    all
}

/// What one book says differently of these deployments at two dates.
#[must_use]
pub fn compare_dates(
    book: &FactBook,
    fleet: &[DeploymentSpec],
    old: Timestamp,
    new: Timestamp,
) -> Vec<Difference> {
    let mut all = Vec::new();
    for spec in fleet {
        let facts = book.describe(spec);
        for attribute in Attribute::facts() {
            let [before, after] =
                [old, new].map(|now| facts.dated(attribute, now).map(Stretch::from).into_iter().collect());
            if facts.value(attribute, old) != facts.value(attribute, new) {
                all.push(Difference { deployment: spec.id.clone(), attribute, before, after });
            }
        }
    }
    all
}

/// Which rows two books do not have in common, by fact and by whom it is stated of. Here a source counts too:
/// this is what a reviewer of the book reads.
#[must_use]
pub fn compare_rows(old: &FactBook, new: &FactBook) -> Vec<RowChange> {
    type Key<'b> = (Attribute, &'b [(Attribute, Vec<Arc<str>>)]);
    let mut keyed: BTreeMap<Key<'_>, [Vec<&BookRow>; 2]> = BTreeMap::new();
    for (side, book) in [old, new].into_iter().enumerate() {
        for row in book.rows() {
            if let Some(rows) = keyed.entry((row.attribute, &row.of)).or_default().get_mut(side) {
                rows.push(row);
            }
        }
    }
    let mut all = Vec::new();
    for ((attribute, _), [before, after]) in keyed {
        let dated = |rows: &[&BookRow]| rows.iter().map(|row| Stretch::from(&row.dated)).collect::<Vec<_>>();
        let place = |rows: &[&BookRow]| rows.iter().map(|row| row.place()).collect::<Vec<_>>();
        let stretches = [dated(&before), dated(&after)];
        let [old, new] = stretches;
        if old == new {
            continue;
        }
        let of = before.first().or(after.first()).map_or_else(String::new, |row| row.subject());
        all.push(RowChange {
            attribute,
            of,
            place_before: place(&before),
            place_after: place(&after),
            before: old,
            after: new,
        });
    }
    all
}

/// Rows that begin or end after `old`, up to and with `new`, by date.
#[must_use]
pub fn turns(book: &FactBook, old: Timestamp, new: Timestamp) -> Vec<Turn> {
    let within = |date: &Timestamp| *date > old && *date <= new;
    let mut all: Vec<Turn> = Vec::new();
    for row in book.rows() {
        let dates = [(row.dated.from, true), (row.dated.until, false)];
        for (at, begins) in dates.into_iter().filter_map(|(date, begins)| Some((date?, begins))) {
            if within(&at) {
                all.push(Turn {
                    at,
                    begins,
                    attribute: row.attribute,
                    of: row.subject(),
                    stretch: Stretch::from(&row.dated),
                    place: row.place(),
                });
            }
        }
    }
    all.sort_by_key(|turn| (turn.at, turn.begins));
    all
}

fn stretches(facts: &DeploymentFacts, attribute: Attribute) -> Vec<Stretch> {
    facts.rows.get(&attribute).into_iter().flatten().map(Stretch::from).collect()
}

fn alike(before: &[Stretch], after: &[Stretch]) -> bool {
    let same = |(a, b): (&Stretch, &Stretch)| {
        (a.from, a.until, &a.fact.value, a.fact.basis) == (b.from, b.until, &b.fact.value, b.fact.basis)
    };
    before.len() == after.len() && before.iter().zip(after).all(same)
}
