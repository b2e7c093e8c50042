//! Every fault of an upstream × {whole, stream} × {same dialect, translated}: the status, the stable code, the
//! wait, a body that is OpenAI's error object, nothing of the upstream's own words, and a journal that adds up.

use crate::gateway::{FLEET, Gateway, KEY, Place};
use domain::{CallId, record::Record};
use engine::Timeouts;
use http::HeaderMap;
use serde_json::{Value, json};
use simulator::{FaultAction, FaultRule, When};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Stands in every text that a fault makes an upstream say, and in no answer of ours.
const CANARY: &str = "upstream-canary-9f31";

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// An answer.
    Answer,
    /// An error with this status and code.
    Error(u16, &'static str),
    /// An error with this status and code, and this many seconds to wait.
    Wait(u16, &'static str, u64),
    /// A stream that breaks off with an error in it.
    Cut,
    /// Not sent.
    Skip,
}
use Expect::{Answer, Cut, Error, Skip, Wait};

struct Row {
    name: &'static str,
    action: Value,
    whole: Expect,
    stream: Expect,
    /// Empty: all.
    places: &'static [&'static str],
    /// The upstream's words reach a caller of its own dialect: they are about his request.
    relayed: bool,
}

fn row(name: &'static str, action: Value, whole: Expect, stream: Expect) -> Row {
    Row { name, action, whole, stream, places: &[], relayed: false }
}

fn only(places: &'static [&'static str], row: Row) -> Row {
    Row { places, ..row }
}

fn status(status: u16) -> Value {
    json!({"kind": "status", "status": status})
}

/// A status with an error object that all four dialects read words from.
fn says(status: u16, kind: &str, words: &str) -> Value {
    let message = format!("{words} ({CANARY} at 127.0.0.1)");
    json!({"kind": "status", "status": status, "body":
        {"type": "error", "message": message, "error": {"message": message, "type": kind, "code": kind, "param": null}}})
}

/// A 429 that says to wait this long and nothing else.
fn limited(seconds: &str) -> Value {
    let mut action = says(429, "rate_limit_exceeded", "slow down");
    for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
        action["headers"][name] = if name == "retry-after" { seconds } else { "" }.into();
    }
    for what in ["requests", "tokens", "input-tokens", "output-tokens"] {
        action["headers"][format!("anthropic-ratelimit-{what}-reset")] = "".into();
    }
    action
}

fn with_header(mut action: Value, name: &str, value: &str) -> Value {
    action["headers"][name] = value.into();
    action
}

const OPENAI_LIKE: &[&str] = &["openai", "azure-westeurope"];
const SIX: &[&str] =
    &["openai", "azure-westeurope", "anthropic", "bedrock-claude", "vertex-gemini", "gemini"];

pub(crate) const UNAVAILABLE: Expect = Error(503, "permitted_unavailable");
pub(crate) const BAD: Expect = Error(502, "upstream_bad_response");
const LATE: Expect = Error(504, "upstream_timeout");

