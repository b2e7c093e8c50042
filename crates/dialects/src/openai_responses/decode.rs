//! Wire request → call, and what it asks of whoever keeps state.

use super::{
    OWN,
    ask::{self, Echo, StateAsk},
    item,
    types::{CONTENT, note_nulls, put_note, rest, type_of},
};
use crate::{
    object::{Fields, Misfit, Object, note, raw_of},
    scan,
};
use domain::{
    Bag, Call, Code, Effort, Fault, Item, ItemKind, LogprobOptions, Message, ModelName, Origin, OutputFormat,
    Part, Raw, ReasoningOptions, Role, StreamOptions, Tool, ToolChoice, ToolKind, Turn,
};

/// Note on a turn: it is `instructions`.
pub(super) const INSTRUCTIONS: &str = "$instructions";
/// Note on a call: the state members as written, where nobody took them.
pub(super) const ASK: &str = "$ask";
/// Note on a call: `input` was a text, or an empty list.
pub(super) const INPUT: &str = "$input";
/// Most items of one input.
const MAX_ITEMS: usize = 16_384;
/// Includes that ask for likelihoods.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// A request, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What is asked of the model. Encoded for a Responses host it asks that host to keep nothing.
    pub call: Call,
    /// What is asked of whoever keeps state.
    pub ask: StateAsk,
}

/// Reads a request of `POST /responses`.
///
/// # Errors
/// `invalid_json` or `invalid_request`, with the place.
pub fn decode(body: &[u8]) -> Result<Decoded, Fault> {
    read(body, Wanted::Answer).map(taken)
}

/// Without the note that makes an encoder write the state members as they came.
fn taken((mut call, ask): (Call, StateAsk)) -> Decoded {
    let mut bag = Bag::new();
    for (name, raw) in call.bag.entries().filter(|(name, _)| *name != ASK) {
        bag.put(OWN, name, raw.clone());
    }
    call.bag = bag;
    Decoded { call, ask }
}

/// Reads a request of `POST /responses/input_tokens`: the same members, none required but the model.
///
/// # Errors
/// As [`decode`].
pub fn decode_count(body: &[u8]) -> Result<Decoded, Fault> {
    read(body, Wanted::Count).map(taken)
}

/// Reads a request, with its state members noted, so that it can be sent as it came.
pub(super) fn call(body: &[u8]) -> Result<Call, Fault> {
    read(body, Wanted::Answer).map(|(call, _)| call)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Answer,
    Count,
}

fn read(body: &[u8], wanted: Wanted) -> Result<(Call, StateAsk), Fault> {
    scan::check(body, &["input", "tools", "text", "reasoning", "tool_choice"])?;
    let fields: Fields = serde_json::from_slice(body).map_err(|error| {
        Fault::caller(Code::InvalidJson, format!("the body is not a JSON object: {error}"))
    })?;
    members(fields, wanted).map_err(Misfit::of_caller)
}

