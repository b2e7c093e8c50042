//! One item of a conversation ↔ its wire object, in both directions of the API.

use super::{
    OWN, part, proof,
    types::{BLOCK, CONTENT, ID, STATUS, TYPE, noted, put_note, rest, type_of, write_nulls},
};
use crate::object::{Fields, Misfit, Object, quoted, raw_of};
use domain::{
    Bag, Dialect, Fault, Item, ItemKind, Losses, Message, Origin, Part, PartKind, Raw, Reasoning, Role,
    ToolCall, ToolResult,
};

/// Note on a reasoning item: `summary` as written.
pub(super) const SUMMARY: &str = "$summary";
/// Note on a reasoning item: `content` as written.
pub(super) const THOUGHT: &str = "$thought";
/// Between the parts of a summary, where one text is wanted.
pub(super) const BREAK: &str = "\n\n";
/// Wire type of an item that another dialect's answer left, in the form for storing.
const KEPT: &str = "cabotage:kept";
/// Member for what another dialect's bag holds, in the form for storing.
const KEPT_BAG: &str = "cabotage_bag";

/// Reads one item in the form of the Responses and Conversations APIs (which is that of Open Responses), and
/// the form in which [`encode_item`] stores items of other dialects.
///
/// # Errors
/// `invalid_request` that names the member.
pub fn decode_item(json: &Raw) -> Result<Item, Fault> {
    read(json, Origin::default()).map_err(Misfit::of_caller)
}

/// Writes one item whole: with `id` where it has none of its own, a status, and every member that the API
/// demands of an item in a response or conversation. What only another dialect knows is stored in members of
/// ours (`cabotage_bag`, items of the type `cabotage:kept`) and read back by [`decode_item`], so a stored item
/// loses nothing.
#[must_use]
pub fn encode_item(item: &Item, id: &str) -> Raw {
    let shape = Shape { id: Some(id), store: true, ..Shape::ANSWER };
    raw_of(&write(item, &shape, &mut Losses::none()).unwrap_or_else(|| String::from("null")))
}

/// The id that an item came with.
#[must_use]
pub fn item_id(item: &Item) -> Option<String> {
    match item.bag.get(OWN, BLOCK) {
        Some(block) => Fields::of(block, "").ok()?.string("id").ok()?,
        None => noted(&item.bag, ID),
    }
}

/// The id that an item stands for, where it is an `item_reference`: whoever keeps state puts that item in its
/// place; encoders refuse a call that still has one.
#[must_use]
pub fn reference(item: &Item) -> Option<String> {
    match &item.kind {
        ItemKind::Foreign { what } if &**what == "item_reference" => item_id(item),
        _ => None,
    }
}

// === reading ===

/// Reads one item.
pub(super) fn read(raw: &Raw, origin: Origin) -> Result<Item, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let nulls = fields.split_nulls();
    let what = match type_of(&fields) {
        Some(what) => what,
        None if fields.peek("role").is_some() => String::from("message"),
        None if fields.peek("id").is_some() => String::from("item_reference"),
        None => return Err(Misfit::new("type", "the type of an item")),
    };
    let mut notes = Bag::new();
    if fields.take("type").is_none() {
        put_note(&mut notes, TYPE, "absent");
    }
    let kept = fields.take(KEPT_BAG);
    let kind = match what.as_str() {
        "message" => message(&mut fields, &mut notes)?,
        "reasoning" => reasoning(&mut fields, &mut notes)?,
        "function_call" | "custom_tool_call" => tool_call(&what, &mut fields, &mut notes)?,
        "function_call_output" | "custom_tool_call_output" if fields.peek("call_id").is_some() => {
            tool_result(&what, &mut fields, &mut notes)?
        }
        KEPT => return kept_item(&mut fields, origin),
        _ => None,
    };
    let Some(kind) = kind else {
        let mut bag = Bag::new();
        bag.put(OWN, BLOCK, raw.clone());
        return Ok(Item { kind: ItemKind::Foreign { what: what.into() }, origin, bag });
    };
    if let Some(kept) = kept.as_ref().and_then(read_bag) {
        return Ok(Item { kind, origin, bag: kept });
    }
    for (name, own) in [(ID, "id"), (STATUS, "status")] {
        if let Some(raw) = fields.take(own) {
            notes.put(OWN, name, raw);
        }
    }
    let mut bag = rest(fields, &nulls);
    bag.merge(&notes);
    Ok(Item { kind, origin, bag })
}

