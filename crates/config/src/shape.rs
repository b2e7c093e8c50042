//! The shape of a text against the schema: unknown keys, wrong types, wrong words, missing keys, all at once,
//! each with its place.
//!
//! What is wrong is noted and taken out, so that serde can read what remains and the checks of sense that
//! follow find the rest of the errors in the same run.

use crate::document::{Document, did_you_mean};
use serde_json::{Map, Value};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

type Node<'t> = Spanned<DeValue<'t>>;

/// Checks `document` against `schema`; returns what of it has the right shape.
pub(crate) fn prune<'t>(document: &mut Document<'t>, schema: &Value) -> Spanned<DeTable<'t>> {
    let span = document.root().span();
    let mut table = document.root().get_ref().clone();
    let empty = Map::new();
    let mut walk =
        Walk { document, definitions: schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty) };
    walk.table(&mut table, &span, schema, "");
    Spanned::new(span, table)
}

struct Walk<'d, 's, 't> {
    document: &'d mut Document<'t>,
    definitions: &'s Map<String, Value>,
}

impl<'s, 't> Walk<'_, 's, 't> {
    /// Notes what is wrong with a value; false where it must be taken out.
    fn value(&mut self, node: &mut Node<'t>, schema: &'s Value, path: &str) -> bool {
        let span = node.span();
        let schema = self.resolved(schema);
        if schema.get("x-secret").is_some() {
            return self.secret(node, path);
        }
        if let Some(words) = words_of(schema) {
            return self.word(node, &words, path);
        }
        if let Some(choices) = choices(schema) {
            let fitting = choices.iter().copied().find(|choice| fits(self.resolved(choice), node.get_ref()));
            return match fitting {
                Some(choice) => self.value(node, choice, path),
                None => {
                    let wanted: Vec<&str> =
                        choices.iter().map(|choice| wanted(self.resolved(choice))).collect();
                    self.type_error(&span, path, &wanted.join(" or "), node.get_ref());
                    false
                }
            };
        }
        if !fits(schema, node.get_ref()) {
            self.type_error(&span, path, wanted(schema), node.get_ref());
            return false;
        }
        match node.get_mut() {
            DeValue::Table(table) => {
                self.table(table, &span, schema, path);
                true
            }
            DeValue::Array(list) => {
                let Some(items) = schema.get("items") else { return true };
                // A table with an error stays, so that the places of the others keep their numbers.
                for item in list.iter_mut() {
                    if !self.value(item, items, path) && !blank(item) {
                        return false;
                    }
                }
                true
            }
            DeValue::Integer(number) if types(schema).contains(&"integer") => {
                self.integer(&span, number, schema, path)
            }
            _ => true,
        }
    }

    fn table(&mut self, table: &mut DeTable<'t>, span: &Range<usize>, schema: &'s Value, path: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let open = schema.get("additionalProperties").filter(|more| more.is_object());
        let mut bad: Vec<String> = Vec::new();
        let written: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
        for (key, node) in table.iter_mut() {
            let name: &str = key.get_ref();
            let place = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match properties.and_then(|known| known.get(name)).or(open) {
                Some(schema) => {
                    if !self.value(node, schema, &place) {
                        bad.push(name.to_owned());
                    }
                }
                None => {
                    let known = properties.into_iter().flat_map(|known| known.keys().map(String::as_str));
                    let holder =
                        if path.is_empty() { "there is no".to_owned() } else { format!("`{path}` has no") };
                    let hint = did_you_mean(name, known);
                    self.document.wrong(&key.span(), format!("{holder} `{}`", name.escape_debug()), hint);
                    bad.push(name.to_owned());
                }
            }
        }
        for name in bad {
            table.remove(name.as_str());
        }
        // What was written wrong is not missing: one mistake, one message.
        for name in required(schema).filter(|name| !written.iter().any(|own| own == name)) {
            let holder = if path.is_empty() { "the file".to_owned() } else { format!("this `{path}`") };
            self.document.wrong(span, format!("{holder} has no `{name}`"), format!("add `{name} = …`"));
        }
    }

    fn word(&mut self, node: &Node<'t>, words: &[&str], path: &str) -> bool {
        let Some(word) = node.get_ref().as_str() else {
            self.type_error(&node.span(), path, "a string", node.get_ref());
            return false;
        };
        if words.contains(&word) {
            return true;
        }
        let message = format!("`{path}` knows no value `{}`", word.escape_debug());
        self.document.wrong(&node.span(), message, did_you_mean(word, words.iter().copied()));
        false
    }

    fn integer(
        &mut self,
        span: &Range<usize>,
        number: &toml::de::DeInteger<'t>,
        schema: &Value,
        path: &str,
    ) -> bool {
        let value = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64).map(i128::from);
        let (least, most) = (bound("minimum").or(Some(0)), bound("maximum").or(format_maximum(schema)));
        let inside = value.is_some_and(|value| {
            least.is_none_or(|least| least <= value) && most.is_none_or(|most| value <= most)
        });
        if !inside {
            let most = most.map_or_else(String::new, |most| format!(" to {most}"));
            let hint = format!("write a whole number from {}{most}", least.unwrap_or(0));
            self.document.wrong(span, format!("`{path}` is out of range"), hint);
        }
        inside
    }

    /// A secret's own errors: none of them may show what is written.
    fn secret(&mut self, node: &Node<'t>, path: &str) -> bool {
        const FORMS: &str = "write { env = \"NAME\" }, { file = \"path\" } or \"identity\"";
        let span = node.span();
        let table = match node.get_ref() {
            DeValue::String(word) if word == "identity" => return true,
            DeValue::String(_) => {
                let message = format!("`{path}` is a secret in clear");
                let hint = format!("{FORMS}; if you insist: {{ value = \"…\", in_clear = true }}");
                self.document.wrong(&span, message, hint);
                return false;
            }
            DeValue::Table(table) => table,
            other => {
                self.type_error(&span, path, "a secret", other);
                return false;
            }
        };
        let text = |name: &str| table.get(name).is_some_and(|node| node.get_ref().as_str().is_some());
        let insists = table.get("in_clear").is_some_and(|node| node.get_ref().as_bool() == Some(true));
        let known = |names: &[&str]| table.keys().all(|key| names.contains(&&**key.get_ref()));
        match () {
            () if text("env") && known(&["env"]) || text("file") && known(&["file"]) => true,
            () if text("value") && insists && known(&["value", "in_clear"]) => true,
            () if text("value") => {
                let message = format!("`{path}` is a secret in clear");
                self.document.wrong(&span, message, format!("{FORMS}; if you insist, add `in_clear = true`"));
                false
            }
            () => {
                let odd = table
                    .keys()
                    .find(|key| !["env", "file", "value", "in_clear"].contains(&&**key.get_ref()));
                let message = match odd {
                    Some(key) => format!("`{path}` has no `{}`", key.get_ref().escape_debug()),
                    None => format!("`{path}` does not say where the secret is"),
                };
                self.document.wrong(&span, message, FORMS);
                false
            }
        }
    }

    fn type_error(&mut self, span: &Range<usize>, path: &str, wanted: &str, found: &DeValue<'_>) {
        let hint = match (wanted, found) {
            ("a list of tables", DeValue::Table(_)) => format!("write [[{path}]]"),
            ("a table", DeValue::Array(_)) => format!("write [{path}]"),
            ("a list", DeValue::String(_)) => "put it in brackets".to_owned(),
            ("a string", _) => "put it in quotes".to_owned(),
            _ => String::new(),
        };
        self.document.wrong(span, format!("`{path}` must be {wanted}, not {}", kind(found)), hint);
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }
}

