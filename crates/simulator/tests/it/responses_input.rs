//! Responses: what goes in, and what is refused.

use serde_json::{Value, json};

use crate::client::{Got, simulator};
use crate::responses::{AZURE, OPENAI, respond};

fn error(got: &Got) -> (u16, Value) {
    (got.status, got.json()["error"].clone())
}

async fn answer(input: Value) -> String {
    let got = respond(&simulator().await, OPENAI, input, json!({})).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got.json()["output"][0]["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn messages_are_read_in_all_their_forms() {
    let text = answer(json!([
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": "First"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Yes", "annotations": []}, {"type": "refusal", "refusal": "No"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "See"},
            {"type": "input_image", "image_url": "https://example.com/a.png"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}]},
    ]));
    assert_eq!(text.await, "Simulated answer from gpt-5.4: 3 messages, 1 images. You said: See");
}

#[tokio::test]
async fn tool_outputs_are_quoted_by_the_name_of_their_call() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "get_weather", "arguments": "{}"});
    let text = answer(json!([
        {"role": "user", "content": "weather?"}, call("call_1"), call("call_2"),
        {"type": "custom_tool_call", "call_id": "call_3", "name": "shell", "input": "ls"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "rain"}]},
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "a.txt"},
    ]));
    let said = "From the tools: get_weather said sunny; get_weather said rain; shell said a.txt.";
    assert_eq!(text.await, said);
    let simulator = simulator().await;
    let lonely = json!([{"type": "function_call_output", "call_id": "call_9", "output": "x"}]);
    let (status, why) = error(&respond(&simulator, OPENAI, lonely, json!({})).await);
    assert_eq!(status, 400);
    assert_eq!(why["message"], "No tool call found for function call output with call_id call_9.");
    let open = json!([{"role": "user", "content": "x"}, call("call_1")]);
    let (status, why) = error(&respond(&simulator, OPENAI, open, json!({})).await);
    assert_eq!(status, 400);
    assert_eq!(why["message"], "No tool output found for function call call_1.");
}

#[tokio::test]
async fn reasoning_is_accepted_at_home_and_refused_elsewhere() {
    let simulator = simulator().await;
    let more =
        json!({"store": false, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}});
    for (home, abroad) in [(OPENAI, AZURE), (AZURE, OPENAI)] {
        let got = respond(&simulator, home, "Hello", more.clone()).await.json();
        let mut input = got["output"].as_array().unwrap().clone();
        let sealed = input[0]["encrypted_content"].as_str().unwrap().to_owned();
        input.push(json!({"role": "user", "content": "And now?"}));
        let accepted = respond(&simulator, home, input.clone(), more.clone()).await;
        assert_eq!(accepted.status, 200, "{}", accepted.text());
        let (status, why) = error(&respond(&simulator, abroad, input.clone(), more.clone()).await);
        assert_eq!((status, &why["code"]), (400, &json!("invalid_encrypted_content")));
        let head: String = sealed.chars().take(12).collect();
        let message = format!(
            "The encrypted content {head}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
        );
        assert_eq!(why["message"], message);
        input[0].as_object_mut().unwrap().remove("encrypted_content");
        let (status, why) = error(&respond(&simulator, home, input, more.clone()).await);
        assert_eq!((status, &why["param"]), (404, &json!("input")));
        assert!(why["message"].as_str().unwrap().starts_with("Item with id 'rs_"));
    }
}

#[tokio::test]
async fn what_the_api_does_not_know_is_refused_by_name() {
    let simulator = simulator().await;
    let hello = json!("Hello");
    let part = |role: &str, kind: &str| json!([{"role": role, "content": [{"type": kind, "text": "x"}]}]);
    let cases = [
        (hello.clone(), json!({"messages": []}), "unknown_parameter", "messages"),
        (
            hello.clone(),
            json!({"previous_response_id": "resp_1"}),
            "previous_response_not_found",
            "previous_response_id",
        ),
        (
            hello,
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            "missing_required_parameter",
            "tools[0].name",
        ),
        (
            json!([{"role": "user", "content": "x"}, {"type": "nonsense"}]),
            json!({}),
            "invalid_value",
            "input[1]",
        ),
        (json!([{"role": "tool", "content": "x"}]), json!({}), "invalid_value", "input[0].role"),
        (part("user", "text"), json!({}), "invalid_value", "input[0].content[0]"),
        (part("assistant", "input_text"), json!({}), "invalid_value", "input[0].content[0]"),
        (
            json!([{"type": "function_call", "name": "f"}]),
            json!({}),
            "missing_required_parameter",
            "input[0].call_id",
        ),
        (json!([]), json!({}), "missing_required_parameter", "input"),
    ];
    for (input, more, code, param) in cases {
        let (status, why) = error(&respond(&simulator, OPENAI, input, more).await);
        assert_eq!((status, &why["type"]), (400, &json!("invalid_request_error")));
        assert_eq!((&why["code"], &why["param"]), (&json!(code), &json!(param)), "{why}");
    }
    let known =
        json!({"previous_response_id": null, "user": "u", "truncation": "auto", "prompt_cache_key": "k"});
    assert_eq!(respond(&simulator, OPENAI, "Hello", known).await.status, 200);
    let unnamed = respond(&simulator, OPENAI, "Hello", json!({"model": ""})).await;
    assert_eq!(error(&unnamed).1["param"], "model");
    let unknown = respond(&simulator, OPENAI, "Hello", json!({"model": "does-not-exist"})).await;
    assert_eq!((unknown.status, &error(&unknown).1["code"]), (404, &json!("model_not_found")));
}
