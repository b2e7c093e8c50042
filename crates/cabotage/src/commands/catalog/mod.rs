//! `cabotage catalog`: the placement facts, for people who rely on them and for those who look after them. Reads
//! files alone: the shipped fact book, overlays, and a configuration for its deployments.

mod diff;
mod print;
mod show;
mod stale;

use crate::{exit, wiring};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use placement::{DeploymentSpec, FactBook};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// There is something to look at: two books differ, a row is old, a date comes.
const FOUND: u8 = 3;

/// Placement facts.
#[derive(Debug, Args)]
pub(crate) struct Catalog {
    /// What is asked
    #[command(subcommand)]
    question: Question,
}

/// What is asked.
#[derive(Debug, Subcommand)]
enum Question {
    /// What is known of a model, of a deployment, or of all deployments
    Show(show::Show),
    /// What changes between two fact books, or between two dates
    Diff(diff::Diff),
    /// What wants attention: old rows, single sources, dates that come, rows that match nothing
    Stale(stale::Stale),
}

/// Runs the question.
pub(crate) fn run(arguments: &Catalog) -> anyhow::Result<ExitCode> {
    match &arguments.question {
        Question::Show(show) => show::run(show),
        Question::Diff(diff) => diff::run(diff),
        Question::Stale(stale) => stale::run(stale),
    }
}

/// Which facts are asked.
#[derive(Debug, Args)]
struct Asked {
    /// The configuration, for its deployments and the overlays that it names
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An overlay: a fact book whose rows beat the shipped ones. A configuration names its own
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    facts: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A deployment of the fleet.
struct Own {
    spec: DeploymentSpec,
    /// The model's name on the wire, for price lists.
    wire_model: String,
}

/// Facts and fleet.
struct Loaded {
    book: FactBook,
    /// `None`: no configuration was named.
    fleet: Option<Vec<Own>>,
}

impl Loaded {
    fn specs(&self) -> Option<Vec<DeploymentSpec>> {
        self.fleet.as_ref().map(|fleet| fleet.iter().map(|own| own.spec.clone()).collect())
    }
}

impl Asked {
    /// `None`: what is wrong has been printed.
    fn load(&self) -> anyhow::Result<Option<Loaded>> {
        let Some(file) = &self.config else {
            return Ok(book(None, &self.facts)?.map(|book| Loaded { book, fleet: None }));
        };
        let Some(checked) = wiring::offline::read(file)? else { return Ok(None) };
        let fleet = checked.deployments.iter().map(|own| Own {
            spec: DeploymentSpec {
                id: own.id.clone(),
                provider: own.endpoint.provider().descriptor().id.into(),
                model: own.model.clone(),
                stated: own.stated.clone(),
            },
            wire_model: own.endpoint.wire_model().to_owned(),
        });
        Ok(Some(Loaded { fleet: Some(fleet.collect()), book: checked.facts }))
    }
}

/// A fact book: the shipped one or the file in its place, with overlays. `None`: what is wrong has been printed.
fn book(base: Option<&Path>, overlays: &[PathBuf]) -> anyhow::Result<Option<FactBook>> {
    let (name, text) = wiring::shipped::SHIPPED.facts;
    let mut files: Vec<(String, String)> = match base {
        None => vec![(name.to_owned(), text.to_owned())],
        Some(file) => vec![read(file)?],
    };
    for file in overlays {
        files.push(read(file)?);
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    match FactBook::parse(&files) {
        Ok(book) => Ok(Some(book)),
        Err(problems) => {
            eprintln!("{problems}\n\n{}", wiring::problem_count(&problems));
            Ok(None)
        }
    }
}

fn read(file: &Path) -> anyhow::Result<(String, String)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok((file.display().to_string(), text))
}

/// What was asked could not be read, and why has been printed.
fn failed() -> ExitCode {
    ExitCode::from(exit::FAILED)
}
