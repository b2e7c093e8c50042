//! The command line: one list, from which help is derived. Each command's own arguments stand in its file.

use crate::{commands, logging::Logging};
use clap::{Parser, Subcommand};

/// One gateway between your applications and every cloud that serves AI models: it sends every call only where
/// your contracts and the law allow on that date.
#[derive(Debug, Parser)]
#[command(name = "cabotage", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What is logged, and how.
    #[command(flatten)]
    pub(crate) logging: Logging,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every command, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulated clouds and a gateway in one process: no keys, no configuration
    Demo(commands::demo::Demo),
    /// The gateway; without a configuration, one made from the provider keys in the environment
    Serve(commands::serve::Serve),
    /// Reads configuration, terms, facts and prices and tells all errors at once
    Check(commands::check::Check),
    /// Where would a call run, and why nowhere else
    Explain(commands::explain::Explain),
    /// Contracts, law and access rules: what they say, and what is proved of them
    Terms(commands::terms::Terms),
    /// Placement facts: what is known of models and places, since when, from which source
    Catalog(commands::catalog::Catalog),
    /// What was used and what it cost, from the journal
    Ledger(commands::ledger::Ledger),
    /// What is kept of conversations: exported, imported, moved, erased
    State(commands::state::State),
    /// Who really answers at a URL, as far as the network shows
    Probe(commands::probe::Probe),
    /// Simulated clouds alone, with scripted faults
    Sim(commands::sim::Sim),
}
