//! Where a call runs: the standing from the memo, health as it is now, and what to say where it runs nowhere.

use crate::{
    breaker::Gate,
    call::ActiveCall,
    caller::{Caller, Explains},
    deployment::Deployment,
    engine::{self, Engine},
    memo::StandingKey,
    refusal::{Head, Refused},
    snapshot::Snapshot,
};
use domain::{
    Code, DecisionId, DeploymentId, Fault, ModelName, RetryClass, Source,
    record::{DecisionRecord, Record},
};
use placement::{DeploymentIndex, Live, Mode, Outcome, Standing};
use std::{fmt::Write, sync::Arc, time::Duration};

/// A call's placement.
pub(crate) struct Placed {
    pub(crate) decision: DecisionId,
    /// To be tried, best first.
    pub(crate) candidates: Vec<Arc<Deployment>>,
    /// Every permitted deployment has an open breaker: the one that reopens first is tried all the same,
    /// because one refused attempt costs the caller less than a certain refusal.
    pub(crate) last_resort: bool,
    pub(crate) standing: Arc<Standing>,
    /// The standing under the call's second class, where it has one.
    pub(crate) also: Option<Arc<Standing>>,
    snapshot: Arc<Snapshot>,
}

/// A call is tried at no more deployments than this: after so many failures one more helps nobody.
const MAX_CANDIDATES: usize = 8;

/// How long a caller is asked to wait where nobody says how long.
const WAIT: Duration = Duration::from_secs(5);

impl Engine {
    /// Places a call.
    ///
    /// # Errors
    /// 404 unknown model, 403 refused, 404 not offered, 400 nobody can carry it, 503 permitted but saturated.
    pub(crate) async fn place(&self, caller: &Caller, call: &ActiveCall) -> Result<Placed, Box<Refused>> {
        let key = self.standing_key(caller, call).map_err(|fault| self.refused(caller, call, None, fault))?;
        let standing = self
            .standing(&caller.snapshot, key.clone())
            .await
            .map_err(|fault| self.refused(caller, call, None, fault))?;
        let now = self.shared.clock.monotonic();
        let live = |index: DeploymentIndex| caller.snapshot.live(index, now);
        let mut ranked = Vec::with_capacity(standing.permitted.len().min(MAX_CANDIDATES));
        let latency = |index: DeploymentIndex| caller.snapshot.latencies.get(index);
        let outcome = placement::rank_by_latency::<MAX_CANDIDATES>(&standing, latency, live, &mut ranked);
        let mut placed = Placed {
            decision: standing.decision,
            candidates: Vec::with_capacity(ranked.len().min(MAX_CANDIDATES)),
            last_resort: false,
            also: None,
            snapshot: Arc::clone(&caller.snapshot),
            standing,
        };
        let fault = match outcome {
            Outcome::Placed => {
                for place in &ranked {
                    let seat = placed.standing.permitted.get(usize::from(place.seat));
                    placed
                        .candidates
                        .extend(seat.and_then(|seat| placed.snapshot.deployment(seat.deployment)).cloned());
                }
                return self.narrowed(caller, call, &key, placed).await;
            }
            Outcome::PermittedUnavailable => match placed.reopens_first(now) {
                Some(deployment) => {
                    placed.candidates.push(deployment);
                    placed.last_resort = true;
                    return self.narrowed(caller, call, &key, placed).await;
                }
                None => placed.unavailable(caller, now),
            },
            Outcome::Refused => placed.refused_by_terms(caller),
            Outcome::NotAvailableThere => placed.not_offered(caller),
            Outcome::Unable => placed.unable(caller),
        };
        let mut refused = self.refused(caller, call, Some(placed.decision), fault);
        refused.head.decision = Some(placed.decision);
        Err(refused)
    }

    /// The same placement, narrowed by everything else that the call's class says ([`crate::classify`]).
    async fn narrowed(
        &self,
        caller: &Caller,
        call: &ActiveCall,
        key: &StandingKey,
        mut placed: Placed,
    ) -> Result<Placed, Box<Refused>> {
        match self.narrow(caller, call, key, &mut placed).await {
            Ok(()) => Ok(placed),
            Err(fault) => {
                let mut refused = self.refused(caller, call, Some(placed.decision), fault);
                refused.head.decision = Some(placed.decision);
                Err(refused)
            }
        }
    }

