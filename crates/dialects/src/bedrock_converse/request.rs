//! Call → wire request.

use super::{
    OWN,
    blocks::{Writer, cache_point},
};
use crate::{
    Encoded, Target,
    carried::{self, cannot},
    object::{self, Fields, Object, quoted},
    output_schema,
    thinking::{self, Mode, Thinking},
    turns::{self, BlockKind, Layout, OUTPUT_TOOL},
};
use domain::{
    Call, Dialect, Effort, Fault, Losses, OutputFormat, Raw, ReasoningControl, Role, Tool, ToolChoice,
    ToolKind,
};

/// Beta features of Anthropic that Bedrock is believed to take in `anthropic_beta`: written from memory and not
/// checked against AWS's documentation or a live call. A name that Bedrock does not know is a 400 there
/// ("invalid beta flag"), so a name that is not in this list is a loss here, the safer mistake.
const BETAS: [&str; 11] = [
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
    "tool-search-tool-2025-10-19",
];

/// Keywords of a schema that Bedrock refuses beyond those that Anthropic refuses (pitfall P61).
const ALSO_REFUSED: &[&str] = &["pattern"];

const EMPTY_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// Writes the request. The model stands in the path and is the provider's to write.
pub(super) fn encode(call: &Call, target: &Target<'_>) -> Result<Encoded, Fault> {
    let mut losses = Losses::none();
    let body = if call.dialect == OWN {
        as_it_came(call)?
    } else {
        carried::check(call, target.capabilities)?;
        translated(call, target, &mut losses)?
    };
    Ok(Encoded { body: body.into_bytes(), losses })
}

/// A call of this dialect: everything as it was written.
fn as_it_came(call: &Call) -> Result<String, Fault> {
    let mut ignored = Losses::none();
    let mut writer = Writer::new(true);
    let mut body = Object::new();
    let mut messages = Vec::new();
    for group in turns::as_written(call) {
        let blocks = writer.list(&group.blocks, &mut ignored)?;
        let Some(turn) = group.turn else { continue };
        if turn.bag.get(OWN, "$top").is_some() {
            body.json("system", &blocks);
            continue;
        }
        let mut message = Object::new();
        message.string("role", role_word(group.role)).json("content", &blocks).bag(&turn.bag, OWN);
        messages.push(message.finish());
    }
    body.json("messages", &object::list(&messages));
    if let Some(rest) = call.bag.get(OWN, "$inferenceConfig") {
        let mut config = inference(call, call.options.max_output_tokens);
        for (name, raw) in rest.read::<Fields>().unwrap_or_default().into_iter() {
            config.raw(&name, &raw);
        }
        body.json("inferenceConfig", &config.finish());
    }
    if let Some(rest) = call.bag.get(OWN, "$toolConfig") {
        let tools: Vec<String> = call.tools.iter().map(|tool| tool_text(tool, true)).collect();
        let mut config = Object::new();
        config.json("tools", &object::list(&tools));
        if let Some(choice) = call.bag.get(OWN, "$toolChoice") {
            config.raw("toolChoice", choice);
        }
        for (name, raw) in rest.read::<Fields>().unwrap_or_default().into_iter() {
            config.raw(&name, &raw);
        }
        body.json("toolConfig", &config.finish());
    }
    for name in ["additionalModelRequestFields", "outputConfig", "serviceTier"] {
        if let Some(raw) = call.bag.get(OWN, &format!("${name}")) {
            body.raw(name, raw);
        }
    }
    body.bag(&call.bag, OWN);
    Ok(body.finish())
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

fn inference(call: &Call, max_tokens: Option<u64>) -> Object {
    let options = &call.options;
    let mut config = Object::new();
    if let Some(limit) = max_tokens {
        config.scalar("maxTokens", limit);
    }
    for (name, number) in [("temperature", &options.temperature), ("topP", &options.top_p)] {
        if let Some(number) = number {
            config.scalar(name, number);
        }
    }
    if !options.stop.is_empty() {
        let texts: Vec<String> = options.stop.iter().map(|text| quoted(text)).collect();
        config.json("stopSequences", &object::list(&texts));
    }
    config
}

/// What the model's name tells of the fields that only its family knows. Bedrock's ids name the family; an
/// inference profile's ARN does not, and then the deployment's reasoning control decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Claude,
    Nova,
    Other,
}

