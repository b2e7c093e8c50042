//! An explanation as plain columns for a terminal, no line wider than [`WIDTH`].

use super::{Explanation, Line, RuleLine, Split, WaivedLine, kept};
use crate::{instant, standing::Outcome};
use std::fmt::Write as _;

/// Widest line, in characters.
pub const WIDTH: usize = 110;
/// Widest cell of a column, in characters.
const CELL: usize = 26;

/// The explanation as text, ending in a newline.
#[must_use]
pub fn render_text(explanation: &Explanation) -> String {
    let mut out = String::new();
    head(&mut out, explanation);
    class(&mut out, explanation);
    if !explanation.permitted.is_empty() {
        out.push_str("\nMAY run at, best first\n");
        table(&mut out, &explanation.permitted);
    }
    if !explanation.refused.is_empty() {
        out.push_str("\nMAY NOT run at\n");
        table(&mut out, &explanation.refused);
        rules(&mut out, &explanation.refused);
    }
    for (title, pick) in [
        (
            "WARNED: would be refused, were the rule enforced",
            (|line| &line.warned) as fn(&Line) -> &Vec<RuleLine>,
        ),
        ("OBSERVED: would be refused, were the rule enforced", |line| &line.observed),
    ] {
        let hit: Vec<String> = explanation
            .permitted
            .iter()
            .chain(&explanation.refused)
            .flat_map(|line| {
                pick(line).iter().map(move |rule| format!("{}: {}", line.deployment, rule.rule.id))
            })
            .collect();
        if !hit.is_empty() {
            let _ = writeln!(out, "\n{title}");
            hit.iter().for_each(|line| wrap(&mut out, "  ", line));
        }
    }
    let lines = explanation.permitted.iter().chain(&explanation.refused);
    let waived: Vec<String> =
        lines.flat_map(|line| line.waived.iter().map(|waived| waived_text(line, waived))).collect();
    if !waived.is_empty() {
        out.push_str("\nWAIVED: would be refused, were it not for a waiver\n");
        waived.iter().for_each(|line| wrap(&mut out, "  ", line));
    }
    if !explanation.notices.is_empty() {
        out.push_str("\nKNOW THAT\n");
        for notice in &explanation.notices {
            wrap(&mut out, "  ", &format!("{}: {}", notice.rule.id, notice.rule.title));
        }
    }
    if let Some(split) = &explanation.split {
        hops(&mut out, split);
    }
    if let Some(kept) = &explanation.kept {
        kept::render(&mut out, kept);
    }
    out
}

fn waived_text(line: &Line, waived: &WaivedLine) -> String {
    let rule = &waived.rule.rule.id;
    match &waived.waiver {
        Some(waiver) => format!(
            "{}: {rule}, until {} (asked by {}, granted by {}: {})",
            line.deployment,
            instant::for_people(waiver.until),
            waiver.requester,
            waiver.approver,
            waiver.reason,
        ),
        None => format!("{}: {rule}", line.deployment),
    }
}

fn head(out: &mut String, explanation: &Explanation) {
    wrap(
        out,
        "",
        &format!(
            "{} for workload {} at {}, {} call",
            explanation.model, explanation.workload, explanation.at, explanation.class
        ),
    );
    let answer = match explanation.outcome {
        Outcome::Placed => {
            let first = explanation.permitted.first().map_or("", |line| &line.deployment);
            format!("→ runs at {first}")
        }
        Outcome::Refused => "→ 403 placement_refused: the terms permit no deployment".to_owned(),
        Outcome::PermittedUnavailable => {
            "→ 503 permitted_unavailable: what is permitted is down or saturated".to_owned()
        }
        Outcome::NotAvailableThere => {
            "→ 404 not_available_there: permitted, but not offered there".to_owned()
        }
        Outcome::Unable => "→ 400 unsupported_parameter: nothing permitted can carry this call".to_owned(),
    };
    wrap(out, "", &answer);
    for line in &explanation.withheld {
        wrap(out, "  ", line);
    }
    let until = explanation.holds_until.as_deref().unwrap_or("any known date");
    let terms: String = explanation.terms.chars().take(12).collect();
    wrap(out, "", &format!("decision {} · terms {terms} · holds until {until}", explanation.decision));
}

