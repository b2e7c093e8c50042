//! What a request asks of whoever keeps state, apart from the call; and what its answer repeats of it.

use super::{OWN, item};
use crate::object::{Fields, Misfit, Object, list, raw_of};
use domain::{Call, Code, Fault, Raw};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most pairs of `metadata`, longest key and value in characters (the API's documented bounds).
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// Members of a request that ask for state. They are no part of the call: a stateless host never sees them.
pub(super) const MEMBERS: [&str; 8] = [
    "store",
    "previous_response_id",
    "conversation",
    "background",
    "background_options",
    "metadata",
    "prompt",
    "context_management",
];

/// What a request asks of whoever keeps state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateAsk {
    /// `store` as written; absent means yes, see [`StateAsk::stores`].
    pub store: Option<bool>,
    /// The response that this one follows.
    pub previous_response_id: Option<String>,
    /// The conversation that this response is a part of.
    pub conversation: Option<String>,
    /// Answer at once and work on.
    pub background: bool,
    /// What is done where the context is too long.
    pub truncation: Truncation,
    /// Pairs to keep with the response, at most 16, in the order of their keys.
    pub metadata: BTreeMap<String, String>,
    /// What to put into the answer besides (`reasoning.encrypted_content` …), as written.
    pub include: Vec<String>,
    /// Most calls of the API's own tools; each is a turn of the runtime's loop.
    pub max_tool_calls: Option<u64>,
    /// A stored prompt (`{"id", "version", "variables"}`), as written.
    pub prompt: Option<Raw>,
    /// When to compact (`[{"type":"compaction","compact_threshold":N}]`), as written.
    pub context_management: Option<Raw>,
    /// What the response object repeats of the request.
    pub echo: Echo,
}

/// What is done where the context is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    /// Items are left out from the middle of the conversation.
    Auto,
    /// The call fails.
    #[default]
    Disabled,
}

impl StateAsk {
    /// Whether the response is to be kept: unless the caller says no.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Whether the caller wants encrypted thoughts: it says so, or nobody else keeps them.
    #[must_use]
    pub fn wants_encrypted(&self) -> bool {
        !self.stores() || self.include.iter().any(|name| name == "reasoning.encrypted_content")
    }

    /// Refuses what only a keeper of state can do, for a road that has none.
    ///
    /// # Errors
    /// `unsupported_parameter` at the member: `previous_response_id`, `conversation`, `background`, `prompt`,
    /// `context_management`, or the item that is a reference.
    pub fn refuse(&self, call: &Call) -> Result<(), Fault> {
        let says = |param: String, what: &str| {
            Err(Fault::caller(
                Code::UnsupportedParameter,
                format!("`{param}` needs a gateway that keeps state, and this route keeps none: {what}"),
            )
            .at(param))
        };
        let whole = "send the conversation's items in `input`";
        if self.previous_response_id.is_some() {
            return says("previous_response_id".into(), whole);
        }
        if self.conversation.is_some() {
            return says("conversation".into(), whole);
        }
        if self.background {
            return says("background".into(), "leave it out and wait, or stream");
        }
        if self.prompt.is_some() {
            return says("prompt".into(), "send its text in `instructions`");
        }
        if self.context_management.is_some() {
            return says("context_management".into(), "leave it out and shorten `input`");
        }
        for (index, one) in call.items.iter().filter(|item| !is_instructions(call, item)).enumerate() {
            if item::reference(one).is_some() {
                return says(format!("input[{index}]"), "send the item itself");
            }
        }
        Ok(())
    }
}

/// Whether an item is what the request said in `instructions`.
pub(super) fn is_instructions(call: &Call, item: &domain::Item) -> bool {
    call.turns
        .get(item.origin.message as usize)
        .is_some_and(|turn| turn.bag.get(OWN, super::decode::INSTRUCTIONS).is_some())
}

/// Reads what is asked for; the members of [`MEMBERS`] are taken out of `fields`.
pub(super) fn read(fields: &mut Fields) -> Result<StateAsk, Misfit> {
    let mut ask = StateAsk {
        store: fields.read("store", "true or false")?,
        previous_response_id: fields.string("previous_response_id")?,
        conversation: conversation(fields)?,
        background: fields.read("background", "true or false")?.unwrap_or_default(),
        metadata: metadata(fields)?,
        prompt: fields.take("prompt"),
        context_management: fields.take("context_management"),
        ..StateAsk::default()
    };
    drop(fields.take("background_options"));
    if ask.previous_response_id.is_some() && ask.conversation.is_some() {
        return Err(Misfit::new("previous_response_id", "absent where `conversation` is given"));
    }
    let peeked = |name: &str| fields.peek(name);
    if let Some(raw) = peeked("truncation") {
        ask.truncation = raw.read().map_err(|_| Misfit::new("truncation", "`auto` or `disabled`"))?;
    }
    if let Some(raw) = peeked("include") {
        ask.include = raw.read().map_err(|_| Misfit::new("include", "a list of strings"))?;
    }
    if let Some(raw) = peeked("max_tool_calls") {
        ask.max_tool_calls = Some(raw.read().map_err(|_| Misfit::new("max_tool_calls", "a whole number"))?);
    }
    Ok(ask)
}

