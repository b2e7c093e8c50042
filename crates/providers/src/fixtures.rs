//! Recorded traffic: read where it is there, skipped aloud where not, demanded where `CABOTAGE_FIXTURES` is set.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, env, fs, path::PathBuf};

/// One recorded exchange.
#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) response: Response,
}

/// What came back.
#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json: Option<Value>,
    text: Option<String>,
    events: Option<Value>,
}

impl Response {
    /// Its headers.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.headers
            .iter()
            .filter_map(|(name, value)| {
                Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
            })
            .collect()
    }

    /// Its body as text, as near to what came as the recording kept.
    pub(crate) fn body(&self) -> String {
        match (&self.json, &self.text, &self.events) {
            (Some(json), _, _) => json.to_string(),
            (_, Some(text), _) => text.clone(),
            (_, _, Some(Value::Array(events))) => events
                .iter()
                .map(|event| event.as_str().map_or_else(|| event.to_string(), str::to_owned) + "\n")
                .collect(),
            _ => String::new(),
        }
    }

    /// The first `"id": "…"` or `"responseId": "…"` of its body.
    pub(crate) fn body_id(&self) -> Option<String> {
        let body = self.body();
        let first = body
            .lines()
            .map(|line| line.trim_start_matches("data:").trim())
            .find_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object))?;
        let id = first.get("id").or_else(|| first.pointer("/message/id")).or_else(|| first.get("responseId"));
        id.and_then(Value::as_str).map(str::to_owned)
    }
}

/// The recordings of a folder; `None` (said aloud) where there are no fixtures.
pub(crate) fn recordings(folder: &str) -> Option<Vec<Recording>> {
    let demanded = env::var_os("CABOTAGE_FIXTURES");
    let root = demanded.clone().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures")),
        PathBuf::from,
    );
    let path = root.join(folder);
    let Ok(entries) = fs::read_dir(&path) else {
        assert!(demanded.is_none(), "CABOTAGE_FIXTURES is set, but {} is not there", path.display());
        println!("skipped: no recordings at {}", path.display());
        return None;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read(path).expect("readable");
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    Some(paths.iter().map(read).collect())
}
