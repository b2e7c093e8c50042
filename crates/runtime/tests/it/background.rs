//! Turns in the background: polled, cancelled, followed and left.

use crate::script::{Next, all, bench, bench_with, id_of, names, text_of};
use domain::{Code, ResponseId, state::StateStore};
use runtime::{StateStores, StorePlace};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

async fn until(mut found: impl AsyncFnMut() -> Option<Value>) -> Value {
    for _ in 0..2_000 {
        if let Some(value) = found().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn it_answers_at_once_and_can_be_polled() {
    let let_go = Arc::new(Notify::new());
    let bench = bench([Next::Wait("done", Arc::clone(&let_go)), Next::Say("next")]);
    let queued = bench.create(json!({"model": "m", "input": "x", "background": true})).await;
    assert_eq!(queued["status"], "queued");
    let id = id_of(&queued);
    let running = until(async || bench.get(id).await.ok().filter(|got| got["status"] == "in_progress")).await;
    assert_eq!(running["output"], json!([]));
    let fault = bench.fails(json!({"model": "m", "input": "y", "previous_response_id": id})).await;
    assert_eq!((fault.code, fault.code.status()), (Code::ResponseInProgress, 409));
    let_go.notify_one();
    let done = until(async || bench.get(id).await.ok().filter(|got| got["status"] == "completed")).await;
    assert_eq!(text_of(&done), "done");
    bench.create(json!({"model": "m", "input": "y", "previous_response_id": id})).await;
    assert_eq!(bench.script.texts(1), ["x", "done", "y"]);
}

#[tokio::test]
async fn it_can_be_cancelled_and_stays_so() {
    let let_go = Arc::new(Notify::new());
    let bench = bench([Next::Wait("never", Arc::clone(&let_go))]);
    let queued = bench.create(json!({"model": "m", "input": "x", "background": true})).await;
    let id = ResponseId::new(id_of(&queued));
    let cancelled = bench.runtime.cancel(&bench.client, &id).await.unwrap().value();
    assert_eq!(cancelled["status"], "cancelled");
    let again = bench.runtime.cancel(&bench.client, &id).await.unwrap().value();
    assert_eq!(again["status"], "cancelled");
    let_go.notify_one();
    assert_eq!(bench.get(id.as_str()).await.unwrap()["status"], "cancelled");
    let fault = bench.fails(json!({"model": "m", "input": "y", "previous_response_id": id.as_str()})).await;
    assert_eq!(fault.code, Code::InvalidRequest);
}

#[tokio::test]
async fn a_stream_can_be_left_and_resumed_from_any_number() {
    let bench = bench([Next::Say("one two three four")]);
    let body = json!({"model": "m", "input": "x", "background": true, "stream": true});
    let mut stream = bench.stream(body).await;
    let first = stream.next().await.unwrap();
    assert_eq!(&*first[0].name, "response.created");
    drop(stream);
    let value: Value = serde_json::from_str(&first[0].data).unwrap();
    let id = ResponseId::new(value["response"]["id"].as_str().unwrap());
    until(async || bench.get(id.as_str()).await.ok().filter(|got| got["status"] == "completed")).await;
    let whole = all(bench.runtime.resume(&bench.client, &id, None).await.unwrap()).await;
    assert_eq!(names(&whole)[..3], ["response.created", "response.queued", "response.in_progress"]);
    assert_eq!(whole.last().map(|event| &*event.name), Some("response.completed"));
    let numbers: Vec<u64> = whole.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (0..whole.len() as u64).collect::<Vec<_>>());
    for after in [0, 3, whole.len() as u64 - 2] {
        let rest = all(bench.runtime.resume(&bench.client, &id, Some(after)).await.unwrap()).await;
        assert_eq!(rest, whole[after as usize + 1..]);
    }
    let plain = bench_with([Next::Say("a")], |_| {});
    let made = plain.create(json!({"model": "m", "input": "x"})).await;
    let told = plain.runtime.resume(&plain.client, &id_of(&made).into(), None).await;
    assert_eq!(told.err().unwrap().param.as_deref(), Some("stream"));
}

#[tokio::test]
async fn a_failure_is_kept_with_its_reason() {
    let bench = bench([Next::Break("half")]);
    let body = json!({"model": "m", "input": "x", "background": true, "stream": true});
    let events = all(bench.stream(body).await).await;
    assert!(names(&events).contains(&"response.failed"), "{:?}", names(&events));
    let value: Value = serde_json::from_str(&events[0].data).unwrap();
    let id = value["response"]["id"].as_str().unwrap();
    let kept = until(async || bench.get(id).await.ok().filter(|got| got["status"] == "failed")).await;
    assert!(kept["error"]["message"].as_str().unwrap().contains("stopped"));
}

#[tokio::test]
async fn as_many_as_there_are_places() {
    let let_go = Arc::new(Notify::new());
    let next = [Next::Wait("a", Arc::clone(&let_go))];
    let bench = bench_with(next, |settings| settings.limits.background = 1);
    bench.create(json!({"model": "m", "input": "x", "background": true})).await;
    let fault = bench.fails(json!({"model": "m", "input": "y", "background": true})).await;
    assert_eq!((fault.code, fault.retry_after), (Code::Overloaded, Some(Duration::from_secs(5))));
}

#[tokio::test]
async fn after_a_crash_what_was_under_way_is_failed() {
    let bench = bench([Next::Wait("lost", Arc::new(Notify::new()))]);
    let queued = bench.create(json!({"model": "m", "input": "x", "background": true})).await;
    // Another process over the same store, a while later.
    let clock = Arc::clone(&bench.clock);
    clock.advance(Duration::from_secs(300));
    let settings = runtime::RuntimeSettings::new(clock as _, [8; 32]);
    let other = runtime::Runtime::new(settings);
    let facts = placement::DeploymentFacts::new("memory".into(), std::collections::BTreeMap::new());
    let place = StorePlace { store: Arc::clone(&bench.store) as Arc<dyn StateStore>, facts: Arc::new(facts) };
    other.upkeep(&StateStores::new(vec![place], std::collections::HashMap::new())).await;
    let id = ResponseId::new(id_of(&queued));
    let kept = other.retrieve(&bench.client, &id).await.unwrap().value();
    assert_eq!(kept["status"], "failed");
    assert_eq!(kept["id"], queued["id"]);
    let page = domain::state::Page::first(domain::state::Order::Ascending, 9);
    let input = other.input_items(&bench.client, &id, page).await.unwrap().value();
    assert_eq!(input["data"][0]["content"][0]["text"], "x");
}
