//! Wire request → call.
//!
//! `systemInstruction` is a turn of its own before the contents. What the inner form cannot say goes into
//! bags; how a thing was spelled is noted (`$…`), so that `encode(decode(x)) = x`.

use super::{
    ids, media, options,
    types::{Fields, list, wrong},
};
use crate::codec::Envelope;
use domain::{
    Bag, Call, Code, Dialect, Fault, Item, ItemKind, Message, ModelName, Origin, Part, PartKind, Raw,
    Reasoning, Role, Signature, StreamOptions, Tool, ToolCall, ToolKind, ToolResult, Turn,
};
use serde_json::value::RawValue;

const G: Dialect = Dialect::Gemini;
/// Most contents, parts and tools together that a request may have.
const MAX_PARTS: usize = 65_536;
/// Keys in which a function's response holds one text.
const TEXT_KEYS: [&str; 4] = ["result", "output", "error", "return_value"];

/// Reads a `generateContent` request.
pub(super) fn call(body: &[u8], envelope: &Envelope<'_>) -> Result<Call, Fault> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Fault::caller(Code::InvalidJson, "The request body is not valid UTF-8."))?;
    let mut fields = serde_json::from_str::<Fields<'_>>(text).map_err(|error| {
        Fault::caller(
            Code::InvalidJson,
            format!(
                "The request body is not a JSON object (line {}, column {}).",
                error.line(),
                error.column()
            ),
        )
    })?;
    let Some(model) = envelope.model else {
        return Err(Fault::caller(
            Code::InvalidRequest,
            "The path names no model: use `/models/MODEL:generateContent`.",
        ));
    };
    let mut call = Call::new(G, ModelName::new(model));
    if envelope.stream {
        call.stream = Some(StreamOptions { include_usage: true });
    }
    let mut reader = Reader::default();
    if let Some(value) = fields.take("systemInstruction") {
        reader.content(value, "systemInstruction", true)?;
    }
    let contents = fields.take("contents").ok_or_else(|| wrong("contents", "is missing"))?;
    let (contents, single) = list(contents, "contents")?;
    if single {
        call.bag.put(G, "$singleContent", Raw::null());
    }
    for (index, content) in contents.into_iter().enumerate() {
        reader.content(content, &format!("contents[{index}]"), false)?;
    }
    call.turns = reader.turns;
    call.items = reader.items;
    if let Some(value) = fields.take("tools") {
        tools(value, &mut call)?;
    }
    options::decode(&mut fields, &mut call)?;
    fields.into_bag("", &mut call.bag);
    Ok(call)
}

#[derive(Default)]
struct Reader {
    turns: Vec<Turn>,
    items: Vec<Item>,
    calls: Vec<(String, String, bool)>,
    made: u32,
    parts: usize,
}

impl Reader {
    fn content(&mut self, value: &RawValue, place: &str, system: bool) -> Result<(), Fault> {
        let mut fields = Fields::at(value, place)?;
        let mut bag = Bag::new();
        let written: Option<String> = fields.take_as("role");
        let role = match (system, written.as_deref()) {
            (true, _) => Role::System,
            (false, Some("model")) => Role::Assistant,
            (false, Some("user" | "function" | "tool") | None) => Role::User,
            (false, Some(_)) => return Err(wrong(&format!("{place}.role"), "must be `user` or `model`")),
        };
        if (system && written.is_some()) || (!system && !matches!(written.as_deref(), Some("user" | "model")))
        {
            bag.put(G, "$role", Raw::of(&written).unwrap_or_else(|_| Raw::null()));
        }
        let turn = u32::try_from(self.turns.len()).unwrap_or(u32::MAX);
        let parts_place = format!("{place}.parts");
        let parts = match fields.take("parts") {
            Some(parts) => {
                let (parts, single) = list(parts, &parts_place)?;
                if single {
                    bag.put(G, "$singlePart", Raw::null());
                }
                parts
            }
            None => {
                bag.put(G, "$noParts", Raw::null());
                Vec::new()
            }
        };
        fields.into_bag("", &mut bag);
        self.turns.push(Turn { role, name: None, bag });
        for (index, part) in parts.into_iter().enumerate() {
            self.parts += 1;
            if self.parts > MAX_PARTS {
                return Err(wrong(&parts_place, "has too many parts: at most 65536 in a request"));
            }
            let origin = Origin { message: turn, part: u32::try_from(index).unwrap_or(u32::MAX) };
            self.part(part, origin, role, &format!("{parts_place}[{index}]"))?;
        }
        Ok(())
    }

