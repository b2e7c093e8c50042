//! Asking without calling: where would a call run, and why nowhere else. The same standing and ranking as for a
//! real call; only the health of another time than now is not known, so there every deployment counts as up.

use crate::{engine::Engine, memo::StandingKey, needs::Needs, snapshot::Snapshot};
use domain::{Code, Fault, ModelName, RetryClass, Source, WorkloadId};
use jiff::Timestamp;
use placement::{
    Attribute, CallClass, DeploymentIndex, Live, Question, Surface,
    decision::PlaceInput,
    explain::{Explanation, Host, KeptAt, explain, kept_here},
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// At most this many places may be assumed to be down in one question.
pub const ASSUMED_DOWN_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Debug)]
pub struct ExplainQuery {
    /// For whom; `None` where there is one workload only.
    pub workload: Option<String>,
    /// The model as callers ask for it.
    pub model: String,
    /// Who keeps state for the call.
    pub class: CallClass,
    /// The instant; `None`: now, with the health of now.
    pub at: Option<Timestamp>,
    /// Places that are to count as down: a deployment, a provider, a cloud, a region, or `provider-region`.
    pub assume_down: Vec<String>,
    /// Where a stateful runtime would sit: a cloud or a deployment. Adds the two-hop picture.
    pub host: Option<String>,
    /// The gateway's own state stores, for the picture of a stateful turn that it keeps.
    pub stores: Arc<[KeptAt]>,
}

impl ExplainQuery {
    /// A stateless call of the only workload, now.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self {
            workload: None,
            model: model.to_owned(),
            class: CallClass::Stateless,
            at: None,
            assume_down: Vec::new(),
            host: None,
            stores: [].into(),
        }
    }
}

impl Engine {
    /// Explains. Asks Cedar where the memo does not know: not for a data thread.
    ///
    /// # Errors
    /// `overloaded` before the first snapshot, `model_not_found`, `invalid_request` for a workload or a place
    /// that is not there; each with near names.
    pub fn explain(&self, query: &ExplainQuery) -> Result<Explanation, Fault> {
        let snapshot = self.snapshot().ok_or_else(|| {
            let message = "the gateway is starting; try again shortly";
            Fault::new(Source::Gateway, RetryClass::Stop, Code::Overloaded, message)
                .after(Some(Duration::from_secs(1)))
        })?;
        snapshot.explain(query, self.shared.clock.now(), self.shared.clock.monotonic())
    }
}

impl Snapshot {
    fn explain(
        &self,
        query: &ExplainQuery,
        now: Timestamp,
        monotonic: Duration,
    ) -> Result<Explanation, Fault> {
        let workload = self.asked_workload(query.workload.as_deref())?;
        let at = query.at.unwrap_or(now);
        let name = ModelName::new(&query.model);
        let model =
            self.models.get(&name).filter(|_| workload.models.is_empty() || workload.models.contains(&name));
        let Some(model) = model else {
            let known = self.models.keys().map(ModelName::as_str);
            return Err(unknown(Code::ModelNotFound, "model", &query.model, known));
        };
        let down = self.assumed_down(&query.assume_down, at)?;
        let key = StandingKey {
            window: self.placement.window_at(at),
            principal: workload.principal,
            data_classes: workload.data_classes,
            model: model.name.clone(),
            pin: None,
            // A self-contained call is what the operator says that it is.
            class: match (&workload.class, query.class) {
                (Some(own), CallClass::Stateless) => own.class,
                (_, asked) => asked,
            },
            surface: Surface::OpenAiChat,
            needs: Needs::default(),
        };
        let candidates = self.candidates(&key, at);
        let live = |index: DeploymentIndex| match query.at {
            _ if down.contains(&index) => Live::Down,
            None => self.live(index, monotonic),
            // How it was or will be then, nobody knows.
            Some(_) => Live::Up { latency_us: 0 },
        };
        let input = PlaceInput {
            placement: &self.placement,
            question: Question {
                principal: key.principal,
                model: &key.model,
                call_class: key.class,
                data_classes: key.data_classes,
                surface: key.surface,
                candidates: &candidates,
                now: at,
            },
            lookup: &|key| self.permission(key),
            live: &live,
        };
        let host = query.host.as_deref().map(|word| self.host(word));
        let mut explanation = explain(&input, workload.id.as_str(), host.as_ref());
        explanation.profile = Some(workload.report());
        if query.class == CallClass::Stateful && query.host.is_none() {
            explanation.kept = Some(kept_here(&input, workload.id.as_str(), &query.stores));
        }
        if key.class == CallClass::Hybrid {
            let permitted = explanation.permitted.iter().filter_map(|line| self.index_of(&line.deployment));
            explanation.held = Some(self.held_at(permitted));
        }
        Ok(explanation)
    }

    fn asked_workload(&self, name: Option<&str>) -> Result<&Arc<crate::caller::Workload>, Fault> {
        let known = || self.workloads.keys().map(WorkloadId::as_str);
        match name {
            Some(name) => self
                .workloads
                .get(&WorkloadId::new(name))
                .ok_or_else(|| unknown(Code::InvalidRequest, "workload", name, known())),
            None => match (self.workloads.len(), self.workloads.values().next()) {
                (1, Some(only)) => Ok(only),
                _ => {
                    let mut names: Vec<&str> = known().collect();
                    names.sort_unstable();
                    let message = format!("for which workload? There are: {}", names.join(", "));
                    Err(Fault::caller(Code::InvalidRequest, message).at("workload"))
                }
            },
        }
    }

    /// The deployments that the words stand for.
    fn assumed_down(&self, words: &[String], at: Timestamp) -> Result<HashSet<DeploymentIndex>, Fault> {
        if words.len() > ASSUMED_DOWN_MAX {
            let message = format!("at most {ASSUMED_DOWN_MAX} places can be assumed to be down at once");
            return Err(Fault::caller(Code::InvalidRequest, message).at("assume_down"));
        }
        let places: Vec<(DeploymentIndex, Vec<String>)> = self
            .placement
            .fleet()
            .deployments()
            .map(|(index, facts)| {
                let word = |attribute| facts.value(attribute, at).to_string();
                let (provider, region) = (word(Attribute::Provider), word(Attribute::Region));
                let both = format!("{provider}-{region}");
                (index, vec![facts.id.to_string(), provider, word(Attribute::Cloud), region, both])
            })
            .collect();
        let mut down = HashSet::new();
        for word in words {
            let before = down.len();
            let hit = places.iter().filter(|(_, names)| names.iter().any(|name| name == word));
            down.extend(hit.map(|(index, _)| *index));
            let known = || places.iter().flat_map(|(_, names)| names.iter().map(String::as_str));
            if down.len() == before && !known().any(|name| name == word) {
                return Err(unknown(Code::InvalidRequest, "assume_down", word, known()));
            }
        }
        Ok(down)
    }

    /// A deployment of that name, else a cloud.
    fn host(&self, word: &str) -> Host {
        self.index_of(word).map_or_else(|| Host::Cloud(word.into()), Host::Deployment)
    }
}

/// Something named that is not there, with near names, at most three.
fn unknown<'a>(code: Code, what: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let distinct: HashSet<&str> = known.collect();
    let near = crate::engine::near(name, distinct.into_iter());
    let shown: String = name.chars().take(64).collect();
    let hint = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    let what_words = if what == "assume_down" { "place" } else { what };
    Fault::caller(code, format!("there is no {what_words} `{shown}`{hint}")).at(what)
}