fn members(mut fields: Fields, wanted: Wanted) -> Result<(Call, StateAsk), Misfit> {
    let echo = Echo::of(&fields);
    let nulls = fields.split_nulls();
    let model = fields.must_string("model")?;
    if model.is_empty() {
        return Err(Misfit::new("model", "the name of a model"));
    }
    let mut call = Call::new(OWN, ModelName::new(&model));
    let mut notes: Vec<(&'static str, Raw)> = Vec::new();
    notes.push((ASK, as_written(&fields, &ask::MEMBERS)));
    let mut asked = ask::read(&mut fields)?;
    asked.echo = echo;
    if let Some(text) = fields.string("instructions")? {
        instructions(text, &mut call);
    }
    match fields.take("input") {
        Some(raw) => input(&raw, &mut call, &mut notes)?,
        // Stored items are an input too.
        None if wanted == Wanted::Count
            || asked.previous_response_id.is_some()
            || asked.conversation.is_some()
            || asked.prompt.is_some() => {}
        None => return Err(Misfit::new("input", "a string or a list of items")),
    }
    tools(&mut fields, &mut call, &mut notes)?;
    options(&mut fields, &mut call, &mut notes)?;
    match fields.read::<bool>("stream", "true or false")? {
        Some(true) => call.stream = Some(StreamOptions { include_usage: true }),
        Some(false) => notes.push(("$=stream", raw_of("false"))),
        None => {}
    }
    // What a Responses host is told as it was written, and no other host needs to hear.
    for (name, noted) in [
        ("include", "$=include"),
        ("truncation", "$=truncation"),
        ("max_tool_calls", "$=max_tool_calls"),
        ("stream_options", "$=stream_options"),
    ] {
        if let Some(raw) = fields.take(name) {
            notes.push((noted, raw));
        }
    }
    let mut bag = rest(fields, &[]);
    bag.merge(&call.bag);
    note_nulls(&mut bag, &nulls);
    for (name, raw) in notes {
        bag.put(OWN, name, raw);
    }
    call.bag = bag;
    Ok((call, asked))
}

/// The members of these names as one object.
fn as_written(fields: &Fields, names: &[&str]) -> Raw {
    let mut object = Object::new();
    for name in names {
        if let Some(raw) = fields.peek(name) {
            object.raw(name, raw);
        }
    }
    raw_of(&object.finish())
}

fn instructions(text: String, call: &mut Call) {
    let mut bag = Bag::new();
    bag.put(OWN, INSTRUCTIONS, note("true"));
    call.turns.push(Turn { role: Role::System, name: None, bag });
    let message = Message { role: Role::System, parts: vec![Part::text(text, 0)] };
    call.items.push(Item::new(ItemKind::Message(message), Origin::default()));
}

fn input(raw: &Raw, call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) -> Result<(), Misfit> {
    let mut turns = Turns { open: None, said: false, called: false };
    if raw.text().starts_with('"') {
        notes.push((INPUT, note("string")));
        let text: String = raw.read().map_err(|_| Misfit::new("input", "a string"))?;
        let message = Message { role: Role::User, parts: vec![Part::text(text, 0)] };
        let mut item = Item::new(ItemKind::Message(message), Origin::default());
        put_note(&mut item.bag, CONTENT, "string");
        turns.place(item, call);
        return Ok(());
    }
    let list: Vec<Raw> = raw.read().map_err(|_| Misfit::new("input", "a string or a list of items"))?;
    if list.is_empty() {
        notes.push((INPUT, note("empty")));
    }
    if list.len() > MAX_ITEMS {
        return Err(Misfit::new("input", "a list of at most 16,384 items"));
    }
    for (index, raw) in list.iter().enumerate() {
        let item =
            item::read(raw, Origin::default()).map_err(|misfit| misfit.within(&format!("input[{index}]")))?;
        if let ItemKind::Foreign { what } = &item.kind
            && &**what == "additional_tools"
        {
            additional_tools(raw, call).map_err(|misfit| misfit.within(&format!("input[{index}]")))?;
        }
        turns.place(item, call);
    }
    Ok(())
}

/// Items that make tools known in mid-conversation: other hosts know them from the start.
fn additional_tools(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    for (index, raw) in fields.list("tools")?.unwrap_or_default().iter().enumerate() {
        let mut tool = tool(raw).map_err(|misfit| misfit.within(&format!("tools[{index}]")))?;
        tool.bag.put(OWN, "$additional", note("true"));
        call.tools.push(tool);
    }
    Ok(())
}

/// Puts items of whoever keeps state behind the items of a call, each into its turn as if it had come in
/// `input`. To be called once per call with all of them, in order.
pub fn append_items(call: &mut Call, items: impl IntoIterator<Item = Item>) {
    let mut turns = Turns { open: None, said: false, called: false };
    for item in items {
        turns.place(item, call);
    }
}

/// Whether an item of a decoded call is what its request said in `instructions`: a later turn does not repeat it.
#[must_use]
pub fn is_instructions(call: &Call, item: &Item) -> bool {
    super::ask::is_instructions(call, item)
}

/// Puts items into turns. What the model said in a row is one turn, because hosts of other dialects demand that
/// a result follows the message with its call; a message opens a new turn unless calls came before it.
struct Turns {
    open: Option<u32>,
    said: bool,
    called: bool,
}

impl Turns {
    fn place(&mut self, mut item: Item, call: &mut Call) {
        let (role, of_model) = match &item.kind {
            ItemKind::Message(said) => (said.role, said.role == Role::Assistant),
            ItemKind::Reasoning(_) | ItemKind::ToolCall(_) => (Role::Assistant, true),
            ItemKind::ToolResult(_) => (Role::Tool, false),
            ItemKind::Foreign { what } if what.ends_with("_output") || what.ends_with("_response") => {
                (Role::Tool, false)
            }
            ItemKind::Foreign { .. } => (Role::Assistant, true),
        };
        let is_message = matches!(item.kind, ItemKind::Message(_));
        let again = is_message && self.said && !self.called;
        let message = match self.open {
            Some(open) if of_model && !again => open,
            _ => {
                let index = u32::try_from(call.turns.len()).unwrap_or(u32::MAX);
                call.turns.push(Turn { role, name: None, bag: Bag::new() });
                self.open = of_model.then_some(index);
                (self.said, self.called) = (false, false);
                index
            }
        };
        self.said |= is_message;
        self.called |= matches!(item.kind, ItemKind::ToolCall(_));
        let before = call.items.iter().rev().take_while(|other| other.origin.message == message).count();
        item.origin = Origin { message, part: u32::try_from(before).unwrap_or(u32::MAX) };
        if let (ItemKind::Message(said), true) = (&mut item.kind, before > 0) {
            // Parts share the turn's numbers with the items around them.
            for part in &mut said.parts {
                part.index = part.index.saturating_add(item.origin.part);
            }
        }
        call.items.push(item);
    }
}

fn tools(fields: &mut Fields, call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) -> Result<(), Misfit> {
    if let Some(raw) = fields.take("tools") {
        let listed: Vec<Raw> = raw.read().map_err(|_| Misfit::new("tools", "a list"))?;
        if listed.is_empty() {
            notes.push(("$=tools", raw));
        }
        for (index, raw) in listed.iter().enumerate() {
            call.tools.push(tool(raw).map_err(|misfit| misfit.within(&format!("tools[{index}]")))?);
        }
    }
    call.parallel_tool_calls = fields.read("parallel_tool_calls", "true or false")?;
    if let Some(raw) = fields.take("tool_choice") {
        tool_choice(&raw, call, notes).map_err(|misfit| misfit.within("tool_choice"))?;
        notes.push(("$=tool_choice", raw));
    }
    Ok(())
}

fn tool(raw: &Raw) -> Result<Tool, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let nulls = fields.split_nulls();
    let Some(what) = type_of(&fields) else { return Err(Misfit::new("type", "the type of a tool")) };
    let kind = match what.as_str() {
        "function" => ToolKind::Function,
        "custom" => ToolKind::Custom,
        _ => {
            let mut bag = Bag::new();
            bag.put(OWN, "$tool", raw.clone());
            return Ok(Tool {
                name: what,
                description: None,
                parameters: None,
                strict: None,
                kind: ToolKind::Server,
                bag,
            });
        }
    };
    drop(fields.take("type"));
    let name = fields.must_string("name")?;
    if name.trim().is_empty() {
        return Err(Misfit::new("name", "a name"));
    }
    let parameters = match kind {
        ToolKind::Function => fields.take("parameters"),
        _ => None,
    };
    if parameters.as_ref().is_some_and(|raw| !raw.text().trim_start().starts_with('{')) {
        return Err(Misfit::new("parameters", "an object (a JSON schema)"));
    }
    Ok(Tool {
        name,
        description: fields.string("description")?,
        parameters,
        strict: fields.read("strict", "true or false")?,
        kind,
        bag: rest(fields, &nulls),
    })
}

