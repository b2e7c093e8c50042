//! Messages and their parts → turns and items.

use super::{note_null, put, raw};
use crate::{
    openai_chat::{
        OWN,
        reasoning::{self, Form},
    },
    scan::{Bad, Cursor, Kind},
};
use domain::{
    Bag, Call, Item, ItemKind, Media, MediaSource, Message, Origin, Part, PartKind, Raw, Reasoning, Role,
    Signature, ToolCall, ToolResult, Turn,
};

/// Reads `messages`.
pub(super) fn read(cursor: &mut Cursor<'_>, call: &mut Call) -> Result<(), Bad> {
    let from = cursor.at();
    cursor.array(|cursor, index| {
        let index = u32::try_from(index).map_err(|_| Bad::request(from, "has too many messages"))?;
        message(cursor, index, call)
    })?;
    if call.turns.is_empty() {
        return Err(Bad::request(from, "must have at least one message"));
    }
    Ok(())
}

/// What stands in one wire message, before the role tells what it is.
#[derive(Default)]
struct Read {
    role: Option<Role>,
    name: Option<Box<str>>,
    bag: Bag,
    content: Option<Vec<Part>>,
    thinking: Vec<Item>,
    details: Vec<(Reasoning, Bag)>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
    proof: Option<Signature>,
    tool_calls: Vec<Item>,
    tool_call_id: Option<String>,
}

fn message(cursor: &mut Cursor<'_>, index: u32, call: &mut Call) -> Result<(), Bad> {
    let from = cursor.at();
    let mut read = Read::default();
    cursor.object(|cursor, key| {
        if cursor.peek()? == Kind::Null {
            cursor.skip()?;
            note_null(&mut read.bag, &key.name);
            return Ok(());
        }
        member(cursor, &key.name, index, &mut read)
    })?;
    let role = read.role.ok_or(Bad::request(from, "lacks `role`"))?;
    let items = match role {
        Role::Tool => tool_message(from, index, &mut read)?,
        Role::Assistant => assistant_message(index, &mut read),
        Role::System | Role::Developer | Role::User => {
            let Some(parts) = read.content.take() else {
                return Err(Bad::request(from, "lacks `content`"));
            };
            let mut items = std::mem::take(&mut read.thinking);
            items.push(said(role, parts, index));
            items
        }
    };
    call.items.extend(items);
    call.turns.push(Turn { role, name: read.name, bag: read.bag });
    Ok(())
}

fn member(cursor: &mut Cursor<'_>, name: &str, index: u32, read: &mut Read) -> Result<(), Bad> {
    match (name, cursor.peek()?) {
        ("role", _) => {
            let from = cursor.at();
            read.role = Some(match &*cursor.string()? {
                "system" => Role::System,
                "developer" => Role::Developer,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "tool" => Role::Tool,
                _ => {
                    return Err(Bad::request(
                        from,
                        "must be `system`, `developer`, `user`, `assistant` or `tool`",
                    ));
                }
            });
        }
        ("name", _) => read.name = Some(cursor.string()?.into()),
        ("tool_call_id", _) => read.tool_call_id = Some(cursor.string()?.into_owned()),
        ("content", Kind::String) => {
            let text = cursor.string()?.into_owned();
            read.content = Some(vec![Part::text(text, 0)]);
        }
        ("content", Kind::Array) => {
            put(&mut read.bag, "$content", "list");
            let mut parts = Vec::new();
            cursor.array(|cursor, at| part(cursor, index, at, &mut parts, &mut read.thinking))?;
            read.content = Some(parts);
        }
        ("content", _) => return Err(Bad::request(cursor.at(), "must be a text or a list of parts")),
        ("tool_calls", Kind::Array) => {
            cursor.array(|cursor, at| {
                read.tool_calls.push(tool_call(cursor, index, at)?);
                Ok(())
            })?;
            if read.tool_calls.is_empty() {
                put(&mut read.bag, "$=tool_calls", &[(); 0]);
            }
        }
        ("tool_calls", _) => return Err(Bad::request(cursor.at(), "must be a list")),
        ("refusal", Kind::String) => read.refusal = Some(cursor.string()?.into_owned()),
        ("reasoning_content", Kind::String) => read.reasoning_content = Some(cursor.string()?.into_owned()),
        ("reasoning", Kind::String) => read.reasoning = Some(cursor.string()?.into_owned()),
        ("reasoning_details", Kind::Array) => {
            let whole = raw(cursor)?;
            let list = whole.read::<Vec<Raw>>().unwrap_or_default();
            let details: Vec<_> = list.iter().filter_map(reasoning::from_detail).collect();
            if details.len() == list.len() && !list.is_empty() {
                read.details = details;
            } else {
                read.bag.put(OWN, "reasoning_details", whole);
            }
        }
        ("extra_content", _) => {
            let value = raw(cursor)?;
            match reasoning::google_proof(&value) {
                Some(proof) => read.proof = Some(proof),
                None => read.bag.put(OWN, name, value),
            }
        }
        _ => {
            let value = raw(cursor)?;
            read.bag.put(OWN, name, value);
        }
    }
    Ok(())
}

