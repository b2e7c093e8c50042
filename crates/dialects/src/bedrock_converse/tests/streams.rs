//! Streams built by hand: exceptions, ends that are none, tools.

use super::super::BedrockConverse;
use crate::{Codec as _, ReplyContext, bedrock_converse::frames, testkit};
use domain::{Code, Delta, Event, Finish, ItemKind, Opened, PartKind, Usage, UsageSource};

/// An answer of text and two tool calls, one without arguments.
pub(super) fn sample_events() -> Vec<Event> {
    let delta = |item, delta| Event::Delta { candidate: 0, item, delta };
    let opened = |item, opened| Event::Opened { candidate: 0, item, opened };
    let call = |id: &str| Opened::ToolCall { id: id.into(), name: "look".into() };
    vec![
        Event::Started { id: "".into(), model: "".into(), created: None },
        opened(0, Opened::Message),
        delta(0, Delta::Text("häß 🚢".into())),
        Event::Closed { candidate: 0, item: 0 },
        opened(1, call("tooluse_1")),
        delta(1, Delta::Arguments("{\"a\":".into())),
        delta(1, Delta::Arguments("1}".into())),
        Event::Closed { candidate: 0, item: 1 },
        opened(2, call("tooluse_2")),
        Event::Closed { candidate: 0, item: 2 },
        Event::Usage(Usage {
            uncached_in: 7,
            cache_read: 5,
            cache_write: 2,
            cache_write_1h: 1,
            out_visible: 4,
            source: UsageSource::Reported,
            ..Usage::default()
        }),
        Event::CandidateFinished { candidate: 0, finish: Finish::ToolCalls },
        Event::Finished,
    ]
}

fn write(events: &[Event]) -> Vec<u8> {
    let mut encoder = BedrockConverse.stream_encoder(&ReplyContext::default());
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut out));
    out
}

fn frame(kind: &'static str, name: &str, payload: &str) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(frames::write(kind, name, payload.to_owned(), &mut out));
    out
}

