//! The request: one pass for its envelope, and the closed list of edits.

use super::features::{Features, Output};
use crate::{
    codec::MaxTokensField,
    edit::{Edits, Rope},
    scan::{Bad, Cursor, Kind},
};
use bytes::Bytes;
use domain::{Effort, Fault, Sign};
use std::ops::Range;

/// Most characters of a model's name.
pub(crate) const MAX_MODEL_BYTES: usize = 256;

/// A request whose bytes were checked and whose envelope was read. The bytes are those that are sent.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    model: Bytes,
    envelope: Envelope,
    features: Features,
    marks: Marks,
}

#[derive(Clone, Copy, Debug, Default)]
struct Envelope {
    stream: bool,
    include_usage: bool,
    candidates: Option<u64>,
    max_output_tokens: Option<u64>,
    messages: usize,
    input_bytes: usize,
    media_bytes: usize,
}

/// Where the edits go.
#[derive(Clone, Debug, Default)]
struct Marks {
    first_member: usize,
    model: Range<usize>,
    stream_options: Mark,
    include_usage: Option<Range<usize>>,
    max_tokens: Option<Number>,
    max_completion_tokens: Option<Number>,
    messages: Range<usize>,
}

#[derive(Clone, Debug, Default)]
enum Mark {
    #[default]
    Absent,
    Null(Range<usize>),
    Object {
        first_member: usize,
        empty: bool,
    },
}

#[derive(Clone, Debug)]
struct Number {
    member: usize,
    value: Range<usize>,
    number: u64,
}

/// The edits that the gateway may make to a passed-through request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The model's name at the target.
    pub model: Option<&'a str>,
    /// Ask for usage in the stream where the caller did not. [`super::StreamTee`] takes its chunk out again.
    pub include_usage: bool,
    /// How the target wants the token limit to be called.
    pub max_tokens_field: MaxTokensField,
    /// Upper bound of the token limit; a larger one is lowered to it, an absent one stays absent.
    pub max_output_tokens: Option<u64>,
}

impl Request {
    /// Checks the whole body strictly and reads its envelope.
    ///
    /// # Errors
    /// `invalid_json` or `invalid_request`, with byte offset, line, column and path.
    pub fn scan(body: Bytes) -> Result<Self, Fault> {
        let mut reader = Reader::default();
        if let Err(bad) = reader.read(&body) {
            return Err(bad.into_fault(&body));
        }
        let Reader { envelope, features, marks, model } = reader;
        let model = match model {
            Some(text) => Bytes::from(text),
            None => body.slice(marks.model.start + 1..marks.model.end - 1),
        };
        Ok(Self { body, model, envelope, features, marks })
    }