    /// What the standing of this call is made of.
    fn standing_key(&self, caller: &Caller, call: &ActiveCall) -> Result<StandingKey, Fault> {
        let snapshot = &caller.snapshot;
        let (name, pin) = match call.model().rsplit_once('@') {
            Some((name, deployment)) if caller.workload.may_pin => {
                // `gpt-5.4@openai` is short for the deployment `gpt-5.4/openai`.
                let long = || snapshot.index_of(&format!("{name}/{deployment}"));
                let index = snapshot.index_of(deployment).or_else(long);
                (name, Some(index.ok_or_else(|| unknown_deployment(snapshot, deployment))?))
            }
            _ => (call.model(), None),
        };
        let model = snapshot.models.get(name).filter(|model| {
            let allowed = &caller.workload.models;
            allowed.is_empty() || allowed.contains(&model.name)
        });
        let model = model.ok_or_else(|| Self::unknown_model(caller, name))?;
        if let Some(pin) = pin
            && !model.deployments.contains(&pin)
        {
            return Err(Fault::caller(
                Code::ModelNotFound,
                "the named deployment does not serve the named model",
            )
            .at("model"));
        }
        Ok(StandingKey {
            window: snapshot.placement.window_at(self.shared.clock.now()),
            principal: caller.workload.principal,
            data_classes: caller.workload.data_classes,
            model: model.name.clone(),
            pin,
            class: caller.workload.judged(call).first,
            surface: call.surface(),
            needs: call.needs(),
        })
    }

    /// A standing from the memo, or made off the data threads: one maker per key, all others wait for it.
    pub(crate) async fn standing(
        &self,
        snapshot: &Arc<Snapshot>,
        key: StandingKey,
    ) -> Result<Arc<Standing>, Fault> {
        if let Some(known) = snapshot.memo.known(&key) {
            return Ok(known);
        }
        snapshot.memo.has_to_wait();
        let maker = async {
            let (snapshot, key, now) = (Arc::clone(snapshot), key.clone(), self.shared.clock.now());
            let memo = Arc::clone(&snapshot);
            let made = tokio::task::spawn_blocking(move || snapshot.make_standing(&key, now)).await;
            let standing = made.map(Arc::new).map_err(|_| {
                Fault::new(
                    Source::Gateway,
                    RetryClass::Stop,
                    Code::Internal,
                    "the placement of the call failed; this is a bug",
                )
            })?;
            self.journal_decision(&standing)?;
            Ok(memo.memo.kept(standing))
        };
        let kept = snapshot.memo.standings.get_or_insert_async(&key, maker).await?;
        Ok(kept.standing())
    }

    /// A decision is journalled when it is made; the journal writes it anew where a later segment needs it.
    pub(crate) fn journal_decision(&self, standing: &Standing) -> Result<(), Fault> {
        let record = DecisionRecord { id: standing.decision, body: (&*standing.body).into() };
        match self.shared.journal.append(&Record::Decision(record)) {
            Ok(_) => Ok(()),
            Err(error) => Err(engine::journal_fault(&error)),
        }
    }

    fn unknown_model(caller: &Caller, name: &str) -> Fault {
        let near = engine::near(name, engine::visible_models(caller).map(ModelName::as_str));
        let shown: String = name.chars().take(64).collect();
        let hint = if near.is_empty() {
            "GET /v1/models lists them".to_owned()
        } else {
            format!("near it: {}", near.join(", "))
        };
        Fault::caller(
            Code::ModelNotFound,
            format!("the model `{shown}` does not exist here or is not yours to use; {hint}"),
        )
        .at("model")
    }

    fn refused(
        &self,
        caller: &Caller,
        call: &ActiveCall,
        decision: Option<DecisionId>,
        fault: Fault,
    ) -> Box<Refused> {
        self.journal_refusal(caller, call.id(), call.model(), decision, &fault);
        Box::new(Refused { fault, head: Head::of(call.id()), relayed: None })
    }
}

fn unknown_deployment(snapshot: &Snapshot, name: &str) -> Fault {
    let near = engine::near(name, snapshot.deployments.iter().map(|deployment| deployment.id.as_str()));
    let hint = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    let shown: String = name.chars().take(64).collect();
    Fault::caller(Code::ModelNotFound, format!("there is no deployment `{shown}`{hint}")).at("model")
}

impl Snapshot {
    /// How a deployment is just now.
    pub(crate) fn live(&self, index: DeploymentIndex, now: Duration) -> Live {
        let Some(deployment) = self.deployment(index) else { return Live::Unable };
        match deployment.breaker().peek(now) {
            Gate::Open(_) => Live::Down,
            Gate::Closed | Gate::Probe if deployment.vitals.places.available_permits() == 0 => {
                Live::Saturated
            }
            Gate::Closed | Gate::Probe => Live::Up { latency_us: deployment.vitals.latency_us() },
        }
    }
}

impl Placed {
    /// One line: why it ran where it ran; before anything ran, why it would run at the first candidate.
    pub(crate) fn why(&self, ran_at: Option<&DeploymentId>) -> String {
        let at = ran_at.or_else(|| self.candidates.first().map(|first| &first.id));
        let seat = at.and_then(|at| self.standing.permitted.iter().find(|seat| seat.id == *at));
        let mut line = seat.map(|seat| seat.why.to_string()).unwrap_or_default();
        let others = self.standing.permitted.len().saturating_sub(1);
        if others > 0 {
            let _ = write!(line, "; one of {} permitted", others + 1);
        }
        if !self.standing.refusal.is_empty() {
            let _ = write!(line, "; refused: {}", self.standing.refusal);
        }
        line
    }

