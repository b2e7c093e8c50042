//! Reads a file of questions: all that is wrong with it at once, with places and hints.

use crate::{
    permission::Action,
    problem::Problems,
    reader::{Fields, Node, Reader, did_you_mean},
    terms::sheet::{Clause, read_clauses},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// At most this many claims in a file.
pub const MAX_CLAIMS: usize = 1_000;

/// A file of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProveFile {
    /// The file as the caller named it.
    pub file: Arc<str>,
    /// The packs that are asked about together, by id; empty: the pack that the file stands beside.
    pub packs: Vec<Arc<str>>,
    /// Dates of events that end rules. An event that is not here has not happened.
    pub events: BTreeMap<String, Timestamp>,
    /// The claims, in order.
    pub claims: Vec<Claim>,
}

/// One thing that must always hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Unique in the file.
    pub id: Arc<str>,
    /// A few words.
    pub title: Arc<str>,
    /// The claim as one plain sentence, by whoever wrote the file.
    pub says: Arc<str>,
    /// What must hold.
    pub kind: ClaimKind,
    /// Which calls it is about.
    pub scope: Scope,
    /// The file.
    pub file: Arc<str>,
    /// The line in the file.
    pub line: u32,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// No call of the scope is permitted.
    NeverPermits,
    /// Every call of the scope is permitted.
    AlwaysPermits,
    /// Every call of the scope that the other terms permit, these permit.
    PermitsAllThat(Comparison),
    /// These terms and the other permit the same calls of the scope.
    Equivalent(Comparison),
    /// No rule can fail when it is evaluated, whatever the call.
    NeverErrors,
}

/// Two terms, or the same at two dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The instant at which these terms are taken; `None`: at every instant.
    pub at: Option<Timestamp>,
    /// The other terms; `None`: the same.
    pub other: Option<PackRef>,
    /// The instant at which the other terms are taken; `None`: at every instant.
    pub other_at: Option<Timestamp>,
}

/// A pack that a comparison names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackRef {
    /// By id.
    Id(Arc<str>),
    /// By the name of a file, from the folder of the file of questions.
    File(Arc<str>),
}

/// Which calls a claim is about: where all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The actions; each is a query of its own.
    pub actions: Vec<Action>,
    /// First instant.
    pub from: Option<Timestamp>,
    /// First instant no longer in it.
    pub until: Option<Timestamp>,
    /// Conditions that hold, read as in a sheet's `applies_to`.
    pub clauses: Vec<Clause>,
    /// Conditions that do not all hold, read as in a sheet's `allowed_only`.
    pub outside: Vec<Clause>,
    /// What is left out.
    pub except: Vec<Exception>,
}

/// Calls that a claim is not about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// First instant.
    pub from: Option<Timestamp>,
    /// First instant no longer in it.
    pub until: Option<Timestamp>,
    /// Conditions that all hold.
    pub clauses: Vec<Clause>,
}

impl Scope {
    /// Every condition in it.
    pub fn all_clauses(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().chain(&self.outside).chain(self.except.iter().flat_map(|except| &except.clauses))
    }

    /// Every instant in it.
    pub fn instants(&self) -> impl Iterator<Item = Timestamp> {
        let own = [self.from, self.until].into_iter();
        own.chain(self.except.iter().flat_map(|except| [except.from, except.until])).flatten()
    }
}

const KINDS: [&str; 5] =
    ["never_permits", "always_permits", "permits_all_that", "equivalent", "never_errors"];

/// Reads a file of questions.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(file: &str, text: &str) -> Result<ProveFile, Problems> {
    let mut reader = Reader::new(file, text);
    let root = reader.parse();
    let mut fields = Fields::new(root.get_ref(), root.span(), "a file of questions");
    let packs = match fields.take("packs") {
        Some(node) => reader.words(node, "packs").into_iter().map(|(word, _)| word).collect(),
        None => Vec::new(),
    };
    let events = fields.take("events").map(|node| read_events(&mut reader, node)).unwrap_or_default();
    let mut claims: Vec<Claim> = Vec::new();
    let mut ids = BTreeSet::new();
    match fields.take("claim").map(|node| (node.span(), node.get_ref().as_array())) {
        Some((span, Some(list))) if list.len() > MAX_CLAIMS => {
            reader.wrong(&span, format!("more than {MAX_CLAIMS} claims"), "split the file");
        }
        Some((_, Some(list))) => {
            for node in list.iter() {
                let Some(table) = reader.fields(node, "a claim") else { continue };
                let Some(claim) = read_claim(&mut reader, table) else { continue };
                if !ids.insert(Arc::clone(&claim.id)) {
                    let message = format!("the claim `{}` is there twice", claim.id);
                    reader.wrong(&node.span(), message, "give it another id");
                }
                claims.push(claim);
            }
        }
        Some((span, None)) => {
            reader.wrong(&span, "`claim` must be a list of tables".to_owned(), "write [[claim]]");
        }
        None => reader.wrong(&(0..0), "the file asks nothing".to_owned(), "write [[claim]]"),
    }
    fields.finish(&mut reader);
    let file = reader.file();
    reader.problems.into_result()?;
    Ok(ProveFile { file, packs, events, claims })
}

