//! What is right by the grammar and still looks wrong: a rule that can never apply, that another one shadows, that
//! names what nothing has, that nobody has looked at for long.
//!
//! What the grammar itself forbids (unknown attributes, words of closed lists, missing sources, impossible dates)
//! is found when a pack is read.

use super::{
    Clause, Pack, Row, Terms, sentence,
    sheet::{Binds, Verdict},
};
use crate::{
    attribute::{Attribute, Owner, Shape, UNKNOWN},
    facts::{DeploymentFacts, FactBook},
    fleet::WorkloadProfile,
    instant,
    permission::Action,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};

/// A row that was compared with its source longer ago than this is due, in days.
pub const REVIEW_DAYS: i64 = 365;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule does nothing.
    Error,
    /// Somebody should look.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lint {
    /// The file.
    pub file: Arc<str>,
    /// The line of the row, from 1.
    pub line: u32,
    /// How bad it is.
    pub severity: Severity,
    /// The rule.
    pub rule: Arc<str>,
    /// What looks wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl std::fmt::Display for Lint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: {}: {}", self.file, self.line, self.severity.name(), self.rule, self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n    hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// What the words of rules are looked up in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    /// What facts are known of anybody.
    pub book: Option<&'a FactBook>,
    /// Names of providers.
    pub providers: &'a [&'a str],
    /// Names of models.
    pub models: &'a [&'a str],
    /// The deployments of a configuration; empty: none is known.
    pub deployments: &'a [DeploymentFacts],
    /// The workloads of a configuration; empty: none is known.
    pub workloads: &'a [WorkloadProfile],
}

