//! Gemini `generateContent` on the wire, as AI Studio and Vertex speak it.

use serde_json::{Map, Value, json};

use super::messages::signature;
use crate::answer::{Answer, Caching, Choice, Finish, Format, Prompt, Role, Tool, Turn, plan};
use crate::clock::rfc3339_micros;
use crate::exchange::{Ask, Reply};
use crate::fields;
use crate::identity::Ids;
use crate::journal::ReportedUsage;
use crate::pace::Frame;

/// Top-level fields that the API knows, in camel case.
const KNOWN: [&str; 10] = [
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "systemInstruction",
    "toolConfig",
    "tools",
];

/// Signatures that Google documents for replaying calls that its models did not make.
const SIGNATURE_BYPASSES: [&str; 2] =
    ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// What differs between the hosts of this wire format.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// `modelVersion`.
    pub(crate) model: String,
    /// Vertex: `trafficType` and `createTime`, no `index`.
    pub(crate) vertex: bool,
}

/// The value at a camel-case key, or at the same key in snake case: Google takes both.
fn either<'a>(value: &'a Value, camel: &str) -> &'a Value {
    value.get(camel).or_else(|| value.get(snake(camel))).unwrap_or(&Value::Null)
}

fn snake(camel: &str) -> String {
    camel.chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

/// Reads a request body, or says with the API's words why it is refused.
pub(crate) fn read(json: &Value, model: &str) -> Result<Prompt, String> {
    let Some(body) = json.as_object() else {
        return Err("Invalid JSON payload received. Unexpected token.".to_owned());
    };
    let known = |key: &&String| !KNOWN.iter().any(|name| *name == key.as_str() || snake(name) == **key);
    if let Some(unknown) = body.keys().find(known) {
        return Err(format!("Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field."));
    }
    let mut prompt = Prompt::new(model);
    prompt.caching = Caching::Automatic;
    let system = either(json, "systemInstruction");
    let parts = fields::list(system, "parts").iter().map(|part| fields::text(part, "text"));
    prompt.system = parts.collect::<Vec<_>>().join("\n");
    read_turns(fields::list(json, "contents"), &mut prompt)?;
    read_tools(json, &mut prompt);
    let config = either(json, "generationConfig");
    prompt.max_tokens = either(config, "maxOutputTokens").as_u64();
    prompt.stop = either(config, "stopSequences")
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    prompt.format = format(config);
    prompt.effort = effort(either(config, "thinkingConfig"));
    if either(config, "temperature").as_f64().is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err("Unable to submit request because it has a temperature value outside the supported range from 0 (inclusive) to 2.0001 (exclusive). Update the value and try again.".to_owned());
    }
    Ok(prompt)
}

fn format(config: &Value) -> Format {
    let schema = [either(config, "responseJsonSchema"), either(config, "responseSchema")]
        .into_iter()
        .find(|schema| schema.is_object());
    match (schema, either(config, "responseMimeType").as_str()) {
        (Some(schema), _) => Format::Schema(schema.clone()),
        (None, Some("application/json")) => Format::Object,
        _ => Format::Text,
    }
}

fn effort(thinking: &Value) -> Option<String> {
    if let Some(level) = either(thinking, "thinkingLevel").as_str() {
        return Some(level.to_lowercase());
    }
    match either(thinking, "thinkingBudget").as_i64() {
        Some(0) => None,
        Some(budget) => Some(budget.to_string()),
        None => (either(thinking, "includeThoughts") == &Value::Bool(true)).then(|| "dynamic".to_owned()),
    }
}

