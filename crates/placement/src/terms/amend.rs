//! What an amendment changes: the same fleet and workloads under two sets of terms, or at two dates; what opens,
//! what closes, who is affected.
//!
//! Two sets of terms are compared in every window of both from a date on, so that a pack which comes into force in
//! a year shows today what it will change.

use super::{
    Terms,
    concern::{self, Concern},
};
use crate::{
    classify::CallClass,
    facts::DeploymentFacts,
    fleet::{Fleet, FleetError, WorkloadProfile},
    instant,
    permission::{Finding, Permission, PermissionKey, Surface},
    place::Placement,
    standing::Question,
    terms::windows::Windows,
};
use domain::{DeploymentId, ModelName, SnapshotEpoch};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Every class of calls.
const CLASSES: [CallClass; 3] = [CallClass::Stateless, CallClass::Stateful, CallClass::Hybrid];

/// What is compared: a fleet, real or made for the question.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Where calls may run.
    pub deployments: &'a [DeploymentFacts],
    /// For whom.
    pub workloads: &'a [WorkloadProfile],
}

/// What becomes of a call that was judged twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Was refused, is permitted.
    Opens,
    /// Was permitted, is refused.
    Closes,
    /// Permitted both times; a rule that only observes or warns has no more to say.
    WouldOpen,
    /// Permitted both times; a rule that only observes or warns now speaks.
    WouldClose,
    /// The same answer by other rules.
    OtherRules,
}

impl Effect {
    /// Every effect, in the order of the page.
    pub const ALL: [Self; 5] =
        [Self::Opens, Self::Closes, Self::WouldOpen, Self::WouldClose, Self::OtherRules];

    /// The heading on the page.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Opens => "OPENS: was refused, is permitted",
            Self::Closes => "CLOSES: was permitted, is refused",
            Self::WouldOpen => "WOULD OPEN, were every rule enforced",
            Self::WouldClose => "WOULD CLOSE, were every rule enforced",
            Self::OtherRules => "REFUSED AS BEFORE, by other rules",
        }
    }

    fn of(before: &Said, after: &Said) -> Option<Self> {
        if before == after {
            return None;
        }
        Some(match (before.refused.is_empty(), after.refused.is_empty()) {
            (false, true) => Self::Opens,
            (true, false) => Self::Closes,
            _ => match (before.all().next().is_none(), after.all().next().is_none()) {
                (false, true) => Self::WouldOpen,
                (true, false) => Self::WouldClose,
                _ => Self::OtherRules,
            },
        })
    }
}

/// The rules that speak against a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Said {
    /// In `enforce`.
    pub refused: Vec<Arc<str>>,
    /// In `warn` or `observe`.
    pub observed: Vec<Arc<str>>,
}

impl Said {
    fn of(permission: &Permission) -> Self {
        let ids =
            |findings: &[Finding]| findings.iter().map(|finding| Arc::clone(&finding.rule.id)).collect();
        let mut observed: Vec<Arc<str>> = ids(&permission.warnings);
        observed.extend::<Vec<Arc<str>>>(ids(&permission.observed));
        observed.sort();
        Self { refused: ids(&permission.refused), observed }
    }

    /// Every rule that speaks, whatever its mode.
    pub fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        self.refused.iter().chain(&self.observed)
    }
}

/// One change: the same for all these workloads and classes, for a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What becomes of calls.
    pub effect: Effect,
    /// Where.
    pub deployments: Vec<String>,
    /// Whose.
    pub workloads: Vec<String>,
    /// Of which kind.
    pub classes: Vec<&'static str>,
    /// What spoke against it.
    pub before: Said,
    /// What speaks against it now.
    pub after: Said,
    /// First instant of the stretch; `None`: the date that was asked about.
    #[serde(serialize_with = "instant_text")]
    pub from: Option<Timestamp>,
    /// First instant after it; `None`: no end is known.
    #[serde(serialize_with = "instant_text")]
    pub until: Option<Timestamp>,
}

#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
fn instant_text<S: Serializer>(instant: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match instant {
        Some(instant) => serializer.serialize_str(&instant::format(*instant)),
        None => serializer.serialize_none(),
    }
}

/// Everything that changes.
#[derive(Clone, Debug, Serialize)]
pub struct Amendment {
    /// By effect, date, deployment.
    pub changes: Vec<Change>,
    /// Deployments that were looked at.
    pub deployments: usize,
    /// Workloads that were looked at.
    pub workloads: usize,
}

impl Amendment {
    /// Names of the deployments that a change affects.
    #[must_use]
    pub fn deployments_affected(&self) -> BTreeSet<&str> {
        self.changes.iter().flat_map(|change| &change.deployments).map(String::as_str).collect()
    }

