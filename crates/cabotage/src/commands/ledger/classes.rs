//! `cabotage ledger show --classes`: per workload, who keeps state, and which conversations its calls are.

use domain::class::Counts;
use placement::classify::ProfileReport;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// As JSON: each workload's profile.
pub(super) fn as_json(profiles: &BTreeMap<String, Counts>) -> Value {
    let reports =
        profiles.iter().map(|(name, counts)| (name.clone(), json!(ProfileReport::of(counts, None))));
    json!({ "by": "workload", "profiles": reports.collect::<serde_json::Map<_, _>>() })
}

/// As a table, with a sentence for each workload.
pub(super) fn as_text(profiles: &BTreeMap<String, Counts>) -> String {
    let head = [
        "workload",
        "calls",
        "stateless",
        "stateful",
        "hybrid",
        "conversations",
        "continued",
        "calls each",
        "longest",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    let mut says = String::new();
    for (name, counts) in profiles {
        let report = ProfileReport::of(counts, None);
        let [stateless, stateful, hybrid] = counts.classes;
        let mean = report.turns_mean_hundredths;
        rows.push([
            name.clone(),
            report.calls.to_string(),
            stateless.to_string(),
            stateful.to_string(),
            hybrid.to_string(),
            counts.conversations.to_string(),
            counts.continued.to_string(),
            if mean == 0 { "-".to_owned() } else { format!("{}.{:02}", mean / 100, mean % 100) },
            counts.turns_max.to_string(),
        ]);
        let _infallible = writeln!(says, "{name} is {} ({}).", report.says, report.certainty.name());
        let agents: Vec<String> =
            report.agents.iter().map(|one| format!("{} ({})", one.agent.title(), one.calls)).collect();
        if !agents.is_empty() {
            let _infallible = writeln!(says, "  agents: {}", agents.join(", "));
        }
    }
    let mut widths = [0_usize; 9];
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let mut out = String::new();
    for row in &rows {
        for (column, (width, cell)) in widths.into_iter().zip(row).enumerate() {
            let _infallible =
                if column == 0 { write!(out, "{cell:<width$}") } else { write!(out, "  {cell:>width$}") };
        }
        out.push('\n');
    }
    out + &says
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_counts_say() {
        let counts = Counts {
            classes: [90, 0, 0],
            keepers: [30, 60, 0, 0, 0],
            looked: 90,
            continued: 60,
            conversations: 20,
            turns_max: 7,
            ..Counts::default()
        };
        let profiles = BTreeMap::from([("support".to_owned(), counts)]);
        let text = as_text(&profiles);
        let line = text.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells, ["support", "90", "90", "0", "0", "20", "60", "4.00", "7"]);
        assert!(text.contains("support is really stateful: 88 % of calls belong to a conversation; state lives in the client (likely)."), "{text}");
        assert_eq!(as_json(&profiles)["profiles"]["support"]["conversations"], 20);
    }
}
