//! One row → one Cedar policy. Every policy is a `forbid` with `@id`, `@title`, `@says`, `@source` and
//! `@clause`, so each refusal has a name; a notice compiles the same way and is asked apart.
//!
//! Dates appear only as `context.now` compared with a literal, which is what makes windows possible.

use super::{
    RuleInfo,
    sheet::{Clause, Row, Verdict},
};
use crate::{
    attribute::{Attribute, Shape},
    instant,
};
use cedar_policy::{Policy, PolicyId};
use std::{fmt::Write as _, sync::Arc};

/// The policy of a row under this id, with the clauses of its waivers.
pub(crate) fn policy(id: &str, row: &Row, info: &RuleInfo, waived: &str) -> Result<Policy, String> {
    Policy::parse(Some(PolicyId::new(id)), text(row, info, waived)).map_err(|error| error.to_string())
}

/// The policy's text.
fn text(row: &Row, info: &RuleInfo, waived: &str) -> String {
    let mut out = String::new();
    for (name, value) in [
        ("id", &info.id),
        ("title", &info.title),
        ("says", &info.says),
        ("source", &info.source),
        ("clause", &info.clause),
    ] {
        let _ = writeln!(out, "@{name}({})", literal(value));
    }
    let actions: Vec<String> =
        row.actions.iter().map(|action| format!(r#"Action::"{}""#, action.name())).collect();
    let _ = writeln!(out, "forbid (principal, action in [{}], resource)", actions.join(", "));
    let mut when: Vec<String> = row.applies_to.iter().map(touches).collect();
    if let Verdict::Forbidden(clauses) = &row.verdict {
        when.extend(clauses.iter().map(touches));
    }
    // Dates last: Cedar reads a date's text anew each time, which costs more than all other conditions together.
    if let Some(from) = row.from {
        when.push(format!(r#"context.now >= datetime("{}")"#, instant::format(from)));
    }
    if let Some(until) = row.until {
        when.push(format!(r#"context.now < datetime("{}")"#, instant::format(until)));
    }
    if !when.is_empty() {
        let _ = writeln!(out, "when {{\n  {}\n}}", when.join(" &&\n  "));
    }
    if let Verdict::AllowedOnly(clauses) = &row.verdict {
        let all: Vec<String> = clauses.iter().map(is_within).collect();
        let _ = writeln!(out, "unless {{\n  {}\n}}", all.join(" &&\n  "));
    }
    for clauses in &row.except {
        let all: Vec<String> = clauses.iter().map(touches).collect();
        let _ = writeln!(out, "unless {{\n  {}\n}}", all.join(" &&\n  "));
    }
    out.push_str(waived);
    out.push(';');
    out
}

/// True where the attribute is, or has among its words, one of the clause's.
pub(super) fn touches(clause: &Clause) -> String {
    let path = clause.attribute.cedar_path();
    match clause.attribute.shape() {
        Shape::Word => one_of(clause.attribute, &clause.words),
        Shape::Within | Shape::HasAll => format!("{path}.containsAny({})", set(&clause.words)),
    }
}

/// True where the attribute is one of the clause's words; of sets, where all of it is within the clause
/// (or, of attestations, all of the clause is in it).
pub(super) fn is_within(clause: &Clause) -> String {
    let path = clause.attribute.cedar_path();
    match clause.attribute.shape() {
        Shape::Word => one_of(clause.attribute, &clause.words),
        Shape::Within => format!("{}.containsAll({path})", set(&clause.words)),
        Shape::HasAll => format!("{path}.containsAll({})", set(&clause.words)),
    }
}

fn one_of(attribute: Attribute, words: &[Arc<str>]) -> String {
    let path = attribute.cedar_path();
    let (patterns, plain): (Vec<_>, Vec<_>) = words.iter().cloned().partition(|word| word.contains('*'));
    let mut any: Vec<String> =
        patterns.iter().map(|pattern| format!("{path} like {}", literal(pattern))).collect();
    match plain.as_slice() {
        [] => {}
        [word] => any.push(format!("{path} == {}", literal(word))),
        words => any.push(format!("{}.contains({path})", set(words))),
    }
    if any.len() == 1 { any.concat() } else { format!("({})", any.join(" || ")) }
}

pub(super) fn set(words: &[Arc<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A Cedar string literal. Characters outside printable ASCII are kept; controls are escaped.
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
