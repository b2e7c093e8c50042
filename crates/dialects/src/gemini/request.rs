//! Call → `generateContent` body. The model stands in the path, not in the body.
//!
//! Policy: system and developer messages are hoisted to `systemInstruction`; one that stood behind other
//! messages is a loss (`messages.system_position`). Results of one step stand in one content, in the order of
//! the calls. A signature goes back on the part it came with; where a model demands one that nobody has, the
//! documented placeholder stands in its place.

use super::{
    ids, media, options,
    schema::{self, Form},
    types::{Fields, Object, array, json, wrong},
};
use crate::{
    carried::{self, cannot},
    codec::{Encoded, Target},
};
use domain::{
    Bag, Call, Dialect, Fault, Item, ItemKind, Losses, Message, Part, PartKind, Reasoning, ReasoningControl,
    Role, Signature, Tool, ToolCall, ToolKind, ToolResult,
};

const G: Dialect = Dialect::Gemini;
/// What Google's page on thought signatures gives for calls that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Writes `call` for `target`.
///
/// # Errors
/// As [`crate::Codec::encode_call`].
pub(super) fn encode(call: &Call, target: &Target<'_>) -> Result<Encoded, Fault> {
    let mut losses = Losses::none();
    carried::resolved(call)?;
    options::check_choice(call)?;
    let mut writer = Writer { call, target, losses: &mut losses, own: call.dialect == G, system: Vec::new() };
    let contents = writer.contents()?;
    let system = writer.system_instruction();
    let mut body = Object::spelled(&call.bag, "");
    if let Some(system) = system {
        body.put_text("systemInstruction", &system);
    }
    let single = call.bag.get(G, "$singleContent").is_some();
    body.put_text("contents", &sole(contents, single));
    if let Some(tools) = tools(call, target, &mut losses)? {
        body.put_text("tools", &tools);
    }
    options::encode(call, target, &mut body, &mut losses)?;
    body.put_bag(&call.bag, "");
    call.bag.lose_into(G, "", &mut losses);
    Ok(Encoded { body: body.finish().into_bytes(), losses })
}

/// A list, or its one element where that is how it was written.
fn sole(mut list: Vec<String>, single: bool) -> String {
    match list.pop() {
        Some(one) if single && list.is_empty() => one,
        Some(one) => {
            list.push(one);
            array(list)
        }
        None => array(list),
    }
}

struct Writer<'a> {
    call: &'a Call,
    target: &'a Target<'a>,
    losses: &'a mut Losses,
    own: bool,
    system: Vec<String>,
}

/// One content before it is written.
struct Content<'a> {
    turn: u32,
    role: &'static str,
    parts: Vec<String>,
    /// Results in a foreign call: order of the call, response, media that came with it.
    results: Vec<(usize, String, Vec<String>)>,
    bag: Option<&'a Bag>,
}

impl<'a> Writer<'a> {
    fn contents(&mut self) -> Result<Vec<String>, Fault> {
        let mut contents: Vec<Content<'a>> = Vec::new();
        let step = self.current_turn();
        let mut next_turn = 0;
        for (index, item) in self.call.items.iter().enumerate() {
            if self.own {
                self.empty_turns(next_turn, item.origin.message, &mut contents);
            }
            next_turn = next_turn.max(item.origin.message.saturating_add(1));
            item.bag.lose_into(G, "messages", self.losses);
            let role = match &item.kind {
                ItemKind::Message(Message { role: Role::System | Role::Developer, parts }) => {
                    self.system_message(parts, !contents.is_empty());
                    continue;
                }
                ItemKind::Message(Message { role: Role::Assistant, .. })
                | ItemKind::Reasoning(_)
                | ItemKind::ToolCall(_) => "model",
                ItemKind::Message(_) | ItemKind::ToolResult(_) => "user",
                ItemKind::Foreign { .. } => match self.turn_role(item.origin.message) {
                    Some(Role::Assistant) => "model",
                    _ => "user",
                },
            };
            let content = self.open(&mut contents, item, role);
            let Some(content) = contents.get_mut(content) else { continue };
            self.item(item, content, index >= step)?;
        }
        if self.own {
            let turns = u32::try_from(self.call.turns.len()).unwrap_or(u32::MAX);
            self.empty_turns(next_turn, turns, &mut contents);
        } else {
            contents.retain(|content| !content.parts.is_empty() || !content.results.is_empty());
            for turn in &self.call.turns {
                turn.bag.lose_into(G, "messages", self.losses);
                if turn.name.is_some() {
                    self.losses.add("messages.name");
                }
            }
            if contents.is_empty()
                && let Some(last) = self.system.pop()
            {
                // Gemini refuses a request without contents: the last instruction is said by the user.
                self.losses.add("messages.system_role");
                contents.push(Content {
                    turn: 0,
                    role: "user",
                    parts: vec![last],
                    results: Vec::new(),
                    bag: None,
                });
            }
            if contents.is_empty() {
                return Err(wrong("messages", "is empty: send at least one message with text"));
            }
        }
        Ok(contents.into_iter().map(Content::finish).collect())
    }

