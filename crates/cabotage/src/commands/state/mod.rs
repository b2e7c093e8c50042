//! `cabotage state`: what the gateway keeps of conversations and responses, taken out, put in, moved and erased.
//! The format is open: `docs/state-format.md`.

mod erase;
mod export;
mod import;
mod moving;
mod stores;

use clap::{Args, Subcommand};
use domain::Fault;
use runtime::portable::Count;
use std::process::ExitCode;

/// What the gateway keeps.
#[derive(Debug, Args)]
pub(crate) struct State {
    /// What is to be done
    #[command(subcommand)]
    order: Order,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
enum Order {
    /// Writes what is kept of a workload, or one conversation of it, to a file; also beside a running gateway
    Export(export::Export),
    /// Puts an export, an OpenAI conversation or a list of messages into a store
    Import(import::Import),
    /// Moves what is kept of a workload from one store to another
    Move(moving::Move),
    /// Erases what is kept of a person, and prints a receipt
    Erase(erase::Erase),
}

/// Does it.
pub(crate) fn run(arguments: &State) -> anyhow::Result<ExitCode> {
    // Stores have threads of their own; this one only waits for them.
    let waiting = tokio::runtime::Builder::new_current_thread().build()?;
    waiting.block_on(async {
        match &arguments.order {
            Order::Export(asked) => export::run(asked).await,
            Order::Import(asked) => import::run(asked).await,
            Order::Move(asked) => moving::run(asked).await,
            Order::Erase(asked) => erase::run(asked).await,
        }
    })
}

/// A fault as the operator is told it: with its cause.
fn told(fault: &Fault) -> anyhow::Error {
    match &fault.detail {
        Some(detail) => anyhow::anyhow!("{detail}").context(fault.message.to_string()),
        None => anyhow::anyhow!("{}", fault.message),
    }
}

/// `1 conversation, 5 responses, 22 items`.
fn counted(count: &Count) -> String {
    let one = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mut text = format!(
        "{}, {}, {}",
        one(count.conversations, "conversation"),
        one(count.responses, "response"),
        one(count.items, "item")
    );
    if count.running > 0 {
        text.push_str(&format!("; left out: {} under way", one(count.running, "response")));
    }
    text
}
