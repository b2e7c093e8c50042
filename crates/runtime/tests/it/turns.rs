//! Turns that follow each other, whole and streamed, and what reaches the model.

use crate::script::{Next, all, bench, id_of, names, text_of};
use domain::{
    Code, Dialect, Fault,
    state::{Order, Page, StateStore},
};
use serde_json::json;

#[tokio::test]
async fn a_turn_follows_the_one_before_at_once() {
    let bench = bench([Next::Say("hello"), Next::Say("you said hi")]);
    let first = bench.create(json!({"model": "m", "input": "hi", "instructions": "be kind"})).await;
    assert_eq!((first["status"].as_str(), text_of(&first)), (Some("completed"), "hello"));
    assert!(id_of(&first).starts_with("resp_"));
    assert_eq!(bench.get(id_of(&first)).await.unwrap(), first);
    let second =
        bench.create(json!({"model": "m", "input": "what?", "previous_response_id": id_of(&first)})).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(bench.script.texts(1), ["hi", "hello", "what?"], "instructions are not repeated");
    let page = Page::first(Order::Ascending, 10);
    let listed =
        bench.runtime.input_items(&bench.client, &id_of(&second).into(), page).await.unwrap().value();
    let roles: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(listed["object"], "list");
    assert_eq!(listed["data"][1]["id"], first["output"][0]["id"], "the ids that the caller saw");
}

#[tokio::test]
async fn a_stream_is_kept_before_its_last_event() {
    let bench = bench([Next::Say("one two three"), Next::Say("more")]);
    let mut stream = bench.stream(json!({"model": "m", "input": "count", "stream": true})).await;
    let mut seen = Vec::new();
    while let Some(events) = stream.next().await {
        for event in events {
            let value: serde_json::Value = serde_json::from_str(&event.data).unwrap();
            if &*event.name == "response.completed" {
                let id = value["response"]["id"].as_str().unwrap().to_owned();
                let kept = bench.get(&id).await.expect("it is there before its end is told");
                assert_eq!(kept, value["response"]);
            } else if let Some(id) = value["response"]["id"].as_str() {
                assert!(bench.get(id).await.is_err(), "{} came after the commit", event.name);
            }
            seen.push(event);
        }
    }
    assert_eq!(names(&seen)[..2], ["response.created", "response.in_progress"]);
    assert_eq!(seen.last().map(|event| &*event.name), Some("response.completed"));
    let numbers: Vec<u64> = seen.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (0..seen.len() as u64).collect::<Vec<_>>());
    let last: serde_json::Value = serde_json::from_str(&seen.last().unwrap().data).unwrap();
    let id = last["response"]["id"].as_str().unwrap();
    bench.create(json!({"model": "m", "input": "go on", "previous_response_id": id})).await;
    assert_eq!(bench.script.texts(1), ["count", "one two three", "go on"]);
}

