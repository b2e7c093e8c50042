//! What a model can do: the map's flags → our words. Where the map is silent, what its provider's API does.

use super::names::Named;
use serde_json::{Map, Value};

/// The words of the `can` column, in their fixed order, and the reasoning control.
pub(super) fn capabilities(named: &Named, entry: &Map<String, Value>) -> (String, &'static str) {
    let flag = |field: &str| entry.get(field).and_then(Value::as_bool);
    let is = |field: &str| flag(field) == Some(true);
    let claude = named.name.contains("claude");
    let reasoning = reasoning(named, entry);
    let tools = is("supports_function_calling");
    let openai_api = matches!(named.provider, "openai" | "azure" | "azure-ai") && !claude;
    let gemini_api = matches!(named.provider, "gemini" | "vertex") && named.name.starts_with("gemini");
    let words = [
        ("tools", tools),
        ("parallel-tools", tools && flag("supports_parallel_function_calling") != Some(false)),
        (
            "forced-tools",
            tools
                && flag("supports_forced_tool_use") != Some(false)
                && flag("supports_tool_choice") != Some(false),
        ),
        ("vision", is("supports_vision") || is("supports_image_input")),
        ("documents", is("supports_pdf_input")),
        // Where the map knows whether the host does it natively, that counts; Claude needs it said.
        (
            "json-schema",
            flag("supports_native_structured_output").unwrap_or_else(|| is("supports_response_schema")),
        ),
        ("logprobs", (openai_api && reasoning == "none") || gemini_api),
        ("sampling", flag("supports_sampling_params").unwrap_or_else(|| !refuses_sampling(named, entry))),
        ("candidates", openai_api || gemini_api),
        ("prefill", is("supports_assistant_prefill")),
    ];
    let can: Vec<&str> = words.into_iter().filter_map(|(word, can)| can.then_some(word)).collect();
    (can.join(" "), reasoning)
}

/// How thinking is steered.
fn reasoning(named: &Named, entry: &Map<String, Value>) -> &'static str {
    let is = |field: &str| entry.get(field).and_then(Value::as_bool) == Some(true);
    if is("supports_adaptive_thinking") {
        "adaptive"
    } else if !is("supports_reasoning") {
        "none"
    } else if named.name.contains("claude") || named.name.starts_with("gemini-2") {
        "budget"
    } else {
        "effort"
    }
}

/// OpenAI's reasoning models take no temperature, but where their effort can be none.
fn refuses_sampling(named: &Named, entry: &Map<String, Value>) -> bool {
    let family = ["o1", "o3", "o4", "gpt-5", "gpt-6"].iter().any(|family| named.name.starts_with(family));
    let none = entry.get("supports_none_reasoning_effort").and_then(Value::as_bool) == Some(true);
    family && !none && entry.get("supports_reasoning").and_then(Value::as_bool) == Some(true)
}
