//! The journal and the ledger's database, held against what was seen from outside.

use crate::caller::Answered;
use domain::{
    CallId,
    record::{Outcome, Record},
};
use ledger::show::Sums;
use simulator::ExchangeRecord;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
};
use storage::{
    LedgerStore,
    journal::{Position, Reader},
};

/// A request that reached a cloud.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) seq: u64,
    cloud: String,
    call: Option<CallId>,
    /// Unix milliseconds.
    received_at: u64,
}

impl Exchange {
    pub(super) fn of(record: &ExchangeRecord) -> Self {
        let id = ["x-client-request-id", "x-ms-client-request-id"]
            .iter()
            .find_map(|name| record.headers.get(*name));
        let call = id.and_then(|id| id.parse().ok());
        Self { seq: record.seq, cloud: record.cloud.to_string(), call, received_at: record.received_at }
    }
}

/// What was seen from outside.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// By the clouds, in order.
    pub(super) exchanges: Vec<Exchange>,
    /// By the callers: answers of which they got the last byte.
    pub(super) answers: Vec<Answered>,
}

/// What the comparison showed.
#[derive(Debug, Default)]
pub(super) struct Findings {
    exchanges: usize,
    answers: usize,
    not_ok: usize,
    failovers: usize,
    records: u64,
    /// Attempts that a kill left open and the next start closed.
    pub(super) unknown: usize,
    /// Everything that must not be.
    pub(super) violations: Vec<String>,
}

impl Findings {
    /// Whether a violation of this kind was found.
    pub(super) fn saw(&self, kind: &str) -> bool {
        self.violations.iter().any(|violation| violation.contains(kind))
    }

    /// Whether enough happened for its silence to mean something.
    pub(super) fn is_worth_something(&self) -> bool {
        self.exchanges > 50 && self.answers > 30 && self.failovers > 0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} exchanges at the clouds, {} whole answers ({} not 200), {} calls that failed over, {} attempts open \
             at a kill, {} records, {} violations",
            self.exchanges,
            self.answers,
            self.not_ok,
            self.failovers,
            self.unknown,
            self.records,
            self.violations.len()
        )?;
        self.violations.iter().take(10).try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// What the journal tells of one call.
#[derive(Debug, Default)]
struct Story {
    attempts: BTreeMap<u16, Attempt>,
    /// Refusals, and outcomes that say to be the last.
    terminals: Vec<Option<Outcome>>,
    /// It ended between two attempts, says a notice of the recovery.
    between: bool,
}

#[derive(Debug, Default)]
struct Attempt {
    deployment: String,
    at_ms: u64,
    begun: u32,
    outcomes: u32,
}

/// Holds the records in `data` (a `journal.dir`) against the witnesses.
pub(super) fn check(data: &Path, witness: &Witness) -> Findings {
    let mut findings = Findings {
        exchanges: witness.exchanges.len(),
        answers: witness.answers.len(),
        ..Findings::default()
    };
    let (stories, sums) = read(&data.join("journal"), &mut findings);
    findings.failovers = stories.values().filter(|story| story.attempts.len() > 1).count();
    each_story_is_whole(&stories, &mut findings);
    each_exchange_has_its_attempt(&stories, witness, &mut findings);
    each_answer_has_its_terminal(&stories, witness, &mut findings);
    the_database_says_the_same(data, &sums, &mut findings);
    findings
}

fn read(dir: &Path, findings: &mut Findings) -> (HashMap<CallId, Story>, Sums) {
    let mut stories: HashMap<CallId, Story> = HashMap::new();
    let mut sums = Sums::default();
    let mut reader = Reader::new(dir, Position::default());
    while let Some(found) = reader.next_record().unwrap() {
        findings.records += 1;
        if found.sequence != findings.records {
            findings.violations.push(format!("record {} has sequence {}", findings.records, found.sequence));
        }
        match found.record.unwrap() {
            Record::Attempt(record) => {
                let attempt =
                    stories.entry(record.call).or_default().attempts.entry(record.attempt).or_default();
                attempt.begun += 1;
                attempt.deployment = record.deployment.to_string();
                attempt.at_ms = u64::try_from(record.at_us / 1000).unwrap();
            }
            Record::Outcome(record) => {
                sums.add_outcome(&record);
                let story = stories.entry(record.call).or_default();
                story.attempts.entry(record.attempt).or_default().outcomes += 1;
                if record.last {
                    story.terminals.push(Some(record.outcome));
                }
                findings.unknown += usize::from(record.outcome == Outcome::Unknown);
            }
            Record::Refusal(record) => {
                sums.add_refusal();
                stories.entry(record.call).or_default().terminals.push(None);
            }
            Record::Notice(notice) => {
                if let Some((call, _)) = notice.text.split_once(" ended between attempt ") {
                    stories.entry(call.parse().unwrap()).or_default().between = true;
                }
            }
            Record::Decision(_) => {}
        }
    }
    if reader.lost() > 0 {
        findings.violations.push(format!("{} records are missing or damaged", reader.lost()));
    }
    (stories, sums)
}

