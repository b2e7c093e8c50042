//! Wire values that both directions share: token counts, statuses, notes.
//!
//! `input_tokens` includes what a cache served or took, `output_tokens` includes reasoning.

use super::OWN;
use crate::object::{Fields, Object, note};
use domain::{Bag, Finish, Raw, Usage};
use serde::Deserialize;

/// Note: names of members that were written as `null`.
pub(super) const NULLS: &str = "$nulls";
/// Note: the object as a whole, of an item or part that only this dialect knows.
pub(super) const BLOCK: &str = "$block";
/// Note: an item's own id.
pub(super) const ID: &str = "$id";
/// Note: an item's own status.
pub(super) const STATUS: &str = "$status";
/// Note: the wire type, where it is not what the kind implies.
pub(super) const TYPE: &str = "$type";
/// Note: content or output was a text, not a list.
pub(super) const CONTENT: &str = "$content";
/// Note on a call or reply: `usage` as it came.
pub(super) const USAGE: &str = "$usage";

/// Token counts as the wire says them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    total_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// In the normal form. Where the total is above the sum of its parts, the rest is output that the host did
    /// not put into `output_tokens`: thoughts.
    pub(super) fn normal(&self) -> Usage {
        let count = |count: Option<u64>| count.unwrap_or(0);
        let input = count(self.input_tokens);
        let output = count(self.output_tokens);
        let unsaid = count(self.total_tokens).saturating_sub(input.saturating_add(output));
        let of_input = self.input_tokens_details.unwrap_or_default();
        let reasoning = count(self.output_tokens_details.unwrap_or_default().reasoning_tokens);
        let mut usage = Usage::from_inclusive(
            input,
            count(of_input.cached_tokens),
            output.saturating_add(unsaid),
            reasoning.max(unsaid),
        );
        usage.cache_write = count(of_input.cache_write_tokens).min(usage.uncached_in);
        usage.uncached_in -= usage.cache_write;
        usage
    }
}

/// A usage as the wire object.
pub(super) fn usage_text(usage: &Usage) -> String {
    let (input, output) = (usage.input_total(), usage.output_total());
    let mut of_input = Object::new();
    of_input
        .scalar("cached_tokens", usage.cache_read)
        .scalar("cache_write_tokens", usage.cache_write.saturating_add(usage.cache_write_1h));
    let mut of_output = Object::new();
    of_output.scalar("reasoning_tokens", usage.out_reasoning);
    let mut text = Object::new();
    text.scalar("input_tokens", input)
        .json("input_tokens_details", &of_input.finish())
        .scalar("output_tokens", output)
        .json("output_tokens_details", &of_output.finish())
        .scalar("total_tokens", input.saturating_add(output));
    text.finish()
}

/// Why an answer ended, by the status of its object. `None`: it has not ended.
pub(super) fn finish_of(status: Option<&str>, reason: Option<&str>, calls: bool) -> Option<Finish> {
    Some(match (status, reason) {
        (Some("completed") | None, _) if calls => Finish::ToolCalls,
        (Some("completed") | None, _) => Finish::Stop,
        (Some("incomplete"), Some("max_output_tokens" | "max_tokens" | "length") | None) => Finish::Length,
        (Some("incomplete"), Some("content_filter")) => Finish::ContentFilter,
        (Some("incomplete"), Some(word)) => Finish::Other(word.into()),
        (Some("queued" | "in_progress"), _) => return None,
        (Some(word), _) => Finish::Other(word.into()),
    })
}

/// The wire type of an object.
pub(super) fn type_of(fields: &Fields) -> Option<String> {
    fields.peek("type").and_then(|raw| raw.read().ok())
}

/// A note's text.
pub(super) fn noted(bag: &Bag, name: &str) -> Option<String> {
    bag.get(OWN, name).and_then(|raw| raw.read().ok())
}

/// Puts a note with a text.
pub(super) fn put_note(bag: &mut Bag, name: &str, text: &str) {
    bag.put(OWN, name, note(text));
}

/// What was not taken, as a bag, with the names of what was `null`.
pub(super) fn rest(fields: Fields, nulls: &[Box<str>]) -> Bag {
    let mut bag = fields.into_bag(OWN);
    note_nulls(&mut bag, nulls);
    bag
}

/// Notes which members were `null`.
pub(super) fn note_nulls(bag: &mut Bag, nulls: &[Box<str>]) {
    let mut nulls: Vec<&str> = nulls.iter().map(|name| &**name).collect();
    // The order of members says nothing, and a list of names has one.
    nulls.sort_unstable();
    if !nulls.is_empty()
        && let Ok(raw) = Raw::of(&nulls)
    {
        bag.put(OWN, NULLS, raw);
    }
}

/// Writes the members that came as `null`, but those in `skip`.
pub(super) fn write_nulls(bag: &Bag, skip: &[&str], object: &mut Object) {
    let names: Vec<Box<str>> = bag.get(OWN, NULLS).and_then(|raw| raw.read().ok()).unwrap_or_default();
    for name in names.iter().filter(|name| !skip.contains(&&***name)) {
        object.json(name, "null");
    }
}
