//! The main job: a chat call reaches every cloud and comes back whole or streamed.

use crate::gateway::{FLEET, Gateway};
use domain::record::{Outcome, Record, ServedBy};
use serde_json::{Value, json};

fn pinned(place: &crate::gateway::Place, stream: bool) -> Value {
    json!({
        "model": format!("{}@{}", place.model, place.name),
        "messages": [{"role": "user", "content": "[[sim {\"say\":\"Grüße aus der Wolke\"}]]"}],
        "stream": stream,
    })
}

#[tokio::test]
async fn a_whole_answer_from_every_cloud() {
    let gateway = Gateway::start().await;
    for place in FLEET {
        let (status, headers, body) = gateway.chat(pinned(place, false)).await;
        assert_eq!(status, 200, "{}: {body}", place.name);
        let reply: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(reply["choices"][0]["message"]["content"], "Grüße aus der Wolke", "{}", place.name);
        assert_eq!(reply["choices"][0]["finish_reason"], "stop", "{}", place.name);
        assert!(reply["usage"]["total_tokens"].as_u64().unwrap() > 0, "{}", place.name);
        assert_eq!(headers["x-cabotage-deployment"], place.name);
        assert_eq!(headers["x-cabotage-served-by"], "simulated");
        assert!(headers.contains_key("x-cabotage-decision"));
    }
    let (attempts, outcomes, refusals) = gateway.counts();
    assert_eq!((attempts, outcomes, refusals), (FLEET.len(), FLEET.len(), 0));
    assert_eq!(gateway.simulator.journal().len(), FLEET.len(), "the clouds saw each call once");
    for record in gateway.journal.records() {
        if let Record::Outcome(outcome) = record {
            assert_eq!(
                (outcome.outcome, outcome.last, outcome.served_by),
                (Outcome::Done, true, ServedBy::Simulated)
            );
            assert!(outcome.usage.input_total() > 0 && outcome.usage.output_total() > 0);
        }
    }
}

#[tokio::test]
async fn a_streamed_answer_from_every_cloud() {
    let gateway = Gateway::start().await;
    for place in FLEET {
        let (status, headers, body) = gateway.chat(pinned(place, true)).await;
        assert_eq!(status, 200, "{}: {body}", place.name);
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let mut text = String::new();
        let mut finishes = Vec::new();
        let mut ids = std::collections::BTreeSet::new();
        let frames: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(frames.last(), Some(&"[DONE]"), "{}: {body}", place.name);
        for frame in &frames[..frames.len() - 1] {
            let chunk: Value = serde_json::from_str(frame).unwrap();
            assert!(chunk["usage"].is_null(), "{}: usage was not asked for: {chunk}", place.name);
            if let Some(choice) = chunk["choices"].get(0) {
                text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
                finishes.extend(choice["finish_reason"].as_str().map(str::to_owned));
                ids.insert(chunk["id"].to_string());
            }
        }
        assert_eq!(text, "Grüße aus der Wolke", "{}", place.name);
        assert_eq!(finishes, ["stop"], "{}", place.name);
        assert_eq!(ids.len(), 1, "{}: one id for the whole stream", place.name);
    }
    for record in gateway.journal.records() {
        if let Record::Outcome(outcome) = record {
            assert_eq!(outcome.outcome, Outcome::Done);
            assert!(
                outcome.usage.output_total() > 0,
                "usage is booked although the caller did not ask for it"
            );
            assert!(outcome.first_content_us > 0);
        }
    }
}

