//! `cabotage catalog show`: what is known of a model, of a deployment, or of the whole fleet.

use super::{Asked, Loaded, failed, print};
use crate::{clock::SystemClock, wiring::shipped::PRICES};
use anyhow::bail;
use clap::Args;
use domain::{Clock as _, DeploymentId, ModelName};
use jiff::Timestamp;
use ledger::Catalog as Prices;
use placement::{
    Attribute, DeploymentSpec,
    facts::{self, FactShown, HostShown, Stated},
    instant,
    problem::nearest,
};
use serde_json::json;
use std::{collections::BTreeMap, process::ExitCode};

/// What is known of a model, of a deployment, or of all deployments.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// A deployment of the configuration, or a model as the catalog calls it. Default: every deployment
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// At which instant: 2026-03-15 (its first moment in UTC) or 2026-11-30T23:59:40Z. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// Of the model at this provider, without a configuration
    #[arg(long, value_name = "ID", requires = "name")]
    provider: Option<String>,
    /// In this region
    #[arg(long, value_name = "REGION", requires = "provider")]
    region: Option<String>,
    /// With this reach: regional, data-zone, geo, global
    #[arg(long, value_name = "TIER", requires = "provider")]
    geo_tier: Option<String>,
    /// With this hosting option, where the seller has several: azure, aws, gcp, anthropic
    #[arg(long, value_name = "OPTION", requires = "provider")]
    hosted_on: Option<String>,
    /// Which facts
    #[command(flatten)]
    asked: Asked,
}

/// Exit 0, or 1 where there is no such model or deployment.
pub(super) fn run(show: &Show) -> anyhow::Result<ExitCode> {
    let Some(loaded) = show.asked.load()? else { return Ok(failed()) };
    let now = show.at.unwrap_or_else(|| SystemClock::real().now());
    let Some(name) = &show.name else { return all(show, &loaded, now) };
    let own = loaded.fleet.iter().flatten().find(|own| own.spec.id.as_str() == name);
    if let (Some(own), None) = (own, &show.provider) {
        return one(show, &loaded, &own.spec, now);
    }
    match place(show, name)? {
        Some(spec) => one(show, &loaded, &spec, now),
        None => model(show, &loaded, name, now),
    }
}

/// The place that the arguments describe.
fn place(show: &Show, model: &str) -> anyhow::Result<Option<DeploymentSpec>> {
    let Some(provider) = &show.provider else { return Ok(None) };
    let mut stated = Vec::new();
    for (attribute, word) in [
        (Attribute::Region, &show.region),
        (Attribute::GeoTier, &show.geo_tier),
        (Attribute::HostedOn, &show.hosted_on),
    ] {
        if let Some(word) = word {
            let fact = Stated::new(attribute, &[word], "the command line");
            stated.push(fact.map_err(|message| anyhow::anyhow!("{message}"))?);
        }
    }
    let id = DeploymentId::new(&format!("{model} at {provider}"));
    Ok(Some(DeploymentSpec { id, provider: provider.as_str().into(), model: ModelName::new(model), stated }))
}

