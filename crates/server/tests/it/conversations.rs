//! Classification by what goes over the wire: the conversation that self-contained calls really are, what terms make
//! of signs, and where a call may run that names something of a provider.

use crate::gateway::{Gateway, KEY, request};
use domain::{
    Agent, CallClass, Classed, Keeper, Link, Sign,
    record::{Outcome, Record},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};

fn classes(gateway: &Gateway) -> Vec<Classed> {
    let records = gateway.journal.records().into_iter();
    records
        .filter_map(|record| match record {
            Record::Outcome(outcome) => {
                assert_eq!(outcome.outcome, Outcome::Done);
                Some(outcome.class)
            }
            _ => None,
        })
        .collect()
}

/// Says the words in turn, through `model`; the client keeps the history and sends it along.
async fn talk(gateway: &Gateway, key: &str, model: &str, words: &[&str], stream: bool) {
    let mut messages = vec![json!({"role": "system", "content": "be brief"})];
    for word in words {
        messages.push(json!({"role": "user", "content": word}));
        let body = json!({"model": model, "messages": messages, "stream": stream});
        let (status, _, answer) = gateway.post(key, body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let said = if stream {
            let frames = answer
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .filter(|data| *data != "[DONE]");
            let chunks = frames.map(|data| serde_json::from_str::<Value>(data).unwrap());
            chunks
                .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
                .collect()
        } else {
            let reply: Value = serde_json::from_str(&answer).unwrap();
            reply["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
        };
        messages.push(json!({"role": "assistant", "content": said}));
    }
}

fn turns(classes: &[Classed]) -> Vec<u32> {
    classes.iter().map(|class| class.turn.unwrap().turn).collect()
}

#[tokio::test]
async fn a_five_turn_chat_is_one_conversation_whether_it_passes_through_or_is_translated_streamed_or_whole() {
    for (model, stream) in
        [("gpt-5.4@openai", false), ("gpt-5.4@openai", true), ("claude-opus-5-5@bedrock-claude", false)]
    {
        let gateway = Gateway::start().await;
        talk(&gateway, KEY, model, &["one", "two", "three", "four", "five"], stream).await;
        let classes = classes(&gateway);
        assert_eq!(turns(&classes), [1, 2, 3, 4, 5], "{model} {stream}");
        let first = classes[0].turn.unwrap().conversation;
        assert!(classes.iter().all(|class| class.turn.unwrap().conversation == first), "{model} {stream}");
        assert!(
            classes.iter().all(|class| class.class == CallClass::Stateless),
            "each call is self-contained"
        );
        assert_eq!(classes[0].link, Link::First);
        assert_eq!((classes[1].link, classes[4].link), (Link::Second, Link::Further));
        assert_eq!((classes[0].keeper(), classes[4].keeper()), (Keeper::Nobody, Keeper::Client));
        let report = gateway.engine.profile(&"research".into()).unwrap();
        assert_eq!((report.calls, report.conversations, report.continued), (5, 1, 4));
        assert!(report.says.contains("100 % of calls belong to a conversation"), "{}", report.says);
    }
}

#[tokio::test]
async fn a_conversation_goes_on_at_another_cloud_and_never_in_another_workload() {
    let gateway = Gateway::start().await;
    let words = ["one", "two", "three"];
    talk(&gateway, KEY, "gpt-5.4@openai", &words, false).await;
    let first = classes(&gateway);
    // The same words of another workload: its own conversation.
    talk(&gateway, "sk-lab-runtime", "gpt-5.4@azure-westeurope", &words, false).await;
    let other = &classes(&gateway)[3..];
    assert_eq!((turns(&first), turns(other)), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_ne!(first[0].turn.unwrap().conversation, other[0].turn.unwrap().conversation);
    // The same beginning at another cloud: the answers differ or not, the opening is a second one.
    let body = json!({"model": "claude-opus-5-5@bedrock-claude", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "alpha"}]});
    gateway.chat(body.clone()).await;
    let mut more = body["messages"].as_array().unwrap().clone();
    more.extend([
        json!({"role": "assistant", "content": "said"}),
        json!({"role": "user", "content": "beta"}),
    ]);
    gateway.chat(json!({"model": "gpt-5.4@openai", "messages": more})).await;
    let classes = classes(&gateway);
    let [.., opened, continued] = classes.as_slice() else { panic!() };
    assert_eq!(opened.turn.unwrap().conversation, continued.turn.unwrap().conversation);
    assert_eq!(continued.turn.unwrap().turn, 2);
}

#[tokio::test]
async fn an_agents_header_is_evidence_and_no_class() {
    let gateway = Gateway::start().await;
    let body =
        json!({"model": "gpt-5.4@openai", "messages": [{"role": "user", "content": "hello"}]}).to_string();
    for (name, value, agent, keeper) in [
        ("x-claude-code-session-id", "s-1", Agent::ClaudeCode, Keeper::Client),
        ("x-amzn-bedrock-agentcore-runtime-session-id", "s-2", Agent::AgentCore, Keeper::OutsideStore),
        ("session_id", "s-3", Agent::Unnamed, Keeper::Client),
    ] {
        let mut request = request(KEY, body.clone());
        request.headers_mut().insert(name, value.parse().unwrap());
        let response = gateway.send(request).await;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        let classes = classes(&gateway);
        let class = classes.last().unwrap();
        assert_eq!(
            (class.class, class.agent, class.keeper()),
            (CallClass::Stateless, Some(agent), keeper),
            "{name}"
        );
        assert!(class.signs.has(Sign::AgentSession));
    }
    let records = format!("{:?}", gateway.journal.records());
    assert!(!records.contains("s-1") && !records.contains("hello"), "neither ids nor words are kept");
}

#[tokio::test]
async fn signs_in_the_body_are_recorded_and_told() {
    let gateway = Gateway::start().await;
    let (status, headers, body) = gateway
        .chat(
            json!({"model": "gpt-5.4@openai", "store": true, "messages": [{"role": "user", "content": "x"}]}),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(headers["x-cabotage-class"], "stateful; store");
    assert!(headers["x-cabotage-conversation"].to_str().unwrap().ends_with("; turn=1; certain"));
    let class = classes(&gateway)[0];
    assert_eq!((class.class, class.keeper()), (CallClass::Stateful, Keeper::Provider));
}

#[tokio::test]
async fn a_file_at_a_provider_pins_the_call_or_is_refused_with_the_reason() {
    let gateway = Gateway::start().await;
    let call = |model: &str| {
        json!({"model": model, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "read"}, {"type": "file", "file": {"file_id": "file-1"}}]}]})
    };
    // Several accounts could hold the file: nobody is asked on a guess.
    let (status, _, body) = gateway.chat(call("gpt-5.4")).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("messages[].content[].file.file_id"), "{body}");
    assert!(body.contains("openai") && body.contains("model@deployment"), "{body}");
    assert!(gateway.simulator.journal().is_empty(), "nothing was sent");
    // Named, it goes there and nowhere else.
    let (status, headers, body) = gateway.chat(call("gpt-5.4@openai")).await;
    assert_eq!((status, headers["x-cabotage-deployment"].to_str().unwrap()), (200, "openai"), "{body}");
    assert_eq!(headers["x-cabotage-class"], "hybrid; file_id");
    // A place that speaks another API cannot know the id.
    let (status, _, body) = gateway.chat(call("claude-opus-5-5@bedrock-claude")).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("no permitted deployment speaks the API"), "{body}");
}

