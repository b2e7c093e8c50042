//! Reads a pack: the rows that a lawyer reads, checked, with the place of every mistake.

use crate::{
    attribute::Attribute,
    permission::{Action, Mode},
    problem::Problems,
    reader::{Fields, Node, Reader, did_you_mean},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Whom a pack binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binds {
    /// The operator of the gateway, by his own contract or policy.
    Us,
    /// Vendors, among each other.
    OurVendors,
    /// Everybody, by law. Not waivable.
    Law,
}

impl Binds {
    /// The name in sheets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::OurVendors => "our-vendors",
            Self::Law => "law",
        }
    }
}

/// Whether a second person has signed the pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PackStatus {
    /// Not signed.
    Draft,
    /// Signed.
    Approved,
}

/// A mode and the instant from which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatedMode {
    /// The mode.
    pub mode: Mode,
    /// Since when; `None`: since ever.
    pub from: Option<Timestamp>,
}

/// One condition: an attribute and the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What is looked at.
    pub attribute: Attribute,
    /// The words, sorted. A word with `*` is a pattern (open attributes only).
    pub words: Vec<Arc<str>>,
    /// The words as written, groups unresolved: for the sentence.
    pub written: Vec<Arc<str>>,
}

/// What a rule does to what it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Refuses unless all of these hold.
    AllowedOnly(Vec<Clause>),
    /// Refuses where all of these hold.
    Forbidden(Vec<Clause>),
    /// Refuses nothing.
    Notice,
}

/// One row: a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Unique among all packs.
    pub id: Arc<str>,
    /// A few words.
    pub title: Arc<str>,
    /// First instant at which it holds.
    pub from: Option<Timestamp>,
    /// First instant at which it no longer holds: the earlier of `until` and the dated `until_event`.
    pub until: Option<Timestamp>,
    /// The event that ends it, dated by an operator.
    pub until_event: Option<Arc<str>>,
    /// The actions that it concerns.
    pub actions: Vec<Action>,
    /// All of these must hold for the rule to apply.
    pub applies_to: Vec<Clause>,
    /// What it does.
    pub verdict: Verdict,
    /// Where all clauses of one of these hold, it does not apply.
    pub except: Vec<Vec<Clause>>,
    /// The text of a notice.
    pub notice: Option<Arc<str>>,
    /// A hand-written sentence in place of the generated one.
    pub says: Option<Arc<str>>,
    /// Where it comes from.
    pub source: Arc<str>,
    /// The clause in the source.
    pub clause: Arc<str>,
    /// The words of the source.
    pub quote: Option<Arc<str>>,
    /// Who answers for the row.
    pub owner: Option<Arc<str>>,
    /// When it was last compared with its source.
    pub reviewed: Option<Timestamp>,
    /// Who signed it.
    pub approved_by: Option<Arc<str>>,
    /// Whether a waiver may lift it; never of a law pack.
    pub waivable: bool,
    /// Its own modes; empty: the pack's.
    pub modes: Vec<DatedMode>,
    /// Its line in the file.
    pub line: u32,
}

impl Row {
    /// Every condition in it.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        let verdict: &[Clause] = match &self.verdict {
            Verdict::AllowedOnly(clauses) | Verdict::Forbidden(clauses) => clauses,
            Verdict::Notice => &[],
        };
        self.applies_to.iter().chain(verdict).chain(self.except.iter().flatten())
    }
}

/// A pack of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Its id.
    pub id: Arc<str>,
    /// A few words.
    pub title: Arc<str>,
    /// Whom it binds.
    pub binds: Binds,
    /// Whether it was signed.
    pub status: PackStatus,
    /// Who wrote it; he may not approve it. `None` where it does not say.
    pub author: Option<Arc<str>>,
    /// Modes of its rules, unless the configuration or the rule says otherwise.
    pub modes: Vec<DatedMode>,
    /// Content hash of the file (and of the raw policies beside it): `blake3:` and 64 hex digits.
    pub hash: Arc<str>,
    /// The file.
    pub file: Arc<str>,
    /// Its rules, in order.
    pub rows: Vec<Row>,
}

