//! The configuration as it is written. Nothing downstream sees these types: [`crate::Checked`] is made of them.
//!
//! The published JSON Schema derives from here, and the text is checked against the same schema before serde
//! reads it, so what an editor underlines is what `check` reports.

use placement::{Attribute, attribute::Words};
use providers::Written;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The whole file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "cabotage.toml")]
pub(crate) struct Raw {
    /// Where the gateway listens.
    pub(crate) listen: Listen,
    /// The append-only record of every call.
    pub(crate) journal: Journal,
    /// Bounds of the whole gateway.
    pub(crate) limits: Limits,
    /// How much of a decision callers may see, where their workload says nothing else. Default: `ids`.
    pub(crate) explain_to_callers: Option<Explain>,
    /// Contract, residency, law and access rules.
    pub(crate) terms: Terms,
    /// How calls are classified.
    pub(crate) classify: Classify,
    /// Fact books (TOML files of dated rows) that are laid over the shipped one, in order.
    pub(crate) facts: Vec<PathBuf>,
    /// Settings for every deployment that does not say otherwise.
    pub(crate) upstream: Reach,
    /// The places where models can be called.
    pub(crate) deployment: Vec<Deployment>,
    /// Names for models beside the deployments' own.
    pub(crate) model: Vec<Model>,
    /// Organisations by name: what holds for all their teams and workloads. Lower levels may only narrow it.
    pub(crate) organisation: BTreeMap<String, Level>,
    /// Teams by name: what holds for all their workloads. Workloads may only narrow it.
    pub(crate) team: BTreeMap<String, Team>,
    /// Named uses of AI. Without any, there is one called `default`.
    pub(crate) workload: Vec<Workload>,
    /// The keys that callers send. At least one.
    pub(crate) key: Vec<Key>,
    /// Responses and conversations that the gateway keeps.
    pub(crate) state: State,
}

/// Responses and conversations that the gateway keeps. Without a store it keeps none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct State {
    /// What happens to a turn on a conversation that another turn has: it waits (`wait`), or it is refused with 409
    /// (`refuse`). Default: `wait`.
    pub(crate) concurrent_turns: Option<ConcurrentTurns>,
    /// How long it waits at most. Default: `1m`.
    pub(crate) turn_wait: Option<String>,
    /// How long a response is kept, or `forever`. Conversations are kept until they are deleted. Default: `30d`.
    pub(crate) keep: Option<String>,
    /// The model that shortens conversations (`/v1/responses/compact`), by the name that callers use. Without it,
    /// nobody does.
    pub(crate) compaction_model: Option<String>,
    /// The stores, in the order in which the terms are asked.
    pub(crate) store: Vec<Store>,
}

/// What happens to concurrent turns.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConcurrentTurns {
    /// They wait for their turn.
    Wait,
    /// They are refused.
    Refuse,
}

/// A place where state is kept: an SQLite file, encrypted per tenant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// Its name in records and explanations. Default: `state`.
    pub(crate) name: Option<String>,
    /// The database file, relative to the configuration. Default: `NAME.db` in the journal's folder.
    pub(crate) path: Option<PathBuf>,
    /// 32 bytes in hexadecimal or base64: they wrap the keys of the tenants. Who loses them loses the state.
    pub(crate) master_key: Option<Secret>,
    /// Facts about where it is: cloud, region, state_jurisdictions, operator … What is not stated is unknown.
    #[schemars(schema_with = "facts_schema")]
    pub(crate) facts: BTreeMap<String, OneOrMany>,
    /// Workloads whose state lies here and never elsewhere.
    pub(crate) workloads: Vec<String>,
}

/// Where the gateway listens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// Callers' address. Default: `127.0.0.1:8080`.
    pub(crate) data: Option<String>,
    /// Administration, health and metrics. Default: `127.0.0.1:8081`.
    pub(crate) admin: Option<String>,
}

