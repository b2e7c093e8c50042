//! What `ledger show` prints: sums of outcomes by workload, model, deployment, key or day.
//!
//! [`Sums`] is also what the drainer adds up per minute; here rows of such sums are grouped and printed.

use domain::{
    Usage,
    record::{CostBasis, Outcome, OutcomeRecord},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// Counts, tokens and money of some attempts. Money is in pico-dollars; all sums are exact or saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Calls that ended, refused ones included.
    pub calls: u64,
    /// Calls that were refused, or found nothing that could take them.
    pub refused: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts that failed before any content.
    pub failed: u64,
    /// Attempts that broke off after content.
    pub cut: u64,
    /// Attempts whose caller left.
    pub caller_left: u64,
    /// Attempts that were open when the gateway died.
    pub unknown: u64,
    /// Input tokens that no cache served.
    pub uncached_in: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache, for minutes or longer.
    pub cache_write: u64,
    /// Visible output tokens.
    pub out_visible: u64,
    /// Output tokens that the model thought.
    pub out_reasoning: u64,
    /// Cost as listed or as the provider reported it, estimates included.
    pub cost_pico: u64,
    /// The part of `cost_pico` that rests on estimated tokens.
    pub estimated_pico: u64,
    /// List price of simulated answers: not billed, in no other sum.
    pub simulated_pico: u64,
    /// Attempts that may have cost something and have no price: the visible gap.
    pub unpriced: u64,
}

impl Sums {
    /// Adds one attempt's outcome.
    pub fn add_outcome(&mut self, outcome: &OutcomeRecord) {
        let mut one = Self { attempts: 1, calls: u64::from(outcome.last), ..Self::of_usage(&outcome.usage) };
        match outcome.outcome {
            Outcome::Done => {}
            Outcome::Failed(_) => one.failed = 1,
            Outcome::Cut(_) => one.cut = 1,
            Outcome::CallerLeft => one.caller_left = 1,
            Outcome::Unknown => one.unknown = 1,
        }
        let cost = outcome.cost.map_or(0, |cost| cost.0);
        match outcome.cost_basis {
            CostBasis::Simulated => one.simulated_pico = cost,
            CostBasis::List | CostBasis::ProviderReported => one.cost_pico = cost,
            CostBasis::ListEstimated | CostBasis::BilledToEndEstimated => {
                one.cost_pico = cost;
                one.estimated_pico = cost;
            }
            CostBasis::Unpriced => {}
        }
        // An attempt that failed before content and reported no tokens is not billed by anybody: no gap.
        let may_cost = !matches!(outcome.outcome, Outcome::Failed(_)) || outcome.usage != Usage::default();
        one.unpriced = u64::from(outcome.cost.is_none() && may_cost);
        self.add(&one);
    }

    /// Adds a call that ended without an attempt.
    pub fn add_refusal(&mut self) {
        self.add(&Self { calls: 1, refused: 1, ..Self::default() });
    }

    fn of_usage(usage: &Usage) -> Self {
        Self {
            uncached_in: usage.uncached_in,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write.saturating_add(usage.cache_write_1h),
            out_visible: usage.out_visible,
            out_reasoning: usage.out_reasoning,
            ..Self::default()
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.numbers_mut().into_iter().zip(other.numbers()) {
            *sum = sum.saturating_add(more);
        }
    }

    /// The numbers in the order of the fields, which is the order of the columns in the database.
    #[must_use]
    pub const fn numbers(&self) -> [u64; 16] {
        [
            self.calls,
            self.refused,
            self.attempts,
            self.failed,
            self.cut,
            self.caller_left,
            self.unknown,
            self.uncached_in,
            self.cache_read,
            self.cache_write,
            self.out_visible,
            self.out_reasoning,
            self.cost_pico,
            self.estimated_pico,
            self.simulated_pico,
            self.unpriced,
        ]
    }

    /// The same, to be written to.
    pub const fn numbers_mut(&mut self) -> [&mut u64; 16] {
        [
            &mut self.calls,
            &mut self.refused,
            &mut self.attempts,
            &mut self.failed,
            &mut self.cut,
            &mut self.caller_left,
            &mut self.unknown,
            &mut self.uncached_in,
            &mut self.cache_read,
            &mut self.cache_write,
            &mut self.out_visible,
            &mut self.out_reasoning,
            &mut self.cost_pico,
            &mut self.estimated_pico,
            &mut self.simulated_pico,
            &mut self.unpriced,
        ]
    }

    /// Names of the numbers, in the same order.
    pub const NAMES: [&'static str; 16] = [
        "calls",
        "refused",
        "attempts",
        "failed",
        "cut",
        "caller_left",
        "unknown",
        "uncached_in",
        "cache_read",
        "cache_write",
        "out_visible",
        "out_reasoning",
        "cost_pico",
        "estimated_pico",
        "simulated_pico",
        "unpriced",
    ];
}

/// Sums of one minute and one combination of who, what and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The minute, in microseconds of Unix time.
    pub minute_us: i64,
    /// Who pays.
    pub workload: Box<str>,
    /// Where it ran; empty for refusals.
    pub deployment: Box<str>,
    /// The caller's key id.
    pub key: Box<str>,
    /// The model as asked for.
    pub model: Box<str>,
    /// The sums.
    pub sums: Sums,
}

