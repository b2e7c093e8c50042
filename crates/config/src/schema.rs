//! The published JSON Schema of the configuration, made of the types of [`crate::raw`].

use crate::raw::Raw;
use serde_json::{Value, json};

/// The schema's own name. No address: editors are pointed to the file.
pub const SCHEMA_ID: &str = "urn:cabotage:schema:config";

/// The schema as a value.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Value::from(schemars::schema_for!(Raw));
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".to_owned(), json!(SCHEMA_ID));
    }
    // A flattened table closes itself in a way that only the newest editors understand.
    if let Some(deployment) = schema.pointer_mut("/$defs/Deployment").and_then(Value::as_object_mut) {
        deployment.remove("unevaluatedProperties");
        deployment.insert("additionalProperties".to_owned(), json!(false));
        deployment.insert("required".to_owned(), json!(["provider", "model"]));
    }
    schema
}

/// The schema as the published file has it.
#[must_use]
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}
