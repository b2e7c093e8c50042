//! `cargo xtask catalog`: LiteLLM's map of prices → `catalog/prices.jsonl`, our own compact and dated form.
//!
//! A run with a newer map keeps the old prices: a row whose rates changed ends on the day of the new map, and a
//! new row begins. `--check` fails where the checked-in file is not what this converter makes, or where the demo
//! would run on a model that is not in the catalog or no longer offered.

mod capabilities;
mod convert;
mod demo;
mod history;
mod names;
mod rates;
mod source;

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// LiteLLM's `model_prices_and_context_window.json`.
    #[arg(default_value = "../shared/data/model_prices.json")]
    map: PathBuf,
    /// Change nothing; fail where the checked-in files are not what this converter makes.
    #[arg(long)]
    check: bool,
    /// The day of the map (YYYY-MM-DD): prices that changed change on it.
    #[arg(long, default_value = "2026-11-21")]
    as_of: jiff::civil::Date,
    /// The release of LiteLLM that the map is from.
    #[arg(long, default_value = "1.109.1")]
    release: String,
}

/// Runs the command in the workspace `root`.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let folder = root.join("catalog");
    let file = folder.join("prices.jsonl");
    let map = if args.map.is_absolute() { args.map.clone() } else { root.join(&args.map) };
    if map.exists() {
        let bytes = std::fs::read(&map).with_context(|| format!("reading {}", map.display()))?;
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        let converted = convert::convert(&bytes, &before, args.as_of)?;
        let told = source::text(&bytes, args.as_of, &args.release, &converted)?;
        if args.check {
            compare(&file, &converted.text)?;
            compare(&folder.join("SOURCE.toml"), &told)?;
        } else {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(&file, &converted.text)?;
            std::fs::write(folder.join("SOURCE.toml"), told)?;
        }
        println!("catalog: {} rows from {} models of the map", converted.rows, converted.models);
    } else if args.check {
        println!("catalog: SKIPPED the comparison with the map: {} is not there", map.display());
    } else {
        bail!("{} is not there: name the map as the first argument", map.display());
    }
    demo::check(&folder, args.as_of)
}

fn compare(file: &Path, expected: &str) -> Result<()> {
    let found = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    if found == expected {
        return Ok(());
    }
    let differs = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let line = differs.unwrap_or_else(|| found.lines().count().min(expected.lines().count()));
    bail!(
        "{} is not what the converter makes, from line {}: run `cargo xtask catalog`",
        file.display(),
        line + 1
    )
}