/// Who keeps state: the class that was judged, what the workload is like, and the operator's word.
fn class(out: &mut String, explanation: &Explanation) {
    if let Some(held) = &explanation.held {
        wrap(out, "  ", held);
    }
    let Some(profile) = &explanation.profile else { return };
    if let Some(own) = &profile.by_operator {
        let line = format!("judged as {} by the operator's word: {}", own.class.name(), own.reason);
        wrap(out, "  ", &line);
    }
    if profile.calls == 0 {
        return;
    }
    let line = format!(
        "workload {} is {} ({}; {} calls, {} conversations)",
        explanation.workload,
        profile.says,
        profile.certainty.name(),
        profile.calls,
        profile.conversations
    );
    wrap(out, "  ", &line);
    if !profile.agents.is_empty() {
        let agents: Vec<String> =
            profile.agents.iter().map(|one| format!("{} ({} calls)", one.agent.title(), one.calls)).collect();
        wrap(out, "  ", &format!("agents: {}", agents.join(", ")));
    }
}

fn table(out: &mut String, lines: &[Line]) {
    let mut rows =
        vec![["deployment", "cloud", "region", "seller", "operator", "may", "can"].map(str::to_owned)];
    for line in lines {
        let cloud = match line.facts.get("cloud") {
            Some(fact) if fact.basis.name() == "declared-by-contract" => format!("{} (declared)", line.cloud),
            _ => line.cloud.clone(),
        };
        let can = match &line.can.why {
            Some(why) => format!("no: {why}"),
            None if line.can.availability == "ga" => "yes".to_owned(),
            None => format!("yes, {}", line.can.availability),
        };
        rows.push([
            line.deployment.clone(),
            cloud,
            line.region.clone(),
            line.seller.clone(),
            line.operator.clone(),
            if line.may { "yes" } else { "no" }.to_owned(),
            can,
        ]);
    }
    columns(out, &rows);
}

/// Pads every column to its widest cell; the last takes what is left of the line.
pub(super) fn columns<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let mut widths = [0_usize; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count().min(CELL));
        }
    }
    for row in rows {
        let mut line = String::from("  ");
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            if index + 1 == N {
                line.push_str(cell);
            } else {
                let _ = write!(line, "{:<width$}  ", cut(cell, CELL));
            }
        }
        out.push_str(cut(&line, WIDTH).trim_end());
        out.push('\n');
    }
}

fn rules(out: &mut String, lines: &[Line]) {
    for line in lines {
        for RuleLine { rule, mode } in &line.rules {
            let head =
                format!("{} ← {} [{}, binds {}]", line.deployment, rule.id, mode.name(), rule.binds.name());
            wrap(out, "  ", &head);
            wrap(out, "      ", &rule.says);
            if rule.file.is_empty() {
                wrap(out, "      ", &rule.clause);
            } else {
                wrap(
                    out,
                    "      ",
                    &format!("{}; {} ({}:{})", rule.source, rule.clause, rule.file, rule.line),
                );
            }
        }
    }
}

fn hops(out: &mut String, split: &Split) {
    out.push_str("\nSTATEFUL RUNTIME, hop by hop\n");
    wrap(out, "  ", &split.says);
    wrap(out, "  ", &split.state_lives);
    let mut rows = vec![["hop", "place", "cloud", "hosts", "bills", "may", "logs"].map(str::to_owned)];
    for (number, hop) in (1..).zip(std::iter::once(&split.state).chain(&split.inner)) {
        let number = if number == 1 { "1 state" } else { "2 inference" };
        rows.push([
            number.to_owned(),
            hop.place.clone(),
            hop.cloud.clone(),
            hop.hosts.clone(),
            hop.bills.clone(),
            if hop.may { "yes" } else { "no" }.to_owned(),
            hop.logs.clone(),
        ]);
    }
    columns(out, &rows);
    for hop in std::iter::once(&split.state).chain(&split.inner) {
        for rule in &hop.rules {
            wrap(out, "  ", &format!("{} ← {}: {}", hop.place, rule.rule.id, rule.rule.title));
        }
        if let Some(cannot) = &hop.cannot {
            wrap(out, "  ", &format!("{}: {cannot}", hop.place));
        }
    }
}

/// The first `width` characters, the last of them `…` where something was cut.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Breaks a text at spaces so that no line is wider than [`WIDTH`]; a longer word is cut into pieces, but for an
/// address: whoever copies it needs it whole.
pub fn wrap(out: &mut String, indent: &str, text: &str) {
    let room = WIDTH - indent.chars().count();
    let mut line = String::new();
    let mut used = 0;
    let flush = |line: &mut String, out: &mut String| {
        if !line.is_empty() {
            let _ = writeln!(out, "{indent}{line}");
            line.clear();
        }
    };
    for word in text.split_whitespace() {
        let room_of_piece = if word.contains("://") { usize::MAX } else { room };
        for piece in word.chars().collect::<Vec<_>>().chunks(room_of_piece) {
            let piece: String = piece.iter().collect();
            let length = piece.chars().count();
            if used > 0 && used + 1 + length > room {
                flush(&mut line, out);
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(&piece);
            used += length;
        }
    }
    flush(&mut line, out);
}
