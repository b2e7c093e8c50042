//! How Gemini's JSON is read and written: objects field by field.
//!
//! Google's parser takes every field in lower camel case and in snake case, and clients use both. So an
//! object is read into [`Fields`], from which the decoder takes what it knows under either spelling; what is
//! left goes into a bag, and the names that were spelled in snake case are noted, so that the same object
//! can be written again as it was. The order of fields is kept: a schema's order shapes the answer.

use domain::{Bag, Code, Dialect, Fault, Raw};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use std::fmt;

/// Note of the names that were spelled in snake case.
pub(super) const SNAKE: &str = "$snake";

/// A JSON object's fields, in order, not yet read.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a> {
    list: Vec<(String, &'a RawValue)>,
    snake: Vec<&'static str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut list = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    list.push(entry);
                }
                Ok(list)
            }
        }
        let list = deserializer.deserialize_map(Visitor)?;
        Ok(Self { list, snake: Vec::new() })
    }
}

impl<'a> Fields<'a> {
    /// Reads `text` as an object.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Reads `value` as an object that a caller sent.
    pub(super) fn at(value: &'a RawValue, place: &str) -> Result<Self, Fault> {
        Self::of(value.get()).ok_or_else(|| wrong(place, "must be an object"))
    }

    /// Takes the field `name` (lower camel case) out, under either spelling.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        if let Some(at) = self.list.iter().position(|(found, _)| found == name) {
            return Some(self.list.remove(at).1);
        }
        let snake = snake_case(name);
        let at = self.list.iter().position(|(found, _)| *found == snake)?;
        self.snake.push(name);
        Some(self.list.remove(at).1)
    }

    /// Takes the field `name` where it reads as `T`; otherwise it stays.
    pub(super) fn take_as<T: Deserialize<'a>>(&mut self, name: &'static str) -> Option<T> {
        let snake = snake_case(name);
        let at = self.list.iter().position(|(found, _)| found == name || *found == snake)?;
        let (found, value) = self.list.get(at)?;
        let read = serde_json::from_str(value.get()).ok()?;
        if found != name {
            self.snake.push(name);
        }
        self.list.remove(at);
        Some(read)
    }

    /// The field `name`, which stays.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let snake = snake_case(name);
        self.list.iter().find(|(found, _)| found == name || *found == snake).map(|(_, value)| *value)
    }

    /// Everything that is left, in order.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.list.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Puts what is left into `bag`, each name behind `prefix`, and notes the snake-case names.
    pub(super) fn into_bag(self, prefix: &str, bag: &mut Bag) {
        self.note_into(prefix, bag);
        for (name, value) in self.list {
            bag.put(Dialect::Gemini, &format!("{prefix}{name}"), Raw::from(value));
        }
    }

    /// Notes the snake-case names only.
    pub(super) fn note_into(&self, prefix: &str, bag: &mut Bag) {
        for name in &self.snake {
            bag.append(
                Dialect::Gemini,
                SNAKE,
                &Raw::of(&format!("{prefix}{name}")).unwrap_or_else(|_| Raw::null()),
            );
        }
    }
}

/// An object as it is written: field by field, in order.
#[derive(Debug)]
pub(super) struct Object {
    text: String,
    snake: Vec<String>,
}

impl Object {
    /// An empty object.
    pub(super) fn new() -> Self {
        Self { text: String::from("{"), snake: Vec::new() }
    }

    /// An empty object whose fields are spelled as `bag` notes them under `prefix`.
    pub(super) fn spelled(bag: &Bag, prefix: &str) -> Self {
        let noted: Vec<String> =
            bag.get(Dialect::Gemini, SNAKE).and_then(|raw| raw.read().ok()).unwrap_or_default();
        let snake = noted.iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect();
        Self { text: String::from("{"), snake }
    }

    /// Writes a field.
    pub(super) fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        let text = json(value);
        self.put_text(name, &text);
    }

    /// Writes a field where there is a value.
    pub(super) fn put_some<T: Serialize>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Writes a field whose value is JSON text already.
    pub(super) fn put_text(&mut self, name: &str, text: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        if self.snake.iter().any(|noted| noted == name) {
            self.text.push_str(&json(&snake_case(name)));
        } else {
            self.text.push_str(&json(name));
        }
        self.text.push(':');
        self.text.push_str(text);
    }

    /// Writes the bag's Gemini fields whose names stand behind `prefix` and have no further dot.
    pub(super) fn put_bag(&mut self, bag: &Bag, prefix: &str) {
        for (name, value) in bag.fields_for(Dialect::Gemini) {
            if let Some(name) = name.strip_prefix(prefix).filter(|name| !name.contains('.')) {
                self.put_text(name, value.text());
            }
        }
    }

    /// True while nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    /// The JSON text.
    pub(super) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A list of JSON texts as JSON text.
pub(super) fn array<I: IntoIterator<Item = String>>(texts: I) -> String {
    let mut out = String::from("[");
    for text in texts {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&text);
    }
    out.push(']');
    out
}

/// `value` as JSON text.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| String::from("null"))
}

/// A repeated field: a list, or (as Google's parser allows) one element without the list. The flag tells
/// the latter.
pub(super) fn list<'a>(value: &'a RawValue, place: &str) -> Result<(Vec<&'a RawValue>, bool), Fault> {
    match value.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(value.get())
            .map(|list| (list, false))
            .map_err(|_| wrong(place, "must be a list")),
        Some(b'{') => Ok((vec![value], true)),
        _ => Err(wrong(place, "must be a list")),
    }
}

/// A fault of the caller at `place`.
pub(super) fn wrong(place: &str, what: &str) -> Fault {
    Fault::caller(Code::InvalidRequest, format!("`{place}` {what}.")).at(place)
}

fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
