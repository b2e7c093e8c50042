//! The laws, over the recordings.

use crate::{
    Codec, Envelope, ReplyContext,
    openai_responses::{OpenAiResponses, decode},
    testkit::{self, fixtures},
};
use domain::{Delta, Event};
use proptest::prelude::*;
use serde_json::Value;

/// Folders with recordings of `/responses`.
const FOLDERS: [&str; 8] = [
    "azure-openai",
    "bedrock-mantle",
    "deepseek",
    "open-responses",
    "openai",
    "openrouter",
    "xai",
    "openai-compatible",
];

/// The recordings of the endpoints that an answer object comes from.
fn recordings() -> Vec<(String, Value)> {
    let all = FOLDERS.iter().filter_map(|folder| fixtures(folder)).flatten();
    all.filter(|(_, found)| {
        found["endpoint"].as_str().is_some_and(|name| matches!(name, "responses" | "responses.compact"))
    })
    .collect()
}

/// A recording's number stands in the test so that one which is not found is missed.
fn promised() -> bool {
    std::env::var_os("CABOTAGE_FIXTURES").is_some()
}

#[test]
fn requests_come_out_as_they_went_in() {
    let mut seen = 0;
    for (name, found) in recordings() {
        let body = &found["request"]["json"];
        if !body.is_object() {
            continue;
        }
        seen += 1;
        assert_eq!(testkit::round_trip(&OpenAiResponses, body, &Envelope::default()), *body, "{name}");
    }
    println!("{seen} requests");
    assert!(!promised() || seen == 51, "{seen} requests");
}

#[test]
fn a_request_without_its_state_asks_the_host_to_keep_nothing() {
    for (name, found) in recordings() {
        let body = &found["request"]["json"];
        if !body.is_object() {
            continue;
        }
        let decoded = decode(body.to_string().as_bytes()).expect(&name);
        assert_eq!(decoded.ask.store, body["store"].as_bool(), "{name}");
        assert_eq!(
            decoded.ask.previous_response_id.as_deref(),
            body["previous_response_id"].as_str(),
            "{name}"
        );
        let can = domain::Capabilities::default();
        let (sent, _) = testkit::encoded(&OpenAiResponses, &decoded.call, &testkit::target("m", &can));
        assert_eq!(sent["store"], false, "{name}");
        assert!(sent.get("previous_response_id").is_none(), "{name}");
        assert_eq!(sent["stream"].as_bool().unwrap_or_default(), body["stream"] == true, "{name}");
    }
}

#[test]
fn replies_come_out_as_they_went_in() {
    let mut seen = 0;
    for (name, found) in recordings() {
        let body = &found["response"]["json"];
        if found["response"]["status"] != 200 || !body.is_object() {
            continue;
        }
        seen += 1;
        let reply = OpenAiResponses.decode_reply(body.to_string().as_bytes()).expect(&name);
        let encoded = OpenAiResponses.encode_reply(&reply, &ReplyContext::default());
        let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(again, *body, "{name}");
        assert!(encoded.losses.is_empty(), "{name}: {}", encoded.losses);
        let usage = reply.usage.expect("usage");
        let total = body["usage"]["total_tokens"].as_u64();
        assert_eq!(Some(usage.input_total() + usage.output_total()), total, "{name}");
    }
    println!("{seen} whole replies");
    assert!(!promised() || seen == 36, "{seen} whole replies");
}

fn streams() -> Vec<(String, String)> {
    let found = recordings().into_iter().filter(|(_, found)| found["response"]["body_kind"] == "sse");
    found.map(|(name, found)| (name, found["response"]["text"].as_str().expect("text").to_owned())).collect()
}

/// The answer that a stream's last event holds.
fn last_response(text: &str) -> Value {
    let mut events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let last = events.rfind(|data| data.trim() != "[DONE]").expect("an event");
    serde_json::from_str::<Value>(last).expect("JSON")["response"].clone()
}

#[test]
fn streams_fold_into_the_whole_answer() {
    let streams = streams();
    println!("{} streams", streams.len());
    assert!(!promised() || streams.len() == 17, "{} streams", streams.len());
    for (name, text) in streams {
        let events = testkit::read_all(OpenAiResponses.stream_decoder(), text.as_bytes()).expect(&name);
        testkit::check_order(&events);
        let folded = testkit::fold(&events);
        let whole = with_proofs_of(&folded, last_response(&text));
        let decoded = OpenAiResponses.decode_reply(whole.to_string().as_bytes()).expect(&name);
        assert_eq!(folded, decoded, "{name}");
        let encoded = OpenAiResponses.encode_reply(&folded, &ReplyContext::default());
        let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(again, whole, "{name}");
        // The deltas alone say the same text.
        let said: String = texts(&events);
        let shown: String = whole["output"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|item| item["content"].as_array().cloned().unwrap_or_default())
            .filter_map(|part| part["text"].as_str().or(part["refusal"].as_str()).map(str::to_owned))
            .collect();
        assert!(said.ends_with(&shown) || shown.ends_with(&said), "{name}: {said} / {shown}");
    }
}

