//! Tokens, counted once and in one way.
//!
//! Providers differ: Anthropic and Bedrock Converse count input *without* cached tokens, OpenAI, Azure,
//! Gemini, xAI and Mistral *with* them; Gemini's thoughts are *not* inside its candidates. Decoders turn
//! each into this form, encoders turn it back.

/// Tokens of one attempt, normalised: no field overlaps another, all are counts of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that no cache served.
    pub uncached_in: u64,
    /// Input read from a prompt cache.
    pub cache_read: u64,
    /// Input written to a prompt cache for minutes (5 on Anthropic; providers that name no lifetime).
    pub cache_write: u64,
    /// Input written to a prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Output that the caller sees.
    pub out_visible: u64,
    /// Output that the model thought.
    pub out_reasoning: u64,
    /// Of the input (not additional): tokens of sound.
    pub audio_in: u64,
    /// Of the output (not additional): tokens of sound.
    pub audio_out: u64,
    /// Where the numbers come from.
    pub source: UsageSource,
}

/// Where the numbers of a [`Usage`] come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageSource {
    /// Nobody counted: every number is 0 and means "unknown", never "nothing".
    #[default]
    Unknown,
    /// The provider said so.
    Reported,
    /// We counted from the bytes that passed (a cut stream, a provider that says nothing).
    Estimated,
}

impl UsageSource {
    /// The word in records and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Reported => "reported",
            Self::Estimated => "estimated",
        }
    }
}

impl Usage {
    /// All input, cached or not.
    #[must_use]
    pub const fn input_total(&self) -> u64 {
        self.uncached_in
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }

    /// All output, seen or thought.
    #[must_use]
    pub const fn output_total(&self) -> u64 {
        self.out_visible.saturating_add(self.out_reasoning)
    }

    /// From a provider whose input count *includes* cached tokens and whose output *includes* reasoning
    /// (OpenAI's way). Numbers that contradict each other are clamped, never negative.
    #[must_use]
    pub const fn from_inclusive(input: u64, cached: u64, output: u64, reasoning: u64) -> Self {
        let cached = if cached > input { input } else { cached };
        let reasoning = if reasoning > output { output } else { reasoning };
        Self {
            uncached_in: input - cached,
            cache_read: cached,
            cache_write: 0,
            cache_write_1h: 0,
            out_visible: output - reasoning,
            out_reasoning: reasoning,
            audio_in: 0,
            audio_out: 0,
            source: UsageSource::Reported,
        }
    }
}
