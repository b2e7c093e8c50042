//! Reply → wire reply.

use super::{
    ids,
    response::word_of,
    types::{Fields, Object, array},
};
use crate::codec::{Encoded, ReplyContext};
use domain::{
    Bag, Candidate, Dialect, Finish, Item, ItemKind, Losses, Part, PartKind, Raw, Reply, Signature, ToolCall,
    Usage,
};

const G: Dialect = Dialect::Gemini;

/// Writes `reply` for a caller who speaks Gemini.
pub(super) fn encode(reply: &Reply, context: &ReplyContext<'_>) -> Encoded {
    let mut losses = Losses::none();
    let own = reply.bag.dialect() == Some(G);
    let mut object = Object::new();
    let blocked = reply.candidates.iter().any(|one| one.bag.get(G, "$noCandidate").is_some());
    if !blocked {
        let written: Vec<String> = reply.candidates.iter().map(|one| candidate(one, &mut losses)).collect();
        object.put_text("candidates", &array(written));
    }
    match (reply.bag.get(G, "$usageMetadata"), &reply.usage) {
        (Some(raw), _) => object.put_text("usageMetadata", raw.text()),
        (None, Some(usage)) => object.put_text("usageMetadata", &usage_object(usage)),
        (None, None) => {}
    }
    let model = context.model.unwrap_or(&reply.model);
    if !model.is_empty() {
        object.put("modelVersion", model);
    }
    if let Some(raw) = reply.bag.get(G, "$createTime") {
        object.put_text("createTime", raw.text());
    }
    let id = if context.id.is_empty() || (own && !reply.id.is_empty()) { &*reply.id } else { context.id };
    if !id.is_empty() {
        object.put("responseId", id);
    }
    object.put_bag(&reply.bag, "");
    reply.bag.lose_into(G, "", &mut losses);
    Encoded { body: object.finish().into_bytes(), losses }
}

fn candidate(candidate: &Candidate, losses: &mut Losses) -> String {
    let mut object = Object::new();
    let mut parts = Vec::new();
    for item in &candidate.items {
        item_parts(item, &mut parts, losses);
    }
    if candidate.bag.get(G, "$noContent").is_none() || !parts.is_empty() {
        object.put_text("content", &content(&candidate.bag, parts));
    }
    if let Some(finish) = &candidate.finish {
        object.put("finishReason", &finish_word(finish, &candidate.bag));
    }
    if candidate.bag.get(G, "$noIndex").is_none() {
        object.put("index", &candidate.index);
    }
    if let Some(logprobs) = &candidate.logprobs {
        if is_own_logprobs(logprobs) {
            object.put_text("logprobsResult", logprobs.text());
        } else {
            losses.add("logprobs");
        }
    }
    object.put_bag(&candidate.bag, "");
    candidate.bag.lose_into(G, "candidates", losses);
    object.finish()
}

/// The content of a candidate: role and parts as they were, or as they are as a rule.
pub(super) fn content(bag: &Bag, parts: Vec<String>) -> String {
    let mut content = Object::new();
    if bag.get(G, "$noParts").is_none() || !parts.is_empty() {
        content.put_text("parts", &array(parts));
    }
    match bag.get(G, "$role") {
        Some(written) if written.text() == "null" => {}
        Some(written) => content.put_text("role", written.text()),
        None => content.put("role", "model"),
    }
    content.finish()
}

/// The wire word of `finish`, as it was where it was noted.
pub(super) fn finish_word(finish: &Finish, bag: &Bag) -> String {
    let noted = bag.get(G, "$finishReason").and_then(|raw| raw.read::<String>().ok());
    noted.unwrap_or_else(|| match finish {
        Finish::Other(word) if !word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => {
            String::from("OTHER")
        }
        finish => word_of(finish).to_owned(),
    })
}

/// True for likelihoods in Gemini's form.
pub(super) fn is_own_logprobs(logprobs: &Raw) -> bool {
    Fields::of(logprobs.text()).is_some_and(|fields| {
        fields.get("chosenCandidates").is_some() || fields.get("topCandidates").is_some()
    })
}

