//! Items → messages of a request.
//!
//! A wire message is a run of items that came from one message. Items of another dialect are regrouped the
//! way chat wants it: tool results first, each a message of its own, what a tool message cannot hold
//! (images) in the user message behind them.

use super::write_nulls;
use crate::{
    codec::Target,
    openai_chat::{
        OWN,
        reasoning::{self, Form},
        writer::{List, Object},
    },
};
use domain::{
    Bag, Call, Item, ItemKind, Losses, Media, MediaSource, Message, Part, PartKind, Role, ToolCall,
    ToolResult, Turn,
};

/// Writes `messages`.
pub(super) fn write(call: &Call, target: &Target<'_>, object: &mut Object<'_>, losses: &mut Losses) {
    let mut writer = Writer { call, target, own: call.dialect == OWN, losses, after_tool: false };
    object.list("messages", |list| {
        let mut rest = call.items.as_slice();
        let mut next_turn = 0;
        while let Some(first) = rest.first() {
            let message = first.origin.message;
            for turn in next_turn..message {
                writer.group(turn, &[], list);
            }
            let length = rest.iter().take_while(|item| item.origin.message == message).count();
            let (group, tail) = rest.split_at(length);
            writer.group(message, group, list);
            next_turn = next_turn.max(message.saturating_add(1));
            rest = tail;
        }
        for turn in next_turn..u32::try_from(call.turns.len()).unwrap_or(u32::MAX) {
            writer.group(turn, &[], list);
        }
    });
    for turn in &call.turns {
        turn.bag.lose_into(OWN, "messages", losses);
    }
}

struct Writer<'a, 'b> {
    call: &'a Call,
    target: &'a Target<'a>,
    own: bool,
    losses: &'b mut Losses,
    after_tool: bool,
}

impl Writer<'_, '_> {
    fn group(&mut self, index: u32, items: &[Item], list: &mut List<'_>) {
        let turn = self.call.turns.get(index as usize);
        if items.is_empty() {
            // A message without content, which only its own dialect can have meant.
            if let Some(turn) = turn.filter(|turn| self.own && turn.role == Role::Assistant) {
                self.assistant(Some(turn), &[], list);
            }
            return;
        }
        let mut moved: Vec<&Part> = Vec::new();
        for item in items {
            item.bag.lose_into(OWN, "messages", self.losses);
            if let ItemKind::ToolResult(result) = &item.kind {
                self.tool_result(turn, result, list, &mut moved);
            }
        }
        let of_assistant = |item: &&Item| match &item.kind {
            ItemKind::Message(message) => message.role == Role::Assistant,
            ItemKind::Reasoning(_) | ItemKind::ToolCall(_) | ItemKind::Foreign { .. } => true,
            ItemKind::ToolResult(_) => false,
        };
        for item in items {
            if let ItemKind::Message(message) = &item.kind
                && message.role != Role::Assistant
            {
                self.said(turn, message, &moved, list);
                moved.clear();
            }
        }
        if !moved.is_empty() {
            let message = Message { role: Role::User, parts: Vec::new() };
            self.said(None, &message, &moved, list);
        }
        let assistant: Vec<&Item> = items.iter().filter(of_assistant).collect();
        if !assistant.is_empty() {
            self.assistant(turn, &assistant, list);
        }
    }