/// Looks at every row of every pack.
#[must_use]
pub fn lint(terms: &Terms, vocabulary: &Vocabulary<'_>, now: Timestamp) -> Vec<Lint> {
    let mut found = Vec::new();
    let rows: Vec<(&Pack, &Row)> =
        terms.packs().iter().flat_map(|pack| pack.rows.iter().map(move |row| (pack, row))).collect();
    for (pack, row) in &rows {
        let mut findings = Findings { pack, row, found: &mut found };
        never(&mut findings, now);
        words(&mut findings, vocabulary);
        care(&mut findings, now);
    }
    for (index, (pack, row)) in rows.iter().enumerate() {
        // An equal one that stands before counts; a wider one wherever it stands.
        let shadow = rows.iter().enumerate().find(|(other, (theirs, wide))| {
            *other != index
                && (pack.id == theirs.id || (pack.binds == theirs.binds && pack.binds == Binds::Us))
                && shadows(wide, row)
                && (*other < index || !shadows(row, wide))
        });
        if let Some((_, (theirs, wide))) = shadow {
            let mut findings = Findings { pack, row, found: &mut found };
            let message = if covers(wide, row) {
                format!("`{}` refuses everything that this rule refuses, at all its dates", wide.id)
            } else {
                let period = sentence::period(wide.from.max(row.from), earlier(wide.until, row.until));
                format!("`{}` refuses everything that this rule refuses, {period}", wide.id)
            };
            let hint = format!(
                "the other stands at {}:{}; keep one, or make their dates meet",
                theirs.file, wide.line
            );
            findings.add(Severity::Warning, message, &hint);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The findings of one row.
struct Findings<'a, 'f> {
    pack: &'a Pack,
    row: &'a Row,
    found: &'f mut Vec<Lint>,
}

impl Findings<'_, '_> {
    fn add(&mut self, severity: Severity, message: String, hint: &str) {
        self.found.push(Lint {
            file: Arc::clone(&self.pack.file),
            line: self.row.line,
            severity,
            rule: Arc::clone(&self.row.id),
            message,
            hint: hint.to_owned(),
        });
    }
}

/// Rules that can never refuse anything.
fn never(findings: &mut Findings<'_, '_>, now: Timestamp) {
    let row = findings.row;
    if let (Some(from), Some(until)) = (row.from, row.until)
        && until <= from
    {
        let message = format!(
            "it can never apply: it would begin at {} and is over at {}",
            instant::format(from),
            instant::format(until)
        );
        findings.add(Severity::Error, message, "an event that ends it was dated before it begins");
    }
    let class = row.applies_to.iter().find(|clause| clause.attribute == Attribute::Class);
    if row.actions == [Action::HostState]
        && class.is_some_and(|class| matches!(class.words.as_slice(), [one] if **one == *"stateless"))
    {
        let hint = "take `class` out, or name the class stateful or hybrid";
        findings.add(
            Severity::Error,
            "it can never apply: a stateless call has no state to host".to_owned(),
            hint,
        );
    }
    let verdict: &[Clause] = match &row.verdict {
        Verdict::Forbidden(clauses) => clauses,
        _ => &[],
    };
    let conditions: Vec<&Clause> = row.applies_to.iter().chain(verdict).collect();
    for (index, clause) in conditions.iter().enumerate() {
        let contradicts = conditions.iter().take(index).any(|before| {
            before.attribute == clause.attribute
                && clause.attribute.shape() == Shape::Word
                && !plain(before).iter().any(|word| plain(clause).contains(word))
                && !patterned(before)
                && !patterned(clause)
        });
        if contradicts {
            let message = format!("it can never apply: no {} is both", clause.attribute.noun());
            findings.add(
                Severity::Error,
                message,
                "`applies_to` and `forbidden` name different words for it",
            );
        }
    }
    for except in &row.except {
        if let [clause] = except.as_slice()
            && row.applies_to.iter().any(|own| implies(own, clause))
        {
            let message = format!(
                "it can never apply: an exception lifts every {} that it is about",
                clause.attribute.noun()
            );
            findings.add(Severity::Error, message, "take the exception out, or make it narrower");
        }
    }
    if let Verdict::AllowedOnly(clauses) = &row.verdict {
        let all_given = clauses.iter().all(|clause| {
            clause.attribute.shape() == Shape::Word && row.applies_to.iter().any(|own| implies(own, clause))
        });
        if all_given {
            let message =
                "it can never refuse: `allowed_only` allows everything that `applies_to` lets in".to_owned();
            findings.add(Severity::Error, message, "take one of the two out");
        }
    }
    if let (Verdict::Notice, None) = (&row.verdict, row.until) {
        findings.add(
            Severity::Warning,
            "a notice without an end is told for ever".to_owned(),
            "add `until = …`, the date at which nobody needs it any more",
        );
    }
    if row.until.is_some_and(|until| until <= now) && row.reviewed.is_none() {
        findings.add(Severity::Note, "it is over; it is kept as history".to_owned(), "");
    }
}

/// Words that nothing has.
fn words(findings: &mut Findings<'_, '_>, vocabulary: &Vocabulary<'_>) {
    let row = findings.row;
    let mut told = BTreeSet::new();
    for clause in row.clauses() {
        for word in clause.words.iter().filter(|word| {
            !clause.written.iter().any(|own| own.starts_with('@')) || clause.written.contains(word)
        }) {
            if matches!(&**word, UNKNOWN | "none" | "any")
                || !told.insert((clause.attribute, Arc::clone(word)))
            {
                continue;
            }
            let Some((has, of)) = known(clause.attribute, word, vocabulary) else { continue };
            if !has {
                let message = format!("{of} `{}` = `{word}`", clause.attribute);
                if of_the_operator(clause.attribute) && vocabulary.deployments.is_empty() {
                    let hint = "a deployment has it where its configuration says so; -c FILE looks there";
                    findings.add(Severity::Note, message, hint);
                    continue;
                }
                let hint = "a slip of the pen, or a fact that is still missing; `cabotage catalog show` lists the facts";
                findings.add(Severity::Warning, message, hint);
            }
        }
    }
}

/// Facts that mostly the operator states of his own deployments: that the catalog has none is no fault.
const fn of_the_operator(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Product
            | Attribute::GeoTier
            | Attribute::Attestations
            | Attribute::CostStructure
            | Attribute::TrainingUse
            | Attribute::LogJurisdictions
            | Attribute::BackupJurisdictions
            | Attribute::SubProcessorJurisdictions
    )
}

/// Whether somebody has the word, and how to say that nobody has it; `None` where it cannot be known.
fn known(attribute: Attribute, word: &str, vocabulary: &Vocabulary<'_>) -> Option<(bool, &'static str)> {
    let fits = |known: &str| matches(word, known);
    match attribute.owner() {
        Owner::Deployment => {
            let book = vocabulary.book?;
            let stated = match attribute {
                Attribute::Provider => vocabulary.providers.iter().any(|known| fits(known)),
                Attribute::Model => vocabulary.models.iter().any(|known| fits(known)),
                _ => book
                    .rows()
                    .iter()
                    .filter(|row| row.attribute == attribute)
                    .any(|row| row.dated.fact.value.words().any(fits)),
            };
            let own = vocabulary.deployments.iter().filter_map(|facts| facts.rows.get(&attribute)).flatten();
            let has = stated || own.into_iter().any(|row| row.fact.value.words().any(fits));
            Some((has, "no fact of the catalog is"))
        }
        Owner::Workload if vocabulary.workloads.is_empty() => None,
        Owner::Workload => {
            let has = vocabulary.workloads.iter().any(|workload| workload.value(attribute).words().any(fits));
            Some((has, "no workload of the configuration has"))
        }
        Owner::Context => None,
    }
}

/// Who answers for a row, and when it was looked at.
fn care(findings: &mut Findings<'_, '_>, now: Timestamp) {
    let row = findings.row;
    if row.owner.is_none() {
        findings.add(
            Severity::Warning,
            "nobody owns it".to_owned(),
            "add `owner = …`: who answers for the row",
        );
    }
    let Some(reviewed) = row.reviewed else {
        findings.add(
            Severity::Warning,
            "it was never compared with its source".to_owned(),
            "add `reviewed = …`, the day on which somebody did",
        );
        return;
    };
    let over = row.until.is_some_and(|until| until <= now);
    if reviewed > now {
        findings.add(Severity::Warning, format!("it was reviewed in the future, on {}", day(reviewed)), "");
    } else if !over && now.duration_since(reviewed) > SignedDuration::from_hours(24 * REVIEW_DAYS) {
        let message = format!(
            "it was last compared with its source on {}, more than {REVIEW_DAYS} days ago",
            day(reviewed)
        );
        findings.add(Severity::Warning, message, "read the source again and date `reviewed`");
    }
    if row.until.is_some_and(|until| until < reviewed) {
        let message = format!("it was over before it was last reviewed ({}): history", day(reviewed));
        findings.add(Severity::Note, message, "");
    }
}

fn day(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d").to_string()
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

/// True where `wide` refuses everything that `narrow` refuses, at least at some of its dates.
fn shadows(wide: &Row, narrow: &Row) -> bool {
    let overlap = wide.until.is_none_or(|until| narrow.from.is_none_or(|from| from < until))
        && narrow.until.is_none_or(|until| wide.from.is_none_or(|from| from < until));
    let actions = narrow.actions.iter().all(|action| wide.actions.contains(action));
    // Everything that makes the wide one apply must hold where the narrow one applies.
    let given: Vec<&Clause> = match &narrow.verdict {
        Verdict::Forbidden(clauses) => narrow.applies_to.iter().chain(clauses).collect(),
        _ => narrow.applies_to.iter().collect(),
    };
    let asked: Vec<&Clause> = match &wide.verdict {
        Verdict::Forbidden(clauses) => wide.applies_to.iter().chain(clauses).collect(),
        _ => wide.applies_to.iter().collect(),
    };
    let scope = asked.iter().all(|asked| given.iter().any(|given| implies(given, asked)));
    let verdict = match (&wide.verdict, &narrow.verdict) {
        (Verdict::Forbidden(_), Verdict::Forbidden(_)) => true,
        // What the wide one allows, the narrow one must allow too.
        (Verdict::AllowedOnly(wide), Verdict::AllowedOnly(narrow)) => {
            narrow.iter().all(|narrow| wide.iter().any(|wide| allows_less(wide, narrow)))
        }
        _ => false,
    };
    let spared = wide.except.iter().all(|wide| {
        narrow
            .except
            .iter()
            .any(|narrow| narrow.iter().all(|own| wide.iter().any(|theirs| implies(theirs, own))))
    });
    overlap && actions && scope && verdict && spared
}

/// True where `wide` is in force at all dates of `narrow`.
fn covers(wide: &Row, narrow: &Row) -> bool {
    wide.from.is_none_or(|from| narrow.from.is_some_and(|own| from <= own))
        && wide.until.is_none_or(|until| narrow.until.is_some_and(|own| own <= until))
}

/// True where whatever has a word of `narrow` has a word of `wide`.
fn implies(narrow: &Clause, wide: &Clause) -> bool {
    narrow.attribute == wide.attribute
        && narrow.words.iter().all(|word| wide.words.iter().any(|other| matches(other, word)))
}

/// True where whatever `wide` allows is allowed by `narrow` too.
fn allows_less(wide: &Clause, narrow: &Clause) -> bool {
    match narrow.attribute.shape() {
        // Attestations: the more are asked for, the less is allowed.
        Shape::HasAll => {
            wide.attribute == narrow.attribute && narrow.words.iter().all(|word| wide.words.contains(word))
        }
        Shape::Word | Shape::Within => implies(wide, narrow),
    }
}

fn plain(clause: &Clause) -> &[Arc<str>] {
    &clause.words
}

fn patterned(clause: &Clause) -> bool {
    clause.words.iter().any(|word| word.contains('*'))
}

/// True where the word is the pattern's, which may have `*` for any characters.
fn matches(pattern: &str, word: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == word };
    let Some(mut left) = word.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}
