//! Call → wire request for a Responses host.
//!
//! Unless the caller's own state members stand in the call (it is passed on as it came), the host is asked to
//! keep nothing: `store` is false, and encrypted thoughts are asked for, so that they can be sent back.

use super::{
    OWN,
    ask::is_instructions,
    decode::{ASK, INPUT, is_additional, is_inner, tool_text},
    item::{self, Shape},
    part,
    types::{noted, write_nulls},
};
use crate::{
    carried,
    codec::{Encoded, Target},
    object::{self, Fields, Object, quoted, raw_of},
    turns,
};
use domain::{
    Call, Code, Dialect, Effort, Fault, Item, ItemKind, Losses, OutputFormat, Part, PartKind, Raw,
    ReasoningControl, Role, Tool, ToolChoice, ToolKind,
};

/// The least `max_output_tokens` that the API takes.
const MIN_OUTPUT_TOKENS: u64 = 16;
const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";
/// Longest `call_id`.
const MAX_CALL_ID: usize = 64;
/// Members that openai-chat has under the same name, and `verbosity`, which stands inside `text` here.
const SAME_IN_CHAT: [&str; 4] =
    ["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "metadata"];

/// Writes the request.
pub(super) fn encode(call: &Call, target: &Target<'_>) -> Result<Encoded, Fault> {
    let mut losses = Losses::none();
    let body = if call.dialect == OWN {
        as_it_came(call, target, &mut losses)?
    } else {
        carried::check(call, target.capabilities)?;
        carried::begun_answer(call, target.capabilities)?;
        translated(call, target, &mut losses)?
    };
    Ok(Encoded { body: body.into_bytes(), losses })
}

// === a call of this dialect ===

fn as_it_came(call: &Call, target: &Target<'_>, losses: &mut Losses) -> Result<String, Fault> {
    let asked = call.bag.get(OWN, ASK);
    if asked.is_none() {
        carried::resolved(call)?;
    }
    let mut body = Object::new();
    let mut written: Vec<&str> = Vec::new();
    body.string("model", target.model);
    own_input(call, asked.is_some(), &mut body, losses);
    own_tools(call, &mut body);
    let options = &call.options;
    if let Some(parallel) = call.parallel_tool_calls {
        body.scalar("parallel_tool_calls", parallel);
    }
    if let Some(limit) = options.max_output_tokens {
        body.scalar("max_output_tokens", limit);
    }
    let numbers = [
        ("temperature", &options.temperature),
        ("top_p", &options.top_p),
        ("presence_penalty", &options.presence_penalty),
        ("frequency_penalty", &options.frequency_penalty),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            body.scalar(name, number);
        }
    }
    if let Some(tier) = &options.service_tier {
        body.string("service_tier", tier);
    }
    if let Some(user) = options.end_user.as_ref().filter(|_| note_of(call, "safety_identifier").is_none()) {
        body.string("user", user);
    }
    for name in ["safety_identifier", "top_logprobs", "text", "reasoning", "truncation", "max_tool_calls"] {
        if let Some(raw) = note_of(call, name) {
            body.raw(name, raw);
        }
    }
    match asked {
        Some(asked) => {
            if let Some(include) = note_of(call, "include") {
                body.raw("include", include);
            }
            for (name, raw) in asked.read::<Fields>().unwrap_or_default().into_iter() {
                body.raw(&name, &raw);
            }
        }
        None => {
            stateless(call, target, &mut body);
            written.extend(super::ask::MEMBERS);
            written.push("include");
        }
    }
    if call.stream.is_some() {
        body.scalar("stream", true);
        written.push("stream");
        if let Some(raw) = note_of(call, "stream_options") {
            body.raw("stream_options", raw);
        }
    } else if let Some(raw) = note_of(call, "stream") {
        body.raw("stream", raw);
    }
    for (name, raw) in call.bag.fields_for(OWN).filter(|(name, _)| !is_inner(name)) {
        body.raw(name, raw);
    }
    write_nulls(&call.bag, &written, &mut body);
    Ok(body.finish())
}

/// A member as it was written.
fn note_of<'a>(call: &'a Call, name: &str) -> Option<&'a Raw> {
    call.bag.get(OWN, &format!("$={name}"))
}

/// The host keeps nothing, and gives its thoughts encrypted where it thinks at all (others refuse the wish).
fn stateless(call: &Call, target: &Target<'_>, body: &mut Object) {
    body.scalar("store", false);
    let mut include: Vec<String> =
        note_of(call, "include").and_then(|raw| raw.read().ok()).unwrap_or_default();
    let thinks = target.capabilities.reasoning != ReasoningControl::None
        || call.options.reasoning.is_some_and(|wish| wish.effort != Some(Effort::None));
    if thinks && !include.iter().any(|name| name == ENCRYPTED) {
        include.push(ENCRYPTED.to_owned());
    }
    if !include.is_empty() || note_of(call, "include").is_some() {
        let texts: Vec<String> = include.iter().map(|name| quoted(name)).collect();
        body.json("include", &object::list(&texts));
    }
}

