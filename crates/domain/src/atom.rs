//! What was said, in a form that does not depend on the dialect, on ids or on our own edits: the ground on which
//! calls are recognised as parts of one conversation.
//!
//! A call's context is a row of atoms: a text, a medium, a tool call, the beginning of a tool's result. The same
//! conversation gives the same atoms through every dialect, because what dialects spell differently is left out:
//! - ids of messages and tool calls (results follow their calls by position), names of speakers, cache marks;
//! - how a message is cut: a string or a list of one part, neighbouring messages of one speaker;
//! - blanks around a text, and texts of nothing else;
//! - spelling of a tool call's arguments: order of members and blanks do not count;
//! - thoughts and their signatures: clients send them back or drop them as they like.
//!
//! Instructions count: another system prompt is another conversation. Options, tools and the model do not.

use crate::{
    call::Call,
    item::{ItemKind, MediaSource, Part, PartKind, Role},
};
use serde_json::Value;
use std::borrow::Cow;

/// Who speaks, as far as every dialect can say it. The numbers go into hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Voice {
    /// The application's instructions.
    Instructions = 1,
    /// The person or program that asks.
    User = 2,
    /// The model.
    Model = 3,
    /// A tool.
    Tool = 4,
}

impl Voice {
    /// The voice of a role.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        match role {
            Role::System | Role::Developer => Self::Instructions,
            Role::User => Self::User,
            Role::Assistant => Self::Model,
            Role::Tool => Self::Tool,
        }
    }
}

/// What an atom is. The numbers go into hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AtomKind {
    /// A text: one piece, trimmed, never empty.
    Text = 1,
    /// A medium: where its bytes are, and the bytes or their address.
    Media = 2,
    /// A tool call: name and arguments.
    Call = 3,
    /// A tool's result begins; its parts follow. No pieces.
    Result = 4,
    /// A part that only one dialect knows: its type and its JSON.
    Foreign = 5,
}

/// Whoever takes atoms in, in order.
pub trait Hears {
    /// One atom. Pieces are to be kept apart: `["ab", "c"]` is not `["a", "bc"]`.
    fn atom(&mut self, voice: Voice, kind: AtomKind, pieces: &[&str]);
}

/// Media longer than this many bytes are taken by length, beginning and end: a film need not be read through to be
/// known again.
pub const MEDIA_WHOLE_MAX: usize = 16 * 1024;
/// How much of the beginning and of the end of a longer one.
const MEDIA_SAMPLE: usize = 4 * 1024;

/// A text.
pub fn text(out: &mut (impl Hears + ?Sized), voice: Voice, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        out.atom(voice, AtomKind::Text, &[text]);
    }
}

/// A medium: the kind of its address and the address or bytes.
pub fn media(out: &mut (impl Hears + ?Sized), voice: Voice, kind: &str, data: &str) {
    if data.len() <= MEDIA_WHOLE_MAX {
        out.atom(voice, AtomKind::Media, &[kind, data]);
        return;
    }
    let head = data.get(..floor(data, MEDIA_SAMPLE)).unwrap_or_default();
    let tail = data.get(floor(data, data.len() - MEDIA_SAMPLE)..).unwrap_or_default();
    out.atom(voice, AtomKind::Media, &[kind, &data.len().to_string(), head, tail]);
}

/// The place of a character's first byte at or before `at`.
const fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A medium behind a URL, with `data:` URLs taken as the bytes that they are.
pub fn media_url(out: &mut (impl Hears + ?Sized), voice: Voice, url: &str) {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((_, data)) => media(out, voice, "base64", data),
        None => media(out, voice, "url", url),
    }
}

/// The model asks for a tool.
pub fn tool_call(out: &mut (impl Hears + ?Sized), name: &str, arguments: &str) {
    let arguments = match arguments.trim() {
        "" => Cow::Borrowed("{}"),
        text => canonical(text, &[]),
    };
    out.atom(Voice::Model, AtomKind::Call, &[name, &arguments]);
}

/// A tool's result begins.
pub fn tool_result(out: &mut (impl Hears + ?Sized)) {
    out.atom(Voice::Tool, AtomKind::Result, &[]);
}

/// A part that only its dialect knows, as JSON.
pub fn foreign(out: &mut (impl Hears + ?Sized), voice: Voice, what: &str, block: &str) {
    out.atom(voice, AtomKind::Foreign, &[what, &canonical(block, &FLEETING)]);
}

/// Members of a block that change from call to call although the same is said.
const FLEETING: [&str; 5] = ["id", "cache_control", "tool_use_id", "call_id", "status"];

/// JSON with its members sorted and without blanks, and without some members of the outermost object. What is no
/// JSON stays as it is.
fn canonical<'a>(text: &'a str, without: &[&str]) -> Cow<'a, str> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            let mut out = String::with_capacity(text.len());
            write(&value, without, &mut out);
            Cow::Owned(out)
        }
        Err(_) => Cow::Borrowed(text),
    }
}

