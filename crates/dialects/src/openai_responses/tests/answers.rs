//! Whole answers: the `response` object, its members, ids, statuses.

use super::json_of;
use crate::{
    Codec, ReplyContext, codec,
    openai_responses::{
        Head, OpenAiResponses, Status, compaction, decode, encode_item, failure, input_tokens, response,
        snapshot,
    },
};
use domain::{Code, Dialect, Fault, Usage};
use serde_json::{Value, json};

/// What the schema of Open Responses requires of a response object.
pub(super) const REQUIRED: [&str; 32] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "incomplete_details",
    "model",
    "previous_response_id",
    "instructions",
    "output",
    "error",
    "tools",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "reasoning",
    "user",
    "usage",
    "max_output_tokens",
    "max_tool_calls",
    "store",
    "background",
    "service_tier",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
];

pub(super) fn head(request: &Value) -> Head {
    let decoded = decode(request.to_string().as_bytes()).expect("a request");
    Head::new("resp_abc", 1_700_000_000, "asked-for", &decoded.ask)
}

fn chat_reply(body: &Value) -> domain::Reply {
    codec(Dialect::OpenAiChat).decode_reply(body.to_string().as_bytes()).expect("a reply")
}

fn chat(message: &Value, finish: &str) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "there",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}})
}

#[test]
fn an_answer_has_every_member_and_repeats_the_request() {
    let request = json!({"model": "m", "input": "hi", "instructions": "be brief", "temperature": 0.5,
        "previous_response_id": "resp_0", "metadata": {"a": "b"}, "store": false, "max_output_tokens": 99,
        "tools": [{"type": "function", "name": "f"}], "text": {"format": {"type": "json_schema", "name": "o", "schema": {}}}});
    let mut head = head(&request);
    head.completed_at = Some(1_700_000_009);
    let reply =
        chat_reply(&chat(&json!({"role": "assistant", "reasoning_content": "hm", "content": "yes"}), "stop"));
    let encoded = response(&reply, &head);
    assert_eq!(encoded.losses.to_string(), "");
    let body = json_of(&encoded.body);
    for name in REQUIRED {
        assert!(body.get(name).is_some(), "{name}");
    }
    assert_eq!(
        body["output"],
        json!([
            {"type": "reasoning", "id": "rs_abc_0", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "id": "msg_abc_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "yes", "annotations": [], "logprobs": []}]}])
    );
    for (name, value) in [
        ("id", json!("resp_abc")),
        ("object", json!("response")),
        ("status", json!("completed")),
        ("created_at", json!(1_700_000_000)),
        ("completed_at", json!(1_700_000_009)),
        ("model", json!("asked-for")),
        ("previous_response_id", json!("resp_0")),
        ("instructions", json!("be brief")),
        ("temperature", json!(0.5)),
        ("top_p", json!(1.0)),
        ("metadata", json!({"a": "b"})),
        ("store", json!(false)),
        ("background", json!(false)),
        ("error", Value::Null),
        (
            "tools",
            json!([{"type": "function", "name": "f", "description": null, "parameters": null, "strict": null}]),
        ),
        (
            "text",
            json!({"format": {"type": "json_schema", "name": "o", "schema": {}, "description": null, "strict": null}}),
        ),
        (
            "usage",
            json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 15}),
        ),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
}

#[test]
fn every_finish_has_a_status() {
    let of = |finish: &str, message: &Value| {
        let encoded =
            response(&chat_reply(&chat(message, finish)), &head(&json!({"model": "m", "input": "x"})));
        (json_of(&encoded.body), encoded.losses.to_string())
    };
    let said = json!({"role": "assistant", "content": "half"});
    let (cut, _) = of("length", &said);
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]),
        (&json!("incomplete"), &json!({"reason": "max_output_tokens"}))
    );
    assert_eq!((&cut["output"][0]["status"], &cut["completed_at"]), (&json!("incomplete"), &Value::Null));
    let (filtered, _) = of("content_filter", &said);
    assert_eq!(filtered["incomplete_details"]["reason"], "content_filter");
    let (declined, _) = of("stop", &json!({"role": "assistant", "content": null, "refusal": "no"}));
    assert_eq!(declined["status"], "completed");
    assert_eq!(declined["output"][0]["content"], json!([{"type": "refusal", "refusal": "no"}]));
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]});
    let (called, _) = of("tool_calls", &calls);
    assert_eq!(
        called["output"],
        json!([{"type": "function_call", "id": "fc_abc_0", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"}])
    );
    assert_eq!(called["status"], "completed");
}

#[test]
fn likelihoods_stand_with_their_text() {
    let mut body = chat(&json!({"role": "assistant", "content": "yes"}), "stop");
    let token = json!({"token": "yes", "logprob": -0.1, "bytes": [121], "top_logprobs": []});
    body["choices"][0]["logprobs"] = json!({"content": [token], "refusal": null});
    let encoded = response(&chat_reply(&body), &head(&json!({"model": "m", "input": "x"})));
    assert_eq!(json_of(&encoded.body)["output"][0]["content"][0]["logprobs"], json!([token]));
    // And the other way.
    let own = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "yes", "annotations": [], "logprobs": [token]}]}]});
    let reply = OpenAiResponses.decode_reply(own.to_string().as_bytes()).expect("a reply");
    let chat = codec(Dialect::OpenAiChat).encode_reply(&reply, &ReplyContext::default());
    assert_eq!(json_of(&chat.body)["choices"][0]["logprobs"]["content"], json!([token]));
    assert_eq!(chat.losses.to_string(), "");
}

