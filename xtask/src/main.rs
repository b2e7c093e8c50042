//! `cargo xtask`: what is done to the repository rather than by the program.

#![allow(
    clippy::disallowed_methods,
    reason = "how long a part of the test run takes is told by the real clock"
)]

mod bench;
mod catalog;
mod demo;
mod evidence;
mod test;
mod tidy;
mod tour;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Tasks of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build and run the demo; further arguments go to `cabotage demo`.
    Demo {
        /// Arguments of `cabotage demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run everything that must hold before a change lands.
    Test {
        /// Only the parts whose name contains this
        only: Option<String>,
    },
    /// Measure what a call costs, beside a bare hop and nginx.
    Bench(bench::Args),
    /// Find out which functions a gateway runs, for the linker to lay side by side (needs valgrind; takes minutes).
    Order(bench::OrderArgs),
    /// Run the tour and put its transcript into the README.
    Tour,
    /// Make or check the price catalog.
    Catalog(catalog::Args),
    /// Make or check docs/evidence.md: what of each provider was written, simulated, recorded, seen live.
    Evidence(evidence::Args),
    /// Check the invariants of the house.
    Tidy,
}

fn main() -> Result<()> {
    let root = root()?;
    match Cli::parse().task {
        Task::Demo { arguments } => demo::foreground(&root, &arguments),
        Task::Test { only } => test::all(&root, only.as_deref()),
        Task::Bench(args) => bench::bench(&root, &args),
        Task::Order(args) => bench::order(&root, &args),
        Task::Tour => tour::write_readme(&root),
        Task::Catalog(args) => catalog::run(&root, &args),
        Task::Evidence(args) => evidence::run(&root, &args),
        Task::Tidy => tidy::run(&root),
    }
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<()> {
    let shown = format!(
        "{} {}",
        command.get_program().display(),
        command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    );
    let status = command.status().with_context(|| format!("starting {shown}"))?;
    if status.success() { Ok(()) } else { bail!("{shown}: {status}") }
}

/// The workspace's folder.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the workspace's folder")?.to_owned())
}