#[tokio::test]
async fn who_stores_nothing_leaves_nothing() {
    let bench = bench([Next::Say("a"), Next::Say("b"), Next::Say("c d")]);
    let kept = bench.create(json!({"model": "m", "input": "x"})).await;
    let body = json!({"model": "m", "input": "y", "store": false, "previous_response_id": id_of(&kept)});
    let gone = bench.create(body).await;
    assert_eq!(bench.script.texts(1), ["x", "a", "y"], "what is kept may be followed");
    assert_eq!(bench.get(id_of(&gone)).await.unwrap_err().code, Code::ResponseNotFound);
    let events =
        all(bench.stream(json!({"model": "m", "input": "z", "store": false, "stream": true})).await).await;
    assert_eq!(events.last().map(|event| &*event.name), Some("response.completed"));
    let left = bench.store.responses(&bench.client.tenant, None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn tools_and_thoughts_go_round_and_to_another_cloud() {
    let bench = bench([Next::CallTool("c1"), Next::Say("it is sunny"), Next::Say("yes"), Next::Say("ok")]);
    let tool = json!([{"type": "function", "name": "look", "parameters": {"type": "object"}}]);
    let asked = bench.create(json!({"model": "m", "input": "look", "tools": tool})).await;
    assert_eq!(asked["output"][0]["type"], "reasoning");
    assert_eq!(asked["output"][1]["call_id"], "c1");
    let output = json!([{"type": "function_call_output", "call_id": "c1", "output": "sun"}]);
    let body = json!({"model": "m", "tools": tool, "input": output, "previous_response_id": id_of(&asked)});
    let answered = bench.create(body).await;
    assert_eq!(bench.script.texts(1), ["look", "thought", "call c1", "result c1"]);
    assert_eq!(bench.script.losses(1), "", "at home the thought is taken back with its proof");
    // The same dialect at another host: the thought cannot be taken there, the rest can.
    bench.script.moves_to(Dialect::AnthropicMessages, "other.example");
    let body = json!({"model": "m", "input": "sure?", "previous_response_id": id_of(&answered)});
    let sure = bench.create(body).await;
    assert_eq!(bench.script.texts(2), ["look", "call c1", "result c1", "it is sunny", "sure?"]);
    assert_eq!(bench.script.losses(2), "reasoning.signature");
    // And back home it is still there.
    bench.script.moves_to(Dialect::AnthropicMessages, "claude.example");
    bench.create(json!({"model": "m", "input": "good", "previous_response_id": id_of(&sure)})).await;
    assert_eq!(bench.script.texts(3).iter().filter(|text| *text == "thought").count(), 1);
}

#[tokio::test]
async fn a_refused_proof_is_stripped_and_the_call_made_once_more() {
    let refusal = |words: &str| {
        let mut fault = Fault::upstream(Code::InvalidRequest, "refused").because(words);
        fault.upstream_status = Some(400);
        Next::Refuse(fault)
    };
    let words = "messages.1.content.0: Invalid `signature` in `thinking` block";
    let bench =
        bench([refusal(words), Next::Say("fine"), refusal(words), refusal(words), refusal("max_tokens")]);
    let input = json!([
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "from elsewhere"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "again"},
    ]);
    bench.create(json!({"model": "m", "input": input})).await;
    assert!(bench.script.texts(0).contains(&"thought".to_owned()));
    assert_eq!(bench.script.texts(1), ["hi", "hello", "again"]);
    assert_eq!(bench.script.losses(1), "reasoning.signature");
    let fault = bench.fails(json!({"model": "m", "input": input})).await;
    assert_eq!((fault.code, bench.script.calls()), (Code::InvalidRequest, 4), "once, not for ever");
    bench.fails(json!({"model": "m", "input": input})).await;
    assert_eq!(bench.script.calls(), 5, "another refusal is told at once");
}

#[tokio::test]
async fn a_context_that_is_too_long_is_shortened_where_the_caller_lets_us() {
    let too_long = || Next::Refuse(Fault::caller(Code::ContextLengthExceeded, "too long"));
    let bench = bench([too_long(), Next::Say("ok"), too_long()]);
    let input = json!([
        {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"},
        {"role": "user", "content": "last"},
    ]);
    bench.create(json!({"model": "m", "input": input, "truncation": "auto", "instructions": "rule"})).await;
    assert_eq!(bench.script.texts(1), ["rule", "3", "4", "last"]);
    assert_eq!(bench.script.losses(1), "input.truncated");
    let fault = bench.fails(json!({"model": "m", "input": input})).await;
    assert_eq!(fault.code, Code::ContextLengthExceeded, "without leave it fails");
}

#[tokio::test]
async fn a_broken_stream_is_told_and_not_kept() {
    let bench = bench([Next::Break("half a sen")]);
    let events = all(bench.stream(json!({"model": "m", "input": "x", "stream": true})).await).await;
    assert!(names(&events).contains(&"response.failed"), "{:?}", names(&events));
    assert!(!names(&events).contains(&"response.completed"));
    assert_eq!(bench.store.responses(&bench.client.tenant, None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn two_turns_on_one_response_do_not_mix() {
    let bench = bench([Next::Say("root"), Next::Say("a"), Next::Say("b"), Next::Say("a2")]);
    let root = bench.create(json!({"model": "m", "input": "q"})).await;
    let follow = |input: &str, after: &serde_json::Value| json!({"model": "m", "input": input, "previous_response_id": after["id"]});
    let left = bench.create(follow("left", &root)).await;
    bench.create(follow("right", &root)).await;
    bench.create(follow("left again", &left)).await;
    assert_eq!(bench.script.texts(2), ["q", "root", "right"]);
    assert_eq!(bench.script.texts(3), ["q", "root", "left", "a", "left again"]);
}

#[tokio::test]
async fn references_stand_for_the_items_they_name() {
    let bench = bench([Next::Say("named"), Next::Say("ok"), Next::Say("ok")]);
    let first = bench.create(json!({"model": "m", "input": "q"})).await;
    let id = first["output"][0]["id"].as_str().unwrap();
    let input = json!([{"type": "item_reference", "id": id}, {"role": "user", "content": "that one"}]);
    bench.create(json!({"model": "m", "input": input, "previous_response_id": id_of(&first)})).await;
    assert_eq!(bench.script.texts(1), ["q", "named", "named", "that one"]);
    // Also where the turn follows nothing: the id says whose item it is.
    bench.create(json!({"model": "m", "input": [{"type": "item_reference", "id": id}, {"role": "user", "content": "again"}]})).await;
    assert_eq!(bench.script.texts(2), ["named", "again"]);
    let input = json!([{"type": "item_reference", "id": "msg_nobody_0"}]);
    let fault = bench.fails(json!({"model": "m", "input": input})).await;
    assert_eq!((fault.code, fault.param.as_deref()), (Code::ItemNotFound, Some("input[0].id")));
    let input = json!([{"type": "item_reference", "id": "msg_nobody"}]);
    let body = json!({"model": "m", "input": input, "previous_response_id": id_of(&first)});
    let fault = bench.fails(body).await;
    assert_eq!((fault.code, fault.param.as_deref()), (Code::ItemNotFound, Some("input[0].id")));
}
