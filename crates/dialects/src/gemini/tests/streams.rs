//! Streams: the law of the fold, and the pitfalls by number.

use super::*;
use domain::{Code, Delta, Finish, Opened};
use proptest::prelude::*;
use serde_json::json as j;

/// The chunks of a recorded stream.
fn chunks(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|line| json(line.as_bytes())).collect()
}

/// The whole reply that the chunks are pieces of, joined without the code under test.
fn joined(chunks: &[Value]) -> Value {
    let mut whole = j!({"candidates": [{"content": {"parts": [], "role": "model"}}]});
    for chunk in chunks {
        for (name, value) in chunk.as_object().unwrap() {
            if name != "candidates" && !(name == "createTime" && whole.get(name).is_some()) {
                whole[name] = value.clone();
            }
        }
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            for (name, value) in candidate.as_object().unwrap() {
                if name != "content" {
                    whole["candidates"][0][name] = value.clone();
                }
            }
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                add(whole["candidates"][0]["content"]["parts"].as_array_mut().unwrap(), part);
            }
        }
    }
    whole
}

fn add(parts: &mut Vec<Value>, part: &Value) {
    if part["text"] == "" && part.get("thoughtSignature").is_none() {
        return;
    }
    let same = |last: &&mut Value| {
        last.get("text").is_some() && part.get("text").is_some() && last.get("thought") == part.get("thought")
    };
    match parts.last_mut().filter(same) {
        Some(last) => {
            last["text"] =
                Value::from(format!("{}{}", last["text"].as_str().unwrap(), part["text"].as_str().unwrap()));
            if let Some(signature) = part.get("thoughtSignature") {
                last["thoughtSignature"] = signature.clone();
            }
        }
        None => parts.push(part.clone()),
    }
}

#[test]
fn law_the_fold_of_a_recorded_stream_is_its_reply() {
    let mut seen = 0;
    for recording in recordings() {
        let list = !recording.stream && recording.body.starts_with(b"[{\"candidates");
        if recording.status != 200 || !(recording.stream || list) {
            continue;
        }
        let pieces =
            if list { json(&recording.body).as_array().unwrap().clone() } else { chunks(&recording.body) };
        // Ids are made of the arguments' text, so both sides read the same spelling of it.
        let text: String = pieces.iter().map(|piece| format!("data: {piece}\r\n\r\n")).collect();
        let events = read(&recording.body, &[]).unwrap();
        let want = Gemini.decode_reply(joined(&pieces).to_string().as_bytes()).unwrap();
        assert_eq!(fold(&read(text.as_bytes(), &[]).unwrap()), want, "{}", recording.name);
        let bytes: Vec<usize> = (0..recording.body.len()).collect();
        assert_eq!(read(&recording.body, &bytes).unwrap(), events, "{}: byte by byte", recording.name);
        check_order(&events);
        let mut out = Vec::new();
        let mut encoder = Gemini.stream_encoder(&ReplyContext::default());
        read(text.as_bytes(), &[]).unwrap().iter().for_each(|event| encoder.push(event, &mut out));
        let again = fold(&read(&out, &[]).unwrap());
        for (left, right) in again.candidates.iter().zip(&want.candidates) {
            assert_eq!((&left.items, &left.finish), (&right.items, &right.finish), "{}", recording.name);
        }
        assert_eq!(again.usage, want.usage);
        assert!(encoder.losses().is_empty());
        seen += 1;
    }
    eprintln!("{seen} recorded streams");
}

/// The order that `domain::Event` promises.
fn check_order(events: &[Event]) {
    assert!(matches!(events.first(), Some(Event::Started { .. })));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Started { .. })).count(), 1);
    assert!(matches!(events.last(), Some(Event::Finished)));
    let mut open = std::collections::BTreeSet::new();
    for event in events {
        match event {
            Event::Opened { candidate, item, .. } => assert!(open.insert((*candidate, *item))),
            Event::Delta { candidate, item, .. } => assert!(open.contains(&(*candidate, *item))),
            Event::Closed { candidate, item } => assert!(open.remove(&(*candidate, *item))),
            Event::CandidateFinished { candidate, .. } => {
                assert!(!open.iter().any(|(one, _)| one == candidate))
            }
            _ => {}
        }
    }
}

const CALLS: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Grüße 🦀\"},{\"functionCall\":{\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"S\"}]}}],\"responseId\":\"r\",\"modelVersion\":\"m\"}\r\n\r\n: ping\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]}}]}\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":2}}";

