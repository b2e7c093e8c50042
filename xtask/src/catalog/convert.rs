//! The map → the text of `catalog/prices.jsonl`.

use super::{capabilities, history, names, rates};
use anyhow::{Context as _, Result};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A line, its fields in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    pub(super) provider: String,
    pub(super) model: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) geo: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Date>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rates: BTreeMap<String, Vec<Option<u64>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) uplift: BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) context: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) output: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) can: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reasoning: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<Date>,
}

/// What a row is about, in the order of the file.
pub(super) type Key = (String, String, String);

impl Written {
    pub(super) fn key(&self) -> Key {
        (self.provider.clone(), self.model.clone(), self.geo.clone())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The catalog and what a reader of its provenance should know.
pub(super) struct Converted {
    pub(super) text: String,
    pub(super) rows: usize,
    /// Models of the map that were taken.
    pub(super) models: usize,
    /// Models of the map that were left out: not chat, or of a provider without an adapter.
    pub(super) left_out: usize,
    /// Taken, but without a price.
    pub(super) unpriced: usize,
    /// Whose off-peak prices, or prices in steps by length, are not in the catalog.
    pub(super) simplified: Vec<String>,
}

/// Converts the map; `before` is the catalog that stands.
pub(super) fn convert(map: &[u8], before: &str, as_of: Date) -> Result<Converted> {
    let map: Map<String, Value> = serde_json::from_slice(map).context("the map is not a JSON object")?;
    let mut now: BTreeMap<Key, Written> = BTreeMap::new();
    let (mut models, mut left_out) = (0, 0);
    let mut simplified = Vec::new();
    for (key, entry) in &map {
        let Some((row, exact)) = entry.as_object().and_then(|entry| row(key, entry)) else {
            left_out += 1;
            continue;
        };
        models += 1;
        if ["off_peak_pricing", "tiered_pricing"].iter().any(|field| entry.get(field).is_some()) {
            simplified.push(key.clone());
        }
        // The same model under its name with and without the provider's prefix: the prefixed one is meant.
        if exact || !now.contains_key(&row.key()) {
            now.insert(row.key(), row);
        }
    }
    let before = before.lines().map(serde_json::from_str).collect::<Result<Vec<Written>, _>>();
    let all = history::join(before.context("the catalog that stands")?, now, as_of);
    let mut text = String::new();
    for row in &all {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    ledger::Catalog::parse(text.clone()).and_then(|catalog| catalog.check())?;
    let unpriced = all.iter().filter(|row| row.rates.is_empty()).count();
    Ok(Converted { text, rows: all.len(), models, left_out, unpriced, simplified })
}

/// An entry's row, and whether the map's name for it has the provider's prefix.
fn row(key: &str, entry: &Map<String, Value>) -> Option<(Written, bool)> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    if !matches!(text("mode"), "chat" | "responses") {
        return None;
    }
    let named = names::named(key, text("litellm_provider"))?;
    let number = |field: &str| entry.get(field).and_then(Value::as_u64).unwrap_or_default();
    let (can, reasoning) = capabilities::capabilities(&named, entry);
    let row = Written {
        provider: named.provider.into(),
        name: (named.name != named.model).then_some(named.name),
        geo: named.geo,
        from: None,
        until: None,
        rates: rates::rates(entry),
        uplift: rates::uplift(entry).into_iter().map(|(place, permille)| (place.into(), permille)).collect(),
        context: number("max_input_tokens"),
        output: number("max_output_tokens"),
        can,
        reasoning: if reasoning == "none" { String::new() } else { reasoning.into() },
        retired: text("deprecation_date").parse().ok(),
        model: named.model.clone(),
    };
    Some((row, key != named.model))
}
