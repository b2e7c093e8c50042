//! The picture that `explain` draws: every candidate with *may* and *can*, every rule by name, every fact
//! with what it rests on, and for a stateful runtime the two hops with who hosts, bills and logs each.
//!
//! [`explain`] makes the data (serialised for `--json`), [`render_text`] the columns for a terminal.

mod hops;
mod kept;
mod text;

use crate::{
    attribute::Attribute,
    decision::{Decision, PlaceInput, place},
    facts::{Basis, Confidence, Fact},
    instant,
    permission::{Finding, Mode},
    standing::{Live, Outcome, Seat},
    terms::{Binds, RuleInfo, Waiver},
};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, sync::Arc};

pub use hops::{Hop, Host, Split, SplitVerdict};
pub use kept::{KeptAt, KeptHere, StoreLine, kept_here};
pub use text::{WIDTH, cut, render_text, wrap};

/// Where a call would run, and why nowhere else.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The model asked for.
    pub model: String,
    /// The workload's name.
    pub workload: String,
    /// The call class.
    pub class: &'static str,
    /// The instant that is asked about.
    pub at: String,
    /// Content hash of the terms.
    pub terms: String,
    /// Hash of the facts.
    pub facts: String,
    /// The decision's id.
    pub decision: String,
    /// First instant of the window in which this holds; `None`: since ever.
    pub holds_from: Option<String>,
    /// First instant at which a rule or a fact changes; `None`: no date is known.
    pub holds_until: Option<String>,
    /// What comes of it.
    pub outcome: Outcome,
    /// Permitted, best first; what is permitted but cannot be used now comes last.
    pub permitted: Vec<Line>,
    /// Refused, by the operator's order.
    pub refused: Vec<Line>,
    /// Healthy deployments that the terms withhold, where nothing permitted is up.
    pub withheld: Vec<String>,
    /// Terms that refuse nothing and should be known.
    pub notices: Vec<RuleLine>,
    /// What the workload is like, by its calls so far, and the operator's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<crate::classify::ProfileReport>,
    /// Where a call that names something of a provider can run, for such a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The split verdict of a stateful runtime, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Where a turn's state would lie, for a stateful call that this gateway keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptHere>,
}

/// One candidate.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The operator's name for it.
    pub deployment: String,
    /// Through which adapter it is called.
    pub provider: String,
    /// Who sells it.
    pub seller: String,
    /// Who runs it.
    pub operator: String,
    /// Who processes the data.
    pub processor: String,
    /// On whose infrastructure.
    pub cloud: String,
    /// In which region.
    pub region: String,
    /// May: whether the terms permit it.
    pub may: bool,
    /// Can: whether it could take the call.
    pub can: CanLine,
    /// Rules that refuse it: the complete set.
    pub rules: Vec<RuleLine>,
    /// Rules in `warn` that would refuse it.
    pub warned: Vec<RuleLine>,
    /// Rules in `observe` that would refuse it.
    pub observed: Vec<RuleLine>,
    /// Rules that a waiver lifts here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<WaivedLine>,
    /// Every placement fact with what it rests on.
    pub facts: BTreeMap<&'static str, FactLine>,
}

/// Whether a deployment could take the call, and what speaks against it.
#[derive(Clone, Debug, Serialize)]
pub struct CanLine {
    /// True where nothing does.
    pub able: bool,
    /// Whether it is offered there: `ga`, `gated-preview` …
    pub availability: &'static str,
    /// `up`, `down`, `saturated`.
    pub health: &'static str,
    /// What speaks against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A fact as it stands at the instant.
#[derive(Clone, Debug, Serialize)]
pub struct FactLine {
    /// What is stated.
    pub value: String,
    /// What it rests on. A declared fact is never shown as observed.
    pub basis: Basis,
    /// Where.
    pub source: Arc<str>,
    /// When it was looked up.
    pub as_of: Arc<str>,
    /// How sure it is.
    pub confidence: Confidence,
}

/// A rule that would speak, were it not for a waiver.
#[derive(Clone, Debug, Serialize)]
pub struct WaivedLine {
    /// The rule.
    pub rule: RuleLine,
    /// The waiver: who asked, who granted, why, until when. `None` where the workload's name is not known here.
    pub waiver: Option<Waiver>,
}

/// A rule with its mode at the instant.
#[derive(Clone, Debug)]
pub struct RuleLine {
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// How it acts at the instant.
    pub mode: Mode,
}

impl Serialize for RuleLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            id: &'a str,
            title: &'a str,
            says: &'a str,
            source: &'a str,
            clause: &'a str,
            binds: Binds,
            mode: Mode,
            pack: &'a str,
            file: &'a str,
            line: u32,
        }
        let rule = &self.rule;
        Wire {
            id: &rule.id,
            title: &rule.title,
            says: &rule.says,
            source: &rule.source,
            clause: &rule.clause,
            binds: rule.binds,
            mode: self.mode,
            pack: &rule.pack,
            file: &rule.file,
            line: rule.line,
        }
        .serialize(serializer)
    }
}