/// The matrix. Long because it is a table.
fn rows() -> Vec<Row> {
    let both = |name, action, expect| row(name, action, expect, expect);
    let date = (jiff::Timestamp::now() + Duration::from_secs(600)).to_zoned(jiff::tz::TimeZone::UTC);
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let rate = |seconds| Wait(429, "rate_limit_exceeded", seconds);
    let mut filter = both(
        "U27 content filter",
        says(400, "content_filter", "The response was filtered due to our content management policy"),
        Error(400, "content_filter"),
    );
    (filter.relayed, filter.places) = (true, OPENAI_LIKE);
    let mut context = both(
        "U28 context too long",
        says(400, "context_length_exceeded", "prompt is too long: maximum context length is 10 tokens"),
        Error(400, "context_length_exceeded"),
    );
    (context.relayed, context.places) = (true, OPENAI_LIKE);
    let too_long = |places, body: Value| {
        let action = json!({"kind": "status", "status": 400, "body": body, "headers": {"x-amzn-errortype": "ValidationException"}});
        only(
            places,
            both("U28 context too long, in its own words", action, Error(400, "context_length_exceeded")),
        )
    };
    let mut invalid = both(
        "P106 invalid request",
        says(400, "invalid_request_error", "temperature must be at most 2"),
        Error(400, "invalid_request"),
    );
    invalid.relayed = true;
    vec![
        both("U5 seconds", limited("7"), rate(7)),
        both("U5 milliseconds", with_header(status(429), "retry-after-ms", "1500"), rate(2)),
        both("U5 date", limited(&date), rate(600)),
        both("U6 no hint", limited(""), Error(429, "rate_limit_exceeded")),
        only(
            &["openai", "azure-westeurope", "anthropic"],
            both(
                "U7 quota",
                says(429, "insufficient_quota", "exceeded your current quota"),
                Error(429, "insufficient_quota"),
            ),
        ),
        both("U8 529", status(529), UNAVAILABLE),
        both("U8 503 region down", json!({"kind": "region_down"}), UNAVAILABLE),
        both(
            "U8 503 with wait",
            with_header(status(503), "retry-after", "11"),
            Wait(503, "permitted_unavailable", 11),
        ),
        both("U9 500", says(500, "server_error", "boom"), Error(502, "upstream_error")),
        both(
            "U9 502 page",
            json!({"kind": "page", "status": 502, "body": format!("<html>nginx {CANARY}</html>")}),
            Error(502, "upstream_error"),
        ),
        both("U9 504", says(504, "timeout", "boom"), LATE),
        both("U12 no head", json!({"kind": "slow_headers", "ms": 60_000}), LATE),
        both("U12 no first token", json!({"kind": "slow_first_token", "ms": 60_000}), LATE),
        row("U13 silence after content", json!({"kind": "stall", "after_deltas": 2}), Skip, Cut),
        row("U13 silence after the head", json!({"kind": "stall", "after_deltas": 0}), LATE, LATE),
        row(
            "U13 pings only, after content",
            json!({"kind": "stall_with_pings", "after_deltas": 2, "every_ms": 20}),
            Skip,
            Cut,
        ),
        row(
            "U13 pings only",
            json!({"kind": "stall_with_pings", "after_deltas": 0, "every_ms": 20}),
            Skip,
            LATE,
        ),
        both("U14 reset before the head", json!({"kind": "reset_before_headers"}), UNAVAILABLE),
        both("U14 reset after the head", json!({"kind": "reset", "after_bytes": 0}), BAD),
        row("U15 reset in the middle", json!({"kind": "reset", "after_bytes": 900}), BAD, Skip),
        row("U15 reset after content", json!({"kind": "reset", "after_bytes": 4_000}), Skip, Cut),
        row("U16 no terminal event", json!({"kind": "end_without_terminal", "after_deltas": 2}), Skip, Cut),
        row(
            "U16 no content and no terminal event",
            json!({"kind": "end_without_terminal", "after_deltas": 0}),
            BAD,
            BAD,
        ),
        row("U16 closed in the middle", json!({"kind": "close", "after_bytes": 900}), BAD, Skip),
        row("U16 closed after content", json!({"kind": "close", "after_bytes": 4_000}), Skip, Cut),
        row("U18 truncated", json!({"kind": "truncated_json"}), BAD, Cut),
        row("U18 cut to nothing", json!({"kind": "truncated_json", "bytes": 0}), BAD, BAD),
        both("U19 login page", json!({"kind": "page", "body": format!("<!doctype html>{CANARY}")}), BAD),
        both("U19 wrong type", json!({"kind": "wrong_content_type"}), BAD),
        both(
            "U19 page that says JSON",
            json!({"kind": "page", "content_type": "application/json", "body": format!("<html>{CANARY}")}),
            BAD,
        ),
        both(
            "U19 list that says JSON",
            json!({"kind": "page", "content_type": "application/json", "body": "[]"}),
            BAD,
        ),
        row("U20 endless line", json!({"kind": "huge_body", "bytes": 4 << 20}), Skip, Cut),
        row("U22 no UTF-8", json!({"kind": "corrupt", "after_deltas": 0}), BAD, BAD),
        row("U22 no UTF-8 in the middle", json!({"kind": "corrupt", "after_deltas": 3}), Skip, Cut),
        both("U22 characters and events split", json!({"kind": "fragment", "bytes": 61}), Answer),
        both("U22 split elsewhere", json!({"kind": "fragment", "bytes": 37}), Answer),
        both(
            "U24 error in a 200",
            json!({"kind": "error_in_success", "status": 500}),
            Error(502, "upstream_error"),
        ),
        only(
            &["anthropic"],
            both("U24 overload in a 200", json!({"kind": "error_in_success", "status": 529}), UNAVAILABLE),
        ),
        row(
            "U24 error as first event",
            json!({"kind": "error_mid_stream", "after_deltas": 0, "status": 500}),
            Skip,
            Error(502, "upstream_error"),
        ),
        row("U24 error in the middle", json!({"kind": "error_mid_stream", "after_deltas": 2}), Skip, Cut),
        only(
            &["bedrock-claude"],
            row("U25 prelude CRC", json!({"kind": "corrupt", "after_deltas": 2, "prelude": true}), Skip, Cut),
        ),
        only(
            &["bedrock-claude"],
            row("U25 message CRC", json!({"kind": "corrupt", "after_deltas": 2}), Skip, Cut),
        ),
        only(
            &["bedrock-claude"],
            row("U25 first frame", json!({"kind": "corrupt", "after_deltas": 0, "prelude": true}), Skip, BAD),
        ),
        filter,
        context,
        too_long(
            &["anthropic"],
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}}),
        ),
        too_long(&["bedrock-claude"], json!({"message": "Input is too long for requested model."})),
        too_long(
            &["vertex-gemini", "gemini"],
            json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}),
        ),
        invalid,
        both(
            "U29 401",
            says(401, "invalid_api_key", "Incorrect API key provided: sk-…penai"),
            Error(502, "upstream_auth"),
        ),
        both("U29 403", says(403, "permission_error", "not allowed"), Error(502, "upstream_auth")),
        both(
            "U30 404",
            says(404, "model_not_found", "The model does not exist"),
            Error(404, "upstream_model_unavailable"),
        ),
        both("U30 410", says(410, "gone", "the model was retired"), Error(404, "upstream_model_unavailable")),
        both("U31 302", with_header(status(302), "location", "http://127.0.0.1:1/upstream-canary-9f31"), BAD),
        both("U31 307", with_header(status(307), "location", "http://127.0.0.1:1/upstream-canary-9f31"), BAD),
        only(
            &["openai", "azure-westeurope", "anthropic", "vertex-gemini", "gemini"],
            both(
                "U40 200 with a foreign error",
                json!({"kind": "page", "content_type": "application/json", "body": format!("{{\"error\":{{\"message\":\"{CANARY}\",\"code\":500}}}}")}),
                Error(502, "upstream_error"),
            ),
        ),
        only(OPENAI_LIKE, both("U9 599", status(599), Error(502, "upstream_error"))),
    ]
}

