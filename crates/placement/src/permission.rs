//! The key of a permission and what it opens: every input that a policy can read, interned and finite.
//!
//! The Cedar request is built from a [`PermissionKey`] alone (with the tables of [`crate::Fleet`] and
//! [`crate::Terms`]), so a memo by this key can never be wrong: what is not in the key cannot be read.

use crate::{classify::CallClass, terms::RuleInfo};
use domain::SnapshotEpoch;
use serde::Serialize;
use std::{fmt, sync::Arc};

/// What is to be permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send a call's content to a model.
    Infer,
    /// Host the state of a stateful runtime (threads, responses, runs).
    HostState,
    /// Keep the call's content.
    Store,
    /// Write bodies to a log.
    LogBody,
    /// Keep answers for other calls.
    Cache,
    /// Train on it.
    FineTune,
    /// Change the settings of a deployment.
    Administer,
}

impl Action {
    /// Every action, in the order of the documents.
    pub const ALL: [Self; 7] = [
        Self::Infer,
        Self::HostState,
        Self::Store,
        Self::LogBody,
        Self::Cache,
        Self::FineTune,
        Self::Administer,
    ];

    /// The name in sheets and in Cedar.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::HostState => "host_state",
            Self::Store => "store",
            Self::LogBody => "log_body",
            Self::Cache => "cache",
            Self::FineTune => "fine_tune",
            Self::Administer => "administer",
        }
    }

    /// The action of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// The client API through which a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surface {
    /// Chat Completions.
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    /// Responses and Conversations.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Embeddings.
    #[serde(rename = "openai-embeddings")]
    OpenAiEmbeddings,
    /// Anthropic Messages.
    AnthropicMessages,
    /// Gemini generateContent.
    Gemini,
    /// Bedrock Converse.
    BedrockConverse,
    /// The gateway's own calls (guards, judges).
    Internal,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 7] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::OpenAiEmbeddings,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::BedrockConverse,
        Self::Internal,
    ];

    /// The name in sheets and in Cedar.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiEmbeddings => "openai-embeddings",
            Self::AnthropicMessages => "anthropic-messages",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock-converse",
            Self::Internal => "internal",
        }
    }
}

/// A stretch of time in which neither a rule nor a fact changes; counts from 0 in one placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowIndex(pub u32);

/// Workloads that no policy can tell apart; index into the fleet's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalClass(pub u32);

/// A deployment of the fleet; index into its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentIndex(pub u16);

/// A set of data classes: bits by the fleet's table, of which bit 0 stands for every class that no pack and
/// no configuration names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataClasses(pub u64);

impl DataClasses {
    /// No data class.
    pub const NONE: Self = Self(0);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Everything that a policy can read. `Copy`, hashable, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PermissionKey {
    /// The snapshot whose tables the indices belong to.
    pub epoch: SnapshotEpoch,
    /// When.
    pub window: WindowIndex,
    /// What.
    pub action: Action,
    /// For whom.
    pub principal: PrincipalClass,
    /// Where.
    pub deployment: DeploymentIndex,
    /// Who keeps state for the call.
    pub call_class: CallClass,
    /// Kinds of data in it.
    pub data_classes: DataClasses,
    /// The client API.
    pub surface: Surface,
}

/// How a rule acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Recorded: would have refused.
    Observe,
    /// Told in a header.
    Warn,
    /// Refuses.
    Enforce,
}

impl Mode {
    /// The name in sheets and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Observe, Self::Warn, Self::Enforce].into_iter().find(|mode| mode.name() == name)
    }
}

/// A rule that has something to say about a key, with its mode in that window.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// How it acts in the window of the key.
    pub mode: Mode,
}

impl PartialEq for Finding {
    fn eq(&self, other: &Self) -> bool {
        self.rule.id == other.rule.id && self.mode == other.mode
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule.id, self.rule.title)
    }
}

/// What the terms say of one key. Findings are sorted by rule id and complete: every rule that applies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permission {
    /// Rules in `enforce` that refuse. Empty means permitted.
    pub refused: Box<[Finding]>,
    /// Rules in `warn` that would refuse.
    pub warnings: Box<[Finding]>,
    /// Rules in `observe` that would refuse.
    pub observed: Box<[Finding]>,
    /// Notices: terms that refuse nothing and should be known.
    pub notices: Box<[Finding]>,
    /// Rules that would speak, in this mode, were it not for a waiver in force.
    pub waived: Box<[Finding]>,
}

impl Permission {
    /// True where nothing refuses.
    #[must_use]
    pub fn permits(&self) -> bool {
        self.refused.is_empty()
    }

    /// Ids of the rules that refuse, sorted.
    pub fn refusing_ids(&self) -> impl Iterator<Item = &str> {
        self.refused.iter().map(|finding| &*finding.rule.id)
    }

    /// Both together: permitted only where both permit.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        fn merged(a: &[Finding], b: &[Finding]) -> Box<[Finding]> {
            let mut all: Vec<Finding> = a.iter().chain(b).cloned().collect();
            all.sort_by(|x, y| x.rule.id.cmp(&y.rule.id));
            all.dedup_by(|x, y| x.rule.id == y.rule.id);
            all.into()
        }
        Self {
            refused: merged(&self.refused, &other.refused),
            warnings: merged(&self.warnings, &other.warnings),
            observed: merged(&self.observed, &other.observed),
            notices: merged(&self.notices, &other.notices),
            waived: merged(&self.waived, &other.waived),
        }
    }
}