    fn turn_role(&self, turn: u32) -> Option<Role> {
        self.call.turns.get(turn as usize).map(|turn| turn.role)
    }

    /// Contents without parts stand on the wire too; our own dialect keeps them.
    fn empty_turns(&self, from: u32, to: u32, contents: &mut Vec<Content<'a>>) {
        for turn in from..to {
            let Some(found) = self.call.turns.get(turn as usize) else { continue };
            let role = match found.role {
                Role::System | Role::Developer => continue,
                Role::Assistant => "model",
                Role::User | Role::Tool => "user",
            };
            contents.push(Content {
                turn,
                role,
                parts: Vec::new(),
                results: Vec::new(),
                bag: Some(&found.bag),
            });
        }
    }

    /// The content that takes `item`: the last one, where wire message and role are the same or where results
    /// of one step follow each other.
    fn open(&self, contents: &mut Vec<Content<'a>>, item: &Item, role: &'static str) -> usize {
        let turn = item.origin.message;
        let is_result = matches!(item.kind, ItemKind::ToolResult(_));
        let fits = contents.last().is_some_and(|last| {
            last.role == role
                && if self.own {
                    last.turn == turn
                } else if is_result || !last.results.is_empty() {
                    is_result && !last.results.is_empty() && last.parts.is_empty()
                } else {
                    last.turn == turn
                }
        });
        if !fits {
            let bag = self.call.turns.get(turn as usize).map(|turn| &turn.bag).filter(|_| self.own);
            contents.push(Content { turn, role, parts: Vec::new(), results: Vec::new(), bag });
        }
        contents.len().saturating_sub(1)
    }

    /// Where the current turn begins: behind the last thing that the user said. From there on a model with
    /// thinking levels checks the signature of every step's first call.
    fn current_turn(&self) -> usize {
        let said = |item: &Item| matches!(&item.kind, ItemKind::Message(Message { role: Role::User, .. }));
        self.call.items.iter().rposition(said).map_or(0, |index| index + 1)
    }

    fn system_message(&mut self, parts: &[Part], behind: bool) {
        if behind && !self.own {
            self.losses.add("messages.system_position");
        }
        for part in parts {
            if !self.own {
                part.bag.lose_into(G, "messages", self.losses);
            }
            match &part.kind {
                PartKind::Text { .. } if self.own => self.system.push(own_part(part)),
                PartKind::Text { text, .. } if text.is_empty() => {}
                PartKind::Text { text, .. } => self.system.push(text_part(text, None)),
                _ if self.own => self.system.push(own_part(part)),
                _ => self.losses.add("messages.system_media"),
            }
        }
    }

    fn system_instruction(&mut self) -> Option<String> {
        let parts = std::mem::take(&mut self.system);
        let turn = self.call.turns.iter().find(|turn| turn.role == Role::System).filter(|_| self.own);
        if let Some(turn) = turn {
            return Some(content_object(&turn.bag, None, parts));
        }
        (!parts.is_empty()).then(|| format!("{{\"parts\":{}}}", array(parts)))
    }

    fn item(&mut self, item: &'a Item, content: &mut Content<'a>, in_step: bool) -> Result<(), Fault> {
        match &item.kind {
            ItemKind::Message(message) => {
                for part in &message.parts {
                    self.part(part, &mut content.parts)?;
                }
            }
            ItemKind::Reasoning(thought) => self.reasoning(thought, item, &mut content.parts),
            ItemKind::ToolCall(call) => {
                let first = !content.parts.iter().any(|part| part.contains("\"functionCall\""));
                let part = self.function_call(call, item, first && in_step);
                content.parts.push(part);
            }
            ItemKind::ToolResult(result) => self.function_response(result, item, content)?,
            ItemKind::Foreign { what } => match item.bag.get(G, "$block") {
                Some(block) => content.parts.push(block.text().to_owned()),
                None => self.losses.add(&format!("messages.{what}")),
            },
        }
        Ok(())
    }

