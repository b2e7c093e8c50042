//! `cabotage catalog diff`: what changes between two fact books, or between two dates, and which deployments it
//! touches.

use super::{Asked, FOUND, book, failed, print};
use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use placement::{
    FactBook,
    facts::{self, Difference, RowChange, Turn},
    instant,
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What changes between two fact books, or between two dates. Exit 0: nothing; 3: something.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// An instant, `shipped`, or a fact book; `+` lays overlays on it: shipped+my-facts.toml
    #[arg(value_name = "OLD")]
    old: String,
    /// The same for afterwards
    #[arg(value_name = "NEW")]
    new: String,
    /// Which facts, where two dates are compared; whose deployments
    #[command(flatten)]
    asked: Asked,
}

/// One of the two that are compared.
enum Side {
    At(Timestamp),
    Book { base: Option<PathBuf>, overlays: Vec<PathBuf> },
}

impl Side {
    fn of(text: &str) -> Self {
        if let Ok(instant) = instant::parse(text) {
            return Self::At(instant);
        }
        let mut parts = text.split('+');
        let base = parts.next().unwrap_or_default();
        let base = (base != "shipped").then(|| Path::new(base).to_path_buf());
        Self::Book { base, overlays: parts.map(PathBuf::from).collect() }
    }
}

/// Prints what changes.
pub(super) fn run(diff: &Diff) -> anyhow::Result<ExitCode> {
    match (Side::of(&diff.old), Side::of(&diff.new)) {
        (Side::At(old), Side::At(new)) => dates(diff, old, new),
        (Side::Book { base, overlays }, Side::Book { base: new_base, overlays: new_overlays }) => {
            let Some(old) = book(base.as_deref(), &overlays)? else { return Ok(failed()) };
            let Some(new) = book(new_base.as_deref(), &new_overlays)? else { return Ok(failed()) };
            books(diff, &old, &new)
        }
        _ => bail!(
            "`{}` and `{}` are not of a kind: compare two instants (2026-04-26 2026-04-27) or two fact books \
             (shipped my-facts.toml)",
            diff.old,
            diff.new
        ),
    }
}

fn dates(diff: &Diff, old: Timestamp, new: Timestamp) -> anyhow::Result<ExitCode> {
    if new <= old {
        bail!("{} is not after {}", instant::for_people(new), instant::for_people(old));
    }
    let Some(loaded) = diff.asked.load()? else { return Ok(failed()) };
    let specs = loaded.specs();
    let turns = facts::turns(&loaded.book, old, new);
    let differences = facts::compare_dates(&loaded.book, specs.as_deref().unwrap_or_default(), old, new);
    let found = !turns.is_empty() || !differences.is_empty();
    if diff.asked.json {
        let value = json!({
            "from": instant::format(old), "to": instant::format(new), "rows": turns,
            "deployments": specs.is_some().then_some(&differences),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(code(found));
    }
    println!("after {} up to {}:\n", instant::for_people(old), instant::for_people(new));
    println!("rows of the catalog that begin or end: {}", turns.len());
    for turn in &turns {
        println!("{}", turn_text(turn));
    }
    affected(specs.is_some(), &differences);
    Ok(code(found))
}

fn books(diff: &Diff, old: &FactBook, new: &FactBook) -> anyhow::Result<ExitCode> {
    let fleet = match &diff.asked.config {
        Some(_) => match diff.asked.load()? {
            Some(loaded) => loaded.specs(),
            None => return Ok(failed()),
        },
        None => None,
    };
    let rows = facts::compare_rows(old, new);
    let differences = facts::compare_books(old, new, fleet.as_deref().unwrap_or_default());
    let found = !rows.is_empty() || !differences.is_empty();
    if diff.asked.json {
        let value = json!({
            "old": { "book": diff.old, "hash": old.hash() }, "new": { "book": diff.new, "hash": new.hash() },
            "rows": rows, "deployments": fleet.is_some().then_some(&differences),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(code(found));
    }
    println!("{} -> {}\n", diff.old, diff.new);
    println!("facts that are stated otherwise: {}", rows.len());
    for row in &rows {
        println!("{}", row_text(row));
    }
    affected(fleet.is_some(), &differences);
    Ok(code(found))
}

fn code(found: bool) -> ExitCode {
    ExitCode::from(if found { FOUND } else { 0 })
}

fn turn_text(turn: &Turn) -> String {
    let verb = if turn.begins { "begins" } else { "ends" };
    format!(
        "  {} {verb}: {} = {} of {}\n    {}, {} ({})",
        print::date(turn.at),
        turn.attribute,
        turn.stretch.fact.value,
        turn.of,
        turn.stretch.fact.confidence.name(),
        turn.stretch.fact.source,
        turn.place
    )
}

fn row_text(row: &RowChange) -> String {
    let what = match (row.before.is_empty(), row.after.is_empty()) {
        (true, _) => "new",
        (_, true) => "gone",
        _ => "changed",
    };
    let place = if row.place_after.is_empty() { &row.place_before } else { &row.place_after };
    format!(
        "  {what}: {} of {}\n    before: {}\n    after:  {}\n    {}",
        row.attribute,
        row.of,
        print::stretches(&row.before),
        print::stretches(&row.after),
        place.join(", ")
    )
}

fn affected(given: bool, differences: &[Difference]) {
    if !given {
        println!("\nwhich of your deployments it touches: name them with -c FILE");
        return;
    }
    println!("\nfacts of your deployments that change: {}", differences.len());
    let mut last = None;
    for difference in differences {
        if last != Some(&difference.deployment) {
            println!("  {}", difference.deployment);
            last = Some(&difference.deployment);
        }
        println!(
            "    {}: {} -> {}",
            difference.attribute,
            print::stretches(&difference.before),
            print::stretches(&difference.after)
        );
    }
}
