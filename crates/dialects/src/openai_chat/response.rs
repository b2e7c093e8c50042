//! Wire reply → reply.

use super::{
    OWN,
    decode::{NULLS, thinking_text},
    error, finish,
    reasoning::{self, Form},
    types::{Filled, Lenient, WireUsage},
};
use domain::{
    Bag, Candidate, Code, Fault, Finish, Item, ItemKind, Message, Origin, Part, PartKind, Raw, Reasoning,
    Reply, Role, ToolCall,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Members of an object, each as its text.
pub(super) type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Note on a reply of this dialect: the value of `object`. Tells that the id is of this dialect's form.
pub(super) const OBJECT: &str = "$object";
/// Note on a reply: `usage` as written.
pub(super) const USAGE: &str = "$usage";
/// Note on a candidate: the finish word as written, where the class alone would be written otherwise.
pub(super) const FINISH: &str = "$finish";

/// Reads a 2xx body.
pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let bad = |detail: &str| {
        Fault::upstream(
            Code::UpstreamBadResponse,
            "The upstream's answer is not the JSON object that a chat completion is.",
        )
        .because(detail)
    };
    let members: Members<'_> = serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
    let inside = || Err(error::fault_inside(&error::decode(200, body)));
    if members.get("error").is_some_and(|error| read_as::<Filled>(error).0) {
        return inside();
    }
    let Some(choices) = members.get("choices") else { return Err(bad("it has no `choices`")) };
    let choices: Vec<Members<'_>> =
        serde_json::from_str(choices.get()).map_err(|error| bad(&error.to_string()))?;
    let mut reply = Reply::default();
    for (at, choice) in choices.iter().enumerate() {
        let word = choice.get("finish_reason").and_then(|raw| read_as::<Lenient>(raw).0);
        if choice.get("error").is_some_and(|error| read_as::<Filled>(error).0)
            || word.as_deref() == Some("error")
        {
            return inside();
        }
        let candidate = candidate(at, choice).map_err(|error| bad(&error.to_string()))?;
        reply.candidates.push(candidate);
    }
    top(&members, &mut reply);
    Ok(reply)
}

fn top(members: &Members<'_>, reply: &mut Reply) {
    let mut object = Raw::from(&serde_json::Value::from("chat.completion"));
    for (name, raw) in members {
        let text = || read_as::<Lenient>(raw).0;
        match name.as_str() {
            "choices" | "error" => {}
            "id" => reply.id = text().unwrap_or_default(),
            "model" => reply.model = text().unwrap_or_default(),
            "object" => object = Raw::from(*raw),
            "created" => reply.created = serde_json::from_str(raw.get()).ok(),
            "usage" if raw.get() != "null" => {
                reply.usage = serde_json::from_str::<WireUsage>(raw.get()).ok().map(|usage| usage.normal());
                reply.bag.put(OWN, USAGE, Raw::from(*raw));
            }
            "service_tier" if text().is_some() => reply.service_tier = text(),
            name => put_or_null(&mut reply.bag, name, raw),
        }
    }
    reply.bag.put(OWN, OBJECT, object);
}

fn candidate(at: usize, choice: &Members<'_>) -> Result<Candidate, serde_json::Error> {
    let mut candidate = Candidate { index: u32::try_from(at).unwrap_or(u32::MAX), ..Candidate::default() };
    let mut word = None;
    for (name, raw) in choice {
        match name.as_str() {
            "index" => candidate.index = serde_json::from_str(raw.get()).unwrap_or(candidate.index),
            "message" => message(&serde_json::from_str(raw.get())?, &mut candidate)?,
            "finish_reason" => word = read_as::<Lenient>(raw).0,
            "logprobs" if raw.get() != "null" => candidate.logprobs = Some(Raw::from(*raw)),
            name => put_or_null(&mut candidate.bag, name, raw),
        }
    }
    let calls = candidate.items.iter().any(|item| matches!(item.kind, ItemKind::ToolCall(_)));
    candidate.finish = word.as_deref().and_then(|word| class_of(word, calls));
    if let Some(word) = word
        && candidate.finish.as_ref().map(finish::write) != Some(&*word)
    {
        candidate.bag.put(OWN, FINISH, Raw::from(&serde_json::Value::from(&*word)));
    }
    Ok(candidate)
}

