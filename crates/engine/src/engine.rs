//! The engine: what is shared, the snapshot in force, and the doors for `server` and `admin`.

use crate::{
    budget::{BufferBudget, Buffered, RetryBudget},
    caller::{self, Caller, KeyEntry, KeyHasher, Workload},
    classify::Discovery,
    clock::ClockWatch,
    deployment::{Deployment, Latencies, Vitals},
    memo::Memo,
    metrics::Metrics,
    needs::Needs,
    shared::{Recent, Shared},
    snapshot::{DeploymentSpec, Model, Snapshot, SnapshotError, SnapshotSpec},
    upstream::{ConnectSettings, PoolLimits, PoolRegistry, TlsIdentities},
};
use arc_swap::ArcSwapOption;
use domain::{
    CallId, Clock, Code, DecisionId, DeploymentId, Fault, ModelName, RetryClass, SnapshotEpoch, Source,
    WorkloadId,
    journal::{Journal, JournalError},
    record::{NoticeRecord, OutcomeRecord, Record, RefusalRecord},
};
use placement::DeploymentIndex;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What an engine needs from the outside.
pub struct EngineSettings {
    /// The one way to learn the time.
    pub clock: Arc<dyn Clock>,
    /// Where records go.
    pub journal: Arc<dyn Journal>,
    /// All buffered bodies together may hold this many bytes.
    pub max_buffered: usize,
    /// 256 random bits of this process: the key of the callers' key digests and of call ids.
    pub seed: [u8; 32],
}