fn item_parts(item: &Item, parts: &mut Vec<String>, losses: &mut Losses) {
    item.bag.lose_into(G, "candidates", losses);
    match &item.kind {
        ItemKind::Message(message) => message.parts.iter().for_each(|part| message_part(part, parts, losses)),
        ItemKind::Reasoning(thought) => {
            if thought.redacted {
                losses.add("reasoning.redacted");
            } else {
                parts.push(text_part(
                    &thought.text,
                    true,
                    own(thought.signature.as_ref(), losses),
                    &Bag::new(),
                ));
            }
        }
        ItemKind::ToolCall(call) => {
            let signature = own(call.signature.as_ref(), losses);
            parts.push(call_part(call, signature));
        }
        ItemKind::ToolResult(_) => losses.add("candidates.tool_result"),
        ItemKind::Foreign { what } => match item.bag.get(G, "$block") {
            Some(block) => parts.push(block.text().to_owned()),
            None => losses.add(&format!("candidates.{what}")),
        },
    }
}

fn message_part(part: &Part, parts: &mut Vec<String>, losses: &mut Losses) {
    part.bag.lose_into(G, "candidates", losses);
    match &part.kind {
        PartKind::Text { text, signature } => {
            parts.push(text_part(text, false, own(signature.as_ref(), losses), &part.bag));
        }
        PartKind::Refusal(text) => {
            losses.add("candidates.refusal");
            parts.push(text_part(text, false, None, &Bag::new()));
        }
        PartKind::Foreign { what } => losses.add(&format!("candidates.{what}")),
        kind => match super::media::encode_foreign(kind, false) {
            Ok(text) => parts.push(text),
            Err(_) => losses.add("candidates.media"),
        },
    }
}

fn own<'a>(signature: Option<&'a Signature>, losses: &mut Losses) -> Option<&'a str> {
    let signature = signature?;
    if signature.dialect == G {
        Some(&signature.data)
    } else {
        losses.add("reasoning.signature");
        None
    }
}

/// A text or thought part.
pub(super) fn text_part(text: &str, thought: bool, signature: Option<&str>, bag: &Bag) -> String {
    let mut object = Object::new();
    object.put("text", text);
    if thought {
        object.put("thought", &true);
    }
    object.put_some("thoughtSignature", signature.as_ref());
    object.put_bag(bag, "");
    object.finish()
}

/// A `functionCall` part. An id that we made for Gemini is not told to a Gemini caller.
pub(super) fn call_part(call: &ToolCall, signature: Option<&str>) -> String {
    let mut inner = Object::new();
    if !ids::is_made(&call.id) && !call.id.is_empty() {
        inner.put("id", &call.id);
    }
    inner.put("name", &call.name);
    if Fields::of(&call.arguments).is_some() {
        inner.put_text("args", &call.arguments);
    } else if call.arguments.trim().is_empty() {
        inner.put_text("args", "{}");
    } else {
        // A model that was cut off leaves half a text; an object is all that `args` can be.
        let mut wrapped = Object::new();
        wrapped.put("arguments", &call.arguments);
        inner.put_text("args", &wrapped.finish());
    }
    let mut object = Object::new();
    object.put_text("functionCall", &inner.finish());
    object.put_some("thoughtSignature", signature.as_ref());
    object.finish()
}

/// `usageMetadata` of normalised numbers: prompt with cached tokens, candidates without thoughts.
pub(super) fn usage_object(usage: &Usage) -> String {
    let mut object = Object::new();
    object.put("promptTokenCount", &usage.input_total());
    if usage.cache_read > 0 {
        object.put("cachedContentTokenCount", &usage.cache_read);
    }
    object.put("candidatesTokenCount", &usage.out_visible);
    if usage.out_reasoning > 0 {
        object.put("thoughtsTokenCount", &usage.out_reasoning);
    }
    object.put("totalTokenCount", &usage.input_total().saturating_add(usage.output_total()));
    object.finish()
}
