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
    /// Where it stands, as the fact book names regions.
    #[serde(default)]
    region: String,
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
        let entry = catalog.entry(&deployment.provider, &deployment.model, &deployment.geo);
        let name = entry.map_or(&*deployment.model, |entry| &*entry.name);
        wrong.extend(facts.as_ref().and_then(|facts| withheld(deployment, name, facts, as_of)));
    }
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

/// What placement's fact book says of a deployment's availability on the day, where that is a reason not to use
/// it. Rows match and win as in the book: the model counts more than the region, the region more than the
/// provider, and among equals the later row.
fn withheld(deployment: &Deployment, name: &str, book: &toml::Table, as_of: Date) -> Option<String> {
    let rows = book.get("fact").and_then(toml::Value::as_array)?;
    let mut best: Option<(u32, &str)> = None;
    for row in rows {
        let Some(says) =
            row.get("says").and_then(|says| says.get("availability")).and_then(toml::Value::as_str)
        else {
            continue;
        };
        let holds = date(row.get("from")).is_none_or(|from| from <= as_of)
            && date(row.get("until")).is_none_or(|until| as_of < until);
        if let Some(weight) = matched(row.get("of"), deployment, name)
            && holds
            && best.is_none_or(|(before, _)| before <= weight)
        {
            best = Some((weight, says));
        }
    }
    let (_, says) = best?;
    matches!(says, "retired" | "not-offered")
        .then(|| format!("{}: catalog/facts.toml says `{says}` on {as_of}", deployment.name))
}

/// How specific a row's `of` is, where it matches.
fn matched(of: Option<&toml::Value>, deployment: &Deployment, name: &str) -> Option<u32> {
    let mut weight = 0;
    for (field, pattern) in of?.as_table()? {
        let (value, counts) = match field.as_str() {
            "model" => (name, 16),
            "region" => (&*deployment.region, 4),
            "provider" => (&*deployment.provider, 1),
            // A row about something that the demo's list does not say.
            _ => return None,
        };
        let one = |pattern: &toml::Value| {
            pattern.as_str().is_some_and(|pattern| match pattern.strip_suffix('*') {
                Some(start) => value.starts_with(start),
                None => value == pattern,
            })
        };
        let fits = pattern.as_array().map_or_else(|| one(pattern), |patterns| patterns.iter().any(one));
        if !fits {
            return None;
        }
        weight += counts;
    }
    Some(weight)
}

/// The day of a TOML date or instant.
fn date(value: Option<&toml::Value>) -> Option<Date> {
    let written = match value? {
        toml::Value::Datetime(written) => written.to_string(),
        other => other.as_str()?.to_owned(),
    };
    written.get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOG: &str = r#"{"provider":"azure","model":"m-1","rates":{"standard":[1,2]},"retired":"2026-12-01"}
{"provider":"bedrock","model":"us.v.m-1","geo":"us","name":"m-1","rates":{"standard":[1,2]}}
{"provider":"openai","model":"m-1"}
"#;

    fn deployment(provider: &str, model: &str, region: &str) -> Deployment {
        Deployment {
            name: "d".into(),
            provider: provider.into(),
            model: model.into(),
            geo: String::new(),
            region: region.into(),
            price: Price::Catalog,
        }
    }

    #[test]
    fn what_is_missing_unpriced_or_retired_is_said() {
        let catalog = Catalog::parse(CATALOG).unwrap();
        let day = Date::constant(2026, 11, 21);
        let said = |provider, model, day| problem(&deployment(provider, model, ""), &catalog, day);
        assert_eq!(said("azure", "m-1", day), None);
        assert_eq!(said("bedrock", "us.v.m-1", day), None);
        assert!(said("azure", "m-1", Date::constant(2026, 12, 1)).unwrap().contains("retired"));
        assert!(said("openai", "m-1", day).unwrap().contains("no price"));
        assert!(said("openai", "m-2", day).unwrap().contains("no model"));
    }

    #[test]
    fn the_fact_book_is_heard() {
        let book = r#"
            [[fact]]
            of = { model = "m-*", provider = ["bedrock", "azure"] }
            from = 2026-06-01
            says = { availability = "not-offered" }
            [[fact]]
            of = { model = "m-1", provider = "bedrock", region = "us-east-2" }
            from = 2026-06-01T00:00:00Z
            says = { availability = "ga" }
        "#;
        let book: toml::Table = toml::from_str(book).unwrap();
        let said = |region, day| {
            withheld(&deployment("bedrock", "us.v.m-1", region), "m-1", &book, Date::constant(2026, day, 1))
        };
        assert_eq!(said("us-east-2", 11), None);
        assert!(said("eu-west-1", 11).unwrap().contains("not-offered"));
        assert_eq!(said("eu-west-1", 5), None);
    }
}