    /// The bytes as they came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        std::str::from_utf8(&self.model).unwrap_or_default()
    }

    /// Whether the answer is to be streamed.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.envelope.stream
    }

    /// Whether the caller asked for usage in the stream.
    #[must_use]
    pub const fn include_usage(&self) -> bool {
        self.envelope.include_usage
    }

    /// How many candidates are asked for, where said.
    #[must_use]
    pub const fn candidates(&self) -> Option<u64> {
        self.envelope.candidates
    }

    /// The limit of the answer in tokens, where said (`max_completion_tokens` before `max_tokens`).
    #[must_use]
    pub const fn max_output_tokens(&self) -> Option<u64> {
        self.envelope.max_output_tokens
    }

    /// How many messages there are.
    #[must_use]
    pub const fn messages(&self) -> usize {
        self.envelope.messages
    }

    /// Bytes of messages and tools without those of images, sound and files in the body: a measure of the
    /// input's tokens, no count.
    #[must_use]
    pub const fn input_bytes(&self) -> usize {
        self.envelope.input_bytes.saturating_sub(self.envelope.media_bytes)
    }

    /// Where `messages` stands in the body.
    pub(super) fn messages_range(&self) -> Range<usize> {
        self.marks.messages.clone()
    }

    /// What is asked for.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// The body with `changes` made; everything else is the same bytes.
    #[must_use]
    pub fn edit(&self, changes: &Changes<'_>) -> Rope {
        let mut edits = Edits::new(&self.body);
        if let Some(model) = changes.model.filter(|model| *model != self.model()) {
            edits.replace(self.marks.model.clone(), quoted(model));
        }
        if changes.include_usage && self.envelope.stream && !self.envelope.include_usage {
            self.put_usage_in(&mut edits);
        }
        self.edit_max_tokens(changes, &mut edits);
        edits.apply()
    }

    fn put_usage_in(&self, edits: &mut Edits<'_>) {
        match (&self.marks.stream_options, &self.marks.include_usage) {
            (_, Some(value)) => edits.replace(value.clone(), Bytes::from_static(b"true")),
            (Mark::Object { first_member, empty }, None) => {
                let text: &[u8] = if *empty { b"\"include_usage\":true" } else { b"\"include_usage\":true," };
                edits.replace(*first_member..*first_member, Bytes::from_static(text));
            }
            (Mark::Null(value), None) => {
                edits.replace(value.clone(), Bytes::from_static(b"{\"include_usage\":true}"));
            }
            (Mark::Absent, None) => {
                let at = self.marks.first_member;
                edits.replace(at..at, Bytes::from_static(b"\"stream_options\":{\"include_usage\":true},"));
            }
        }
    }

    fn edit_max_tokens(&self, changes: &Changes<'_>, edits: &mut Edits<'_>) {
        let (old, new) = (&self.marks.max_tokens, &self.marks.max_completion_tokens);
        let (keep, drop, name) = match changes.max_tokens_field {
            MaxTokensField::AsGiven => {
                for number in [old, new].into_iter().flatten() {
                    clamp(number, changes.max_output_tokens, edits);
                }
                return;
            }
            MaxTokensField::MaxCompletionTokens => (new, old, "\"max_completion_tokens\":"),
            MaxTokensField::MaxTokens => (old, new, "\"max_tokens\":"),
        };
        match (keep, drop) {
            (Some(keep), Some(drop)) => {
                clamp(keep, changes.max_output_tokens, edits);
                edits.remove_member(drop.member..drop.value.end);
            }
            (Some(keep), None) => clamp(keep, changes.max_output_tokens, edits),
            (None, Some(other)) => {
                edits.replace(other.member..other.value.start, name);
                clamp(other, changes.max_output_tokens, edits);
            }
            (None, None) => {}
        }
    }
}

fn clamp(number: &Number, limit: Option<u64>, edits: &mut Edits<'_>) {
    if let Some(limit) = limit.filter(|limit| *limit < number.number) {
        edits.replace(number.value.clone(), limit.to_string());
    }
}

pub(crate) fn quoted(text: &str) -> Bytes {
    serde_json::to_vec(text).unwrap_or_default().into()
}

/// Who speaks, as far as a request is checked for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Assistant,
    Tool,
    Other,
}

impl Speaker {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            // `function` is the older word for a tool's answer; hosts that know it read `name`.
            "system" | "developer" | "user" | "function" => Self::Other,
            _ => return None,
        })
    }
}

#[derive(Default)]
struct Reader {
    envelope: Envelope,
    features: Features,
    marks: Marks,
    /// Set where the name has escapes and cannot be a slice of the body.
    model: Option<String>,
}

