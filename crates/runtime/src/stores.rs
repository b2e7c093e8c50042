//! Several stores, each with facts about where it is; the terms say for every turn which one may have it.

use domain::{Code, Fault, RetryClass, Source, WorkloadId, state::StateStore};
use engine::{Caller, Engine, Explains};
use placement::{Action, DeploymentFacts};
use std::{collections::HashMap, fmt::Write as _, sync::Arc};

/// A store, and where it is.
#[derive(Clone)]
pub struct StorePlace {
    /// The store.
    pub store: Arc<dyn StateStore>,
    /// Facts as of a deployment: cloud, region, jurisdictions of state, operator, retention … Its id is the
    /// store's name.
    pub facts: Arc<DeploymentFacts>,
}

/// The stores of one gateway, in the operator's order.
#[derive(Clone, Default)]
pub struct StateStores {
    places: Vec<StorePlace>,
    bound: HashMap<WorkloadId, Box<str>>,
}

impl StateStores {
    /// Stores in the operator's order. `bound`: workloads that have one store and never another, by its name.
    #[must_use]
    pub const fn new(places: Vec<StorePlace>, bound: HashMap<WorkloadId, Box<str>>) -> Self {
        Self { places, bound }
    }

    /// Every store.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn StateStore>> {
        self.places.iter().map(|place| &place.store)
    }

    /// The store that a caller's state may lie in: its own where it is bound to one, else the first that the
    /// terms permit to host and to keep state. Asked anew for every turn, so a date in the terms holds from its
    /// instant on.
    ///
    /// # Errors
    /// `placement_refused` with the rules, where the terms permit none; `state_unavailable` where there is none.
    pub async fn choose(&self, engine: &Engine, caller: &Caller) -> Result<Arc<dyn StateStore>, Fault> {
        let bound = self.bound.get(&caller.workload.id);
        let mut said = String::new();
        let mut asked = 0;
        for place in &self.places {
            if bound.is_some_and(|bound| **bound != *place.store.name()) {
                continue;
            }
            asked += 1;
            let hosts = engine.judge_elsewhere(caller, Action::HostState, &place.facts).await?;
            let keeps = engine.judge_elsewhere(caller, Action::Store, &place.facts).await?;
            let both = hosts.and(&keeps);
            if both.permits() {
                return Ok(Arc::clone(&place.store));
            }
            if caller.workload.explains != Explains::None {
                let rules: Vec<&str> = both.refusing_ids().collect();
                let _ = write!(said, "; {}: {}", place.store.name(), rules.join(", "));
            }
        }
        if asked == 0 {
            let message = "this gateway has no state store for the workload; send `store: false` and the whole conversation";
            return Err(Fault::new(Source::Gateway, RetryClass::Stop, Code::StateUnavailable, message));
        }
        let message = format!(
            "the terms in force permit no state store for this workload{said}. Send `store: false` and the whole \
             conversation, or have the owner of the rule look at it."
        );
        Err(Fault::new(Source::Terms, RetryClass::Stop, Code::PlacementRefused, message))
    }
}