fn own_input(call: &Call, with_ids: bool, body: &mut Object, losses: &mut Losses) {
    let mut texts: Vec<String> = Vec::new();
    let shape = Shape { own_ids: with_ids, ..Shape::AS_CAME };
    for one in &call.items {
        if is_instructions(call, one) {
            if let Some(text) = only_text(one) {
                body.string("instructions", text);
            }
            continue;
        }
        if let (ItemKind::Reasoning(thought), false) = (&one.kind, with_ids)
            && thought.signature.as_ref().is_none_or(|proof| proof.dialect != OWN)
        {
            // The host did not keep it and cannot read it.
            losses.add(if thought.signature.is_some() { "reasoning.signature" } else { "reasoning" });
            continue;
        }
        texts.extend(item::write(one, &shape, losses));
    }
    let noted = noted(&call.bag, INPUT);
    let spoken: Vec<&Item> = call.items.iter().filter(|item| !is_instructions(call, item)).collect();
    match (noted.as_deref(), spoken.as_slice()) {
        (Some("string"), [one]) if only_text(one).is_some() => {
            body.string("input", only_text(one).unwrap_or_default());
        }
        (None, []) if with_ids => {}
        _ => {
            body.json("input", &object::list(&texts));
        }
    }
}

/// The text of a message that is one text.
fn only_text(item: &Item) -> Option<&str> {
    match &item.kind {
        ItemKind::Message(said) => match said.parts.as_slice() {
            [Part { kind: PartKind::Text { text, .. }, .. }] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn own_tools(call: &Call, body: &mut Object) {
    let tools: Vec<String> = call.tools.iter().filter(|tool| !is_additional(tool)).map(tool_text).collect();
    match note_of(call, "tools") {
        Some(raw) => {
            body.raw("tools", raw);
        }
        None if tools.is_empty() => {}
        None => {
            body.json("tools", &object::list(&tools));
        }
    }
    if let Some(raw) = note_of(call, "tool_choice") {
        body.raw("tool_choice", raw);
    }
}

// === a call of another dialect ===

fn translated(call: &Call, target: &Target<'_>, losses: &mut Losses) -> Result<String, Fault> {
    let chat = call.dialect == Dialect::OpenAiChat;
    lose_bags(call, chat, losses);
    let mut body = Object::new();
    body.string("model", target.model);
    body.json("input", &input(call, losses)?);
    tools(call, target, &mut body, losses);
    limits(call, target, &mut body, losses);
    text(call, chat, &mut body);
    let mut include: Vec<&str> = Vec::new();
    let thinks = target.capabilities.reasoning != ReasoningControl::None;
    if let Some(wish) = &call.options.reasoning {
        let effort = wish.effort.or_else(|| wish.budget_tokens.map(Effort::from_budget));
        let mut reasoning = Object::new();
        match effort {
            Some(_) if !thinks => losses.add(crate::thinking::loss_name(call.dialect)),
            Some(effort) => {
                reasoning.string("effort", effort.name());
            }
            None => {}
        }
        if wish.include == Some(true) && thinks {
            reasoning.string("summary", "auto");
        }
        if !reasoning.is_empty() {
            body.json("reasoning", &reasoning.finish());
        }
    }
    if thinks {
        include.push(ENCRYPTED);
    }
    match &call.options.logprobs {
        Some(_) if !target.capabilities.logprobs => losses.add("logprobs"),
        Some(wanted) => {
            include.push(LOGPROBS);
            if let Some(top) = wanted.top {
                body.scalar("top_logprobs", top);
            }
        }
        None => {}
    }
    if !include.is_empty() {
        let texts: Vec<String> = include.iter().map(|name| quoted(name)).collect();
        body.json("include", &object::list(&texts));
    }
    body.scalar("store", call.options.store == Some(true));
    if chat {
        for name in SAME_IN_CHAT {
            if let Some(raw) = call.bag.get(Dialect::OpenAiChat, name) {
                body.raw(name, raw);
            }
        }
    }
    if call.stream.is_some() {
        body.scalar("stream", true);
    }
    Ok(body.finish())
}

/// Reports the fields of the bags of the call, its turns and tools; items report their own when written.
fn lose_bags(call: &Call, chat: bool, losses: &mut Losses) {
    for (_, name, _) in call.bag.foreign_to(OWN) {
        if !(chat && (SAME_IN_CHAT.contains(&name) || name == "verbosity")) {
            losses.add(name);
        }
    }
    for turn in &call.turns {
        turn.bag.lose_into(OWN, "messages", losses);
        if turn.name.is_some() && turn.role != Role::Tool {
            losses.add("messages.name");
        }
    }
    for tool in &call.tools {
        for (_, name, _) in tool.bag.foreign_to(OWN).filter(|(_, name, _)| *name != CHAT_FORMAT) {
            losses.add(&format!("tools.{name}"));
        }
    }
    let options = &call.options;
    if options.seed.is_some() {
        losses.add("seed");
    }
    if !options.stop.is_empty() {
        losses.add("stop");
    }
    if options.top_k.is_some() {
        losses.add("top_k");
    }
    let zero = |number: &serde_json::Number| number.as_f64() == Some(0.0);
    if options.presence_penalty.as_ref().is_some_and(|number| !zero(number)) {
        losses.add("presence_penalty");
    }
    if options.frequency_penalty.as_ref().is_some_and(|number| !zero(number)) {
        losses.add("frequency_penalty");
    }
}

fn input(call: &Call, losses: &mut Losses) -> Result<String, Fault> {
    let mut texts: Vec<String> = Vec::new();
    let shape = Shape { own_ids: false, ..Shape::AS_CAME };
    for one in &call.items {
        let parts: &[Part] = match &one.kind {
            ItemKind::Message(said) => &said.parts,
            ItemKind::ToolResult(result) => &result.parts,
            _ => &[],
        };
        for part in parts {
            part::check(part, &format!("messages[{}].content", one.origin.message))?;
        }
        match &one.kind {
            // A turn of calls only: chat says so with an empty text.
            ItemKind::Message(said) if said.role == Role::Assistant && is_blank(&said.parts) => {}
            ItemKind::Message(said) if said.parts.is_empty() => {}
            ItemKind::Reasoning(thought) => match &thought.signature {
                Some(proof) if proof.dialect == OWN => texts.extend(item::write(one, &shape, losses)),
                Some(_) => losses.add("reasoning.signature"),
                None if thought.text.is_empty() => {}
                None => losses.add("reasoning"),
            },
            ItemKind::ToolCall(asked) => {
                let custom = is_custom(call, one, &asked.name);
                let mut short = one.clone();
                if let ItemKind::ToolCall(asked) = &mut short.kind {
                    asked.id = call_id(&asked.id);
                }
                texts.extend(item::write(&short, &Shape { custom, ..shape }, losses));
            }
            ItemKind::ToolResult(_) => {
                let mut short = one.clone();
                let custom = answers_custom(call, one);
                if let ItemKind::ToolResult(result) = &mut short.kind {
                    result.call_id = call_id(&result.call_id);
                }
                texts.extend(item::write(&short, &Shape { custom, ..shape }, losses));
            }
            _ => texts.extend(item::write(one, &shape, losses)),
        }
    }
    if texts.is_empty() {
        return Err(
            Fault::caller(Code::InvalidRequest, "the call has no message with content").at("messages")
        );
    }
    Ok(object::list(&texts))
}

/// Whether parts say nothing.
fn is_blank(parts: &[Part]) -> bool {
    parts.iter().all(|part| matches!(&part.kind, PartKind::Text { text, .. } if text.is_empty()))
}

/// Whether a call is one of a custom tool: openai-chat notes it, and the tool of that name says so.
fn is_custom(call: &Call, item: &Item, name: &str) -> bool {
    let noted = item.bag.get(Dialect::OpenAiChat, "$type").is_some_and(|raw| raw.text() == "\"custom\"");
    noted || call.tools.iter().any(|tool| tool.kind == ToolKind::Custom && tool.name == name)
}

fn answers_custom(call: &Call, result: &Item) -> bool {
    let ItemKind::ToolResult(result) = &result.kind else { return false };
    call.items.iter().any(|item| match &item.kind {
        ItemKind::ToolCall(asked) => asked.id == result.call_id && is_custom(call, item, &asked.name),
        _ => false,
    })
}

fn call_id(id: &str) -> String {
    if id.len() <= MAX_CALL_ID { id.to_owned() } else { turns::tool_id(id) }
}

fn tools(call: &Call, target: &Target<'_>, body: &mut Object, losses: &mut Losses) {
    let mut texts = Vec::new();
    for tool in &call.tools {
        match tool.kind {
            ToolKind::Server => losses.add(&format!("tools.{}", tool.name)),
            _ => texts.push(translated_tool(tool)),
        }
    }
    if !texts.is_empty() {
        body.json("tools", &object::list(&texts));
    }
    match carried::choice(call, target.capabilities, losses) {
        None => {}
        Some(ToolChoice::Auto) => {
            body.string("tool_choice", "auto");
        }
        Some(ToolChoice::None) => {
            body.string("tool_choice", "none");
        }
        Some(ToolChoice::Required) => {
            body.string("tool_choice", "required");
        }
        Some(ToolChoice::Named(name)) => {
            let custom = call.tools.iter().any(|tool| tool.kind == ToolKind::Custom && tool.name == *name);
            let mut choice = Object::new();
            choice.string("type", if custom { "custom" } else { "function" }).string("name", name);
            body.json("tool_choice", &choice.finish());
        }
    }
    match call.parallel_tool_calls {
        Some(true) if !target.capabilities.parallel_tools => losses.add("parallel_tool_calls"),
        Some(parallel) if !call.tools.is_empty() => {
            body.scalar("parallel_tool_calls", parallel);
        }
        _ => {}
    }
}

/// openai-chat's name of a custom tool's format.
const CHAT_FORMAT: &str = "function.format";

/// No arguments, as a schema that must be obeyed exactly has to say it.
const CLOSED_SCHEMA: &str = r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;

fn translated_tool(tool: &Tool) -> String {
    let mut text = Object::new();
    let custom = tool.kind == ToolKind::Custom;
    text.string("type", if custom { "custom" } else { "function" }).string("name", &tool.name);
    if let Some(description) = tool.description.as_ref().filter(|text| !text.is_empty()) {
        text.string("description", description);
    }
    if custom {
        if let Some(raw) = tool.bag.get(Dialect::OpenAiChat, CHAT_FORMAT) {
            text.raw("format", &flat_format(raw));
        }
        return text.finish();
    }
    match &tool.parameters {
        Some(schema) => text.raw("parameters", schema),
        None if tool.strict == Some(true) => text.json("parameters", CLOSED_SCHEMA),
        None => text.json("parameters", r#"{"type":"object","properties":{}}"#),
    };
    // Silence means strict here and not elsewhere.
    text.scalar("strict", tool.strict.unwrap_or(false));
    text.finish()
}

/// `{"type":"grammar","grammar":{…}}` of openai-chat as this dialect has it: without the inner object.
fn flat_format(raw: &Raw) -> Raw {
    let Ok(mut fields) = raw.read::<Fields>() else { return raw.clone() };
    let inner = fields.take("grammar").and_then(|raw| raw.read::<Fields>().ok()).unwrap_or_default();
    let mut object = Object::new();
    for (name, value) in fields.into_iter().chain(inner.into_iter()) {
        object.raw(&name, &value);
    }
    raw_of(&object.finish())
}

fn limits(call: &Call, target: &Target<'_>, body: &mut Object, losses: &mut Losses) {
    let options = &call.options;
    if let Some(limit) = options.max_output_tokens {
        if limit < MIN_OUTPUT_TOKENS {
            losses.add("max_tokens");
        }
        body.scalar("max_output_tokens", limit.max(MIN_OUTPUT_TOKENS));
    }
    for (name, number) in [("temperature", &options.temperature), ("top_p", &options.top_p)] {
        match number {
            Some(_) if !target.capabilities.sampling => losses.add(name),
            Some(number) => {
                body.scalar(name, number);
            }
            None => {}
        }
    }
    match &options.service_tier {
        Some(tier) if call.dialect == Dialect::OpenAiChat => {
            body.string("service_tier", tier);
        }
        Some(_) => losses.add("service_tier"),
        None => {}
    }
    if let Some(user) = &options.end_user {
        body.string("user", user);
    }
}

/// The answer's shape, and openai-chat's `verbosity`.
fn text(call: &Call, chat: bool, body: &mut Object) {
    let mut text = Object::new();
    if let Some(output) = &call.options.output {
        let mut format = Object::new();
        match output {
            OutputFormat::Text => {
                format.string("type", "text");
            }
            OutputFormat::JsonObject => {
                format.string("type", "json_object");
            }
            OutputFormat::JsonSchema { name, description, schema, strict } => {
                format.string("type", "json_schema").string("name", name.as_deref().unwrap_or("answer"));
                if let Some(description) = description {
                    format.string("description", description);
                }
                match schema {
                    Some(schema) => format.raw("schema", schema),
                    None => format.json("schema", r#"{"type":"object"}"#),
                };
                if let Some(strict) = strict {
                    format.scalar("strict", strict);
                }
            }
        }
        text.json("format", &format.finish());
    }
    if let Some(raw) = call.bag.get(Dialect::OpenAiChat, "verbosity").filter(|_| chat) {
        text.raw("verbosity", raw);
    }
    if !text.is_empty() {
        body.json("text", &text.finish());
    }
}
