//! What a comparison need not ask: rules that judge alike on both sides, places and workloads that no rule tells
//! apart. Everything left out here would have come out the same; a doubt is always asked.

use super::{
    Clause, Row, Terms, Waiver,
    scope::{conditions, fits, listed, touched},
};
use crate::{
    attribute::{Attribute, Owner, Value},
    facts::DeploymentFacts,
    fleet::WorkloadProfile,
};
use domain::WorkloadId;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Terms at an instant: one side of a comparison.
pub(super) type Side<'a> = (&'a Terms, Timestamp);

/// The rules that may judge differently on the two sides of a comparison.
pub(super) struct Concern<'a> {
    sides: [(Side<'a>, BTreeMap<&'a str, &'a Row>); 2],
    /// Rules that are not the same on both sides.
    changed: BTreeSet<&'a str>,
}

/// A rule that may speak differently of a place: its row, or a raw policy, of which nothing is known.
pub(super) type Doubt<'a> = Option<&'a Row>;

impl<'a> Concern<'a> {
    pub(super) fn new(before: Side<'a>, after: Side<'a>) -> Self {
        let sides = [(before, rows(before.0)), (after, rows(after.0))];
        let [(_, old), (_, new)] = &sides;
        let ids = before.0.rules.keys().chain(after.0.rules.keys()).map(|id| &**id);
        let changed = ids.filter(|id| !same(before, after, id, old.get(id).copied(), new.get(id).copied()));
        let changed = changed.collect();
        Self { sides, changed }
    }

    /// The rules that may judge calls of this place differently: those that changed, and those that read a fact
    /// that changed. Without those that cannot concern the place.
    pub(super) fn at(&self, facts: &DeploymentFacts) -> Vec<Doubt<'a>> {
        let [((_, then), _), ((_, now), _)] = &self.sides;
        let moved: Vec<Attribute> =
            Attribute::facts().filter(|own| facts.value(*own, *then) != facts.value(*own, *now)).collect();
        let mut doubts = Vec::new();
        for ((terms, at), rows) in &self.sides {
            for (id, _) in terms.rules.iter().filter(|(_, rule)| !rule.notice) {
                let row = rows.get(&**id).copied();
                let read = |row: &Row| row.clauses().any(|clause| moved.contains(&clause.attribute));
                if !(self.changed.contains(&**id) || row.map_or(!moved.is_empty(), read)) {
                    continue;
                }
                let concerns = |row: &Row| {
                    in_force(row, *at)
                        && conditions(row)
                            .filter(|clause| clause.attribute.owner() == Owner::Deployment)
                            .all(|clause| touched(clause, &facts.value(clause.attribute, *at)))
                };
                if row.is_none_or(concerns) {
                    doubts.push(row);
                }
            }
        }
        doubts
    }
}

/// Whether a rule, as far as its place goes, may concern a workload.
pub(super) fn may_concern(doubt: Doubt<'_>, workload: &WorkloadProfile) -> bool {
    doubt.is_none_or(|row| {
        conditions(row).all(|clause| match (clause.attribute, clause.attribute.owner()) {
            (Attribute::DataClasses, _) => {
                touched(clause, &Value::set(workload.data_classes.iter().map(|own| &**own), "none"))
            }
            (own, Owner::Workload) => touched(clause, &workload.value(own)),
            (_, Owner::Deployment | Owner::Context) => true,
        })
    })
}