/// Makes a list's broken table empty; false for anything that has no empty form.
fn blank(node: &mut Node<'_>) -> bool {
    let is_table = node.get_ref().is_table();
    if is_table {
        *node.get_mut() = DeValue::Table(DeTable::new());
    }
    is_table
}

/// The closed list of words that a schema allows, if it is one.
fn words_of(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    let list = schema.get("oneOf").and_then(Value::as_array)?;
    let parts: Option<Vec<Vec<&str>>> = list.iter().map(words_of).collect();
    parts.map(|parts| parts.concat())
}

/// The alternatives of a schema without `null`, which TOML does not know.
fn choices(schema: &Value) -> Option<Vec<&Value>> {
    let list = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
    let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
    Some(list.iter().filter(|choice| !is_null(choice)).collect())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect()
        }
        _ if schema.get("properties").is_some() => vec!["object"],
        _ if words_of(schema).is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    let types = types(schema);
    let one = match value {
        DeValue::String(_) => &["string"][..],
        DeValue::Integer(_) => &["integer", "number"],
        DeValue::Float(_) => &["number"],
        DeValue::Boolean(_) => &["boolean"],
        DeValue::Array(_) => &["array"],
        DeValue::Table(_) => &["object"],
        DeValue::Datetime(_) => &[],
    };
    if types.is_empty() {
        return choices(schema).is_none_or(|choices| choices.iter().any(|choice| fits(choice, value)));
    }
    types.iter().any(|kind| one.contains(kind))
}

fn wanted(schema: &Value) -> &'static str {
    match types(schema).first().copied() {
        Some("string") => "a string",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        Some("array") => {
            let tables = schema.get("items").is_some_and(|items| items.get("$ref").is_some());
            if tables { "a list of tables" } else { "a list" }
        }
        Some("object") => "a table",
        _ => "something else",
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The largest number of the Rust type behind the schema.
fn format_maximum(schema: &Value) -> Option<i128> {
    match schema.get("format").and_then(Value::as_str)? {
        "uint16" => Some(i128::from(u16::MAX)),
        "uint32" => Some(i128::from(u32::MAX)),
        _ => Some(i128::from(i64::MAX)),
    }
}
