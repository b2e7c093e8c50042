//! One pass over a JSON body: strict grammar, UTF-8, bounds, and the byte ranges that are wanted.
//!
//! A [`Cursor`] walks the text once, from left to right, and never allocates on the usual path. Whoever
//! reads a body asks it for members, elements and scalars; what nobody asks for is skipped by the same strict
//! grammar. So what was checked is what is sent: the ranges point into the bytes that are forwarded.
//!
//! Bounds: nesting at most [`MAX_DEPTH`], at most [`NODES_PER_MIB`] values per started MiB, numbers of at most
//! [`MAX_NUMBER_BYTES`] characters. Refused: anything that RFC 8259 does not allow, lone surrogates, trailing
//! text, a byte-order mark, and duplicate keys in the objects that are read with [`Cursor::object`].
//!
//! Answers of upstreams are read by the same pass, but are not ours to refuse for what nobody reads of them:
//! see [`Cursor::of_answer`].

mod keys;
mod place;

use domain::{Code, Fault};
use keys::Keys;
use std::{borrow::Cow, ops::Range};

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: u32 = 128;
/// Most values per started MiB of text.
pub const NODES_PER_MIB: usize = 100_000;
/// Longest number, in characters.
pub const MAX_NUMBER_BYTES: usize = 64;
/// How often an answer may nest another [`MAX_DEPTH`] levels in what is skipped: the bound of a recursion.
const MAX_DEEPER: u32 = 256;

/// What is wrong with a body, and where. Small, so that the usual path carries no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Byte offset in the body.
    pub at: usize,
    /// `InvalidJson` or `InvalidRequest`.
    pub code: Code,
    /// The reason, as the end of a sentence.
    pub what: &'static str,
}

impl Bad {
    const fn json(at: usize, what: &'static str) -> Self {
        Self { at, code: Code::InvalidJson, what }
    }

    /// The JSON is sound, but not what the API asks for at this place.
    #[must_use]
    pub const fn request(at: usize, what: &'static str) -> Self {
        Self { at, code: Code::InvalidRequest, what }
    }

    /// The fault for the caller, with byte offset, line, column and the path of the place in `body`.
    #[must_use]
    pub fn into_fault(self, body: &[u8]) -> Fault {
        let place = place::find(body, self.at);
        let position = format!("at byte {}, line {}, column {}", self.at, place.line, place.column);
        let message = match (self.code, place.path.is_empty()) {
            (Code::InvalidJson, true) => {
                format!("The request body is not acceptable JSON: {} ({position}).", self.what)
            }
            (Code::InvalidJson, false) => {
                format!(
                    "The request body is not acceptable JSON: {} in `{}` ({position}).",
                    self.what, place.path
                )
            }
            (_, true) => format!("The request body {} ({position}).", self.what),
            (_, false) => format!("`{}` {} ({position}).", place.path, self.what),
        };
        let fault = Fault::caller(self.code, message);
        if place.path.is_empty() { fault } else { fault.at(place.path) }
    }
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

/// A member of an object, met by [`Cursor::object`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The name, without escapes.
    pub name: Cow<'a, str>,
    /// Offset of the quote that opens the name.
    pub start: usize,
}

/// Walks a JSON text once.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    nodes_left: usize,
    /// Reads an upstream's answer. Asked only where the strict grammar would refuse.
    lenient: bool,
    deeper_left: u32,
}

/// Checks a whole body strictly, with duplicate keys refused in the top-level object and in the objects
/// (also as list elements) that are members of it under one of the names in `relevant`.
///
/// # Errors
/// `invalid_json` with byte offset, line, column and path.
pub fn check(body: &[u8], relevant: &[&str]) -> Result<(), Fault> {
    let outcome = (|| {
        let mut cursor = Cursor::new(body)?;
        if cursor.peek()? == Kind::Object {
            cursor.object(|cursor, key| match cursor.peek()? {
                Kind::Object if relevant.contains(&&*key.name) => {
                    cursor.object(|c, _| c.skip().map(drop)).map(drop)
                }
                Kind::Array if relevant.contains(&&*key.name) => cursor
                    .array(|cursor, _| {
                        if cursor.peek()? == Kind::Object {
                            cursor.object(|c, _| c.skip().map(drop)).map(drop)
                        } else {
                            cursor.skip().map(drop)
                        }
                    })
                    .map(drop),
                _ => cursor.skip().map(drop),
            })?;
        } else {
            cursor.skip()?;
        }
        cursor.finish()
    })();
    outcome.map_err(|bad: Bad| bad.into_fault(body))
}

