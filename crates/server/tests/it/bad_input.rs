//! Bad input: a clear error with the place, in OpenAI's shape with a stable code, and nothing reaches a cloud.

use crate::gateway::{Gateway, KEY, request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

#[tokio::test]
async fn each_fault_of_the_caller_has_its_code() {
    let gateway = Gateway::start().await;
    let deep = format!(
        "{{\"model\":\"gpt-5.4\",\"messages\":[{{\"role\":\"user\",\"content\":{}{}}}]}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    let big = format!(
        "{{\"model\":\"gpt-5.4\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}",
        "x".repeat(2 << 20)
    );
    let cases: Vec<(&str, Bytes, u16, &str)> = vec![
        ("not JSON", "{".into(), 400, "invalid_json"),
        ("empty", "".into(), 400, "invalid_json"),
        (
            "trailing",
            "{\"model\":\"gpt-5.4\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} x".into(),
            400,
            "invalid_json",
        ),
        (
            "twice",
            "{\"model\":\"a\",\"model\":\"gpt-5.4\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
                .into(),
            400,
            "invalid_json",
        ),
        ("too deep", deep.into(), 400, "invalid_json"),
        (
            "no UTF-8",
            Bytes::from_static(
                b"{\"model\":\"gpt-5.4\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
            ),
            400,
            "invalid_json",
        ),
        ("no model", json!({"messages": []}).to_string().into(), 400, "invalid_request"),
        ("no messages", json!({"model": "gpt-5.4"}).to_string().into(), 400, "invalid_request"),
        (
            "unknown model",
            json!({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}).to_string().into(),
            404,
            "model_not_found",
        ),
        ("too big", big.into(), 413, "body_too_large"),
    ];
    for (name, body, status, code) in cases {
        let (got, headers, text) = gateway.post(KEY, body).await;
        assert_eq!(got, status, "{name}: {text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(error["error"]["code"], code, "{name}: {text}");
        assert!(error["error"]["message"].as_str().unwrap().len() > 20, "{name}: {text}");
        assert_eq!(headers["x-cabotage-code"], code, "{name}");
        assert!(headers.contains_key("x-cabotage-call-id"), "{name}");
    }
    let (_, _, text) = gateway
        .post(KEY, json!({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}).to_string())
        .await;
    assert!(text.contains("gpt-5.4"), "near names are told: {text}");
    assert!(gateway.simulator.journal().is_empty());
}

#[tokio::test]
async fn no_key_and_a_wrong_key_are_told_the_same() {
    let gateway = Gateway::start().await;
    let body = json!({"model": "gpt-5.4", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let (status, _, wrong) = gateway.post("sk-wrong", body.clone()).await;
    assert_eq!(status, 401);
    let mut bare = request(KEY, body.clone());
    bare.headers_mut().remove("authorization");
    let response = gateway.send(bare).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), wrong.as_bytes());
    let mut two = request(KEY, body);
    two.headers_mut().insert("x-api-key", "another".parse().unwrap());
    assert_eq!(gateway.send(two).await.status(), 400);
    assert!(gateway.simulator.journal().is_empty());
}

#[tokio::test]
async fn a_caller_never_chooses_the_upstream() {
    let gateway = Gateway::start().await;
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", trap.local_addr().unwrap());
    let mut request = request(
        KEY,
        json!({"model": "gpt-5.4@openai", "messages": [{"role": "user", "content": "hi"}], "api_base": url, "base_url": url}).to_string(),
    );
    for name in ["x-portkey-custom-host", "x-bf-base-url", "x-forwarded-host", "x-base-url", "forwarded"] {
        request.headers_mut().insert(name, url.parse().unwrap());
    }
    request.headers_mut().insert("host", trap.local_addr().unwrap().to_string().parse().unwrap());
    gateway.send(request).await;
    let reached = tokio::time::timeout(std::time::Duration::from_millis(200), trap.accept()).await;
    assert!(reached.is_err(), "the trap was reached");
    let seen = gateway.simulator.journal();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.values().any(|value| value.contains(KEY)), "the caller's key stays here");
}

#[tokio::test]
async fn wrong_routes_methods_and_types_say_what_is_right() {
    let gateway = Gateway::start().await;
    let send = |method: &str, path: &str, kind: &str| {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gateway")
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", kind)
            .body(Full::new(Bytes::from_static(b"{}")))
            .unwrap();
        gateway.send(request)
    };
    assert_eq!(send("POST", "/v1/nothing", "application/json").await.status(), 404);
    assert_eq!(send("GET", "/v1/chat/completions", "application/json").await.status(), 405);
    let response = send("POST", "/v1/chat/completions", "application/x-www-form-urlencoded").await;
    assert_eq!(response.status(), 415);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("application/json"));
}
