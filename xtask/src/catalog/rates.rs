//! The hundred price fields of the map → rates by tier and length of the prompt, in whole pico-dollars.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Our tier and the ending of its fields.
const TIERS: [(&str, &str); 6] = [
    ("standard", ""),
    ("flex", "_flex"),
    ("priority", "_priority"),
    ("batch", "_batches"),
    ("ultrafast", "_ultrafast"),
    ("balanced", "_balanced"),
];

/// Lengths of prompts, in thousands of tokens, above which the map knows other prices.
const BANDS: [u64; 7] = [32, 100, 128, 200, 256, 272, 512];

/// Rates of one tier and band: input, output, cache read, cache write, cache write for an hour or longer,
/// reasoning, sound in, sound out.
type List = [Option<u64>; 8];

/// All rates of an entry by `tier` or `tier>tokens`. Empty where the entry has no price per token, or 0: in the
/// map, free and unknown look the same.
pub(super) fn rates(entry: &Map<String, Value>) -> BTreeMap<String, Vec<Option<u64>>> {
    let mut all = BTreeMap::new();
    let standard = list(entry, "", "");
    for (tier, ending) in TIERS {
        let base = list(entry, "", ending);
        let mut kept = None;
        if let [Some(_), Some(_), ..] = base {
            let filled = fill(base, &standard);
            kept = Some(filled);
            all.insert(tier.to_owned(), trimmed(&filled));
        }
        for thousands in BANDS {
            let band = list(entry, &format!("_above_{thousands}k_tokens"), ending);
            if let ([Some(_), Some(_), ..], Some(base)) = (band, kept) {
                all.insert(format!("{tier}>{}", thousands * 1000), trimmed(&fill(band, &base)));
            }
        }
    }
    let charged =
        |list: &Vec<Option<u64>>| list.iter().take(2).any(|price| price.is_some_and(|price| price > 0));
    if all.get("standard").is_some_and(charged) { all } else { BTreeMap::new() }
}

/// What a tier or band does not say of caches is as in `base`: the map leaves out what does not change. What it
/// does not say of reasoning and sound follows its own output and input.
fn fill(list: List, base: &List) -> List {
    let [input, output, read, write, hour, reasoning, audio_in, audio_out] = list;
    let [_, _, base_read, base_write, base_hour, ..] = *base;
    [
        input,
        output,
        read.or(base_read),
        write.or(base_write),
        hour.or(base_hour),
        reasoning,
        audio_in,
        audio_out,
    ]
}

fn list(entry: &Map<String, Value>, band: &str, tier: &str) -> List {
    let price = |base: &str| pico(entry.get(&format!("{base}{band}{tier}")));
    [
        price("input_cost_per_token"),
        price("output_cost_per_token"),
        price("cache_read_input_token_cost").or_else(|| price("input_cost_per_token_cache_hit")),
        price("cache_creation_input_token_cost"),
        price("cache_creation_input_token_cost_above_1hr")
            .or_else(|| price("cache_creation_input_token_cost_above_12hr")),
        price("output_cost_per_reasoning_token"),
        price("input_cost_per_audio_token"),
        price("output_cost_per_audio_token"),
    ]
}

fn trimmed(list: &List) -> Vec<Option<u64>> {
    let used = list.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    list.iter().take(used).copied().collect()
}

/// Dollars as the map has them → pico-dollars, rounded to the nearest. The map's finest figures are multiples
/// of a pico-dollar; what is finer is an artefact of division in its source.
fn pico(value: Option<&Value>) -> Option<u64> {
    let dollars = value?.as_f64()?;
    let pico = (dollars * 1e12).round();
    // Above 0.01 $ a token, or below 0, it is not a price of a token.
    (0.0..=1e10).contains(&pico).then_some(pico as u64)
}

/// Surcharges by place, in thousandths.
pub(super) fn uplift(entry: &Map<String, Value>) -> BTreeMap<&'static str, u32> {
    let of = |value: Option<&Value>| {
        let factor = value?.as_f64()?;
        (factor > 1.0 && factor < 10.0).then_some((factor * 1000.0).round() as u32)
    };
    let anthropic = entry.get("provider_specific_entry");
    [
        ("eu", of(entry.get("regional_processing_uplift_multiplier_eu"))),
        ("regional", of(entry.get("regional_endpoint_uplift_multiplier"))),
        (
            "us",
            of(entry.get("regional_processing_uplift_multiplier_us"))
                .or_else(|| of(anthropic.and_then(|specific| specific.get("us")))),
        ),
    ]
    .into_iter()
    .filter_map(|(place, permille)| Some((place, permille?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> BTreeMap<String, Vec<Option<u64>>> {
        let Value::Object(entry) = value else { panic!("an object") };
        rates(&entry)
    }

    #[test]
    fn tiers_and_bands_are_found_and_caches_filled_in() {
        let rates = of(json!({
            "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1.5e-05,
            "cache_read_input_token_cost": 2.5e-07, "cache_read_input_token_cost_above_272k_tokens": 5e-07,
            "input_cost_per_token_above_272k_tokens": 5e-06, "output_cost_per_token_above_272k_tokens": 2.25e-05,
            "input_cost_per_token_flex": 1.25e-06, "output_cost_per_token_flex": 7.5e-06,
            "input_cost_per_token_priority": 5e-06,
        }));
        assert_eq!(rates["standard"], [Some(2_500_000), Some(15_000_000), Some(250_000)]);
        assert_eq!(rates["standard>272000"], [Some(5_000_000), Some(22_500_000), Some(500_000)]);
        assert_eq!(rates["flex"], [Some(1_250_000), Some(7_500_000), Some(250_000)]);
        assert_eq!(rates.len(), 3);
    }

    #[test]
    fn nothing_and_no_price_are_the_same() {
        assert!(of(json!({ "input_cost_per_token": 0.0, "output_cost_per_token": 0 })).is_empty());
        assert!(of(json!({ "input_cost_per_token": 1e-6 })).is_empty());
        assert!(of(json!({ "input_cost_per_token": -1.0, "output_cost_per_token": 1e-6 })).is_empty());
        assert!(of(json!({ "input_cost_per_token": "1e-6", "output_cost_per_token": 1e-6 })).is_empty());
    }

    #[test]
    fn figures_of_the_map_are_whole_pico_dollars() {
        assert_eq!(pico(Some(&json!(4.00001e-06))), Some(4_000_010));
        assert_eq!(pico(Some(&json!(1.499_999_999_999_9e-7))), Some(150_000));
        assert_eq!(pico(Some(&json!(0.02))), None);
    }
}
