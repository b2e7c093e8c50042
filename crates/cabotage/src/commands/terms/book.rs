//! `cabotage terms book`: one HTML page that a committee signs.

use super::{library::Choice, test};
use crate::clock::SystemClock;
use anyhow::Context as _;
use clap::Args;
use domain::Clock as _;
use jiff::Timestamp;
use placement::{
    Problems, instant,
    terms::book::{Book as Page, html},
};
use std::{path::PathBuf, process::ExitCode};

/// One HTML page that a committee signs.
#[derive(Debug, Args)]
pub(crate) struct Book {
    /// Where the page is written; `-`: to the screen
    #[arg(short, long, value_name = "FILE", default_value = "terms-book.html")]
    output: PathBuf,
    /// Its title
    #[arg(long, value_name = "TEXT", default_value = "Book of terms")]
    title: String,
    /// As of which instant. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    #[command(flatten)]
    choice: Choice,
}

/// Writes the page.
pub(super) fn run(arguments: &Book) -> anyhow::Result<ExitCode> {
    let library = arguments.choice.open()?;
    let now = arguments.at.unwrap_or_else(|| SystemClock::real().now());
    let mut reports = Vec::new();
    let mut problems = Problems::default();
    for pack in &library.packs {
        match test::report(&library, pack) {
            Ok(report) => reports.extend(report),
            Err(mut found) => problems.0.append(&mut found.0),
        }
    }
    problems.into_result()?;
    let page = html(&Page {
        title: &arguments.title,
        terms: &library.terms,
        now,
        hashes: &library.hashes(),
        reports: &reports,
        approvals: &library.approvals,
        made_by: concat!("cabotage ", env!("CARGO_PKG_VERSION")),
    });
    if arguments.output.as_os_str() == "-" {
        print!("{page}");
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::write(&arguments.output, &page)
        .with_context(|| format!("{} cannot be written", arguments.output.display()))?;
    let rules = library.terms.rules_at(now).count();
    println!(
        "{}: {} packs, {rules} rules, {} KiB; open it in a browser and print it",
        arguments.output.display(),
        library.terms.packs().len(),
        page.len() / 1024
    );
    let failed: usize = reports.iter().map(|report| report.failed().count()).sum();
    if failed > 0 {
        println!("{failed} golden cases do not come out as written; the book says so: cabotage terms test");
    }
    Ok(ExitCode::SUCCESS)
}
