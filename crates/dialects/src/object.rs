//! JSON objects read as ordered raw fields and written as text, for the dialects whose blocks are open
//! to unknown fields: what a decoder does not take stays behind and goes into the bag.

use domain::{Bag, Code, Dialect, Fault, Raw};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use std::fmt;

/// The fields of one JSON object in the order they were written. Of a name that stands twice the first is
/// taken (bodies of callers are refused for it earlier, by the scan).
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(Box<str>, Raw)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<Box<str>, Raw>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A field that does not have the shape it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    place: String,
    wanted: &'static str,
}

impl Misfit {
    /// A misfit at `place`, a path such as `messages[3].content`.
    pub(crate) fn new(place: impl Into<String>, wanted: &'static str) -> Self {
        Self { place: place.into(), wanted }
    }

    /// Puts the path of the object before the path of the field.
    pub(crate) fn within(mut self, parent: &str) -> Self {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("{parent}{dot}{}", self.place);
        self
    }

    /// The misfit as the caller's fault.
    pub(crate) fn of_caller(self) -> Fault {
        Fault::caller(Code::InvalidRequest, format!("`{}` must be {}", self.place, self.wanted))
            .at(self.place.as_str())
    }

    /// The misfit as the upstream's fault.
    pub(crate) fn of_upstream(self) -> Fault {
        Fault::upstream(Code::UpstreamBadResponse, "the upstream's answer does not have the promised form")
            .because(&format!("`{}` is not {}", self.place, self.wanted))
    }
}

impl Fields {
    /// Reads one object.
    pub(crate) fn of(raw: &Raw, place: &str) -> Result<Self, Misfit> {
        raw.read().map_err(|_| Misfit::new(place, "an object"))
    }

    /// Takes all fields that are `null` out and gives their names: they say nothing, but were written.
    pub(crate) fn split_nulls(&mut self) -> Vec<Box<str>> {
        let (nulls, rest) =
            std::mem::take(&mut self.0).into_iter().partition(|(_, raw)| raw.text() == "null");
        self.0 = rest;
        let nulls: Vec<(Box<str>, Raw)> = nulls;
        nulls.into_iter().map(|(name, _)| name).collect()
    }

    /// Takes a field out; `null` counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Raw> {
        let at = self.0.iter().position(|(own, _)| &**own == name)?;
        let (_, raw) = self.0.remove(at);
        (raw.text() != "null").then_some(raw)
    }

    /// A field's text, left where it is.
    pub(crate) fn peek(&self, name: &str) -> Option<&Raw> {
        self.0.iter().find(|(own, _)| &**own == name).map(|(_, raw)| raw)
    }

    /// Takes a field out and reads it as `T`.
    pub(crate) fn read<T: DeserializeOwned>(
        &mut self,
        name: &str,
        wanted: &'static str,
    ) -> Result<Option<T>, Misfit> {
        match self.take(name) {
            None => Ok(None),
            Some(raw) => serde_json::from_str(raw.text()).map(Some).map_err(|_| Misfit::new(name, wanted)),
        }
    }

    /// Takes a text out.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<String>, Misfit> {
        self.read(name, "a string")
    }

    /// Takes a text out that must be there.
    pub(crate) fn must_string(&mut self, name: &str) -> Result<String, Misfit> {
        self.string(name)?.ok_or_else(|| Misfit::new(name, "a string"))
    }

    /// Takes a list out.
    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Raw>>, Misfit> {
        self.read(name, "a list")
    }

    /// Everything that was not taken, as a bag of `dialect`.
    pub(crate) fn into_bag(self, dialect: Dialect) -> Bag {
        let mut bag = Bag::new();
        for (name, raw) in self.0 {
            bag.put(dialect, &name, raw);
        }
        bag
    }

    /// Everything that was not taken.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = (Box<str>, Raw)> {
        self.0.into_iter()
    }
}

/// Writes one JSON object as text, field by field.
#[derive(Clone, Debug)]
pub(crate) struct Object(String);

impl Object {
    /// `{`
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    /// A field whose value is JSON text already.
    pub(crate) fn json(&mut self, name: &str, text: &str) -> &mut Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(name));
        self.0.push(':');
        self.0.push_str(text);
        self
    }

    /// A field with a raw value.
    pub(crate) fn raw(&mut self, name: &str, value: &Raw) -> &mut Self {
        self.json(name, value.text())
    }

    /// A field with a text.
    pub(crate) fn string(&mut self, name: &str, text: &str) -> &mut Self {
        self.json(name, &quoted(text))
    }

    /// A field with anything that prints as JSON: a number or a boolean.
    pub(crate) fn scalar(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.json(name, &value.to_string())
    }

    /// The fields of a bag that belong to `dialect`.
    pub(crate) fn bag(&mut self, bag: &Bag, dialect: Dialect) -> &mut Self {
        for (name, raw) in bag.fields_for(dialect) {
            self.raw(name, raw);
        }
        self
    }

    /// True while it has no field.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// The object's text.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| String::from("\"\""))
}

/// JSON texts as a JSON list.
pub(crate) fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let mut out = String::from("[");
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(text.as_ref());
    }
    out.push(']');
    out
}

/// The JSON text of a small value that a decoder notes in a bag.
pub(crate) fn note(text: &str) -> Raw {
    Raw::of(text).unwrap_or_else(|_| Raw::null())
}

/// JSON text that we wrote ourselves, as raw.
pub(crate) fn raw_of(text: &str) -> Raw {
    Raw::parse(text).unwrap_or_else(|_| Raw::null())
}