/// At most this many rules in a pack.
pub const MAX_ROWS: usize = 10_000;
/// Names of the modes.
pub(crate) const MODES: [&str; 3] = ["observe", "warn", "enforce"];

/// Reads a pack. Where anything is wrong, the problems are not empty.
#[must_use]
pub fn read(file: &str, text: &str, events: &BTreeMap<String, Timestamp>) -> (Option<Pack>, Problems) {
    let mut reader = Reader::new(file, text);
    let root = reader.parse();
    let mut fields = Fields::new(root.get_ref(), root.span(), "a pack file");
    let head = fields.need("pack", &mut reader).and_then(|node| reader.fields(node, "`pack`"));
    let pack = head.and_then(|head| read_head(&mut reader, head));
    let law = pack.as_ref().is_some_and(|pack| pack.binds == Binds::Law);
    let mut rows = Vec::new();
    if let Some(list) = fields.need("rule", &mut reader) {
        match list.get_ref().as_array() {
            Some(list) if list.len() > MAX_ROWS => {
                reader.wrong(&root.span(), format!("more than {MAX_ROWS} rules"), "split the pack");
            }
            Some(list) => {
                for node in list.iter() {
                    if let Some(fields) = reader.fields(node, "a rule") {
                        rows.extend(read_row(&mut reader, fields, law, events));
                    }
                }
            }
            None => {
                reader.wrong(&list.span(), "`rule` must be a list of tables".to_owned(), "write [[rule]]")
            }
        }
    }
    fields.finish(&mut reader);
    let hash = super::approval::content_hash(text, None).into();
    (pack.map(|pack| Pack { rows, hash, ..pack }), reader.problems)
}

fn read_head<'t>(reader: &mut Reader<'t>, mut fields: Fields<'_, 't>) -> Option<Pack> {
    let id = fields.need("id", reader).and_then(|node| reader.text(node, "id"));
    let title = fields.need("title", reader).and_then(|node| reader.text(node, "title"));
    let binds = fields.need("binds", reader).and_then(|node| {
        reader.one_of(node, "binds", &["us", "our-vendors", "law"], |word| match word {
            "us" => Some(Binds::Us),
            "our-vendors" => Some(Binds::OurVendors),
            "law" => Some(Binds::Law),
            _ => None,
        })
    });
    let status = fields.need("status", reader).and_then(|node| {
        reader.one_of(node, "status", &["draft", "approved"], |word| match word {
            "draft" => Some(PackStatus::Draft),
            "approved" => Some(PackStatus::Approved),
            _ => None,
        })
    });
    let author = text(reader, &mut fields, "author");
    let modes = fields.need("mode", reader).map(|node| read_modes(reader, node)).unwrap_or_default();
    fields.finish(reader);
    Some(Pack {
        id: id?,
        title: title?,
        binds: binds?,
        status: status?,
        author,
        modes,
        hash: "".into(),
        file: reader.file(),
        rows: vec![],
    })
}

/// `"observe"`, or a list of `{ mode, from }`.
fn read_modes<'t>(reader: &mut Reader<'t>, node: &Node<'t>) -> Vec<DatedMode> {
    let Some(list) = node.get_ref().as_array() else {
        let mode = reader.one_of(node, "mode", &MODES, Mode::by_name);
        return mode.map(|mode| DatedMode { mode, from: None }).into_iter().collect();
    };
    let mut modes = Vec::new();
    for item in list.iter() {
        let Some(mut fields) = reader.fields(item, "a mode") else { continue };
        let mode =
            fields.need("mode", reader).and_then(|node| reader.one_of(node, "mode", &MODES, Mode::by_name));
        let from = fields.take("from").and_then(|node| reader.instant(node, "from"));
        fields.finish(reader);
        modes.extend(mode.map(|mode| DatedMode { mode, from }));
    }
    modes.sort_by_key(|mode| mode.from);
    modes
}

