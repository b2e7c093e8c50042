//! One line of `catalog/prices.jsonl`.

use super::Entry;
use crate::price::{Band, PriceRow, Rates, Tier};
use domain::{Capabilities, ReasoningControl};
use jiff::civil::Date;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// The line as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(default)]
    geo: &'a str,
    /// Absent where it is the wire name.
    #[serde(default)]
    name: Option<&'a str>,
    #[serde(default)]
    from: Option<Date>,
    #[serde(default)]
    until: Option<Date>,
    /// `tier` or `tier>tokens` → pico-dollars per token: input, output, cache read, cache write, cache write
    /// for an hour, reasoning, sound in, sound out. Missing ones at the end are left out.
    #[serde(default, borrow)]
    rates: BTreeMap<&'a str, Vec<Option<u64>>>,
    /// Geography → surcharge in thousandths.
    #[serde(default, borrow)]
    uplift: BTreeMap<&'a str, u32>,
    #[serde(default)]
    context: u64,
    #[serde(default)]
    output: u64,
    /// Words, in the order of [`capabilities`].
    #[serde(default)]
    can: &'a str,
    #[serde(default)]
    reasoning: ReasoningControl,
    #[serde(default)]
    retired: Option<Date>,
}

/// Reads a line, or says what is wrong with it.
pub(super) fn read(line: &str) -> Result<Entry, String> {
    let written: Written<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let [provider, model, geo] = [written.provider, written.model, written.geo].map(Arc::<str>::from);
    let mut bands = Vec::with_capacity(written.rates.len());
    for (key, list) in &written.rates {
        bands.push(band(key, list)?);
    }
    if bands.len() > 64 {
        return Err(format!("{} rates; at most 64 are read", bands.len()));
    }
    bands.sort_by_key(|band| (band.tier, band.above_tokens));
    let price = (!bands.is_empty()).then(|| PriceRow {
        provider: provider.clone(),
        model: model.clone(),
        geo: geo.clone(),
        from: written.from,
        until: written.until,
        bands,
        uplift_permille: written.uplift.iter().map(|(geo, permille)| (Arc::from(*geo), *permille)).collect(),
    });
    Ok(Entry {
        name: written.name.map_or_else(|| model.clone(), Arc::from),
        capabilities: capabilities(&written)?,
        retired: written.retired,
        price,
        provider,
        model,
        geo,
    })
}

fn band(key: &str, list: &[Option<u64>]) -> Result<Band, String> {
    let (tier, above) = key.split_once('>').unwrap_or((key, "0"));
    let tier = Tier::ALL
        .into_iter()
        .find(|known| known.name() == tier)
        .ok_or_else(|| format!("rates of an unknown tier `{tier}`"))?;
    let above_tokens = above.parse().map_err(|_| format!("rates above `{above}` tokens: not a number"))?;
    let nth = |index: usize| list.get(index).copied().flatten();
    let rates = Rates {
        input: nth(0).ok_or_else(|| format!("rates `{key}` without a price of input"))?,
        output: nth(1).ok_or_else(|| format!("rates `{key}` without a price of output"))?,
        cache_read: nth(2),
        cache_write: nth(3),
        cache_write_1h: nth(4),
        reasoning: nth(5),
        audio_in: nth(6),
        audio_out: nth(7),
    };
    Ok(Band { tier, above_tokens, rates })
}

fn capabilities(written: &Written<'_>) -> Result<Capabilities, String> {
    let mut all = Capabilities {
        tools: false,
        parallel_tools: false,
        forced_tools: false,
        vision: false,
        documents: false,
        json_schema: false,
        reasoning: written.reasoning,
        logprobs: false,
        sampling: false,
        candidates: false,
        prefill: false,
        context_tokens: written.context,
        max_output_tokens: written.output,
    };
    for word in written.can.split_ascii_whitespace() {
        let flag = match word {
            "tools" => &mut all.tools,
            "parallel-tools" => &mut all.parallel_tools,
            "forced-tools" => &mut all.forced_tools,
            "vision" => &mut all.vision,
            "documents" => &mut all.documents,
            "json-schema" => &mut all.json_schema,
            "logprobs" => &mut all.logprobs,
            "sampling" => &mut all.sampling,
            "candidates" => &mut all.candidates,
            "prefill" => &mut all.prefill,
            other => return Err(format!("unknown capability `{other}`")),
        };
        *flag = true;
    }
    Ok(all)
}
