//! Clouds that fail: before content another takes over, after content nothing is switched in silence.

use crate::gateway::Gateway;
use domain::{
    Code,
    record::{Outcome, Record},
};
use serde_json::json;
use simulator::{FaultAction, FaultRule};

fn call(stream: bool) -> serde_json::Value {
    json!({"model": "gpt-5.4", "stream": stream, "messages": [{"role": "user", "content": "[[sim {\"say\":\"one two three four five six\"}]]"}]})
}

fn outcomes(gateway: &Gateway) -> Vec<(Outcome, bool)> {
    let records = gateway.journal.records();
    records
        .iter()
        .filter_map(|record| match record {
            Record::Outcome(outcome) => Some((outcome.outcome, outcome.last)),
            _ => None,
        })
        .collect()
}

pub(crate) fn rule(action: serde_json::Value) -> FaultRule {
    let action: FaultAction = serde_json::from_value(action).unwrap();
    FaultRule { when: simulator::When::default(), action }
}

#[tokio::test]
async fn the_next_candidate_takes_over_before_content() {
    for action in [
        json!({"kind": "status", "status": 500, "body": "{\"error\":{\"message\":\"x\"}}"}),
        json!({"kind": "status", "status": 429, "body": "{}", "headers": {"retry-after": "7"}}),
        json!({"kind": "status", "status": 401, "body": "{\"error\":{\"message\":\"bad key\",\"code\":\"invalid_api_key\"}}"}),
        json!({"kind": "reset_before_headers"}),
        json!({"kind": "page"}),
    ] {
        for stream in [false, true] {
            let gateway = Gateway::start().await;
            gateway.simulator.script("openai", vec![rule(action.clone())]).unwrap();
            let (status, headers, body) = gateway.chat(call(stream)).await;
            assert_eq!(status, 200, "{action}: {body}");
            assert_eq!(headers["x-cabotage-deployment"], "azure-westeurope", "{action}");
            assert!(headers["x-cabotage-attempts"].to_str().unwrap().starts_with("openai="), "{action}");
            let outcomes = outcomes(&gateway);
            assert_eq!(outcomes.len(), 2, "{action}: {outcomes:?}");
            assert!(matches!(outcomes[0], (Outcome::Failed(_), false)), "{action}: {outcomes:?}");
            assert_eq!(outcomes[1], (Outcome::Done, true), "{action}");
        }
    }
}

#[tokio::test]
async fn a_dead_region_is_left_and_returned_to() {
    let gateway = Gateway::start().await;
    gateway.simulator.kill("openai").await.unwrap();
    let (status, headers, body) = gateway.chat(call(false)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(headers["x-cabotage-attempts"], "openai=upstream_unreachable, azure-westeurope=ok");
    gateway.simulator.kill("azure").await.unwrap();
    let (status, headers, body) = gateway.chat(call(false)).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("\"permitted_unavailable\""), "{body}");
    assert!(headers.contains_key("retry-after"));
    gateway.simulator.heal("all").await.unwrap();
    let mut healed = false;
    for _ in 0..40 {
        let (status, ..) = gateway.chat(call(false)).await;
        healed |= status == 200;
        if healed {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(healed, "a healed cloud serves again within 4 s");
}

#[tokio::test]
async fn a_stream_that_breaks_after_content_is_an_error_in_the_stream() {
    for action in [
        json!({"kind": "reset", "after_bytes": 900}),
        json!({"kind": "end_without_terminal", "after_deltas": 2}),
        json!({"kind": "stall", "after_deltas": 2}),
        json!({"kind": "error_mid_stream", "after_deltas": 2}),
    ] {
        for (cloud, model) in [("openai", "gpt-5.4@openai"), ("anthropic", "claude-opus-5-5@anthropic")] {
            let gateway = Gateway::start().await;
            gateway.simulator.script(cloud, vec![rule(action.clone())]).unwrap();
            let mut call = call(true);
            call["model"] = model.into();
            let (status, _, body) = gateway.chat(call).await;
            assert_eq!(status, 200, "{action} {cloud}: {body}");
            assert!(!body.contains("[DONE]"), "{action} {cloud}: no end mark after a cut: {body}");
            assert!(!body.contains("\"finish_reason\":\"stop\""), "{action} {cloud}: {body}");
            let last = body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
            let last: serde_json::Value = serde_json::from_str(last).unwrap();
            assert!(last["error"]["message"].is_string(), "{action} {cloud}: {body}");
            let outcomes = outcomes(&gateway);
            assert!(matches!(outcomes[..], [(Outcome::Cut(_), true)]), "{action} {cloud}: {outcomes:?}");
        }
    }
}

#[tokio::test]
async fn a_residency_rule_holds_in_an_outage() {
    let gateway = Gateway::start().await;
    gateway.simulator.kill("azure").await.unwrap();
    let (status, _, body) = gateway.post("sk-eu", call(false).to_string()).await;
    assert!(status == 403 || status == 503, "{status} {body}");
    assert!(body.contains("eu-residency"), "{body}");
    assert!(gateway.simulator.journal().is_empty(), "nothing was sent anywhere");
}

#[tokio::test]
async fn silence_before_content_is_a_timeout_and_another_takes_over() {
    let gateway = Gateway::start().await;
    gateway.simulator.script("openai", vec![rule(json!({"kind": "slow_first_token", "ms": 5_000}))]).unwrap();
    let (status, headers, body) = gateway.chat(call(true)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(headers["x-cabotage-attempts"], "openai=upstream_timeout, azure-westeurope=ok");
    assert!(matches!(outcomes(&gateway)[0], (Outcome::Failed(Code::UpstreamTimeout), false)));
}
