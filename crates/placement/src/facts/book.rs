//! The fact book: dated rows about providers, models and regions, and how they become the facts of one
//! deployment.
//!
//! A row states one fact for all deployments that it matches. Where several match, a row of an overlay counts
//! before every shipped one; among rows of the same kind the most specific counts (model before family before
//! region before hosting option before geo tier before seller before provider), and among equals the later row.

use super::{Basis, Confidence, DatedFact, DeploymentFacts, DeploymentSpec, Fact, gathered::gather};
use crate::{
    attribute::{Attribute, Shape, UNKNOWN, Value},
    problem::Problems,
    reader::{Fields, Reader, did_you_mean},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// What rows match on, least specific first. The weight is a power of two, so that one more specific match
/// outweighs all less specific ones together. A model by pattern (`claude-*`) weighs half of a named one.
const MATCHES: [(Attribute, u32); 7] = [
    (Attribute::Provider, 1),
    (Attribute::Seller, 2),
    (Attribute::GeoTier, 4),
    (Attribute::HostedOn, 8),
    (Attribute::Region, 16),
    (Attribute::Family, 32),
    (Attribute::Model, 128),
];

/// Facts that rows match on and that the book may state itself: they must be undated.
const EARLY: [Attribute; 5] =
    [Attribute::Family, Attribute::HostedOn, Attribute::Region, Attribute::GeoTier, Attribute::Seller];

/// The words that a row names for one attribute of what it matches.
pub(crate) type Match = (Attribute, Vec<Arc<str>>);

/// Layer (book, overlay, operator), specificity, place in the order of the files: the higher counts.
type Rank = (u8, u32, usize);

/// The facts of a deployment that rows match on.
pub(crate) type Known = BTreeMap<Attribute, Value>;

/// Dated rows about providers, models and regions.
#[derive(Clone, Debug, Default)]
pub struct FactBook {
    rows: Vec<BookRow>,
    hash: Option<blake3::Hash>,
}

/// One fact of one row, with the place where it is written.
#[derive(Clone, Debug)]
pub struct BookRow {
    /// What is stated.
    pub attribute: Attribute,
    /// Of whom: all of these must match. Empty: of every deployment.
    pub of: Vec<(Attribute, Vec<Arc<str>>)>,
    /// The fact with its dates.
    pub dated: DatedFact,
    /// The file.
    pub file: Arc<str>,
    /// The line of the row, from 1.
    pub line: u32,
    /// True where the file is laid over the shipped book.
    pub overlay: bool,
    /// How many sources the row names.
    pub sources: usize,
}

impl BookRow {
    /// Where it is written: `catalog/facts.toml:17`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// Of whom it states something, as a person reads it: `provider azure, region westeurope or northeurope`.
    #[must_use]
    pub fn subject(&self) -> String {
        if self.of.is_empty() {
            return "every deployment".to_owned();
        }
        let part = |(attribute, words): &Match| format!("{attribute} {}", words.join(" or "));
        self.of.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

impl FactBook {
    /// Reads books in order: `(file name, text)`. The first is the base; the others are laid over it: each of
    /// their rows counts before every row of the base.
    ///
    /// # Errors
    /// Everything that is wrong with them, with places.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Problems> {
        let mut rows = Vec::new();
        let mut problems = Problems::default();
        let mut hasher = blake3::Hasher::new();
        for (index, (file, text)) in files.iter().enumerate() {
            let mut reader = Reader::new(file, text);
            read_book(&mut reader, index > 0, &mut rows);
            problems.0.append(&mut reader.problems.0);
            hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        problems.into_result()?;
        Ok(Self { rows, hash: Some(hasher.finalize()) })
    }

    /// Hash of the texts, hex.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hash.map_or_else(String::new, |hash| hash.to_hex().to_string())
    }

    /// How many rows it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// True where it has no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as they are written, one per fact, in the order of the files.
    #[must_use]
    pub fn rows(&self) -> &[BookRow] {
        &self.rows
    }

    /// What rows match on, for one deployment: provider, model, and what is stated of the rest.
    pub(crate) fn known(&self, spec: &DeploymentSpec) -> Known {
        let mut known: Known = BTreeMap::new();
        known.insert(Attribute::Provider, Value::Word(Arc::clone(&spec.provider)));
        known.insert(Attribute::Model, Value::word(spec.model.as_str()));
        for attribute in EARLY {
            let rows = self.rows_of(attribute, spec, &known);
            if let Some(first) = rows.first() {
                known.insert(attribute, first.fact.value.clone());
            }
        }
        known
    }

    /// The facts of one deployment: what the operator states, else the most specific row, else unknown.
    #[must_use]
    pub fn describe(&self, spec: &DeploymentSpec) -> DeploymentFacts {
        let known = self.known(spec);
        let mut all = BTreeMap::new();
        for attribute in Attribute::facts() {
            let rows = match attribute {
                Attribute::Provider | Attribute::Model => vec![DatedFact {
                    from: None,
                    until: None,
                    fact: Fact {
                        value: known.get(&attribute).cloned().unwrap_or_else(|| Value::unknown(attribute)),
                        basis: Basis::Operator,
                        source: "the deployment's own configuration".into(),
                        as_of: "".into(),
                        confidence: Confidence::Stated,
                    },
                }],
                _ => self.rows_of(attribute, spec, &known),
            };
            if !rows.is_empty() {
                all.insert(attribute, rows);
            }
        }
        DeploymentFacts::new(spec.id.clone(), all)
    }

    /// Whether anybody states this fact of the deployment, at any time.
    #[must_use]
    pub fn states(&self, attribute: Attribute, spec: &DeploymentSpec) -> bool {
        !self.rows_of(attribute, spec, &self.known(spec)).is_empty()
    }

    /// The rows of one fact, cut so that they do not overlap.
    fn rows_of(&self, attribute: Attribute, spec: &DeploymentSpec, known: &Known) -> Vec<DatedFact> {
        let ranked = self.ranked(attribute, spec, known);
        let rows: Vec<DatedFact> = ranked.into_iter().map(|(row, _)| row).collect();
        // Attestations add up; of any other fact one row counts.
        if attribute.shape() == Shape::HasAll { gather(&rows) } else { flatten(&rows) }
    }

    /// Everything that is stated of one fact of a deployment, in falling order of precedence; with its row where
    /// the book states it, without where the operator does.
    pub(crate) fn ranked(
        &self,
        attribute: Attribute,
        spec: &DeploymentSpec,
        known: &Known,
    ) -> Vec<(DatedFact, Option<&BookRow>)> {
        let mut ranked: Vec<(Rank, DatedFact, Option<&BookRow>)> = Vec::new();
        for (order, stated) in spec.stated.iter().enumerate().filter(|(_, s)| s.attribute == attribute) {
            let fact = Fact {
                value: stated.value.clone(),
                basis: Basis::Operator,
                source: Arc::clone(&stated.source),
                as_of: "".into(),
                confidence: Confidence::Stated,
            };
            let dated = DatedFact { from: stated.from, until: stated.until, fact };
            ranked.push(((2, 0, order), dated, None));
        }
        for (order, row) in self.rows.iter().enumerate().filter(|(_, row)| row.attribute == attribute) {
            if let Some(weight) = weight(row, known) {
                ranked.push(((u8::from(row.overlay), weight, order), row.dated.clone(), Some(row)));
            }
        }
        ranked.sort_by_key(|(rank, _, _)| std::cmp::Reverse(*rank));
        ranked.into_iter().map(|(_, dated, row)| (dated, row)).collect()
    }
}

/// How specific a row matches, or `None` where it does not.
pub(crate) fn weight(row: &BookRow, known: &Known) -> Option<u32> {
    let mut sum = 0;
    for (attribute, patterns) in &row.of {
        let weight = MATCHES.iter().find(|(a, _)| a == attribute).map_or(0, |(_, weight)| *weight);
        let value = known.get(attribute).map_or(UNKNOWN, Value::as_word);
        let named = patterns.iter().any(|pattern| **pattern == *value);
        let matched = patterns
            .iter()
            .any(|pattern| pattern.strip_suffix('*').is_some_and(|prefix| value.starts_with(prefix)));
        sum += match (named, matched) {
            (true, _) => weight,
            (false, true) if *attribute == Attribute::Model => weight / 2,
            (false, true) => weight,
            (false, false) => return None,
        };
    }
    Some(sum)
}

/// Rows in falling order of precedence → rows that do not overlap, sorted by date, neighbours of one fact
/// joined.
fn flatten(ranked: &[DatedFact]) -> Vec<DatedFact> {
    let mut dates: Vec<Timestamp> = ranked.iter().flat_map(|row| [row.from, row.until]).flatten().collect();
    dates.sort();
    dates.dedup();
    let mut spans: Vec<(Option<Timestamp>, Option<Timestamp>)> = Vec::new();
    let mut from = None;
    for date in dates {
        spans.push((from, Some(date)));
        from = Some(date);
    }
    spans.push((from, None));
    let mut flat: Vec<DatedFact> = Vec::new();
    for (from, until) in spans {
        let covers = |row: &&DatedFact| {
            row.from.is_none_or(|start| from.is_some_and(|from| start <= from))
                && row.until.is_none_or(|end| until.is_some_and(|until| until <= end))
        };
        let Some(row) = ranked.iter().find(covers) else { continue };
        match flat.last_mut() {
            Some(last) if last.fact == row.fact && last.until == from && from.is_some() => last.until = until,
            _ => flat.push(DatedFact { from, until, fact: row.fact.clone() }),
        }
    }
    flat
}

fn read_book(reader: &mut Reader<'_>, overlay: bool, rows: &mut Vec<BookRow>) {
    let root = reader.parse();
    let mut fields = Fields::new(root.get_ref(), root.span(), "a fact book");
    let as_of = fields.need("as_of", reader).and_then(|node| reader.instant(node, "as_of"));
    let as_of: Arc<str> = as_of.map_or_else(String::new, |date| date.strftime("%Y-%m-%d").to_string()).into();
    if let Some(node) = fields.take("title") {
        reader.text(node, "title");
    }
    if let Some(list) = fields.take("fact") {
        match list.get_ref().as_array() {
            Some(list) => {
                for node in list.iter() {
                    if let Some(fields) = reader.fields(node, "a fact") {
                        let read = read_row(reader, fields, &as_of);
                        rows.extend(read.into_iter().map(|row| BookRow { overlay, ..row }));
                    }
                }
            }
            None => {
                reader.wrong(&list.span(), "`fact` must be a list of tables".to_owned(), "write [[fact]]")
            }
        }
    }
    fields.finish(reader);
}

/// One `[[fact]]`: what it says of what it matches, from when to when, on what basis.
fn read_row<'t>(reader: &mut Reader<'t>, mut fields: Fields<'_, 't>, book_as_of: &Arc<str>) -> Vec<BookRow> {
    let span = fields.span.clone();
    let (line, _) = reader.place(span.start);
    let matches = read_matches(reader, &mut fields);
    let stated = read_says(reader, &mut fields);
    let from = fields.take("from").and_then(|node| reader.instant(node, "from"));
    let until = fields.take("until").and_then(|node| reader.instant(node, "until"));
    reader.in_order(from, until, &span);
    let basis = fields.need("basis", reader).and_then(|node| {
        let known = ["declared-by-contract", "documented", "observed", "operator"];
        reader.one_of(node, "basis", &known, Basis::by_name)
    });
    let sources = fields.need("source", reader).map(|node| reader.words(node, "source")).unwrap_or_default();
    let sources: Vec<Arc<str>> = sources.into_iter().map(|(source, _)| source).collect();
    let confidence = fields.need("confidence", reader).and_then(|node| {
        let known = ["verified", "primary", "secondary", "stated"];
        reader.one_of(node, "confidence", &known, Confidence::by_name)
    });
    let as_of = fields
        .take("as_of")
        .and_then(|node| reader.instant(node, "as_of"))
        .map_or_else(|| Arc::clone(book_as_of), |date| date.strftime("%Y-%m-%d").to_string().into());
    fields.finish(reader);
    let (Some(basis), false, Some(confidence)) = (basis, sources.is_empty(), confidence) else {
        return Vec::new();
    };
    let source: Arc<str> = sources.join("; ").into();
    let dated = from.is_some() || until.is_some();
    let mut rows = Vec::new();
    for (attribute, value) in stated {
        if dated && EARLY.contains(&attribute) {
            reader.wrong(
                &span,
                format!("`{attribute}` cannot be dated: other rows match on it"),
                "leave out from and until",
            );
        }
        let fact = Fact { value, basis, source: Arc::clone(&source), as_of: Arc::clone(&as_of), confidence };
        rows.push(BookRow {
            attribute,
            of: matches.clone(),
            dated: DatedFact { from, until, fact },
            file: reader.file(),
            line,
            overlay: false,
            sources: sources.len(),
        });
    }
    rows
}

fn read_matches<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'_, 't>) -> Vec<Match> {
    let Some(of) = fields.need("of", reader).and_then(|node| reader.fields(node, "`of`")) else {
        return Vec::new();
    };
    let mut matches = Vec::new();
    for (key, span, node) in of.entries() {
        match MATCHES.iter().find(|(attribute, _)| attribute.name() == key) {
            Some((attribute, _)) => {
                let words = reader.words(node, key).into_iter().map(|(word, _)| word).collect();
                matches.push((*attribute, words));
            }
            None => {
                let known: Vec<&str> = MATCHES.iter().map(|(attribute, _)| attribute.name()).collect();
                reader.wrong(&span, format!("rows cannot match on `{key}`"), did_you_mean(key, &known));
            }
        }
    }
    matches
}

fn read_says<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'_, 't>) -> Vec<(Attribute, Value)> {
    let Some(says) = fields.need("says", reader).and_then(|node| reader.fields(node, "`says`")) else {
        return Vec::new();
    };
    let mut stated = Vec::new();
    for (key, span, node) in says.entries() {
        match Attribute::facts().find(|attribute| attribute.name() == key) {
            Some(attribute) => {
                stated.extend(reader.attribute_value(node, attribute).map(|value| (attribute, value)));
            }
            None => {
                let known: Vec<&str> = Attribute::facts().map(Attribute::name).collect();
                reader.wrong(&span, format!("there is no fact `{key}`"), did_you_mean(key, &known));
            }
        }
    }
    stated
}
