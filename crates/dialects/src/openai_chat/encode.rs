//! Reply → wire reply.

use super::{
    OWN, finish, reasoning,
    request::{bag_rest, write_nulls, write_thoughts},
    response::{FINISH, OBJECT, USAGE},
    types::WireUsage,
    writer::{List, Object},
};
use crate::codec::{Encoded, ReplyContext};
use domain::{
    Bag, Candidate, Dialect, Finish, Item, ItemKind, Losses, PartKind, Raw, Reply, Signature, ToolCall,
    Usage, UsageSource,
};

/// Fields in which a host says how it fared (how long it took): not a part of the answer, so no loss.
const MEASURED: [&str; 1] = ["metrics"];

/// Writes a whole answer.
pub(super) fn reply(reply: &Reply, context: &ReplyContext<'_>) -> Encoded {
    let mut encoded = Encoded::default();
    let losses = &mut encoded.losses;
    let own = reply.bag.get(OWN, OBJECT).is_some();
    let mut object = Object::begin(&mut encoded.body);
    object.put("id", answer_id(&reply.id, own, context));
    match reply.bag.get(OWN, OBJECT) {
        Some(as_written) => object.raw("object", as_written),
        None => object.put("object", "chat.completion"),
    }
    object.put("created", &reply.created.unwrap_or(context.created));
    object.put("model", context.model.unwrap_or(&reply.model));
    object.list("choices", |list| {
        if reply.candidates.is_empty() {
            // Clients read the first choice without looking; an answer of nothing is an empty choice.
            let finish = Some(Finish::Stop);
            candidate(&Candidate { finish, ..Candidate::default() }, own, list, losses);
        }
        for one in &reply.candidates {
            candidate(one, own, list, losses);
        }
    });
    if let Some(tier) = &reply.service_tier {
        object.put("service_tier", tier);
    }
    if let Some(usage) = usage(reply.usage, &reply.bag) {
        object.raw("usage", &usage);
    }
    bag_rest(&reply.bag, "", &mut object);
    for (_, name, _) in reply.bag.foreign_to(OWN).filter(|(_, name, _)| !MEASURED.contains(name)) {
        losses.add(name);
    }
    object.end();
    encoded
}

/// The upstream's id where it is of this dialect's form, else ours.
pub(super) fn answer_id<'a>(upstream: &'a str, own: bool, context: &ReplyContext<'a>) -> &'a str {
    if context.id.is_empty() || (!upstream.is_empty() && (own || upstream.starts_with("chatcmpl-"))) {
        upstream
    } else {
        context.id
    }
}

fn candidate(candidate: &Candidate, own: bool, list: &mut List<'_>, losses: &mut Losses) {
    let bag = &candidate.bag;
    list.object(|object| {
        object.put("index", &candidate.index);
        object.object("message", |message| write_message(candidate, own, message, losses));
        match (&candidate.finish, bag.get(OWN, FINISH)) {
            (_, Some(as_written)) => object.raw("finish_reason", as_written),
            (Some(class), None) => {
                if matches!(class, Finish::Other(_)) {
                    losses.add("finish_reason");
                }
                object.put("finish_reason", finish::write(class));
            }
            (None, None) => object.raw("finish_reason", &Raw::null()),
        }
        match &candidate.logprobs {
            Some(likelihoods) if is_own_logprobs(likelihoods) => object.raw("logprobs", likelihoods),
            Some(_) => losses.add("logprobs"),
            None => {}
        }
        for (name, value) in bag.fields_for(OWN) {
            if !name.starts_with("message.") {
                object.raw(name, value);
            }
        }
        write_nulls(bag, "", object, |_| false);
    });
    bag.lose_into(OWN, "choices", losses);
}

/// OpenAI's likelihoods are lists under `content` and `refusal`.
pub(super) fn is_own_logprobs(value: &Raw) -> bool {
    value.value().as_object().is_some_and(|object| {
        object.contains_key("content") || object.contains_key("refusal") || object.contains_key("tokens")
    })
}

#[derive(Default)]
struct Shown<'a> {
    text: String,
    said: bool,
    refusal: String,
    calls: Vec<(&'a ToolCall, &'a Bag)>,
    thoughts: Vec<&'a Item>,
    proof: Option<&'a Signature>,
    notes: Vec<(&'a str, &'a Raw)>,
}

fn collect<'a>(candidate: &'a Candidate, losses: &mut Losses) -> Shown<'a> {
    let mut shown = Shown::default();
    for item in &candidate.items {
        item.bag.lose_into(OWN, "choices.message", losses);
        match &item.kind {
            ItemKind::Message(message) => {
                shown.notes.extend(item.bag.fields_for(OWN));
                for part in &message.parts {
                    part.bag.lose_into(OWN, "choices.message.content", losses);
                    match &part.kind {
                        PartKind::Text { text, signature } => {
                            shown.said = true;
                            shown.text.push_str(text);
                            shown.proof = signature.as_ref().or(shown.proof);
                        }
                        PartKind::Refusal(text) => shown.refusal.push_str(text),
                        PartKind::Foreign { what } => losses.add(&format!("content.{what}")),
                        _ => losses.add("content.media"),
                    }
                }
            }
            ItemKind::Reasoning(_) => shown.thoughts.push(item),
            ItemKind::ToolCall(call) => shown.calls.push((call, &item.bag)),
            ItemKind::ToolResult(_) => losses.add("content.tool_result"),
            ItemKind::Foreign { what } => losses.add(&format!("content.{what}")),
        }
    }
    shown
}

