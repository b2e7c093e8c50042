//! Terms: contracts, residency, law and access rules as dated rows, compiled to Cedar.
//!
//! [`sheet`] reads a pack, [`compile`] makes policies of its rows, [`raw`] reads the policies beside it,
//! [`waiver`] lifts a rule for a time, [`approval`] is a second person's signature, [`schema`] makes the Cedar
//! schema of the attribute list, [`sentence`] says a row in plain words, [`windows`] cuts time where anything changes,
//! [`scope`] leaves out the rules that cannot speak, [`evaluate`] asks Cedar. [`Terms`] is all packs together, checked.

pub mod amend;
pub mod approval;
mod approvals;
pub mod book;
pub mod cases;
mod compile;
mod concern;
pub mod evaluate;
pub mod lint;
pub mod observed;
pub mod prove;
mod raw;
pub mod schema;
mod scope;
pub mod sentence;
pub mod sheet;
pub mod timeline;
pub mod waiver;
pub mod windows;
mod wording;

use crate::{
    attribute::Attribute,
    permission::{Action, Mode},
    problem::{Problem, Problems},
    reader::did_you_mean,
};
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, collections::BTreeSet, fmt, sync::Arc};

pub use approval::{Approval, Approver};
pub use sheet::{Binds, Clause, DatedMode, Pack, PackStatus, Row};
pub use waiver::Waiver;

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

/// A file beside the packs.
#[derive(Clone, Copy, Debug)]
pub struct SideFile<'a> {
    /// Its name, for messages.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Raw policies beside a pack.
#[derive(Clone, Copy, Debug)]
pub struct CedarFile<'a> {
    /// The id of the pack, which is also the stem of both files.
    pub pack: &'a str,
    /// The file's name, for messages and for rules.
    pub file: &'a str,
    /// The file's text.
    pub text: &'a str,
}

/// Everything that terms are made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct TermsInput<'a> {
    /// The packs.
    pub packs: &'a [PackChoice<'a>],
    /// Raw policies beside them.
    pub cedar: &'a [CedarFile<'a>],
    /// Dates of the events that rules end with (`until_event`).
    pub events: Option<&'a BTreeMap<String, Timestamp>>,
    /// `waivers.toml`.
    pub waivers: Option<SideFile<'a>>,
    /// `approvals.toml`.
    pub approvals: Option<SideFile<'a>>,
    /// Who may approve, with their keys.
    pub approvers: &'a [Approver],
    /// Refuse a pack that nobody approved as it is.
    pub require_approved: bool,
}

/// Whether a second person has signed a pack as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackApproval {
    /// Nobody has, and it does not say so.
    Draft,
    /// It says so (`status = "approved"`), and nothing proves it: it counts as a draft.
    Claimed,
    /// This approval is of its very content.
    Approved(Approval),
}

/// True for the name of a file that is a pack: `X.toml` without a second dot, other than those of waivers and
/// approvals.
#[must_use]
pub fn is_pack_file(name: &str) -> bool {
    name.strip_suffix(".toml").is_some_and(|stem| {
        !stem.is_empty() && !stem.contains('.') && stem != "waivers" && stem != "approvals"
    })
}

/// True where two names are of one person: letters' case and blanks make no difference.
pub(crate) fn same_person(a: &str, b: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(a) == plain(b)
}

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) info: Arc<RuleInfo>,
    pub(crate) actions: Vec<Action>,
    /// Where one of these is not met, it says nothing; of a raw policy none are known.
    pub(crate) conditions: Vec<Clause>,
    /// Modes with the dates from which they hold, sorted; before the first: observe.
    pub(crate) modes: Vec<DatedMode>,
    /// True for a notice: it refuses nothing in any mode.
    pub(crate) notice: bool,
    pub(crate) policy: Policy,
    /// The policy without its waivers; `None` where it has none.
    pub(crate) unwaived: Option<Policy>,
}

impl Rule {
    pub(crate) fn mode_at(&self, now: Timestamp) -> Mode {
        self.modes
            .iter()
            .rfind(|row| row.from.is_none_or(|from| from <= now))
            .map_or(Mode::Observe, |row| row.mode)
    }

