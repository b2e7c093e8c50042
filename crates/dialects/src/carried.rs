//! What a host can carry of a call: refusals where leaving something out would change the meaning, named
//! losses where it would not. Shared by the encoders.

use domain::{
    Bag, Call, Capabilities, Code, Dialect, Fault, ItemKind, Losses, PartKind, RetryClass, Role, ToolChoice,
};

/// The target cannot do what is asked; another candidate may.
pub(crate) fn cannot(param: &str, message: String) -> Fault {
    let mut fault = Fault::caller(Code::UnsupportedParameter, message).at(param);
    fault.retry = RetryClass::NextCandidate;
    fault
}

/// Refuses an item that stands for one which somebody keeps: whoever keeps state has to put it in first.
pub(crate) fn resolved(call: &Call) -> Result<(), Fault> {
    for item in &call.items {
        if let Some(id) = crate::openai_responses::reference(item) {
            let says = format!(
                "the item `{id}` is only referred to, and nobody here keeps it; send the item itself"
            );
            return Err(Fault::caller(Code::UnsupportedParameter, says).at("input"));
        }
    }
    Ok(())
}

/// Refuses what the model cannot do and what nobody may leave out: several candidates, tools, pictures,
/// documents, a tool without a name.
pub(crate) fn check(call: &Call, can: &Capabilities) -> Result<(), Fault> {
    resolved(call)?;
    if call.options.candidates.is_some_and(|n| n > 1) {
        return Err(cannot("n", "this model gives one candidate per call; ask with `n` of 1".into()));
    }
    if !call.tools.is_empty() && !can.tools {
        return Err(cannot("tools", "this model takes no tools; leave out `tools`".into()));
    }
    for (index, tool) in call.tools.iter().enumerate() {
        if tool.name.trim().is_empty() {
            let place = format!("tools[{index}].function.name");
            return Err(Fault::caller(Code::InvalidRequest, "a tool needs a name").at(place));
        }
    }
    for item in &call.items {
        let parts = match &item.kind {
            ItemKind::Message(said) => &said.parts,
            ItemKind::ToolResult(result) => &result.parts,
            _ => continue,
        };
        for part in parts {
            let place = format!("messages[{}].content[{}]", item.origin.message, part.index);
            match &part.kind {
                PartKind::Image(_) if !can.vision => {
                    return Err(cannot(&place, "this model takes no images".into()));
                }
                PartKind::Document(_) if !can.documents => {
                    return Err(cannot(&place, "this model takes no documents".into()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Refuses an answer that the caller explicitly began (`prefix`) where the model would not continue it.
pub(crate) fn begun_answer(call: &Call, can: &Capabilities) -> Result<(), Fault> {
    let Some((index, turn)) = call.turns.iter().enumerate().next_back() else { return Ok(()) };
    let begun = turn.bag.get(Dialect::OpenAiChat, "prefix").is_some_and(|raw| raw.text() == "true");
    if begun && turn.role == Role::Assistant && !can.prefill {
        let place = format!("messages[{index}].prefix");
        let says = "this model does not continue a begun answer; end with a user message";
        return Err(cannot(&place, says.into()));
    }
    Ok(())
}

/// Names the options that have no field in the target's dialect.
pub(crate) fn lose_options(call: &Call, losses: &mut Losses) {
    let options = &call.options;
    if options.seed.is_some() {
        losses.add("seed");
    }
    if options.logprobs.is_some() {
        losses.add("logprobs");
    }
    let zero = |number: &serde_json::Number| number.as_f64() == Some(0.0);
    if options.presence_penalty.as_ref().is_some_and(|number| !zero(number)) {
        losses.add("presence_penalty");
    }
    if options.frequency_penalty.as_ref().is_some_and(|number| !zero(number)) {
        losses.add("frequency_penalty");
    }
    if options.store == Some(true) {
        losses.add("store");
    }
}

/// The choice of tool that the model can be told: a forced one becomes `auto`, with a loss, where it cannot
/// be forced.
pub(crate) fn choice<'a>(call: &'a Call, can: &Capabilities, losses: &mut Losses) -> Option<&'a ToolChoice> {
    let forced = matches!(call.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if forced && !can.forced_tools {
        losses.add("tool_choice");
        return Some(&ToolChoice::Auto);
    }
    call.tool_choice.as_ref()
}

/// Reports every field of every bag that `target` cannot carry, but those in `carried`, which the encoder
/// knows how to say.
pub(crate) fn lose_bags(call: &Call, target: Dialect, carried: &[&str], losses: &mut Losses) {
    let mut lose = |bag: &Bag, prefix: &str| {
        for (_, name, raw) in bag.foreign_to(target) {
            if carried.contains(&name) || matches!(raw.text(), "null" | "[]") {
                continue;
            }
            if prefix.is_empty() { losses.add(name) } else { losses.add(&format!("{prefix}.{name}")) }
        }
    };
    lose(&call.bag, "");
    for turn in &call.turns {
        lose(&turn.bag, "messages");
    }
    let named = call.turns.iter().filter(|turn| turn.name.is_some()).count();
    for item in &call.items {
        lose(&item.bag, "messages");
        let parts = match &item.kind {
            ItemKind::Message(said) => &said.parts,
            ItemKind::ToolResult(result) => &result.parts,
            _ => continue,
        };
        for part in parts {
            lose(&part.bag, "messages");
        }
    }
    for tool in &call.tools {
        lose(&tool.bag, "tools");
    }
    for _ in 0..named.min(1_000) {
        losses.add("messages.name");
    }
}
