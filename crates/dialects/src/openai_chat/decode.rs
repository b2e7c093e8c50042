//! Wire request → call, in the scanner's one pass: what is checked is what is read.

#[path = "decode_messages.rs"]
mod messages;

pub(super) use messages::thinking_text;

use super::OWN;
use crate::scan::{Bad, Cursor, Kind};
use domain::{
    Bag, Call, Effort, Fault, LogprobOptions, ModelName, OutputFormat, Raw, ReasoningOptions, StreamOptions,
    Tool, ToolChoice, ToolKind,
};
use serde_json::Number;

/// Note: names of members that were written as `null`, on the bag of their object.
pub(super) const NULLS: &str = "$nulls";
/// Note: the limit came as `max_tokens`.
pub(super) const OLD_LIMIT: &str = "$max_tokens";
/// Most stop texts that are read; hosts take 4 to 16.
const MAX_STOPS: usize = 64;

/// Reads a request.
pub(super) fn call(body: &[u8]) -> Result<Call, Fault> {
    read(body).map_err(|bad| bad.into_fault(body))
}

fn read(body: &[u8]) -> Result<Call, Bad> {
    let mut cursor = Cursor::new(body)?;
    let start = cursor.at();
    let mut call = Call::new(OWN, ModelName::new(""));
    let mut messages_seen = false;
    let mut top_logprobs = None;
    cursor.object(|cursor, key| {
        if cursor.peek()? == Kind::Null {
            cursor.skip()?;
            note_null(&mut call.bag, &key.name);
            return Ok(());
        }
        match &*key.name {
            "model" => {
                let from = cursor.at();
                let name = cursor.string()?;
                if name.is_empty() {
                    return Err(Bad::request(from, "must name a model"));
                }
                call.model = ModelName::new(&name);
            }
            "messages" => {
                messages_seen = true;
                messages::read(cursor, &mut call)?;
            }
            "tools" => tools(cursor, &mut call)?,
            "tool_choice" => tool_choice(cursor, &mut call)?,
            "top_logprobs" => top_logprobs = small(cursor)?,
            "response_format" => response_format(cursor, &mut call)?,
            "stop" => stop(cursor, &mut call)?,
            name => option(cursor, &mut call, name)?,
        }
        Ok(())
    })?;
    cursor.finish()?;
    if call.model.as_str().is_empty() {
        return Err(Bad::request(start, "lacks `model`: name the model that shall answer"));
    }
    if !messages_seen {
        return Err(Bad::request(start, "lacks `messages`: a list with at least one message"));
    }
    match (&mut call.options.logprobs, top_logprobs) {
        (Some(options), top) => options.top = top,
        (None, Some(top)) => put(&mut call.bag, "top_logprobs", &top),
        (None, None) => {}
    }
    Ok(call)
}

fn option(cursor: &mut Cursor<'_>, call: &mut Call, name: &str) -> Result<(), Bad> {
    let options = &mut call.options;
    match name {
        "stream" => {
            if cursor.boolean()? == Some(true) {
                call.stream.get_or_insert_default();
            } else {
                put(&mut call.bag, "$=stream", &false);
            }
        }
        "stream_options" => stream_options(cursor, call)?,
        "parallel_tool_calls" => call.parallel_tool_calls = cursor.boolean()?,
        "max_completion_tokens" => {
            if let Some(old) = options.max_output_tokens {
                put(&mut call.bag, "max_tokens", &old);
            }
            options.max_output_tokens = cursor.unsigned()?;
            call.bag.put(OWN, OLD_LIMIT, Raw::from(&serde_json::Value::Bool(false)));
        }
        "max_tokens" => {
            let limit = cursor.unsigned()?;
            if options.max_output_tokens.is_some() {
                put(&mut call.bag, "max_tokens", &limit);
            } else {
                options.max_output_tokens = limit;
                put(&mut call.bag, OLD_LIMIT, &true);
            }
        }
        "temperature" => options.temperature = number(cursor)?,
        "top_p" => options.top_p = number(cursor)?,
        "presence_penalty" => options.presence_penalty = number(cursor)?,
        "frequency_penalty" => options.frequency_penalty = number(cursor)?,
        "seed" => options.seed = number(cursor)?,
        "top_k" => match number(cursor)? {
            Some(k) if k.is_u64() => options.top_k = k.as_u64(),
            Some(k) => put(&mut call.bag, "top_k", &k),
            None => {}
        },
        "n" => {
            let from = cursor.at();
            options.candidates = small(cursor)?;
            if options.candidates == Some(0) {
                return Err(Bad::request(from, "must be at least 1"));
            }
        }
        "logprobs" => {
            if cursor.boolean()? == Some(true) {
                options.logprobs = Some(LogprobOptions { top: None });
            } else {
                put(&mut call.bag, "$=logprobs", &false);
            }
        }
        "store" => options.store = cursor.boolean()?,
        "service_tier" => options.service_tier = Some(cursor.string()?.into()),
        "user" => options.end_user = Some(cursor.string()?.into()),
        "reasoning_effort" => {
            let word = cursor.string()?;
            match Effort::parse(&word) {
                Some(effort) => {
                    options.reasoning.get_or_insert_default().effort = Some(effort);
                }
                None => put(&mut call.bag, "reasoning_effort", &*word),
            }
        }
        "reasoning" => reasoning(cursor, call)?,
        other => {
            let raw = raw(cursor)?;
            call.bag.put(OWN, other, raw);
        }
    }
    Ok(())
}

