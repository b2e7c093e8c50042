//! Configuration, terms, facts, prices, deployments and keys as one value, swapped whole. A call holds its
//! snapshot to the end, so no call ever sees half a change.

use crate::{
    caller::{Explains, KeyDigest, KeyEntry, Workload},
    deployment::{Deployment, Latencies, Timeouts},
    memo::Memo,
    upstream::{ProxyRule, TlsSettings},
};
use domain::{Capabilities, DeploymentId, KeyId, ModelName, SecretSource, SnapshotEpoch, WorkloadId};
use placement::{DataClasses, DeploymentIndex, Placement, PrincipalClass};
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

/// A snapshot, ready to serve.
pub struct Snapshot {
    /// Counts snapshots.
    pub epoch: SnapshotEpoch,
    /// Every deployment, in the order of the placement's fleet: index for index.
    pub deployments: Vec<Arc<Deployment>>,
    /// What can be asked for.
    pub models: HashMap<ModelName, Arc<Model>>,
    /// Terms, facts and fleet.
    pub placement: Arc<Placement>,
    /// Every workload.
    pub workloads: HashMap<WorkloadId, Arc<Workload>>,
    pub(crate) keys: HashMap<KeyDigest, KeyEntry>,
    pub(crate) memo: Memo,
    pub(crate) latencies: Latencies,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The deployment of an index.
    #[must_use]
    pub fn deployment(&self, index: DeploymentIndex) -> Option<&Arc<Deployment>> {
        self.deployments.get(usize::from(index.0))
    }

    /// The index of a deployment's name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<DeploymentIndex> {
        let position = self.deployments.iter().position(|deployment| deployment.id.as_str() == name)?;
        u16::try_from(position).ok().map(DeploymentIndex)
    }
}

/// Something that can be asked for by name.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub name: ModelName,
    /// Where it can be called, in the operator's order.
    pub deployments: Vec<DeploymentIndex>,
}

/// What a snapshot is made of. Deployments stand in the order of the placement's fleet.
pub struct SnapshotSpec {
    /// The deployments.
    pub deployments: Vec<DeploymentSpec>,
    /// Names that can be asked for, aliases included.
    pub models: Vec<ModelSpec>,
    /// The workloads.
    pub workloads: Vec<WorkloadSpec>,
    /// The callers' keys.
    pub keys: Vec<KeySpec>,
    /// Terms, facts and fleet.
    pub placement: Arc<Placement>,
    /// Whether conversations are looked for in self-contained calls.
    pub discover: bool,
}

/// One deployment of a snapshot to be.
pub struct DeploymentSpec {
    /// The operator's name for it.
    pub id: DeploymentId,
    /// Who is called, and how; checked.
    pub endpoint: providers::Endpoint,
    /// Where its secret comes from.
    pub secret: Arc<dyn SecretSource>,
    /// What the model can do there.
    pub capabilities: Capabilities,
    /// What its tokens cost.
    pub prices: Arc<ledger::PriceSheet>,
    /// Bounds on time.
    pub timeouts: Timeouts,
    /// Position in the operator's order; lower is tried first.
    pub order: u16,
    /// Calls at a time.
    pub concurrency: usize,
    /// Bound on name resolution and TCP together.
    pub connect_timeout: Duration,
    /// TLS beyond the system's roots.
    pub tls: TlsSettings,
    /// Proxy on the way.
    pub proxy: Option<ProxyRule>,
}

/// One name that can be asked for.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// The name.
    pub name: ModelName,
    /// Where it can be called.
    pub deployments: Vec<DeploymentId>,
}

/// One workload of a snapshot to be.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// Its name.
    pub id: WorkloadId,
    /// What terms may read of it.
    pub principal: PrincipalClass,
    /// Data classes that every call of it has.
    pub data_classes: DataClasses,
    /// How much of a decision its callers may see.
    pub explains: Explains,
    /// Whether its callers may name a deployment.
    pub may_pin: bool,
    /// Models that it may ask for; empty: all.
    pub models: Vec<ModelName>,
    /// As what its calls are judged, by the operator's word.
    pub class: Option<placement::classify::Override>,
}

/// One caller's key of a snapshot to be.
pub struct KeySpec {
    /// Its id in records.
    pub id: KeyId,
    /// The secret; only its digest is kept.
    pub secret: secrecy::SecretString,
    /// Whose it is.
    pub workload: WorkloadId,
}

/// Why a snapshot cannot be built. The old one stays in force.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// TLS settings of a deployment cannot be used.
    #[error("deployment {deployment}: {cause}")]
    Tls {
        /// Which.
        deployment: DeploymentId,
        /// Why.
        cause: crate::upstream::TlsError,
    },
    /// A name points nowhere. `config` checks this with file and line; here it is the last line of defence.
    #[error("{what} {name} is not defined")]
    Dangling {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Two keys have the same secret.
    #[error("keys {0} and {1} have the same secret; every key needs its own")]
    SameSecret(KeyId, KeyId),
}
