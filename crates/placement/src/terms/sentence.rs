//! One plain sentence per row: who, what, where, from when to when, except whom, by which source.
//!
//! Dates are told by their last instant and with their zone: a sheet's `until` is exclusive, which readers of
//! contracts do not expect. The words of attributes and values stand in [`super::wording`].

use super::{
    RuleInfo,
    sheet::{Clause, Pack, Row, Verdict},
    wording,
};
use crate::attribute::{Attribute, Owner};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// What people see of a row.
pub(crate) fn rule_info(pack: &Pack, row: &Row) -> RuleInfo {
    RuleInfo {
        id: Arc::clone(&row.id),
        title: Arc::clone(&row.title),
        says: row.says.clone().unwrap_or_else(|| sentence(row).into()),
        source: Arc::clone(&row.source),
        clause: Arc::clone(&row.clause),
        pack: Arc::clone(&pack.id),
        binds: pack.binds,
        waivable: row.waivable,
        file: Arc::clone(&pack.file),
        line: row.line,
        from: row.from,
        until: row.until,
    }
}

/// The sentence of a rule with the source that it rests on.
#[must_use]
pub fn with_source(rule: &RuleInfo) -> String {
    let says = rule.says.trim_end().trim_end_matches('.');
    if rule.clause.is_empty() {
        format!("{says}, by {}.", rule.source)
    } else {
        format!("{says}, by “{}” ({}).", rule.clause, rule.source)
    }
}

/// From when to when, with the last instant that belongs to it: `from 27 February 2026, 00:00:00 UTC, to 26 April
/// 2026, 23:59:59 UTC`.
#[must_use]
pub fn period(from: Option<Timestamp>, until: Option<Timestamp>) -> String {
    match (from, until) {
        (None, None) => "at all times".to_owned(),
        (Some(from), None) => format!("from {}, without end", moment(from)),
        (None, Some(until)) => format!("to {}", moment(last(until))),
        (Some(from), Some(until)) => format!("from {}, to {}", moment(from), moment(last(until))),
    }
}

/// An instant as a contract writes it: `26 April 2026, 23:59:59 UTC`.
#[must_use]
pub fn moment(instant: Timestamp) -> String {
    if instant.as_millisecond() % 1_000 == 0 {
        instant.strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
    } else {
        instant.strftime("%-d %B %Y, %H:%M:%S%.3f UTC").to_string()
    }
}

/// The last instant before an exclusive end: the second before, or the millisecond where the end is that fine.
#[must_use]
pub fn last(until: Timestamp) -> Timestamp {
    let step = if until.as_millisecond() % 1_000 == 0 { 1_000 } else { 1 };
    until.checked_sub(SignedDuration::from_millis(step)).unwrap_or(until)
}

/// The sentence.
fn sentence(row: &Row) -> String {
    let mut out = period(row.from, row.until);
    if let Some(event) = &row.until_event {
        out.push_str(&format!(
            " (or until the event “{}”, where an operator dates it earlier)",
            event.replace('_', " ")
        ));
    }
    out.push_str(", ");
    out.push_str(&subject(row));
    match &row.verdict {
        Verdict::AllowedOnly(clauses) => {
            out.push_str(&format!(" may {} only {}", verbs(row), joined(clauses, wording::within)));
        }
        Verdict::Forbidden(clauses) => {
            out.push_str(&format!(" may not {} {}", verbs(row), joined(clauses, wording::place)));
        }
        Verdict::Notice => {
            let notice = row.notice.as_deref().unwrap_or("").trim_end_matches('.');
            out.push_str(&format!(" carry a notice, which refuses nothing: {notice}"));
        }
    }
    if !row.except.is_empty() {
        let spared: Vec<String> = row.except.iter().map(|clauses| joined(clauses, wording::spared)).collect();
        out.push_str(", except ");
        out.push_str(&spared.join(", and except "));
    }
    out.push('.');
    capitalise(&mut out);
    out
}

/// `stateless calls to OpenAI's closed models of workloads marked …`.
fn subject(row: &Row) -> String {
    let class = row.applies_to.iter().find(|clause| clause.attribute == Attribute::Class);
    let adjective = class.map_or_else(String::new, |clause| {
        let words: Vec<String> = clause.written.iter().map(ToString::to_string).collect();
        format!("{} ", wording::list(&words, "or"))
    });
    let mut out = format!("{adjective}calls");
    // What is called, then for whom, then where, then what is in it: the order in which it reads best.
    let of = |owner: Owner| {
        row.applies_to
            .iter()
            .filter(move |clause| clause.attribute.owner() == owner && clause.attribute != Attribute::Class)
    };
    let is_thing = |clause: &&Clause| {
        matches!(clause.attribute, Attribute::Family | Attribute::Model | Attribute::Product)
    };
    of(Owner::Deployment).filter(is_thing).for_each(|clause| out.push_str(&wording::about(clause)));
    out.push_str(&wording::of_whom(&of(Owner::Workload).collect::<Vec<_>>()));
    let rest = of(Owner::Deployment).filter(|clause| !is_thing(clause)).chain(of(Owner::Context));
    rest.for_each(|clause| out.push_str(&wording::about(clause)));
    out
}

fn verbs(row: &Row) -> String {
    let verbs: Vec<String> = row.actions.iter().map(|action| wording::verb(*action).to_owned()).collect();
    wording::list(&verbs, "or")
}

fn joined(clauses: &[Clause], say: fn(&Clause) -> String) -> String {
    clauses.iter().map(say).collect::<Vec<_>>().join(" and ")
}

fn capitalise(text: &mut String) {
    if let Some(first) = text.get(..1).map(str::to_ascii_uppercase) {
        text.replace_range(..1, &first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::parse;

    #[test]
    fn an_end_is_told_by_its_last_instant_and_its_zone() {
        let [from, until] = ["2026-02-27", "2026-04-27"].map(|date| parse(date).unwrap());
        for (from, until, says) in [
            (None, None, "at all times"),
            (Some(from), None, "from 27 February 2026, 00:00:00 UTC, without end"),
            (None, Some(until), "to 26 April 2026, 23:59:59 UTC"),
            (Some(from), Some(until), "from 27 February 2026, 00:00:00 UTC, to 26 April 2026, 23:59:59 UTC"),
        ] {
            assert_eq!(period(from, until), says);
        }
        let fine = parse("2026-04-27T12:00:00.500Z").unwrap();
        assert_eq!(period(None, Some(fine)), "to 27 April 2026, 12:00:00.499 UTC");
    }
}
