//! Reading a request with the API's own checks and words.

use serde_json::Value;

use super::sealed;
use crate::answer::{Caching, Choice, Format, Prompt, Role, Tool, Turn};
use crate::exchange::Ask;
use crate::fields;

/// Top-level parameters that the API knows.
const KNOWN: [&str; 31] = [
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
/// Letters of a refused `encrypted_content` that the error quotes.
const SEALED_CHARS: usize = 12;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
}

impl Refused {
    fn new(message: String, param: &str, code: Option<&'static str>) -> Self {
        Self { status: 400, message, param: Some(param.to_owned()), code }
    }

    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::new(message, param, Some("missing_required_parameter"))
    }

    fn value(given: &str, supported: &str, param: &str) -> Self {
        let message = format!("Invalid value: '{given}'. Supported values are: {supported}.");
        Self::new(message, param, Some("invalid_value"))
    }

    fn gone(id: &str) -> Self {
        let message = format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."
        );
        Self { status: 404, ..Self::new(message, "input", None) }
    }
}

/// A request, read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) prompt: Prompt,
    pub(super) stream: bool,
    /// A summary of the reasoning is wanted.
    pub(super) summary: bool,
    /// `encrypted_content` is wanted.
    pub(super) sealed: bool,
    /// Padding of deltas is not refused.
    pub(super) obfuscation: bool,
}

/// Reads a request body as far as the simulator needs it.
pub(crate) fn read(ask: &Ask<'_>, model: &str) -> Result<Asked, Refused> {
    let json = ask.json;
    let Some(body) = json.as_object() else {
        let message = "We could not parse the JSON body of your request.".to_owned();
        return Err(Refused { status: 400, message, param: None, code: None });
    };
    if let Some(unknown) = body.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let message = format!("Unknown parameter: '{unknown}'.");
        return Err(Refused::new(message, unknown, Some("unknown_parameter")));
    }
    let previous = fields::text(json, "previous_response_id");
    if !previous.is_empty() {
        let message = format!("Previous response with id '{previous}' not found.");
        return Err(Refused::new(message, "previous_response_id", Some("previous_response_not_found")));
    }
    let mut prompt = Prompt::new(model);
    prompt.caching = Caching::Automatic;
    fields::text(json, "instructions").clone_into(&mut prompt.system);
    match json.get("input") {
        Some(Value::String(text)) => {
            let mut turn = Turn::new(Role::User);
            turn.say(text);
            prompt.turns.push(turn);
        }
        Some(Value::Array(items)) if !items.is_empty() => read_items(items, &ask.cloud.name, &mut prompt)?,
        _ => return Err(Refused::missing("input")),
    }
    read_tools(json, &mut prompt)?;
    let format = json.pointer("/text/format").unwrap_or(&Value::Null);
    prompt.format = match fields::text(format, "type") {
        "json_object" => Format::Object,
        "json_schema" => Format::Schema(format.get("schema").cloned().unwrap_or_default()),
        _ => Format::Text,
    };
    let reasoning = json.get("reasoning").unwrap_or(&Value::Null);
    let summary = !fields::text(reasoning, "summary").is_empty();
    prompt.effort = match fields::text(reasoning, "effort") {
        "none" => None,
        "" => summary.then(|| "medium".to_owned()),
        effort => Some(effort.to_owned()),
    };
    prompt.max_tokens = fields::number(json, "max_output_tokens");
    let included = fields::texts(json, "include");
    Ok(Asked {
        prompt,
        stream: fields::flag(json, "stream"),
        summary,
        sealed: included.iter().any(|name| name == "reasoning.encrypted_content"),
        obfuscation: json.pointer("/stream_options/include_obfuscation") != Some(&Value::Bool(false)),
    })
}

fn read_items(items: &[Value], cloud: &str, prompt: &mut Prompt) -> Result<(), Refused> {
    let mut waiting: Vec<&str> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("input[{index}]");
        let kind = match fields::text(item, "type") {
            "" if item.get("role").is_some() => "message",
            kind => kind,
        };
        match kind {
            "message" => read_message(item, &at, prompt)?,
            "function_call" | "custom_tool_call" => {
                let given = if kind == "function_call" { "arguments" } else { "input" };
                require(item, &at, &["call_id", "name", given])?;
                let id = fields::text(item, "call_id");
                waiting.push(id);
                let call = (id.to_owned(), fields::text(item, "name").to_owned());
                let fits = |turn: &Turn| turn.role == Role::Assistant;
                in_turn(prompt, Role::Assistant, fits, |turn| turn.calls.push(call));
            }
            "function_call_output" | "custom_tool_call_output" => {
                require(item, &at, &["call_id", "output"])?;
                let id = fields::text(item, "call_id");
                let Some(found) = waiting.iter().position(|known| *known == id) else {
                    let name =
                        if kind == "function_call_output" { "function call" } else { "custom tool call" };
                    let message = format!("No tool call found for {name} output with call_id {id}.");
                    return Err(Refused::new(message, "input", None));
                };
                waiting.remove(found);
                let mut said = Turn::new(Role::User);
                read_content(item.get("output"), &format!("{at}.output"), &mut said)?;
                let fits = |turn: &Turn| !turn.results.is_empty();
                in_turn(prompt, Role::User, fits, |turn| {
                    turn.results.push((id.to_owned(), said.text));
                    turn.images += said.images;
                });
            }
            "reasoning" => read_reasoning(item, cloud)?,
            "item_reference" => return Err(Refused::gone(fields::text(item, "id"))),
            other => {
                let known = "'custom_tool_call', 'custom_tool_call_output', 'function_call', 'function_call_output', 'item_reference', 'message', and 'reasoning'";
                return Err(Refused::value(other, known, &at));
            }
        }
    }
    match waiting.first() {
        None => Ok(()),
        Some(id) => Err(Refused::new(format!("No tool output found for function call {id}."), "input", None)),
    }
}

