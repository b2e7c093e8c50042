//! The page, part by part, in the order in which it is read.

use super::{Book, escape, picture, source};
use crate::terms::{
    Binds, Pack, PackApproval, Row,
    cases::{CaseResult, Report},
    sentence,
    timeline::{Acts, Bar, Timeline},
};
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

pub(super) fn write(book: &Book<'_>) -> String {
    let title = escape(book.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    head(&mut out, book);
    for pack in book.terms.packs() {
        section(&mut out, book, pack);
    }
    waivers(&mut out, book);
    approvals(&mut out, book);
    signatures(&mut out, book);
    out.push_str("</body>\n</html>\n");
    out
}

fn head(out: &mut String, book: &Book<'_>) {
    let rules = book.terms.rules_at(book.now).count();
    let packs = book.terms.packs().len();
    let cases: usize = book.reports.iter().map(|report| report.results.len()).sum();
    let failed: usize = book.reports.iter().map(|report| report.failed().count()).sum();
    let verdict = if cases == 0 {
        "There are no golden cases.".to_owned()
    } else if failed == 0 {
        format!("All {cases} golden cases come out as they are written.")
    } else {
        format!(
            "<span class=\"bad\">{failed} of {cases} golden cases do not come out as they are written.</span>"
        )
    };
    let _ = writeln!(
        out,
        "<header>\n<h1>{}</h1>\n<p class=\"lead\">Where calls to AI models may run, as of {}.</p>\n\
         <p>This book states {} in {}, as the gateway enforces them. {verdict} A rule that <em>observes</em> is \
         recorded only; one that <em>warns</em> tells the caller; one that <em>enforces</em> refuses. All instants \
         are in UTC, and a last instant belongs to its period.</p>",
        escape(book.title),
        escape(&sentence::moment(book.now)),
        count(rules, "rule"),
        count(packs, "pack"),
    );
    out.push_str(
        "<table>\n<tr><th>Pack</th><th>Binds</th><th>Rules</th><th>Acts today</th><th>Status</th><th>Content</th></tr>\n",
    );
    for pack in book.terms.packs() {
        let timeline = Timeline::new(book.terms, &pack.id, book.now);
        let _ = writeln!(
            out,
            "<tr><td><a href=\"#pack-{id}\">{}</a><br><code>{id}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"hash\">{}</td></tr>",
            escape(&pack.title),
            binds(pack.binds),
            timeline.bars.len(),
            acts_today(&timeline),
            status(book, pack),
            escape(hash(book, pack)),
            id = escape(&pack.id),
        );
    }
    let _ = writeln!(
        out,
        "</table>\n<p class=\"meta\">All packs together, with the modes and event dates of the configuration: \
         <span class=\"hash\">blake3:{}</span>. The same hash stands in the record of every call.</p>\n</header>",
        escape(book.terms.hash())
    );
}

/// `3 enforce, 1 notice`, of the rules in force.
fn acts_today(timeline: &Timeline) -> String {
    let acts = [
        Acts::As(crate::Mode::Enforce),
        Acts::As(crate::Mode::Warn),
        Acts::As(crate::Mode::Observe),
        Acts::Notice,
    ];
    let parts: Vec<String> = acts
        .into_iter()
        .filter_map(|acts| {
            let number = timeline.bars.iter().filter(|bar| bar.at(timeline.now) == Some(acts)).count();
            let plural = if acts == Acts::Notice && number > 1 { "s" } else { "" };
            (number > 0).then(|| format!("{number} {}{plural}", acts.name()))
        })
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn section(out: &mut String, book: &Book<'_>, pack: &Pack) {
    let timeline = Timeline::new(book.terms, &pack.id, book.now);
    let _ = writeln!(
        out,
        "<section class=\"pack\" id=\"pack-{id}\">\n<h2>{}</h2>\n<p class=\"meta\"><code>{id}</code> · it binds {} · {} · {}{}</p>\n\
         <p class=\"meta\">Content: <span class=\"hash\">{}</span></p>",
        escape(&pack.title),
        binds(pack.binds),
        count(timeline.bars.len(), "rule"),
        status(book, pack),
        pack.author.as_ref().map_or_else(String::new, |author| format!(" · written by {}", escape(author))),
        escape(hash(book, pack)),
        id = escape(&pack.id),
    );
    let drawn = picture::svg(&timeline);
    if drawn.is_empty() {
        out.push_str(
            "<p class=\"meta\">No rule of this pack has a date: all of them hold at all times.</p>\n",
        );
    } else {
        out.push_str(&drawn);
        legend(out);
    }
    for bar in &timeline.bars {
        let row = pack.rows.iter().find(|row| row.id == bar.rule.id);
        rule(out, book, bar, row);
    }
    if let Some(report) = book.reports.iter().find(|report| report.pack == pack.id) {
        cases(out, report);
    }
    out.push_str("</section>\n");
}

fn legend(out: &mut String) {
    out.push_str("<p class=\"legend\">");
    for (class, says) in [
        ("enforce", "enforces"),
        ("warn", "warns"),
        ("observe", "observes"),
        ("notice", "notice, refuses nothing"),
    ] {
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 24 10\"><rect class=\"{class}\" width=\"24\" height=\"10\"/></svg>{says}"
        );
    }
    out.push_str(" &nbsp; Columns are stretches of time between two dates, not to scale.</p>\n");
}

fn rule(out: &mut String, book: &Book<'_>, bar: &Bar, row: Option<&Row>) {
    let info = &bar.rule;
    let now = bar.at(book.now);
    let (state, class) = match now {
        Some(acts) => (acts.name(), picture::class(acts)),
        None if info.until.is_some_and(|until| until <= book.now) => ("over", "over"),
        None => ("not yet in force", "over"),
    };
    let _ = writeln!(
        out,
        "<article class=\"rule{}\" id=\"rule-{id}\">\n<h3>{} <span class=\"badge {class}\">{state}</span></h3>\n\
         <p class=\"says\">{}</p>",
        if now.is_some() { " in-force" } else { "" },
        escape(&info.title),
        escape(&info.says),
        id = escape(&info.id),
    );
    if let Some(quote) = row.and_then(|row| row.quote.as_ref()) {
        let _ = writeln!(out, "<blockquote>“{}”</blockquote>", escape(quote));
    }
    out.push_str("<dl>\n");
    let mut entry = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "<dt>{name}</dt><dd>{value}</dd>");
        }
    };
    entry("Rule", &format!("<code>{}</code>", escape(&info.id)));
    entry("Clause", &escape(&info.clause));
    entry("Source", &source(info));
    entry("Holds", &escape(&sentence::period(info.from, info.until)));
    let modes: Vec<String> = bar
        .stretches
        .iter()
        .map(|stretch| format!("{} {}", stretch.acts.name(), sentence::period(stretch.from, stretch.until)))
        .collect();
    if modes.len() > 1 {
        entry("Acts", &escape(&modes.join("; ")));
    }
    if let Some(row) = row {
        let owner = row.owner.as_deref().unwrap_or("nobody");
        let reviewed = row.reviewed.map_or_else(
            || "never compared with its source".to_owned(),
            |date| format!("compared with its source on {}", date.strftime("%-d %B %Y")),
        );
        entry("Owner", &escape(&format!("{owner}; {reviewed}")));
    }
    let notice = row.is_some_and(|row| row.notice.is_some());
    entry(
        "Waiver",
        match (info.waivable, notice) {
            (_, true) => "none: a notice refuses nothing",
            (true, false) => "may be waived, for at most 30 days",
            (false, false) => "cannot be waived",
        },
    );
    out.push_str("</dl>\n</article>\n");
}

