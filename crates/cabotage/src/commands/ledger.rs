//! `cabotage ledger show`: what was used and what it cost. Reads the database beside a gateway that runs or long
//! after, and behind it what of the journal has not been drained yet, so nothing is missing. Writes nothing.

mod classes;

use crate::wiring::journal::{LEDGER, SEGMENTS};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use domain::{
    CallId,
    class::{Classed, Counts},
    record::{AttemptRecord, Outcome, OutcomeRecord, Record},
};
use jiff::Timestamp;
use ledger::show::{Dimension, Report, Row, Sums};
use placement::instant;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::ExitCode,
};
use storage::{
    LedgerStore,
    journal::{Position, Reader},
};

/// How often the database is read anew where the drainer moves meanwhile.
const TRIES_MAX: u32 = 100;

/// What was used and what it cost.
#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// What is asked
    #[command(subcommand)]
    question: Question,
}

/// What is asked.
#[derive(Debug, Subcommand)]
enum Question {
    /// Calls, tokens and cost
    Show(Show),
}

/// Calls, tokens and cost.
#[derive(Debug, Args)]
struct Show {
    /// The folder of the journal (`journal.dir`)
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    journal: Option<PathBuf>,
    /// The configuration that names it
    #[arg(short, long, value_name = "FILE", conflicts_with = "journal")]
    config: Option<PathBuf>,
    /// Grouped by workload, model, deployment, key or day
    #[arg(long, value_parser = dimension, default_value = "workload")]
    by: Dimension,
    /// Only from this instant on (2026-11-21 or 2026-11-21T10:00:00Z), by whole minutes
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    since: Option<Timestamp>,
    /// Everything about one call
    #[arg(long, value_name = "ID", conflicts_with = "since")]
    call: Option<CallId>,
    /// Who keeps state, per workload: classes and conversations. With --since, by whole days
    #[arg(long, conflicts_with_all = ["call", "by"])]
    classes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn dimension(word: &str) -> Result<Dimension, String> {
    let known = || Dimension::ALL.map(Dimension::name).join(", ");
    Dimension::from_name(word).ok_or_else(|| format!("one of: {}", known()))
}

/// Prints sums, or one call.
pub(crate) fn run(arguments: &Ledger) -> anyhow::Result<ExitCode> {
    let Question::Show(show) = &arguments.question;
    let dir = match (&show.journal, &show.config) {
        (Some(dir), _) => dir.clone(),
        (None, Some(file)) => of_config(file)?,
        (None, None) => bail!("name the journal: --journal DIR or -c FILE"),
    };
    let books = Books::open(&dir)?;
    match show.call {
        Some(call) => one_call(&books, call, show.json),
        None if show.classes => profiles(&books, show),
        None => sums(&books, show),
    }
}

/// `journal.dir` of a configuration. Nothing else of it is looked at: reading the ledger needs no keys.
pub(crate) fn of_config(file: &Path) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", file.display()))?;
    let dir = table.get("journal").and_then(|journal| journal.get("dir")).and_then(toml::Value::as_str);
    Ok(file.parent().unwrap_or(Path::new("")).join(dir.unwrap_or("cabotage-data")))
}

