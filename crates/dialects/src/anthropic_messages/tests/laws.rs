//! `encode(decode(x)) = x` as JSON and `reply = fold(events)`, over the recordings.

use super::super::{AnthropicMessages, OWN};
use crate::{Codec as _, Envelope, ReplyContext, testkit};
use domain::{Event, Finish, ItemKind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn messages() -> Vec<(String, Value)> {
    let all = testkit::fixtures("anthropic").unwrap_or_default();
    all.into_iter().filter(|(_, found)| found["endpoint"] == "messages").collect()
}

#[test]
fn requests_come_out_as_they_went_in() {
    let mut count = 0;
    for (name, found) in messages() {
        let body = &found["request"]["json"];
        if body.is_object() {
            let again = testkit::round_trip(&AnthropicMessages, body, &Envelope::default());
            assert_eq!(&again, body, "{name}");
            count += 1;
        }
    }
    eprintln!("{count} requests");
}

#[test]
fn replies_come_out_as_they_went_in() {
    for (name, found) in messages() {
        let body = &found["response"]["json"];
        if found["response"]["status"] != 200 || !body.is_object() {
            continue;
        }
        let reply = AnthropicMessages.decode_reply(body.to_string().as_bytes()).expect(&name);
        let encoded = AnthropicMessages.encode_reply(&reply, &ReplyContext::default());
        assert!(encoded.losses.is_empty(), "{name}: {}", encoded.losses);
        let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(&again, body, "{name}");
    }
}

/// The whole answer that a recorded stream amounts to, put together without our code.
fn assembled(text: &str) -> Value {
    let mut message = Value::Null;
    let mut usage = Map::new();
    let mut inputs: Vec<String> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("data:")) {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let index = usize::try_from(event["index"].as_u64().unwrap_or(0)).expect("small");
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                message = event["message"].clone();
                usage = message["usage"].as_object().cloned().unwrap_or_default();
            }
            "content_block_start" => {
                message["content"].as_array_mut().expect("list").push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let (block, delta) = (&mut message["content"][index], &event["delta"]);
                for (field, name) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")]
                {
                    if let Some(piece) = delta[field].as_str() {
                        block[name] = json!(format!("{}{piece}", block[name].as_str().unwrap_or("")));
                    }
                }
                if let Some(piece) = delta["partial_json"].as_str() {
                    inputs[index].push_str(piece);
                }
                if delta["citation"].is_object() {
                    if !block["citations"].is_array() {
                        block["citations"] = json!([]);
                    }
                    block["citations"].as_array_mut().expect("list").push(delta["citation"].clone());
                }
            }
            "message_delta" => {
                for (name, value) in event["delta"].as_object().expect("object") {
                    message[name] = value.clone();
                }
                usage.extend(event["usage"].as_object().cloned().unwrap_or_default());
            }
            _ => {}
        }
    }
    for (block, input) in message["content"].as_array_mut().expect("list").iter_mut().zip(&inputs) {
        if !input.is_empty() {
            block["input"] = serde_json::from_str(input).expect("JSON");
        }
    }
    message["usage"] = Value::Object(usage);
    message
}

fn streams() -> Vec<(String, String)> {
    let found = messages().into_iter().filter(|(_, found)| found["response"]["body_kind"] == "sse");
    found.map(|(name, found)| (name, found["response"]["text"].as_str().expect("text").to_owned())).collect()
}

#[test]
fn streams_fold_into_the_whole_answer() {
    for (name, text) in streams() {
        let events = testkit::read_all(AnthropicMessages.stream_decoder(), text.as_bytes()).expect(&name);
        testkit::check_order(&events);
        let folded = testkit::fold(&events);
        let whole = assembled(&text);
        let encoded = AnthropicMessages.encode_reply(&folded, &ReplyContext::default());
        let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(again, whole, "{name}");
        let mut decoded = AnthropicMessages.decode_reply(whole.to_string().as_bytes()).expect(&name);
        let mut folded = folded;
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
    for (name, text) in streams() {
        let events = testkit::read_all(AnthropicMessages.stream_decoder(), text.as_bytes()).expect(&name);
        let mut encoder = AnthropicMessages.stream_encoder(&ReplyContext::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.push(event, &mut out));
        assert!(encoder.losses().is_empty(), "{name}: {}", encoder.losses());
        let again = testkit::read_all(AnthropicMessages.stream_decoder(), &out).expect(&name);
        testkit::check_order(&again);
        assert_eq!(testkit::fold(&again), testkit::fold(&events), "{name}");
    }
}

#[test]
fn recorded_errors_have_their_kind() {
    use crate::WireErrorKind as Kind;
    for (name, found) in messages() {
        let status = u16::try_from(found["response"]["status"].as_u64().unwrap_or(200)).expect("small");
        if status == 200 {
            continue;
        }
        let body = found["response"]["json"].to_string();
        let error = AnthropicMessages.decode_error(status, body.as_bytes());
        let wanted = match status {
            401 => Kind::Auth,
            404 => Kind::ModelNotFound,
            _ => Kind::ContextLength,
        };
        assert_eq!(error.kind, wanted, "{name}");
    }
}

const SAMPLE: &str = concat!(
    "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",",
    "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\r\n\r\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    ": a comment\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"häß 🚢\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "data: {\"type\":\"message_stop\"}",
);

proptest! {
    #[test]
    fn p94_splits_anywhere_change_nothing(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
        let whole = testkit::read_all(AnthropicMessages.stream_decoder(), SAMPLE.as_bytes()).expect("whole");
        let cut = testkit::read_cut(AnthropicMessages.stream_decoder(), SAMPLE.as_bytes(), &cuts).expect("cut");
        prop_assert_eq!(&whole, &cut);
        let reply = testkit::fold(&cut);
        prop_assert_eq!(reply.candidates[0].finish.clone(), Some(Finish::Stop));
        prop_assert_eq!(reply.usage.map(|usage| usage.out_visible), Some(9));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<usize>()) {
        let mut sample = SAMPLE.as_bytes().to_vec();
        let at = at % sample.len();
        let end = (at + bytes.len()).min(sample.len());
        sample.splice(at..end, bytes.iter().copied());
        let _ = testkit::read_all(AnthropicMessages.stream_decoder(), &sample);
        let _ = AnthropicMessages.decode_reply(&bytes);
        let _ = AnthropicMessages.decode_call(&bytes, &Envelope::default());
        let _ = AnthropicMessages.decode_error(500, &bytes);
    }
}

#[test]
fn the_sample_has_text_that_splits_badly() {
    let events = testkit::read_all(AnthropicMessages.stream_decoder(), SAMPLE.as_bytes()).expect("whole");
    let texts = events.iter().filter(|event| matches!(event, Event::Delta { .. })).count();
    assert_eq!(texts, 1);
    assert!(OWN.name().starts_with("anthropic"));
}
