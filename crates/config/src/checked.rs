//! The configuration, checked: nothing in it points nowhere, every value has its own type, every secret that
//! stands in the environment or a file is at hand. [`crate::build`] makes the engine's snapshot of it.

use domain::{Capabilities, DeploymentId, KeyId, ModelName, WorkloadId};
use engine::{
    Explains, Timeouts,
    upstream::{ProxyRule, TlsSettings},
};
use placement::{FactBook, Problems, Terms, WorkloadProfile, facts::Stated, terms::Approver};
use secrecy::SecretString;
use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// A configuration without errors.
#[derive(Debug)]
pub struct Checked {
    /// Where the gateway listens.
    pub listen: Listen,
    /// The record of every call.
    pub journal: Journal,
    /// Bounds of the whole gateway.
    pub limits: Limits,
    /// Whether conversations are looked for in self-contained calls.
    pub discover: bool,
    /// The deployments, in the order of the file.
    pub deployments: Vec<Deployment>,
    /// Names that can be asked for, aliases included, sorted.
    pub models: Vec<Model>,
    /// The workloads, in the order of the file.
    pub workloads: Vec<Workload>,
    /// Responses and conversations that the gateway keeps.
    pub state: State,
    /// The callers' keys, in the order of the file.
    pub keys: Vec<Key>,
    /// The packs, compiled, with raw policies, waivers and approvals.
    pub terms: Arc<Terms>,
    /// Who may approve packs.
    pub approvers: Vec<Approver>,
    /// Whether a pack that nobody approved is refused.
    pub require_approved: bool,
    /// The folder of the packs, where one is named.
    pub terms_dir: Option<PathBuf>,
    /// The shipped facts with the operator's own laid over them.
    pub facts: FactBook,
    /// Every file that was read, the configuration first: what a reload watches.
    pub files: Vec<PathBuf>,
    /// What is allowed and should be known.
    pub notes: Problems,
}

/// Where the gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Callers' address.
    pub data: SocketAddr,
    /// Administration, health and metrics.
    pub admin: SocketAddr,
}

impl Default for Listen {
    /// Ports 8080 and 8081 of this machine alone.
    fn default() -> Self {
        Self {
            data: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
        }
    }
}

/// The record of every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The folder of its segments and of the ledger.
    pub dir: PathBuf,
    /// When a record counts as written.
    pub durability: Durability,
    /// How long drained segments are kept.
    pub retention: Duration,
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It survives the death of the process.
    #[default]
    Process,
    /// The outcome survives a loss of power.
    Power,
    /// The attempt survives a loss of power before anything is sent.
    Strict,
}

/// Responses and conversations that the gateway keeps.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Concurrent turns are refused instead of waiting.
    pub refuse_concurrent: bool,
    /// How long a turn waits for another of its conversation.
    pub turn_wait: Duration,
    /// How long a response is kept; `None`: until it is deleted.
    pub keep: Option<Duration>,
    /// Who shortens conversations.
    pub compaction_model: Option<ModelName>,
    /// The stores, in the order of the file. Empty: nothing is kept.
    pub stores: Vec<Store>,
}

/// A place where state is kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its name.
    pub name: String,
    /// The database file.
    pub path: PathBuf,
    /// 32 bytes as text: they wrap the keys of the tenants.
    pub master_key: SecretString,
    /// What the operator states about it.
    pub stated: Vec<Stated>,
    /// Workloads whose state lies here and never elsewhere.
    pub workloads: Vec<WorkloadId>,
}

/// Bounds of the whole gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One request's body, in bytes.
    pub body: usize,
    /// All buffered bodies together, in bytes.
    pub buffered: usize,
    /// Connections of callers at a time.
    pub connections: usize,
    /// How long a caller's connection may rest between two calls.
    pub idle: Duration,
    /// How long calls under way may take when the gateway is told to stop.
    pub drain: Duration,
    /// Threads of the data plane; `None`: one per core.
    pub workers: Option<usize>,
}