pub(crate) fn timeouts() -> Timeouts {
    Timeouts {
        first_content: Duration::from_millis(600),
        idle_content: Duration::from_millis(500),
        total: Duration::from_millis(2_500),
    }
}

fn action(value: &Value) -> FaultAction {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn script(gateway: &Gateway, cloud: &str, actions: &[Value]) {
    let rules: Vec<FaultRule> =
        actions.iter().map(|one| FaultRule { when: When::default(), action: action(one) }).collect();
    gateway.simulator.script(cloud, rules).unwrap();
}

pub(crate) fn call(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "[[sim {\"deltas\":400}]] Grüße"}]})
}

/// What an answer of the gateway is, checked for everything that holds for all of them.
pub(crate) fn verdict(what: &str, got: &(u16, HeaderMap, String), relayed: bool) -> Expect {
    let (status, headers, body) = got;
    assert!(headers.contains_key("x-cabotage-call-id"), "{what}");
    assert_eq!(headers["x-request-id"], headers["x-cabotage-call-id"], "{what}");
    let shown = format!("{headers:?}\n{body}");
    if !relayed {
        for leak in [CANARY, "127.0.0.1", "localhost", "<html", "<!doctype", "nginx", "Sign in"] {
            assert!(!shown.contains(leak), "{what}: leaks {leak}: {shown}");
        }
    }
    for secret in ["simulated-azure", "sk-simulated", "sk-ant-", "AIzaSim", "ya29.", "AKIA", KEY] {
        assert!(!shown.contains(secret), "{what}: leaks {secret}: {shown}");
    }
    assert!(!headers.contains_key("location"), "{what}");
    if *status != 200 {
        let error: Value =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
        let code = check_error(what, &error);
        assert_eq!(headers["content-type"], "application/json", "{what}");
        let ours = headers["x-cabotage-code"].to_str().unwrap();
        if !relayed {
            assert_eq!(code, ours, "{what}");
        }
        let ours: &'static str = Box::leak(ours.to_owned().into_boxed_str());
        return match headers.get("retry-after") {
            None => Error(*status, ours),
            Some(wait) => Wait(*status, ours, wait.to_str().unwrap().parse().unwrap()),
        };
    }
    if !headers["content-type"].to_str().unwrap().starts_with("text/event-stream") {
        let reply: Value = serde_json::from_str(body).unwrap();
        assert!(reply["choices"][0]["message"]["content"].as_str().unwrap().starts_with("w1 w2"), "{what}");
        return Answer;
    }
    let mut text = String::new();
    let mut finishes = 0;
    let mut failed = false;
    let mut done = false;
    for frame in body.split("\n\n").filter(|frame| !frame.is_empty()) {
        if frame.starts_with(':') {
            continue;
        }
        let data = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("{what}: {frame}"));
        assert!(!failed && !done, "{what}: nothing follows the end: {body}");
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let chunk: Value =
            serde_json::from_str(data).unwrap_or_else(|error| panic!("{what}: {error}: {data}"));
        if chunk.get("error").is_some() {
            check_error(what, &chunk);
            failed = true;
        } else {
            text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            finishes += usize::from(chunk["choices"][0]["finish_reason"].is_string());
        }
    }
    assert!(failed != done, "{what}: an error or [DONE], never both, never none: {body}");
    assert_eq!(finishes, usize::from(done), "{what}: {body}");
    assert!(text.is_empty() || text.starts_with("w1"), "{what}: {body}");
    if done {
        assert!(text.ends_with("w400"), "{what}: {body}");
        Answer
    } else {
        Cut
    }
}