fn read_events<'t>(reader: &mut Reader<'t>, node: &Node<'t>) -> BTreeMap<String, Timestamp> {
    let Some(table) = reader.fields(node, "`events`") else { return BTreeMap::new() };
    table
        .entries()
        .into_iter()
        .filter_map(|(name, _, node)| Some((name.to_owned(), reader.instant(node, name)?)))
        .collect()
}

fn read_claim<'t>(reader: &mut Reader<'t>, mut fields: Fields<'_, 't>) -> Option<Claim> {
    let span = fields.span.clone();
    let (line, _) = reader.place(span.start);
    let mut text = |key: &'static str, reader: &mut Reader<'t>| {
        fields.need(key, reader).and_then(|node| reader.text(node, key))
    };
    let (id, title, says) = (text("id", reader), text("title", reader), text("says", reader));
    let asked: Vec<&'static str> = KINDS.into_iter().filter(|key| fields.take(key).is_some()).collect();
    let [key] = asked.as_slice() else {
        let message = if asked.is_empty() {
            "the claim claims nothing".to_owned()
        } else {
            format!("the claim claims several things: {}", asked.join(", "))
        };
        reader.wrong(&span, message, format!("give it exactly one of {}", KINDS.join(", ")));
        return None;
    };
    let node = fields.take(key)?;
    let (kind, mut scope) = match *key {
        "never_errors" => {
            if reader.flag(node, key) == Some(false) {
                reader.wrong(&node.span(), "`never_errors` is true or left out".to_owned(), "");
            }
            fields.finish(reader);
            let scope = Scope { actions: Action::ALL.to_vec(), ..Scope::default() };
            return Some(Claim {
                id: id?,
                title: title?,
                says: says?,
                kind: ClaimKind::NeverErrors,
                scope,
                file: reader.file(),
                line,
            });
        }
        "never_permits" => (ClaimKind::NeverPermits, read_scope(reader, node, &[Action::Infer])),
        "always_permits" => (ClaimKind::AlwaysPermits, read_scope(reader, node, &[Action::Infer])),
        _ => {
            let at = fields.take("at").and_then(|node| reader.instant(node, "at"));
            let comparison = read_comparison(reader, node, at);
            let scope = match fields.take("scope") {
                Some(node) => read_scope(reader, node, &Action::ALL),
                None => Scope { actions: Action::ALL.to_vec(), ..Scope::default() },
            };
            if *key == "equivalent" {
                (ClaimKind::Equivalent(comparison), scope)
            } else {
                (ClaimKind::PermitsAllThat(comparison), scope)
            }
        }
    };
    if let Some(node) = fields.take("outside")
        && let Some(table) = reader.fields(node, "`outside`")
    {
        scope.outside = conditions(reader, &table, &[], "`outside`");
    }
    scope.except = fields.take("except").map(|node| read_except(reader, node)).unwrap_or_default();
    fields.finish(reader);
    Some(Claim { id: id?, title: title?, says: says?, kind, scope, file: reader.file(), line })
}

/// Clauses, of which there is at least one.
fn conditions<'t>(reader: &mut Reader<'t>, table: &Fields<'_, 't>, skip: &[&str], what: &str) -> Vec<Clause> {
    let before = reader.problems.0.len();
    let clauses = read_clauses(reader, table, skip);
    if clauses.is_empty() && reader.problems.0.len() == before {
        reader.wrong(&table.span, format!("{what} names no attribute"), "name one, or leave it out");
    }
    clauses
}

const DATES: [&str; 2] = ["from", "until"];

fn read_scope<'t>(reader: &mut Reader<'t>, node: &Node<'t>, usual: &[Action]) -> Scope {
    let mut scope = Scope { actions: usual.to_vec(), ..Scope::default() };
    let Some(mut table) = reader.fields(node, "the calls of a claim") else { return scope };
    (scope.from, scope.until) = read_dates(reader, &mut table);
    if let Some(node) = table.take("action") {
        scope.actions.clear();
        for (word, span) in reader.words(node, "action") {
            match Action::by_name(&word) {
                Some(action) => scope.actions.push(action),
                None if &*word == "any" => scope.actions.extend(Action::ALL),
                None => {
                    let known: Vec<&str> = Action::ALL.into_iter().map(Action::name).chain(["any"]).collect();
                    reader.wrong(&span, format!("there is no action `{word}`"), did_you_mean(&word, &known));
                }
            }
        }
        scope.actions.sort_unstable();
        scope.actions.dedup();
    }
    scope.clauses = read_clauses(reader, &table, &["action", "from", "until"]);
    scope
}

fn read_dates<'t>(
    reader: &mut Reader<'t>,
    table: &mut Fields<'_, 't>,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let [from, until] = DATES.map(|key| table.take(key).and_then(|node| reader.instant(node, key)));
    let span = table.span.clone();
    reader.in_order(from, until, &span);
    (from, until)
}

