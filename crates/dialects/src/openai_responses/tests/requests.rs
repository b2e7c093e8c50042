//! Requests: what is read, what is refused, what other hosts get.

use super::json_of;
use crate::{
    Codec, Envelope, codec,
    openai_responses::{OpenAiResponses, Truncation, decode, decode_count},
    testkit,
};
use domain::{Capabilities, Code, Dialect, Effort, ItemKind, OutputFormat, ReasoningControl, ToolChoice};
use serde_json::{Value, json};

fn everything() -> Value {
    json!({
        "model": "m", "instructions": "be brief", "input": "hi", "stream": true, "stream_options": {"include_obfuscation": false},
        "tools": [
            {"type": "function", "name": "f", "description": null, "parameters": {"type": "object"}, "strict": true, "defer_loading": true},
            {"type": "custom", "name": "sql", "format": {"type": "text"}},
            {"type": "web_search", "search_context_size": "low"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]},
        "parallel_tool_calls": false,
        "text": {"format": {"type": "json_schema", "name": "out", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto", "context": "all_turns"},
        "max_output_tokens": 100, "max_tool_calls": 3, "temperature": 0.5, "top_p": 1, "top_logprobs": 2,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "metadata": {"a": "b"}, "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h",
        "service_tier": "flex", "truncation": "auto", "store": false, "background": true, "conversation": {"id": "conv_1"},
        "prompt": {"id": "pmpt_1"}, "context_management": [{"type": "compaction", "compact_threshold": 9}],
        "moderation": {"model": "x"}, "future": [1], "presence_penalty": null, "previous_response_id": null})
}

#[test]
fn every_member_is_read_and_comes_out_as_it_went_in() {
    let body = everything();
    assert_eq!(testkit::round_trip(&OpenAiResponses, &body, &Envelope::default()), body);
    let decoded = decode(body.to_string().as_bytes()).expect("read");
    let (call, ask) = (&decoded.call, &decoded.ask);
    assert_eq!(call.items.len(), 2);
    let names: Vec<&str> = call.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["f", "web_search"], "the allowed ones");
    assert_eq!(call.tool_choice, Some(ToolChoice::Required));
    assert_eq!(call.parallel_tool_calls, Some(false));
    let options = &call.options;
    assert!(
        matches!(&options.output, Some(OutputFormat::JsonSchema { name: Some(name), .. }) if &**name == "out")
    );
    let reasoning = options.reasoning.expect("asked for");
    assert_eq!((reasoning.effort, reasoning.include), (Some(Effort::Low), Some(true)));
    assert_eq!(options.logprobs.and_then(|wanted| wanted.top), Some(2));
    assert_eq!((options.end_user.as_deref(), options.service_tier.as_deref()), (Some("u"), Some("flex")));
    assert_eq!(options.max_output_tokens, Some(100));
    assert!(call.stream.is_some());
    assert_eq!(ask.conversation.as_deref(), Some("conv_1"));
    assert!(ask.background && !ask.stores() && ask.wants_encrypted());
    assert_eq!((ask.truncation, ask.max_tool_calls), (Truncation::Auto, Some(3)));
    assert_eq!(ask.metadata.get("a").map(String::as_str), Some("b"));
    assert!(ask.prompt.is_some() && ask.context_management.is_some() && ask.include.len() == 2);
    assert_eq!(ask.echo.get("tools").expect("tools").value()[0]["description"], Value::Null);
    assert_eq!(ask.echo.custom_tools(), ["sql"]);
    assert_eq!(ask.echo.get("temperature").expect("it").text(), "0.5");
    assert_eq!(ask.echo.get("presence_penalty").expect("the default").text(), "0.0");
}

#[test]
fn a_host_of_the_same_dialect_is_asked_to_keep_nothing() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "no proof"}]},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "cbt1:anthropic-messages:t:sig"},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"}],
        "store": true, "previous_response_id": "resp_1", "metadata": {"a": "b"}, "include": ["web_search_call.results"],
        "reasoning": {"effort": "low"}});
    let decoded = decode(body.to_string().as_bytes()).expect("read");
    let can = Capabilities { reasoning: ReasoningControl::Effort, ..Capabilities::default() };
    let (sent, losses) = testkit::encoded(&OpenAiResponses, &decoded.call, &testkit::target("there", &can));
    assert_eq!(losses, "reasoning, reasoning.signature");
    assert_eq!(
        sent,
        json!({"model": "there", "input": [
            {"role": "user", "content": "hi"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"}],
            "store": false, "include": ["web_search_call.results", "reasoning.encrypted_content"],
            "reasoning": {"effort": "low"}})
    );
}

#[test]
fn state_is_refused_where_nobody_keeps_it() {
    for (members, param) in [
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"background": true, "input": "x"}), "background"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"input": "x", "context_management": []}), "context_management"),
        (
            json!({"instructions": "i", "input": [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_1"}]}),
            "input[1]",
        ),
    ] {
        let mut body = members;
        body["model"] = "m".into();
        let decoded = decode(body.to_string().as_bytes()).expect("read");
        let fault = decoded.ask.refuse(&decoded.call).expect_err("refused");
        assert_eq!((fault.code, fault.param.as_deref()), (Code::UnsupportedParameter, Some(param)));
    }
    let plain = decode(br#"{"model":"m","input":"x","store":true,"metadata":{"a":"b"}}"#).expect("read");
    assert!(plain.ask.refuse(&plain.call).is_ok());
}

#[test]
fn a_reference_that_nobody_resolved_reaches_no_host() {
    let body =
        br#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"},{"role":"user","content":"x"}]}"#;
    let decoded = decode(body).expect("read");
    let can = Capabilities::default();
    for dialect in Dialect::ALL {
        let fault =
            codec(dialect).encode_call(&decoded.call, &testkit::target("m", &can)).expect_err("refused");
        assert_eq!(fault.code, Code::UnsupportedParameter, "{dialect}");
        assert!(fault.message.contains("msg_1"), "{dialect}: {}", fault.message);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let long = "x".repeat(513);
    for (body, param) in [
        (json!({"input": "x"}), "model"),
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": 7}), "input"),
        (
            json!({"model": "m", "input": [{"role": "user", "content": "x"}, {"role": "nobody"}, 3]}),
            "input[1].role",
        ),
        (json!({"model": "m", "input": [{"role": "user", "content": "x"}, 3]}), "input[1]"),
        (
            json!({"model": "m", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text"}]}]}),
            "input[0].content[0].text",
        ),
        (json!({"model": "m", "input": "x", "tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"model": "m", "input": "x", "tools": [{"name": "f"}]}), "tools[0].type"),
        (json!({"model": "m", "input": "x", "tool_choice": "sometimes"}), "tool_choice"),
        (json!({"model": "m", "input": "x", "text": {"format": {"type": "yaml"}}}), "text.format.type"),
        (
            json!({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}),
            "text.format.schema",
        ),
        (json!({"model": "m", "input": "x", "metadata": {"a": 1}}), "metadata"),
        (json!({"model": "m", "input": "x", "metadata": {"a": long}}), "metadata.a"),
        (json!({"model": "m", "input": "x", "truncation": "maybe"}), "truncation"),
        (
            json!({"model": "m", "input": "x", "previous_response_id": "r", "conversation": "c"}),
            "previous_response_id",
        ),
        (json!({"model": "m", "input": "x", "max_output_tokens": "many"}), "max_output_tokens"),
    ] {
        let fault = decode(body.to_string().as_bytes()).expect_err("wrong");
        assert_eq!(fault.param.as_deref(), Some(param), "{body}: {fault}");
        assert_eq!((fault.code, fault.status()), (Code::InvalidRequest, 400));
        let error = json_of(&OpenAiResponses.encode_error(&fault));
        assert_eq!(error["error"]["type"], "invalid_request_error");
        assert_eq!(error["error"]["param"], param);
    }
    let twice = br#"{"model":"a","model":"b","input":"x"}"#;
    assert_eq!(decode(twice).expect_err("twice").code, Code::InvalidJson);
    assert!(decode_count(br#"{"model":"m"}"#).is_ok());
}

/// A caller's history with parallel tools, for hosts that demand turns.
#[test]
fn what_the_model_said_in_a_row_is_one_turn_elsewhere() {
    let body = json!({"model": "m", "instructions": "sys", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Paris and Rome?"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}]},
        {"type": "function_call", "call_id": "a", "name": "w", "arguments": "{\"c\":1}"},
        {"type": "function_call", "call_id": "b", "name": "w", "arguments": ""},
        {"type": "function_call_output", "call_id": "b", "output": "sun"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "rain"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done", "annotations": []}]},
        {"role": "user", "content": "And now?"}],
        "tools": [{"type": "function", "name": "w", "parameters": {"type": "object"}}]});
    let decoded = decode(body.to_string().as_bytes()).expect("read");
    let can = Capabilities::default();
    let sent = |dialect: Dialect| {
        let encoded = codec(dialect).encode_call(&decoded.call, &testkit::target("m", &can)).expect("sent");
        (json_of(&encoded.body), encoded.losses.to_string())
    };
    let (chat, losses) = sent(Dialect::OpenAiChat);
    assert_eq!(losses, "");
    let roles: Vec<&str> =
        chat["messages"].as_array().expect("messages").iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "assistant", "user"]);
    assert_eq!(chat["messages"][2]["tool_calls"].as_array().map(Vec::len), Some(2));
    assert_eq!(chat["messages"][2]["tool_calls"][1]["function"]["arguments"], "{}");
    assert_eq!(chat["messages"][4]["content"], "rain");
    let (claude, _) = sent(Dialect::AnthropicMessages);
    assert_eq!(claude["system"][0]["text"], "sys");
    assert_eq!(claude["messages"].as_array().map(Vec::len), Some(5));
    assert_eq!(
        claude["messages"][2]["content"][0]["tool_use_id"], "a",
        "results in the order of their calls"
    );
    for dialect in [Dialect::Gemini, Dialect::BedrockConverse] {
        assert_eq!(sent(dialect).1, "", "{dialect}");
    }
}

/// Tools and items of the API itself are named losses elsewhere, never silence.
#[test]
fn what_only_this_api_has_is_a_named_loss_elsewhere() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "x"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
        {"role": "user", "content": "y"}],
        "tools": [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["v"]}],
        "tool_choice": {"type": "web_search"}, "prompt_cache_key": "k", "text": {"verbosity": "low"},
        "reasoning": {"effort": "low", "mode": "pro"}});
    let decoded = decode(body.to_string().as_bytes()).expect("read");
    let can = Capabilities::default();
    for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::OpenAiResponses) {
        let encoded = codec(dialect).encode_call(&decoded.call, &testkit::target("m", &can)).expect("sent");
        for name in
            ["tools.web_search", "tools.file_search", "prompt_cache_key", "text.verbosity", "reasoning.mode"]
        {
            assert!(encoded.losses.has(name), "{dialect}: {name} in {}", encoded.losses);
        }
        assert!(encoded.losses.to_string().contains("web_search_call"), "{dialect}: {}", encoded.losses);
        assert!(encoded.losses.to_string().contains("compaction"), "{dialect}: {}", encoded.losses);
        assert!(encoded.losses.to_string().contains("tool_choice.type"), "{dialect}: {}", encoded.losses);
    }
}

#[test]
fn a_chat_call_for_a_responses_host() {
    let body = json!({"model": "m", "max_tokens": 5, "stream": true, "stop": ["x"], "seed": 1, "verbosity": "low",
        "logprobs": true, "top_logprobs": 2, "user": "u", "reasoning_effort": "high", "prompt_cache_key": "k",
        "response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": {"type": "object"}}},
        "tools": [{"type": "function", "function": {"name": "f", "description": ""}},
            {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"definition": "d", "syntax": "lark"}}}},
            {"type": "web_search"}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "developer", "content": "dev"},
            {"role": "user", "content": [{"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]},
            {"role": "assistant", "content": "a", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "raw"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "r1"},
            {"role": "tool", "tool_call_id": "c2", "content": "r2"}]});
    let call = codec(Dialect::OpenAiChat)
        .decode_call(body.to_string().as_bytes(), &Envelope::default())
        .expect("read");
    let can = Capabilities { reasoning: ReasoningControl::Effort, ..Capabilities::default() };
    let (sent, losses) = testkit::encoded(&OpenAiResponses, &call, &testkit::target("there", &can));
    assert_eq!(losses, "seed, stop, tools.web_search, max_tokens");
    assert_eq!(
        sent,
        json!({"model": "there", "input": [
            {"type": "message", "role": "developer", "content": "dev"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}]},
            {"type": "message", "role": "assistant", "content": "a"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "raw"},
            {"type": "function_call_output", "call_id": "c1", "output": "r1"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "r2"}],
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false},
                {"type": "custom", "name": "g", "format": {"type": "grammar", "definition": "d", "syntax": "lark"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": 16, "user": "u",
            "text": {"format": {"type": "json_schema", "name": "o", "schema": {"type": "object"}}, "verbosity": "low"},
            "reasoning": {"effort": "high"}, "top_logprobs": 2, "prompt_cache_key": "k",
            "include": ["reasoning.encrypted_content", "message.output_text.logprobs"], "store": false, "stream": true})
    );
}