fn said(role: Role, parts: Vec<Part>, index: u32) -> Item {
    Item::new(ItemKind::Message(Message { role, parts }), Origin { message: index, part: 0 })
}

fn tool_message(from: usize, index: u32, read: &mut Read) -> Result<Vec<Item>, Bad> {
    let Some(call_id) = read.tool_call_id.take().filter(|id| !id.is_empty()) else {
        return Err(Bad::request(
            from,
            "has the role `tool` and lacks `tool_call_id`: the id of the tool call that it answers",
        ));
    };
    let result = ToolResult {
        call_id,
        name: read.name.as_deref().map(str::to_owned),
        parts: read.content.take().unwrap_or_default(),
        is_error: None,
    };
    Ok(vec![Item::new(ItemKind::ToolResult(result), Origin { message: index, part: 0 })])
}

fn assistant_message(index: u32, read: &mut Read) -> Vec<Item> {
    let origin = Origin { message: index, part: 0 };
    let mut items = Vec::new();
    if let Some(id) = read.tool_call_id.take() {
        put(&mut read.bag, "tool_call_id", &id);
    }
    let plain = [(Form::Content, read.reasoning_content.take()), (Form::Reasoning, read.reasoning.take())];
    for (kind, bag) in std::mem::take(&mut read.details) {
        items.push(Item { kind: ItemKind::Reasoning(kind), origin, bag });
    }
    for (form, text) in plain {
        let Some(text) = text else { continue };
        if items.is_empty() {
            let mut bag = Bag::new();
            form.note(&mut bag);
            items.push(Item { kind: ItemKind::Reasoning(thought(text)), origin, bag });
        } else if text == reasoning::joined(items.iter()) {
            // The same text a second time, for clients that do not know the list.
            put(&mut read.bag, &format!("$joined.{}", form.name()), &true);
        } else {
            put(&mut read.bag, form.name(), &text);
        }
    }
    items.append(&mut read.thinking);
    let mut parts = read.content.take();
    if let Some(proof) = read.proof.take() {
        match parts.as_mut().and_then(|parts| parts.last_mut()).map(|part| &mut part.kind) {
            Some(PartKind::Text { signature, .. }) => *signature = Some(proof),
            _ => read.bag.put(OWN, "extra_content", reasoning::google_extra(&proof)),
        }
    }
    if let Some(refusal) = read.refusal.take() {
        if parts.is_none() {
            put(&mut read.bag, "$content", "none");
        }
        let parts = parts.get_or_insert_default();
        let at = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut part = Part::new(PartKind::Refusal(refusal), at);
        put(&mut part.bag, "$member", &true);
        parts.push(part);
    }
    if let Some(parts) = parts {
        items.push(said(Role::Assistant, parts, index));
    }
    items.append(&mut read.tool_calls);
    items
}

fn thought(text: String) -> Reasoning {
    Reasoning { text, signature: None, redacted: false }
}

