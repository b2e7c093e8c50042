//! The split verdict: a stateful runtime sits in one place, each of its inner calls runs in another. Two
//! hops, and for each: who hosts it, who bills it, who logs it, and whether it may be there.

use super::{RuleLine, rule_lines};
use crate::{
    attribute::{Attribute, UNKNOWN, Value},
    classify::{CallClass, Keeper},
    decision::PlaceInput,
    facts::{Basis, Confidence, DatedFact, DeploymentFacts, Fact},
    permission::{Action, DeploymentIndex, Permission},
    standing::{Can, Question},
};
use domain::DeploymentId;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Where the runtime would sit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// On a cloud; nothing else is known about it.
    Cloud(Arc<str>),
    /// Where a deployment of the fleet is, with all its facts.
    Deployment(DeploymentIndex),
}

/// What comes of a runtime there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitVerdict {
    /// The runtime may sit there, and its inner calls may run beside it.
    Together,
    /// The runtime may sit there; its inner calls may run, but elsewhere.
    Split,
    /// The runtime may not sit there, or no inner call may run anywhere.
    Refused,
}

/// The two-hop picture.
#[derive(Clone, Debug, Serialize)]
pub struct Split {
    /// What comes of it.
    pub verdict: SplitVerdict,
    /// One sentence.
    pub says: String,
    /// The runtime: where state is kept.
    pub state: Hop,
    /// Where the conversation is kept, and what the inner calls keep of it.
    pub state_lives: String,
    /// Each place where an inner call could run.
    pub inner: Vec<Hop>,
}

/// One hop.
#[derive(Clone, Debug, Serialize)]
pub struct Hop {
    /// `state` or `inference`.
    pub what: &'static str,
    /// The deployment, or `runtime on CLOUD`.
    pub place: String,
    /// Whether it may be there.
    pub may: bool,
    /// Whose infrastructure it stands on.
    pub cloud: String,
    /// What the cloud rests on.
    pub cloud_basis: Basis,
    /// Who runs it.
    pub hosts: String,
    /// Who bills it.
    pub bills: String,
    /// Who keeps the conversation: `provider` at the runtime's hop, `nobody` where a self-contained call runs.
    pub keeps: Keeper,
    /// In which jurisdictions state may be kept there.
    pub kept_in: String,
    /// Who can log it, and for how long it keeps content.
    pub logs: String,
    /// Why it cannot be used although it may be; `None` where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cannot: Option<String>,
    /// The rules that refuse it.
    pub rules: Vec<RuleLine>,
}

pub(super) fn split(input: &PlaceInput<'_>, host: &Host) -> Split {
    let stateful = match input.question.call_class {
        CallClass::Stateless => CallClass::Stateful,
        class => class,
    };
    let question = Question { call_class: stateful, ..input.question };
    let state = state_hop(input, &question, host);
    let inner: Vec<Hop> = question
        .candidates
        .iter()
        .filter_map(|candidate| inner_hop(input, &question, candidate.deployment))
        .collect();
    let beside = inner.iter().any(|hop| hop.may && hop.cloud == state.cloud);
    let elsewhere: Vec<&str> = inner.iter().filter(|hop| hop.may).map(|hop| hop.place.as_str()).collect();
    let (verdict, says) = if !state.may {
        (SplitVerdict::Refused, format!("The runtime may not sit on {}.", state.cloud))
    } else if elsewhere.is_empty() {
        let says = format!("The runtime may sit on {}, but no inner call may run anywhere.", state.cloud);
        (SplitVerdict::Refused, says)
    } else if beside {
        (
            SplitVerdict::Together,
            format!("The runtime may sit on {}, and its inner calls beside it.", state.cloud),
        )
    } else {
        let only = elsewhere.join(", ");
        let says =
            format!("The runtime may sit on {}; each inner call may run only at: {only}.", state.cloud);
        (SplitVerdict::Split, says)
    };
    let state_lives = format!(
        "State lives with {} on {} (may be kept in: {}); an inner call carries its whole context and {}.",
        state.hosts,
        state.cloud,
        state.kept_in,
        match question.call_class {
            CallClass::Hybrid => "names what the provider holds, so it can run only there",
            _ => "leaves no state behind",
        },
    );
    Split { verdict, says, state, state_lives, inner }
}

