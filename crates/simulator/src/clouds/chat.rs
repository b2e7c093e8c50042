//! OpenAI Chat Completions on the wire, as OpenAI, Azure, vLLM and Bedrock's `/openai/v1` speak it.

use serde_json::{Map, Value, json};

use super::event;
use crate::answer::{Answer, Caching, Choice, Finish, Format, Prompt, Role, Tool, Turn, count, pieces, plan};
use crate::exchange::{Ask, Reply};
use crate::fields;
use crate::identity::{Ids, hash};
use crate::journal::ReportedUsage;
use crate::pace::Frame;

/// Candidates at most, as at OpenAI.
const CANDIDATES_MAX: u64 = 128;
/// `top_logprobs` at most, as at OpenAI.
const TOP_LOGPROBS_MAX: u64 = 20;

/// What differs between the hosts of this wire format.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// The answer's id.
    pub(crate) id: String,
    /// The model as answered.
    pub(crate) model: String,
    /// `system_fingerprint`.
    pub(crate) fingerprint: Option<String>,
    /// `service_tier`.
    pub(crate) tier: Option<&'static str>,
    /// Azure's content filter annotations.
    pub(crate) filters: bool,
    /// Returned reasoning as `reasoning_content`; hidden otherwise.
    pub(crate) reasoning_content: bool,
    /// OpenAI's padding of stream chunks.
    pub(crate) obfuscation: bool,
    /// Prefix and length of tool call ids.
    pub(crate) call_id: (&'static str, usize),
}

/// A refused request: message and `param`.
pub(crate) type Refused = (String, Option<&'static str>);

/// A request, read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) prompt: Prompt,
    n: u64,
    stream: bool,
    include_usage: bool,
    logprobs: Option<u64>,
}

/// Reads a request body as far as the simulator needs it.
pub(crate) fn read(json: &Value, model: &str) -> Result<Asked, Refused> {
    if !json.is_object() {
        return Err(("We could not parse the JSON body of your request.".to_owned(), None));
    }
    let messages = fields::list(json, "messages");
    if messages.is_empty() {
        let message = match json.get("messages") {
            None => "Missing required parameter: 'messages'.".to_owned(),
            Some(_) => "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.".to_owned(),
        };
        return Err((message, Some("messages")));
    }
    let mut prompt = Prompt::new(model);
    prompt.caching = Caching::Automatic;
    read_messages(messages, &mut prompt)?;
    read_tools(json, &mut prompt);
    let effort = json.get("reasoning_effort").and_then(Value::as_str);
    prompt.effort = effort.filter(|effort| *effort != "none").map(str::to_owned);
    let format = json.get("response_format").unwrap_or(&Value::Null);
    prompt.format = match fields::text(format, "type") {
        "json_object" => Format::Object,
        "json_schema" => Format::Schema(format.pointer("/json_schema/schema").cloned().unwrap_or_default()),
        _ => Format::Text,
    };
    prompt.stop = fields::texts(json, "stop");
    prompt.max_tokens =
        fields::number(json, "max_completion_tokens").or_else(|| fields::number(json, "max_tokens"));
    let n = fields::number(json, "n").unwrap_or(1);
    if n == 0 || n > CANDIDATES_MAX {
        return Err((
            format!("Invalid 'n': integer must be between 1 and {CANDIDATES_MAX}, but got {n}."),
            Some("n"),
        ));
    }
    let top = fields::number(json, "top_logprobs").unwrap_or(0).min(TOP_LOGPROBS_MAX);
    Ok(Asked {
        prompt,
        n,
        stream: fields::flag(json, "stream"),
        include_usage: json.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        logprobs: fields::flag(json, "logprobs").then_some(top),
    })
}