    fn tool_result<'c>(
        &mut self,
        turn: Option<&Turn>,
        result: &'c ToolResult,
        list: &mut List<'_>,
        moved: &mut Vec<&'c Part>,
    ) {
        self.after_tool = true;
        let id = self.tool_id(&result.call_id);
        let own_list = turn.is_some_and(|turn| is_list(&turn.bag));
        list.object(|object| {
            object.put("role", "tool");
            object.put("tool_call_id", &id);
            if self.own {
                if let Some(name) = turn.and_then(|turn| turn.name.as_deref()) {
                    object.put("name", name);
                }
                if result.parts.is_empty() && !own_list {
                    // Came as null, or not at all.
                } else {
                    self.content(own_list, &result.parts, &[], object);
                }
            } else {
                let mut text = String::new();
                for part in &result.parts {
                    match &part.kind {
                        PartKind::Text { text: more, .. } | PartKind::Refusal(more) => {
                            if !text.is_empty() {
                                text.push('\n');
                            }
                            text.push_str(more);
                        }
                        _ => moved.push(part),
                    }
                }
                if result.is_error == Some(true) && !text.starts_with("Error") {
                    text.insert_str(0, "Error: ");
                }
                if text.is_empty() && !moved.is_empty() {
                    text.push_str("See the next message.");
                }
                object.put("content", &text);
            }
            self.turn_rest(turn, object);
        });
    }

    fn said(&mut self, turn: Option<&Turn>, message: &Message, moved: &[&Part], list: &mut List<'_>) {
        let quirks = &self.target.quirks;
        if message.role == Role::User && self.after_tool && quirks.assistant_between_tool_and_user {
            list.object(|object| {
                object.put("role", "assistant");
                object.put("content", "");
            });
        }
        self.after_tool = false;
        let role = match message.role {
            Role::System => "system",
            Role::Developer if quirks.no_developer_role => "system",
            Role::Developer => "developer",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        list.object(|object| {
            object.put("role", role);
            self.name(turn, object);
            let as_list = turn.is_some_and(|turn| is_list(&turn.bag));
            self.content(as_list, &message.parts, moved, object);
            self.turn_rest(turn, object);
        });
    }

    fn name(&mut self, turn: Option<&Turn>, object: &mut Object<'_>) {
        if let Some(name) = turn.and_then(|turn| turn.name.as_deref()) {
            if self.target.quirks.no_message_name {
                self.losses.add("messages.name");
            } else {
                object.put("name", name);
            }
        }
    }

    fn assistant(&mut self, turn: Option<&Turn>, items: &[&Item], list: &mut List<'_>) {
        self.after_tool = false;
        let thoughts = self.sendable_thoughts(items);
        let mut parts: Vec<&Part> = Vec::new();
        let mut said = false;
        for item in items {
            match &item.kind {
                ItemKind::Message(message) => {
                    said = true;
                    parts.extend(&message.parts);
                }
                ItemKind::Foreign { what } => self.losses.add(&format!("messages.{what}")),
                _ => {}
            }
        }
        let calls: Vec<(&ToolCall, &Bag)> = items
            .iter()
            .filter_map(|item| match &item.kind {
                ItemKind::ToolCall(call) => Some((call, &item.bag)),
                _ => None,
            })
            .collect();
        if !self.own && parts.is_empty() && calls.is_empty() {
            return;
        }
        list.object(|object| {
            object.put("role", "assistant");
            self.name(turn, object);
            self.assistant_content(turn, said, &parts, &thoughts, object);
            if !calls.is_empty() {
                object.list("tool_calls", |list| {
                    for (call, bag) in &calls {
                        list.object(|object| self.tool_call(call, bag, object));
                    }
                });
            } else if let Some(empty) = turn.and_then(|turn| turn.bag.get(OWN, "$=tool_calls")) {
                object.raw("tool_calls", empty);
            }
            write_thoughts(turn, &thoughts, object);
            self.turn_rest(turn, object);
        });
    }

    /// The thoughts that this host may see. A proof that only another provider can read stays here.
    fn sendable_thoughts<'c>(&mut self, items: &[&'c Item]) -> Vec<&'c Item> {
        let mut sendable = Vec::new();
        for item in items {
            let ItemKind::Reasoning(thought) = &item.kind else { continue };
            let noted = item.bag.get(OWN, reasoning::DETAIL).map(domain::Raw::value);
            let format = noted.as_ref().and_then(|detail| detail.get("format")?.as_str());
            let foreign = format.is_some_and(|format| {
                domain::Dialect::ALL.iter().any(|dialect| *dialect != OWN && dialect.name() == format)
            });
            if self.own && !foreign {
                sendable.push(*item);
            } else if !thought.text.is_empty() || thought.signature.is_some() {
                self.losses.add(if self.own { "messages.reasoning_details" } else { "messages.reasoning" });
            }
        }
        sendable
    }

    fn assistant_content(
        &mut self,
        turn: Option<&Turn>,
        said: bool,
        parts: &[&Part],
        thoughts: &[&Item],
        object: &mut Object<'_>,
    ) {
        let member = |part: &&&Part| part.bag.get(OWN, "$member").is_some();
        let refusal = parts.iter().find(member).and_then(|part| match &part.kind {
            PartKind::Refusal(text) => Some(text),
            _ => None,
        });
        let inside: Vec<&Part> = parts.iter().filter(|part| !member(part)).copied().collect();
        let as_list = turn.is_some_and(|turn| is_list(&turn.bag));
        let absent =
            turn.and_then(|turn| turn.bag.get(OWN, "$content")).is_some_and(|c| c.text() == "\"none\"");
        let thinking: Vec<&Item> =
            thoughts.iter().filter(|item| form(item) == Form::Thinking).copied().collect();
        if !thinking.is_empty() {
            object.list("content", |list| self.mixed(&thinking, &inside, list));
        } else if said && !absent {
            self.content_of(as_list, &inside, object);
        } else if !self.own {
            object.raw("content", &domain::Raw::null());
        }
        object.put_some("refusal", refusal);
    }

    /// Mistral's content: thoughts and parts in one list, by their place in it.
    fn mixed(&mut self, thinking: &[&Item], parts: &[&Part], list: &mut List<'_>) {
        let mut thinking = thinking.iter().peekable();
        for part in parts {
            while let Some(item) = thinking.next_if(|item| item.origin.part <= part.index) {
                write_thinking(item, list);
            }
            self.part(part, list);
        }
        for item in thinking {
            write_thinking(item, list);
        }
    }

    fn content(&mut self, as_list: bool, parts: &[Part], moved: &[&Part], object: &mut Object<'_>) {
        let parts: Vec<&Part> = parts.iter().chain(moved.iter().copied()).collect();
        self.content_of(as_list, &parts, object);
    }

    fn content_of(&mut self, as_list: bool, parts: &[&Part], object: &mut Object<'_>) {
        match parts {
            [] if !as_list => object.put("content", ""),
            [Part { kind: PartKind::Text { text, .. }, bag, .. }] if !as_list => {
                bag.lose_into(OWN, "messages.content", self.losses);
                object.put("content", text);
            }
            parts => object.list("content", |list| {
                for part in parts {
                    self.part(part, list);
                }
            }),
        }
    }

    fn part(&mut self, part: &Part, list: &mut List<'_>) {
        part.bag.lose_into(OWN, "messages.content", self.losses);
        let bag = &part.bag;
        match &part.kind {
            PartKind::Text { text, .. } => list.object(|object| {
                object.put("type", "text");
                object.put("text", text);
                bag_rest(bag, "", object);
            }),
            PartKind::Refusal(text) => list.object(|object| {
                object.put("type", "refusal");
                object.put("refusal", text);
                bag_rest(bag, "", object);
            }),
            PartKind::Image(media) => match url_of(media, bag) {
                Some(url) => write_url("image_url", &url, bag, list),
                None => self.losses.add("messages.content.image"),
            },
            PartKind::Video(media) => match url_of(media, bag) {
                Some(url) => write_url("video_url", &url, bag, list),
                None => self.losses.add("messages.content.video"),
            },
            PartKind::Audio(media) => match &media.source {
                MediaSource::Base64(data) => list.object(|object| {
                    object.put("type", "input_audio");
                    object.object("input_audio", |inner| {
                        inner.put("data", data);
                        let mime = media.mime.as_deref().unwrap_or("audio/wav");
                        let format =
                            if mime == "audio/mpeg" { "mp3" } else { mime.trim_start_matches("audio/") };
                        inner.put("format", format);
                        bag_rest(bag, "input_audio.", inner);
                    });
                    bag_rest(bag, "", object);
                }),
                _ => self.losses.add("messages.content.audio"),
            },
            PartKind::Document(media) => self.document(media, bag, list),
            PartKind::Foreign { what } => match bag.get(OWN, "$block") {
                Some(block) => list.raw(block),
                None => self.losses.add(&format!("messages.content.{what}")),
            },
        }
    }

    fn document(&mut self, media: &Media, bag: &Bag, list: &mut List<'_>) {
        match &media.source {
            MediaSource::Text(text) => list.object(|object| {
                object.put("type", "text");
                object.put("text", text);
            }),
            MediaSource::Url(_) if bag.dialect() != Some(OWN) && !self.own => {
                self.losses.add("messages.content.document");
            }
            source => list.object(|object| {
                object.put("type", "file");
                object.object("file", |inner| {
                    match source {
                        MediaSource::FileId(id) => inner.put("file_id", id),
                        _ => inner.put_some("file_data", url_of(media, bag).as_ref()),
                    }
                    match &media.name {
                        Some(name) => inner.put("filename", name),
                        // OpenAI refuses bytes without a name.
                        None if !self.own => inner.put("filename", "document.pdf"),
                        None => {}
                    }
                    bag_rest(bag, "file.", inner);
                });
                bag_rest(bag, "", object);
            }),
        }
    }

    fn tool_call(&mut self, call: &ToolCall, bag: &Bag, object: &mut Object<'_>) {
        let kind = bag.get(OWN, "$type").and_then(|raw| raw.read::<String>().ok());
        // A call of another dialect is one of a custom tool where the tool of its name is.
        let of_custom = |tool: &domain::Tool| tool.kind == domain::ToolKind::Custom && tool.name == call.name;
        let custom =
            kind.as_deref() == Some("custom") || (!self.own && self.call.tools.iter().any(of_custom));
        object.put("id", &self.tool_id(&call.id));
        if kind.as_deref() != Some("none") {
            object.put("type", if custom { "custom" } else { "function" });
        }
        let spelled = bag.get(OWN, "$arguments").and_then(|raw| raw.read::<String>().ok());
        object.object(if custom { "custom" } else { "function" }, |function| {
            function.put("name", &call.name);
            match (spelled.as_deref(), domain::Raw::parse(&call.arguments)) {
                (Some("none"), _) if call.arguments.is_empty() => {}
                (Some("object"), Ok(raw)) => function.raw("arguments", &raw),
                _ if custom => function.put("input", &call.arguments),
                _ if call.arguments.is_empty() && !self.own => function.put("arguments", "{}"),
                _ => function.put("arguments", &call.arguments),
            }
            bag_rest(bag, "function.", function);
        });
        if let Some(proof) = &call.signature {
            if self.own {
                object.raw("extra_content", &reasoning::google_extra(proof));
            } else {
                self.losses.add("messages.signature");
            }
        }
        bag_rest(bag, "", object);
    }

    /// The id as it is, or nine letters and digits made of it where the host wants that.
    fn tool_id(&self, id: &str) -> String {
        let short = id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if short || !self.target.quirks.short_tool_ids { id.to_owned() } else { short_id(id) }
    }

    /// Fields of the message as a whole.
    fn turn_rest(&self, turn: Option<&Turn>, object: &mut Object<'_>) {
        let Some(turn) = turn.filter(|_| self.own) else { return };
        for (name, value) in turn.bag.fields_for(OWN) {
            object.raw(name, value);
        }
        let strip_name = self.target.quirks.no_message_name;
        write_nulls(&turn.bag, "", object, |name| name == "name" && strip_name);
    }
}

