//! Tests. Laws on every recording, then the pitfalls by their number.

mod replies;
mod requests;
mod streams;

use super::Gemini;
use crate::codec::{Codec, Encoded, Envelope, Quirks, ReplyContext, Target};
use domain::{
    Call, Capabilities, Dialect, Event, Fault, Fold, Item, ItemKind, Message, ModelName, Origin, Part, Raw,
    Reply, Role, Signature, ToolCall, ToolResult, Turn,
};
use serde_json::Value;
use std::path::PathBuf;

/// One recording of `generateContent`.
struct Recording {
    name: String,
    request: Option<Value>,
    status: u64,
    stream: bool,
    body: Vec<u8>,
}

/// The recordings; none, said aloud, where the folder is missing and nobody asked for it.
fn recordings() -> Vec<Recording> {
    let asked = std::env::var_os("CABOTAGE_FIXTURES");
    let root = asked.clone().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures")),
        PathBuf::from,
    );
    let mut out = Vec::new();
    for host in ["gemini", "vertex"] {
        let Ok(entries) = std::fs::read_dir(root.join(host)) else {
            assert!(asked.is_none(), "CABOTAGE_FIXTURES is set, but {host} is not in it");
            eprintln!("skipped: no recordings at {}", root.join(host).display());
            continue;
        };
        for entry in entries {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let file: Value = serde_json::from_str(&text).unwrap();
            if !matches!(file["endpoint"].as_str(), Some("generateContent" | "streamGenerateContent"))
                || file["id"].as_str().unwrap().contains("interactions")
            {
                continue;
            }
            let response = &file["response"];
            let body = match response["body_kind"].as_str().unwrap() {
                "json" => response["json"].to_string().into_bytes(),
                "sse" => response["text"].as_str().unwrap().as_bytes().to_vec(),
                "event-lines" => {
                    let lines = response["events"].as_array().unwrap().iter();
                    lines
                        .map(|line| format!("data: {}\r\n\r\n", line.as_str().unwrap()))
                        .collect::<String>()
                        .into()
                }
                other => panic!("{other}"),
            };
            out.push(Recording {
                name: file["id"].as_str().unwrap().to_owned(),
                request: file["request"].get("json").cloned(),
                status: response["status"].as_u64().unwrap(),
                stream: response["body_kind"] != "json",
                body,
            });
        }
    }
    out.sort_by(|left, right| left.name.cmp(&right.name));
    out
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// `value` with its fields in order of name, whatever map the build uses: for snapshots.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| name.as_str());
            entries.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn target(capabilities: &Capabilities) -> Target<'_> {
    Target { model: "gemini-2.5-flash", capabilities, quirks: Quirks::default() }
}

fn encode_to(call: &Call, model: &str, capabilities: &Capabilities) -> Result<Encoded, Fault> {
    Gemini.encode_call(call, &Target { model, capabilities, quirks: Quirks::default() })
}

/// Encodes `call` for a 2.5 model and gives body and losses.
fn encode(call: &Call) -> (Value, String) {
    let done = encode_to(call, "gemini-2.5-flash", &Capabilities::default()).unwrap();
    (json(&done.body), done.losses.to_string())
}

fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Event>, Fault> {
    let (mut decoder, mut out, mut from) = (Gemini.stream_decoder(), Vec::new(), 0);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        decoder.push(&bytes[from..cut], &mut out)?;
        from = cut;
    }
    decoder.end(&mut out)?;
    Ok(out)
}

fn fold(events: &[Event]) -> Reply {
    let mut fold = Fold::new();
    events.iter().for_each(|event| fold.push(event));
    assert!(fold.is_finished());
    fold.into_reply().unwrap()
}

/// A call as another dialect's decoder makes it: one turn per entry.
fn foreign(entries: Vec<(Role, Vec<ItemKind>)>) -> Call {
    let mut call = Call::new(Dialect::OpenAiChat, ModelName::new("m"));
    for (index, (role, kinds)) in entries.into_iter().enumerate() {
        let message = u32::try_from(index).unwrap();
        call.turns.push(Turn { role, name: None, bag: domain::Bag::new() });
        for (part, kind) in kinds.into_iter().enumerate() {
            let origin = Origin { message, part: u32::try_from(part).unwrap() };
            call.items.push(Item::new(kind, origin));
        }
    }
    call
}

