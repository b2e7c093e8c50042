//! Waivers: dated rows that lift one rule for one workload, asked for by one person and granted by another.
//!
//! A waiver becomes an `unless` clause of the rule's policy, so it is part of the terms: in their hash, in the
//! windows of time, in the proofs. A call that runs because of one is marked ([`crate::Permission::waived`]).

use crate::{
    instant,
    problem::Problems,
    reader::{Fields, Reader},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{fmt::Write as _, sync::Arc};

use super::compile::literal;

/// The longest time from a waiver's first instant to its end.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// At most this many waivers in a file.
pub const MAX_WAIVERS: usize = 1_000;

/// One rule, lifted for one workload for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiver {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The workload's name.
    pub workload: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// Who asked for it.
    pub requester: Arc<str>,
    /// Who granted it: another person.
    pub approver: Arc<str>,
    /// First instant at which it holds.
    #[serde(serialize_with = "instant_text")]
    pub from: Timestamp,
    /// First instant at which it no longer holds; at most [`LONGEST`] after `from`.
    #[serde(serialize_with = "instant_text")]
    pub until: Timestamp,
    /// The file of the row.
    pub file: Arc<str>,
    /// The line of the row.
    pub line: u32,
}

impl Waiver {
    /// True where it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn instant_text<S: serde::Serializer>(instant: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant::format(*instant))
}

/// Reads a file of waivers. What needs the rules is checked by [`super::Terms::compile_all`].
#[must_use]
pub fn read(file: &str, text: &str) -> (Vec<Waiver>, Problems) {
    let mut reader = Reader::new(file, text);
    let root = reader.parse();
    let mut fields = Fields::new(root.get_ref(), root.span(), "a file of waivers");
    let mut waivers = Vec::new();
    if let Some(list) = fields.take("waiver") {
        match list.get_ref().as_array() {
            Some(list) if list.len() > MAX_WAIVERS => {
                reader.wrong(
                    &root.span(),
                    format!("more than {MAX_WAIVERS} waivers"),
                    "take out the expired ones",
                );
            }
            Some(list) => {
                for node in list.iter() {
                    if let Some(fields) = reader.fields(node, "a waiver") {
                        waivers.extend(read_one(&mut reader, fields));
                    }
                }
            }
            None => {
                reader.wrong(
                    &list.span(),
                    "`waiver` must be a list of tables".to_owned(),
                    "write [[waiver]]",
                );
            }
        }
    }
    fields.finish(&mut reader);
    (waivers, reader.problems)
}

fn read_one<'t>(reader: &mut Reader<'t>, mut fields: Fields<'_, 't>) -> Option<Waiver> {
    let (line, _) = reader.place(fields.span.start);
    let mut text = |key: &'static str, reader: &mut Reader<'t>| {
        fields.need(key, reader).and_then(|node| Some((reader.text(node, key)?, node.span())))
    };
    let rule = text("rule", reader);
    let workload = text("workload", reader);
    let reason = text("reason", reader);
    let requester = text("requester", reader);
    let approver = text("approver", reader);
    let from = fields.need("from", reader).and_then(|node| reader.instant(node, "from"));
    let until_node = fields.need("until", reader);
    let until = until_node.and_then(|node| reader.instant(node, "until"));
    let span = until_node.map_or_else(|| fields.span.clone(), |node| node.span());
    reader.in_order(from, until, &span);
    if let (Some(from), Some(until)) = (from, until)
        && until.duration_since(from) > LONGEST
    {
        let latest = from.checked_add(LONGEST).map_or_else(|_| String::new(), instant::format);
        reader.wrong(
            &span,
            "the waiver is longer than 30 days".to_owned(),
            format!("`until` may be {latest} at the latest; what lasts longer is a change of the rule"),
        );
    }
    if let (Some((requester, _)), Some((approver, span))) = (&requester, &approver)
        && super::same_person(requester, approver)
    {
        reader.wrong(
            span,
            format!("`{approver}` asks for the waiver and grants it"),
            "a second person must approve",
        );
    }
    fields.finish(reader);
    Some(Waiver {
        rule: rule?.0,
        workload: workload?.0,
        reason: reason?.0,
        requester: requester?.0,
        approver: approver?.0,
        from: from?,
        until: until?,
        file: reader.file(),
        line,
    })
}

/// The clauses that these waivers add to their rule's policy, one line each; empty where there are none.
pub(crate) fn clauses<'a>(waivers: impl IntoIterator<Item = &'a Waiver>) -> String {
    let mut out = String::new();
    for waiver in waivers {
        let _ = writeln!(
            out,
            "unless {{\n  principal.workload == {} &&\n  context.now >= datetime(\"{}\") &&\n  context.now < datetime(\"{}\")\n}}",
            literal(&waiver.workload),
            instant::format(waiver.from),
            instant::format(waiver.until),
        );
    }
    out
}
