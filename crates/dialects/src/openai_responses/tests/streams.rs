//! Streams that we write: numbers, order, ids, forms; and streams that we read from hosts with accents.

use super::{
    answers::{REQUIRED, head},
    json_of,
};
use crate::{
    Codec, codec,
    openai_responses::{OpenAiResponses, ResponseStream, Thoughts, WireEvent, decode_item, response},
    testkit,
};
use domain::{Code, Delta, Dialect, Event, Fault, Finish, Opened, Raw, Signature, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

fn delta(item: u32, delta: Delta) -> Event {
    Event::Delta { candidate: 0, item, delta }
}

fn started() -> Event {
    Event::Started { id: "msg_up".into(), model: "there".into(), created: None }
}

fn opened(item: u32, opened: Opened) -> Event {
    Event::Opened { candidate: 0, item, opened }
}

const fn closed(item: u32) -> Event {
    Event::Closed { candidate: 0, item }
}

fn tool(item: u32, id: &str, name: &str) -> Event {
    opened(item, Opened::ToolCall { id: id.into(), name: name.into() })
}

fn ended(finish: Finish) -> Vec<Event> {
    vec![
        Event::Usage(Usage::from_inclusive(9, 2, 4, 1)),
        Event::CandidateFinished { candidate: 0, finish },
        Event::Finished,
    ]
}

/// A stream as Claude's host gives it: a thought with its proof, a text, two calls.
fn rich() -> Vec<Event> {
    let proof = Signature { dialect: Dialect::AnthropicMessages, data: "sig==".into() };
    let mut events = vec![
        started(),
        opened(0, Opened::Reasoning),
        delta(0, Delta::Reasoning("h".into())),
        delta(0, Delta::Reasoning("m".into())),
        delta(0, Delta::Signature(proof)),
        closed(0),
        opened(1, Opened::Message),
        delta(1, Delta::Text("Gr".into())),
        delta(1, Delta::Text("üße".into())),
        closed(1),
        tool(2, "toolu_1", "f"),
        delta(2, Delta::Arguments("{\"a\":".into())),
        delta(2, Delta::Arguments("1}".into())),
        closed(2),
        tool(3, "toolu_2", "g"),
        closed(3),
    ];
    events.extend(ended(Finish::ToolCalls));
    events
}

fn written(stream: &mut ResponseStream, events: &[Event]) -> Vec<WireEvent> {
    let mut out = Vec::new();
    events.iter().for_each(|event| stream.push(event, &mut out));
    out
}

fn values(events: &[WireEvent]) -> Vec<Value> {
    events.iter().map(|event| json_of(event.data.as_bytes())).collect()
}

fn types(events: &[WireEvent]) -> Vec<&str> {
    events.iter().map(|event| &*event.name).collect()
}

/// What every stream promises: numbers from 0 without gaps, `type` as the event's name, each item begun once and
/// done once under one id, pieces only between, pieces joined are what the end says, the last response holds
/// the items as they were done.
fn check(events: &[WireEvent]) -> Value {
    let values = values(events);
    let mut open: std::collections::BTreeMap<u64, (String, String)> = std::collections::BTreeMap::new();
    let mut done: Vec<Value> = Vec::new();
    for (number, (event, value)) in events.iter().zip(&values).enumerate() {
        assert_eq!((event.sequence, &value["sequence_number"]), (number as u64, &json!(number)));
        assert_eq!(value["type"], &*event.name);
        let place = value["output_index"].as_u64();
        match &*event.name {
            "response.output_item.added" => {
                let id = value["item"]["id"].as_str().expect("an id").to_owned();
                assert!(open.insert(place.expect("a place"), (id, String::new())).is_none(), "begun twice");
            }
            "response.output_item.done" => {
                let (id, _) = open.remove(&place.expect("a place")).expect("begun before");
                assert_eq!(value["item"]["id"], id);
                done.push(value["item"].clone());
            }
            name => {
                let Some(place) = place else { continue };
                let (id, so_far) = open.get_mut(&place).expect("between its beginning and its end");
                assert_eq!(value["item_id"], *id);
                match value["delta"].as_str() {
                    Some(piece) => so_far.push_str(piece),
                    None if name.ends_with("_part.done") => so_far.clear(),
                    None if name.ends_with(".done") => {
                        let whole = ["text", "refusal", "arguments", "input"]
                            .iter()
                            .find_map(|name| value[*name].as_str());
                        assert_eq!(whole, Some(so_far.as_str()), "{name}");
                    }
                    None => {}
                }
            }
        }
    }
    let first = &values[0];
    assert_eq!(first["type"], "response.created");
    let last = values.last().expect("events");
    for response in values.iter().filter_map(|value| value.get("response")) {
        assert_eq!(response["id"], first["response"]["id"]);
        for name in REQUIRED {
            assert!(response.get(name).is_some(), "{name} in {}", last["type"]);
        }
    }
    let output = last["response"]["output"].as_array().expect("output").clone();
    assert_eq!(output.len(), done.len());
    assert!(done.iter().all(|item| output.contains(item)), "{output:?}");
    last["response"].clone()
}

#[test]
fn p91_a_stream_of_another_dialect_has_the_events_of_this_one() {
    let request = json!({"model": "m", "input": "x", "include": ["reasoning.encrypted_content"]});
    let mut stream = ResponseStream::new(head(&request));
    let events = written(&mut stream, &rich());
    let response = check(&events);
    assert_eq!(
        types(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert_eq!(
        response["output"],
        json!([
            {"type": "reasoning", "id": "rs_abc_0", "summary": [{"type": "summary_text", "text": "hm"}],
                "encrypted_content": "cbt1:anthropic-messages:t:sig=="},
            {"type": "message", "id": "msg_abc_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "Grüße", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_abc_2", "status": "completed", "call_id": "toolu_1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call", "id": "fc_abc_3", "status": "completed", "call_id": "toolu_2", "name": "g", "arguments": "{}"}])
    );
    assert_eq!(response["usage"]["input_tokens"], 9);
    assert_eq!(stream.response().value(), response);
    assert!(stream.losses().is_empty());
    let added = values(&events);
    assert_eq!(added[16]["item"]["arguments"], "");
    assert_eq!(added[16]["item"]["status"], "in_progress");
}

#[test]
fn the_stream_and_the_whole_answer_are_one_object() {
    let head = head(&json!({"model": "m", "input": "x", "store": false}));
    let mut stream = ResponseStream::new(head.clone());
    written(&mut stream, &rich());
    let reply = testkit::fold(&rich());
    assert_eq!(stream.response().value(), json_of(&response(&reply, &head).body));
}

#[test]
fn thoughts_of_open_models_are_content() {
    let mut head = head(&json!({"model": "m", "input": "x"}));
    head.thoughts = Thoughts::Content;
    let mut stream = ResponseStream::new(head);
    let mut events =
        vec![started(), opened(0, Opened::Reasoning), delta(0, Delta::Reasoning("hm".into())), closed(0)];
    events.extend(ended(Finish::Stop));
    let events = written(&mut stream, &events);
    let response = check(&events);
    assert!(types(&events).contains(&"response.reasoning_text.delta"));
    assert_eq!(
        response["output"],
        json!([{"type": "reasoning", "id": "rs_abc_0", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}])
    );
}

#[test]
fn a_cut_answer_is_incomplete_and_so_is_its_last_item() {
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x"})));
    let mut events =
        vec![started(), opened(0, Opened::Message), delta(0, Delta::Text("ha".into())), closed(0)];
    events.extend(ended(Finish::Length));
    let events = written(&mut stream, &events);
    let response = check(&events);
    assert_eq!(events.last().map(|event| &*event.name), Some("response.incomplete"));
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[test]
fn p96_p97_a_broken_answer_says_so_and_completes_nothing() {
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x"})));
    let fault = Fault::upstream(Code::UpstreamBadResponse, "The upstream broke off.").because("secret host");
    let events = [
        started(),
        opened(0, Opened::Message),
        delta(0, Delta::Text("half".into())),
        closed(0),
        tool(1, "c", "f"),
        delta(1, Delta::Arguments("{\"a\"".into())),
        Event::Usage(Usage::from_inclusive(9, 0, 4, 0)),
        Event::Failed(fault),
        Event::Finished,
    ];
    let events = written(&mut stream, &events);
    let names = types(&events);
    assert_eq!(names[names.len() - 2..], ["error", "response.failed"]);
    assert_eq!(
        names.iter().filter(|name| **name == "response.output_item.done").count(),
        1,
        "only what was done"
    );
    assert!(!names.contains(&"response.function_call_arguments.done"));
    let values = values(&events);
    let error = &values[values.len() - 2];
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("upstream_bad_response"), &json!("The upstream broke off."))
    );
    let failed = &values[values.len() - 1]["response"];
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));
    assert_eq!(
        (&failed["usage"]["total_tokens"], failed["output"].as_array().map(Vec::len)),
        (&json!(13), Some(1))
    );
    assert!(!format!("{values:?}").contains("secret"));
}

