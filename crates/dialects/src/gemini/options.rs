//! What shapes the answer, both ways: `generationConfig`, `toolConfig`, `serviceTier`.

use super::{
    schema::{self, Form},
    types::{Fields, Object, wrong},
};
use crate::{carried::cannot, codec::Target};
use domain::{
    Bag, Call, Dialect, Effort, Fault, LogprobOptions, Losses, OutputFormat, Raw, ReasoningControl,
    ReasoningOptions, ToolChoice,
};

const G: Dialect = Dialect::Gemini;
const CONFIG: &str = "generationConfig.";
const THINKING: &str = "generationConfig.thinkingConfig.";
const TOOL_CONFIG: &str = "toolConfig.";
const CALLING: &str = "toolConfig.functionCallingConfig.";
/// Most stop texts that Gemini takes (reference of `GenerationConfig.stopSequences`).
const MAX_STOPS: usize = 5;

// --- wire → call ----------------------------------------------------------------------------------------

/// Reads `generationConfig`, `toolConfig` and `serviceTier` into `call`.
pub(super) fn decode(fields: &mut Fields<'_>, call: &mut Call) -> Result<(), Fault> {
    if let Some(value) = fields.take("generationConfig") {
        note(&mut call.bag, "$generationConfig");
        generation_config(Fields::at(value, "generationConfig")?, call)?;
    }
    if let Some(value) = fields.take("toolConfig") {
        note(&mut call.bag, "$toolConfig");
        tool_config(Fields::at(value, "toolConfig")?, call)?;
    }
    call.options.service_tier = fields.take_as("serviceTier");
    Ok(())
}

fn note(bag: &mut Bag, name: &str) {
    bag.put(G, name, Raw::null());
}

fn generation_config(mut fields: Fields<'_>, call: &mut Call) -> Result<(), Fault> {
    let options = &mut call.options;
    options.max_output_tokens = fields.take_as("maxOutputTokens");
    options.temperature = fields.take_as("temperature");
    options.top_p = fields.take_as("topP");
    options.top_k = fields.take_as("topK");
    options.seed = fields.take_as("seed");
    options.candidates = fields.take_as("candidateCount");
    options.presence_penalty = fields.take_as("presencePenalty");
    options.frequency_penalty = fields.take_as("frequencyPenalty");
    if fields.get("stopSequences").is_some_and(|value| value.get().len() > 2) {
        options.stop = fields.take_as("stopSequences").unwrap_or_default();
    }
    if fields.get("responseLogprobs").is_some_and(|value| value.get() == "true") {
        fields.take("responseLogprobs");
        options.logprobs = Some(LogprobOptions { top: fields.take_as("logprobs") });
    }
    output_format(&mut fields, call);
    if let Some(value) = fields.take("thinkingConfig") {
        note(&mut call.bag, "$thinkingConfig");
        let mut thinking = Fields::at(value, "generationConfig.thinkingConfig")?;
        call.options.reasoning = Some(reasoning(&mut thinking, &mut call.bag));
        thinking.into_bag(THINKING, &mut call.bag);
    }
    fields.into_bag(CONFIG, &mut call.bag);
    Ok(())
}

fn output_format(fields: &mut Fields<'_>, call: &mut Call) {
    let mime: Option<String> =
        fields.get("responseMimeType").and_then(|v| serde_json::from_str(v.get()).ok());
    let format = match mime.as_deref() {
        Some("application/json") => {
            let schema = if let Some(schema) = fields.take("responseJsonSchema") {
                note(&mut call.bag, "$responseJsonSchema");
                Some(Raw::from(schema))
            } else if let Some(schema) = fields.take("responseSchema") {
                let written = Raw::from(schema);
                let schema = schema::to_json_schema(&written).unwrap_or_else(|| written.clone());
                call.bag.put(G, "$responseSchema", written);
                Some(schema)
            } else {
                None
            };
            match schema {
                None => OutputFormat::JsonObject,
                schema => OutputFormat::JsonSchema { name: None, description: None, schema, strict: None },
            }
        }
        Some("text/plain") => OutputFormat::Text,
        _ => return,
    };
    fields.take("responseMimeType");
    call.options.output = Some(format);
}

