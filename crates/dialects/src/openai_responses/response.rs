//! Wire reply → reply. Also the object of `/responses/compact`, which is an answer without a status.

use super::{
    OWN, error, item,
    types::{USAGE, WireUsage, finish_of, noted, rest},
};
use crate::object::{Fields, Misfit, raw_of};
use domain::{Bag, Candidate, Code, Fault, Item, ItemKind, Message, Origin, Part, PartKind, Raw, Reply};

/// Members that tell something of the answer and are no repetition of the request or of the account's state.
const SAID: [&str; 2] = ["content_filters", "moderation"];

/// Reads a whole answer.
pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let fields: Fields = serde_json::from_slice(body).map_err(|error| {
        Fault::upstream(Code::UpstreamBadResponse, "the upstream's answer is not a JSON object")
            .because(&error.to_string())
    })?;
    of_fields(fields)
}

/// Reads the answer that a stream's last event holds.
pub(super) fn of_fields(mut fields: Fields) -> Result<Reply, Fault> {
    let nulls = fields.split_nulls();
    let error = fields.peek("error").cloned();
    if let Some(error) = error {
        return Err(error::fault_inside(&error));
    }
    if fields.peek("status").is_some_and(|raw| raw.text() == "\"failed\"") {
        return Err(error::fault_inside(&raw_of("{}")));
    }
    read(&mut fields).map_err(Misfit::of_upstream).map(|mut reply| {
        let bag = rest_of(fields, &nulls);
        reply.bag.merge(&bag);
        reply
    })
}

/// What is left of an answer's members: notes, where they repeat the request.
pub(super) fn rest_of(fields: Fields, nulls: &[Box<str>]) -> Bag {
    let mut bag = rest(Fields::default(), nulls);
    for (name, raw) in fields.into_iter() {
        if SAID.contains(&&*name) {
            bag.put(OWN, &name, raw);
        } else {
            bag.put(OWN, &format!("$={name}"), raw);
        }
    }
    bag
}

fn read(fields: &mut Fields) -> Result<Reply, Misfit> {
    let mut reply = Reply {
        id: fields.string("id")?.unwrap_or_default().into(),
        model: fields.string("model")?.unwrap_or_default().into(),
        created: created(fields),
        ..Reply::default()
    };
    let output = fields.list("output")?.ok_or_else(|| Misfit::new("output", "a list"))?;
    let mut candidate = Candidate::default();
    for (index, raw) in output.iter().enumerate() {
        let part = u32::try_from(index).unwrap_or(u32::MAX);
        let read = item::read(raw, Origin { message: 0, part })
            .map_err(|misfit| misfit.within(&format!("output[{index}]")))?;
        candidate.items.push(read);
    }
    candidate.logprobs = logprobs(&candidate.items);
    candidate.finish = finish(fields, &candidate.items)?;
    reply.candidates.push(candidate);
    if let Some(raw) = fields.take("usage") {
        let usage: WireUsage = raw.read().map_err(|_| Misfit::new("usage", "an object of counts"))?;
        reply.usage = Some(usage.normal());
        reply.bag.put(OWN, USAGE, raw);
    }
    reply.service_tier = fields.string("service_tier")?.map(Into::into);
    Ok(reply)
}

/// `created_at`, left where it is unless it is a whole number.
pub(super) fn created(fields: &mut Fields) -> Option<i64> {
    let seconds = fields.peek("created_at")?.read().ok()?;
    drop(fields.take("created_at"));
    Some(seconds)
}

/// Why the answer ended; status and details stay where they are.
pub(super) fn finish(fields: &Fields, items: &[Item]) -> Result<Option<domain::Finish>, Misfit> {
    let status: Option<String> = match fields.peek("status") {
        Some(raw) => Some(raw.read().map_err(|_| Misfit::new("status", "a string"))?),
        None => None,
    };
    let reason = match fields.peek("incomplete_details") {
        Some(raw) => Fields::of(raw, "incomplete_details")?.string("reason")?,
        None => None,
    };
    let calls = items.iter().any(|item| matches!(item.kind, ItemKind::ToolCall(_)));
    Ok(finish_of(status.as_deref(), reason.as_deref(), calls))
}

/// The likelihoods of all texts, in the form that chat has: `{"content": […]}`. They stay with their texts too.
pub(super) fn logprobs(items: &[Item]) -> Option<Raw> {
    let mut all: Vec<Raw> = Vec::new();
    for item in items {
        let ItemKind::Message(Message { parts, .. }) = &item.kind else { continue };
        for part in parts {
            all.extend(of_part(part));
        }
    }
    let texts: Vec<&str> = all.iter().map(Raw::text).collect();
    (!texts.is_empty()).then(|| raw_of(&format!("{{\"content\":{}}}", crate::object::list(&texts))))
}

fn of_part(part: &Part) -> Vec<Raw> {
    match part.kind {
        PartKind::Text { .. } => {
            part.bag.get(OWN, "$=logprobs").and_then(|raw| raw.read().ok()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Whether a reply came in this dialect.
pub(super) fn is_own(reply: &Reply) -> bool {
    noted(&reply.bag, "$=object").is_some()
}