#[test]
fn a_background_response_waits_and_one_of_several_replies_is_one_stream() {
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x", "background": true})));
    let mut out = Vec::new();
    stream.queue(&mut out);
    assert_eq!(types(&out), ["response.created", "response.queued"]);
    assert_eq!(stream.response().value()["status"], "queued");
    stream.begin(&mut out);
    // A first reply asks for a tool of the gateway; its end is not the response's.
    for event in [started(), tool(0, "c", "search"), delta(0, Delta::Arguments("{}".into())), closed(0)] {
        stream.push(&event, &mut out);
    }
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "found"});
    stream.item(&decode_item(&Raw::from(&result)).expect("an item"), &mut out);
    assert_eq!(stream.response().value()["status"], "in_progress");
    for event in [started(), opened(0, Opened::Message), delta(0, Delta::Text("so".into())), closed(0)] {
        stream.push(&event, &mut out);
    }
    stream.completed_at(1_700_000_005);
    ended(Finish::Stop).iter().for_each(|event| stream.push(event, &mut out));
    let response = check(&out);
    let ids: Vec<&str> =
        response["output"].as_array().expect("items").iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(ids, ["fc_abc_0", "fco_abc_1", "msg_abc_2"]);
    assert_eq!(response["completed_at"], 1_700_000_005);
    assert_eq!(types(&out).iter().filter(|name| **name == "response.in_progress").count(), 1);
}

