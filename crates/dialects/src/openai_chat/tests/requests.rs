//! Requests: validation, accents of hosts, the pass-through edits.

use super::{able, read, write, write_to};
use crate::{
    MaxTokensField, Quirks,
    openai_chat::passthrough::{Changes, Output, Request},
};
use bytes::Bytes;
use domain::{Capabilities, Code, Effort};
use serde_json::{Value, json};

fn user(content: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[test]
fn what_is_wrong_is_refused_with_the_place() {
    let tool =
        |function: Value| with(user("x"), "tools", json!([{"type": "function", "function": function}]));
    let message = |message: Value| json!({"model": "m", "messages": [message]});
    let cases = [
        (json!({"messages": [{"role": "user", "content": "x"}]}), None, "lacks `model`"),
        (json!({"model": "m"}), None, "lacks `messages`"),
        (json!({"model": "m", "messages": []}), Some("messages"), "at least one message"),
        (
            json!({"model": 3, "messages": [{"role": "user", "content": "x"}]}),
            Some("model"),
            "must be a text",
        ),
        (message(json!({"content": "x"})), Some("messages[0]"), "lacks `role`"),
        (message(json!({"role": "robot", "content": "x"})), Some("messages[0].role"), "must be `system`"),
        (message(json!({"role": "user", "content": 7})), Some("messages[0].content"), "a text or a list"),
        (message(json!({"role": "user"})), Some("messages[0]"), "lacks `content`"),
        // P11
        (message(json!({"role": "tool", "content": "x"})), Some("messages[0]"), "lacks `tool_call_id`"),
        (
            message(json!({"role": "assistant", "tool_calls": [{"id": "", "type": "function",
                "function": {"name": "f", "arguments": "{}"}}]})),
            Some("messages[0].tool_calls[0]"),
            "lacks `id`",
        ),
        // P12
        (tool(json!({"name": ""})), Some("tools[0]"), "function.name"),
        (tool(json!({"name": "a b"})), Some("tools[0]"), "function.name"),
        (tool(json!({"name": "f", "parameters": "{}"})), Some("tools[0].function.parameters"), "JSON schema"),
        (with(user("x"), "n", json!(0)), Some("n"), "at least 1"),
        (with(user("x"), "stream", json!("yes")), Some("stream"), "true or false"),
        (with(user("x"), "max_tokens", json!(-1)), Some("max_tokens"), "whole number"),
        (with(user("x"), "temperature", json!("hot")), Some("temperature"), "a number"),
        (with(user("x"), "tool_choice", json!("maybe")), Some("tool_choice"), "`auto`"),
        (
            with(user("x"), "response_format", json!({"type": "json_schema"})),
            Some("response_format"),
            "lacks",
        ),
        (with(user("x"), "response_format", json!({})), Some("response_format"), "lacks `type`"),
    ];
    for (body, param, want) in cases {
        let fault = read(&body).expect_err(want);
        assert_eq!(fault.code, Code::InvalidRequest, "{body}");
        assert!(fault.message.contains(want), "{body}: {}", fault.message);
        assert_eq!(fault.param.as_deref(), param, "{body}");
    }
}

#[test]
fn p10_half_a_tool_call_is_carried() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function",
            "function": {"name": "f", "arguments": "{\"a\": [1, 2"}}]}]});
    assert_eq!(write(&body, Quirks::default()), body);
}

#[test]
fn p20_a_named_choice_passes() {
    let body = with(
        with(user("x"), "tools", json!([{"type": "function", "function": {"name": "f"}}])),
        "tool_choice",
        json!({"type": "function", "function": {"name": "f"}}),
    );
    assert_eq!(write(&body, Quirks::default()), body);
}

#[test]
fn p21_p22_p23_what_mistral_wants() {
    let body = json!({"model": "m", "messages": [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": "x", "name": "ann"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call_abc-123", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "abcDEF123", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_abc-123", "content": "1"},
        {"role": "tool", "tool_call_id": "abcDEF123", "content": "2"},
        {"role": "user", "content": "and?"}]});
    let quirks = Quirks {
        short_tool_ids: true,
        assistant_between_tool_and_user: true,
        no_message_name: true,
        no_developer_role: true,
        ..Quirks::default()
    };
    let got = write(&body, quirks);
    let messages = got["messages"].as_array().expect("messages");
    let short = messages[2]["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(short.len() == 9 && short.bytes().all(|b| b.is_ascii_alphanumeric()), "{short}");
    assert_eq!(messages[3]["tool_call_id"], short);
    assert_eq!(messages[4]["tool_call_id"], "abcDEF123");
    assert_eq!(messages[5], json!({"role": "assistant", "content": ""}));
    assert_eq!(messages[0]["role"], "system");
    assert_eq!(messages[1], json!({"role": "user", "content": "x"}));
}

#[test]
fn p47_p48_the_limit_is_called_what_the_host_wants() {
    for name in ["max_tokens", "max_completion_tokens"] {
        let body = with(user("x"), name, json!(500));
        for (field, want) in [
            (MaxTokensField::AsGiven, name),
            (MaxTokensField::MaxTokens, "max_tokens"),
            (MaxTokensField::MaxCompletionTokens, "max_completion_tokens"),
        ] {
            let quirks = Quirks { max_tokens_field: field, ..Quirks::default() };
            assert_eq!(write(&body, quirks), with(user("x"), want, json!(500)));
            let request = Request::scan(Bytes::from(body.to_string())).expect("a request");
            let edited = request.edit(&Changes { max_tokens_field: field, ..Changes::default() });
            let edited: Value = serde_json::from_slice(&edited.to_bytes()).expect("JSON");
            assert_eq!(edited, with(user("x"), want, json!(500)));
        }
    }
}

#[test]
fn what_the_target_cannot_do_is_refused_or_a_named_loss() {
    let can = |change: fn(&mut Capabilities)| {
        let mut capabilities = able();
        change(&mut capabilities);
        capabilities
    };
    let n = with(user("x"), "n", json!(2));
    let fault = write_to(&n, Quirks::default(), &can(|c| c.candidates = false)).expect_err("n of 2");
    assert_eq!((fault.code, fault.param.as_deref()), (Code::UnsupportedParameter, Some("n")));
    let image = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}]});
    assert!(write_to(&image, Quirks::default(), &can(|c| c.vision = false)).is_err());
    let quirks = Quirks { no_image_urls: true, ..Quirks::default() };
    assert!(write_to(&image, quirks, &able()).is_err());
    let hot = with(user("x"), "temperature", json!(1));
    assert_eq!(write_to(&hot, Quirks::default(), &can(|c| c.sampling = false)), Ok(user("x")));
}