/// Each attempt has begun once and ended once; each call has one terminal.
fn each_story_is_whole(stories: &HashMap<CallId, Story>, findings: &mut Findings) {
    for (call, story) in stories {
        for (number, attempt) in &story.attempts {
            if attempt.begun != 1 || attempt.outcomes != 1 {
                let Attempt { begun, outcomes, .. } = attempt;
                findings
                    .violations
                    .push(format!("{call} attempt {number}: begun {begun} times, ended {outcomes} times"));
            }
        }
        if story.terminals.len() != usize::from(!story.between) {
            let count = story.terminals.len();
            findings
                .violations
                .push(format!("{call} has {count} terminals, ended between attempts: {}", story.between));
        }
    }
}

/// The n-th request of a call to a cloud stands behind its n-th attempt there, which was made before.
fn each_exchange_has_its_attempt(
    stories: &HashMap<CallId, Story>,
    witness: &Witness,
    findings: &mut Findings,
) {
    let mut seen: HashMap<(CallId, &str), usize> = HashMap::new();
    for exchange in &witness.exchanges {
        let Some(call) = exchange.call else {
            findings.violations.push(format!("a request without a call's id: {exchange:?}"));
            continue;
        };
        let before = seen.entry((call, &exchange.cloud)).or_default();
        let attempts = stories.get(&call).into_iter().flat_map(|story| story.attempts.values());
        match attempts
            .filter(|attempt| attempt.begun > 0 && attempt.deployment == exchange.cloud)
            .nth(*before)
        {
            None => {
                findings.violations.push(format!("{call}: {} saw it and there is no attempt", exchange.cloud))
            }
            Some(attempt) if attempt.at_ms > exchange.received_at => {
                findings
                    .violations
                    .push(format!("{call}: the attempt is younger than its request: {exchange:?}"));
            }
            Some(_) => {}
        }
        *before += 1;
    }
}

/// An answer that came whole has one terminal, and a complete one says so.
fn each_answer_has_its_terminal(
    stories: &HashMap<CallId, Story>,
    witness: &Witness,
    findings: &mut Findings,
) {
    for answer in &witness.answers {
        let Some(call) = answer.call else {
            findings.violations.push(format!("an answer without a call's id: {answer:?}"));
            continue;
        };
        findings.not_ok += usize::from(answer.status != 200);
        let terminals = stories.get(&call).map_or(&[][..], |story| &story.terminals);
        let wrong = match terminals {
            [] => Some("there is no terminal".to_owned()),
            [Some(Outcome::Done)] if answer.status == 200 && answer.complete => None,
            [Some(Outcome::Cut(_))] if answer.status == 200 && !answer.complete => None,
            [None | Some(Outcome::Failed(_))] if answer.status != 200 => None,
            other => Some(format!("the journal says {other:?}")),
        };
        if let Some(wrong) = wrong {
            findings
                .violations
                .push(format!("{call}: answered ({} {}) and {wrong}", answer.status, answer.complete));
        }
    }
}

/// The drained sums are those of the journal: no record is counted twice or not at all.
fn the_database_says_the_same(data: &Path, journal: &Sums, findings: &mut Findings) {
    let store = LedgerStore::open_read_only(&data.join("ledger.sqlite")).unwrap();
    let mut drained = Sums::default();
    for row in store.rows(0, i64::MAX).unwrap() {
        drained.add(&row.sums);
    }
    for (name, (in_journal, in_database)) in
        Sums::NAMES.iter().zip(journal.numbers().into_iter().zip(drained.numbers()))
    {
        if in_journal != in_database {
            findings
                .violations
                .push(format!("{name}: {in_journal} by the journal, {in_database} in the database"));
        }
    }
    let position = store.position().unwrap().sequence;
    if position != findings.records + 1 {
        findings.violations.push(format!("drained up to {position} of {} records", findings.records));
    }
}