#[test]
fn a_response_that_is_called_off_says_what_was_done() {
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x"})));
    let mut out = written(&mut stream, &rich()[..10]);
    stream.cancel(&mut out);
    stream.push(&Event::Finished, &mut out);
    let last = values(&out).pop().expect("events");
    assert_eq!(
        (&last["type"], &last["response"]["status"]),
        (&json!("response.cancelled"), &json!("cancelled"))
    );
}

#[test]
fn empty_beginnings_of_other_hosts_are_no_items() {
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x"})));
    let mut events =
        vec![started(), opened(0, Opened::Message), closed(0), opened(1, Opened::Reasoning), closed(1)];
    events.extend([tool(2, "c", "f"), delta(2, Delta::Arguments("{}".into())), closed(2)]);
    events.extend(ended(Finish::ToolCalls));
    let response = check(&written(&mut stream, &events));
    assert_eq!(response["output"].as_array().map(Vec::len), Some(1));
    assert_eq!(response["output"][0]["id"], "fc_abc_0");
}

#[test]
fn interleaved_items_keep_their_places() {
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x"})));
    let mut events = vec![
        started(),
        tool(0, "a", "f"),
        delta(0, Delta::Arguments("{".into())),
        tool(1, "b", "g"),
        delta(1, Delta::Arguments("{}".into())),
        delta(0, Delta::Arguments("}".into())),
        closed(1),
        closed(0),
    ];
    events.extend(ended(Finish::ToolCalls));
    let response = check(&written(&mut stream, &events));
    assert_eq!(response["output"][0]["call_id"], "a");
    assert_eq!(response["output"][1]["call_id"], "b");
}

