//! Call → wire request, for a host that speaks openai-chat with or without an accent.

#[path = "request_messages.rs"]
mod messages;

pub(super) use messages::{bag_rest, write_thoughts};

use super::{
    OWN,
    decode::{NULLS, OLD_LIMIT},
    writer::Object,
};
use crate::{
    carried,
    codec::{Encoded, MaxTokensField, Target},
};
use domain::{
    Bag, Call, Effort, Fault, ItemKind, Losses, MediaSource, OutputFormat, Part, PartKind, Raw,
    ReasoningControl, Tool, ToolChoice, ToolKind,
};

/// Members that a decoder may have noted as written without saying anything (`null`, `false`, `[]`).
const QUIET: [&str; 3] = ["stream", "logprobs", "tools"];
/// OpenAI takes at most this many stop texts.
const MAX_STOPS: usize = 4;

/// Writes a request.
pub(super) fn encode(call: &Call, target: &Target<'_>) -> Result<Encoded, Fault> {
    refuse_what_cannot_be(call, target)?;
    let mut encoded = Encoded::default();
    let mut writing =
        Writing { call, target, own: call.dialect == OWN, losses: &mut encoded.losses, written: Vec::new() };
    let mut object = Object::begin(&mut encoded.body);
    writing.all(&mut object);
    object.end();
    Ok(encoded)
}

/// What the target cannot do and what may not be left out.
fn refuse_what_cannot_be(call: &Call, target: &Target<'_>) -> Result<(), Fault> {
    let cannot = |what: &'static str, param: &str| Err(carried::cannot(param, what.to_owned()));
    carried::resolved(call)?;
    let can = target.capabilities;
    if call.options.candidates.is_some_and(|n| n > 1) && !can.candidates {
        return cannot(
            "The target gives one candidate per call: ask for `n` of 1, or call several times.",
            "n",
        );
    }
    if !call.tools.is_empty() && !can.tools {
        return cannot("The target takes no tools: choose another model.", "tools");
    }
    for (index, part) in all_parts(call) {
        let (media, able, what) = match &part.kind {
            PartKind::Image(media) => {
                (media, can.vision, "The target's model takes no images: choose a model with vision.")
            }
            PartKind::Document(media) => {
                (media, can.documents, "The target's model takes no documents: send their text.")
            }
            _ => continue,
        };
        if !able {
            return cannot(what, &format!("messages[{index}].content"));
        }
        if target.quirks.no_image_urls && matches!(media.source, MediaSource::Url(_)) {
            return cannot(
                "The target takes images as bytes only: send a `data:` URL.",
                &format!("messages[{index}].content"),
            );
        }
    }
    Ok(())
}

fn all_parts(call: &Call) -> impl Iterator<Item = (u32, &Part)> {
    call.items.iter().flat_map(|item| {
        let parts: &[Part] = match &item.kind {
            ItemKind::Message(message) => &message.parts,
            ItemKind::ToolResult(result) => &result.parts,
            _ => &[],
        };
        parts.iter().map(move |part| (item.origin.message, part))
    })
}

struct Writing<'a, 'b> {
    call: &'a Call,
    target: &'a Target<'a>,
    /// The call came in this dialect.
    own: bool,
    losses: &'b mut Losses,
    written: Vec<&'static str>,
}

impl Writing<'_, '_> {
    fn all(&mut self, object: &mut Object<'_>) {
        let call = self.call;
        object.put("model", self.target.model);
        messages::write(self.call, self.target, object, self.losses);
        self.tools(object);
        self.options(object);
        self.output(object);
        self.reasoning(object);
        self.stream(object);
        for (name, value) in call.bag.fields_for(OWN) {
            object.raw(name, value);
        }
        for name in QUIET {
            let noted = call.bag.get(OWN, &format!("$={name}"));
            if let Some(value) = noted.filter(|_| !self.written.contains(&name)) {
                object.raw(name, value);
                self.written.push(name);
            }
        }
        write_nulls(&call.bag, "", object, |name| self.written.contains(&name));
        call.bag.lose_into(OWN, "", self.losses);
    }

    fn put<T: serde::Serialize>(&mut self, object: &mut Object<'_>, name: &'static str, value: Option<&T>) {
        if let Some(value) = value {
            object.put(name, value);
            self.written.push(name);
        }
    }

