//! `cabotage terms diff`: what an amendment or a date changes, for a real fleet or for all that the catalog knows;
//! and what enforcement would have refused in recorded traffic.

use super::library::{Choice, Library, PackText, compile, find, in_folder, of_file, shipped_packs};
use crate::{
    clock::SystemClock,
    wiring::{journal::SEGMENTS, shipped},
};
use anyhow::{Context as _, bail};
use clap::Args;
use domain::{Clock as _, DeploymentId, ModelName};
use jiff::Timestamp;
use ledger::Catalog;
use placement::{
    DeploymentFacts, DeploymentSpec, FactBook, Terms,
    explain::wrap,
    instant,
    terms::{
        amend::{
            Amendment, Change, Effect, Given, Made, Said, compare_dates, compare_terms, made_for_dates,
            made_for_terms,
        },
        observed::{Observed, Tally},
    },
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use storage::journal::{Position, Reader};

/// What an amendment or a date changes: what opens, what closes, who is affected.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The packs as they are: a file, a folder, or the id of a pack that ships
    #[arg(value_name = "BEFORE", requires = "after")]
    before: Option<String>,
    /// The packs as they would be
    #[arg(value_name = "AFTER")]
    after: Option<String>,
    /// Compare two dates instead: the first
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse, requires = "to", conflicts_with = "before")]
    from: Option<Timestamp>,
    /// The second date
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse, requires = "from")]
    to: Option<Timestamp>,
    /// Two packs: from which instant on they are compared. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse, conflicts_with = "from")]
    at: Option<Timestamp>,
    /// What enforcement would have refused in recorded traffic. Needs -c or --journal
    #[arg(long, conflicts_with_all = ["before", "from"])]
    observe: bool,
    /// The folder of the journal, for --observe. Default: `journal.dir` of the configuration
    #[arg(long, value_name = "DIR", requires = "observe")]
    journal: Option<PathBuf>,
    /// Recorded traffic from this instant on
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse, requires = "observe")]
    since: Option<Timestamp>,
    #[command(flatten)]
    choice: Choice,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what changes.
pub(super) fn run(arguments: &Diff) -> anyhow::Result<ExitCode> {
    if arguments.observe {
        return observe(arguments);
    }
    let (head, amendment) = match (&arguments.before, &arguments.after, arguments.from, arguments.to) {
        (Some(before), Some(after), _, _) => packs(arguments, before, after)?,
        (_, _, Some(from), Some(to)) => dates(arguments, from, to)?,
        _ => bail!("name two packs, or two dates with --from and --to, or --observe"),
    };
    if arguments.json {
        let value = json!({ "compared": head, "amendment": amendment,
            "deployments_affected": amendment.deployments_affected(),
            "workloads_affected": amendment.workloads_affected() });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        print!("{}", text(&head, &amendment));
    }
    Ok(ExitCode::SUCCESS)
}

fn dates(arguments: &Diff, from: Timestamp, to: Timestamp) -> anyhow::Result<(String, Amendment)> {
    let library = arguments.choice.open()?;
    let made = fleet(&library, |places| made_for_dates(&library.terms, places, from, to))?;
    let given = Given { deployments: &made.deployments, workloads: &made.workloads };
    let amendment = compare_dates(&library.terms, given, from, to)?;
    let head = format!("{} against {}", instant::format(from), instant::format(to));
    Ok((looked_at(&head, &library, &amendment), amendment))
}

fn packs(arguments: &Diff, before: &str, after: &str) -> anyhow::Result<(String, Amendment)> {
    let library = arguments.choice.open()?;
    let side = |word: &str| -> anyhow::Result<Arc<Terms>> {
        let packs = named(word)?;
        let packs: Vec<&PackText> = packs.iter().collect();
        Ok(Arc::new(compile(&packs, &BTreeMap::new(), None, None)?))
    };
    let (old, new) = (side(before)?, side(after)?);
    let now = arguments.at.unwrap_or_else(|| SystemClock::real().now());
    let made = fleet(&library, |places| made_for_terms(&old, &new, places, now))?;
    let given = Given { deployments: &made.deployments, workloads: &made.workloads };
    let amendment = compare_terms(&old, &new, given, now)?;
    let head = format!("{before} against {after}, from {} on", instant::format(now));
    Ok((looked_at(&head, &library, &amendment), amendment))
}

/// A file, a folder, or a pack that ships.
fn named(word: &str) -> anyhow::Result<Vec<PackText>> {
    let path = Path::new(word);
    if path.is_dir() {
        in_folder(path)
    } else if path.extension().is_some_and(|extension| extension == "toml") {
        Ok(vec![of_file(path)?])
    } else {
        Ok(vec![find(&shipped_packs(), word)?.clone()])
    }
}

/// The fleet of the configuration; without one, a place for every set of facts that the catalog knows, and a
/// workload for every kind that the rules tell apart.
fn fleet(library: &Library, make: impl FnOnce(Vec<DeploymentFacts>) -> Made) -> anyhow::Result<Made> {
    if !library.deployments.is_empty() {
        return Ok(Made { deployments: library.deployments.clone(), workloads: library.workloads.clone() });
    }
    Ok(make(known_places(&library.facts)?))
}

