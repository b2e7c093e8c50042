//! Golden cases: questions in words with the complete set of rules that must answer them, `<pack>.cases.toml`.
//!
//! [`CasesFile::read`] reads the file beside a pack, [`CasesFile::check`] looks up what it names, [`run`] asks the
//! terms. The packs are judged as if every rule enforced, unless the file says `modes = "as-written"`, so a case
//! tells whether a rule applies and does not turn when somebody turns a mode.

mod judge;
mod read;

use super::Terms;
use crate::{
    attribute::{Attribute, Value},
    classify::CallClass,
    facts::{Availability, DeploymentFacts, DeploymentSpec, FactBook},
    fleet::WorkloadProfile,
    permission::{Action, Surface},
    problem::{Problem, Problems, nearest},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

pub use judge::run;

/// At most this many cases in a file.
pub const MAX_CASES: usize = 10_000;
/// At most this many checks (instants × deployments × workloads × classes) in a case.
pub const MAX_CHECKS: usize = 10_000;

/// The cases of a pack, as read.
#[derive(Clone, Debug)]
pub struct CasesFile {
    /// The file.
    pub file: Arc<str>,
    /// The packs that are judged together; `None`: the pack that the file lies beside, alone.
    pub packs: Option<Vec<Named>>,
    /// True where rules act by their own modes; else each counts as if it enforced.
    pub as_written: bool,
    /// Dates of events that rules end with.
    pub events: BTreeMap<String, Timestamp>,
    /// True where waivers are honoured.
    pub waivers: bool,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// A word with its place, to be looked up later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The word.
    pub word: Arc<str>,
    /// Its line, from 1.
    pub line: u32,
    /// Its column, from 1.
    pub column: u32,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it says, in words.
    pub name: Arc<str>,
    /// Its line in the file.
    pub line: u32,
    /// When.
    pub at: Vec<Timestamp>,
    /// Where.
    pub deployments: Vec<Place>,
    /// For whom.
    pub workloads: Vec<Who>,
    /// Who keeps state.
    pub classes: Vec<CallClass>,
    /// Kinds of data in the call.
    pub data_classes: Vec<Arc<str>>,
    /// The client API.
    pub surface: Surface,
    /// One action exactly; `None`: the whole call, as the gateway judges it.
    pub action: Option<Action>,
    /// What must come out the second before each instant; `None`: nothing is asked then.
    pub before: Option<Expected>,
    /// What must come out at each instant.
    pub expect: Expected,
}

/// A deployment of a case.
#[derive(Clone, Debug)]
pub enum Place {
    /// Facts given directly; what is not given is unknown.
    Facts {
        /// Its name in the file; empty where it has none.
        name: Arc<str>,
        /// What is given.
        given: Vec<(Attribute, Value)>,
    },
    /// Described by the fact book.
    Book {
        /// Its name in the file; empty where it has none.
        name: Arc<str>,
        /// What the book is asked for.
        spec: DeploymentSpec,
    },
    /// A deployment of the fleet.
    Fleet(Named),
}

/// A workload of a case.
#[derive(Clone, Debug)]
pub enum Who {
    /// Attributes given directly.
    Given {
        /// Its name in the file; empty where it has none.
        name: Arc<str>,
        /// The workload.
        profile: Box<WorkloadProfile>,
    },
    /// A workload of the configuration.
    Fleet(Named),
}

/// What must come out. A set that is `None` is not looked at.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The complete set of rules that refuse; empty: permitted.
    pub refused: Vec<Named>,
    /// The complete set of notices.
    pub notices: Option<Vec<Named>>,
    /// The complete set of rules in `warn`.
    pub warned: Option<Vec<Named>>,
    /// The complete set of rules in `observe`.
    pub observed: Option<Vec<Named>>,
    /// The complete set of rules that a waiver lifted.
    pub waived: Option<Vec<Named>>,
    /// The fact at that instant.
    pub availability: Option<Availability>,
}

/// What cases are judged against.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The terms: at least the packs that the cases judge.
    pub terms: &'a Terms,
    /// For deployments that the fact book describes.
    pub book: Option<&'a FactBook>,
    /// Deployments of the configuration.
    pub deployments: &'a [DeploymentFacts],
    /// Workloads of the configuration.
    pub workloads: &'a [WorkloadProfile],
}

/// What came out of the cases of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: Arc<str>,
    /// The pack that it lies beside.
    pub pack: Arc<str>,
    /// Case by case.
    pub results: Vec<CaseResult>,
    /// Rules of the pack that no case names.
    pub unnamed: Vec<Arc<str>>,
}

impl Report {
    /// How many checks were made.
    #[must_use]
    pub fn checks(&self) -> usize {
        self.results.iter().map(|result| result.checks).sum()
    }

    /// The cases in which something else came out.
    pub fn failed(&self) -> impl Iterator<Item = &CaseResult> {
        self.results.iter().filter(|result| !result.failures.is_empty())
    }
}

