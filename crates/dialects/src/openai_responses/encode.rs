//! Reply → wire reply, and the other objects of the API.

use super::{
    OWN,
    head::{self, Failure, Head, Moment, Thoughts},
    item::{self, Shape},
    response::is_own,
    types::{USAGE, WireUsage, usage_text, write_nulls},
};
use crate::{
    codec::{Encoded, ReplyContext},
    object::{self, Object, raw_of},
};
use domain::{
    Bag, Candidate, Dialect, Item, ItemKind, Losses, Raw, Reply, Usage, UsageSource, state::Status,
};

/// Writes a whole answer where nothing is known of the request but the context.
pub(super) fn reply(reply: &Reply, context: &ReplyContext<'_>) -> Encoded {
    if is_own(reply) { as_it_came(reply, context) } else { response(reply, &Head::of_context(context)) }
}

/// Writes a whole answer as a `response` object.
#[must_use]
pub fn response(reply: &Reply, head: &Head) -> Encoded {
    let mut losses = Losses::none();
    lose_outside(reply, &mut losses);
    let nothing = Candidate::default();
    let candidate = reply.candidates.first().unwrap_or(&nothing);
    let (status, incomplete) = head::ended(candidate.finish.as_ref(), head::declines(reply), &mut losses);
    let output = output(candidate, head, status, &mut losses);
    let tier = reply
        .service_tier
        .as_deref()
        .filter(|_| is_own(reply) || reply.bag.dialect() == Some(Dialect::OpenAiChat));
    let moment = Moment {
        output: &output,
        usage: reply.usage.as_ref(),
        tier,
        incomplete,
        extra: Some(&reply.bag),
        ..Moment::new(status, &reply.model)
    };
    Encoded { body: head::text(head, &moment).into_bytes(), losses }
}

/// A `response` object without a reply of a model: queued, being made, cancelled, failed. `output` is what is
/// there of it, each in the form of [`super::encode_item`].
#[must_use]
pub fn snapshot(
    head: &Head,
    status: Status,
    output: &[Raw],
    usage: Option<&Usage>,
    failure: Option<&Failure>,
) -> Raw {
    let texts: Vec<String> = output.iter().map(|raw| raw.text().to_owned()).collect();
    let moment = Moment { output: &texts, usage, failure, ..Moment::new(status, "") };
    raw_of(&head::text(head, &moment))
}

/// The answer to a count of input tokens.
#[must_use]
pub fn input_tokens(count: u64) -> Vec<u8> {
    let mut body = Object::new();
    body.string("object", "response.input_tokens").scalar("input_tokens", count);
    body.finish().into_bytes()
}

/// The answer to `POST /responses/compact`: the items that stand for the conversation from now on, each in the
/// form of [`super::encode_item`].
#[must_use]
pub fn compaction(id: &str, created_at: i64, output: &[Raw], usage: &Usage) -> Vec<u8> {
    let texts: Vec<&str> = output.iter().map(Raw::text).collect();
    let mut body = Object::new();
    body.string("id", id)
        .string("object", "response.compaction")
        .scalar("created_at", created_at)
        .json("output", &object::list(&texts))
        .json("usage", &usage_text(usage));
    body.finish().into_bytes()
}

/// What of an answer stands outside its output and has no place here.
fn lose_outside(reply: &Reply, losses: &mut Losses) {
    if reply.candidates.len() > 1 {
        losses.add("choices");
    }
    reply.bag.lose_into(OWN, "", losses);
    if let Some(candidate) = reply.candidates.first() {
        candidate.bag.lose_into(OWN, "choices", losses);
        if candidate.logprobs.as_ref().is_some_and(|raw| logprobs_list(raw).is_none()) {
            losses.add("logprobs");
        }
    }
}

/// The list in likelihoods of OpenAI's form.
pub(super) fn logprobs_list(raw: &Raw) -> Option<Vec<Raw>> {
    crate::object::Fields::of(raw, "").ok()?.list("content").ok()?
}

