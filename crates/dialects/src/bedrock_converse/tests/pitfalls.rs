//! Calls of other dialects written for Bedrock: the pitfalls by their numbers.

use super::super::BedrockConverse;
use crate::{
    Codec as _, Envelope, ReplyContext, WireErrorKind,
    anthropic_messages::AnthropicMessages,
    testkit::{Chat, calls, encoded, target, tool},
};
use domain::{
    Bag, Call, Capabilities, Code, Dialect, Effort, Fault, Finish, ItemKind, Media, MediaSource,
    OutputFormat, Part, PartKind, Raw, Reasoning, ReasoningControl, ReasoningOptions, Role, Signature,
    ToolChoice,
};
use serde_json::{Value, json};

const CLAUDE: &str = "eu.anthropic.claude-x-v1:0";
const NOVA: &str = "us.amazon.nova-lite-v1:0";

fn write(call: &Call) -> (Value, String) {
    write_for(call, CLAUDE, &Capabilities::default())
}

fn write_for(call: &Call, model: &str, can: &Capabilities) -> (Value, String) {
    encoded(&BedrockConverse, call, &target(model, can))
}

fn refused(call: &Call) -> Fault {
    let can = Capabilities::default();
    BedrockConverse.encode_call(call, &target(CLAUDE, &can)).expect_err("refused")
}

fn ask() -> Chat {
    Chat::new().says(Role::User, &["hi"])
}

fn media(kind: fn(Media) -> PartKind, source: MediaSource, mime: Option<&str>, name: Option<&str>) -> Part {
    Part::new(kind(Media { source, mime: mime.map(Into::into), name: name.map(Into::into) }), 0)
}

#[test]
fn golden_a_conversation_with_everything() {
    let mut call = Chat::new()
        .says(Role::System, &["Be brief."])
        .says(Role::User, &["What is the weather in Paris and Rome?"])
        .assistant(vec![
            calls("call_a", "weather", r#"{"city":"Paris"}"#),
            calls("call_b", "weather", r#"{"city":"Rome"}"#),
        ])
        .result("call_b", "rain")
        .result("call_a", "sun")
        .says(Role::User, &["And?"])
        .0;
    call.tools = vec![tool("weather")];
    call.tool_choice = Some(ToolChoice::Required);
    call.options.temperature = serde_json::Number::from_f64(0.5);
    call.options.max_output_tokens = Some(100);
    call.options.stop = vec!["END".into()];
    call.options.service_tier = Some("flex".into());
    let (body, losses) = write(&call);
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!("chat_to_bedrock", body);
    });
    assert_eq!(losses, "");
}

#[test]
fn p03_p04_results_are_blocks_of_one_user_message() {
    let call = ask()
        .assistant(vec![calls("a", "look", "{}"), calls("b", "look", "{}")])
        .result("b", "two")
        .result("a", "one")
        .says(Role::User, &["so?"])
        .says(Role::User, &["well?"])
        .0;
    let (body, _) = write(&call);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"toolResult": {"toolUseId": "a", "content": [{"text": "one"}]}},
            {"toolResult": {"toolUseId": "b", "content": [{"text": "two"}]}},
            {"text": "so?"},
            {"text": "well?"},
        ])
    );
}

#[test]
fn p05_p17_p19_tools_are_made_of_the_history_where_the_call_has_none() {
    let call = ask().assistant(vec![calls("a", "look", "{}")]).result("a", "x").0;
    let (body, _) = write(&call);
    assert_eq!(
        body["toolConfig"],
        json!({"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]})
    );
    let mut call = call;
    call.tools = vec![tool("look")];
    call.tool_choice = Some(ToolChoice::None);
    let (body, losses) = write(&call);
    assert_eq!((&body["toolConfig"]["toolChoice"], losses.as_str()), (&Value::Null, "tool_choice"));
    let mut fresh = ask().0;
    fresh.tools = vec![tool("look")];
    fresh.tool_choice = Some(ToolChoice::None);
    let (body, losses) = write(&fresh);
    assert_eq!((&body["toolConfig"], losses.as_str()), (&Value::Null, ""));
    fresh.tool_choice = Some(ToolChoice::Named("look".into()));
    assert_eq!(write(&fresh).0["toolConfig"]["toolChoice"], json!({"tool": {"name": "look"}}));
}

#[test]
fn p06_p07_p08_blank_texts_and_empty_answers_are_left_out_and_neighbours_merged() {
    let call = ask().says(Role::Assistant, &[" "]).says(Role::User, &["there", "\n"]).0;
    let (body, _) = write(&call);
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"text": "hi"}, {"text": "there"}]}]));
}

