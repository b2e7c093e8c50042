//! Anthropic Messages on the wire, as Anthropic itself and Vertex speak it: reading with the API's own
//! checks, whole answers and streams.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Caching, Choice, Finish, Format, Prompt, Role, Tool, Turn, plan};
use crate::exchange::{Ask, Reply};
use crate::fields;
use crate::identity::{Ids, hash};
use crate::journal::ReportedUsage;
use crate::pace::Frame;

/// Top-level fields that the API knows.
const KNOWN: [&str; 23] = [
    "anthropic_version",
    "anthropic_beta",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
];

/// What differs between the hosts of this wire format.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// The answer's id.
    pub(crate) id: String,
    /// The model as answered.
    pub(crate) model: String,
    /// Prefix of tool call ids, such as `toolu_01`.
    pub(crate) call_prefix: &'static str,
    /// `usage.inference_geo` and `usage.service_tier`, where they are sent.
    pub(crate) geo: Option<&'static str>,
}

/// The API version of October 2026. It has no sampling parameters, and is stricter about content blocks.
pub(crate) const VERSION_2026: &str = "2026-10-21";

/// Reads a request body of this API version, or says why it is refused, with the API's words where they
/// are known.
pub(crate) fn read(json: &Value, model: &str, version: &str) -> Result<Prompt, String> {
    let Some(body) = json.as_object() else { return Err("The request body is not valid JSON".to_owned()) };
    if let Some(unknown) = body.keys().find(|key| !KNOWN.contains(&key.as_str()) && *key != "top_p") {
        return Err(format!("{unknown}: Extra inputs are not permitted"));
    }
    let Some(max_tokens) = fields::number(json, "max_tokens") else {
        return Err("max_tokens: Field required".to_owned());
    };
    if max_tokens == 0 {
        return Err("max_tokens: must be greater than or equal to 1".to_owned());
    }
    if version == VERSION_2026 {
        check_2026(json)?;
    }
    if json.get("temperature").and_then(Value::as_f64).is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return Err("temperature: range: 0..1".to_owned());
    }
    let mut prompt = Prompt::new(model);
    prompt.max_tokens = Some(max_tokens);
    prompt.system = flat_text(json.get("system"));
    prompt.caching = if marked(json) { Caching::Marked } else { Caching::Off };
    read_turns(fields::list(json, "messages"), &mut prompt)?;
    read_tools(json, &mut prompt);
    prompt.stop = fields::texts(json, "stop_sequences");
    let format = json.pointer("/output_config/format").or(json.get("output_format"));
    if let Some(schema) = format.and_then(|format| format.get("schema")) {
        prompt.format = Format::Schema(schema.clone());
    }
    let thinking = json.get("thinking").unwrap_or(&Value::Null);
    prompt.effort = match fields::text(thinking, "type") {
        "enabled" => {
            let budget = fields::number(thinking, "budget_tokens").unwrap_or(0);
            if budget < 1024 {
                return Err("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
                    .to_owned());
            }
            if budget >= max_tokens {
                return Err("`max_tokens` must be greater than `thinking.budget_tokens`.".to_owned());
            }
            Some(budget.to_string())
        }
        "adaptive" => Some("adaptive".to_owned()),
        _ => None,
    };
    Ok(prompt)
}

