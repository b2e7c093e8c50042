//! Canaries in every place where a secret or a prompt can stand, times faults: none of them is found in an answer,
//! a log line at the finest level, the metrics, the journal or a `Debug` text.

use crate::gateway::{FLEET, Gateway, KEY};
use domain::record::Record;
use engine::Timeouts;
use serde_json::{Value, json};
use simulator::{FaultAction, FaultRule, When};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps every event and span of this process from now on. The simulator's are not the gateway's.
fn listen() -> Log {
    use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};
    let log = Log::default();
    let writer = log.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .with_filter(tracing_subscriber::filter::filter_fn(|meta| !meta.target().starts_with("simulator")));
    tracing_subscriber::registry().with(layer).try_init().unwrap();
    log
}

/// What the gateway was given to keep to itself: the caller's key and the providers' secrets.
const SECRETS: &[&str] = &[
    KEY,
    "sk-eu",
    "sk-simulated-openai",
    "simulated-azure-key",
    "sk-ant-simulated",
    "AIzaSimulatedGeminiKey",
    "ya29.simulated-vertex",
    "simulatedSecretAccessKey/0000000000000000",
    "sk-canary-wrong-key-77",
];

/// What a caller says: it may come back to him, and stands nowhere else.
const SAID: &[&str] = &[
    "canary-prompt-01",
    "canary-system-02",
    "canary-tool-name-03",
    "canary-tool-text-04",
    "canary-arguments-05",
    "canary-result-06",
    "canary-user-07",
    "canary-metadata-08",
    "canary-unknown-09",
    "canary-image-10",
];