    /// How it acts for a question: its mode at that instant, or what the workload's organisation raised it to.
    pub(crate) fn acts(&self, ask: &evaluate::Ask) -> Mode {
        let own = self.mode_at(ask.now);
        ask.raised.get(&self.info.pack).map_or(own, |raised| own.max(*raised))
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
    scopes: scope::Scopes,
    waivers: Vec<Waiver>,
    approvals: BTreeMap<Arc<str>, PackApproval>,
    approval_notes: Problems,
}

impl Terms {
    /// Reads, checks and compiles packs alone. `events` dates the events that rules end with (`until_event`).
    ///
    /// # Errors
    /// Everything that is wrong with any of them, with file, line, column and hint; then none is in force.
    pub fn compile(packs: &[PackChoice<'_>], events: &BTreeMap<String, Timestamp>) -> Result<Self, Problems> {
        Self::compile_all(&TermsInput { packs, events: Some(events), ..TermsInput::default() })
    }

    /// Reads, checks and compiles packs with everything that stands beside them.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files, with file, line, column and hint; then none is in force.
    pub fn compile_all(input: &TermsInput<'_>) -> Result<Self, Problems> {
        let none = BTreeMap::new();
        let events = input.events.unwrap_or(&none);
        let mut problems = Problems::default();
        let mut read: Vec<ReadPack> = Vec::new();
        let mut hasher = blake3::Hasher::new();
        for choice in input.packs {
            let (pack, mut found) = sheet::read(choice.file, choice.text, events);
            problems.0.append(&mut found.0);
            if let Some(pack) = pack {
                hasher.update(pack.id.as_bytes());
                hasher.update(choice.mode.map_or("", Mode::name).as_bytes());
                hash_text(&mut hasher, choice.text);
                read.push(ReadPack { pack, text: choice.text, mode: choice.mode, raw: Vec::new() });
            }
        }
        for cedar in input.cedar {
            hash_text(&mut hasher, cedar.text);
            read_cedar(cedar, &mut read, &mut problems);
        }
        for (event, date) in events {
            hasher.update(event.as_bytes());
            hasher.update(crate::instant::format(*date).as_bytes());
        }
        let (waivers, mut found) =
            input.waivers.map(|file| waiver::read(file.file, file.text)).unwrap_or_default();
        problems.0.append(&mut found.0);
        if let Some(file) = input.waivers.filter(|_| !waivers.is_empty()) {
            hash_text(&mut hasher, file.text);
        }
        let approvals = approvals::judge(input, &read, &mut problems);
        find_duplicates(&read, &mut problems);
        // After a mistake in a pack its rules are not known: what follows from that is not the user's.
        if problems.0.is_empty() || read.len() == input.packs.len() {
            check_waivers(&waivers, &read, &mut problems);
        }
        problems.into_result()?;
        let schema = schema::cedar_schema().map_err(|message| internal(&message))?;
        let base = base_permits().map_err(|message| internal(&message))?;
        let mut terms = Self {
            packs: Vec::new(),
            rules: BTreeMap::new(),
            base,
            schema,
            boundaries: waivers.iter().flat_map(|waiver| [waiver.from, waiver.until]).collect(),
            reads: BTreeSet::new(),
            data_classes: BTreeSet::new(),
            hash: hasher.finalize().to_hex().to_string(),
            scopes: scope::Scopes::default(),
            waivers,
            approvals: approvals.of,
            approval_notes: approvals.notes,
        };
        for read in read {
            terms.take_in(read)?;
        }
        if terms.waivers.iter().any(|waiver| &*waiver.workload == "any") {
            // `any` also stands for every workload that no rule tells apart.
            terms.reads.insert(Attribute::Workload);
        }
        terms.validate()?;
        terms.boundaries.sort();
        terms.boundaries.dedup();
        Ok(terms)
    }

    fn take_in(&mut self, read: ReadPack<'_>) -> Result<(), Problems> {
        let ReadPack { pack, mode: chosen, raw, .. } = read;
        let usual = |own: &[DatedMode]| match (own, chosen) {
            ([], Some(mode)) => vec![DatedMode { mode, from: None }],
            ([], None) => pack.modes.clone(),
            (own, _) => own.to_vec(),
        };
        for row in &pack.rows {
            let info = sentence::rule_info(&pack, row);
            self.boundaries.extend([row.from, row.until].into_iter().flatten());
            for clause in row.clauses() {
                self.reads.insert(clause.attribute);
                if clause.attribute == Attribute::DataClasses {
                    self.data_classes.extend(clause.words.iter().cloned());
                }
            }
            let compiled = Compiled {
                actions: row.actions.clone(),
                conditions: scope::conditions(row).cloned().collect(),
                modes: usual(&row.modes),
                notice: row.notice.is_some(),
            };
            let policy = |id: &str, waived: &str| compile::policy(id, row, &info, waived);
            self.add(&Arc::new(info.clone()), compiled, &policy)?;
        }
        for own in raw {
            self.boundaries.extend(own.dates);
            self.reads.extend(own.reads);
            self.data_classes.extend(own.data_classes);
            let modes = usual(&own.modes);
            let compiled = Compiled { actions: own.actions, conditions: Vec::new(), modes, notice: false };
            let text = own.text;
            self.add(&Arc::new(own.info), compiled, &|id, waived| raw::compile(id, &text, waived))?;
        }
        self.packs.push(pack);
        Ok(())
    }

    /// Adds a rule; `policy` makes its policy under an id, with the clauses of its waivers.
    fn add(
        &mut self,
        info: &Arc<RuleInfo>,
        compiled: Compiled,
        policy: &dyn Fn(&str, &str) -> Result<Policy, String>,
    ) -> Result<(), Problems> {
        let waived = waiver::clauses(self.waivers.iter().filter(|waiver| waiver.rule == info.id));
        let failed = |message: String| {
            Problems(vec![Problem {
                file: Arc::clone(&info.file),
                line: info.line,
                column: 1,
                message: format!("rule `{}` does not compile: {message}", info.id),
                hint: "this is a bug of the compiler of sheets; please report it".to_owned(),
            }])
        };
        let whole = policy(&info.id, &waived).map_err(failed)?;
        let unwaived = if waived.is_empty() {
            None
        } else {
            Some(policy(&format!("{}{}", evaluate::UNWAIVED, info.id), "").map_err(failed)?)
        };
        let Compiled { actions, conditions, modes, notice } = compiled;
        self.scopes.look_at(&conditions);
        self.boundaries.extend(modes.iter().filter_map(|mode| mode.from));
        let rule =
            Rule { info: Arc::clone(info), actions, conditions, modes, notice, policy: whole, unwaived };
        self.rules.insert(Arc::clone(&info.id), rule);
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

    /// The rules of these packs, sorted by id.
    pub fn rules_of(&self, packs: &[Arc<str>]) -> impl Iterator<Item = &Arc<RuleInfo>> {
        self.rules.values().map(|rule| &rule.info).filter(move |info| packs.contains(&info.pack))
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

    /// True where some waiver is for this workload, so that no other may share its class.
    #[must_use]
    pub fn is_waived_for(&self, workload: &str) -> bool {
        self.waivers.iter().any(|waiver| &*waiver.workload == workload)
    }

    /// The waivers, in the order of the file.
    #[must_use]
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }

    /// The waiver that lifts this rule for this workload at `now`; of several, the one that ends last.
    #[must_use]
    pub fn waiver(&self, rule: &str, workload: &str, now: Timestamp) -> Option<&Waiver> {
        let own =
            |waiver: &&Waiver| &*waiver.rule == rule && &*waiver.workload == workload && waiver.holds(now);
        self.waivers.iter().filter(own).max_by_key(|waiver| waiver.until)
    }

    /// Whether a second person has signed a pack as it is.
    #[must_use]
    pub fn approval_of(&self, pack: &str) -> PackApproval {
        self.approvals.get(pack).cloned().unwrap_or(PackApproval::Draft)
    }

    /// What is allowed and should be known at `now`: expired waivers, approvals that count for nothing.
    #[must_use]
    pub fn notes(&self, now: Timestamp) -> Problems {
        let mut notes = self.approval_notes.clone();
        for waiver in self.waivers.iter().filter(|waiver| waiver.until <= now) {
            let until = crate::instant::for_people(waiver.until);
            notes.0.push(Problem {
                file: Arc::clone(&waiver.file),
                line: waiver.line,
                column: 1,
                message: format!(
                    "the waiver of `{}` for `{}` expired at {until}",
                    waiver.rule, waiver.workload
                ),
                hint: "take it out; the version history keeps it".to_owned(),
            });
        }
        notes.0.sort();
        notes
    }

    /// Waivers for workloads that are not among these.
    #[must_use]
    pub fn check_workloads(&self, known: &[&str]) -> Problems {
        let unknown = self.waivers.iter().filter(|waiver| !known.contains(&&*waiver.workload));
        Problems(
            unknown
                .map(|waiver| Problem {
                    file: Arc::clone(&waiver.file),
                    line: waiver.line,
                    column: 1,
                    message: format!(
                        "the waiver of `{}` is for the workload `{}`, which is not there",
                        waiver.rule, waiver.workload
                    ),
                    hint: did_you_mean(&waiver.workload, known),
                })
                .collect(),
        )
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

fn hash_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// A pack that was read, with what is decided about it.
pub(crate) struct ReadPack<'a> {
    pub(crate) pack: Pack,
    pub(crate) text: &'a str,
    mode: Option<Mode>,
    raw: Vec<raw::RawPolicy>,
}

impl ReadPack<'_> {
    /// Id, file and line of every rule.
    fn rules(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, u32)> {
        let rows = self.pack.rows.iter().map(|row| (&row.id, &self.pack.file, row.line));
        rows.chain(self.raw.iter().map(|raw| (&raw.info.id, &raw.info.file, raw.info.line)))
    }
}

/// What is known of a rule beside its policy.
struct Compiled {
    actions: Vec<Action>,
    conditions: Vec<Clause>,
    modes: Vec<DatedMode>,
    notice: bool,
}

fn read_cedar(cedar: &CedarFile<'_>, read: &mut [ReadPack<'_>], problems: &mut Problems) {
    let Some(own) = read.iter_mut().find(|read| &*read.pack.id == cedar.pack) else {
        problems.0.push(Problem {
            file: cedar.file.into(),
            line: 1,
            column: 1,
            message: format!("there is no pack `{}` that these policies belong to", cedar.pack),
            hint: "raw policies stand in X.cedar beside X.toml, whose `[pack]` has id = \"X\"".to_owned(),
        });
        return;
    };
    let (policies, mut found) = raw::read(&own.pack, cedar.file, cedar.text);
    problems.0.append(&mut found.0);
    own.pack.hash = approval::content_hash(own.text, Some(cedar.text)).into();
    own.raw.extend(policies);
}

/// Waivers that lift nothing, or what must not be lifted.
fn check_waivers(waivers: &[Waiver], read: &[ReadPack<'_>], problems: &mut Problems) {
    let known: Vec<&str> = read.iter().flat_map(ReadPack::rules).map(|(id, _, _)| &**id).collect();
    for waiver in waivers {
        let (mut law, mut waivable, mut notice) = (false, None, false);
        for own in read {
            let row = own.pack.rows.iter().find(|row| row.id == waiver.rule);
            let raw = own.raw.iter().find(|raw| raw.info.id == waiver.rule);
            if let Some(found) = row.map(|row| row.waivable).or_else(|| raw.map(|raw| raw.info.waivable)) {
                waivable = Some(found);
                law = own.pack.binds == Binds::Law;
                notice = row.is_some_and(|row| row.notice.is_some());
            }
        }
        let (message, hint) = match waivable {
            None => (
                format!("there is no rule `{}` to be waived", waiver.rule),
                format!("{}; a pack that is off has no rules", did_you_mean(&waiver.rule, &known)),
            ),
            Some(_) if law => (
                format!("`{}` is a rule of a law pack: it is not waivable", waiver.rule),
                "nobody here can waive a law".to_owned(),
            ),
            Some(_) if notice => (
                format!("`{}` is a notice: it refuses nothing that could be waived", waiver.rule),
                "take the waiver out".to_owned(),
            ),
            Some(false) => {
                (format!("`{}` is not waivable", waiver.rule), "its pack says `waivable = false`".to_owned())
            }
            Some(true) => continue,
        };
        problems.0.push(Problem {
            file: Arc::clone(&waiver.file),
            line: waiver.line,
            column: 1,
            message,
            hint,
        });
    }
}

fn find_duplicates(read: &[ReadPack<'_>], problems: &mut Problems) {
    let mut packs: BTreeMap<&str, &Pack> = BTreeMap::new();
    let mut rules: BTreeMap<&str, (&str, u32)> = BTreeMap::new();
    for own in read {
        let pack = &own.pack;
        if let Some(first) = packs.insert(&pack.id, pack) {
            problems.0.push(Problem {
                file: Arc::clone(&pack.file),
                line: 1,
                column: 1,
                message: format!("the pack `{}` is there twice", pack.id),
                hint: format!("the first is {}", first.file),
            });
        }
        for (id, file, line) in own.rules() {
            if let Some((first, first_line)) = rules.insert(id, (file, line)) {
                problems.0.push(Problem {
                    file: Arc::clone(file),
                    line,
                    column: 1,
                    message: format!("the rule id `{id}` is there twice"),
                    hint: format!("the first is at {first}:{first_line}"),
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