#[test]
fn a_written_stream_says_what_its_events_said() {
    let events = testkit::read_all(BedrockConverse.stream_decoder(), &write(&sample_events())).expect("read");
    testkit::check_order(&events);
    let reply = testkit::fold(&events);
    assert_eq!(reply.candidates[0].finish, Some(Finish::ToolCalls));
    let usage = reply.usage.expect("counted");
    assert_eq!((usage.uncached_in, usage.cache_read, usage.cache_write, usage.cache_write_1h), (7, 5, 2, 1));
    let arguments: Vec<_> = reply.candidates[0]
        .items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::ToolCall(call) => Some(call.arguments.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, [r#"{"a":1}"#, "{}"]);
}

#[test]
fn p96_an_exception_is_a_failure_with_its_code_first_or_in_the_middle() {
    let table = [
        ("throttlingException", Code::RateLimited, 429, 429),
        ("modelStreamErrorException", Code::UpstreamError, 502, 424),
        ("validationException", Code::InvalidRequest, 400, 400),
        ("serviceUnavailableException", Code::PermittedUnavailable, 503, 503),
        ("internalServerException", Code::UpstreamError, 502, 500),
    ];
    let begun = [
        frame("event", "messageStart", r#"{"role":"assistant"}"#),
        frame("event", "contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"hel"}}"#),
    ]
    .concat();
    for (name, code, status, upstream) in table {
        let exception = frame("exception", name, r#"{"message":"secret words"}"#);
        for before in [&[][..], &begun] {
            let bytes =
                [before, &exception, &frame("event", "messageStop", r#"{"stopReason":"end_turn"}"#)].concat();
            let events = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("read");
            let Some(Event::Failed(fault)) = events.last() else { panic!("{name}: {events:?}") };
            assert_eq!(
                (fault.code, fault.status(), fault.upstream_status),
                (code, status, Some(upstream)),
                "{name}"
            );
            assert!(!fault.message.contains("secret"), "the upstream's words are for the operator only");
            assert!(fault.detail.as_deref().is_some_and(|detail| detail.contains("secret words")));
        }
    }
}

#[test]
fn p96_a_context_that_is_too_long_is_told_as_such() {
    let bytes =
        frame("exception", "validationException", r#"{"message":"Input is too long for requested model."}"#);
    let events = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("read");
    let Some(Event::Failed(fault)) = events.last() else { panic!("{events:?}") };
    assert_eq!(fault.code, Code::ContextLengthExceeded);
    assert!(!fault.counts_against_health);
}

#[test]
fn p96_a_failure_is_written_as_an_exception_and_nothing_after_it() {
    let mut events = sample_events();
    events.truncate(3);
    events.push(Event::Failed(domain::Fault::upstream(Code::RateLimited, "wait")));
    let bytes = write(&events);
    let again = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("read");
    let Some(Event::Failed(fault)) = again.last() else { panic!("{again:?}") };
    assert_eq!(fault.code, Code::RateLimited);
}

#[test]
fn p97_an_end_without_its_mark_is_an_error_and_counts_are_kept() {
    let bytes = [
        frame("event", "messageStart", r#"{"role":"assistant"}"#),
        frame("event", "contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"hel"}}"#),
        frame("event", "metadata", r#"{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}"#),
    ]
    .concat();
    let mut decoder = BedrockConverse.stream_decoder();
    let mut events = Vec::new();
    decoder.push(&bytes, &mut events).expect("read");
    assert!(events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.out_visible == 2)));
    let fault = decoder.end(&mut events).expect_err("no end mark");
    assert_eq!(fault.code, Code::UpstreamBadResponse);
    assert!(!events.iter().any(|event| matches!(event, Event::Finished | Event::CandidateFinished { .. })));
}

#[test]
fn p97_metadata_before_the_stop_or_missing_still_ends_well() {
    let text = frame("event", "contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"x"}}"#);
    let stop = frame("event", "messageStop", r#"{"stopReason":"max_tokens"}"#);
    let counts = frame("event", "metadata", r#"{"usage":{"inputTokens":3,"outputTokens":2}}"#);
    for bytes in [[&*text, &counts, &stop].concat(), [&*text, &stop].concat()] {
        let events = testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("read");
        testkit::check_order(&events);
        assert_eq!(testkit::fold(&events).candidates[0].finish, Some(Finish::Length));
    }
}

#[test]
fn p95_a_frame_above_the_bound_is_refused_before_it_is_held() {
    let mut decoder = BedrockConverse.stream_decoder();
    let fault = decoder.push(&[0x7f, 0xff, 0xff, 0xff], &mut Vec::new()).expect_err("too long");
    assert_eq!(fault.code, Code::UpstreamBadResponse);
}

#[test]
fn p75_redacted_thoughts_are_kept() {
    let bytes = [
        frame("event", "messageStart", r#"{"role":"assistant"}"#),
        frame(
            "event",
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"AAEC"}}}"#,
        ),
        frame("event", "contentBlockStop", r#"{"contentBlockIndex":0}"#),
        frame("event", "messageStop", r#"{"stopReason":"end_turn"}"#),
    ]
    .concat();
    let reply = testkit::fold(&testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("read"));
    let ItemKind::Reasoning(thought) = &reply.candidates[0].items[0].kind else { panic!("a thought") };
    assert!(thought.redacted);
    assert_eq!(thought.signature.as_ref().map(|proof| &*proof.data), Some("AAEC"));
}

#[test]
fn p60_the_input_of_our_own_tool_is_the_answer() {
    let bytes = [
        frame("event", "messageStart", r#"{"role":"assistant"}"#),
        frame(
            "event",
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"cabotage_output"}}}"#,
        ),
        frame(
            "event",
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#,
        ),
        frame("event", "contentBlockStop", r#"{"contentBlockIndex":0}"#),
        frame("event", "messageStop", r#"{"stopReason":"tool_use"}"#),
    ]
    .concat();
    let reply = testkit::fold(&testkit::read_all(BedrockConverse.stream_decoder(), &bytes).expect("read"));
    assert_eq!(reply.candidates[0].finish, Some(Finish::Stop));
    let ItemKind::Message(said) = &reply.candidates[0].items[0].kind else { panic!("a message") };
    assert!(matches!(&said.parts[0].kind, PartKind::Text { text, .. } if text == r#"{"a":1}"#));
}
