//! Terms: contracts, residency, law and access rules as dated rows, compiled to Cedar.
//!
//! [`sheet`] reads a pack, [`compile`] makes policies of its rows, [`schema`] makes the Cedar schema of the
//! attribute list, [`sentence`] says a row in plain words, [`windows`] cuts time where anything changes,
//! [`evaluate`] asks Cedar. [`Terms`] is all packs together, checked.

mod compile;
pub mod evaluate;
pub mod schema;
mod sentence;
pub mod sheet;
pub mod windows;

use crate::{
    attribute::Attribute,
    permission::{Action, Mode},
    problem::{Problem, Problems},
};
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, collections::BTreeSet, fmt, sync::Arc};

pub use sheet::{Binds, Clause, DatedMode, Pack, PackStatus, Row};

/// A rule as people meet it: in refusals, explanations and records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// The id, unique among all packs.
    pub id: Arc<str>,
    /// A title of a few words.
    pub title: Arc<str>,
    /// The rule as one plain sentence.
    pub says: Arc<str>,
    /// Where it comes from.
    pub source: Arc<str>,
    /// The clause in the source.
    pub clause: Arc<str>,
    /// The pack it stands in.
    pub pack: Arc<str>,
    /// Whom it binds.
    pub binds: Binds,
    /// Whether a waiver may lift it.
    pub waivable: bool,
    /// The file of the row.
    pub file: Arc<str>,
    /// The line of the row.
    pub line: u32,
    /// First instant at which it holds, `None`: since ever.
    #[serde(serialize_with = "instant_text")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer holds, `None`: open.
    #[serde(serialize_with = "instant_text")]
    pub until: Option<Timestamp>,
}

#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
fn instant_text<S: Serializer>(instant: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match instant {
        Some(instant) => serializer.serialize_str(&crate::instant::format(*instant)),
        None => serializer.serialize_none(),
    }
}

impl fmt::Display for RuleInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}:{})", self.id, self.says, self.file, self.line)
    }
}

/// A pack to compile, with what the configuration decides about it.
#[derive(Clone, Debug)]
pub struct PackChoice<'a> {
    /// The file's name, for messages and for rules.
    pub file: &'a str,
    /// The file's text.
    pub text: &'a str,
    /// The mode that the configuration sets in place of the pack's own; a rule's own mode stands.
    pub mode: Option<Mode>,
}

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) info: Arc<RuleInfo>,
    pub(crate) actions: Vec<Action>,
    /// Families that it can concern; empty: all.
    pub(crate) families: Vec<Arc<str>>,
    /// Modes with the dates from which they hold, sorted; before the first: observe.
    pub(crate) modes: Vec<DatedMode>,
    /// True for a notice: it refuses nothing in any mode.
    pub(crate) notice: bool,
    pub(crate) policy: Policy,
}

impl Rule {
    pub(crate) fn mode_at(&self, now: Timestamp) -> Mode {
        self.modes
            .iter()
            .rfind(|row| row.from.is_none_or(|from| from <= now))
            .map_or(Mode::Observe, |row| row.mode)
    }
}

/// All packs together: checked, compiled, hashed.
#[derive(Debug)]
pub struct Terms {
    pub(crate) packs: Vec<Pack>,
    pub(crate) rules: BTreeMap<Arc<str>, Rule>,
    pub(crate) base: BTreeMap<Action, Policy>,
    pub(crate) schema: Schema,
    boundaries: Vec<Timestamp>,
    reads: BTreeSet<Attribute>,
    data_classes: BTreeSet<Arc<str>>,
    hash: String,
    sets: evaluate::Sets,
}

