//! The fact book: dated rows about providers, models and regions, and how they become the facts of one
//! deployment.
//!
//! A row states one fact for all deployments that it matches. Where several match, the most specific counts
//! (model before family before region before hosting option before geo tier before provider), and among
//! equals the later row, so an overlay file that is read after the shipped one wins.

use super::{Basis, Confidence, DatedFact, DeploymentFacts, DeploymentSpec, Fact};
use crate::{
    attribute::{Attribute, UNKNOWN, Value},
    problem::Problems,
    reader::{Fields, Reader, did_you_mean},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// What rows match on, least specific first. The weight is a power of two, so that one more specific match
/// outweighs all less specific ones together. A model by pattern (`claude-*`) weighs half of a named one.
const MATCHES: [(Attribute, u32); 6] = [
    (Attribute::Provider, 1),
    (Attribute::GeoTier, 2),
    (Attribute::HostedOn, 4),
    (Attribute::Region, 8),
    (Attribute::Family, 16),
    (Attribute::Model, 64),
];

/// Facts that rows match on and that the book may state itself: they must be undated.
const EARLY: [Attribute; 4] = [Attribute::Family, Attribute::HostedOn, Attribute::Region, Attribute::GeoTier];

/// Dated rows about providers, models and regions.
#[derive(Clone, Debug, Default)]
pub struct FactBook {
    rows: Vec<Row>,
    hash: Option<blake3::Hash>,
}

#[derive(Clone, Debug)]
struct Row {
    attribute: Attribute,
    matches: Vec<(Attribute, Vec<Arc<str>>)>,
    dated: DatedFact,
}

impl FactBook {
    /// Reads books in order: `(file name, text)`. Later files win over earlier ones.
    ///
    /// # Errors
    /// Everything that is wrong with them, with places.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Problems> {
        let mut rows = Vec::new();
        let mut problems = Problems::default();
        let mut hasher = blake3::Hasher::new();
        for (file, text) in files {
            let mut reader = Reader::new(file, text);
            read_book(&mut reader, &mut rows);
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

    /// The facts of one deployment: what the operator states, else the most specific row, else unknown.
    #[must_use]
    pub fn describe(&self, spec: &DeploymentSpec) -> DeploymentFacts {
        let mut known: BTreeMap<Attribute, Value> = BTreeMap::new();
        known.insert(Attribute::Provider, Value::Word(Arc::clone(&spec.provider)));
        known.insert(Attribute::Model, Value::word(spec.model.as_str()));
        for attribute in EARLY {
            let rows = self.rows_of(attribute, spec, &known);
            if let Some(first) = rows.first() {
                known.insert(attribute, first.fact.value.clone());
            }
        }
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

    /// The rows of one fact, cut so that they do not overlap.
    fn rows_of(
        &self,
        attribute: Attribute,
        spec: &DeploymentSpec,
        known: &BTreeMap<Attribute, Value>,
    ) -> Vec<DatedFact> {
        let mut ranked: Vec<(u32, usize, DatedFact)> = Vec::new();
        for (order, stated) in spec.stated.iter().enumerate().filter(|(_, s)| s.attribute == attribute) {
            let fact = Fact {
                value: stated.value.clone(),
                basis: Basis::Operator,
                source: Arc::clone(&stated.source),
                as_of: "".into(),
                confidence: Confidence::Stated,
            };
            ranked.push((u32::MAX, order, DatedFact { from: stated.from, until: stated.until, fact }));
        }
        for (order, row) in self.rows.iter().enumerate().filter(|(_, row)| row.attribute == attribute) {
            if let Some(weight) = weight(row, known) {
                ranked.push((weight, order, row.dated.clone()));
            }
        }
        ranked.sort_by_key(|(weight, order, _)| std::cmp::Reverse((*weight, *order)));
        flatten(&ranked.into_iter().map(|(_, _, row)| row).collect::<Vec<_>>())
    }
}

/// How specific a row matches, or `None` where it does not.
fn weight(row: &Row, known: &BTreeMap<Attribute, Value>) -> Option<u32> {
    let mut sum = 0;
    for (attribute, patterns) in &row.matches {
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

fn read_book(reader: &mut Reader<'_>, rows: &mut Vec<Row>) {
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
                        rows.extend(read_row(reader, fields, &as_of));
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
fn read_row<'t>(reader: &mut Reader<'t>, mut fields: Fields<'_, 't>, book_as_of: &Arc<str>) -> Vec<Row> {
    let span = fields.span.clone();
    let matches = read_matches(reader, &mut fields);
    let stated = read_says(reader, &mut fields);
    let from = fields.take("from").and_then(|node| reader.instant(node, "from"));
    let until = fields.take("until").and_then(|node| reader.instant(node, "until"));
    reader.in_order(from, until, &span);
    let basis = fields.need("basis", reader).and_then(|node| {
        let known = ["declared-by-contract", "documented", "observed", "operator"];
        reader.one_of(node, "basis", &known, Basis::by_name)
    });
    let source = fields.need("source", reader).and_then(|node| reader.text(node, "source"));
    let confidence = fields.need("confidence", reader).and_then(|node| {
        let known = ["verified", "primary", "secondary", "stated"];
        reader.one_of(node, "confidence", &known, Confidence::by_name)
    });
    let as_of = fields
        .take("as_of")
        .and_then(|node| reader.instant(node, "as_of"))
        .map_or_else(|| Arc::clone(book_as_of), |date| date.strftime("%Y-%m-%d").to_string().into());
    fields.finish(reader);
    let (Some(basis), Some(source), Some(confidence)) = (basis, source, confidence) else {
        return Vec::new();
    };
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
        rows.push(Row { attribute, matches: matches.clone(), dated: DatedFact { from, until, fact } });
    }
    rows
}

fn read_matches<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'_, 't>) -> Vec<(Attribute, Vec<Arc<str>>)> {
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
