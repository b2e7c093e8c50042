//! Bedrock Converse on the wire: reading with the service's own checks, whole answers, binary streams.

use serde_json::{Map, Value, json};

use super::messages::signature;
use crate::answer::{Answer, Caching, Choice, Finish, Format, Prompt, Role, Tool, Turn, plan};
use crate::eventstream::event;
use crate::exchange::{Ask, Reply};
use crate::fields;
use crate::identity::Ids;
use crate::journal::ReportedUsage;
use crate::pace::Frame;

/// Top-level fields that the service knows.
const KNOWN: [&str; 13] = [
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
    "guardrailIdentifier",
];

/// Reads a request body, or says with the service's words why it is refused.
pub(crate) fn read(json: &Value, model: &str) -> Result<Prompt, String> {
    let Some(body) = json.as_object() else {
        return Err("Unable to parse the request body as JSON.".to_owned());
    };
    if let Some(unknown) = body.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!(
            "The model returned the following errors: {unknown}: Extra inputs are not permitted"
        ));
    }
    let mut prompt = Prompt::new(model);
    let system = fields::list(json, "system");
    if system.iter().any(|block| block.get("text").is_some_and(is_blank)) {
        return Err("The text field in the SystemContentBlock object is blank. Add text to the text field, and try again.".to_owned());
    }
    prompt.system = system.iter().map(|block| fields::text(block, "text")).collect::<Vec<_>>().join("\n");
    let marked = json.to_string().contains("\"cachePoint\"");
    prompt.caching = if marked { Caching::Marked } else { Caching::Off };
    read_turns(fields::list(json, "messages"), json, &mut prompt)?;
    read_tools(json.get("toolConfig").unwrap_or(&Value::Null), &mut prompt)?;
    let inference = json.get("inferenceConfig").unwrap_or(&Value::Null);
    prompt.max_tokens = fields::number(inference, "maxTokens");
    prompt.stop = fields::texts(inference, "stopSequences");
    let more = json.get("additionalModelRequestFields").unwrap_or(&Value::Null);
    prompt.effort = effort(more);
    let schema = json.pointer("/outputConfig/textFormat/structure/jsonSchema/schema");
    prompt.format = match schema {
        Some(Value::String(text)) => Format::Schema(serde_json::from_str(text).unwrap_or_default()),
        Some(value) => Format::Schema(value.clone()),
        None => Format::Text,
    };
    Ok(prompt)
}

/// Reasoning as the models' own fields ask for it.
fn effort(more: &Value) -> Option<String> {
    let thinking = more.get("thinking").or(more.get("reasoning_config")).unwrap_or(&Value::Null);
    match fields::text(thinking, "type") {
        "enabled" => return Some(fields::number(thinking, "budget_tokens").unwrap_or(0).to_string()),
        "adaptive" => return Some("adaptive".to_owned()),
        _ => {}
    }
    let named = fields::text(more, "reasoning_effort");
    (!named.is_empty() && named != "none").then(|| named.to_owned())
}

fn is_blank(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.trim().is_empty())
}

fn read_turns(messages: &[Value], json: &Value, prompt: &mut Prompt) -> Result<(), String> {
    if messages.is_empty() {
        return Err("The messages field is required and must not be empty.".to_owned());
    }
    let mut waiting: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = match fields::text(message, "role") {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                return Err(format!(
                    "1 validation error detected: Value '{other}' at 'messages.{}.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]",
                    index + 1
                ));
            }
        };
        if index == 0 && role == Role::Assistant {
            return Err("A conversation must start with a user message. Try again with a conversation that starts with a user message.".to_owned());
        }
        if prompt.turns.last().is_some_and(|turn| turn.role == role) {
            return Err("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.".to_owned());
        }
        let mut turn = Turn::new(role);
        read_blocks(index, message, &mut turn)?;
        let uses_tools = !turn.calls.is_empty() || !turn.results.is_empty();
        if uses_tools && json.get("toolConfig").is_none() {
            return Err(
                "The toolConfig field must be defined when using toolUse and toolResult content blocks."
                    .to_owned(),
            );
        }
        if turn.results.iter().any(|(id, _)| !waiting.contains(id)) {
            return Err(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
            ));
        }
        waiting.retain(|id| !turn.results.iter().any(|(known, _)| known == id));
        if !waiting.is_empty() {
            return Err(format!(
                "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
                waiting.join(", ")
            ));
        }
        waiting.extend(turn.calls.iter().map(|(id, _)| id.clone()));
        prompt.turns.push(turn);
    }
    if waiting.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
        messages.len(),
        waiting.join(", ")
    ))
}

