//! Recorded traffic: where it is, and what to do where it is not.

use serde_json::Value;
use std::path::PathBuf;

/// One recorded exchange.
pub struct Exchange {
    pub file: String,
    pub provider: String,
    pub endpoint: String,
    pub request: Option<Value>,
    pub status: u64,
    pub body_kind: String,
    pub response: Value,
}

impl Exchange {
    /// The body of a stream, as text.
    pub fn sse(&self) -> Option<&str> {
        (self.body_kind == "sse").then(|| self.response["text"].as_str()).flatten()
    }

    /// The body, where it is JSON.
    pub fn json(&self) -> Option<&Value> {
        (self.body_kind == "json").then(|| &self.response["json"])
    }
}

/// All exchanges of one endpoint, by file name. Empty where the recordings are not here, which is said, and
/// which is a failure where `CABOTAGE_FIXTURES` promises them.
pub fn of_endpoint(endpoint: &str) -> Vec<Exchange> {
    let promised = std::env::var_os("CABOTAGE_FIXTURES").map(PathBuf::from);
    let folder = promised
        .clone()
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures")));
    let Ok(providers) = std::fs::read_dir(&folder) else {
        assert!(promised.is_none(), "CABOTAGE_FIXTURES names {}, which cannot be read", folder.display());
        eprintln!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let mut exchanges = Vec::new();
    for provider in providers.flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(provider.path()).expect("a folder").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("readable");
            let value: Value = serde_json::from_str(&text).expect("a recording is JSON");
            if value["endpoint"] == endpoint {
                exchanges.push(Exchange {
                    file: format!("{}/{}", provider.file_name().display(), file.file_name().display()),
                    provider: value["provider"].as_str().unwrap_or_default().to_owned(),
                    endpoint: endpoint.to_owned(),
                    request: Some(value["request"]["json"].clone()).filter(Value::is_object),
                    status: value["response"]["status"].as_u64().unwrap_or(200),
                    body_kind: value["response"]["body_kind"].as_str().unwrap_or_default().to_owned(),
                    response: value["response"].clone(),
                });
            }
        }
    }
    exchanges.sort_by(|a, b| a.file.cmp(&b.file));
    exchanges
}
