//! `catalog/SOURCE.toml`: where the catalog is from, so that anybody can make it again.

use super::convert::Converted;
use anyhow::Result;
use jiff::civil::Date;
use serde::Serialize;

#[derive(Serialize)]
struct Source<'a> {
    source: &'a str,
    url: &'a str,
    release: &'a str,
    as_of: String,
    licence: &'a str,
    licence_text: &'a str,
    input_blake3: String,
    input_bytes: usize,
    rows: usize,
    models_taken: usize,
    models_left_out: usize,
    rows_without_price: usize,
    notes: [&'a str; 4],
    simplified: &'a [String],
}

/// The text of the file.
pub(super) fn text(map: &[u8], as_of: Date, release: &str, converted: &Converted) -> Result<String> {
    let source = Source {
        source: "LiteLLM, model_prices_and_context_window.json",
        url: "https://github.com/BerriAI/litellm",
        release,
        as_of: as_of.to_string(),
        licence: "MIT",
        licence_text: "THIRD-PARTY.md, section LiteLLM",
        input_blake3: blake3::hash(map).to_hex().to_string(),
        input_bytes: map.len(),
        rows: converted.rows,
        models_taken: converted.models,
        models_left_out: converted.left_out,
        rows_without_price: converted.unpriced,
        notes: [
            "Prices are list prices in pico-dollars (10^-12 $) per token; a contract's prices go before them.",
            "The map has no first day of a price: a row without `from` is the price as far back as we know.",
            "A price of 0 in the map is no price here: free and unknown look the same there.",
            "`simplified` lists models whose off-peak prices or steps by length are not in the catalog.",
        ],
        simplified: &converted.simplified,
    };
    let head = "# Made by `cargo xtask catalog`; do not edit.\n";
    Ok(format!("{head}{}", toml::to_string_pretty(&source)?))
}
