//! The stateful side, as the routes reach it.

use domain::{Fault, TenantId};
use engine::{Caller, Engine};
use runtime::{Client, EngineModel, Runtime, StateStores};
use std::sync::Arc;

/// The runtime and its stores; fixed at start.
#[derive(Clone)]
pub struct StateSide {
    /// Turns, responses and conversations.
    pub runtime: Arc<Runtime>,
    /// Where they may lie.
    pub stores: Arc<StateStores>,
}

impl StateSide {
    /// On behalf of a caller: the store that the terms permit now, and the engine as the way to a model.
    ///
    /// The tenant is the workload: its keys share what is kept, no other workload sees it.
    ///
    /// # Errors
    /// `placement_refused` where the terms permit no store, `state_unavailable` where the workload has none.
    pub(crate) async fn client(&self, engine: &Arc<Engine>, caller: Caller) -> Result<Client, Fault> {
        let store = self.stores.choose(engine, &caller).await?;
        let tenant = TenantId::new(caller.workload.id.as_str());
        Ok(Client { tenant, store, model: Arc::new(EngineModel::new(Arc::clone(engine), caller)) })
    }
}