/// The class of a finish word. Hosts that say `stop` although the answer asks for tools mean the tools.
pub(super) fn class_of(word: &str, calls: bool) -> Option<Finish> {
    match finish::read(word) {
        Some(Finish::Stop) if calls => Some(Finish::ToolCalls),
        finish => finish,
    }
}

#[derive(Default)]
struct Said {
    thoughts: Vec<Item>,
    details: Vec<Item>,
    parts: Vec<Part>,
    calls: Vec<Item>,
    bag: Bag,
}

fn message(members: &Members<'_>, candidate: &mut Candidate) -> Result<(), serde_json::Error> {
    let mut said = Said::default();
    let mut plain: Vec<(Form, String)> = Vec::new();
    let mut refusal = None;
    for (name, raw) in members {
        let text = read_as::<Lenient>(raw).0;
        match (name.as_str(), text) {
            ("role", _) => {}
            ("content", Some(text)) if text.is_empty() => {
                candidate.bag.put(OWN, "$=message.content", Raw::from(*raw));
            }
            ("content", Some(text)) => said.parts.push(Part::text(text, 0)),
            ("content", None) if raw.get().starts_with('[') => content_list(raw, &mut said)?,
            ("refusal", Some(text)) if !text.is_empty() => refusal = Some(text),
            ("reasoning_content", Some(text)) if !text.is_empty() => {
                plain.push((Form::Content, text.into()));
            }
            ("reasoning", Some(text)) if !text.is_empty() => plain.push((Form::Reasoning, text.into())),
            ("reasoning_details", None) if read_as::<Filled>(raw).0 => {
                let list: Vec<Raw> = serde_json::from_str(raw.get())?;
                let details = list.iter().filter_map(reasoning::from_detail);
                said.details.extend(details.map(|(kind, bag)| thought(kind, bag)));
            }
            ("tool_calls", None) if read_as::<Filled>(raw).0 => {
                let list: Vec<Members<'_>> = serde_json::from_str(raw.get())?;
                for (at, call) in list.iter().enumerate() {
                    said.calls.push(tool_call(candidate.index, at, call)?);
                }
            }
            ("annotations", None) if read_as::<Filled>(raw).0 => {
                said.bag.put(OWN, "annotations", Raw::from(*raw));
            }
            (name, _) => quiet_or_field(&mut candidate.bag, name, raw),
        }
    }
    if let Some(text) = refusal {
        let at = u32::try_from(said.parts.len()).unwrap_or(u32::MAX);
        said.parts.push(Part::new(PartKind::Refusal(text.into()), at));
    }
    let from_list = !said.details.is_empty();
    for (form, text) in plain {
        let joined = reasoning::joined(said.details.iter());
        if from_list && joined == text {
            candidate.bag.put(
                OWN,
                &format!("$joined.{}", form.name()),
                Raw::from(&serde_json::Value::Bool(true)),
            );
        } else if from_list || !said.thoughts.is_empty() {
            let raw = Raw::from(&serde_json::Value::from(text));
            candidate.bag.put(OWN, &format!("$=message.{}", form.name()), raw);
        } else {
            let mut bag = Bag::new();
            form.note(&mut bag);
            said.thoughts.push(thought(Reasoning { text, ..Reasoning::default() }, bag));
        }
    }
    finish_items(said, candidate);
    Ok(())
}

fn finish_items(mut said: Said, candidate: &mut Candidate) {
    let mut items = std::mem::take(&mut said.details);
    items.append(&mut said.thoughts);
    if said.parts.is_empty() {
        for (name, value) in said.bag.fields_for(OWN) {
            candidate.bag.put(OWN, &format!("message.{name}"), value.clone());
        }
    } else {
        let kind = ItemKind::Message(Message { role: Role::Assistant, parts: said.parts });
        items.push(Item { kind, origin: Origin::default(), bag: said.bag });
    }
    items.append(&mut said.calls);
    for (at, item) in items.iter_mut().enumerate() {
        item.origin.part = u32::try_from(at).unwrap_or(u32::MAX);
    }
    candidate.items = items;
}

fn thought(kind: Reasoning, bag: Bag) -> Item {
    Item { kind: ItemKind::Reasoning(kind), origin: Origin::default(), bag }
}

