//! Policies written in Cedar itself, beside a pack: for what rows cannot say.
//!
//! They carry the same metadata as rows, as annotations, with a sentence written by hand. What would make a memo
//! or a window wrong is refused when they are loaded: only `forbid`, no entities, attributes of our schema only,
//! and `context.now` only compared with a literal.

use super::{
    RuleInfo,
    sheet::{Binds, DatedMode, MODES, Pack, rule_id_fits},
};
use crate::{
    attribute::{Attribute, Owner, Words},
    instant,
    permission::{Action, Mode},
    problem::{Problem, Problems},
    reader::did_you_mean,
};
use cedar_policy::{Effect, Policy, PolicyId};
use jiff::Timestamp;
use miette::Diagnostic as _;
use serde_json::Value as Json;
use std::{collections::BTreeSet, sync::Arc};

/// Longest file, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// At most this many policies in a file.
const MAX_POLICIES: usize = 1_000;
/// Annotations that every policy carries.
const NEEDED: [&str; 5] = ["id", "title", "says", "source", "clause"];
/// Annotations that there are.
const KNOWN: [&str; 8] = ["id", "title", "says", "source", "clause", "mode", "waivable", "owner"];

/// One policy, checked.
#[derive(Debug)]
pub(crate) struct RawPolicy {
    pub(crate) info: RuleInfo,
    pub(crate) actions: Vec<Action>,
    /// Its own mode; empty: the pack's.
    pub(crate) modes: Vec<DatedMode>,
    /// The text without the semicolon at its end.
    pub(crate) text: String,
    /// The attributes that it reads.
    pub(crate) reads: BTreeSet<Attribute>,
    /// Data classes that it names.
    pub(crate) data_classes: BTreeSet<Arc<str>>,
    /// Instants that it compares the time with.
    pub(crate) dates: Vec<Timestamp>,
}

/// Reads the policies beside a pack.
pub(crate) fn read(pack: &Pack, file: &str, text: &str) -> (Vec<RawPolicy>, Problems) {
    let mut reading = Reading { file: file.into(), text, problems: Problems::default() };
    if text.len() > MAX_BYTES {
        reading.wrong(0, format!("the file is longer than {MAX_BYTES} bytes"), "split the pack");
        return (Vec::new(), reading.problems);
    }
    let pieces = reading.pieces();
    if pieces.len() > MAX_POLICIES {
        reading.wrong(0, format!("more than {MAX_POLICIES} policies"), "split the pack");
        return (Vec::new(), reading.problems);
    }
    let policies = pieces.into_iter().filter_map(|piece| reading.policy(pack, piece)).collect();
    (policies, reading.problems)
}

/// The policy of a text, with the clauses of its waivers.
pub(crate) fn compile(id: &str, text: &str, waived: &str) -> Result<Policy, String> {
    Policy::parse(Some(PolicyId::new(id)), format!("{text}\n{waived};")).map_err(|error| error.to_string())
}

/// A stretch of the file: one policy, without its semicolon.
#[derive(Clone, Copy)]
struct Piece<'t> {
    at: usize,
    text: &'t str,
}

struct Reading<'t> {
    file: Arc<str>,
    text: &'t str,
    problems: Problems,
}