/// A plain workload; one for each word by which these rules tell workloads apart, of words that no rule of the terms
/// tells apart the first; and one for each rule that asks for several at once.
pub(super) fn kinds(doubts: &[Doubt<'_>], terms: &[&Terms]) -> Vec<WorkloadProfile> {
    let of_workload = |clause: &&Clause| {
        clause.attribute.owner() == Owner::Workload || clause.attribute == Attribute::DataClasses
    };
    let rows: Vec<&Row> = doubts.iter().copied().flatten().collect();
    let asked: BTreeSet<(Attribute, &str)> = rows
        .iter()
        .flat_map(|row| row.clauses())
        .filter(of_workload)
        .flat_map(|clause| clause.words.iter().map(|word| (clause.attribute, &**word)))
        .filter(|(_, word)| !matches!(*word, "none" | "any" | "unknown") && !word.contains('*'))
        .collect();
    let every: Vec<&Clause> = terms
        .iter()
        .flat_map(|terms| terms.packs())
        .flat_map(|pack| &pack.rows)
        .flat_map(Row::clauses)
        .filter(of_workload)
        .collect();
    // Words in the same clauses are told apart by nothing.
    let mut alike: BTreeMap<(Attribute, Vec<usize>), Vec<&str>> = BTreeMap::new();
    for (attribute, word) in asked {
        let at = every
            .iter()
            .enumerate()
            .filter(|(_, clause)| clause.attribute == attribute && listed(clause, word))
            .map(|(at, _)| at);
        alike.entry((attribute, at.collect())).or_default().push(word);
    }
    let mut all = vec![WorkloadProfile::new(WorkloadId::new("any workload"))];
    for ((attribute, _), words) in &alike {
        let Some(first) = words.first() else { continue };
        all.extend(made(&format!("{attribute} {}", several(words)), &[(*attribute, first)]));
    }
    for row in rows {
        let own: Vec<(Attribute, &str)> = row
            .applies_to
            .iter()
            .filter(of_workload)
            .filter_map(|clause| Some((clause.attribute, &**clause.words.first()?)))
            .collect();
        if own.len() > 1 {
            let parts: Vec<String> =
                own.iter().map(|(attribute, word)| format!("{attribute} {word}")).collect();
            all.extend(made(&parts.join(" + "), &own));
        }
    }
    let mut seen = BTreeSet::new();
    all.retain(|own| seen.insert(own.id.as_str().to_owned()));
    all
}

fn several(words: &[&str]) -> String {
    match words {
        [first, _, _, _, ..] => format!("{first} and {} like it", words.len() - 1),
        few => few.join("/"),
    }
}

/// A workload of this name with these; its name stays, whatever a rule asks of names.
fn made(name: &str, with: &[(Attribute, &str)]) -> Option<WorkloadProfile> {
    let mut profile = WorkloadProfile::new(WorkloadId::new(name));
    with.iter().all(|(attribute, word)| profile.put(*attribute, word)).then_some(profile)
}

/// What rules read of places.
pub(super) struct Marks<'a> {
    /// Every fact that a rule reads, with the words that rules name.
    named: Vec<(Attribute, BTreeSet<&'a str>)>,
    /// True where a raw policy may read anything in a word.
    raw: bool,
}

/// What rules can tell of a place: by fact and instant, which of the named words it has.
pub(super) type Mark = Vec<BTreeSet<Vec<usize>>>;

impl<'a> Marks<'a> {
    pub(super) fn new(terms: &[&'a Terms]) -> Self {
        let mut words: BTreeMap<Attribute, BTreeSet<&str>> = BTreeMap::new();
        let all = terms.iter().flat_map(|terms| terms.packs()).flat_map(|pack| &pack.rows);
        for clause in all.flat_map(Row::clauses) {
            words.entry(clause.attribute).or_default().extend(clause.words.iter().map(|word| &**word));
        }
        let mut raw = false;
        for terms in terms {
            let rows = rows(terms);
            raw |= terms.rules.keys().any(|id| !rows.contains_key(&**id));
        }
        let named = Attribute::facts()
            .filter(|own| terms.iter().any(|terms| terms.reads(*own)))
            .map(|own| (own, words.remove(&own).unwrap_or_default()))
            .collect();
        Self { named, raw }
    }

    /// Two places with the same mark at these instants are judged alike by every rule.
    pub(super) fn of(&self, facts: &DeploymentFacts, dates: &[Timestamp]) -> Mark {
        let mut out = Vec::new();
        for (attribute, words) in &self.named {
            for date in dates {
                let value = facts.value(*attribute, *date);
                let hits = value.words().map(|own| {
                    let named = words.iter().enumerate();
                    let mut hit: Vec<usize> =
                        named.filter(|(_, word)| fits(word, own)).map(|(at, _)| at).collect();
                    if self.raw {
                        hit.extend(own.bytes().map(usize::from));
                    }
                    hit
                });
                out.push(hits.collect());
            }
        }
        out
    }
}

fn rows(terms: &Terms) -> BTreeMap<&str, &Row> {
    terms.packs().iter().flat_map(|pack| &pack.rows).map(|row| (&*row.id, row)).collect()
}

/// Whether a rule judges alike on both sides, given the same facts.
fn same(before: Side<'_>, after: Side<'_>, id: &str, old: Option<&Row>, new: Option<&Row>) -> bool {
    let ((terms, then), (later, now)) = (before, after);
    let (Some(rule), Some(own)) = (terms.rules.get(id), later.rules.get(id)) else { return false };
    let (Some(old), Some(new)) = (old, new) else {
        // A raw policy: what its text says of dates is not known here.
        return then == now && rule.policy.to_string() == own.policy.to_string();
    };
    let holds = (in_force(old, then), in_force(new, now));
    if holds == (false, false) {
        return true;
    }
    let waived = |(terms, at): Side<'_>| -> BTreeSet<Arc<str>> {
        let own = |waiver: &&Waiver| &*waiver.rule == id && waiver.holds(at);
        terms.waivers().iter().filter(own).map(|waiver| Arc::clone(&waiver.workload)).collect()
    };
    holds.0 == holds.1
        && rule.mode_at(then) == own.mode_at(now)
        && rule.info.pack == own.info.pack
        && waived(before) == waived(after)
        && (&old.actions, &old.applies_to, &old.verdict, &old.except)
            == (&new.actions, &new.applies_to, &new.verdict, &new.except)
}

fn in_force(row: &Row, now: Timestamp) -> bool {
    row.from.is_none_or(|from| from <= now) && row.until.is_none_or(|until| now < until)
}
