//! Responses: what comes back, whole and streamed, on OpenAI and Azure.

use serde_json::{Value, json};
use simulator::{FaultAction, FaultRule, Simulator, When};

use crate::client::{Got, ask, credential, post, send, simulator};

pub(crate) const OPENAI: (&str, &str) = ("openai", "/v1/responses");
pub(crate) const AZURE: (&str, &str) = ("azure-westeurope", "/openai/v1/responses");

/// Asks for `input`, with `more` top-level parameters.
pub(crate) async fn respond(
    simulator: &Simulator,
    (cloud, path): (&str, &str),
    input: impl Into<Value>,
    more: Value,
) -> Got {
    let mut body = json!({"model": "gpt-5.4", "input": input.into()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(simulator, cloud, path, credential(cloud), &body).await
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn weather() -> Value {
    json!([{"type": "function", "name": "get_weather", "strict": false, "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}])
}

#[tokio::test]
async fn a_whole_answer_is_a_response_object() {
    let simulator = simulator().await;
    let more =
        json!({"instructions": "Be brief.", "temperature": 0.5, "metadata": {"a": "b"}, "store": false});
    let got = respond(&simulator, OPENAI, "Hello there", more).await;
    assert_eq!(got.status, 200);
    assert!(got.header("x-request-id").starts_with("req_"));
    let body = got.json();
    assert!(body["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(body["object"], "response");
    assert_eq!((&body["status"], &body["error"]), (&json!("completed"), &Value::Null));
    assert_eq!(body["model"], "gpt-5.4-2026-03-05");
    assert_eq!((&body["temperature"], &body["top_p"]), (&json!(0.5), &json!(1.0)));
    assert_eq!((&body["metadata"], &body["store"]), (&json!({"a": "b"}), &json!(false)));
    assert_eq!(body["output"].as_array().unwrap().len(), 1);
    let message = &body["output"][0];
    assert!(message["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!((&message["type"], &message["status"]), (&json!("message"), &json!("completed")));
    let text = "Simulated answer from gpt-5.4: 1 messages, 0 images. You said: Hello there";
    assert_eq!(message["content"][0]["text"], text);
    let usage = &body["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(7), &json!(12)));
    assert_eq!(usage["total_tokens"], 19);
    assert_eq!(usage["output_tokens_details"]["reasoning_tokens"], 0);
}

#[tokio::test]
async fn a_stream_ends_with_the_same_response_and_has_the_deltas_of_chat() {
    let simulator = simulator().await;
    let whole = respond(&simulator, OPENAI, "Hello there", json!({})).await.json();
    let got = respond(&simulator, OPENAI, "Hello there", json!({"stream": true})).await;
    assert_eq!(got.header("content-type"), "text/event-stream; charset=utf-8");
    assert!(got.text().starts_with("event: response.created\ndata: "));
    assert!(!got.text().contains("[DONE]"));
    let record = simulator.journal().pop().unwrap();
    assert_eq!((record.model.as_str(), record.streamed, record.complete), ("gpt-5.4", true, true));
    assert_eq!(record.bytes_sent, got.body.len() as u64);
    assert_eq!(record.usage.unwrap().output, 12);
    let events = got.events();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], index);
    }
    let kinds = kinds(&events);
    assert_eq!(
        kinds[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
    );
    assert_eq!(
        kinds[kinds.len() - 4..],
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let deltas: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "response.output_text.delta").collect();
    let text: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(text, whole["output"][0]["content"][0]["text"].as_str().unwrap());
    assert!(deltas.iter().all(|event| event["obfuscation"].is_string()));
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][0]["content"], whole["output"][0]["content"]);
    assert_eq!(last["usage"], whole["usage"]);
    ask(&simulator, "openai", "Hello there", true).await;
    assert_eq!(record.deltas_sent, simulator.journal().pop().unwrap().deltas_sent);
}

#[tokio::test]
async fn tools_are_called_and_streamed() {
    let simulator = simulator().await;
    let more = json!({"tools": weather(), "stream": true});
    let events = respond(&simulator, OPENAI, "weather in Paris and Tokyo?", more).await.events();
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    assert_eq!(output.len(), 2);
    assert_eq!(output[1]["arguments"], r#"{"city":"Tokyo"}"#);
    assert!(output[1]["call_id"].as_str().unwrap().starts_with("call_"));
    for (index, item) in output.iter().enumerate() {
        let ours: Vec<Value> =
            events.iter().filter(|event| event["output_index"] == index).cloned().collect();
        assert_eq!(ours[0]["item"]["arguments"], "");
        assert_eq!(ours[0]["item"]["call_id"], item["call_id"]);
        let arguments: String = ours.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(arguments, item["arguments"].as_str().unwrap());
        assert_eq!(kinds(&ours)[ours.len() - 2], "response.function_call_arguments.done");
        assert_eq!(ours.last().unwrap()["item"], *item);
    }
    let one = json!({"tools": weather(), "parallel_tool_calls": false});
    let got = respond(&simulator, OPENAI, "weather in Paris and Tokyo?", one).await.json();
    assert_eq!(got["output"].as_array().unwrap().len(), 1);
    assert_eq!(got["tools"][0]["description"], Value::Null);
    let named = json!({"tools": weather(), "tool_choice": {"type": "function", "name": "get_weather"}});
    let got = respond(&simulator, OPENAI, "Hello", named).await.json();
    assert_eq!(got["output"][0]["type"], "function_call");
}

#[tokio::test]
async fn options_are_honoured() {
    let simulator = simulator().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let format = json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}});
    let got = respond(&simulator, OPENAI, "Hello", format.clone()).await.json();
    assert_eq!(got["output"][0]["content"][0]["text"], r#"{"n":1}"#);
    assert_eq!(got["text"]["format"], format["text"]["format"]);
    let cut = json!({"max_output_tokens": 3});
    let got = respond(&simulator, OPENAI, "Hello", cut).await.json();
    assert_eq!((&got["status"], &got["output"][0]["status"]), (&json!("incomplete"), &json!("incomplete")));
    assert_eq!(got["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(got["usage"]["output_tokens"], 3);
    let cut = json!({"max_output_tokens": 3, "stream": true});
    let events = respond(&simulator, OPENAI, "Hello", cut).await.events();
    assert_eq!(events.last().unwrap()["type"], "response.incomplete");
    let refused = respond(&simulator, OPENAI, r#"[[sim {"say":"No.","finish":"refusal"}]]"#, json!({}));
    assert_eq!(refused.await.json()["output"][0]["content"][0], json!({"type": "refusal", "refusal": "No."}));
    let plain = json!({"stream": true, "stream_options": {"include_obfuscation": false}});
    assert!(!respond(&simulator, OPENAI, "Hello", plain).await.text().contains("obfuscation"));
}

#[tokio::test]
async fn reasoning_comes_first_with_a_summary_when_asked() {
    let simulator = simulator().await;
    let got = respond(&simulator, OPENAI, "Hello", json!({"reasoning": {"effort": "high"}})).await.json();
    let item = &got["output"][0];
    assert_eq!((&item["type"], &item["summary"]), (&json!("reasoning"), &json!([])));
    assert_eq!(item.get("encrypted_content"), None);
    assert!(got["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    assert_eq!(got["output"][1]["type"], "message");
    let more = json!({"stream": true, "reasoning": {"summary": "auto"}});
    let events = respond(&simulator, OPENAI, "Hello", more).await.events();
    let at = |kind: &str| events.iter().position(|event| event["type"] == kind).unwrap();
    let added = at("response.reasoning_summary_part.added");
    assert_eq!(events[added - 1]["item"]["summary"], json!([]));
    let done = at("response.reasoning_summary_text.done");
    let text: String = events[added..done].iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(events[done]["text"], text);
    assert_eq!(events[done + 1]["part"], json!({"type": "summary_text", "text": text}));
    assert_eq!(events[done + 2]["item"]["summary"][0]["text"], text);
    let none = respond(&simulator, OPENAI, "Hello", json!({"reasoning": {"effort": "none"}})).await.json();
    assert_eq!(none["output"][0]["type"], "message");
}

#[tokio::test]
async fn azure_answers_on_its_own_path() {
    let simulator = simulator().await;
    let got = respond(&simulator, AZURE, "Hello", json!({})).await;
    assert_eq!((got.status, got.header("x-ms-deployment-name")), (200, "gpt-5.4"));
    let body = got.json();
    assert_eq!(body["content_filters"][0]["content_filter_results"]["hate"]["severity"], "safe");
    let got = respond(&simulator, AZURE, "Hello", json!({"stream": true})).await;
    assert_eq!(got.events()[0]["response"]["content_filters"], Value::Null);
    assert!(!got.text().contains("obfuscation"));
    let got = respond(&simulator, AZURE, "please trigger_content_filter", json!({})).await;
    assert_eq!((got.status, &got.json()["error"]["code"]), (400, &json!("content_filter")));
    let got = respond(&simulator, AZURE, "Hello", json!({"nonsense": 1})).await;
    assert_eq!((got.status, &got.json()["error"]["code"]), (400, &json!("unknown_parameter")));
    let got = respond(&simulator, AZURE, "Hello", json!({"model": "does-not-exist"})).await;
    assert_eq!((got.status, &got.json()["error"]["code"]), (404, &json!("DeploymentNotFound")));
    let (cloud, path) = OPENAI;
    let address = simulator.address(cloud).unwrap();
    assert_eq!(send(address, "GET", path, &[credential(cloud)], "").await.unwrap().status, 405);
}

#[tokio::test]
async fn faults_hit_responses_as_they_hit_chat() {
    let simulator = simulator().await;
    let script = |cloud: &str, action: FaultAction| {
        simulator.script(cloud, [FaultRule { when: When::default(), action }]).unwrap();
    };
    for (to, code) in [(OPENAI, "server_error"), (AZURE, "ServiceUnavailable")] {
        for after_deltas in [0, 2] {
            script(to.0, FaultAction::ErrorMidStream { after_deltas, status: 503 });
            let got = respond(&simulator, to, "Hello", json!({"stream": true})).await;
            assert!(got.text().contains("event: error\n"));
            let events = got.events();
            let last = events.last().unwrap();
            assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!(code)));
            assert_eq!(last["sequence_number"], events.len() - 1);
            assert_eq!(simulator.journal().pop().unwrap().deltas_sent, after_deltas);
        }
        script(to.0, FaultAction::ErrorInSuccess { status: 429 });
        let events = respond(&simulator, to, "Hello", json!({"stream": true})).await.events();
        assert_eq!((events.len(), &events[0]["type"]), (1, &json!("error")));
    }
    let (cloud, _) = OPENAI;
    script(cloud, FaultAction::EndWithoutTerminal { after_deltas: 2 });
    let events = respond(&simulator, OPENAI, "Hello", json!({"stream": true})).await.events();
    assert_eq!(events.len(), 6, "{events:?}");
    script(cloud, FaultAction::Reset { after_bytes: 100 });
    let got = respond(&simulator, OPENAI, "Hello", json!({"stream": true})).await;
    assert_eq!((got.body.len(), got.broken.is_some()), (100, true));
    script(cloud, FaultAction::TruncatedJson { bytes: Some(50) });
    let got = respond(&simulator, OPENAI, "Hello", json!({})).await;
    assert_eq!(got.body.len(), 50);
    simulator.script(cloud, []).unwrap();
    let text = r#"Hi [[sim {"fault":{"kind":"status","status":418}}]]"#;
    assert_eq!(respond(&simulator, OPENAI, text, json!({})).await.status, 418);
}