impl Terms {
    /// Reads, checks and compiles packs. `events` dates the events that rules end with (`until_event`).
    ///
    /// # Errors
    /// Everything that is wrong with any of them, with file, line, column and hint; then none is in force.
    pub fn compile(packs: &[PackChoice<'_>], events: &BTreeMap<String, Timestamp>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut read: Vec<(Pack, Option<Mode>)> = Vec::new();
        let mut hasher = blake3::Hasher::new();
        for choice in packs {
            let (pack, mut found) = sheet::read(choice.file, choice.text, events);
            problems.0.append(&mut found.0);
            if let Some(pack) = pack {
                hasher.update(pack.id.as_bytes());
                hasher.update(choice.mode.map_or("", Mode::name).as_bytes());
                hasher.update(&u64::try_from(choice.text.len()).unwrap_or(u64::MAX).to_le_bytes());
                hasher.update(choice.text.as_bytes());
                read.push((pack, choice.mode));
            }
        }
        for (event, date) in events {
            hasher.update(event.as_bytes());
            hasher.update(crate::instant::format(*date).as_bytes());
        }
        find_duplicates(&read, &mut problems);
        problems.into_result()?;
        let schema = schema::cedar_schema().map_err(|message| internal(&message))?;
        let base = base_permits().map_err(|message| internal(&message))?;
        let mut terms = Self {
            packs: Vec::new(),
            rules: BTreeMap::new(),
            base,
            schema,
            boundaries: Vec::new(),
            reads: BTreeSet::new(),
            data_classes: BTreeSet::new(),
            hash: hasher.finalize().to_hex().to_string(),
            sets: evaluate::Sets::default(),
        };
        for (pack, chosen) in read {
            terms.take_in(pack, chosen)?;
        }
        terms.validate()?;
        terms.boundaries.sort();
        terms.boundaries.dedup();
        Ok(terms)
    }

    fn take_in(&mut self, pack: Pack, chosen: Option<Mode>) -> Result<(), Problems> {
        for row in &pack.rows {
            let modes = if row.modes.is_empty() {
                chosen.map_or_else(|| pack.modes.clone(), |mode| vec![DatedMode { mode, from: None }])
            } else {
                row.modes.clone()
            };
            let info = Arc::new(sentence::rule_info(&pack, row));
            let policy = compile::policy(row, &info).map_err(|message| {
                Problems(vec![Problem {
                    file: Arc::clone(&info.file),
                    line: row.line,
                    column: 1,
                    message: format!("rule `{}` does not compile: {message}", row.id),
                    hint: "this is a bug of the compiler of sheets; please report it".to_owned(),
                }])
            })?;
            self.boundaries.extend([row.from, row.until].into_iter().flatten());
            self.boundaries.extend(modes.iter().filter_map(|mode| mode.from));
            for clause in row.clauses() {
                self.reads.insert(clause.attribute);
                if clause.attribute == Attribute::DataClasses {
                    self.data_classes.extend(clause.words.iter().cloned());
                }
            }
            let families = row
                .applies_to
                .iter()
                .find(|clause| clause.attribute == Attribute::Family)
                .map(|clause| clause.words.clone())
                .unwrap_or_default();
            let rule = Rule {
                info,
                actions: row.actions.clone(),
                families,
                modes,
                notice: row.notice.is_some(),
                policy,
            };
            self.rules.insert(Arc::clone(&row.id), rule);
        }
        self.packs.push(pack);
        Ok(())
    }

    /// Cedar's own check of every policy against the schema, strict.
    fn validate(&self) -> Result<(), Problems> {
        let all = self.rules.values().map(|rule| rule.policy.clone()).chain(self.base.values().cloned());
        let set = PolicySet::from_policies(all).map_err(|error| internal(&error.to_string()))?;
        let result = Validator::new(self.schema.clone()).validate(&set, ValidationMode::Strict);
        let mut problems = Problems::default();
        for error in result.validation_errors() {
            let rule = self.rules.get(error.policy_id().to_string().as_str());
            problems.0.push(Problem {
                file: rule.map_or_else(|| "terms".into(), |rule| Arc::clone(&rule.info.file)),
                line: rule.map_or(0, |rule| rule.info.line),
                column: 1,
                message: error.to_string(),
                hint: String::new(),
            });
        }
        problems.into_result()
    }

    /// The packs as read, in the order given.
    #[must_use]
    pub fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// A rule by id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Arc<RuleInfo>> {
        self.rules.get(id).map(|rule| &rule.info)
    }

    /// Every rule, sorted by id, with its mode at `now`.
    pub fn rules_at(&self, now: Timestamp) -> impl Iterator<Item = (&Arc<RuleInfo>, Mode)> {
        self.rules.values().map(move |rule| (&rule.info, rule.mode_at(now)))
    }

    /// The Cedar policy of a rule, for people who read Cedar.
    #[must_use]
    pub fn cedar(&self, id: &str) -> Option<String> {
        self.rules.get(id).map(|rule| rule.policy.to_string())
    }

    /// Content hash of packs, modes chosen by configuration, and event dates: blake3, hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Every instant at which a rule begins, ends or changes its mode; sorted.
    #[must_use]
    pub fn boundaries(&self) -> &[Timestamp] {
        &self.boundaries
    }

    /// The next of them after `now`. Facts have boundaries of their own: [`crate::Placement::next_boundary`].
    #[must_use]
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        self.boundaries.iter().copied().find(|boundary| *boundary > now)
    }

    /// True where some rule reads the attribute.
    #[must_use]
    pub fn reads(&self, attribute: Attribute) -> bool {
        self.reads.contains(&attribute)
    }

    /// Data classes that some rule names.
    pub fn data_classes(&self) -> impl Iterator<Item = &str> {
        self.data_classes.iter().map(|name| &**name)
    }
}

fn internal(message: &str) -> Problems {
    Problems(vec![Problem {
        file: "terms".into(),
        line: 0,
        column: 0,
        message: message.to_owned(),
        hint: "this is a bug; please report it".to_owned(),
    }])
}

fn find_duplicates(read: &[(Pack, Option<Mode>)], problems: &mut Problems) {
    let mut packs: BTreeMap<&str, &Pack> = BTreeMap::new();
    let mut rules: BTreeMap<&str, (&Pack, u32)> = BTreeMap::new();
    for (pack, _) in read {
        if let Some(first) = packs.insert(&pack.id, pack) {
            problems.0.push(Problem {
                file: Arc::clone(&pack.file),
                line: 1,
                column: 1,
                message: format!("the pack `{}` is there twice", pack.id),
                hint: format!("the first is {}", first.file),
            });
        }
        for row in &pack.rows {
            if let Some((first, line)) = rules.insert(&row.id, (pack, row.line)) {
                problems.0.push(Problem {
                    file: Arc::clone(&pack.file),
                    line: row.line,
                    column: 1,
                    message: format!("the rule id `{}` is there twice", row.id),
                    hint: format!("the first is at {}:{line}", first.file),
                });
            }
        }
    }
}

/// Default is deny; one unconditional permit per action opens the gate that rules close.
fn base_permits() -> Result<BTreeMap<Action, Policy>, String> {
    Action::ALL
        .into_iter()
        .map(|action| {
            let id = PolicyId::new(format!("base-permit-{}", action.name()));
            let text = format!(r#"permit (principal, action == Action::"{}", resource);"#, action.name());
            Policy::parse(Some(id), text).map(|policy| (action, policy)).map_err(|error| error.to_string())
        })
        .collect()
}
