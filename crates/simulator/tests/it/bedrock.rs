use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use bytes::BytesMut;
use serde_json::{Value, json};
use simulator::{FaultAction, FaultRule, Simulator, When};

use crate::client::{Got, ask, asking, credential, post, send, simulator};

const CLOUD: &str = "bedrock-us-east-2";

struct Signing<'a> {
    secret: &'a str,
    region: &'a str,
    age: Duration,
}

async fn signed(simulator: &Simulator, path: &str, body: &Value, how: Signing<'_>) -> Got {
    let address = simulator.address(CLOUD).unwrap();
    let identity = Credentials::new("AKIASIMULATED0000000", how.secret, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(how.region)
        .name("bedrock")
        .time(SystemTime::now() - how.age)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let (url, host, body) = (format!("http://{address}{path}"), address.to_string(), body.to_string());
    let headers = [("host", host.as_str()), ("content-type", "application/json")];
    let request =
        SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
            .unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut all = vec![("content-type", "application/json")];
    all.extend(instructions.headers());
    send(address, "POST", path, &all, body.clone()).await.unwrap()
}

const SECRET: &str = "simulatedSecretAccessKey/0000000000000000";

#[tokio::test]
async fn signatures_are_checked() {
    let simulator = simulator().await;
    let (path, body) = asking(CLOUD, "Hello", false);
    assert!(path.contains("%3A"));
    let good = Signing { secret: SECRET, region: "us-east-2", age: Duration::ZERO };
    let got = signed(&simulator, &path, &body, good).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let arn =
        "/model/arn%3Aaws%3Abedrock%3Aus-east-2%3A123456789012%3Ainference-profile%2Fus.x-v1%3A0/converse";
    let good = Signing { secret: SECRET, region: "us-east-2", age: Duration::ZERO };
    assert_eq!(signed(&simulator, arn, &body, good).await.status, 200);
    for bad in [
        Signing { secret: "wrong", region: "us-east-2", age: Duration::ZERO },
        Signing { secret: SECRET, region: "us-east-1", age: Duration::ZERO },
        Signing { secret: SECRET, region: "us-east-2", age: Duration::from_secs(3600) },
    ] {
        let got = signed(&simulator, &path, &body, bad).await;
        assert_eq!(got.status, 403);
        assert!(got.header("x-amzn-errortype").starts_with("InvalidSignatureException"));
    }
    let unsigned = post(&simulator, CLOUD, &path, ("x-none", ""), &body).await;
    assert!(unsigned.header("x-amzn-errortype").starts_with("MissingAuthenticationToken"));
    let bearer = post(&simulator, CLOUD, &path, ("authorization", "Bearer no"), &body).await;
    assert_eq!(bearer.status, 403);
}

/// All frames as (type, payload); an error when a checksum is wrong.
fn frames(body: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let mut buffer = BytesMut::from(body);
    let mut decoder = MessageFrameDecoder::new();
    let mut found = Vec::new();
    while let DecodedFrame::Complete(message) =
        decoder.decode_frame(&mut buffer).map_err(|error| error.to_string())?
    {
        let header = |name: &str| {
            let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
            Some(header.value().as_string().ok()?.as_str().to_owned())
        };
        let kind = header(":event-type").or_else(|| header(":exception-type")).unwrap();
        found.push((kind, serde_json::from_slice(message.payload()).unwrap()));
    }
    assert!(buffer.is_empty());
    Ok(found)
}

#[tokio::test]
async fn a_stream_is_valid_and_folds_to_the_whole() {
    let simulator = simulator().await;
    let whole = ask(&simulator, CLOUD, "Hello there", false).await;
    assert_eq!(whole.header("x-amzn-requestid").len(), 36);
    let whole = whole.json();
    assert!(whole["metrics"]["latencyMs"].is_u64());
    let got = ask(&simulator, CLOUD, "Hello there", true).await;
    assert_eq!(got.header("content-type"), "application/vnd.amazon.eventstream");
    let found = frames(&got.body).unwrap();
    let kinds: Vec<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[0], "messageStart");
    assert_eq!(kinds[kinds.len() - 3..], ["contentBlockStop", "messageStop", "metadata"]);
    let text: String = found.iter().filter_map(|(_, payload)| payload["delta"]["text"].as_str()).collect();
    assert_eq!(text, whole["output"]["message"]["content"][0]["text"].as_str().unwrap());
    assert_eq!(found.last().unwrap().1["usage"], whole["usage"]);
}

