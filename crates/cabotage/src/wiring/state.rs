//! What the gateway keeps: stores of the configuration → the stateful side.

use anyhow::{Context as _, anyhow};
use config::{Checked, checked::Store};
use domain::{Clock, state::StateStore};
use placement::{DeploymentFacts, DeploymentSpec, explain::KeptAt};
use runtime::{Compaction, Concurrency, Runtime, RuntimeSettings, StateStores, StorePlace};
use secrecy::ExposeSecret as _;
use server::StateSide;
use std::{collections::HashMap, sync::Arc};
use storage::{MasterKey, SqliteStateStore, StateSettings};

/// Most tokens of a conversation's summary.
const SUMMARY_TOKENS: u64 = 4_096;

/// Opens the stores; `None` where the configuration has none.
pub(super) fn open(
    checked: &Checked,
    clock: Arc<dyn Clock>,
    seed: [u8; 32],
) -> anyhow::Result<Option<StateSide>> {
    let state = &checked.state;
    if state.stores.is_empty() {
        return Ok(None);
    }
    let mut places = Vec::with_capacity(state.stores.len());
    let mut bound = HashMap::new();
    for own in &state.stores {
        folder_of(own)?;
        let store = SqliteStateStore::open(settings(own)?)
            .with_context(|| format!("the state store `{}` ({})", own.name, own.path.display()))?;
        let store: Arc<dyn StateStore> = Arc::new(store);
        let facts = Arc::new(facts(checked, own));
        places.push(StorePlace { store, facts });
        bound.extend(own.workloads.iter().map(|workload| (workload.clone(), own.name.as_str().into())));
    }
    let mut settings = RuntimeSettings::new(clock, seed);
    settings.concurrency =
        if state.refuse_concurrent { Concurrency::Refuse } else { Concurrency::Serialise(state.turn_wait) };
    settings.keep_responses = state.keep;
    settings.compaction =
        state.compaction_model.clone().map(|model| Compaction { model, max_output_tokens: SUMMARY_TOKENS });
    Ok(Some(StateSide { runtime: Runtime::new(settings), stores: Arc::new(StateStores::new(places, bound)) }))
}

/// What opens a store.
pub(crate) fn settings(own: &Store) -> anyhow::Result<StateSettings> {
    let master = MasterKey::parse(own.master_key.expose_secret())
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("the master key of the state store `{}`", own.name))?;
    Ok(StateSettings::new(&own.name, &own.path, master))
}

/// Makes the folder of a store's file.
pub(crate) fn folder_of(own: &Store) -> anyhow::Result<()> {
    let Some(folder) = own.path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} of the state store `{}`", folder.display(), own.name))
}

/// Where the stores are, for explanations.
pub(crate) fn kept_at(checked: &Checked) -> Arc<[KeptAt]> {
    let stores = checked.state.stores.iter();
    stores
        .map(|own| KeptAt { facts: Arc::new(facts(checked, own)), workloads: own.workloads.clone() })
        .collect()
}

/// What is known of where a store is.
fn facts(checked: &Checked, own: &Store) -> DeploymentFacts {
    checked.facts.describe(&DeploymentSpec {
        id: own.name.as_str().into(),
        provider: "state-store".into(),
        model: "state".into(),
        stated: own.stated.clone(),
    })
}