fn reasoning(fields: &mut Fields<'_>, bag: &mut Bag) -> ReasoningOptions {
    let mut options = ReasoningOptions { include: fields.take_as("includeThoughts"), ..Default::default() };
    let level: Option<String> = fields.get("thinkingLevel").and_then(|v| serde_json::from_str(v.get()).ok());
    if let Some(level) = level
        && let Some(effort) = Effort::parse(&level.to_ascii_lowercase())
    {
        fields.take("thinkingLevel");
        options.effort = Some(effort);
        if level != effort.name() {
            bag.put(G, "$thinkingLevel", Raw::of(&level).unwrap_or_else(|_| Raw::null()));
        }
    }
    match fields.get("thinkingBudget").and_then(|value| value.get().parse::<i64>().ok()) {
        Some(-1) => {
            fields.take("thinkingBudget");
            options.adaptive = Some(true);
        }
        Some(budget) if budget >= 0 => {
            fields.take("thinkingBudget");
            options.budget_tokens = u64::try_from(budget).ok();
        }
        _ => {}
    }
    options
}

fn tool_config(mut fields: Fields<'_>, call: &mut Call) -> Result<(), Fault> {
    if let Some(value) = fields.take("functionCallingConfig") {
        note(&mut call.bag, "$functionCallingConfig");
        let mut calling = Fields::at(value, "toolConfig.functionCallingConfig")?;
        let mode: Option<String> = calling.get("mode").and_then(|v| serde_json::from_str(v.get()).ok());
        let allowed: Option<Vec<String>> =
            calling.get("allowedFunctionNames").and_then(|v| serde_json::from_str(v.get()).ok());
        call.tool_choice = match mode.as_deref() {
            Some("AUTO" | "auto") => Some(ToolChoice::Auto),
            Some("NONE" | "none") => Some(ToolChoice::None),
            Some("ANY" | "any") => match allowed.as_deref() {
                Some([one]) => {
                    calling.take("allowedFunctionNames");
                    Some(ToolChoice::Named(one.clone()))
                }
                _ => Some(ToolChoice::Required),
            },
            _ => None,
        };
        if call.tool_choice.is_some() {
            calling.take("mode");
            if let Some(mode) = mode.filter(|mode| mode.starts_with(|c: char| c.is_ascii_lowercase())) {
                call.bag.put(G, "$mode", Raw::of(&mode).unwrap_or_else(|_| Raw::null()));
            }
        }
        calling.into_bag(CALLING, &mut call.bag);
    }
    fields.into_bag(TOOL_CONFIG, &mut call.bag);
    Ok(())
}

// --- call → wire ----------------------------------------------------------------------------------------

/// Writes `generationConfig`, `toolConfig` and `serviceTier` into `body`.
///
/// # Errors
/// `unsupported_parameter` for several candidates where the model gives one, and for more than five stop
/// texts; `invalid_request` for a schema that cannot be said.
pub(super) fn encode(
    call: &Call,
    target: &Target<'_>,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<(), Fault> {
    let own = call.dialect == G;
    let mut config = Object::spelled(&call.bag, CONFIG);
    sampling(call, target, &mut config, losses)?;
    output(call, target, &mut config, losses)?;
    if own {
        thinking_own(call, &mut config)
    } else {
        thinking(call, target, &mut config, losses)
    }
    config.put_bag(&call.bag, CONFIG);
    if !config.is_empty() || call.bag.get(G, "$generationConfig").is_some() {
        body.put_text("generationConfig", &config.finish());
    }
    tool_choice(call, target, body, losses);
    let options = &call.options;
    if own {
        body.put_some("serviceTier", options.service_tier.as_ref());
    } else {
        if options.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "auto" | "default")) {
            losses.add("service_tier");
        }
        if options.store == Some(true) {
            losses.add("store");
        }
        if options.end_user.is_some() {
            losses.add("user");
        }
        if call.parallel_tool_calls == Some(false) && !call.tools.is_empty() {
            losses.add("parallel_tool_calls");
        }
    }
    Ok(())
}