#[tokio::test]
async fn tools_travel_both_ways_to_every_cloud() {
    let gateway = Gateway::start().await;
    for place in FLEET {
        let tools = ["get_weather", "get_time"].map(|name| {
            json!({"type": "function", "function": {"name": name, "description": "tells", "parameters": {
                "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}})
        });
        let mut call = json!({
            "model": format!("{}@{}", place.model, place.name),
            "messages": [{"role": "user", "content": "call get_weather and get_time"}],
            "tools": tools,
        });
        let (status, _, body) = gateway.chat(call.clone()).await;
        assert_eq!(status, 200, "{}: {body}", place.name);
        let reply: Value = serde_json::from_str(&body).unwrap();
        let message = &reply["choices"][0]["message"];
        let calls = message["tool_calls"].as_array().unwrap_or_else(|| panic!("{}: {body}", place.name));
        assert_eq!(calls.len(), 2, "{}", place.name);
        assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls", "{}", place.name);
        let messages = call["messages"].as_array_mut().unwrap();
        messages.push(message.clone());
        for (index, tool) in calls.iter().enumerate() {
            let arguments: Value =
                serde_json::from_str(tool["function"]["arguments"].as_str().unwrap()).unwrap();
            assert!(arguments["city"].is_string(), "{}", place.name);
            messages.push(
                json!({"role": "tool", "tool_call_id": tool["id"], "content": format!("answer-{index}")}),
            );
        }
        let (status, _, body) = gateway.chat(call).await;
        assert_eq!(status, 200, "{}: {body}", place.name);
        assert!(body.contains("answer-0") && body.contains("answer-1"), "{}: {body}", place.name);
    }
}

#[tokio::test]
async fn a_loss_is_named_in_the_head() {
    let gateway = Gateway::start().await;
    let (status, headers, body) = gateway
        .chat(json!({"model": "claude-opus-5-5@anthropic", "messages": [{"role": "user", "content": "hi"}], "seed": 7, "frequency_penalty": 0.5}))
        .await;
    assert_eq!(status, 200, "{body}");
    let loss = headers["x-cabotage-translation-loss"].to_str().unwrap();
    assert!(loss.contains("seed") && loss.contains("frequency_penalty"), "{loss}");
    let (_, headers, _) = gateway
        .chat(json!({"model": "gpt-5.4@openai", "messages": [{"role": "user", "content": "hi"}], "seed": 7}))
        .await;
    assert!(!headers.contains_key("x-cabotage-translation-loss"), "the same dialect loses nothing");
}

#[tokio::test]
async fn models_are_listed_and_calls_can_be_looked_up_by_their_owner_only() {
    let gateway = Gateway::start().await;
    let (_, headers, _) = gateway.chat(pinned(&FLEET[0], false)).await;
    let id = headers["x-cabotage-call-id"].to_str().unwrap().to_owned();
    let get = |path: String, key: &'static str| {
        http::Request::get(path)
            .header("host", "gateway")
            .header("authorization", format!("Bearer {key}"))
            .body(http_body_util::Full::default())
            .unwrap()
    };
    let path = format!("/cabotage/v1/calls/{id}");
    assert_eq!(gateway.send(get(path.clone(), crate::gateway::KEY)).await.status(), 200);
    assert_eq!(gateway.send(get(path, "sk-eu")).await.status(), 404, "a foreign call is an unknown call");
    assert_eq!(gateway.send(get("/v1/models".into(), crate::gateway::KEY)).await.status(), 200);
    assert_eq!(gateway.send(get("/v1/models/gpt-5.4".into(), crate::gateway::KEY)).await.status(), 200);
    assert_eq!(gateway.send(get("/v1/models/none".into(), crate::gateway::KEY)).await.status(), 404);
}

#[tokio::test]
async fn the_future_of_a_call_stays_small() {
    let gateway = Gateway::start().await;
    let caller = gateway.engine.caller(Some(crate::gateway::KEY)).unwrap();
    let body = json!({"model": "gpt-5.4", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let call = engine::ActiveCall::openai_chat(gateway.engine.new_call_id(), body.into()).unwrap();
    let size = std::mem::size_of_val(&gateway.engine.infer(&caller, call));
    eprintln!("infer: {size} bytes");
    assert!(size < 4_096, "each call moves its future a few times: {size} bytes");
}