fn cases(out: &mut String, report: &Report) {
    let passed = report.results.len() - report.failed().count();
    let _ = writeln!(
        out,
        "<h3>Golden cases: {passed} of {} come out as written ({} checks)</h3>\n<table class=\"cases\">\n\
         <tr><th>What must hold</th><th>Asked</th><th>Comes out</th><th></th></tr>",
        report.results.len(),
        report.checks()
    );
    for result in &report.results {
        case(out, result);
    }
    out.push_str("</table>\n");
}

fn case(out: &mut String, result: &CaseResult) {
    let came_out = result.failures.first().map_or_else(
        || escape(&result.expected),
        |failure| {
            format!(
                "<span class=\"bad\">{}</span><br>expected: {}<br>at: {}",
                escape(&failure.found),
                escape(&failure.expected),
                escape(&failure.asked)
            )
        },
    );
    let mark = if result.failures.is_empty() {
        "<span class=\"ok\">✓</span>"
    } else {
        "<span class=\"bad\">✗</span>"
    };
    let _ = writeln!(
        out,
        "<tr><td class=\"words\">{}</td><td>{}</td><td>{came_out}</td><td>{mark}</td></tr>",
        escape(&result.name),
        escape(&result.asked),
    );
}

fn waivers(out: &mut String, book: &Book<'_>) {
    out.push_str("<section>\n<h2>Waivers</h2>\n");
    if book.terms.waivers().is_empty() {
        out.push_str("<p>No rule is waived for anybody.</p>\n</section>\n");
        return;
    }
    out.push_str(
        "<table>\n<tr><th>Rule</th><th>Workload</th><th>Period</th><th>Reason</th><th>Asked for by</th><th>Granted by</th></tr>\n",
    );
    for waiver in book.terms.waivers() {
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&waiver.rule),
            escape(&waiver.workload),
            escape(&sentence::period(Some(waiver.from), Some(waiver.until))),
            if waiver.until <= book.now { " (expired)" } else { "" },
            escape(&waiver.reason),
            escape(&waiver.requester),
            escape(&waiver.approver),
        );
    }
    out.push_str("</table>\n</section>\n");
}