#[test]
fn p10_half_arguments_are_wrapped() {
    let call = ask().assistant(vec![calls("a", "look", r#"{"x"#)]).result("a", "x").0;
    let (body, losses) = write(&call);
    assert_eq!(body["messages"][1]["content"][0]["toolUse"]["input"], json!({"_arguments": "{\"x"}));
    assert_eq!(losses, "messages.tool_calls.arguments");
}

#[test]
fn p12_an_empty_description_is_left_out_and_an_empty_name_refused() {
    let mut call = ask().0;
    let mut bare = tool("look");
    bare.description = Some(String::new());
    call.tools = vec![bare];
    assert_eq!(write(&call).0["toolConfig"]["tools"][0]["toolSpec"]["description"], Value::Null);
    call.tools = vec![tool("")];
    assert_eq!(refused(&call).code, Code::InvalidRequest);
}

#[test]
fn p18_a_choice_that_cannot_be_forced_is_a_loss() {
    let mut call = ask().0;
    call.tools = vec![tool("look")];
    call.tool_choice = Some(ToolChoice::Required);
    let can = Capabilities { forced_tools: false, ..Capabilities::default() };
    let (body, losses) = write_for(&call, "meta.llama-x", &can);
    assert_eq!((&body["toolConfig"]["toolChoice"], losses.as_str()), (&json!({"auto": {}}), "tool_choice"));
}

#[test]
fn p33_p35_system_is_hoisted_and_a_begun_answer_needs_a_model_that_continues_it() {
    let call = ask().says(Role::System, &["late"]).says(Role::User, &["x"]).0;
    let (body, losses) = write(&call);
    assert_eq!((&body["system"], losses.as_str()), (&json!([{"text": "late"}]), "messages.system_position"));
    let mut call = ask().says(Role::Assistant, &["Sure:"]).0;
    call.turns[1].bag.put(Dialect::OpenAiChat, "prefix", Raw::parse("true").expect("JSON"));
    let fault = refused(&call);
    assert_eq!((fault.status(), fault.param.as_deref()), (400, Some("messages[1].prefix")));
    let can = Capabilities { prefill: true, ..Capabilities::default() };
    assert_eq!(write_for(&call, CLAUDE, &can).0["messages"][1]["content"], json!([{"text": "Sure:"}]));
}

#[test]
fn p37_p38_cache_marks_become_cache_points_behind_the_block() {
    let body = json!({"model": "m", "max_tokens": 5,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]}],
        "tools": [{"name": "look", "input_schema": {}, "cache_control": {"type": "ephemeral"}}]});
    let call =
        AnthropicMessages.decode_call(body.to_string().as_bytes(), &Envelope::default()).expect("read");
    let (body, losses) = write(&call);
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(body["system"], json!([{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]));
    assert_eq!(body["messages"][0]["content"], json!([{"text": "a"}, point, {"text": "b"}]));
    assert_eq!(body["toolConfig"]["tools"][1], point);
    assert_eq!(losses, "");
}

#[test]
fn p39_p61_what_has_no_field_is_a_named_loss_and_not_sent() {
    let mut call = ask().0;
    call.bag.put(Dialect::OpenAiChat, "prompt_cache_key", Raw::parse("\"k\"").expect("JSON"));
    call.bag.put(Dialect::OpenAiChat, "logit_bias", Raw::parse("{}").expect("JSON"));
    call.options.end_user = Some("u".into());
    call.options.store = Some(true);
    call.parallel_tool_calls = Some(false);
    let mut strict = tool("look");
    strict.strict = Some(true);
    call.tools = vec![strict];
    let (body, losses) = write(&call);
    assert_eq!(losses, "logit_bias, prompt_cache_key, store, user, parallel_tool_calls, tools.strict");
    let names: Vec<_> = body.as_object().expect("object").keys().cloned().collect();
    assert_eq!(names, ["messages", "toolConfig"]);
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["strict"], Value::Null);
}

#[test]
fn p40_top_k_by_family() {
    let mut call = ask().0;
    call.options.top_k = Some(5);
    let can = Capabilities::default();
    assert_eq!(write_for(&call, CLAUDE, &can).0["additionalModelRequestFields"], json!({"top_k": 5}));
    let nova = json!({"inferenceConfig": {"topK": 5}});
    assert_eq!(write_for(&call, NOVA, &can).0["additionalModelRequestFields"], nova);
    let (body, losses) = write_for(&call, "openai.gpt-oss-120b-1:0", &can);
    assert_eq!((&body["additionalModelRequestFields"], losses.as_str()), (&Value::Null, "top_k"));
}

#[test]
fn p41_only_known_betas_are_sent() {
    let body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}],
        "anthropic_beta": ["interleaved-thinking-2025-05-14", "made-up-2030-01-01"]});
    let call =
        AnthropicMessages.decode_call(body.to_string().as_bytes(), &Envelope::default()).expect("read");
    let (body, losses) = write(&call);
    let sent = &body["additionalModelRequestFields"]["anthropic_beta"];
    assert_eq!((sent, losses.as_str()), (&json!(["interleaved-thinking-2025-05-14"]), "anthropic_beta"));
}

