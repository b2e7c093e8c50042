//! Embeddings pass through to the deployments that have them, by the same path as chats.

use crate::gateway::{Gateway, KEY};
use bytes::Bytes;
use domain::{
    Code,
    record::{Outcome, Record},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use simulator::{FaultAction, FaultRule};

async fn embed(gateway: &Gateway, body: impl Into<Bytes>) -> (u16, http::HeaderMap, Value) {
    let request = http::Request::post("/v1/embeddings")
        .header("host", "gateway")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(body.into().into())
        .unwrap();
    let (parts, body) = gateway.send(request).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap())
}

fn asked(model: &str) -> String {
    json!({"model": model, "input": ["a b", "ü"], "encoding_format": "float", "kept": 1.5}).to_string()
}

fn answer_with(gateway: &Gateway, cloud: &str, action: Value) {
    let action: FaultAction = serde_json::from_value(action).unwrap();
    gateway.simulator.script(cloud, vec![FaultRule { when: simulator::When::default(), action }]).unwrap();
}

#[tokio::test]
async fn vectors_come_from_every_deployment_of_the_format() {
    let gateway = Gateway::start().await;
    for (model, deployment, path) in [
        ("gpt-5.4", "openai", "/v1/embeddings"),
        ("gpt-5.4", "azure-westeurope", "/openai/v1/embeddings"),
        ("gpt-oss-120b", "vllm", "/v1/embeddings"),
    ] {
        let (status, headers, reply) = embed(&gateway, asked(&format!("{model}@{deployment}"))).await;
        assert_eq!(status, 200, "{deployment}: {reply}");
        assert_eq!(reply["data"].as_array().unwrap().len(), 2, "{deployment}");
        assert_eq!(reply["data"][1]["embedding"].as_array().unwrap().len(), 16, "{deployment}");
        assert_eq!(headers["x-cabotage-deployment"], deployment);
        assert_eq!(headers["x-cabotage-served-by"], "simulated");
        assert!(headers.contains_key("x-cabotage-decision"));
        let seen = gateway.simulator.journal().pop().unwrap();
        assert_eq!(seen.path, path);
        // Of the caller's bytes only the model's name is another.
        assert_eq!(seen.body.unwrap(), asked(model), "{deployment}");
        let records = gateway.journal.records();
        let Some(Record::Outcome(outcome)) = records.last() else { panic!("{records:?}") };
        assert_eq!((outcome.outcome, outcome.last), (Outcome::Done, true));
        assert_eq!((outcome.usage.input_total(), outcome.usage.output_total()), (3, 0), "{deployment}");
    }
}

#[tokio::test]
async fn base64_is_what_the_sdks_ask_for() {
    let gateway = Gateway::start().await;
    let body = json!({"model": "gpt-5.4", "input": "a", "encoding_format": "base64"});
    let (status, _, reply) = embed(&gateway, body.to_string()).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["data"][0]["embedding"].as_str().unwrap().len(), 88, "16 floats of 4 bytes");
}

#[tokio::test]
async fn another_deployment_takes_over() {
    let gateway = Gateway::start().await;
    answer_with(&gateway, "openai", json!({"kind": "status", "status": 500, "body": "{}"}));
    let (status, headers, reply) = embed(&gateway, asked("gpt-5.4")).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(headers["x-cabotage-attempts"], "openai=upstream_error, azure-westeurope=ok");
    assert_eq!(gateway.counts(), (2, 2, 0));
}

#[tokio::test]
async fn an_answer_without_vectors_is_no_answer() {
    for body in ["{\"error\":{\"message\":\"overloaded\"}}", "{\"choices\":[]}", "[]"] {
        let gateway = Gateway::start().await;
        answer_with(&gateway, "openai", json!({"kind": "status", "status": 200, "body": body}));
        let (status, headers, reply) = embed(&gateway, asked("gpt-5.4")).await;
        assert_eq!(
            (status, &headers["x-cabotage-deployment"]),
            (200, &"azure-westeurope".parse().unwrap()),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_embedded_is_told_and_nothing_is_sent() {
    let gateway = Gateway::start().await;
    for (body, expected, code, says) in [
        (asked("claude-opus-5-5"), 400, Code::UnsupportedParameter, "an embeddings API"),
        (asked("gpt-5.5"), 404, Code::ModelNotFound, "gpt-5.4"),
        ("{\"model\":\"gpt-5.4\"}".into(), 400, Code::InvalidRequest, "`input`"),
        ("{".into(), 400, Code::InvalidJson, "JSON"),
    ] {
        let (status, headers, reply) = embed(&gateway, body.clone()).await;
        assert_eq!(
            (status, headers["x-cabotage-code"].to_str().unwrap()),
            (expected, code.name()),
            "{body}: {reply}"
        );
        assert!(reply["error"]["message"].as_str().unwrap().contains(says), "{body}: {reply}");
    }
    assert!(gateway.simulator.journal().is_empty());
    assert_eq!(gateway.counts().2, 4, "each refusal is in the journal");
    // The same model, asked to chat, is not kept back.
    let chat = json!({"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(gateway.chat(chat).await.0, 200);
}

#[tokio::test]
async fn a_chat_model_that_refuses_vectors_stays_well_for_chats() {
    let gateway = Gateway::start().await;
    let refusal = json!({"kind": "status", "status": 403, "body": "{\"error\":{\"message\":\"no embeddings from this model\"}}"});
    for _ in 0..12 {
        answer_with(&gateway, "openai", refusal.clone());
        assert_ne!(embed(&gateway, asked("gpt-5.4@openai")).await.0, 200);
    }
    gateway.simulator.script("openai", Vec::new()).unwrap();
    let chat = json!({"model": "gpt-5.4", "messages": [{"role": "user", "content": "hi"}]});
    let (status, headers, body) = gateway.chat(chat).await;
    assert_eq!((status, &headers["x-cabotage-attempts"]), (200, &"openai=ok".parse().unwrap()), "{body}");
}