fn read_blocks(index: usize, message: &Value, turn: &mut Turn) -> Result<(), String> {
    let Some(blocks) = message.get("content").and_then(Value::as_array).filter(|list| !list.is_empty())
    else {
        return Err(format!(
            "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the content field and try again."
        ));
    };
    for (at, block) in blocks.iter().enumerate() {
        if let Some(text) = block.get("text") {
            if is_blank(text) {
                return Err(format!(
                    "The text field in the ContentBlock object at messages.{index}.content.{at} is blank. Add text to the text field, and try again."
                ));
            }
            turn.say(text.as_str().unwrap_or_default());
        } else if block.get("image").is_some() {
            turn.images += 1;
        } else if let Some(call) = block.get("toolUse") {
            let id = fields::text(call, "toolUseId").to_owned();
            turn.calls.push((id, fields::text(call, "name").to_owned()));
        } else if let Some(result) = block.get("toolResult") {
            let id = fields::text(result, "toolUseId").to_owned();
            turn.results.push((id, result_text(result)));
        } else if let Some(reasoning) = block.pointer("/reasoningContent/reasoningText") {
            let expected = signature(fields::text(reasoning, "text"));
            if fields::text(reasoning, "signature") != expected {
                return Err(format!(
                    "The model returned the following errors: messages.{index}.content.{at}: Invalid `signature` in `thinking` block"
                ));
            }
        } else if block.as_object().is_none_or(Map::is_empty) {
            return Err(format!(
                "The content block at messages.{index}.content.{at} is empty or has an unknown type."
            ));
        }
    }
    Ok(())
}

fn result_text(result: &Value) -> String {
    let parts = fields::list(result, "content").iter().map(|part| match part.get("json") {
        Some(json) => json.to_string(),
        None => fields::text(part, "text").to_owned(),
    });
    parts.collect::<Vec<_>>().join("\n")
}

fn read_tools(config: &Value, prompt: &mut Prompt) -> Result<(), String> {
    for tool in fields::list(config, "tools") {
        let Some(spec) = tool.get("toolSpec") else { continue };
        let Some(schema) = spec.pointer("/inputSchema/json") else {
            return Err("The inputSchema field of a ToolSpecification must have a json member.".to_owned());
        };
        if fields::text(schema, "type") != "object" {
            return Err("The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.".to_owned());
        }
        prompt.tools.push(Tool { name: fields::text(spec, "name").to_owned(), schema: schema.clone() });
    }
    let choice = config.get("toolChoice").unwrap_or(&Value::Null);
    if choice.get("any").is_some() {
        prompt.choice = Choice::Some;
    } else if let Some(tool) = choice.get("tool") {
        prompt.choice = Choice::Named(fields::text(tool, "name").to_owned());
    }
    Ok(())
}

/// The reply to a read request.
pub(crate) fn reply(ask: &Ask<'_>, prompt: &Prompt, streamed: bool, headers: Vec<(String, String)>) -> Reply {
    let answer = plan(ask.cloud, prompt);
    let mut ids = Ids::new(ask.seq, "calls");
    let latency = 40 + ids.next() % 900;
    let mut reply = if streamed {
        let frames = stream(&answer, latency, &mut ids);
        Reply::stream(headers, "application/vnd.amazon.eventstream", frames)
    } else {
        Reply::json(200, headers, &whole(&answer, latency, &mut ids))
    };
    reply.usage = Some(answer.usage);
    reply.pace_ms = answer.directive.pace_ms;
    reply.fault = answer.directive.fault;
    reply
}