impl<'a> Cursor<'a> {
    /// At the first value of `bytes`.
    ///
    /// # Errors
    /// Where the bytes are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Bad> {
        // Three times as fast as the standard library's check, which then tells where.
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| {
            let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            Bad::json(valid, "invalid UTF-8")
        })?;
        let nodes_left = (bytes.len() / (1 << 20) + 1) * NODES_PER_MIB;
        let mut cursor = Self { text, bytes, at: 0, depth: 0, nodes_left, lenient: false, deeper_left: 0 };
        cursor.blank();
        Ok(cursor)
    }

    /// At the first value of an upstream's answer. It is JSON in UTF-8 as a request is, but what is skipped may
    /// hold lone surrogates, any number of values, numbers of any length and [`MAX_DEEPER`] times the depth.
    ///
    /// # Errors
    /// Where the bytes are not UTF-8.
    pub fn of_answer(bytes: &'a [u8]) -> Result<Self, Bad> {
        let mut cursor = Self::new(bytes)?;
        (cursor.nodes_left, cursor.lenient, cursor.deeper_left) = (usize::MAX, true, MAX_DEEPER);
        Ok(cursor)
    }

    /// The same with at least `nodes` values allowed, for bodies of many numbers that are skipped, not built.
    #[must_use]
    pub fn allowing(mut self, nodes: usize) -> Self {
        self.nodes_left = self.nodes_left.max(nodes);
        self
    }

    /// Offset of the next byte to read.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The text of a range that this cursor gave.
    #[must_use]
    pub fn text(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// What the next value is, by its first byte.
    ///
    /// # Errors
    /// Where no value begins.
    pub fn peek(&self) -> Result<Kind, Bad> {
        Ok(match self.bytes.get(self.at) {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(_) => return Err(Bad::json(self.at, "a value was expected")),
            None => return Err(Bad::json(self.at, "the text ends where a value was expected")),
        })
    }

    /// Reads an object; `member` must read or skip exactly the value of each key. Duplicate keys are refused.
    ///
    /// # Errors
    /// `InvalidRequest` where the next value is no object; else the grammar's or the callback's.
    pub fn object<F>(&mut self, mut member: F) -> Result<Range<usize>, Bad>
    where
        F: FnMut(&mut Self, Key<'a>) -> Result<(), Bad>,
    {
        let mut keys = Keys::default();
        self.members(|cursor, key| {
            if !keys.insert(key.name.clone()) {
                return Err(Bad::json(key.start, "a duplicate key"));
            }
            member(cursor, key)
        })
    }

    /// The same without a look for duplicate keys: that is left to `member`, for the keys that it reads.
    ///
    /// # Errors
    /// As [`Cursor::object`].
    pub fn members<F>(&mut self, mut member: F) -> Result<Range<usize>, Bad>
    where
        F: FnMut(&mut Self, Key<'a>) -> Result<(), Bad>,
    {
        let from = self.at;
        self.expect(Kind::Object, "must be an object")?;
        self.enter()?;
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
        } else {
            loop {
                let start = self.at;
                let name = self.key()?;
                member(self, Key { name, start })?;
                self.blank();
                if self.next_member(b'}')? {
                    break;
                }
            }
        }
        self.leave();
        Ok(from..self.at)
    }

    /// Reads an array; `element` must read or skip exactly each value.
    ///
    /// # Errors
    /// `InvalidRequest` where the next value is no array; else the grammar's or the callback's.
    pub fn array<F>(&mut self, mut element: F) -> Result<Range<usize>, Bad>
    where
        F: FnMut(&mut Self, usize) -> Result<(), Bad>,
    {
        let from = self.at;
        self.expect(Kind::Array, "must be a list")?;
        self.enter()?;
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
        } else {
            let mut index = 0;
            loop {
                element(self, index)?;
                self.blank();
                if self.next_member(b']')? {
                    break;
                }
                index += 1;
            }
        }
        self.leave();
        Ok(from..self.at)
    }

    /// Reads a string.
    ///
    /// # Errors
    /// `InvalidRequest` where the next value is no string; else the grammar's.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Bad> {
        self.expect(Kind::String, "must be a text")?;
        self.node()?;
        let open = self.at;
        let escaped = self.skip_string()?;
        self.unescape(open + 1..self.at - 1, escaped)
    }

    /// Reads `true` or `false`; `null` is `None`.
    ///
    /// # Errors
    /// `InvalidRequest` where it is something else.
    pub fn boolean(&mut self) -> Result<Option<bool>, Bad> {
        let from = self.at;
        let range = self.skip()?;
        match self.text(&range) {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            "null" => Ok(None),
            _ => Err(Bad::request(from, "must be true or false")),
        }
    }

    /// Reads a whole number from 0; `null` is `None`.
    ///
    /// # Errors
    /// `InvalidRequest` where it is something else or above `u64`.
    pub fn unsigned(&mut self) -> Result<Option<u64>, Bad> {
        let from = self.at;
        let range = self.skip()?;
        match self.text(&range) {
            "null" => Ok(None),
            text => text.parse().map(Some).map_err(|_| Bad::request(from, "must be a whole number")),
        }
    }

    /// Skips any value by the same grammar; gives its range.
    ///
    /// # Errors
    /// The grammar's.
    pub fn skip(&mut self) -> Result<Range<usize>, Bad> {
        let from = self.at;
        let floor = self.depth;
        // One bit per level: 1 for an object, 0 for an array. `MAX_DEPTH` is its width.
        let mut kinds: u128 = 0;
        loop {
            match self.peek()? {
                Kind::String => {
                    self.node()?;
                    self.skip_string()?;
                }
                Kind::Number => {
                    self.node()?;
                    self.skip_number()?;
                }
                Kind::Bool | Kind::Null => {
                    self.node()?;
                    self.skip_word()?;
                }
                Kind::Object | Kind::Array if self.depth >= MAX_DEPTH => self.skip_deeper()?,
                kind @ (Kind::Object | Kind::Array) => {
                    self.enter()?;
                    let object = kind == Kind::Object;
                    kinds = (kinds << 1) | u128::from(object);
                    let close = if object { b'}' } else { b']' };
                    if self.bytes.get(self.at) != Some(&close) {
                        if object {
                            self.key_skipped()?;
                        }
                        continue;
                    }
                    self.at += 1;
                    self.leave();
                    kinds >>= 1;
                }
            }
            loop {
                if self.depth == floor {
                    return Ok(from..self.at);
                }
                self.blank();
                let object = kinds & 1 == 1;
                if !self.next_member(if object { b'}' } else { b']' })? {
                    if object {
                        self.key_skipped()?;
                    }
                    break;
                }
                self.leave();
                kinds >>= 1;
            }
        }
    }

    /// The value has been read: nothing but blanks may follow.
    ///
    /// # Errors
    /// Where more text follows.
    pub fn finish(&mut self) -> Result<(), Bad> {
        self.blank();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(Bad::json(self.at, "more text follows after the end of the value"))
        }
    }

    /// Skips what begins below the deepest level: an answer's, with a stack of its own; nobody else's.
    #[cold]
    fn skip_deeper(&mut self) -> Result<(), Bad> {
        self.deeper_left = self.deeper_left.checked_sub(1).ok_or(too_deep(self.at))?;
        let depth = std::mem::take(&mut self.depth);
        self.skip()?;
        self.depth = depth;
        self.deeper_left += 1;
        Ok(())
    }

    fn expect(&self, kind: Kind, what: &'static str) -> Result<(), Bad> {
        if self.peek()? == kind { Ok(()) } else { Err(Bad::request(self.at, what)) }
    }

    fn node(&mut self) -> Result<(), Bad> {
        self.nodes_left =
            self.nodes_left.checked_sub(1).ok_or(Bad::json(self.at, "more than 100,000 values per MiB"))?;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Bad> {
        self.node()?;
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.at));
        }
        self.depth += 1;
        self.at += 1;
        self.blank();
        Ok(())
    }

    const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// After a value inside of an array or object: true where `close` was read, false where a comma was.
    fn next_member(&mut self, close: u8) -> Result<bool, Bad> {
        match self.bytes.get(self.at) {
            Some(b',') => {
                self.at += 1;
                self.blank();
                Ok(false)
            }
            Some(byte) if *byte == close => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err(Bad::json(self.at, "a comma or the closing bracket was expected")),
            None => Err(Bad::json(self.at, "the text ends inside of an array or object")),
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Bad> {
        let open = self.at;
        let (end, escaped) = self.key_skipped()?;
        self.unescape(open + 1..end - 1, escaped)
    }

    /// Reads a key and its colon. Gives where the key ends and whether it has escapes.
    fn key_skipped(&mut self) -> Result<(usize, bool), Bad> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(Bad::json(self.at, "a key in double quotes was expected"));
        }
        let escaped = self.skip_string()?;
        let end = self.at;
        self.blank();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(Bad::json(self.at, "a colon was expected"));
        }
        self.at += 1;
        self.blank();
        Ok((end, escaped))
    }

    fn unescape(&self, inner: Range<usize>, escaped: bool) -> Result<Cow<'a, str>, Bad> {
        if !escaped {
            return Ok(Cow::Borrowed(self.text(&inner)));
        }
        let quoted = self.text.get(inner.start - 1..inner.end + 1).unwrap_or_default();
        // Only an answer's text can fail here: the rest of the grammar was checked, its surrogates were not.
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| lone_surrogate(inner.start))
    }

    /// At a quote: reads to behind the closing one. True where it has escapes.
    fn skip_string(&mut self) -> Result<bool, Bad> {
        // Most texts are short and plain. They are done with here, where little has to be set up.
        let mut at = self.at + 1;
        for _ in 0..SHORT_WORDS {
            let Some(word) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) else { break };
            let special = special_of(u64::from_le_bytes(*word));
            if special != 0 {
                at += special.trailing_zeros() as usize / 8;
                if self.bytes.get(at) == Some(&b'"') {
                    self.at = at + 1;
                    return Ok(false);
                }
                break;
            }
            at += WORD;
        }
        self.skip_long_string(at)
    }

    /// The rest of a string whose bytes before `at` are plain.
    #[inline(never)]
    fn skip_long_string(&mut self, mut at: usize) -> Result<bool, Bad> {
        let open = self.at;
        let mut escaped = false;
        loop {
            at += plain_bytes(self.bytes.get(at..).unwrap_or_default());
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    at = self.skip_escape(at)?;
                }
                Some(_) => return Err(Bad::json(at, "a control character in a text (it must be escaped)")),
                None => return Err(Bad::json(open, "a text without its closing quote")),
            }
        }
    }

    fn skip_escape(&self, at: usize) -> Result<usize, Bad> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.hex(at)? {
                0xd800..=0xdfff if self.lenient => Ok(at + 6),
                0xdc00..=0xdfff => Err(lone_surrogate(at)),
                0xd800..=0xdbff => {
                    if self.bytes.get(at + 6..at + 8) != Some(b"\\u") {
                        return Err(lone_surrogate(at));
                    }
                    match self.hex(at + 6)? {
                        0xdc00..=0xdfff => Ok(at + 12),
                        _ => Err(lone_surrogate(at)),
                    }
                }
                _ => Ok(at + 6),
            },
            _ => Err(Bad::json(at, "an unknown escape in a text")),
        }
    }

    fn hex(&self, at: usize) -> Result<u32, Bad> {
        self.text
            .get(at + 2..at + 6)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(Bad::json(at, "four hexadecimal digits were expected after \\u"))
    }

    /// Where the digits end that begin at `at`.
    fn digits(&self, mut at: usize) -> usize {
        while self.bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    }

    fn skip_number(&mut self) -> Result<(), Bad> {
        let from = self.at;
        let first = from + usize::from(self.bytes.get(from) == Some(&b'-'));
        let mut at = self.digits(first);
        let mut sound = at == first + 1 || (at > first && self.bytes.get(first) != Some(&b'0'));
        if self.bytes.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = self.digits(fraction);
            sound &= at > fraction;
        }
        if let Some(b'e' | b'E') = self.bytes.get(at) {
            at += 1;
            let exponent = at + usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            at = self.digits(exponent);
            sound &= at > exponent;
        }
        if !sound {
            return Err(Bad::json(from, "a number that JSON does not allow"));
        }
        if at - from > MAX_NUMBER_BYTES && !self.lenient {
            return Err(Bad::json(from, "a number of more than 64 characters"));
        }
        self.at = at;
        Ok(())
    }

    fn skip_word(&mut self) -> Result<(), Bad> {
        self.at += match self.bytes.get(self.at..).unwrap_or_default() {
            [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            _ => return Err(Bad::json(self.at, "a value was expected")),
        };
        Ok(())
    }
}