impl Reader {
    fn read(&mut self, body: &[u8]) -> Result<(), Bad> {
        let mut cursor = Cursor::new(body)?;
        let (mut model, mut messages) = (false, false);
        let start = cursor.at();
        cursor.object(|cursor, key| {
            if self.marks.first_member == 0 {
                self.marks.first_member = key.start;
            }
            match &*key.name {
                "model" => {
                    model = true;
                    self.model(cursor)
                }
                "messages" => {
                    messages = true;
                    self.messages(cursor)
                }
                _ => self.member(cursor, &key.name, key.start),
            }
        })?;
        cursor.finish()?;
        if !model {
            return Err(Bad::request(start, "lacks `model`: name the model that shall answer"));
        }
        if !messages {
            return Err(Bad::request(start, "lacks `messages`: a list with at least one message"));
        }
        if let (Some(n), false) =
            (&self.marks.max_completion_tokens, self.envelope.max_output_tokens.is_some())
        {
            self.envelope.max_output_tokens = Some(n.number);
        }
        Ok(())
    }

    fn model(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        let from = cursor.at();
        let name = cursor.string()?;
        if name.is_empty() {
            return Err(Bad::request(from, "must name a model"));
        }
        if name.len() > MAX_MODEL_BYTES {
            return Err(Bad::request(from, "is longer than 256 bytes"));
        }
        self.marks.model = from..cursor.at();
        if let std::borrow::Cow::Owned(name) = name {
            self.model = Some(name);
        }
        Ok(())
    }

