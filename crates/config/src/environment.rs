//! A configuration from the provider keys in the environment, for `serve` without a file.
//!
//! It is written as text and then checked as any other, so there is one way in, and the user can keep the text
//! as his first `cabotage.toml`. No secret is in it: it names variables.

use crate::surroundings::Surroundings;
use jiff::civil::Date;
use ledger::Catalog;
use providers::{Descriptor, registry};
use std::{collections::BTreeMap, fmt::Write as _};

/// The variable of the key that callers send.
pub const GATEWAY_KEY: &str = "CABOTAGE_KEY";
/// The variable that names the models to offer, comma separated, in place of the catalog's.
pub const MODELS: &str = "CABOTAGE_MODELS";
/// The variable of the callers' address, in place of 127.0.0.1:8080.
pub const DATA_ADDRESS: &str = "CABOTAGE_DATA_ADDRESS";
/// The variable of the administration's address, in place of 127.0.0.1:8081.
pub const ADMIN_ADDRESS: &str = "CABOTAGE_ADMIN_ADDRESS";
/// Most models of one provider that are taken from the catalog.
pub const MODELS_PER_PROVIDER_MAX: usize = 128;

/// What the environment gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The configuration.
    pub text: String,
    /// Providers with a key, by id.
    pub providers: Vec<&'static str>,
    /// What was left out, and why: one line each.
    pub notes: Vec<String>,
    /// How many deployments the text has.
    pub deployments: usize,
}

/// Looks for the keys of every provider of the registry. `catalog` names the models of a provider; `today`
/// leaves out those that it offers no more.
#[must_use]
pub fn find(around: &dyn Surroundings, catalog: &Catalog, today: Date) -> Found {
    let mut found = Found::default();
    let asked: Vec<String> = around
        .variable(MODELS)
        .map(|list| {
            list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        })
        .unwrap_or_default();
    found.text.push_str("# Made from the provider keys in the environment.\n");
    let address = |name: &str| around.variable(name).filter(|value| plain(value));
    let (data, admin) = (address(DATA_ADDRESS), address(ADMIN_ADDRESS));
    if data.is_some() || admin.is_some() {
        found.text.push_str("\n[listen]\n");
    }
    for (key, value) in [("data", data), ("admin", admin)] {
        if let Some(value) = value {
            let _ = writeln!(found.text, "{key} = \"{value}\"");
        }
    }
    let _ = writeln!(found.text, "\n[[key]]\nid = \"environment\"\nsecret = {{ env = \"{GATEWAY_KEY}\" }}");
    for provider in registry::providers() {
        let descriptor = provider.descriptor();
        let Some(key) = descriptor.env_keys.iter().find(|name| is_set(around, name)) else { continue };
        let mut fields = match fields(around, descriptor, key) {
            Ok(fields) => fields,
            Err(missing) => {
                found.notes.push(missing);
                continue;
            }
        };
        fields.push(("api_key", format!("{{ env = \"{key}\" }}")));
        let region =
            fields.iter().find(|(name, _)| *name == "region").map(|(_, value)| value.trim_matches('"'));
        let models = models(catalog, descriptor.id, region, &asked, today);
        if models.is_empty() {
            found.notes.push(format!(
                "{key} is set, but the catalog names no model of {}: set {MODELS}=name,name or write a configuration",
                descriptor.name
            ));
            continue;
        }
        found.providers.push(descriptor.id);
        found.deployments += models.len();
        for (name, wire) in models {
            let _ = writeln!(
                found.text,
                "\n[[deployment]]\nprovider = \"{}\"\nmodel = \"{name}\"",
                descriptor.id
            );
            if wire != name {
                let _ = writeln!(found.text, "wire_model = \"{wire}\"");
            }
            for (field, value) in &fields {
                let _ = writeln!(found.text, "{field} = {value}");
            }
        }
    }
    found
}

