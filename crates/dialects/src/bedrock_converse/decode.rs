//! Wire request → call.

use super::{OWN, types::document_mime};
use crate::{
    Envelope,
    object::{Fields, Misfit, Object, note, raw_of},
};
use domain::{
    Bag, Call, Code, Effort, Fault, Item, ItemKind, Media, MediaSource, Message, ModelName, Origin,
    OutputFormat, Part, PartKind, Raw, Reasoning, ReasoningOptions, Role, Signature, StreamOptions, Tool,
    ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};

/// Reads a request; the model and the wish to stream stand in the path.
pub(super) fn call(body: &[u8], envelope: &Envelope<'_>) -> Result<Call, Fault> {
    let fields: Fields = serde_json::from_slice(body).map_err(|error| {
        Fault::caller(Code::InvalidJson, format!("the body is not a JSON object: {error}"))
    })?;
    read(fields, envelope).map_err(Misfit::of_caller)
}

fn read(mut fields: Fields, envelope: &Envelope<'_>) -> Result<Call, Misfit> {
    let model = match (envelope.model, fields.string("modelId")?) {
        (Some(model), _) => model.to_owned(),
        (None, Some(model)) => model,
        (None, None) => return Err(Misfit::new("modelId", "a string")),
    };
    let mut call = Call::new(OWN, ModelName::new(&model));
    let mut notes: Vec<(&'static str, Raw)> = Vec::new();
    if let Some(system) = fields.list("system")? {
        let mut bag = Bag::new();
        bag.put(OWN, "$top", note("true"));
        content(&system, Role::System, 0, &mut call.items).map_err(|misfit| misfit.within("system"))?;
        call.turns.push(Turn { role: Role::System, name: None, bag });
    }
    let messages = fields.list("messages")?.unwrap_or_default();
    for (index, raw) in messages.iter().enumerate() {
        message(raw, &mut call).map_err(|misfit| misfit.within(&format!("messages[{index}]")))?;
    }
    if let Some(config) = fields.take("toolConfig") {
        tool_config(&config, &mut call, &mut notes).map_err(|misfit| misfit.within("toolConfig"))?;
    }
    if let Some(config) = fields.take("inferenceConfig") {
        let rest = inference(&config, &mut call).map_err(|misfit| misfit.within("inferenceConfig"))?;
        notes.push(("$inferenceConfig", rest));
    }
    if let Some(more) = fields.take("additionalModelRequestFields") {
        let known = additional(&more, &mut call)?;
        let name = if known { "$additionalModelRequestFields" } else { "additionalModelRequestFields" };
        notes.push((name, more));
    }
    if let Some(config) = fields.take("outputConfig") {
        output(&config, &mut call)?;
        notes.push(("$outputConfig", config));
    }
    if let Some(tier) = fields.take("serviceTier") {
        call.options.service_tier =
            Fields::of(&tier, "serviceTier")?.string("type")?.map(String::into_boxed_str);
        notes.push(("$serviceTier", tier));
    }
    call.stream = envelope.stream.then_some(StreamOptions { include_usage: true });
    call.bag = fields.into_bag(OWN);
    for (name, raw) in notes {
        call.bag.put(OWN, name, raw);
    }
    Ok(call)
}

/// What is left of a small object, as an object.
fn rest_of(fields: Fields) -> Raw {
    let mut rest = Object::new();
    for (name, raw) in fields.into_iter() {
        rest.raw(&name, &raw);
    }
    raw_of(&rest.finish())
}

fn inference(raw: &Raw, call: &mut Call) -> Result<Raw, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let options = &mut call.options;
    options.max_output_tokens = fields.read("maxTokens", "a whole number")?;
    options.temperature = fields.read("temperature", "a number")?;
    options.top_p = fields.read("topP", "a number")?;
    if fields.peek("stopSequences").is_some_and(|raw| raw.text() != "[]") {
        options.stop = fields.read("stopSequences", "a list of strings")?.unwrap_or_default();
    }
    Ok(rest_of(fields))
}

/// Reads what the inner form knows of the model's own fields; true where that is all of them.
fn additional(raw: &Raw, call: &mut Call) -> Result<bool, Misfit> {
    let mut fields = Fields::of(raw, "additionalModelRequestFields")?;
    for name in ["thinking", "reasoning_config"] {
        let Some(thinking) = fields.take(name) else { continue };
        let mut inner = Fields::of(&thinking, name)?;
        let mut wish = ReasoningOptions::default();
        match inner.string("type")?.as_deref() {
            Some("disabled") => wish.effort = Some(Effort::None),
            Some("adaptive") => wish.adaptive = Some(true),
            _ => wish.budget_tokens = inner.read("budget_tokens", "a whole number")?,
        }
        wish.include = inner.string("display")?.map(|display| display != "omitted");
        call.options.reasoning = Some(wish);
    }
    call.options.top_k = fields.read("top_k", "a whole number")?;
    Ok(fields.into_iter().next().is_none())
}