fn read_row<'t>(
    reader: &mut Reader<'t>,
    mut fields: Fields<'_, 't>,
    law: bool,
    events: &BTreeMap<String, Timestamp>,
) -> Option<Row> {
    let span = fields.span.clone();
    let (line, _) = reader.place(span.start);
    let id_node = fields.need("id", reader);
    let id = id_node.and_then(|node| {
        let id = reader.text(node, "id")?;
        if !rule_id_fits(&id) {
            reader.wrong(
                &node.span(),
                format!("`{id}` cannot be a rule id"),
                "lower-case letters, digits and `-`, at most 64, not beginning with base-permit",
            );
        }
        Some(id)
    });
    let title = fields.need("title", reader).and_then(|node| reader.text(node, "title"));
    let from = fields.take("from").and_then(|node| reader.instant(node, "from"));
    let until_node = fields.take("until");
    let until = until_node.and_then(|node| reader.instant(node, "until"));
    reader.in_order(from, until, &until_node.map_or(span, |node| node.span()));
    let until_event = text(reader, &mut fields, "until_event");
    let event_date = until_event.as_deref().and_then(|event| events.get(event)).copied();
    let (actions, applies_to) = read_applies_to(reader, &mut fields);
    let (verdict, notice) = read_verdict(reader, &mut fields);
    let except = read_except(reader, &mut fields);
    let says = text(reader, &mut fields, "says");
    let source = fields.need("source", reader).and_then(|node| reader.text(node, "source"));
    let clause = fields.need("clause", reader).and_then(|node| reader.text(node, "clause"));
    let quote = text(reader, &mut fields, "quote");
    let owner = text(reader, &mut fields, "owner");
    let reviewed = fields.take("reviewed").and_then(|node| reader.instant(node, "reviewed"));
    let approved_by = text(reader, &mut fields, "approved_by");
    let waivable = fields.take("waivable").and_then(|node| {
        let waivable = reader.flag(node, "waivable")?;
        if law && waivable {
            reader.wrong(&node.span(), "a rule of a law pack is not waivable".to_owned(), "leave it out");
        }
        Some(waivable)
    });
    let modes = fields.take("mode").map(|node| read_modes(reader, node)).unwrap_or_default();
    fields.finish(reader);
    Some(Row {
        id: id?,
        title: title?,
        from,
        until: [until, event_date].into_iter().flatten().min(),
        until_event,
        actions,
        applies_to,
        verdict: verdict?,
        except,
        notice,
        says,
        source: source?,
        clause: clause?,
        quote,
        owner,
        reviewed,
        approved_by,
        waivable: waivable.unwrap_or(!law) && !law,
        modes,
        line,
    })
}

/// Ids stand in headers, records and Cedar: lower-case letters, digits and `-`, at most 64.
pub(crate) fn rule_id_fits(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) && !id.starts_with("base-permit")
}

fn text<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'_, 't>, key: &'static str) -> Option<Arc<str>> {
    fields.take(key).and_then(|node| reader.text(node, key))
}

fn read_applies_to<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'_, 't>) -> (Vec<Action>, Vec<Clause>) {
    let mut actions = Vec::new();
    let mut clauses = Vec::new();
    let Some(node) = fields.take("applies_to") else { return (vec![Action::Infer], clauses) };
    let Some(mut table) = reader.fields(node, "`applies_to`") else { return (vec![Action::Infer], clauses) };
    if let Some(node) = table.take("action") {
        for (word, span) in reader.words(node, "action") {
            match Action::by_name(&word) {
                Some(action) => actions.push(action),
                None => {
                    let known: Vec<&str> = Action::ALL.into_iter().map(Action::name).collect();
                    reader.wrong(&span, format!("there is no action `{word}`"), did_you_mean(&word, &known));
                }
            }
        }
    }
    actions.sort_unstable();
    actions.dedup();
    if actions.is_empty() {
        actions.push(Action::Infer);
    }
    clauses.extend(read_clauses(reader, &table, &["action"]));
    (actions, clauses)
}

