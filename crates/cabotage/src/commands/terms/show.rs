//! `cabotage terms show ID`: a rule as one plain sentence, with everything that stands behind it.

use super::{
    binds_words,
    library::{Choice, Library},
};
use crate::clock::SystemClock;
use anyhow::bail;
use clap::Args;
use domain::Clock as _;
use jiff::Timestamp;
use placement::{
    explain::wrap,
    instant,
    problem::nearest,
    terms::{
        Row, sentence,
        timeline::{Bar, Timeline},
    },
};
use serde_json::{Value, json};
use std::process::ExitCode;

/// A rule as one plain sentence.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Ids of rules, or of packs: then all of their rules
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Print the Cedar policy too
    #[arg(long)]
    cedar: bool,
    /// Seen from which instant. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    #[command(flatten)]
    choice: Choice,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the rule.
pub(super) fn run(arguments: &Show) -> anyhow::Result<ExitCode> {
    let library = arguments.choice.open()?;
    let now = arguments.at.unwrap_or_else(|| SystemClock::real().now());
    let mut shown = Vec::new();
    for id in &arguments.ids {
        shown.extend(find(&library, id, now)?);
    }
    if arguments.json {
        let list: Vec<Value> = shown.iter().map(|shown| shown.json(&library, arguments.cedar)).collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        let texts: Vec<String> = shown.iter().map(|shown| shown.text(&library, arguments.cedar)).collect();
        print!("{}", texts.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A rule over time, with its row where it has one.
struct Shown<'l> {
    bar: Bar,
    row: Option<&'l Row>,
    now: Timestamp,
}

fn find<'l>(library: &'l Library, id: &str, now: Timestamp) -> anyhow::Result<Vec<Shown<'l>>> {
    let terms = &library.terms;
    let mut all = Vec::new();
    for pack in terms.packs() {
        for bar in Timeline::new(terms, &pack.id, now).bars {
            if *pack.id == *id || *bar.rule.id == *id {
                let row = pack.rows.iter().find(|row| row.id == bar.rule.id);
                all.push(Shown { bar, row, now });
            }
        }
    }
    if all.is_empty() {
        let known = terms.rules_at(now).map(|(rule, _)| &*rule.id);
        let packs = terms.packs().iter().map(|pack| &*pack.id);
        match nearest(id, known.chain(packs)) {
            Some(near) => bail!("there is no rule and no pack `{id}`: did you mean `{near}`?"),
            None => bail!("there is no rule and no pack `{id}`; `cabotage terms list` names them"),
        }
    }
    Ok(all)
}

impl Shown<'_> {
    /// `in force`, `over since …`, `begins …`.
    fn state(&self) -> String {
        let rule = &self.bar.rule;
        match (self.bar.at(self.now), rule.from, rule.until) {
            (Some(_), _, _) => "in force".to_owned(),
            (None, Some(from), _) if from > self.now => format!("begins {}", sentence::moment(from)),
            (None, _, Some(until)) => {
                format!("over; its last moment was {}", sentence::moment(sentence::last(until)))
            }
            _ => "not in force".to_owned(),
        }
    }

    /// How it acts now, and what will become of that.
    fn acts(&self) -> String {
        let now = self
            .bar
            .at(self.now)
            .map_or_else(|| "nothing now".to_owned(), |acts| format!("{} now", acts.name()));
        let later = self.bar.stretches.iter().filter(|own| own.from.is_some_and(|from| from > self.now));
        let later: Vec<String> = later
            .map(|own| {
                let from = own.from.map(sentence::moment).unwrap_or_default();
                format!("{} from {from}", own.acts.name())
            })
            .collect();
        let all: Vec<String> = std::iter::once(now).chain(later).collect();
        all.join("; ")
    }

    fn text(&self, library: &Library, cedar: bool) -> String {
        let rule = &self.bar.rule;
        let mut out = String::new();
        wrap(&mut out, "", &format!("{}: {}", rule.id, rule.title));
        wrap(&mut out, "  ", &sentence::with_source(rule));
        out.push('\n');
        let mut entry = |name: &str, value: &str| {
            if !value.is_empty() {
                let mut block = String::new();
                wrap(&mut block, "            ", value);
                let first = format!("  {name:<10}");
                out.push_str(&first);
                out.push_str(block.get(first.chars().count()..).unwrap_or(&block));
            }
        };
        entry("state", &self.state());
        entry("acts", &self.acts());
        entry("holds", &sentence::period(rule.from, rule.until));
        let pack = library.terms.packs().iter().find(|pack| pack.id == rule.pack);
        if let Some(pack) = pack {
            let status = library.status(&pack.id);
            entry("pack", &format!("{}, {status}; it binds {}", pack.id, binds_words(pack.binds)));
        }
        entry("source", &rule.source);
        entry("clause", &rule.clause);
        if let Some(row) = self.row {
            entry("quote", &row.quote.as_ref().map(|quote| format!("“{quote}”")).unwrap_or_default());
            entry("owner", row.owner.as_deref().unwrap_or("nobody"));
            let reviewed = row.reviewed.map(|date| date.strftime("%-d %B %Y").to_string());
            entry("reviewed", reviewed.as_deref().unwrap_or("never"));
        }
        entry(
            "waiver",
            match (rule.waivable, self.row.is_some_and(|row| row.notice.is_some())) {
                (_, true) => "none: a notice refuses nothing",
                (true, false) => "may be waived, for at most 30 days",
                (false, false) => "cannot be waived",
            },
        );
        for waiver in library.terms.waivers().iter().filter(|own| own.rule == rule.id) {
            let period = sentence::period(Some(waiver.from), Some(waiver.until));
            entry(
                "waived",
                &format!(
                    "for {} {period}: {} (granted by {})",
                    waiver.workload, waiver.reason, waiver.approver
                ),
            );
        }
        entry("stands at", &format!("{}:{}", rule.file, rule.line));
        if cedar && let Some(policy) = library.terms.cedar(&rule.id) {
            out.push('\n');
            for line in policy.lines() {
                out.push_str("  ");
                out.push_str(line);
                out.push('\n');
            }
        }
        out
    }

    fn json(&self, library: &Library, cedar: bool) -> Value {
        let rule = &self.bar.rule;
        let mut value = json!(&**rule);
        if let Some(map) = value.as_object_mut() {
            map.insert("sentence".to_owned(), json!(sentence::with_source(rule)));
            map.insert("state".to_owned(), json!(self.state()));
            map.insert("acts".to_owned(), json!(self.bar.at(self.now).map(|acts| acts.name())));
            map.insert("quote".to_owned(), json!(self.row.and_then(|row| row.quote.as_deref())));
            map.insert("owner".to_owned(), json!(self.row.and_then(|row| row.owner.as_deref())));
            if cedar {
                map.insert("cedar".to_owned(), json!(library.terms.cedar(&rule.id)));
            }
        }
        value
    }
}