fn message(fields: &mut Fields, notes: &mut Bag) -> Result<Option<ItemKind>, Misfit> {
    let role = match fields.peek("role").and_then(|raw| raw.read::<String>().ok()).as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        // These stand in the schema and nowhere else.
        Some("critic" | "discriminator" | "tool" | "unknown") => return Ok(None),
        Some(_) | None => return Err(Misfit::new("role", "`user`, `assistant`, `system` or `developer`")),
    };
    drop(fields.take("role"));
    let content =
        fields.take("content").ok_or_else(|| Misfit::new("content", "a string or a list of parts"))?;
    let mut parts = content_of(&content, role, notes).map_err(|misfit| misfit.within("content"))?;
    if let Some(sealed) = fields.string(proof::MEMBER)?
        && let Some(Part { kind: PartKind::Text { signature, .. }, .. }) = parts.last_mut()
    {
        *signature = Some(proof::unseal(sealed).0);
    }
    Ok(Some(ItemKind::Message(Message { role, parts })))
}

fn content_of(raw: &Raw, role: Role, notes: &mut Bag) -> Result<Vec<Part>, Misfit> {
    if raw.text().starts_with('"') {
        put_note(notes, CONTENT, "string");
        let text: String = raw.read().map_err(|_| Misfit::new("", "a string"))?;
        return Ok(vec![Part::text(text, 0)]);
    }
    let list: Vec<Raw> = raw.read().map_err(|_| Misfit::new("", "a string or a list of parts"))?;
    part::read_all(&list, role)
}

fn reasoning(fields: &mut Fields, notes: &mut Bag) -> Result<Option<ItemKind>, Misfit> {
    let mut text = String::new();
    for (name, noted, separator) in [("summary", SUMMARY, BREAK), ("content", THOUGHT, "")] {
        let Some(raw) = fields.take(name) else { continue };
        let list: Vec<Raw> = raw.read().map_err(|_| Misfit::new(name, "a list"))?;
        let texts: Vec<String> =
            list.iter().filter_map(|part| Fields::of(part, "").ok()?.string("text").ok()?).collect();
        if !texts.is_empty() {
            // The thought itself is more than its summary.
            text = texts.join(separator);
        }
        notes.put(OWN, noted, raw);
    }
    let sealed = fields.string("encrypted_content")?.map(proof::unseal);
    let redacted = match &sealed {
        Some((_, said)) => said.unwrap_or(text.is_empty()),
        None => false,
    };
    let signature = sealed.map(|(signature, _)| signature);
    Ok(Some(ItemKind::Reasoning(Reasoning { text, signature, redacted })))
}

fn tool_call(what: &str, fields: &mut Fields, notes: &mut Bag) -> Result<Option<ItemKind>, Misfit> {
    let custom = what == "custom_tool_call";
    if custom {
        put_note(notes, TYPE, what);
    }
    Ok(Some(ItemKind::ToolCall(ToolCall {
        id: fields.must_string("call_id")?,
        name: fields.must_string("name")?,
        arguments: fields.must_string(if custom { "input" } else { "arguments" })?,
        signature: fields.string(proof::MEMBER)?.map(|sealed| proof::unseal(sealed).0),
    })))
}

