//! A call with everything that was said before it.

use crate::{compact, keep::Provenance, validity::Fitting};
use dialects::openai_responses as wire;
use domain::{Call, Item, ItemKind, Losses, Role};

/// What was said before, and what is said now.
pub(crate) struct Parts {
    /// `instructions` of this request; a later turn does not repeat them.
    instructions: Vec<Item>,
    /// What is said now.
    pub(crate) own: Vec<Item>,
}

/// Takes the items out of a decoded call.
pub(crate) fn take_parts(call: &mut Call) -> Parts {
    let items = std::mem::take(&mut call.items);
    let (instructions, mut own): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| wire::is_instructions(call, item));
    for item in &mut own {
        // They are put into turns anew, which numbers their parts anew.
        let part = item.origin.part;
        if let ItemKind::Message(said) = &mut item.kind {
            said.parts.iter_mut().for_each(|one| one.index = one.index.saturating_sub(part));
        }
    }
    Parts { instructions, own }
}

/// Puts a call together: its instructions, what was said before, what is said now.
pub(crate) fn assemble(
    mut call: Call,
    parts: Parts,
    before: Vec<(Item, Option<Provenance>)>,
) -> (Call, Fitting) {
    let first = parts.instructions.len();
    call.turns.truncate(first);
    call.items = parts.instructions;
    let mut from: Vec<Option<Provenance>> = vec![None; first];
    let mut items = Vec::with_capacity(before.len() + parts.own.len());
    for (item, known) in before {
        from.push(known);
        items.push(compact::expanded(item));
    }
    for item in parts.own {
        from.push(None);
        items.push(compact::expanded(item));
    }
    wire::append_items(&mut call, items);
    (call, Fitting::new(from, Losses::none()))
}

/// Leaves the older half of a conversation out (`truncation: auto`), but not what the application instructs and
/// nothing of the last turn; calls and their outputs go together. False where nothing can be left out.
pub(crate) fn shorten(call: &mut Call, fitting: &mut Fitting) -> bool {
    let instructs = |item: &Item| matches!(&item.kind, ItemKind::Message(said) if matches!(said.role, Role::System | Role::Developer));
    let last_user = call
        .items
        .iter()
        .rposition(|item| matches!(&item.kind, ItemKind::Message(said) if said.role == Role::User))
        .unwrap_or(call.items.len());
    let old: Vec<usize> =
        (0..last_user).filter(|index| call.items.get(*index).is_some_and(|item| !instructs(item))).collect();
    let Some(cut) = old.get(old.len().div_ceil(2).saturating_sub(1)).copied() else { return false };
    let mut gone: Vec<String> = Vec::new();
    let keep: Vec<bool> = call
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            if index <= cut && !instructs(item) {
                if let ItemKind::ToolCall(asked) = &item.kind {
                    gone.push(asked.id.clone());
                }
                return false;
            }
            !matches!(&item.kind, ItemKind::ToolResult(result) if gone.contains(&result.call_id))
        })
        .collect();
    let mut flags = keep.iter();
    call.items.retain(|_| flags.next().copied().unwrap_or(true));
    let mut flags = keep.iter();
    fitting.provenance_mut().retain(|_| flags.next().copied().unwrap_or(true));
    fitting.add_loss("input.truncated");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Raw;

    fn call(items: &str) -> Call {
        let body = format!(r#"{{"model":"m","instructions":"be brief","input":{items}}}"#);
        wire::decode(body.as_bytes()).unwrap().call
    }

    fn texts(call: &Call) -> Vec<String> {
        call.items
            .iter()
            .map(|item| match &item.kind {
                ItemKind::Message(said) => match said.parts.first().map(|part| &part.kind) {
                    Some(domain::PartKind::Text { text, .. }) => text.clone(),
                    _ => String::from("?"),
                },
                ItemKind::ToolCall(call) => format!("call {}", call.id),
                ItemKind::ToolResult(result) => format!("result {}", result.call_id),
                _ => String::from("?"),
            })
            .collect()
    }

    #[test]
    fn what_was_said_before_stands_between_instructions_and_what_is_said_now() {
        let mut now = call(r#"[{"role":"user","content":"now"}]"#);
        let parts = take_parts(&mut now);
        let before =
            wire::decode_item(&Raw::parse(r#"{"role":"user","content":"before"}"#).unwrap()).unwrap();
        let (whole, _) = assemble(now, parts, vec![(before, None)]);
        assert_eq!(texts(&whole), ["be brief", "before", "now"]);
        let turns: Vec<u32> = whole.items.iter().map(|item| item.origin.message).collect();
        assert_eq!(turns, [0, 1, 2]);
        assert_eq!(whole.turns.len(), 3);
    }

    #[test]
    fn the_older_half_goes_with_the_outputs_of_its_calls() {
        let mut now = call(
            r#"[{"role":"user","content":"1"},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},
                {"type":"function_call_output","call_id":"a","output":"x"},{"role":"assistant","content":"2"},
                {"role":"user","content":"last"}]"#,
        );
        let parts = take_parts(&mut now);
        let (mut whole, mut fitting) = assemble(now, parts, vec![]);
        assert!(shorten(&mut whole, &mut fitting));
        assert_eq!(texts(&whole), ["be brief", "2", "last"]);
        assert!(shorten(&mut whole, &mut fitting));
        assert_eq!(texts(&whole), ["be brief", "last"]);
        assert!(!shorten(&mut whole, &mut fitting), "the last turn stays");
        let place = engine::Place {
            deployment: "d".into(),
            dialect: domain::Dialect::OpenAiChat,
            realm: "r".into(),
            model: "m".into(),
        };
        let (_, losses) = engine::Tailor::fit(&fitting, &whole, &place).unwrap();
        assert_eq!(losses.to_string(), "input.truncated;n=2");
    }
}