fn tool_choice(raw: &Raw, call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) -> Result<(), Misfit> {
    let word = |word: &str| match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    };
    if raw.text().starts_with('"') {
        let said: String = raw.read().map_err(|_| Misfit::new("", "a string"))?;
        let choice = word(&said)
            .ok_or_else(|| Misfit::new("", "`auto`, `none`, `required` or an object that names a tool"))?;
        call.tool_choice = Some(choice);
        return Ok(());
    }
    let mut fields = Fields::of(raw, "")?;
    match fields.must_string("type")?.as_str() {
        "function" | "custom" => call.tool_choice = Some(ToolChoice::Named(fields.must_string("name")?)),
        "allowed_tools" => {
            let mode = fields.string("mode")?.unwrap_or_else(|| "auto".into());
            call.tool_choice = Some(word(&mode).ok_or_else(|| Misfit::new("mode", "`auto` or `required`"))?);
            let allowed = fields.list("tools")?.ok_or_else(|| Misfit::new("tools", "a list"))?;
            allow(&allowed, call, notes);
        }
        // A tool of the API itself: no other host can be made to call it.
        _ => call.bag.put(OWN, "tool_choice.type", raw.clone()),
    }
    Ok(())
}

/// Keeps the allowed tools; the whole list is noted for a host that knows the choice itself.
fn allow(allowed: &[Raw], call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) {
    let named: Vec<(Option<String>, Option<String>)> = allowed
        .iter()
        .filter_map(|raw| {
            let mut fields = Fields::of(raw, "").ok()?;
            Some((fields.string("type").ok()?, fields.string("name").ok()?))
        })
        .collect();
    let is_allowed = |tool: &Tool| {
        named.iter().any(|(what, name)| match name {
            Some(name) => *name == tool.name,
            None => what.as_deref() == Some(tool.name.as_str()),
        })
    };
    let texts: Vec<String> = call.tools.iter().filter(|tool| !is_additional(tool)).map(tool_text).collect();
    notes.push(("$=tools", raw_of(&crate::object::list(&texts))));
    call.tools.retain(is_allowed);
}

/// Whether a tool was made known by an item.
pub(super) fn is_additional(tool: &Tool) -> bool {
    tool.bag.get(OWN, "$additional").is_some()
}