fn tool_result(what: &str, fields: &mut Fields, notes: &mut Bag) -> Result<Option<ItemKind>, Misfit> {
    if what == "custom_tool_call_output" {
        put_note(notes, TYPE, what);
    }
    let output = fields.take("output").ok_or_else(|| Misfit::new("output", "a string or a list of parts"))?;
    Ok(Some(ItemKind::ToolResult(ToolResult {
        call_id: fields.must_string("call_id")?,
        name: fields.string("name")?,
        parts: content_of(&output, Role::Tool, notes).map_err(|misfit| misfit.within("output"))?,
        is_error: fields.read("cabotage_is_error", "true or false")?,
    })))
}

fn kept_item(fields: &mut Fields, origin: Origin) -> Result<Item, Misfit> {
    let what = fields.must_string("what")?;
    let bag = fields.take("bag").as_ref().and_then(read_bag).unwrap_or_default();
    Ok(Item { kind: ItemKind::Foreign { what: what.into() }, origin, bag })
}

/// `{"dialect": …, "fields": {…}}` as a bag.
fn read_bag(raw: &Raw) -> Option<Bag> {
    let mut fields = Fields::of(raw, "").ok()?;
    let name = fields.string("dialect").ok()??;
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)?;
    let mut bag = Bag::new();
    for (name, value) in Fields::of(&fields.take("fields")?, "").ok()?.into_iter() {
        bag.put(dialect, &name, value);
    }
    Some(bag)
}

fn bag_text(bag: &Bag) -> Option<String> {
    let dialect = bag.dialect()?;
    let mut fields = Object::new();
    for (name, value) in bag.entries() {
        fields.raw(name, value);
    }
    let mut text = Object::new();
    text.string("dialect", dialect.name()).json("fields", &fields.finish());
    Some(text.finish())
}

// === writing ===

/// How an item is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    /// The id where the item has none of its own; `None`: no id is made up.
    pub(super) id: Option<&'a str>,
    /// The status in place of the item's own, or where it has none.
    pub(super) status: Option<&'a str>,
    /// Whether the item's own id and status are written; calls, results and messages go to a host that keeps
    /// nothing without them.
    pub(super) own_ids: bool,
    /// Every member that the API demands in an answer.
    pub(super) full: bool,
    /// The form for storing: what only another dialect knows goes into members of ours.
    pub(super) store: bool,
    /// Whether foreign proofs are sealed for the caller; else they are losses.
    pub(super) seal: bool,
    /// Whether encrypted thoughts are shown.
    pub(super) encrypted: bool,
    /// Where a thought's text goes that came from elsewhere.
    pub(super) in_content: bool,
    /// The call is one of a custom tool; its input is in `arguments`, perhaps wrapped as `{"input": …}`.
    pub(super) custom: bool,
    /// The list of likelihoods of a message whose text has none of its own.
    pub(super) logprobs: Option<&'a str>,
}

impl Shape<'_> {
    /// In an answer to the caller.
    pub(super) const ANSWER: Self = Self {
        id: None,
        status: None,
        own_ids: true,
        full: true,
        store: false,
        seal: true,
        encrypted: true,
        in_content: false,
        custom: false,
        logprobs: None,
    };
    /// In a request, as it came.
    pub(super) const AS_CAME: Self = Self { full: false, seal: false, ..Self::ANSWER };
}