/// By what sums are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dimension {
    /// Who pays.
    #[default]
    Workload,
    /// The model as asked for.
    Model,
    /// Where it ran.
    Deployment,
    /// The caller's key id.
    Key,
    /// The day, UTC.
    Day,
}

impl Dimension {
    /// All, in the order of the help text.
    pub const ALL: [Self; 5] = [Self::Workload, Self::Model, Self::Deployment, Self::Key, Self::Day];

    /// The word on the command line and in the output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::Key => "key",
            Self::Day => "day",
        }
    }

    /// The dimension of a word.
    #[must_use]
    pub fn from_name(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == word)
    }

    fn of(self, row: &Row) -> String {
        match self {
            Self::Workload => row.workload.to_string(),
            Self::Model => row.model.to_string(),
            Self::Deployment => row.deployment.to_string(),
            Self::Key => row.key.to_string(),
            Self::Day => day_of_us(row.minute_us),
        }
    }
}

/// Grouped sums and their total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By what they are grouped.
    pub by: &'static str,
    /// One line per group, by name.
    pub lines: Vec<Line>,
    /// All of them.
    pub total: Sums,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The group; `-` where there is none (a refusal has no deployment).
    pub name: String,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
}

impl Report {
    /// Groups rows.
    #[must_use]
    pub fn by(dimension: Dimension, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
        let mut total = Sums::default();
        for row in rows {
            groups.entry(dimension.of(&row)).or_default().add(&row.sums);
            total.add(&row.sums);
        }
        let lines = groups.into_iter().map(|(name, sums)| {
            let name = if name.is_empty() { "-".to_owned() } else { name };
            Line { name, sums }
        });
        Self { by: dimension.name(), lines: lines.collect(), total }
    }

    /// As a table for a terminal. Ends with a newline.
    #[must_use]
    pub fn text(&self) -> String {
        let mut rows = vec![
            [
                self.by,
                "calls",
                "refused",
                "failed",
                "unknown",
                "tokens in",
                "tokens out",
                "cost $",
                "simulated $",
                "no price",
            ]
            .map(str::to_owned),
        ];
        rows.extend(self.lines.iter().map(|line| cells(&line.name, &line.sums)));
        rows.push(cells("total", &self.total));
        let mut widths = [0usize; 10];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in &rows {
            for (column, (width, cell)) in widths.into_iter().zip(row).enumerate() {
                let _infallible =
                    if column == 0 { write!(out, "{cell:<width$}") } else { write!(out, "  {cell:>width$}") };
            }
            out.push('\n');
        }
        self.notes(&mut out);
        out
    }

    /// What a reader must know about the figures above.
    fn notes(&self, out: &mut String) {
        let total = &self.total;
        if total.unpriced > 0 {
            let _infallible = writeln!(
                out,
                "{} attempts have no known price: the cost above is too low by theirs.",
                total.unpriced
            );
        }
        if total.estimated_pico > 0 {
            let _infallible =
                writeln!(out, "${} of the cost rests on estimated tokens.", dollars(total.estimated_pico));
        }
        if total.simulated_pico > 0 {
            out.push_str("Simulated answers: list price, not billed.\n");
        }
    }

    /// As JSON, costs in pico-dollars and in dollars as strings.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::json!({
            "by": self.by,
            "lines": self.lines,
            "total": self.total,
            "cost_usd": dollars(self.total.cost_pico),
            "simulated_usd": dollars(self.total.simulated_pico),
        })
        .to_string()
    }
}

fn cells(name: &str, sums: &Sums) -> [String; 10] {
    let tokens_in = sums.uncached_in.saturating_add(sums.cache_read).saturating_add(sums.cache_write);
    let tokens_out = sums.out_visible.saturating_add(sums.out_reasoning);
    [
        name.to_owned(),
        sums.calls.to_string(),
        sums.refused.to_string(),
        (sums.failed.saturating_add(sums.cut)).to_string(),
        sums.unknown.to_string(),
        tokens_in.to_string(),
        tokens_out.to_string(),
        dollars(sums.cost_pico),
        dollars(sums.simulated_pico),
        sums.unpriced.to_string(),
    ]
}

