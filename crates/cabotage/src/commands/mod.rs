//! One file per command, each with its arguments and `run`.

pub(crate) mod check;
pub(crate) mod serve;

use crate::cli::Command;
use std::process::ExitCode;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
    }
}
