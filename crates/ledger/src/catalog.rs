//! The price and capability catalog: `catalog/prices.jsonl`, made by `cargo xtask catalog`.
//!
//! One JSON object a line, sorted by provider, model, geography and date; each line begins with
//! `{"provider":"…","model":"…"`. The text is embedded in the binary, so a start must not pay for parsing
//! thousands of rows: [`Catalog::parse`] finds the line ends, a lookup parses the few lines that it needs, once.

mod line;

use crate::price::{PriceRow, PriceSheet, Tier, day_of};
use domain::Capabilities;
use jiff::{Timestamp, civil::Date};
use memchr::memmem::Finder;
use std::{borrow::Cow, ops::Range, sync::Arc, sync::OnceLock};

/// One line of the catalog: a model at a provider in a geography for a range of days.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The provider, by our name for it.
    pub provider: Arc<str>,
    /// The model as it stands on the wire.
    pub model: Arc<str>,
    /// Where it holds; empty where the list makes no difference.
    pub geo: Arc<str>,
    /// The model's own name, the same at every provider: without vendor prefix, profile prefix and revision.
    pub name: Arc<str>,
    /// What it can do, as far as the source says.
    pub capabilities: Capabilities,
    /// First day (UTC) on which the provider offers it no more, where announced.
    pub retired: Option<Date>,
    /// Its price; `None` where the source has none (0 in the source is none: free and unknown look the same).
    pub price: Option<PriceRow>,
}

/// Why a text is not a catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A line is not what the converter writes.
    #[error("catalog line {line}: {what}; run `cargo xtask catalog`, do not edit the file by hand")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// More lines than any real catalog has.
    #[error("catalog of {lines} lines; at most {} are read", Catalog::LINES_MAX)]
    TooLong {
        /// How many there are.
        lines: usize,
    },
}

/// The catalog. Cheap to make, `Sync`, grows only by the lines that are asked for.
pub struct Catalog {
    text: Cow<'static, str>,
    lines: Vec<Line>,
}

struct Line {
    range: Range<usize>,
    entry: OnceLock<Option<Box<Entry>>>,
}

impl Catalog {
    /// Most lines that are read.
    pub const LINES_MAX: usize = 50_000;

