//! A call laid out as alternating turns of user and assistant, for the dialects that demand it (Anthropic
//! Messages, Bedrock Converse).
//!
//! Two layouts: [`as_written`] keeps the wire messages of a call of the same dialect one to one;
//! [`alternating`] regroups any other call: system messages are hoisted, neighbours of one role are merged,
//! tool results stand first in their turn and in the order of the calls, reasoning stands before what it
//! led to, blank texts are left out.

use crate::object::{self, Object};
use domain::{
    Bag, Call, Dialect, Item, ItemKind, Losses, Media, Part, PartKind, Raw, Reasoning, Role, Signature,
    ToolCall, ToolResult, Turn,
};

/// The tool that stands for "answer in JSON" where a host cannot be told so otherwise. Decoders give its
/// input back as the answer's text.
pub(crate) const OUTPUT_TOOL: &str = "cabotage_output";

/// One block of a turn, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Block<'a> {
    /// What it is.
    pub(crate) kind: BlockKind<'a>,
    /// What only a dialect can say of it.
    pub(crate) bag: &'a Bag,
    /// A cache mark (Anthropic's `cache_control` object), where the call came in another dialect.
    pub(crate) cache: Option<Raw>,
    /// Index of the wire message it came from.
    pub(crate) message: u32,
}

/// The kinds of blocks.
#[derive(Clone, Debug)]
pub(crate) enum BlockKind<'a> {
    /// Text.
    Text(&'a str),
    /// A picture, document, sound or film.
    Media(&'a PartKind, &'a Media),
    /// A thought.
    Reasoning(&'a Reasoning),
    /// A tool is asked for.
    ToolCall(&'a ToolCall),
    /// A tool answered.
    ToolResult(&'a ToolResult),
    /// A block of one dialect only; its wire type.
    Foreign(&'a str),
}

/// One wire message.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    /// Who speaks. In [`alternating`] user or assistant only.
    pub(crate) role: Role,
    /// What is said.
    pub(crate) blocks: Vec<Block<'a>>,
    /// The turn it was, in [`as_written`].
    pub(crate) turn: Option<&'a Turn>,
}

/// A call as alternating turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout<'a> {
    /// The system prompt.
    pub(crate) system: Vec<Block<'a>>,
    /// The messages.
    pub(crate) groups: Vec<Group<'a>>,
}

const NO_BAG: &Bag = &Bag::new();

/// Blocks with their index in the wire message.
type Numbered<'a> = Vec<(u32, Block<'a>)>;

/// The blocks of an item. Parts keep their index, so that the turn can be put in order again.
fn blocks_of<'a>(item: &'a Item, out: &mut Numbered<'a>) {
    let message = item.origin.message;
    let kind = match &item.kind {
        ItemKind::Message(said) => {
            for part in &said.parts {
                let bag = if part.bag.is_empty() && said.parts.len() == 1 { &item.bag } else { &part.bag };
                out.push((part.index, Block { kind: part_kind(part), bag, cache: None, message }));
            }
            return;
        }
        ItemKind::Reasoning(thought) => BlockKind::Reasoning(thought),
        ItemKind::ToolCall(call) => BlockKind::ToolCall(call),
        ItemKind::ToolResult(result) => BlockKind::ToolResult(result),
        ItemKind::Foreign { what } => BlockKind::Foreign(what),
    };
    out.push((item.origin.part, Block { kind, bag: &item.bag, cache: None, message }));
}

/// A part as a block.
pub(crate) fn part_kind(part: &Part) -> BlockKind<'_> {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => BlockKind::Text(text),
        PartKind::Image(media)
        | PartKind::Document(media)
        | PartKind::Audio(media)
        | PartKind::Video(media) => BlockKind::Media(&part.kind, media),
        PartKind::Foreign { what } => BlockKind::Foreign(what),
    }
}

/// The wire messages as they were written: one group per turn.
pub(crate) fn as_written(call: &Call) -> Vec<Group<'_>> {
    let mut found: Vec<Numbered<'_>> = vec![Vec::new(); call.turns.len()];
    for item in &call.items {
        if let Some(blocks) = found.get_mut(item.origin.message as usize) {
            blocks_of(item, blocks);
        }
    }
    let turns = call.turns.iter().zip(found);
    turns
        .map(|(turn, mut blocks)| {
            blocks.sort_by_key(|(index, _)| *index);
            let blocks = blocks.into_iter().map(|(_, block)| block).collect();
            Group { role: turn.role, blocks, turn: Some(turn) }
        })
        .collect()
}

