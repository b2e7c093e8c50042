//! The published schema.

/// `docs/schema/cabotage.schema.json` is what this code makes. `UPDATE_SCHEMA=1` writes it.
#[test]
fn the_published_schema_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/cabotage.schema.json");
    let made = config::schema::schema_text();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == made, "run UPDATE_SCHEMA=1 cargo test -p config and commit docs/schema");
}

#[test]
fn every_field_is_described() {
    fn walk(schema: &serde_json::Value, path: &str, bare: &mut Vec<String>) {
        let Some(properties) = schema.get("properties").and_then(|list| list.as_object()) else { return };
        for (name, field) in properties {
            if field.get("description").is_none() && field.get("const").is_none() {
                bare.push(format!("{path}.{name}"));
            }
            walk(field, &format!("{path}.{name}"), bare);
        }
    }
    let schema = config::schema::schema();
    let mut bare = Vec::new();
    walk(&schema, "", &mut bare);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(definition, name, &mut bare);
    }
    assert!(bare.is_empty(), "without a description: {bare:?}");
}
