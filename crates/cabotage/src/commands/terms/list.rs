//! `cabotage terms list`: what is in force on a date, on a timeline.

use super::{
    binds_words, counted,
    library::{Choice, Library},
};
use crate::clock::SystemClock;
use clap::Args;
use domain::Clock as _;
use jiff::Timestamp;
use placement::{
    explain::wrap,
    instant,
    terms::{
        Pack,
        timeline::{LEGEND, Timeline},
    },
};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What is in force on a date.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// At which instant: 2026-03-15 (its first moment in UTC) or 2026-04-26T23:59:59Z. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    #[command(flatten)]
    choice: Choice,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the packs with their timelines.
pub(super) fn run(arguments: &List) -> anyhow::Result<ExitCode> {
    let library = arguments.choice.open()?;
    let now = arguments.at.unwrap_or_else(|| SystemClock::real().now());
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&json(&library, now))?);
    } else {
        print!("{}", text(&library, now));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(library: &Library, now: Timestamp) -> String {
    let terms = &library.terms;
    let mut out = String::new();
    let timelines: Vec<(&Pack, Timeline)> =
        terms.packs().iter().map(|pack| (pack, Timeline::new(terms, &pack.id, now))).collect();
    let in_force =
        timelines.iter().flat_map(|(_, own)| &own.bars).filter(|bar| bar.at(now).is_some()).count();
    let all = timelines.iter().map(|(_, own)| own.bars.len()).sum::<usize>();
    let hash: String = terms.hash().chars().take(12).collect();
    let head = format!(
        "{in_force} of {all} rules are in force at {} · {} · terms {hash}",
        instant::format(now),
        counted(timelines.len(), "pack")
    );
    wrap(&mut out, "", &head);
    let next = terms.next_boundary(now).map_or_else(
        || "no later change is known".to_owned(),
        |next| format!("the terms next change at {}", instant::format(next)),
    );
    wrap(&mut out, "", &next);
    wrap(&mut out, "", LEGEND);
    let hashes = library.hashes();
    for (pack, timeline) in timelines {
        out.push('\n');
        wrap(&mut out, "", &format!("{}: {}", pack.id, pack.title));
        let hash: String =
            hashes.get(&*pack.id).map(|hash| hash.chars().take(19).collect()).unwrap_or_default();
        let about = format!("binds {} · {} · {hash}", binds_words(pack.binds), library.status(&pack.id));
        wrap(&mut out, "  ", &about);
        out.push_str(&timeline.text());
        let names: Vec<&str> =
            timeline.bars.iter().filter(|bar| bar.at(now).is_some()).map(|bar| &*bar.rule.id).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        wrap(&mut out, "  ", &format!("in force: {names}"));
    }
    out
}

fn json(library: &Library, now: Timestamp) -> Value {
    let terms = &library.terms;
    let hashes = library.hashes();
    let date = |date: Option<Timestamp>| date.map(instant::format);
    let packs: Vec<Value> = terms
        .packs()
        .iter()
        .map(|pack| {
            let rules: Vec<Value> = Timeline::new(terms, &pack.id, now)
                .bars
                .iter()
                .map(|bar| {
                    let acts: Vec<Value> = bar
                        .stretches
                        .iter()
                        .map(|own| json!({ "from": date(own.from), "until": date(own.until), "acts": own.acts.name() }))
                        .collect();
                    json!({
                        "id": bar.rule.id, "title": bar.rule.title, "says": bar.rule.says,
                        "from": date(bar.rule.from), "until": date(bar.rule.until),
                        "in_force": bar.at(now).is_some(), "acts": bar.at(now).map(|acts| acts.name()),
                        "stretches": acts, "file": bar.rule.file, "line": bar.rule.line,
                    })
                })
                .collect();
            json!({
                "id": pack.id, "title": pack.title, "binds": pack.binds.name(),
                "status": library.status(&pack.id),
                "hash": hashes.get(&*pack.id), "file": pack.file, "rules": rules,
            })
        })
        .collect();
    json!({
        "at": instant::format(now), "terms": terms.hash(), "next_change": date(terms.next_boundary(now)),
        "packs": packs,
    })
}
