//! Streams built by hand.

use super::super::AnthropicMessages;
use crate::{Codec as _, ReplyContext, testkit};
use domain::{Code, Delta, Event, Finish, ItemKind, Opened, Usage, UsageSource};

fn sse(events: &[&str]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

fn read(events: &[&str]) -> Vec<Event> {
    testkit::read_all(AnthropicMessages.stream_decoder(), &sse(events)).expect("read")
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":90,"cache_creation_input_tokens":5,"output_tokens":1}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

#[test]
fn p86_the_last_counts_hold() {
    let events = read(&[
        START,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":12,"output_tokens":20}}"#,
        r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":30}}"#,
        STOP,
    ]);
    testkit::check_order(&events);
    let usage = testkit::fold(&events).usage.expect("counted");
    assert_eq!((usage.uncached_in, usage.cache_read, usage.cache_write, usage.out_visible), (12, 90, 5, 30));
}

#[test]
fn p88_tool_arguments_have_no_empty_object_before_them() {
    let events = read(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"look","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t2","name":"look","input":{}}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}"#,
        STOP,
    ]);
    testkit::check_order(&events);
    let arguments: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Delta { item, delta: Delta::Arguments(text), .. } => Some((*item, text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, [(1, "{\"a\":"), (1, "1}"), (2, "{}")]);
    assert_eq!(testkit::fold(&events).candidates[0].finish, Some(Finish::ToolCalls));
}

#[test]
fn p93_pings_comments_and_empty_data_say_nothing() {
    let mut bytes = sse(&[START]);
    bytes.extend_from_slice(b": ping - 2\n\n:\n\ndata:\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n");
    bytes.extend(sse(&[r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#, STOP]));
    let events = testkit::read_all(AnthropicMessages.stream_decoder(), &bytes).expect("read");
    testkit::check_order(&events);
}

#[test]
fn p96_an_error_in_the_stream_is_a_failure_and_ends_it() {
    for (word, code, upstream) in [
        ("overloaded_error", Code::PermittedUnavailable, 529),
        ("rate_limit_error", Code::RateLimited, 429),
        ("api_error", Code::UpstreamError, 500),
        ("authentication_error", Code::UpstreamAuth, 401),
    ] {
        let error = format!(r#"{{"type":"error","error":{{"type":"{word}","message":"their words"}}}}"#);
        let events = read(&[START, &error, STOP]);
        let Some(Event::Failed(fault)) = events.last() else { panic!("{events:?}") };
        assert_eq!((fault.code, fault.upstream_status), (code, Some(upstream)), "{word}");
        assert!(!fault.message.contains("their words"));
    }
}

#[test]
fn p97_an_end_without_its_mark_is_an_error() {
    let bytes = sse(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"look","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
    ]);
    let mut decoder = AnthropicMessages.stream_decoder();
    let mut events = Vec::new();
    decoder.push(&bytes, &mut events).expect("read");
    assert!(events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.uncached_in == 10)));
    assert_eq!(decoder.end(&mut events).expect_err("broken off").code, Code::UpstreamBadResponse);
    assert!(!events.iter().any(|event| matches!(event, Event::Closed { .. } | Event::Finished)));
}

#[test]
fn nonsense_is_an_error_and_not_a_panic() {
    for bytes in [
        &b"data: <html>\n\n"[..],
        b"data: {\"type\":\"content_block_delta\",\"index\":4}\n\n",
        b"data: []\n\n",
    ] {
        let mut decoder = AnthropicMessages.stream_decoder();
        assert!(decoder.push(bytes, &mut Vec::new()).is_err(), "{bytes:?}");
    }
}

/// Events of a stream of OpenAI's dialect with two tool calls that come interleaved.
fn interleaved() -> Vec<Event> {
    let opened = |item, opened| Event::Opened { candidate: 0, item, opened };
    let delta = |item, delta| Event::Delta { candidate: 0, item, delta };
    let call = |id: &str| Opened::ToolCall { id: id.into(), name: "look".into() };
    vec![
        Event::Started { id: "chatcmpl-1".into(), model: "gpt".into(), created: Some(1) },
        opened(0, Opened::Message),
        Event::Closed { candidate: 0, item: 0 },
        opened(1, call("a")),
        opened(2, call("b")),
        delta(2, Delta::Arguments("{\"b\"".into())),
        delta(1, Delta::Arguments("{\"a\"".into())),
        delta(2, Delta::Arguments(":2}".into())),
        delta(1, Delta::Arguments(":1}".into())),
        Event::Closed { candidate: 0, item: 1 },
        Event::Closed { candidate: 0, item: 2 },
        Event::Usage(Usage {
            uncached_in: 15,
            cache_read: 90,
            out_visible: 4,
            source: UsageSource::Reported,
            ..Usage::default()
        }),
        Event::CandidateFinished { candidate: 0, finish: Finish::ToolCalls },
        Event::Finished,
    ]
}

#[test]
fn p87_p90_one_block_at_a_time_none_empty_and_counts_at_the_end() {
    let mut encoder =
        AnthropicMessages.stream_encoder(&ReplyContext { id: "msg_ours", ..ReplyContext::default() });
    let mut out = Vec::new();
    interleaved().iter().for_each(|event| encoder.push(event, &mut out));
    let text = String::from_utf8(out).expect("text");
    insta::assert_snapshot!("interleaved_tools", text);
    let events = testkit::read_all(AnthropicMessages.stream_decoder(), text.as_bytes()).expect("read");
    testkit::check_order(&events);
    let reply = testkit::fold(&events);
    let arguments: Vec<_> = reply.candidates[0]
        .items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::ToolCall(call) => Some(call.arguments.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(reply.usage.map(|usage| (usage.uncached_in, usage.cache_read)), Some((15, 90)));
}

#[test]
fn p96_a_failure_is_written_as_an_error_event_and_no_end() {
    let mut encoder = AnthropicMessages.stream_encoder(&ReplyContext::default());
    let mut out = Vec::new();
    encoder.push(&interleaved()[0], &mut out);
    encoder.push(&Event::Failed(domain::Fault::upstream(Code::UpstreamError, "it broke")), &mut out);
    let text = String::from_utf8(out).expect("text");
    assert!(text.starts_with("event: error\ndata: {\"type\":\"error\""), "{text}");
    assert!(!text.contains("message_stop"));
}
