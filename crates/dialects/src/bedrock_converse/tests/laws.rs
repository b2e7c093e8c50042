//! `encode(decode(x)) = x` as JSON and `reply = fold(events)`, over the recordings.

use super::super::BedrockConverse;
use crate::{Codec as _, Envelope, ReplyContext, WireErrorKind, testkit};
use base64::Engine as _;
use domain::{Event, ItemKind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const PATH: Envelope<'static> = Envelope { model: Some("some.model-v1:0"), stream: false };

fn recordings() -> Vec<(String, Value)> {
    let all = testkit::fixtures("bedrock").unwrap_or_default();
    let ours = |found: &Value| matches!(found["endpoint"].as_str(), Some("converse" | "converse-stream"));
    all.into_iter().filter(|(_, found)| ours(found)).collect()
}

#[test]
fn requests_come_out_as_they_went_in() {
    let mut count = 0;
    for (name, found) in recordings() {
        let body = &found["request"]["json"];
        if body.is_object() {
            assert_eq!(&testkit::round_trip(&BedrockConverse, body, &PATH), body, "{name}");
            count += 1;
        }
    }
    eprintln!("{count} requests");
}

#[test]
fn replies_come_out_as_they_went_in() {
    for (name, found) in recordings() {
        let body = &found["response"]["json"];
        if found["response"]["status"] != 200 || !body.is_object() {
            continue;
        }
        let reply = BedrockConverse.decode_reply(body.to_string().as_bytes()).expect(&name);
        let encoded = BedrockConverse.encode_reply(&reply, &ReplyContext::default());
        assert!(encoded.losses.is_empty(), "{name}: {}", encoded.losses);
        let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(&again, body, "{name}");
    }
}

/// Payloads of a recorded stream with their event names, cut out without our code.
fn payloads(bytes: &[u8]) -> Vec<(String, Value)> {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let (total, headers) = (number(at), number(at + 4));
        let text = String::from_utf8_lossy(&bytes[at + 12..at + 12 + headers]).into_owned();
        let payload = &bytes[at + 12 + headers..at + total - 4];
        let names = [
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
        ];
        let name = names.into_iter().find(|name| text.contains(name)).expect("a known event");
        found.push((name.to_owned(), serde_json::from_slice(payload).expect("JSON")));
        at += total;
    }
    found
}

/// The whole answer that a recorded stream amounts to.
fn assembled(bytes: &[u8]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut whole = Map::new();
    for (name, mut payload) in payloads(bytes) {
        payload.as_object_mut().expect("object").remove("p");
        let index = usize::try_from(payload["contentBlockIndex"].as_u64().unwrap_or(0)).expect("small");
        if name.starts_with("contentBlock") && blocks.len() <= index {
            blocks.push(json!({}));
            inputs.push(String::new());
        }
        match name.as_str() {
            "contentBlockStart" => blocks[index] = payload["start"].clone(),
            "contentBlockDelta" => {
                let (block, delta) = (&mut blocks[index], &payload["delta"]);
                let grown =
                    |old: &Value, piece: &str| json!(format!("{}{piece}", old.as_str().unwrap_or("")));
                if let Some(piece) = delta["text"].as_str() {
                    block["text"] = grown(&block["text"], piece);
                }
                for name in ["text", "signature"] {
                    if let Some(piece) = delta["reasoningContent"][name].as_str() {
                        let shown = &mut block["reasoningContent"]["reasoningText"];
                        shown[name] = grown(&shown[name], piece);
                    }
                }
                if let Some(piece) = delta["toolUse"]["input"].as_str() {
                    inputs[index].push_str(piece);
                }
                if delta["toolResult"].is_array() {
                    block["toolResult"]["content"] = delta["toolResult"].clone();
                }
                if delta["citation"].is_object() {
                    if !block["citations"].is_array() {
                        block["citations"] = json!([]);
                    }
                    block["citations"].as_array_mut().expect("list").push(delta["citation"].clone());
                }
            }
            "messageStop" | "metadata" => whole.extend(payload.as_object().cloned().expect("object")),
            _ => {}
        }
    }
    for (block, input) in blocks.iter_mut().zip(&inputs) {
        if block["toolUse"].is_object() {
            let text = if input.is_empty() { "{}" } else { input };
            block["toolUse"]["input"] = serde_json::from_str(text).expect("JSON");
        }
        if block["citations"].is_array() {
            let cited = json!({"content": [{"text": block["text"]}], "citations": block["citations"]});
            *block = json!({"citationsContent": cited});
        }
        let null = |value: &Value| value.is_null();
        block.as_object_mut().expect("object").retain(|_, value| !null(value));
    }
    whole.insert("output".into(), json!({"message": {"role": "assistant", "content": blocks}}));
    Value::Object(whole)
}

