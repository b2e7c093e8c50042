//! Call → wire request.

use super::OWN;
use crate::{
    Encoded, Target,
    carried::{self, cannot},
    object::{self, Object, quoted},
    output_schema,
    thinking::{self, Mode, Thinking},
    turns::{self, Block, BlockKind, Group, OUTPUT_TOOL},
};
use domain::{
    Call, Fault, Losses, Media, MediaSource, OutputFormat, Part, PartKind, Raw, Role, Tool, ToolChoice,
    ToolKind, ToolResult,
};

/// What is sent as the answer's limit where neither caller nor catalog names one: the dialect requires one.
const DEFAULT_MAX_TOKENS: u64 = 4_096;

/// Writes the request.
pub(super) fn encode(call: &Call, target: &Target<'_>) -> Result<Encoded, Fault> {
    let mut losses = Losses::none();
    let body = if call.dialect == OWN {
        as_it_came(call, target)?
    } else {
        carried::check(call, target.capabilities)?;
        translated(call, target, &mut losses)?
    };
    Ok(Encoded { body: body.into_bytes(), losses })
}

fn begin(target: &Target<'_>) -> Object {
    let mut body = Object::new();
    match target.quirks.anthropic_version_in_body {
        Some(version) => body.string("anthropic_version", version),
        None => body.string("model", target.model),
    };
    body
}

