//! `cargo xtask`: what is done to the repository rather than by the program.

mod catalog;
mod demo;
mod test;
mod tidy;

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
    /// Make or check the price catalog.
    Catalog(catalog::Args),
    /// Check the invariants of the house.
    Tidy,
}

fn main() -> Result<()> {
    let root = root()?;
    match Cli::parse().task {
        Task::Demo { arguments } => demo::foreground(&root, &arguments),
        Task::Test { only } => test::all(&root, only.as_deref()),
        Task::Catalog(args) => catalog::run(&root, &args),
        Task::Tidy => tidy::run(&root),
    }
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{} {}", command.get_program().display(), command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" "));
    let status = command.status().with_context(|| format!("starting {shown}"))?;
    if status.success() { Ok(()) } else { bail!("{shown}: {status}") }
}

/// The workspace's folder.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the workspace's folder")?.to_owned())
}