/// OpenRouter's `reasoning`: read where it says an effort or budget; kept as written for chat hosts.
fn reasoning(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    let raw = raw(cursor)?;
    let value = raw.value();
    let effort = value.get("effort").and_then(serde_json::Value::as_str).and_then(Effort::parse);
    let budget = value.get("max_tokens").and_then(serde_json::Value::as_u64);
    let exclude = value.get("exclude").and_then(serde_json::Value::as_bool);
    if effort.is_none() && budget.is_none() {
        call.bag.put(OWN, "reasoning", raw);
        return Ok(());
    }
    call.options.reasoning = Some(ReasoningOptions {
        effort,
        budget_tokens: budget,
        adaptive: None,
        include: exclude.map(|exclude| !exclude),
    });
    call.bag.put(OWN, "$=reasoning", raw);
    Ok(())
}

fn stream_options(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    let mut include_usage = false;
    let from = cursor.at();
    cursor.object(|cursor, key| match &*key.name {
        "include_usage" => {
            include_usage = cursor.boolean()?.unwrap_or_default();
            Ok(())
        }
        _ => cursor.skip().map(drop),
    })?;
    let raw = between(cursor, from)?;
    if include_usage {
        call.stream = Some(StreamOptions { include_usage });
    }
    call.bag.put(OWN, "$=stream_options", raw);
    Ok(())
}

fn stop(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    if cursor.peek()? == Kind::String {
        call.options.stop.push(cursor.string()?.into_owned());
        put(&mut call.bag, "$stop", "text");
        return Ok(());
    }
    let from = cursor.at();
    cursor.array(|cursor, _| {
        if call.options.stop.len() >= MAX_STOPS {
            return Err(Bad::request(from, "has more than 64 texts"));
        }
        call.options.stop.push(cursor.string()?.into_owned());
        Ok(())
    })?;
    if call.options.stop.is_empty() {
        put(&mut call.bag, "$=stop", &[(); 0]);
    }
    Ok(())
}

fn response_format(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    let from = cursor.at();
    let (mut kind, mut plain) = (None, true);
    let (mut name, mut description, mut schema, mut strict) = (None, None, None, None);
    let mut schema_seen = false;
    cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
        ("type", _) => {
            kind = Some(cursor.string()?);
            Ok(())
        }
        ("json_schema", Kind::Object) => {
            schema_seen = true;
            cursor
                .object(|cursor, key| {
                    match (&*key.name, cursor.peek()?) {
                        ("name", Kind::String) => name = Some(Box::from(&*cursor.string()?)),
                        ("description", Kind::String) => description = Some(Box::from(&*cursor.string()?)),
                        ("schema", Kind::Object) => schema = Some(raw(cursor)?),
                        ("strict", Kind::Bool) => strict = cursor.boolean()?,
                        ("schema" | "name" | "description", kind) if kind != Kind::Null => {
                            return Err(Bad::request(cursor.at(), "has the wrong type"));
                        }
                        _ => {
                            plain = false;
                            cursor.skip()?;
                        }
                    }
                    Ok(())
                })
                .map(drop)
        }
        _ => {
            plain = false;
            cursor.skip().map(drop)
        }
    })?;
    let output = match kind.as_deref() {
        Some("text") => Some(OutputFormat::Text),
        Some("json_object") => Some(OutputFormat::JsonObject),
        Some("json_schema") if schema_seen => {
            Some(OutputFormat::JsonSchema { name, description, schema, strict })
        }
        Some("json_schema") => {
            return Err(Bad::request(from, "of type `json_schema` lacks `json_schema`"));
        }
        Some(_) => None,
        None => return Err(Bad::request(from, "lacks `type`")),
    };
    match output {
        None => call.bag.put(OWN, "response_format", between(cursor, from)?),
        Some(_) if !plain => call.bag.put(OWN, "$=response_format", between(cursor, from)?),
        Some(_) => {}
    }
    call.options.output = output;
    Ok(())
}

fn tool_choice(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    let from = cursor.at();
    match cursor.peek()? {
        Kind::String => {
            let word = cursor.string()?;
            call.tool_choice = Some(match &*word {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                "any" => {
                    put(&mut call.bag, "$=tool_choice", "any");
                    ToolChoice::Required
                }
                _ => {
                    return Err(Bad::request(
                        from,
                        "must be `auto`, `none`, `required` or an object that names a function",
                    ));
                }
            });
            return Ok(());
        }
        Kind::Object => {}
        _ => return Err(Bad::request(from, "must be a text or an object")),
    }
    let mut name = None;
    let mut function = false;
    cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
        ("type", Kind::String) => {
            function = cursor.string()? == "function";
            Ok(())
        }
        ("function", Kind::Object) => cursor
            .object(|cursor, key| match (&*key.name, cursor.peek()?) {
                ("name", Kind::String) => {
                    name = Some(cursor.string()?.into_owned());
                    Ok(())
                }
                _ => cursor.skip().map(drop),
            })
            .map(drop),
        _ => cursor.skip().map(drop),
    })?;
    let raw = between(cursor, from)?;
    match name {
        Some(name) => {
            call.tool_choice = Some(ToolChoice::Named(name));
            call.bag.put(OWN, "$=tool_choice", raw);
        }
        None if function => return Err(Bad::request(from, "lacks `function.name`")),
        None => call.bag.put(OWN, "tool_choice", raw),
    }
    Ok(())
}

