//! Wire values of Anthropic Messages that both directions share: stop reasons and token counts.

use crate::object::Object;
use domain::{Finish, Raw, Usage, UsageSource};
use serde::Deserialize;

/// Token counts as the wire says them. `input_tokens` does not include what a cache served.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cache_read_input_tokens: Option<u64>,
    pub(super) cache_creation_input_tokens: Option<u64>,
    pub(super) cache_creation: Option<CacheCreation>,
    pub(super) output_tokens_details: Option<OutputDetails>,
    pub(super) service_tier: Option<Box<str>>,
}

/// Cache writes by lifetime; both are part of `cache_creation_input_tokens`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CacheCreation {
    pub(super) ephemeral_5m_input_tokens: u64,
    pub(super) ephemeral_1h_input_tokens: u64,
}

/// What of the output was thought.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    pub(super) thinking_tokens: u64,
}

impl WireUsage {
    /// In the normal form. Contradictions are clamped, never negative.
    pub(super) fn normal(&self) -> Usage {
        let written = self.cache_creation_input_tokens.unwrap_or_else(|| {
            let parts = self.cache_creation.as_ref();
            parts.map_or(0, |p| p.ephemeral_5m_input_tokens.saturating_add(p.ephemeral_1h_input_tokens))
        });
        let hour = self.cache_creation.as_ref().map_or(0, |p| p.ephemeral_1h_input_tokens).min(written);
        let output = self.output_tokens.unwrap_or(0);
        let thought = self.output_tokens_details.as_ref().map_or(0, |d| d.thinking_tokens).min(output);
        Usage {
            uncached_in: self.input_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: written - hour,
            cache_write_1h: hour,
            out_visible: output - thought,
            out_reasoning: thought,
            audio_in: 0,
            audio_out: 0,
            source: UsageSource::Reported,
        }
    }
}

/// A usage as the wire object. Numbers nobody counted are zeros, as the dialect has no "unknown".
pub(crate) fn usage_text(usage: &Usage, tier: Option<&str>) -> String {
    let mut split = Object::new();
    split.scalar("ephemeral_5m_input_tokens", usage.cache_write);
    split.scalar("ephemeral_1h_input_tokens", usage.cache_write_1h);
    let mut text = Object::new();
    text.scalar("input_tokens", usage.uncached_in)
        .scalar("cache_creation_input_tokens", usage.cache_write.saturating_add(usage.cache_write_1h))
        .scalar("cache_read_input_tokens", usage.cache_read)
        .json("cache_creation", &split.finish())
        .scalar("output_tokens", usage.output_total());
    if usage.out_reasoning > 0 {
        let mut details = Object::new();
        details.scalar("thinking_tokens", usage.out_reasoning);
        text.json("output_tokens_details", &details.finish());
    }
    if let Some(tier) = tier {
        text.string("service_tier", tier);
    }
    text.finish()
}

/// Whether a call waits for the caller of the API. One that a server tool made (programmatic tool calling)
/// may have been answered within the same reply, so it alone does not make `end_turn` a turn of calls.
pub(super) fn waits(caller: Option<&Raw>) -> bool {
    #[derive(Deserialize)]
    struct Caller {
        r#type: String,
    }
    caller.and_then(|raw| raw.read::<Caller>().ok()).is_none_or(|caller| caller.r#type == "direct")
}

/// A stop reason and, where our class does not determine it, the wire word to note. `calls_tools`: a call
/// of the reply [`waits`] for the caller.
pub(super) fn finish_of(
    reason: &str,
    sequence: Option<&str>,
    calls_tools: bool,
) -> (Finish, Option<&'static str>) {
    match reason {
        "end_turn" if calls_tools => (Finish::ToolCalls, Some("end_turn")),
        "end_turn" => (Finish::Stop, None),
        "max_tokens" => (Finish::Length, None),
        "model_context_window_exceeded" => (Finish::Length, Some("model_context_window_exceeded")),
        "stop_sequence" => (Finish::StopSequence(sequence.map(Into::into)), None),
        "tool_use" => (Finish::ToolCalls, None),
        "refusal" => (Finish::Refusal, None),
        "pause_turn" => (Finish::Pause, None),
        other => (Finish::Other(other.into()), None),
    }
}

/// The stop reason for a class, and the stop text where there is one.
pub(super) fn stop_reason(finish: Option<&Finish>) -> (&str, Option<&str>) {
    match finish {
        None | Some(Finish::Stop | Finish::StopSequence(None)) => ("end_turn", None),
        Some(Finish::StopSequence(Some(text))) => ("stop_sequence", Some(text)),
        Some(Finish::Length) => ("max_tokens", None),
        Some(Finish::ToolCalls) => ("tool_use", None),
        Some(Finish::ContentFilter | Finish::Refusal) => ("refusal", None),
        Some(Finish::Pause) => ("pause_turn", None),
        Some(Finish::Other(word)) => (word, None),
    }
}