fn read_turns(contents: &[Value], prompt: &mut Prompt) -> Result<(), String> {
    if contents.is_empty() {
        return Err("* GenerateContentRequest.contents: contents is not specified\n".to_owned());
    }
    let mut called = 0;
    // The current turn begins behind the last text of the user; of earlier ones no signature is checked.
    let current = contents.iter().rposition(is_said).unwrap_or(0);
    for (place, content) in contents.iter().enumerate() {
        let role = match fields::text(content, "role") {
            "user" | "" | "function" => Role::User,
            "model" => Role::Assistant,
            _ => return Err("Please use a valid role: user, model.".to_owned()),
        };
        let mut turn = Turn::new(role);
        let mut missing_signature = None;
        for part in fields::list(content, "parts") {
            read_part(part, &mut turn, &mut missing_signature);
        }
        if let Some(name) =
            missing_signature.filter(|_| place >= current && prompt.model.contains("gemini-3"))
        {
            return Err(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `{name}`."
            ));
        }
        if !turn.results.is_empty() && called == 0 {
            return Err(
                "Please ensure that function response turn comes immediately after a function call turn."
                    .to_owned(),
            );
        }
        if called != turn.results.len() && called > 0 {
            return Err("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.".to_owned());
        }
        called = turn.calls.len();
        prompt.turns.push(turn);
    }
    Ok(())
}

/// Something that the user said, not a tool's result.
fn is_said(content: &Value) -> bool {
    let by_user = matches!(fields::text(content, "role"), "user" | "");
    by_user && fields::list(content, "parts").iter().any(|part| part.get("text").is_some())
}

fn read_part(part: &Value, turn: &mut Turn, missing_signature: &mut Option<String>) {
    let thought = fields::flag(part, "thought");
    if let Some(text) = part.get("text").and_then(Value::as_str).filter(|_| !thought) {
        turn.say(text);
    }
    let inline = either(part, "inlineData");
    let file = either(part, "fileData");
    let kind = either(if inline.is_object() { inline } else { file }, "mimeType");
    if kind.as_str().is_some_and(|kind| kind.starts_with("image/")) {
        turn.images += 1;
    }
    let call = either(part, "functionCall");
    if call.is_object() {
        let name = fields::text(call, "name").to_owned();
        let given = either(part, "thoughtSignature").as_str().unwrap_or_default();
        let valid = given == signature(&name) || SIGNATURE_BYPASSES.contains(&given);
        // Only the first call of a turn carries one.
        if turn.calls.is_empty() && !valid {
            *missing_signature = Some(name.clone());
        }
        turn.calls.push((name.clone(), name));
    }
    let response = either(part, "functionResponse");
    if response.is_object() {
        // A model reads what a tool said, not the object around it.
        let answer = response.get("response");
        let only = answer.and_then(Value::as_object).filter(|answer| answer.len() == 1);
        let said =
            only.and_then(|only| only.get("result").or_else(|| only.get("output"))).and_then(Value::as_str);
        let value = said.map(str::to_owned).or_else(|| answer.map(ToString::to_string)).unwrap_or_default();
        turn.results.push((fields::text(response, "name").to_owned(), value));
    }
}

fn read_tools(json: &Value, prompt: &mut Prompt) {
    for tool in fields::list(json, "tools") {
        for declared in either(tool, "functionDeclarations").as_array().into_iter().flatten() {
            let schema = [either(declared, "parametersJsonSchema"), either(declared, "parameters")]
                .into_iter()
                .find(|schema| schema.is_object())
                .cloned()
                .unwrap_or_default();
            prompt.tools.push(Tool { name: fields::text(declared, "name").to_owned(), schema });
        }
    }
    let config = either(either(json, "toolConfig"), "functionCallingConfig");
    let allowed = either(config, "allowedFunctionNames").as_array().and_then(|names| names.first());
    prompt.choice = match (fields::text(config, "mode").to_uppercase().as_str(), allowed) {
        ("NONE", _) => Choice::Never,
        ("ANY", Some(name)) => Choice::Named(name.as_str().unwrap_or_default().to_owned()),
        ("ANY", None) => Choice::Some,
        _ => Choice::Auto,
    };
}