/// Writes an item; `None`, with its loss, where the dialect has no word for it.
pub(super) fn write(item: &Item, shape: &Shape<'_>, losses: &mut Losses) -> Option<String> {
    if let Some(block) = item.bag.get(OWN, BLOCK) {
        return Some(block.text().to_owned());
    }
    let foreign_bag = item.bag.dialect().is_some_and(|dialect| dialect != OWN);
    let mut object = Object::new();
    match &item.kind {
        ItemKind::Message(said) => write_message(item, said, shape, &mut object, losses),
        ItemKind::Reasoning(thought) => write_reasoning(item, thought, shape, &mut object, losses),
        ItemKind::ToolCall(call) => write_call(item, call, shape, &mut object, losses),
        ItemKind::ToolResult(result) => write_result(item, result, shape, &mut object, losses),
        ItemKind::Foreign { what } if shape.store => {
            object.string("type", KEPT).string("what", what);
            if let Some(id) = shape.id {
                object.string("id", id);
            }
            if let Some(bag) = bag_text(&item.bag) {
                object.json("bag", &bag);
            }
            return Some(object.finish());
        }
        ItemKind::Foreign { what } => {
            losses.add(&format!("messages.{what}"));
            return None;
        }
    }
    if foreign_bag {
        match bag_text(&item.bag).filter(|_| shape.store) {
            Some(text) => {
                object.json(KEPT_BAG, &text);
            }
            None => item.bag.lose_into(OWN, "messages", losses),
        }
    }
    object.bag(&item.bag, OWN);
    let skip: &[&str] = if shape.own_ids { &[] } else { &["id", "status"] };
    let skip = if shape.full { &["id", "status", "content", "encrypted_content"] } else { skip };
    write_nulls(&item.bag, skip, &mut object);
    Some(object.finish())
}

/// `type`, `id` and `status`.
fn write_head(item: &Item, what: &str, shape: &Shape<'_>, object: &mut Object) {
    if noted(&item.bag, TYPE).as_deref() != Some("absent") || shape.full {
        object.string("type", what);
    }
    let own_id = noted(&item.bag, ID).filter(|_| shape.own_ids || what == "reasoning");
    if let Some(id) = own_id.as_deref().or(shape.id) {
        object.string("id", id);
    }
    let own_status = noted(&item.bag, STATUS).filter(|_| shape.own_ids);
    match (shape.status, own_status) {
        (Some(status), _) => object.string("status", status),
        (None, Some(status)) => object.string("status", &status),
        (None, None) if shape.full && what != "reasoning" => object.string("status", "completed"),
        _ => object,
    };
}

fn write_message(item: &Item, said: &Message, shape: &Shape<'_>, object: &mut Object, losses: &mut Losses) {
    write_head(item, "message", shape, object);
    let role = match said.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    };
    object.string("role", role);
    let as_text = noted(&item.bag, CONTENT).is_some() || (item.bag.dialect() != Some(OWN) && !shape.full);
    match said.parts.as_slice() {
        [Part { kind: PartKind::Text { text, .. }, bag, .. }] if as_text && !shape.full && bag.is_empty() => {
            object.string("content", text);
        }
        parts => {
            let form = part::Form { role: said.role, full: shape.full, logprobs: shape.logprobs };
            object.json("content", &part::write_all(parts, form, losses));
        }
    }
    let proof = said.parts.iter().rev().find_map(|part| match &part.kind {
        PartKind::Text { signature, .. } => signature.as_ref(),
        _ => None,
    });
    if let Some(proof) = proof {
        if shape.seal {
            object.string(proof::MEMBER, &proof::seal(proof, false));
        } else {
            losses.add("reasoning.signature");
        }
    }
}

fn write_reasoning(
    item: &Item,
    thought: &Reasoning,
    shape: &Shape<'_>,
    object: &mut Object,
    losses: &mut Losses,
) {
    write_head(item, "reasoning", shape, object);
    let own = |name: &str| item.bag.get(OWN, name);
    match (own(SUMMARY), own(THOUGHT)) {
        (None, None) if item.bag.dialect() != Some(OWN) => {
            let list = |what: &str| {
                if thought.text.is_empty() {
                    return String::from("[]");
                }
                format!("[{{\"type\":\"{what}\",\"text\":{}}}]", quoted(&thought.text))
            };
            if shape.in_content {
                object.json("summary", "[]").json("content", &list("reasoning_text"));
            } else {
                object.json("summary", &list("summary_text"));
            }
        }
        (summary, content) => {
            match summary {
                Some(raw) => object.raw("summary", raw),
                None if shape.full => object.json("summary", "[]"),
                None => object,
            };
            if let Some(raw) = content {
                object.raw("content", raw);
            }
        }
    }
    match &thought.signature {
        Some(proof) if proof.dialect != OWN && !shape.seal => losses.add("reasoning.signature"),
        Some(proof) if shape.encrypted => {
            object.string("encrypted_content", &proof::seal(proof, thought.redacted));
        }
        _ => {}
    }
}