fn stop_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Filtered => "guardrail_intervened",
        Finish::Refused => "content_filtered",
    }
}

/// Usage as Bedrock counts: input without what was read from or written to the cache.
fn usage_json(usage: &ReportedUsage) -> Value {
    json!({
        "inputTokens": usage.input - usage.cached - usage.cache_written,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_written,
        "serverToolUsage": {},
    })
}

fn call_id(ids: &mut Ids) -> String {
    format!("tooluse_{}", ids.base62(22))
}

fn whole(answer: &Answer, latency: u64, ids: &mut Ids) -> Value {
    let mut content = Vec::new();
    if let Some(text) = &answer.reasoning {
        content.push(
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature(text)}}}),
        );
    }
    if !answer.text.is_empty() {
        content.push(json!({"text": answer.text}));
    }
    for call in &answer.calls {
        content.push(
            json!({"toolUse": {"toolUseId": call_id(ids), "name": call.name, "input": call.arguments}}),
        );
    }
    json!({
        "metrics": {"latencyMs": latency},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": stop_reason(&answer.finish),
        "usage": usage_json(&answer.usage),
    })
}

/// A payload with the padding `p` that Bedrock adds against guessing by length.
fn padded(mut payload: Value, ids: &mut Ids) -> Value {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let length = usize::try_from(ids.next() % 60 + 2).unwrap_or(2);
    if let Some(map) = payload.as_object_mut() {
        map.insert("p".to_owned(), json!(LETTERS.chars().take(length).collect::<String>()));
    }
    payload
}

fn stream(answer: &Answer, latency: u64, ids: &mut Ids) -> Vec<Frame> {
    let start = padded(json!({"role": "assistant"}), ids);
    let mut frames = vec![Frame::opening(event("messageStart", &start))];
    let mut index = 0_u64;
    let mut block = |start: Option<Value>, deltas: Vec<Value>, ids: &mut Ids| {
        if let Some(start) = start {
            let payload = padded(json!({"contentBlockIndex": index, "start": start}), ids);
            frames.push(Frame::opening(event("contentBlockStart", &payload)));
        }
        for delta in deltas {
            let payload = padded(json!({"contentBlockIndex": index, "delta": delta}), ids);
            frames.push(Frame::delta(event("contentBlockDelta", &payload)));
        }
        let payload = padded(json!({ "contentBlockIndex": index }), ids);
        frames.push(Frame::opening(event("contentBlockStop", &payload)));
        index += 1;
    };
    if let Some(text) = &answer.reasoning {
        let mut deltas: Vec<Value> = answer
            .reasoning_pieces()
            .into_iter()
            .map(|piece| json!({"reasoningContent": {"text": piece}}))
            .collect();
        deltas.push(json!({"reasoningContent": {"signature": signature(text)}}));
        block(None, deltas, ids);
    }
    if !answer.text.is_empty() {
        let deltas = answer.text_pieces().into_iter().map(|piece| json!({"text": piece})).collect();
        block(None, deltas, ids);
    }
    for call in &answer.calls {
        let start = json!({"toolUse": {"toolUseId": call_id(ids), "name": call.name}});
        let arguments = call.arguments.to_string();
        let pieces = super::chat::argument_pieces(&arguments);
        block(
            Some(start),
            pieces.into_iter().map(|piece| json!({"toolUse": {"input": piece}})).collect(),
            ids,
        );
    }
    let stop = padded(json!({"stopReason": stop_reason(&answer.finish)}), ids);
    frames.push(Frame::closing(event("messageStop", &stop)));
    let metadata =
        padded(json!({"metrics": {"latencyMs": latency}, "usage": usage_json(&answer.usage)}), ids);
    frames.push(Frame::closing(event("metadata", &metadata)));
    frames
}