fn output(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "outputConfig")?;
    if let Some(effort) = fields.string("effort")?.and_then(|word| Effort::parse(&word)) {
        call.options.reasoning.get_or_insert_default().effort = Some(effort);
    }
    let Some(format) = fields.take("textFormat") else { return Ok(()) };
    let structure = Fields::of(&format, "outputConfig.textFormat")?.take("structure");
    let Some(structure) = structure else { return Ok(()) };
    let definition = Fields::of(&structure, "structure")?.take("jsonSchema");
    let Some(definition) = definition else { return Ok(()) };
    let mut definition = Fields::of(&definition, "jsonSchema")?;
    call.options.output = Some(OutputFormat::JsonSchema {
        name: definition.string("name")?.map(Into::into),
        description: definition.string("description")?.map(Into::into),
        schema: definition.string("schema")?.and_then(|text| Raw::parse(&text).ok()),
        strict: None,
    });
    Ok(())
}

fn tool_config(raw: &Raw, call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    for (index, raw) in fields.list("tools")?.unwrap_or_default().iter().enumerate() {
        call.tools.push(tool(raw).map_err(|misfit| misfit.within(&format!("tools[{index}]")))?);
    }
    if let Some(choice) = fields.take("toolChoice") {
        let mut inner = Fields::of(&choice, "toolChoice")?;
        call.tool_choice = if inner.take("any").is_some() {
            Some(ToolChoice::Required)
        } else if let Some(named) = inner.take("tool") {
            Some(ToolChoice::Named(Fields::of(&named, "toolChoice.tool")?.must_string("name")?))
        } else {
            Some(ToolChoice::Auto)
        };
        notes.push(("$toolChoice", choice));
    }
    notes.push(("$toolConfig", rest_of(fields)));
    Ok(())
}

fn tool(raw: &Raw) -> Result<Tool, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let Some(spec) = fields.take("toolSpec") else {
        let what = fields.into_iter().next().map_or_else(String::new, |(name, _)| name.into());
        let mut bag = Bag::new();
        bag.put(OWN, "$tool", raw.clone());
        let kind = ToolKind::Server;
        return Ok(Tool { name: what, description: None, parameters: None, strict: None, kind, bag });
    };
    let mut spec = Fields::of(&spec, "toolSpec")?;
    let schema = spec.take("inputSchema");
    let parameters = match &schema {
        Some(schema) => Fields::of(schema, "inputSchema")?.take("json"),
        None => None,
    };
    Ok(Tool {
        name: spec.must_string("name")?,
        description: spec.string("description")?,
        parameters,
        strict: spec.read("strict", "true or false")?,
        kind: ToolKind::Function,
        bag: spec.into_bag(OWN),
    })
}

fn message(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let role = match fields.must_string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Misfit::new("role", "`user` or `assistant`")),
    };
    let blocks = fields.list("content")?.ok_or_else(|| Misfit::new("content", "a list"))?;
    let index = u32::try_from(call.turns.len()).unwrap_or(u32::MAX);
    content(&blocks, role, index, &mut call.items).map_err(|misfit| misfit.within("content"))?;
    call.turns.push(Turn { role, name: None, bag: fields.into_bag(OWN) });
    Ok(())
}