    /// Names of the workloads that a change affects.
    #[must_use]
    pub fn workloads_affected(&self) -> BTreeSet<&str> {
        self.changes.iter().flat_map(|change| &change.workloads).map(String::as_str).collect()
    }
}

/// The same terms at two dates.
///
/// # Errors
/// Where no fleet can be made of what is given.
pub fn compare_dates(
    terms: &Arc<Terms>,
    given: Given<'_>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Amendment, FleetError> {
    let side = Side::new(Arc::clone(terms), given)?;
    let mut found = Found::default();
    let concern = Concern::new((terms, from), (terms, to));
    side.compare(&side, given, (from, to), Some(&concern), &mut |who, effect, said| {
        found.add(who, effect, said, None);
    });
    Ok(found.finish(given))
}

/// Two sets of terms, in every window from `from` on.
///
/// # Errors
/// Where no fleet can be made of what is given.
pub fn compare_terms(
    before: &Arc<Terms>,
    after: &Arc<Terms>,
    given: Given<'_>,
    from: Timestamp,
) -> Result<Amendment, FleetError> {
    let (old, new) = (Side::new(Arc::clone(before), given)?, Side::new(Arc::clone(after), given)?);
    let dates = windows(before, after, given.deployments, from);
    let mut found = Found::default();
    for (index, now) in dates.iter().enumerate() {
        let stretch = ((index > 0).then_some(*now), dates.get(index + 1).copied());
        let concern = Concern::new((before, *now), (after, *now));
        old.compare(&new, given, (*now, *now), Some(&concern), &mut |who, effect, said| {
            found.add(who, effect, said, Some(stretch));
        });
    }
    Ok(found.finish(given))
}

/// `from`, and every later instant at which a rule of either or a fact changes.
fn windows(
    before: &Terms,
    after: &Terms,
    deployments: &[DeploymentFacts],
    from: Timestamp,
) -> Vec<Timestamp> {
    let rules = before.boundaries().iter().chain(after.boundaries()).copied();
    let facts = deployments.iter().flat_map(DeploymentFacts::boundaries);
    let cuts = Windows::new(rules.chain(facts));
    std::iter::successors(Some(from), |date| cuts.next(*date)).collect()
}

/// A made fleet: of these places one of each that a rule can tell apart, with a workload of each kind that the rules
/// tell apart of which the answer may change.
#[derive(Clone, Debug)]
pub struct Made {
    /// The first place of each kind; another name where there are several.
    pub deployments: Vec<DeploymentFacts>,
    /// A plain workload first.
    pub workloads: Vec<WorkloadProfile>,
}

/// What two dates are compared for where no fleet is known.
#[must_use]
pub fn made_for_dates(terms: &Terms, places: Vec<DeploymentFacts>, from: Timestamp, to: Timestamp) -> Made {
    made(&[terms], places, &[from, to], &[Concern::new((terms, from), (terms, to))])
}

/// What two sets of terms are compared for from `from` on where no fleet is known.
#[must_use]
pub fn made_for_terms(before: &Terms, after: &Terms, places: Vec<DeploymentFacts>, from: Timestamp) -> Made {
    let dates = windows(before, after, &places, from);
    let concerns: Vec<_> = dates.iter().map(|now| Concern::new((before, *now), (after, *now))).collect();
    made(&[before, after], places, &dates, &concerns)
}