fn family(target: &Target<'_>) -> Family {
    let claude =
        matches!(target.capabilities.reasoning, ReasoningControl::Budget | ReasoningControl::Adaptive);
    if target.model.contains("anthropic.") || target.model.contains("claude") {
        Family::Claude
    } else if target.model.contains("amazon.nova") {
        Family::Nova
    } else if target.model.starts_with("arn:") && claude {
        Family::Claude
    } else {
        Family::Other
    }
}

/// A call of another dialect.
fn translated(call: &Call, target: &Target<'_>, losses: &mut Losses) -> Result<String, Fault> {
    carried::lose_bags(call, OWN, &["cache_control", "prefix", "anthropic_beta"], losses);
    carried::lose_options(call, losses);
    if call.options.end_user.is_some() {
        losses.add("user");
    }
    if call.parallel_tool_calls == Some(false) {
        losses.add("parallel_tool_calls");
    }
    carried::begun_answer(call, target.capabilities)?;
    let layout = turns::alternating(call, OWN, losses);
    if layout.groups.is_empty() {
        return Err(cannot("messages", "this model needs at least one message with content".into()));
    }
    let mut writer = Writer::new(false);
    let mut body = Object::new();
    if !layout.system.is_empty() {
        body.json("system", &writer.list(&layout.system, losses)?);
    }
    let mut messages = Vec::new();
    for group in &layout.groups {
        let mut message = Object::new();
        message.string("role", role_word(group.role)).json("content", &writer.list(&group.blocks, losses)?);
        messages.push(message.finish());
    }
    body.json("messages", &object::list(&messages));
    let mut thought = thinking::plan(call, target.capabilities, losses)?;
    let output_tool = output(call, target, &thought, &mut body, losses);
    tool_config(call, target, output_tool, &layout, &mut thought, &mut body, losses);
    options(call, target, &thought, &mut body, losses);
    additional(call, target, &thought, &mut body, losses);
    Ok(body.finish())
}

