//! Wire request → call.

use super::OWN;
use crate::{
    Envelope,
    object::{Fields, Misfit, note},
};
use domain::{
    Bag, Call, Code, Effort, Fault, Item, ItemKind, Media, MediaSource, Message, ModelName, Origin,
    OutputFormat, Part, PartKind, Raw, Reasoning, ReasoningOptions, Role, Signature, StreamOptions, Tool,
    ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};

/// Reads a request.
pub(super) fn call(body: &[u8], envelope: &Envelope<'_>) -> Result<Call, Fault> {
    let fields: Fields = serde_json::from_slice(body).map_err(|error| {
        Fault::caller(Code::InvalidJson, format!("the body is not a JSON object: {error}"))
    })?;
    read(fields, envelope).map_err(Misfit::of_caller)
}

fn read(mut fields: Fields, envelope: &Envelope<'_>) -> Result<Call, Misfit> {
    let model = match (fields.string("model")?, envelope.model) {
        (Some(model), _) => model,
        (None, Some(model)) => model.to_owned(),
        (None, None) => return Err(Misfit::new("model", "a string")),
    };
    let mut call = Call::new(OWN, ModelName::new(&model));
    let mut notes: Vec<(&str, Raw)> = Vec::new();
    if let Some(system) = fields.take("system") {
        system_turn(&system, &mut call)?;
    }
    let messages = fields.list("messages")?.ok_or_else(|| Misfit::new("messages", "a list"))?;
    for (index, raw) in messages.iter().enumerate() {
        message(raw, &mut call).map_err(|misfit| misfit.within(&format!("messages[{index}]")))?;
    }
    if let Some(tools) = fields.list("tools")? {
        if tools.is_empty() {
            notes.push(("$tools", note("empty")));
        }
        for (index, raw) in tools.iter().enumerate() {
            call.tools.push(tool(raw).map_err(|misfit| misfit.within(&format!("tools[{index}]")))?);
        }
    }
    if let Some(choice) = fields.take("tool_choice") {
        tool_choice(&choice, &mut call)?;
        notes.push(("$tool_choice", choice));
    }
    options(&mut fields, &mut call, &mut notes)?;
    match fields.read::<bool>("stream", "true or false")? {
        Some(true) => call.stream = Some(StreamOptions { include_usage: true }),
        Some(false) => notes.push(("$stream", note("false"))),
        None if envelope.stream => call.stream = Some(StreamOptions { include_usage: true }),
        None => {}
    }
    call.bag = fields.into_bag(OWN);
    for (name, raw) in notes {
        call.bag.put(OWN, name, raw);
    }
    Ok(call)
}

fn options(fields: &mut Fields, call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) -> Result<(), Misfit> {
    let options = &mut call.options;
    options.max_output_tokens = fields.read("max_tokens", "a whole number")?;
    if options.max_output_tokens.is_none() {
        return Err(Misfit::new("max_tokens", "a whole number (the dialect requires it)"));
    }
    options.temperature = fields.read("temperature", "a number")?;
    options.top_p = fields.read("top_p", "a number")?;
    options.top_k = fields.read("top_k", "a whole number")?;
    if let Some(stop) = fields.read::<Vec<String>>("stop_sequences", "a list of strings")? {
        if stop.is_empty() {
            notes.push(("$stop_sequences", note("empty")));
        }
        options.stop = stop;
    }
    options.service_tier = fields.string("service_tier")?.map(Into::into);
    if let Some(metadata) = fields.take("metadata") {
        options.end_user = Fields::of(&metadata, "metadata")?.string("user_id")?.map(Into::into);
        notes.push(("$metadata", metadata));
    }
    let mut reasoning = ReasoningOptions::default();
    let mut steered = false;
    if let Some(thinking) = fields.take("thinking") {
        steered = true;
        read_thinking(&thinking, &mut reasoning).map_err(|misfit| misfit.within("thinking"))?;
        notes.push(("$thinking", thinking));
    }
    if let Some(config) = fields.take("output_config") {
        let mut inner = Fields::of(&config, "output_config")?;
        if let Some(effort) = inner.string("effort")?.and_then(|word| Effort::parse(&word)) {
            steered = true;
            reasoning.effort = Some(effort);
        }
        if let Some(format) = inner.take("format") {
            let schema = Fields::of(&format, "output_config.format")?.take("schema");
            options.output =
                Some(OutputFormat::JsonSchema { name: None, description: None, schema, strict: None });
        }
        notes.push(("$output_config", config));
    }
    options.reasoning = steered.then_some(reasoning);
    Ok(())
}

