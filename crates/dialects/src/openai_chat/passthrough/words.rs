//! The atoms of a request that is not decoded: the same row that the decoded call gives ([`domain::atom`]), read
//! from the bytes of `messages` alone. A test holds both roads to the same atoms.

use super::request::Request;
use crate::scan::{Bad, Cursor, Kind};
use domain::atom::{self, Hears, Voice};
use std::{borrow::Cow, ops::Range};

/// What stands in one wire message. Members may stand in any order, so they are noted first and read then.
#[derive(Default)]
struct Message<'a> {
    role: Cow<'a, str>,
    content: Option<(Kind, Range<usize>)>,
    refusal: Option<Range<usize>>,
    tool_calls: Option<Range<usize>>,
}

impl Request {
    /// Says the request's words to `out`. Linear in the length of `messages`; what is not understood is left out.
    pub fn words(&self, out: &mut (impl Hears + ?Sized)) {
        let Some(messages) = self.body().get(self.messages_range()) else { return };
        // The body was checked when it came: nothing here can fail, and if it did, the words so far would stand.
        let _checked_before = every_message(messages, out);
    }
}

fn every_message(messages: &[u8], out: &mut (impl Hears + ?Sized)) -> Result<(), Bad> {
    let mut cursor = Cursor::new(messages)?.allowing(messages.len());
    cursor
        .array(|cursor, _| {
            let mut message = Message::default();
            cursor.object(|cursor, key| {
                match (&*key.name, cursor.peek()?) {
                    ("role", Kind::String) => message.role = cursor.string()?,
                    ("content", kind @ (Kind::String | Kind::Array)) => {
                        message.content = Some((kind, cursor.skip()?));
                    }
                    ("refusal", Kind::String) => message.refusal = Some(cursor.skip()?),
                    ("tool_calls", Kind::Array) => message.tool_calls = Some(cursor.skip()?),
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok(())
            })?;
            said(messages, &message, out)
        })
        .map(drop)
}

fn part_of(messages: &[u8], range: Range<usize>) -> Result<Cursor<'_>, Bad> {
    let bytes = messages.get(range).unwrap_or_default();
    Ok(Cursor::new(bytes)?.allowing(bytes.len()))
}

fn said(messages: &[u8], message: &Message<'_>, out: &mut (impl Hears + ?Sized)) -> Result<(), Bad> {
    let voice = match &*message.role {
        "assistant" => Voice::Model,
        "tool" | "function" => Voice::Tool,
        "user" => Voice::User,
        _ => Voice::Instructions,
    };
    if voice == Voice::Tool {
        atom::tool_result(out);
    }
    match &message.content {
        Some((Kind::String, range)) => {
            atom::text(out, voice, &part_of(messages, range.clone())?.string()?);
        }
        Some((_, range)) => {
            part_of(messages, range.clone())?.array(|cursor, _| part(cursor, voice, out))?;
        }
        None => {}
    }
    if voice != Voice::Model {
        return Ok(());
    }
    if let Some(range) = &message.refusal {
        atom::text(out, voice, &part_of(messages, range.clone())?.string()?);
    }
    if let Some(range) = &message.tool_calls {
        part_of(messages, range.clone())?.array(|cursor, _| tool_call(cursor, out))?;
    }
    Ok(())
}

/// One content part. Texts, by far the most, are read in place; others as the decoder reads them.
fn part(cursor: &mut Cursor<'_>, voice: Voice, out: &mut (impl Hears + ?Sized)) -> Result<(), Bad> {
    let (mut kind, mut words, mut inner) = (Cow::Borrowed(""), None, None);
    let range = cursor.object(|cursor, key| {
        match (&*key.name, cursor.peek()?) {
            ("type", Kind::String) => kind = cursor.string()?,
            ("text" | "refusal", Kind::String) => words = Some(cursor.string()?),
            ("image_url" | "video_url" | "input_audio" | "file", _) => inner = Some(cursor.skip()?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    })?;
    match (&*kind, words, inner) {
        ("text" | "refusal", Some(words), _) => atom::text(out, voice, &words),
        // Thoughts come and go.
        ("thinking", ..) => {}
        ("image_url" | "video_url" | "input_audio" | "file", _, Some(inner)) => {
            let block = cursor.text(&range);
            if !medium(cursor.text(&inner), voice, out)? {
                atom::foreign(out, voice, &kind, block);
            }
        }
        _ => atom::foreign(out, voice, &kind, cursor.text(&range)),
    }
    Ok(())
}

/// A medium by what its object holds; false where that is not one thing.
fn medium(text: &str, voice: Voice, out: &mut (impl Hears + ?Sized)) -> Result<bool, Bad> {
    let mut cursor = Cursor::new(text.as_bytes())?;
    if cursor.peek()? == Kind::String {
        atom::media_url(out, voice, &cursor.string()?);
        return Ok(true);
    }
    let (mut url, mut data, mut id) = (None, None, None);
    cursor.object(|cursor, key| {
        match (&*key.name, cursor.peek()?) {
            ("url" | "file_data", Kind::String) => url = Some(cursor.string()?),
            ("data", Kind::String) => data = Some(cursor.string()?),
            ("file_id", Kind::String) => id = Some(cursor.string()?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    })?;
    match (url, data, id) {
        (Some(url), None, None) => atom::media_url(out, voice, &url),
        (None, Some(data), None) => atom::media(out, voice, "base64", &data),
        (None, None, Some(id)) => atom::media(out, voice, "file", &id),
        _ => return Ok(false),
    }
    Ok(true)
}

fn tool_call(cursor: &mut Cursor<'_>, out: &mut (impl Hears + ?Sized)) -> Result<(), Bad> {
    let (mut name, mut arguments) = (Cow::Borrowed(""), Cow::Borrowed(""));
    cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
        ("function" | "custom", Kind::Object) => cursor
            .object(|cursor, key| {
                match (&*key.name, cursor.peek()?) {
                    ("name", Kind::String) => name = cursor.string()?,
                    ("arguments" | "input", Kind::String) => arguments = cursor.string()?,
                    ("arguments", Kind::Object) => {
                        let range = cursor.skip()?;
                        arguments = Cow::Borrowed(cursor.text(&range));
                    }
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok(())
            })
            .map(drop),
        _ => cursor.skip().map(drop),
    })?;
    atom::tool_call(out, &name, &arguments);
    Ok(())
}