/// Any call as alternating turns for `target`, noting what cannot be carried.
pub(crate) fn alternating<'a>(call: &'a Call, target: Dialect, losses: &mut Losses) -> Layout<'a> {
    let mut layout = Layout::default();
    lose_text_proofs(call, target, losses);
    let mut spoken = false;
    for (role, mut blocks) in turns_of(call) {
        blocks.retain(|block| keep(block, target, losses));
        mark_cache(call, &mut blocks);
        if matches!(role, Role::System | Role::Developer) {
            if spoken && !blocks.is_empty() {
                losses.add("messages.system_position");
            }
            layout.system.append(&mut blocks);
            continue;
        }
        spoken = true;
        blocks.sort_by_key(|block| !matches!(block.kind, BlockKind::Reasoning(_)));
        let role = if role == Role::Assistant { Role::Assistant } else { Role::User };
        match layout.groups.last_mut() {
            _ if blocks.is_empty() => {}
            Some(last) if last.role == role => last.blocks.append(&mut blocks),
            _ => layout.groups.push(Group { role, blocks, turn: None }),
        }
    }
    order_results(&mut layout.groups);
    begin_with_user(&mut layout, losses);
    layout
}

/// The call's items by wire message, in order. An item whose message is not in the list of turns (made by
/// ourselves) speaks in the role that its kind implies.
fn turns_of(call: &Call) -> Vec<(Role, Vec<Block<'_>>)> {
    let mut turns: Vec<(u32, Role, Numbered<'_>)> = Vec::new();
    for item in &call.items {
        let role = match &item.kind {
            ItemKind::Message(said) => said.role,
            ItemKind::Reasoning(_) | ItemKind::ToolCall(_) => Role::Assistant,
            ItemKind::ToolResult(_) => Role::Tool,
            ItemKind::Foreign { .. } => {
                call.turns.get(item.origin.message as usize).map_or(Role::User, |turn| turn.role)
            }
        };
        let same = |last: &&mut (u32, Role, _)| last.0 == item.origin.message && last.1 == role;
        match turns.last_mut().filter(same) {
            Some(last) => blocks_of(item, &mut last.2),
            None => {
                let mut blocks = Vec::new();
                blocks_of(item, &mut blocks);
                turns.push((item.origin.message, role, blocks));
            }
        }
    }
    turns.into_iter().map(|(_, role, blocks)| (role, blocks.into_iter().map(|(_, b)| b).collect())).collect()
}

/// Whether a block goes to `target`: no blank texts, no proof of another provider, no block of another dialect.
fn keep(block: &Block<'_>, target: Dialect, losses: &mut Losses) -> bool {
    match &block.kind {
        BlockKind::Text(text) => !text.trim().is_empty(),
        BlockKind::Media(..) | BlockKind::ToolResult(_) => true,
        BlockKind::ToolCall(call) => {
            if call.signature.as_ref().is_some_and(|proof| proof.dialect != target) {
                losses.add("reasoning.signature");
            }
            true
        }
        BlockKind::Reasoning(thought) => match &thought.signature {
            Some(Signature { dialect, data }) if *dialect == target && !data.is_empty() => true,
            Some(Signature { data, .. }) if !data.is_empty() => {
                losses.add("reasoning.signature");
                false
            }
            _ => {
                losses.add("reasoning");
                false
            }
        },
        BlockKind::Foreign(what) => {
            let own = block.bag.get(target, "$block").is_some();
            if !own {
                losses.add(&format!("messages.{what}"));
            }
            own
        }
    }
}

/// A proof on visible text is of its own provider only; the text goes without it.
fn lose_text_proofs(call: &Call, target: Dialect, losses: &mut Losses) {
    let said = call.items.iter().filter_map(|item| match &item.kind {
        ItemKind::Message(said) => Some(&said.parts),
        _ => None,
    });
    for part in said.flatten() {
        if let PartKind::Text { signature: Some(proof), .. } = &part.kind
            && proof.dialect != target
        {
            losses.add("reasoning.signature");
        }
    }
}

/// Reads cache marks from bags of other dialects: per block, and per message (then on its last block).
fn mark_cache(call: &Call, blocks: &mut [Block<'_>]) {
    for block in &mut *blocks {
        block.cache = cache_mark(block.bag);
    }
    if let Some(last) = blocks.last_mut()
        && last.cache.is_none()
        && let Some(turn) = call.turns.get(last.message as usize)
    {
        last.cache = cache_mark(&turn.bag);
    }
}

/// The cache mark in a bag: `cache_control` in Anthropic's dialect and, by custom, in OpenAI's content parts.
pub(crate) fn cache_mark(bag: &Bag) -> Option<Raw> {
    [Dialect::OpenAiChat, Dialect::AnthropicMessages]
        .into_iter()
        .find_map(|dialect| bag.get(dialect, "cache_control"))
        .filter(|raw| raw.text() != "null")
        .cloned()
}

/// Tool results first in their turn, in the order of the calls that they answer.
fn order_results(groups: &mut [Group<'_>]) {
    let mut calls: Vec<String> = Vec::new();
    for group in groups {
        if group.role == Role::Assistant {
            calls.clear();
            calls.extend(group.blocks.iter().filter_map(|block| match &block.kind {
                BlockKind::ToolCall(call) => Some(call.id.clone()),
                _ => None,
            }));
        } else {
            group.blocks.sort_by_key(|block| match &block.kind {
                BlockKind::ToolResult(result) => {
                    (false, calls.iter().position(|id| *id == result.call_id).unwrap_or(usize::MAX))
                }
                _ => (true, 0),
            });
        }
    }
}

/// Both dialects demand that the first message is the user's. A call of system messages only says its last
/// one as the user; before an assistant's first word we put the least that is a text.
fn begin_with_user(layout: &mut Layout<'_>, losses: &mut Losses) {
    match layout.groups.first().map(|group| group.role) {
        Some(Role::Assistant) => {
            losses.add("messages.first_role");
            let block = Block { kind: BlockKind::Text("."), bag: NO_BAG, cache: None, message: 0 };
            layout.groups.insert(0, Group { role: Role::User, blocks: vec![block], turn: None });
        }
        None => {
            if let Some(last) = layout.system.pop() {
                losses.add("messages.system_position");
                layout.groups.push(Group { role: Role::User, blocks: vec![last], turn: None });
            }
        }
        Some(_) => {}
    }
}

/// A tool id in the form that both dialects demand, `[a-zA-Z0-9_-]{1,64}`. Another form is mapped to the
/// same substitute every time (64-bit FNV-1a), so that call and result still meet.
pub(crate) fn tool_id(id: &str) -> String {
    let fits = (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits {
        return id.to_owned();
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("call_{hash:016x}")
}

/// A tool call's arguments as a JSON object: what is not one (half a text, a bare value) is wrapped, never
/// dropped, and said to be a loss.
pub(crate) fn arguments_object(arguments: &str, losses: &mut Losses) -> String {
    let text = arguments.trim();
    if text.is_empty() {
        return String::from("{}");
    }
    let whole = text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if whole {
        return text.to_owned();
    }
    losses.add("messages.tool_calls.arguments");
    let mut wrapped = Object::new();
    wrapped.string("_arguments", arguments);
    wrapped.finish()
}

/// Notes of a block of a reply, one by one: the fields that the inner form does not carry. A list of
/// citations is one note per citation; an empty list is the note `$name`.
pub(crate) fn notes_of(fields: object::Fields) -> Vec<(Box<str>, Raw)> {
    let mut notes = Vec::new();
    for (name, raw) in fields.into_iter() {
        if &*name == "citations" {
            match raw.read::<Vec<Raw>>() {
                Ok(list) if !list.is_empty() => {
                    notes.extend(list.into_iter().map(|citation| (name.clone(), citation)));
                }
                _ => notes.push(("$citations".into(), raw)),
            }
        } else {
            notes.push((name, raw));
        }
    }
    notes
}

/// Writes notes of a reply's block back as fields: citations as a list, anything else as the value it was.
pub(crate) fn write_notes(object: &mut Object, bag: &Bag, dialect: Dialect) {
    for (name, raw) in bag.fields_for(dialect) {
        if name == "citations" {
            object.raw(name, raw);
        } else if let Some(first) = first_of(raw) {
            object.raw(name, &first);
        }
    }
    if bag.get(dialect, "citations").is_none()
        && let Some(empty) = bag.get(dialect, "$citations").and_then(first_of)
    {
        object.raw("citations", &empty);
    }
}

fn first_of(raw: &Raw) -> Option<Raw> {
    match raw.read::<Vec<Raw>>() {
        Ok(list) => list.into_iter().next(),
        Err(_) => Some(raw.clone()),
    }
}