/// OpenAI's error object; returns its code.
fn check_error(what: &str, body: &Value) -> String {
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{what}: {body}"));
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 15), "{what}: {body}");
    assert!(error["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{what}: {body}");
    assert!(error["param"].is_null() || error["param"].is_string(), "{what}: {body}");
    error["code"].as_str().unwrap_or_else(|| panic!("{what}: {body}")).to_owned()
}

pub(crate) fn matches(expected: Expect, got: Expect) -> bool {
    match (expected, got) {
        (Error(status, code), Error(other, its) | Wait(other, its, _)) => status == other && code == its,
        (Wait(status, code, wait), Wait(other, its, seconds)) => {
            status == other && code == its && seconds.abs_diff(wait) <= 2 + wait / 5
        }
        (one, other) => one == other,
    }
}

pub(crate) async fn timely(gateway: &Gateway, body: Value) -> (u16, HeaderMap, String) {
    let what = body["model"].to_string();
    tokio::time::timeout(Duration::from_secs(8), gateway.chat(body))
        .await
        .unwrap_or_else(|_| panic!("{what} hangs"))
}

/// The journal adds up: each attempt has one outcome, each call one end, each exchange of a cloud an attempt.
pub(crate) fn audit(what: &str, gateway: &Gateway) {
    let mut attempts: BTreeMap<(u128, u16), String> = BTreeMap::new();
    let mut outcomes: BTreeMap<(u128, u16), bool> = BTreeMap::new();
    let mut ends: BTreeMap<u128, usize> = BTreeMap::new();
    let key = |call: CallId| call.bits();
    for record in gateway.journal.records() {
        match record {
            Record::Attempt(it) => {
                let new = attempts.insert((key(it.call), it.attempt), it.deployment.to_string()).is_none();
                assert!(new, "{what}: an attempt twice");
            }
            Record::Outcome(it) => {
                assert!(
                    attempts.contains_key(&(key(it.call), it.attempt)),
                    "{what}: an outcome before its attempt"
                );
                assert!(
                    outcomes.insert((key(it.call), it.attempt), it.last).is_none(),
                    "{what}: an outcome twice"
                );
                *ends.entry(key(it.call)).or_default() += usize::from(it.last);
            }
            Record::Refusal(it) => *ends.entry(key(it.call)).or_default() += 1,
            Record::Decision(_) | Record::Notice(_) => {}
        }
    }
    for (call, attempt) in attempts.keys() {
        assert!(outcomes.contains_key(&(*call, *attempt)), "{what}: an attempt without an outcome");
        assert_eq!(ends.get(call), Some(&1), "{what}: one end for each call");
    }
    let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
    for deployment in attempts.values() {
        *sent.entry(deployment).or_default() += 1;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for exchange in gateway.simulator.journal() {
        let place = FLEET.iter().find(|place| *exchange.cloud == *place.cloud);
        *seen.entry(place.unwrap_or_else(|| panic!("{what}: {}", exchange.cloud)).name).or_default() += 1;
    }
    for (deployment, exchanges) in seen {
        assert!(
            sent.get(deployment).copied().unwrap_or(0) >= exchanges,
            "{what}: {deployment} saw more than was sent"
        );
    }
}

fn place(name: &str) -> &'static Place {
    FLEET.iter().find(|place| place.name == name).unwrap()
}

