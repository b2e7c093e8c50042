use serde_json::json;

use crate::client::{ask, credential, post, send, simulator};

#[tokio::test]
async fn it_answers_without_a_key_and_shows_reasoning() {
    let simulator = simulator().await;
    let got = ask(&simulator, "vllm-onprem", "Hello", false).await;
    assert_eq!(got.header("server"), "uvicorn");
    assert_eq!(got.json()["id"].as_str().unwrap().len(), "chatcmpl-".len() + 36);
    let body =
        json!({"model": "gpt-oss-120b", "stream": true, "messages": [{"role": "user", "content": "Hello"}]});
    let got = post(&simulator, "vllm-onprem", "/v1/chat/completions", credential("vllm"), &body).await;
    let thought: String = got
        .events()
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["reasoning_content"].as_str().map(str::to_owned))
        .collect();
    assert!(thought.starts_with("Weighing 1 messages"), "{thought}");
    let unknown = send(simulator.address("vllm-onprem").unwrap(), "GET", "/x", &[], "").await.unwrap();
    assert_eq!((unknown.status, unknown.json()), (404, json!({"detail": "Not Found"})));
}