fn read_except<'t>(reader: &mut Reader<'t>, node: &Node<'t>) -> Vec<Exception> {
    let Some(list) = node.get_ref().as_array() else {
        reader.wrong(&node.span(), "`except` must be a list of tables".to_owned(), "write except = [{ … }]");
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in list.iter() {
        let Some(mut table) = reader.fields(item, "an exception") else { continue };
        let (from, until) = read_dates(reader, &mut table);
        let clauses = conditions(reader, &table, &DATES, "an exception");
        all.push(Exception { from, until, clauses });
    }
    all
}

fn read_comparison<'t>(reader: &mut Reader<'t>, node: &Node<'t>, at: Option<Timestamp>) -> Comparison {
    let mut comparison = Comparison { at, ..Comparison::default() };
    let Some(mut table) = reader.fields(node, "what the terms are compared with") else { return comparison };
    comparison.other_at = table.take("at").and_then(|node| reader.instant(node, "at"));
    let id = table.take("pack").and_then(|node| reader.text(node, "pack")).map(PackRef::Id);
    let file = table.take("file").and_then(|node| reader.text(node, "file")).map(PackRef::File);
    if id.is_some() && file.is_some() {
        reader.wrong(&node.span(), "both `pack` and `file`".to_owned(), "name the other terms once");
    }
    comparison.other = id.or(file);
    if comparison.other.is_none() && comparison.other_at == at && reader.problems.0.is_empty() {
        reader.wrong(
            &node.span(),
            "the terms are compared with themselves".to_owned(),
            "name another `pack` or `file`, or give the claim and the other side different `at`",
        );
    }
    table.finish(reader);
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attribute::Attribute, instant};

    #[test]
    fn a_file_of_questions_is_read() {
        let file = read(
            "x.prove.toml",
            r#"
            packs = ["a", "b"]
            events = { agi = 2025-12-24 }
            [[claim]]
            id = "one"
            title = "One"
            says = "No call leaves Azure."
            never_permits = { class = "stateless", from = 2025-01-21, until = 2026-04-27 }
            outside = { cloud = "azure" }
            except = [{ tags = "us-gov-natsec", from = 2025-10-28 }]
            [[claim]]
            id = "two"
            title = "Two"
            says = "April permits all that February did."
            at = 2026-04-27
            permits_all_that = { at = 2026-02-27 }
            [[claim]]
            id = "three"
            title = "Three"
            says = "Nothing fails."
            never_errors = true
            "#,
        )
        .unwrap();
        assert_eq!(file.packs, ["a".into(), "b".into()] as [Arc<str>; 2]);
        let [one, two, three] = file.claims.as_slice() else { panic!() };
        assert_eq!(one.scope.actions, [Action::Infer]);
        assert_eq!(one.scope.outside.first().map(|clause| clause.attribute), Some(Attribute::Cloud));
        assert_eq!(one.scope.except.first().and_then(|e| e.from), instant::parse("2025-10-28").ok());
        assert_eq!(two.scope.actions, Action::ALL);
        let ClaimKind::PermitsAllThat(comparison) = &two.kind else { panic!() };
        assert_eq!(comparison.other_at, instant::parse("2026-02-27").ok());
        assert_eq!((&three.kind, three.line), (&ClaimKind::NeverErrors, 17));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let problems = read(
            "x.prove.toml",
            r#"
            [[claim]]
            id = "one"
            title = "One"
            never_permits = { clouds = "azure", action = "inferr", from = 2026-01-01, until = 2025-01-01 }
            except = [{ from = 2025-10-28 }]
            [[claim]]
            id = "two"
            title = "Two"
            says = "Nothing."
            [[claim]]
            id = "three"
            title = "Three"
            says = "The same as itself."
            equivalent = {}
            never_errors = true
            [[claim]]
            id = "two"
            title = "Two"
            says = "Twice."
            never_errors = true
            colour = "red"
            "#,
        )
        .unwrap_err()
        .to_string();
        for said in [
            "a claim has no `says`",
            "there is no attribute `clouds`",
            "did you mean `cloud`?",
            "there is no action `inferr`",
            "is not after `from`",
            "an exception names no attribute",
            "the claim claims nothing",
            "claims several things: equivalent, never_errors",
            "a claim knows no `colour`",
        ] {
            assert!(problems.contains(said), "{said}\n{problems}");
        }
        let same = "[[claim]]\nid=\"a\"\ntitle=\"A\"\nsays=\"A.\"\nequivalent = {}\n";
        let problems = read("x", same).unwrap_err().to_string();
        assert!(problems.contains("compared with themselves"), "{problems}");
        let twice = "[[claim]]\nid=\"a\"\ntitle=\"A\"\nsays=\"A.\"\nnever_errors = true\n".repeat(2);
        assert!(read("x", &twice).unwrap_err().to_string().contains("`a` is there twice"));
        assert!(read("x", "").unwrap_err().to_string().contains("asks nothing"));
    }
}