    fn part(&mut self, part: &Part, parts: &mut Vec<String>) -> Result<(), Fault> {
        if self.own {
            parts.push(own_part(part));
            return Ok(());
        }
        part.bag.lose_into(G, "messages", self.losses);
        let can = self.target.capabilities;
        match &part.kind {
            PartKind::Text { text, signature } => {
                let signature = self.own_signature(signature.as_ref());
                if !text.is_empty() || signature.is_some() {
                    parts.push(text_part(text, signature));
                }
            }
            PartKind::Refusal(text) => {
                self.losses.add("messages.refusal");
                parts.push(text_part(text, None));
            }
            PartKind::Image(_) if !can.vision => {
                return Err(unsupported(
                    "This model does not see images; leave them out or ask for another model.",
                ));
            }
            PartKind::Document(media)
                if !can.documents && !matches!(media.source, domain::MediaSource::Text(_)) =>
            {
                return Err(unsupported(
                    "This model reads no documents; send their text or ask for another model.",
                ));
            }
            kind @ (PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio(_) | PartKind::Video(_)) => {
                if media::media_of(kind).is_some_and(|media| media.name.is_some()) {
                    self.losses.add("messages.filename");
                }
                parts.push(media::encode_foreign(kind, self.target.quirks.no_image_urls)?);
            }
            PartKind::Foreign { what } => self.losses.add(&format!("messages.{what}")),
        }
        Ok(())
    }

    fn own_signature<'s>(&mut self, signature: Option<&'s Signature>) -> Option<&'s str> {
        let signature = signature?;
        if signature.dialect == G {
            Some(&signature.data)
        } else {
            self.losses.add("reasoning.signature");
            None
        }
    }

    fn reasoning(&mut self, thought: &Reasoning, item: &Item, parts: &mut Vec<String>) {
        let signed_here = thought.signature.as_ref().is_some_and(|signature| signature.dialect == G);
        if !self.own && !signed_here {
            if !thought.text.is_empty() {
                self.losses.add("reasoning");
            }
            if thought.signature.is_some() {
                self.losses.add("reasoning.signature");
            }
            return;
        }
        let mut object = Object::spelled(&item.bag, "");
        object.put("text", &thought.text);
        object.put("thought", &true);
        object.put_some("thoughtSignature", thought.signature.as_ref().map(|proof| &proof.data));
        object.put_bag(&item.bag, "");
        parts.push(object.finish());
    }

    fn function_call(&mut self, call: &ToolCall, item: &Item, first_of_step: bool) -> String {
        let mut inner = Object::spelled(&item.bag, "functionCall.");
        if self.sends_id(&call.id, &item.bag) {
            inner.put("id", &call.id);
        }
        inner.put("name", &call.name);
        if item.bag.get(G, "$noArgs").is_none() {
            inner.put_text("args", &self.arguments(&call.arguments));
        }
        inner.put_bag(&item.bag, "functionCall.");
        let mut object = Object::spelled(&item.bag, "");
        object.put_text("functionCall", &inner.finish());
        let signature = self.own_signature(call.signature.as_ref());
        let demanded = matches!(
            self.target.capabilities.reasoning,
            ReasoningControl::Effort | ReasoningControl::Adaptive
        );
        match signature {
            Some(signature) => object.put("thoughtSignature", signature),
            None if demanded && first_of_step && !self.own => object.put("thoughtSignature", NO_SIGNATURE),
            None => {}
        }
        object.put_bag(&item.bag, "");
        object.finish()
    }

    fn sends_id(&self, id: &str, bag: &Bag) -> bool {
        !self.target.quirks.no_function_call_ids && bag.get(G, "$noId").is_none() && !ids::is_made(id)
    }

    /// Arguments must be an object. What a model broke off is wrapped, not dropped.
    fn arguments(&mut self, text: &str) -> String {
        if text.trim().is_empty() {
            return String::from("{}");
        }
        if self.own || Fields::of(text).is_some() {
            return text.to_owned();
        }
        self.losses.add("messages.tool_calls.arguments");
        let mut object = Object::new();
        object.put("arguments", text);
        object.finish()
    }

    fn function_response(
        &mut self,
        result: &'a ToolResult,
        item: &'a Item,
        content: &mut Content<'a>,
    ) -> Result<(), Fault> {
        let calls = self.call.items.iter().filter_map(|item| match &item.kind {
            ItemKind::ToolCall(call) => Some(call),
            _ => None,
        });
        let found = calls.enumerate().filter(|(_, call)| call.id == result.call_id).last();
        let name = match (self.own, &result.name, found) {
            (true, Some(name), _) | (false, Some(name), None) => name.as_str(),
            (_, _, Some((_, call))) => call.name.as_str(),
            (_, None, None) => {
                return Err(wrong("messages.tool_call_id", "names no tool call of an earlier message"));
            }
        };
        let mut inner = Object::spelled(&item.bag, "functionResponse.");
        if self.sends_id(&result.call_id, &item.bag) {
            inner.put("id", &result.call_id);
        }
        inner.put("name", name);
        if self.own {
            let response = response_of(&text_of(result), result.is_error, item.bag.get(G, "$shape"));
            if item.bag.get(G, "$noResponse").is_none() {
                inner.put_text("response", &response);
            }
            if item.bag.get(G, "$parts").is_some() {
                inner.put_text("parts", &array(result.parts.iter().skip(1).map(own_part)));
            }
            inner.put_bag(&item.bag, "functionResponse.");
            let mut object = Object::spelled(&item.bag, "");
            object.put_text("functionResponse", &inner.finish());
            object.put_bag(&item.bag, "");
            content.parts.push(object.finish());
            return Ok(());
        }
        inner.put_text("response", &response_of(&text_of(result), result.is_error, None));
        let mut beside = Vec::new();
        for part in &result.parts {
            match &part.kind {
                PartKind::Text { .. } => part.bag.lose_into(G, "messages", self.losses),
                _ => self.part(part, &mut beside)?,
            }
        }
        let response = format!("{{\"functionResponse\":{}}}", inner.finish());
        content.results.push((found.map_or(usize::MAX, |(order, _)| order), response, beside));
        Ok(())
    }
}

