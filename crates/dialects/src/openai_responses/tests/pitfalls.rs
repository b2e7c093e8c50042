//! The pitfalls of translation whose caller or upstream speaks openai-responses, by their numbers in the list.

use super::{
    answers::{REQUIRED, head},
    json_of,
};
use crate::{
    Codec, Envelope, ReplyContext, codec,
    openai_responses::{OpenAiResponses, decode, response},
    testkit,
};
use domain::{Capabilities, Dialect, Event, Reply};
use serde_json::{Value, json};

fn reply_of(dialect: Dialect, body: &Value) -> Reply {
    codec(dialect).decode_reply(body.to_string().as_bytes()).expect("a reply")
}

fn answer(dialect: Dialect, body: &Value) -> Value {
    let request = json!({"model": "m", "input": "x", "include": ["reasoning.encrypted_content"]});
    json_of(&response(&reply_of(dialect, body), &head(&request)).body)
}

/// What `dialect` is sent of a Responses request.
fn sent(dialect: Dialect, request: &Value, can: &Capabilities) -> (Value, String) {
    let decoded = decode(request.to_string().as_bytes()).expect("a request");
    let encoded = codec(dialect).encode_call(&decoded.call, &testkit::target("m", can)).expect("sent");
    (json_of(&encoded.body), encoded.losses.to_string())
}

#[test]
fn p67_a_limit_on_bedrock_is_an_incomplete_response() {
    let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "half"}]}}, "stopReason": "max_tokens",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}});
    let response = answer(Dialect::BedrockConverse, &body);
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(response["output"][0]["status"], "incomplete");
    for name in REQUIRED {
        assert!(response.get(name).is_some(), "{name}");
    }
}

/// All that was said stands in the one choice, in order: commentary before the final text.
#[test]
fn p71_several_messages_are_one_choice_of_chat() {
    let message = |id: &str, phase: &str, text: &str| {
        json!({"type": "message", "id": id, "status": "completed", "role": "assistant", "phase": phase,
            "content": [{"type": "output_text", "text": text, "annotations": []}]})
    };
    let body = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        message("msg_1", "commentary", "Let me see. "), message("msg_2", "final_answer", "42")]});
    let reply = reply_of(Dialect::OpenAiResponses, &body);
    let chat = json_of(&codec(Dialect::OpenAiChat).encode_reply(&reply, &ReplyContext::default()).body);
    assert_eq!(chat["choices"].as_array().map(Vec::len), Some(1));
    assert!(
        chat["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.ends_with("42")),
        "{chat}"
    );
    assert_eq!(chat["choices"][0]["finish_reason"], "stop");
    // The thought can come back.
    let details = &chat["choices"][0]["message"]["reasoning_details"][0];
    assert_eq!((&details["format"], &details["data"]), (&json!("openai-responses"), &json!("gAAA")));
    let again = json!({"model": "m", "messages": [{"role": "user", "content": "x"}, chat["choices"][0]["message"],
        {"role": "user", "content": "y"}]});
    let call = codec(Dialect::OpenAiChat)
        .decode_call(again.to_string().as_bytes(), &Envelope::default())
        .expect("read");
    let can = Capabilities::default();
    let (back, _) = testkit::encoded(&OpenAiResponses, &call, &testkit::target("m", &can));
    assert_eq!(back["input"][1], json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}));
}

