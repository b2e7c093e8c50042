//! Wire shapes of answers that several readers share.

use crate::scan::{Bad, Cursor, Key, Kind};
use domain::Usage;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

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

/// One pass over `usage`, for answers of which nothing else is built: the same members as serde reads above.
impl WireUsage {
    /// Nothing where null stands there.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Option<Self>, Bad> {
        nullable(cursor, |cursor| {
            let (mut usage, mut met) = (Self::default(), Met::default());
            let names = [
                "prompt_tokens",
                "completion_tokens",
                "total_tokens",
                "prompt_cache_hit_tokens",
                "cached_tokens",
                "num_cached_tokens",
            ];
            let counts = counts(cursor, names, |cursor, key| match &*key.name {
                "prompt_tokens_details" => {
                    met.once(0, key.start)?;
                    usage.prompt_tokens_details = nullable(cursor, PromptDetails::read)?;
                    Ok(())
                }
                "completion_tokens_details" => {
                    met.once(1, key.start)?;
                    usage.completion_tokens_details = nullable(cursor, CompletionDetails::read)?;
                    Ok(())
                }
                _ => cursor.skip().map(drop),
            })?;
            [
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.total_tokens,
                usage.prompt_cache_hit_tokens,
                usage.cached_tokens,
                usage.num_cached_tokens,
            ] = counts;
            Ok(usage)
        })
    }
}

impl PromptDetails {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let names = ["cached_tokens", "cache_write_tokens", "audio_tokens"];
        let [cached_tokens, cache_write_tokens, audio_tokens] =
            counts(cursor, names, |cursor, _| cursor.skip().map(drop))?;
        Ok(Self { cached_tokens, cache_write_tokens, audio_tokens })
    }
}

impl CompletionDetails {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let names = ["reasoning_tokens", "audio_tokens"];
        let [reasoning_tokens, audio_tokens] = counts(cursor, names, |cursor, _| cursor.skip().map(drop))?;
        Ok(Self { reasoning_tokens, audio_tokens })
    }
}

/// The counts of an object, by the names of their members; each may stand there once. The other members are
/// `other`'s to read or skip.
fn counts<'a, const N: usize>(
    cursor: &mut Cursor<'a>,
    names: [&str; N],
    mut other: impl FnMut(&mut Cursor<'a>, Key<'a>) -> Result<(), Bad>,
) -> Result<[Count; N], Bad> {
    let (mut counts, mut met) = ([Count::default(); N], Met::default());
    cursor.members(|cursor, key| {
        let named = (0_u8..).zip(names).zip(&mut counts).find(|((_, name), _)| *name == key.name);
        match named {
            Some(((member, _), count)) => {
                met.once(member, key.start)?;
                *count = Count::read(cursor)?;
                Ok(())
            }
            None => other(cursor, key),
        }
    })?;
    Ok(counts)
}

/// Nothing where null stands, else what `read` makes of it. A list is what serde takes it for: the members in order.
fn nullable<'a, T: Deserialize<'a>>(
    cursor: &mut Cursor<'a>,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Bad>,
) -> Result<Option<T>, Bad> {
    match cursor.peek()? {
        Kind::Null => cursor.skip().map(|_| None),
        Kind::Array => {
            let from = cursor.at();
            let range = cursor.skip()?;
            let members = serde_json::from_str(cursor.text(&range));
            members.map(Some).map_err(|_| Bad::request(from, "must be an object of numbers"))
        }
        _ => read(cursor).map(Some),
    }
}

/// The members of one object that were met, a bit for each: what is read must stand there once.
#[derive(Clone, Copy, Default)]
pub(super) struct Met(u16);

impl Met {
    /// Notes the member with this number, whose key begins at `at`.
    pub(super) fn once(&mut self, member: u8, at: usize) -> Result<(), Bad> {
        let bit = 1 << member;
        if self.0 & bit != 0 {
            return Err(Bad::request(at, "a member that is there twice"));
        }
        self.0 |= bit;
        Ok(())
    }
}

/// A count as hosts write it: a whole number as a rule, but also a fraction or null. Anything else is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count(u64);

impl Count {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let number = cursor.peek()? == Kind::Number;
        let range = cursor.skip()?;
        if !number {
            return Ok(Self::default());
        }
        let text = cursor.text(&range);
        let fraction = || text.parse().map_or_else(|_| Self::default(), Self::of_fraction);
        Ok(text.parse().map_or_else(|_| fraction(), Self::of_whole))
    }
}

impl Glance for Count {
    fn of_whole(number: u64) -> Self {
        Self(number)
    }

    fn of_fraction(number: f64) -> Self {
        // `as` cuts the fraction and holds what is too large at the bound.
        if number.is_finite() && number >= 0.0 { Self(number as u64) } else { Self::default() }
    }
}

/// Whether a value says something: a text, list or object that is not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled(pub(super) bool);

impl Glance for Filled {
    fn of_text(text: &str) -> Self {
        Self(!text.is_empty())
    }

    fn of_many(filled: bool) -> Self {
        Self(filled)
    }
}

/// A text, or nothing where the host wrote something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lenient(pub(super) Option<Box<str>>);

impl Glance for Lenient {
    fn of_text(text: &str) -> Self {
        Self(Some(text.into()))
    }
}

/// What is read from a value of any type without building it. What an implementation does not ask for is as if
/// it were not there.
trait Glance: Default {
    fn of_text(_: &str) -> Self {
        Self::default()
    }

    fn of_whole(_: u64) -> Self {
        Self::default()
    }

    fn of_fraction(_: f64) -> Self {
        Self::default()
    }

    /// A list or an object.
    fn of_many(_filled: bool) -> Self {
        Self::default()
    }
}

macro_rules! deserialize_by_glance {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(GlanceVisitor(PhantomData))
            }
        }
    )*};
}

deserialize_by_glance!(Count, Filled, Lenient);

struct GlanceVisitor<T>(PhantomData<T>);

impl<'de, T: Glance> Visitor<'de> for GlanceVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_text(text))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::of_whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(u64::try_from(number).map_or_else(|_| T::default(), T::of_whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::of_fraction(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let mut filled = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(T::of_many(filled))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut filled = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(T::of_many(filled))
    }
}