    fn member(&mut self, cursor: &mut Cursor<'_>, name: &str, start: usize) -> Result<(), Bad> {
        match name {
            "stream" => self.envelope.stream = cursor.boolean()?.unwrap_or_default(),
            "stream_options" => self.stream_options(cursor)?,
            "n" => {
                let from = cursor.at();
                self.envelope.candidates = cursor.unsigned()?;
                if self.envelope.candidates == Some(0) {
                    return Err(Bad::request(from, "must be at least 1"));
                }
            }
            "max_tokens" => {
                self.marks.max_tokens = number(cursor, start)?;
                if self.envelope.max_output_tokens.is_none() {
                    self.envelope.max_output_tokens = self.marks.max_tokens.as_ref().map(|n| n.number);
                }
            }
            "max_completion_tokens" => {
                self.marks.max_completion_tokens = number(cursor, start)?;
                if let Some(number) = &self.marks.max_completion_tokens {
                    self.envelope.max_output_tokens = Some(number.number);
                }
            }
            "tools" => self.tools(cursor)?,
            "tool_choice" => self.tool_choice(cursor)?,
            "parallel_tool_calls" => self.features.parallel_tools = cursor.boolean()? == Some(true),
            "response_format" => self.response_format(cursor)?,
            "reasoning_effort" => self.effort(cursor)?,
            "reasoning" => self.reasoning(cursor)?,
            "logprobs" => self.features.logprobs = cursor.boolean()? == Some(true),
            "store" => {
                self.features.store = cursor.boolean()? == Some(true);
                self.features.signs = self.features.signs.with(Sign::Store, self.features.store);
            }
            "temperature" | "top_p" | "presence_penalty" | "frequency_penalty" => {
                self.features.sampling |= present(cursor)?;
            }
            "web_search_options" => self.features.server_tools |= present(cursor)?,
            "prompt_cache_key" => self.features.cache |= present(cursor)?,
            "modalities" => self.modalities(cursor)?,
            "previous_response_id" | "conversation" | "background" | "thread_id" | "assistant_id" => {
                let range = cursor.skip()?;
                let says = !matches!(cursor.text(&range), "null" | "false" | "\"\"");
                let sign = match name {
                    "previous_response_id" => Sign::PreviousResponse,
                    "background" => Sign::Background,
                    _ => Sign::Conversation,
                };
                self.features.stateful_members |= says;
                self.features.signs = self.features.signs.with(sign, says);
            }
            "session_id" | "container" | "cached_content" | "cachedContent" | "prompt" => {
                let range = cursor.skip()?;
                let says = !matches!(cursor.text(&range), "null" | "false" | "\"\"");
                let sign = match name {
                    "session_id" => Sign::Session,
                    "container" => Sign::Container,
                    "prompt" => Sign::StoredPrompt,
                    _ => Sign::CachedContent,
                };
                self.features.signs = self.features.signs.with(sign, says);
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    fn stream_options(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? == Kind::Null {
            self.marks.stream_options = Mark::Null(cursor.skip()?);
            return Ok(());
        }
        let open = cursor.at();
        let mut empty = true;
        cursor.object(|cursor, key| {
            empty = false;
            let from = cursor.at();
            if key.name == "include_usage" {
                self.envelope.include_usage = cursor.boolean()?.unwrap_or_default();
                self.marks.include_usage = Some(from..cursor.at());
                Ok(())
            } else {
                cursor.skip().map(drop)
            }
        })?;
        self.marks.stream_options = Mark::Object { first_member: open + 1, empty };
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? == Kind::Null {
            return cursor.skip().map(drop);
        }
        let range = cursor.array(|cursor, _| {
            let mut named = false;
            cursor.object(|cursor, key| match &*key.name {
                "type" => {
                    named = true;
                    match &*cursor.string()? {
                        "function" => self.features.tools = true,
                        "custom" => {
                            self.features.tools = true;
                            self.features.custom_tools = true;
                        }
                        _ => self.features.server_tools = true,
                    }
                    Ok(())
                }
                "function" => cursor.object(|cursor, _| cursor.skip().map(drop)).map(drop),
                _ => cursor.skip().map(drop),
            })?;
            self.features.tools |= !named;
            Ok(())
        })?;
        self.envelope.input_bytes += range.len();
        Ok(())
    }

    fn tool_choice(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        match cursor.peek()? {
            Kind::String => self.features.forced_tool = cursor.string()? == "required",
            Kind::Object => {
                self.features.forced_tool = true;
                cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
                    ("function", Kind::Object) => {
                        cursor.object(|cursor, _| cursor.skip().map(drop)).map(drop)
                    }
                    _ => cursor.skip().map(drop),
                })?;
            }
            Kind::Null => {
                cursor.skip()?;
            }
            _ => return Err(Bad::request(cursor.at(), "must be a text or an object")),
        }
        Ok(())
    }

    fn response_format(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? == Kind::Null {
            return cursor.skip().map(drop);
        }
        cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
            ("type", _) => {
                self.features.output = match &*cursor.string()? {
                    "text" => Output::Text,
                    "json_object" => Output::JsonObject,
                    "json_schema" => Output::JsonSchema,
                    _ => Output::Other,
                };
                Ok(())
            }
            ("json_schema", Kind::Object) => cursor.object(|cursor, _| cursor.skip().map(drop)).map(drop),
            _ => cursor.skip().map(drop),
        })?;
        Ok(())
    }

    fn effort(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? == Kind::Null {
            return cursor.skip().map(drop);
        }
        self.features.effort = Effort::parse(&cursor.string()?);
        Ok(())
    }

    fn reasoning(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? != Kind::Object {
            return cursor.skip().map(drop);
        }
        cursor.object(|cursor, key| match &*key.name {
            "effort" => self.effort(cursor),
            _ => cursor.skip().map(drop),
        })?;
        Ok(())
    }

    fn modalities(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? != Kind::Array {
            return cursor.skip().map(drop);
        }
        cursor.array(|cursor, _| {
            self.features.audio_output |= cursor.string()? == "audio";
            Ok(())
        })?;
        Ok(())
    }

    fn messages(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        let from = cursor.at();
        let range = cursor.array(|cursor, index| {
            self.envelope.messages = index + 1;
            self.message(cursor)
        })?;
        if self.envelope.messages == 0 {
            return Err(Bad::request(from, "must have at least one message"));
        }
        self.envelope.input_bytes += range.len();
        self.marks.messages = range;
        Ok(())
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        let from = cursor.at();
        let (mut role, mut answers) = (None, false);
        cursor.object(|cursor, key| {
            match (&*key.name, cursor.peek()?) {
                ("role", _) => {
                    let at = cursor.at();
                    let known = Speaker::named(&cursor.string()?).ok_or_else(|| {
                        Bad::request(at, "must be one of system, developer, user, assistant, tool")
                    })?;
                    self.features.prefill = known == Speaker::Assistant;
                    self.features.tool_history |= known == Speaker::Tool;
                    role = Some(known);
                }
                ("tool_call_id", Kind::String) => answers = !cursor.string()?.is_empty(),
                ("content", Kind::Array) => {
                    cursor.array(|cursor, _| self.part(cursor))?;
                }
                ("content", Kind::String | Kind::Null) => {
                    cursor.skip()?;
                }
                ("content", _) => return Err(Bad::request(cursor.at(), "must be a text or a list of parts")),
                ("tool_calls", kind) => {
                    self.features.tool_history |= kind == Kind::Array;
                    cursor.skip()?;
                }
                ("reasoning_details", _) => {
                    self.features.thoughts = true;
                    cursor.skip()?;
                }
                // An earlier spoken answer, named by its id.
                ("audio", Kind::Object) => {
                    self.features.provider_ids = true;
                    self.features.signs.add(Sign::FileId);
                    cursor.skip()?;
                }
                ("cache_control", _) => self.features.cache |= present(cursor)?,
                _ => {
                    cursor.skip()?;
                }
            }
            Ok(())
        })?;
        match role {
            None => Err(Bad::request(from, "lacks `role`")),
            Some(Speaker::Tool) if !answers => {
                Err(Bad::request(from, "lacks `tool_call_id`: name the call that this tool message answers"))
            }
            Some(_) => Ok(()),
        }
    }

    fn part(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        if cursor.peek()? != Kind::Object {
            return cursor.skip().map(drop);
        }
        cursor.object(|cursor, key| {
            match (&*key.name, cursor.peek()?) {
                ("type", Kind::String) => self.part_type(&cursor.string()?),
                ("image_url", Kind::Object) => {
                    cursor.object(|cursor, key| match &*key.name {
                        "url" => self.image_url(cursor),
                        _ => cursor.skip().map(drop),
                    })?;
                }
                ("image_url", Kind::String) => self.image_url(cursor)?,
                ("input_audio", Kind::Object) => {
                    let range = cursor.skip()?;
                    self.features.audio = true;
                    self.envelope.media_bytes += range.len();
                }
                ("file", Kind::Object) => {
                    let range = cursor.object(|cursor, key| {
                        if key.name == "file_id" {
                            self.features.provider_ids = true;
                            self.features.signs.add(Sign::FileId);
                        }
                        cursor.skip().map(drop)
                    })?;
                    self.features.files = true;
                    self.envelope.media_bytes += range.len();
                }
                ("cache_control", _) => self.features.cache |= present(cursor)?,
                _ => {
                    cursor.skip()?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn part_type(&mut self, word: &str) {
        match word {
            "text" | "refusal" | "thinking" => {}
            "image_url" => self.features.images = true,
            "input_audio" => self.features.audio = true,
            "file" => self.features.files = true,
            _ => self.features.other_parts = true,
        }
    }

    fn image_url(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        let from = cursor.at();
        self.features.images = true;
        if cursor.peek()? != Kind::String {
            return Err(Bad::request(from, "must be a text"));
        }
        let range = cursor.skip()?;
        if cursor.text(&range).starts_with("\"data:") {
            self.envelope.media_bytes += range.len();
        } else {
            self.features.image_urls = true;
        }
        Ok(())
    }
}

fn number(cursor: &mut Cursor<'_>, member: usize) -> Result<Option<Number>, Bad> {
    let from = cursor.at();
    let number = cursor.unsigned()?;
    Ok(number.map(|number| Number { member, value: from..cursor.at(), number }))
}

fn present(cursor: &mut Cursor<'_>) -> Result<bool, Bad> {
    let null = cursor.peek()? == Kind::Null;
    cursor.skip()?;
    Ok(!null)
}