    fn options(&mut self, object: &mut Object<'_>) {
        let call = self.call;
        let options = &call.options;
        let can = self.target.capabilities;
        let limit_name = match self.target.quirks.max_tokens_field {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
            MaxTokensField::AsGiven => {
                let old = call.bag.get(OWN, OLD_LIMIT).is_some_and(|raw| raw.text() == "true");
                if old { "max_tokens" } else { "max_completion_tokens" }
            }
        };
        self.put(object, limit_name, options.max_output_tokens.as_ref());
        let sampling = [
            ("temperature", &options.temperature),
            ("top_p", &options.top_p),
            ("presence_penalty", &options.presence_penalty),
            ("frequency_penalty", &options.frequency_penalty),
        ];
        for (name, value) in sampling {
            match value {
                Some(_) if !can.sampling => self.losses.add(name),
                value => self.put(object, name, value.as_ref()),
            }
        }
        match options.top_k {
            Some(_) if !self.own => self.losses.add("top_k"),
            k => self.put(object, "top_k", k.as_ref()),
        }
        self.put(object, "seed", options.seed.as_ref());
        self.put(object, "n", options.candidates.as_ref());
        self.stop(object);
        match &options.logprobs {
            Some(_) if !can.logprobs => self.losses.add("logprobs"),
            Some(wanted) => {
                self.put(object, "logprobs", Some(&true));
                self.put(object, "top_logprobs", wanted.top.as_ref());
            }
            None => {}
        }
        self.put(object, "store", options.store.as_ref());
        self.put(object, "user", options.end_user.as_ref());
        match &options.service_tier {
            Some(_) if !self.own => self.losses.add("service_tier"),
            tier => self.put(object, "service_tier", tier.as_ref()),
        }
    }

    fn stop(&mut self, object: &mut Object<'_>) {
        let stops = &self.call.options.stop;
        let noted = |name: &str| self.call.bag.get(OWN, name);
        match (stops.as_slice(), noted("$stop"), noted("$=stop")) {
            ([], _, Some(empty)) => object.raw("stop", empty),
            ([], _, None) => {}
            ([one], Some(_), _) => object.put("stop", one),
            (many, _, _) if self.own => object.put("stop", many),
            (many, _, _) => {
                if many.len() > MAX_STOPS {
                    self.losses.add("stop");
                }
                object.put("stop", &many.iter().take(MAX_STOPS).collect::<Vec<_>>());
            }
        }
        self.written.push("stop");
    }

    fn output(&mut self, object: &mut Object<'_>) {
        let Some(output) = &self.call.options.output else { return };
        self.written.push("response_format");
        if let Some(as_written) = self.call.bag.get(OWN, "$=response_format") {
            object.raw("response_format", as_written);
            return;
        }
        object.object("response_format", |format| match output {
            OutputFormat::Text => format.put("type", "text"),
            OutputFormat::JsonObject => format.put("type", "json_object"),
            OutputFormat::JsonSchema { name, description, schema, strict } => {
                format.put("type", "json_schema");
                format.object("json_schema", |inner| {
                    // The name is required by OpenAI; a foreign call may have none.
                    match name {
                        Some(name) => inner.put("name", name),
                        None if !self.own => inner.put("name", "answer"),
                        None => {}
                    }
                    inner.put_some("description", description.as_ref());
                    if let Some(schema) = schema {
                        inner.raw("schema", schema);
                    }
                    inner.put_some("strict", strict.as_ref());
                });
            }
        });
    }

    fn reasoning(&mut self, object: &mut Object<'_>) {
        let Some(wanted) = &self.call.options.reasoning else { return };
        let steerable = self.target.capabilities.reasoning != ReasoningControl::None
            && !self.target.quirks.no_reasoning_effort;
        let as_written = self.call.bag.get(OWN, "$=reasoning");
        let effort = wanted.effort.or_else(|| wanted.budget_tokens.map(Effort::from_budget));
        match (effort, as_written) {
            (None, _) => {}
            (Some(_), None) if !steerable => self.losses.add("reasoning_effort"),
            (Some(_), Some(_)) if !steerable => self.losses.add("reasoning"),
            (Some(_), Some(raw)) => object.raw("reasoning", raw),
            (Some(effort), None) => self.put(object, "reasoning_effort", Some(&effort.name())),
        }
    }

