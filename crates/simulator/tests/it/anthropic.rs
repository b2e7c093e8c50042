use serde_json::{Value, json};

use crate::client::{Got, ask, credential, post, send, simulator};

const PATH: &str = "/v1/messages";

async fn message(more: &Value) -> Got {
    let simulator = simulator().await;
    let mut body = json!({"model": "claude-opus-5-5", "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hello there"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    post(&simulator, "anthropic", PATH, credential("anthropic"), &body).await
}

#[tokio::test]
async fn a_whole_answer_looks_like_anthropic() {
    let simulator = simulator().await;
    let got = ask(&simulator, "anthropic", "Hello there", false).await;
    assert_eq!(got.header("via"), "1.1 google");
    assert!(got.header("request-id").starts_with("req_011"));
    assert!(got.header("anthropic-ratelimit-tokens-reset").ends_with('Z'));
    let body = got.json();
    assert!(body["id"].as_str().unwrap().starts_with("msg_01"));
    assert_eq!(body["stop_reason"], "end_turn");
    assert_eq!(body["usage"]["inference_geo"], "global");
    assert!(body["content"][0]["text"].as_str().unwrap().ends_with("You said: Hello there"));
}

#[tokio::test]
async fn a_stream_has_all_events_in_order_and_folds_to_the_whole() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let whole = message(&thinking).await.json();
    let mut more = thinking;
    more["stream"] = json!(true);
    let got = message(&more).await;
    let events = got.events();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    let fold =
        |key: &str| -> String { events.iter().filter_map(|event| event["delta"][key].as_str()).collect() };
    assert_eq!(fold("thinking"), whole["content"][0]["thinking"].as_str().unwrap());
    assert_eq!(fold("signature"), whole["content"][0]["signature"].as_str().unwrap());
    assert_eq!(fold("text"), whole["content"][1]["text"].as_str().unwrap());
    let ends = &events[events.len() - 2];
    assert_eq!(ends["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
}

#[tokio::test]
async fn tools_round_trip_and_pairing_is_checked() {
    let tools = json!([{"name": "get_weather", "input_schema": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}}]);
    let question = json!({"role": "user", "content": "weather in Oslo?"});
    let got = message(&json!({"tools": tools, "messages": [question]})).await.json();
    assert_eq!(got["stop_reason"], "tool_use");
    assert!(got["content"][0]["id"].as_str().unwrap().starts_with("toolu_01"));
    assert_eq!(got["content"][0]["input"], json!({"city": "Oslo"}));
    let reply = json!({"role": "assistant", "content": got["content"]});
    let alone =
        message(&json!({"tools": tools, "messages": [question, reply, {"role": "user", "content": "and?"}]}))
            .await;
    assert_eq!(alone.status, 400);
    assert!(alone.json()["error"]["message"].as_str().unwrap().contains("without `tool_result`"));
    let result = json!({"role": "user", "content": [{"type": "tool_result",
        "tool_use_id": got["content"][0]["id"], "content": "snow"}]});
    let done = message(&json!({"tools": tools, "messages": [question, reply, result]})).await.json();
    assert_eq!(done["content"][0]["text"], "From the tools: get_weather said snow.");
}

#[tokio::test]
async fn bad_requests_are_refused_in_anthropic_shape() {
    let cases = [
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (json!({"nonsense": 1}), "nonsense: Extra inputs are not permitted"),
        (
            json!({"messages": [{"role": "assistant", "content": "x"}]}),
            "messages: first message must use the \"user\" role",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}),
            "messages: text content blocks must be non-empty",
        ),
        (json!({"temperature": 1.5}), "temperature: range: 0..1"),
    ];
    for (more, expected) in cases {
        let got = message(&more).await;
        assert_eq!(got.status, 400, "{more}");
        assert_eq!(got.json()["type"], "error");
        assert_eq!(got.json()["error"]["message"], expected);
    }
    let forged = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content":
        [{"type": "thinking", "thinking": "t", "signature": "forged"}]}, {"role": "user", "content": "b"}]});
    assert_eq!(message(&forged).await.status, 400);
    let simulator = simulator().await;
    let address = simulator.address("anthropic").unwrap();
    let got = send(address, "POST", PATH, &[("x-api-key", "bad")], "{}").await.unwrap();
    assert_eq!((got.status, &got.json()["error"]["type"]), (401, &json!("authentication_error")));
    let got = send(address, "POST", PATH, &[credential("anthropic")], "{}").await.unwrap();
    assert_eq!(got.json()["error"]["message"], "anthropic-version: header is required");
    let got = send(address, "GET", "/v1/nothing", &[credential("anthropic")], "").await.unwrap();
    assert_eq!((got.status, &got.json()["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test]
async fn the_version_of_2026_takes_no_sampling_parameters() {
    let simulator = simulator().await;
    let address = simulator.address("anthropic").unwrap();
    let body = json!({"model": "claude-opus-5-5", "max_tokens": 10, "temperature": 1.0,
        "messages": [{"role": "user", "content": "Hello"}]});
    for (version, status) in [("2023-06-01", 200), ("2026-10-21", 400), ("1999-01-01", 400)] {
        let headers = [("authorization", "Bearer sk-ant-simulated"), ("anthropic-version", version)];
        let got = send(address, "POST", PATH, &headers, body.to_string()).await.unwrap();
        assert_eq!(got.status, status, "{version}: {}", got.text());
    }
}

#[tokio::test]
async fn marked_prompts_are_written_to_the_cache_and_read_from_it() {
    let simulator = simulator().await;
    let body = json!({"model": "claude-opus-5-5", "max_tokens": 100, "system": [{"type": "text",
        "text": "word ".repeat(1100), "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "Hello"}]});
    let first = post(&simulator, "anthropic", PATH, credential("anthropic"), &body).await.json();
    let second = post(&simulator, "anthropic", PATH, credential("anthropic"), &body).await.json();
    assert!(first["usage"]["cache_creation_input_tokens"].as_u64().unwrap() >= 1100);
    assert_eq!(second["usage"]["cache_read_input_tokens"], first["usage"]["cache_creation_input_tokens"]);
    assert_eq!(second["usage"]["input_tokens"], 4);
}
