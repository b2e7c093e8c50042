//! Placement facts: what is stated about a deployment, by whom, since when, and how sure it is.
//!
//! A fact is never just a value: it has a basis (a declared fact is never shown as observed), a source, the
//! day it was looked up and a confidence. Facts are dated rows. What nobody stated is the value `unknown`.

mod book;
mod compare;
mod gathered;
mod shown;
mod stale;

use crate::attribute::{Attribute, Value};
use domain::{DeploymentId, ModelName};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

pub use book::{BookRow, FactBook};
pub use compare::{Difference, RowChange, Stretch, Turn, compare_books, compare_dates, compare_rows, turns};
pub use shown::{FactShown, HostShown, Shadowed, hosts, show};
pub use stale::{Coming, Limits as StaleLimits, RowNoted, Staleness, stale};

/// What a fact rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// A contract or public statement of the parties says so.
    DeclaredByContract,
    /// The vendor's documentation says so.
    Documented,
    /// We saw it.
    Observed,
    /// The operator of the gateway says so in the configuration.
    Operator,
    /// Nobody stated it: the value is `unknown`.
    Unstated,
}

impl Basis {
    /// The name in fact books and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeclaredByContract => "declared-by-contract",
            Self::Documented => "documented",
            Self::Observed => "observed",
            Self::Operator => "operator",
            Self::Unstated => "unstated",
        }
    }

    /// The basis of this name; `unstated` cannot be written.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::DeclaredByContract, Self::Documented, Self::Observed, Self::Operator]
            .into_iter()
            .find(|basis| basis.name() == name)
    }
}

/// How sure a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Two or more independent sources.
    Verified,
    /// One primary source: the vendor's documentation, its SDK, a recording.
    Primary,
    /// One secondary source.
    Secondary,
    /// The operator or a default of the gateway says so.
    Stated,
}

impl Confidence {
    /// The name in fact books.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Stated => "stated",
        }
    }

    /// The confidence of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Verified, Self::Primary, Self::Secondary, Self::Stated].into_iter().find(|c| c.name() == name)
    }
}

/// A value with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What is stated.
    pub value: Value,
    /// By whom.
    pub basis: Basis,
    /// Where: a URL, a document, or the place in the configuration.
    pub source: Arc<str>,
    /// The day it was looked up, `YYYY-MM-DD`; empty for the operator's own.
    pub as_of: Arc<str>,
    /// How sure it is.
    pub confidence: Confidence,
}

impl Fact {
    /// The fact that nobody stated anything.
    #[must_use]
    pub fn unstated(attribute: Attribute) -> Self {
        Self {
            value: Value::unknown(attribute),
            basis: Basis::Unstated,
            source: "".into(),
            as_of: "".into(),
            confidence: Confidence::Stated,
        }
    }
}

/// A fact with its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedFact {
    /// First instant at which it holds; `None`: since ever.
    pub from: Option<Timestamp>,
    /// First instant at which it no longer holds; `None`: open.
    pub until: Option<Timestamp>,
    /// The fact.
    pub fact: Fact,
}

impl DatedFact {
    /// True where it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// Whether a model is offered at a place. Another question than whether it is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Generally available.
    Ga,
    /// In open preview.
    Preview,
    /// In a preview for admitted customers.
    GatedPreview,
    /// No longer offered.
    Retired,
    /// Not offered there (yet).
    NotOffered,
    /// Nobody stated it; treated as offered, and shown as unknown.
    Unknown,
}

impl Availability {
    /// From a fact's word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "ga" => Self::Ga,
            "preview" => Self::Preview,
            "gated-preview" => Self::GatedPreview,
            "retired" => Self::Retired,
            "not-offered" => Self::NotOffered,
            _ => Self::Unknown,
        }
    }

    /// The name in fact books and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ga => "ga",
            Self::Preview => "preview",
            Self::GatedPreview => "gated-preview",
            Self::Retired => "retired",
            Self::NotOffered => "not-offered",
            Self::Unknown => "unknown",
        }
    }

    /// True where calls can be sent at all.
    #[must_use]
    pub const fn offered(self) -> bool {
        !matches!(self, Self::Retired | Self::NotOffered)
    }
}