/// What version 2026-10-21 refuses and 2023-06-01 did not.
fn check_2026(json: &Value) -> Result<(), String> {
    if let Some(name) = ["temperature", "top_p", "top_k"].into_iter().find(|name| json.get(name).is_some()) {
        return Err(format!("{name}: not supported in API version {VERSION_2026}"));
    }
    for (index, message) in fields::list(json, "messages").iter().enumerate() {
        let role = fields::text(message, "role");
        for (at, block) in fields::list(message, "content").iter().enumerate() {
            if role == "assistant" && fields::text(block, "type") == "document" {
                return Err(format!(
                    "messages.{index}.content.{at}: `document` blocks are not permitted in assistant messages"
                ));
            }
            if role == "user"
                && fields::text(block, "type") == "text"
                && !fields::list(block, "citations").is_empty()
            {
                return Err(format!(
                    "messages.{index}.content.{at}.citations: not permitted in user messages"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a cache mark stands anywhere in the request.
fn marked(json: &Value) -> bool {
    match json {
        Value::Object(map) => map.contains_key("cache_control") || map.values().any(marked),
        Value::Array(list) => list.iter().any(marked),
        _ => false,
    }
}

fn flat_text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            blocks.iter().map(|block| fields::text(block, "text")).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn read_turns(messages: &[Value], prompt: &mut Prompt) -> Result<(), String> {
    if messages.is_empty() {
        return Err("messages: at least one message is required".to_owned());
    }
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    for (index, message) in messages.iter().enumerate() {
        let role = match fields::text(message, "role") {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return Err(format!("messages.{index}.role: Input should be 'user' or 'assistant'")),
        };
        if index == 0 && role == Role::Assistant {
            return Err("messages: first message must use the \"user\" role".to_owned());
        }
        let mut turn = Turn::new(role);
        read_blocks(index, message, &mut turn)?;
        for (at, (id, _)) in turn.results.iter().enumerate() {
            if !waiting.remove(id) {
                return Err(format!(
                    "messages.{index}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                ));
            }
        }
        if let Some(id) = waiting.first() {
            let before = index.saturating_sub(1);
            return Err(format!(
                "messages.{before}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ));
        }
        waiting.extend(turn.calls.iter().map(|(id, _)| id.clone()));
        prompt.turns.push(turn);
    }
    match waiting.first() {
        None => Ok(()),
        Some(id) => Err(format!(
            "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
            messages.len() - 1
        )),
    }
}

fn read_blocks(index: usize, message: &Value, turn: &mut Turn) -> Result<(), String> {
    let blocks = match message.get("content") {
        Some(Value::String(text)) if text.trim().is_empty() => {
            return Err(format!("messages.{index}: user messages must have non-empty content"));
        }
        Some(Value::String(text)) => {
            turn.say(text);
            return Ok(());
        }
        Some(Value::Array(blocks)) => blocks,
        _ => return Err(format!("messages.{index}.content: Field required")),
    };
    for (at, block) in blocks.iter().enumerate() {
        let text = fields::text(block, "text");
        match fields::text(block, "type") {
            "text" if text.trim().is_empty() => {
                return Err("messages: text content blocks must be non-empty".to_owned());
            }
            "text" => turn.say(text),
            "image" => turn.images += 1,
            "tool_use" => {
                let id = fields::text(block, "id").to_owned();
                turn.calls.push((id, fields::text(block, "name").to_owned()));
            }
            "tool_result" => {
                let id = fields::text(block, "tool_use_id").to_owned();
                turn.results.push((id, flat_text(block.get("content"))));
            }
            "thinking" => {
                let expected = signature(fields::text(block, "thinking"));
                if fields::text(block, "signature") != expected {
                    return Err(format!(
                        "messages.{index}.content.{at}: Invalid `signature` in `thinking` block"
                    ));
                }
            }
            "" => return Err(format!("messages.{index}.content.{at}.type: Field required")),
            _ => {}
        }
    }
    Ok(())
}

fn read_tools(json: &Value, prompt: &mut Prompt) {
    for tool in fields::list(json, "tools") {
        if let Some(schema) = tool.get("input_schema") {
            prompt.tools.push(Tool { name: fields::text(tool, "name").to_owned(), schema: schema.clone() });
        }
    }
    let choice = json.get("tool_choice").unwrap_or(&Value::Null);
    prompt.parallel = !fields::flag(choice, "disable_parallel_tool_use");
    prompt.choice = match fields::text(choice, "type") {
        "none" => Choice::Never,
        "any" => Choice::Some,
        "tool" => Choice::Named(fields::text(choice, "name").to_owned()),
        _ => Choice::Auto,
    };
}

/// The signature of a thinking text; one that a client sends back is checked against it.
pub(crate) fn signature(thinking: &str) -> String {
    let seed = hash(thinking.as_bytes());
    // Valid base64 without padding, as strict clients demand.
    format!("EqSim{}", Ids::new(seed, "signature").base62(59))
}

/// The reply to a read request, in the host's style.
pub(crate) fn reply(ask: &Ask<'_>, prompt: &Prompt, style: &Style, headers: Vec<(String, String)>) -> Reply {
    let answer = plan(ask.cloud, prompt);
    let mut ids = Ids::new(ask.seq, "calls");
    let mut reply = if super::asks_stream(ask.path, ask.json) {
        let frames = stream(&answer, style, &mut ids);
        Reply::stream(headers, "text/event-stream; charset=utf-8", frames)
    } else {
        Reply::json(200, headers, &whole(&answer, style, &mut ids))
    };
    reply.usage = Some(answer.usage);
    reply.pace_ms = answer.directive.pace_ms;
    reply.fault = answer.directive.fault;
    reply
}

fn stop_reason(finish: &Finish) -> (&'static str, Value) {
    match finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::Tools => ("tool_use", Value::Null),
        Finish::Sequence(sequence) => ("stop_sequence", json!(sequence)),
        Finish::Filtered | Finish::Refused => ("refusal", Value::Null),
    }
}

/// `usage` as Anthropic counts: input without what was read from or written to the cache.
fn usage_json(usage: &ReportedUsage, output: u64, style: &Style) -> Value {
    let mut value = json!({
        "input_tokens": usage.input - usage.cached - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
    });
    if let (Some(geo), Some(map)) = (style.geo, value.as_object_mut()) {
        map.insert("service_tier".to_owned(), json!("standard"));
        map.insert("inference_geo".to_owned(), json!(geo));
    }
    value
}

fn call_id(style: &Style, ids: &mut Ids) -> String {
    format!("{}{}", style.call_prefix, ids.base62(22))
}

fn whole(answer: &Answer, style: &Style, ids: &mut Ids) -> Value {
    let mut content = Vec::new();
    if let Some(thinking) = &answer.reasoning {
        content.push(json!({"type": "thinking", "thinking": thinking, "signature": signature(thinking)}));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    for call in &answer.calls {
        let id = call_id(style, ids);
        content.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments}));
    }
    let (reason, sequence) = stop_reason(&answer.finish);
    json!({
        "model": style.model, "id": style.id, "type": "message", "role": "assistant", "content": content,
        "stop_reason": reason, "stop_sequence": sequence, "stop_details": null,
        "usage": usage_json(&answer.usage, answer.usage.output, style),
    })
}

/// A named event; Anthropic pads its JSON with spaces, and so do we.
pub(crate) fn named(kind: &str, fields: &Value) -> String {
    let mut body = Map::new();
    body.insert("type".to_owned(), json!(kind));
    body.extend(fields.as_object().cloned().unwrap_or_default());
    let padding = " ".repeat(usize::try_from(hash(kind.as_bytes()) % 12).unwrap_or(0));
    format!("event: {kind}\ndata: {}{padding}\n\n", Value::Object(body))
}

fn stream(answer: &Answer, style: &Style, ids: &mut Ids) -> Vec<Frame> {
    let message = json!({
        "model": style.model, "id": style.id, "type": "message", "role": "assistant", "content": [],
        "stop_reason": null, "stop_sequence": null, "stop_details": null,
        "usage": usage_json(&answer.usage, 1, style),
    });
    let mut frames = vec![Frame::opening(named("message_start", &json!({ "message": message })))];
    let mut blocks = Blocks { frames: &mut frames, index: 0 };
    if let Some(thinking) = &answer.reasoning {
        let pieces: Vec<Value> = answer
            .reasoning_pieces()
            .into_iter()
            .map(|piece| json!({"type": "thinking_delta", "thinking": piece}))
            .chain([json!({"type": "signature_delta", "signature": signature(thinking)})])
            .collect();
        blocks.write(&json!({"type": "thinking", "thinking": "", "signature": ""}), &pieces);
    }
    if !answer.text.is_empty() {
        let pieces: Vec<Value> = answer
            .text_pieces()
            .into_iter()
            .map(|piece| json!({"type": "text_delta", "text": piece}))
            .collect();
        blocks.write(&json!({"type": "text", "text": ""}), &pieces);
    }
    for call in &answer.calls {
        let id = call_id(style, ids);
        let arguments = call.arguments.to_string();
        let head = [""].into_iter();
        let pieces: Vec<Value> = head
            .chain(super::chat::argument_pieces(&arguments))
            .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
            .collect();
        blocks.write(&json!({"type": "tool_use", "id": id, "name": call.name, "input": {}}), &pieces);
    }
    let (reason, sequence) = stop_reason(&answer.finish);
    let delta = json!({"stop_reason": reason, "stop_sequence": sequence, "stop_details": null});
    let usage = json!({
        "input_tokens": answer.usage.input - answer.usage.cached - answer.usage.cache_written,
        "cache_creation_input_tokens": answer.usage.cache_written,
        "cache_read_input_tokens": answer.usage.cached,
        "output_tokens": answer.usage.output,
    });
    frames.push(Frame::closing(named("message_delta", &json!({"delta": delta, "usage": usage}))));
    frames.push(Frame::closing(named("message_stop", &json!({}))));
    frames
}

struct Blocks<'a> {
    frames: &'a mut Vec<Frame>,
    index: u64,
}

impl Blocks<'_> {
    fn write(&mut self, opening: &Value, deltas: &[Value]) {
        let index = self.index;
        let start = json!({"index": index, "content_block": opening});
        self.frames.push(Frame::opening(named("content_block_start", &start)));
        if index == 0 {
            self.frames.push(Frame::opening("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
        }
        for delta in deltas {
            let event = named("content_block_delta", &json!({"index": index, "delta": delta}));
            self.frames.push(Frame::delta(event));
        }
        // Not closing: a stream cut after k deltas must not lose the blocks between them.
        self.frames.push(Frame::opening(named("content_block_stop", &json!({ "index": index }))));
        self.index += 1;
    }
}