fn read_thinking(thinking: &Raw, reasoning: &mut ReasoningOptions) -> Result<(), Misfit> {
    let mut fields = Fields::of(thinking, "")?;
    match fields.must_string("type")?.as_str() {
        "disabled" => reasoning.effort = Some(Effort::None),
        "adaptive" => reasoning.adaptive = Some(true),
        _ => reasoning.budget_tokens = fields.read("budget_tokens", "a whole number")?,
    }
    reasoning.include = fields.string("display")?.map(|display| display != "omitted");
    Ok(())
}

fn system_turn(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut bag = Bag::new();
    bag.put(OWN, "$top", note("true"));
    content(raw, Role::System, 0, &mut bag, &mut call.items).map_err(|misfit| misfit.within("system"))?;
    call.turns.push(Turn { role: Role::System, name: None, bag });
    Ok(())
}

fn message(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let role = match fields.must_string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Misfit::new("role", "`user`, `assistant` or `system`")),
    };
    let said = fields.take("content").ok_or_else(|| Misfit::new("content", "a string or a list"))?;
    let mut bag = fields.into_bag(OWN);
    let index = u32::try_from(call.turns.len()).unwrap_or(u32::MAX);
    content(&said, role, index, &mut bag, &mut call.items).map_err(|misfit| misfit.within("content"))?;
    call.turns.push(Turn { role, name: None, bag });
    Ok(())
}

/// Reads `content`: a text or a list of blocks. Neighbouring blocks that are said (text, pictures) make one
/// message item; every other block is an item of its own.
fn content(
    raw: &Raw,
    role: Role,
    message: u32,
    turn_bag: &mut Bag,
    items: &mut Vec<Item>,
) -> Result<(), Misfit> {
    if raw.text().starts_with('"') {
        turn_bag.put(OWN, "$content", note("string"));
        let text: String = raw.read().map_err(|_| Misfit::new("", "a string"))?;
        let parts = vec![Part::text(text, 0)];
        items.push(Item::new(ItemKind::Message(Message { role, parts }), Origin { message, part: 0 }));
        return Ok(());
    }
    let blocks: Vec<Raw> = raw.read().map_err(|_| Misfit::new("", "a string or a list of blocks"))?;
    let mut open = false;
    for (index, block) in blocks.iter().enumerate() {
        let part = u32::try_from(index).unwrap_or(u32::MAX);
        let read = self::block(block, part).map_err(|misfit| misfit.within(&format!("[{index}]")))?;
        match read {
            Read::Part(part) => match items.last_mut() {
                Some(Item { kind: ItemKind::Message(said), .. }) if open => said.parts.push(part),
                _ => {
                    let origin = Origin { message, part: part.index };
                    items.push(Item::new(ItemKind::Message(Message { role, parts: vec![part] }), origin));
                    open = true;
                }
            },
            Read::Item(kind, bag) => {
                items.push(Item { kind, origin: Origin { message, part }, bag });
                open = false;
            }
        }
    }
    Ok(())
}

enum Read {
    Part(Part),
    Item(ItemKind, Bag),
}

fn block(raw: &Raw, index: u32) -> Result<Read, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let what = fields.must_string("type")?;
    let kind = match what.as_str() {
        "thinking" => ItemKind::Reasoning(Reasoning {
            text: fields.string("thinking")?.unwrap_or_default(),
            signature: fields.string("signature")?.map(|data| Signature { dialect: OWN, data: data.into() }),
            redacted: false,
        }),
        "redacted_thinking" => ItemKind::Reasoning(Reasoning {
            text: String::new(),
            signature: Some(Signature { dialect: OWN, data: fields.must_string("data")?.into() }),
            redacted: true,
        }),
        "tool_use" => ItemKind::ToolCall(ToolCall {
            id: fields.must_string("id")?,
            name: fields.must_string("name")?,
            arguments: fields.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned()),
            signature: None,
        }),
        "tool_result" => return tool_result(fields),
        _ => return part(fields, &what, raw, index),
    };
    Ok(Read::Item(kind, fields.into_bag(OWN)))
}