/// The reply to a read request: whole, as SSE, or as a growing JSON array.
pub(crate) fn reply(ask: &Ask<'_>, prompt: &Prompt, style: &Style, headers: Vec<(String, String)>) -> Reply {
    let answer = plan(ask.cloud, prompt);
    let thoughts = either(either(ask.json, "generationConfig"), "thinkingConfig");
    let writer = Writer {
        style,
        response_id: Ids::new(ask.seq, "gemini").base62(23),
        created: rfc3339_micros(ask.now_ms),
        shows_thoughts: either(thoughts, "includeThoughts") == &Value::Bool(true),
    };
    let mut headers = headers;
    let mut reply = if super::asks_stream(ask.path, ask.json) {
        headers.push(("content-disposition".to_owned(), "attachment".to_owned()));
        let chunks = writer.chunks(&answer);
        if ask.query_value("alt") == "sse" {
            let framed = |value: &Value| format!("data: {value}\r\n\r\n");
            Reply::stream(headers, "text/event-stream", frames(&chunks, framed))
        } else {
            Reply::stream(headers, "application/json; charset=UTF-8", array(&chunks))
        }
    } else {
        let mut whole = writer.whole(&answer);
        let wanted = either(either(ask.json, "generationConfig"), "candidateCount").as_u64().unwrap_or(1);
        let mut prompt = prompt.clone();
        for candidate in 1..wanted.min(8) {
            prompt.candidate = candidate;
            let mut other = writer.whole(&plan(ask.cloud, &prompt));
            if let Some(mut one) = other.pointer_mut("/candidates/0").map(Value::take)
                && let Some(list) = whole.get_mut("candidates").and_then(Value::as_array_mut)
            {
                if let Some(fields) = one.as_object_mut() {
                    fields.insert("index".to_owned(), json!(candidate));
                }
                list.push(one);
            }
        }
        let body = serde_json::to_string_pretty(&whole).unwrap_or_default();
        Reply::text(200, headers, "application/json; charset=UTF-8", body + "\n")
    };
    reply.usage = Some(answer.usage);
    reply.pace_ms = answer.directive.pace_ms;
    reply.fault = answer.directive.fault;
    reply
}

fn frames(chunks: &[Value], framed: impl Fn(&Value) -> String) -> Vec<Frame> {
    let last = chunks.len().saturating_sub(1);
    chunks
        .iter()
        .enumerate()
        .map(
            |(index, chunk)| {
                if index == last { Frame::closing(framed(chunk)) } else { Frame::delta(framed(chunk)) }
            },
        )
        .collect()
}

fn array(chunks: &[Value]) -> Vec<Frame> {
    let mut made = frames(chunks, |chunk| format!(",\r\n{chunk}"));
    if let Some(first) = made.first_mut() {
        first.bytes = [b"[", first.bytes.get(3..).unwrap_or_default()].concat().into();
    }
    made.push(Frame::closing("\n]"));
    made
}

struct Writer<'a> {
    style: &'a Style,
    response_id: String,
    created: String,
    shows_thoughts: bool,
}

fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Tools | Finish::Sequence(_) => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
        Finish::Refused => "PROHIBITED_CONTENT",
    }
}

