//! Streams: reading hosts with accents, writing the documented form, passing through.

use crate::{
    Codec, ReplyContext,
    openai_chat::{
        OpenAiChat,
        passthrough::{End, StreamTee},
    },
};
use bytes::Bytes;
use domain::{Code, Delta, Event, Fault, Finish, Fold, ItemKind, Opened, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn chunk(delta: Value, finish: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, Fault> {
    let mut decoder = OpenAiChat.stream_decoder();
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut out)?;
    }
    decoder.end(&mut out)?;
    Ok(out)
}

fn usage_chunk() -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
}

/// Azure's filter chunk, comments, text, two tool calls interleaved, usage at the end.
fn rich() -> String {
    let call = |value: Value| chunk(json!({"tool_calls": [value]}), Value::Null);
    let mut text = sse(&[
        json!({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}),
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "h\u{e9}"}), Value::Null),
    ]);
    text.push_str(": OPENROUTER PROCESSING\r\n\r\n: ping - 2\n\n:\n\ndata: \"\"\n\n");
    text.push_str(&sse(&[
        chunk(json!({"content": "Gr\u{fc}\u{df}e"}), Value::Null),
        call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})),
        call(json!({"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{"}})),
        call(json!({"index": 0, "function": {"arguments": "{\"x\":1}"}})),
        call(json!({"index": 1, "function": {"arguments": "}"}})),
        chunk(json!({}), json!("tool_calls")),
        usage_chunk(),
    ]));
    text.push_str("data: [DONE]\n\n");
    text
}

#[test]
fn p84_p85_p93_a_rich_stream_is_read_once_and_whole() {
    let all = events(&[rich().as_bytes()]).expect("a stream");
    assert!(matches!(&all[0], Event::Started { id, .. } if &**id == "chatcmpl-1"));
    assert_eq!(all.iter().filter(|e| matches!(e, Event::Usage(_))).count(), 1);
    assert_eq!(all.last(), Some(&Event::Finished));
    let mut fold = Fold::new();
    all.iter().for_each(|event| fold.push(event));
    let reply = fold.reply();
    let kinds: Vec<String> = reply.candidates[0]
        .items
        .iter()
        .map(|item| match &item.kind {
            ItemKind::Reasoning(thought) => format!("thought {}", thought.text),
            ItemKind::Message(_) => "message".to_owned(),
            ItemKind::ToolCall(call) => format!("{} {} {}", call.id, call.name, call.arguments),
            _ => "?".to_owned(),
        })
        .collect();
    assert_eq!(kinds, ["thought h\u{e9}", "message", "a f {\"x\":1}", "b g {}"]);
    assert_eq!(reply.candidates[0].finish, Some(Finish::ToolCalls));
    assert_eq!(reply.usage, Some(Usage::from_inclusive(3, 0, 2, 0)));
}

#[test]
fn p92_calls_without_index_or_with_one_index_are_told_apart() {
    for index in [Value::Null, json!(0)] {
        let call = |id: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": "f", "arguments": "{}"}}]});
        let text = sse(&[
            chunk(json!({"role": "", "content": ""}), Value::Null),
            chunk(call("a"), Value::Null),
            chunk(call("b"), json!("stop")),
        ]);
        let all = events(&[text.as_bytes()]).expect("a stream");
        let opened: Vec<&Event> = all.iter().filter(|e| matches!(e, Event::Opened { .. })).collect();
        assert_eq!(opened.len(), 2, "{all:?}");
        assert!(
            matches!(opened[1], Event::Opened { item: 1, opened: Opened::ToolCall { id, .. }, .. } if &**id == "b")
        );
        assert!(all.contains(&Event::CandidateFinished { candidate: 0, finish: Finish::ToolCalls }));
    }
}

#[test]
fn p77_mistrals_list_in_a_delta() {
    let text = sse(&[
        chunk(
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            Value::Null,
        ),
        chunk(json!({"content": "4"}), json!("stop")),
    ]);
    let all = events(&[text.as_bytes()]).expect("a stream");
    assert!(all.iter().any(|e| matches!(e, Event::Delta { delta: Delta::Reasoning(t), .. } if t == "hm")));
    assert!(all.iter().any(|e| matches!(e, Event::Delta { delta: Delta::Text(t), .. } if t == "4")));
}

#[test]
fn p97_a_stream_that_breaks_off_is_no_answer() {
    let text = sse(&[chunk(json!({"content": "half"}), Value::Null)]);
    assert_eq!(events(&[text.as_bytes()]).expect_err("broken").code, Code::UpstreamBadResponse);
    assert!(events(&[b""]).is_err());
    let mut tee = StreamTee::new(true);
    let mut out = Vec::new();
    tee.push(&Bytes::from(text.clone() + "data: {\"id\":\"x\",\"cho"), &mut out).expect("a stream");
    assert!(matches!(tee.end(&mut out), End::Broken(_)));
    assert_eq!(out.concat(), text.as_bytes(), "half a frame is not forwarded");
    // A finish reason without an end mark is an end.
    let text = sse(&[chunk(json!({"content": "x"}), json!("stop"))]);
    assert_eq!(events(&[text.as_bytes()]).expect("whole").last(), Some(&Event::Finished));
}

