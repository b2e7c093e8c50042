//! Conversations: made, filled, read, forked, and one turn at a time.

use crate::script::{Bench, Next, bench, bench_with, id_of};
use domain::{
    Code, ConversationId, ItemId,
    state::{Order, Page},
};
use runtime::Concurrency;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

async fn made(bench: &Bench, body: Value) -> ConversationId {
    let made = bench.runtime.create_conversation(&bench.client, body.to_string().as_bytes()).await.unwrap();
    let value = made.value();
    assert_eq!(value["object"], "conversation");
    ConversationId::new(id_of(&value))
}

async fn said(bench: &Bench, id: &ConversationId) -> Vec<String> {
    let page = Page::first(Order::Ascending, 100);
    let listed = bench.runtime.list_items(&bench.client, id, page, false).await.unwrap().value();
    let text = |item: &Value| item["content"][0]["text"].as_str().unwrap_or("?").to_owned();
    listed["data"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn a_conversation_grows_by_its_turns() {
    let bench = bench([Next::Say("hello"), Next::Say("bye")]);
    let id =
        made(&bench, json!({"metadata": {"k": "v"}, "items": [{"role": "user", "content": "first"}]})).await;
    let got = bench.runtime.conversation(&bench.client, &id).await.unwrap().value();
    assert_eq!(got["metadata"], json!({"k": "v"}));
    let turn = bench.create(json!({"model": "m", "input": "hi", "conversation": id.as_str()})).await;
    assert_eq!(turn["conversation"]["id"], id.as_str());
    bench.create(json!({"model": "m", "input": "end", "conversation": {"id": id.as_str()}})).await;
    assert_eq!(bench.script.texts(1), ["first", "hi", "hello", "end"]);
    assert_eq!(said(&bench, &id).await, ["first", "hi", "hello", "end", "bye"]);
    let body = json!({"items": [{"role": "user", "content": "added"}]}).to_string();
    let added = bench.runtime.add_items(&bench.client, &id, body.as_bytes()).await.unwrap().value();
    let item = ItemId::new(added["data"][0]["id"].as_str().unwrap());
    let shown = bench.runtime.item(&bench.client, &id, &item, false).await.unwrap().value();
    assert_eq!(shown["content"][0]["text"], "added");
    bench.runtime.delete_item(&bench.client, &id, &item).await.unwrap();
    let fault = bench.runtime.item(&bench.client, &id, &item, false).await.unwrap_err();
    assert_eq!(fault.code, Code::ItemNotFound);
    let changed =
        bench.runtime.update_conversation(&bench.client, &id, br#"{"metadata":{"n":"1"}}"#).await.unwrap();
    assert_eq!(changed.value()["metadata"], json!({"n": "1"}));
    bench.runtime.delete_conversation(&bench.client, &id).await.unwrap();
    let fault = bench.runtime.conversation(&bench.client, &id).await.unwrap_err();
    assert_eq!((fault.code, fault.code.status()), (Code::ConversationNotFound, 404));
}

#[tokio::test]
async fn forks_part_at_an_item() {
    let bench = bench([Next::Say("a"), Next::Say("b")]);
    let id = made(&bench, json!({})).await;
    bench.create(json!({"model": "m", "input": "1", "conversation": id.as_str()})).await;
    let second = bench.create(json!({"model": "m", "input": "2", "conversation": id.as_str()})).await;
    let page = Page::first(Order::Ascending, 100);
    let listed = bench.runtime.list_items(&bench.client, &id, page, false).await.unwrap().value();
    let through = listed["data"][1]["id"].clone();
    let body = json!({"through": through}).to_string();
    let fork = bench.runtime.fork_conversation(&bench.client, &id, body.as_bytes()).await.unwrap().value();
    assert_eq!(said(&bench, &ConversationId::new(id_of(&fork))).await, ["1", "a"]);
    assert_eq!(said(&bench, &id).await.len(), 4);
    assert_eq!(second["status"], "completed");
    let fault =
        bench.runtime.fork_conversation(&bench.client, &id, br#"{"through":"msg_no"}"#).await.unwrap_err();
    assert_eq!(fault.code, Code::ItemNotFound);
}

#[tokio::test]
async fn turns_at_the_same_time_wait_in_order() {
    let let_go = Arc::new(Notify::new());
    let bench = Arc::new(bench([Next::Wait("a", Arc::clone(&let_go)), Next::Say("b"), Next::Say("c")]));
    let id = made(&bench, json!({})).await;
    let mut turns = Vec::new();
    for n in ["1", "2", "3"] {
        let (bench, id) = (Arc::clone(&bench), id.clone());
        turns.push(tokio::spawn(async move {
            bench.create(json!({"model": "m", "input": n, "conversation": id.as_str()})).await
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bench.script.calls(), 1, "the others wait");
    let_go.notify_one();
    for turn in turns {
        turn.await.unwrap();
    }
    assert_eq!(said(&bench, &id).await, ["1", "a", "2", "b", "3", "c"]);
    assert_eq!(bench.script.texts(2), ["1", "a", "2", "b", "3"]);
}

#[tokio::test]
async fn or_are_refused_by_setting() {
    let let_go = Arc::new(Notify::new());
    let next = [Next::Wait("a", Arc::clone(&let_go)), Next::Say("b"), Next::Say("c")];
    let bench = Arc::new(bench_with(next, |settings| settings.concurrency = Concurrency::Refuse));
    let id = made(&bench, json!({})).await;
    let first = {
        let (bench, id) = (Arc::clone(&bench), id.clone());
        tokio::spawn(async move {
            bench.create(json!({"model": "m", "input": "1", "conversation": id.as_str()})).await
        })
    };
    while bench.script.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let body = json!({"model": "m", "input": "2", "conversation": id.as_str()});
    let fault = bench.fails(body.clone()).await;
    assert_eq!((fault.code, fault.code.status()), (Code::ConversationLocked, 409));
    let_go.notify_one();
    first.await.unwrap();
    bench.create(body.clone()).await;
    bench.create(body).await;
}

#[tokio::test]
async fn a_stream_that_is_left_frees_its_conversation() {
    let bench = bench([Next::Say("one two"), Next::Say("b")]);
    let id = made(&bench, json!({})).await;
    let body = json!({"model": "m", "input": "1", "conversation": id.as_str(), "stream": true});
    let mut stream = bench.stream(body).await;
    stream.next().await.unwrap();
    drop(stream);
    bench.create(json!({"model": "m", "input": "2", "conversation": id.as_str()})).await;
    assert_eq!(said(&bench, &id).await, ["2", "b"], "nothing of the turn that was left");
}

#[tokio::test]
async fn bounds_of_metadata_and_items_hold() {
    let bench = bench([]);
    let try_make = async |body: Value| {
        let made = bench.runtime.create_conversation(&bench.client, body.to_string().as_bytes()).await;
        made.err().map(|fault| (fault.code, fault.param.unwrap_or_default().into_string()))
    };
    let pairs: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    let wrong = |param: &str| Some((Code::InvalidRequest, param.to_owned()));
    assert_eq!(try_make(json!({"metadata": pairs})).await, wrong("metadata"));
    assert_eq!(try_make(json!({"metadata": {"k".repeat(65): "v"}})).await, wrong("metadata"));
    assert_eq!(try_make(json!({"metadata": {"k": "v".repeat(513)}})).await, wrong("metadata.k"));
    assert_eq!(try_make(json!({"metadata": {"k": 1}})).await, wrong("metadata.k"));
    assert_eq!(try_make(json!({"metadata": {"k": "ä".repeat(512)}})).await, None);
    let many: Vec<Value> = (0..21).map(|_| json!({"role": "user", "content": "x"})).collect();
    assert_eq!(try_make(json!({"items": many})).await, wrong("items"));
    let broken = try_make(json!({"items": [{"role": "user", "content": "x"}, {"no": 1}]})).await;
    assert!(broken.unwrap().1.starts_with("items[1]"));
    let fault = bench.runtime.create_conversation(&bench.client, b"{").await.unwrap_err();
    assert_eq!(fault.code, Code::InvalidJson);
}