fn write_message(candidate: &Candidate, own: bool, message: &mut Object<'_>, losses: &mut Losses) {
    let shown = collect(candidate, losses);
    let quiet: Vec<String> =
        candidate.bag.get(OWN, "$quiet").and_then(|raw| raw.read().ok()).unwrap_or_default();
    message.put("role", "assistant");
    if shown.said {
        message.put("content", &shown.text);
    } else if let Some(as_written) = candidate.bag.get(OWN, "$=message.content") {
        message.raw("content", as_written);
    } else if !own {
        message.raw("content", &Raw::null());
    }
    if !shown.refusal.is_empty() {
        message.put("refusal", &shown.refusal);
    } else if !own {
        message.raw("refusal", &Raw::null());
    }
    write_reasoning(candidate, &shown.thoughts, message);
    if !shown.calls.is_empty() {
        message.list("tool_calls", |list| {
            for (call, bag) in &shown.calls {
                list.object(|object| write_call(call, bag, object, losses));
            }
        });
    }
    match shown.proof {
        Some(proof) if proof.dialect == Dialect::Gemini => {
            message.raw("extra_content", &reasoning::google_extra(proof));
        }
        Some(_) => losses.add("content.signature"),
        None => {}
    }
    for (name, value) in shown.notes {
        message.raw(name, value);
    }
    for (name, value) in candidate.bag.fields_for(OWN) {
        if let Some(name) = name.strip_prefix("message.") {
            message.raw(name, value);
        }
    }
    for name in quiet.iter().filter(|name| *name != "content") {
        if let Some(value) = candidate.bag.get(OWN, &format!("$=message.{name}")) {
            message.raw(name, value);
        }
    }
}

/// Thoughts in the form they came in. Those of another dialect: their text in `reasoning_content`, and what
/// has a proof also in `reasoning_details`, so that it can come back.
fn write_reasoning(candidate: &Candidate, thoughts: &[&Item], message: &mut Object<'_>) {
    if thoughts.is_empty() {
        return;
    }
    let repeated = |form: &str| candidate.bag.get(OWN, &format!("$joined.{form}")).is_some();
    let own = thoughts.iter().any(|item| item.bag.get(OWN, reasoning::FORM).is_some());
    let all_noted = own && thoughts.iter().all(|item| item.bag.get(OWN, reasoning::FORM).is_some());
    if !all_noted && thoughts.iter().any(|item| has_proof(item)) {
        let text = reasoning::joined(thoughts.iter().copied());
        if !text.is_empty() {
            message.put("reasoning_content", &text);
        }
        let details: Vec<Raw> = thoughts
            .iter()
            .filter_map(|item| match &item.kind {
                ItemKind::Reasoning(thought) => Some(reasoning::to_detail(item, thought)),
                _ => None,
            })
            .collect();
        message.put("reasoning_details", &details);
        return;
    }
    for form in ["reasoning_content", "reasoning"] {
        if repeated(form) {
            message.put(form, &reasoning::joined(thoughts.iter().copied()));
        } else if let Some(as_written) = candidate.bag.get(OWN, &format!("$=message.{form}")) {
            let quiet = candidate.bag.get(OWN, "$quiet").and_then(|raw| raw.read::<Vec<String>>().ok());
            if !quiet.is_some_and(|names| names.iter().any(|name| name == form)) {
                message.raw(form, as_written);
            }
        }
    }
    write_thoughts(None, thoughts, message);
}

fn has_proof(item: &Item) -> bool {
    matches!(&item.kind, ItemKind::Reasoning(thought) if thought.signature.is_some())
}

fn write_call(call: &ToolCall, bag: &Bag, object: &mut Object<'_>, losses: &mut Losses) {
    let kind = bag.get(OWN, "$type").and_then(|raw| raw.read::<String>().ok());
    let custom = kind.as_deref() == Some("custom");
    object.put("id", &call.id);
    object.put("type", kind.as_deref().unwrap_or("function"));
    object.object(if custom { "custom" } else { "function" }, |function| {
        function.put("name", &call.name);
        function.put(if custom { "input" } else { "arguments" }, &call.arguments);
        bag_rest(bag, "function.", function);
    });
    match &call.signature {
        Some(proof) if proof.dialect == Dialect::Gemini => {
            object.raw("extra_content", &reasoning::google_extra(proof));
        }
        Some(_) => losses.add("content.signature"),
        None => {}
    }
    bag_rest(bag, "", object);
}

/// `usage`: as written where it still says the same, else in OpenAI's form. `None` where nobody counted.
pub(super) fn usage(usage: Option<Usage>, bag: &Bag) -> Option<Raw> {
    let as_written = bag.get(OWN, USAGE);
    let Some(usage) = usage.filter(|usage| usage.source != UsageSource::Unknown) else {
        return as_written.cloned();
    };
    if let Some(raw) = as_written
        && raw.read::<WireUsage>().is_ok_and(|wire| wire.normal() == usage)
    {
        return Some(raw.clone());
    }
    let (input, output) = (usage.input_total(), usage.output_total());
    let mut prompt = serde_json::json!({"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_in});
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    if let (Some(prompt), true) = (prompt.as_object_mut(), written > 0) {
        prompt.insert("cache_write_tokens".to_owned(), written.into());
    }
    Some(Raw::from(&serde_json::json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.out_reasoning,
            "audio_tokens": usage.audio_out,
        },
    })))
}
