use std::time::Duration;

use serde_json::Value;
use simulator::{FaultAction, FaultRule, Simulator, SimulatorConfig, When};

use crate::client::{CLOUDS, ask, asking, begin, credential, send, simulator};

#[tokio::test]
async fn every_exchange_is_on_record_with_masked_credentials() {
    let simulator = simulator().await;
    for (index, cloud) in CLOUDS.into_iter().enumerate() {
        for stream in [false, true] {
            let got = ask(&simulator, cloud, "Hello", stream).await;
            assert_eq!(got.status, 200, "{cloud}: {}", got.text());
            let record = simulator.journal().pop().unwrap();
            assert_eq!(&*record.cloud, cloud);
            assert_eq!(record.seq, 2 * index as u64 + u64::from(stream) + 1);
            assert_eq!(record.bytes_sent, got.body.len() as u64, "{cloud}");
            assert_eq!((record.status, record.streamed, record.complete), (200, stream, true), "{cloud}");
            assert!(record.usage.unwrap().output > 0);
            assert!(!record.model.is_empty());
            assert!(record.body.unwrap().contains("Hello"));
            let (name, value) = credential(cloud);
            if name != "x-none" {
                assert!(record.headers[name].contains('…'), "{:?}", record.headers);
                assert!(!record.headers[name].contains(value));
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_silent_stream_is_noticed() {
    let simulator = simulator().await;
    let rule = FaultRule { when: When::default(), action: FaultAction::Stall { after_deltas: 1 } };
    simulator.script("openai", [rule]).unwrap();
    let (path, body) = asking("openai", "Hello", true);
    let address = simulator.address("openai").unwrap();
    let headers = [credential("openai"), ("x-cabotage-attempt", "a-1")];
    let response = begin(address, "POST", &path, &headers, body.to_string()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(simulator.journal()[0].finished_at, None, "still open");
    drop(response);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let record = simulator.journal().pop().unwrap();
    assert!(record.client_disconnected && !record.complete);
    assert!(record.disconnected_at.unwrap() >= record.received_at);
    assert_eq!(record.deltas_sent, 1);
    assert_eq!(record.cabotage["x-cabotage-attempt"], "a-1");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_noticed() {
    let simulator = simulator().await;
    let rule = FaultRule { when: When::default(), action: FaultAction::SlowHeaders { ms: 60_000 } };
    simulator.script("openai", [rule]).unwrap();
    let (path, body) = asking("openai", "Hello", false);
    let address = simulator.address("openai").unwrap();
    let headers = [credential("openai")];
    let waiting = send(address, "POST", &path, &headers, body.to_string());
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(simulator.journal()[0].client_disconnected);
}

#[tokio::test]
async fn the_file_has_a_line_at_the_start_and_one_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let config = SimulatorConfig { journal_path: Some(path.clone()), ..SimulatorConfig::default() };
    let simulator = Simulator::start(config).await.unwrap();
    let rule = FaultRule { when: When::default(), action: FaultAction::SlowHeaders { ms: 100 } };
    simulator.script("openai", [rule]).unwrap();
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let asked = ask(&simulator, "openai", "Hello", false);
    tokio::pin!(asked);
    assert!(tokio::time::timeout(Duration::from_millis(40), &mut asked).await.is_err());
    let early = lines();
    assert_eq!((early.len(), &early[0]["event"]), (1, &Value::from("received")));
    asked.await;
    let late = lines();
    assert_eq!((&late[1]["event"], &late[1]["seq"]), (&Value::from("finished"), &late[0]["seq"]));
    assert_eq!(late[1]["complete"], true);
}
