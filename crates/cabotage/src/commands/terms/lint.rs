//! `cabotage terms lint`: what is right by the grammar and still looks wrong.

use super::library::{Choice, of_file};
use crate::{clock::SystemClock, exit, wiring::shipped};
use clap::Args;
use domain::Clock as _;
use jiff::Timestamp;
use ledger::Catalog;
use placement::{
    Terms, instant,
    terms::lint::{Lint as Finding, Severity, Vocabulary, lint},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
};

/// What is right by the grammar and still looks wrong. Exit 0: no error; 1: a rule does nothing, or a file is wrong.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Only these packs, by id or file
    #[arg(value_name = "PACK")]
    packs: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// Seen from which instant. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// Tell also what is only good to know
    #[arg(long)]
    notes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what was found.
pub(super) fn run(arguments: &Lint) -> anyhow::Result<ExitCode> {
    let now = arguments.at.unwrap_or_else(|| SystemClock::real().now());
    let library = arguments.choice.open()?;
    let catalog = Catalog::parse(shipped::PRICES)?;
    let models: BTreeSet<&str> = catalog.entries().flat_map(|entry| [&*entry.model, &*entry.name]).collect();
    let models: Vec<&str> = models.into_iter().collect();
    let providers: Vec<&str> =
        providers::registry::providers().map(|provider| provider.descriptor().id).collect();
    let vocabulary = Vocabulary {
        book: Some(&library.facts),
        providers: &providers,
        models: &models,
        deployments: &library.deployments,
        workloads: &library.workloads,
    };
    let mut found = Vec::new();
    let (files, ids): (Vec<&String>, Vec<&String>) =
        arguments.packs.iter().partition(|word| Path::new(word.as_str()).extension().is_some());
    if files.is_empty() || !ids.is_empty() {
        found.extend(lint(&library.terms, &vocabulary, now));
        if !ids.is_empty() {
            for id in &ids {
                super::library::find(&library.packs, id)?;
            }
            let files: Vec<&str> = library
                .packs
                .iter()
                .filter(|pack| ids.contains(&&pack.id))
                .map(|pack| pack.sheet.file.as_str())
                .collect();
            found.retain(|own| files.contains(&&*own.file));
        }
    }
    for file in files {
        let pack = of_file(Path::new(file))?;
        let terms: Terms = super::library::compile(&[&pack], &BTreeMap::new(), None, None)?;
        found.extend(lint(&terms, &vocabulary, now));
    }
    if !arguments.notes {
        found.retain(|own| own.severity != Severity::Note);
    }
    let count = |severity: Severity| found.iter().filter(|own| own.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if arguments.json {
        let value = json!({ "errors": errors, "warnings": warnings, "found": found });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        found.iter().for_each(|own: &Finding| println!("{own}"));
        println!("{errors} errors, {warnings} warnings");
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}