fn approvals(out: &mut String, book: &Book<'_>) {
    out.push_str("<section>\n<h2>Approvals on record</h2>\n");
    if book.approvals.is_empty() {
        out.push_str("<p>No pack has been approved by a signature yet.</p>\n</section>\n");
        return;
    }
    out.push_str(
        "<table>\n<tr><th>Pack</th><th>Approved by</th><th>Written by</th><th>At</th><th>Content that was approved</th><th></th></tr>\n",
    );
    for approval in book.approvals {
        let counts = matches!(
            book.terms.approval_of(&approval.pack),
            PackApproval::Approved(counting) if counting.signature == approval.signature
        );
        let current = book.hashes.get(&*approval.pack).is_some_and(|hash| **hash == *approval.hash);
        let state = match (counts, current) {
            (true, _) => "<span class=\"badge approved\">counts</span>",
            (false, true) => "<span class=\"badge\">signature not checked here</span>",
            (false, false) => "<span class=\"badge over\">of another content</span>",
        };
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td class=\"hash\">{}</td><td>{state}</td></tr>",
            escape(&approval.pack),
            escape(&approval.by),
            escape(&approval.of),
            escape(&sentence::moment(approval.at)),
            escape(&approval.hash),
        );
    }
    out.push_str("</table>\n</section>\n");
}

fn signatures(out: &mut String, book: &Book<'_>) {
    let _ = writeln!(
        out,
        "<section>\n<h2>Signatures</h2>\n<p>We have read the rules of this book, compared them with their sources, and \
         approve them as they stand under the content hashes above.</p>\n<div class=\"sign\">"
    );
    for role in ["Legal", "Data protection", "Information security", "Procurement and vendor management"] {
        let _ = writeln!(out, "<div>{role}: name, date, signature</div>");
    }
    let _ = writeln!(
        out,
        "</div>\n<p class=\"foot\">Made by {} on {}. The book says what the rules say. Whether a provider keeps its \
         promises is declared by the provider, not observed here.</p>\n</section>",
        escape(book.made_by),
        escape(&sentence::moment(book.now))
    );
}

fn status(book: &Book<'_>, pack: &Pack) -> String {
    match book.terms.approval_of(&pack.id) {
        PackApproval::Approved(approval) => {
            format!("<span class=\"badge approved\">approved</span> by {}", escape(&approval.by))
        }
        PackApproval::Claimed => "<span class=\"badge\">draft (says approved, unsigned)</span>".to_owned(),
        PackApproval::Draft => "<span class=\"badge\">draft</span>".to_owned(),
    }
}

fn hash<'b>(book: &Book<'b>, pack: &Pack) -> &'b str {
    book.hashes.get(&*pack.id).map_or("", String::as_str)
}

const fn binds(binds: Binds) -> &'static str {
    match binds {
        Binds::Us => "us",
        Binds::OurVendors => "our vendors, not us",
        Binds::Law => "everybody, by law",
    }
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