const fn too_deep(at: usize) -> Bad {
    Bad::json(at, "nesting deeper than 128 levels")
}

const fn lone_surrogate(at: usize) -> Bad {
    Bad::json(at, "a lone surrogate (half of a UTF-16 pair)")
}

const WORD: usize = 8;
const SHORT_WORDS: usize = 3;
/// A one in each byte of a word.
const ONES: u64 = u64::MAX / 0xff;

/// How many bytes from the start need no attention inside of a string: no quote, backslash or control
/// character. A few words of 8 bytes first; what is longer goes by blocks.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const FIRST: usize = 4 * WORD;
    let first = bytes.get(..FIRST).unwrap_or(bytes);
    let plain = plain_words(first);
    if plain < FIRST { plain } else { plain + plain_blocks(bytes.get(FIRST..).unwrap_or_default()) }
}

/// By blocks that the compiler turns into vector instructions; those need a set-up of their own.
#[inline(never)]
fn plain_blocks(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let mut plain = 0;
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk::<BLOCK>() {
        if block.iter().fold(0, |any, byte| any | u8::from(is_special(*byte))) != 0 {
            break;
        }
        plain += BLOCK;
        rest = tail;
    }
    plain + plain_words(rest)
}

#[inline]
fn plain_words(bytes: &[u8]) -> usize {
    let mut plain = 0;
    let (words, tail) = bytes.as_chunks::<WORD>();
    for word in words {
        let special = special_of(u64::from_le_bytes(*word));
        if special != 0 {
            return plain + special.trailing_zeros() as usize / 8;
        }
        plain += WORD;
    }
    plain + tail.iter().position(|byte| is_special(*byte)).unwrap_or(tail.len())
}

/// A quote is 0x22 and the last control character 0x1f: with bit 1 flipped these, and no other, are at most
/// 0x20. So one comparison finds both.
const fn is_special(byte: u8) -> bool {
    byte ^ 2 <= 0x20 || byte == b'\\'
}

/// The same for 8 bytes at once: the lowest bit that is set is the top bit of the first special byte. (A borrow
/// may set bits above it, never below.)
const fn special_of(word: u64) -> u64 {
    let quote_or_control = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    // Bytes above ASCII may seem to borrow, and are not special.
    (quote_or_control | backslash) & !word & (ONES * 0x80)
}

#[cfg(test)]
mod tests;