fn sums(books: &Books, show: &Show) -> anyhow::Result<ExitCode> {
    let from = show
        .since
        .map_or(i64::MIN, |since| since.as_microsecond().div_euclid(MINUTE_US).saturating_mul(MINUTE_US));
    let found = books.rows(from)?;
    let report = Report::by(show.by, found.rows);
    if show.json {
        let mut value: Value = serde_json::from_str(&report.json())?;
        if let Some(map) = value.as_object_mut() {
            map.insert("open".to_owned(), json!(found.open));
            map.insert("lost_records".to_owned(), json!(found.lost));
        }
        println!("{value}");
    } else {
        print!("{}", report.text());
        if found.open > 0 {
            println!("{} attempts are under way; they are counted when they end.", found.open);
        }
        if found.lost > 0 {
            println!("{} records are missing or damaged.", found.lost);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn profiles(books: &Books, show: &Show) -> anyhow::Result<ExitCode> {
    let from =
        show.since.map_or(i64::MIN, |since| since.as_microsecond().div_euclid(DAY_US).saturating_mul(DAY_US));
    let found = books.rows(from)?.profiles;
    if show.json {
        println!("{}", classes::as_json(&found));
    } else {
        print!("{}", classes::as_text(&found));
    }
    Ok(ExitCode::SUCCESS)
}

const DAY_US: i64 = 86_400_000_000;
const MINUTE_US: i64 = 60_000_000;

/// The journal's segments and the database made of them, to be read only.
struct Books {
    segments: PathBuf,
    store: Option<LedgerStore>,
}

/// What the books say.
struct FoundSums {
    rows: Vec<Row>,
    /// What workloads are like.
    profiles: BTreeMap<String, Counts>,
    /// Attempts that have no end yet.
    open: u64,
    /// Ends of attempts that stand before the records that were read.
    closed: u64,
    lost: u64,
}

impl Books {
    fn open(dir: &Path) -> anyhow::Result<Self> {
        let segments = dir.join(SEGMENTS);
        if !segments.is_dir() {
            bail!("{} holds no journal: there is no folder `{SEGMENTS}` in it", dir.display());
        }
        let database = dir.join(LEDGER);
        let store = if database.exists() { Some(LedgerStore::open_read_only(&database)?) } else { None };
        Ok(Self { segments, store })
    }

    /// Sums from a minute on: the database's, and those of the records behind it.
    fn rows(&self, from_us: i64) -> anyhow::Result<FoundSums> {
        let Some(store) = &self.store else { return self.tail(Position::default(), from_us) };
        for _ in 0..TRIES_MAX {
            let position = store.position()?;
            let mut rows = store.rows(from_us, i64::MAX)?;
            let mut profiles = store.profiles(from_us)?;
            let (lost, _) = store.gaps()?;
            let [_, drained_open, _] = store.sizes()?;
            if store.position()? != position {
                continue;
            }
            let mut tail = self.tail(position, from_us)?;
            rows.append(&mut tail.rows);
            for (workload, counts) in &tail.profiles {
                profiles.entry(workload.clone()).or_default().add(counts);
            }
            let open = drained_open.saturating_sub(tail.closed) + tail.open;
            return Ok(FoundSums { rows, profiles, open, closed: 0, lost: lost + tail.lost });
        }
        bail!("the ledger is being written faster than it can be read; try again")
    }

    /// Sums of the records from a position on.
    fn tail(&self, position: Position, from_us: i64) -> anyhow::Result<FoundSums> {
        let mut reader = Reader::new(&self.segments, position);
        let mut open: HashMap<(CallId, u16), AttemptRecord> = HashMap::new();
        let mut rows = Vec::new();
        let mut profiles: BTreeMap<String, Counts> = BTreeMap::new();
        let mut closed = 0;
        while let Some(found) = reader.next_record()? {
            match found.record {
                Ok(Record::Attempt(attempt)) => {
                    open.insert((attempt.call, attempt.attempt), attempt);
                }
                Ok(Record::Outcome(outcome)) => {
                    let known = open.remove(&(outcome.call, outcome.attempt));
                    let attempt = match known {
                        Some(attempt) => Some(attempt),
                        None => {
                            closed += 1;
                            self.attempt_of(&outcome)?
                        }
                    };
                    if outcome.last && outcome.at_us >= from_us {
                        let workload = attempt.as_ref().map_or("?", |attempt| attempt.workload.as_str());
                        let counts = Counts::of(&outcome.class, outcome.at_us);
                        profiles.entry(workload.to_owned()).or_default().add(&counts);
                    }
                    rows.push(row_of(&outcome, attempt.as_ref()));
                }
                Ok(Record::Refusal(refusal)) => {
                    let mut sums = Sums::default();
                    sums.add_refusal();
                    rows.push(Row {
                        minute_us: refusal.at_us,
                        workload: refusal.workload.as_str().into(),
                        deployment: "".into(),
                        key: refusal.key.as_str().into(),
                        model: refusal.model.as_str().into(),
                        sums,
                    });
                }
                Ok(Record::Decision(_) | Record::Notice(_)) | Err(_) => {}
            }
        }
        rows.retain(|row| row.minute_us >= from_us);
        Ok(FoundSums { rows, profiles, open: open.len() as u64, closed, lost: reader.lost() })
    }

    /// The attempt of an outcome, where it was drained before.
    fn attempt_of(&self, outcome: &OutcomeRecord) -> anyhow::Result<Option<AttemptRecord>> {
        let Some(store) = &self.store else { return Ok(None) };
        let records = store.call(&self.segments, outcome.call)?;
        Ok(records.into_iter().find_map(|found| match found.record {
            Record::Attempt(attempt) if attempt.attempt == outcome.attempt => Some(attempt),
            _ => None,
        }))
    }

    /// Every record of a call with its sequence number, in order.
    fn call(&self, call: CallId) -> anyhow::Result<Vec<(u64, Record)>> {
        let Some(store) = &self.store else {
            let mut reader = Reader::new(&self.segments, Position::default());
            let mut all = Vec::new();
            while let Some(found) = reader.next_record()? {
                match found.record {
                    Ok(record) if call_of(&record) == Some(call) => all.push((found.sequence, record)),
                    _ => {}
                }
            }
            return Ok(all);
        };
        let records = store.call(&self.segments, call)?;
        Ok(records.into_iter().map(|found| (found.sequence, found.record)).collect())
    }
}

const fn call_of(record: &Record) -> Option<CallId> {
    match record {
        Record::Attempt(attempt) => Some(attempt.call),
        Record::Outcome(outcome) => Some(outcome.call),
        Record::Refusal(refusal) => Some(refusal.call),
        Record::Decision(_) | Record::Notice(_) => None,
    }
}

fn row_of(outcome: &OutcomeRecord, attempt: Option<&AttemptRecord>) -> Row {
    let mut sums = Sums::default();
    sums.add_outcome(outcome);
    let word = |pick: fn(&AttemptRecord) -> &str| attempt.map_or("?", pick).into();
    Row {
        minute_us: outcome.at_us,
        workload: word(|attempt| attempt.workload.as_str()),
        deployment: word(|attempt| attempt.deployment.as_str()),
        key: word(|attempt| attempt.key.as_str()),
        model: word(|attempt| attempt.model.as_str()),
        sums,
    }
}

fn one_call(books: &Books, call: CallId, as_json: bool) -> anyhow::Result<ExitCode> {
    let records = books.call(call)?;
    if records.is_empty() {
        bail!("the journal has no call {call}: it is unknown, or its segment is past its retention");
    }
    if as_json {
        let list: Vec<Value> =
            records.iter().map(|(sequence, record)| record_json(*sequence, record)).collect();
        println!("{}", json!({ "call": call.to_string(), "records": list }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("call {call}");
    for (sequence, record) in &records {
        println!("  {sequence:>8}  {}", record_text(record));
    }
    Ok(ExitCode::SUCCESS)
}

fn at(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| "?".to_owned(), |at| at.to_string())
}

fn ended(outcome: Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Failed(code) => format!("failed: {}", code.name()),
        Outcome::Cut(code) => format!("cut: {}", code.name()),
        Outcome::CallerLeft => "caller left".to_owned(),
        Outcome::Unknown => "unknown: the gateway died meanwhile".to_owned(),
    }
}

fn record_text(record: &Record) -> String {
    match record {
        Record::Decision(decision) => format!("decision {}  {}", decision.id, decision.body),
        Record::Attempt(attempt) => format!(
            "attempt {} at {}: {} for {} (key {}) to {}, decision {}{}",
            attempt.attempt,
            at(attempt.at_us),
            attempt.model,
            attempt.workload,
            attempt.key,
            attempt.deployment,
            attempt.decision,
            if attempt.waived.is_empty() { String::new() } else { format!(", waived: {}", attempt.waived) },
        ),
        Record::Outcome(outcome) => {
            let cost = outcome.cost.map_or_else(|| "no price".to_owned(), |cost| format!("${cost}"));
            let last = if outcome.last { "" } else { ", another followed" };
            format!(
                "outcome {} at {}: {}{last}; {} in, {} out, {cost} ({}); served by: {}; {}",
                outcome.attempt,
                at(outcome.at_us),
                ended(outcome.outcome),
                outcome.usage.uncached_in
                    + outcome.usage.cache_read
                    + outcome.usage.cache_write
                    + outcome.usage.cache_write_1h,
                outcome.usage.out_visible + outcome.usage.out_reasoning,
                outcome.cost_basis.name(),
                outcome.served_by.name(),
                class_text(&outcome.class)
            )
        }
        Record::Refusal(refusal) => format!(
            "refused at {}: {} for {} (key {}): {}",
            at(refusal.at_us),
            refusal.model,
            refusal.workload,
            refusal.key,
            refusal.code.name()
        ),
        Record::Notice(notice) => format!("{} at {}: {}", notice.kind, at(notice.at_us), notice.text),
    }
}

/// `stateless (certain), state lives in the client: history, continues; cref_… turn 3`.
fn class_text(class: &Classed) -> String {
    let mut text =
        format!("{} ({}), state lives {}", class.class.name(), class.certainty.name(), class.keeper().says());
    let signs: Vec<&str> = class.signs.iter().map(domain::Sign::name).collect();
    if !signs.is_empty() {
        text.push_str(&format!(": {}", signs.join(", ")));
    }
    if let Some(turn) = class.turn {
        text.push_str(&format!("; {} turn {}", turn.conversation, turn.turn));
    }
    if let Some(agent) = class.agent {
        text.push_str(&format!("; by {}", agent.title()));
    }
    text
}

fn class_json(class: &Classed) -> Value {
    json!({
        "class": class.class.name(), "certainty": class.certainty.name(), "state_lives": class.keeper().name(),
        "evidence": class.signs.iter().map(|sign| json!({
            "sign": sign.name(), "keeper": sign.keeper().name(), "says": sign.says(),
        })).collect::<Vec<_>>(),
        "agent": class.agent.map(domain::Agent::name),
        "conversation": class.turn.map(|turn| turn.conversation.to_string()),
        "turn": class.turn.map(|turn| turn.turn),
    })
}

fn record_json(sequence: u64, record: &Record) -> Value {
    match record {
        Record::Decision(decision) => json!({
            "sequence": sequence, "record": "decision", "decision": decision.id.to_string(),
            "body": serde_json::from_str::<Value>(&decision.body).unwrap_or_default(),
        }),
        Record::Attempt(attempt) => json!({
            "sequence": sequence, "record": "attempt", "attempt": attempt.attempt, "at": at(attempt.at_us),
            "workload": attempt.workload, "key": attempt.key.as_str(), "model": attempt.model,
            "deployment": attempt.deployment, "decision": attempt.decision.to_string(), "stream": attempt.stream,
            "request_bytes": attempt.request_bytes,
            "waived": &*attempt.waived,
        }),
        Record::Outcome(outcome) => json!({
            "sequence": sequence, "record": "outcome", "attempt": outcome.attempt, "last": outcome.last,
            "at": at(outcome.at_us), "outcome": ended(outcome.outcome), "upstream_status": outcome.upstream_status,
            "usage": {
                "uncached_in": outcome.usage.uncached_in, "cache_read": outcome.usage.cache_read,
                "cache_write": outcome.usage.cache_write, "cache_write_1h": outcome.usage.cache_write_1h,
                "out_visible": outcome.usage.out_visible, "out_reasoning": outcome.usage.out_reasoning,
                "source": outcome.usage.source.name(),
            },
            "cost_usd": outcome.cost.map(|cost| cost.to_string()), "cost_basis": outcome.cost_basis.name(),
            "finish": outcome.finish, "served_by": outcome.served_by.name(),
            "upstream_request_id": outcome.upstream_request_id, "translation_loss": outcome.losses,
            "first_content_us": outcome.first_content_us, "total_us": outcome.total_us,
            "released_bytes": outcome.released_bytes, "class": class_json(&outcome.class),
        }),
        Record::Refusal(refusal) => json!({
            "sequence": sequence, "record": "refusal", "at": at(refusal.at_us), "workload": refusal.workload,
            "key": refusal.key.as_str(), "model": refusal.model, "code": refusal.code.name(),
            "decision": refusal.decision.map(|id| id.to_string()),
        }),
        Record::Notice(notice) => json!({
            "sequence": sequence, "record": "notice", "at": at(notice.at_us), "kind": notice.kind, "text": notice.text,
        }),
    }
}