fn conversation(fields: &mut Fields) -> Result<Option<String>, Misfit> {
    let misfit = || Misfit::new("conversation", "an id or an object with an `id`");
    let Some(raw) = fields.take("conversation") else { return Ok(None) };
    if raw.text().starts_with('"') {
        return raw.read().map(Some).map_err(|_| misfit());
    }
    let mut inner = Fields::of(&raw, "conversation")?;
    inner.must_string("id").map(Some).map_err(|_| misfit())
}

fn metadata(fields: &mut Fields) -> Result<BTreeMap<String, String>, Misfit> {
    let (pairs, key_length, value_length) = METADATA;
    let found: BTreeMap<String, String> =
        fields.read("metadata", "an object whose values are strings")?.unwrap_or_default();
    if found.len() > pairs {
        return Err(Misfit::new("metadata", "an object of at most 16 pairs"));
    }
    for (key, value) in &found {
        if key.chars().count() > key_length {
            return Err(Misfit::new("metadata", "an object with keys of at most 64 characters"));
        }
        if value.chars().count() > value_length {
            return Err(Misfit::new(format!("metadata.{key}"), "a text of at most 512 characters"));
        }
    }
    Ok(found)
}

/// What a `response` object repeats of its request, with the API's defaults where the request was silent: each
/// member by its wire name. As JSON it is one object, so it can be kept with a background response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Echo(BTreeMap<Box<str>, Raw>);

/// Members of a request that its answer repeats, with what stands there where the request was silent.
const REPEATED: [(&str, &str); 22] = [
    ("background", "false"),
    ("frequency_penalty", "0.0"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("presence_penalty", "0.0"),
    ("prompt_cache_key", "null"),
    ("prompt_cache_retention", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", "\"default\""),
    ("store", "true"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

impl Default for Echo {
    /// Of a request that says nothing.
    fn default() -> Self {
        Self(REPEATED.into_iter().map(|(name, text)| (name.into(), raw_of(text))).collect())
    }
}

impl Echo {
    /// Of a request's members, before any is taken.
    pub(super) fn of(fields: &Fields) -> Self {
        let mut echo = Self::default();
        for (name, _) in REPEATED {
            let Some(raw) = fields.peek(name).filter(|raw| raw.text() != "null") else { continue };
            let raw = match name {
                "tools" => tools(raw),
                "text" => text(raw),
                "reasoning" => completed(raw, &["effort", "summary"]),
                _ => raw.clone(),
            };
            echo.0.insert(name.into(), raw);
        }
        if let Some(raw) = fields.peek("prompt") {
            echo.0.insert("prompt".into(), raw.clone());
        }
        echo
    }

    /// A member, by its wire name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Raw> {
        self.0.get(name)
    }

    /// Says another value of a member: for what the gateway decided (`store`, `tools` that it put in).
    pub fn set(&mut self, name: &str, value: Raw) {
        self.0.insert(name.into(), value);
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The names of the custom tools, whose calls a host may answer as calls of functions.
    #[must_use]
    pub fn custom_tools(&self) -> Vec<String> {
        let listed: Vec<Raw> = self.get("tools").and_then(|raw| raw.read().ok()).unwrap_or_default();
        let name = |raw: &Raw| {
            let mut fields = Fields::of(raw, "").ok()?;
            let custom = fields.string("type").ok()??.as_str() == "custom";
            fields.string("name").ok()?.filter(|_| custom)
        };
        listed.iter().filter_map(name).collect()
    }
}

/// Puts members that are absent in, as `null`.
fn completed(raw: &Raw, names: &[&str]) -> Raw {
    let Ok(fields) = raw.read::<Fields>() else { return raw.clone() };
    let absent: Vec<&str> = names.iter().filter(|name| fields.peek(name).is_none()).copied().collect();
    let mut object = Object::new();
    for (name, value) in fields.into_iter() {
        object.raw(&name, &value);
    }
    for name in absent {
        object.json(name, "null");
    }
    raw_of(&object.finish())
}

/// Tools as the answer lists them: a function has all its members.
fn tools(raw: &Raw) -> Raw {
    let Ok(tools) = raw.read::<Vec<Raw>>() else { return raw.clone() };
    let texts: Vec<String> = tools
        .iter()
        .map(|tool| {
            let function = Fields::of(tool, "")
                .is_ok_and(|fields| fields.peek("type").is_some_and(|raw| raw.text() == "\"function\""));
            let whole = if function {
                completed(tool, &["description", "parameters", "strict"])
            } else {
                tool.clone()
            };
            whole.text().to_owned()
        })
        .collect();
    raw_of(&list(&texts))
}

/// The text options as the answer lists them: with a format, and that with all its members.
fn text(raw: &Raw) -> Raw {
    let Ok(mut fields) = raw.read::<Fields>() else { return raw.clone() };
    let format = match fields.take("format") {
        Some(format) if format.text().contains("\"json_schema\"") => {
            completed(&format, &["description", "strict"])
        }
        Some(format) => format,
        None => raw_of(r#"{"type":"text"}"#),
    };
    let mut object = Object::new();
    object.raw("format", &format);
    for (name, value) in fields.into_iter() {
        object.raw(&name, &value);
    }
    raw_of(&object.finish())
}