/// No deeper than the parser lets a value be (128 levels).
fn write(value: &Value, without: &[&str], out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> =
                members.iter().filter(|(name, _)| !without.contains(&name.as_str())).collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in sorted {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(value, &[], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for value in list {
                write(value, &[], out);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The atoms of a call in the inner form.
pub fn of_call(call: &Call, out: &mut (impl Hears + ?Sized)) {
    for item in &call.items {
        match &item.kind {
            ItemKind::Message(said) => {
                said.parts.iter().for_each(|part| of_part(part, Voice::of(said.role), out));
            }
            ItemKind::Reasoning(_) => {}
            ItemKind::ToolCall(call) => tool_call(out, &call.name, &call.arguments),
            ItemKind::ToolResult(result) => {
                tool_result(out);
                result.parts.iter().for_each(|part| of_part(part, Voice::Tool, out));
            }
            ItemKind::Foreign { what } => {
                let turn = call.turns.get(item.origin.message as usize);
                let voice = turn.map_or(Voice::User, |turn| Voice::of(turn.role));
                let block = item.bag.dialect().and_then(|dialect| item.bag.get(dialect, "$block"));
                foreign(out, voice, what, block.map_or("", |block| block.text()));
            }
        }
    }
}

fn of_part(part: &Part, voice: Voice, out: &mut (impl Hears + ?Sized)) {
    match &part.kind {
        PartKind::Text { text: said, .. } | PartKind::Refusal(said) => text(out, voice, said),
        PartKind::Image(one) | PartKind::Document(one) | PartKind::Audio(one) | PartKind::Video(one) => {
            match &one.source {
                MediaSource::Base64(data) => media(out, voice, "base64", data),
                MediaSource::Url(url) => media_url(out, voice, url),
                MediaSource::FileId(id) => media(out, voice, "file", id),
                MediaSource::Text(text) => media(out, voice, "text", text),
            }
        }
        PartKind::Foreign { what } => {
            let block = part.bag.dialect().and_then(|dialect| part.bag.get(dialect, "$block"));
            foreign(out, voice, what, block.map_or("", |block| block.text()));
        }
    }
}

/// Atoms as text, one a line, for tests: what two roads heard can be compared and read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(pub Vec<String>);

impl Hears for Written {
    fn atom(&mut self, voice: Voice, kind: AtomKind, pieces: &[&str]) {
        self.0.push(format!("{voice:?} {kind:?} {pieces:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(say: impl Fn(&mut Written)) -> Vec<String> {
        let mut out = Written::default();
        say(&mut out);
        out.0
    }

    #[test]
    fn spelling_of_arguments_does_not_count_and_their_content_does() {
        let call = |arguments: &'static str| heard(|out| tool_call(out, "f", arguments));
        assert_eq!(call(r#"{"b":1,"a":[1, 2]}"#), call(r#" { "a" : [1,2], "b":1 } "#));
        assert_eq!(call(""), call("{}"));
        assert_ne!(call(r#"{"a":1}"#), call(r#"{"a":2}"#));
        assert_ne!(call(r#"{"a":1"#), call("{}"), "half a text is carried as it is");
    }

    #[test]
    fn blanks_ids_and_cache_marks_do_not_count() {
        assert_eq!(heard(|out| text(out, Voice::User, " hi\n")), heard(|out| text(out, Voice::User, "hi")));
        assert!(heard(|out| text(out, Voice::Model, " \n")).is_empty());
        let block = |json: &'static str| heard(|out| foreign(out, Voice::Model, "x", json));
        let marked = r#"{"type":"x","id":"1","cache_control":{"type":"ephemeral"},"v":{"id":"kept"}}"#;
        assert_eq!(block(marked), block(r#"{"v":{"id":"kept"},"type":"x"}"#));
        assert_ne!(block(marked), block(r#"{"v":{"id":"other"},"type":"x"}"#));
    }

    #[test]
    fn long_media_are_known_by_length_beginning_and_end() {
        let one = format!("{}M{}", "a".repeat(20_000), "z".repeat(20_000));
        let longer = format!("{one}z");
        let media_of = |data: &str| heard(|out| media(out, Voice::User, "base64", data));
        assert_ne!(media_of(&one), media_of(&longer));
        assert!(media_of(&one)[0].len() < 9_000);
        let url = heard(|out| media_url(out, Voice::User, "data:image/png;base64,QUJD"));
        assert_eq!(url, heard(|out| media(out, Voice::User, "base64", "QUJD")));
        let wide = "ä".repeat(20_001);
        assert_eq!(media_of(&wide).len(), 1, "cut between characters only");
    }
}
