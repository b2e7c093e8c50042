//! One plain sentence per row: who, what, where, from when to when, except whom, by which source.

use super::{
    RuleInfo,
    sheet::{Clause, Pack, Row, Verdict},
};
use crate::{
    attribute::{Attribute, Owner, Shape},
    instant,
    permission::Action,
};
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

/// The sentence.
fn sentence(row: &Row) -> String {
    let mut out = dates(row);
    let mut subject = subject(row);
    if out.is_empty() {
        capitalise(&mut subject);
    } else {
        out.push_str(", ");
    }
    out.push_str(&subject);
    match &row.verdict {
        Verdict::AllowedOnly(clauses) => {
            out.push_str(&format!(" may {} only where {}", verbs(row), all(clauses, true)));
        }
        Verdict::Forbidden(clauses) => {
            out.push_str(&format!(" may not {} where {}", verbs(row), all(clauses, false)));
        }
        Verdict::Notice => {
            let notice = row.notice.as_deref().unwrap_or("").trim_end_matches('.');
            out.push_str(&format!(" carry a notice: {notice}"));
        }
    }
    if !row.except.is_empty() {
        let exceptions: Vec<String> = row.except.iter().map(|clauses| all(clauses, false)).collect();
        out.push_str(", except where ");
        out.push_str(&exceptions.join(", or where "));
    }
    if let Some(event) = &row.until_event {
        out.push_str(&format!("; it ends earlier where an operator dates the event `{event}`"));
    }
    out.push('.');
    out
}

fn dates(row: &Row) -> String {
    match (row.from, row.until) {
        (None, None) => String::new(),
        (Some(from), None) => format!("From {}", instant::for_people(from)),
        (None, Some(until)) => format!("Until {} (exclusive)", instant::for_people(until)),
        (Some(from), Some(until)) => {
            format!("From {} until {} (exclusive)", instant::for_people(from), instant::for_people(until))
        }
    }
}

/// `stateless calls of workloads whose … to deployments whose …`.
fn subject(row: &Row) -> String {
    let class = row.applies_to.iter().find(|clause| clause.attribute == Attribute::Class);
    let mut out = class.map_or_else(String::new, |clause| format!("{} ", list(&clause.written, "or")));
    out.push_str("calls");
    for (owner, opening) in [
        (Owner::Context, " whose "),
        (Owner::Workload, " of workloads whose "),
        (Owner::Deployment, " to deployments whose "),
    ] {
        let clauses: Vec<String> = row
            .applies_to
            .iter()
            .filter(|clause| clause.attribute.owner() == owner && clause.attribute != Attribute::Class)
            .map(|clause| condition(clause, false))
            .collect();
        if !clauses.is_empty() {
            out.push_str(opening);
            out.push_str(&clauses.join(" and whose "));
        }
    }
    out
}

fn verbs(row: &Row) -> String {
    let verbs: Vec<Arc<str>> = row.actions.iter().map(|action| verb(*action).into()).collect();
    list(&verbs, "or")
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::Infer => "be sent",
        Action::HostState => "have their state hosted",
        Action::Store => "be stored",
        Action::LogBody => "have their bodies logged",
        Action::Cache => "be answered from a cache",
        Action::FineTune => "be trained on",
        Action::Administer => "be administered",
    }
}

fn all(clauses: &[Clause], within: bool) -> String {
    let conditions: Vec<String> = clauses
        .iter()
        .map(|clause| match clause.attribute {
            Attribute::Tags => format!("the workload is marked {}", list(&clause.written, "or")),
            _ => format!("the {}", condition(clause, within)),
        })
        .collect();
    conditions.join(" and ")
}

fn condition(clause: &Clause, within: bool) -> String {
    let noun = clause.attribute.noun();
    match (clause.attribute.shape(), within) {
        (Shape::Word, _) => format!("{noun} is {}", list(&clause.written, "or")),
        (Shape::Within, true) => format!("{noun} are all within {}", list(&clause.written, "and")),
        (Shape::HasAll, true) => format!("{noun} include {}", list(&clause.written, "and")),
        (Shape::Within | Shape::HasAll, false) => format!("{noun} includes {}", list(&clause.written, "or")),
    }
}

fn list(words: &[Arc<str>], joint: &str) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| match &**word {
            "@eu-eea" => "the EU and the EEA".to_owned(),
            "openai-proprietary" => "openai-proprietary (OpenAI's closed models)".to_owned(),
            word => word.to_owned(),
        })
        .collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {joint} {last}", rest.join(", ")),
    }
}

fn capitalise(text: &mut String) {
    if let Some(first) = text.get(..1).map(str::to_ascii_uppercase) {
        text.replace_range(..1, &first);
    }
}