fn call(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "stream": stream,
        "user": "canary-user-07",
        "metadata": {"trace": "canary-metadata-08"},
        "x_unknown": "canary-unknown-09",
        "messages": [
            {"role": "system", "content": "canary-system-02"},
            {"role": "user", "content": [{"type": "text", "text": "canary-prompt-01"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "canary-tool-name-03", "arguments": "{\"a\":\"canary-arguments-05\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "canary-result-06"},
            {"role": "user", "content": "again: canary-prompt-01 [[sim {\"say\":\"canary-prompt-01 canary-answer-11\"}]]"},
        ],
        "tools": [{"type": "function", "function": {"name": "canary-tool-name-03", "description": "canary-tool-text-04",
            "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}],
    })
}

/// An upstream that repeats everything it was sent, in several shapes.
fn echoes() -> Vec<Value> {
    let all = format!("{} {}", SECRETS.join(" "), SAID.join(" "));
    let object = json!({"type": "error", "message": all, "error": {"message": all, "type": "invalid_request_error", "code": all, "param": all}});
    let mut faults: Vec<Value> = [400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 503, 529]
        .iter()
        .map(|status| json!({"kind": "status", "status": status, "body": object, "headers": {"x-echo": all, "location": all, "set-cookie": all}}))
        .collect();
    faults.extend([
        json!({"kind": "status", "status": 400, "body": all}),
        json!({"kind": "page", "body": format!("<html>{all}")}),
        json!({"kind": "page", "content_type": "application/json", "body": object.to_string()}),
        json!({"kind": "page", "content_type": "application/json", "body": format!("{{\"choices\":\"{all}\"")}),
        json!({"kind": "page", "content_type": "text/event-stream", "body": format!("data: {object}\n\n")}),
        json!({"kind": "page", "content_type": "text/event-stream", "body": format!("data: {all}\n\n")}),
        json!({"kind": "wrong_content_type", "content_type": all}),
        json!({"kind": "reset_before_headers"}),
        json!({"kind": "reset", "after_bytes": 600}),
        json!({"kind": "truncated_json"}),
        json!({"kind": "slow_headers", "ms": 60_000}),
        json!({"kind": "end_without_terminal", "after_deltas": 1}),
        json!({"kind": "error_mid_stream", "after_deltas": 1}),
        json!({"kind": "error_in_success"}),
        json!({"kind": "region_down"}),
    ]);
    faults
}

fn records(gateway: &Gateway) -> String {
    gateway.journal.records().iter().fold(String::new(), |all, record| {
        let text = match record {
            Record::Decision(it) => format!("{it:?}"),
            other => format!("{other:?}"),
        };
        all + &text + "\n"
    })
}

#[tokio::test]
async fn no_canary_is_found_in_any_sink() {
    let log = listen();
    tracing::trace!("canary-log-00");
    let mut found = Vec::new();
    let mut check = |what: &str, text: &str, canaries: &[&str]| {
        for canary in canaries {
            if let Some(at) = text.find(canary) {
                let from =
                    (0..=at.saturating_sub(120)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                found.push(format!(
                    "{what}: {canary}: …{}",
                    text[from..].chars().take(240).collect::<String>()
                ));
            }
        }
    };
    let mut faults = vec![Value::Null];
    faults.extend(echoes());
    let mut answered = 0;
    let mut all_records = String::new();
    let mut all_metrics = String::new();
    for fault in faults {
        let gateway = Gateway::start_with(Timeouts {
            first_content: Duration::from_millis(400),
            idle_content: Duration::from_millis(400),
            total: Duration::from_secs(2),
        })
        .await;
        if !fault.is_null() {
            for place in FLEET {
                let action: FaultAction = serde_json::from_value(fault.clone()).unwrap();
                gateway
                    .simulator
                    .script(place.cloud, vec![FaultRule { when: When::default(), action }])
                    .unwrap();
            }
        }
        let mut calls = Vec::new();
        // vLLM is sent no secret, so it has none to repeat.
        for place in FLEET.iter().filter(|place| fault.is_null() || place.provider != "vllm") {
            for stream in [false, true] {
                calls.push(gateway.chat(call(&format!("{}@{}", place.model, place.name), stream)));
            }
        }
        calls.push(gateway.chat(call("gpt-5.4", false)));
        for (status, headers, body) in futures_util::future::join_all(calls).await {
            let what = format!("answer {status} to {}", fault["kind"]);
            check(&what, &format!("{headers:?}"), SECRETS);
            check(&what, &body, SECRETS);
            if status != 200 {
                // What a caller said may be named to him; headers are logged by everything on the road.
                check(&what, &format!("{headers:?}"), SAID);
            }
            answered += usize::from(status == 200 && body.contains("canary-answer"));
        }
        let wrong = gateway.post("sk-canary-wrong-key-77", call("gpt-5.4", false).to_string()).await;
        check("wrong key", &format!("{:?}{}", wrong.1, wrong.2), SECRETS);
        check("wrong key", &wrong.2, SAID);
        let broken = call("gpt-5.4", false).to_string().replace("\"stream\"", "stream");
        let broken = gateway.post(KEY, broken).await;
        assert_eq!(broken.0, 400);
        check("broken JSON", &broken.2, SAID);
        all_records += &records(&gateway);
        all_metrics += &gateway.metrics();
        let snapshot = gateway.engine.snapshot().unwrap();
        let debug = format!("{:?} {:?} {:#?}", gateway.engine.shared(), snapshot, snapshot.deployments);
        check("Debug", &debug, SECRETS);
        check("Debug", &debug, SAID);
        let caller = gateway.engine.caller(Some(KEY)).unwrap();
        check("Debug of a caller", &format!("{caller:?}"), SECRETS);
    }
    assert!(
        all_records.lines().count() > 100 && all_metrics.contains("attempts"),
        "there was something to find"
    );
    for (what, text) in [("journal", all_records), ("metrics", all_metrics), ("log", log.text())] {
        check(what, &text, SECRETS);
        check(what, &text, SAID);
        check(what, &text, &["canary-answer"]);
    }
    assert!(answered > 3, "a canary came back where it may: {answered}");
    assert!(log.text().contains("canary-log-00"), "the log was listened to");
    assert!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn callers_names_make_no_series_and_no_lines() {
    let gateway = Gateway::start().await;
    let series = |gateway: &Gateway| gateway.metrics().lines().filter(|line| !line.starts_with('#')).count();
    for model in ["no-such-model", "gpt-5.4@no-such-place"] {
        gateway.chat(call(model, false)).await;
    }
    let before = series(&gateway);
    for number in 0..300 {
        let model = format!("model-{number}\n{{\"level\":\"info\"}}\u{1b}[31m");
        let (status, headers, _) = gateway.chat(call(&model, false)).await;
        assert_eq!(status, 404);
        assert!(
            headers.values().all(|value| value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte)))
        );
    }
    assert_eq!(series(&gateway), before, "no caller can make a series");
    let long = "m".repeat(100_000);
    let (status, _, body) = gateway.chat(call(&long, false)).await;
    assert!(matches!(status, 400 | 404), "{status}");
    assert!(body.len() < 2_000, "a long name is not repeated: {}", body.len());
    let longest = gateway.journal.records().iter().map(|record| format!("{record:?}").len()).max().unwrap();
    assert!(longest < 4_000, "a record of {longest} bytes");
}

#[tokio::test]
async fn every_carrier_of_a_key_is_judged_the_same() {
    let gateway = Gateway::start().await;
    let body = call("gpt-5.4", false).to_string();
    let send = |pairs: Vec<(&'static str, String)>, path: &'static str| {
        let mut request =
            http::Request::builder().method(if path.ends_with("completions") { "POST" } else { "GET" });
        request = request.uri(path).header("host", "g").header("content-type", "application/json");
        for (name, value) in pairs {
            request = request.header(name, value);
        }
        gateway.send(request.body(http_body_util::Full::new(body.clone().into())).unwrap())
    };
    let carriers = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
    let value = |name: &str, key: &str| {
        if name == "authorization" { format!("Bearer {key}") } else { key.to_owned() }
    };
    for path in ["/v1/chat/completions", "/v1/models", "/v1/models/gpt-5.4"] {
        for name in carriers {
            assert_eq!(send(vec![(name, value(name, KEY))], path).await.status(), 200, "{name} {path}");
            for wrong in
                ["x", "' OR '1'='1", "sk-test ", "sk-tes", "SK-TEST", "%73k-test", "*", "${jndi:ldap://x}"]
            {
                let status = send(vec![(name, value(name, wrong))], path).await.status();
                assert!(status == 401 || wrong == "sk-test ", "{name} {path} {wrong}: {status}");
            }
            for other in carriers.iter().filter(|other| **other != name) {
                let two = vec![(name, value(name, KEY)), (*other, value(other, "sk-eu"))];
                assert_eq!(send(two, path).await.status(), 400, "{name} and {other} {path}");
            }
            // Twice the same carrier with two keys.
            let two = vec![(name, value(name, KEY)), (name, value(name, "sk-eu"))];
            assert_eq!(send(two, path).await.status(), 400, "{name} twice {path}");
        }
    }
    // Other spellings of a path are other paths, never a way around the key.
    for path in [
        "//v1/models",
        "/v1//models",
        "/v1/%6dodels",
        "/V1/models",
        "/v1/models;x",
        "/v1/./models",
        "/v1/models/",
        "/x/../v1/models",
    ] {
        let status = send(vec![], path).await.status();
        assert!(status == 401 || status == 404, "{path}: {status}");
    }
}
