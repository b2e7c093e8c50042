//! Every recorded reply, decoded and written again as openai-chat, says what the vendor's own SDK says of it.
//!
//! The expected values are the oracle's (`sdk/oracle.py`, named by `CABOTAGE_ORACLE`). What we write is read
//! back here as plain JSON, by the rules at the head of `oracle.py` and with none of our decoders, so that
//! one mistake cannot stand on both sides. Streams are fed whole and cut at odd places.
//!
//! Where we differ from an SDK object on purpose, all of it:
//! - Inner usage has no overlaps: a host that counts more cached than input tokens is clamped, and output that
//!   only the total knows (thoughts of Gemini's compatible endpoint) is counted as reasoning. What the client
//!   reads is as the host wrote it.
//! - A stream that came to its end mark without a finish reason is written with one: `stop`, or `tool_calls`
//!   after calls. A whole answer without one stays without.
//! - A class that openai-chat has no word for is written as another one and told as the loss `finish_reason`.
//! - Bedrock's error code may stand in a header, which the provider reads, not the dialect.

use crate::fixtures::{self, Exchange};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use dialects::{Codec, ReplyContext, WireErrorKind, codec};
use domain::{Code, Dialect, Event, Fault, Fold, Losses, Reply, RetryClass, Source};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// The endpoints that the oracle knows, with the dialect that reads them.
const ENDPOINTS: [(&str, Dialect); 7] = [
    ("chat.completions", Dialect::OpenAiChat),
    ("responses", Dialect::OpenAiResponses),
    ("messages", Dialect::AnthropicMessages),
    ("generateContent", Dialect::Gemini),
    ("streamGenerateContent", Dialect::Gemini),
    ("converse", Dialect::BedrockConverse),
    ("converse-stream", Dialect::BedrockConverse),
];

/// Sizes of the pieces in which a stream is fed; 0 is the whole at once.
const PIECES: [usize; 4] = [0, 1, 7, 1021];

/// Where hosts report cached tokens beside `prompt_tokens_details`.
const CACHED_ELSEWHERE: [&str; 3] = ["cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens"];

const CONTEXT: ReplyContext<'static> =
    ReplyContext { id: "chatcmpl-ours", model: Some("asked-for"), created: 1, include_usage: true };

