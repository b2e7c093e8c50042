//! OpenAI Embeddings as OpenAI, Azure and vLLM answer them: 16 numbers for a text, the same ones every time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::answer::count;
use crate::exchange::{Ask, Reply};
use crate::fields;
use crate::identity::{Ids, hash};
use crate::journal::ReportedUsage;

/// Numbers of a vector where `dimensions` does not say otherwise.
const DIMENSIONS: u64 = 16;
/// Most inputs of a request, as OpenAI has it.
const INPUTS_MAX: usize = 2048;

/// The answer of `model`, or message and parameter of what is wrong.
pub(super) fn reply(
    ask: &Ask<'_>,
    model: &str,
    headers: Vec<(String, String)>,
) -> Result<Reply, (String, Option<&'static str>)> {
    let wrong = || ("Invalid 'input': expected a string or an array.".to_owned(), Some("input"));
    let inputs: Vec<&Value> = match ask.json.get("input") {
        Some(text @ Value::String(_)) => vec![text],
        Some(tokens @ Value::Array(list)) if list.first().is_some_and(Value::is_number) => vec![tokens],
        Some(Value::Array(list)) if !list.is_empty() && list.len() <= INPUTS_MAX => list.iter().collect(),
        _ => return Err(wrong()),
    };
    if !inputs.iter().all(|input| input.is_string() || input.is_array()) {
        return Err(wrong());
    }
    let size = fields::number(ask.json, "dimensions").unwrap_or(DIMENSIONS).clamp(1, 4096);
    let packed = fields::text(ask.json, "encoding_format") == "base64";
    let rows: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let numbers = vector(input, size);
            let embedding = if packed {
                json!(STANDARD.encode(numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>()))
            } else {
                json!(numbers)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = inputs.iter().map(|input| tokens(input)).sum();
    let body = json!({"object": "list", "data": rows, "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}});
    let mut reply = Reply::json(200, headers, &body);
    reply.usage = Some(ReportedUsage { input: tokens, ..ReportedUsage::default() });
    Ok(reply)
}

/// Numbers between -1 and 1 that follow from the input alone.
fn vector(input: &Value, size: u64) -> Vec<f32> {
    let mut ids = Ids::new(hash(input.to_string().as_bytes()), "embeddings");
    (0..size)
        .map(|_| {
            let sixteen = u16::try_from(ids.next() >> 48).unwrap_or_default();
            f32::from(sixteen) / 32_768.0 - 1.0
        })
        .collect()
}

fn tokens(input: &Value) -> u64 {
    match input {
        Value::String(text) => count(text),
        Value::Array(list) => list.len() as u64,
        _ => 0,
    }
}