fn read_messages(messages: &[Value], prompt: &mut Prompt) -> Result<(), Refused> {
    let mut waiting: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = fields::text(message, "role");
        if role != "tool" && !waiting.is_empty() {
            let ids = waiting.join(", ");
            let text = format!(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {ids}"
            );
            return Err((text, Some("messages")));
        }
        match role {
            "system" | "developer" => {
                let mut turn = Turn::new(Role::User);
                read_content(message, &mut turn);
                prompt.system.push_str(&turn.text);
            }
            "user" | "assistant" => {
                let role = if role == "user" { Role::User } else { Role::Assistant };
                let mut turn = Turn::new(role);
                read_content(message, &mut turn);
                for call in fields::list(message, "tool_calls") {
                    let id = fields::text(call, "id").to_owned();
                    let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
                    waiting.push(id.clone());
                    turn.calls.push((id, name.to_owned()));
                }
                prompt.turns.push(turn);
            }
            "tool" => {
                let id = fields::text(message, "tool_call_id");
                let Some(at) = waiting.iter().position(|known| known == id) else {
                    let text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
                    return Err((text.to_owned(), Some("messages")));
                };
                waiting.remove(at);
                let mut result = Turn::new(Role::User);
                read_content(message, &mut result);
                let follows = prompt.turns.last_mut().filter(|turn| !turn.results.is_empty());
                match follows {
                    Some(turn) => turn.results.push((id.to_owned(), result.text)),
                    None => {
                        let mut turn = Turn::new(Role::User);
                        turn.results.push((id.to_owned(), result.text));
                        prompt.turns.push(turn);
                    }
                }
            }
            other => {
                let text = format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'. (messages[{index}].role)"
                );
                return Err((text, Some("messages")));
            }
        }
    }
    if waiting.is_empty() {
        return Ok(());
    }
    let ids = waiting.join(", ");
    let text = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {ids}"
    );
    Err((text, Some("messages")))
}

