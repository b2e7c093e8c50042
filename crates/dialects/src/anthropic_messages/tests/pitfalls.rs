//! Calls of OpenAI's dialect written for Anthropic: the pitfalls by their numbers.

use super::super::AnthropicMessages;
use crate::{
    Codec as _, Envelope, Quirks, ReplyContext, Target, WireErrorKind,
    testkit::{self, Chat, calls, encoded, target, tool},
};
use domain::{
    Bag, Call, Capabilities, Code, Dialect, Effort, Fault, Finish, ItemKind, LogprobOptions, Media,
    MediaSource, OutputFormat, Part, PartKind, Raw, Reasoning, ReasoningControl, ReasoningOptions, Role,
    Signature, StreamOptions, ToolChoice,
};
use serde_json::{Value, json};

fn write(call: &Call) -> (Value, String) {
    encoded(&AnthropicMessages, call, &target("claude-x", &Capabilities::default()))
}

fn write_for(call: &Call, can: &Capabilities) -> (Value, String) {
    encoded(&AnthropicMessages, call, &target("claude-x", can))
}

fn refused(call: &Call, can: &Capabilities) -> Fault {
    AnthropicMessages.encode_call(call, &target("claude-x", can)).expect_err("refused")
}

fn ask() -> Chat {
    Chat::new().says(Role::User, &["hi"])
}

fn with_tools(choice: Option<ToolChoice>, parallel: Option<bool>) -> Value {
    let mut call = ask().0;
    call.tools = vec![tool("look")];
    call.tool_choice = choice;
    call.parallel_tool_calls = parallel;
    write(&call).0
}

fn media(kind: fn(Media) -> PartKind, source: MediaSource, mime: Option<&str>, name: Option<&str>) -> Part {
    Part::new(kind(Media { source, mime: mime.map(Into::into), name: name.map(Into::into) }), 0)
}

fn thought(text: &str, proof: Option<(Dialect, &str)>, redacted: bool) -> ItemKind {
    let signature = proof.map(|(dialect, data)| Signature { dialect, data: data.into() });
    ItemKind::Reasoning(Reasoning { text: text.into(), signature, redacted })
}

#[test]
fn golden_a_conversation_with_everything() {
    let mut call = Chat::new()
        .says(Role::System, &["Be brief.", "Be kind."])
        .says(Role::User, &["What is the weather in Paris and Rome?"])
        .assistant(vec![
            thought("hm", Some((Dialect::AnthropicMessages, "c2ln")), false),
            calls("call_a", "weather", r#"{"city":"Paris"}"#),
            calls("call_b", "weather", r#"{"city":"Rome"}"#),
        ])
        .result("call_b", "rain")
        .result("call_a", "sun")
        .says(Role::User, &["And?"])
        .0;
    call.tools = vec![tool("weather")];
    call.tool_choice = Some(ToolChoice::Auto);
    call.options.temperature = serde_json::Number::from_f64(0.5);
    call.options.stop = vec!["END".into(), " ".into()];
    call.options.end_user = Some("u1".into());
    call.stream = Some(StreamOptions { include_usage: true });
    let (body, losses) = write(&call);
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!("chat_to_anthropic", body);
    });
    assert_eq!(losses, "stop");
}

#[test]
fn p01_p02_p06_results_stand_first_in_one_message_in_the_order_of_the_calls() {
    let call = ask()
        .assistant(vec![calls("a", "look", "{}"), calls("b", "look", "{}")])
        .result("b", "two")
        .result("a", "one")
        .says(Role::User, &["so?"])
        .0;
    let (body, _) = write(&call);
    let roles: Vec<_> =
        body["messages"].as_array().expect("list").iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(body["messages"][1]["content"].as_array().map(Vec::len), Some(2), "tool calls only");
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "a", "content": "one"},
            {"type": "tool_result", "tool_use_id": "b", "content": "two"},
            {"type": "text", "text": "so?"},
        ])
    );
}

#[test]
fn p08_blank_texts_are_left_out() {
    let (body, _) = write(&Chat::new().says(Role::User, &["hi", " \n"]).0);
    assert_eq!(body["messages"][0]["content"], json!([{"type": "text", "text": "hi"}]));
}