/// Every key of the table as a clause, but for those in `skip`.
pub(super) fn read_clauses<'t>(
    reader: &mut Reader<'t>,
    table: &Fields<'_, 't>,
    skip: &[&str],
) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for (key, span, node) in table.entries() {
        if skip.contains(&key) {
            continue;
        }
        let Some(attribute) = Attribute::by_name(key) else {
            let known: Vec<&str> =
                Attribute::ALL.iter().filter(|a| a.readable()).map(|attribute| attribute.name()).collect();
            reader.wrong(&span, format!("there is no attribute `{key}`"), did_you_mean(key, &known));
            continue;
        };
        if !attribute.readable() {
            reader.wrong(
                &span,
                format!("terms cannot read `{key}`"),
                "whether a model is offered somewhere is a fact (what can be), not a term (what may be)",
            );
            continue;
        }
        let written: BTreeSet<Arc<str>> = reader.words(node, key).into_iter().map(|(word, _)| word).collect();
        let before = reader.problems.0.len();
        let words = reader.attribute_words(node, attribute);
        if !words.is_empty() && reader.problems.0.len() == before {
            clauses.push(Clause { attribute, words, written: written.into_iter().collect() });
        }
    }
    clauses
}

fn read_verdict<'t>(
    reader: &mut Reader<'t>,
    fields: &mut Fields<'_, 't>,
) -> (Option<Verdict>, Option<Arc<str>>) {
    let span = fields.span.clone();
    let allowed = fields.take("allowed_only").and_then(|node| reader.fields(node, "`allowed_only`"));
    let allowed = allowed.map(|table| (table.span.clone(), read_clauses(reader, &table, &[])));
    let forbidden = fields.take("forbidden").and_then(|node| reader.fields(node, "`forbidden`"));
    let forbidden = forbidden.map(|table| (table.span.clone(), read_clauses(reader, &table, &[])));
    let notice = text(reader, fields, "notice");
    let verdict = match (allowed, forbidden, &notice) {
        (Some((_, clauses)), None, None) => Verdict::AllowedOnly(clauses),
        (None, Some((_, clauses)), None) => Verdict::Forbidden(clauses),
        (None, None, Some(_)) => Verdict::Notice,
        (None, None, None) => {
            reader.wrong(
                &span,
                "the rule does nothing: it has no `allowed_only`, `forbidden` or `notice`".to_owned(),
                "give it exactly one of them",
            );
            return (None, None);
        }
        _ => {
            reader.wrong(
                &span,
                "the rule has more than one of `allowed_only`, `forbidden` and `notice`".to_owned(),
                "one row, one verdict: make it two rows",
            );
            return (None, None);
        }
    };
    if let Verdict::AllowedOnly(clauses) | Verdict::Forbidden(clauses) = &verdict
        && clauses.is_empty()
        && reader.problems.0.is_empty()
    {
        reader.wrong(
            &span,
            "the verdict of the rule names nothing".to_owned(),
            "name at least one attribute",
        );
    }
    (Some(verdict), notice)
}

fn read_except<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'_, 't>) -> Vec<Vec<Clause>> {
    let Some(node) = fields.take("except") else { return Vec::new() };
    let Some(list) = node.get_ref().as_array() else {
        reader.wrong(&node.span(), "`except` must be a list of tables".to_owned(), "write except = [{ … }]");
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in list.iter() {
        let Some(table) = reader.fields(item, "an exception") else { continue };
        let before = reader.problems.0.len();
        let clauses = read_clauses(reader, &table, &[]);
        if !clauses.is_empty() {
            all.push(clauses);
        } else if reader.problems.0.len() == before {
            reader.wrong(
                &item.span(),
                "an exception without a condition lifts the whole rule".to_owned(),
                "",
            );
        }
    }
    all
}
