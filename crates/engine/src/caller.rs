//! Who calls: a key's digest → workload. The secret itself is not kept.

use crate::snapshot::Snapshot;
use domain::{Code, Fault, KeyId, WorkloadId};
use std::{fmt, sync::Arc};

/// A key as it is looked up: its keyed BLAKE3 digest. Comparing digests of a secret hash key tells an attacker
/// nothing about the secret, whatever the comparison's timing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

/// Makes digests; its own key is random for each process.
#[derive(Clone)]
pub struct KeyHasher([u8; 32]);

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

impl KeyHasher {
    /// A hasher with this key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The digest of a caller's key.
    #[must_use]
    pub fn digest(&self, key: &str) -> KeyDigest {
        KeyDigest(*blake3::keyed_hash(&self.0, key.as_bytes()).as_bytes())
    }
}

/// A workload as the engine knows it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub id: WorkloadId,
    /// What terms may read of it, interned by `placement`.
    pub principal: placement::PrincipalClass,
    /// Data classes that every call of it has.
    pub data_classes: placement::DataClasses,
    /// How much of a decision its callers may see.
    pub explains: Explains,
    /// Whether its callers may name a deployment (`model@deployment`). Terms still decide.
    pub may_pin: bool,
    /// Models that it may ask for; empty: all.
    pub models: Vec<domain::ModelName>,
    /// As what its calls are judged, by the operator's word.
    pub class: Option<placement::classify::Override>,
    /// What it is like, counted over its calls.
    pub profile: Arc<placement::classify::Profile>,
}

/// How much of a decision callers may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explains {
    /// The code and the call's id.
    None,
    /// Rule ids and titles too.
    #[default]
    Ids,
    /// Deployments, attempts, cost and the reason line too.
    Full,
}

/// A caller's key as the snapshot keeps it.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// Its id in records.
    pub id: KeyId,
    /// Whose it is.
    pub workload: Arc<Workload>,
}

/// An authenticated caller, and the snapshot that its call holds to the end.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key's id.
    pub key: KeyId,
    /// The workload that pays and is judged.
    pub workload: Arc<Workload>,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// One fault for no key and for a wrong key: an attacker learns nothing from the difference.
pub(crate) fn unknown_key() -> Fault {
    Fault::caller(
        Code::InvalidApiKey,
        "no valid key: send `Authorization: Bearer <your gateway key>`. Provider keys are not accepted here.",
    )
}
