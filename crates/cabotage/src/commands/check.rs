//! `cabotage check`: configuration, terms, facts, prices; all errors at once.

mod live;

use crate::{
    clock::SystemClock,
    exit,
    wiring::{self, Origin, shipped},
};
use clap::Args;
use config::{Checked, Problems};
use domain::{Clock as _, SnapshotEpoch};
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// Reads everything and tells all errors at once.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration; without it, what the provider keys in the environment give
    #[arg(short, long, env = "CABOTAGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Then make ten tiny calls on every deployment, with your keys and at your cost
    #[arg(long, requires = "budget")]
    live: bool,
    /// What --live may cost at most, in US dollars at list price, for instance 0.10
    #[arg(long, value_name = "DOLLARS")]
    budget: Option<f64>,
    /// Where --live writes its report, which names no host, no key and none of your own names
    #[arg(long, value_name = "FILE", default_value = "cabotage-live.json")]
    report: PathBuf,
}

/// Exit 0 where nothing is wrong, 1 where something is.
pub(crate) fn run(arguments: &Check) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock::real());
    let origin = match &arguments.config {
        Some(file) => Origin::File(file.clone()),
        None => Origin::environment(clock.as_ref())?,
    };
    let sources = shipped::sources(Arc::clone(&clock) as _)?;
    sources.catalog.check()?;
    let checked = match origin.check() {
        Ok(checked) => checked,
        Err(problems) => {
            if arguments.json {
                println!("{}", json(&problems, None));
            } else {
                eprintln!("{problems}");
                eprintln!("\n{}", wiring::problem_count(&problems));
            }
            return Ok(ExitCode::from(exit::FAILED));
        }
    };
    let spec = config::build(&checked, &sources, SnapshotEpoch(1))?;
    let unpriced = spec.deployments.iter().filter(|own| own.prices.at(clock.now()).is_none());
    let unpriced: Vec<&str> = unpriced.map(|own| own.id.as_str()).collect();
    if arguments.json {
        let terms = checked.terms.notes(clock.now());
        println!("{}", json(&Problems::default(), Some((&checked, &unpriced, &terms))));
    } else {
        summary(&checked, &unpriced, clock.now());
    }
    match (arguments.live, arguments.budget) {
        (true, Some(budget)) => {
            live::run(spec, &(clock as _), live::Budget::of_dollars(budget)?, &arguments.report)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn summary(checked: &Checked, unpriced: &[&str], now: jiff::Timestamp) {
    for note in checked.notes.0.iter().chain(&checked.terms.notes(now).0) {
        println!("note: {note}");
    }
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    println!(
        "ok: {}, {}, {}, {}, {}, {}",
        count(checked.deployments.len(), "deployment"),
        count(checked.models.len(), "model"),
        count(checked.workloads.len(), "workload"),
        count(checked.keys.len(), "key"),
        count(checked.terms.packs().len(), "pack"),
        count(checked.terms.rules_at(now).count(), "rule"),
    );
    if !unpriced.is_empty() {
        println!("without a price (tokens are recorded, cost is a gap): {}", unpriced.join(", "));
    }
    if let Some(next) = checked.terms.next_boundary(now) {
        println!("the terms next change at {next}");
    }
}

fn json(problems: &Problems, checked: Option<(&Checked, &[&str], &Problems)>) -> serde_json::Value {
    let list = |problems: &Problems| -> Vec<serde_json::Value> {
        let row = |problem: &config::Problem| {
            serde_json::json!({
                "file": &*problem.file, "line": problem.line, "column": problem.column,
                "message": problem.message, "hint": problem.hint,
            })
        };
        problems.0.iter().map(row).collect()
    };
    serde_json::json!({
        "ok": checked.is_some(),
        "problems": list(problems),
        "notes": checked.map(|(checked, _, terms)| [list(&checked.notes), list(terms)].concat()),
        "deployments": checked.map(|(checked, ..)| checked.deployments.len()),
        "models": checked.map(|(checked, ..)| checked.models.len()),
        "workloads": checked.map(|(checked, ..)| checked.workloads.len()),
        "keys": checked.map(|(checked, ..)| checked.keys.len()),
        "packs": checked.map(|(checked, ..)| checked.terms.packs().len()),
        "unpriced": checked.map(|(_, unpriced, _)| unpriced),
    })
}