#[test]
fn p09_p10_arguments_are_always_an_object() {
    for (given, wanted, lost) in [
        ("", json!({}), ""),
        (r#"{"a":1}"#, json!({"a": 1}), ""),
        (r#"{"a":"#, json!({"_arguments": "{\"a\":"}), "messages.tool_calls.arguments"),
        ("[1]", json!({"_arguments": "[1]"}), "messages.tool_calls.arguments"),
    ] {
        let call = ask().assistant(vec![calls("a", "look", given)]).result("a", "x").0;
        let (body, losses) = write(&call);
        assert_eq!(body["messages"][1]["content"][0]["input"], wanted);
        assert_eq!(losses, lost);
    }
}

#[test]
fn p12_a_tool_without_a_name_is_the_callers_fault() {
    let mut call = ask().0;
    call.tools = vec![tool(" ")];
    let fault = refused(&call, &Capabilities::default());
    assert_eq!((fault.code, fault.param.as_deref()), (Code::InvalidRequest, Some("tools[0].function.name")));
}

#[test]
fn p13_p14_p15_p16_tool_choices() {
    assert_eq!(with_tools(None, None)["tool_choice"], Value::Null);
    assert_eq!(with_tools(Some(ToolChoice::None), None)["tool_choice"], json!({"type": "none"}));
    assert_eq!(with_tools(Some(ToolChoice::None), Some(false))["tool_choice"], json!({"type": "none"}));
    assert_eq!(
        with_tools(None, Some(false))["tool_choice"],
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
    assert_eq!(with_tools(Some(ToolChoice::Required), None)["tool_choice"], json!({"type": "any"}));
    assert_eq!(
        with_tools(Some(ToolChoice::Named("look".into())), Some(false))["tool_choice"],
        json!({"type": "tool", "name": "look", "disable_parallel_tool_use": true})
    );
}

#[test]
fn p18_a_choice_that_cannot_be_forced_is_a_loss() {
    let mut call = ask().0;
    call.tools = vec![tool("look")];
    call.tool_choice = Some(ToolChoice::Required);
    let can = Capabilities { forced_tools: false, ..Capabilities::default() };
    let (body, losses) = write_for(&call, &can);
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert_eq!(losses, "tool_choice");
}

#[test]
fn p33_p34_p36_system_messages_are_hoisted_in_order() {
    let call = Chat::new()
        .says(Role::Developer, &["one", "two"])
        .says(Role::User, &["hi"])
        .says(Role::System, &["three"])
        .says(Role::User, &["there"])
        .0;
    let (body, losses) = write(&call);
    let texts: Vec<_> = body["system"].as_array().expect("list").iter().map(|b| b["text"].clone()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1), "neighbours of one role are one message");
    assert_eq!(losses, "messages.system_position");
}

#[test]
fn p35_a_begun_answer_goes_last_without_its_flag() {
    let mut call = ask().says(Role::Assistant, &["Sure: "]).0;
    call.turns[1].bag.put(Dialect::OpenAiChat, "prefix", Raw::parse("true").expect("JSON"));
    let can = Capabilities { prefill: true, ..Capabilities::default() };
    let (body, losses) = write_for(&call, &can);
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": [{"type": "text", "text": "Sure:"}]})
    );
    assert_eq!(losses, "");
    let fault = refused(&call, &Capabilities::default());
    assert_eq!(
        (fault.code, fault.param.as_deref()),
        (Code::UnsupportedParameter, Some("messages[1].prefix"))
    );
}

#[test]
fn p37_cache_marks_are_carried_to_blocks_results_and_tools() {
    let mark = Raw::parse(r#"{"type":"ephemeral"}"#).expect("JSON");
    let mut bag = Bag::new();
    bag.put(Dialect::OpenAiChat, "cache_control", mark);
    let mut part = Part::text("long", 0);
    part.bag = bag.clone();
    let mut call = Chat::new()
        .parts(Role::User, vec![part])
        .assistant(vec![calls("a", "look", "{}")])
        .result("a", "x")
        .0;
    call.turns[2].bag = bag.clone();
    let mut marked = tool("look");
    marked.bag = bag;
    call.tools = vec![marked];
    let (body, losses) = write(&call);
    let wanted = json!({"type": "ephemeral"});
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], wanted);
    assert_eq!(body["messages"][2]["content"][0]["cache_control"], wanted);
    assert_eq!(body["tools"][0]["cache_control"], wanted);
    assert_eq!(losses, "");
}

