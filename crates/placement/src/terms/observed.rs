//! What enforcement would have refused in recorded traffic: decisions carry the findings of rules that only observe
//! or warn, attempts say which of them were used and how often.

use domain::{
    CallId, DecisionId,
    record::{AttemptRecord, Record},
};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// At most this many different decisions are kept while reading; a fleet has a few thousand at most.
pub const MAX_DECISIONS: usize = 100_000;

/// Calls of one kind that a rule would have refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WouldRefuse {
    /// The rule.
    pub rule: String,
    /// Whose calls.
    pub workload: String,
    /// For which model.
    pub model: String,
    /// Where they ran.
    pub deployment: String,
    /// How many calls.
    pub calls: u64,
    /// Where they would have run instead, in the order of preference; empty: they would have been refused.
    pub instead: Vec<String>,
}

/// What was recorded.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Observed {
    /// By rule, workload, model, deployment.
    pub would_refuse: Vec<WouldRefuse>,
    /// Calls that reached a deployment.
    pub calls: u64,
    /// Calls of these that some rule would have refused where they ran.
    pub affected: u64,
    /// Calls whose decision is no longer recorded: nothing can be said of them.
    pub without_decision: u64,
    /// The first attempt, microseconds of Unix time.
    pub first_us: Option<i64>,
    /// The last.
    pub last_us: Option<i64>,
}

/// Rule, workload, model and deployment.
type Affected = (String, String, String, String);

/// Reads records in any order of time; decisions before the attempts that name them.
#[derive(Default)]
pub struct Tally {
    decisions: HashMap<DecisionId, HashMap<String, Seat>>,
    calls: HashSet<CallId>,
    affected: HashSet<CallId>,
    counts: BTreeMap<Affected, (u64, Vec<String>)>,
    seen: Observed,
}

/// What a decision says of a deployment.
#[derive(Clone, Debug, Default)]
struct Seat {
    rules: Vec<String>,
    instead: Vec<String>,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl Tally {
    /// Takes a record in. `from_us`: attempts before are left out.
    pub fn add(&mut self, record: &Record, from_us: i64) {
        match record {
            Record::Decision(decision) if self.decisions.len() < MAX_DECISIONS => {
                self.decisions.insert(decision.id, seats(&decision.body));
            }
            Record::Attempt(attempt) if attempt.at_us >= from_us => self.attempt(attempt),
            _ => {}
        }
    }

    fn attempt(&mut self, attempt: &AttemptRecord) {
        let seen = &mut self.seen;
        seen.first_us = Some(seen.first_us.map_or(attempt.at_us, |first| first.min(attempt.at_us)));
        seen.last_us = Some(seen.last_us.map_or(attempt.at_us, |last| last.max(attempt.at_us)));
        let first_try = self.calls.insert(attempt.call);
        let Some(seats) = self.decisions.get(&attempt.decision) else {
            seen.without_decision += u64::from(first_try);
            return;
        };
        let Some(seat) = seats.get(attempt.deployment.as_str()) else { return };
        if !seat.rules.is_empty() {
            self.affected.insert(attempt.call);
        }
        for rule in &seat.rules {
            let key = (
                rule.clone(),
                attempt.workload.to_string(),
                attempt.model.to_string(),
                attempt.deployment.to_string(),
            );
            self.counts.entry(key).or_insert_with(|| (0, seat.instead.clone())).0 += 1;
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn finish(self) -> Observed {
        let would_refuse = self
            .counts
            .into_iter()
            .map(|((rule, workload, model, deployment), (calls, instead))| WouldRefuse {
                rule,
                workload,
                model,
                deployment,
                calls,
                instead,
            })
            .collect();
        Observed {
            would_refuse,
            calls: self.calls.len() as u64,
            affected: self.affected.len() as u64,
            ..self.seen
        }
    }
}

/// The permitted seats of a decision's body, each with the rules that would refuse it were all enforced.
fn seats(body: &str) -> HashMap<String, Seat> {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let permitted = body.get("permitted").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let name = |seat: &Value| seat.get("deployment").and_then(Value::as_str).unwrap_or_default().to_owned();
    let rules = |seat: &Value| -> BTreeSet<String> {
        ["warned", "observed"]
            .into_iter()
            .filter_map(|key| seat.get(key)?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let free: Vec<String> = permitted
        .iter()
        .filter(|seat| rules(seat).is_empty() && seat.get("cannot").is_none())
        .map(name)
        .collect();
    permitted
        .iter()
        .map(|seat| (name(seat), Seat { rules: rules(seat).into_iter().collect(), instead: free.clone() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{DeploymentId, KeyId, ModelName, WorkloadId, record::DecisionRecord};

    #[test]
    fn calls_are_counted_by_the_rule_that_would_have_refused_them() {
        let body = r#"{"permitted":[{"deployment":"aws","observed":["r1"]},{"deployment":"azure"},
            {"deployment":"old","cannot":"retired"}],"refused":[]}"#;
        let decision = DecisionRecord { id: DecisionId(7), body: body.into() };
        let attempt = |call: u128, deployment: &str, decision: u64, at_us: i64| {
            Record::Attempt(AttemptRecord {
                call: CallId::from_bits(call),
                attempt: 1,
                at_us,
                workload: WorkloadId::new("w"),
                key: KeyId::new("k"),
                model: ModelName::new("m"),
                deployment: DeploymentId::new(deployment),
                decision: DecisionId(decision),
                stream: false,
                request_bytes: 1,
                waived: "".into(),
            })
        };
        let mut tally = Tally::default();
        tally.add(&Record::Decision(decision), 0);
        for record in [
            attempt(1, "aws", 7, 10),
            attempt(2, "aws", 7, 20),
            attempt(3, "azure", 7, 30),
            attempt(4, "aws", 8, 40),
            attempt(5, "aws", 7, 1),
        ] {
            tally.add(&record, 5);
        }
        let observed = tally.finish();
        assert_eq!((observed.calls, observed.affected, observed.without_decision), (4, 2, 1));
        assert_eq!((observed.first_us, observed.last_us), (Some(10), Some(40)));
        assert_eq!(
            observed.would_refuse,
            [WouldRefuse {
                rule: "r1".into(),
                workload: "w".into(),
                model: "m".into(),
                deployment: "aws".into(),
                calls: 2,
                instead: vec!["azure".into()],
            }]
        );
    }
}