    fn part(&mut self, value: &RawValue, origin: Origin, role: Role, place: &str) -> Result<(), Fault> {
        let mut fields = Fields::at(value, place)?;
        let mut bag = Bag::new();
        if let Some(text) = fields.take_as::<String>("text") {
            let signature = signature(&mut fields);
            if fields.get("thought").is_some_and(|thought| thought.get() == "true") {
                fields.take("thought");
                fields.into_bag("", &mut bag);
                let kind = ItemKind::Reasoning(Reasoning { text, signature, redacted: false });
                self.items.push(Item { kind, origin, bag });
            } else {
                fields.into_bag("", &mut bag);
                self.say(PartKind::Text { text, signature }, bag, origin, role);
            }
            return Ok(());
        }
        if let Some(inner) = fields.take("functionCall") {
            let signature = signature(&mut fields);
            let call = self.function_call(inner, signature, &mut bag, &format!("{place}.functionCall"))?;
            fields.into_bag("", &mut bag);
            self.items.push(Item { kind: ItemKind::ToolCall(call), origin, bag });
            return Ok(());
        }
        if let Some(inner) = fields.take("functionResponse") {
            let result =
                self.function_response(inner, origin, &mut bag, &format!("{place}.functionResponse"))?;
            fields.into_bag("", &mut bag);
            self.items.push(Item { kind: ItemKind::ToolResult(result), origin, bag });
            return Ok(());
        }
        for (name, inline) in [("inlineData", true), ("fileData", false)] {
            let known = fields.get(name).and_then(|inner| media::decode(inner.get(), inline, &mut bag));
            if let Some(kind) = known {
                fields.take(name);
                fields.into_bag("", &mut bag);
                self.say(kind, bag, origin, role);
                return Ok(());
            }
        }
        let what: Box<str> = fields.rest().next().map_or("part", |(name, _)| name).into();
        let mut bag = Bag::new();
        bag.put(G, "$block", Raw::from(value));
        self.items.push(Item { kind: ItemKind::Foreign { what }, origin, bag });
        Ok(())
    }

    /// Adds a part to the message that is being read, or begins one.
    fn say(&mut self, kind: PartKind, bag: Bag, origin: Origin, role: Role) {
        let part = Part { kind, index: origin.part, bag };
        if let Some(Item { kind: ItemKind::Message(message), origin: at, .. }) = self.items.last_mut()
            && at.message == origin.message
        {
            message.parts.push(part);
            return;
        }
        self.items.push(Item::new(ItemKind::Message(Message { role, parts: vec![part] }), origin));
    }

    fn function_call(
        &mut self,
        value: &RawValue,
        signature: Option<Signature>,
        bag: &mut Bag,
        place: &str,
    ) -> Result<ToolCall, Fault> {
        let mut fields = Fields::at(value, place)?;
        let name: String =
            fields.take_as("name").ok_or_else(|| wrong(&format!("{place}.name"), "must be a string"))?;
        let arguments = match fields.take("args") {
            Some(args) => args.get().to_owned(),
            None => {
                bag.put(G, "$noArgs", Raw::null());
                String::from("{}")
            }
        };
        let id = match fields.take_as::<String>("id") {
            Some(id) => id,
            None => {
                bag.put(G, "$noId", Raw::null());
                self.made += 1;
                ids::make("", self.made - 1, &name, &arguments)
            }
        };
        fields.into_bag("functionCall.", bag);
        self.calls.push((id.clone(), name.clone(), false));
        Ok(ToolCall { id, name, arguments, signature })
    }

    fn function_response(
        &mut self,
        value: &RawValue,
        origin: Origin,
        bag: &mut Bag,
        place: &str,
    ) -> Result<ToolResult, Fault> {
        let mut fields = Fields::at(value, place)?;
        let name: String =
            fields.take_as("name").ok_or_else(|| wrong(&format!("{place}.name"), "must be a string"))?;
        let given: Option<String> = fields.take_as("id");
        if given.is_none() {
            bag.put(G, "$noId", Raw::null());
        }
        let call_id = self.answer(given, &name);
        let (mut text, mut is_error) = (String::new(), None);
        match fields.take("response") {
            Some(response) => {
                text = response.get().to_owned();
                let inner = Fields::of(response.get()).unwrap_or_default();
                let mut entries = inner.rest();
                if let (Some((key, value)), None) = (entries.next(), entries.next())
                    && let Some(known) = TEXT_KEYS.iter().find(|known| **known == key)
                    && let Ok(said) = serde_json::from_str(value.get())
                {
                    text = said;
                    is_error = (*known == "error").then_some(true);
                    bag.put(G, "$shape", Raw::of(*known).unwrap_or_else(|_| Raw::null()));
                } else {
                    bag.put(G, "$shape", Raw::null());
                }
            }
            None => bag.put(G, "$noResponse", Raw::null()),
        }
        let mut parts = vec![Part::text(text, origin.part)];
        if let Some(nested) = fields.take("parts") {
            bag.put(G, "$parts", Raw::null());
            for part in list(nested, &format!("{place}.parts"))?.0 {
                parts.push(nested_part(part, origin.part, place)?);
            }
        }
        fields.into_bag("functionResponse.", bag);
        Ok(ToolResult { call_id, name: Some(name), parts, is_error })
    }