/// Own name and wire name of the models to offer. Where the cap bites, later names stay: with most makers, the
/// newer models.
fn models(
    catalog: &Catalog,
    provider: &str,
    region: Option<&str>,
    asked: &[String],
    today: Date,
) -> Vec<(String, String)> {
    let known = catalog
        .entries()
        .filter(|entry| &*entry.provider == provider && entry.retired.is_none_or(|date| today < date))
        .filter(|entry| plain(&entry.name) && plain(&entry.model))
        // What has no price is as a rule no chat model; who asks for it by name gets it.
        .filter(|entry| entry.price.is_some() || !asked.is_empty());
    let mut best: BTreeMap<&str, (u8, &str)> = BTreeMap::new();
    for entry in known {
        let wanted =
            asked.is_empty() || asked.iter().any(|name| **name == *entry.name || **name == *entry.model);
        let Some(rank) = rank(&entry.geo, region).filter(|_| wanted) else { continue };
        let own = best.entry(&entry.name).or_insert((rank, &entry.model));
        if rank < own.0 {
            *own = (rank, &entry.model);
        }
    }
    let all = best.iter().filter(|(name, _)| !asked.is_empty() || !best.contains_key(undated(name)));
    let mut all: Vec<(String, String)> =
        all.map(|(name, (_, wire))| ((*name).to_owned(), (*wire).to_owned())).collect();
    all.reverse();
    all.truncate(MODELS_PER_PROVIDER_MAX);
    all
}

/// How well a row of the price list for `geo` fits a deployment in `region`, lower is better; `None` where a
/// call from there cannot reach it.
fn rank(geo: &str, region: Option<&str>) -> Option<u8> {
    let zone = region.map(|region| match region.split('-').next().unwrap_or(region) {
        "ap" => "apac",
        zone => zone,
    });
    match (geo, zone) {
        (geo, Some(zone)) if geo == zone || Some(geo) == region => Some(0),
        ("", _) => Some(1),
        ("global", _) => Some(2),
        (_, None) => Some(3),
        (_, Some(_)) => None,
    }
}

/// The name without the date of a snapshot: `gpt-5.4-2026-03-05` → `gpt-5.4`. Empty where it has none.
fn undated(name: &str) -> &str {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = name.rsplitn(4, '-').collect();
    match parts.as_slice() {
        [day, month, year, rest] if digits(day, 2) && digits(month, 2) && digits(year, 4) => rest,
        [date, ..] if digits(date, 8) => {
            name.len().checked_sub(9).and_then(|end| name.get(..end)).unwrap_or_default()
        }
        _ => "",
    }
}

/// True for a name that may stand in a TOML string as it is.
fn plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

/// The provider's required fields, from variables beside the key: `ACME_API_KEY` goes with `ACME_ENDPOINT` and
/// `ACME_REGION`. A `…_BASE_URL` is left alone: it is what *clients* of a gateway set, often to this very one.
fn fields(
    around: &dyn Surroundings,
    descriptor: &Descriptor,
    key: &str,
) -> Result<Vec<(&'static str, String)>, String> {
    let prefix = ["_API_KEY", "_KEY", "_TOKEN"].iter().find_map(|tail| key.strip_suffix(tail)).unwrap_or(key);
    let first = key.split('_').next().unwrap_or(key);
    let look = |field: &str| {
        let field = field.to_ascii_uppercase();
        let names =
            [format!("{prefix}_{field}"), format!("{first}_{field}"), format!("{first}_DEFAULT_{field}")];
        names
            .into_iter()
            .find_map(|name| around.variable(&name))
            .filter(|value| !value.is_empty() && plain(value))
    };
    let mut fields = Vec::new();
    let endpoint = look("endpoint").map(|value| ("endpoint", format!("\"{value}\"")));
    let has_endpoint = endpoint.is_some();
    fields.extend(endpoint);
    for field in descriptor.fields.iter().filter(|field| field.required) {
        match look(field.name) {
            Some(value) => fields.push((field.name, format!("\"{value}\""))),
            None if has_endpoint && field.name == "resource" => {}
            None => {
                let name = field.name.to_ascii_uppercase();
                return Err(format!(
                    "{key} is set, but {prefix}_{name} is not: {} needs its {} ({})",
                    descriptor.name, field.name, field.says
                ));
            }
        }
    }
    Ok(fields)
}

fn is_set(around: &dyn Surroundings, name: &str) -> bool {
    around.variable(name).is_some_and(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_snapshots_are_recognised() {
        assert_eq!(undated("gpt-5.4-2026-03-05"), "gpt-5.4");
        assert_eq!(undated("claude-haiku-4-5-20251001"), "claude-haiku-4-5");
        assert_eq!(undated("gpt-5.4"), "");
        assert_eq!(undated("20251001"), "");
        assert_eq!(undated("qwen3-235b-a22b-2507"), "");
    }

    #[test]
    fn rows_of_the_own_part_of_the_world_come_first() {
        assert!(rank("eu", Some("eu-central-1")) < rank("", Some("eu-central-1")));
        assert!(rank("", Some("eu-central-1")) < rank("global", Some("eu-central-1")));
        assert_eq!(rank("us", Some("eu-central-1")), None);
        assert!(rank("", None) < rank("us", None));
    }
}