    /// Takes the text of a catalog and checks that every line has a key and that the keys ascend.
    ///
    /// # Errors
    /// [`CatalogError`] with the line. What stands behind a key is checked by [`Catalog::check`].
    pub fn parse(text: impl Into<Cow<'static, str>>) -> Result<Self, CatalogError> {
        let text = text.into();
        let mut lines = Vec::new();
        let mut start = 0;
        let mut before = ("", "");
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let range = start..start + line.trim_end().len();
            start += line.len();
            if range.is_empty() {
                continue;
            }
            let wrong = |what: &str| CatalogError::Line { line: number + 1, what: what.to_owned() };
            let key = key_of(line).ok_or_else(|| wrong("does not begin with provider and model"))?;
            if key < before {
                return Err(wrong("is out of order"));
            }
            before = key;
            lines.push(Line { range, entry: OnceLock::new() });
        }
        if lines.len() > Self::LINES_MAX {
            return Err(CatalogError::TooLong { lines: lines.len() });
        }
        Ok(Self { text, lines })
    }

    /// Reads every line: for `check` and `xtask`, not for the start of a gateway.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn check(&self) -> Result<(), CatalogError> {
        for (number, line) in self.lines.iter().enumerate() {
            let text = self.text.get(line.range.clone()).unwrap_or_default();
            line::read(text).map_err(|what| CatalogError::Line { line: number + 1, what })?;
        }
        Ok(())
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True for an empty catalog.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All entries in the order of the file. Parses everything.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| self.entry_of(line))
    }

    /// The price of a model at a provider at an instant: `model` as on the wire or by its own name. In `geo`
    /// where the list has a row for it, else the row without geography. `None`: no price for that day or tier.
    #[must_use]
    pub fn price(
        &self,
        provider: &str,
        model: &str,
        at: Timestamp,
        tier: Tier,
        geo: &str,
    ) -> Option<&PriceRow> {
        let day = day_of(at);
        self.for_geo(provider, model, geo)
            .into_iter()
            .filter_map(|entry| entry.price.as_ref())
            .find(|row| row.holds_on(day) && row.rates(tier, 0).is_some())
    }

    /// All dated prices for one deployment, to be held in the snapshot.
    #[must_use]
    pub fn sheet(&self, provider: &str, model: &str, geo: &str) -> PriceSheet {
        let rows = self.for_geo(provider, model, geo).into_iter().filter_map(|entry| entry.price.clone());
        PriceSheet::new(rows.collect(), geo)
    }

    /// What a model can do at a provider: by the latest line about it.
    #[must_use]
    pub fn capabilities(&self, provider: &str, model: &str) -> Option<&Capabilities> {
        self.entry(provider, model, "").map(|entry| &entry.capabilities)
    }

    /// The latest line about a model at a provider, in `geo` where there is one.
    #[must_use]
    pub fn entry(&self, provider: &str, model: &str, geo: &str) -> Option<&Entry> {
        self.for_geo(provider, model, geo).into_iter().next_back()
    }

    /// All lines about the model of that own name (or wire name) at every provider.
    #[must_use]
    pub fn model(&self, name: &str) -> Vec<&Entry> {
        let (by_model, by_name) = (says("model", name), says("name", name));
        self.lines
            .iter()
            .filter(|line| {
                let text = self.text.get(line.range.clone()).unwrap_or_default();
                by_model(text) || by_name(text)
            })
            .filter_map(|line| self.entry_of(line))
            .collect()
    }

    /// Lines about the model in the geography, or else those without one, or else (a model by its wire name
    /// that has one geography only, as Bedrock's profiles) whatever there is.
    fn for_geo(&self, provider: &str, model: &str, geo: &str) -> Vec<&Entry> {
        let all = self.about(provider, model);
        let pick = |wanted: &str| -> Vec<&Entry> {
            all.iter().copied().filter(|entry| &*entry.geo == wanted).collect()
        };
        let exact = pick(geo);
        if !exact.is_empty() {
            return exact;
        }
        let general = pick("");
        if !general.is_empty() {
            return general;
        }
        match all.first() {
            Some(first) if &*first.model == model && all.iter().all(|entry| entry.geo == first.geo) => all,
            _ => Vec::new(),
        }
    }

    /// Lines of one provider whose wire name is `model`; where there are none, whose own name is `model`.
    fn about(&self, provider: &str, model: &str) -> Vec<&Entry> {
        let exact = self.span(|key| key.cmp(&(provider, model)));
        if !exact.is_empty() {
            return exact.iter().filter_map(|line| self.entry_of(line)).collect();
        }
        let by_name = says("name", model);
        self.span(|key| key.0.cmp(provider))
            .iter()
            .filter(|line| by_name(self.text.get(line.range.clone()).unwrap_or_default()))
            .filter_map(|line| self.entry_of(line))
            .collect()
    }

    /// The lines whose key compares equal.
    fn span(&self, order: impl Fn((&str, &str)) -> std::cmp::Ordering) -> &[Line] {
        let key =
            |line: &Line| key_of(self.text.get(line.range.clone()).unwrap_or_default()).unwrap_or_default();
        let start = self.lines.partition_point(|line| order(key(line)).is_lt());
        let end = self.lines.partition_point(|line| order(key(line)).is_le());
        self.lines.get(start..end).unwrap_or_default()
    }

    fn entry_of<'a>(&'a self, line: &'a Line) -> Option<&'a Entry> {
        let read = || {
            let text = self.text.get(line.range.clone())?;
            line::read(text).ok().map(Box::new)
        };
        line.entry.get_or_init(read).as_deref()
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalog of {} lines", self.lines.len())
    }
}

/// Provider and model of a line. Neither holds a quote or a backslash; the converter sees to it.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (provider, rest) = line.strip_prefix("{\"provider\":\"")?.split_once("\",\"model\":\"")?;
    let (model, _) = rest.split_once('"')?;
    Some((provider, model))
}

/// Tells the lines that have `"field":"value"`. No other field of a line can hold such text. A gateway of many
/// deployments under names of their own asks this of thousands of lines while it starts.
fn says(field: &str, value: &str) -> impl Fn(&str) -> bool {
    let finder = Finder::new(&format!("\"{field}\":\"{value}\"")).into_owned();
    move |line| finder.find(line.as_bytes()).is_some()
}

#[cfg(test)]
mod tests;