fn require(item: &Value, at: &str, keys: &[&str]) -> Result<(), Refused> {
    match keys.iter().find(|key| item.get(**key).is_none_or(Value::is_null)) {
        Some(key) => Err(Refused::missing(&format!("{at}.{key}"))),
        None => Ok(()),
    }
}

/// Gives `change` the last turn when it fits, else a new one of this role.
fn in_turn(prompt: &mut Prompt, role: Role, fits: impl Fn(&Turn) -> bool, change: impl FnOnce(&mut Turn)) {
    match prompt.turns.last_mut().filter(|turn| fits(turn)) {
        Some(turn) => change(turn),
        None => {
            let mut turn = Turn::new(role);
            change(&mut turn);
            prompt.turns.push(turn);
        }
    }
}

fn read_message(item: &Value, at: &str, prompt: &mut Prompt) -> Result<(), Refused> {
    require(item, at, &["role", "content"])?;
    let role = match fields::text(item, "role") {
        "assistant" => Role::Assistant,
        "user" | "system" | "developer" => Role::User,
        other => {
            let known = "'assistant', 'system', 'developer', and 'user'";
            return Err(Refused::value(other, known, &format!("{at}.role")));
        }
    };
    let mut turn = Turn::new(role);
    read_content(item.get("content"), &format!("{at}.content"), &mut turn)?;
    if matches!(fields::text(item, "role"), "system" | "developer") {
        prompt.system.push_str(&turn.text);
    } else {
        prompt.turns.push(turn);
    }
    Ok(())
}

/// A text or a list of parts.
fn read_content(content: Option<&Value>, at: &str, turn: &mut Turn) -> Result<(), Refused> {
    let parts = match content {
        Some(Value::String(text)) => {
            turn.say(text);
            return Ok(());
        }
        Some(Value::Array(parts)) => parts,
        _ => {
            let message = format!("Invalid type for '{at}': expected one of a string or array of objects.");
            return Err(Refused::new(message, at, Some("invalid_type")));
        }
    };
    for (index, part) in parts.iter().enumerate() {
        let at = format!("{at}[{index}]");
        match fields::text(part, "type") {
            "output_text" => turn.say(fields::text(part, "text")),
            "refusal" => turn.say(fields::text(part, "refusal")),
            other if turn.role == Role::Assistant => {
                return Err(Refused::value(other, "'output_text' and 'refusal'", &at));
            }
            "input_text" => turn.say(fields::text(part, "text")),
            "input_image" => turn.images += 1,
            "input_file" => {}
            other => {
                let known = "'input_text', 'input_image', 'output_text', 'refusal', 'input_file', 'computer_screenshot', and 'summary_text'";
                return Err(Refused::value(other, known, &at));
            }
        }
    }
    Ok(())
}

/// Reasoning is worth nothing to the answer, but it must be this cloud's own.
fn read_reasoning(item: &Value, cloud: &str) -> Result<(), Refused> {
    let (content, id) = (fields::text(item, "encrypted_content"), fields::text(item, "id"));
    if content.is_empty() {
        return if id.is_empty() { Ok(()) } else { Err(Refused::gone(id)) };
    }
    if sealed::opens(cloud, content) {
        return Ok(());
    }
    let head: String = content.chars().take(SEALED_CHARS).collect();
    let message = format!(
        "The encrypted content {head}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
    );
    Err(Refused { status: 400, message, param: None, code: Some("invalid_encrypted_content") })
}

/// Function tools are offered to the model; the hosted ones are accepted and never called.
fn read_tools(json: &Value, prompt: &mut Prompt) -> Result<(), Refused> {
    for (index, tool) in fields::list(json, "tools").iter().enumerate() {
        if fields::text(tool, "type") == "function" {
            require(tool, &format!("tools[{index}]"), &["name"])?;
            let schema = tool.get("parameters").cloned().unwrap_or_default();
            prompt.tools.push(Tool { name: fields::text(tool, "name").to_owned(), schema });
        }
    }
    prompt.parallel = json.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true);
    prompt.choice = match json.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::Never,
        Some(Value::String(word)) if word == "required" => Choice::Some,
        Some(choice @ Value::Object(_)) if fields::text(choice, "type") == "function" => {
            Choice::Named(fields::text(choice, "name").to_owned())
        }
        _ => Choice::Auto,
    };
    Ok(())
}