fn tools(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    cursor.array(|cursor, _| {
        call.tools.push(tool(cursor)?);
        Ok(())
    })?;
    if call.tools.is_empty() {
        put(&mut call.bag, "$=tools", &[(); 0]);
    }
    Ok(())
}

fn tool(cursor: &mut Cursor<'_>) -> Result<Tool, Bad> {
    let from = cursor.at();
    let mut tool = Tool {
        name: String::new(),
        description: None,
        parameters: None,
        strict: None,
        kind: ToolKind::Function,
        bag: Bag::new(),
    };
    let (mut kind, mut function, mut custom) = (None, false, false);
    cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
        ("type", Kind::String) => {
            kind = Some(cursor.string()?.into_owned());
            Ok(())
        }
        ("function", Kind::Object) => {
            function = true;
            tool_function(cursor, &mut tool)
        }
        ("custom", Kind::Object) => {
            custom = true;
            tool_function(cursor, &mut tool)
        }
        (_, Kind::Null) => {
            note_null(&mut tool.bag, &key.name);
            cursor.skip().map(drop)
        }
        (other, _) => {
            let raw = raw(cursor)?;
            tool.bag.put(OWN, other, raw);
            Ok(())
        }
    })?;
    match kind.as_deref() {
        Some("function") => {}
        Some("custom") if custom => tool.kind = ToolKind::Custom,
        None if function => put(&mut tool.bag, "$=type", &false),
        None => return Err(Bad::request(from, "lacks `type` and `function`")),
        Some(kind) => {
            return Ok(Tool {
                name: kind.to_owned(),
                kind: ToolKind::Server,
                bag: {
                    let mut bag = Bag::new();
                    bag.put(OWN, "$tool", between(cursor, from)?);
                    bag
                },
                ..tool
            });
        }
    }
    if !function && !custom {
        return Err(Bad::request(from, "lacks `function`"));
    }
    if !sound_name(&tool.name) {
        return Err(Bad::request(
            from,
            "needs a `function.name` of 1 to 128 letters, digits, `_`, `-`, `.` or `:`",
        ));
    }
    Ok(tool)
}

fn tool_function(cursor: &mut Cursor<'_>, tool: &mut Tool) -> Result<(), Bad> {
    cursor.object(|cursor, key| {
        match (&*key.name, cursor.peek()?) {
            ("name", _) => tool.name = cursor.string()?.into_owned(),
            ("description", Kind::String) => tool.description = Some(cursor.string()?.into_owned()),
            ("parameters", Kind::Object) => tool.parameters = Some(raw(cursor)?),
            ("strict", Kind::Bool) => tool.strict = cursor.boolean()?,
            (name, Kind::Null) => {
                note_null(&mut tool.bag, &format!("function.{name}"));
                cursor.skip()?;
            }
            ("parameters", _) => return Err(Bad::request(cursor.at(), "must be an object (a JSON schema)")),
            (name, _) => {
                let raw = raw(cursor)?;
                tool.bag.put(OWN, &format!("function.{name}"), raw);
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn sound_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'))
}

/// Any value as carried text.
fn raw(cursor: &mut Cursor<'_>) -> Result<Raw, Bad> {
    let from = cursor.at();
    let range = cursor.skip()?;
    Raw::parse(cursor.text(&range)).map_err(|_| Bad::request(from, "cannot be read"))
}

/// The value that was just read, as carried text.
fn between(cursor: &Cursor<'_>, from: usize) -> Result<Raw, Bad> {
    Raw::parse(cursor.text(&(from..cursor.at()))).map_err(|_| Bad::request(from, "cannot be read"))
}

fn number(cursor: &mut Cursor<'_>) -> Result<Option<Number>, Bad> {
    let from = cursor.at();
    let range = cursor.skip()?;
    cursor.text(&range).parse().map(Some).map_err(|_| Bad::request(from, "must be a number"))
}

fn small(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Bad> {
    let from = cursor.at();
    cursor
        .unsigned()?
        .map(|number| u32::try_from(number).map_err(|_| Bad::request(from, "is too large")))
        .transpose()
}

fn put<T: serde::Serialize + ?Sized>(bag: &mut Bag, name: &str, value: &T) {
    if let Ok(raw) = Raw::of(value) {
        bag.put(OWN, name, raw);
    }
}

fn note_null(bag: &mut Bag, name: &str) {
    if let Ok(raw) = Raw::of(name) {
        bag.append(OWN, NULLS, &raw);
    }
}