#[test]
fn every_recorded_reply_says_what_the_vendors_sdk_says() {
    let Some(oracle) = oracle() else { return };
    let strict = std::env::var_os("CABOTAGE_FIXTURES").is_some();
    let (mut run, mut total) = (0, 0);
    let mut skipped: Vec<String> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    for (endpoint, dialect) in ENDPOINTS {
        for exchange in fixtures::of_endpoint(endpoint) {
            total += 1;
            let name = exchange.file.as_str();
            let Some(id) = id_of(name) else { panic!("{name}: not a recording's name") };
            if let Some(expected) = oracle["fixtures"].get(id) {
                assert_eq!(expected["path"], name, "the oracle names another file");
                run += 1;
                let differences = differences(&exchange, dialect, expected);
                if !differences.is_empty() {
                    wrong.push(format!("{name}\n{differences}"));
                }
            } else if let Some(reason) = oracle["skipped"].get(id) {
                skipped.push(format!("{id}: {}", reason.as_str().unwrap_or_default()));
            } else {
                skipped.push(format!("{id}: the oracle does not know it"));
                assert!(!strict, "{name}: the oracle neither expects nor skips it");
            }
        }
    }
    println!("{run} of {total} run, {} skipped ({})", skipped.len(), skipped.join("; "));
    if strict {
        let known = oracle["fixtures"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(run, known, "the oracle expects recordings that are not here");
    }
    assert!(wrong.is_empty(), "{} of {run} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The oracle's document. `None`, said aloud, where nobody named one, which is a failure in CI with
/// recordings.
fn oracle() -> Option<Value> {
    let Some(path) = std::env::var_os("CABOTAGE_ORACLE") else {
        let set = |name: &str| std::env::var_os(name).is_some();
        assert!(!(set("CABOTAGE_FIXTURES") && set("CI")), "CABOTAGE_ORACLE is not set; see sdk/README.md");
        eprintln!("skipped: CABOTAGE_ORACLE is not set (sdk/oracle.py makes the file)");
        return None;
    };
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&text).expect("the oracle is JSON"))
}

fn id_of(file: &str) -> Option<&str> {
    file.rsplit('/').next()?.strip_suffix(".json")
}

// === what we say ===

fn differences(exchange: &Exchange, dialect: Dialect, expected: &Value) -> String {
    let mut notes = String::new();
    let reader = codec(dialect);
    if exchange.status >= 400 {
        error(exchange, reader, expected, &mut notes);
    } else if exchange.body_kind == "json" && exchange.endpoint != "streamGenerateContent" {
        whole(exchange, reader, expected, &mut notes);
    } else {
        let bytes = stream_bytes(exchange, dialect);
        for size in PIECES {
            let before = notes.len();
            stream(&bytes, size, reader, expected, &mut notes);
            if notes.len() > before {
                let _ = writeln!(notes, "  (in pieces of {size})");
                break;
            }
        }
    }
    notes
}

fn whole(exchange: &Exchange, reader: &dyn Codec, expected: &Value, notes: &mut String) {
    let body = serde_json::to_vec(&exchange.response["json"]).expect("JSON");
    let reply = match reader.decode_reply(&body) {
        Ok(reply) => reply,
        Err(fault) => {
            if expected["ok"] == true {
                let _ = writeln!(notes, "  refused: {fault}; {:?}", fault.detail);
            }
            return;
        }
    };
    if expected["ok"] != true {
        let _ = writeln!(notes, "  read, although the SDK says {}", expected["error"]);
        return;
    }
    inner(&reply, expected, false, notes);
    let encoded = codec(Dialect::OpenAiChat).encode_reply(&reply, &CONTEXT);
    let written: Value = serde_json::from_slice(&encoded.body).expect("what is written is JSON");
    let view = View { expected, losses: &encoded.losses, from: reader.dialect(), ended_stream: false };
    view.compare(&read_whole(&written), notes);
}

fn stream(bytes: &[u8], size: usize, reader: &dyn Codec, expected: &Value, notes: &mut String) {
    let mut decoder = reader.stream_decoder();
    let mut events = Vec::new();
    let size = if size == 0 { bytes.len().max(1) } else { size };
    let mut outcome = Ok(());
    for piece in bytes.chunks(size) {
        outcome = outcome.and_then(|()| decoder.push(piece, &mut events));
    }
    outcome = outcome.and_then(|()| decoder.end(&mut events));
    let failed = outcome.is_err() || matches!(events.last(), Some(Event::Failed(_)));
    let mut writer = codec(Dialect::OpenAiChat).stream_encoder(&CONTEXT);
    let (mut out, mut fold) = (Vec::new(), Fold::new());
    for event in &events {
        writer.push(event, &mut out);
        fold.push(event);
    }
    let shown = read_stream(&out);
    let view = |expected, ended_stream| View {
        expected,
        losses: writer.losses(),
        from: reader.dialect(),
        ended_stream,
    };
    if expected["ok"] == true {
        if failed {
            let _ = writeln!(notes, "  broke off: {outcome:?} {:?}", events.last());
            return;
        }
        if !shown.done {
            let _ = writeln!(notes, "  the stream that was written has no [DONE]");
        }
        match fold.into_reply() {
            Ok(reply) => inner(&reply, expected, true, notes),
            Err(fault) => {
                let _ = writeln!(notes, "  {fault}");
            }
        }
        view(expected, true).compare(&shown, notes);
        return;
    }
    if !failed {
        let _ = writeln!(notes, "  complete, although the SDK says {}", expected["error"]);
    }
    if shown.done || (outcome.is_ok() && !shown.failed) {
        let _ = writeln!(notes, "  the stream that was written does not say that it failed");
    }
    if let Some(partial) = expected.get("partial") {
        view(partial, false).compare(&shown, notes);
    }
}

fn error(exchange: &Exchange, reader: &dyn Codec, expected: &Value, notes: &mut String) {
    let body = match exchange.response["text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => serde_json::to_vec(&exchange.response["json"]).expect("JSON"),
    };
    let status = u16::try_from(exchange.status).expect("a status");
    let found = reader.decode_error(status, &body);
    let vendor = &expected["error"];
    if let Some(said) = vendor["message"].as_str() {
        let ours = found.message.as_deref().unwrap_or_default();
        if !(ours == said || (ours.len() >= 400 && said.starts_with(ours.trim_end_matches('…')))) {
            let _ = writeln!(notes, "  error message: {ours:?}, the SDK says {said:?}");
        }
    }
    let words: Vec<String> = ["code", "type"].iter().filter_map(|name| word(&vendor[*name])).collect();
    let elsewhere = exchange.response["headers"].get("x-amzn-errortype").is_some();
    if let (Some(first), false) = (words.first(), elsewhere) {
        let ours = found.code.as_deref().unwrap_or_default();
        if !words.iter().any(|said| said == ours) {
            let _ = writeln!(notes, "  error code: {ours:?}, the SDK says {first:?} of {words:?}");
        }
    }
    if !fits(found.kind, vendor["sdk_class"].as_str().unwrap_or_default(), status) {
        let _ = writeln!(notes, "  error kind: {:?}, the SDK raises {}", found.kind, vendor["sdk_class"]);
    }
    if reader.decode_reply(&body).is_ok() {
        let _ = writeln!(notes, "  the error body is read as a reply");
    }
    let fault = Fault::new(Source::Upstream, RetryClass::Stop, Code::UpstreamError, "it failed");
    let shown = codec(Dialect::OpenAiChat).encode_error(&fault);
    let shown: Value = serde_json::from_slice(&shown).expect("an error body is JSON");
    assert_eq!(shown["error"]["message"], "it failed");
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a kind says of the error what the SDK's class says.
fn fits(kind: WireErrorKind, class: &str, status: u16) -> bool {
    use WireErrorKind as Kind;
    let of_request = [
        Kind::Invalid,
        Kind::ContextLength,
        Kind::ContentFilter,
        Kind::ModelNotFound,
        Kind::ForeignSignature,
        Kind::Unknown,
    ];
    let allowed: &[WireErrorKind] = match (class, status) {
        ("AuthenticationError" | "PermissionDeniedError", _) | (_, 401 | 403) => &[Kind::Auth, Kind::Unknown],
        ("RateLimitError", _) | (_, 429) => &[Kind::RateLimit, Kind::Quota, Kind::Unknown],
        ("NotFoundError", _) | (_, 404) => &[Kind::ModelNotFound, Kind::Unknown],
        // Google says 400 of a wrong key.
        ("ClientError", 400) => return of_request.contains(&kind) || kind == Kind::Auth,
        (_, 400..=499) => &of_request,
        _ => &[Kind::Server, Kind::Overloaded, Kind::Unknown],
    };
    allowed.contains(&kind)
}

/// A recorded stream as it was on the wire: the framing that a recorder took off is put back.
fn stream_bytes(exchange: &Exchange, dialect: Dialect) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let response = &exchange.response;
    let sse = |payloads: Vec<String>| -> Vec<u8> {
        payloads.iter().map(|payload| format!("data: {payload}\n\n")).collect::<String>().into_bytes()
    };
    match exchange.body_kind.as_str() {
        "sse" => response["text"].as_str().expect("text").as_bytes().to_vec(),
        "eventstream" => STANDARD.decode(response["base64"].as_str().expect("base64")).expect("base64"),
        "json" => sse(response["json"].as_array().expect("an array").iter().map(Value::to_string).collect()),
        "event-lines" => {
            let mut lines: Vec<String> = response["events"]
                .as_array()
                .expect("lines")
                .iter()
                .map(|line| line.as_str().expect("a line").to_owned())
                .collect();
            if dialect == Dialect::BedrockConverse {
                return lines.iter().flat_map(|line| frame(line)).collect();
            }
            if dialect == Dialect::OpenAiChat && lines.last().is_none_or(|line| line != "[DONE]") {
                lines.push("[DONE]".to_owned());
            }
            sse(lines)
        }
        other => panic!("{}: {other} is no stream", exchange.file),
    }
}

/// The AWS frame of a bare `{eventType: payload}` line.
fn frame(line: &str) -> Vec<u8> {
    let value: Value = serde_json::from_str(line).expect("JSON");
    let (kind, payload) = value.as_object().and_then(|one| one.iter().next()).expect("one event");
    let header =
        |name: &'static str, text: &str| Header::new(name, HeaderValue::String(text.to_owned().into()));
    let message = Message::new(payload.to_string())
        .add_header(header(":event-type", kind))
        .add_header(header(":content-type", "application/json"))
        .add_header(header(":message-type", "event"));
    let mut bytes = Vec::new();
    aws_smithy_eventstream::frame::write_message_to(&message, &mut bytes).expect("a frame");
    bytes
}

// === what was written, read as plain JSON ===

/// An openai-chat answer in the oracle's words.
#[derive(Debug, Default)]
struct Shown {
    candidates: Vec<Candidate>,
    usage: Option<Value>,
    done: bool,
    failed: bool,
}

#[derive(Clone, Debug, Default)]
struct Candidate {
    text: String,
    reasoning: String,
    refusal: String,
    finish: Option<String>,
    tools: Vec<Tool>,
}

#[derive(Clone, Debug, Default)]
struct Tool {
    id: String,
    name: String,
    arguments: String,
}

impl Candidate {
    /// Adds a whole message or a delta.
    fn add(&mut self, message: &Value) {
        match &message["content"] {
            Value::String(text) => self.text.push_str(text),
            Value::Array(parts) => parts.iter().for_each(|part| self.add_part(part)),
            _ => {}
        }
        self.refusal.push_str(message["refusal"].as_str().unwrap_or_default());
    }

    fn add_part(&mut self, part: &Value) {
        match part["type"].as_str() {
            Some("text") => self.text.push_str(part["text"].as_str().unwrap_or_default()),
            Some("thinking") => {
                for thought in part["thinking"].as_array().into_iter().flatten() {
                    self.reasoning.push_str(thought["text"].as_str().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

/// One of the spellings, never two.
fn reasoning_of(message: &Value) -> String {
    for name in ["reasoning_content", "reasoning"] {
        if let Some(text) = message[name].as_str().filter(|text| !text.is_empty()) {
            return text.to_owned();
        }
    }
    let details = message["reasoning_details"].as_array().into_iter().flatten();
    details.filter_map(|one| one["text"].as_str().or(one["summary"].as_str())).collect()
}

fn read_whole(body: &Value) -> Shown {
    let mut shown = Shown { done: true, ..Shown::default() };
    for choice in body["choices"].as_array().into_iter().flatten() {
        let message = &choice["message"];
        let mut candidate = Candidate::default();
        candidate.add(message);
        candidate.reasoning.push_str(&reasoning_of(message));
        candidate.finish = choice["finish_reason"].as_str().map(str::to_owned);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            candidate.tools.push(tool(call));
        }
        // Snowflake writes every member, empty where there is nothing to say.
        if let Some(old) =
            message.get("function_call").filter(|old| !old["name"].as_str().unwrap_or("").is_empty())
        {
            candidate.tools.push(tool(&json!({"function": old})));
        }
        shown.candidates.push(candidate);
    }
    shown.usage = usage_of(body);
    shown
}

fn tool(call: &Value) -> Tool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Tool {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    }
}

fn read_stream(bytes: &[u8]) -> Shown {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let mut shown = Shown::default();
    let mut candidates: BTreeMap<u64, (Candidate, BTreeMap<u64, Tool>, String)> = BTreeMap::new();
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start) {
        assert!(!shown.done, "something follows [DONE]: {data}");
        if data == "[DONE]" {
            shown.done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).expect("a chunk is JSON");
        shown.failed |= chunk.get("error").is_some_and(|error| !error.is_null());
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let (candidate, tools, details) =
                candidates.entry(choice["index"].as_u64().expect("an index")).or_default();
            let delta = &choice["delta"];
            candidate.add(delta);
            // Elements of `reasoning_details` repeat, whole, a thought that was told before.
            match delta.get("reasoning_details") {
                Some(_) if delta.get("reasoning_content").is_none() => details.push_str(&reasoning_of(delta)),
                _ => candidate.reasoning.push_str(&reasoning_of(delta)),
            }
            if let Some(word) = choice["finish_reason"].as_str() {
                assert!(candidate.finish.is_none(), "a candidate finishes twice");
                candidate.finish = Some(word.to_owned());
            }
            for piece in delta["tool_calls"].as_array().into_iter().flatten() {
                let piece_of = tool(piece);
                let call = tools.entry(piece["index"].as_u64().expect("an index")).or_default();
                call.id.push_str(&piece_of.id);
                call.name.push_str(&piece_of.name);
                call.arguments.push_str(&piece_of.arguments);
            }
        }
        shown.usage = usage_of(&chunk).or(shown.usage);
    }
    for (mut candidate, tools, details) in candidates.into_values() {
        if candidate.reasoning.is_empty() {
            candidate.reasoning = details;
        }
        candidate.tools = tools.into_values().collect();
        shown.candidates.push(candidate);
    }
    shown
}

fn usage_of(body: &Value) -> Option<Value> {
    let mut used = &body["usage"];
    if !used.is_object() {
        used = &body["x_groq"]["usage"];
    }
    if !used.is_object() {
        return None;
    }
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let cached = CACHED_ELSEWHERE.iter().map(|name| &used[*name]).fold(
        count(&used["prompt_tokens_details"]["cached_tokens"]),
        |so_far, other| {
            if so_far == 0 { count(other) } else { so_far }
        },
    );
    let mut reasoning = count(&used["completion_tokens_details"]["reasoning_tokens"]);
    if reasoning == 0 {
        reasoning = count(&used["reasoning_tokens"]);
    }
    let (input, mut output) = (count(&used["prompt_tokens"]), count(&used["completion_tokens"]));
    if reasoning > 0 && used["total_tokens"] == json!(input + output + reasoning) {
        output += reasoning;
    }
    Some(numbers(
        input,
        cached,
        count(&used["prompt_tokens_details"]["cache_write_tokens"]),
        output,
        reasoning,
    ))
}

fn numbers(input: u64, cached: u64, written: u64, output: u64, reasoning: u64) -> Value {
    json!({"input_total": input, "cached": cached, "cache_write": written,
           "output_total": output, "reasoning": reasoning})
}

// === the comparison ===

/// The inner form against the SDK: what is journalled and billed is this.
fn inner(reply: &Reply, expected: &Value, ended_stream: bool, notes: &mut String) {
    let ours = reply.usage.filter(|usage| usage.source != domain::UsageSource::Unknown).map(|usage| {
        let written = usage.cache_write + usage.cache_write_1h;
        numbers(usage.input_total(), usage.cache_read, written, usage.output_total(), usage.out_reasoning)
    });
    let encoded = codec(Dialect::OpenAiChat).encode_reply(reply, &CONTEXT);
    let written: Value = serde_json::from_slice(&encoded.body).expect("JSON");
    let said = without_overlap(&expected["usage"], written["usage"]["total_tokens"].as_u64());
    check("usage, inner", &ours.unwrap_or(Value::Null), &said, notes);
    let classes: Vec<Value> =
        reply.candidates.iter().map(|one| one.finish.as_ref().map(domain::Finish::class).into()).collect();
    let want: Vec<&Value> = expected["finish_class"].as_array().into_iter().flatten().collect();
    let same = classes.len() == want.len()
        && classes.iter().zip(&want).all(|(ours, said)| ours == *said || (ended_stream && said.is_null()));
    if !same {
        let _ = writeln!(notes, "  finish class, inner: {classes:?}, the SDK says {want:?}");
    }
}

/// The SDK's counts as they must stand inside: nothing is counted twice, nothing that the total has is lost.
fn without_overlap(said: &Value, total: Option<u64>) -> Value {
    if said.is_null() {
        return Value::Null;
    }
    let count = |name: &str| said[name].as_u64().unwrap_or(0);
    let (input, output, reasoning) = (count("input_total"), count("output_total"), count("reasoning"));
    let cached = count("cached").min(input);
    let written = count("cache_write").min(input - cached);
    let unsaid = total.unwrap_or(0).saturating_sub(input + output);
    numbers(input, cached, written, output + unsaid, reasoning.max(unsaid))
}

/// What the SDK says, and what else is needed to judge our words by it.
struct View<'a> {
    expected: &'a Value,
    losses: &'a Losses,
    from: Dialect,
    ended_stream: bool,
}

impl View<'_> {
    fn compare(&self, shown: &Shown, notes: &mut String) {
        let expected = self.expected;
        let each = |what: fn(&Candidate) -> Value| shown.candidates.iter().map(what).collect::<Value>();
        check("text", &each(|one| one.text.as_str().into()), &expected["text"], notes);
        let reasoning: String = shown.candidates.iter().map(|one| one.reasoning.as_str()).collect();
        check("reasoning", &reasoning.into(), &expected["reasoning"], notes);
        if let Some(refusal) = expected.get("refusal") {
            check("refusal", &each(|one| one.refusal.as_str().into()), refusal, notes);
        }
        check("usage", shown.usage.as_ref().unwrap_or(&Value::Null), &expected["usage"], notes);
        self.finish(shown, notes);
        tools(shown, expected, notes);
        if expected.get("others").is_some() && self.from != Dialect::OpenAiChat && self.losses.is_empty() {
            let _ = writeln!(notes, "  {} went without a loss", expected["others"]);
        }
    }

    fn finish(&self, shown: &Shown, notes: &mut String) {
        let told = self.losses.to_string().contains("finish_reason");
        let want: Vec<&Value> = self.expected["finish_class"].as_array().into_iter().flatten().collect();
        let classes: Vec<Value> =
            shown.candidates.iter().map(|one| class_of(one.finish.as_deref())).collect();
        let fits = |(candidate, (ours, said)): (&Candidate, (&Value, &Value))| {
            let ends = if candidate.tools.is_empty() { "stop" } else { "tool_calls" };
            ours == said
                || (told && *said == "other")
                || (self.ended_stream && said.is_null() && *ours == ends)
        };
        let pairs = classes.iter().zip(want.iter().copied());
        if classes.len() != want.len() || !shown.candidates.iter().zip(pairs).all(fits) {
            let words = &self.expected["finish"];
            let _ = writeln!(notes, "  finish: {classes:?}, the SDK says {want:?} ({words})");
        }
    }
}

fn class_of(word: Option<&str>) -> Value {
    match word {
        Some("") | None => Value::Null,
        Some("stop" | "eos") => "stop".into(),
        Some("length" | "model_length") => "length".into(),
        Some("tool_calls" | "function_call") => "tool_calls".into(),
        Some("content_filter") => "content_filter".into(),
        Some(_) => "other".into(),
    }
}

fn tools(shown: &Shown, expected: &Value, notes: &mut String) {
    let want: Vec<&Vec<Value>> =
        expected["tools"].as_array().into_iter().flatten().filter_map(Value::as_array).collect();
    let counts: Vec<usize> = shown.candidates.iter().map(|one| one.tools.len()).collect();
    let said: Vec<usize> = want.iter().map(|calls| calls.len()).collect();
    if counts != said {
        let _ = writeln!(notes, "  tools: {counts:?}, the SDK says {said:?}");
        return;
    }
    for (candidate, calls) in shown.candidates.iter().zip(want) {
        let mut ids: Vec<&str> = candidate.tools.iter().map(|tool| tool.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != candidate.tools.len() || ids.contains(&"") {
            let _ = writeln!(notes, "  tool ids are missing or not unique: {:?}", candidate.tools);
        }
        for (ours, said) in candidate.tools.iter().zip(calls) {
            check("tool name", &ours.name.as_str().into(), &said["name"], notes);
            if let Some(id) = said.get("id") {
                check("tool id", &ours.id.as_str().into(), id, notes);
            }
            if let Some(raw) = said.get("arguments_raw") {
                check("tool arguments, raw", &ours.arguments.as_str().into(), raw, notes);
            } else {
                let text = if ours.arguments.trim().is_empty() { "{}" } else { ours.arguments.as_str() };
                let parsed = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
                check("tool arguments", &parsed, &said["arguments"], notes);
            }
        }
    }
}

fn check(what: &str, ours: &Value, said: &Value, notes: &mut String) {
    if ours != said {
        let _ = writeln!(notes, "  {what}: {ours}\n  the SDK says: {said}");
    }
}