#[test]
fn p39_p82_what_has_no_field_is_a_named_loss_and_not_sent() {
    let mut call = ask().0;
    for name in ["prompt_cache_key", "logit_bias", "metadata"] {
        call.bag.put(Dialect::OpenAiChat, name, Raw::parse("{}").expect("JSON"));
    }
    call.options.seed = Some(7.into());
    call.options.logprobs = Some(LogprobOptions { top: None });
    call.options.store = Some(true);
    call.options.service_tier = Some("flex".into());
    let (body, losses) = write(&call);
    assert_eq!(losses, "logit_bias, metadata, prompt_cache_key, seed, logprobs, store, service_tier");
    let names: std::collections::BTreeSet<_> = body.as_object().expect("object").keys().cloned().collect();
    assert_eq!(Vec::from_iter(names), ["max_tokens", "messages", "model"]);
}

#[test]
fn p42_p44_images_by_url_and_bytes() {
    let url = MediaSource::Url("https://x.test/a.png".into());
    let bytes = |mime| media(PartKind::Image, MediaSource::Base64("AAAA".into()), Some(mime), None);
    let parts = vec![media(PartKind::Image, url, None, None), bytes("image/jpg"), bytes("image/webp;x=y")];
    let (body, _) = write(&Chat::new().parts(Role::User, parts).0);
    let sources: Vec<_> = body["messages"][0]["content"]
        .as_array()
        .expect("list")
        .iter()
        .map(|b| b["source"].clone())
        .collect();
    assert_eq!(
        sources,
        [
            json!({"type": "url", "url": "https://x.test/a.png"}),
            json!({"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}),
            json!({"type": "base64", "media_type": "image/webp", "data": "AAAA"}),
        ]
    );
    let fault =
        refused(&Chat::new().parts(Role::User, vec![bytes("image/tiff")]).0, &Capabilities::default());
    assert_eq!(
        (fault.code, fault.param.as_deref()),
        (Code::UnsupportedParameter, Some("messages[0].content"))
    );
    let blind = Capabilities { vision: false, ..Capabilities::default() };
    let fault = refused(&Chat::new().parts(Role::User, vec![bytes("image/png")]).0, &blind);
    assert_eq!(fault.param.as_deref(), Some("messages[0].content[0]"));
}

#[test]
fn p45_documents_as_pdf_or_text_and_foreign_file_ids_refused() {
    let pdf =
        media(PartKind::Document, MediaSource::Base64("JVBE".into()), Some("application/pdf"), Some("a.pdf"));
    let text = media(PartKind::Document, MediaSource::Base64("aGk=".into()), Some("text/plain"), None);
    let (body, _) = write(&Chat::new().parts(Role::User, vec![pdf, text]).0);
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "document", "title": "a.pdf",
             "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        ])
    );
    let file = media(PartKind::Document, MediaSource::FileId("file-1".into()), None, None);
    let fault = refused(&Chat::new().parts(Role::User, vec![file]).0, &Capabilities::default());
    assert_eq!(fault.code, Code::UnsupportedParameter);
}

#[test]
fn p46_the_limit_is_filled_in() {
    assert_eq!(write(&ask().0).0["max_tokens"], 4_096);
    let can = Capabilities { max_output_tokens: 9_000, ..Capabilities::default() };
    assert_eq!(write_for(&ask().0, &can).0["max_tokens"], 9_000);
    let mut call = ask().0;
    call.options.max_output_tokens = Some(5);
    assert_eq!(write_for(&call, &can).0["max_tokens"], 5);
}

#[test]
fn p49_p50_p51_sampling_and_candidates() {
    let mut call = ask().0;
    call.options.temperature = serde_json::Number::from_f64(1.5);
    call.options.stop = (0..6).map(|n| format!("s{n}")).collect();
    call.options.stop.push(String::new());
    let (body, losses) = write(&call);
    assert_eq!(body["temperature"], 1.0);
    assert_eq!(body["stop_sequences"].as_array().map(Vec::len), Some(6));
    assert_eq!(losses, "temperature, stop");
    let still = Capabilities { sampling: false, ..Capabilities::default() };
    assert_eq!(write_for(&call, &still).0["temperature"], Value::Null);
    call.options.candidates = Some(2);
    let fault = refused(&call, &Capabilities::default());
    assert_eq!((fault.code, fault.param.as_deref()), (Code::UnsupportedParameter, Some("n")));
}

fn thinking(effort: Effort, control: ReasoningControl, limit: Option<u64>) -> Result<(Value, String), Fault> {
    let mut call = ask().0;
    call.options.reasoning = Some(ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() });
    call.options.max_output_tokens = limit;
    call.options.temperature = serde_json::Number::from_f64(0.5);
    let can = Capabilities { reasoning: control, ..Capabilities::default() };
    let encoded = AnthropicMessages.encode_call(&call, &target("claude-x", &can))?;
    Ok((serde_json::from_slice(&encoded.body).expect("JSON"), encoded.losses.to_string()))
}