    /// The id of the call that a response answers: the given one, or that of the first open call of the name.
    fn answer(&mut self, given: Option<String>, name: &str) -> String {
        let open = self.calls.iter_mut().find(|(id, known, answered)| {
            !*answered && given.as_ref().map_or(known == name, |given| id == given)
        });
        if let Some((id, _, answered)) = open {
            *answered = true;
            return id.clone();
        }
        given.unwrap_or_else(|| {
            self.made += 1;
            ids::make("", self.made - 1, name, "")
        })
    }
}

fn nested_part(value: &RawValue, index: u32, place: &str) -> Result<Part, Fault> {
    let mut fields = Fields::at(value, place)?;
    let mut bag = Bag::new();
    for (name, inline) in [("inlineData", true), ("fileData", false)] {
        let known = fields.get(name).and_then(|inner| media::decode(inner.get(), inline, &mut bag));
        if let Some(kind) = known {
            fields.take(name);
            fields.into_bag("", &mut bag);
            return Ok(Part { kind, index, bag });
        }
    }
    bag.put(G, "$block", Raw::from(value));
    Ok(Part { kind: PartKind::Foreign { what: "functionResponse.parts".into() }, index, bag })
}

fn signature(fields: &mut Fields<'_>) -> Option<Signature> {
    fields.take_as("thoughtSignature").map(|data| Signature { dialect: G, data })
}

/// Reads `tools`: each wire object may hold several declarations, or tools of the provider.
fn tools(value: &RawValue, call: &mut Call) -> Result<(), Fault> {
    let (groups, single) = list(value, "tools")?;
    if single {
        call.bag.put(G, "$singleTool", Raw::null());
    }
    for (group, value) in groups.into_iter().enumerate() {
        let place = format!("tools[{group}]");
        let group = Raw::of(&group).unwrap_or_else(|_| Raw::null());
        let mut fields = Fields::at(value, &place)?;
        let declarations = fields.take("functionDeclarations");
        let mut spelling = Bag::new();
        fields.note_into("", &mut spelling);
        let before = call.tools.len();
        if let Some(declarations) = declarations {
            let (list, single) = list(declarations, &format!("{place}.functionDeclarations"))?;
            if single || list.is_empty() {
                call.tools.push(server_tool("functionDeclarations", declarations, &group));
            } else {
                for (index, value) in list.into_iter().enumerate() {
                    let mut tool = declaration(value, &format!("{place}.functionDeclarations[{index}]"))?;
                    tool.bag.put(G, "$group", group.clone());
                    if !spelling.is_empty() {
                        tool.bag.put(G, "$snakeGroup", Raw::null());
                    }
                    call.tools.push(tool);
                }
            }
        }
        for (name, value) in fields.rest() {
            call.tools.push(server_tool(name, value, &group));
        }
        if call.tools.len() == before {
            call.tools.push(server_tool("", value, &group));
        }
        if call.tools.len() > MAX_PARTS {
            return Err(wrong("tools", "has too many tools: at most 65536"));
        }
    }
    if call.tools.is_empty() {
        call.bag.put(G, "$noTools", Raw::null());
    }
    Ok(())
}

fn server_tool(name: &str, value: &RawValue, group: &Raw) -> Tool {
    let mut bag = Bag::new();
    bag.put(G, "$tool", Raw::from(value));
    bag.put(G, "$group", group.clone());
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        kind: ToolKind::Server,
        bag,
    }
}

fn declaration(value: &RawValue, place: &str) -> Result<Tool, Fault> {
    let mut fields = Fields::at(value, place)?;
    let mut bag = Bag::new();
    let name: String =
        fields.take_as("name").ok_or_else(|| wrong(&format!("{place}.name"), "must be a string"))?;
    let description = fields.take_as("description");
    let mut parameters = None;
    if let Some(schema) = fields.take("parametersJsonSchema") {
        parameters = Some(Raw::from(schema));
        bag.put(G, "$parametersJsonSchema", Raw::null());
    } else if let Some(schema) = fields.take("parameters") {
        let written = Raw::from(schema);
        parameters = Some(super::schema::to_json_schema(&written).unwrap_or_else(|| written.clone()));
        bag.put(G, "$parameters", written);
    }
    fields.into_bag("", &mut bag);
    Ok(Tool { name, description, parameters, strict: None, kind: ToolKind::Function, bag })
}