fn says(role: Role, text: &str) -> (Role, Vec<ItemKind>) {
    (role, vec![ItemKind::Message(Message { role, parts: vec![Part::text(text, 0)] })])
}

fn asks(id: &str, name: &str, arguments: &str) -> ItemKind {
    ItemKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    })
}

fn answers(id: &str, text: &str) -> ItemKind {
    ItemKind::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts: vec![Part::text(text, 0)],
        is_error: None,
    })
}

fn signed(dialect: Dialect, data: &str) -> Option<Signature> {
    Some(Signature { dialect, data: data.into() })
}

fn raw(value: Value) -> Option<Raw> {
    Some(Raw::from(value))
}

#[test]
fn law_recorded_requests_come_out_as_they_went_in() {
    let capabilities = Capabilities::default();
    let mut seen = 0;
    for recording in recordings() {
        let Some(request) = &recording.request else { continue };
        let envelope = Envelope { model: Some("gemini-2.5-flash"), stream: recording.stream };
        let call = Gemini.decode_call(request.to_string().as_bytes(), &envelope);
        if recording.name.contains("invalid_role") {
            assert_eq!(call.unwrap_err().param.as_deref(), Some("contents[0].role"));
            continue;
        }
        let done = Gemini.encode_call(&call.unwrap(), &target(&capabilities)).unwrap();
        assert_eq!(json(&done.body), *request, "{}", recording.name);
        assert!(done.losses.is_empty(), "{}: {}", recording.name, done.losses);
        seen += 1;
    }
    eprintln!("{seen} recorded requests");
}

#[test]
fn law_recorded_replies_come_out_as_they_went_in() {
    let mut seen = 0;
    for recording in recordings() {
        let value = if recording.stream { Value::Null } else { json(&recording.body) };
        if value.get("candidates").is_none() {
            continue;
        }
        let reply = Gemini.decode_reply(&recording.body).unwrap();
        let done = Gemini.encode_reply(&reply, &ReplyContext::default());
        assert_eq!(json(&done.body), value, "{}", recording.name);
        assert!(done.losses.is_empty(), "{}: {}", recording.name, done.losses);
        seen += 1;
    }
    eprintln!("{seen} recorded replies");
}

#[test]
fn law_written_requests_of_all_spellings_come_out_as_they_went_in() {
    for text in [
        r#"{"contents":{"parts":{"text":"hi"}}}"#,
        r#"{"contents":[{"role":"user","parts":[]},{"role":"model"},{"role":"user","parts":[{"text":"x","thought":false}]}],"tools":[],"generationConfig":{}}"#,
        r#"{"system_instruction":{"parts":{"text":"s"}},"contents":[{"role":"user","parts":[{"inline_data":{"mime_type":"image/jpg","data":"_-8"}}]}],"generation_config":{"max_output_tokens":5,"stopSequences":[],"thinking_config":{"thinking_level":"HIGH","thinkingBudget":-1}}}"#,
        r#"{"contents":[{"parts":[{"text":"t","thought":true,"thoughtSignature":"c2ln"},{"functionCall":{"name":"f"}},{"functionCall":{"name":"f","args":{"b":1,"a":2}}}],"role":"model"},{"role":"function","parts":[{"functionResponse":{"name":"f","response":{"output":"1"}}},{"functionResponse":{"name":"f","response":{"x":[1]},"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}},{"executableCode":{"code":"1"}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["a","b"]},"includeServerSideToolInvocations":true},"tools":[{"googleSearch":{}},{},{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}},"behavior":"BLOCKING"}],"codeExecution":{}}],"safetySettings":[],"cachedContent":"c","labels":{"a":"b"},"serviceTier":"flex"}"#,
        r#"{"contents":[{"parts":[{"text":"j"}],"role":"user"}],"toolConfig":{"functionCallingConfig":{"mode":"any","allowedFunctionNames":["a"]}},"generationConfig":{"candidateCount":1,"topK":40,"topP":0.5,"seed":7,"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING","enum":["a"]},"responseLogprobs":true,"logprobs":2,"presencePenalty":0.1,"frequencyPenalty":-0.1}}"#,
    ] {
        let envelope = Envelope { model: Some("m"), stream: false };
        let call = Gemini.decode_call(text.as_bytes(), &envelope).unwrap();
        assert_eq!(encode(&call), (json(text.as_bytes()), String::new()), "{text}");
    }
}