/// A call of this dialect: everything as it was written, but the model.
fn as_it_came(call: &Call, target: &Target<'_>) -> Result<String, Fault> {
    let mut body = begin(target);
    let (system, groups): (Vec<_>, Vec<_>) = turns::as_written(call)
        .into_iter()
        .partition(|group| group.turn.is_some_and(|turn| turn.bag.get(OWN, "$top").is_some()));
    let mut ignored = Losses::none();
    for group in &system {
        body.json("system", &content_as_written(group, &mut ignored)?);
    }
    let mut messages = Vec::new();
    for group in &groups {
        let mut message = Object::new();
        message.string("role", role_word(group.role));
        message.json("content", &content_as_written(group, &mut ignored)?);
        if let Some(turn) = group.turn {
            message.bag(&turn.bag, OWN);
        }
        messages.push(message.finish());
    }
    body.json("messages", &object::list(&messages));
    let tools: Vec<String> = call.tools.iter().map(|tool| tool_text(tool, None, None)).collect();
    if !tools.is_empty() || call.bag.get(OWN, "$tools").is_some() {
        body.json("tools", &object::list(&tools));
    }
    let options = &call.options;
    if let Some(limit) = options.max_output_tokens {
        body.scalar("max_tokens", limit);
    }
    for (name, number) in [("temperature", &options.temperature), ("top_p", &options.top_p)] {
        if let Some(number) = number {
            body.scalar(name, number);
        }
    }
    if let Some(k) = options.top_k {
        body.scalar("top_k", k);
    }
    if !options.stop.is_empty() || call.bag.get(OWN, "$stop_sequences").is_some() {
        let texts: Vec<String> = options.stop.iter().map(|text| quoted(text)).collect();
        body.json("stop_sequences", &object::list(&texts));
    }
    if let Some(tier) = &options.service_tier {
        body.string("service_tier", tier);
    }
    for name in ["tool_choice", "metadata", "thinking", "output_config"] {
        if let Some(raw) = call.bag.get(OWN, &format!("${name}")) {
            body.raw(name, raw);
        }
    }
    if call.stream.is_some() {
        body.scalar("stream", true);
    } else if call.bag.get(OWN, "$stream").is_some() {
        body.scalar("stream", false);
    }
    let versioned = target.quirks.anthropic_version_in_body.is_some();
    for (name, raw) in call.bag.fields_for(OWN) {
        if !(versioned && name == "anthropic_version") {
            body.raw(name, raw);
        }
    }
    Ok(body.finish())
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

fn content_as_written(group: &Group<'_>, losses: &mut Losses) -> Result<String, Fault> {
    let as_text = group.turn.is_some_and(|turn| turn.bag.get(OWN, "$content").is_some());
    if as_text && let [Block { kind: BlockKind::Text(text), .. }] = group.blocks.as_slice() {
        return Ok(quoted(text));
    }
    blocks_text(&group.blocks, true, losses)
}

fn blocks_text(blocks: &[Block<'_>], own: bool, losses: &mut Losses) -> Result<String, Fault> {
    let mut texts = Vec::with_capacity(blocks.len());
    for block in blocks {
        texts.push(block_text(block, own, losses)?);
    }
    Ok(object::list(&texts))
}

/// A call of another dialect.
fn translated(call: &Call, target: &Target<'_>, losses: &mut Losses) -> Result<String, Fault> {
    carried::lose_bags(call, OWN, &["cache_control", "prefix"], losses);
    carried::lose_options(call, losses);
    carried::begun_answer(call, target.capabilities)?;
    let mut layout = turns::alternating(call, OWN, losses);
    if layout.groups.is_empty() {
        return Err(cannot("messages", "this model needs at least one message with content".into()));
    }
    let mut body = begin(target);
    if !layout.system.is_empty() {
        body.json("system", &blocks_text(&layout.system, false, losses)?);
    }
    let prefill = layout.groups.last_mut().filter(|group| group.role == Role::Assistant);
    if let Some(Block { kind: BlockKind::Text(text), .. }) = prefill.and_then(|g| g.blocks.last_mut()) {
        // The host refuses white space at the end of a begun answer.
        *text = text.trim_end();
    }
    let mut messages = Vec::new();
    for group in &layout.groups {
        let mut message = Object::new();
        message.string("role", role_word(group.role));
        message.json("content", &blocks_text(&group.blocks, false, losses)?);
        messages.push(message.finish());
    }
    body.json("messages", &object::list(&messages));
    let mut thought = thinking::plan(call, target.capabilities, losses)?;
    let output = output_of(call, target, losses);
    tools(call, target, &output, &mut thought, &mut body, losses);
    limits(call, target, &thought, &mut body, losses);
    config(call, &thought, &output, &mut body);
    if call.stream.is_some() {
        body.scalar("stream", true);
    }
    Ok(body.finish())
}

/// How the wished shape of the answer is said.
enum Output {
    /// Nothing to say.
    Free,
    /// In the dialect's own words.
    Native(String),
    /// By a tool whose input is the answer.
    Tool { schema: Option<Raw>, description: Option<String> },
}

fn output_of(call: &Call, target: &Target<'_>, losses: &mut Losses) -> Output {
    let can = target.capabilities;
    let (schema, description) = match &call.options.output {
        None | Some(OutputFormat::Text) => return Output::Free,
        Some(OutputFormat::JsonObject) => (None, None),
        Some(OutputFormat::JsonSchema { schema, description, .. }) => {
            (schema.clone(), description.as_deref().map(str::to_owned))
        }
    };
    match schema {
        Some(schema) if can.json_schema => {
            Output::Native(output_schema::subset(&schema, &[], "response_format.schema", losses))
        }
        schema if can.tools && can.forced_tools => Output::Tool { schema, description },
        _ => {
            losses.add("response_format");
            Output::Free
        }
    }
}

fn tools(
    call: &Call,
    target: &Target<'_>,
    output: &Output,
    thought: &mut Thinking,
    body: &mut Object,
    losses: &mut Losses,
) {
    let mut texts: Vec<String> = Vec::new();
    for tool in &call.tools {
        if tool.kind == ToolKind::Server && tool.bag.get(OWN, "$tool").is_none() {
            losses.add(&format!("tools.{}", tool.name));
            continue;
        }
        if tool.kind == ToolKind::Custom {
            losses.add("tools.custom");
        }
        texts.push(tool_text(tool, turns::cache_mark(&tool.bag).as_ref(), Some(losses)));
    }
    let callers_own = !texts.is_empty();
    if let Output::Tool { schema, description } = output {
        texts.push(output_tool(schema.as_ref(), description.as_deref()));
    }
    if texts.is_empty() {
        return;
    }
    body.json("tools", &object::list(&texts));
    let single = call.parallel_tool_calls == Some(false);
    let forced = matches!(output, Output::Tool { .. });
    let choice = if forced && !callers_own {
        Some(ToolChoice::Named(OUTPUT_TOOL.into()))
    } else if forced {
        match carried::choice(call, target.capabilities, losses) {
            Some(ToolChoice::Named(name)) => Some(ToolChoice::Named(name.clone())),
            Some(ToolChoice::None) => Some(ToolChoice::Named(OUTPUT_TOOL.into())),
            _ => Some(ToolChoice::Required),
        }
    } else {
        carried::choice(call, target.capabilities, losses).cloned()
    };
    let choice = choice.or(single.then_some(ToolChoice::Auto));
    let Some(choice) = choice else { return };
    if thought.on() && matches!(choice, ToolChoice::Required | ToolChoice::Named(_)) {
        // The host refuses a forced tool together with thinking.
        losses.add(thinking::loss_name(call.dialect));
        thought.mode = Mode::Unsaid;
    }
    let mut text = Object::new();
    match &choice {
        ToolChoice::Auto => text.string("type", "auto"),
        ToolChoice::None => text.string("type", "none"),
        ToolChoice::Required => text.string("type", "any"),
        ToolChoice::Named(name) => text.string("type", "tool").string("name", name),
    };
    if single && choice != ToolChoice::None {
        text.scalar("disable_parallel_tool_use", true);
    }
    body.json("tool_choice", &text.finish());
}

/// The limits and sampling options.
fn limits(call: &Call, target: &Target<'_>, thought: &Thinking, body: &mut Object, losses: &mut Losses) {
    let options = &call.options;
    let default = match target.capabilities.max_output_tokens {
        0 => DEFAULT_MAX_TOKENS,
        known => known,
    };
    body.scalar("max_tokens", thought.max_tokens.unwrap_or(default));
    let samples = target.capabilities.sampling;
    if let Some(temperature) = &options.temperature {
        let value = temperature.as_f64().unwrap_or(1.0);
        if !samples || (thought.on() && value != 1.0) {
            losses.add("temperature");
        } else if value > 1.0 {
            losses.add("temperature");
            body.scalar("temperature", "1.0");
        } else {
            body.scalar("temperature", temperature);
        }
    }
    if let Some(top_p) = &options.top_p {
        if !samples || (thought.on() && top_p.as_f64().is_none_or(|value| value < 0.95)) {
            losses.add("top_p");
        } else {
            body.scalar("top_p", top_p);
        }
    }
    if let Some(top_k) = options.top_k {
        if !samples || thought.on() {
            losses.add("top_k");
        } else {
            body.scalar("top_k", top_k);
        }
    }
    let stop: Vec<String> =
        options.stop.iter().filter(|text| !text.trim().is_empty()).map(|text| quoted(text)).collect();
    if stop.len() < options.stop.len() {
        losses.add("stop");
    }
    if !stop.is_empty() {
        body.json("stop_sequences", &object::list(&stop));
    }
    match options.service_tier.as_deref() {
        None | Some("auto" | "default") => {}
        Some("standard_only") => {
            body.string("service_tier", "standard_only");
        }
        Some(_) => losses.add("service_tier"),
    }
}

/// Thinking, the answer's shape and the end user.
fn config(call: &Call, thought: &Thinking, output: &Output, body: &mut Object) {
    let mut thinking = Object::new();
    match thought.mode {
        Mode::Unsaid => {}
        Mode::Off => {
            thinking.string("type", "disabled");
        }
        Mode::Budget(tokens) => {
            thinking.string("type", "enabled").scalar("budget_tokens", tokens);
        }
        Mode::Adaptive => {
            thinking.string("type", "adaptive");
        }
    }
    if thought.on()
        && let Some(include) = thought.include
    {
        thinking.string("display", if include { "summarized" } else { "omitted" });
    }
    if !thinking.is_empty() {
        body.json("thinking", &thinking.finish());
    }
    let mut config = Object::new();
    if let Some(effort) = thought.effort {
        config.string("effort", effort.name());
    }
    if let Output::Native(schema) = output {
        let mut format = Object::new();
        format.string("type", "json_schema").json("schema", schema);
        config.json("format", &format.finish());
    }
    if !config.is_empty() {
        body.json("output_config", &config.finish());
    }
    if let Some(user) = &call.options.end_user {
        let mut metadata = Object::new();
        metadata.string("user_id", user);
        body.json("metadata", &metadata.finish());
    }
}

/// A tool. Without `losses` it is of this dialect and written as it came.
fn tool_text(tool: &Tool, cache: Option<&Raw>, losses: Option<&mut Losses>) -> String {
    if let Some(raw) = tool.bag.get(OWN, "$tool") {
        return raw.text().to_owned();
    }
    let mut text = Object::new();
    if tool.bag.get(OWN, "$type").is_some() {
        text.string("type", "custom");
    }
    text.string("name", &tool.name);
    if let Some(description) = &tool.description {
        text.string("description", description);
    }
    match (&tool.parameters, losses, tool.kind) {
        // A schema that must be obeyed exactly is held to the same subset as an answer's.
        (Some(schema), Some(losses), _) if tool.strict == Some(true) => {
            text.json("input_schema", &output_schema::subset(schema, &[], "tools.parameters", losses))
        }
        (Some(schema), _, _) => text.raw("input_schema", schema),
        (None, _, ToolKind::Custom) => text.json("input_schema", FREE_TEXT_SCHEMA),
        (None, _, _) => text.json("input_schema", EMPTY_SCHEMA),
    };
    if let Some(strict) = tool.strict {
        text.scalar("strict", strict);
    }
    text.bag(&tool.bag, OWN);
    // The call came in another dialect, so the bag is not ours and the mark not in it.
    if let Some(mark) = cache
        && tool.bag.get(OWN, "cache_control").is_none()
    {
        text.raw("cache_control", mark);
    }
    text.finish()
}

const EMPTY_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;
/// Stands for OpenAI's custom tools, whose input is free text.
const FREE_TEXT_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

fn output_tool(schema: Option<&Raw>, description: Option<&str>) -> String {
    let mut text = Object::new();
    text.string("name", OUTPUT_TOOL);
    text.string("description", description.unwrap_or("Give the answer as the input of this tool."));
    match schema {
        Some(schema) => text.raw("input_schema", schema),
        None => text.json("input_schema", r#"{"type":"object"}"#),
    };
    text.finish()
}

/// One content block. `own`: the call is of this dialect, so nothing is adjusted.
pub(super) fn block_text(block: &Block<'_>, own: bool, losses: &mut Losses) -> Result<String, Fault> {
    let mut text = Object::new();
    match &block.kind {
        BlockKind::Text(words) => {
            text.string("type", "text").string("text", words);
        }
        BlockKind::Media(kind, media) => media_fields(kind, media, block.message, own, &mut text)?,
        BlockKind::Reasoning(thought) => {
            let data = thought.signature.as_ref().map(|proof| &*proof.data);
            if thought.redacted {
                text.string("type", "redacted_thinking").string("data", data.unwrap_or_default());
            } else {
                text.string("type", "thinking").string("thinking", &thought.text);
                if let Some(data) = data {
                    text.string("signature", data);
                }
            }
        }
        BlockKind::ToolCall(call) => {
            let id = if own { call.id.clone() } else { turns::tool_id(&call.id) };
            text.string("type", "tool_use").string("id", &id).string("name", &call.name);
            text.json("input", &turns::arguments_object(&call.arguments, losses));
        }
        BlockKind::ToolResult(result) => result_fields(block, result, own, &mut text)?,
        BlockKind::Foreign(_) => {
            let raw = block.bag.get(OWN, "$block");
            return Ok(raw.map_or_else(|| "null".to_owned(), |raw| raw.text().to_owned()));
        }
    }
    text.bag(block.bag, OWN);
    if let Some(mark) = &block.cache
        && block.bag.get(OWN, "cache_control").is_none()
        && !matches!(block.kind, BlockKind::Reasoning(_))
    {
        text.raw("cache_control", mark);
    }
    Ok(text.finish())
}

fn result_fields(block: &Block<'_>, result: &ToolResult, own: bool, text: &mut Object) -> Result<(), Fault> {
    let id = if own { result.call_id.clone() } else { turns::tool_id(&result.call_id) };
    text.string("type", "tool_result").string("tool_use_id", &id);
    let spelled = block.bag.get(OWN, "$content").map(|raw| raw.text().to_owned());
    match (spelled.as_deref(), result.parts.as_slice()) {
        (Some("\"absent\""), []) => {}
        (Some("\"string\""), [Part { kind: PartKind::Text { text: words, .. }, .. }]) => {
            text.string("content", words);
        }
        (_, [Part { kind: PartKind::Text { text: words, .. }, bag, .. }]) if !own && bag.is_empty() => {
            text.string("content", words);
        }
        (_, parts) => {
            let mut inner = Vec::new();
            for part in parts {
                let kind = turns::part_kind(part);
                if !own && matches!(kind, BlockKind::Text(words) if words.trim().is_empty()) {
                    continue;
                }
                let cache = if own { None } else { turns::cache_mark(&part.bag) };
                let block = Block { kind, bag: &part.bag, cache, message: block.message };
                inner.push(block_text(&block, own, &mut Losses::none())?);
            }
            text.json("content", &object::list(&inner));
        }
    }
    match result.is_error {
        Some(error) if own || error => {
            text.scalar("is_error", error);
        }
        _ => {}
    }
    Ok(())
}

fn media_fields(
    kind: &PartKind,
    media: &Media,
    message: u32,
    own: bool,
    text: &mut Object,
) -> Result<(), Fault> {
    let place = format!("messages[{message}].content");
    let word = match kind {
        PartKind::Image(_) => "image",
        PartKind::Document(_) => "document",
        _ => return Err(cannot(&place, "this model takes no sound or film".into())),
    };
    let mut source = Object::new();
    match &media.source {
        MediaSource::Base64(data) => {
            let mime = mime_of(word, media, &place)?;
            if let ("text/plain", Some(plain)) = (&*mime, plain_text(data)) {
                source.string("type", "text").string("media_type", "text/plain").string("data", &plain);
            } else {
                source.string("type", "base64").string("media_type", &mime).string("data", data);
            }
        }
        MediaSource::Text(words) => {
            source.string("type", "text");
            source.string("media_type", media.mime.as_deref().unwrap_or("text/plain")).string("data", words);
        }
        MediaSource::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
            source.string("type", "url").string("url", url);
        }
        MediaSource::Url(_) => {
            return Err(cannot(
                &place,
                "this host fetches `https` URLs only; send the bytes as a data URL".into(),
            ));
        }
        // A file that was uploaded to Anthropic: only a call that came in its dialect can name one.
        MediaSource::FileId(id) if own => {
            source.string("type", "file").string("file_id", id);
        }
        MediaSource::FileId(_) => {
            return Err(cannot(
                &place,
                "this host does not know the file id; send the bytes as a data URL".into(),
            ));
        }
    }
    text.string("type", word).json("source", &source.finish());
    if let (Some(name), "document") = (&media.name, word) {
        text.string("title", name);
    }
    Ok(())
}

/// Plain text behind base64: documents of that type go as text, the host takes PDF only as bytes.
fn plain_text(data: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

/// The media type, normalised, of those that the host takes.
fn mime_of(word: &str, media: &Media, place: &str) -> Result<String, Fault> {
    let given = media.mime.as_deref().unwrap_or_default();
    let bare = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mime = match (word, bare.as_str()) {
        ("image", "image/jpg" | "image/pjpeg") => "image/jpeg",
        ("image", "image/png" | "image/jpeg" | "image/gif" | "image/webp")
        | ("document", "application/pdf" | "text/plain") => &bare,
        ("document", "") if media.name.as_deref().is_some_and(|name| name.ends_with(".pdf")) => {
            "application/pdf"
        }
        ("document", text) if text.starts_with("text/") => "text/plain",
        ("image", _) => {
            return Err(cannot(place, format!("images must be PNG, JPEG, GIF or WebP, not `{bare}`")));
        }
        _ => return Err(cannot(place, format!("documents must be PDF or plain text, not `{bare}`"))),
    };
    Ok(mime.to_owned())
}
