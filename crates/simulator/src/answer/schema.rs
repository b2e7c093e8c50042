//! A value that obeys a JSON schema, drawn from hints where they fit and from defaults where not.
//!
//! Knows: `$ref` within the document, `const`, `enum`, `default`, `anyOf`/`oneOf` (first branch that is
//! not null), `allOf`, objects (required; all properties when none is), arrays, strings with formats and
//! lengths, numbers with bounds and `multipleOf`; types in upper case as Gemini writes them.

use serde_json::{Map, Number, Value, json};

use super::hints::Hints;
use crate::fields;

/// Nesting followed at most; deeper values are null.
const DEPTH_MAX: usize = 24;
/// Items made for an array at most, whatever it demands.
const ITEMS_MAX: u64 = 64;

/// A value that obeys `schema`.
pub(crate) fn example(schema: &Value, hints: &mut Hints) -> Value {
    make(schema, schema, "value", hints, DEPTH_MAX)
}

fn make(schema: &Value, root: &Value, name: &str, hints: &mut Hints, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        let target = pointer.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| make(target, root, name, hints, depth));
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(first) = fields::list(schema, "enum").first() {
        let mentioned = fields::list(schema, "enum").iter().find(|value| {
            value.as_str().is_some_and(|value| hints.places.iter().any(|place| place == value))
        });
        return mentioned.unwrap_or(first).clone();
    }
    if let Some(value) = schema.get("default").filter(|value| !value.is_null()) {
        return value.clone();
    }
    for key in ["anyOf", "oneOf"] {
        let branches = fields::list(schema, key);
        let first = branches.iter().find(|branch| kind(branch) != "null").or(branches.first());
        if let Some(branch) = first {
            return make(branch, root, name, hints, depth);
        }
    }
    if !fields::list(schema, "allOf").is_empty() {
        return make(&merged(schema, root), root, name, hints, depth);
    }
    match kind(schema).as_str() {
        "object" => object(schema, root, hints, depth),
        "array" => array(schema, root, name, hints, depth),
        "string" => Value::String(string(schema, name, hints)),
        "integer" => number(schema, hints, true),
        "number" => number(schema, hints, false),
        "boolean" => Value::Bool(true),
        _ => Value::Null,
    }
}

/// The type in lower case; the first that is not null of several; guessed when absent.
fn kind(schema: &Value) -> String {
    let named = match schema.get("type") {
        Some(Value::String(one)) => one.to_lowercase(),
        Some(Value::Array(many)) => {
            let names = many.iter().filter_map(Value::as_str);
            names.map(str::to_lowercase).find(|name| name != "null").unwrap_or_else(|| "null".to_owned())
        }
        _ => String::new(),
    };
    if !named.is_empty() {
        named
    } else if schema.get("properties").is_some() {
        "object".to_owned()
    } else if schema.get("items").is_some() {
        "array".to_owned()
    } else if schema.as_object().is_some_and(Map::is_empty) {
        "string".to_owned()
    } else {
        String::new()
    }
}

/// `schema` with the properties and required names of its `allOf` parts.
fn merged(schema: &Value, root: &Value) -> Value {
    let mut whole = schema.as_object().cloned().unwrap_or_default();
    let parts = whole.remove("allOf").unwrap_or_default();
    for part in parts.as_array().map(Vec::as_slice).unwrap_or_default() {
        let pointer = part.get("$ref").and_then(Value::as_str).and_then(|pointer| pointer.strip_prefix('#'));
        let part = pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(part);
        for (key, value) in part.as_object().into_iter().flatten() {
            match (whole.get_mut(key), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.iter().cloned()),
                (Some(_), _) => {}
                (None, _) => {
                    whole.insert(key.clone(), value.clone());
                }
            }
        }
    }
    Value::Object(whole)
}

fn object(schema: &Value, root: &Value, hints: &mut Hints, depth: usize) -> Value {
    let required: Vec<&str> = fields::list(schema, "required").iter().filter_map(Value::as_str).collect();
    let mut made = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if required.is_empty() || required.contains(&name.as_str()) {
            made.insert(name.clone(), make(property, root, name, hints, depth));
        }
    }
    for name in required {
        if !made.contains_key(name) {
            let property = schema.get("additionalProperties").filter(|value| value.is_object());
            let value = property.map_or(json!("sample"), |value| make(value, root, name, hints, depth));
            made.insert(name.to_owned(), value);
        }
    }
    Value::Object(made)
}

