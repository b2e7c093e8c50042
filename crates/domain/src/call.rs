//! One request in the inner form: items in, options, tools.

use crate::{
    bag::Bag,
    dialect::Dialect,
    ids::ModelName,
    item::{Item, Role},
    raw::Raw,
};
use serde_json::Number;

/// One request in the inner form. A dialect's decoder makes it, a dialect's encoder writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The dialect it came in.
    pub dialect: Dialect,
    /// What is asked for.
    pub model: ModelName,
    /// The wire messages in order: what they shared as messages. [`crate::Origin::message`] points here.
    pub turns: Vec<Turn>,
    /// The context, in order.
    pub items: Vec<Item>,
    /// Tools that the model may ask for.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may ask for several at once; `None` is the provider's default.
    pub parallel_tool_calls: Option<bool>,
    /// Everything that shapes the answer.
    pub options: Options,
    /// Set where the answer is to be streamed.
    pub stream: Option<StreamOptions>,
    /// Top-level fields that only the dialect of the call knows.
    pub bag: Bag,
}

impl Call {
    /// A call without items.
    #[must_use]
    pub fn new(dialect: Dialect, model: ModelName) -> Self {
        Self {
            dialect,
            model,
            turns: Vec::new(),
            items: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            options: Options::default(),
            stream: None,
            bag: Bag::new(),
        }
    }
}

/// A wire message as such: its role and what only its dialect says of it as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The role as written.
    pub role: Role,
    /// The speaker's name where given (OpenAI's `name`).
    pub name: Option<Box<str>>,
    /// Message-level fields of the dialect.
    pub bag: Bag,
}

/// How the answer is streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// The caller asked for usage at the end of the stream (`stream_options.include_usage`).
    pub include_usage: bool,
}

/// A tool that the model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name. Of a provider's own tool: the wire type.
    pub name: String,
    /// What it does, in words for the model.
    pub description: Option<String>,
    /// JSON Schema of the arguments, as given.
    pub parameters: Option<Raw>,
    /// Whether the model must obey the schema exactly.
    pub strict: Option<bool>,
    /// Who runs it.
    pub kind: ToolKind,
    /// What only its dialect can say of it (cache marks, input examples).
    pub bag: Bag,
}

/// Who runs a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// The caller; arguments are JSON.
    Function,
    /// The caller; arguments are free text (OpenAI custom tools).
    Custom,
    /// The provider (web search, code execution). The wire object is in the bag under `$tool`.
    Server,
}

/// Whether the model must ask for a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// It must not.
    None,
    /// It must, whichever.
    Required,
    /// It must ask for this one.
    Named(String),
}

/// Everything that shapes the answer. Numbers are kept as written, so `1` stays `1` and not `1.0`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Upper bound of the answer in tokens.
    pub max_output_tokens: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// Sampling among the k likeliest tokens.
    pub top_k: Option<u64>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// For repeatable sampling, where supported.
    pub seed: Option<Number>,
    /// How many candidates; `None` is one.
    pub candidates: Option<u32>,
    /// Whether to report likelihoods.
    pub logprobs: Option<LogprobOptions>,
    /// OpenAI's presence penalty.
    pub presence_penalty: Option<Number>,
    /// OpenAI's frequency penalty.
    pub frequency_penalty: Option<Number>,
    /// The shape the answer must have.
    pub output: Option<OutputFormat>,
    /// How much to think.
    pub reasoning: Option<ReasoningOptions>,
    /// The provider may keep the answer (`store`); a sign for the call class.
    pub store: Option<bool>,
    /// Requested service tier, as spelled by the dialect.
    pub service_tier: Option<Box<str>>,
    /// The end user's id as given by the application (`user`, `metadata.user_id`).
    pub end_user: Option<Box<str>>,
}

/// Which likelihoods to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogprobOptions {
    /// Alternatives per token, where asked for.
    pub top: Option<u32>,
}

/// The shape that the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    /// Plain text, said explicitly.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that obeys a schema.
    JsonSchema {
        /// The schema's name, where the dialect has one.
        name: Option<Box<str>>,
        /// What it is for.
        description: Option<Box<str>>,
        /// The JSON Schema as given.
        schema: Option<Raw>,
        /// Whether the model must obey it exactly.
        strict: Option<bool>,
    },
}

/// How much to think. Dialects say it in words (effort) or in tokens (budget).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReasoningOptions {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget_tokens: Option<u64>,
    /// `Some(true)`: the model chooses how much (Anthropic `adaptive`, Gemini budget -1).
    pub adaptive: Option<bool>,
    /// Whether the thoughts are to be returned.
    pub include: Option<bool>,
}

/// How much to think, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as the model can.
    Max,
}

impl Effort {
    /// The wire word, the same in every dialect that has words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads the wire word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// A thinking budget in tokens that stands for the word where a dialect wants tokens. Our choice, the
    /// doubling scale that gateways have settled on; stated in the documents so that a user can overrule it.
    #[must_use]
    pub const fn budget_tokens(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::XHigh => 32_768,
            Self::Max => 65_536,
        }
    }

    /// The word nearest to a budget: the smallest whose budget is not below it.
    #[must_use]
    pub const fn from_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=1_024 => Self::Minimal,
            1_025..=2_048 => Self::Low,
            2_049..=8_192 => Self::Medium,
            8_193..=16_384 => Self::High,
            16_385..=32_768 => Self::XHigh,
            _ => Self::Max,
        }
    }
}
