use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use serde_json::{Value, json};
use simulator::{FaultAction, FaultRule, Simulator, When};

use crate::client::{CLOUDS, ask, asking, begin, credential, send, simulator};

fn always(action: FaultAction) -> Vec<FaultRule> {
    vec![FaultRule { when: When::default(), action }]
}

async fn with(action: FaultAction) -> Simulator {
    let simulator = simulator().await;
    simulator.script("all", always(action)).unwrap();
    simulator
}

#[tokio::test]
async fn a_status_comes_with_headers_in_each_cloud_s_shape() {
    let headers = BTreeMap::from([("retry-after".to_owned(), "7".to_owned())]);
    let simulator = with(FaultAction::Status { status: 429, body: None, headers }).await;
    for cloud in CLOUDS {
        let got = ask(&simulator, cloud, "Hello", true).await;
        assert_eq!((got.status, got.header("retry-after")), (429, "7"), "{cloud}");
        let body = got.json();
        assert!(body.get("error").or(body.get("message")).is_some(), "{cloud}: {body}");
    }
    let simulator = with(FaultAction::Status { status: 529, body: None, headers: BTreeMap::new() }).await;
    let got = ask(&simulator, "anthropic", "Hello", false).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (529, &json!("overloaded_error")));
    let body = Some(json!({"own": 1}));
    let simulator = with(FaultAction::Status { status: 500, body, headers: BTreeMap::new() }).await;
    assert_eq!(ask(&simulator, "openai", "Hello", false).await.json(), json!({"own": 1}));
}

#[tokio::test]
async fn slowness_delays_the_head_or_the_first_token() {
    for (action, head_waits) in
        [(FaultAction::SlowHeaders { ms: 150 }, true), (FaultAction::SlowFirstToken { ms: 150 }, false)]
    {
        let simulator = with(action).await;
        let (path, body) = asking("openai", "Hello", true);
        let started = Instant::now();
        let address = simulator.address("openai").unwrap();
        let response =
            begin(address, "POST", &path, &[credential("openai")], body.to_string()).await.unwrap();
        let head = started.elapsed();
        response.into_body().collect().await.unwrap();
        assert_eq!(head >= Duration::from_millis(150), head_waits);
        assert!(started.elapsed() >= Duration::from_millis(150));
    }
}

/// The text that arrives within 400 ms.
async fn heard(simulator: &Simulator, cloud: &str) -> (String, bool) {
    let (path, body) = asking(cloud, "Hello", true);
    let headers = [credential(cloud), ("anthropic-version", "2023-06-01")];
    let address = simulator.address(cloud).unwrap();
    let mut incoming = begin(address, "POST", &path, &headers, body.to_string()).await.unwrap().into_body();
    let mut text = String::new();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(400);
    loop {
        match tokio::time::timeout_at(deadline, incoming.frame()).await {
            Err(_) => return (text, true),
            Ok(Some(Ok(frame))) => text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap())),
            Ok(_) => return (text, false),
        }
    }
}

#[tokio::test]
async fn a_stall_is_silent_or_pings() {
    let simulator = with(FaultAction::Stall { after_deltas: 2 }).await;
    let (text, open) = heard(&simulator, "openai").await;
    assert!(open);
    assert_eq!(text.matches("data: ").count(), 3, "role chunk and two deltas: {text}");
    let simulator = with(FaultAction::StallWithPings { after_deltas: 1, every_ms: 50 }).await;
    let (text, open) = heard(&simulator, "anthropic").await;
    assert!(open);
    assert!(text.matches("event: ping").count() >= 4, "{text}");
    assert_eq!(text.matches("event: content_block_delta").count(), 1, "{text}");
}

