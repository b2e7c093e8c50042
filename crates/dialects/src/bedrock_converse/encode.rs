//! Reply → wire reply.

use super::{
    OWN, blocks,
    types::{stop_reason, usage_text},
};
use crate::{
    Encoded,
    object::{self, Object},
    turns::{arguments_object, tool_id, write_notes},
};
use domain::{Bag, Candidate, Item, ItemKind, Losses, PartKind, Reply};

/// Writes a whole answer. Ids and model names stand in headers and paths in this dialect.
pub(super) fn reply(reply: &Reply) -> Encoded {
    let mut losses = Losses::none();
    if reply.candidates.len() > 1 {
        losses.add("choices");
    }
    reply.bag.lose_into(OWN, "", &mut losses);
    let nothing = Candidate::default();
    let candidate = reply.candidates.first().unwrap_or(&nothing);
    candidate.bag.lose_into(OWN, "choices", &mut losses);
    if candidate.logprobs.is_some() {
        losses.add("logprobs");
    }
    let mut blocks = Vec::new();
    for item in &candidate.items {
        item_blocks(item, &mut blocks, &mut losses);
    }
    let mut message = Object::new();
    message.string("role", "assistant").json("content", &object::list(&blocks));
    let mut output = Object::new();
    output.json("message", &message.finish());
    let mut body = Object::new();
    body.json("output", &output.finish());
    match candidate.bag.get(OWN, "$stop_reason") {
        Some(word) => body.raw("stopReason", word),
        None => body.string("stopReason", stop_reason(candidate.finish.as_ref())),
    };
    match (reply.bag.get(OWN, "$usage"), &reply.usage) {
        (Some(raw), _) => body.raw("usage", raw),
        (None, usage) => body.json("usage", &usage_text(&usage.unwrap_or_default())),
    };
    body.bag(&reply.bag, OWN);
    if reply.bag.dialect() != Some(OWN) {
        // The SDKs demand the member; we do not know the number.
        body.json("metrics", r#"{"latencyMs":0}"#);
    }
    Encoded { body: body.finish().into_bytes(), losses }
}

fn item_blocks(item: &Item, out: &mut Vec<String>, losses: &mut Losses) {
    item.bag.lose_into(OWN, "messages", losses);
    if let Some(raw) = item.bag.get(OWN, "$block") {
        out.push(raw.text().to_owned());
        return;
    }
    match &item.kind {
        ItemKind::Message(said) => {
            if said.parts.is_empty() && item.bag.dialect() == Some(OWN) {
                out.push(text_block("", &item.bag));
            }
            for part in &said.parts {
                part.bag.lose_into(OWN, "messages", losses);
                match &part.kind {
                    PartKind::Text { text, .. } | PartKind::Refusal(text) => {
                        out.push(text_block(text, &item.bag));
                    }
                    _ => losses.add("messages.media"),
                }
            }
        }
        ItemKind::Reasoning(thought) => {
            let foreign = thought.signature.as_ref().is_some_and(|proof| proof.dialect != OWN);
            if foreign {
                losses.add("reasoning.signature");
            }
            if foreign && thought.redacted {
                return;
            }
            let mut shown = thought.clone();
            if foreign {
                shown.signature = None;
            }
            out.push(blocks::reasoning_text(&shown));
        }
        ItemKind::ToolCall(call) => {
            let mut inner = Object::new();
            inner.string("toolUseId", &tool_id(&call.id)).string("name", &call.name);
            inner.json("input", &arguments_object(&call.arguments, losses));
            write_notes(&mut inner, &item.bag, OWN);
            let mut text = Object::new();
            text.json("toolUse", &inner.finish());
            out.push(text.finish());
        }
        ItemKind::ToolResult(_) => losses.add("messages.tool_result"),
        ItemKind::Foreign { what } => losses.add(&format!("messages.{what}")),
    }
}

/// A text, or a text with its citations.
fn text_block(words: &str, bag: &Bag) -> String {
    let mut text = Object::new();
    text.string("text", words);
    let cited = bag.get(OWN, "citations").is_some() || bag.get(OWN, "$citations").is_some();
    if !cited {
        write_notes(&mut text, bag, OWN);
        return text.finish();
    }
    let mut inner = Object::new();
    inner.json("content", &object::list(&[text.finish()]));
    write_notes(&mut inner, bag, OWN);
    let mut block = Object::new();
    block.json("citationsContent", &inner.finish());
    block.finish()
}