/// A Responses call with tools that only a caller runs keeps its free-text tools on a chat host.
#[test]
fn custom_tools_stay_custom_on_a_chat_host() {
    let body = json!({"model": "m", "tools": [{"type": "custom", "name": "sql"}], "input": [
        {"role": "user", "content": "x"},
        {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "1"}]});
    let decoded = decode(body.to_string().as_bytes()).expect("read");
    let can = Capabilities::default();
    let target = testkit::target("m", &can);
    let (sent, losses) = testkit::encoded(codec(Dialect::OpenAiChat), &decoded.call, &target);
    assert_eq!(losses, "");
    assert_eq!(
        sent["messages"][1]["tool_calls"][0],
        json!({"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}})
    );
}

#[test]
fn tools_made_known_by_an_item_are_tools_elsewhere() {
    let body = json!({"model": "m", "input": [{"role": "user", "content": "x"},
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "now"}]}]});
    assert_eq!(testkit::round_trip(&OpenAiResponses, &body, &Envelope::default()), body);
    let decoded = decode(body.to_string().as_bytes()).expect("read");
    assert_eq!(decoded.call.tools.len(), 1);
    assert!(
        matches!(&decoded.call.items[1].kind, ItemKind::Foreign { what } if &**what == "additional_tools")
    );
}