/// The append-only record of every call.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Journal {
    /// The folder of its segments and of the ledger. Default: `cabotage-data`, beside the configuration.
    pub(crate) dir: Option<PathBuf>,
    /// When a record counts as written. Default: `process`.
    pub(crate) durability: Option<Durability>,
    /// How long drained segments are kept. Default: `30d`.
    pub(crate) retention: Option<String>,
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// It survives the death of the process.
    Process,
    /// It survives a loss of power, waited for at the end of the call.
    Power,
    /// It survives a loss of power before anything is sent.
    Strict,
}

/// How calls are classified.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Classify {
    /// Whether self-contained calls are linked to the conversations that they are, by keyed hashes of their words
    /// in memory. Costs processor time for every call: `docs/classification.md` has the figures. Default: false.
    pub(crate) discover: Option<bool>,
}

/// Who keeps state.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallClass {
    /// Nobody behind the gateway.
    Stateless,
    /// The provider, or whoever stands for it by your contracts.
    Stateful,
    /// The request is whole but for things that a provider holds.
    Hybrid,
}

/// Bounds of the whole gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// One request's body. Default: `64 MiB`.
    pub(crate) body: Option<String>,
    /// All buffered bodies together. Default: `512 MiB`.
    pub(crate) buffered: Option<String>,
    /// Connections of callers at a time. Default: 20000.
    pub(crate) connections: Option<u32>,
    /// How long a caller's connection may rest between two calls: longer than a load balancer before the gateway
    /// keeps it (AWS: 60 s unless told otherwise, Google Cloud: 600 s). Default: `620s`.
    pub(crate) idle: Option<String>,
    /// How long calls under way may take when the gateway is told to stop. Default: `30s`.
    pub(crate) drain: Option<String>,
    /// Threads of the data plane. Default: one per core.
    pub(crate) workers: Option<u16>,
}

/// How much of a decision callers may see.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Explain {
    /// The code and the call's id.
    None,
    /// Rule ids and titles too.
    Ids,
    /// Deployments, attempts, cost and the reason line too.
    Full,
}

/// Contract, residency, law and access rules.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Terms {
    /// A folder of packs (`*.toml`), of raw policies beside them (`*.cedar`), with `waivers.toml` and
    /// `approvals.toml`. Default: the shipped packs alone.
    pub(crate) dir: Option<PathBuf>,
    /// How packs act. A pack that is not named here acts as it says itself; those of the shipped packs that are off
    /// by default are switched on by naming them.
    pub(crate) pack: Vec<Pack>,
    /// Refuse every pack that no second person approved as it is (`approvals.toml` in `dir`). Default: false.
    pub(crate) require_approved: bool,
    /// Who may approve packs.
    pub(crate) approver: Vec<Approver>,
    /// When an event took place with which rules end (`until_event`): `2027-01-31` or an instant.
    pub(crate) events: BTreeMap<String, String>,
}

/// Somebody who may approve packs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approver {
    /// The name, as approvals say it.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// The public key: `ed25519:` and 32 bytes in base64.
    #[schemars(required)]
    pub(crate) key: Option<String>,
}

/// How a pack acts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pack {
    /// The pack's id.
    #[schemars(required)]
    pub(crate) id: Option<String>,
    /// `enforce` refuses, `warn` tells the caller, `observe` only records, `off` leaves the pack out.
    #[schemars(required)]
    pub(crate) mode: Option<PackMode>,
}

/// How a pack acts.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PackMode {
    /// Not at all.
    Off,
    /// Recorded.
    Observe,
    /// Told in a header.
    Warn,
    /// Refuses.
    Enforce,
}

/// How a deployment is reached and for how long it is waited for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reach {
    /// Calls at a time on one deployment; further ones go to the next candidate. Default: 1024.
    pub(crate) concurrency: Option<u32>,
    /// Bounds on time.
    pub(crate) timeouts: Timeouts,
    /// An HTTP proxy on the way: `http://host:port`. `""` for none.
    pub(crate) proxy: Option<String>,
    /// `user:password` for the proxy.
    pub(crate) proxy_auth: Option<Secret>,
    /// Hosts that are reached without the proxy: names or suffixes (`.internal`, `*`).
    pub(crate) no_proxy: Option<Vec<String>>,
    /// Trust and client certificate.
    pub(crate) tls: Option<Tls>,
}

