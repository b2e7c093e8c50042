//! What counts of a deployment at an instant, from which row, until when, and which other rows it shadows; and
//! who offers a model.

use super::{DatedFact, DeploymentSpec, Fact, FactBook, Stated, book::weight};
use crate::attribute::{Attribute, Shape, Value};
use domain::{DeploymentId, ModelName};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};

/// At most this many places of one host are listed: the host itself and those that its rows tell apart.
const PLACES_MAX: usize = 32;

/// One fact as it stands at an instant.
#[derive(Clone, Debug, Serialize)]
pub struct FactShown {
    /// Which.
    #[serde(rename = "fact")]
    pub attribute: Attribute,
    /// The value with what it rests on.
    #[serde(flatten)]
    pub fact: Fact,
    /// First instant of this value; `None`: since ever, as far as is recorded.
    pub since: Option<Timestamp>,
    /// First instant at which it no longer holds; `None`: open.
    pub until: Option<Timestamp>,
    /// The value that is recorded for after `until`.
    pub then: Option<Value>,
    /// Where the row stands; `None` where no book states it.
    pub place: Option<String>,
    /// True where the row is of an overlay.
    pub overlay: bool,
    /// Rows that also match and hold at the instant, and do not count, most specific first.
    pub shadows: Vec<Shadowed>,
}

/// A row that matches and does not count.
#[derive(Clone, Debug, Serialize)]
pub struct Shadowed {
    /// What it says.
    pub value: Value,
    /// Where it says it is from.
    pub source: Arc<str>,
    /// Where it stands.
    pub place: String,
}

/// Every placement fact of one deployment at `now`, in the order of the attributes.
#[must_use]
pub fn show(book: &FactBook, spec: &DeploymentSpec, now: Timestamp) -> Vec<FactShown> {
    let facts = book.describe(spec);
    let known = book.known(spec);
    Attribute::facts()
        .map(|attribute| {
            let stretch = facts.dated(attribute, now);
            let until = stretch.map_or_else(|| facts.next_change(attribute, now), |row| row.until);
            let holding: Vec<_> = book
                .ranked(attribute, spec, &known)
                .into_iter()
                .filter(|(dated, _)| dated.holds(now))
                .collect();
            let place = |dated: &DatedFact, row: Option<&super::BookRow>| {
                row.map_or_else(|| dated.fact.source.to_string(), super::BookRow::place)
            };
            // Rows of a set that must hold all add up: none shadows another.
            let adds_up = attribute.shape() == Shape::HasAll;
            let counting = if adds_up { holding.len() } else { 1 };
            let places: Vec<String> =
                holding.iter().take(counting).map(|(dated, row)| place(dated, *row)).collect();
            FactShown {
                attribute,
                fact: stretch.map_or_else(|| Fact::unstated(attribute), |row| row.fact.clone()),
                since: stretch.and_then(|row| row.from),
                until,
                then: until.map(|until| facts.value(attribute, until)),
                place: (!places.is_empty()).then(|| places.join(", ")),
                overlay: holding.iter().take(counting).any(|(_, row)| row.is_some_and(|row| row.overlay)),
                shadows: holding
                    .iter()
                    .skip(counting)
                    .map(|(dated, row)| Shadowed {
                        value: dated.fact.value.clone(),
                        source: Arc::clone(&dated.fact.source),
                        place: place(dated, *row),
                    })
                    .collect(),
            }
        })
        .collect()
}

/// A place where a model may be had, as far as the book says.
#[derive(Clone, Debug, Serialize)]
pub struct HostShown {
    /// The provider, or the seller where the book knows it by that.
    pub host: String,
    /// What tells this place from others of the host: region, hosting option.
    pub only: Vec<(Attribute, Arc<str>)>,
    /// Whether it is offered there.
    pub availability: FactShown,
    /// Seller, operator, processor, cloud, retention.
    pub facts: Vec<FactShown>,
}

/// The facts that tell one host of a model from another.
const OF_A_HOST: [Attribute; 5] =
    [Attribute::Seller, Attribute::Operator, Attribute::Processor, Attribute::Cloud, Attribute::Retention];

/// Who offers a model at `now`: every provider and seller of which the book states an availability of it, and
/// those in `listed` (a price list, for instance), each with the regions and hosting options that make a
/// difference. At most 32 places of a host.
#[must_use]
pub fn hosts(book: &FactBook, model: &ModelName, listed: &[&str], now: Timestamp) -> Vec<HostShown> {
    let named = |attribute: Attribute| -> BTreeSet<Arc<str>> {
        let words = book.rows().iter().flat_map(|row| &row.of).filter(|(own, _)| *own == attribute);
        words.flat_map(|(_, words)| words.iter().cloned()).filter(|word| !word.ends_with('*')).collect()
    };
    let providers: BTreeSet<Arc<str>> =
        named(Attribute::Provider).into_iter().chain(listed.iter().map(|id| Arc::from(*id))).collect();
    let spec = |provider: &str, stated: Vec<Stated>| DeploymentSpec {
        id: DeploymentId::new(provider),
        provider: provider.into(),
        model: model.clone(),
        stated,
    };
    let mut all = Vec::new();
    for provider in &providers {
        let base = spec(provider, Vec::new());
        places(book, &base, provider, listed.contains(&&**provider), now, &mut all);
    }
    for seller in named(Attribute::Seller) {
        let stated: Vec<Stated> = Stated::new(Attribute::Seller, &[&seller], "asked").into_iter().collect();
        places(book, &spec("openai-compatible", stated), &seller, false, now, &mut all);
    }
    all
}

/// The host itself and each place that its rows about this model tell apart.
fn places(
    book: &FactBook,
    base: &DeploymentSpec,
    host: &str,
    listed: bool,
    now: Timestamp,
    all: &mut Vec<HostShown>,
) {
    let known = book.known(base);
    let mut found: Vec<Vec<(Attribute, Arc<str>)>> = vec![Vec::new()];
    let mut stated_at_all = false;
    for row in book.rows() {
        if row.attribute != Attribute::Availability && !OF_A_HOST.contains(&row.attribute) {
            continue;
        }
        let narrows = |attribute: Attribute| matches!(attribute, Attribute::Region | Attribute::HostedOn);
        let (extra, common): (Vec<_>, Vec<_>) =
            row.of.iter().cloned().partition(|(attribute, _)| narrows(*attribute));
        let names_model = common.iter().any(|(a, _)| matches!(a, Attribute::Model | Attribute::Family));
        let bare = super::BookRow { of: common, ..row.clone() };
        if weight(&bare, &known).is_none() {
            continue;
        }
        stated_at_all |= row.attribute == Attribute::Availability;
        if names_model && let [(attribute, words)] = extra.as_slice() {
            let here = words.iter().filter(|word| !word.ends_with('*'));
            found.extend(here.map(|word| vec![(*attribute, Arc::clone(word))]));
        }
    }
    if !stated_at_all && !listed {
        return;
    }
    found.sort();
    found.dedup();
    for only in found.into_iter().take(PLACES_MAX) {
        let mut spec = base.clone();
        for (attribute, word) in &only {
            spec.stated.extend(Stated::new(*attribute, &[word], "asked"));
        }
        let (mut availability, mut facts) = (None, Vec::new());
        for fact in show(book, &spec, now) {
            match fact.attribute {
                Attribute::Availability => availability = Some(fact),
                other if OF_A_HOST.contains(&other) => facts.push(fact),
                _ => {}
            }
        }
        let Some(availability) = availability else { continue };
        all.push(HostShown { host: host.to_owned(), only, availability, facts });
    }
}