/// The engine of one gateway.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    snapshot: ArcSwapOption<Snapshot>,
    hasher: KeyHasher,
    id_seed: [u8; 32],
    id_counter: AtomicU64,
    pub(crate) clock_watch: ClockWatch,
    /// Serialises loads; holds what outlives snapshots.
    vitals: Mutex<HashMap<DeploymentId, (usize, Arc<Vitals>)>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine without a snapshot: it answers 503 until [`Engine::load`].
    #[must_use]
    pub fn new(settings: EngineSettings) -> Arc<Self> {
        let shared = Arc::new(Shared {
            clock: settings.clock,
            journal: settings.journal,
            metrics: Metrics::default(),
            buffers: BufferBudget::new(settings.max_buffered),
            retries: RetryBudget::default(),
            pools: PoolRegistry::default(),
            discovery: Discovery::new(&settings.seed),
            recent: Recent::default(),
        });
        Arc::new(Self {
            shared,
            snapshot: ArcSwapOption::empty(),
            hasher: KeyHasher::new(settings.seed),
            id_seed: blake3::derive_key("cabotage call ids", &settings.seed),
            id_counter: AtomicU64::new(0),
            clock_watch: ClockWatch::default(),
            vitals: Mutex::new(HashMap::new()),
        })
    }

    /// Builds a snapshot and puts it in force, whole or not at all. Calls under way keep theirs. Before that the
    /// hot standings of the old one are made anew, so that no call waits for them: not for a data thread.
    ///
    /// # Errors
    /// Where the parts do not fit together; the old snapshot stays in force.
    pub fn load(&self, spec: SnapshotSpec) -> Result<SnapshotEpoch, SnapshotError> {
        let mut vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = spec.placement.epoch();
        let mut deployments = Vec::with_capacity(spec.deployments.len());
        let mut kept = HashMap::new();
        let mut identities = TlsIdentities::default();
        let alive = |written: &DeploymentSpec| match vitals.get(&written.id) {
            Some((places, alive)) if *places == written.concurrency => Arc::clone(alive),
            _ => Arc::new(Vitals::new(written.concurrency)),
        };
        let alive: Vec<_> = spec.deployments.iter().map(alive).collect();
        let latencies = Latencies::of(alive.iter().map(|vitals| vitals.latency_us()));
        for ((index, written), vitals) in (0_u16..).zip(spec.deployments).zip(alive) {
            kept.insert(written.id.clone(), (written.concurrency, Arc::clone(&vitals)));
            let seen = (DeploymentIndex(index), latencies.clone());
            deployments.push(Arc::new(self.deployment(written, vitals, seen, &mut identities)?));
        }
        let position = |name: &DeploymentId| {
            let found = deployments.iter().position(|deployment| deployment.id == *name);
            found
                .and_then(|position| u16::try_from(position).ok())
                .map(DeploymentIndex)
                .ok_or_else(|| SnapshotError::Dangling { what: "deployment", name: name.to_string() })
        };
        let mut models = HashMap::new();
        for model in spec.models {
            let mut list = model.deployments.iter().map(position).collect::<Result<Vec<_>, _>>()?;
            list.sort_by_key(|index| {
                deployments.get(usize::from(index.0)).map_or(0, |deployment| deployment.order)
            });
            models.insert(model.name.clone(), Arc::new(Model { name: model.name, deployments: list }));
        }
        let workloads: HashMap<WorkloadId, Arc<Workload>> = spec
            .workloads
            .into_iter()
            .map(|written| {
                let workload = Workload {
                    id: written.id.clone(),
                    principal: written.principal,
                    data_classes: written.data_classes,
                    explains: written.explains,
                    may_pin: written.may_pin,
                    models: written.models,
                    class: written.class,
                    profile: self.shared.discovery.profile(&written.id),
                };
                (written.id, Arc::new(workload))
            })
            .collect();
        let mut keys: HashMap<_, KeyEntry> = HashMap::new();
        for key in spec.keys {
            let workload = workloads.get(&key.workload).ok_or_else(|| SnapshotError::Dangling {
                what: "workload",
                name: key.workload.to_string(),
            })?;
            let digest = self.hasher.digest(secrecy::ExposeSecret::expose_secret(&key.secret));
            let entry = KeyEntry { id: key.id.clone(), workload: Arc::clone(workload) };
            if let Some(other) = keys.insert(digest, entry) {
                return Err(SnapshotError::SameSecret(other.id, key.id));
            }
        }
        let snapshot = Snapshot {
            epoch,
            deployments,
            models,
            placement: spec.placement,
            workloads,
            keys,
            memo: Memo::default(),
            latencies,
        };
        self.rebuild_hot(&snapshot);
        self.shared.discovery.enable(spec.discover);
        *vitals = kept;
        self.snapshot.store(Some(Arc::new(snapshot)));
        Ok(epoch)
    }

    fn deployment(
        &self,
        written: DeploymentSpec,
        vitals: Arc<Vitals>,
        latencies: (DeploymentIndex, Latencies),
        identities: &mut TlsIdentities,
    ) -> Result<Deployment, SnapshotError> {
        let origin = written.endpoint.origin();
        let tls = if origin.scheme == providers::Scheme::Https {
            let identity = identities.identity(&written.tls);
            Some(identity.map_err(|cause| SnapshotError::Tls { deployment: written.id.clone(), cause })?)
        } else {
            None
        };
        let settings = ConnectSettings {
            host: (*origin.host).into(),
            port: origin.port,
            tls,
            proxy: written.proxy,
            connect_timeout: written.connect_timeout,
        };
        Ok(Deployment {
            offers: Needs::offered(&written.capabilities)
                .with(Needs::EMBEDDINGS, written.endpoint.embeddings_target().is_some()),
            pool: self.shared.pools.pool(&settings, PoolLimits::default()),
            metrics: self.shared.metrics.deployment(written.id.as_str()),
            vitals,
            latencies,
            id: written.id,
            endpoint: written.endpoint,
            secret: written.secret,
            capabilities: written.capabilities,
            prices: written.prices,
            timeouts: written.timeouts,
            order: written.order,
        })
    }

    /// The epoch that the next snapshot's placement is to be made with.
    #[must_use]
    pub fn next_epoch(&self) -> SnapshotEpoch {
        SnapshotEpoch(self.snapshot.load().as_ref().map_or(1, |old| old.epoch.0 + 1))
    }

    /// The snapshot in force.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Who calls.
    ///
    /// # Errors
    /// `invalid_api_key`, the same for no key and a wrong one; `overloaded` before the first snapshot.
    pub fn caller(&self, key: Option<&str>) -> Result<Caller, Fault> {
        let snapshot = self.snapshot.load_full().ok_or_else(|| {
            Fault::new(
                Source::Gateway,
                RetryClass::Stop,
                Code::Overloaded,
                "the gateway is starting; try again shortly",
            )
            .after(Some(Duration::from_secs(1)))
        })?;
        // A missing key costs the same work as a wrong one.
        let digest = self.hasher.digest(key.unwrap_or_default());
        let entry = key.and_then(|_| snapshot.keys.get(&digest)).cloned().ok_or_else(caller::unknown_key)?;
        Ok(Caller { key: entry.id, workload: entry.workload, snapshot })
    }

    /// A new call id: time, and bits that nobody outside can guess.
    #[must_use]
    pub fn new_call_id(&self) -> CallId {
        let count = self.id_counter.fetch_add(1, Relaxed);
        let hash = blake3::keyed_hash(&self.id_seed, &count.to_le_bytes());
        let mut random = [0; 16];
        random.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        let ms = u64::try_from(self.shared.clock.now().as_millisecond()).unwrap_or(0);
        CallId::from_parts(ms, u128::from_le_bytes(random))
    }

    /// Sets bytes of a body aside, or says that the bound is reached.
    #[must_use]
    pub fn buffer(&self, bytes: usize) -> Option<Buffered> {
        self.shared.buffers.take(bytes)
    }

    /// The models that a caller can ask for, sorted.
    #[must_use]
    pub fn models(&self, caller: &Caller) -> Vec<ModelName> {
        let mut names: Vec<ModelName> = visible_models(caller).cloned().collect();
        names.sort();
        names
    }

    /// The outcomes of a call of the caller's own workload that are still in memory.
    #[must_use]
    pub fn outcomes(&self, caller: &Caller, call: CallId) -> Vec<OutcomeRecord> {
        self.shared.recent.of(&caller.workload.id, call)
    }

    /// Records a call that ended before anything was decided.
    pub fn refuse(&self, caller: &Caller, call: CallId, fault: &Fault) {
        self.journal_refusal(caller, call, "", None, fault);
    }

    pub(crate) fn journal_refusal(
        &self,
        caller: &Caller,
        call: CallId,
        model: &str,
        decision: Option<DecisionId>,
        fault: &Fault,
    ) {
        self.shared.metrics.refused(fault.code);
        let record = RefusalRecord {
            call,
            at_us: self.shared.clock.now().as_microsecond(),
            workload: caller.workload.id.clone(),
            key: caller.key.clone(),
            model: model.chars().take(128).collect::<String>().as_str().into(),
            decision,
            code: fault.code,
        };
        if let Err(error) = self.shared.journal.append(&Record::Refusal(record)) {
            tracing::error!(%error, "a refusal could not be journalled");
        }
    }

    /// Journals something that concerns the gateway as a whole.
    pub fn notice(&self, kind: &str, text: &str) {
        let at_us = self.shared.clock.now().as_microsecond();
        let record = NoticeRecord {
            at_us,
            kind: kind.into(),
            text: text.chars().take(256).collect::<String>().into(),
        };
        if let Err(error) = self.shared.journal.append(&Record::Notice(record)) {
            tracing::error!(%error, kind, "a notice could not be journalled");
        }
    }

    /// Closes old unused connections. To be called every few seconds.
    pub fn sweep(&self) {
        self.shared.pools.sweep(self.shared.clock.monotonic());
    }

    /// Counters, clock, budgets: for the admin listener.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// The journal cannot take a record, so no call may run.