fn tool_result(mut fields: Fields) -> Result<Read, Misfit> {
    let call_id = fields.must_string("tool_use_id")?;
    let is_error = fields.read("is_error", "true or false")?;
    let content = fields.take("content");
    let mut bag;
    let mut parts = Vec::new();
    match content {
        None => {
            bag = fields.into_bag(OWN);
            bag.put(OWN, "$content", note("absent"));
        }
        Some(raw) if raw.text().starts_with('"') => {
            let text: String = raw.read().map_err(|_| Misfit::new("content", "a string"))?;
            parts.push(Part::text(text, 0));
            bag = fields.into_bag(OWN);
            bag.put(OWN, "$content", note("string"));
        }
        Some(raw) => {
            let blocks: Vec<Raw> = raw.read().map_err(|_| Misfit::new("content", "a string or a list"))?;
            for (index, block) in blocks.iter().enumerate() {
                let mut inner = Fields::of(block, "content")?;
                let what = inner.must_string("type")?;
                let at = u32::try_from(index).unwrap_or(u32::MAX);
                if let Read::Part(part) = part(inner, &what, block, at)? {
                    parts.push(part);
                }
            }
            bag = fields.into_bag(OWN);
        }
    }
    Ok(Read::Item(ItemKind::ToolResult(ToolResult { call_id, name: None, parts, is_error }), bag))
}

fn part(mut fields: Fields, what: &str, raw: &Raw, index: u32) -> Result<Read, Misfit> {
    let kind = match what {
        "text" => PartKind::Text { text: fields.must_string("text")?, signature: None },
        "image" | "document" => match media(&mut fields)? {
            Some(media) if what == "image" => PartKind::Image(media),
            Some(media) => PartKind::Document(media),
            None => return Ok(foreign(what, raw, index)),
        },
        // A document, picture or text is a part; every other block belongs to a tool of the provider.
        _ => return Ok(foreign(what, raw, index)),
    };
    Ok(Read::Part(Part { kind, index, bag: fields.into_bag(OWN) }))
}

/// A block that only this dialect knows, whole.
fn foreign(what: &str, raw: &Raw, index: u32) -> Read {
    let mut bag = Bag::new();
    bag.put(OWN, "$block", raw.clone());
    Read::Part(Part { kind: PartKind::Foreign { what: what.into() }, index, bag })
}

/// Reads `source` and `title`; `None` (nothing taken that matters) where the source is of a kind that only
/// this dialect has (`content` blocks).
fn media(fields: &mut Fields) -> Result<Option<Media>, Misfit> {
    let source = fields.take("source").ok_or_else(|| Misfit::new("source", "an object"))?;
    let mut inner = Fields::of(&source, "source")?;
    let kind = inner.must_string("type")?;
    let mime = inner.string("media_type")?.map(String::into_boxed_str);
    let source = match kind.as_str() {
        "base64" => MediaSource::Base64(inner.must_string("data")?.into()),
        "url" => MediaSource::Url(inner.must_string("url")?.into()),
        "file" => MediaSource::FileId(inner.must_string("file_id")?.into()),
        "text" => MediaSource::Text(inner.must_string("data")?.into()),
        _ => return Ok(None),
    };
    Ok(Some(Media { source, mime, name: fields.string("title")?.map(Into::into) }))
}

fn tool(raw: &Raw) -> Result<Tool, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let what: Option<String> = match fields.peek("type") {
        Some(raw) => raw.read().map_err(|_| Misfit::new("type", "a string"))?,
        None => None,
    };
    if let Some(what) = what.filter(|what| what != "custom") {
        let mut bag = Bag::new();
        bag.put(OWN, "$tool", raw.clone());
        return Ok(Tool {
            name: what,
            description: None,
            parameters: None,
            strict: None,
            kind: ToolKind::Server,
            bag,
        });
    }
    if fields.take("type").is_some() {
        // Said explicitly: written back explicitly.
        let mut tool = custom(fields)?;
        tool.bag.put(OWN, "$type", note("custom"));
        return Ok(tool);
    }
    custom(fields)
}

fn custom(mut fields: Fields) -> Result<Tool, Misfit> {
    Ok(Tool {
        name: fields.must_string("name")?,
        description: fields.string("description")?,
        parameters: fields.take("input_schema"),
        strict: fields.read("strict", "true or false")?,
        kind: ToolKind::Function,
        bag: fields.into_bag(OWN),
    })
}

fn tool_choice(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "tool_choice")?;
    let choice = match fields.must_string("type").map_err(|m| m.within("tool_choice"))?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(fields.must_string("name").map_err(|m| m.within("tool_choice"))?),
        _ => return Err(Misfit::new("tool_choice.type", "`auto`, `any`, `tool` or `none`")),
    };
    call.tool_choice = Some(choice);
    call.parallel_tool_calls = fields
        .read::<bool>("disable_parallel_tool_use", "true or false")
        .map_err(|m| m.within("tool_choice"))?
        .map(|disabled| !disabled);
    Ok(())
}