fn form(item: &Item) -> Form {
    match &item.kind {
        ItemKind::Reasoning(reasoning) => Form::of(item, reasoning),
        _ => Form::Content,
    }
}

fn write_thinking(item: &Item, list: &mut List<'_>) {
    let ItemKind::Reasoning(thought) = &item.kind else { return };
    list.object(|object| {
        object.put("type", "thinking");
        object.list("thinking", |list| {
            list.object(|object| {
                object.put("type", "text");
                object.put("text", &thought.text);
            });
        });
        bag_rest(&item.bag, "", object);
    });
}

/// The members beside `content` that hold thoughts.
pub(in crate::openai_chat) fn write_thoughts(turn: Option<&Turn>, items: &[&Item], object: &mut Object<'_>) {
    for wanted in [Form::Content, Form::Reasoning] {
        let these = items.iter().filter(|item| form(item) == wanted);
        let repeated = turn.is_some_and(|t| t.bag.get(OWN, &format!("$joined.{}", wanted.name())).is_some());
        if repeated && !items.is_empty() {
            object.put(wanted.name(), &reasoning::joined(items.iter().copied()));
        } else if these.clone().next().is_some() {
            object.put(wanted.name(), &reasoning::joined(these.copied()));
        }
    }
    let details: Vec<_> = items
        .iter()
        .filter(|item| form(item) == Form::Detail)
        .filter_map(|item| match &item.kind {
            ItemKind::Reasoning(thought) => Some(reasoning::to_detail(item, thought)),
            _ => None,
        })
        .collect();
    if !details.is_empty() {
        object.put(Form::Detail.name(), &details);
    }
}

