//! Reply → wire reply.

use super::{
    OWN,
    types::{stop_reason, usage_text},
};
use crate::{
    Encoded, ReplyContext,
    object::{self, Object},
    turns::{arguments_object, tool_id, write_notes},
};
use domain::{Bag, Candidate, Item, ItemKind, Losses, PartKind, Reply};

/// Writes a whole answer.
pub(super) fn reply(reply: &Reply, context: &ReplyContext<'_>) -> Encoded {
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
    let own_id = reply.id.starts_with("msg_") || context.id.is_empty();
    let mut body = Object::new();
    body.string("id", if own_id { &reply.id } else { context.id });
    body.string("type", "message").string("role", "assistant");
    body.string("model", context.model.unwrap_or(&reply.model));
    body.json("content", &object::list(&blocks));
    let (class, sequence) = stop_reason(candidate.finish.as_ref());
    match candidate.bag.get(OWN, "$stop_reason") {
        Some(word) => body.raw("stop_reason", word),
        None => body.string("stop_reason", class),
    };
    match sequence {
        Some(text) => body.string("stop_sequence", text),
        None => body.json("stop_sequence", "null"),
    };
    match (reply.bag.get(OWN, "$usage"), &reply.usage) {
        (Some(raw), _) => body.raw("usage", raw),
        (None, usage) => {
            body.json("usage", &usage_text(&usage.unwrap_or_default(), reply.service_tier.as_deref()))
        }
    };
    body.bag(&reply.bag, OWN);
    Encoded { body: body.finish().into_bytes(), losses }
}

fn item_blocks(item: &Item, blocks: &mut Vec<String>, losses: &mut Losses) {
    item.bag.lose_into(OWN, "messages", losses);
    match &item.kind {
        ItemKind::Message(said) => {
            if said.parts.is_empty() && item.bag.dialect() == Some(OWN) {
                blocks.push(text_block("", &item.bag));
            }
            for part in &said.parts {
                part.bag.lose_into(OWN, "messages", losses);
                match &part.kind {
                    PartKind::Text { text, .. } | PartKind::Refusal(text) => {
                        blocks.push(text_block(text, &item.bag));
                    }
                    _ => losses.add("messages.media"),
                }
            }
        }
        ItemKind::Reasoning(thought) => {
            let data = thought.signature.as_ref().filter(|proof| proof.dialect == OWN);
            if data.is_none() && thought.signature.is_some() {
                losses.add("reasoning.signature");
            }
            let data = data.map_or("", |proof| &*proof.data);
            let mut text = Object::new();
            if thought.redacted {
                if data.is_empty() {
                    return;
                }
                text.string("type", "redacted_thinking").string("data", data);
            } else {
                text.string("type", "thinking").string("thinking", &thought.text).string("signature", data);
            }
            write_notes(&mut text, &item.bag, OWN);
            blocks.push(text.finish());
        }
        ItemKind::ToolCall(call) => {
            let mut text = Object::new();
            text.string("type", "tool_use").string("id", &tool_id(&call.id)).string("name", &call.name);
            text.json("input", &arguments_object(&call.arguments, losses));
            write_notes(&mut text, &item.bag, OWN);
            blocks.push(text.finish());
        }
        ItemKind::ToolResult(_) => losses.add("messages.tool_result"),
        ItemKind::Foreign { what } => match item.bag.get(OWN, "$block") {
            Some(raw) => blocks.push(raw.text().to_owned()),
            None => losses.add(&format!("messages.{what}")),
        },
    }
}

fn text_block(words: &str, bag: &Bag) -> String {
    let mut text = Object::new();
    text.string("type", "text").string("text", words);
    write_notes(&mut text, bag, OWN);
    text.finish()
}
