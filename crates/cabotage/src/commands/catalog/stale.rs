//! `cabotage catalog stale`: which facts want a person's attention.

use super::{Asked, FOUND, Loaded, failed, print};
use crate::{clock::SystemClock, wiring::shipped::PRICES};
use clap::Args;
use domain::Clock as _;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use ledger::Catalog as Prices;
use placement::{
    facts::{self, Coming, RowNoted, StaleLimits, Staleness},
    instant,
};
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// Rows printed of a list, unless --all: a screen, not a scroll.
const SHORT: usize = 12;

/// What wants attention. Exit 0: nothing is old and nothing comes; 3: something is or does.
#[derive(Debug, Args)]
pub(super) struct Stale {
    /// A row that was looked up longer ago is old
    #[arg(long, value_name = "DAYS", value_parser = days, default_value = "90d")]
    older_than: u16,
    /// Retirements and ends of attestations so many days ahead
    #[arg(long, value_name = "DAYS", value_parser = days, default_value = "180d")]
    within: u16,
    /// Seen from this instant. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// Every row of every list
    #[arg(long)]
    all: bool,
    /// Which facts
    #[command(flatten)]
    asked: Asked,
}

/// `90d` or `90`.
fn days(text: &str) -> Result<u16, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    number.parse().map_err(|_| format!("`{text}` is not a number of days: write 90d"))
}

/// A model on the price list that is retired within the span.
#[derive(Serialize)]
struct Retirement {
    deployment: String,
    model: String,
    retired: String,
}

/// Prints what wants attention.
pub(super) fn run(stale: &Stale) -> anyhow::Result<ExitCode> {
    let Some(loaded) = stale.asked.load()? else { return Ok(failed()) };
    let now = stale.at.unwrap_or_else(|| SystemClock::real().now());
    let specs = loaded.specs();
    let limits = StaleLimits { older_than_days: stale.older_than, within_days: stale.within };
    let found = facts::stale(&loaded.book, specs.as_deref(), now, limits);
    let retirements = retirements(stale, &loaded, now)?;
    let attention = !found.old.is_empty() || !found.coming.is_empty() || !retirements.is_empty();
    if stale.asked.json {
        let value = json!({
            "at": instant::format(now), "older_than_days": stale.older_than, "within_days": stale.within,
            "facts": found, "retirements_by_price_list": retirements,
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        text(stale, &loaded, &found, &retirements, now);
    }
    Ok(ExitCode::from(if attention { FOUND } else { 0 }))
}

/// What the price list says of the fleet's models.
fn retirements(stale: &Stale, loaded: &Loaded, now: Timestamp) -> anyhow::Result<Vec<Retirement>> {
    let Some(fleet) = &loaded.fleet else { return Ok(Vec::new()) };
    let prices = Prices::parse(PRICES)?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let last = today.checked_add(i64::from(stale.within).days())?;
    let mut all = Vec::new();
    for own in fleet {
        let names = [own.wire_model.as_str(), own.spec.model.as_str()];
        let entry = names.iter().find_map(|name| prices.entry(&own.spec.provider, name, ""));
        let day = entry.and_then(|entry| entry.retired).filter(|day| *day > today && *day <= last);
        if let (Some(day), Some(entry)) = (day, entry) {
            all.push(Retirement {
                deployment: own.spec.id.to_string(),
                model: entry.model.to_string(),
                retired: day.to_string(),
            });
        }
    }
    all.sort_by(|a, b| a.retired.cmp(&b.retired));
    Ok(all)
}

fn text(stale: &Stale, loaded: &Loaded, found: &Staleness, retirements: &[Retirement], now: Timestamp) {
    println!("{} facts, seen from {}\n", loaded.book.rows().len(), instant::for_people(now));
    println!("looked up more than {} days ago: {}", stale.older_than, found.old.len());
    rows(stale, &found.old, |row| format!("{}, {}", row.as_of, row.of));
    println!("coming within {} days: {}", stale.within, found.coming.len() + retirements.len());
    for coming in &found.coming {
        println!("{}", coming_text(coming));
    }
    for own in retirements {
        println!("  {} {} retired: {} (price list)", own.retired, own.deployment, own.model);
    }
    println!("resting on one source: {}", found.single_source.len());
    rows(stale, &found.single_source, |row| format!("{}, {}", row.confidence.name(), row.of));
    println!("verified, but the second source is not named: {}", found.second_source_unnamed.len());
    rows(stale, &found.second_source_unnamed, |row| row.of.clone());
    match &loaded.fleet {
        Some(_) => {
            println!("matching none of your deployments: {}", found.unmatched.len());
            rows(stale, &found.unmatched, |row| row.of.clone());
        }
        None => println!("rows that match none of your deployments: name them with -c FILE"),
    }
}

fn coming_text(coming: &Coming) -> String {
    let own: Vec<&str> = coming.deployments.iter().map(|id| id.as_str()).collect();
    let own = if own.is_empty() { String::new() } else { format!("; yours: {}", own.join(", ")) };
    format!("  {} {}: {} ({}){own}", print::date(coming.at), coming.what, coming.of, coming.place)
}

fn rows(stale: &Stale, all: &[RowNoted], line: impl Fn(&RowNoted) -> String) {
    let shown = if stale.all { all.len() } else { SHORT };
    for row in all.iter().take(shown) {
        let says: Vec<String> = row.says.iter().map(|(fact, value)| format!("{fact} = {value}")).collect();
        println!("  {}: {}\n    {}", row.place, line(row), says.join(", "));
    }
    if all.len() > shown {
        println!("  and {} more: --all", all.len() - shown);
    }
}