fn array(schema: &Value, root: &Value, name: &str, hints: &mut Hints, depth: usize) -> Value {
    let prefix = fields::list(schema, "prefixItems");
    if !prefix.is_empty() {
        return prefix.iter().map(|item| make(item, root, name, hints, depth)).collect();
    }
    let least = fields::number(schema, "minItems").unwrap_or(1);
    let most = fields::number(schema, "maxItems").unwrap_or(u64::MAX);
    let Some(items) = schema.get("items") else { return json!([]) };
    let unique = fields::flag(schema, "uniqueItems");
    let mut made: Vec<Value> = Vec::new();
    for index in 0..least.max(1).min(most).min(ITEMS_MAX) {
        let mut value = make(items, root, name, hints, depth);
        if unique && made.contains(&value) {
            let choices = fields::list(items, "enum");
            value = match (choices.iter().find(|choice| !made.contains(choice)), &value) {
                (Some(choice), _) => choice.clone(),
                (None, Value::String(text)) => Value::String(format!("{text}{index}")),
                (None, Value::Number(number)) => {
                    json!(number.as_i64().unwrap_or(0) + i64::try_from(index).unwrap_or(0))
                }
                _ => value,
            };
        }
        made.push(value);
    }
    Value::Array(made)
}

fn string(schema: &Value, name: &str, hints: &mut Hints) -> String {
    let by_format = match fields::text(schema, "format") {
        "date" => Some("2026-11-21"),
        "date-time" => Some("2026-11-21T10:00:00Z"),
        "time" => Some("10:00:00Z"),
        "duration" => Some("PT1H"),
        "email" => Some("someone@example.com"),
        "uri" | "url" => Some("https://example.com/"),
        "uuid" => Some("3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"),
        "ipv4" => Some("192.0.2.1"),
        "ipv6" => Some("2001:db8::1"),
        "hostname" => Some("example.com"),
        _ => None,
    };
    if let Some(text) = by_format {
        return text.to_owned();
    }
    let lower = name.to_lowercase();
    let is_place = ["city", "location", "place", "town", "country"].iter().any(|word| lower.contains(word));
    let hinted = if is_place { hints.place() } else { hints.quoted() };
    let mut text =
        hinted.unwrap_or_else(|| if is_place { "Paris".to_owned() } else { format!("sample {name}") });
    let length =
        |key| fields::number(schema, key).map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if let Some(least) = length("minLength") {
        while text.chars().count() < least.min(65_536) {
            text.push('x');
        }
    }
    if let Some(most) = length("maxLength") {
        text = text.chars().take(most).collect();
    }
    text
}

fn number(schema: &Value, hints: &mut Hints, whole: bool) -> Value {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let step = if whole { 1.0 } else { 0.5 };
    let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|least| least + step));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|most| most - step));
    let mut value = hints.number().unwrap_or(1.0);
    if whole {
        value = value.trunc();
    }
    if let Some(multiple) = bound("multipleOf").filter(|multiple| *multiple > 0.0) {
        value = (value / multiple).ceil() * multiple;
    }
    if let Some(most) = most {
        value = value.min(most);
    }
    if let Some(least) = least {
        value = value.max(least);
    }
    if whole {
        #[allow(clippy::cast_possible_truncation, reason = "saturates, which is what an example may do")]
        let value = value as i64;
        return Value::Number(value.into());
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value, prompt: &str, expected: &Value) {
        assert_eq!(&example(schema, &mut Hints::of(prompt)), expected);
    }

    #[test]
    fn objects_have_what_is_required_and_values_come_from_the_prompt() {
        let schema = json!({"type":"object","required":["city","unit","days"],"properties":{
            "city":{"type":"string"},"unit":{"enum":["c","f"]},"days":{"type":"integer","minimum":1,"maximum":7},
            "extra":{"type":"string"}}});
        check(&schema, "weather in Oslo for 9 days", &json!({"city":"Oslo","unit":"c","days":7}));
    }

    #[test]
    fn references_branches_and_arrays_are_followed() {
        let schema = json!({"type":"object","properties":{
            "steps":{"type":"array","minItems":2,"items":{"$ref":"#/$defs/step"}},
            "note":{"anyOf":[{"type":"null"},{"type":"string"}]}},
            "required":["steps","note"],
            "$defs":{"step":{"type":"object","properties":{"n":{"type":"number"}},"required":["n"]}}});
        check(&schema, "", &json!({"steps":[{"n":1.0},{"n":1.0}],"note":"sample note"}));
    }

    #[test]
    fn upper_case_types_and_endless_recursion_are_survived() {
        check(
            &json!({"type":"OBJECT","properties":{"a":{"type":"STRING","maxLength":3}}}),
            "",
            &json!({"a":"sam"}),
        );
        let endless = json!({"type":"object","properties":{"again":{"$ref":"#"}},"required":["again"]});
        assert!(example(&endless, &mut Hints::default()).is_object());
    }
}