impl<'t> Reading<'t> {
    fn wrong(&mut self, offset: usize, message: String, hint: impl Into<String>) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        self.problems.0.push(Problem {
            file: Arc::clone(&self.file),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message,
            hint: hint.into(),
        });
    }

    /// Cuts the file at semicolons outside strings and comments.
    fn pieces(&mut self) -> Vec<Piece<'t>> {
        let mut pieces = Vec::new();
        let mut start = None;
        let (mut in_string, mut escaped, mut in_comment) = (false, false, false);
        let text = self.text;
        for (at, c) in text.char_indices() {
            if in_comment {
                in_comment = c != '\n';
            } else if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
            } else if text.get(at..).is_some_and(|rest| rest.starts_with("//")) {
                in_comment = true;
            } else if c == ';' {
                if let Some(at_start) = start.take()
                    && let Some(piece) = text.get(at_start..at)
                {
                    pieces.push(Piece { at: at_start, text: piece });
                }
            } else if !c.is_whitespace() {
                start = start.or(Some(at));
                in_string = c == '"';
            }
        }
        if let Some(start) = start {
            self.wrong(start, "the policy does not end".to_owned(), "end it with `;`");
        }
        pieces
    }

    fn policy(&mut self, pack: &Pack, piece: Piece<'t>) -> Option<RawPolicy> {
        let policy = match Policy::parse(Some(PolicyId::new("raw")), format!("{};", piece.text)) {
            Ok(policy) => policy,
            Err(errors) => {
                for error in errors.iter() {
                    let offset =
                        error.labels().and_then(|mut labels| labels.next()).map_or(0, |l| l.offset());
                    self.wrong(piece.at + offset, format!("not Cedar: {error}"), "");
                }
                return None;
            }
        };
        let known = self.problems.0.len();
        if policy.effect() == Effect::Permit {
            self.wrong(
                piece.at,
                "a pack may only forbid".to_owned(),
                "everything is permitted that no rule forbids; write `forbid (…) when { … }`",
            );
        }
        let annotation = |name: &str| policy.annotation(name).map(str::trim).filter(|text| !text.is_empty());
        for name in NEEDED {
            if annotation(name).is_none() {
                let message = format!("the policy has no `@{name}`");
                self.wrong(piece.at, message, format!("add @{name}(\"…\")"));
            }
        }
        for (name, _) in policy.annotations() {
            if !KNOWN.contains(&name) {
                let message = format!("policies know no `@{name}`");
                self.wrong(piece.at, message, did_you_mean(name, &KNOWN));
            }
        }
        let id = annotation("id").unwrap_or_default();
        if !id.is_empty() && !rule_id_fits(id) {
            let hint = "lower-case letters, digits and `-`, at most 64, not beginning with base-permit";
            self.wrong(piece.at, format!("`{id}` cannot be a rule id"), hint);
        }
        let mode = annotation("mode").and_then(|word| {
            let mode = Mode::by_name(word);
            if mode.is_none() {
                self.wrong(piece.at, format!("`@mode` knows no `{word}`"), did_you_mean(word, &MODES));
            }
            mode
        });
        let law = pack.binds == Binds::Law;
        let waivable = match annotation("waivable") {
            None => !law,
            Some("true") if law => {
                self.wrong(piece.at, "a rule of a law pack is not waivable".to_owned(), "leave it out");
                false
            }
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                self.wrong(piece.at, "`@waivable` is \"true\" or \"false\"".to_owned(), "");
                false
            }
        };
        let json = policy.to_json().ok()?;
        let actions = self.scope(&json, piece);
        let mut walk = Walk { reading: self, piece, nows: 0, found: Found::default() };
        for condition in json.get("conditions").and_then(Json::as_array).into_iter().flatten() {
            walk.expression(condition.get("body").unwrap_or(&Json::Null));
        }
        let found = walk.found;
        if self.problems.0.len() > known {
            return None;
        }
        let text = |name: &str| -> Arc<str> { annotation(name).unwrap_or_default().into() };
        let line =
            self.text.get(..piece.at).map_or(0, |before| before.bytes().filter(|b| *b == b'\n').count());
        Some(RawPolicy {
            info: RuleInfo {
                id: id.into(),
                title: text("title"),
                says: text("says"),
                source: text("source"),
                clause: text("clause"),
                pack: Arc::clone(&pack.id),
                binds: pack.binds,
                waivable,
                file: Arc::clone(&self.file),
                line: u32::try_from(line + 1).unwrap_or(u32::MAX),
                from: None,
                until: None,
            },
            actions,
            modes: mode.map(|mode| DatedMode { mode, from: None }).into_iter().collect(),
            text: piece.text.to_owned(),
            reads: found.reads,
            data_classes: found.data_classes,
            dates: found.dates,
        })
    }

    /// The actions that the scope names; principal and resource must be left open.
    fn scope(&mut self, json: &Json, piece: Piece<'_>) -> Vec<Action> {
        for part in ["principal", "resource"] {
            let constraint = json.get(part);
            let op = constraint.and_then(|c| c.get("op")).and_then(Json::as_str);
            let plain_is = op == Some("is") && constraint.is_some_and(|c| c.get("in").is_none());
            if op != Some("All") && !plain_is {
                self.wrong(
                    piece.at,
                    format!("the scope names a {part}, and there are no entities to name"),
                    format!("write `{part}` alone and read its attributes in `when`"),
                );
            }
        }
        let action = json.get("action");
        let named = action.and_then(|action| action.get("entity")).into_iter();
        let listed = action.and_then(|action| action.get("entities")).and_then(Json::as_array);
        let mut actions: Vec<Action> = Vec::new();
        for entity in named.chain(listed.into_iter().flatten()) {
            let name = entity.get("id").and_then(Json::as_str).unwrap_or_default();
            match Action::by_name(name) {
                Some(action) => actions.push(action),
                None => {
                    let known: Vec<&str> = Action::ALL.into_iter().map(Action::name).collect();
                    let at = piece.at + piece.text.find(name).unwrap_or(0);
                    self.wrong(at, format!("there is no action `{name}`"), did_you_mean(name, &known));
                }
            }
        }
        if actions.is_empty() {
            return Action::ALL.to_vec();
        }
        actions.sort_unstable();
        actions.dedup();
        actions
    }
}