#[tokio::test]
async fn connections_are_reset_or_closed() {
    let simulator = with(FaultAction::ResetBeforeHeaders).await;
    assert!(send_chat(&simulator).await.is_err());
    let simulator = with(FaultAction::Reset { after_bytes: 100 }).await;
    let got = send_chat(&simulator).await.unwrap();
    assert_eq!(got.body.len(), 100);
    let reason = got.broken.clone().unwrap_or_else(|| panic!("no error: {} {:?}", got.text(), got.headers));
    assert!(reason.contains("body") || reason.contains("reset"), "{reason}");
    let simulator = with(FaultAction::Close { after_bytes: 100 }).await;
    let got = send_chat(&simulator).await.unwrap();
    assert_eq!(got.body.len(), 100);
    assert!(got.broken.is_some());
    let simulator = with(FaultAction::EndWithoutTerminal { after_deltas: 2 }).await;
    let got = send_chat(&simulator).await.unwrap();
    assert_eq!(got.broken, None);
    assert!(!got.text().contains("[DONE]"));
    assert_eq!(got.events().len(), 3);
}

async fn send_chat(simulator: &Simulator) -> Result<crate::client::Got, String> {
    let (path, body) = asking("openai", "Hello", true);
    send(simulator.address("openai").unwrap(), "POST", &path, &[credential("openai")], body.to_string()).await
}

#[tokio::test]
async fn a_reset_is_a_reset_on_the_wire() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let simulator = with(FaultAction::Reset { after_bytes: 40 }).await;
    let mut stream = tokio::net::TcpStream::connect(simulator.address("openai").unwrap()).await.unwrap();
    let (path, body) = asking("openai", "Hello", true);
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-simulated-openai\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let error = stream.read_to_end(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let read = String::from_utf8_lossy(&read).into_owned();
    assert!(read.starts_with("HTTP/1.1 200 OK"));
    assert!(!read.ends_with("0\r\n\r\n"), "{read}");
}

#[tokio::test]
async fn bodies_can_be_wrong() {
    let whole = |simulator: Simulator| async move { ask(&simulator, "openai", "Hello", false).await };
    let got = whole(with(FaultAction::TruncatedJson { bytes: Some(50) }).await).await;
    assert_eq!((got.header("content-length"), got.body.len(), got.broken.is_some()), ("50", 50, false));
    let page = serde_json::from_value::<FaultAction>(json!({"kind": "page"})).unwrap();
    let got = whole(with(page).await).await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(got.text().starts_with("<!doctype html>"));
    let got =
        whole(with(FaultAction::WrongContentType { content_type: "text/plain".to_owned() }).await).await;
    assert_eq!(
        (got.header("content-type"), &got.json()["object"]),
        ("text/plain", &json!("chat.completion"))
    );
    let simulator = with(FaultAction::ErrorInSuccess { status: 503 }).await;
    for stream in [false, true] {
        let got = ask(&simulator, "openai", "Hello", stream).await;
        assert_eq!(got.status, 200);
        let body: Value = if stream { got.events()[0].clone() } else { got.json() };
        assert_eq!(body["error"]["type"], "server_error");
    }
    let got = ask(
        &with(FaultAction::ErrorMidStream { after_deltas: 1, status: 529 }).await,
        "anthropic",
        "Hello",
        true,
    )
    .await;
    assert_eq!(got.events().last().unwrap()["error"]["type"], "overloaded_error");
    let got =
        ask(&with(FaultAction::Corrupt { after_deltas: 0, prelude: false }).await, "openai", "Hello", true)
            .await;
    assert!(std::str::from_utf8(&got.body).is_err());
    let got = ask(&with(FaultAction::HugeBody { bytes: 1_000_000 }).await, "openai", "Hello", true).await;
    assert!(got.body.len() >= 1_000_000);
    let got =
        ask(&with(FaultAction::Fragment { bytes: 3 }).await, "openai", "H\u{e9}llo \u{2603}", true).await;
    assert!(got.text().contains('\u{2603}') && got.text().ends_with("[DONE]\n\n"));
    let got = whole(with(FaultAction::RegionDown).await).await;
    assert_eq!(got.status, 503);
}

#[tokio::test]
async fn rules_hit_only_what_they_name() {
    let simulator = simulator().await;
    let when = When { nth: Some(2), ..When::default() };
    simulator.script("openai", [FaultRule { when, action: FaultAction::RegionDown }]).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&simulator, "openai", "Hello", false).await.status);
    }
    assert_eq!(statuses, [200, 503, 200]);
    assert_eq!(ask(&simulator, "anthropic", "Hello", false).await.status, 200);
    assert!(simulator.script("nowhere", []).is_err());
}