#[test]
fn the_scan_reads_what_decides_where_a_call_may_go() {
    let body = json!({"model": "gpt-\u{e9}", "stream": true, "n": 2, "max_tokens": 9, "store": true,
        "reasoning_effort": "low", "logprobs": true, "parallel_tool_calls": true, "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}],
        "tool_choice": "required",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "\"type\":\"file\""},
            {"image_url": {"url": "https://x/y.png"}, "type": "image_url"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1"}}]},
            {"role": "assistant", "content": "x"}]});
    let request = Request::scan(Bytes::from(body.to_string())).expect("a request");
    let features = request.features();
    assert_eq!(request.model(), "gpt-\u{e9}");
    assert_eq!(
        (request.messages(), request.candidates(), request.max_output_tokens()),
        (2, Some(2), Some(9))
    );
    assert!(request.stream() && !request.include_usage());
    assert!(features.tools && features.server_tools && features.forced_tool && features.parallel_tools);
    assert!(features.images && features.image_urls && features.audio && features.files);
    assert!(features.store && features.provider_ids && features.logprobs && features.sampling);
    assert!(features.prefill && !features.other_parts && !features.custom_tools && !features.cache);
    assert_eq!((features.output, features.effort), (Output::JsonSchema, Some(Effort::Low)));

    let escaped = br#"{"mod\u0065l":"gp\u0074","messages":[{"role":"user","content":"x"}]}"#;
    let request = Request::scan(Bytes::from_static(escaped)).expect("a request");
    assert_eq!(request.model(), "gpt");
    let edited = request.edit(&Changes { model: Some("q\"x"), ..Changes::default() }).to_bytes();
    assert_eq!(&edited[..], &br#"{"mod\u0065l":"q\"x","messages":[{"role":"user","content":"x"}]}"#[..]);
}

#[test]
fn thoughts_of_an_earlier_answer_are_seen_however_their_key_is_written() {
    for (key, there) in [
        ("reasoning_details", true),
        ("reasoning_\\u0064etails", true),
        ("reasoning", false),
        ("content\":\"say \\\"reasoning_details\\\"\",\"x", false),
    ] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"assistant","{key}":[]}}]}}"#);
        let request = Request::scan(Bytes::from(body.clone())).expect("a request");
        assert_eq!(request.features().thoughts, there, "{body}");
    }
}

#[test]
fn duplicate_keys_that_hide_something_are_refused() {
    for body in [
        r#"{"model":"a","messages":[{"role":"user","content":"x"}],"model":"b"}"#,
        r#"{"model":"a","messages":[{"role":"user","role":"system","content":"x"}]}"#,
        r#"{"model":"a","messages":[{"role":"user","content":[{"type":"text","type":"file","text":"x"}]}]}"#,
        r#"{"model":"a","tools":[{"type":"function","function":{"name":"a","name":"b"}}],"messages":[{"role":"user","content":"x"}]}"#,
    ] {
        let fault = Request::scan(Bytes::from_static(body.as_bytes())).expect_err(body);
        assert_eq!(fault.code, Code::InvalidJson, "{body}");
        assert!(fault.message.contains("duplicate key"), "{}", fault.message);
    }
}

#[test]
fn only_the_edits_change_the_bytes() {
    let cases = [
        (
            r#"{ "model" : "a",  "messages":[{"role":"user","content":"x"}] , "stream":true}"#,
            r#"{ "stream_options":{"include_usage":true},"model" : "b",  "messages":[{"role":"user","content":"x"}] , "stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":null,"model":"a","messages":[{"role":"user","content":"x"}]}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"b","messages":[{"role":"user","content":"x"}]}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ },"model":"a","messages":[{"role":"user","content":"x"}]}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true },"model":"b","messages":[{"role":"user","content":"x"}]}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"a":1},"model":"a","messages":[{"role":"user","content":"x"}]}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"a":1},"model":"b","messages":[{"role":"user","content":"x"}]}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false},"model":"a","messages":[{"role":"user","content":"x"}],"max_tokens":9000}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"b","messages":[{"role":"user","content":"x"}],"max_tokens":4096}"#,
        ),
    ];
    let changes = Changes {
        model: Some("b"),
        include_usage: true,
        max_output_tokens: Some(4_096),
        ..Changes::default()
    };
    for (body, want) in cases {
        let request = Request::scan(Bytes::from_static(body.as_bytes())).expect(body);
        assert_eq!(request.edit(&changes).to_bytes(), want);
        assert_eq!(request.edit(&Changes::default()).to_bytes(), body);
    }
}