#[test]
fn a_custom_tools_input_is_said_when_it_is_whole() {
    let request = json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "sql"}]});
    let mut stream = ResponseStream::new(head(&request));
    let mut events = vec![started(), tool(0, "c", "sql")];
    events.extend(["{\"inp", "ut\":\"select", " 1\"}"].map(|piece| delta(0, Delta::Arguments(piece.into()))));
    events.push(closed(0));
    events.extend(ended(Finish::ToolCalls));
    let events = written(&mut stream, &events);
    let response = check(&events);
    assert_eq!(
        types(&events)[3..5],
        ["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"]
    );
    assert_eq!(response["output"][0]["input"], "select 1");
    assert_eq!(response["output"][0]["id"], "ctc_abc_0");
}

/// What a host of this dialect says of a search goes on under our numbers.
#[test]
fn events_of_the_hosts_own_tools_go_on() {
    let wire = [
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "model": "there", "output": []}}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
            "item": {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}}),
        json!({"type": "response.web_search_call.searching", "sequence_number": 9, "output_index": 0, "item_id": "ws_1"}),
        json!({"type": "response.output_item.done", "sequence_number": 3, "output_index": 0,
            "item": {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}}),
        json!({"type": "response.output_item.added", "sequence_number": 4, "output_index": 1,
            "item": {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}}),
        json!({"type": "response.content_part.added", "output_index": 1, "content_index": 0, "item_id": "msg_1",
            "part": {"type": "output_text", "text": "", "annotations": []}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "item_id": "msg_1", "delta": "yes"}),
        json!({"type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0, "item_id": "msg_1",
            "annotation_index": 0, "annotation": {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": {"type": "message", "id": "msg_1",
            "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "yes", "annotations": [
            {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}]}]}}),
        json!({"type": "response.completed", "response": {"id": "r", "object": "response", "model": "there", "status": "completed",
            "output": []}}),
    ];
    let bytes: String = wire.iter().map(|event| format!("data: {event}\n\n")).collect();
    let events = testkit::read_all(OpenAiResponses.stream_decoder(), bytes.as_bytes()).expect("a stream");
    testkit::check_order(&events);
    let mut stream = ResponseStream::new(head(&json!({"model": "m", "input": "x"})));
    let out = written(&mut stream, &events);
    let response = check(&out);
    let names = types(&out);
    assert_eq!(names[3], "response.web_search_call.searching");
    assert!(names.contains(&"response.output_text.annotation.added"));
    assert_eq!(response["output"][0], wire[3]["item"]);
    assert_eq!(response["output"][1]["content"][0]["annotations"][0]["url"], "u");
    assert_eq!(response["output"][1]["id"], "msg_1");
}

