//! The demo's deployments against the catalog: each priced and offered on the day.

use anyhow::{Context as _, Result, bail};
use jiff::{civil::Date, tz::TimeZone};
use ledger::{Catalog, Tier};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Demo {
    deployment: Vec<Deployment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    /// Its name in the demo.
    name: String,
    provider: String,
    /// As on the wire.
    model: String,
    #[serde(default)]
    geo: String,
    /// Whose price it has.
    #[serde(default)]
    price: Price,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Price {
    /// The catalog's.
    #[default]
    Catalog,
    /// The operator's own row: what a self-hosted token costs him.
    Operator,
}

/// Fails with all that is wrong.
pub(super) fn check(folder: &Path, as_of: Date) -> Result<()> {
    let read = |name: &str| {
        let file = folder.join(name);
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
    };
    let catalog = Catalog::parse(read("prices.jsonl")?)?;
    catalog.check()?;
    let demo: Demo = toml::from_str(&read("demo.toml")?).context("catalog/demo.toml")?;
    let facts: Option<toml::Table> = match read("facts.toml") {
        Ok(text) => Some(toml::from_str(&text).context("catalog/facts.toml")?),
        Err(_) => None,
    };
    let mut wrong = Vec::new();
    for deployment in &demo.deployment {
        wrong.extend(problem(deployment, &catalog, as_of).map(|what| format!("{}: {what}", deployment.name)));
    }
    wrong.extend(facts.iter().flat_map(|facts| withdrawn(facts, &demo, as_of)));
    if !wrong.is_empty() {
        bail!("the demo does not stand on the catalog of {as_of}:\n  {}", wrong.join("\n  "));
    }
    println!("catalog: {} deployments of the demo are in it and offered on {as_of}", demo.deployment.len());
    Ok(())
}

fn problem(deployment: &Deployment, catalog: &Catalog, as_of: Date) -> Option<String> {
    if deployment.price == Price::Operator {
        return None;
    }
    let Deployment { provider, model, geo, .. } = deployment;
    let Some(entry) = catalog.entry(provider, model, geo) else {
        return Some(format!("{provider} has no model `{model}` in the catalog"));
    };
    if entry.retired.is_some_and(|retired| retired <= as_of) {
        return Some(format!("`{model}` is retired at {provider} since {}", entry.retired?));
    }
    let at = as_of.to_zoned(TimeZone::UTC).ok()?.timestamp();
    if catalog.price(provider, model, at, Tier::Standard, geo).is_none() {
        return Some(format!("`{model}` has no price at {provider} on {as_of}"));
    }
    None
}

/// Rows of the placement facts that end a demo deployment's model at its provider before the day. The file is
/// placement's; here only rows that name provider, model and an end are read, whatever else is in it.
fn withdrawn(facts: &toml::Table, demo: &Demo, as_of: Date) -> Vec<String> {
    let rows = facts.values().filter_map(toml::Value::as_array).flatten().filter_map(toml::Value::as_table);
    let mut found = Vec::new();
    for row in rows {
        let text = |field: &str| row.get(field).and_then(toml::Value::as_str);
        let until = row.get("until").or_else(|| row.get("retired")).map(|value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        });
        let ended = until
            .and_then(|until| until.get(..10).and_then(|day| day.parse::<Date>().ok()))
            .is_some_and(|day| day <= as_of);
        let gone = text("availability") == Some("retired") || text("value") == Some("retired");
        for deployment in &demo.deployment {
            let same = text("provider") == Some(&*deployment.provider)
                && text("model").is_some_and(|model| deployment.model.contains(model));
            if same && gone && !ended {
                found.push(format!("{}: catalog/facts.toml says that it is retired", deployment.name));
            }
        }
    }
    found
}
