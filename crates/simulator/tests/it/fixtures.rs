//! Shape against recordings: every field that a simulated answer has occurs in a recording of that cloud.
//!
//! Reads `CABOTAGE_FIXTURES` (default `../shared/fixtures` beside the repository) and skips, saying so,
//! where the folder is missing; with the variable set, a missing folder is a failure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::{ask, credential, post, simulator};

/// All providers: those of OpenAI itself and of Azure are too few to hold every field.
const ANY: &str = "any";

fn folder() -> Option<PathBuf> {
    let set = std::env::var_os("CABOTAGE_FIXTURES").map(PathBuf::from);
    let forced = set.is_some();
    let path = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    if path.join("index.json").is_file() {
        return Some(path);
    }
    assert!(!forced, "CABOTAGE_FIXTURES is set and {} is no fixtures folder", path.display());
    println!("skipped: no recordings at {}", path.display());
    None
}

/// All field paths of `value`; lists count as their items.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let here = format!("{at}/{key}");
                paths(value, &here, found);
                found.insert(here);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| paths(value, at, found)),
        _ => {}
    }
}

/// The fields of all successful recordings of this provider and endpoint, and how many there are.
fn recorded(folder: &Path, provider: &str, endpoint: &str) -> (BTreeSet<String>, usize) {
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    let mut count = 0;
    for entry in index.as_array().unwrap() {
        let ours = provider == ANY || entry["provider"] == provider;
        if !ours || entry["endpoint"] != endpoint || entry["status"] != 200 {
            continue;
        }
        let file = folder
            .join(entry["provider"].as_str().unwrap())
            .join(format!("{}.json", entry["id"].as_str().unwrap()));
        let record: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let response = &record["response"];
        if response["body_kind"] == "json" {
            paths(&response["json"], "", &mut found);
            count += 1;
        } else if response["body_kind"] == "sse" {
            let text = response["text"].as_str().unwrap_or_default();
            for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
                if let Ok(event) = serde_json::from_str::<Value>(data) {
                    paths(&event, "", &mut found);
                }
            }
            count += 1;
        }
    }
    (found, count)
}

#[tokio::test]
async fn simulated_answers_have_no_field_that_no_recording_has() {
    let Some(folder) = folder() else { return };
    let cases = [
        ("openai", ANY, "chat.completions", "chat.completions"),
        ("azure-westeurope", ANY, "chat.completions", "chat.completions"),
        ("anthropic", "anthropic", "messages", "messages"),
        ("bedrock-us-east-2", "bedrock", "converse", "converse"),
        ("gemini", "gemini", "generateContent", "streamGenerateContent"),
        ("vertex-europe-west4", "vertex", "generateContent", "streamGenerateContent"),
    ];
    let simulator = simulator().await;
    for (cloud, provider, whole, streamed) in cases {
        for (stream, endpoint) in [(false, whole), (true, streamed)] {
            if stream && cloud.starts_with("bedrock") {
                continue;
            }
            let (known, count) = recorded(&folder, provider, endpoint);
            assert!(count > 0, "no recording of {provider} {endpoint}");
            let mut made = BTreeSet::new();
            for text in ["Hello", r#"Go [[sim {"tools":[{"name":"f"}],"reasoning":"Hm."}]]"#] {
                let got = ask(&simulator, cloud, text, stream).await;
                if stream {
                    got.events().iter().for_each(|event| paths(event, "", &mut made));
                } else {
                    paths(&got.json(), "", &mut made);
                }
            }
            let invented: Vec<_> = made.difference(&known).collect();
            println!("{cloud} stream={stream}: {} fields against {count} recordings", made.len());
            assert!(invented.is_empty(), "{cloud} stream={stream}: {invented:?}");
        }
    }
}

#[tokio::test]
async fn simulated_responses_have_no_field_that_no_recording_has() {
    let Some(folder) = folder() else { return };
    let (known, count) = recorded(&folder, ANY, "responses");
    assert!(count > 0, "no recording of Responses");
    let simulator = simulator().await;
    for (cloud, path) in [("openai", "/v1/responses"), ("azure-westeurope", "/openai/v1/responses")] {
        let mut made = BTreeSet::new();
        for text in ["Hello", r#"Go [[sim {"tools":[{"name":"f"}],"reasoning":"Hm."}]]"#] {
            for stream in [false, true] {
                let body = json!({"model": "gpt-5.4", "input": text, "stream": stream,
                    "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}});
                let got = post(&simulator, cloud, path, credential(cloud), &body).await;
                if stream {
                    got.events().iter().for_each(|event| paths(event, "", &mut made));
                } else {
                    paths(&got.json(), "", &mut made);
                }
            }
        }
        let invented: Vec<_> = made.difference(&known).collect();
        println!("{cloud}: {} fields against {count} recordings", made.len());
        assert!(invented.is_empty(), "{cloud}: {invented:?}");
    }
}
