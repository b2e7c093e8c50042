//! A whole answer that passes through: what settlement needs of it, read in one pass ([`Cursor::of_answer`]).
//!
//! What is not read may be anything that is JSON. What is read must stand there once; a member that has another
//! type than its text is as if it were not there.

use crate::{
    openai_chat::{
        error, finish,
        types::{Lenient, Met, WireUsage},
    },
    scan::{Bad, Cursor, Kind},
};
use domain::{Code, Fault, Finish, Usage};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// What settlement needs of a whole answer. The rest of the body is skipped, not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplyPeek {
    /// The upstream's id of the answer.
    pub id: Option<Box<str>>,
    /// The model that answered, as the upstream names it.
    pub model: Option<Box<str>>,
    /// The tier that served it.
    pub service_tier: Option<Box<str>>,
    /// The upstream's backend mark.
    pub system_fingerprint: Option<Box<str>>,
    /// Tokens, where reported.
    pub usage: Option<Usage>,
    /// Why the first candidate ended.
    pub finish: Option<Finish>,
    /// How many candidates there are.
    pub candidates: usize,
}

/// An answer of embeddings: what `choices` are to a chat, `data` is here. Of its many numbers nothing is wanted, and
/// serde skips those a fifth faster than the cursor does.
#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(default)]
    model: Lenient,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    data: Option<Vec<IgnoredAny>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// What one pass notes. A list that is null counts as absent.
#[derive(Default)]
struct Answer {
    peek: ReplyPeek,
    /// Candidates, where there is a list of them.
    listed: Option<usize>,
    usage: Option<WireUsage>,
    /// `error` is there and not null.
    error: bool,
    /// A candidate says that it failed.
    candidate_failed: bool,
    met: Met,
}

/// The members that are read.
#[derive(Clone, Copy)]
enum Member {
    Id,
    Model,
    ServiceTier,
    SystemFingerprint,
    Usage,
    Choices,
    Error,
}

impl Answer {
    fn read(body: &[u8]) -> Result<Self, Bad> {
        let mut answer = Self::default();
        let mut cursor = Cursor::of_answer(body)?;
        cursor.members(|cursor, key| {
            let member = match &*key.name {
                "id" => Member::Id,
                "model" => Member::Model,
                "service_tier" => Member::ServiceTier,
                "system_fingerprint" => Member::SystemFingerprint,
                "usage" => Member::Usage,
                "choices" => Member::Choices,
                "error" => Member::Error,
                _ => return cursor.skip().map(drop),
            };
            answer.met.once(member as u8, key.start)?;
            answer.member(cursor, member)
        })?;
        cursor.finish()?;
        Ok(answer)
    }

    fn member(&mut self, cursor: &mut Cursor<'_>, member: Member) -> Result<(), Bad> {
        match member {
            Member::Id => self.peek.id = text(cursor)?,
            Member::Model => self.peek.model = text(cursor)?,
            Member::ServiceTier => self.peek.service_tier = text(cursor)?,
            Member::SystemFingerprint => self.peek.system_fingerprint = text(cursor)?,
            Member::Usage => self.usage = WireUsage::read(cursor)?,
            Member::Error => {
                self.error = cursor.peek()? != Kind::Null;
                cursor.skip()?;
            }
            Member::Choices => self.listed = list(cursor, |cursor, index| self.candidate(cursor, index))?,
        }
        Ok(())
    }

    fn candidate(&mut self, cursor: &mut Cursor<'_>, index: usize) -> Result<(), Bad> {
        let mut met = Met::default();
        cursor.members(|cursor, key| match &*key.name {
            "finish_reason" => {
                met.once(0, key.start)?;
                if cursor.peek()? != Kind::String {
                    return cursor.skip().map(drop);
                }
                let word = cursor.string()?;
                self.candidate_failed |= word == "error";
                if index == 0 {
                    self.peek.finish = finish::read(&word);
                }
                Ok(())
            }
            "error" => {
                met.once(1, key.start)?;
                self.candidate_failed |= is_filled(cursor)?;
                Ok(())
            }
            _ => cursor.skip().map(drop),
        })?;
        Ok(())
    }
}