fn is_list(bag: &Bag) -> bool {
    bag.get(OWN, "$content").is_some_and(|raw| raw.text() == "\"list\"")
}

/// Writes the fields of a bag whose names begin with `prefix`; without a prefix, those without a dot.
pub(in crate::openai_chat) fn bag_rest(bag: &Bag, prefix: &str, object: &mut Object<'_>) {
    for (name, value) in bag.fields_for(OWN) {
        match name.strip_prefix(prefix) {
            Some(rest) if !prefix.is_empty() || !is_nested(name) => object.raw(rest, value),
            _ => {}
        }
    }
    write_nulls(bag, prefix, object, |name| prefix.is_empty() && is_nested(name));
}

fn is_nested(name: &str) -> bool {
    ["function.", "image_url.", "video_url.", "input_audio.", "file."].iter().any(|p| name.starts_with(p))
}

fn write_url(kind: &'static str, url: &str, bag: &Bag, list: &mut List<'_>) {
    list.object(|object| {
        object.put("type", kind);
        if bag.get(OWN, "$text").is_some() {
            object.put(kind, url);
        } else {
            object.object(kind, |inner| {
                inner.put("url", url);
                bag_rest(bag, &format!("{kind}."), inner);
            });
        }
        bag_rest(bag, "", object);
    });
}

/// The URL of a medium; `None` where it is behind an id of one provider.
fn url_of(media: &Media, bag: &Bag) -> Option<String> {
    match &media.source {
        MediaSource::Url(url) => Some(url.to_string()),
        MediaSource::Base64(data) => {
            let noted = bag.get(OWN, "$head").and_then(|raw| raw.read::<String>().ok());
            let head = noted.as_deref().or(media.mime.as_deref()).unwrap_or("application/octet-stream");
            Some(format!("data:{head};base64,{data}"))
        }
        MediaSource::FileId(_) | MediaSource::Text(_) => None,
    }
}

/// Nine letters and digits, the same for the same id: FNV-1a, written to base 62.
fn short_id(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut short = String::with_capacity(9);
    for _ in 0..9 {
        let digit = usize::try_from(hash % 62).unwrap_or_default();
        short.push(DIGITS.get(digit).copied().map_or('0', char::from));
        hash /= 62;
    }
    short
}