/// What the conditions of a policy read.
#[derive(Default)]
struct Found {
    reads: BTreeSet<Attribute>,
    data_classes: BTreeSet<Arc<str>>,
    dates: Vec<Timestamp>,
}

struct Walk<'r, 't> {
    reading: &'r mut Reading<'t>,
    piece: Piece<'t>,
    /// How often `context.now` was met, to tell which of them is wrong.
    nows: usize,
    found: Found,
}

impl Walk<'_, '_> {
    fn expression(&mut self, expression: &Json) {
        let Some((op, body)) = expression.as_object().and_then(|object| object.iter().next()) else { return };
        let (left, right) = (body.get("left"), body.get("right"));
        match op.as_str() {
            "Value" => {
                if body.get("__entity").is_some() {
                    self.wrong(
                        "::",
                        "the policy names an entity",
                        "principal and resource are read by attribute",
                    );
                }
            }
            "Var" => {
                let name = body.as_str().unwrap_or_default();
                let hint = "read one of its attributes; actions are named in the scope";
                self.wrong(name, &format!("`{name}` stands alone"), hint);
            }
            "." | "has" => match variable(left) {
                Some(variable) => {
                    let name = body.get("attr").and_then(Json::as_str).unwrap_or_default();
                    self.attribute(variable, name, op == "has");
                }
                None => self.children(body),
            },
            "<" | "<=" | ">" | ">=" if is_now(left) || is_now(right) => {
                self.nows += 1;
                let other = if is_now(left) { right } else { left };
                match other.and_then(date_literal).map(instant::parse) {
                    Some(Ok(date)) => self.found.dates.push(date),
                    Some(Err(message)) => self.wrong_now(
                        &message,
                        "write datetime(\"2026-04-27\") or datetime(\"2026-04-27T00:00:00Z\")",
                    ),
                    None => self.wrong_now(
                        "`context.now` is compared with something that is no literal",
                        "compare it with datetime(\"2026-04-27T00:00:00Z\"): all else would outlive its window",
                    ),
                }
            }
            "==" | "!=" | "contains" | "containsAll" | "containsAny" => {
                self.words(left, right);
                self.words(right, left);
                self.children(body);
            }
            _ => self.children(body),
        }
    }

    /// Every expression inside, in the order of the text.
    fn children(&mut self, body: &Json) {
        match body {
            Json::Array(list) => list.iter().for_each(|item| self.expression(item)),
            Json::Object(fields) => {
                const ORDER: [&str; 6] = ["left", "right", "arg", "if", "then", "else"];
                let known = ORDER.iter().filter_map(|name| fields.get(*name));
                known.for_each(|child| self.expression(child));
                let rest = fields.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
                for (_, child) in rest.filter(|(_, child)| child.is_object()) {
                    self.expression(child);
                }
            }
            _ => {}
        }
    }

