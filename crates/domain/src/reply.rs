//! What a call yields.

use crate::{bag::Bag, item::Item, raw::Raw, usage::Usage};

/// A whole answer. Law, tested for every dialect: a reply equals the fold of its stream's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The provider's id of the answer.
    pub id: Box<str>,
    /// The model that answered, as the provider names it.
    pub model: Box<str>,
    /// Unix seconds, where the provider says it.
    pub created: Option<i64>,
    /// The candidates, by index.
    pub candidates: Vec<Candidate>,
    /// Tokens, where reported.
    pub usage: Option<Usage>,
    /// The tier that really served the call, as the provider spells it (price depends on it).
    pub service_tier: Option<Box<str>>,
    /// Top-level fields that only the dialect knows (`system_fingerprint`, `prompt_filter_results`).
    pub bag: Bag,
}

/// One of the answers of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// Its index, from 0.
    pub index: u32,
    /// What it says, in order: reasoning, messages, tool calls.
    pub items: Vec<Item>,
    /// Why it ended; `None` while it has not.
    pub finish: Option<Finish>,
    /// Likelihoods as received, in the form of the dialect they came from.
    pub logprobs: Option<Raw>,
    /// Candidate-level fields that only the dialect knows (`content_filter_results`, `citationMetadata`).
    pub bag: Bag,
}

/// Why an answer ended: the class that every dialect can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// A stop text was met; which, where the dialect says.
    StopSequence(Option<Box<str>>),
    /// The token limit was met (output limit or context window).
    Length,
    /// The model asks for tools.
    ToolCalls,
    /// The provider's filter cut it, or the model refused (where the dialect has a class for it).
    ContentFilter,
    /// The model refused, said as a reason of its own (Anthropic `refusal`).
    Refusal,
    /// The provider paused a long turn that the caller may continue (Anthropic `pause_turn`).
    Pause,
    /// A reason that has no class; the wire word.
    Other(Box<str>),
}

impl Finish {
    /// The class in records and metrics.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Stop | Self::StopSequence(_) => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter | Self::Refusal => "content_filter",
            Self::Pause | Self::Other(_) => "other",
        }
    }
}
