//! The road of a call whose caller and upstream both speak openai-responses: the same bytes, with the closed list
//! of edits: the model's name, `store`, the wish for encrypted thoughts, the answer's limit.
//!
//! The answer's bytes are forwarded as they are; whoever books them reads them beside with the stream decoder
//! of [`super::OpenAiResponses`].

use crate::{
    edit::{Edits, Rope},
    object::quoted,
    scan::{Bad, Cursor, Kind},
};
use bytes::Bytes;
use domain::Fault;
use std::ops::Range;

/// Longest name of a model, in bytes.
const MAX_MODEL_BYTES: usize = 256;
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// A request whose bytes were checked and whose envelope was read.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    model: String,
    stream: bool,
    store: Option<bool>,
    keeps: bool,
    asks_encrypted: bool,
    max_output_tokens: Option<(u64, Range<usize>)>,
    marks: Marks,
}

/// Where the edits go.
#[derive(Clone, Debug, Default)]
struct Marks {
    /// Just behind the opening brace.
    first_member: usize,
    model: Range<usize>,
    store: Option<Range<usize>>,
    /// The whole value, and whether it is a list with something in it.
    include: Option<(Range<usize>, bool)>,
}

/// The edits that the gateway may make to a passed-through request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The model's name at the target.
    pub model: Option<&'a str>,
    /// Whether the upstream shall keep the answer.
    pub store: Option<bool>,
    /// Ask for encrypted thoughts where the caller did not.
    pub encrypted: bool,
    /// Upper bound of the token limit; a larger one is lowered to it, an absent one stays absent.
    pub max_output_tokens: Option<u64>,
}

impl Request {
    /// Checks the whole body strictly and reads its envelope.
    ///
    /// # Errors
    /// `invalid_json` or `invalid_request`, with byte offset, line, column and path.
    pub fn scan(body: Bytes) -> Result<Self, Fault> {
        let mut request = Self {
            body: Bytes::new(),
            model: String::new(),
            stream: false,
            store: None,
            keeps: false,
            asks_encrypted: false,
            max_output_tokens: None,
            marks: Marks::default(),
        };
        request.read(&body).map_err(|bad| bad.into_fault(&body))?;
        request.body = body;
        Ok(request)
    }

    fn read(&mut self, body: &[u8]) -> Result<(), Bad> {
        let mut cursor = Cursor::new(body)?;
        let start = cursor.at();
        if cursor.peek()? != Kind::Object {
            return Err(Bad::request(start, "must be an object"));
        }
        self.marks.first_member = start + 1;
        cursor.object(|cursor, key| {
            let from = cursor.at();
            if cursor.peek()? == Kind::Null {
                let range = cursor.skip()?;
                match &*key.name {
                    "store" => self.marks.store = Some(range),
                    "include" => self.marks.include = Some((range, false)),
                    _ => {}
                }
                return Ok(());
            }
            match &*key.name {
                "model" => {
                    let name = cursor.string()?;
                    if name.is_empty() || name.len() > MAX_MODEL_BYTES {
                        return Err(Bad::request(from, "must name a model, in at most 256 bytes"));
                    }
                    self.model = name.into_owned();
                    self.marks.model = from..cursor.at();
                }
                "stream" => self.stream = cursor.boolean()? == Some(true),
                "store" => {
                    self.store = cursor.boolean()?;
                    self.marks.store = Some(from..cursor.at());
                }
                "max_output_tokens" => {
                    let limit = cursor.unsigned()?;
                    self.max_output_tokens = limit.map(|limit| (limit, from..cursor.at()));
                }
                "include" => {
                    let range = cursor.skip()?;
                    let text = cursor.text(&range);
                    self.asks_encrypted = text.contains(ENCRYPTED);
                    let filled = text.contains('"');
                    self.marks.include = Some((range, filled));
                }
                "background" => self.keeps |= cursor.boolean()? == Some(true),
                "previous_response_id" | "conversation" | "prompt" => {
                    self.keeps = true;
                    cursor.skip()?;
                }
                _ => {
                    cursor.skip()?;
                }
            }
            Ok(())
        })?;
        cursor.finish()?;
        if self.model.is_empty() {
            return Err(Bad::request(start, "lacks `model`: name the model that shall answer"));
        }
        Ok(())
    }

    /// The bytes as they came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the answer is to be streamed.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.stream
    }

    /// Whether the answer is to be kept: unless the caller says no.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Whether the call leans on something that is kept (`previous_response_id`, `conversation`, `prompt`) or
    /// works on in the background.
    #[must_use]
    pub const fn needs_state(&self) -> bool {
        self.keeps
    }

    /// The limit of the answer in tokens, where said.
    #[must_use]
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.max_output_tokens.as_ref().map(|(limit, _)| *limit)
    }

    /// The body with `changes`.
    #[must_use]
    pub fn edit(&self, changes: &Changes<'_>) -> Rope {
        let mut edits = Edits::new(&self.body);
        let mut first = String::new();
        if let Some(model) = changes.model {
            edits.replace(self.marks.model.clone(), quoted(model));
        }
        if let Some(store) = changes.store {
            match &self.marks.store {
                Some(range) => edits.replace(range.clone(), store.to_string()),
                None => first.push_str(&format!("\"store\":{store},")),
            }
        }
        if changes.encrypted && !self.asks_encrypted {
            match &self.marks.include {
                Some((range, true)) => {
                    edits.replace(range.start + 1..range.start + 1, format!("\"{ENCRYPTED}\","));
                }
                Some((range, false)) => edits.replace(range.clone(), format!("[\"{ENCRYPTED}\"]")),
                None => first.push_str(&format!("\"include\":[\"{ENCRYPTED}\"],")),
            }
        }
        if let (Some(most), Some((limit, range))) = (changes.max_output_tokens, &self.max_output_tokens)
            && *limit > most
        {
            edits.replace(range.clone(), most.to_string());
        }
        if !first.is_empty() {
            // The body has a member, its model, so a comma behind ours is right.
            edits.replace(self.marks.first_member..self.marks.first_member, first);
        }
        edits.apply()
    }
}
