//! One file per command, each with its arguments and `run`.

pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod ledger;
pub(crate) mod probe;
pub(crate) mod serve;
pub(crate) mod sim;
pub(crate) mod state;
pub(crate) mod terms;

use crate::cli::Command;
use std::process::ExitCode;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Catalog(arguments) => catalog::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Terms(arguments) => terms::run(&arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::State(arguments) => state::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
    }
}
