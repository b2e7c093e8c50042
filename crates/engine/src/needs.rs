//! What a call needs of a model, and what a deployment offers, as one set of bits: the filter "can it carry this".

use domain::{Call, Capabilities, ItemKind, OutputFormat, PartKind, ToolChoice};

/// A set of abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Needs(u16);

impl Needs {
    /// Takes tools.
    pub const TOOLS: Self = Self(1);
    /// Can be forced to call a tool.
    pub const FORCED_TOOLS: Self = Self(1 << 1);
    /// Sees images.
    pub const VISION: Self = Self(1 << 2);
    /// Reads documents.
    pub const DOCUMENTS: Self = Self(1 << 3);
    /// Obeys a JSON schema (or can be made to by a tool).
    pub const JSON_SCHEMA: Self = Self(1 << 4);
    /// Reports likelihoods.
    pub const LOGPROBS: Self = Self(1 << 5);
    /// Gives several candidates.
    pub const CANDIDATES: Self = Self(1 << 6);
    /// Hears sound.
    pub const AUDIO: Self = Self(1 << 7);

    /// Makes vectors by OpenAI's embeddings API. A matter of the endpoint, not of the model's capabilities.
    pub const EMBEDDINGS: Self = Self(1 << 8);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::TOOLS, "tools"),
        (Self::FORCED_TOOLS, "forced tool choice"),
        (Self::VISION, "images"),
        (Self::DOCUMENTS, "documents"),
        (Self::JSON_SCHEMA, "JSON schema output"),
        (Self::LOGPROBS, "logprobs"),
        (Self::CANDIDATES, "n > 1"),
        (Self::AUDIO, "audio"),
        (Self::EMBEDDINGS, "an embeddings API"),
    ];

    /// Adds `other` where `when` holds.
    #[must_use]
    pub const fn with(self, other: Self, when: bool) -> Self {
        if when { Self(self.0 | other.0) } else { self }
    }

    /// What of these is not among `offers`.
    #[must_use]
    pub const fn missing(self, offers: Self) -> Self {
        Self(self.0 & !offers.0)
    }

    /// True where nothing is needed.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits, for a memo's key.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// In words.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(need, _)| self.0 & need.0 != 0).map(|(_, name)| name)
    }

    /// What a call in the inner form needs.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        let parts = || {
            call.items.iter().flat_map(|item| match &item.kind {
                ItemKind::Message(message) => message.parts.as_slice(),
                ItemKind::ToolResult(result) => result.parts.as_slice(),
                _ => &[],
            })
        };
        let has = |wanted: fn(&PartKind) -> bool| parts().any(|part| wanted(&part.kind));
        Self::default()
            .with(Self::TOOLS, !call.tools.is_empty())
            .with(
                Self::FORCED_TOOLS,
                matches!(call.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))),
            )
            .with(Self::VISION, has(|part| matches!(part, PartKind::Image(_))))
            .with(Self::DOCUMENTS, has(|part| matches!(part, PartKind::Document(_))))
            .with(Self::JSON_SCHEMA, matches!(call.options.output, Some(OutputFormat::JsonSchema { .. })))
            .with(Self::LOGPROBS, call.options.logprobs.is_some())
            .with(Self::CANDIDATES, call.options.candidates.is_some_and(|n| n > 1))
            .with(Self::AUDIO, has(|part| matches!(part, PartKind::Audio(_))))
    }

    /// What a deployment offers.
    #[must_use]
    pub const fn offered(by: &Capabilities) -> Self {
        Self::default_empty()
            .with(Self::TOOLS, by.tools)
            // A choice that cannot be forced is softened with a named loss, so it filters nobody out.
            .with(Self::FORCED_TOOLS, by.tools)
            .with(Self::VISION, by.vision)
            .with(Self::DOCUMENTS, by.documents)
            // A schema is obeyed natively or through a forced tool.
            .with(Self::JSON_SCHEMA, by.json_schema || (by.tools && by.forced_tools))
            // Likelihoods that cannot be had are a named loss.
            .with(Self::LOGPROBS, true)
            .with(Self::CANDIDATES, by.candidates)
            .with(Self::AUDIO, true)
    }

    const fn default_empty() -> Self {
        Self(0)
    }
}
