use serde_json::{Value, json};

use crate::client::{ask, credential, post, send, simulator};

const PATH: &str = "/v1/chat/completions";

async fn chat(body: &Value) -> crate::client::Got {
    let simulator = simulator().await;
    post(&simulator, "openai", PATH, credential("openai"), body).await
}

#[tokio::test]
async fn a_whole_answer_looks_like_openai() {
    let simulator = simulator().await;
    let got = ask(&simulator, "openai", "Hello there", false).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.header("server"), "cloudflare");
    assert_eq!(got.header("x-cabotage-simulated"), "true");
    assert!(got.header("x-request-id").starts_with("req_"));
    assert!(got.header("x-ratelimit-reset-requests").ends_with("ms"));
    let body = got.json();
    assert_eq!(body["id"].as_str().unwrap().len(), "chatcmpl-".len() + 29);
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text, "Simulated answer from gpt-5.4: 1 messages, 0 images. You said: Hello there");
    assert_eq!(body["usage"]["prompt_tokens"], 5);
    assert_eq!(body["usage"]["completion_tokens"], 12);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

#[tokio::test]
async fn a_stream_gives_the_same_text_and_usage_only_when_asked() {
    let simulator = simulator().await;
    let whole = ask(&simulator, "openai", "Hello there", false).await.json();
    for wanted in [false, true] {
        let mut body = json!({"model": "gpt-5.4", "stream": true, "messages": [{"role": "user", "content": "Hello there"}]});
        if wanted {
            body["stream_options"] = json!({"include_usage": true});
        }
        let got = post(&simulator, "openai", PATH, credential("openai"), &body).await;
        assert!(got.text().ends_with("data: [DONE]\n\n"));
        let events = got.events();
        let text: String =
            events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().unwrap());
        let last = events.last().unwrap();
        assert_eq!(last["choices"] == json!([]), wanted);
        assert_eq!(events[1].get("usage").is_some(), wanted);
        if wanted {
            assert_eq!(last["usage"], whole["usage"]);
        }
    }
}

#[tokio::test]
async fn tools_are_called_in_parallel_and_their_results_quoted() {
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    let simulator = simulator().await;
    let mut body = json!({"model": "gpt-5.4", "tools": tools, "messages":
        [{"role": "user", "content": "What is the weather in Paris and Tokyo?"}]});
    let got = post(&simulator, "openai", PATH, credential("openai"), &body).await.json();
    assert_eq!(got["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(got["choices"][0]["message"]["content"], Value::Null);
    let calls = got["choices"][0]["message"]["tool_calls"].as_array().unwrap().clone();
    assert_eq!(calls[1]["function"]["arguments"], r#"{"city":"Tokyo"}"#);

    body["stream"] = json!(true);
    let events = post(&simulator, "openai", PATH, credential("openai"), &body).await.events();
    let mut arguments = [String::new(), String::new()];
    for event in &events {
        for part in event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(part["index"].as_u64().unwrap()).unwrap();
            arguments[index].push_str(part["function"]["arguments"].as_str().unwrap());
        }
    }
    assert_eq!(arguments, [r#"{"city":"Paris"}"#, r#"{"city":"Tokyo"}"#]);

    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    messages.push(json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "sunny"}));
    body["stream"] = json!(false);
    let refused = post(&simulator, "openai", PATH, credential("openai"), &body).await;
    assert_eq!(refused.status, 400, "one result is missing");
    body["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!({"role": "tool", "tool_call_id": calls[1]["id"], "content": "rain"}));
    let got = post(&simulator, "openai", PATH, credential("openai"), &body).await.json();
    let text = got["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text, "From the tools: get_weather said sunny; get_weather said rain.");
}

#[tokio::test]
async fn options_are_honoured() {
    let ask = |more: Value| {
        let mut body = json!({"model": "gpt-5.4", "messages": [{"role": "user", "content": "Hello there"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        async move { chat(&body).await.json() }
    };
    let cut = ask(json!({"max_completion_tokens": 3})).await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert_eq!(cut["usage"]["completion_tokens"], 3);
    let stopped = ask(json!({"stop": ["messages"]})).await;
    assert_eq!(stopped["choices"][0]["message"]["content"], "Simulated answer from gpt-5.4: 1 ");
    let several = ask(json!({"n": 3})).await;
    assert_eq!(several["choices"].as_array().unwrap().len(), 3);
    assert_ne!(several["choices"][0]["message"], several["choices"][2]["message"]);
    let probable = ask(json!({"logprobs": true, "top_logprobs": 2})).await;
    let first = &probable["choices"][0]["logprobs"]["content"][0];
    assert_eq!(first["token"], "Simulated");
    assert_eq!(first["top_logprobs"].as_array().unwrap().len(), 2);
    let thought = ask(json!({"reasoning_effort": "high"})).await;
    assert!(thought["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let formed = ask(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}),
    )
    .await;
    assert_eq!(formed["choices"][0]["message"]["content"], r#"{"n":1}"#);
    let image = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
    let text = ask(image).await["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.contains("1 images"), "{text}");
}

#[tokio::test]
async fn long_system_prompts_are_cached_the_second_time() {
    let simulator = simulator().await;
    let system = "word ".repeat(1100);
    let body = json!({"model": "gpt-5.4", "messages": [{"role": "system", "content": system},
        {"role": "user", "content": "Hello"}]});
    let mut cached = Vec::new();
    for _ in 0..2 {
        let got = post(&simulator, "openai", PATH, credential("openai"), &body).await.json();
        cached.push(got["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap());
    }
    assert_eq!(cached[0], 0);
    assert!(cached[1] >= 1100);
}

#[tokio::test]
async fn errors_have_openai_shape() {
    let simulator = simulator().await;
    let body = json!({"model": "gpt-5.4", "messages": [{"role": "user", "content": "x"}]});
    let wrong = post(&simulator, "openai", PATH, ("authorization", "Bearer sk-wrong"), &body).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (401, &json!("invalid_api_key")));
    let unknown =
        send(simulator.address("openai").unwrap(), "GET", "/v1/nothing", &[credential("openai")], "")
            .await
            .unwrap();
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["message"], "Invalid URL (GET /v1/nothing)");
    let missing =
        chat(&json!({"model": "does-not-exist-1", "messages": [{"role": "user", "content": "x"}]})).await;
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &json!("model_not_found")));
    let models = send(simulator.address("openai").unwrap(), "GET", "/v1/models", &[credential("openai")], "")
        .await
        .unwrap();
    assert_eq!(models.json()["object"], "list");
}

#[tokio::test]
async fn directives_shape_the_answer() {
    let said = |directive: &str, stream: bool| {
        let body = json!({"model": "gpt-5.4", "stream": stream,
            "messages": [{"role": "user", "content": format!("Hi [[sim {directive}]]")}]});
        async move { chat(&body).await }
    };
    let got = said(r#"{"say":"exactly this","finish":"content_filter"}"#, false).await.json();
    assert_eq!(got["choices"][0]["message"]["content"], "exactly this");
    assert_eq!(got["choices"][0]["finish_reason"], "content_filter");
    let got = said(r#"{"deltas":7}"#, true).await.events();
    let deltas = got.iter().filter(|event| {
        event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty())
    });
    assert_eq!(deltas.count(), 7);
    let got = said(r#"{"tools":[{"name":"f","arguments":{"a":1}}]}"#, false).await.json();
    assert_eq!(got["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], r#"{"a":1}"#);
    let got = said(r#"{"fault":{"kind":"status","status":418}}"#, false).await;
    assert_eq!(got.status, 418);
}