fn sampling(call: &Call, target: &Target<'_>, config: &mut Object, losses: &mut Losses) -> Result<(), Fault> {
    let (options, can) = (&call.options, target.capabilities);
    let own = call.dialect == G;
    let mut limit = options.max_output_tokens;
    if !own && can.max_output_tokens > 0 && limit.is_some_and(|limit| limit > can.max_output_tokens) {
        limit = Some(can.max_output_tokens);
        losses.add("max_tokens");
    }
    config.put_some("maxOutputTokens", limit.as_ref());
    if own || can.sampling {
        config.put_some("temperature", options.temperature.as_ref());
        config.put_some("topP", options.top_p.as_ref());
        config.put_some("topK", options.top_k.as_ref());
    } else {
        let given = [
            ("temperature", options.temperature.is_some()),
            ("top_p", options.top_p.is_some()),
            ("top_k", options.top_k.is_some()),
        ];
        given.iter().filter(|(_, given)| *given).for_each(|(name, _)| losses.add(name));
    }
    match &options.seed {
        Some(seed) if own || seed.as_i64().is_some_and(|seed| i32::try_from(seed).is_ok()) => {
            config.put("seed", seed);
        }
        Some(_) => losses.add("seed"),
        None => {}
    }
    if options.candidates.is_some_and(|count| count > 1) && !can.candidates {
        let place = if own { "generationConfig.candidateCount" } else { "n" };
        let says = "This model gives one candidate per call; leave `n` out, or send the call several times.";
        return Err(cannot(place, says.to_owned()));
    }
    if own || options.candidates.is_some_and(|count| count > 1) {
        config.put_some("candidateCount", options.candidates.as_ref());
    }
    config.put_some("presencePenalty", options.presence_penalty.as_ref());
    config.put_some("frequencyPenalty", options.frequency_penalty.as_ref());
    let stops: Vec<&String> = options.stop.iter().filter(|stop| own || !stop.is_empty()).collect();
    if !own && stops.len() > MAX_STOPS {
        return Err(cannot("stop", "Gemini takes at most 5 stop texts; send fewer.".to_owned()));
    }
    if !stops.is_empty() {
        config.put("stopSequences", &stops);
    }
    match options.logprobs {
        Some(wanted) if own || can.logprobs => {
            config.put("responseLogprobs", &true);
            config.put_some("logprobs", wanted.top.filter(|top| own || *top > 0).as_ref());
        }
        Some(_) => losses.add("logprobs"),
        None => {}
    }
    Ok(())
}

fn output(call: &Call, target: &Target<'_>, config: &mut Object, losses: &mut Losses) -> Result<(), Fault> {
    match &call.options.output {
        None => {}
        Some(OutputFormat::Text) if call.dialect != G => {}
        Some(OutputFormat::Text) => config.put("responseMimeType", "text/plain"),
        Some(OutputFormat::JsonObject) => config.put("responseMimeType", "application/json"),
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            config.put("responseMimeType", "application/json");
            if let Some(written) = call.bag.get(G, "$responseSchema") {
                config.put_text("responseSchema", written.text());
                return Ok(());
            }
            let Some(schema) = schema else { return Ok(()) };
            if call.bag.get(G, "$responseJsonSchema").is_some() {
                config.put_text("responseJsonSchema", schema.text());
            } else if !target.capabilities.json_schema {
                losses.add("response_format.json_schema");
            } else if let Some(found) =
                schema::convert(schema, schema::form_of(target.model), "response_format", losses)?
            {
                let field = if found.form == Form::Json { "responseJsonSchema" } else { "responseSchema" };
                config.put_text(field, &found.text);
            }
        }
    }
    Ok(())
}

fn thinking_own(call: &Call, config: &mut Object) {
    let Some(options) = call.options.reasoning else { return };
    let mut thinking = Object::spelled(&call.bag, THINKING);
    thinking.put_some("includeThoughts", options.include.as_ref());
    if let Some(effort) = options.effort {
        let written = call.bag.get(G, "$thinkingLevel").and_then(|raw| raw.read::<String>().ok());
        thinking.put("thinkingLevel", written.as_deref().unwrap_or(effort.name()));
    }
    if let Some(budget) = options.budget_tokens {
        thinking.put("thinkingBudget", &budget);
    } else if options.adaptive == Some(true) {
        thinking.put("thinkingBudget", &-1);
    }
    thinking.put_bag(&call.bag, THINKING);
    if !thinking.is_empty() || call.bag.get(G, "$thinkingConfig").is_some() {
        config.put_text("thinkingConfig", &thinking.finish());
    }
}

