//! Asks the terms what the cases ask, and compares.

use super::{Case, CaseResult, CasesFile, Expected, Failure, MAX_FAILURES, Named, Place, Report, Who, World};
use crate::{
    attribute::{Attribute, Owner, Value},
    classify::CallClass,
    facts::{Availability, DeploymentFacts},
    fleet::WorkloadProfile,
    instant,
    permission::{Action, Finding, Permission},
    terms::{evaluate::Ask, sentence},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// Judges every case. Names must have been looked up: what is not there is a failure of its case.
#[must_use]
pub fn run(file: &CasesFile, pack: &str, world: &World<'_>) -> Report {
    let judged = file.judged(pack);
    let named: BTreeSet<&str> = file.cases.iter().flat_map(Case::names).map(|named| &*named.word).collect();
    let own = [Arc::from(pack)];
    let unnamed = world.terms.rules_of(&own).map(|rule| Arc::clone(&rule.id));
    Report {
        file: Arc::clone(&file.file),
        pack: pack.into(),
        results: file.cases.iter().map(|case| judge(case, file, &judged, world)).collect(),
        unnamed: unnamed.filter(|id| !named.contains(&**id)).collect(),
    }
}

fn judge(case: &Case, file: &CasesFile, judged: &[Arc<str>], world: &World<'_>) -> CaseResult {
    let mut result = CaseResult {
        name: Arc::clone(&case.name),
        line: case.line,
        asked: asked(case),
        expected: expected(case),
        checks: 0,
        failures: Vec::new(),
    };
    let moments = case.at.iter().flat_map(|at| {
        let before = case.before.as_ref().map(|before| (sentence::last(*at), before));
        before.into_iter().chain(std::iter::once((*at, &case.expect)))
    });
    for (now, wanted) in moments {
        for place in &case.deployments {
            for who in &case.workloads {
                for class in &case.classes {
                    result.checks += 1;
                    let found = find(case, &Moment { now, place, who, class: *class }, judged, world);
                    let same = match &found {
                        Ok(found) => found.agrees(wanted, file.as_written),
                        Err(_) => false,
                    };
                    if !same && result.failures.len() < MAX_FAILURES {
                        result.failures.push(Failure {
                            asked: format!(
                                "{}, {} call of {} to {}",
                                instant::format(now),
                                class.name(),
                                who.name(),
                                place.name()
                            ),
                            expected: wanted.words(),
                            found: found.map_or_else(|why| why, |found| found.words(wanted, file.as_written)),
                        });
                    }
                }
            }
        }
    }
    result
}

/// One check of a case.
struct Moment<'a> {
    now: Timestamp,
    place: &'a Place,
    who: &'a Who,
    class: CallClass,
}

/// What the terms say, by the judged packs alone.
struct Found {
    permission: Permission,
    availability: Availability,
}

fn find(case: &Case, moment: &Moment<'_>, judged: &[Arc<str>], world: &World<'_>) -> Result<Found, String> {
    let ask = |action: Action, class: CallClass| -> Result<Permission, String> {
        let mut ask = Ask::new(action, moment.now);
        moment.place.put_in(&mut ask, world)?;
        moment.who.put_in(&mut ask, world, &case.data_classes)?;
        ask.set(Attribute::Class, Value::word(class.name()));
        ask.set(Attribute::Surface, Value::word(case.surface.name()));
        Ok(world.terms.evaluate(&ask))
    };
    // As `Placement::permission` judges a call: hosting its state, and each inner call by itself.
    let permission = match (case.action, moment.class) {
        (Some(action), class) => ask(action, class)?,
        (None, CallClass::Stateless) => ask(Action::Infer, CallClass::Stateless)?,
        (None, class) => ask(Action::Infer, class)?
            .and(&ask(Action::HostState, class)?)
            .and(&ask(Action::Infer, CallClass::Stateless)?),
    };
    let only = |findings: &[Finding]| -> Box<[Finding]> {
        let judged = |finding: &&Finding| finding.rule.pack.is_empty() || judged.contains(&finding.rule.pack);
        findings.iter().filter(judged).cloned().collect()
    };
    let mut ask = Ask::new(Action::Infer, moment.now);
    moment.place.put_in(&mut ask, world)?;
    Ok(Found {
        availability: Availability::of(ask.get(Attribute::Availability).as_word()),
        permission: Permission {
            refused: only(&permission.refused),
            warnings: only(&permission.warnings),
            observed: only(&permission.observed),
            notices: only(&permission.notices),
            waived: only(&permission.waived),
        },
    })
}

impl Found {
    fn refused(&self, as_written: bool) -> BTreeSet<&str> {
        let all = &self.permission;
        let mut ids = ids(&all.refused);
        if !as_written {
            ids.extend(all.warnings.iter().chain(&all.observed).map(|finding| &*finding.rule.id));
        }
        ids
    }

    fn agrees(&self, wanted: &Expected, as_written: bool) -> bool {
        let same = |found: &[Finding], wanted: &Option<Vec<Named>>| {
            wanted.as_ref().is_none_or(|wanted| ids(found) == words(wanted))
        };
        let all = &self.permission;
        self.refused(as_written) == words(&wanted.refused)
            && same(&all.notices, &wanted.notices)
            && same(&all.warnings, &wanted.warned)
            && same(&all.observed, &wanted.observed)
            && same(&all.waived, &wanted.waived)
            && wanted.availability.is_none_or(|availability| availability == self.availability)
    }