fn state_hop(input: &PlaceInput<'_>, question: &Question<'_>, host: &Host) -> Hop {
    let now = question.now;
    let fleet = input.placement.fleet();
    let first = question.candidates.first().map_or(DeploymentIndex(0), |candidate| candidate.deployment);
    let (facts, name) = match host {
        Host::Deployment(index) => {
            let facts = fleet.deployment(*index).cloned();
            let name = facts.as_ref().map_or_else(String::new, |facts| format!("runtime at {}", facts.id));
            (facts, name)
        }
        Host::Cloud(cloud) => {
            let model = fleet.deployment(first);
            (Some(runtime_on(cloud, model, now)), format!("runtime on {cloud}"))
        }
    };
    let facts = facts.unwrap_or_else(|| DeploymentFacts::new(DeploymentId::new(UNKNOWN), BTreeMap::new()));
    let key = input.placement.key(question, Action::HostState, first);
    let permission = input.placement.evaluate_elsewhere(key, Action::HostState, &facts);
    hop("state", name, &facts, &permission, question, None)
}

pub(super) fn inner_hop(
    input: &PlaceInput<'_>,
    question: &Question<'_>,
    deployment: DeploymentIndex,
) -> Option<Hop> {
    let facts = input.placement.fleet().deployment(deployment)?;
    let inner = Question { call_class: CallClass::Stateless, ..*question };
    let permission = (input.lookup)(input.placement.key(&inner, Action::Infer, deployment));
    let availability = facts.availability(question.now);
    let can =
        Can::NotOffered { availability, changes: facts.next_change(Attribute::Availability, question.now) };
    let cannot = if availability.offered() { None } else { can.why_not() };
    Some(hop("inference", facts.id.to_string(), facts, &permission, &inner, cannot))
}

fn hop(
    what: &'static str,
    place: String,
    facts: &DeploymentFacts,
    permission: &Permission,
    question: &Question<'_>,
    cannot: Option<String>,
) -> Hop {
    let now = question.now;
    let word = |attribute: Attribute| facts.value(attribute, now).to_string();
    let cloud = facts.at(Attribute::Cloud, now);
    Hop {
        what,
        place,
        may: permission.permits(),
        cloud: cloud.value.to_string(),
        cloud_basis: cloud.basis,
        hosts: word(Attribute::Operator),
        bills: word(Attribute::Seller),
        keeps: if what == "state" { Keeper::Provider } else { Keeper::Nobody },
        kept_in: word(Attribute::StateJurisdictions),
        logs: format!("{} (retention: {})", word(Attribute::Operator), word(Attribute::Retention)),
        cannot,
        rules: rule_lines(&permission.refused),
    }
}

/// A runtime on a cloud, for the model of `model`: what the cloud's name says, and nothing else.
fn runtime_on(cloud: &Arc<str>, model: Option<&DeploymentFacts>, now: jiff::Timestamp) -> DeploymentFacts {
    let owner: &str = match &**cloud {
        "azure" => "microsoft",
        "gcp" => "google",
        "on-prem" => "own",
        other => other,
    };
    let mut rows = BTreeMap::new();
    let mut put = |attribute: Attribute, value: Value| {
        let fact = Fact {
            value,
            basis: Basis::Operator,
            source: "asked about".into(),
            as_of: "".into(),
            confidence: Confidence::Stated,
        };
        rows.insert(attribute, vec![DatedFact { from: None, until: None, fact }]);
    };
    put(Attribute::Cloud, Value::Word(Arc::clone(cloud)));
    for attribute in [Attribute::Seller, Attribute::Operator, Attribute::Processor] {
        put(attribute, Value::word(owner));
    }
    for attribute in [Attribute::Family, Attribute::Model, Attribute::Product] {
        if let Some(model) = model {
            put(attribute, model.value(attribute, now));
        }
    }
    DeploymentFacts::new(DeploymentId::new(&format!("runtime-on-{cloud}")), rows)
}
