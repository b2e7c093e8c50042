//! The table: medians over the rounds, and their ratios to the bare hop and to nginx.

use super::{gate::Kind, process::Used};
use std::{collections::BTreeMap, fmt::Write as _};

/// The figures of one gate in one round, in the order of their measurement.
#[derive(Default)]
pub(super) struct Figures {
    all: Vec<(&'static str, f64)>,
    foreign: f64,
}

impl Figures {
    pub(super) fn set(&mut self, name: &'static str, value: f64) {
        self.all.push((name, value));
    }

    /// Notes what other processes used meanwhile.
    pub(super) fn foreign(&mut self, used: &Used) {
        self.foreign = self.foreign.max(used.foreign);
    }

    /// For a line while it runs.
    pub(super) fn brief(&self) -> String {
        let cpu =
            self.all.iter().find(|(name, _)| name.starts_with("CPU")).map_or(f64::NAN, |(_, value)| *value);
        format!("{cpu:.1} µs per request; {:.2} cores busy with other things", self.foreign)
    }
}

/// All rounds.
#[derive(Default)]
pub(super) struct Table {
    rounds: BTreeMap<Kind, Vec<Figures>>,
}

/// Above this many cores used by others a run is worth little.
const FOREIGN: f64 = 0.15;

impl Table {
    pub(super) fn add(&mut self, kind: Kind, figures: Figures) {
        self.rounds.entry(kind).or_default().push(figures);
    }

    fn median(&self, kind: Kind, name: &str) -> Option<f64> {
        let rounds = self.rounds.get(&kind)?;
        let mut values: Vec<f64> = rounds
            .iter()
            .filter_map(|figures| figures.all.iter().find(|(own, _)| *own == name).map(|(_, value)| *value))
            .collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// A time that the gate adds, for quantiles of latency; other figures as they are.
    fn figure(&self, kind: Kind, name: &str) -> Option<f64> {
        let value = self.median(kind, name)?;
        match self.median(Kind::Direct, name) {
            Some(direct) => Some(value - direct),
            None => Some(value),
        }
    }

    pub(super) fn text(&self, rate: u32) -> String {
        let names: Vec<&str> = self
            .rounds
            .get(&Kind::Cabotage)
            .and_then(|rounds| rounds.first())
            .map(|figures| figures.all.iter().map(|(name, _)| *name).collect())
            .unwrap_or_default();
        let kinds: Vec<Kind> = self.rounds.keys().copied().filter(|kind| *kind != Kind::Direct).collect();
        let mut text = String::from("| |");
        for kind in &kinds {
            let _ = write!(text, " {} |", kind.name());
        }
        let yardsticks: Vec<Kind> = kinds.iter().copied().filter(|kind| *kind != Kind::Cabotage).collect();
        for kind in &yardsticks {
            let _ = write!(text, " cabotage × {} |", kind.name());
        }
        let _ = writeln!(text, "\n|{}", " --- |".repeat(1 + kinds.len() + yardsticks.len()));
        for name in names {
            let added = self.median(Kind::Direct, name).is_some();
            let _ = write!(text, "| {}{name} |", if added { "added " } else { "" });
            for kind in &kinds {
                let _ = write!(
                    text,
                    " {} |",
                    self.figure(*kind, name).map_or("–".into(), |value| format!("{value:.1}"))
                );
            }
            let own = self.figure(Kind::Cabotage, name).unwrap_or(f64::NAN);
            for kind in &yardsticks {
                let ratio = self.figure(*kind, name).filter(|value| *value > 0.0).map(|value| own / value);
                let _ = write!(text, " {} |", ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")));
            }
            text.push('\n');
        }
        let rounds = self.rounds.values().map(Vec::len).max().unwrap_or(0);
        let _ = write!(
            text,
            "\nMedians of {rounds} interleaved rounds; the fixed rate is {rate} requests a second."
        );
        let foreign = self.rounds.values().flatten().map(|figures| figures.foreign).fold(0.0, f64::max);
        if foreign > FOREIGN {
            let _ = write!(
                text,
                " Other processes kept up to {foreign:.2} cores busy: repeat this on a quiet machine before you believe it."
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_as_what_is_added_and_ratios_of_that() {
        let mut table = Table::default();
        for (kind, cpu, p50) in [
            (Kind::Direct, None, 100.0),
            (Kind::Cabotage, Some(40.0), 190.0),
            (Kind::Hyper, Some(20.0), 160.0),
        ] {
            for noise in [0.0, 1.0, 2.0] {
                let mut figures = Figures::default();
                if let Some(cpu) = cpu {
                    figures.set("CPU", cpu + noise);
                }
                figures.set("p50", p50 + noise);
                table.add(kind, figures);
            }
        }
        let text = table.text(3_000);
        assert!(text.contains("| CPU | 41.0 | 21.0 | 1.95 |"), "{text}");
        assert!(text.contains("| added p50 | 90.0 | 60.0 | 1.50 |"), "{text}");
    }
}