/// What came out of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// What the case says.
    pub name: Arc<str>,
    /// Its line in the file.
    pub line: u32,
    /// What was asked, in words.
    pub asked: String,
    /// What had to come out, in words; with `before`, both sides.
    pub expected: String,
    /// How many checks were made.
    pub checks: usize,
    /// Where something else came out; at most [`MAX_FAILURES`] are kept.
    pub failures: Vec<Failure>,
}

/// At most this many failures of one case are told.
pub const MAX_FAILURES: usize = 8;

/// A check in which something else came out.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Where, when, for whom, in words.
    pub asked: String,
    /// What had to come out.
    pub expected: String,
    /// What did.
    pub found: String,
}

// === impl CasesFile ===

impl CasesFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places and hints.
    pub fn read(file: &str, text: &str) -> Result<Self, Problems> {
        read::read(file, text)
    }

    /// Looks up every rule, pack, deployment and workload that the cases name. `pack` is the one they lie beside.
    ///
    /// # Errors
    /// Every name that is not there, with the nearest that is.
    pub fn check(&self, pack: &str, world: &World<'_>) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let mut wrong = |named: &Named, message: String, hint: String| {
            problems.0.push(Problem {
                file: Arc::clone(&self.file),
                line: named.line,
                column: named.column,
                message,
                hint,
            });
        };
        let known: Vec<&str> = world.terms.packs().iter().map(|pack| &*pack.id).collect();
        for named in self.packs.iter().flatten().filter(|named| !known.contains(&&*named.word)) {
            wrong(named, format!("there is no pack `{}`", named.word), meant(&named.word, &known));
        }
        let judged = self.judged(pack);
        let rules: Vec<&str> = world.terms.rules_of(&judged).map(|rule| &*rule.id).collect();
        let deployments: Vec<&str> = world.deployments.iter().map(|facts| facts.id.as_str()).collect();
        let workloads: Vec<&str> = world.workloads.iter().map(|profile| profile.id.as_str()).collect();
        for case in &self.cases {
            for named in case.names().filter(|named| !rules.contains(&&*named.word)) {
                let message =
                    format!("the judged packs ({}) have no rule `{}`", judged.join(", "), named.word);
                wrong(named, message, meant(&named.word, &rules));
            }
            for place in &case.deployments {
                match place {
                    Place::Fleet(named) if !deployments.contains(&&*named.word) => {
                        let hint = elsewhere(&named.word, &deployments, "deployment");
                        wrong(named, format!("there is no deployment `{}`", named.word), hint);
                    }
                    _ => {}
                }
            }
            for who in &case.workloads {
                match who {
                    Who::Fleet(named) if !workloads.contains(&&*named.word) => {
                        let hint = elsewhere(&named.word, &workloads, "workload");
                        wrong(named, format!("there is no workload `{}`", named.word), hint);
                    }
                    _ => {}
                }
            }
        }
        problems.into_result()
    }

    /// The packs that are judged: those named, else the one beside the file.
    #[must_use]
    pub fn judged(&self, pack: &str) -> Vec<Arc<str>> {
        match &self.packs {
            Some(packs) => packs.iter().map(|named| Arc::clone(&named.word)).collect(),
            None => vec![pack.into()],
        }
    }
}

fn meant(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied()).map_or_else(
        || if known.is_empty() { String::new() } else { format!("known: {}", known.join(", ")) },
        |near| format!("did you mean `{near}`?"),
    )
}

fn elsewhere(word: &str, known: &[&str], what: &str) -> String {
    if known.is_empty() {
        return format!("write [{what}.{word}] in this file, or name a configuration that has it: -c FILE");
    }
    meant(word, known)
}

impl Case {
    /// Every rule that the expectations name.
    pub fn names(&self) -> impl Iterator<Item = &Named> {
        self.before.iter().chain(std::iter::once(&self.expect)).flat_map(Expected::names)
    }
}

impl Expected {
    fn names(&self) -> impl Iterator<Item = &Named> {
        let sets = [&self.notices, &self.warned, &self.observed, &self.waived];
        self.refused.iter().chain(sets.into_iter().flatten().flatten())
    }

    /// What must come out, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let ids = |named: &[Named]| {
            let mut ids: Vec<&str> = named.iter().map(|named| &*named.word).collect();
            ids.sort_unstable();
            ids.join(", ")
        };
        let mut parts = vec![if self.refused.is_empty() {
            "permitted".to_owned()
        } else {
            format!("refused by {}", ids(&self.refused))
        }];
        for (word, set) in [
            ("notices", &self.notices),
            ("warned by", &self.warned),
            ("observed by", &self.observed),
            ("waived", &self.waived),
        ] {
            if let Some(set) = set {
                parts.push(format!("{word} {}", if set.is_empty() { "none".to_owned() } else { ids(set) }));
            }
        }
        if let Some(availability) = self.availability {
            parts.push(format!("availability {}", availability.name()));
        }
        parts.join("; ")
    }
}