/// Bounds on time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// For the connection with TLS. Default: `2s`.
    pub(crate) connect: Option<String>,
    /// Until the first content of a stream or the head of a whole answer. Default: `120s`.
    pub(crate) first_content: Option<String>,
    /// Between two pieces of content of a stream. Default: `60s`.
    pub(crate) idle: Option<String>,
    /// For a whole attempt. Default: `600s`.
    pub(crate) total: Option<String>,
}

/// Trust and client certificate: PEM files.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Roots to trust beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Trust `ca_file` alone.
    pub(crate) ca_only: bool,
    /// The certificate chain that we show.
    pub(crate) client_cert: Option<PathBuf>,
    /// Its private key.
    pub(crate) client_key: Option<PathBuf>,
}

/// One place where one model can be called.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Deployment {
    /// Its name in records, explanations and `model@deployment`. Default: `provider/model`.
    pub(crate) name: Option<String>,
    /// The provider's key. Default: the provider's usual environment variable. `"identity"` for the cloud's own
    /// identity (Entra ID, application default credentials, the AWS chain).
    pub(crate) api_key: Option<Secret>,
    /// Lower is tried first; among equals, the better health, cost and latency. Default: 100.
    pub(crate) order: Option<u16>,
    /// Placement facts that you state yourself; they win over the shipped fact book.
    #[serde(default)]
    #[schemars(schema_with = "facts_schema")]
    pub(crate) facts: BTreeMap<String, OneOrMany>,
    /// What the model can do there, where the catalog is wrong or silent.
    #[serde(default)]
    pub(crate) capabilities: Capabilities,
    /// Your own price, in US dollars per million tokens.
    pub(crate) price: Option<Price>,
    /// As in `[upstream]`, for this deployment.
    #[serde(flatten)]
    pub(crate) reach: Reach,
    /// The provider's own fields.
    #[serde(flatten)]
    pub(crate) provider: Written,
}

/// One word or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All words.
    pub(crate) fn words(&self) -> Vec<&str> {
        match self {
            Self::One(word) => vec![word],
            Self::Many(words) => words.iter().map(String::as_str).collect(),
        }
    }
}

/// What a model can do on a deployment; what is not written is the catalog's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Capabilities {
    /// Takes tools.
    pub(crate) tools: Option<bool>,
    /// May ask for several tools at once.
    pub(crate) parallel_tools: Option<bool>,
    /// Can be forced to call a tool.
    pub(crate) forced_tools: Option<bool>,
    /// Takes images.
    pub(crate) vision: Option<bool>,
    /// Takes documents (PDF).
    pub(crate) documents: Option<bool>,
    /// Obeys a JSON schema by itself.
    pub(crate) json_schema: Option<bool>,
    /// How its thinking is steered: `none`, `effort`, `budget` or `adaptive`.
    pub(crate) reasoning: Option<Reasoning>,
    /// Reports likelihoods.
    pub(crate) logprobs: Option<bool>,
    /// Takes temperature and top_p.
    pub(crate) sampling: Option<bool>,
    /// Gives more than one candidate (`n`).
    pub(crate) candidates: Option<bool>,
    /// Continues an assistant message that the caller began.
    pub(crate) prefill: Option<bool>,
    /// Context window in tokens.
    pub(crate) context_tokens: Option<u64>,
    /// Longest answer in tokens.
    pub(crate) max_output_tokens: Option<u64>,
}

/// How a model's thinking is steered.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reasoning {
    /// Not at all.
    None,
    /// In words.
    Effort,
    /// In tokens.
    Budget,
    /// It decides itself.
    Adaptive,
}