#[test]
fn p52_effort_becomes_a_budget_or_adaptive_thinking() {
    let (body, losses) = thinking(Effort::Medium, ReasoningControl::Budget, None).expect("written");
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 8_192}));
    assert_eq!(body["max_tokens"], 8_192 + 4_096);
    assert_eq!((losses.as_str(), &body["temperature"]), ("temperature", &Value::Null));
    let (body, _) = thinking(Effort::High, ReasoningControl::Budget, Some(4_000)).expect("written");
    assert_eq!((&body["thinking"]["budget_tokens"], &body["max_tokens"]), (&json!(2_000), &json!(4_000)));
    let fault = thinking(Effort::Low, ReasoningControl::Budget, Some(1_024)).expect_err("no room");
    assert_eq!((fault.status(), fault.param.as_deref()), (400, Some("max_tokens")));
    let (body, _) = thinking(Effort::XHigh, ReasoningControl::Adaptive, None).expect("written");
    assert_eq!(
        (&body["thinking"], &body["output_config"]),
        (&json!({"type": "adaptive"}), &json!({"effort": "xhigh"}))
    );
    let (body, _) = thinking(Effort::None, ReasoningControl::Adaptive, None).expect("written");
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    let (body, losses) = thinking(Effort::Low, ReasoningControl::None, None).expect("written");
    assert_eq!((losses.as_str(), &body["thinking"]), ("reasoning_effort", &Value::Null));
}

fn shape() -> OutputFormat {
    let schema = Raw::parse(r#"{"type":"object","properties":{"b":{},"a":{}}}"#).ok();
    OutputFormat::JsonSchema { name: Some("x".into()), description: None, schema, strict: Some(true) }
}

#[test]
fn p60_a_schema_in_the_dialects_own_words_or_as_a_forced_tool() {
    let mut call = ask().0;
    call.options.output = Some(shape());
    let (body, losses) = write(&call);
    assert_eq!(body["output_config"]["format"]["type"], "json_schema");
    assert_eq!((&body["tools"], losses.as_str()), (&Value::Null, ""));
    let can = Capabilities { json_schema: false, ..Capabilities::default() };
    let (body, _) = write_for(&call, &can);
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "cabotage_output"}));
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
    call.tools = vec![tool("look")];
    let (body, _) = write_for(&call, &can);
    assert_eq!(body["tool_choice"], json!({"type": "any"}), "the caller's tools stay possible");
}