#[test]
fn p64_p89_calls_over_several_chunks_are_whole_items_with_ids_of_their_own() {
    let events = read(CALLS.as_bytes(), &[]).unwrap();
    check_order(&events);
    let opened: Vec<(u32, &Opened)> = events
        .iter()
        .filter_map(
            |event| if let Event::Opened { item, opened, .. } = event { Some((*item, opened)) } else { None },
        )
        .collect();
    assert_eq!(opened.len(), 3);
    let (Opened::ToolCall { id: one, .. }, Opened::ToolCall { id: two, .. }) = (opened[1].1, opened[2].1)
    else {
        panic!()
    };
    assert_ne!(one, two);
    assert_eq!(fold(&events).candidates[0].finish, Some(Finish::ToolCalls));
    assert!(events.contains(&Event::Delta {
        candidate: 0,
        item: 1,
        delta: Delta::Signature(Signature { dialect: Dialect::Gemini, data: "S".into() })
    }));
}

#[test]
fn p68_a_blocked_prompt_in_a_stream_is_one_filtered_candidate() {
    let body = b"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"responseId\":\"r\"}\n\n";
    let reply = fold(&read(body, &[]).unwrap());
    assert_eq!(reply.candidates[0].finish, Some(Finish::ContentFilter));
    assert_eq!(
        reply,
        Gemini.decode_reply(br#"{"promptFeedback":{"blockReason":"SAFETY"},"responseId":"r"}"#).unwrap()
    );
}

#[test]
fn p97_a_stream_without_its_finish_reason_broke_off() {
    for body in [
        "",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n",
        "data: {\"usageMetadata\":{}}\n\n",
        "[{\"candidates\":[{\"finishReason\":\"STOP\"}]},{\"cand",
        "data: {\"candidates\":[{\"content\"",
        "<html>",
    ] {
        assert_eq!(read(body.as_bytes(), &[]).unwrap_err().code, Code::UpstreamBadResponse, "{body}");
    }
}

#[test]
fn p99_p100_an_error_inside_a_stream_ends_it_and_one_instead_of_it_is_known() {
    let error = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#;
    for body in [format!("data: {error}\r\n\r\n"), error.to_owned(), format!("[{error}]")] {
        let events = read(body.as_bytes(), &[]).unwrap();
        let [Event::Failed(fault)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(fault.code, Code::RateLimited);
        assert!(!fault.message.contains("slow down"));
    }
    let body = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"a\"}}]}}}}]}}\n\ndata: {error}\n\n"
    );
    let events = read(body.as_bytes(), &[]).unwrap();
    assert!(matches!(events.last(), Some(Event::Failed(_))));
    assert!(!events.contains(&Event::Finished));
    let whole = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    assert_eq!(fold(&read(whole.as_bytes(), &[]).unwrap()).candidates[0].items.len(), 1);
}

#[test]
fn a_failure_is_written_as_an_error_and_nothing_follows() {
    let mut encoder = Gemini.stream_encoder(&ReplyContext { id: "r", ..ReplyContext::default() });
    let mut out = Vec::new();
    encoder.push(&Event::Failed(Fault::upstream(Code::UpstreamError, "It broke.")), &mut out);
    let length = out.len();
    encoder.push(&Event::Finished, &mut out);
    assert_eq!(out.len(), length);
    assert!(matches!(read(&out, &[]).unwrap().as_slice(), [Event::Failed(_)]));
}

proptest! {
    #[test]
    fn p93_p94_any_split_gives_the_same_events(mut cuts in prop::collection::vec(0..CALLS.len(), 0..12)) {
        cuts.sort_unstable();
        let want = read(CALLS.as_bytes(), &[]).unwrap();
        prop_assert_eq!(&read(CALLS.as_bytes(), &cuts).unwrap(), &want);
        let list = format!("\u{feff}[{}\n]", chunks(CALLS.as_bytes()).iter().map(Value::to_string).collect::<Vec<_>>().join(",\n"));
        let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < list.len()).collect();
        prop_assert_eq!(read(list.as_bytes(), &cuts).unwrap(), want);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), prefix in "(data: |\\[|\\{)?") {
        let mut body = prefix.into_bytes();
        body.extend(bytes);
        let _ = read(&body, &[]);
        let _ = Gemini.decode_reply(&body);
        let _ = Gemini.decode_error(500, &body);
    }
}