/// A price in US dollars per million tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    /// Input.
    #[schemars(required)]
    pub(crate) input: Option<f64>,
    /// Output.
    #[schemars(required)]
    pub(crate) output: Option<f64>,
    /// Input read from a cache. Default: as `input`.
    pub(crate) cache_read: Option<f64>,
    /// Input written to a cache. Default: as `input`.
    pub(crate) cache_write: Option<f64>,
    /// Output that the model thought. Default: as `output`.
    pub(crate) reasoning: Option<f64>,
}

/// A name for a model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// What callers ask for.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// Further names for the same.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// All deployments of this catalog model. Default: of the model called `name`.
    pub(crate) of: Option<String>,
    /// These deployments, instead of `of`.
    pub(crate) deployments: Option<Vec<String>>,
}

/// What holds for all workloads of an organisation or a team, unless they narrow it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Level {
    /// Where their data must stay.
    #[schemars(schema_with = "residency_schema")]
    pub(crate) residency: Option<String>,
    /// Where parts of their data must stay, each by itself.
    #[schemars(schema_with = "pins_schema")]
    pub(crate) pins: BTreeMap<String, String>,
    /// What retention they demand of whoever serves them.
    #[schemars(schema_with = "retention_schema")]
    pub(crate) retention: Option<String>,
    /// The marks that they may have; a workload that lists none has all of these.
    pub(crate) tags: Option<Vec<String>>,
    /// Kinds of data in every call of theirs, beside those that they list themselves.
    pub(crate) data_classes: Vec<String>,
    /// Packs that must be in force for them: loaded and not off.
    pub(crate) packs: Vec<String>,
    /// Packs that act at least so for them, whatever they say themselves.
    pub(crate) modes: BTreeMap<String, LevelMode>,
    /// The models that they may ask for at most. Default: all.
    pub(crate) models: Option<Vec<String>>,
}

/// A team.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Team {
    /// The organisation that it belongs to.
    pub(crate) organisation: Option<String>,
    /// What holds for its workloads.
    #[serde(flatten)]
    pub(crate) level: Level,
}

/// How a pack acts at least.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LevelMode {
    /// Recorded.
    Observe,
    /// Told in a header.
    Warn,
    /// Refuses.
    Enforce,
}

/// A named use of AI by a team.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    /// Its name.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// The team that runs it.
    pub(crate) team: Option<String>,
    /// The organisation that it belongs to.
    pub(crate) organisation: Option<String>,
    /// Where its data must stay.
    #[serde(default)]
    #[schemars(schema_with = "residency_schema")]
    pub(crate) residency: Option<String>,
    /// Where parts of its data must stay, each by itself: `{ logs = "eu", sub_processors = "eu" }`. `residency`
    /// sets `inference` and `state` where they are not written here; the other four are only set here.
    #[serde(default)]
    #[schemars(schema_with = "pins_schema")]
    pub(crate) pins: BTreeMap<String, String>,
    /// What retention it demands of whoever serves it.
    #[serde(default)]
    #[schemars(schema_with = "retention_schema")]
    pub(crate) retention: Option<String>,
    /// How the law rates the risk of what it does.
    #[serde(default)]
    #[schemars(schema_with = "risk_schema")]
    pub(crate) risk_class: Option<String>,
    /// How soon it needs its answers.
    #[serde(default)]
    #[schemars(schema_with = "latency_schema")]
    pub(crate) latency_class: Option<String>,
    /// Where its users are: a jurisdiction such as `de`.
    #[serde(default)]
    #[schemars(schema_with = "country_schema")]
    pub(crate) country: Option<String>,
    /// Kinds of data in every call of it, such as `personal`.
    #[serde(default)]
    pub(crate) data_classes: Vec<String>,
    /// Marks that terms may read, such as `us-gov-natsec`.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// Packs that act at least so for it, whatever they say themselves: `{ microsoft-openai = "enforce" }`.
    #[serde(default)]
    pub(crate) modes: BTreeMap<String, LevelMode>,
    /// As what its calls are judged where they say nothing of the provider themselves, and its profile is read.
    /// Default: as each call shows. It never takes away what a call itself says.
    pub(crate) class: Option<CallClass>,
    /// Why. Needed with `class`.
    pub(crate) class_reason: Option<String>,
    /// The models that it may ask for. Default: all.
    #[serde(default)]
    pub(crate) models: Vec<String>,
    /// Whether its callers may name a deployment (`model@deployment`). Terms still decide.
    #[serde(default)]
    pub(crate) may_pin: bool,
    /// How much of a decision its callers may see.
    pub(crate) explain_to_callers: Option<Explain>,
}