fn dollars(pico: u64) -> String {
    domain::money::PicoDollars(pico).to_string()
}

fn day_of_us(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us)
        .map_or_else(|_| "?".to_owned(), |at| crate::price::day_of(at).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{CallId, Code, UsageSource, money::PicoDollars, record::ServedBy};

    fn outcome(outcome: Outcome, cost: Option<u64>, cost_basis: CostBasis) -> OutcomeRecord {
        OutcomeRecord {
            call: CallId::from_bits(1),
            attempt: 1,
            last: true,
            at_us: 0,
            outcome,
            upstream_status: 200,
            usage: Usage {
                uncached_in: 10,
                out_visible: 3,
                source: UsageSource::Reported,
                ..Usage::default()
            },
            cost: cost.map(PicoDollars),
            cost_basis,
            finish: "".into(),
            served_by: ServedBy::Unknown,
            upstream_request_id: "".into(),
            losses: "".into(),
            first_content_us: 0,
            total_us: 0,
            released_bytes: 0,
            class: domain::Classed::default(),
        }
    }

    fn row(workload: &str, minute_us: i64, outcomes: &[OutcomeRecord]) -> Row {
        let mut sums = Sums::default();
        for outcome in outcomes {
            sums.add_outcome(outcome);
        }
        Row {
            minute_us,
            workload: workload.into(),
            deployment: "d".into(),
            key: "k".into(),
            model: "m".into(),
            sums,
        }
    }

    #[test]
    fn keeps_billed_estimated_simulated_and_unknown_money_apart() {
        let mut sums = Sums::default();
        sums.add_outcome(&outcome(Outcome::Done, Some(5), CostBasis::List));
        sums.add_outcome(&outcome(Outcome::CallerLeft, Some(7), CostBasis::BilledToEndEstimated));
        sums.add_outcome(&outcome(Outcome::Done, Some(100), CostBasis::Simulated));
        sums.add_outcome(&outcome(Outcome::Unknown, None, CostBasis::Unpriced));
        let nothing = OutcomeRecord {
            usage: Usage::default(),
            ..outcome(Outcome::Failed(Code::RateLimited), None, CostBasis::Unpriced)
        };
        sums.add_outcome(&nothing);
        sums.add_refusal();
        assert_eq!((sums.cost_pico, sums.estimated_pico, sums.simulated_pico), (12, 7, 100));
        assert_eq!((sums.unpriced, sums.failed, sums.unknown, sums.caller_left), (1, 1, 1, 1));
        assert_eq!((sums.calls, sums.attempts, sums.refused), (6, 5, 1));
    }

    #[test]
    fn groups_and_prints() {
        let done = outcome(Outcome::Done, Some(1_500_000_000), CostBasis::Simulated);
        let gap = outcome(Outcome::Unknown, None, CostBasis::Unpriced);
        let day = 86_400_000_000;
        let rows = [
            row("research", 0, &[done.clone(), done.clone()]),
            row("advice", day, &[gap]),
            row("research", day, &[done]),
        ];
        let report = Report::by(Dimension::Workload, rows.clone());
        assert_eq!(
            report.text(),
            "\
workload  calls  refused  failed  unknown  tokens in  tokens out  cost $  simulated $  no price
advice        1        0       0        1         10           3    0.00         0.00         1
research      3        0       0        0         30           9    0.00       0.0045         0
total         4        0       0        1         40          12    0.00       0.0045         1
1 attempts have no known price: the cost above is too low by theirs.
Simulated answers: list price, not billed.
"
        );
        let by_day = Report::by(Dimension::Day, rows);
        let days: Vec<&str> = by_day.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(days, ["1970-01-01", "1970-01-02"]);
        let json: serde_json::Value = serde_json::from_str(&by_day.json()).unwrap();
        assert_eq!(json["total"]["calls"], 4);
        assert_eq!(json["simulated_usd"], "0.0045");
    }

    #[test]
    fn names_and_numbers_keep_the_same_order() {
        let mut sums = Sums::default();
        for (index, number) in sums.numbers_mut().into_iter().enumerate() {
            *number = index as u64;
        }
        let json = serde_json::to_value(sums).unwrap();
        for (index, name) in Sums::NAMES.iter().enumerate() {
            assert_eq!(json[name], index, "{name}");
            assert_eq!(sums.numbers()[index], index as u64);
        }
        for dimension in Dimension::ALL {
            assert_eq!(Dimension::from_name(dimension.name()), Some(dimension));
        }
    }
}