/// One deployment of every model at every provider of the price catalog.
fn known_places(book: &FactBook) -> anyhow::Result<Vec<DeploymentFacts>> {
    let catalog = Catalog::parse(shipped::PRICES)?;
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for entry in catalog.entries() {
        let id = format!("{}/{}", entry.provider, entry.name);
        if seen.insert(id.clone()) {
            all.push(book.describe(&DeploymentSpec {
                id: DeploymentId::new(&id),
                provider: Arc::clone(&entry.provider),
                model: ModelName::new(&entry.name),
                stated: Vec::new(),
            }));
        }
    }
    Ok(all)
}

/// What was compared, for what.
fn looked_at(head: &str, library: &Library, amendment: &Amendment) -> String {
    let (deployments, workloads) = (amendment.deployments, amendment.workloads);
    if library.deployments.is_empty() {
        format!("{head} · {deployments} kinds of deployments in the catalog, {workloads} kinds of workloads")
    } else {
        format!("{head} · {deployments} deployments, {workloads} workloads")
    }
}

fn text(head: &str, amendment: &Amendment) -> String {
    let mut out = String::new();
    wrap(&mut out, "", head);
    if amendment.changes.is_empty() {
        wrap(&mut out, "", "nothing changes: every call is judged the same by the same rules");
        return out;
    }
    for effect in Effect::ALL {
        let changes: Vec<&Change> = amendment.changes.iter().filter(|own| own.effect == effect).collect();
        if changes.is_empty() {
            continue;
        }
        out.push('\n');
        wrap(&mut out, "", effect.heading());
        for change in changes {
            wrap(&mut out, "  ", &change.deployments.join(", "));
            let what = format!("{} calls of {}", change.classes.join(", "), change.workloads.join(", "));
            wrap(&mut out, "      ", &what);
            let period = match (change.from, change.until) {
                (None, None) => String::new(),
                (from, until) => {
                    let from = from.map_or_else(|| "the first".to_owned(), instant::format);
                    until.map_or_else(
                        || format!(" (from {from})"),
                        |until| format!(" (from {from} until {})", instant::format(until)),
                    )
                }
            };
            wrap(&mut out, "      ", &format!("{} → {}{period}", said(&change.before), said(&change.after)));
        }
    }
    let deployments = amendment.deployments_affected().len();
    let workloads = amendment.workloads_affected().len();
    out.push('\n');
    wrap(
        &mut out,
        "",
        &format!(
            "affected: {deployments} of {} deployments, {workloads} of {} workloads",
            amendment.deployments, amendment.workloads
        ),
    );
    out
}

/// `refused by x; observed by y`, `permitted`.
fn said(said: &Said) -> String {
    let ids = |ids: &[Arc<str>]| ids.iter().map(|id| &**id).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if !said.refused.is_empty() {
        parts.push(format!("refused by {}", ids(&said.refused)));
    }
    if !said.observed.is_empty() {
        parts.push(format!("observed by {}", ids(&said.observed)));
    }
    if parts.is_empty() { "permitted".to_owned() } else { parts.join("; ") }
}

/// Reads the journal from its first segment on. What was deleted after its retention cannot be told.
fn observe(arguments: &Diff) -> anyhow::Result<ExitCode> {
    let dir = match (&arguments.journal, &arguments.choice.config) {
        (Some(dir), _) => dir.clone(),
        (None, Some(file)) => crate::commands::ledger::of_config(file)?,
        (None, None) => bail!("name the recorded traffic: --journal DIR or -c FILE"),
    };
    let segments = dir.join(SEGMENTS);
    if !segments.is_dir() {
        bail!("{} holds no journal: there is no folder `{SEGMENTS}` in it", dir.display());
    }
    let since = arguments.since.map_or(i64::MIN, Timestamp::as_microsecond);
    let mut reader = Reader::new(&segments, Position::default());
    let mut tally = Tally::default();
    while let Some(found) = reader.next_record().context("the journal cannot be read")? {
        if let Ok(record) = &found.record {
            tally.add(record, since);
        }
    }
    let observed = tally.finish();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&observed)?);
    } else {
        print!("{}", observed_text(&observed));
    }
    Ok(ExitCode::SUCCESS)
}

fn observed_text(observed: &Observed) -> String {
    let mut out = String::new();
    let at = |us: Option<i64>| {
        us.and_then(|us| Timestamp::from_microsecond(us).ok())
            .map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    };
    if observed.calls == 0 {
        wrap(&mut out, "", "no call is recorded");
        return out;
    }
    let (first, last) = (at(observed.first_us), at(observed.last_us));
    wrap(
        &mut out,
        "",
        &format!(
            "{} calls recorded from {first} to {last}; {} of them ran where a rule that only observes or warns would \
             have refused",
            observed.calls, observed.affected
        ),
    );
    let mut rule = "";
    for row in &observed.would_refuse {
        if row.rule != rule {
            out.push('\n');
            wrap(&mut out, "", &format!("{}, were it enforced", row.rule));
            rule = &row.rule;
        }
        wrap(
            &mut out,
            "  ",
            &format!("{} calls of {} for {} at {}", row.calls, row.workload, row.model, row.deployment),
        );
        let instead = if row.instead.is_empty() {
            "they would have been refused: nothing else is permitted".to_owned()
        } else {
            format!("they could have run at {}", row.instead.join(", "))
        };
        wrap(&mut out, "      ", &instead);
    }
    if observed.without_decision > 0 {
        out.push('\n');
        let message = format!(
            "{} calls are not counted: their decision is no longer recorded",
            observed.without_decision
        );
        wrap(&mut out, "", &message);
    }
    out
}