#[tokio::test]
async fn tools_and_reasoning_stream_as_blocks() {
    let simulator = simulator().await;
    let body = json!({"messages": [{"role": "user", "content": [{"text": "weather in Oslo"}]}],
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        "toolConfig": {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object",
            "properties": {"city": {"type": "string"}}, "required": ["city"]}}}}]}});
    let path = "/model/us.anthropic.claude-opus-5-5-v1%3A0/converse-stream";
    let got = post(&simulator, CLOUD, path, credential("bedrock"), &body).await;
    let found = frames(&got.body).unwrap();
    let input: String =
        found.iter().filter_map(|(_, payload)| payload["delta"]["toolUse"]["input"].as_str()).collect();
    assert_eq!(input, r#"{"city":"Oslo"}"#);
    assert!(found.iter().any(|(_, payload)| payload["delta"]["reasoningContent"]["signature"].is_string()));
    assert!(found.iter().any(|(kind, payload)| kind == "messageStop" && payload["stopReason"] == "tool_use"));
}

#[tokio::test]
async fn bad_requests_are_validation_errors() {
    let simulator = simulator().await;
    let user = |text: &str| json!({"role": "user", "content": [{"text": text}]});
    let used =
        json!({"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]});
    let result =
        json!({"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "r"}]}}]});
    let cases = [
        (json!({"messages": [user("a")], "temperature": 1}), "Extra inputs are not permitted"),
        (json!({"messages": [user(" ")]}), "is blank"),
        (json!({"messages": [user("a"), user("b")]}), "must alternate"),
        (json!({"messages": [user("a"), used, result]}), "toolConfig field must be defined"),
    ];
    for (body, expected) in cases {
        let got = post(&simulator, CLOUD, "/model/us.x/converse", credential("bedrock"), &body).await;
        assert_eq!(got.status, 400);
        assert!(got.header("x-amzn-errortype").starts_with("ValidationException"));
        assert!(got.text().contains(expected), "{}", got.text());
    }
    let body = json!({"messages": [user("a")]});
    let got =
        post(&simulator, CLOUD, "/model/openai.gpt-6.1-sol/converse", credential("bedrock"), &body).await;
    assert!(got.text().contains("inference profile"));
    let address = simulator.address(CLOUD).unwrap();
    assert_eq!(send(address, "GET", "/nothing", &[credential("bedrock")], "").await.unwrap().status, 404);
}

#[tokio::test]
async fn openai_models_answer_on_their_own_route() {
    let simulator = simulator().await;
    let body = json!({"model": "us.openai.gpt-6.1-sol", "messages": [{"role": "user", "content": "Hello"}]});
    let good = Signing { secret: SECRET, region: "us-east-2", age: Duration::ZERO };
    let got = signed(&simulator, "/openai/v1/chat/completions", &body, good).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.header("x-amzn-requestid").len(), 36);
    assert_eq!(got.json()["object"], "chat.completion");
}

#[tokio::test]
async fn frames_can_be_damaged_and_end_in_an_exception() {
    let simulator = simulator().await;
    for prelude in [false, true] {
        let action = FaultAction::Corrupt { after_deltas: 2, prelude };
        simulator.script(CLOUD, [FaultRule { when: When::default(), action }]).unwrap();
        let got = ask(&simulator, CLOUD, "Hello", true).await;
        assert!(frames(&got.body).is_err());
    }
    let action = FaultAction::ErrorMidStream { after_deltas: 1, status: 429 };
    simulator.script(CLOUD, [FaultRule { when: When::default(), action }]).unwrap();
    let found = frames(&ask(&simulator, CLOUD, "Hello", true).await.body).unwrap();
    assert_eq!(found.last().unwrap().0, "throttlingException");
}