#[tokio::test]
async fn one_candidate_each_fault_has_its_answer() {
    let mut wrong = Vec::new();
    for row in rows() {
        let gateway = Gateway::start_with(timeouts()).await;
        let places = if row.places.is_empty() { SIX } else { row.places };
        for name in places {
            script(&gateway, place(name).cloud, std::slice::from_ref(&row.action));
        }
        let mut calls = Vec::new();
        for name in places {
            for (stream, expected) in [(false, row.whole), (true, row.stream)] {
                if expected == Skip {
                    continue;
                }
                let model = format!("{}@{name}", place(name).model);
                let gateway = &gateway;
                let relayed = row.relayed && OPENAI_LIKE.contains(name);
                let row = &row;
                calls.push(async move {
                    let got = timely(gateway, call(&model, stream)).await;
                    let what = format!("{} {name} stream={stream}", row.name);
                    let verdict = verdict(&what, &got, relayed);
                    (!matches(expected, verdict)).then(|| {
                        let tail: String =
                            got.2.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
                        format!("{what}: {expected:?} expected, {verdict:?} got: …{tail}")
                    })
                });
            }
        }
        let sent = calls.len();
        wrong.extend(futures_util::future::join_all(calls).await.into_iter().flatten());
        audit(row.name, &gateway);
        let (attempts, outcomes, refusals) = gateway.counts();
        // An identity that gives out new tokens is asked for one, and the call made once more.
        let most = if row.name == "U29 401" { 2 * sent } else { sent };
        assert!((sent..=most).contains(&attempts), "{}: {attempts} attempts for {sent} calls", row.name);
        assert_eq!((outcomes, refusals), (attempts, 0), "{}", row.name);
        for name in places {
            script(&gateway, place(name).cloud, &[]);
            let (status, _, body) =
                timely(&gateway, call(&format!("{}@{name}", place(name).model), false)).await;
            if status != 200 {
                wrong.push(format!("{} {name}: after the fault {status} {body}", row.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn two_candidates_the_caller_notices_nothing() {
    let pairs = [("openai", "gpt-5.4"), ("anthropic", "claude-opus-5-5"), ("vertex-gemini", "gemini-3-pro")];
    let mut wrong = Vec::new();
    for row in rows() {
        let gateway = Gateway::start_with(timeouts()).await;
        let mut calls = Vec::new();
        for (first, model) in pairs {
            if !row.places.is_empty() && !row.places.contains(&first) {
                continue;
            }
            script(&gateway, place(first).cloud, std::slice::from_ref(&row.action));
            for (stream, alone) in [(false, row.whole), (true, row.stream)] {
                // What is the caller's own fault stays one; what broke after content cannot be masked.
                let (expected, attempts) = match alone {
                    Skip => continue,
                    Error(400, _) | Cut | Answer => (alone, 1),
                    _ => (Answer, 2),
                };
                let gateway = &gateway;
                let row = &row;
                calls.push(async move {
                    let what = format!("{} {first} first, stream={stream}", row.name);
                    let got = timely(gateway, call(model, stream)).await;
                    let relayed = row.relayed && first == "openai";
                    let verdict = verdict(&what, &got, relayed);
                    let trail = got.1["x-cabotage-attempts"].to_str().unwrap_or_default();
                    // Where a new token helped nothing the same deployment was tried twice.
                    let renewed = usize::from(row.name == "U29 401" && first == "vertex-gemini");
                    (!matches(expected, verdict) || trail.split(", ").count() != attempts + renewed)
                        .then(|| format!("{what}: {expected:?} expected, {verdict:?} got by {trail}"))
                });
            }
        }
        wrong.extend(futures_util::future::join_all(calls).await.into_iter().flatten());
        audit(row.name, &gateway);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_limit_everywhere_tells_the_shortest_wait() {
    let gateway = Gateway::start().await;
    script(&gateway, "openai", &[limited("3")]);
    script(&gateway, "azure-westeurope", &[limited("40")]);
    let (status, headers, body) = gateway.chat(call("gpt-5.4", false)).await;
    assert_eq!(status, 429, "{body}");
    assert_eq!(headers["retry-after"], "3", "the shortest of all: {body}");
    audit("U5", &gateway);
}

#[tokio::test]
async fn a_limit_without_a_hint_is_left_alone_for_a_while() {
    for action in [limited(""), {
        let mut quota = limited("");
        quota["body"]["error"]["code"] = "insufficient_quota".into();
        quota
    }] {
        let gateway = Gateway::start().await;
        script(&gateway, "openai", std::slice::from_ref(&action));
        for _ in 0..60 {
            assert_eq!(gateway.chat(call("gpt-5.4", false)).await.0, 200);
        }
        let seen = gateway.simulator.journal();
        let refused = seen.iter().filter(|exchange| &*exchange.cloud == "openai").count();
        assert!(refused <= 6, "{refused} calls went to a cloud at its limit: {action}");
    }
}

#[tokio::test]
async fn a_cool_down_outlives_the_calls_that_began_before_it() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    let slow = json!({"model": "gpt-5.4@openai", "messages": [{"role": "user", "content": "[[sim {\"say\":\"slow\"}]]"}]});
    let rules = vec![
        FaultRule {
            when: When { body: Some("slow".into()), ..When::default() },
            action: action(&json!({"kind": "slow_headers", "ms": 400})),
        },
        FaultRule { when: When { count: Some(1), ..When::default() }, action: action(&limited("30")) },
    ];
    gateway.simulator.script("openai", rules).unwrap();
    let (slow, limited) = tokio::join!(gateway.chat(slow), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gateway.chat(call("gpt-5.4", false)).await
    });
    assert_eq!((slow.0, limited.0), (200, 200));
    let (_, headers, _) = gateway.chat(call("gpt-5.4", false)).await;
    assert_eq!(
        headers["x-cabotage-deployment"], "azure-westeurope",
        "the 30 s that openai asked for still run"
    );
}

#[tokio::test]
async fn a_dead_connection_attempt_is_a_refusal_or_a_bounded_wait() {
    let closed = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    // A full backlog: the kernel drops further SYNs.
    let hole = tokio::net::TcpSocket::new_v4().unwrap();
    hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let hole = hole.listen(0).unwrap();
    let full = hole.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        let connect = tokio::net::TcpStream::connect(full);
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), connect).await {
            held.push(stream);
        }
    }
    for (name, address, least, most) in [("U1", closed, 0, 500), ("U2", full, 900, 2_500)] {
        for stream in [false, true] {
            let gateway = Gateway::start_over(Timeouts::default(), &[("openai", address)]).await;
            let began = Instant::now();
            let got = gateway.chat(call("gpt-5.4@openai", stream)).await;
            let took = began.elapsed().as_millis();
            assert!((least..most).contains(&took), "{name}: {took} ms");
            let seen = verdict(name, &got, false);
            assert!(matches(UNAVAILABLE, seen) && matches!(seen, Wait(..)), "{name}: {seen:?}");
            let (status, headers, body) = gateway.chat(call("gpt-5.4", stream)).await;
            assert_eq!(status, 200, "{name}: {body}");
            assert_eq!(
                headers["x-cabotage-attempts"], "openai=upstream_unreachable, azure-westeurope=ok",
                "{name}"
            );
            audit(name, &gateway);
        }
    }
    drop(held);
}

#[tokio::test]
async fn grey_failures_are_masked() {
    let gateway = Gateway::start().await;
    let rule = |every| FaultRule {
        when: When { every: Some(every), ..When::default() },
        action: action(&says(500, "server_error", "boom")),
    };
    gateway.simulator.script("openai", vec![rule(10)]).unwrap();
    gateway.simulator.script("azure-westeurope", vec![rule(10)]).unwrap();
    let mut good = 0;
    for index in 0..300 {
        good += usize::from(gateway.chat(call("gpt-5.4", index % 2 == 0)).await.0 == 200);
    }
    assert!(good >= 297, "{good} of 300");
    let exchanges = gateway.simulator.journal().len();
    assert!(exchanges <= 360, "{exchanges} exchanges for 300 calls");
    audit("U9", &gateway);
}

#[tokio::test]
async fn a_dead_cloud_costs_few_attempts_and_is_taken_back() {
    for fault in [json!({"kind": "region_down"}), json!({"kind": "reset_before_headers"})] {
        let gateway = Gateway::start().await;
        script(&gateway, "openai", std::slice::from_ref(&fault));
        // Many at once, so that many fail at once.
        let burst = (0..40).map(|_| gateway.chat(call("gpt-5.4", false)));
        for (status, headers, body) in futures_util::future::join_all(burst).await {
            assert_eq!(status, 200, "{headers:?} {body}");
        }
        let before = gateway.simulator.journal().len();
        let began = Instant::now();
        let mut calls = 0;
        while began.elapsed() < Duration::from_millis(1_500) {
            let (status, headers, body) = gateway.chat(call("gpt-5.4", false)).await;
            let refused = || {
                let seen = gateway.simulator.journal();
                (
                    began.elapsed(),
                    before,
                    seen.iter().filter(|exchange| &*exchange.cloud == "openai").count(),
                    seen.len(),
                )
            };
            assert_eq!(status, 200, "{fault}: {headers:?} {body} {:?}", refused());
            calls += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let attempts = gateway.simulator.journal().len() - before;
        assert!(attempts * 10 <= calls * 11, "U10: {attempts} attempts for {calls} calls");
        script(&gateway, "openai", &[]);
        let healed = Instant::now();
        loop {
            let (_, headers, _) = gateway.chat(call("gpt-5.4", false)).await;
            if headers["x-cabotage-deployment"] == "openai" {
                break;
            }
            let late = healed.elapsed() > Duration::from_secs(5);
            assert!(!late, "U10: not taken back after {fault}: {headers:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        audit("U10", &gateway);
    }
}

#[tokio::test]
async fn all_clouds_down_is_said_at_once() {
    let gateway = Gateway::start().await;
    gateway.simulator.kill("all").await.unwrap();
    for _ in 0..20 {
        let began = Instant::now();
        let got = gateway.chat(call("gpt-5.4", false)).await;
        assert!(began.elapsed() < Duration::from_millis(500));
        let seen = verdict("U11", &got, false);
        assert!(matches(UNAVAILABLE, seen) && matches!(seen, Wait(_, _, 1..=30)), "{seen:?}");
    }
    audit("U11", &gateway);
    gateway.simulator.heal("all").await.unwrap();
    let healed = Instant::now();
    while gateway.chat(call("gpt-5.4", false)).await.0 != 200 {
        assert!(healed.elapsed() < Duration::from_secs(5), "not back within 5 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn no_fault_opens_a_forbidden_road() {
    for row in rows().iter().filter(|row| row.places.is_empty()) {
        let gateway = Gateway::start_with(timeouts()).await;
        for name in SIX {
            script(&gateway, place(name).cloud, std::slice::from_ref(&row.action));
        }
        for model in ["gpt-5.4", "claude-opus-5-5", "gemini-3-pro"] {
            for stream in [false, true] {
                let body = call(model, stream).to_string();
                tokio::time::timeout(Duration::from_secs(8), gateway.post("sk-eu", body)).await.unwrap();
            }
            if matches!(row.whole, LATE) {
                break;
            }
        }
        let clouds: BTreeSet<String> =
            gateway.simulator.journal().iter().map(|exchange| exchange.cloud.to_string()).collect();
        let allowed = ["azure-westeurope", "vertex-europe-west4"];
        assert!(clouds.iter().all(|cloud| allowed.contains(&&**cloud)), "{}: {clouds:?}", row.name);
        audit(row.name, &gateway);
    }
}

#[tokio::test]
async fn a_huge_body_is_bounded() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    script(&gateway, "openai", &[json!({"kind": "huge_body", "bytes": 70 << 20})]);
    script(&gateway, "anthropic", &[json!({"kind": "huge_body", "bytes": 70 << 20})]);
    for model in ["gpt-5.4@openai", "claude-opus-5-5@anthropic"] {
        let began = Instant::now();
        let got = gateway.chat(call(model, false)).await;
        assert_eq!(verdict("U20", &got, false), BAD, "{model}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn bytes_that_come_one_by_one_are_put_together_again() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    for name in SIX {
        let place = place(name);
        script(&gateway, place.cloud, &[json!({"kind": "fragment", "bytes": 1})]);
        for stream in [false, true] {
            let text = "Grüße 😀 aus \u{1f1ea}\u{1f1fa}";
            let content = format!("[[sim {}]]", json!({"say": text, "deltas": 6}));
            let model = format!("{}@{name}", place.model);
            let call =
                json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": content}]});
            let (status, _, body) = gateway.chat(call).await;
            assert_eq!(status, 200, "{name}: {body}");
            let chunks: Vec<&str> = if stream { body.lines().collect() } else { vec![&body] };
            let said: String = chunks
                .iter()
                .filter_map(|line| {
                    serde_json::from_str::<Value>(line.strip_prefix("data: ").unwrap_or(line)).ok()
                })
                .filter_map(|chunk| {
                    let choice = chunk["choices"].get(0)?;
                    choice["delta"]["content"]
                        .as_str()
                        .or(choice["message"]["content"].as_str())
                        .map(str::to_owned)
                })
                .collect();
            assert_eq!(said, text, "{name} stream={stream}");
        }
    }
}