fn content(blocks: &[Raw], role: Role, message: u32, items: &mut Vec<Item>) -> Result<(), Misfit> {
    let mut open = false;
    for (index, raw) in blocks.iter().enumerate() {
        let part = u32::try_from(index).unwrap_or(u32::MAX);
        match block(raw, part).map_err(|misfit| misfit.within(&format!("[{index}]")))? {
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
    if let Some(call) = fields.take("toolUse") {
        let mut inner = Fields::of(&call, "toolUse")?;
        let kind = ItemKind::ToolCall(ToolCall {
            id: inner.must_string("toolUseId")?,
            name: inner.must_string("name")?,
            arguments: inner.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned()),
            signature: None,
        });
        return Ok(Read::Item(kind, inner.into_bag(OWN)));
    }
    if let Some(result) = fields.take("toolResult") {
        return tool_result(&result);
    }
    if let Some(thought) = fields.take("reasoningContent") {
        return Ok(match reasoning(&thought)? {
            Some(thought) => Read::Item(ItemKind::Reasoning(thought), Bag::new()),
            None => Read::Part(foreign(raw, index)),
        });
    }
    Ok(Read::Part(part(raw, fields, index)?))
}

/// A thought; `None` for a form that came after us.
pub(super) fn reasoning(raw: &Raw) -> Result<Option<Reasoning>, Misfit> {
    let mut fields = Fields::of(raw, "reasoningContent")?;
    let proof = |data: String| Signature { dialect: OWN, data: data.into() };
    if let Some(data) = fields.string("redactedContent")? {
        return Ok(Some(Reasoning { text: String::new(), signature: Some(proof(data)), redacted: true }));
    }
    let Some(shown) = fields.take("reasoningText") else { return Ok(None) };
    let mut shown = Fields::of(&shown, "reasoningText")?;
    Ok(Some(Reasoning {
        text: shown.string("text")?.unwrap_or_default(),
        signature: shown.string("signature")?.map(proof),
        redacted: false,
    }))
}

fn tool_result(raw: &Raw) -> Result<Read, Misfit> {
    let mut fields = Fields::of(raw, "toolResult")?;
    let call_id = fields.must_string("toolUseId")?;
    let is_error = fields.string("status")?.map(|status| status == "error");
    let blocks = fields.list("content")?.ok_or_else(|| Misfit::new("toolResult.content", "a list"))?;
    let mut parts = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let inner = Fields::of(block, "toolResult.content")?;
        parts.push(part(block, inner, u32::try_from(index).unwrap_or(u32::MAX))?);
    }
    let result = ToolResult { call_id, name: None, parts, is_error };
    Ok(Read::Item(ItemKind::ToolResult(result), fields.into_bag(OWN)))
}

/// A block that only this dialect knows, whole.
fn foreign(raw: &Raw, index: u32) -> Part {
    let what = raw.read::<Fields>().ok().and_then(|fields| fields.into_iter().next());
    let what = what.map_or_else(|| "block".into(), |(name, _)| name);
    let mut bag = Bag::new();
    bag.put(OWN, "$block", raw.clone());
    Part { kind: PartKind::Foreign { what }, index, bag }
}

fn part(raw: &Raw, mut fields: Fields, index: u32) -> Result<Part, Misfit> {
    if let Some(text) = fields.string("text")? {
        let kind = PartKind::Text { text, signature: None };
        return Ok(Part { kind, index, bag: fields.into_bag(OWN) });
    }
    if let Some(json) = fields.take("json") {
        let kind = PartKind::Text { text: json.text().to_owned(), signature: None };
        let mut bag = fields.into_bag(OWN);
        bag.put(OWN, "$json", json);
        return Ok(Part { kind, index, bag });
    }
    for word in ["image", "document", "video", "audio"] {
        let Some(inner) = fields.take(word) else { continue };
        let mut inner = Fields::of(&inner, word)?;
        let Some(media) = media(word, &mut inner)? else { break };
        let kind = match word {
            "image" => PartKind::Image(media),
            "document" => PartKind::Document(media),
            "video" => PartKind::Video(media),
            _ => PartKind::Audio(media),
        };
        return Ok(Part { kind, index, bag: inner.into_bag(OWN) });
    }
    if let Some(cited) = fields.take("citationsContent") {
        let mut inner = Fields::of(&cited, "citationsContent")?;
        let mut text = String::new();
        for piece in inner.list("content")?.unwrap_or_default() {
            text.push_str(&Fields::of(&piece, "content")?.string("text")?.unwrap_or_default());
        }
        let mut bag = Bag::new();
        bag.put(OWN, "$block", raw.clone());
        return Ok(Part { kind: PartKind::Text { text, signature: None }, index, bag });
    }
    Ok(foreign(raw, index))
}

/// Reads format, name and source; `None` where the source is of a kind that only this dialect has.
fn media(word: &str, fields: &mut Fields) -> Result<Option<Media>, Misfit> {
    let source = fields.take("source").ok_or_else(|| Misfit::new("source", "an object"))?;
    let mut inner = Fields::of(&source, "source")?;
    let place = inner.take("s3Location");
    let source = if let Some(bytes) = inner.string("bytes")? {
        MediaSource::Base64(bytes.into())
    } else if let Some(text) = inner.string("text")? {
        MediaSource::Text(text.into())
    } else if let Some(place) = place {
        let mut place = Fields::of(&place, "s3Location")?;
        let uri = place.must_string("uri")?;
        if place.into_iter().next().is_some() {
            return Ok(None);
        }
        MediaSource::Url(uri.into())
    } else {
        return Ok(None);
    };
    let mime = fields.string("format")?.map(|format| match word {
        "document" => document_mime(&format).map_or_else(|| format!("application/{format}"), str::to_owned),
        _ => format!("{word}/{format}"),
    });
    let name = fields.string("name")?.map(Into::into);
    Ok(Some(Media { source, mime: mime.map(Into::into), name }))
}
