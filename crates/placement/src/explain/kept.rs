//! A turn that this gateway keeps: where the runtime sits, which store may have the state, and where the inner call
//! may run. The store is judged apart from the call (`host_state` and `store` apart from `infer`).

use super::{
    RuleLine, hops,
    hops::Hop,
    rule_lines,
    text::{columns, wrap},
};
use crate::{
    attribute::Attribute,
    classify::CallClass,
    decision::PlaceInput,
    facts::DeploymentFacts,
    permission::{Action, DeploymentIndex, Surface},
    standing::Question,
};
use domain::WorkloadId;
use serde::Serialize;
use std::sync::Arc;

/// A state store of the gateway, as an explanation needs it.
#[derive(Clone, Debug)]
pub struct KeptAt {
    /// Facts about where it is; its id is the store's name.
    pub facts: Arc<DeploymentFacts>,
    /// Workloads whose state lies there and never elsewhere.
    pub workloads: Vec<WorkloadId>,
}

/// A turn that this gateway keeps.
#[derive(Clone, Debug, Serialize)]
pub struct KeptHere {
    /// Where the runtime sits.
    pub runtime: &'static str,
    /// The store that would have the state; `None`: the terms permit none, or there is none.
    pub store: Option<String>,
    /// One sentence about where the state lies.
    pub says: String,
    /// Every store in the operator's order.
    pub stores: Vec<StoreLine>,
    /// Each place where the inner call could run. It is self-contained: it carries its whole context.
    pub inner: Vec<Hop>,
}

/// A store.
#[derive(Clone, Debug, Serialize)]
pub struct StoreLine {
    /// The operator's name for it.
    pub store: String,
    /// On whose infrastructure.
    pub cloud: String,
    /// Who runs it.
    pub operator: String,
    /// In which jurisdictions state lies there.
    pub kept_in: String,
    /// Whether the terms permit it to host and to keep the workload's state.
    pub may: bool,
    /// The store that the workload is bound to, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_elsewhere: Option<String>,
    /// The rules that refuse it.
    pub rules: Vec<RuleLine>,
}

/// Judges every store for a workload.
#[must_use]
pub fn kept_here(input: &PlaceInput<'_>, workload: &str, stores: &[KeptAt]) -> KeptHere {
    let question =
        Question { call_class: CallClass::Stateful, surface: Surface::OpenAiResponses, ..input.question };
    let bound = stores.iter().find(|store| store.workloads.iter().any(|own| own.as_str() == workload));
    let bound = bound.map(|store| store.facts.id.to_string());
    let stores: Vec<StoreLine> = stores
        .iter()
        .map(|store| {
            let line = line(input, &question, &store.facts);
            let elsewhere = bound.clone().filter(|bound| *bound != line.store);
            StoreLine { bound_elsewhere: elsewhere, ..line }
        })
        .collect();
    let own = |line: &&StoreLine| line.may && line.bound_elsewhere.is_none();
    let store = stores.iter().find(own).map(|line| line.store.clone());
    let says = match (&store, &bound) {
        (Some(store), Some(_)) => format!("The state lies in `{store}`, which the workload is bound to."),
        (Some(store), None) => {
            format!("The state lies in `{store}`: the first store that the terms permit.")
        }
        (None, Some(bound)) => {
            format!("No state is kept: the workload is bound to `{bound}`, and the terms do not permit it.")
        }
        (None, None) if stores.is_empty() => {
            "No state is kept: the configuration names no store ([[state.store]]).".to_owned()
        }
        (None, None) => "No state is kept: the terms permit none of the stores.".to_owned(),
    };
    let inner = question
        .candidates
        .iter()
        .filter_map(|candidate| hops::inner_hop(input, &question, candidate.deployment))
        .collect();
    KeptHere { runtime: "this gateway", store, says, stores, inner }
}

fn line(input: &PlaceInput<'_>, question: &Question<'_>, facts: &DeploymentFacts) -> StoreLine {
    // A store is no deployment: the key has to name some, and its facts are replaced.
    let judged = |action: Action| {
        let key = input.placement.key(question, action, DeploymentIndex(0));
        input.placement.evaluate_elsewhere(key, action, facts)
    };
    let both = judged(Action::HostState).and(&judged(Action::Store));
    let word = |attribute: Attribute| facts.value(attribute, question.now).to_string();
    StoreLine {
        store: facts.id.to_string(),
        cloud: word(Attribute::Cloud),
        operator: word(Attribute::Operator),
        kept_in: word(Attribute::StateJurisdictions),
        may: both.permits(),
        bound_elsewhere: None,
        rules: rule_lines(&both.refused),
    }
}

/// As text.
pub(super) fn render(out: &mut String, kept: &KeptHere) {
    out.push_str("\nA TURN THAT THIS GATEWAY KEEPS (/v1/responses, /v1/conversations)\n");
    wrap(
        out,
        "  ",
        &format!("The runtime sits in {}; {}", kept.runtime, "each inner call carries its whole context."),
    );
    wrap(out, "  ", &kept.says);
    if !kept.stores.is_empty() {
        let mut rows = vec![["store", "cloud", "operator", "state kept in", "may"].map(str::to_owned)];
        for line in &kept.stores {
            let may = match (&line.bound_elsewhere, line.may) {
                (Some(bound), _) => format!("not asked: the workload is bound to {bound}"),
                (None, true) => "yes".to_owned(),
                (None, false) => "no".to_owned(),
            };
            let shown = [&line.store, &line.cloud, &line.operator, &line.kept_in];
            let [store, cloud, operator, kept_in] = shown.map(Clone::clone);
            rows.push([store, cloud, operator, kept_in, may]);
        }
        columns(out, &rows);
        for line in kept.stores.iter().filter(|line| line.bound_elsewhere.is_none()) {
            for rule in &line.rules {
                wrap(out, "  ", &format!("{} ← {}: {}", line.store, rule.rule.id, rule.rule.title));
            }
        }
    }
    let places = |may: bool| {
        let hops = kept.inner.iter().filter(|hop| hop.may == may);
        hops.map(|hop| match &hop.cannot {
            Some(why) => format!("{} ({why})", hop.place),
            None => {
                let rules: Vec<&str> = hop.rules.iter().map(|rule| &*rule.rule.id).collect();
                if rules.is_empty() {
                    hop.place.clone()
                } else {
                    format!("{} ← {}", hop.place, rules.join(", "))
                }
            }
        })
        .collect::<Vec<_>>()
        .join("; ")
    };
    for (title, text) in [("may run at", places(true)), ("may not run at", places(false))] {
        if !text.is_empty() {
            wrap(out, "  ", &format!("The inner call {title}: {text}"));
        }
    }
}