impl Content<'_> {
    fn finish(mut self) -> String {
        self.results.sort_by_key(|(order, _, _)| *order);
        let mut media = Vec::new();
        for (_, response, beside) in self.results {
            self.parts.push(response);
            media.extend(beside);
        }
        self.parts.extend(media);
        content_object(self.bag.unwrap_or(&Bag::new()), Some(self.role), self.parts)
    }
}

fn content_object(bag: &Bag, role: Option<&str>, parts: Vec<String>) -> String {
    let mut object = Object::spelled(bag, "");
    match bag.get(G, "$role") {
        Some(written) if written.text() == "null" => {}
        Some(written) => object.put_text("role", written.text()),
        None => object.put_some("role", role.as_ref()),
    }
    if bag.get(G, "$noParts").is_none() || !parts.is_empty() {
        object.put_text("parts", &sole(parts, bag.get(G, "$singlePart").is_some()));
    }
    object.put_bag(bag, "");
    object.finish()
}

fn unsupported(message: &'static str) -> Fault {
    cannot("messages", message.to_owned())
}

fn text_part(text: &str, signature: Option<&str>) -> String {
    let mut object = Object::new();
    object.put("text", text);
    object.put_some("thoughtSignature", signature.as_ref());
    object.finish()
}

/// A part of our own dialect as it was written.
fn own_part(part: &Part) -> String {
    let mut object = Object::spelled(&part.bag, "");
    match &part.kind {
        PartKind::Text { text, signature } => {
            object.put("text", text);
            object.put_some("thoughtSignature", signature.as_ref().map(|proof| &proof.data));
        }
        PartKind::Refusal(text) => object.put("text", text),
        PartKind::Foreign { .. } => {
            return part
                .bag
                .get(G, "$block")
                .map_or_else(|| String::from("{}"), |block| block.text().to_owned());
        }
        _ => {
            if let Some((field, text)) = media::encode_own(part) {
                object.put_text(field, &text);
            }
        }
    }
    for (name, value) in part.bag.fields_for(G).filter(|(name, _)| !name.contains('.')) {
        object.put_text(name, value.text());
    }
    object.finish()
}

/// All text of a result.
fn text_of(result: &ToolResult) -> String {
    let mut out = String::new();
    for part in &result.parts {
        if let PartKind::Text { text, .. } | PartKind::Refusal(text) = &part.kind {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(text);
        }
    }
    out
}

