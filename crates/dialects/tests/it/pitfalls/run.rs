//! Runs the cases of one pitfall through the codecs and compares with its snapshot.
//!
//! A case is an object, told by its members:
//! - `request`, `to` (a list of deployments), `can` (capabilities to overrule): caller's JSON → each upstream's;
//! - `reply`, `from` (a dialect): upstream's JSON → caller's;
//! - `reply`, `from`, `back_to`, `follow`, `tools`: the same, and then the answer is sent back as a caller does;
//! - `stream`, `from`, `include_usage`: upstream's bytes → caller's chunks. A stream is a text, or a list whose
//!   objects are events and whose texts are lines; of Bedrock a list of `[event type, payload]`, exceptions
//!   with a `!` before their name;
//! - `error`, `from`, `status`: upstream's error body → what it means.

use super::targets::{Deployment, deployment};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use dialects::{Codec, Envelope, ReplyContext, Target, codec, openai_chat::OpenAiChat};
use domain::{Dialect, Event, Fault};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{collections::BTreeMap, path::Path};

/// What the gateway knows when it answers.
const CONTEXT: ReplyContext<'static> = ReplyContext {
    id: "chatcmpl-cabotage",
    model: Some("asked-for"),
    created: 1_700_000_000,
    include_usage: true,
};

/// A case: its members as they are written.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Case(BTreeMap<String, Box<RawValue>>);

impl Case {
    /// A member's text, without white space and with its own order of keys, whatever `serde_json` was built with.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|raw| compact(raw.get()))
    }

    /// A member; `null` where it is not there.
    pub fn value(&self, name: &str) -> Value {
        self.read(name).unwrap_or_default()
    }

    fn read<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        self.0.get(name).map(|raw| serde_json::from_str(raw.get()).expect(name))
    }

    /// The bytes of a body: those of its text where it is a text, else the JSON.
    fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.text(name).expect(name);
        serde_json::from_str::<String>(&text).unwrap_or(text).into_bytes()
    }
}

/// JSON text without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            space if !in_string && space.is_ascii_whitespace() => continue,
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// Runs the cases of a pitfall, compares with its snapshot, and returns what came out, by case.
pub fn run(number: &str) -> Value {
    let cases = cases(number);
    let out = cases.iter().map(|(name, case)| (name.clone(), one(case, &format!("{number} {name}"))));
    let out = sorted(&Value::Object(out.collect()));
    insta::with_settings!({
        snapshot_path => "snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => format!("what comes out of cases/{number}.json"),
    }, {
        insta::assert_json_snapshot!(number, out);
    });
    out
}

/// With the keys of every object in order.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let members: BTreeMap<_, _> =
                object.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The cases of a pitfall as they are written.
pub fn cases(number: &str) -> BTreeMap<String, Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pitfalls/cases");
    let text = std::fs::read_to_string(folder.join(format!("{number}.json"))).expect(number);
    serde_json::from_str(&text).expect(number)
}

fn one(case: &Case, what: &str) -> Value {
    if let Some(text) = case.text("request") {
        let targets: Vec<String> = case.read("to").unwrap_or_else(|| panic!("{what} lacks `to`"));
        let can = case.value("can");
        let sent = |name: &String| (name.clone(), request(&text, &overruled(deployment(name), &can)));
        return Value::Object(targets.iter().map(sent).collect());
    }
    let from: Dialect = case.read("from").unwrap_or_else(|| panic!("{what} lacks `from`"));
    if case.text("reply").is_some() {
        let there = reply(&case.bytes("reply"), from);
        return if case.text("back_to").is_some() { there_and_back(&there, case) } else { there };
    }
    if case.text("stream").is_some() {
        let include_usage = case.read("include_usage").unwrap_or(true);
        return stream(&stream_bytes(case, from), from, include_usage, what);
    }
    let status = case.read("status").unwrap_or_else(|| panic!("{what} has nothing to run"));
    error(&case.bytes("error"), from, status)
}

/// Capabilities overruled by a case.
fn overruled(mut deployment: Deployment, overrule: &Value) -> Deployment {
    let mut can = serde_json::to_value(&deployment.can).expect("JSON");
    for (name, value) in overrule.as_object().into_iter().flatten() {
        can[name] = value.clone();
    }
    deployment.can = serde_json::from_value(can).expect("capabilities");
    deployment
}

// === requests ===

/// A caller's request as `deployment` gets it, or as the caller is refused.
pub fn request(request: &str, deployment: &Deployment) -> Value {
    let target = Target { model: deployment.model, capabilities: &deployment.can, quirks: deployment.quirks };
    let call = OpenAiChat.decode_call(request.as_bytes(), &Envelope::default());
    match call.and_then(|call| codec(deployment.dialect).encode_call(&call, &target)) {
        Ok(encoded) => json!({"body": parsed(&encoded.body), "losses": encoded.losses.to_string()}),
        Err(fault) => refused(&fault),
    }
}

fn refused(fault: &Fault) -> Value {
    json!({
        "status": fault.status(),
        "body": parsed(&OpenAiChat.encode_error(fault)),
        "retry": format!("{:?}", fault.retry),
        "counts_against_health": fault.counts_against_health,
    })
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("what is written is JSON")
}

// === replies ===

fn reply(body: &[u8], from: Dialect) -> Value {
    match codec(from).decode_reply(body) {
        Ok(reply) => {
            let encoded = OpenAiChat.encode_reply(&reply, &CONTEXT);
            json!({"body": parsed(&encoded.body), "losses": encoded.losses.to_string()})
        }
        Err(fault) => refused(&fault),
    }
}

