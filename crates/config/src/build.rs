//! Checked → the engine's snapshot: facts are asked of the book, prices of the catalog, identities of
//! `credentials`, and terms and fleet become one placement.

use crate::checked::{Checked, Deployment, SecretOrigin};
use domain::{Capabilities, Clock, Secret, SecretNeed, SecretSource, SnapshotEpoch, secret::FixedSecret};
use engine::{DeploymentSpec, KeySpec, ModelSpec, SnapshotSpec, WorkloadSpec};
use ledger::{Catalog, PriceRow, PriceSheet};
use placement::{Attribute, DeploymentFacts, Fleet, Placement, fleet::FleetError};
use providers::Reach;
use secrecy::ExposeSecret as _;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// What a snapshot is made from beside the configuration. Lives as long as the process.
pub struct Sources {
    /// Prices and capabilities of models.
    pub catalog: Catalog,
    /// For the refresh of identities' tokens.
    pub clock: Arc<dyn Clock>,
    identities: Mutex<Vec<(SecretNeed, Arc<dyn SecretSource>)>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

impl Sources {
    /// Sources without any identity yet.
    #[must_use]
    pub fn new(catalog: Catalog, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, identities: Mutex::default() }
    }

    /// The source of an identity's secrets: one for all deployments and snapshots that need the same, so that
    /// a reload fetches nothing anew. At most one per kind and scope.
    fn identity(&self, need: &SecretNeed) -> Arc<dyn SecretSource> {
        let mut known = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, source)) = known.iter().find(|(own, _)| own == need) {
            return Arc::clone(source);
        }
        match credentials::identity(need, Arc::clone(&self.clock)) {
            Some(source) => {
                known.push((need.clone(), Arc::clone(&source)));
                source
            }
            None => Arc::new(FixedSecret::new(Secret::None)),
        }
    }
}

/// Why a checked configuration makes no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A bound of the fleet.
    #[error("the fleet cannot be made: {0}")]
    Fleet(#[from] FleetError),
}

/// Makes the snapshot of a checked configuration. Asks neither network nor clock.
///
/// # Errors
/// [`BuildError`] where the fleet is above one of its bounds.
pub fn build(checked: &Checked, sources: &Sources, epoch: SnapshotEpoch) -> Result<SnapshotSpec, BuildError> {
    let facts: Vec<DeploymentFacts> = checked
        .deployments
        .iter()
        .map(|deployment| {
            checked.facts.describe(&placement::DeploymentSpec {
                id: deployment.id.clone(),
                provider: deployment.endpoint.provider().descriptor().id.into(),
                model: deployment.model.clone(),
                stated: deployment.stated.clone(),
            })
        })
        .collect();
    let deployments =
        checked.deployments.iter().zip(&facts).map(|(own, facts)| deployment(own, facts, sources)).collect();
    let profiles: Vec<_> = checked.workloads.iter().map(|workload| workload.profile.clone()).collect();
    let fleet = Arc::new(Fleet::new(facts, &profiles, &checked.terms)?);
    let workloads = checked.workloads.iter().filter_map(|workload| {
        let (principal, data_classes) = fleet.workload(&workload.profile.id)?;
        Some(WorkloadSpec {
            id: workload.profile.id.clone(),
            principal,
            data_classes,
            explains: workload.explains,
            may_pin: workload.may_pin,
            models: workload.models.clone(),
            class: workload.class.clone(),
        })
    });
    Ok(SnapshotSpec {
        discover: checked.discover,
        workloads: workloads.collect(),
        deployments,
        models: checked
            .models
            .iter()
            .map(|model| ModelSpec { name: model.name.clone(), deployments: model.deployments.clone() })
            .collect(),
        keys: checked
            .keys
            .iter()
            .map(|key| KeySpec {
                id: key.id.clone(),
                secret: key.secret.clone(),
                workload: key.workload.clone(),
            })
            .collect(),
        placement: Arc::new(Placement::new(epoch, Arc::clone(&checked.terms), fleet)),
    })
}

fn deployment(own: &Deployment, facts: &DeploymentFacts, sources: &Sources) -> DeploymentSpec {
    let provider = own.endpoint.provider().descriptor().id;
    // The wire name first: Bedrock prices profiles apart. Azure's wire name is the operator's own.
    let names = [own.endpoint.wire_model(), own.model.as_str()];
    let capabilities = names.iter().find_map(|name| sources.catalog.capabilities(provider, name));
    let secret: Arc<dyn SecretSource> = match &own.secret {
        SecretOrigin::None => Arc::new(FixedSecret::new(Secret::None)),
        SecretOrigin::Key(key) => Arc::new(FixedSecret::new(Secret::token(key.expose_secret()))),
        SecretOrigin::Identity => sources.identity(own.endpoint.secret_need()),
    };
    DeploymentSpec {
        id: own.id.clone(),
        capabilities: own.capabilities.over(capabilities.unwrap_or(&Capabilities::default())),
        prices: Arc::new(prices(own, &names, facts, sources)),
        endpoint: own.endpoint.clone(),
        secret,
        timeouts: own.timeouts,
        order: own.order,
        concurrency: own.concurrency,
        connect_timeout: own.connect_timeout,
        tls: own.tls.clone(),
        proxy: own.proxy.clone(),
    }
}

/// The operator's price, or the catalog's rows for the place: the region's own where it has some, else those of
/// its part of the world, else those that make no difference.
fn prices(own: &Deployment, names: &[&str], facts: &DeploymentFacts, sources: &Sources) -> PriceSheet {
    let provider = own.endpoint.provider().descriptor().id;
    let places = places(own, facts, sources.clock.now());
    let geo = places.last().map_or("", String::as_str);
    if let Some(rates) = own.price {
        return PriceSheet::new(vec![PriceRow::flat(provider, own.model.as_str(), rates)], geo);
    }
    for name in names {
        for place in &places {
            if sources.catalog.entry(provider, name, place).is_some_and(|entry| *entry.geo == **place) {
                return sources.catalog.sheet(provider, name, place);
            }
        }
        let sheet = sources.catalog.sheet(provider, name, geo);
        if !sheet.rows().is_empty() {
            return sheet;
        }
    }
    PriceSheet::new(Vec::new(), geo)
}

/// What a price list may call the place of a deployment, narrowest first: the region, then the part of the world.
fn places(own: &Deployment, facts: &DeploymentFacts, now: jiff::Timestamp) -> Vec<String> {
    let mut places: Vec<String> = own.endpoint.region().map(str::to_owned).into_iter().collect();
    match own.endpoint.reach() {
        Reach::Zone(zone) => places.push(zone.to_string()),
        Reach::Global => places.push("global".to_owned()),
        Reach::Region | Reach::Unknown => {
            let jurisdictions = facts.value(Attribute::Jurisdictions, now);
            let europe = Attribute::Jurisdictions.group("@eu-eea").unwrap_or_default();
            let words: Vec<&str> = jurisdictions.words().collect();
            match words.as_slice() {
                words if words.iter().all(|word| europe.contains(word)) => places.push("eu".to_owned()),
                [one] if *one != placement::attribute::UNKNOWN => places.push((*one).to_owned()),
                _ => {}
            }
        }
    }
    places
}