/// A function's response must be an object. An object is sent as such, everything else as `result` (or
/// `error`). A text with `$ref` stays a text: Gemini would take it for a reference to a part.
fn response_of(text: &str, is_error: Option<bool>, shape: Option<&domain::Raw>) -> String {
    if let Some(shape) = shape {
        return match shape.read::<Option<String>>() {
            Ok(Some(key)) => format!("{{{}:{}}}", json(&key), json(text)),
            _ => text.to_owned(),
        };
    }
    let failed = is_error == Some(true);
    let refers = text.contains("\"$ref\"") || text.contains("\"$defs\"");
    if !failed && !refers && Fields::of(text).is_some() {
        return text.to_owned();
    }
    let mut object = Object::new();
    object.put(if failed { "error" } else { "result" }, text);
    object.finish()
}

fn tools(call: &Call, target: &Target<'_>, losses: &mut Losses) -> Result<Option<String>, Fault> {
    if call.dialect == G {
        return Ok(own_tools(call));
    }
    if call.tools.is_empty() {
        return Ok(None);
    }
    if !target.capabilities.tools {
        let says = "This model takes no tools; leave `tools` out or ask for another model.";
        return Err(cannot("tools", says.to_owned()));
    }
    let mut declarations = Vec::new();
    for (index, tool) in call.tools.iter().enumerate() {
        tool.bag.lose_into(G, "tools", losses);
        match tool.kind {
            ToolKind::Function => declarations.push(declaration(tool, index, target, losses)?),
            ToolKind::Custom => losses.add("tools.custom"),
            ToolKind::Server => losses.add(&format!("tools.{}", tool.name)),
        }
    }
    Ok((!declarations.is_empty()).then(|| format!("[{{\"functionDeclarations\":{}}}]", array(declarations))))
}

fn declaration(tool: &Tool, index: usize, target: &Target<'_>, losses: &mut Losses) -> Result<String, Fault> {
    if tool.name.is_empty() {
        return Err(wrong(&format!("tools[{index}].function.name"), "is empty: a tool needs a name"));
    }
    let mut object = Object::new();
    object.put("name", &tool.name);
    object.put_some("description", tool.description.as_ref().filter(|text| !text.is_empty()));
    if let Some(parameters) = &tool.parameters {
        let place = format!("tools[{index}].function.parameters");
        if let Some(found) = schema::convert(parameters, schema::form_of(target.model), &place, losses)? {
            let field = if found.form == Form::Json { "parametersJsonSchema" } else { "parameters" };
            object.put_text(field, &found.text);
        }
    }
    if tool.strict == Some(true) {
        losses.add("tools.strict");
    }
    Ok(object.finish())
}

fn own_tools(call: &Call) -> Option<String> {
    if call.bag.get(G, "$noTools").is_some() {
        return Some(String::from("[]"));
    }
    let mut groups: Vec<(usize, bool, Vec<&Tool>)> = Vec::new();
    for tool in &call.tools {
        let group = tool.bag.get(G, "$group").and_then(|raw| raw.read::<usize>().ok()).unwrap_or(usize::MAX);
        match groups.last_mut() {
            Some((last, _, tools)) if *last == group => tools.push(tool),
            _ => groups.push((group, tool.bag.get(G, "$snakeGroup").is_some(), vec![tool])),
        }
    }
    let written: Vec<String> = groups.into_iter().map(|(_, snake, tools)| own_group(snake, &tools)).collect();
    (!written.is_empty()).then(|| sole(written, call.bag.get(G, "$singleTool").is_some()))
}

fn own_group(snake: bool, tools: &[&Tool]) -> String {
    let mut object = Object::new();
    let declared: Vec<String> = tools
        .iter()
        .filter(|tool| tool.kind == ToolKind::Function)
        .map(|tool| own_declaration(tool))
        .collect();
    if !declared.is_empty() {
        object
            .put_text(if snake { "function_declarations" } else { "functionDeclarations" }, &array(declared));
    }
    for tool in tools.iter().filter(|tool| tool.kind == ToolKind::Server && !tool.name.is_empty()) {
        if let Some(value) = tool.bag.get(G, "$tool") {
            object.put_text(&tool.name, value.text());
        }
    }
    object.finish()
}

fn own_declaration(tool: &Tool) -> String {
    let mut object = Object::spelled(&tool.bag, "");
    object.put("name", &tool.name);
    object.put_some("description", tool.description.as_ref());
    if let Some(written) = tool.bag.get(G, "$parameters") {
        object.put_text("parameters", written.text());
    } else if let Some(parameters) = &tool.parameters {
        object.put_text("parametersJsonSchema", parameters.text());
    }
    object.put_bag(&tool.bag, "");
    object.finish()
}