fn made(
    terms: &[&Terms],
    places: Vec<DeploymentFacts>,
    dates: &[Timestamp],
    concerns: &[Concern<'_>],
) -> Made {
    let marks = concern::Marks::new(terms);
    let mut alike = BTreeMap::new();
    let mut firsts: Vec<(DeploymentFacts, usize)> = Vec::new();
    for facts in places {
        let at = *alike.entry(marks.of(&facts, dates)).or_insert(firsts.len());
        match firsts.get_mut(at) {
            Some((_, more)) => *more += 1,
            None => firsts.push((facts, 0)),
        }
    }
    let deployments: Vec<DeploymentFacts> = firsts
        .into_iter()
        .map(|(facts, more)| match more {
            0 => facts,
            more => facts.named(&DeploymentId::new(&format!("{} and {more} like it", facts.id))),
        })
        .collect();
    let doubts: Vec<_> =
        concerns.iter().flat_map(|own| deployments.iter().flat_map(|facts| own.at(facts))).collect();
    Made { workloads: concern::kinds(&doubts, terms), deployments }
}

/// Terms and fleet, with what has been asked of them.
struct Side {
    placement: Placement,
    memo: RefCell<HashMap<PermissionKey, Arc<Permission>>>,
}

/// A deployment, a workload and a class of calls, by their place in what is given.
type Who = (usize, usize, usize);
/// Before and after.
type Both = (Said, Said);
/// First instant and first instant after.
type Period = (Option<Timestamp>, Option<Timestamp>);

impl Side {
    fn new(terms: Arc<Terms>, given: Given<'_>) -> Result<Self, FleetError> {
        let fleet = Fleet::new(given.deployments.to_vec(), given.workloads, &terms)?;
        let placement = Placement::new(SnapshotEpoch(1), terms, Arc::new(fleet));
        Ok(Self { placement, memo: RefCell::default() })
    }

    fn said(&self, given: Given<'_>, (deployment, workload, class): Who, now: Timestamp) -> Option<Said> {
        let fleet = self.placement.fleet();
        let deployment = fleet.index_of(&given.deployments.get(deployment)?.id)?;
        let (principal, data_classes) = fleet.workload(&given.workloads.get(workload)?.id)?;
        let model = ModelName::new("any");
        let question = Question {
            principal,
            model: &model,
            call_class: *CLASSES.get(class)?,
            data_classes,
            surface: Surface::OpenAiChat,
            candidates: &[],
            now,
        };
        let lookup = |key: PermissionKey| {
            if let Some(known) = self.memo.borrow().get(&key) {
                return Arc::clone(known);
            }
            let permission = Arc::new(self.placement.evaluate(key));
            self.memo.borrow_mut().insert(key, Arc::clone(&permission));
            permission
        };
        Some(Said::of(&self.placement.permission(&question, deployment, &lookup)))
    }

    /// Asks what may differ; without a concern, everything.
    fn compare(
        &self,
        after: &Self,
        given: Given<'_>,
        (then, now): (Timestamp, Timestamp),
        concern: Option<&Concern<'_>>,
        tell: &mut dyn FnMut(Who, Effect, Both),
    ) {
        for (deployment, facts) in given.deployments.iter().enumerate() {
            let doubts = concern.map(|concern| concern.at(facts));
            for (workload, profile) in given.workloads.iter().enumerate() {
                let may = |doubts: &Vec<_>| doubts.iter().any(|own| concern::may_concern(*own, profile));
                if !doubts.as_ref().is_none_or(may) {
                    continue;
                }
                for class in 0..CLASSES.len() {
                    let who = (deployment, workload, class);
                    let (Some(old), Some(new)) = (self.said(given, who, then), after.said(given, who, now))
                    else {
                        continue;
                    };
                    if let Some(effect) = Effect::of(&old, &new) {
                        tell(who, effect, (old, new));
                    }
                }
            }
        }
    }
}

/// What makes two findings one line: effect, period, what spoke before and what speaks after.
type Same = (Effect, Period, Both);

/// What was found, before it is put together.
#[derive(Default)]
struct Found {
    /// Stretches in order, where neighbours have been joined.
    stretches: BTreeMap<(Who, Effect, Both), Vec<Period>>,
}

impl Found {
    fn add(&mut self, who: Who, effect: Effect, said: Both, period: Option<Period>) {
        let periods = self.stretches.entry((who, effect, said)).or_default();
        let period = period.unwrap_or((None, None));
        match periods.last_mut() {
            Some((_, until)) if until.is_some() && *until == period.0 => *until = period.1,
            _ => periods.push(period),
        }
    }

    fn finish(self, given: Given<'_>) -> Amendment {
        // One line for all classes of which the same is true, then for all such workloads, then deployments.
        let mut classes: BTreeMap<(Same, usize, usize), BTreeSet<usize>> = BTreeMap::new();
        for (((deployment, workload, class), effect, said), periods) in self.stretches {
            for period in periods {
                let same = (effect, period, said.clone());
                classes.entry((same, deployment, workload)).or_default().insert(class);
            }
        }
        let mut workloads: BTreeMap<(Same, BTreeSet<usize>, usize), BTreeSet<usize>> = BTreeMap::new();
        for ((same, deployment, workload), classes) in classes {
            workloads.entry((same, classes, deployment)).or_default().insert(workload);
        }
        let mut deployments: BTreeMap<(Same, BTreeSet<usize>, BTreeSet<usize>), Vec<usize>> = BTreeMap::new();
        for ((same, classes, deployment), workloads) in workloads {
            deployments.entry((same, workloads, classes)).or_default().push(deployment);
        }
        let deployment_name = |at: usize| given.deployments.get(at).map(|own| own.id.to_string());
        let workload_name = |at: usize| given.workloads.get(at).map(|own| own.id.to_string());
        let changes = deployments
            .into_iter()
            .map(|(((effect, (from, until), (before, after)), workloads, classes), deployments)| Change {
                effect,
                deployments: deployments.into_iter().filter_map(deployment_name).collect(),
                workloads: workloads.into_iter().filter_map(workload_name).collect(),
                classes: classes
                    .into_iter()
                    .filter_map(|at| CLASSES.get(at))
                    .map(|class| class.name())
                    .collect(),
                before,
                after,
                from,
                until,
            })
            .collect();
        Amendment { changes, deployments: given.deployments.len(), workloads: given.workloads.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attribute::Attribute, facts::DeploymentSpec, facts::FactBook, terms::PackChoice};
    use domain::WorkloadId;

    const FACTS: &str = include_str!("../../../../catalog/facts.toml");
    const PACKS: [&str; 4] = [
        include_str!("../../../../terms/microsoft-openai.toml"),
        include_str!("../../../../terms/acme-bank.toml"),
        include_str!("../../../../terms/regulated.toml"),
        include_str!("../../../../terms/eu-residency.toml"),
    ];

    fn terms(texts: &[&str]) -> Arc<Terms> {
        let packs: Vec<_> =
            texts.iter().map(|text| PackChoice { file: "p.toml", text, mode: None }).collect();
        Arc::new(Terms::compile(&packs, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}")))
    }

    fn places() -> Vec<DeploymentFacts> {
        let book = FactBook::parse(&[("facts.toml", FACTS)]).unwrap();
        let of = |(provider, model): (&str, &str)| {
            book.describe(&DeploymentSpec {
                id: DeploymentId::new(&format!("{provider}/{model}")),
                provider: provider.into(),
                model: ModelName::new(model),
                stated: Vec::new(),
            })
        };
        let some = [("openai", "gpt-5.4"), ("bedrock", "gpt-5.5"), ("bedrock", "gpt-oss-120b")];
        some.into_iter().chain([("azure", "claude-opus-5-5"), ("azure", "gpt-5.4")]).map(of).collect()
    }

    fn everything(terms: &Arc<Terms>, given: Given<'_>, dates: (Timestamp, Timestamp)) -> Vec<Change> {
        let side = Side::new(Arc::clone(terms), given).unwrap();
        let mut found = Found::default();
        side.compare(&side, given, dates, None, &mut |who, effect, said| found.add(who, effect, said, None));
        found.finish(given).changes
    }

    #[test]
    fn nothing_that_changes_is_left_out() {
        let terms = terms(&PACKS);
        let mut workloads = vec![WorkloadProfile::new(WorkloadId::new("plain"))];
        for (attribute, word) in [
            (Attribute::Tags, "us-gov-natsec"),
            (Attribute::Residency, "eu"),
            (Attribute::RiskClass, "high"),
            (Attribute::DataClasses, "health"),
        ] {
            let mut own = WorkloadProfile::new(WorkloadId::new(word));
            assert!(own.put(attribute, word));
            workloads.push(own);
        }
        let deployments = places();
        let given = Given { deployments: &deployments, workloads: &workloads };
        let at = |text: &str| instant::parse(text).unwrap();
        let mut changes = 0;
        for dates in [
            (at("2026-04-26T23:59:59Z"), at("2026-04-27")),
            (at("2025-09-01"), at("2026-03-15")),
            (at("2026-04-27"), at("2026-11-21")),
            (at("2026-11-21"), at("2028-01-01")),
        ] {
            let all = everything(&terms, given, dates);
            changes += all.len();
            assert_eq!(compare_dates(&terms, given, dates.0, dates.1).unwrap().changes, all, "{dates:?}");
        }
        assert!(changes > 5, "{changes}");
    }

    #[test]
    fn a_made_fleet_has_one_of_each_kind_and_only_kinds_that_change() {
        let terms = terms(&PACKS);
        let at = |text: &str| instant::parse(text).unwrap();
        let mut doubled = places();
        doubled
            .extend(places().iter().map(|own| own.named(&DeploymentId::new(&format!("{} again", own.id)))));
        let made = made_for_dates(&terms, doubled, at("2026-04-26T23:59:59Z"), at("2026-04-27"));
        assert!(made.deployments.len() <= places().len(), "{}", made.deployments.len());
        assert!(made.deployments.iter().all(|own| own.id.as_str().contains("like it")));
        let kinds: Vec<&str> = made.workloads.iter().map(|own| own.id.as_str()).collect();
        assert!(kinds.contains(&"any workload") && kinds.contains(&"tags us-gov-natsec"), "{kinds:?}");
        assert!(!kinds.iter().any(|own| own.contains("health")), "{kinds:?}");
        let still = made_for_dates(&terms, places(), at("2026-11-21"), at("2026-11-21"));
        assert_eq!(still.workloads.len(), 1, "nothing changes, nobody is asked for");
    }
}
