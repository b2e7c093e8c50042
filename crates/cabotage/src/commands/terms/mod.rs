//! `cabotage terms`: packs as sentences, golden cases, what an amendment changes, the book a committee signs, proofs.

mod approve;
mod book;
mod diff;
mod library;
mod lint;
mod list;
pub(crate) mod prove;
mod show;
mod test;

use crate::{exit, wiring};
use clap::{Args, Subcommand};
use placement::{
    Problems,
    terms::{Binds, PackApproval},
};
use std::process::ExitCode;

/// `cabotage terms`.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    #[command(subcommand)]
    what: What,
}

/// What is to be done with terms.
#[derive(Debug, Subcommand)]
enum What {
    /// What is in force on a date, on a timeline
    List(list::List),
    /// A rule as one plain sentence, with dates, source and policy
    Show(show::Show),
    /// The golden cases beside packs
    Test(test::Test),
    /// What looks wrong: rules that never apply, shadows, words that nothing has, overdue reviews
    Lint(lint::Lint),
    /// What an amendment or a date changes: what opens, what closes, who is affected
    Diff(diff::Diff),
    /// One HTML page that a committee signs
    Book(book::Book),
    /// A second person signs a pack's content
    Approve(approve::Approve),
    /// What must hold for every call that there can be: proved, or disproved by a call
    Prove(prove::Prove),
}

/// Runs the subcommand. What is wrong with files is printed as every command prints it.
pub(crate) fn run(arguments: &Terms) -> anyhow::Result<ExitCode> {
    let result = match &arguments.what {
        What::List(arguments) => list::run(arguments),
        What::Show(arguments) => show::run(arguments),
        What::Test(arguments) => test::run(arguments),
        What::Lint(arguments) => lint::run(arguments),
        What::Diff(arguments) => diff::run(arguments),
        What::Book(arguments) => book::run(arguments),
        What::Approve(arguments) => approve::run(arguments),
        What::Prove(arguments) => prove::run(arguments),
    };
    result.or_else(|error| {
        let problems = error.downcast::<Problems>()?;
        eprintln!("{problems}\n\n{}", wiring::problem_count(&problems));
        Ok(ExitCode::from(exit::FAILED))
    })
}

/// Whom a pack binds, for people.
const fn binds_words(binds: Binds) -> &'static str {
    match binds {
        Binds::Us => "us",
        Binds::OurVendors => "our vendors, not us",
        Binds::Law => "everybody, by law",
    }
}

/// `1 pack`, `3 packs`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Whether a second person has signed, for people.
fn status_words(approval: &PackApproval) -> String {
    match approval {
        PackApproval::Draft => "draft".to_owned(),
        PackApproval::Claimed => "draft (says approved, and nobody has signed)".to_owned(),
        PackApproval::Approved(approval) => format!("approved by {}", approval.by),
    }
}