/// Mistral's content list: thoughts apart, texts joined.
fn content_list(raw: &RawValue, said: &mut Said) -> Result<(), serde_json::Error> {
    for (kind, text) in split_content(raw)? {
        match (kind, said.parts.last_mut()) {
            (Piece::Thought, _) => {
                let reasoning = Reasoning { text, ..Reasoning::default() };
                said.thoughts.push(thought(reasoning, Bag::new()));
            }
            (Piece::Text, Some(Part { kind: PartKind::Text { text: so_far, .. }, .. })) => {
                so_far.push_str(&text);
            }
            (Piece::Text, _) => said.parts.push(Part::text(text, 0)),
        }
    }
    Ok(())
}

/// What a part of a content list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Thought,
    Text,
}

/// The texts and thoughts of a content list; other parts have no text and are left out.
pub(super) fn split_content(raw: &RawValue) -> Result<Vec<(Piece, String)>, serde_json::Error> {
    let list: Vec<serde_json::Value> = serde_json::from_str(raw.get())?;
    Ok(list
        .iter()
        .filter_map(serde_json::Value::as_object)
        .filter_map(|part| match part.get("type").and_then(serde_json::Value::as_str) {
            Some("thinking") => thinking_text(part).map(|text| (Piece::Thought, text)),
            _ => part.get("text")?.as_str().map(|text| (Piece::Text, text.to_owned())),
        })
        .collect())
}

fn tool_call(candidate: u32, at: usize, call: &Members<'_>) -> Result<Item, serde_json::Error> {
    let mut bag = Bag::new();
    let mut tool =
        ToolCall { id: String::new(), name: String::new(), arguments: String::new(), signature: None };
    for (name, raw) in call {
        match name.as_str() {
            "id" => tool.id = read_as::<Lenient>(raw).0.unwrap_or_default().into(),
            "type" => {
                if raw.get() != "\"function\"" {
                    bag.put(OWN, "$type", Raw::from(*raw));
                }
            }
            "function" | "custom" if !(name == "custom" && call.contains_key("function")) => {
                let inner: Members<'_> = serde_json::from_str(raw.get())?;
                for (name, raw) in &inner {
                    match name.as_str() {
                        "name" => tool.name = read_as::<Lenient>(raw).0.unwrap_or_default().into(),
                        "arguments" | "input" => tool.arguments = arguments(raw),
                        name => put_or_null(&mut bag, &format!("function.{name}"), raw),
                    }
                }
            }
            "extra_content" => match reasoning::google_proof(&Raw::from(*raw)) {
                Some(proof) => tool.signature = Some(proof),
                None => put_or_null(&mut bag, name, raw),
            },
            name => put_or_null(&mut bag, name, raw),
        }
    }
    if tool.id.is_empty() {
        tool.id = made_up_id(candidate, at);
    }
    Ok(Item { kind: ItemKind::ToolCall(tool), origin: Origin::default(), bag })
}

/// An id for a tool call of a host that gives none: unique within the answer, the same for the same place.
pub(super) fn made_up_id(candidate: u32, at: usize) -> String {
    format!("call_{candidate}_{at}")
}

/// Arguments are a text; some hosts write the object itself.
pub(super) fn arguments(raw: &RawValue) -> String {
    match read_as::<Lenient>(raw).0 {
        Some(text) => text.into(),
        None if raw.get() == "null" => String::new(),
        None => raw.get().to_owned(),
    }
}

/// A member of a message that says nothing (`null`, `""`, `[]`) is a note, else a field.
fn quiet_or_field(bag: &mut Bag, name: &str, raw: &RawValue) {
    let prefix = if read_as::<Filled>(raw).0 { "" } else { "$=" };
    bag.put(OWN, &format!("{prefix}message.{name}"), Raw::from(raw));
    if prefix == "$=" {
        bag.append(OWN, "$quiet", &Raw::from(&serde_json::Value::from(name)));
    }
}

pub(super) fn put_or_null(bag: &mut Bag, name: &str, raw: &RawValue) {
    if raw.get() == "null" {
        bag.append(OWN, NULLS, &Raw::from(&serde_json::Value::from(name)));
    } else {
        bag.put(OWN, name, Raw::from(raw));
    }
}

/// Reads a value whose reader takes anything.
pub(super) fn read_as<T: Default + for<'a> serde::Deserialize<'a>>(raw: &RawValue) -> T {
    serde_json::from_str(raw.get()).unwrap_or_default()
}