impl Default for Limits {
    /// 64 MiB, 512 MiB, 20,000 connections that rest for at most 620 s, 30 s, one thread per core.
    fn default() -> Self {
        Self {
            body: 64 << 20,
            buffered: 512 << 20,
            connections: 20_000,
            idle: Duration::from_secs(620),
            drain: Duration::from_secs(30),
            workers: None,
        }
    }
}

/// One place where one model can be called.
#[derive(Debug)]
pub struct Deployment {
    /// The operator's name for it.
    pub id: DeploymentId,
    /// The model's name in the catalog or the operator's own.
    pub model: ModelName,
    /// Who is called, and how.
    pub endpoint: providers::Endpoint,
    /// Where its secret comes from.
    pub secret: SecretOrigin,
    /// Facts that the operator states.
    pub stated: Vec<Stated>,
    /// What is changed of the catalog's capabilities.
    pub capabilities: CapabilityChanges,
    /// The operator's own price, if any.
    pub price: Option<ledger::Rates>,
    /// Bounds on the time of one attempt.
    pub timeouts: Timeouts,
    /// Bound on the connection.
    pub connect_timeout: Duration,
    /// Lower is tried first.
    pub order: u16,
    /// Calls at a time.
    pub concurrency: usize,
    /// Proxy on the way.
    pub proxy: Option<ProxyRule>,
    /// Trust and client certificate.
    pub tls: TlsSettings,
}

/// Where a deployment's secret comes from.
pub enum SecretOrigin {
    /// It needs none.
    None,
    /// A key, read from the environment or a file.
    Key(SecretString),
    /// The cloud's own identity, fetched when it is first needed.
    Identity,
}

impl fmt::Debug for SecretOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Key(_) => "Key(hidden)",
            Self::Identity => "Identity",
        })
    }
}

/// What the operator changes of the catalog's capabilities.
#[derive(Clone, Copy, Debug, Default)]
pub struct CapabilityChanges {
    pub(crate) flags: [Option<bool>; 10],
    pub(crate) reasoning: Option<domain::ReasoningControl>,
    pub(crate) context_tokens: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
}

impl CapabilityChanges {
    /// `base` with the changes laid over it.
    #[must_use]
    pub fn over(&self, base: &Capabilities) -> Capabilities {
        let [tools, parallel, forced, vision, documents, schema, logprobs, sampling, candidates, prefill] =
            self.flags;
        Capabilities {
            tools: tools.unwrap_or(base.tools),
            parallel_tools: parallel.unwrap_or(base.parallel_tools),
            forced_tools: forced.unwrap_or(base.forced_tools),
            vision: vision.unwrap_or(base.vision),
            documents: documents.unwrap_or(base.documents),
            json_schema: schema.unwrap_or(base.json_schema),
            logprobs: logprobs.unwrap_or(base.logprobs),
            sampling: sampling.unwrap_or(base.sampling),
            candidates: candidates.unwrap_or(base.candidates),
            prefill: prefill.unwrap_or(base.prefill),
            reasoning: self.reasoning.unwrap_or(base.reasoning),
            context_tokens: self.context_tokens.unwrap_or(base.context_tokens),
            max_output_tokens: self.max_output_tokens.unwrap_or(base.max_output_tokens),
        }
    }
}

/// A name that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name.
    pub name: ModelName,
    /// Where it can be called; never empty.
    pub deployments: Vec<DeploymentId>,
}

/// A named use of AI.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What terms may read of it; its name is in there.
    pub profile: WorkloadProfile,
    /// How much of a decision its callers may see.
    pub explains: Explains,
    /// Whether its callers may name a deployment.
    pub may_pin: bool,
    /// Models that it may ask for; empty: all.
    pub models: Vec<ModelName>,
    /// As what its calls are judged, by the operator's word.
    pub class: Option<placement::classify::Override>,
}

/// A caller's key.
#[derive(Debug)]
pub struct Key {
    /// Its id in records.
    pub id: KeyId,
    /// What callers send.
    pub secret: SecretString,
    /// Whose it is.
    pub workload: WorkloadId,
}