/// A key that callers send.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// Its name in records; never the secret.
    #[schemars(required)]
    pub(crate) id: Option<String>,
    /// What callers send as `Authorization: Bearer …`.
    #[schemars(required)]
    pub(crate) secret: Option<Secret>,
    /// Whose key it is. May be left out where no workload is written.
    pub(crate) workload: Option<String>,
}

/// Where a secret comes from. It stands in the file itself only where you insist.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-secret" = true))]
pub(crate) enum Secret {
    /// The cloud's own identity.
    Identity(Identity),
    /// An environment variable.
    Env {
        /// Its name.
        env: String,
    },
    /// A file; blanks around its content are dropped.
    File {
        /// Its path, relative to the configuration.
        file: PathBuf,
    },
    /// In clear, for a laptop.
    Clear {
        /// The secret.
        value: Hidden,
        /// Must be `true`: you know that whoever reads the file has the secret.
        #[expect(dead_code, reason = "that it is true was seen by the check of shape")]
        in_clear: bool,
    },
}

/// The word for the cloud's own identity.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Identity {
    /// The cloud's own identity.
    Identity,
}

/// Text that never shows itself.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "String")]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// The words that an attribute may hold, as a schema.
fn words_schema(attribute: Attribute) -> Schema {
    match attribute.words() {
        Words::Closed(words) => {
            let groups = ["@eu-eea"].into_iter().filter(|group| attribute.group(group).is_some());
            let words: Vec<&str> = words.iter().copied().chain(groups).collect();
            json_schema!({ "type": "string", "enum": words })
        }
        Words::Open => json_schema!({ "type": "string" }),
    }
}

fn facts_schema(_: &mut SchemaGenerator) -> Schema {
    let mut properties = serde_json::Map::new();
    for attribute in Attribute::facts() {
        let one = words_schema(attribute);
        let many = json_schema!({ "type": "array", "items": one });
        let description = format!("The {}.", attribute.noun());
        let either = serde_json::json!({ "description": description, "anyOf": [one, many] });
        properties.insert(attribute.name().to_owned(), either);
    }
    json_schema!({
        "description": "Placement facts that you state yourself; they win over the shipped fact book.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn residency_schema(_: &mut SchemaGenerator) -> Schema {
    words_schema(Attribute::Residency)
}

fn retention_schema(_: &mut SchemaGenerator) -> Schema {
    words_schema(Attribute::RetentionRequired)
}

fn risk_schema(_: &mut SchemaGenerator) -> Schema {
    words_schema(Attribute::RiskClass)
}

fn latency_schema(_: &mut SchemaGenerator) -> Schema {
    words_schema(Attribute::LatencyClass)
}

fn country_schema(_: &mut SchemaGenerator) -> Schema {
    // A workload has one country: no group of them.
    match Attribute::Country.words() {
        Words::Closed(words) => json_schema!({ "type": "string", "enum": words }),
        Words::Open => json_schema!({ "type": "string" }),
    }
}

fn pins_schema(_: &mut SchemaGenerator) -> Schema {
    let mut properties = serde_json::Map::new();
    for (name, pin, bound) in Attribute::PINS {
        let mut one = words_schema(pin);
        one.insert("description".to_owned(), format!("Where the {} must be.", bound.noun()).into());
        properties.insert(name.to_owned(), one.into());
    }
    json_schema!({
        "description": "Where parts of its data must stay, each by itself.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}
