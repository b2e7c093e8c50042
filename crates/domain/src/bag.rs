//! What only one dialect can say: carried beside the inner form, never dropped in silence.

use crate::{dialect::Dialect, loss::Losses, raw::Raw};
use std::collections::BTreeMap;

/// Fields that only the dialect they came from knows, by wire name. A bag goes out again in its own
/// dialect only; every other target reports each field as a loss ([`Bag::lose_into`]).
///
/// Keys that start with `$` are notes of the decoder about the *spelling* of something the inner form
/// does carry (for instance "content was a string, not a list"). They are no losses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bag {
    dialect: Option<Dialect>,
    fields: BTreeMap<Box<str>, Raw>,
}

impl Bag {
    /// An empty bag.
    #[must_use]
    pub const fn new() -> Self {
        Self { dialect: None, fields: BTreeMap::new() }
    }

    /// Puts a field of `dialect` into the bag. A bag holds fields of one dialect; the last one wins.
    pub fn put(&mut self, dialect: Dialect, name: &str, value: Raw) {
        if self.dialect != Some(dialect) {
            self.fields.clear();
            self.dialect = Some(dialect);
        }
        self.fields.insert(name.into(), value);
    }

    /// A field, if the bag is `dialect`'s.
    #[must_use]
    pub fn get(&self, dialect: Dialect, name: &str) -> Option<&Raw> {
        if self.dialect == Some(dialect) { self.fields.get(name) } else { None }
    }

    /// The fields to write out again when the target is `dialect`: without the `$` notes.
    pub fn fields_for(&self, dialect: Dialect) -> impl Iterator<Item = (&str, &Raw)> {
        let own = self.dialect == Some(dialect);
        self.fields
            .iter()
            .filter(move |(name, _)| own && !name.starts_with('$'))
            .map(|(name, value)| (&**name, value))
    }

    /// All fields with their dialect, without the `$` notes. A field that is `null` says nothing and is not
    /// among them: leaving it out loses nothing.
    pub fn foreign_to(&self, target: Dialect) -> impl Iterator<Item = (Dialect, &str, &Raw)> {
        let foreign = self.dialect.filter(|own| *own != target);
        self.fields
            .iter()
            .filter(|(name, value)| !name.starts_with('$') && value.text() != "null")
            .filter_map(move |(name, value)| foreign.map(|own| (own, &**name, value)))
    }

    /// Reports every field that `target` cannot carry, under `prefix` (a wire path such as `messages`).
    pub fn lose_into(&self, target: Dialect, prefix: &str, losses: &mut Losses) {
        for (_, name, _) in self.foreign_to(target) {
            if prefix.is_empty() { losses.add(name) } else { losses.add(&format!("{prefix}.{name}")) }
        }
    }

    /// Puts all fields of `other` into this bag.
    pub fn merge(&mut self, other: &Self) {
        if let Some(dialect) = other.dialect {
            for (name, value) in &other.fields {
                self.put(dialect, name, value.clone());
            }
        }
    }

    /// Appends to a list field of `dialect`, making it where it is not there (the notes of a stream
    /// arrive one by one).
    pub fn append(&mut self, dialect: Dialect, name: &str, value: &Raw) {
        let mut list =
            self.get(dialect, name).and_then(|raw| raw.read::<Vec<Raw>>().ok()).unwrap_or_default();
        list.push(value.clone());
        if let Ok(raw) = Raw::of(&list) {
            self.put(dialect, name, raw);
        }
    }

    /// Everything in it, notes too: for whoever stores a bag whole.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.fields.iter().map(|(name, value)| (&**name, value))
    }

    /// The dialect whose fields it holds.
    #[must_use]
    pub const fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// True where nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}