/// A reply, and the request of a client that puts the reply's message into its history as it got it.
fn there_and_back(there: &Value, case: &Case) -> Value {
    let mut messages = vec![json!({"role": "user", "content": "Go on."})];
    messages.push(there["body"]["choices"][0]["message"].clone());
    messages.extend(case.value("follow").as_array().cloned().unwrap_or_default());
    let mut again = json!({"model": "asked-for", "messages": messages, "reasoning_effort": "low"});
    if case.text("tools").is_some() {
        again["tools"] = case.value("tools");
    }
    let again = again.to_string();
    let targets: Vec<String> = case.read("back_to").expect("a list");
    let back = targets.iter().map(|name| (name.clone(), request(&again, &deployment(name))));
    json!({"back": Value::Object(back.collect()), "there": there})
}

// === streams ===

/// The bytes of a case's stream.
pub fn stream_bytes(case: &Case, from: Dialect) -> Vec<u8> {
    let Some(list) = serde_json::from_str::<Vec<Box<RawValue>>>(&case.text("stream").expect("a stream")).ok()
    else {
        return case.bytes("stream");
    };
    let mut out = Vec::new();
    for event in &list {
        match serde_json::from_str(event.get()).expect("JSON") {
            Value::String(line) => out.extend_from_slice(format!("{line}\n").as_bytes()),
            Value::Array(frame) => write_frame(&frame[0], &frame[1], &mut out),
            value => {
                if let (Dialect::AnthropicMessages, Some(name)) = (from, value["type"].as_str()) {
                    out.extend_from_slice(format!("event: {name}\n").as_bytes());
                }
                out.extend_from_slice(format!("data: {}\n\n", event.get()).as_bytes());
            }
        }
    }
    out
}

fn write_frame(name: &Value, payload: &Value, out: &mut Vec<u8>) {
    let name = name.as_str().expect("a name");
    let (kind, header, name) = match name.strip_prefix('!') {
        Some(name) => ("exception", ":exception-type", name),
        None => ("event", ":event-type", name),
    };
    let text = |value: &str| HeaderValue::String(value.to_owned().into());
    let message = Message::new(payload.to_string())
        .add_header(Header::new(header, text(name)))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text(kind)));
    write_message_to(&message, out).expect("a frame");
}

/// The caller's chunks of an upstream's bytes, the same however the bytes are cut.
pub fn stream(bytes: &[u8], from: Dialect, include_usage: bool, what: &str) -> Value {
    let whole = written(bytes, bytes.len(), from, include_usage);
    for size in [1, 7] {
        assert_eq!(written(bytes, size, from, include_usage), whole, "{what} in pieces of {size}");
    }
    whole
}

fn written(bytes: &[u8], size: usize, from: Dialect, include_usage: bool) -> Value {
    let mut decoder = codec(from).stream_decoder();
    let mut events = Vec::new();
    let mut result = Ok(());
    for piece in bytes.chunks(size.max(1)) {
        result = result.and_then(|()| decoder.push(piece, &mut events));
    }
    result = result.and_then(|()| decoder.end(&mut events));
    // As the engine does: a fault of the decoder is told in the stream.
    events.extend(result.err().map(Event::Failed));
    let mut encoder = OpenAiChat.stream_encoder(&ReplyContext { include_usage, ..CONTEXT });
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut out));
    let mut told = json!({
        "frames": frames(&out),
        "usage": usage_of(&events),
        "losses": encoder.losses().to_string(),
    });
    if let Some(Event::Failed(fault)) = events.last() {
        let before = events.iter().any(|e| matches!(e, Event::Delta { delta, .. } if delta.is_content()));
        told["failed"] = refused(fault);
        told["content_before"] = before.into();
    }
    told
}

/// What is booked, however little of it the caller sees.
fn usage_of(events: &[Event]) -> Value {
    let usage = events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(usage),
        _ => None,
    });
    usage.map_or(Value::Null, |usage| {
        json!({
            "uncached_in": usage.uncached_in,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write + usage.cache_write_1h,
            "out_visible": usage.out_visible,
            "out_reasoning": usage.out_reasoning,
        })
    })
}

/// The frames of our own stream: each `data: …` and a blank line, nothing else.
fn frames(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("UTF-8");
    let frames = text.split_terminator("\n\n");
    frames
        .map(|frame| {
            let data = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("not a data frame: {frame}"));
            if data == "[DONE]" { data.into() } else { serde_json::from_str(data).expect("a chunk is JSON") }
        })
        .collect()
}

// === errors ===

fn error(body: &[u8], from: Dialect, status: u16) -> Value {
    let said = codec(from).decode_error(status, body);
    // Where the same body comes with a 200, the codec itself makes the caller's error of it.
    let inside = codec(from).decode_reply(body).err().map(|fault| refused(&fault));
    json!({
        "kind": format!("{:?}", said.kind),
        "code": said.code,
        "message": said.message,
        "param": said.param,
        "inside_of_200": inside,
    })
}

// === what came out ===

/// The body of an outcome, of a case that must not be refused.
pub fn body(outcome: &Value) -> &Value {
    assert!(outcome["status"].is_null(), "refused: {outcome}");
    &outcome["body"]
}

/// An outcome that must be a refusal of `status` with OpenAI's error object, as `(code, param)`.
pub fn refusal(outcome: &Value, status: u16) -> (&str, &str) {
    assert_eq!(outcome["status"], status, "{outcome}");
    let error = &outcome["body"]["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{outcome}");
    assert!(error["type"].is_string(), "{outcome}");
    (error["code"].as_str().expect("a code"), error["param"].as_str().unwrap_or_default())
}

/// The roles of a list of messages or contents.
pub fn roles(messages: &Value) -> Vec<&str> {
    let list = messages.as_array().expect("a list");
    list.iter().map(|message| message["role"].as_str().expect("a role")).collect()
}
