//! Bad input: the same answer for what is not there and what is another's, and a clear one for the rest.

use crate::script::{Next, bench, bench_with, id_of};
use domain::{
    Code, ResponseId, TenantId,
    state::{Order, Page},
};
use runtime::read_page;
use serde_json::json;

#[tokio::test]
async fn foreign_and_unknown_ids_are_told_alike() {
    let bench = bench([Next::Say("mine")]);
    let mine = bench.create(json!({"model": "m", "input": "x"})).await;
    let mut other = bench.client.clone();
    other.tenant = TenantId::new("other");
    let theirs = ResponseId::new(id_of(&mine));
    let unknown = ResponseId::new("resp_00000000000000000000000000000000");
    let shape = |fault: domain::Fault, id: &ResponseId| {
        (fault.code, fault.param, fault.message.replace(id.as_str(), "ID"), fault.retry_after)
    };
    let runtime = &bench.runtime;
    assert_eq!(
        shape(runtime.retrieve(&other, &theirs).await.unwrap_err(), &theirs),
        shape(runtime.retrieve(&other, &unknown).await.unwrap_err(), &unknown)
    );
    assert_eq!(
        shape(runtime.delete(&other, &theirs).await.unwrap_err(), &theirs),
        shape(runtime.delete(&other, &unknown).await.unwrap_err(), &unknown)
    );
    let page = Page::first(Order::Ascending, 5);
    assert_eq!(
        shape(runtime.input_items(&other, &theirs, page.clone()).await.unwrap_err(), &theirs),
        shape(runtime.input_items(&other, &unknown, page).await.unwrap_err(), &unknown)
    );
    let body = |id: &ResponseId| json!({"model": "m", "input": "x", "previous_response_id": id.as_str()});
    let follow = async |id: &ResponseId| {
        let decoded = dialects::openai_responses::decode(body(id).to_string().as_bytes()).unwrap();
        match runtime.create(other.clone(), decoded).await {
            Err(refused) => shape(refused.fault, id),
            Ok(_) => panic!("it answered"),
        }
    };
    let told = follow(&theirs).await;
    assert_eq!(told, follow(&unknown).await);
    assert_eq!((told.0, told.0.status()), (Code::PreviousResponseNotFound, 404));
    assert_eq!(bench.script.calls(), 1, "no model was asked");
}

#[tokio::test]
async fn a_deleted_response_cannot_be_followed() {
    let bench = bench([Next::Say("a")]);
    let made = bench.create(json!({"model": "m", "input": "x"})).await;
    let deleted = bench.runtime.delete(&bench.client, &id_of(&made).into()).await.unwrap().value();
    assert_eq!(deleted, json!({"id": made["id"], "object": "response", "deleted": true}));
    let fault = bench.fails(json!({"model": "m", "input": "x", "previous_response_id": made["id"]})).await;
    assert_eq!(fault.code, Code::PreviousResponseNotFound);
    assert_eq!(bench.get(id_of(&made)).await.unwrap_err().code, Code::ResponseNotFound);
}

#[tokio::test]
async fn outputs_of_tools_must_answer_a_call() {
    let bench = bench([Next::CallTool("c1")]);
    let asked = bench.create(json!({"model": "m", "input": "x"})).await;
    let output = |id: &str| json!([{"type": "function_call_output", "call_id": id, "output": "y"}]);
    let body = json!({"model": "m", "input": output("c9"), "previous_response_id": asked["id"]});
    let fault = bench.fails(body).await;
    assert_eq!(fault.param.as_deref(), Some("input[0].call_id"));
    assert_eq!(fault.message, "No tool call found for function call output with call_id c9.");
    let fault =
        bench.fails(json!({"model": "m", "input": "well?", "previous_response_id": asked["id"]})).await;
    assert_eq!(fault.message, "No tool output found for function call c1.");
    assert_eq!(fault.code.status(), 400);
}

#[tokio::test]
async fn items_above_the_bound_are_refused_by_their_place() {
    let bench = bench_with([], |settings| settings.limits.item_bytes = 200);
    let input = json!([{"role": "user", "content": "short"}, {"role": "user", "content": "x".repeat(300)}]);
    let fault = bench.fails(json!({"model": "m", "input": input})).await;
    assert_eq!((fault.code, fault.param.as_deref()), (Code::ItemTooLarge, Some("input[1]")));
}

#[tokio::test]
async fn what_is_not_done_here_is_said() {
    let bench = bench([]);
    let fault = bench.fails(json!({"model": "m", "input": "x", "background": true, "store": false})).await;
    assert_eq!(fault.param.as_deref(), Some("background"));
    let fault = bench.fails(json!({"model": "m", "input": "x", "prompt": {"id": "pmpt_1"}})).await;
    assert_eq!(fault.param.as_deref(), Some("prompt"));
    let fault = bench.fails(json!({"model": "m", "input": []})).await;
    assert_eq!(fault.param.as_deref(), Some("input"));
    let body = json!({"model": "m", "input": "x", "conversation": "conv_nobody"});
    assert_eq!(bench.fails(body).await.code, Code::ConversationNotFound);
}

#[test]
fn pages_are_read_or_refused() {
    let page = read_page([("after", "a"), ("order", "asc"), ("limit", "100"), ("include", "x")]).unwrap();
    assert_eq!((page.limit, page.order), (100, Order::Ascending));
    assert_eq!(read_page([]).unwrap(), Page::first(Order::Descending, 20));
    for (name, value) in [("limit", "0"), ("limit", "101"), ("limit", "x"), ("order", "up")] {
        assert_eq!(read_page([(name, value)]).unwrap_err().param.as_deref(), Some(name));
    }
}
