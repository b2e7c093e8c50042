//! A caller that leaves: the upstream sees it at once, and the call is booked.

use crate::gateway::{Gateway, KEY, request};
use domain::{
    UsageSource,
    record::{Outcome, Record},
};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use simulator::{FaultAction, FaultRule, When};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

#[tokio::test]
async fn leaving_cancels_upstream_within_250_ms_also_in_silence() {
    for (stream, fault) in [
        (true, json!({"kind": "stall", "after_deltas": 2})),
        (true, json!({"kind": "slow_headers", "ms": 60_000})),
        (false, json!({"kind": "slow_headers", "ms": 60_000})),
    ] {
        let gateway = Gateway::start_with(engine::Timeouts::default()).await;
        let action: FaultAction = serde_json::from_value(fault.clone()).unwrap();
        gateway.simulator.script("openai", vec![FaultRule { when: When::default(), action }]).unwrap();
        let body = json!({"model": "gpt-5.4@openai", "stream": stream, "messages": [{"role": "user", "content": "hello there"}]});
        let socket = TcpStream::connect(gateway.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        let driver = tokio::spawn(connection);
        let call = tokio::spawn(async move {
            let response = sender.send_request(request(KEY, body.to_string())).await.unwrap();
            let mut body = response.into_body();
            while body.frame().await.is_some() {}
        });
        let deadline = Instant::now() + Duration::from_secs(3);
        while gateway.simulator.journal().is_empty() {
            assert!(Instant::now() < deadline, "the call never reached the upstream");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The first deltas have passed by now, and the upstream is silent.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let left = Instant::now();
        call.abort();
        driver.abort();
        let mut seen = None;
        while left.elapsed() < Duration::from_millis(1_000) {
            if gateway.simulator.journal().iter().any(|exchange| exchange.client_disconnected) {
                seen = Some(left.elapsed());
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let seen = seen.unwrap_or_else(|| panic!("{fault}: the upstream saw nothing"));
        assert!(seen < Duration::from_millis(250), "{fault}: {seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let outcomes: Vec<_> = gateway
            .journal
            .records()
            .into_iter()
            .filter_map(|record| match record {
                Record::Outcome(outcome) => Some(outcome),
                _ => None,
            })
            .collect();
        assert_eq!(outcomes.len(), 1, "{fault}");
        assert_eq!((outcomes[0].outcome, outcomes[0].last), (Outcome::CallerLeft, true), "{fault}");
        if fault["kind"] == "stall" {
            assert_eq!(outcomes[0].usage.source, UsageSource::Estimated);
            assert!(outcomes[0].usage.output_total() > 0);
        }
    }
}