/// Explains a question. With a host, the split verdict of a stateful runtime there is added.
#[must_use]
pub fn explain(input: &PlaceInput<'_>, workload: &str, host: Option<&Host>) -> Explanation {
    let decision = place(input);
    let placement = input.placement;
    let question = &input.question;
    let standing = &decision.standing;
    let line = |seat: &Seat| line(input, seat, workload);
    let ranked = decision.seats().map(line);
    let unused = (0_u16..)
        .zip(&standing.permitted)
        .filter(|(index, _)| !decision.ranked.iter().any(|ranked| ranked.seat == *index))
        .map(|(_, seat)| line(seat));
    Explanation {
        model: question.model.to_string(),
        workload: workload.to_owned(),
        class: question.call_class.name(),
        at: instant::format(question.now),
        terms: placement.terms().hash().to_owned(),
        facts: placement.fleet().hash().to_owned(),
        decision: decision.id().to_string(),
        holds_from: placement.windows().start(standing.window).map(instant::format),
        holds_until: standing.expires.map(instant::format),
        outcome: decision.outcome,
        permitted: ranked.chain(unused).collect(),
        refused: standing.refused.iter().map(line).collect(),
        withheld: withheld(&decision),
        notices: notices(&decision),
        profile: None,
        held: None,
        split: host.map(|host| hops::split(input, host)),
        kept: None,
    }
}

fn line(input: &PlaceInput<'_>, seat: &Seat, workload: &str) -> Line {
    let now = input.question.now;
    let facts = facts_of(input, seat, now);
    let value = |attribute: Attribute| {
        facts.get(attribute.name()).map_or_else(String::new, |fact| fact.value.clone())
    };
    let live = (input.live)(seat.deployment);
    let health = match live {
        Live::Up { .. } | Live::Unable => "up",
        Live::Down => "down",
        Live::Saturated => "saturated",
    };
    let why = seat.can.why_not().or_else(|| match live {
        Live::Up { .. } => None,
        Live::Down => Some("down".to_owned()),
        Live::Saturated => Some("saturated".to_owned()),
        Live::Unable => Some("cannot carry this call".to_owned()),
    });
    Line {
        deployment: seat.id.to_string(),
        provider: value(Attribute::Provider),
        seller: value(Attribute::Seller),
        operator: value(Attribute::Operator),
        processor: value(Attribute::Processor),
        cloud: value(Attribute::Cloud),
        region: value(Attribute::Region),
        may: seat.permission.permits(),
        can: CanLine { able: why.is_none(), availability: seat.availability.name(), health, why },
        rules: rule_lines(&seat.permission.refused),
        warned: rule_lines(&seat.permission.warnings),
        observed: rule_lines(&seat.permission.observed),
        waived: waived(input, seat, workload),
        facts,
    }
}

fn facts_of(input: &PlaceInput<'_>, seat: &Seat, now: Timestamp) -> BTreeMap<&'static str, FactLine> {
    let deployment = input.placement.fleet().deployment(seat.deployment);
    Attribute::facts()
        .map(|attribute| {
            let fact = deployment.map_or_else(|| Fact::unstated(attribute), |facts| facts.at(attribute, now));
            let Fact { value, basis, source, as_of, confidence } = fact;
            (attribute.name(), FactLine { value: value.to_string(), basis, source, as_of, confidence })
        })
        .collect()
}

fn rule_lines(findings: &[Finding]) -> Vec<RuleLine> {
    findings.iter().map(|finding| RuleLine { rule: Arc::clone(&finding.rule), mode: finding.mode }).collect()
}

fn waived(input: &PlaceInput<'_>, seat: &Seat, workload: &str) -> Vec<WaivedLine> {
    let waiver = |id: &str| input.placement.terms().waiver(id, workload, input.question.now).cloned();
    let lines = rule_lines(&seat.permission.waived).into_iter();
    lines.map(|rule| WaivedLine { waiver: waiver(&rule.rule.id), rule }).collect()
}

fn withheld(decision: &Decision) -> Vec<String> {
    if decision.outcome == Outcome::Placed {
        return Vec::new();
    }
    decision
        .withheld
        .iter()
        .filter_map(|index| decision.standing.refused.get(*index))
        .map(|seat| {
            let rules: Vec<&str> = seat.permission.refusing_ids().collect();
            format!("{} is healthy, withheld: {}", seat.id, rules.join(", "))
        })
        .collect()
}

fn notices(decision: &Decision) -> Vec<RuleLine> {
    let seats = decision.standing.permitted.iter().chain(&decision.standing.refused);
    let mut all: Vec<RuleLine> = seats.flat_map(|seat| rule_lines(&seat.permission.notices)).collect();
    all.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
    all.dedup_by(|a, b| a.rule.id == b.rule.id);
    all
}
