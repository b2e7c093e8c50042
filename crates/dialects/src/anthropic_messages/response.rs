//! Wire reply → reply.

use super::{
    OWN, error,
    types::{WireUsage, finish_of, waits},
};
use crate::{
    object::{Fields, Misfit, note},
    turns::{OUTPUT_TOOL, notes_of},
    wire_fault::fault_of,
};
use domain::{
    Bag, Candidate, Code, Fault, Finish, Item, ItemKind, Message, Origin, Part, Raw, Reasoning, Reply, Role,
    Signature, ToolCall,
};

/// Reads a whole answer.
pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let mut fields: Fields = serde_json::from_slice(body).map_err(|error| {
        Fault::upstream(Code::UpstreamBadResponse, "the upstream's answer is not a JSON object")
            .because(&error.to_string())
    })?;
    if fields.peek("error").is_some() && fields.peek("content").is_none() {
        let said = error::decode(500, body);
        let status = error::status_of(said.code.as_deref().unwrap_or_default());
        return Err(fault_of(&said, status));
    }
    read(&mut fields).map_err(Misfit::of_upstream).map(|mut reply| {
        for (name, raw) in fields.into_iter() {
            if !matches!(&*name, "type" | "role") {
                reply.bag.put(OWN, &name, raw);
            }
        }
        reply
    })
}

fn read(fields: &mut Fields) -> Result<Reply, Misfit> {
    let mut reply = Reply {
        id: fields.string("id")?.unwrap_or_default().into(),
        model: fields.string("model")?.unwrap_or_default().into(),
        ..Reply::default()
    };
    let blocks = fields.list("content")?.ok_or_else(|| Misfit::new("content", "a list"))?;
    let mut candidate = Candidate::default();
    let (mut output_only, mut calls, mut waiting) = (false, false, false);
    for (index, raw) in blocks.iter().enumerate() {
        let part = u32::try_from(index).unwrap_or(u32::MAX);
        let (kind, bag, is_output) =
            block(raw).map_err(|misfit| misfit.within(&format!("content[{index}]")))?;
        output_only |= is_output;
        if matches!(kind, ItemKind::ToolCall(_)) {
            calls = true;
            waiting |= waits(Fields::of(raw, "")?.peek("caller"));
        }
        candidate.items.push(Item { kind, origin: Origin { message: 0, part }, bag });
    }
    let sequence = fields.string("stop_sequence")?;
    if let Some(reason) = fields.string("stop_reason")? {
        let (finish, word) = finish_of(&reason, sequence.as_deref(), waiting);
        let answered = output_only && !calls && finish == Finish::ToolCalls;
        candidate.finish = Some(if answered { Finish::Stop } else { finish });
        if let Some(word) = word {
            candidate.bag.put(OWN, "$stop_reason", note(word));
        }
    }
    reply.candidates.push(candidate);
    if let Some(raw) = fields.take("usage") {
        let usage: WireUsage = raw.read().map_err(|_| Misfit::new("usage", "an object of counts"))?;
        reply.usage = Some(usage.normal());
        reply.service_tier = usage.service_tier;
        reply.bag.put(OWN, "$usage", raw);
    }
    Ok(reply)
}

/// One block as an item; true where it is the answer that came as the input of our own tool.
fn block(raw: &Raw) -> Result<(ItemKind, Bag, bool), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let what = fields.must_string("type")?;
    let mut is_output = false;
    let kind = match what.as_str() {
        "text" => said(fields.must_string("text")?),
        "thinking" => ItemKind::Reasoning(Reasoning {
            text: fields.string("thinking")?.unwrap_or_default(),
            signature: fields
                .string("signature")?
                .filter(|data| !data.is_empty())
                .map(|data| Signature { dialect: OWN, data: data.into() }),
            redacted: false,
        }),
        "redacted_thinking" => ItemKind::Reasoning(Reasoning {
            text: String::new(),
            signature: Some(Signature { dialect: OWN, data: fields.must_string("data")?.into() }),
            redacted: true,
        }),
        "tool_use" => {
            let id = fields.must_string("id")?;
            let name = fields.must_string("name")?;
            let arguments = fields.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned());
            if name == OUTPUT_TOOL {
                is_output = true;
                said(arguments)
            } else {
                ItemKind::ToolCall(ToolCall { id, name, arguments, signature: None })
            }
        }
        _ => {
            let mut bag = Bag::new();
            bag.put(OWN, "$block", raw.clone());
            return Ok((ItemKind::Foreign { what: what.into() }, bag, false));
        }
    };
    let mut bag = Bag::new();
    if !is_output {
        for (name, value) in notes_of(fields) {
            bag.append(OWN, &name, &value);
        }
    }
    Ok((kind, bag, is_output))
}

fn said(text: String) -> ItemKind {
    let parts = if text.is_empty() { Vec::new() } else { vec![Part::text(text, 0)] };
    ItemKind::Message(Message { role: Role::Assistant, parts })
}