/// Every fact of one place.
fn one(show: &Show, loaded: &Loaded, spec: &DeploymentSpec, now: Timestamp) -> anyhow::Result<ExitCode> {
    let facts = facts::show(&loaded.book, spec, now);
    if show.asked.json {
        let value = json!({
            "deployment": spec.id, "provider": &*spec.provider, "model": spec.model, "at": instant::format(now),
            "facts": facts,
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(ExitCode::SUCCESS);
    }
    let place = format!("{} at {}", spec.model, spec.provider);
    let title = if spec.id.as_str() == place { place } else { format!("{}: {place}", spec.id) };
    println!("{title}, as of {}\n", instant::for_people(now));
    for fact in &facts {
        print!("{}", print::fact(fact));
    }
    Ok(ExitCode::SUCCESS)
}

/// Who offers a model.
fn model(show: &Show, loaded: &Loaded, name: &str, now: Timestamp) -> anyhow::Result<ExitCode> {
    let model = ModelName::new(name);
    let prices = Prices::parse(PRICES)?;
    let entries = prices.model(name);
    let mut retirements: BTreeMap<&str, jiff::civil::Date> = BTreeMap::new();
    for entry in &entries {
        if let Some(day) = entry.retired {
            retirements.entry(&entry.provider).or_insert(day);
        }
    }
    let mut listed: Vec<&str> = entries.iter().map(|entry| &*entry.provider).collect();
    listed.sort_unstable();
    listed.dedup();
    let everywhere = DeploymentSpec {
        id: DeploymentId::new(name),
        provider: "any".into(),
        model: model.clone(),
        stated: Vec::new(),
    };
    let shown = facts::show(&loaded.book, &everywhere, now);
    let family = shown.into_iter().find(|fact| fact.attribute == Attribute::Family);
    // A name that only fits a pattern (`gpt-*`) is a family's, not a model's.
    let in_book =
        loaded.book.rows().iter().flat_map(|row| &row.of).any(|(attribute, words)| {
            *attribute == Attribute::Model && words.iter().any(|word| **word == *name)
        });
    let in_fleet = loaded.fleet.iter().flatten().any(|own| own.spec.model == model);
    let hosts = facts::hosts(&loaded.book, &model, &listed, now);
    if listed.is_empty() && !in_book && !in_fleet {
        bail!("there is no deployment and no model `{name}` in the catalog{}", near(loaded, &prices, name));
    }
    if show.asked.json {
        let retirements: BTreeMap<&str, String> =
            retirements.iter().map(|(provider, day)| (*provider, day.to_string())).collect();
        let value = json!({
            "model": name, "at": instant::format(now), "family": family, "hosts": hosts,
            "listed_by_price": listed, "retirement_by_price_list": retirements,
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{name}, as of {}\n", instant::for_people(now));
    if let Some(family) = &family {
        print!("{}", print::fact(family));
    }
    println!(
        "\nwhere it may be had (facts, not terms: whether you may use it there, `cabotage explain` says)\n"
    );
    for host in &hosts {
        print!("{}", host_text(host, retirements.get(&*host.host), listed.contains(&&*host.host)));
    }
    println!(
        "\neverything of one place: cabotage catalog show {name} --provider ID [--region R] [--hosted-on O]"
    );
    Ok(ExitCode::SUCCESS)
}

fn host_text(host: &HostShown, retired: Option<&jiff::civil::Date>, listed: bool) -> String {
    use std::fmt::Write as _;
    let mut name = host.host.clone();
    for (attribute, word) in &host.only {
        let _ = write!(name, ", {attribute} {word}");
    }
    let offered = &host.availability;
    let span = print::dates(offered.since, offered.until, offered.then.as_ref());
    let span = if span.is_empty() { String::new() } else { format!(" ({span})") };
    let mut out = format!("  {name}\n    availability {}{span}", offered.fact.value);
    if offered.place.is_none() && listed {
        out.push_str("; on the price list, which proves no more than a listing");
    }
    out.push('\n');
    let word = |fact: &FactShown| format!("{} {}", fact.attribute, fact.fact.value);
    let _ = writeln!(out, "    {}", host.facts.iter().map(word).collect::<Vec<_>>().join(" · "));
    if let (Some(day), true) = (retired, host.only.is_empty()) {
        let _ = writeln!(out, "    retired on {day} by the price list");
    }
    out
}

/// `; did you mean …?`
fn near(loaded: &Loaded, prices: &Prices, name: &str) -> String {
    let own: Vec<&str> = loaded.fleet.iter().flatten().map(|own| own.spec.id.as_str()).collect();
    let known = prices.entries().map(|entry| &*entry.name).chain(own);
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The fleet at a glance, or the book where there is none.
fn all(show: &Show, loaded: &Loaded, now: Timestamp) -> anyhow::Result<ExitCode> {
    const GLANCE: [Attribute; 6] = [
        Attribute::Family,
        Attribute::Cloud,
        Attribute::Region,
        Attribute::Jurisdictions,
        Attribute::Retention,
        Attribute::Availability,
    ];
    let Some(specs) = loaded.specs() else { return book(show, loaded) };
    let facts: Vec<_> = specs.iter().map(|spec| (spec, facts::show(&loaded.book, spec, now))).collect();
    if show.asked.json {
        let one = |(spec, facts): &(&DeploymentSpec, Vec<FactShown>)| json!({ "deployment": spec.id, "facts": facts });
        let value =
            json!({ "at": instant::format(now), "deployments": facts.iter().map(one).collect::<Vec<_>>() });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} deployments, as of {}\n", specs.len(), instant::for_people(now));
    for (spec, facts) in &facts {
        let words: Vec<String> = facts
            .iter()
            .filter(|fact| GLANCE.contains(&fact.attribute))
            .map(|fact| format!("{} {}", fact.attribute, fact.fact.value))
            .collect();
        println!("  {}\n    {}", spec.id, words.join(" · "));
    }
    println!("\neverything of one: cabotage catalog show NAME -c FILE");
    Ok(ExitCode::SUCCESS)
}

/// The book at a glance.
fn book(show: &Show, loaded: &Loaded) -> anyhow::Result<ExitCode> {
    let rows = loaded.book.rows();
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for row in rows {
        let column = match row.dated.fact.confidence {
            facts::Confidence::Verified => 0,
            facts::Confidence::Primary => 1,
            facts::Confidence::Secondary => 2,
            facts::Confidence::Stated => 3,
        };
        if let Some(count) = counts.entry(row.attribute.name()).or_default().get_mut(column) {
            *count += 1;
        }
    }
    if show.asked.json {
        let named: BTreeMap<&str, serde_json::Value> = counts
            .iter()
            .map(|(fact, [verified, primary, secondary, stated])| {
                let sums = json!({ "verified": verified, "primary": primary, "secondary": secondary, "stated": stated });
                (*fact, sums)
            })
            .collect();
        println!("{}", json!({ "facts": rows.len(), "hash": loaded.book.hash(), "by_fact": named }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} dated facts, fact book {}\n", rows.len(), loaded.book.hash());
    println!("  {:<28} {:>9} {:>9} {:>9} {:>9}", "fact", "verified", "primary", "secondary", "stated");
    for (fact, [verified, primary, secondary, stated]) in &counts {
        println!("  {fact:<28} {verified:>9} {primary:>9} {secondary:>9} {stated:>9}");
    }
    println!("\nof a model: cabotage catalog show MODEL; of your deployments: cabotage catalog show -c FILE");
    Ok(ExitCode::SUCCESS)
}