/// A text; nothing where something else stands there.
fn text(cursor: &mut Cursor<'_>) -> Result<Option<Box<str>>, Bad> {
    if cursor.peek()? == Kind::String {
        return Ok(Some(cursor.string()?.into()));
    }
    cursor.skip()?;
    Ok(None)
}

/// How many elements a list has; nothing where null stands there.
fn list<'a>(
    cursor: &mut Cursor<'a>,
    mut element: impl FnMut(&mut Cursor<'a>, usize) -> Result<(), Bad>,
) -> Result<Option<usize>, Bad> {
    if cursor.peek()? == Kind::Null {
        cursor.skip()?;
        return Ok(None);
    }
    let mut count = 0;
    cursor.array(|cursor, index| {
        count = index + 1;
        element(cursor, index)
    })?;
    Ok(Some(count))
}

/// Whether a value says something: a text, list or object that is not empty.
fn is_filled(cursor: &mut Cursor<'_>) -> Result<bool, Bad> {
    let mut filled = false;
    match cursor.peek()? {
        Kind::String => filled = !cursor.string()?.is_empty(),
        Kind::Object => {
            cursor.members(|cursor, _| {
                filled = true;
                cursor.skip().map(drop)
            })?;
        }
        Kind::Array => {
            cursor.array(|cursor, _| {
                filled = true;
                cursor.skip().map(drop)
            })?;
        }
        Kind::Number | Kind::Bool | Kind::Null => {
            cursor.skip()?;
        }
    }
    Ok(filled)
}

fn bad_response(message: &'static str) -> Fault {
    Fault::upstream(Code::UpstreamBadResponse, message)
}

fn because(message: &'static str, bad: Bad) -> Fault {
    bad_response(message).because(&format!("{} (at byte {})", bad.what, bad.at))
}

impl ReplyPeek {
    /// Reads a 2xx body of an embeddings request; a vector counts as a candidate.
    ///
    /// # Errors
    /// `upstream_bad_response` where it is no list of vectors; the fault inside where a 2xx body carries one.
    pub fn read_embeddings(body: &[u8]) -> Result<Self, Fault> {
        const NO_OBJECT: &str = "The upstream's answer is not the JSON object that a list of embeddings is.";
        let text = simdutf8::basic::from_utf8(body)
            .map_err(|_| bad_response(NO_OBJECT).because("it is not UTF-8"))?;
        let answer: Vectors<'_> = serde_json::from_str(text)
            .map_err(|error| bad_response(NO_OBJECT).because(&error.to_string()))?;
        if answer.error.is_some_and(|error| error.get() != "null") {
            return Err(error::fault_inside(&error::decode(200, body)));
        }
        let Some(data) = answer.data else {
            return Err(bad_response("The upstream's answer has no `data`; it is not a list of embeddings."));
        };
        Ok(Self {
            model: answer.model.0,
            usage: answer.usage.map(|usage| usage.input_only()),
            candidates: data.len(),
            ..Self::default()
        })
    }

    /// Reads a 2xx body.
    ///
    /// # Errors
    /// `upstream_bad_response` where it is no chat answer in UTF-8; the fault inside where a 2xx body carries one.
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        const NO_OBJECT: &str = "The upstream's answer is not the JSON object that a chat completion is.";
        let answer = Answer::read(body).map_err(|bad| because(NO_OBJECT, bad))?;
        if answer.error || answer.candidate_failed {
            return Err(error::fault_inside(&error::decode(200, body)));
        }
        let Some(candidates) = answer.listed else {
            return Err(bad_response("The upstream's answer has no `choices`; it is not a chat completion."));
        };
        Ok(Self { usage: answer.usage.map(|usage| usage.normal()), candidates, ..answer.peek })
    }
}

#[cfg(test)]
mod tests;