/// The items of an answer.
fn output(candidate: &Candidate, head: &Head, status: Status, losses: &mut Losses) -> Vec<String> {
    let custom = head.echo.custom_tools();
    let likelihoods = candidate.logprobs.as_ref().and_then(logprobs_list);
    let likelihoods: Option<String> = likelihoods.map(|list| {
        let texts: Vec<&str> = list.iter().map(Raw::text).collect();
        object::list(&texts)
    });
    let last_message = candidate.items.iter().rposition(|item| matches!(item.kind, ItemKind::Message(_)));
    let shown: Vec<(usize, &Item)> =
        candidate.items.iter().enumerate().filter(|(_, item)| is_shown(item)).collect();
    let mut texts: Vec<String> = Vec::new();
    for (at, (index, item)) in shown.iter().enumerate() {
        let cut = status == Status::Incomplete && at + 1 == shown.len();
        let is_custom = is_custom(item, &custom);
        let id = head.item_id(&item.kind, is_custom, texts.len());
        let shape = Shape {
            id: Some(&id),
            status: cut.then_some("incomplete"),
            logprobs: likelihoods.as_deref().filter(|_| Some(*index) == last_message),
            ..shape(head, is_custom)
        };
        texts.extend(item::write(item, &shape, losses));
    }
    texts
}

/// How the items of an answer are written.
pub(super) fn shape(head: &Head, custom: bool) -> Shape<'static> {
    Shape {
        encrypted: head.encrypted,
        in_content: head.thoughts == Thoughts::Content,
        custom,
        ..Shape::ANSWER
    }
}

/// Whether an item is one of a custom tool.
pub(super) fn is_custom(item: &Item, tools: &[String]) -> bool {
    match &item.kind {
        ItemKind::ToolCall(call) => tools.contains(&call.name),
        _ => false,
    }
}

/// Whether an item says anything: an empty message or thought of another dialect is only how its host begins.
pub(super) fn is_shown(item: &Item) -> bool {
    if item.bag.dialect() == Some(OWN) {
        return true;
    }
    match &item.kind {
        ItemKind::Message(said) => !said.parts.is_empty(),
        ItemKind::Reasoning(thought) => !thought.text.is_empty() || thought.signature.is_some(),
        _ => true,
    }
}

/// An answer of this dialect: everything as it came, but the model's name where the caller knows another.
fn as_it_came(reply: &Reply, context: &ReplyContext<'_>) -> Encoded {
    let mut losses = Losses::none();
    let mut texts: Vec<String> = Vec::new();
    for item in reply.candidates.iter().flat_map(|candidate| &candidate.items) {
        texts.extend(item::write(item, &Shape { seal: true, ..Shape::AS_CAME }, &mut losses));
    }
    let mut body = Object::new();
    body.string("id", &reply.id);
    if !reply.model.is_empty() || context.model.is_some() {
        body.string("model", context.model.unwrap_or(&reply.model));
    }
    if let Some(seconds) = reply.created {
        body.scalar("created_at", seconds);
    }
    body.json("output", &object::list(&texts));
    if let Some(usage) = usage(reply.usage.as_ref(), &reply.bag) {
        body.json("usage", &usage);
    }
    if let Some(tier) = &reply.service_tier {
        body.string("service_tier", tier);
    }
    for (name, raw) in reply.bag.entries() {
        if let Some(name) = name.strip_prefix("$=") {
            body.raw(name, raw);
        }
    }
    body.bag(&reply.bag, OWN);
    write_nulls(&reply.bag, &[], &mut body);
    Encoded { body: body.finish().into_bytes(), losses }
}

/// `usage` as it came where it still says the same.
fn usage(usage: Option<&Usage>, bag: &Bag) -> Option<String> {
    let as_written = bag.get(OWN, USAGE);
    match (usage.filter(|usage| usage.source != UsageSource::Unknown), as_written) {
        (Some(usage), Some(raw)) if raw.read::<WireUsage>().is_ok_and(|wire| wire.normal() == *usage) => {
            Some(raw.text().to_owned())
        }
        (Some(usage), _) => Some(usage_text(usage)),
        (None, as_written) => as_written.map(|raw| raw.text().to_owned()),
    }
}
