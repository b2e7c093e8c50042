//! Responses on a gateway without any store: the answer says what is true, and what is not kept is a named loss.

use crate::gateway::{Gateway, KEY, request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

const LOSS: &str = "x-cabotage-translation-loss";

async fn respond(gateway: &Gateway, body: Value) -> (http::HeaderMap, Value) {
    let mut request = request(KEY, body.to_string());
    *request.uri_mut() = "/v1/responses".parse().unwrap();
    let (head, body) = gateway.send(request).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&bytes));
    (head.headers, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn what_is_not_kept_is_a_named_loss_unless_the_caller_wants_it_so() {
    let gateway = Gateway::start().await;
    for (asked, lost) in [(Value::Null, true), (json!(true), true), (json!(false), false)] {
        let mut body = json!({"model": "gpt-5.4@azure-westeurope", "input": "hello"});
        if !asked.is_null() {
            body["store"] = asked.clone();
        }
        let (headers, answer) = respond(&gateway, body).await;
        let losses = headers.get(LOSS).map_or("", |value| value.to_str().unwrap());
        assert_eq!(losses.split(", ").any(|loss| loss == "store"), lost, "store {asked}: {losses}");
        assert_eq!(answer["store"], json!(false), "the answer says what is true");
    }
}