    /// We always ask for usage: it is settled even where the caller does not want to see it.
    fn stream(&mut self, object: &mut Object<'_>) {
        let as_written = self.call.bag.get(OWN, "$=stream_options");
        if self.call.stream.is_none_or(|_| self.call.bag.get(OWN, "$=stream").is_some()) {
            if let Some(raw) = as_written.filter(|_| !self.target.quirks.no_stream_options) {
                object.raw("stream_options", raw);
            }
            return;
        }
        self.put(object, "stream", Some(&true));
        if self.target.quirks.no_stream_options {
            return;
        }
        self.written.push("stream_options");
        let mut options = match as_written.map(Raw::value) {
            Some(serde_json::Value::Object(options)) => options,
            _ => serde_json::Map::new(),
        };
        options.insert("include_usage".to_owned(), true.into());
        object.put("stream_options", &options);
    }

    fn tools(&mut self, object: &mut Object<'_>) {
        let call = self.call;
        let can = self.target.capabilities;
        let mut lost = Vec::new();
        let sendable = |tool: &Tool| match tool.kind {
            ToolKind::Function | ToolKind::Custom => true,
            ToolKind::Server => tool.bag.get(OWN, "$tool").is_some(),
        };
        if call.tools.iter().any(sendable) {
            self.written.push("tools");
            object.list("tools", |list| {
                for tool in call.tools.iter().filter(|tool| sendable(tool)) {
                    match tool.bag.get(OWN, "$tool") {
                        Some(whole) => list.raw(whole),
                        None => list.object(|object| write_tool(tool, object)),
                    }
                }
            });
        }
        for tool in &call.tools {
            if !sendable(tool) {
                lost.push(format!("tools.{}", tool.name));
            }
            tool.bag.lose_into(OWN, "tools", self.losses);
        }
        for name in &lost {
            self.losses.add(name);
        }
        let choice = match &call.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Named(_)) if !can.forced_tools => {
                self.losses.add("tool_choice");
                Some(&ToolChoice::Auto)
            }
            choice => choice.as_ref(),
        };
        match (choice, call.bag.get(OWN, "$=tool_choice")) {
            (None, _) => {}
            (Some(ToolChoice::Named(_) | ToolChoice::Required), Some(as_written)) => {
                object.raw("tool_choice", as_written);
            }
            (Some(ToolChoice::Auto), _) => object.put("tool_choice", "auto"),
            (Some(ToolChoice::None), _) => object.put("tool_choice", "none"),
            (Some(ToolChoice::Required), None) => object.put("tool_choice", "required"),
            (Some(ToolChoice::Named(name)), None) => object.object("tool_choice", |choice| {
                choice.put("type", "function");
                choice.object("function", |function| function.put("name", name));
            }),
        }
        match call.parallel_tool_calls {
            Some(true) if !can.parallel_tools => self.losses.add("parallel_tool_calls"),
            // OpenAI refuses the member in a call without tools.
            parallel if self.own || !call.tools.is_empty() => {
                self.put(object, "parallel_tool_calls", parallel.as_ref());
            }
            _ => {}
        }
    }
}

fn write_tool(tool: &Tool, object: &mut Object<'_>) {
    let custom = tool.kind == ToolKind::Custom;
    if tool.bag.get(OWN, "$=type").is_none() {
        object.put("type", if custom { "custom" } else { "function" });
    }
    object.object(if custom { "custom" } else { "function" }, |function| {
        function.put("name", &tool.name);
        function.put_some("description", tool.description.as_ref());
        if let Some(parameters) = &tool.parameters {
            function.raw("parameters", parameters);
        }
        function.put_some("strict", tool.strict.as_ref());
        for (name, value) in tool.bag.fields_for(OWN) {
            if let Some(name) = name.strip_prefix("function.") {
                function.raw(name, value);
            }
        }
        write_nulls(&tool.bag, "function.", function, |_| false);
    });
    for (name, value) in tool.bag.fields_for(OWN) {
        if !name.starts_with("function.") {
            object.raw(name, value);
        }
    }
    write_nulls(&tool.bag, "", object, |name| name.starts_with("function."));
}

/// Writes the members that came as `null`, by the notes whose names begin with `prefix`.
pub(super) fn write_nulls(bag: &Bag, prefix: &str, object: &mut Object<'_>, skip: impl Fn(&str) -> bool) {
    let Some(names) = bag.get(OWN, NULLS).and_then(|raw| raw.read::<Vec<String>>().ok()) else { return };
    for name in names {
        if let Some(rest) = name.strip_prefix(prefix)
            && !skip(&name)
        {
            object.raw(rest, &Raw::null());
        }
    }
}
