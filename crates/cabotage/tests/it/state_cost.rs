//! What keeping state costs a call, measured from outside on the binary. A measurement, not a check of time: run it
//! by hand, in release:
//! `cargo nextest run -p cabotage --release --run-ignored only --no-capture -E 'test(state_cost::)'`.

use crate::{
    caller::Caller,
    child::GatewayChild,
    folder,
    state_kills::{KEY, cloud, configuration},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Times of many calls, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls, p50 {:.2?}, p99 {:.2?}", self.0.len(), self.at(50), self.at(99))
    }
}

async fn times(caller: &mut Caller, count: usize, body: &Value) -> Times {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        let (status, answer) = caller.ask(Method::POST, "/v1/responses", KEY, body).await.unwrap();
        all.push(begun.elapsed());
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("completed")), "{answer}");
    }
    all.sort();
    Times(all)
}

fn message(index: usize) -> Value {
    let role = ["user", "assistant"][index % 2];
    let kind = ["input_text", "output_text"][index % 2];
    let text = format!("{index}: something of the usual length that was said in the course of a long talk");
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run in release"]
async fn of_a_turn_and_of_a_long_conversation() {
    let simulator = cloud().await;
    let dir = folder(&[("cabotage.toml", &configuration(&simulator))]);
    let gateway = GatewayChild::serve(dir.path());
    let mut caller = Caller::connect(gateway.address).await.unwrap();
    let kept = json!({"model": "gpt-5.4", "input": "How are you?"});
    let passing = json!({"model": "gpt-5.4", "input": "How are you?", "store": false});
    times(&mut caller, 200, &kept).await;
    times(&mut caller, 200, &passing).await;
    for round in 0..3 {
        println!("round {round}, store:false: {}", times(&mut caller, 2_000, &passing).await);
        println!("round {round}, kept:        {}", times(&mut caller, 2_000, &kept).await);
    }

    // 2,000 items in the store, twenty at a time.
    let (_, made) = caller.ask(Method::POST, "/v1/conversations", KEY, &json!({})).await.unwrap();
    let conversation = made["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/conversations/{conversation}/items");
    let items: Vec<Value> = (0..2_000).map(message).collect();
    for part in items.chunks(20) {
        let (status, said) = caller.ask(Method::POST, &path, KEY, &json!({"items": part})).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    let from_store = json!({"model": "gpt-5.4", "conversation": conversation, "input": "And on."});
    let mut with_all = items;
    with_all.push(json!({"type": "message", "role": "user", "content": "And on."}));
    let in_the_call = json!({"model": "gpt-5.4", "input": with_all, "store": false});
    for round in 0..3 {
        println!(
            "round {round}, 2,000 items in a call with store:false: {}",
            times(&mut caller, 100, &in_the_call).await
        );
        println!(
            "round {round}, 2,000 items and more from the store:    {}",
            times(&mut caller, 100, &from_store).await
        );
    }
    // What the cloud itself takes for the same, asked without a gateway.
    let words = (0..2_000).map(|index| {
        let item = message(index);
        json!({"role": item["role"], "content": item["content"][0]["text"]})
    });
    let body = json!({"model": "gpt-5.4", "messages": words.collect::<Vec<_>>()});
    let cloud = simulator.base_url("openai").unwrap();
    let address = cloud.trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap();
    let mut direct = Caller::connect(address).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let asked = direct.ask(Method::POST, "/v1/chat/completions", "sk-simulated-openai", &body).await;
        all.push(begun.elapsed());
        assert_eq!(asked.unwrap().0, StatusCode::OK);
    }
    all.sort();
    println!("2,000 messages asked of the cloud itself: {}", Times(all));
    drop((caller, direct));
    gateway.stop();
    simulator.shutdown().await;
}

/// An id that belongs to somebody else and one that nobody has: the same answer, and told in the same time. The two
/// are asked for in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run in release"]
async fn of_ids_that_are_not_the_callers() {
    let simulator = cloud().await;
    let dir = folder(&[("cabotage.toml", &configuration(&simulator))]);
    let gateway = GatewayChild::serve(dir.path());
    let mut caller = Caller::connect(gateway.address).await.unwrap();
    let body = json!({"model": "gpt-5.4", "input": "How are you?"});
    let (_, kept) = caller.ask(Method::POST, "/v1/responses", KEY, &body).await.unwrap();
    let foreign = kept["id"].as_str().unwrap().to_owned();
    // As long, and of the same letters.
    let (head, tail) = foreign.split_at(foreign.len() - 4);
    let unknown = format!("{head}{}", tail.chars().rev().collect::<String>());
    assert_ne!(foreign, unknown);
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..20_000 {
        let id = [&foreign, &unknown][round % 2];
        let begun = Instant::now();
        let path = format!("/v1/responses/{id}");
        let (status, answer) = caller.ask(Method::GET, &path, "sk-another", &Value::Null).await.unwrap();
        if round >= 1_000 {
            took[round % 2].push(begun.elapsed());
        }
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::NOT_FOUND, &json!("response_not_found")));
    }
    for (name, mut all) in ["foreign", "unknown"].into_iter().zip(took) {
        all.sort();
        println!("{name}: {}", Times(all));
    }
    drop(caller);
    gateway.stop();
    simulator.shutdown().await;
}