#[test]
fn p60_the_tools_input_is_the_answer() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "tool_use", "id": "t", "name": "cabotage_output", "input": {"a": 1}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    let reply = AnthropicMessages.decode_reply(body.to_string().as_bytes()).expect("read");
    assert_eq!(reply.candidates[0].finish, Some(Finish::Stop));
    let ItemKind::Message(said) = &reply.candidates[0].items[0].kind else { panic!("a message") };
    assert!(matches!(&said.parts[0].kind, PartKind::Text { text, .. } if text == r#"{"a":1}"#));
}

#[test]
fn p63_a_schema_is_sent_as_the_text_it_was() {
    let mut call = ask().0;
    let mut strict = tool("look_closely");
    strict.strict = Some(true);
    call.tools = vec![tool("look"), strict];
    let can = Capabilities::default();
    let encoded = AnthropicMessages.encode_call(&call, &target("m", &can)).expect("written");
    let text = String::from_utf8(encoded.body).expect("text");
    let schema = r#""input_schema":{"type":"object","properties":{"z":{},"a":{}}"#;
    assert!(text.contains(&format!("{schema}}}}}")), "{text}");
    // One that must be obeyed exactly has to be closed, in the order it was.
    assert!(text.contains(&format!(r#"{schema},"additionalProperties":false}},"strict":true"#)), "{text}");
}

fn reply(reason: &str) -> domain::Reply {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "stop_reason": reason, "stop_sequence": null,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
            "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}}});
    AnthropicMessages.decode_reply(body.to_string().as_bytes()).expect("read")
}

#[test]
fn p66_stop_reasons_have_their_class() {
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("refusal", Finish::Refusal),
        ("pause_turn", Finish::Pause),
        ("tool_use", Finish::ToolCalls),
        ("stop_sequence", Finish::StopSequence(None)),
    ] {
        assert_eq!(reply(reason).candidates[0].finish, Some(finish), "{reason}");
    }
}

#[test]
fn end_turn_after_calls_that_a_server_tool_made_and_got_answered_is_the_plain_end() {
    for (caller, finish) in [
        (json!({"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}), Finish::Stop),
        (json!({"type": "direct"}), Finish::ToolCalls),
    ] {
        let call = json!({"type": "tool_use", "id": "t1", "name": "roll", "input": {}, "caller": caller});
        let body = json!({"id": "msg_1", "model": "m", "type": "message", "role": "assistant",
            "content": [call, {"type": "text", "text": "A six."}], "stop_reason": "end_turn"});
        let reply = AnthropicMessages.decode_reply(body.to_string().as_bytes()).expect("read");
        assert_eq!(reply.candidates[0].finish, Some(finish.clone()), "{caller}");
        let start = json!({"type": "content_block_start", "index": 0, "content_block": call});
        let stream = [
            json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}}),
            start,
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            json!({"type": "message_stop"}),
        ];
        let bytes: String = stream.iter().map(|event| format!("data: {event}\n\n")).collect();
        let events = testkit::read_all(AnthropicMessages.stream_decoder(), bytes.as_bytes()).expect("read");
        assert_eq!(testkit::fold(&events).candidates[0].finish, Some(finish), "{caller}");
    }
}

#[test]
fn p70_p78_p81_all_texts_are_kept_and_tokens_are_counted_once() {
    let reply = reply("end_turn");
    assert_eq!(reply.candidates[0].items.len(), 2);
    let usage = reply.usage.expect("counted");
    assert_eq!((usage.input_total(), usage.cache_read, usage.output_total()), (105, 90, 7));
    assert_eq!((usage.cache_write, usage.cache_write_1h, usage.out_reasoning), (3, 2, 4));
}

#[test]
fn p72_p73_own_proofs_go_back_first_and_byte_identical_and_foreign_ones_do_not() {
    let own = Dialect::AnthropicMessages;
    let call = ask()
        .assistant(vec![
            calls("a", "look", "{}"),
            thought("shown", Some((own, "c2lnLw==")), false),
            thought("", Some((own, "cmVk")), true),
            thought("gemini's", Some((Dialect::Gemini, "Zm9y")), false),
            thought("nobody's", None, false),
        ])
        .result("a", "x")
        .0;
    let (body, losses) = write(&call);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "shown", "signature": "c2lnLw=="},
            {"type": "redacted_thinking", "data": "cmVk"},
            {"type": "tool_use", "id": "a", "name": "look", "input": {}},
        ])
    );
    assert_eq!(losses, "reasoning.signature, reasoning");
}

#[test]
fn tool_ids_of_another_form_are_mapped_and_still_meet() {
    let call = ask().assistant(vec![calls("id:1/ä", "look", "{}")]).result("id:1/ä", "x").0;
    let (body, _) = write(&call);
    let id = body["messages"][1]["content"][0]["id"].as_str().expect("text").to_owned();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{id}");
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], id);
}