/// Another dialect's effort or budget, as the model is steered: the nearest that it takes. What is not met
/// exactly is a loss.
fn thinking(call: &Call, target: &Target<'_>, config: &mut Object, losses: &mut Losses) {
    let Some(options) = call.options.reasoning else { return };
    let mut thinking = Object::new();
    match target.capabilities.reasoning {
        ReasoningControl::None => {
            if options.effort.is_some_and(|effort| effort != Effort::None) {
                losses.add("reasoning_effort");
            }
            if options.budget_tokens.is_some_and(|budget| budget > 0) {
                losses.add("thinking.budget_tokens");
            }
            return;
        }
        ReasoningControl::Effort | ReasoningControl::Adaptive => {
            let wanted = options.effort.or_else(|| options.budget_tokens.map(Effort::from_budget));
            if let Some(wanted) = wanted {
                let level = nearest_level(target.model, wanted);
                thinking.put("thinkingLevel", level.name());
                if options.effort.is_none() {
                    losses.add("thinking.budget_tokens");
                } else if level != wanted {
                    losses.add("reasoning_effort");
                }
            }
        }
        ReasoningControl::Budget => {
            let wanted = options.budget_tokens.or_else(|| options.effort.map(Effort::budget_tokens));
            if let Some(wanted) = wanted {
                let budget = nearest_budget(target.model, wanted);
                thinking.put("thinkingBudget", &budget);
                if budget != wanted {
                    losses.add(if options.effort.is_some() {
                        "reasoning_effort"
                    } else {
                        "thinking.budget_tokens"
                    });
                }
            } else if options.adaptive == Some(true) {
                thinking.put("thinkingBudget", &-1);
            }
        }
    }
    thinking.put_some("includeThoughts", options.include.as_ref());
    if !thinking.is_empty() {
        config.put_text("thinkingConfig", &thinking.finish());
    }
}

/// The level that `model` takes and that is nearest to `wanted`. `low` and `high` are taken by every model
/// that has levels; `minimal` by Flash-Lite and the Flash models of 3.0 to 3.6; `medium` by all but the first
/// 3 Pro. Source: Google's page on thinking.
fn nearest_level(model: &str, wanted: Effort) -> Effort {
    let name = model.rsplit('/').next().unwrap_or_default();
    let minimal = name.contains("flash-lite")
        || (name.contains("flash") && schema::generation(model).is_some_and(|generation| generation < 37));
    match wanted {
        Effort::None | Effort::Minimal if minimal => Effort::Minimal,
        Effort::None | Effort::Minimal | Effort::Low => Effort::Low,
        Effort::Medium if name.starts_with("gemini-3-pro") => Effort::High,
        Effort::Medium => Effort::Medium,
        Effort::High | Effort::XHigh | Effort::Max => Effort::High,
    }
}

/// The budget in tokens that `model` takes and that is nearest to `wanted`: 2.5 Pro 128 to 32,768 and never
/// off, Flash 0 to 24,576, Flash-Lite 0 or 512 to 24,576. Source: Google's page on thinking.
fn nearest_budget(model: &str, wanted: u64) -> u64 {
    let (off, least, most) = if model.contains("flash-lite") {
        (true, 512, 24_576)
    } else if model.contains("pro") {
        (false, 128, 32_768)
    } else {
        (true, 1, 24_576)
    };
    if wanted == 0 && off { 0 } else { wanted.clamp(least, most) }
}

fn tool_choice(call: &Call, target: &Target<'_>, body: &mut Object, losses: &mut Losses) {
    let own = call.dialect == G;
    let mut config = Object::spelled(&call.bag, TOOL_CONFIG);
    let mut calling = Object::spelled(&call.bag, CALLING);
    let has_tools = own || !call.tools.is_empty();
    if let Some(choice) = call.tool_choice.as_ref().filter(|_| has_tools) {
        let forced = matches!(choice, ToolChoice::Required | ToolChoice::Named(_));
        if forced && !own && !target.capabilities.forced_tools {
            losses.add("tool_choice");
            calling.put("mode", "AUTO");
        } else {
            let written = call.bag.get(G, "$mode").and_then(|raw| raw.read::<String>().ok());
            let mode = match choice {
                ToolChoice::Auto => "AUTO",
                ToolChoice::None => "NONE",
                ToolChoice::Required | ToolChoice::Named(_) => "ANY",
            };
            calling.put("mode", written.as_deref().unwrap_or(mode));
            if let ToolChoice::Named(name) = choice {
                calling.put("allowedFunctionNames", &[name]);
            }
        }
    }
    calling.put_bag(&call.bag, CALLING);
    if !calling.is_empty() || call.bag.get(G, "$functionCallingConfig").is_some() {
        config.put_text("functionCallingConfig", &calling.finish());
    }
    config.put_bag(&call.bag, TOOL_CONFIG);
    if !config.is_empty() || call.bag.get(G, "$toolConfig").is_some() {
        body.put_text("toolConfig", &config.finish());
    }
}

/// A named tool must be offered.
pub(super) fn check_choice(call: &Call) -> Result<(), Fault> {
    if let Some(ToolChoice::Named(name)) = &call.tool_choice
        && call.dialect != G
        && !call.tools.iter().any(|tool| tool.name == *name)
    {
        return Err(wrong("tool_choice", "names a tool that is not in `tools`"));
    }
    Ok(())
}
