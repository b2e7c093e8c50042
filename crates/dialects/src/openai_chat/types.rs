//! Wire shapes of answers that several readers share.

use domain::Usage;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// `usage`, with the spellings of the hosts that we have recordings of.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct WireUsage {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek.
    prompt_cache_hit_tokens: Count,
    /// Moonshot.
    cached_tokens: Count,
    /// Hosts on the Responses words.
    num_cached_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
    audio_tokens: Count,
}

impl WireUsage {
    /// The numbers of an operation that has no output: all that was counted is input.
    pub(super) fn input_only(&self) -> Usage {
        Usage::from_inclusive(self.prompt_tokens.0.max(self.total_tokens.0), 0, 0, 0)
    }

    /// The numbers in the one way. Where the total is above the sum of its parts, the rest is output that
    /// the host did not put into `completion_tokens`: thoughts (xAI, Gemini's compatibility surface).
    pub(super) fn normal(&self) -> Usage {
        let prompt = self.prompt_tokens.0;
        let prompt_details = self.prompt_tokens_details.unwrap_or_default();
        let completion_details = self.completion_tokens_details.unwrap_or_default();
        let unsaid = self.total_tokens.0.saturating_sub(prompt.saturating_add(self.completion_tokens.0));
        let cached = [
            prompt_details.cached_tokens.0,
            self.prompt_cache_hit_tokens.0,
            self.cached_tokens.0,
            self.num_cached_tokens.0,
        ]
        .into_iter()
        .max()
        .unwrap_or_default();
        let mut usage = Usage::from_inclusive(
            prompt,
            cached,
            self.completion_tokens.0.saturating_add(unsaid),
            completion_details.reasoning_tokens.0.max(unsaid),
        );
        usage.cache_write = prompt_details.cache_write_tokens.0.min(usage.uncached_in);
        usage.uncached_in -= usage.cache_write;
        usage.audio_in = prompt_details.audio_tokens.0;
        usage.audio_out = completion_details.audio_tokens.0;
        usage
    }
}

/// A count as hosts write it: a whole number as a rule, but also a fraction or null. Anything else is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| {
            let fraction = || value.as_f64().filter(|f| f.is_finite() && *f >= 0.0).map(|f| f as u64);
            Self(value.as_u64().or_else(fraction).unwrap_or_default())
        })
    }
}

/// Whether a value says something: a text, list or object that is not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled(pub(super) bool);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilledVisitor)
    }
}

struct FilledVisitor;

impl<'de> Visitor<'de> for FilledVisitor {
    type Value = Filled;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Filled, E> {
        Ok(Filled(!text.is_empty()))
    }

    fn visit_unit<E>(self) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filled, A::Error> {
        let mut filled = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(Filled(filled))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filled, A::Error> {
        let mut filled = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(Filled(filled))
    }
}

/// A text, or nothing where the host wrote something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lenient(pub(super) Option<Box<str>>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Some(text.into()),
            _ => None,
        }))
    }
}
