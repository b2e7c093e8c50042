//! What a simulator is made of: its clouds, their ports and the credentials they accept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which cloud a listener imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloudKind {
    /// `api.openai.com`.
    Openai,
    /// Azure OpenAI / Microsoft Foundry, one resource in one region.
    Azure,
    /// `api.anthropic.com`.
    Anthropic,
    /// `bedrock-runtime.{region}.amazonaws.com`: Converse and `/openai/v1`.
    Bedrock,
    /// `{region}-aiplatform.googleapis.com`: Gemini and Claude.
    Vertex,
    /// `generativelanguage.googleapis.com` (AI Studio).
    Gemini,
    /// A vLLM server on premises.
    Vllm,
}

impl CloudKind {
    /// The name as written in configuration and as selector for `kill` and `heal`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
            Self::Gemini => "gemini",
            Self::Vllm => "vllm",
        }
    }
}

/// One cloud in one region: one listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloudSpec {
    /// Unique name, `kind` or `kind-region`, such as `azure-westeurope`.
    pub name: String,
    /// What it imitates.
    pub kind: CloudKind,
    /// The cloud's own region token, such as `westeurope` or `us-east-2`. Bedrock checks it in the
    /// signature's scope; `None` for clouds without regions.
    #[serde(default)]
    pub region: Option<String>,
    /// TCP port on 127.0.0.1; 0 lets the system choose. The port stays the same over kill and heal.
    #[serde(default)]
    pub port: u16,
    /// What `GET …/models` lists, and the only models answered. Empty: any model is answered, except
    /// names that contain `does-not-exist` or `no-such-model`.
    #[serde(default)]
    pub models: Vec<String>,
}

/// An AWS access key pair that a simulated Bedrock accepts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessKey {
    /// Access key id, such as `AKIASIMULATED0000000`.
    pub id: String,
    /// The secret that signatures are recomputed with.
    pub secret: String,
}

/// The credentials that one cloud accepts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Credentials {
    /// API keys and bearer tokens; either form of sending them is accepted where the cloud has both.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// AWS key pairs (Bedrock only).
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
    /// Accept anything, even nothing. The default of vLLM.
    #[serde(default)]
    pub open: bool,
}

impl Credentials {
    /// What a cloud of this kind accepts when the configuration names nothing for it. The values are
    /// public and worthless: they open nothing but a simulator.
    #[must_use]
    pub fn default_for(kind: CloudKind) -> Self {
        let token = |value: &str| Self { tokens: vec![value.to_owned()], ..Self::default() };
        match kind {
            CloudKind::Openai => token("sk-simulated-openai"),
            CloudKind::Azure => token("simulated-azure-key"),
            CloudKind::Anthropic => token("sk-ant-simulated"),
            CloudKind::Vertex => token("ya29.simulated-vertex"),
            CloudKind::Gemini => token("AIzaSimulatedGeminiKey"),
            CloudKind::Vllm => Self { open: true, ..Self::default() },
            CloudKind::Bedrock => Self {
                tokens: vec!["bedrock-api-key-simulated".to_owned()],
                access_keys: vec![AccessKey {
                    id: "AKIASIMULATED0000000".to_owned(),
                    secret: "simulatedSecretAccessKey/0000000000000000".to_owned(),
                }],
                open: false,
            },
        }
    }

    /// Whether `given` is one of the tokens.
    pub(crate) fn accepts(&self, given: &str) -> bool {
        self.open || self.tokens.iter().any(|token| token == given)
    }
}

/// Everything that [`crate::Simulator::start`] needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SimulatorConfig {
    /// The clouds; names must be unique, at most 256.
    pub clouds: Vec<CloudSpec>,
    /// Port of the control API on 127.0.0.1; 0 lets the system choose.
    pub control_port: u16,
    /// Milliseconds between two deltas of a stream. 0: as fast as the reader reads.
    pub pace_ms: u64,
    /// Where every exchange is appended as two JSON lines, at its start and at its end. `None`: memory only.
    pub journal_path: Option<PathBuf>,
    /// Exchanges kept in memory, about 0.5 KB each. Default 1,000,000.
    pub journal_kept: usize,
    /// Accepted credentials by cloud name or by kind (the name wins); absent: [`Credentials::default_for`].
    pub keys: BTreeMap<String, Credentials>,
    /// How far `x-amz-date` may be off, in seconds (AWS: 300). `None` switches the check off.
    pub clock_skew_seconds: Option<u64>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            clouds: demo_clouds(),
            control_port: 0,
            pace_ms: 0,
            journal_path: None,
            journal_kept: 1_000_000,
            keys: BTreeMap::new(),
            clock_skew_seconds: Some(300),
        }
    }
}

impl SimulatorConfig {
    /// The credentials that `spec` accepts: those for its name, else for its kind, else the default.
    #[must_use]
    pub fn credentials(&self, spec: &CloudSpec) -> Credentials {
        self.keys
            .get(&spec.name)
            .or_else(|| self.keys.get(spec.kind.name()))
            .cloned()
            .unwrap_or_else(|| Credentials::default_for(spec.kind))
    }
}

/// The clouds of `cabotage demo`, all on ports chosen by the system.
#[must_use]
pub fn demo_clouds() -> Vec<CloudSpec> {
    let cloud = |name: &str, kind, region: Option<&str>| CloudSpec {
        name: name.to_owned(),
        kind,
        region: region.map(str::to_owned),
        port: 0,
        models: Vec::new(),
    };
    vec![
        cloud("azure-westeurope", CloudKind::Azure, Some("westeurope")),
        cloud("azure-swedencentral", CloudKind::Azure, Some("swedencentral")),
        cloud("openai", CloudKind::Openai, None),
        cloud("bedrock-us-east-2", CloudKind::Bedrock, Some("us-east-2")),
        cloud("anthropic", CloudKind::Anthropic, None),
        cloud("vertex-europe-west4", CloudKind::Vertex, Some("europe-west4")),
        cloud("gemini", CloudKind::Gemini, None),
        cloud("vllm-onprem", CloudKind::Vllm, Some("onprem")),
    ]
}