#[test]
fn the_input_of_a_custom_tool_is_unwrapped() {
    let request = json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "sql"}]});
    for (arguments, input) in [
        ("{\"input\":\"select 1\"}", "select 1"),
        ("select 1", "select 1"),
        ("{\"input\":\"a\",\"b\":1}", "{\"input\":\"a\",\"b\":1}"),
    ] {
        let message = json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "sql", "arguments": arguments}}]});
        let encoded = response(&chat_reply(&chat(&message, "tool_calls")), &head(&request));
        let item = &json_of(&encoded.body)["output"][0];
        assert_eq!(
            *item,
            json!({"type": "custom_tool_call", "id": "ctc_abc_0", "status": "completed", "call_id": "c", "name": "sql", "input": input})
        );
    }
}

#[test]
fn an_answer_of_this_dialect_under_another_head() {
    let own = json!({"id": "resp_there", "object": "response", "created_at": 1, "model": "there", "status": "completed",
        "store": true, "metadata": {}, "billing": {"payer": "x"}, "output": [
        {"type": "message", "id": "msg_there", "status": "completed", "role": "assistant", "phase": "final_answer",
            "content": [{"type": "output_text", "text": "yes", "annotations": []}]},
        {"type": "web_search_call", "id": "ws_there", "status": "completed", "action": {"type": "search", "query": "q"}}],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}});
    let reply = OpenAiResponses.decode_reply(own.to_string().as_bytes()).expect("a reply");
    let encoded = response(&reply, &head(&json!({"model": "m", "input": "x", "metadata": {"a": "b"}})));
    assert_eq!(encoded.losses.to_string(), "");
    let body = json_of(&encoded.body);
    assert_eq!((&body["id"], &body["metadata"]), (&json!("resp_abc"), &json!({"a": "b"})));
    assert_eq!(body["output"][0]["id"], "msg_there");
    assert_eq!(body["output"][0]["phase"], "final_answer");
    assert_eq!(body["output"][1], own["output"][1]);
    assert!(body.get("billing").is_none(), "the host's bill is not the caller's");
}

#[test]
fn responses_that_have_no_reply_yet() {
    let head = head(&json!({"model": "m", "input": "x", "background": true}));
    let queued = snapshot(&head, Status::Queued, &[], None, None).value();
    for name in REQUIRED {
        assert!(queued.get(name).is_some(), "{name}");
    }
    assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(true)));
    assert_eq!((&queued["output"], &queued["usage"]), (&json!([]), &Value::Null));
    let fault = Fault::upstream(Code::UpstreamTimeout, "The upstream did not answer in time.");
    let failed = snapshot(
        &head,
        Status::Failed,
        &[],
        Some(&Usage::from_inclusive(3, 0, 1, 0)),
        Some(&failure(&fault)),
    );
    let failed = failed.value();
    assert_eq!(
        failed["error"],
        json!({"code": "server_error", "type": "upstream_timeout", "message": "The upstream did not answer in time."})
    );
    assert_eq!(failed["usage"]["total_tokens"], 4);
    // A head outlives its process.
    let kept = serde_json::to_string(&head).expect("JSON");
    assert_eq!(serde_json::from_str::<Head>(&kept).expect("a head"), head);
}

#[test]
fn the_other_objects() {
    assert_eq!(json_of(&input_tokens(7)), json!({"object": "response.input_tokens", "input_tokens": 7}));
    let item = crate::openai_responses::decode_item(
        &domain::Raw::parse(r#"{"type":"compaction","id":"cmp_1","encrypted_content":"x"}"#).expect("JSON"),
    )
    .expect("an item");
    let body = json_of(&compaction(
        "resp_1",
        9,
        &[encode_item(&item, "unused")],
        &Usage::from_inclusive(3, 0, 1, 0),
    ));
    assert_eq!(body["object"], "response.compaction");
    assert_eq!(body["output"][0]["encrypted_content"], "x");
    assert_eq!(body["usage"]["output_tokens"], 1);
}

#[test]
fn a_failed_answer_is_a_fault() {
    let failed = json!({"id": "resp_1", "object": "response", "status": "failed", "output": [],
        "error": {"code": "rate_limit_exceeded", "message": "slow down"}});
    let fault = OpenAiResponses.decode_reply(failed.to_string().as_bytes()).expect_err("failed");
    assert_eq!((fault.code, fault.upstream_status), (Code::RateLimited, Some(429)));
    assert!(fault.detail.is_some_and(|detail| detail.contains("slow down")));
    for nonsense in ["[]", "<html>", "{}", r#"{"output":7}"#, r#"{"error":{"message":"x"}}"#] {
        assert!(OpenAiResponses.decode_reply(nonsense.as_bytes()).is_err(), "{nonsense}");
    }
}

#[test]
fn a_refused_blob_is_told_from_other_faults() {
    use crate::WireErrorKind as Kind;
    for (body, kind) in [
        (
            json!({"error": {"code": "invalid_encrypted_content", "message": "x", "type": "invalid_request_error"}}),
            Kind::ForeignSignature,
        ),
        (
            json!({"error": {"message": "The encrypted content for item rs_1 could not be verified.", "type": "invalid_request_error"}}),
            Kind::ForeignSignature,
        ),
        (json!({"error": {"code": "context_length_exceeded", "message": "x"}}), Kind::ContextLength),
        (json!({"error": {"code": "cyber_policy", "message": "x"}}), Kind::ContentFilter),
        (json!({"error": {"code": null, "message": "x", "type": "invalid_request_error"}}), Kind::Invalid),
    ] {
        assert_eq!(OpenAiResponses.decode_error(400, body.to_string().as_bytes()).kind, kind, "{body}");
    }
}
