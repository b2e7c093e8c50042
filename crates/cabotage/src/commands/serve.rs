//! `cabotage serve`: the gateway.

use crate::{
    clock::SystemClock,
    exit,
    wiring::{self, Origin},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// The gateway.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration; without it, deployments are made from the provider keys in the environment
    #[arg(short, long, env = "CABOTAGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration that the environment gives, and end
    #[arg(long, conflicts_with = "config")]
    print_config: bool,
}

/// At most this many notes on the configuration are logged at the start.
const NOTES_SHOWN: usize = 10;

/// Serves until it is told to stop.
pub(crate) fn run(arguments: &Serve) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock::real());
    let origin = match &arguments.config {
        Some(file) => Origin::File(file.clone()),
        None => Origin::environment(clock.as_ref())?,
    };
    if let (true, Origin::Environment { text, .. }) = (arguments.print_config, &origin) {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let sources = Arc::new(wiring::shipped::sources(Arc::clone(&clock) as _)?);
    let checked = match origin.check() {
        Ok(checked) => checked,
        Err(problems) => {
            eprintln!("{problems}");
            eprintln!("\n{}", wiring::problem_count(&problems));
            return Ok(ExitCode::from(exit::FAILED));
        }
    };
    // A thousand keys in clear are one thing to mend: `check` lists them all.
    for note in checked.notes.0.iter().take(NOTES_SHOWN) {
        tracing::warn!("{}:{}: {} ({})", note.file, note.line, note.message, note.hint);
    }
    if let Some(more) = checked.notes.0.len().checked_sub(NOTES_SHOWN).filter(|more| *more > 0) {
        tracing::warn!("and {more} more notes; `check` lists them all");
    }
    let gateway = wiring::Gateway::start(&checked, sources, clock)?;
    gateway.announce();
    gateway.serve(origin, checked)?;
    Ok(ExitCode::SUCCESS)
}