#[test]
fn p104_p105_p107_error_bodies() {
    let kind = |status, body: &str| AnthropicMessages.decode_error(status, body.as_bytes()).kind;
    let error = |word: &str, says: &str| {
        json!({"type": "error", "error": {"type": word, "message": says}}).to_string()
    };
    let invalid = "invalid_request_error";
    assert_eq!(
        kind(400, &error(invalid, "You have reached your specified API usage limits.")),
        WireErrorKind::Quota
    );
    assert_eq!(kind(400, &error(invalid, "Your credit balance is too low")), WireErrorKind::Quota);
    assert_eq!(kind(400, &error(invalid, "prompt is too long: 3 tokens > 2")), WireErrorKind::ContextLength);
    assert_eq!(kind(400, &error(invalid, "messages: bad")), WireErrorKind::Invalid);
    assert_eq!(
        kind(400, &error(invalid, "messages.1: Invalid `signature` in `thinking` block")),
        WireErrorKind::ForeignSignature
    );
    assert_eq!(kind(529, &error("overloaded_error", "Overloaded")), WireErrorKind::Overloaded);
    assert_eq!(kind(429, &error("rate_limit_error", "slow")), WireErrorKind::RateLimit);
    assert_eq!(kind(403, &error("permission_error", "no")), WireErrorKind::Auth);
    assert_eq!(kind(502, "<html>Bad gateway</html>"), WireErrorKind::Unknown);
    let fault = Fault::caller(Code::ContextLengthExceeded, "shorten the messages");
    let body: Value = serde_json::from_slice(&AnthropicMessages.encode_error(&fault)).expect("JSON");
    assert_eq!(body["error"]["type"], invalid);
    assert_eq!(body["error"]["message"], "prompt is too long: shorten the messages");
}

#[test]
fn p112_vertex_has_the_version_in_the_body_and_no_model() {
    let can = Capabilities::default();
    let quirks = Quirks { anthropic_version_in_body: Some("vertex-2023-10-16"), ..Quirks::default() };
    let to = Target { model: "claude-x", capabilities: &can, quirks };
    let mut call = ask().0;
    call.stream = Some(StreamOptions::default());
    let (body, _) = encoded(&AnthropicMessages, &call, &to);
    assert_eq!((&body["anthropic_version"], &body["model"]), (&json!("vertex-2023-10-16"), &Value::Null));
    assert_eq!(body["stream"], true);
    let own = json!({"model": "m", "max_tokens": 1, "messages": [], "output_config": {"effort": "low"}});
    let call = AnthropicMessages.decode_call(own.to_string().as_bytes(), &Envelope::default()).expect("read");
    let (body, _) = encoded(&AnthropicMessages, &call, &to);
    assert_eq!((&body["model"], &body["output_config"]["effort"]), (&Value::Null, &json!("low")), "P62");
}

#[test]
fn bad_requests_are_refused_with_their_place() {
    for (body, place) in [
        (json!({"model": "m", "messages": []}), "max_tokens"),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "tool", "content": ""}]}),
            "messages[0].role",
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages[0].content[0].text",
        ),
    ] {
        let fault = AnthropicMessages
            .decode_call(body.to_string().as_bytes(), &Envelope::default())
            .expect_err("refused");
        assert_eq!((fault.code, fault.param.as_deref()), (Code::InvalidRequest, Some(place)));
    }
}

#[test]
fn a_reply_of_another_dialect_keeps_its_texts_and_names_its_losses() {
    let mut given = reply("end_turn");
    given.bag = Bag::new();
    given.bag.put(Dialect::OpenAiChat, "system_fingerprint", Raw::parse("\"fp\"").expect("JSON"));
    given.id = "chatcmpl-1".into();
    let context = ReplyContext { id: "msg_ours", model: Some("asked"), ..ReplyContext::default() };
    let encoded = AnthropicMessages.encode_reply(&given, &context);
    let body: Value = serde_json::from_slice(&encoded.body).expect("JSON");
    assert_eq!((&body["id"], &body["model"]), (&json!("msg_ours"), &json!("asked")));
    assert_eq!(body["usage"]["input_tokens"], 10, "P79");
    assert_eq!(body["usage"]["cache_creation_input_tokens"], 5);
    assert_eq!(encoded.losses.to_string(), "system_fingerprint");
}
