use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;
use simulator::{CloudKind, CloudSpec, Simulator, SimulatorConfig, SimulatorError};

use crate::client::{ask, asking, begin, credential, send, simulator};

#[tokio::test]
async fn killed_clouds_refuse_and_reset_and_come_back_on_their_port() {
    let simulator = simulator().await;
    let address = simulator.address("azure-westeurope").unwrap();
    let (path, body) = asking("azure-westeurope", r#"Hi [[sim {"deltas":100,"pace_ms":50}]]"#, true);
    let open = begin(address, "POST", &path, &[credential("azure")], body.to_string()).await.unwrap();
    let mut incoming = open.into_body();
    incoming.frame().await.unwrap().unwrap();

    let killed = simulator.kill("azure").await.unwrap();
    assert_eq!(killed, ["azure-westeurope", "azure-swedencentral"]);
    let broken = tokio::time::timeout(Duration::from_secs(2), async {
        while let Some(frame) = incoming.frame().await {
            if frame.is_err() {
                return true;
            }
        }
        false
    });
    assert!(broken.await.unwrap(), "the open stream is reset");
    for _ in 0..3 {
        let refused = send(address, "GET", "/", &[], "").await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
    }
    assert_eq!(ask(&simulator, "openai", "Hello", false).await.status, 200, "others live on");
    simulator.kill("azure").await.unwrap();

    simulator.heal("all").await.unwrap();
    assert_eq!(simulator.address("azure-westeurope"), Some(address));
    assert_eq!(ask(&simulator, "azure-westeurope", "Hello", false).await.status, 200);
    let record = &simulator.journal()[0];
    assert!(!record.complete && !record.client_disconnected, "it was us");
    assert!(record.deltas_sent < 100);
}

#[tokio::test]
async fn a_kill_is_a_reset_on_the_wire() {
    use tokio::io::AsyncReadExt;
    let simulator = simulator().await;
    let mut idle = tokio::net::TcpStream::connect(simulator.address("openai").unwrap()).await.unwrap();
    ask(&simulator, "openai", "so that the connection before is accepted", false).await;
    simulator.kill("openai").await.unwrap();
    let error = idle.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_control_api_does_the_same_over_http() {
    let simulator = simulator().await;
    let control = simulator.control_address();
    let order = |method: &'static str, path: &'static str, body: serde_json::Value| async move {
        send(control, method, path, &[], body.to_string()).await.unwrap()
    };
    let killed = order("POST", "/kill", json!({"cloud": "openai"})).await;
    assert_eq!(killed.json(), json!({"killed": ["openai"]}));
    let clouds = order("GET", "/clouds", json!(null)).await.json();
    let openai = clouds.as_array().unwrap().iter().find(|cloud| cloud["name"] == "openai").unwrap().clone();
    assert_eq!(openai["alive"], false);
    assert_eq!(order("POST", "/heal", json!({"cloud": "openai"})).await.status, 200);
    let rules = json!([{"action": {"kind": "status", "status": 500}}]);
    assert_eq!(order("POST", "/faults", json!({"cloud": "openai", "rules": rules})).await.status, 200);
    assert_eq!(ask(&simulator, "openai", "Hello", false).await.status, 500);
    let journal = order("GET", "/journal?cloud=openai&limit=5", json!(null)).await.json();
    assert_eq!(journal[0]["fault"], "status");
    order("DELETE", "/journal", json!(null)).await;
    assert!(simulator.journal().is_empty());
    assert_eq!(order("POST", "/kill", json!({"cloud": "nowhere"})).await.status, 404);
    assert_eq!(order("POST", "/kill", json!({})).await.status, 400);
}

#[tokio::test]
async fn bad_configurations_are_refused_and_shutdown_frees_the_ports() {
    let spec = |name: &str, port| CloudSpec {
        name: name.to_owned(),
        kind: CloudKind::Openai,
        region: None,
        port,
        models: Vec::new(),
    };
    let config = |clouds| SimulatorConfig { clouds, ..SimulatorConfig::default() };
    let twice = Simulator::start(config(vec![spec("a", 0), spec("a", 0)])).await;
    assert!(matches!(twice, Err(SimulatorError::DuplicateName(_))));
    let first = Simulator::start(config(vec![spec("a", 0)])).await.unwrap();
    let port = first.address("a").unwrap().port();
    let taken = Simulator::start(config(vec![spec("a", port)])).await;
    assert!(matches!(taken, Err(SimulatorError::Listen { .. })));
    first.shutdown().await;
    Simulator::start(config(vec![spec("a", port)])).await.unwrap();
}