    /// What came out, with no more than what was looked at.
    fn words(&self, wanted: &Expected, as_written: bool) -> String {
        let named = |ids: BTreeSet<&str>| -> Vec<Named> {
            ids.into_iter().map(|id| Named { word: id.into(), line: 0, column: 0 }).collect()
        };
        let all = &self.permission;
        let looked_at =
            |findings: &[Finding], wanted: &Option<Vec<Named>>| wanted.as_ref().map(|_| named(ids(findings)));
        Expected {
            refused: named(self.refused(as_written)),
            notices: looked_at(&all.notices, &wanted.notices),
            warned: looked_at(&all.warnings, &wanted.warned),
            observed: looked_at(&all.observed, &wanted.observed),
            waived: looked_at(&all.waived, &wanted.waived),
            availability: wanted.availability.map(|_| self.availability),
        }
        .words()
    }
}

fn ids(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().map(|finding| &*finding.rule.id).collect()
}

fn words(named: &[Named]) -> BTreeSet<&str> {
    named.iter().map(|named| &*named.word).collect()
}

impl Place {
    /// Its name, or what is given of it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Fleet(named) => named.word.to_string(),
            Self::Facts { name, .. } | Self::Book { name, .. } if !name.is_empty() => name.to_string(),
            Self::Facts { given, .. } => given
                .iter()
                .map(|(attribute, value)| format!("{attribute} {value}"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::Book { spec, .. } => format!("{} at {}", spec.model, spec.provider),
        }
    }

    fn put_in(&self, ask: &mut Ask, world: &World<'_>) -> Result<(), String> {
        let put = |facts: &DeploymentFacts, ask: &mut Ask| {
            for attribute in Attribute::facts() {
                ask.set(attribute, facts.value(attribute, ask.now));
            }
        };
        match self {
            Self::Facts { given, .. } => {
                for (attribute, value) in given {
                    ask.set(*attribute, value.clone());
                }
            }
            Self::Book { spec, .. } => {
                let book = world.book.ok_or("there is no fact book to describe the deployment")?;
                put(&book.describe(spec), ask);
            }
            Self::Fleet(named) => {
                let found = world.deployments.iter().find(|facts| facts.id.as_str() == &*named.word);
                put(found.ok_or_else(|| format!("there is no deployment `{}`", named.word))?, ask);
            }
        }
        Ok(())
    }
}

impl Who {
    /// Its name, or what is given of it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Fleet(named) => named.word.to_string(),
            Self::Given { name, .. } if !name.is_empty() => name.to_string(),
            Self::Given { profile, .. } => {
                let plain = WorkloadProfile::new(profile.id.clone());
                let set: Vec<String> = Attribute::ALL
                    .iter()
                    .filter(|attribute| attribute.owner() == Owner::Workload)
                    .filter(|attribute| profile.value(**attribute) != plain.value(**attribute))
                    .map(|attribute| format!("{attribute} {}", profile.value(*attribute)))
                    .collect();
                if set.is_empty() {
                    "any workload".to_owned()
                } else {
                    format!("a workload with {}", set.join(", "))
                }
            }
        }
    }

    fn put_in(&self, ask: &mut Ask, world: &World<'_>, data_classes: &[Arc<str>]) -> Result<(), String> {
        let profile = match self {
            Self::Given { profile, .. } => profile,
            Self::Fleet(named) => {
                let found = world.workloads.iter().find(|profile| profile.id.as_str() == &*named.word);
                found.ok_or_else(|| format!("there is no workload `{}`", named.word))?
            }
        };
        for attribute in Attribute::ALL.iter().filter(|attribute| attribute.owner() == Owner::Workload) {
            ask.set(*attribute, profile.value(*attribute));
        }
        ask.raised = Arc::new(profile.modes.clone());
        let data = profile.data_classes.iter().chain(data_classes).map(|class| &**class);
        ask.set(Attribute::DataClasses, Value::set(data, "none"));
        Ok(())
    }
}

/// What a case asks, in words.
fn asked(case: &Case) -> String {
    let instants: Vec<String> = case.at.iter().map(|at| instant::format(*at)).collect();
    let classes: Vec<&str> = case.classes.iter().map(|class| class.name()).collect();
    let action = match case.action {
        None => format!("{} call", classes.join(" or ")),
        Some(action) => format!("{} for a {} call", action.name(), classes.join(" or ")),
    };
    let places: Vec<String> = case.deployments.iter().map(Place::name).collect();
    let who: Vec<String> = case.workloads.iter().map(Who::name).collect();
    let data: Vec<&str> = case.data_classes.iter().map(|class| &**class).collect();
    let with = if data.is_empty() { String::new() } else { format!(" with {} data", data.join(" and ")) };
    format!("{action}{with} of {} to {} at {}", who.join(" or "), places.join(" or "), instants.join(", "))
}

fn expected(case: &Case) -> String {
    match &case.before {
        None => case.expect.words(),
        Some(before) => format!("a second before: {}; then: {}", before.words(), case.expect.words()),
    }
}