fn tool_call(cursor: &mut Cursor<'_>, message: u32, at: usize) -> Result<Item, Bad> {
    let from = cursor.at();
    let mut bag = Bag::new();
    let (mut id, mut name, mut signature) = (None, None, None);
    let mut arguments = None;
    let mut kind = None;
    cursor.object(|cursor, key| match (&*key.name, cursor.peek()?) {
        ("id", Kind::String) => {
            id = Some(cursor.string()?.into_owned());
            Ok(())
        }
        ("type", Kind::String) => {
            kind = Some(cursor.string()?.into_owned());
            Ok(())
        }
        ("function" | "custom", Kind::Object) => cursor
            .object(|cursor, key| {
                match (&*key.name, cursor.peek()?) {
                    ("name", Kind::String) => name = Some(cursor.string()?.into_owned()),
                    ("arguments" | "input", Kind::String) => arguments = Some(cursor.string()?.into_owned()),
                    ("arguments", Kind::Object) => {
                        put(&mut bag, "$arguments", "object");
                        arguments = Some(raw(cursor)?.text().to_owned());
                    }
                    (name, Kind::Null) => {
                        note_null(&mut bag, &format!("function.{name}"));
                        cursor.skip()?;
                    }
                    (name, _) => {
                        let value = raw(cursor)?;
                        bag.put(OWN, &format!("function.{name}"), value);
                    }
                }
                Ok(())
            })
            .map(drop),
        ("extra_content", Kind::Object) => {
            let value = raw(cursor)?;
            match reasoning::google_proof(&value) {
                Some(proof) => signature = Some(proof),
                None => bag.put(OWN, "extra_content", value),
            }
            Ok(())
        }
        (name, Kind::Null) => {
            note_null(&mut bag, name);
            cursor.skip().map(drop)
        }
        (name, _) => {
            let value = raw(cursor)?;
            bag.put(OWN, name, value);
            Ok(())
        }
    })?;
    match kind.as_deref() {
        Some("function") => {}
        Some("custom") => put(&mut bag, "$type", "custom"),
        None => put(&mut bag, "$type", "none"),
        Some(_) => return Err(Bad::request(from, "has a `type` other than `function` and `custom`")),
    }
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Bad::request(from, "lacks `function.name`"));
    };
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        return Err(Bad::request(from, "lacks `id`"));
    };
    if arguments.is_none() {
        put(&mut bag, "$arguments", "none");
    }
    let call = ToolCall { id, name, arguments: arguments.unwrap_or_default(), signature };
    let part = u32::try_from(at).unwrap_or(u32::MAX);
    Ok(Item { kind: ItemKind::ToolCall(call), origin: Origin { message, part }, bag })
}

fn part(
    cursor: &mut Cursor<'_>,
    message: u32,
    at: usize,
    parts: &mut Vec<Part>,
    thinking: &mut Vec<Item>,
) -> Result<(), Bad> {
    let from = cursor.at();
    let index = u32::try_from(at).unwrap_or(u32::MAX);
    if cursor.peek()? != Kind::Object {
        return Err(Bad::request(from, "must be an object with a `type`"));
    }
    let block = raw(cursor)?;
    let serde_json::Value::Object(mut object) = block.value() else {
        return Err(Bad::request(from, "must be an object with a `type`"));
    };
    let Some(serde_json::Value::String(kind)) = object.remove("type") else {
        return Err(Bad::request(from, "lacks `type`"));
    };
    let read = match kind.as_str() {
        "text" => text_of(&mut object, "text").map(|text| PartKind::Text { text, signature: None }),
        "refusal" => text_of(&mut object, "refusal").map(PartKind::Refusal),
        "image_url" | "video_url" | "input_audio" | "file" => {
            return media_part(from, &kind, object, &block, index).map(|part| parts.push(part));
        }
        "thinking" => {
            let (Some(text), rest) = (thinking_text(&object), &mut object) else {
                return Err(Bad::request(from, "of type `thinking` lacks `thinking`"));
            };
            rest.remove("thinking");
            let mut bag = Bag::new();
            Form::Thinking.note(&mut bag);
            put_rest(&mut bag, "", rest);
            thinking.push(Item {
                kind: ItemKind::Reasoning(thought(text)),
                origin: Origin { message, part: index },
                bag,
            });
            return Ok(());
        }
        _ => {
            let mut part = Part::new(PartKind::Foreign { what: kind.as_str().into() }, index);
            part.bag.put(OWN, "$block", block);
            parts.push(part);
            return Ok(());
        }
    };
    let Some(read) = read else {
        return Err(Bad::request(from, "lacks the text that its type promises"));
    };
    let mut part = Part::new(read, index);
    put_rest(&mut part.bag, "", &object);
    parts.push(part);
    Ok(())
}