/// A tool of this dialect as it came.
pub(super) fn tool_text(tool: &Tool) -> String {
    if let Some(raw) = tool.bag.get(OWN, "$tool") {
        return raw.text().to_owned();
    }
    let mut text = Object::new();
    text.string("type", if tool.kind == ToolKind::Custom { "custom" } else { "function" });
    text.string("name", &tool.name);
    if let Some(description) = &tool.description {
        text.string("description", description);
    }
    if let Some(schema) = &tool.parameters {
        text.raw("parameters", schema);
    }
    if let Some(strict) = tool.strict {
        text.scalar("strict", strict);
    }
    text.bag(&tool.bag, OWN);
    super::types::write_nulls(&tool.bag, &[], &mut text);
    text.finish()
}

fn options(fields: &mut Fields, call: &mut Call, notes: &mut Vec<(&'static str, Raw)>) -> Result<(), Misfit> {
    let options = &mut call.options;
    options.max_output_tokens = fields.read("max_output_tokens", "a whole number")?;
    options.temperature = fields.read("temperature", "a number")?;
    options.top_p = fields.read("top_p", "a number")?;
    options.presence_penalty = fields.read("presence_penalty", "a number")?;
    options.frequency_penalty = fields.read("frequency_penalty", "a number")?;
    options.service_tier = fields.string("service_tier")?.map(Into::into);
    options.end_user = fields.string("user")?.map(Into::into);
    if options.end_user.is_none()
        && let Some(raw) = fields.take("safety_identifier")
    {
        options.end_user = Some(raw.read().map_err(|_| Misfit::new("safety_identifier", "a string"))?);
        notes.push(("$=safety_identifier", raw));
    }
    let top: Option<u32> = match fields.take("top_logprobs") {
        Some(raw) => {
            let top = raw.read().map_err(|_| Misfit::new("top_logprobs", "a whole number from 0 to 20"))?;
            notes.push(("$=top_logprobs", raw));
            Some(top)
        }
        None => None,
    };
    let included = fields.peek("include").is_some_and(|raw| raw.text().contains(INCLUDE_LOGPROBS));
    if included || top.is_some_and(|top| top > 0) {
        options.logprobs = Some(LogprobOptions { top });
    }
    if let Some(raw) = fields.take("text") {
        text(&raw, call).map_err(|misfit| misfit.within("text"))?;
        notes.push(("$=text", raw));
    }
    if let Some(raw) = fields.take("reasoning") {
        reasoning(&raw, call).map_err(|misfit| misfit.within("reasoning"))?;
        notes.push(("$=reasoning", raw));
    }
    Ok(())
}

fn text(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    if let Some(format) = fields.take("format") {
        let mut inner = Fields::of(&format, "format")?;
        let within = |misfit: Misfit| misfit.within("format");
        call.options.output = match inner.must_string("type").map_err(within)?.as_str() {
            "text" => Some(OutputFormat::Text),
            "json_object" => Some(OutputFormat::JsonObject),
            "json_schema" => Some(OutputFormat::JsonSchema {
                name: inner.string("name").map_err(within)?.map(Into::into),
                description: inner.string("description").map_err(within)?.map(Into::into),
                schema: Some(
                    inner
                        .take("schema")
                        .ok_or_else(|| Misfit::new("format.schema", "an object (a JSON schema)"))?,
                ),
                strict: inner.read("strict", "true or false").map_err(within)?,
            }),
            _ => return Err(Misfit::new("format.type", "`text`, `json_object` or `json_schema`")),
        };
    }
    lose_rest(fields, "text", call);
    Ok(())
}

fn reasoning(raw: &Raw, call: &mut Call) -> Result<(), Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let mut wish = ReasoningOptions::default();
    if let Some(word) = fields.string("effort")? {
        wish.effort = Effort::parse(&word);
        if wish.effort.is_none() {
            call.bag.put(OWN, "reasoning.effort", note(&word));
        }
    }
    let summary = fields.string("summary")?;
    let older = fields.string("generate_summary")?;
    wish.include = summary.or(older).map(|_| true);
    call.options.reasoning = (wish != ReasoningOptions::default()).then_some(wish);
    lose_rest(fields, "reasoning", call);
    Ok(())
}

/// Members that only this dialect knows, by their path: losses elsewhere. The object itself is noted whole.
fn lose_rest(fields: Fields, parent: &str, call: &mut Call) {
    for (name, raw) in fields.into_iter() {
        call.bag.put(OWN, &format!("{parent}.{name}"), raw);
    }
}

/// Whether a member of the call's bag is one of [`lose_rest`]: written as a part of its object.
pub(super) fn is_inner(name: &str) -> bool {
    ["text.", "reasoning.", "tool_choice."].iter().any(|parent| name.starts_with(parent))
}