fn streams() -> Vec<(String, Vec<u8>)> {
    let found = recordings().into_iter().filter(|(_, found)| found["response"]["body_kind"] == "eventstream");
    let bytes = |found: Value| {
        let text = found["response"]["base64"].as_str().expect("base64").to_owned();
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    };
    found.map(|(name, found)| (name, bytes(found))).collect()
}

#[test]
fn streams_fold_into_the_whole_answer() {
    for (name, bytes) in streams() {
        let events = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect(&name);
        testkit::check_order(&events);
        let mut folded = testkit::fold(&events);
        let whole = assembled(&bytes);
        let encoded = BedrockConverse.encode_reply(&folded, &ReplyContext::default());
        let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(again, whole, "{name}");
        let mut decoded = BedrockConverse.decode_reply(whole.to_string().as_bytes()).expect(&name);
        for reply in [&mut decoded, &mut folded] {
            // The same arguments, written with other white space.
            for item in reply.candidates.iter_mut().flat_map(|candidate| &mut candidate.items) {
                if let ItemKind::ToolCall(call) = &mut item.kind {
                    call.arguments =
                        serde_json::from_str::<Value>(&call.arguments).expect("JSON").to_string();
                }
            }
        }
        assert_eq!(folded, decoded, "{name}");
    }
}

#[test]
fn streams_written_again_fold_into_the_same_answer() {
    for (name, bytes) in streams() {
        let events = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect(&name);
        let mut encoder = BedrockConverse.stream_encoder(&ReplyContext::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.push(event, &mut out));
        assert!(encoder.losses().is_empty(), "{name}: {}", encoder.losses());
        let again = testkit::read_all(BedrockConverse.stream_decoder(), &out).expect(&name);
        testkit::check_order(&again);
        assert_eq!(testkit::fold(&again), testkit::fold(&events), "{name}");
    }
}

#[test]
fn recorded_errors_have_their_kind() {
    for (name, found) in recordings() {
        let status = u16::try_from(found["response"]["status"].as_u64().unwrap_or(200)).expect("small");
        if status == 200 {
            continue;
        }
        let body = found["response"]["json"].to_string();
        let error = BedrockConverse.decode_error(status, body.as_bytes());
        let wanted = match (status, body.contains("identifier")) {
            (403, _) => WireErrorKind::Auth,
            (_, true) => WireErrorKind::ModelNotFound,
            _ => WireErrorKind::Invalid,
        };
        assert_eq!(error.kind, wanted, "{name}: {body}");
        assert!(error.message.is_some(), "{name}");
    }
}

fn sample() -> Vec<u8> {
    let mut encoder = BedrockConverse.stream_encoder(&ReplyContext::default());
    let mut out = Vec::new();
    for event in super::streams::sample_events() {
        encoder.push(&event, &mut out);
    }
    out
}

proptest! {
    #[test]
    fn p95_splits_anywhere_change_nothing(cuts in prop::collection::vec(any::<usize>(), 0..60)) {
        let bytes = sample();
        let whole = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("whole");
        let cut = testkit::read_cut(BedrockConverse.stream_decoder(), &bytes, &cuts).expect("cut");
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn p95_a_flipped_bit_is_an_error(at in any::<usize>(), bit in 0_u8..8) {
        let mut bytes = sample();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let outcome = testkit::read_all(BedrockConverse.stream_decoder(), &bytes);
        prop_assert!(outcome.is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = testkit::read_all(BedrockConverse.stream_decoder(), &bytes);
        let _ = BedrockConverse.decode_reply(&bytes);
        let _ = BedrockConverse.decode_call(&bytes, &PATH);
        let _ = BedrockConverse.decode_error(500, &bytes);
    }
}

#[test]
fn p95_one_byte_at_a_time() {
    for (name, bytes) in streams() {
        let whole = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect(&name);
        let mut decoder = BedrockConverse.stream_decoder();
        let mut out: Vec<Event> = Vec::new();
        for byte in &bytes {
            decoder.push(std::slice::from_ref(byte), &mut out).expect(&name);
        }
        decoder.end(&mut out).expect(&name);
        assert_eq!(out, whole, "{name}");
    }
}