#[test]
fn p99_an_error_frame_ends_the_stream() {
    let error = json!({"error": {"message": "secret host fell over", "type": "server_error", "code": 502}});
    let text = sse(&[
        chunk(json!({"content": "a"}), Value::Null),
        error,
        chunk(json!({"content": "b"}), Value::Null),
    ]);
    let all = events(&[text.as_bytes()]).expect("read");
    let Some(Event::Failed(fault)) = all.last() else { panic!("{all:?}") };
    assert_eq!(fault.code, Code::UpstreamError);
    let mut written = Vec::new();
    let mut encoder = OpenAiChat.stream_encoder(&ReplyContext::default());
    all.iter().for_each(|event| encoder.push(event, &mut written));
    let written = String::from_utf8(written).expect("UTF-8");
    assert!(written.contains("\"code\":\"upstream_error\"") && !written.contains("[DONE]"), "{written}");
    assert!(!written.contains("secret"));

    let mut tee = StreamTee::new(false);
    let mut out = Vec::new();
    tee.push(&Bytes::from(text), &mut out).expect("a stream");
    assert_eq!(tee.failure().map(|fault| fault.code), Some(Code::UpstreamError));
    let passed = String::from_utf8(out.concat()).expect("UTF-8");
    assert!(passed.contains("\"a\"") && !passed.contains("error") && !passed.contains("\"b\""), "{passed}");
}

fn encode(events: &[Event], include_usage: bool) -> String {
    let context = ReplyContext { id: "chatcmpl-ours", created: 7, include_usage, ..ReplyContext::default() };
    let mut encoder = OpenAiChat.stream_encoder(&context);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn p83_p101_a_foreign_stream_in_chat() {
    let delta = |item, delta| Event::Delta { candidate: 0, item, delta };
    let events = [
        Event::Started { id: "msg_1".into(), model: "claude".into(), created: None },
        Event::Usage(Usage::from_inclusive(9, 0, 1, 0)),
        Event::Opened { candidate: 0, item: 0, opened: Opened::Message },
        delta(0, Delta::Text("x\n\nevent: forged\r".into())),
        Event::Closed { candidate: 0, item: 0 },
        Event::Opened {
            candidate: 0,
            item: 1,
            opened: Opened::ToolCall { id: "t".into(), name: "f".into() },
        },
        delta(1, Delta::Arguments("{}".into())),
        Event::Closed { candidate: 0, item: 1 },
        Event::Usage(Usage::from_inclusive(9, 0, 4, 0)),
        Event::CandidateFinished { candidate: 0, finish: Finish::ToolCalls },
        Event::Finished,
    ];
    // As values: the order of keys in `usage` is that of `serde_json`'s build, which other crates change.
    let text = encode(&events, true);
    let frames: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|frame| frame.strip_prefix("data: ").expect("a data frame"))
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into()))
        .collect();
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(frames);
    });
    let without = encode(&events, false);
    assert!(!without.contains("usage") && without.ends_with("data: [DONE]\n\n"));
}

#[test]
fn the_usage_chunk_that_we_asked_for_is_taken_out() {
    let before = sse(&[chunk(json!({"content": "x"}), Value::Null), chunk(json!({}), json!("stop"))]);
    let text = format!("{before}{}data: [DONE]\n\n", sse(&[usage_chunk()]));
    let want = format!("{before}data: [DONE]\n\n");
    for size in 1..text.len() {
        let mut tee = StreamTee::new(true);
        let mut out = Vec::new();
        let body = Bytes::from(text.clone());
        for start in (0..body.len()).step_by(size) {
            tee.push(&body.slice(start..body.len().min(start + size)), &mut out).expect("a stream");
        }
        assert_eq!(tee.end(&mut out), End::Complete);
        assert_eq!(String::from_utf8(out.concat()).expect("UTF-8"), want, "pieces of {size}");
        assert_eq!(tee.usage(), Some(Usage::from_inclusive(3, 0, 2, 0)));
        assert!(tee.is_done() && tee.content_seen());
    }
}

#[test]
fn a_role_or_filter_chunk_is_no_content() {
    let mut tee = StreamTee::new(false);
    let mut out = Vec::new();
    let head: String = rich().split_inclusive("\n\n").take(2).collect();
    tee.push(&Bytes::from(head), &mut out).expect("a stream");
    assert!(!tee.content_seen());
    tee.push(&Bytes::from(sse(&[chunk(json!({"reasoning": "h"}), Value::Null)])), &mut out)
        .expect("a stream");
    assert!(tee.content_seen());
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events_and_the_same_bytes(cuts in prop::collection::vec(0_usize..2_000, 0..12)) {
        let text = rich();
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(events(&pieces), events(&[bytes]));
        let mut tee = StreamTee::new(false);
        let mut out = Vec::new();
        for piece in &pieces {
            tee.push(&Bytes::copy_from_slice(piece), &mut out).expect("a stream");
        }
        prop_assert_eq!(tee.end(&mut out), End::Complete);
        prop_assert_eq!(out.concat(), bytes);
    }
}