    /// Rules in `warn` mode that would have refused.
    pub(crate) fn warning(&self) -> String {
        self.standing.warning.to_string()
    }

    /// Rules in `enforce` that would have refused this deployment, were it not for a waiver: `id, id`.
    pub(crate) fn waived(&self, at: &DeploymentId) -> String {
        let standings = std::iter::once(&self.standing).chain(&self.also);
        let mut ids: Vec<&str> = standings
            .filter(|standing| standing.waives())
            .filter_map(|standing| standing.permitted.iter().find(|seat| seat.id == *at))
            .flat_map(|seat| &seat.permission.waived)
            .filter(|finding| finding.mode == Mode::Enforce)
            .map(|finding| &*finding.rule.id)
            .collect();
        ids.dedup();
        ids.join(", ")
    }

    /// The permitted deployment, of those that are only down, whose breaker reopens first.
    fn reopens_first(&self, now: Duration) -> Option<Arc<Deployment>> {
        let able = self.standing.permitted.iter().filter(|seat| seat.can.is_yes());
        able.filter_map(|seat| {
            let deployment = self.snapshot.deployment(seat.deployment)?;
            match deployment.breaker().peek(now) {
                Gate::Open(until) if deployment.vitals.places.available_permits() > 0 => {
                    Some((until, deployment))
                }
                _ => None,
            }
        })
        .min_by_key(|(until, _)| *until)
        .map(|(_, deployment)| Arc::clone(deployment))
    }

    /// 503: permitted, but down or saturated, with the healthy ones that the terms withhold.
    pub(crate) fn unavailable(&self, caller: &Caller, now: Duration) -> Fault {
        let mut message =
            String::from("every deployment that the terms permit for this call is down or at its limit");
        if caller.workload.explains != Explains::None {
            let live = |index: DeploymentIndex| self.snapshot.live(index, now);
            for seat in self.standing.withheld(&live).take(8) {
                let rules: Vec<&str> = seat.permission.refusing_ids().collect();
                let _ = write!(message, "; {} is healthy, withheld: {}", seat.id, rules.join(", "));
            }
        }
        message.push_str(". Try again shortly.");
        let wait = self.reopens_first(now).map_or(WAIT, |deployment| match deployment.breaker().peek(now) {
            Gate::Open(until) => until.saturating_sub(now).max(Duration::from_secs(1)),
            Gate::Closed | Gate::Probe => Duration::from_secs(1),
        });
        Fault::new(Source::Gateway, RetryClass::Stop, Code::PermittedUnavailable, message).after(Some(wait))
    }

    /// 403: the terms permit none.
    pub(crate) fn refused_by_terms(&self, caller: &Caller) -> Fault {
        let mut message = String::from("the terms in force permit no deployment for this call");
        if caller.workload.explains != Explains::None {
            let mut said: Vec<&str> = Vec::new();
            for finding in self.standing.refused.iter().flat_map(|seat| &seat.permission.refused) {
                if !said.contains(&&*finding.rule.id) && said.len() < 6 {
                    said.push(&finding.rule.id);
                    let _ = write!(message, "; {} ({})", finding.rule.id, finding.rule.title);
                    if caller.workload.explains == Explains::Full {
                        let _ = write!(message, " at {}:{}", finding.rule.file, finding.rule.line);
                    }
                }
            }
        }
        message.push_str(". Ask for another model, or have the owner of the rule look at it: `cabotage explain` shows every candidate.");
        Fault::new(Source::Terms, RetryClass::Stop, Code::PlacementRefused, message)
    }

    /// 404: permitted, but nobody offers it there at this time.
    fn not_offered(&self, caller: &Caller) -> Fault {
        let mut message =
            String::from("the model is permitted, but not offered at any permitted deployment at this time");
        if caller.workload.explains != Explains::None {
            for seat in self.standing.permitted.iter().take(6) {
                let _ = write!(message, "; {}", seat.why);
            }
        }
        Fault::new(Source::Gateway, RetryClass::Stop, Code::NotAvailableThere, message).at("model")
    }

    /// 400: permitted and offered, but no model there can carry this call.
    fn unable(&self, _caller: &Caller) -> Fault {
        let mut lacks: Vec<String> =
            self.standing.permitted.iter().filter_map(|seat| seat.can.why_not()).collect();
        lacks.sort();
        lacks.dedup();
        let param = lacks.iter().any(|why| why.contains("n > 1")).then_some("n");
        let message = format!("no permitted deployment can carry this call: {}", lacks.join("; "));
        let fault = Fault::caller(Code::UnsupportedParameter, message);
        match param {
            Some(param) => fault.at(param),
            None => fault,
        }
    }
}