/// The wished shape of the answer and the effort; the tool to force where the model needs one for it.
fn output(
    call: &Call,
    target: &Target<'_>,
    thought: &Thinking,
    body: &mut Object,
    losses: &mut Losses,
) -> Option<String> {
    let can = target.capabilities;
    let mut config = Object::new();
    let (schema, name, description) = match &call.options.output {
        None | Some(OutputFormat::Text) => (None, None, None),
        Some(OutputFormat::JsonObject) => (None, None, None),
        Some(OutputFormat::JsonSchema { schema, name, description, .. }) => {
            (schema.as_ref(), name.as_deref(), description.as_deref())
        }
    };
    let wished = !matches!(call.options.output, None | Some(OutputFormat::Text));
    let mut tool = None;
    match schema {
        Some(schema) if can.json_schema => {
            let mut definition = Object::new();
            let place = "response_format.schema";
            definition.string("schema", &output_schema::subset(schema, ALSO_REFUSED, place, losses));
            if let Some(name) = name {
                definition.string("name", name);
            }
            if let Some(description) = description.filter(|text| !text.is_empty()) {
                definition.string("description", description);
            }
            let mut structure = Object::new();
            structure.json("jsonSchema", &definition.finish());
            let mut format = Object::new();
            format.string("type", "json_schema").json("structure", &structure.finish());
            config.json("textFormat", &format.finish());
        }
        schema if wished && can.tools && can.forced_tools => {
            let text = schema.map_or(r#"{"type":"object"}"#, Raw::text);
            let says = description.unwrap_or("Give the answer as the input of this tool.");
            tool = Some(tool_spec(OUTPUT_TOOL, Some(says), text, None));
        }
        _ if wished => losses.add("response_format"),
        _ => {}
    }
    if let (Some(effort), Family::Claude) = (thought.effort, family(target)) {
        config.string("effort", effort.name());
    }
    if !config.is_empty() {
        body.json("outputConfig", &config.finish());
    }
    tool
}

#[expect(clippy::too_many_arguments, reason = "the pieces of one request, each read or written once")]
fn tool_config(
    call: &Call,
    target: &Target<'_>,
    output_tool: Option<String>,
    layout: &Layout<'_>,
    thought: &mut Thinking,
    body: &mut Object,
    losses: &mut Losses,
) {
    let history = names_in_history(layout);
    let mut texts = Vec::new();
    for tool in &call.tools {
        if tool.kind == ToolKind::Server && tool.bag.get(OWN, "$tool").is_none() {
            losses.add(&format!("tools.{}", tool.name));
            continue;
        }
        if tool.kind == ToolKind::Custom {
            losses.add("tools.custom");
        }
        if tool.strict == Some(true) {
            losses.add("tools.strict");
        }
        texts.push(tool_text(tool, false));
        texts.extend(turns::cache_mark(&tool.bag).map(|mark| cache_point(&mark)));
    }
    let callers_own = !texts.is_empty();
    let asked = carried::choice(call, target.capabilities, losses);
    if asked == Some(&ToolChoice::None) && output_tool.is_none() {
        if history.is_empty() {
            return;
        }
        // The dialect has no "none", and the host refuses a history of tools without tools.
        losses.add("tool_choice");
    }
    if texts.is_empty() && !history.is_empty() {
        texts.extend(history.iter().map(|name| tool_spec(name, None, EMPTY_SCHEMA, None)));
    }
    let forced = output_tool.is_some();
    texts.extend(output_tool);
    if texts.is_empty() {
        return;
    }
    let choice = match asked {
        _ if forced && !callers_own => Some(ToolChoice::Named(OUTPUT_TOOL.into())),
        Some(ToolChoice::Named(name)) => Some(ToolChoice::Named(name.clone())),
        Some(ToolChoice::None) if forced => Some(ToolChoice::Named(OUTPUT_TOOL.into())),
        _ if forced => Some(ToolChoice::Required),
        Some(ToolChoice::None) | None => None,
        Some(other) => Some(other.clone()),
    };
    if thought.on() && matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        // The host refuses a forced tool together with thinking.
        losses.add(thinking::loss_name(call.dialect));
        thought.mode = Mode::Unsaid;
    }
    let mut config = Object::new();
    config.json("tools", &object::list(&texts));
    match choice {
        Some(ToolChoice::Auto) => {
            config.json("toolChoice", r#"{"auto":{}}"#);
        }
        Some(ToolChoice::Required) => {
            config.json("toolChoice", r#"{"any":{}}"#);
        }
        Some(ToolChoice::Named(name)) => {
            config.json("toolChoice", &format!(r#"{{"tool":{{"name":{}}}}}"#, quoted(&name)));
        }
        Some(ToolChoice::None) | None => {}
    }
    body.json("toolConfig", &config.finish());
}

/// Names of the tools that were called, each once, in order. A result without its call counts under the name
/// it carries.
fn names_in_history(layout: &Layout<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for block in layout.groups.iter().flat_map(|group| &group.blocks) {
        let name = match &block.kind {
            BlockKind::ToolCall(call) => call.name.clone(),
            BlockKind::ToolResult(result) => match &result.name {
                Some(name) => name.clone(),
                None if names.is_empty() => "tool".to_owned(),
                None => continue,
            },
            _ => continue,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn tool_text(tool: &Tool, own: bool) -> String {
    if let Some(raw) = tool.bag.get(OWN, "$tool") {
        return raw.text().to_owned();
    }
    let schema = tool.parameters.as_ref().map_or(EMPTY_SCHEMA, Raw::text);
    if !own {
        return tool_spec(&tool.name, tool.description.as_deref(), schema, None);
    }
    tool_spec(&tool.name, tool.description.as_deref(), schema, Some(tool))
}

/// A tool as `toolSpec`; `own` is the tool of a call of this dialect, with all it said.
fn tool_spec(name: &str, description: Option<&str>, schema: &str, own: Option<&Tool>) -> String {
    let mut spec = Object::new();
    spec.string("name", name);
    if let Some(description) = description.filter(|text| own.is_some() || !text.trim().is_empty()) {
        spec.string("description", description);
    }
    let mut input = Object::new();
    input.json("json", schema);
    spec.json("inputSchema", &input.finish());
    if let Some(tool) = own {
        if let Some(strict) = tool.strict {
            spec.scalar("strict", strict);
        }
        spec.bag(&tool.bag, OWN);
    }
    let mut text = Object::new();
    text.json("toolSpec", &spec.finish());
    text.finish()
}

/// The limits, sampling options and the service tier.
fn options(call: &Call, target: &Target<'_>, thought: &Thinking, body: &mut Object, losses: &mut Losses) {
    let options = &call.options;
    let default = match target.capabilities.max_output_tokens {
        0 => None,
        known => Some(known),
    };
    let mut config = Object::new();
    if let Some(limit) = thought.max_tokens.or(default) {
        config.scalar("maxTokens", limit);
    }
    let samples = target.capabilities.sampling;
    if let Some(temperature) = &options.temperature {
        let value = temperature.as_f64().unwrap_or(1.0);
        if !samples || (thought.on() && value != 1.0) {
            losses.add("temperature");
        } else if value > 1.0 {
            losses.add("temperature");
            config.scalar("temperature", "1.0");
        } else {
            config.scalar("temperature", temperature);
        }
    }
    if let Some(top_p) = &options.top_p {
        if !samples || (thought.on() && top_p.as_f64().is_none_or(|value| value < 0.95)) {
            losses.add("top_p");
        } else {
            config.scalar("topP", top_p);
        }
    }
    let stop: Vec<String> =
        options.stop.iter().filter(|text| !text.trim().is_empty()).map(|text| quoted(text)).collect();
    if stop.len() < options.stop.len() {
        losses.add("stop");
    }
    if !stop.is_empty() {
        config.json("stopSequences", &object::list(&stop));
    }
    if !config.is_empty() {
        body.json("inferenceConfig", &config.finish());
    }
    match options.service_tier.as_deref() {
        None | Some("auto") => {}
        Some(tier @ ("default" | "priority" | "flex" | "reserved")) => {
            body.json("serviceTier", &format!(r#"{{"type":{}}}"#, quoted(tier)));
        }
        Some(_) => losses.add("service_tier"),
    }
}

/// What only the model's family knows.
fn additional(call: &Call, target: &Target<'_>, thought: &Thinking, body: &mut Object, losses: &mut Losses) {
    let family = family(target);
    let mut more = Object::new();
    if let Some(top_k) = call.options.top_k {
        match family {
            _ if !target.capabilities.sampling || thought.on() => losses.add("top_k"),
            Family::Claude => {
                more.scalar("top_k", top_k);
            }
            Family::Nova => {
                more.json("inferenceConfig", &format!(r#"{{"topK":{top_k}}}"#));
            }
            Family::Other => losses.add("top_k"),
        }
    }
    let display = match thought.include {
        Some(true) => r#","display":"summarized""#,
        Some(false) => r#","display":"omitted""#,
        None => "",
    };
    match thought.mode {
        Mode::Unsaid => {}
        Mode::Off => {
            more.json("thinking", r#"{"type":"disabled"}"#);
        }
        Mode::Budget(tokens) => {
            more.json("thinking", &format!(r#"{{"type":"enabled","budget_tokens":{tokens}{display}}}"#));
        }
        Mode::Adaptive => {
            more.json("thinking", &format!(r#"{{"type":"adaptive"{display}}}"#));
        }
    }
    if let Some(effort) = thought.effort {
        // Nova and the open-weight models know three words.
        let word = match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High | Effort::XHigh | Effort::Max => "high",
        };
        match family {
            Family::Claude => {}
            Family::Nova => {
                let config = format!(r#"{{"type":"enabled","maxReasoningEffort":"{word}"}}"#);
                more.json("reasoningConfig", &config);
            }
            Family::Other => {
                more.string("reasoning_effort", word);
            }
        }
    }
    betas(call, family, &mut more, losses);
    if !more.is_empty() {
        body.json("additionalModelRequestFields", &more.finish());
    }
}

/// Anthropic's beta names, those that the host takes.
fn betas(call: &Call, family: Family, more: &mut Object, losses: &mut Losses) {
    let Some(raw) = call.bag.get(Dialect::AnthropicMessages, "anthropic_beta") else { return };
    let mut taken = Vec::new();
    for name in raw.read::<Vec<String>>().unwrap_or_default() {
        if family == Family::Claude && BETAS.contains(&name.as_str()) {
            taken.push(quoted(&name));
        } else {
            losses.add("anthropic_beta");
        }
    }
    if !taken.is_empty() {
        more.json("anthropic_beta", &object::list(&taken));
    }
}