fn read_content(message: &Value, turn: &mut Turn) {
    match message.get("content") {
        Some(Value::String(text)) => turn.say(text),
        Some(Value::Array(parts)) => {
            for part in parts {
                match fields::text(part, "type") {
                    "text" => turn.say(fields::text(part, "text")),
                    "image_url" => turn.images += 1,
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn read_tools(json: &Value, prompt: &mut Prompt) {
    for tool in fields::list(json, "tools") {
        let Some(function) = tool.get("function") else { continue };
        let schema = function.get("parameters").cloned().unwrap_or_default();
        prompt.tools.push(Tool { name: fields::text(function, "name").to_owned(), schema });
    }
    prompt.parallel = json.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true);
    prompt.choice = match json.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::Never,
        Some(Value::String(word)) if word == "required" => Choice::Some,
        Some(choice @ Value::Object(_)) => {
            let name = choice.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
            Choice::Named(name.to_owned())
        }
        _ => Choice::Auto,
    };
}

/// The reply to a read request, in the host's style.
pub(crate) fn reply(ask: &Ask<'_>, asked: &Asked, style: &Style, headers: Vec<(String, String)>) -> Reply {
    let mut prompt = asked.prompt.clone();
    let answers: Vec<Answer> = (0..asked.n)
        .map(|candidate| {
            prompt.candidate = candidate;
            plan(ask.cloud, &prompt)
        })
        .collect();
    let mut usage = ReportedUsage::default();
    for (index, answer) in answers.iter().enumerate() {
        if index == 0 {
            usage = answer.usage;
        } else {
            usage.output += answer.usage.output;
            usage.reasoning += answer.usage.reasoning;
        }
    }
    let writer = Writer { style, created: ask.now_ms / 1000, logprobs: asked.logprobs };
    let mut ids = Ids::new(ask.seq, "calls");
    let mut reply = if asked.stream {
        let frames = writer.stream(&answers, &usage, asked.include_usage, &mut ids);
        let content_type =
            if style.filters { "text/event-stream" } else { "text/event-stream; charset=utf-8" };
        Reply::stream(headers, content_type, frames)
    } else {
        Reply::json(200, headers, &writer.whole(&answers, &usage, &mut ids))
    };
    reply.usage = Some(usage);
    if let Some(first) = answers.first() {
        reply.pace_ms = first.directive.pace_ms;
        reply.fault.clone_from(&first.directive.fault);
    }
    reply
}

struct Writer<'a> {
    style: &'a Style,
    created: u64,
    logprobs: Option<u64>,
}

fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Sequence(_) | Finish::Refused => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

fn usage_json(usage: &ReportedUsage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}

/// Azure's verdict that nothing was found.
pub(super) fn safe() -> Value {
    let none = json!({"filtered": false, "severity": "safe"});
    json!({"hate": none, "self_harm": none, "sexual": none, "violence": none})
}

impl Writer<'_> {
    fn envelope(&self, object: &str) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("id".to_owned(), json!(self.style.id));
        map.insert("object".to_owned(), json!(object));
        map.insert("created".to_owned(), json!(self.created));
        map.insert("model".to_owned(), json!(self.style.model));
        if let Some(tier) = self.style.tier {
            map.insert("service_tier".to_owned(), json!(tier));
        }
        map.insert("system_fingerprint".to_owned(), json!(self.style.fingerprint));
        map
    }

    fn logprob(&self, token: &str) -> Value {
        let entry = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()});
        #[allow(clippy::cast_precision_loss, reason = "a made-up number below 100")]
        let value = -0.01 * (hash(token.as_bytes()) % 100) as f64 - 0.001;
        let mut made = entry(token, value);
        let others: Vec<Value> = (0..self.logprobs.unwrap_or(0))
            .map(|rank| {
                #[allow(clippy::cast_precision_loss, reason = "at most 20")]
                let lower = value - rank as f64;
                if rank == 0 { entry(token, value) } else { entry(&format!("{token}~{rank}"), lower) }
            })
            .collect();
        if let Some(map) = made.as_object_mut() {
            map.insert("top_logprobs".to_owned(), Value::Array(others));
        }
        made
    }

    fn logprobs_of(&self, text: &str) -> Value {
        if self.logprobs.is_none() {
            return Value::Null;
        }
        let tokens: Vec<Value> = pieces(text).into_iter().map(|token| self.logprob(token)).collect();
        json!({"content": tokens, "refusal": null})
    }

    fn whole(&self, answers: &[Answer], usage: &ReportedUsage, ids: &mut Ids) -> Value {
        let choices: Vec<Value> = answers
            .iter()
            .enumerate()
            .map(|(index, answer)| {
                let mut choice = Map::new();
                choice.insert("index".to_owned(), json!(index));
                choice.insert("message".to_owned(), self.message(answer, ids));
                choice.insert("logprobs".to_owned(), self.logprobs_of(&answer.text));
                choice.insert("finish_reason".to_owned(), json!(finish_reason(&answer.finish)));
                if self.style.filters {
                    choice.insert("content_filter_results".to_owned(), safe());
                }
                Value::Object(choice)
            })
            .collect();
        let mut body = self.envelope("chat.completion");
        body.insert("choices".to_owned(), Value::Array(choices));
        body.insert("usage".to_owned(), usage_json(usage));
        if self.style.filters {
            let verdict = json!([{"prompt_index": 0, "content_filter_results": safe()}]);
            body.insert("prompt_filter_results".to_owned(), verdict);
        }
        Value::Object(body)
    }

    fn message(&self, answer: &Answer, ids: &mut Ids) -> Value {
        let refused = answer.finish == Finish::Refused;
        let silent = refused || (answer.text.is_empty() && !answer.calls.is_empty());
        let content = if silent { Value::Null } else { json!(answer.text) };
        let refusal = if refused { json!(answer.text) } else { Value::Null };
        let mut message =
            json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
        let Some(map) = message.as_object_mut() else { return message };
        if !answer.calls.is_empty() {
            let (prefix, length) = self.style.call_id;
            let calls: Vec<Value> = answer
                .calls
                .iter()
                .map(|call| {
                    json!({"id": format!("{prefix}{}", ids.base62(length)), "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments.to_string()}})
                })
                .collect();
            map.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        if self.style.reasoning_content {
            map.insert("reasoning_content".to_owned(), json!(answer.reasoning));
        }
        message
    }

    fn stream(
        &self,
        answers: &[Answer],
        usage: &ReportedUsage,
        include_usage: bool,
        ids: &mut Ids,
    ) -> Vec<Frame> {
        let mut frames = Vec::new();
        let chunk = |index: usize, delta: &Value, logprobs: &Value, finish: Option<&str>, padding: usize| {
            let mut choice =
                json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
            if self.style.filters
                && let Some(map) = choice.as_object_mut()
            {
                let spoken =
                    delta.get("content").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
                map.insert("content_filter_results".to_owned(), if spoken { safe() } else { json!({}) });
            }
            let mut body = self.envelope("chat.completion.chunk");
            body.insert("choices".to_owned(), Value::Array(vec![choice]));
            self.seal(&mut body, include_usage, padding);
            event(&Value::Object(body))
        };
        if self.style.filters {
            let verdict = json!([{"prompt_index": 0, "content_filter_results": safe()}]);
            let first = json!({"choices": [], "created": 0, "id": "", "model": "", "object": "",
                "prompt_filter_results": verdict});
            frames.push(Frame::opening(event(&first)));
        }
        let mut padding = 0;
        for (index, answer) in answers.iter().enumerate() {
            let opening = json!({"role": "assistant", "content": if answer.calls.is_empty() { json!("") } else { Value::Null }, "refusal": null});
            let none =
                if self.logprobs.is_some() { json!({"content": [], "refusal": null}) } else { Value::Null };
            frames.push(Frame::opening(chunk(index, &opening, &none, None, 9)));
            for (delta, logprobs) in self.deltas(answer, ids) {
                padding = (padding * 7 + 5) % 16;
                frames.push(Frame::delta(chunk(index, &delta, &logprobs, None, padding)));
            }
            let reason = finish_reason(&answer.finish);
            frames.push(Frame::closing(chunk(index, &json!({}), &Value::Null, Some(reason), 4)));
        }
        if include_usage {
            let mut body = self.envelope("chat.completion.chunk");
            body.insert("choices".to_owned(), json!([]));
            self.seal(&mut body, false, 10);
            body.insert("usage".to_owned(), usage_json(usage));
            frames.push(Frame::closing(event(&Value::Object(body))));
        }
        frames.push(Frame::closing("data: [DONE]\n\n"));
        frames
    }

    /// What every chunk ends with: `usage: null` when usage will come, and padding.
    fn seal(&self, body: &mut Map<String, Value>, include_usage: bool, padding: usize) {
        if include_usage {
            body.insert("usage".to_owned(), Value::Null);
        }
        if self.style.obfuscation {
            body.insert("obfuscation".to_owned(), json!(self::padding(padding)));
        }
    }

    /// The deltas of one candidate with their logprobs.
    fn deltas(&self, answer: &Answer, ids: &mut Ids) -> Vec<(Value, Value)> {
        let mut deltas = Vec::new();
        if self.style.reasoning_content {
            for piece in answer.reasoning_pieces() {
                deltas.push((json!({"reasoning_content": piece}), Value::Null));
            }
        }
        let key = if answer.finish == Finish::Refused { "refusal" } else { "content" };
        for piece in answer.text_pieces() {
            deltas.push((json!({ key: piece }), self.logprobs_of(piece)));
        }
        let (prefix, length) = self.style.call_id;
        for (index, call) in answer.calls.iter().enumerate() {
            let id = format!("{prefix}{}", ids.base62(length));
            let head = json!({"tool_calls": [{"index": index, "id": id, "type": "function",
                "function": {"name": call.name, "arguments": ""}}]});
            deltas.push((head, Value::Null));
            let arguments = call.arguments.to_string();
            for piece in argument_pieces(&arguments) {
                let part = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
                deltas.push((part, Value::Null));
            }
        }
        deltas
    }
}

/// So many letters of nothing, at most 16.
pub(super) fn padding(length: usize) -> String {
    "q7ZkT2mXw9LbR4sV".chars().take(length).collect()
}

/// Arguments in pieces that cut through names and values, as models send them.
pub(super) fn argument_pieces(arguments: &str) -> Vec<&str> {
    let wanted = usize::try_from(count(arguments)).unwrap_or(1).max(arguments.len() / 6).max(2);
    crate::answer::grouped(arguments, Some(wanted))
}
