//! State that moves between stores, comes from others, and is shortened.

use crate::script::{Next, bench, bench_with, id_of};
use domain::{
    Code, ConversationId, Dialect, TenantId,
    state::{MemoryStateStore, Order, Page, StateStore},
};
use runtime::{Client, Compaction, portable};
use serde_json::{Value, json};
use std::sync::Arc;

async fn lines(store: &dyn StateStore, tenant: &TenantId) -> Vec<String> {
    let mut lines = Vec::new();
    portable::export(store, tenant, |line| {
        lines.push(line.to_owned());
        Ok(())
    })
    .await
    .unwrap();
    lines
}

#[tokio::test]
async fn an_export_is_imported_once_and_goes_on_elsewhere() {
    let bench = bench([
        Next::CallTool("c1"),
        Next::Say("sunny"),
        Next::Say("in a conversation"),
        Next::Say("went on"),
        Next::Say("went on too"),
    ]);
    let tenant = bench.client.tenant.clone();
    let asked = bench.create(json!({"model": "m", "input": "look"})).await;
    let output = json!([{"type": "function_call_output", "call_id": "c1", "output": "sun"}]);
    let answered =
        bench.create(json!({"model": "m", "input": output, "previous_response_id": asked["id"]})).await;
    let made = bench.runtime.create_conversation(&bench.client, br#"{"metadata":{"k":"v"}}"#).await.unwrap();
    let conversation = made.value()["id"].as_str().unwrap().to_owned();
    bench.create(json!({"model": "m", "input": "hi", "conversation": conversation})).await;
    let written = lines(&*bench.store, &tenant).await;
    assert_eq!(written.len(), 1 + 1 + 3 + 1);
    let first: Value = serde_json::from_str(&written[0]).unwrap();
    assert_eq!(first["format"], portable::FORMAT);
    let response: Value = serde_json::from_str(&written[2]).unwrap();
    assert_eq!(
        response["response"]["output"][0]["from"]["realm"], "claude.example",
        "provenance is a part of it"
    );

    let there = Arc::new(MemoryStateStore::new("there"));
    // Broken off in the middle, begun again, and once more.
    let half = portable::import(&*there, &tenant, written[..3].iter().cloned()).await.unwrap();
    assert_eq!((half.new, half.complete), (2, false));
    let whole = portable::import(&*there, &tenant, written.iter().cloned()).await.unwrap();
    assert_eq!((whole.new, whole.already, whole.complete), (2, 2, true));
    let again = portable::import(&*there, &tenant, written.iter().cloned()).await.unwrap();
    assert_eq!((again.new, again.already, again.different.len()), (0, 4, 0));
    assert_eq!(lines(&*there, &tenant).await[1..], written[1..], "byte for byte, but for the store's name");

    // The client goes on with the ids that it knows, on another cloud.
    bench.script.moves_to(Dialect::BedrockConverse, "bedrock.example");
    let client = Client { store: Arc::clone(&there) as Arc<dyn StateStore>, ..bench.client.clone() };
    let go_on = async |body: Value| {
        let decoded = dialects::openai_responses::decode(body.to_string().as_bytes()).unwrap();
        bench
            .runtime
            .create(client.clone(), decoded)
            .await
            .map_err(|refused| refused.fault)
            .map(|_| ())
            .unwrap();
    };
    go_on(json!({"model": "m", "input": "and now?", "previous_response_id": id_of(&answered)})).await;
    assert_eq!(bench.script.texts(3), ["look", "thought", "call c1", "result c1", "sunny", "and now?"]);
    go_on(json!({"model": "m", "input": "still there?", "conversation": conversation})).await;
    assert_eq!(bench.script.texts(4), ["hi", "in a conversation", "still there?"]);
}

#[tokio::test]
async fn a_changed_or_cut_file_is_found_out() {
    let bench = bench([Next::Say("a"), Next::Say("b")]);
    let tenant = bench.client.tenant.clone();
    bench.create(json!({"model": "m", "input": "x"})).await;
    bench.create(json!({"model": "m", "input": "y"})).await;
    let written = lines(&*bench.store, &tenant).await;
    let try_import = async |lines: Vec<String>| {
        let there = MemoryStateStore::new("there");
        portable::import(&there, &tenant, lines.into_iter()).await.map_err(|error| error.to_string())
    };
    let mut changed = written.clone();
    changed[1] = changed[1].replace("\"x\"", "\"z\"");
    assert!(try_import(changed).await.unwrap_err().starts_with("line 2: the line is not as it was written"));
    let mut cut = written.clone();
    cut.remove(1);
    assert!(try_import(cut).await.unwrap_err().contains("lines are missing"));
    let mut other = written.clone();
    other[0] = other[0].replace("cabotage-state/1", "cabotage-state/9");
    assert!(try_import(other).await.unwrap_err().contains("cabotage-state/9"));
    assert!(try_import(vec![written[0].clone(), "{".into()]).await.unwrap_err().starts_with("line 2"));
    // The same id with another content is left as it was.
    let own = crate::script::bench([]);
    let record = domain::state::ConversationRecord {
        id: ConversationId::new("conv_1"),
        body: r#"{"metadata":{}}"#.into(),
        created_us: 1,
        expires_us: None,
    };
    let owner = domain::state::Owner { tenant: tenant.clone(), subject: None };
    own.store.create_conversation(owner.clone(), record.clone(), vec![]).await.unwrap();
    let exported = lines(&*own.store, &tenant).await;
    let changed = domain::state::ConversationRecord { body: r#"{"metadata":{"a":"b"}}"#.into(), ..record };
    own.store.update_conversation(&tenant, changed).await.unwrap();
    let done = portable::import(&*own.store, &tenant, exported.into_iter()).await.unwrap();
    assert_eq!(done.different.iter().map(|id| &**id).collect::<Vec<_>>(), ["conv_1"]);
}

#[tokio::test]
async fn a_move_leaves_nothing_behind() {
    let bench = bench([Next::Say("a")]);
    let tenant = bench.client.tenant.clone();
    let made = bench.create(json!({"model": "m", "input": "x"})).await;
    let there = MemoryStateStore::new("there");
    let done = portable::move_all(&*bench.store, &there, &tenant).await.unwrap();
    assert_eq!((done.new, done.complete), (1, true));
    assert_eq!(bench.get(id_of(&made)).await.unwrap_err().code, Code::ResponseNotFound);
    assert!(there.response(&tenant, &id_of(&made).into()).await.unwrap().is_some());
}

#[tokio::test]
async fn others_conversations_come_in() {
    let bench = bench([]);
    let tenant = bench.client.tenant.clone();
    let theirs = json!({
        "id": "conv_theirs", "object": "conversation", "created_at": 1_700_000_000, "metadata": {"topic": "x"},
        "items": {"object": "list", "data": [
            {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "message", "id": "msg_2", "role": "assistant", "content": [{"type": "output_text", "text": "ho", "annotations": []}]},
        ]},
    });
    let made = portable::from_openai_conversation(&theirs.to_string()).unwrap();
    assert_eq!((made.items.len(), &*made.items[1].id), (2, "msg_2"));
    assert!(portable::import_conversation(&*bench.store, &tenant, made.clone()).await.unwrap());
    assert!(!portable::import_conversation(&*bench.store, &tenant, made).await.unwrap(), "twice is once");
    let messages = json!([
        {"role": "system", "content": "be kind"}, {"role": "user", "content": "look"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
    ]);
    let made = portable::from_messages("conv_plain", 5, &messages.to_string()).unwrap();
    let kinds: Vec<Value> = made.items.iter().map(|item| item.item.value()["type"].clone()).collect();
    assert_eq!(kinds, ["message", "message", "function_call", "function_call_output"]);
    assert!(portable::from_messages("c", 0, "[{\"role\":\"nobody\"}]").is_err());
    assert!(portable::from_openai_conversation("{}").is_err());
}

fn compacting() -> impl FnOnce(&mut runtime::RuntimeSettings) {
    |settings| settings.compaction = Some(Compaction { model: "small".into(), max_output_tokens: 500 })
}

#[tokio::test]
async fn a_conversation_is_compacted_on_demand() {
    let bench =
        bench_with([Next::Say("a long story"), Next::Say("the notes"), Next::Say("ok")], compacting());
    let told = bench.create(json!({"model": "m", "input": "tell"})).await;
    let ask = |body: Value| dialects::openai_responses::decode(body.to_string().as_bytes()).unwrap();
    let body = json!({"model": "m", "previous_response_id": told["id"]});
    let (_, compacted) = bench.runtime.compact(&bench.client, ask(body)).await.map_err(|r| r.fault).unwrap();
    let compacted = compacted.value();
    assert_eq!(compacted["object"], "response.compaction");
    let output = compacted["output"].as_array().unwrap();
    assert_eq!(output.last().unwrap()["type"], "compaction");
    assert_eq!(bench.script.texts(1)[..2], ["tell", "a long story"]);
    // What came out goes in again, and any model reads it.
    let mut input = output.clone();
    input.push(json!({"role": "user", "content": "go on"}));
    bench.create(json!({"model": "m", "input": input})).await;
    let texts = bench.script.texts(2);
    assert_eq!((texts[0].as_str(), texts[2].as_str()), ("tell", "go on"));
    assert!(texts[1].contains("the notes"), "{texts:?}");
    let nothing = bench.runtime.compact(&bench.client, ask(json!({"model": "m", "input": []}))).await;
    assert_eq!(nothing.err().unwrap().fault.code, Code::NothingToCompact);
    let plain = crate::script::bench([]);
    let refused = plain.runtime.compact(&plain.client, ask(json!({"model": "m", "input": "x"}))).await;
    assert_eq!(refused.err().unwrap().fault.code, Code::UnsupportedParameter);
}

#[tokio::test]
async fn and_by_itself_above_a_threshold() {
    let next = [Next::Say("a long story"), Next::Say("the notes"), Next::Say("ok"), Next::Say("sure")];
    let bench = bench_with(next, compacting());
    let told = bench.create(json!({"model": "m", "input": "tell"})).await;
    let management = json!([{"type": "compaction", "compact_threshold": 10}]);
    let body = json!({"model": "m", "input": "go on", "instructions": "rule", "previous_response_id": told["id"],
        "context_management": management});
    let second = bench.create(body).await;
    let texts = bench.script.texts(2);
    assert_eq!((texts.len(), texts[0].as_str(), texts[2].as_str()), (3, "rule", "go on"));
    assert!(texts[1].contains("the notes"));
    bench.create(json!({"model": "m", "input": "sure?", "previous_response_id": second["id"]})).await;
    let texts = bench.script.texts(3);
    assert!(texts[0].contains("the notes"), "{texts:?}");
    assert_eq!(texts[1..], ["go on", "ok", "sure?"]);
    let page = Page::first(Order::Ascending, 20);
    let all = bench.runtime.input_items(&bench.client, &id_of(&second).into(), page).await.unwrap().value();
    assert_eq!(all["data"].as_array().unwrap().len(), 4, "what was shortened is still kept");
    let wrong = json!({"model": "m", "input": "x", "context_management": [{"type": "other"}]});
    assert_eq!(bench.fails(wrong).await.param.as_deref(), Some("context_management"));
}