#[test]
fn p42_p44_images_are_bytes_or_s3() {
    let image =
        |source, mime| Chat::new().parts(Role::User, vec![media(PartKind::Image, source, mime, None)]).0;
    let bytes = image(MediaSource::Base64("AAAA".into()), Some("image/jpg;charset=x"));
    assert_eq!(
        write(&bytes).0["messages"][0]["content"][0],
        json!({"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}})
    );
    let place = image(MediaSource::Url("s3://b/k.png".into()), None);
    assert_eq!(
        write(&place).0["messages"][0]["content"][0],
        json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k.png"}}}})
    );
    let fault = refused(&image(MediaSource::Url("https://x.test/a.png".into()), None));
    assert_eq!(
        (fault.code, fault.param.as_deref()),
        (Code::UnsupportedParameter, Some("messages[0].content"))
    );
    assert!(fault.message.contains("data URL"), "{}", fault.message);
    assert_eq!(refused(&image(MediaSource::Base64("AA".into()), Some("image/tiff"))).status(), 400);
}

#[test]
fn p45_documents_have_clean_unique_names_and_a_text_beside_them() {
    let document = |name| {
        let pdf = MediaSource::Base64("JVBE".into());
        media(PartKind::Document, pdf, Some("application/pdf"), Some(name))
    };
    let call = Chat::new().parts(Role::User, vec![document("a_b/ä.pdf"), document("a_b/ä.pdf")]).0;
    let (body, _) = write(&call);
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"document": {"format": "pdf", "name": "a-b--", "source": {"bytes": "JVBE"}}},
            {"document": {"format": "pdf", "name": "a-b-- 2", "source": {"bytes": "JVBE"}}},
            {"text": "."},
        ])
    );
}

#[test]
fn p46_p49_p50_p51_limits() {
    let mut call = ask().0;
    assert_eq!(write(&call).0["inferenceConfig"], Value::Null, "the host has a default of its own");
    let can = Capabilities { max_output_tokens: 9_000, ..Capabilities::default() };
    assert_eq!(write_for(&call, CLAUDE, &can).0["inferenceConfig"]["maxTokens"], 9_000);
    call.options.temperature = serde_json::Number::from_f64(2.0);
    call.options.stop = vec!["a".into(), String::new()];
    let (body, losses) = write(&call);
    assert_eq!(body["inferenceConfig"], json!({"temperature": 1.0, "stopSequences": ["a"]}));
    assert_eq!(losses, "temperature, stop");
    call.options.candidates = Some(3);
    assert_eq!(refused(&call).param.as_deref(), Some("n"));
}

#[test]
fn p52_thinking_by_family() {
    let mut call = ask().0;
    call.options.reasoning =
        Some(ReasoningOptions { effort: Some(Effort::High), ..ReasoningOptions::default() });
    let write =
        |model, reasoning| write_for(&call, model, &Capabilities { reasoning, ..Capabilities::default() }).0;
    let body = write(CLAUDE, ReasoningControl::Budget);
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 16_384}});
    assert_eq!(body["additionalModelRequestFields"], budget);
    assert_eq!(body["inferenceConfig"]["maxTokens"], 16_384 + 4_096);
    let body = write(CLAUDE, ReasoningControl::Adaptive);
    assert_eq!(body["additionalModelRequestFields"], json!({"thinking": {"type": "adaptive"}}));
    assert_eq!(body["outputConfig"], json!({"effort": "high"}));
    let body = write(NOVA, ReasoningControl::Effort);
    let nova = json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}});
    assert_eq!(body["additionalModelRequestFields"], nova);
    let body = write("openai.gpt-oss-120b-1:0", ReasoningControl::Effort);
    assert_eq!(body["additionalModelRequestFields"], json!({"reasoning_effort": "high"}));
}

#[test]
fn p60_a_schema_in_the_dialects_own_words_or_as_a_forced_tool() {
    let mut call = ask().0;
    let schema = Raw::parse(r#"{"type":"object","additionalProperties":false}"#).ok();
    call.options.output =
        Some(OutputFormat::JsonSchema { name: Some("x".into()), description: None, schema, strict: None });
    let (body, _) = write(&call);
    assert_eq!(
        body["outputConfig"]["textFormat"],
        json!({"type": "json_schema", "structure": {"jsonSchema": {
            "schema": "{\"type\":\"object\",\"additionalProperties\":false}", "name": "x"}}})
    );
    let can = Capabilities { json_schema: false, ..Capabilities::default() };
    let (body, _) = write_for(&call, NOVA, &can);
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"tool": {"name": "cabotage_output"}}));
    let none = Capabilities { json_schema: false, forced_tools: false, ..Capabilities::default() };
    assert_eq!(write_for(&call, NOVA, &none).1, "response_format");
}