#[tokio::test]
async fn nobody_steps_out_of_a_rule_about_stateless_calls_by_claiming_state() {
    let gateway = Gateway::start().await;
    let words = json!([{"role": "user", "content": "x"}]);
    let file = json!([{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]);
    for body in [
        json!({"messages": words}),
        json!({"messages": words, "store": true}),
        json!({"messages": words, "previous_response_id": "resp_1"}),
        json!({"messages": words, "thread_id": "thread_1", "background": true}),
        json!({"messages": words, "session_id": "s"}),
        json!({"messages": file}),
    ] {
        let mut body = body;
        body["model"] = json!("gpt-5.4@openai");
        let mut request = request("sk-lab", body.to_string());
        request.headers_mut().insert("session_id", "s-1".parse().unwrap());
        let response = gateway.send(request).await;
        assert_eq!(response.status(), 403, "{body}");
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&answer).contains("lab-stateless"), "{body}: {answer:?}");
    }
    assert!(gateway.simulator.journal().is_empty(), "nothing was sent");
    // Where the rule permits, the same calls run.
    let stored = json!({"model": "gpt-5.4@azure-westeurope", "messages": words, "store": true});
    let (status, _, body) = gateway.post("sk-lab", stored.to_string()).await;
    assert_eq!(status, 200, "{body}");
    // Nor does the operator's word: a stateful call's inner calls are stateless ones.
    let plain = |model: &str| json!({"model": model, "messages": words}).to_string();
    let (status, _, body) = gateway.post("sk-lab-runtime", plain("gpt-5.4@openai")).await;
    assert!(status == 403 && body.contains("lab-stateless"), "{body}");
    let (status, _, body) = gateway.post("sk-lab-runtime", plain("gpt-5.4@azure-westeurope")).await;
    assert_eq!(status, 200, "{body}");
    let report = gateway.engine.profile(&"lab-runtime".into()).unwrap();
    assert_eq!(&*report.by_operator.unwrap().reason, "runs inside a managed runtime");
}