fn write_call(item: &Item, call: &ToolCall, shape: &Shape<'_>, object: &mut Object, losses: &mut Losses) {
    let own_custom = noted(&item.bag, TYPE).as_deref() == Some("custom_tool_call");
    let custom = own_custom || shape.custom;
    write_head(item, if custom { "custom_tool_call" } else { "function_call" }, shape, object);
    object.string("call_id", &call.id).string("name", &call.name);
    if own_custom {
        object.string("input", &call.arguments);
    } else if custom {
        object.string("input", &unwrapped(&call.arguments));
    } else if call.arguments.is_empty() && item.bag.dialect() != Some(OWN) {
        object.string("arguments", "{}");
    } else {
        object.string("arguments", &call.arguments);
    }
    match &call.signature {
        Some(proof) if shape.seal => {
            object.string(proof::MEMBER, &proof::seal(proof, false));
        }
        Some(_) => losses.add("reasoning.signature"),
        None => {}
    }
}

/// The input of a custom tool from a host that knows only functions: the one member `input` of the arguments
/// where they have that form, else the arguments as they are.
pub(super) fn unwrapped(arguments: &str) -> String {
    let mut fields: Fields = match serde_json::from_str(arguments) {
        Ok(fields) => fields,
        Err(_) => return arguments.to_owned(),
    };
    match (fields.string("input"), fields.into_iter().next()) {
        (Ok(Some(input)), None) => input,
        _ => arguments.to_owned(),
    }
}

fn write_result(
    item: &Item,
    result: &ToolResult,
    shape: &Shape<'_>,
    object: &mut Object,
    losses: &mut Losses,
) {
    let what = if noted(&item.bag, TYPE).as_deref() == Some("custom_tool_call_output") || shape.custom {
        "custom_tool_call_output"
    } else {
        "function_call_output"
    };
    write_head(item, what, shape, object);
    object.string("call_id", &result.call_id);
    let own = item.bag.dialect() == Some(OWN);
    if let Some(name) = result.name.as_deref().filter(|_| own) {
        object.string("name", name);
    }
    let failed = result.is_error == Some(true) && !shape.store;
    match result.parts.as_slice() {
        [Part { kind: PartKind::Text { text, .. }, .. }] if !own || noted(&item.bag, CONTENT).is_some() => {
            // The dialect has no word for a failed tool, but models read.
            let prefix = if failed && !text.starts_with("Error") { "Error: " } else { "" };
            object.string("output", &format!("{prefix}{text}"));
        }
        [] if !own => {
            object.string("output", if failed { "Error" } else { "" });
        }
        parts => {
            let form = part::Form { role: Role::Tool, full: false, logprobs: None };
            let mut list = part::write_all(parts, form, losses);
            if failed {
                list.insert_str(1, "{\"type\":\"input_text\",\"text\":\"Error:\"},");
            }
            object.json("output", &list);
        }
    }
    if let (Some(error), true) = (result.is_error, shape.store) {
        object.scalar("cabotage_is_error", error);
    }
}

/// An item without what its stream has yet to say: texts, arguments and proofs are empty.
pub(super) fn begun(item: &Item) -> Item {
    let mut item = item.clone();
    match &mut item.kind {
        ItemKind::Message(said) => said.parts.clear(),
        ItemKind::Reasoning(thought) => *thought = Reasoning::default(),
        ItemKind::ToolCall(call) => call.arguments.clear(),
        ItemKind::ToolResult(_) | ItemKind::Foreign { .. } => {}
    }
    item
}
