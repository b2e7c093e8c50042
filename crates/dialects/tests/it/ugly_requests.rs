//! The inner form, checked on paper and here: twelve ugly requests, each written to each dialect, with what
//! was lost on the way. The snapshots are the table; `docs/decisions/0001-inner-form.md` says what it taught.

use dialects::{Envelope, Quirks, Target, codec};
use domain::{Capabilities, Dialect, ReasoningControl};
use serde_json::{Value, json};

/// Name, request. Each holds what one of the four dialects groups, orders or says differently.
fn ugly_requests() -> Vec<(&'static str, Value)> {
    let png = "data:image/jpg;charset=utf-8;base64,iVBORw0KGgo=";
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}});
    vec![
        (
            "01_parallel_results_then_text",
            json!({"model": "m", "tools": [tool], "messages": [
            {"role": "user", "content": "Paris and Rome?"},
            {"role": "assistant", "content": "", "tool_calls": [
                call("call_a", "weather", "{\"city\":\"Paris\"}"), call("call_b", "weather", "")]},
            {"role": "tool", "tool_call_id": "call_b", "content": "sun"},
            {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "rain"}]},
            {"role": "user", "content": "And now?"}]}),
        ),
        (
            "02_truncated_arguments_no_tools",
            json!({"model": "m", "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [call("call_1", "f", "{\"a\": \"unfin")]},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"$ref\":\"x\"}"}]}),
        ),
        (
            "03_instructions_everywhere",
            json!({"model": "m", "messages": [
            {"role": "system", "content": "one"}, {"role": "user", "content": "a", "name": "ann"},
            {"role": "developer", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
            {"role": "user", "content": "b"}]}),
        ),
        (
            "04_images_by_bytes_and_url",
            json!({"model": "m", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "  "}, {"type": "image_url", "image_url": {"url": png, "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "gs://bucket/cat.png"}},
            {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}}]}]}),
        ),
        (
            "05_document_and_file_id",
            json!({"model": "m", "messages": [{"role": "user", "content": [
            {"type": "file", "file": {"filename": "a/b:c.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
            {"type": "file", "file": {"file_id": "file-123"}}]}]}),
        ),
        (
            "06_schema_with_refs",
            json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "out", "strict": true, "schema": {
                "type": "object", "additionalProperties": false, "required": ["n"],
                "properties": {"n": {"$ref": "#/$defs/N"}, "o": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                "$defs": {"N": {"type": "integer", "enum": [1, 2]}}}}}}),
        ),
        (
            "07_choice_none_not_parallel",
            json!({"model": "m", "tools": [tool], "tool_choice": "none",
            "parallel_tool_calls": false, "messages": [{"role": "user", "content": "x"}]}),
        ),
        (
            "08_named_choice_bare_tool",
            json!({"model": "m", "max_completion_tokens": 50,
            "tools": [{"type": "function", "function": {"name": "now", "description": "", "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "now"}},
            "messages": [{"role": "user", "content": "x"}]}),
        ),
        (
            "09_every_option",
            json!({"model": "m", "max_tokens": 99, "temperature": 1.5, "top_p": 1, "seed": 7,
            "stop": ["", "END", "\n\n", "a", "b", "c"], "logprobs": true, "top_logprobs": 2, "store": true,
            "presence_penalty": 0.5, "frequency_penalty": -0.5, "user": "u1", "service_tier": "flex",
            "logit_bias": {"1": 2}, "prompt_cache_key": "k", "metadata": {"a": "b"}, "unknown_new": [1],
            "messages": [{"role": "user", "content": "x"}]}),
        ),
        (
            "10_effort_and_thoughts_of_others",
            json!({"model": "m", "reasoning_effort": "high", "max_tokens": 4000,
            "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y",
                "reasoning_content": "hm", "reasoning_details": [
                    {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": "anthropic-messages"},
                    {"type": "reasoning.encrypted", "data": "eHg=", "format": "bedrock-converse"}],
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "Z2Vt"}}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "ok"}]}),
        ),
        (
            "11_empty_turns_and_prefill",
            json!({"model": "m", "messages": [
            {"role": "user", "content": "a"}, {"role": "assistant", "content": ""},
            {"role": "user", "content": "b"}, {"role": "user", "content": "c"},
            {"role": "assistant", "content": "The answer is", "refusal": null}]}),
        ),
        (
            "12_stream_and_server_tool",
            json!({"model": "m", "stream": true,
            "tools": [{"type": "web_search_preview", "size": 3}], "n": 1, "modalities": ["text"],
            "messages": [{"role": "user", "content": [{"type": "input_audio",
                "input_audio": {"data": "UklGRg==", "format": "wav"}}, {"type": "brand_new", "x": 1}]}]}),
        ),
    ]
}

fn capabilities(dialect: Dialect) -> Capabilities {
    let reasoning = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => ReasoningControl::Effort,
        _ => ReasoningControl::Budget,
    };
    Capabilities { reasoning, max_output_tokens: 8_192, ..Capabilities::default() }
}

#[test]
fn twelve_ugly_requests_in_four_dialects() {
    for (name, request) in ugly_requests() {
        let body = serde_json::to_vec(&crate::pitfalls::run::sorted(&request)).expect("JSON");
        let call = codec(Dialect::OpenAiChat).decode_call(&body, &Envelope::default()).expect(name);
        let mut row = serde_json::Map::new();
        for dialect in Dialect::ALL {
            let capabilities = capabilities(dialect);
            let target = Target { model: "m", capabilities: &capabilities, quirks: Quirks::default() };
            let cell = match codec(dialect).encode_call(&call, &target) {
                Ok(encoded) => json!({
                    "body": serde_json::from_slice::<Value>(&encoded.body).expect("JSON"),
                    "losses": encoded.losses.to_string(),
                }),
                Err(fault) => json!({"refused": fault.to_string(), "param": fault.param}),
            };
            row.insert(dialect.name().to_owned(), cell);
        }
        if name != "12_stream_and_server_tool" && name != "10_effort_and_thoughts_of_others" {
            assert_eq!(row["openai-chat"]["body"], request, "{name}: its own dialect writes it as it was");
        }
        // The order of keys is that of `serde_json`'s build, which other crates of the workspace change.
        insta::with_settings!({ sort_maps => true }, {
            insta::assert_json_snapshot!(name, Value::Object(row));
        });
    }
}
