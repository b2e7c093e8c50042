//! What was found, as text and as JSON.

use super::{
    example::{Example, Said},
    sheet::Claim,
};
use crate::{
    attribute::{Attribute, Owner, Value},
    terms::sentence,
};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// What a proof means, printed under every report.
pub const MEANING: &str = "A proof is about the policies as written, each counted as if it were enforced and \
without waivers, for every value of every fact that the schema allows and every instant from 1970 on. It says \
nothing about whether the facts that are recorded of a deployment are true.";

/// The answer to one claim.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// It holds for every call.
    Proved {
        /// One call that the claim is about, as the engine judges it. None where the claim is about no single call.
        instance: Option<Example>,
    },
    /// It does not hold.
    Refuted {
        /// A call that shows it, as the engine judges it.
        counterexample: Box<Example>,
    },
    /// It is about no call that there can be: a mistake in the claim.
    Vacuous,
    /// The solver gave no answer.
    Undecided {
        /// Its words, or the time that it had.
        reason: String,
    },
}

/// One claim with its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The claim's id.
    pub id: Arc<str>,
    /// A few words.
    pub title: Arc<str>,
    /// The claim as a sentence.
    pub says: Arc<str>,
    /// Where it stands, `file:line`.
    pub place: String,
    /// The packs that it is about.
    pub packs: Vec<Arc<str>>,
    /// The answer.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How many questions the solver was asked.
    pub queries: usize,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Outcome {
    /// Of a claim.
    #[must_use]
    pub fn new(claim: &Claim, packs: Vec<Arc<str>>, verdict: Verdict, queries: usize, took_ms: u64) -> Self {
        Self {
            id: Arc::clone(&claim.id),
            title: Arc::clone(&claim.title),
            says: Arc::clone(&claim.says),
            place: if claim.line == 0 {
                claim.file.to_string()
            } else {
                format!("{}:{}", claim.file, claim.line)
            },
            packs,
            verdict,
            queries,
            took_ms,
        }
    }
}

/// All answers together.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Who answered: `cvc5 1.3.1`.
    pub solver: String,
    /// What a proof means and what it does not.
    pub meaning: &'static str,
    /// The answers, in the order of the questions.
    pub claims: Vec<Outcome>,
    /// How long all of it took, in milliseconds.
    pub took_ms: u64,
}

impl Report {
    /// How many claims are proved, refuted (the vacuous among them) and undecided.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for claim in &self.claims {
            match claim.verdict {
                Verdict::Proved { .. } => counts.0 += 1,
                Verdict::Refuted { .. } | Verdict::Vacuous => counts.1 += 1,
                Verdict::Undecided { .. } => counts.2 += 1,
            }
        }
        counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.claims {
            writeln!(f, "{outcome}")?;
        }
        let (proved, refuted, undecided) = self.counts();
        write!(f, "{proved} proved, {refuted} false")?;
        if undecided > 0 {
            write!(f, ", {undecided} without an answer")?;
        }
        writeln!(f, "; {} ms with {}", self.took_ms, self.solver)?;
        writeln!(f, "{MEANING}")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.verdict {
            Verdict::Proved { .. } => "proved",
            Verdict::Refuted { .. } => "FALSE",
            Verdict::Vacuous => "EMPTY",
            Verdict::Undecided { .. } => "no answer",
        };
        writeln!(f, "{word}: {} ({}; {} ms)", self.title, self.id, self.took_ms)?;
        writeln!(f, "  claim: {}", self.says)?;
        match &self.verdict {
            Verdict::Proved { instance: Some(example) } => write!(f, "  for instance: {example}"),
            Verdict::Proved { instance: None } => Ok(()),
            Verdict::Refuted { counterexample } => {
                write!(f, "  counterexample: {counterexample}")?;
                writeln!(f, "  asked at: {}", self.place)
            }
            Verdict::Vacuous => {
                writeln!(
                    f,
                    "  there is no call that it is about: look at its words and dates ({})",
                    self.place
                )
            }
            Verdict::Undecided { reason } => writeln!(f, "  {reason} ({})", self.place),
        }
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "action {}", self.action.name())?;
        if let Some(at) = self.at {
            write!(f, " at {}", sentence::moment(at))?;
        }
        for (owner, name) in
            [(Owner::Context, "call"), (Owner::Workload, "workload"), (Owner::Deployment, "deployment")]
        {
            let own: Vec<String> = self
                .stated
                .iter()
                .filter(|(attribute, _)| attribute.owner() == owner)
                .map(|(attribute, value)| stated(*attribute, value))
                .collect();
            if !own.is_empty() {
                write!(f, "\n    {name}: {}", own.join(", "))?;
            }
        }
        writeln!(f)?;
        for said in &self.said {
            let when = if self.said.len() > 1 {
                format!(" at {}", sentence::moment(said.at))
            } else {
                String::new()
            };
            writeln!(f, "    {}{when}: {said}", said.packs.join(", "))?;
        }
        Ok(())
    }
}

fn stated(attribute: Attribute, value: &Value) -> String {
    format!("{} {value}", attribute.noun())
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.refused.is_empty() {
            f.write_str("permitted, no rule refuses it")?;
            return match self.silent.as_slice() {
                [] => f.write_str("; no rule for this action is in force then"),
                silent => write!(f, "; in force then and not applying: {}", silent.join(", ")),
            };
        }
        let rules: Vec<String> = self
            .refused
            .iter()
            .map(|rule| {
                if rule.place.is_empty() {
                    format!("{} ({})", rule.id, rule.title)
                } else {
                    format!("{} ({}, {})", rule.id, rule.title, rule.place)
                }
            })
            .collect();
        write!(f, "refused by {}", rules.join("; "))
    }
}
