//! A configuration from the provider keys in the environment, for `serve` without a file.
//!
//! It is written as text and then checked as any other, so there is one way in, and the user can keep the text
//! as his first `cabotage.toml`. No secret is in it: it names variables.

use crate::surroundings::Surroundings;
use jiff::civil::Date;
use ledger::Catalog;
use providers::{Descriptor, registry};
use std::{collections::BTreeSet, fmt::Write as _};

/// The variable of the key that callers send.
pub const GATEWAY_KEY: &str = "CABOTAGE_KEY";
/// The variable that names the models to offer, comma separated, in place of the catalog's.
pub const MODELS: &str = "CABOTAGE_MODELS";
/// The variable of the callers' address, in place of 127.0.0.1:8080.
pub const DATA_ADDRESS: &str = "CABOTAGE_DATA_ADDRESS";
/// The variable of the administration's address, in place of 127.0.0.1:8081.
pub const ADMIN_ADDRESS: &str = "CABOTAGE_ADMIN_ADDRESS";
/// Most models of one provider that are taken from the catalog.
pub const MODELS_PER_PROVIDER_MAX: usize = 48;

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
        let models = models(catalog, descriptor.id, &asked, today);
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

/// Own name and wire name of the models to offer, best guess first: later names before earlier ones.
fn models(catalog: &Catalog, provider: &str, asked: &[String], today: Date) -> Vec<(String, String)> {
    let known = catalog
        .entries()
        .filter(|entry| &*entry.provider == provider && entry.retired.is_none_or(|date| today < date))
        .filter(|entry| plain(&entry.name) && plain(&entry.model));
    let mut seen = BTreeSet::new();
    let mut all: Vec<(String, String)> = Vec::new();
    for entry in known {
        let wanted =
            asked.is_empty() || asked.iter().any(|name| **name == *entry.name || **name == *entry.model);
        if wanted && seen.insert(entry.name.to_string()) {
            all.push((entry.name.to_string(), entry.model.to_string()));
        }
    }
    all.sort_by(|a, b| b.cmp(a));
    all.truncate(MODELS_PER_PROVIDER_MAX);
    all
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
