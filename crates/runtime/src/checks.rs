//! What is wrong with a turn, before anybody is asked: sizes, references, outputs of tools.

use crate::{faults, settings::Limits};
use dialects::openai_responses as wire;
use domain::{Fault, Item, ItemKind};
use std::collections::HashSet;

/// Refuses items above the bound.
pub(crate) fn sizes(own: &[Item], limits: &Limits) -> Result<(), Fault> {
    for (index, item) in own.iter().enumerate() {
        if wire::encode_item(item, "").text().len() > limits.item_bytes {
            let param = format!("input[{index}]");
            return Err(faults::too_large("The item", limits.item_bytes as u64, &param));
        }
    }
    Ok(())
}

/// Refuses an output whose call is nowhere before it, and a kept call that is left without an output.
pub(crate) fn tool_outputs(before: &[&Item], own: &[Item]) -> Result<(), Fault> {
    let mut asked: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = Vec::new();
    for item in before {
        match &item.kind {
            ItemKind::ToolCall(call) => {
                asked.insert(&call.id);
                open.push(&call.id);
            }
            ItemKind::ToolResult(result) => open.retain(|id| *id != result.call_id),
            _ => {}
        }
    }
    for (index, item) in own.iter().enumerate() {
        match &item.kind {
            ItemKind::ToolCall(call) => {
                asked.insert(&call.id);
            }
            ItemKind::ToolResult(result) => {
                if !asked.contains(result.call_id.as_str()) {
                    let id: String = result.call_id.chars().take(80).collect();
                    let message = format!("No tool call found for function call output with call_id {id}.");
                    return Err(faults::invalid(&format!("input[{index}].call_id"), message));
                }
                open.retain(|id| *id != result.call_id);
            }
            _ => {}
        }
    }
    match open.first() {
        Some(id) => {
            let id: String = id.chars().take(80).collect();
            Err(faults::invalid("input", format!("No tool output found for function call {id}.")))
        }
        None => Ok(()),
    }
}

/// Puts the items that references name in their places.
pub(crate) fn resolve_references(before: &[(Item, String)], own: Vec<Item>) -> Result<Vec<Item>, Fault> {
    own.into_iter()
        .enumerate()
        .map(|(index, item)| match wire::reference(&item) {
            None => Ok(item),
            Some(id) => before
                .iter()
                .find(|(_, known)| *known == id)
                .map(|(item, _)| item.clone())
                .ok_or_else(|| faults::no_item(&id, &format!("input[{index}].id"))),
        })
        .collect()
}
