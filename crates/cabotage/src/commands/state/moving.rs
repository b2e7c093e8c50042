//! `cabotage state move`: what is kept of a workload, from one store to another. Deleted at the source only after all
//! of it was found at the target.

use super::{
    stores::{Whose, by_name, holds_anything, open_to_write, read},
    told,
};
use crate::exit;
use anyhow::bail;
use clap::Args;
use runtime::portable;
use std::{fs, path::PathBuf, process::ExitCode};

/// Moves what is kept of a workload from one store to another. No gateway may have either open.
#[derive(Debug, Args)]
pub(super) struct Move {
    #[command(flatten)]
    whose: Whose,
    /// The store that has it
    #[arg(long, value_name = "NAME")]
    from: String,
    /// The store that gets it
    #[arg(long, value_name = "NAME")]
    to: String,
    /// The configuration that names the store that gets it. Default: the same
    #[arg(long, value_name = "FILE")]
    to_config: Option<PathBuf>,
}

pub(super) async fn run(asked: &Move) -> anyhow::Result<ExitCode> {
    let failed = Ok(ExitCode::from(exit::FAILED));
    let Some(checked) = asked.whose.read()? else { return failed };
    let source = by_name(&checked, &asked.whose.config, &asked.from)?;
    let other;
    let target = match &asked.to_config {
        None => by_name(&checked, &asked.whose.config, &asked.to)?,
        Some(file) => {
            let Some(read) = read(file)? else { return failed };
            other = read;
            by_name(&other, file, &asked.to)?
        }
    };
    if !source.path.exists() {
        bail!(
            "the state store `{}` ({}) is not there: nothing was ever kept",
            source.name,
            source.path.display()
        );
    }
    let real = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    if real(&source.path) == real(&target.path) {
        bail!("`{}` and `{}` are the same file: {}", source.name, target.name, source.path.display());
    }
    let tenant = asked.whose.tenant();
    let (from, to) = (open_to_write(source)?, open_to_write(target)?);
    if !holds_anything(&from, &tenant).await? {
        println!("nothing is kept of workload `{tenant}` in `{}`", source.name);
        return Ok(ExitCode::SUCCESS);
    }
    let done = portable::move_all(&from, &to, &tenant).await.map_err(|fault| told(&fault))?;
    println!(
        "moved from `{}` to `{}`: {} new, {} there already; `{}` keeps nothing of workload `{tenant}` any more",
        source.name, target.name, done.new, done.already, source.name
    );
    Ok(ExitCode::SUCCESS)
}
