//! `cargo xtask`: what is done to the repository rather than by the program.

mod catalog;
mod tidy;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Tasks of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make or check the price catalog.
    Catalog(catalog::Args),
    /// Check the invariants of the house.
    Tidy,
}

fn main() -> Result<()> {
    let root = root()?;
    match Cli::parse().task {
        Task::Catalog(args) => catalog::run(&root, &args),
        Task::Tidy => tidy::run(&root),
    }
}

/// The workspace's folder.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the workspace's folder")?.to_owned())
}