/// The answer with the stream's encrypted thoughts: Azure encrypts a thought anew in every event that has it, so
/// those of the last event are other bytes of the same.
fn with_proofs_of(folded: &domain::Reply, mut whole: Value) -> Value {
    for (index, item) in folded.candidates[0].items.iter().enumerate() {
        if let domain::ItemKind::Reasoning(domain::Reasoning { signature: Some(proof), .. }) = &item.kind {
            let shown = &mut whole["output"][index]["encrypted_content"];
            assert!(shown.is_string(), "the last event has the thought too");
            *shown = Value::from(&*proof.data);
        }
    }
    whole
}

fn texts(events: &[Event]) -> String {
    let deltas = events.iter().filter_map(|event| match event {
        Event::Delta { delta: Delta::Text(text) | Delta::Refusal(text), .. } => Some(text.as_str()),
        _ => None,
    });
    deltas.collect()
}

#[test]
fn streams_written_again_say_the_same_events() {
    for (name, text) in streams() {
        let events = testkit::read_all(OpenAiResponses.stream_decoder(), text.as_bytes()).expect(&name);
        let mut encoder = OpenAiResponses.stream_encoder(&ReplyContext::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.push(event, &mut out));
        assert!(encoder.losses().is_empty(), "{name}: {}", encoder.losses());
        let out = String::from_utf8(out).expect("UTF-8");
        assert_eq!(kinds(&out), kinds(&text), "{name}");
        let again = testkit::read_all(OpenAiResponses.stream_decoder(), out.as_bytes()).expect(&name);
        testkit::check_order(&again);
        let (mut left, mut right) = (testkit::fold(&again), testkit::fold(&events));
        // What stands around the items is that of whoever answers.
        for reply in [&mut left, &mut right] {
            reply.bag = domain::Bag::new();
            reply.service_tier = None;
            for item in reply.candidates.iter_mut().flat_map(|candidate| &mut candidate.items) {
                *item = spelled_out(item);
            }
        }
        assert_eq!(left, right, "{name}");
    }
}

/// An item as we write it: hosts leave out members that the API demands.
fn spelled_out(item: &domain::Item) -> domain::Item {
    let json = crate::openai_responses::encode_item(item, "unused");
    let mut again = crate::openai_responses::decode_item(&json).expect("our own item");
    again.origin = item.origin;
    again
}

/// The types of the events of a stream, each run of deltas as one, with the place of their item.
fn kinds(text: &str) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        let kind = format!("{} {}", event["type"].as_str().unwrap_or_default(), event["output_index"]);
        if kinds.last() != Some(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

#[test]
fn recorded_errors_have_their_kind() {
    use crate::WireErrorKind as Kind;
    let mut seen = 0;
    for (name, found) in recordings() {
        let status = u16::try_from(found["response"]["status"].as_u64().unwrap_or(200)).expect("small");
        if status == 200 {
            continue;
        }
        seen += 1;
        let body = found["response"]["json"].to_string();
        let error = OpenAiResponses.decode_error(status, body.as_bytes());
        let wanted = if status == 401 { Kind::Auth } else { Kind::Invalid };
        assert_eq!(error.kind, wanted, "{name}");
        assert!(error.message.is_some(), "{name}");
        assert!(OpenAiResponses.decode_reply(body.as_bytes()).is_err(), "{name}");
    }
    assert!(!promised() || seen == 4, "{seen} errors");
}

const SAMPLE: &str = concat!(
    "event: response.created\r\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",",
    "\"object\":\"response\",\"created_at\":7,\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}}\r\n\r\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",",
    "\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n",
    ": keep-alive\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"item_id\":\"msg_1\",\"content_index\":0,",
    "\"delta\":\"häß 🚢\"}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",",
    "\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"häß 🚢\",\"annotations\":[]}]}}\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":7,\"model\":\"m\",",
    "\"status\":\"completed\",\"output\":[{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",",
    "\"content\":[{\"type\":\"output_text\",\"text\":\"häß 🚢\",\"annotations\":[]}]}],",
    "\"usage\":{\"input_tokens\":3,\"output_tokens\":9,\"total_tokens\":12}}}\n\n",
);

proptest! {
    #[test]
    fn p94_splits_anywhere_change_nothing(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
        let whole = testkit::read_all(OpenAiResponses.stream_decoder(), SAMPLE.as_bytes()).expect("whole");
        let cut = testkit::read_cut(OpenAiResponses.stream_decoder(), SAMPLE.as_bytes(), &cuts).expect("cut");
        prop_assert_eq!(&whole, &cut);
        let reply = testkit::fold(&cut);
        prop_assert_eq!(reply.candidates[0].finish.clone(), Some(domain::Finish::Stop));
        prop_assert_eq!(reply.usage.map(|usage| usage.out_visible), Some(9));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<usize>()) {
        let mut sample = SAMPLE.as_bytes().to_vec();
        let at = at % sample.len();
        let end = (at + bytes.len()).min(sample.len());
        sample.splice(at..end, bytes.iter().copied());
        let _ = testkit::read_all(OpenAiResponses.stream_decoder(), &sample);
        let _ = OpenAiResponses.decode_reply(&bytes);
        let _ = OpenAiResponses.decode_call(&bytes, &Envelope::default());
        let _ = OpenAiResponses.decode_error(500, &bytes);
    }
}