#[test]
fn p72_proofs_come_back_byte_identical_to_their_own_provider_only() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "EqQB+/=="},
            {"type": "redacted_thinking", "data": "EmwK:x"},
            {"type": "text", "text": "I call."},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}],
        "usage": {"input_tokens": 1, "output_tokens": 2}});
    let response = answer(Dialect::AnthropicMessages, &body);
    let mut input = vec![json!({"role": "user", "content": "go"})];
    input.extend(response["output"].as_array().expect("items").iter().cloned());
    input.push(json!({"type": "function_call_output", "call_id": "toolu_1", "output": "ok"}));
    let request = json!({"model": "m", "input": input, "tools": [{"type": "function", "name": "f"}]});
    let (claude, losses) = sent(Dialect::AnthropicMessages, &request, &Capabilities::default());
    assert_eq!(losses, "");
    assert_eq!(claude["messages"][1]["content"], body["content"]);
    let (bedrock, losses) = sent(Dialect::BedrockConverse, &request, &Capabilities::default());
    assert!(losses.contains("reasoning.signature"), "{losses}");
    assert!(!bedrock.to_string().contains("EqQB"));
    let (openai, losses) = sent(Dialect::OpenAiResponses, &request, &Capabilities::default());
    assert!(losses.contains("reasoning.signature"), "{losses}");
    assert!(!openai.to_string().contains("EqQB") && !openai.to_string().contains("cbt1"));
    // A blob of OpenAI stays away from Claude.
    let request = json!({"model": "m", "input": [{"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]});
    let (claude, losses) = sent(Dialect::AnthropicMessages, &request, &Capabilities::default());
    assert_eq!(losses, "reasoning.signature");
    assert!(!claude.to_string().contains("gAAA"));
}

#[test]
fn p74_geminis_proof_of_a_call_comes_back() {
    let body = json!({"candidates": [{"content": {"role": "model", "parts": [
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}, "modelVersion": "g"});
    let response = answer(Dialect::Gemini, &body);
    let call = &response["output"][0];
    assert_eq!(call["type"], "function_call");
    let request = json!({"model": "m", "tools": [{"type": "function", "name": "f"}], "input": [{"role": "user", "content": "go"}, call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}]});
    let (gemini, losses) = sent(Dialect::Gemini, &request, &Capabilities::default());
    assert_eq!(losses, "");
    assert_eq!(gemini["contents"][1]["parts"][0]["thoughtSignature"], "c2ln");
    let (chat, losses) = sent(Dialect::OpenAiChat, &request, &Capabilities::default());
    assert!(losses.contains("signature"), "{losses}");
    assert!(!chat.to_string().contains("c2ln"));
}

#[test]
fn p76_a_thought_of_a_chat_host_is_a_reasoning_item() {
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "deepseek", "choices": [{"index": 0,
        "message": {"role": "assistant", "reasoning_content": "hm", "content": "4"}, "finish_reason": "stop"}]});
    let response = answer(Dialect::OpenAiChat, &body);
    assert_eq!(response["output"][0]["type"], "reasoning");
    assert_eq!(response["output"][0]["summary"][0]["text"], "hm");
    assert_eq!(response["output"][1]["content"][0]["text"], "4");
    assert_eq!(response["usage"], Value::Null, "nobody counted");
}

#[test]
fn p98_failed_and_incomplete_inside_a_stream_reach_an_anthropic_caller() {
    let created = json!({"type": "response.created", "response": {"id": "r", "model": "m"}});
    let usage = json!({"input_tokens": 3, "output_tokens": 1, "total_tokens": 4});
    let read = |last: Value| {
        let text = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "half"});
        let bytes = format!("data: {created}\n\ndata: {text}\n\ndata: {last}\n\n");
        let events = testkit::read_all(OpenAiResponses.stream_decoder(), bytes.as_bytes()).expect("read");
        let mut encoder = codec(Dialect::AnthropicMessages).stream_encoder(&ReplyContext::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.push(event, &mut out));
        let used =
            events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.input_total() == 3));
        (String::from_utf8(out).expect("UTF-8"), used)
    };
    let (failed, used) =
        read(json!({"type": "response.failed", "response": {"status": "failed", "usage": usage,
        "error": {"code": "server_error", "message": "x"}}}));
    assert!(failed.contains("event: error") && !failed.contains("end_turn") && used, "{failed}");
    let (cut, used) = read(
        json!({"type": "response.incomplete", "response": {"id": "r", "object": "response", "model": "m",
        "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "usage": usage, "output": [
        {"type": "message", "id": "m", "status": "incomplete", "role": "assistant",
            "content": [{"type": "output_text", "text": "half", "annotations": []}]}]}}),
    );
    assert!(cut.contains("\"stop_reason\":\"max_tokens\"") && used, "{cut}");
}

#[test]
fn p105_a_context_that_is_too_long_has_openais_code() {
    let fault = domain::Fault::caller(domain::Code::ContextLengthExceeded, "The input is too long.");
    let body = json_of(&OpenAiResponses.encode_error(&fault));
    assert_eq!(body["error"]["code"], "context_length_exceeded");
    assert_eq!(body["error"]["type"], "invalid_request_error");
}