    fn attribute(&mut self, variable: &str, name: &str, only_asked: bool) {
        if variable == "context" && name == "now" {
            self.nows += 1;
            if !only_asked {
                self.wrong_now(
                    "`context.now` may only be compared with a literal",
                    "use < <= > >= against datetime(\"…\"): all else would outlive its window",
                );
            }
            return;
        }
        let owner = match variable {
            "principal" => Owner::Workload,
            "resource" => Owner::Deployment,
            _ => Owner::Context,
        };
        match Attribute::by_name(name).filter(|attribute| attribute.owner() == owner) {
            Some(attribute) if attribute.readable() => {
                self.found.reads.insert(attribute);
            }
            Some(_) => {
                let hint =
                    "whether a model is offered somewhere is a fact (what can be), not a term (what may be)";
                self.wrong(name, &format!("terms cannot read `{name}`"), hint);
            }
            None => {
                let known: Vec<&str> = Attribute::ALL
                    .iter()
                    .filter(|attribute| attribute.owner() == owner && attribute.readable())
                    .map(|attribute| attribute.name())
                    .collect();
                self.wrong(
                    name,
                    &format!("`{variable}` has no attribute `{name}`"),
                    &did_you_mean(name, &known),
                );
            }
        }
    }

    /// Where `side` is an attribute, the words on the other side must be ones that it can hold.
    fn words(&mut self, side: Option<&Json>, other: Option<&Json>) {
        let Some(access) = side.and_then(|side| side.get(".")) else { return };
        if variable(access.get("left")).is_none() {
            return;
        }
        let name = access.get("attr").and_then(Json::as_str).unwrap_or_default();
        let Some(attribute) = Attribute::by_name(name) else { return };
        let set = other.and_then(|other| other.get("Set")).and_then(Json::as_array);
        let one = other.filter(|other| other.get("Value").is_some());
        for item in set.into_iter().flatten().chain(one) {
            let Some(word) = item.get("Value").and_then(Json::as_str) else { continue };
            if let Words::Closed(known) = attribute.words()
                && !known.contains(&word)
            {
                let message = format!("`{attribute}` knows no value `{word}`");
                self.wrong(&format!("\"{word}\""), &message, &did_you_mean(word, known));
            }
            if attribute == Attribute::DataClasses {
                self.found.data_classes.insert(word.into());
            }
        }
    }

    /// A problem at the first place after the annotations where `needle` stands.
    fn wrong(&mut self, needle: &str, message: &str, hint: &str) {
        let body = body_of(self.piece.text);
        let at = self.piece.text.get(body..).and_then(|text| text.find(needle)).unwrap_or(0);
        self.reading.wrong(self.piece.at + body + at, message.to_owned(), hint);
    }

    /// A problem at the `context.now` that was met last.
    fn wrong_now(&mut self, message: &str, hint: &str) {
        let body = body_of(self.piece.text);
        let text = self.piece.text.get(body..).unwrap_or_default();
        let at = text.match_indices("now").nth(self.nows.saturating_sub(1)).map_or(0, |(at, _)| at);
        self.reading.wrong(self.piece.at + body + at, message.to_owned(), hint);
    }
}

/// Where the policy itself begins, after its annotations: the first `forbid` or `permit` outside strings.
fn body_of(text: &str) -> usize {
    let (mut in_string, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '"' {
            in_string = true;
        } else if text.get(at..).is_some_and(|rest| rest.starts_with("forbid") || rest.starts_with("permit"))
        {
            return at;
        }
    }
    0
}

fn variable(expression: Option<&Json>) -> Option<&str> {
    expression?.get("Var")?.as_str()
}

fn is_now(expression: Option<&Json>) -> bool {
    let access = expression.and_then(|expression| expression.get("."));
    access.is_some_and(|access| {
        variable(access.get("left")) == Some("context")
            && access.get("attr").and_then(Json::as_str) == Some("now")
    })
}

/// The text of `datetime("…")`.
fn date_literal(expression: &Json) -> Option<&str> {
    match expression.get("datetime")?.as_array()?.as_slice() {
        [one] => one.get("Value")?.as_str(),
        _ => None,
    }
}