#[test]
fn p64_p66_stop_reasons_have_their_class() {
    let reply = |reason: &str, content: Value| {
        let body =
            json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason});
        let reply = BedrockConverse.decode_reply(body.to_string().as_bytes()).expect("read");
        let again = BedrockConverse.encode_reply(&reply, &ReplyContext::default());
        let again: Value = serde_json::from_slice(&again.body).expect("JSON");
        assert_eq!(again["stopReason"], reason);
        reply.candidates[0].finish.clone().expect("ended")
    };
    let tool = json!([{"toolUse": {"toolUseId": "a", "name": "look", "input": {}}}]);
    assert_eq!(reply("end_turn", tool), Finish::ToolCalls);
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("guardrail_intervened", Finish::ContentFilter),
        ("content_filtered", Finish::ContentFilter),
        ("malformed_tool_use", Finish::Other("malformed_tool_use".into())),
    ] {
        assert_eq!(reply(reason, json!([])), finish, "{reason}");
    }
}

#[test]
fn p72_p75_only_own_signed_thoughts_go_back_and_stand_first() {
    let thought = |text: &str, proof: Option<(Dialect, &str)>, redacted| {
        let signature = proof.map(|(dialect, data)| Signature { dialect, data: data.into() });
        ItemKind::Reasoning(Reasoning { text: text.into(), signature, redacted })
    };
    let call = ask()
        .assistant(vec![
            calls("a", "look", "{}"),
            thought("own", Some((Dialect::BedrockConverse, "c2ln")), false),
            thought("", Some((Dialect::BedrockConverse, "cmVk")), true),
            thought("anthropic's", Some((Dialect::AnthropicMessages, "eA==")), false),
            thought("unsigned", None, false),
        ])
        .result("a", "x")
        .0;
    let (body, losses) = write(&call);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "own", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "cmVk"}},
            {"toolUse": {"toolUseId": "a", "name": "look", "input": {}}},
        ])
    );
    assert_eq!(losses, "reasoning.signature, reasoning");
}

#[test]
fn p105_p107_error_bodies_with_and_without_a_type() {
    let kind = |status, body: Value| BedrockConverse.decode_error(status, body.to_string().as_bytes()).kind;
    assert_eq!(
        kind(400, json!({"message": "Input is too long for requested model."})),
        WireErrorKind::ContextLength
    );
    assert_eq!(kind(400, json!({"message": "Input Tokens Exceeded: 9 > 8"})), WireErrorKind::ContextLength);
    assert_eq!(
        kind(400, json!({"message": "The provided model identifier is invalid."})),
        WireErrorKind::ModelNotFound
    );
    assert_eq!(kind(429, json!({"message": "Too many tokens, please wait"})), WireErrorKind::RateLimit);
    assert_eq!(kind(503, json!({"message": "busy"})), WireErrorKind::Overloaded);
    assert_eq!(
        kind(
            400,
            json!({"__type": "com.amazon.coral.service#ThrottlingException:http://x", "message": "slow"})
        ),
        WireErrorKind::RateLimit
    );
    assert_eq!(BedrockConverse.decode_error(500, b"<html>").kind, WireErrorKind::Server);
    let fault = Fault::caller(Code::ContextLengthExceeded, "shorten the messages");
    let body: Value = serde_json::from_slice(&BedrockConverse.encode_error(&fault)).expect("JSON");
    assert_eq!(body["__type"], "ValidationException");
}

#[test]
fn an_error_inside_a_good_answer_is_a_fault() {
    let fault = BedrockConverse.decode_reply(br#"{"message":"no"}"#).expect_err("refused");
    assert_eq!(fault.code, Code::UpstreamError);
    assert_eq!(BedrockConverse.decode_reply(b"<html>").expect_err("refused").code, Code::UpstreamBadResponse);
}

#[test]
fn a_reply_of_another_dialect_is_written_with_its_losses() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3}});
    let reply = AnthropicMessages.decode_reply(body.to_string().as_bytes()).expect("read");
    let encoded = BedrockConverse.encode_reply(&reply, &ReplyContext::default());
    let body: Value = serde_json::from_slice(&encoded.body).expect("JSON");
    assert_eq!(
        body["output"]["message"]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "hm"}}},
            {"text": "a"},
            {"toolUse": {"toolUseId": "t", "name": "look", "input": {"a": 1}}},
        ])
    );
    assert_eq!((&body["stopReason"], &body["usage"]["totalTokens"]), (&json!("tool_use"), &json!(6)));
    assert_eq!(encoded.losses.to_string(), "reasoning.signature");
    assert!(Bag::new().is_empty());
}