type Members = serde_json::Map<String, serde_json::Value>;

fn text_of(object: &mut Members, name: &str) -> Option<String> {
    match object.remove(name) {
        Some(serde_json::Value::String(text)) => Some(text),
        _ => None,
    }
}

fn put_rest(bag: &mut Bag, prefix: &str, rest: &Members) {
    for (name, value) in rest {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_null() {
            note_null(bag, &name);
        } else {
            bag.put(OWN, &name, Raw::from(value));
        }
    }
}

/// The text of Mistral's `thinking`: a list of text parts, or a text.
pub(in crate::openai_chat) fn thinking_text(object: &Members) -> Option<String> {
    match object.get("thinking")? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(list) => Some(
            list.iter().filter_map(|part| part.get("text").and_then(serde_json::Value::as_str)).collect(),
        ),
        _ => None,
    }
}

fn media_part(from: usize, kind: &str, mut object: Members, block: &Raw, index: u32) -> Result<Part, Bad> {
    let mut bag = Bag::new();
    let inner = object.remove(kind);
    put_rest(&mut bag, "", &object);
    let mut inner = match inner {
        Some(serde_json::Value::Object(inner)) => inner,
        Some(serde_json::Value::String(url)) if kind.ends_with("_url") => {
            put(&mut bag, "$text", &true);
            Members::from_iter([("url".to_owned(), url.into())])
        }
        _ => return Err(Bad::request(from, "lacks the object that its type promises")),
    };
    let part = match kind {
        "image_url" | "video_url" => {
            let Some(url) = text_of(&mut inner, "url") else {
                return Err(Bad::request(from, "lacks `url`"));
            };
            let media = media_of_url(url, &mut bag);
            if kind == "image_url" { PartKind::Image(media) } else { PartKind::Video(media) }
        }
        "input_audio" => {
            let (Some(data), Some(format)) = (text_of(&mut inner, "data"), text_of(&mut inner, "format"))
            else {
                return Err(Bad::request(from, "needs `data` and `format`"));
            };
            let mime = if format == "mp3" { "audio/mpeg".to_owned() } else { format!("audio/{format}") };
            PartKind::Audio(Media {
                source: MediaSource::Base64(data.into()),
                mime: Some(mime.into()),
                name: None,
            })
        }
        _ => {
            let name = text_of(&mut inner, "filename").map(Into::into);
            match (text_of(&mut inner, "file_id"), text_of(&mut inner, "file_data")) {
                (Some(id), None) => {
                    PartKind::Document(Media { source: MediaSource::FileId(id.into()), mime: None, name })
                }
                (None, Some(data)) => {
                    let media = media_of_url(data, &mut bag);
                    PartKind::Document(Media { name, ..media })
                }
                _ => {
                    let mut part = Part::new(PartKind::Foreign { what: "file".into() }, index);
                    part.bag.put(OWN, "$block", block.clone());
                    return Ok(part);
                }
            }
        }
    };
    put_rest(&mut bag, kind, &inner);
    Ok(Part { kind: part, index, bag })
}

/// A `data:` URL as its bytes, anything else as a URL. What a rewritten head would lose is noted.
fn media_of_url(url: String, bag: &mut Bag) -> Media {
    let Some((head, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
        return Media { source: MediaSource::Url(url.into()), mime: None, name: None };
    };
    let bare = head.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mime = if bare == "image/jpg" { "image/jpeg".to_owned() } else { bare };
    if mime != head {
        put(bag, "$head", head);
    }
    Media { source: MediaSource::Base64(data.into()), mime: Some(mime.into()), name: None }
}
