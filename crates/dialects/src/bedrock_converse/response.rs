//! Wire reply → reply.

use super::{
    OWN, decode, error,
    types::{WireUsage, finish_of},
};
use crate::{
    object::{Fields, Misfit, note},
    turns::{OUTPUT_TOOL, notes_of},
    wire_fault::fault_of,
};
use domain::{
    Bag, Candidate, Code, Fault, Finish, Item, ItemKind, Message, Origin, Part, Raw, Reply, Role, ToolCall,
};

/// Reads a whole answer.
pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let mut fields: Fields = serde_json::from_slice(body).map_err(|error| {
        Fault::upstream(Code::UpstreamBadResponse, "the upstream's answer is not a JSON object")
            .because(&error.to_string())
    })?;
    if fields.peek("output").is_none()
        && (fields.peek("message").is_some() || fields.peek("__type").is_some())
    {
        return Err(fault_of(&error::decode(500, body), 500));
    }
    let mut reply = read(&mut fields).map_err(Misfit::of_upstream)?;
    for (name, raw) in fields.into_iter() {
        reply.bag.put(OWN, &name, raw);
    }
    Ok(reply)
}

fn read(fields: &mut Fields) -> Result<Reply, Misfit> {
    let mut reply = Reply::default();
    let output = fields.take("output").ok_or_else(|| Misfit::new("output", "an object"))?;
    let message = Fields::of(&output, "output")?
        .take("message")
        .ok_or_else(|| Misfit::new("output.message", "an object"))?;
    let blocks = Fields::of(&message, "output.message")?.list("content")?.unwrap_or_default();
    let mut candidate = Candidate::default();
    let mut by_tool = false;
    for (index, raw) in blocks.iter().enumerate() {
        let part = u32::try_from(index).unwrap_or(u32::MAX);
        let (kind, bag, is_output) =
            block(raw).map_err(|misfit| misfit.within(&format!("output.message.content[{index}]")))?;
        by_tool |= is_output;
        candidate.items.push(Item { kind, origin: Origin { message: 0, part }, bag });
    }
    if let Some(reason) = fields.string("stopReason")? {
        let calls = candidate.items.iter().any(|item| matches!(item.kind, ItemKind::ToolCall(_)));
        let (finish, word) = finish_of(&reason, calls);
        let answered = by_tool && !calls && finish == Finish::ToolCalls;
        candidate.finish = Some(if answered { Finish::Stop } else { finish });
        if let Some(word) = word {
            candidate.bag.put(OWN, "$stop_reason", note(word));
        }
    }
    reply.candidates.push(candidate);
    if let Some(raw) = fields.take("usage") {
        let usage: WireUsage = raw.read().map_err(|_| Misfit::new("usage", "an object of counts"))?;
        reply.usage = Some(usage.normal());
        reply.bag.put(OWN, "$usage", raw);
    }
    if let Some(raw) = fields.peek("serviceTier") {
        reply.service_tier = tier_of(raw);
    }
    Ok(reply)
}

/// The tier that served the call.
pub(super) fn tier_of(raw: &Raw) -> Option<Box<str>> {
    raw.read::<Fields>().ok()?.string("type").ok()?.map(Into::into)
}

/// One block as an item; true where it is the answer that came as the input of our own tool.
fn block(raw: &Raw) -> Result<(ItemKind, Bag, bool), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    if let Some(text) = fields.string("text")? {
        return Ok((said(text), notes(fields), false));
    }
    if let Some(call) = fields.take("toolUse") {
        let mut inner = Fields::of(&call, "toolUse")?;
        if inner.peek("type").is_some_and(|what| what.text() == "\"server_tool_use\"") {
            return Ok(foreign("toolUse", raw));
        }
        let id = inner.must_string("toolUseId")?;
        let name = inner.must_string("name")?;
        let arguments = inner.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned());
        if name == OUTPUT_TOOL {
            return Ok((said(arguments), Bag::new(), true));
        }
        return Ok((
            ItemKind::ToolCall(ToolCall { id, name, arguments, signature: None }),
            notes(inner),
            false,
        ));
    }
    if let Some(thought) = fields.take("reasoningContent")
        && let Some(thought) = decode::reasoning(&thought)?
    {
        return Ok((ItemKind::Reasoning(thought), Bag::new(), false));
    }
    if let Some(cited) = fields.take("citationsContent") {
        let mut inner = Fields::of(&cited, "citationsContent")?;
        let pieces = inner.list("content")?.unwrap_or_default();
        let mut text = String::new();
        for piece in &pieces {
            text.push_str(&Fields::of(piece, "content")?.string("text")?.unwrap_or_default());
        }
        let mut bag = notes(inner);
        if pieces.len() != 1 {
            bag.put(OWN, "$block", raw.clone());
        }
        return Ok((said(text), bag, false));
    }
    let what = raw.read::<Fields>().ok().and_then(|fields| fields.into_iter().next());
    Ok(foreign(what.as_ref().map_or("block", |(name, _)| name), raw))
}

fn foreign(what: &str, raw: &Raw) -> (ItemKind, Bag, bool) {
    let mut bag = Bag::new();
    bag.put(OWN, "$block", raw.clone());
    (ItemKind::Foreign { what: what.into() }, bag, false)
}

fn notes(fields: Fields) -> Bag {
    let mut bag = Bag::new();
    for (name, value) in notes_of(fields) {
        bag.append(OWN, &name, &value);
    }
    bag
}

fn said(text: String) -> ItemKind {
    let parts = if text.is_empty() { Vec::new() } else { vec![Part::text(text, 0)] };
    ItemKind::Message(Message { role: Role::Assistant, parts })
}