impl Writer<'_> {
    /// Usage as Google counts: thoughts are not among the candidates' tokens, cached ones are in the prompt's.
    fn usage(&self, usage: &ReportedUsage, visible: u64) -> Value {
        let mut value = json!({
            "promptTokenCount": usage.input,
            "candidatesTokenCount": visible,
            "totalTokenCount": usage.input + visible + usage.reasoning,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
        });
        let Some(map) = value.as_object_mut() else { return value };
        if usage.reasoning > 0 {
            map.insert("thoughtsTokenCount".to_owned(), json!(usage.reasoning));
        }
        if usage.cached > 0 {
            map.insert("cachedContentTokenCount".to_owned(), json!(usage.cached));
        }
        if self.style.vertex {
            map.insert("trafficType".to_owned(), json!("ON_DEMAND"));
            map.insert(
                "candidatesTokensDetails".to_owned(),
                json!([{"modality": "TEXT", "tokenCount": visible}]),
            );
        } else {
            map.insert("serviceTier".to_owned(), json!("standard"));
        }
        value
    }

    fn body(&self, parts: &[Value], finish: Option<&str>, usage: &Value) -> Value {
        let mut candidate = Map::new();
        candidate.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
        if let Some(finish) = finish {
            candidate.insert("finishReason".to_owned(), json!(finish));
        }
        if !self.style.vertex {
            candidate.insert("index".to_owned(), json!(0));
        }
        let mut body = json!({"candidates": [candidate], "usageMetadata": usage,
            "modelVersion": self.style.model, "responseId": self.response_id});
        if self.style.vertex
            && let Some(map) = body.as_object_mut()
        {
            map.insert("createTime".to_owned(), json!(self.created));
        }
        body
    }

    fn calls(answer: &Answer) -> Vec<Value> {
        let calls = answer.calls.iter().enumerate();
        calls
            .map(|(index, call)| {
                let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
                if index == 0
                    && let Some(map) = part.as_object_mut()
                {
                    map.insert("thoughtSignature".to_owned(), json!(signature(&call.name)));
                }
                part
            })
            .collect()
    }

    fn visible(answer: &Answer) -> u64 {
        answer.usage.output - answer.usage.reasoning
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut parts = Vec::new();
        if let Some(thought) = answer.reasoning.as_ref().filter(|_| self.shows_thoughts) {
            parts.push(json!({"text": thought, "thought": true}));
        }
        if !answer.text.is_empty() {
            let mut part = json!({"text": answer.text});
            if let (Some(thought), Some(map)) = (&answer.reasoning, part.as_object_mut()) {
                map.insert("thoughtSignature".to_owned(), json!(signature(thought)));
            }
            parts.push(part);
        }
        parts.extend(Self::calls(answer));
        let usage = self.usage(&answer.usage, Self::visible(answer));
        self.body(&parts, Some(finish_reason(&answer.finish)), &usage)
    }

    /// One body per piece of text; calls whole in one; the last has the finish reason and the full usage.
    fn chunks(&self, answer: &Answer) -> Vec<Value> {
        let mut chunks = Vec::new();
        let mut visible = 0;
        if self.shows_thoughts {
            let usage = self.usage(&answer.usage, 0);
            for piece in answer.reasoning_pieces() {
                chunks.push(self.body(&[json!({"text": piece, "thought": true})], None, &usage));
            }
        }
        for piece in answer.text_pieces() {
            visible += 1;
            let usage = self.usage(&answer.usage, visible.min(Self::visible(answer)));
            chunks.push(self.body(&[json!({"text": piece})], None, &usage));
        }
        let usage = self.usage(&answer.usage, Self::visible(answer));
        let calls = Self::calls(answer);
        if !calls.is_empty() {
            chunks.push(self.body(&calls, None, &usage));
        }
        let last = match &answer.reasoning {
            Some(thought) => json!({"text": "", "thoughtSignature": signature(thought)}),
            None => json!({"text": ""}),
        };
        chunks.push(self.body(&[last], Some(finish_reason(&answer.finish)), &usage));
        chunks
    }
}

/// `google.rpc.Status` of this HTTP status.
pub(crate) fn error_body(status: u16, message: &str, details: &Value) -> Value {
    let mut error = json!({"code": status, "message": message, "status": status_name(status)});
    if let (true, Some(map)) = (details.is_array(), error.as_object_mut()) {
        map.insert("details".to_owned(), details.clone());
    }
    json!({ "error": error })
}

fn status_name(status: u16) -> &'static str {
    match status {
        400 | 413 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

/// The message that usually goes with a status.
pub(crate) fn usual(status: u16) -> &'static str {
    match status {
        400 => "Request contains an invalid argument.",
        401 => {
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."
        }
        403 => "The caller does not have permission.",
        404 => "Requested entity was not found.",
        429 => "Resource has been exhausted (e.g. check quota).",
        503 => "The model is overloaded. Please try again later.",
        504 => "Deadline expired before operation could complete.",
        _ => "An internal error has occurred. Please retry.",
    }
}