/// A host that forgets deltas, beginnings or items is understood by what it says whole.
#[test]
fn what_a_host_forgot_is_made_up_for() {
    let message = json!({"type": "message", "id": "m", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": "whole", "annotations": []}]});
    let call = json!({"type": "function_call", "id": "f", "status": "completed", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"});
    let created = json!({"type": "response.created", "response": {"id": "r", "model": "m"}});
    let completed = |output: Value| {
        json!({"type": "response.completed", "response": {"id": "r", "object": "response",
        "model": "m", "status": "completed", "output": output}})
    };
    let done = |index: u32, item: &Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let text = |piece: &str| json!({"type": "response.output_text.delta", "output_index": 0, "delta": piece});
    for wire in [
        vec![created.clone(), completed(json!([message, call]))],
        vec![created.clone(), done(0, &message), done(1, &call), completed(json!([]))],
        vec![created, text("wh"), done(0, &message), done(1, &call), completed(json!([message, call]))],
        vec![text("whole"), completed(json!([message, call]))],
    ] {
        let bytes: String = wire.iter().map(|event| format!("data: {event}\n\n")).collect();
        let events = testkit::read_all(OpenAiResponses.stream_decoder(), bytes.as_bytes()).expect("a stream");
        testkit::check_order(&events);
        let said: String = events
            .iter()
            .filter_map(|event| match event {
                Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, "whole{\"a\":1}", "{bytes}");
        let reply = testkit::fold(&events);
        assert_eq!(reply.candidates[0].finish, Some(Finish::ToolCalls));
        assert_eq!(reply.candidates[0].items.len(), 2);
    }
}

#[test]
fn errors_in_a_stream_have_their_class() {
    let created = json!({"type": "response.created", "response": {"id": "r", "model": "m"}});
    for (event, code, usage) in [
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null}),
            Code::RateLimited,
            false,
        ),
        (
            json!({"type": "error", "error": {"code": "server_error", "message": "x"}}),
            Code::UpstreamError,
            false,
        ),
        (
            json!({"error": {"code": "context_length_exceeded", "message": "x"}}),
            Code::ContextLengthExceeded,
            false,
        ),
        (
            json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "x"},
            "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}}),
            Code::UpstreamError,
            true,
        ),
        (json!({"type": "response.failed", "response": {}}), Code::UpstreamError, false),
    ] {
        let bytes = format!("data: {created}\n\ndata: {event}\n\ndata: {created}\n\n");
        let events = testkit::read_all(OpenAiResponses.stream_decoder(), bytes.as_bytes()).expect("read");
        let Some(Event::Failed(fault)) = events.last() else { panic!("{events:?}") };
        assert_eq!(fault.code, code, "{event}");
        assert_eq!(events.iter().any(|event| matches!(event, Event::Usage(_))), usage, "{event}");
    }
    let cut = format!("data: {created}\n\n");
    let fault = testkit::read_all(OpenAiResponses.stream_decoder(), cut.as_bytes()).expect_err("cut off");
    assert_eq!(fault.code, Code::UpstreamBadResponse);
}

#[test]
fn frames_are_named_and_end_as_open_responses_wants() {
    let mut encoder =
        OpenAiResponses.stream_encoder(&crate::ReplyContext { id: "resp_1", ..Default::default() });
    let mut out = Vec::new();
    rich().iter().for_each(|event| encoder.push(event, &mut out));
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.starts_with("event: response.created\ndata: {"));
    assert!(text.ends_with("\n\ndata: [DONE]\n\n"));
    for frame in text.split_terminator("\n\n").filter(|frame| !frame.ends_with("[DONE]")) {
        let (name, data) = frame.split_once('\n').expect("two lines");
        let value = json_of(data.strip_prefix("data: ").expect("data").as_bytes());
        assert_eq!(name.strip_prefix("event: "), value["type"].as_str());
    }
    let chat = codec(Dialect::OpenAiChat).dialect();
    assert_ne!(chat, OpenAiResponses.dialect());
}

proptest! {
    /// Whatever a host of another dialect says in whatever pieces, the stream keeps its promises and is the
    /// whole answer.
    #[test]
    fn any_answer_keeps_the_promises(
        items in prop::collection::vec((0_u8..4, prop::collection::vec(".{0,6}", 0..4)), 0..5),
        finish in 0_u8..3,
    ) {
        let mut events = vec![started()];
        for (index, (kind, pieces)) in items.iter().enumerate() {
            let item = u32::try_from(index).expect("few");
            let (what, say): (Opened, fn(String) -> Delta) = match kind {
                0 => (Opened::Message, Delta::Text),
                1 => (Opened::Reasoning, Delta::Reasoning),
                2 => (Opened::Message, Delta::Refusal),
                _ => (Opened::ToolCall { id: format!("c{index}").into(), name: "f".into() }, Delta::Arguments),
            };
            events.push(opened(item, what));
            events.extend(pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| delta(item, say(piece.clone()))));
            events.push(closed(item));
        }
        events.extend(ended([Finish::Stop, Finish::Length, Finish::ContentFilter][usize::from(finish)].clone()));
        let head = head(&json!({"model": "m", "input": "x"}));
        let mut stream = ResponseStream::new(head.clone());
        let out = written(&mut stream, &events);
        let last = check(&out);
        let reply = testkit::fold(&events);
        prop_assert_eq!(last, json_of(&response(&reply, &head).body));
    }
}