pub(crate) fn journal_fault(error: &JournalError) -> Fault {
    let code = match error {
        JournalError::Full { .. } => Code::Overloaded,
        JournalError::Broken(_) => Code::JournalUnavailable,
    };
    let message = match error {
        JournalError::Full { .. } => {
            "the gateway has as many calls under way as it can record; try again shortly"
        }
        JournalError::Broken(_) => {
            "the gateway cannot record calls at the moment and therefore runs none; try again later"
        }
    };
    Fault::new(Source::Gateway, RetryClass::Stop, code, message)
        .after(Some(Duration::from_secs(1)))
        .because(&error.to_string())
}

/// The models that a caller can ask for, in no order.
pub(crate) fn visible_models(caller: &Caller) -> impl Iterator<Item = &ModelName> {
    let allowed = &caller.workload.models;
    caller.snapshot.models.keys().filter(|name| allowed.is_empty() || allowed.contains(name))
}

/// Names of fitting length that a hint is looked for among: a caller who guesses at models must not keep a data
/// thread busy, however many names there are.
const NEAR_AMONG: usize = 256;

/// Names near to `wanted`, at most three, nearest first. For "unknown model".
pub(crate) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let far = |name: &str| 1 + name.len().max(wanted.len()) / 3;
    let mut scored: Vec<(usize, &str)> = names
        .filter(|name| name.len().abs_diff(wanted.len()) <= far(name))
        .take(NEAR_AMONG)
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, name)| *distance <= far(name))
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Edit distance of two names, each read to 64 bytes.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<u8>, Vec<u8>) =
        (left.bytes().take(64).collect(), right.bytes().take(64).collect());
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (r, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let next = (diagonal + usize::from(l != r)).min(before + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = next;
            before = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["gpt-5.4", "gpt-6.1-sol", "claude-opus-5-5", "gemini-3-pro"];
        assert_eq!(near("gpt-5", names.into_iter()).first(), Some(&"gpt-5.4"));
        assert_eq!(near("claud-opus-5-5", names.into_iter()), ["claude-opus-5-5"]);
        assert!(near("zzzzzzzz", names.into_iter()).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
