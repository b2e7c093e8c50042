//! `cabotage check --live`, against simulated clouds.

use crate::{cabotage, folder};
use simulator::{Simulator, SimulatorConfig};

/// Simulated OpenAI, Anthropic and Bedrock, and a configuration for them.
async fn clouds() -> (Simulator, String) {
    let clouds = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let url = |name: &str| clouds.base_url(name).unwrap();
    let text = format!(
        "[[deployment]]\nname = \"canary-name\"\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\nendpoint = \"{}\"\n\
         [[deployment]]\nprovider = \"anthropic\"\nmodel = \"claude-haiku-4-5\"\nendpoint = \"{}\"\n\
         [[key]]\nid = \"me\"\nsecret = {{ env = \"K\" }}\n",
        url("openai"),
        url("anthropic"),
    );
    (clouds, text)
}

fn live(dir: &std::path::Path, budget: &str) -> (Option<i32>, String, serde_json::Value) {
    let output = cabotage(dir)
        .args(["check", "-c", "cabotage.toml", "--live", "--budget", budget])
        .env("K", "sk-canary-0123456789-abcdef")
        .env("OPENAI_API_KEY", "sk-simulated-openai")
        .env("ANTHROPIC_API_KEY", "sk-ant-simulated")
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read_to_string(dir.join("cabotage-live.json")).unwrap_or_default();
    for hidden in ["canary", "sk-", "127.0.0.1"] {
        assert!(!report.contains(hidden), "{hidden} is in the report: {report}");
    }
    (output.status.code(), said, serde_json::from_str(&report).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_calls_are_made_on_each_deployment() {
    let (clouds, text) = clouds().await;
    let dir = folder(&[("cabotage.toml", &text)]);
    let path = dir.path().to_path_buf();
    let (code, said, report) = tokio::task::spawn_blocking(move || live(&path, "5.00")).await.unwrap();
    assert_eq!(code, Some(0), "{said}\n{report:#}");
    let deployments = report["deployments"].as_array().unwrap();
    assert_eq!(deployments.len(), 2);
    let mut made = 0;
    for deployment in deployments {
        let calls = deployment["calls"].as_array().unwrap();
        assert_eq!(calls.len(), 10);
        for call in calls.iter().filter(|call| call.get("skipped").is_none()) {
            made += 1;
            assert_eq!(call["answered"], true, "{call}");
            assert_eq!(call["served_by"], "simulated", "{call}");
        }
    }
    assert_eq!(clouds.journal().len(), made, "each call left once");
    assert!(made >= 18, "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_stops_it() {
    let (clouds, text) = clouds().await;
    let dir = folder(&[("cabotage.toml", &text)]);
    let path = dir.path().to_path_buf();
    let (code, said, report) = tokio::task::spawn_blocking(move || live(&path, "0.000001")).await.unwrap();
    assert_eq!(code, Some(0), "nothing ran, nothing failed: {said}");
    assert!(clouds.journal().is_empty());
    assert_eq!(report["deployments"][0]["calls"][0]["skipped"], "the budget is used up");
    let output = cabotage(dir.path()).args(["check", "--live"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "no --live without --budget");
}