/// A deployment as the operator describes it, before the fact book is asked.
#[derive(Clone, Debug)]
pub struct DeploymentSpec {
    /// The operator's name for it.
    pub id: DeploymentId,
    /// The adapter's name in the registry (`azure`, `bedrock` …).
    pub provider: Arc<str>,
    /// The model's name in the catalog (not the cloud's id for it).
    pub model: ModelName,
    /// What the operator states himself; each wins over the book, with basis `operator`. `region`,
    /// `geo_tier` and `hosted_on` belong here: rows of the book match on them.
    pub stated: Vec<Stated>,
}

/// One fact that the operator states about a deployment.
#[derive(Clone, Debug)]
pub struct Stated {
    /// Which.
    pub attribute: Attribute,
    /// What.
    pub value: Value,
    /// First instant at which it holds.
    pub from: Option<Timestamp>,
    /// First instant at which it no longer holds.
    pub until: Option<Timestamp>,
    /// Where he says so, for instance `cabotage.toml:17`.
    pub source: Arc<str>,
}

impl Stated {
    /// An undated statement, with the value checked against what the attribute may hold.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what is known.
    pub fn new(attribute: Attribute, words: &[&str], source: &str) -> Result<Self, String> {
        use crate::attribute::{Shape, Words};
        let mut resolved: Vec<&str> = Vec::new();
        for word in words {
            match (attribute.group(word), attribute.words()) {
                (Some(group), _) => resolved.extend(group),
                (None, Words::Closed(known)) if !known.contains(word) => {
                    return Err(format!(
                        "`{attribute}` knows no value `{word}`; {}",
                        crate::reader::did_you_mean(word, known)
                    ));
                }
                (None, _) => resolved.push(word),
            }
        }
        let value = match (attribute.shape(), resolved.as_slice()) {
            (_, []) => return Err(format!("`{attribute}` is given no value")),
            (Shape::Word, [word]) => Value::word(word),
            (Shape::Word, _) => return Err(format!("`{attribute}` is one word, not several")),
            (_, words) => Value::set(words.iter().copied(), crate::attribute::UNKNOWN),
        };
        Ok(Self { attribute, value, from: None, until: None, source: source.into() })
    }
}

/// All that is stated about one deployment, dated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// The operator's name for it.
    pub id: DeploymentId,
    /// Rows per fact, not overlapping, sorted by date.
    pub(crate) rows: BTreeMap<Attribute, Vec<DatedFact>>,
}

impl DeploymentFacts {
    /// A deployment with these rows; where rows of one fact overlap, the first that holds counts.
    #[must_use]
    pub const fn new(id: DeploymentId, rows: BTreeMap<Attribute, Vec<DatedFact>>) -> Self {
        Self { id, rows }
    }

    /// The fact as it stands at `now`; a fact that nobody stated is `unknown`.
    #[must_use]
    pub fn at(&self, attribute: Attribute, now: Timestamp) -> Fact {
        self.find(attribute, now).cloned().unwrap_or_else(|| Fact::unstated(attribute))
    }

    /// The value as it stands at `now`.
    #[must_use]
    pub fn value(&self, attribute: Attribute, now: Timestamp) -> Value {
        self.find(attribute, now).map_or_else(|| Value::unknown(attribute), |fact| fact.value.clone())
    }

    /// The same facts under another name.
    #[must_use]
    pub fn named(&self, id: &DeploymentId) -> Self {
        Self { id: id.clone(), rows: self.rows.clone() }
    }

    /// Whether it is offered at `now`.
    #[must_use]
    pub fn availability(&self, now: Timestamp) -> Availability {
        Availability::of(self.value(Attribute::Availability, now).as_word())
    }

    /// Every date at which one of its facts changes.
    pub fn boundaries(&self) -> impl Iterator<Item = Timestamp> {
        self.rows.values().flatten().flat_map(|row| [row.from, row.until]).flatten()
    }

    /// The next date after `now` at which this fact changes, if any.
    #[must_use]
    pub fn next_change(&self, attribute: Attribute, now: Timestamp) -> Option<Timestamp> {
        let rows = self.rows.get(&attribute)?;
        rows.iter().flat_map(|row| [row.from, row.until]).flatten().filter(|date| *date > now).min()
    }

    /// The row that holds at `now`, with its dates.
    #[must_use]
    pub fn dated(&self, attribute: Attribute, now: Timestamp) -> Option<&DatedFact> {
        self.rows.get(&attribute)?.iter().find(|row| row.holds(now))
    }

    fn find(&self, attribute: Attribute, now: Timestamp) -> Option<&Fact> {
        self.dated(attribute, now).map(|row| &row.fact)
    }
}
