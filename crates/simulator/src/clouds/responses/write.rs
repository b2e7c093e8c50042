//! Writing an answer: the response object, whole or at the end of its stream of events.

use serde_json::{Map, Value, json};

use super::{Asked, Style, event, sealed};
use crate::answer::{Answer, Finish};
use crate::clouds::chat::{argument_pieces, padding, safe};
use crate::exchange::Ask;
use crate::fields;
use crate::identity::Ids;
use crate::pace::{Frame, FrameKind};

/// Letters of the ids after their prefix.
const ID_DIGITS: usize = 50;

/// One answer on its way out.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    ask: &'a Ask<'a>,
    style: &'a Style,
    answer: &'a Answer,
    obfuscation: bool,
    id: String,
    /// The output items as they are in the end.
    items: Vec<Value>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(ask: &'a Ask<'a>, asked: &Asked, style: &'a Style, answer: &'a Answer) -> Self {
        let mut ids = Ids::new(ask.seq, "responses");
        let obfuscation = style.obfuscation && asked.obfuscation;
        let id = format!("resp_{}", ids.hex(ID_DIGITS));
        let items = items(&ask.cloud.name, asked, answer, &mut ids);
        Self { ask, style, answer, obfuscation, id, items }
    }

    /// The response object when all is said.
    pub(super) fn whole(&self) -> Value {
        let usage = &self.answer.usage;
        let (status, why) = status(&self.answer.finish);
        let done = if why.is_some() { Value::Null } else { json!(self.ask.now_ms / 1000) };
        let mut body = self.envelope(status);
        let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
        set("completed_at", done);
        set("incomplete_details", why.map_or(Value::Null, |reason| json!({"reason": reason})));
        set("output", json!(self.items));
        set("service_tier", json!("default"));
        let usage = json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        });
        set("usage", usage);
        if self.style.filters {
            set("content_filters", json!([verdict("prompt"), verdict("completion")]));
        }
        Value::Object(body)
    }

    /// The response object with nothing said yet; what was asked for is echoed.
    fn envelope(&self, status: &str) -> Map<String, Value> {
        let asked = self.ask.json;
        let given = |at: &str| asked.pointer(at).cloned().unwrap_or_default();
        let or = |at: &str, usual: Value| match given(at) {
            Value::Null => usual,
            value => value,
        };
        let body = json!({
            "id": self.id, "object": "response", "created_at": self.ask.now_ms / 1000, "status": status,
            "background": false, "completed_at": null, "error": null, "incomplete_details": null,
            "instructions": given("/instructions"), "max_output_tokens": given("/max_output_tokens"),
            "max_tool_calls": given("/max_tool_calls"), "model": self.style.model, "output": [],
            "parallel_tool_calls": or("/parallel_tool_calls", json!(true)), "previous_response_id": null,
            "prompt_cache_key": given("/prompt_cache_key"),
            "reasoning": {"effort": given("/reasoning/effort"), "summary": given("/reasoning/summary")},
            "safety_identifier": given("/safety_identifier"),
            "service_tier": or("/service_tier", json!("auto")), "store": or("/store", json!(true)),
            "temperature": or("/temperature", json!(1.0)),
            "text": {"format": or("/text/format", json!({"type": "text"})),
                "verbosity": or("/text/verbosity", json!("medium"))},
            "tool_choice": or("/tool_choice", json!("auto")), "tools": tools(asked),
            "top_logprobs": or("/top_logprobs", json!(0)), "top_p": or("/top_p", json!(1.0)),
            "truncation": or("/truncation", json!("disabled")), "usage": null,
            "user": given("/user"), "metadata": or("/metadata", json!({})),
        });
        let Value::Object(mut map) = body else { return Map::new() };
        if self.style.filters {
            map.insert("content_filters".to_owned(), Value::Null);
        }
        map
    }

    /// The events, in order and numbered.
    pub(super) fn stream(&self) -> Vec<Frame> {
        let mut events = Events { frames: Vec::new(), obfuscation: self.obfuscation, padding: 0 };
        let opening = json!({"response": self.envelope("in_progress")});
        events.push(FrameKind::Opening, "response.created", &opening);
        events.push(FrameKind::Opening, "response.in_progress", &opening);
        for (index, item) in self.items.iter().enumerate() {
            let added = json!({"output_index": index, "item": begun(item)});
            events.push(FrameKind::Opening, "response.output_item.added", &added);
            let at = json!({"item_id": item.get("id"), "output_index": index});
            match fields::text(item, "type") {
                "reasoning" => self.stream_summary(&mut events, &at, item),
                "function_call" => {
                    let arguments = fields::text(item, "arguments");
                    let name = "response.function_call_arguments";
                    events.pieces(name, &at, &argument_pieces(arguments), "arguments", arguments);
                }
                _ => self.stream_text(&mut events, &at, item),
            }
            let done = json!({"output_index": index, "item": item});
            events.push(FrameKind::Opening, "response.output_item.done", &done);
        }
        let end = format!("response.{}", status(&self.answer.finish).0);
        events.push(FrameKind::Closing, &end, &json!({"response": self.whole()}));
        events.frames
    }

    fn stream_summary(&self, events: &mut Events, at: &Value, item: &Value) {
        let Some(part) = item.pointer("/summary/0") else { return };
        let at = with(at, "summary_index", json!(0));
        let empty = with(&at, "part", json!({"type": "summary_text", "text": ""}));
        events.push(FrameKind::Opening, "response.reasoning_summary_part.added", &empty);
        let (pieces, text) = (self.answer.reasoning_pieces(), fields::text(part, "text"));
        events.pieces("response.reasoning_summary_text", &at, &pieces, "text", text);
        let part = with(&at, "part", part.clone());
        events.push(FrameKind::Opening, "response.reasoning_summary_part.done", &part);
    }

    fn stream_text(&self, events: &mut Events, at: &Value, item: &Value) {
        let Some(part) = item.pointer("/content/0") else { return };
        let mut at = with(at, "content_index", json!(0));
        let refused = self.answer.finish == Finish::Refused;
        events.push(FrameKind::Opening, "response.content_part.added", &with(&at, "part", said("", refused)));
        let (pieces, part) = (self.answer.text_pieces(), with(&at, "part", part.clone()));
        if refused {
            events.pieces("response.refusal", &at, &pieces, "refusal", &self.answer.text);
        } else {
            at = with(&at, "logprobs", json!([]));
            events.pieces("response.output_text", &at, &pieces, "text", &self.answer.text);
        }
        events.push(FrameKind::Opening, "response.content_part.done", &part);
    }
}

/// Status of the response, and why it is incomplete when it is.
fn status(finish: &Finish) -> (&'static str, Option<&'static str>) {
    match finish {
        Finish::Length => ("incomplete", Some("max_output_tokens")),
        Finish::Filtered => ("incomplete", Some("content_filter")),
        Finish::Stop | Finish::Tools | Finish::Sequence(_) | Finish::Refused => ("completed", None),
    }
}

/// Reasoning, then the message, then the calls.
fn items(cloud: &str, asked: &Asked, answer: &Answer, ids: &mut Ids) -> Vec<Value> {
    let (status, why) = status(&answer.finish);
    let mut items = Vec::new();
    if let Some(reasoning) = &answer.reasoning {
        let summary =
            if asked.summary { json!([{"type": "summary_text", "text": reasoning}]) } else { json!([]) };
        let id = format!("rs_{}", ids.hex(ID_DIGITS));
        let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
        if asked.sealed {
            item = with(&item, "encrypted_content", json!(sealed::seal(cloud, reasoning)));
        }
        items.push(item);
    }
    // Cut off before its first word, an answer has no message.
    if !answer.text.is_empty() || (answer.calls.is_empty() && why.is_none()) {
        let content = said(&answer.text, answer.finish == Finish::Refused);
        let id = format!("msg_{}", ids.hex(ID_DIGITS));
        items.push(json!({"id": id, "type": "message", "status": status, "role": "assistant",
            "content": [content]}));
    }
    for call in &answer.calls {
        let (id, call_id) = (format!("fc_{}", ids.hex(ID_DIGITS)), format!("call_{}", ids.base62(24)));
        items.push(json!({"id": id, "type": "function_call", "status": status, "call_id": call_id,
            "name": call.name, "arguments": call.arguments.to_string()}));
    }
    items
}

/// The content part that holds `text`.
fn said(text: &str, refused: bool) -> Value {
    if refused {
        return json!({"type": "refusal", "refusal": text});
    }
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

/// An item as its stream announces it: empty.
fn begun(item: &Value) -> Value {
    match fields::text(item, "type") {
        "reasoning" => with(item, "summary", json!([])),
        "function_call" => with(&with(item, "arguments", json!("")), "status", json!("in_progress")),
        _ => with(&with(item, "content", json!([])), "status", json!("in_progress")),
    }
}

/// `value` with one more field.
fn with(value: &Value, key: &str, field: Value) -> Value {
    let mut made = value.clone();
    if let Some(map) = made.as_object_mut() {
        map.insert(key.to_owned(), field);
    }
    made
}

/// The tools as the API repeats them: functions are strict unless they say otherwise.
fn tools(asked: &Value) -> Vec<Value> {
    let repeated = fields::list(asked, "tools").iter().map(|tool| {
        if fields::text(tool, "type") != "function" {
            return tool.clone();
        }
        let field = |key: &str| tool.get(key).cloned().unwrap_or_default();
        let strict = tool.get("strict").and_then(Value::as_bool).unwrap_or(true);
        json!({"type": "function", "name": field("name"), "description": field("description"),
            "parameters": field("parameters"), "strict": strict})
    });
    repeated.collect()
}

/// Azure's verdict on the prompt or the completion: nothing was found.
fn verdict(source: &str) -> Value {
    json!({"blocked": false, "source_type": source, "content_filter_raw": [],
        "content_filter_results": safe(),
        "content_filter_offsets": {"start_offset": 0, "end_offset": 0, "check_offset": 0}})
}

/// The events of one stream.
struct Events {
    frames: Vec<Frame>,
    obfuscation: bool,
    padding: usize,
}

impl Events {
    fn push(&mut self, kind: FrameKind, name: &str, fields: &Value) {
        let number = self.frames.len() as u64;
        self.frames.push(Frame { bytes: event(name, number, fields).into(), kind });
    }

    /// `{name}.delta` for each piece, then `{name}.done` with all of them at `key`.
    fn pieces(&mut self, name: &str, at: &Value, pieces: &[&str], key: &str, text: &str) {
        let delta = format!("{name}.delta");
        for piece in pieces {
            let mut fields = with(at, "delta", json!(piece));
            if self.obfuscation {
                self.padding = (self.padding * 7 + 5) % 16;
                fields = with(&fields, "obfuscation", json!(padding(self.padding)));
            }
            self.push(FrameKind::Delta, &delta, &fields);
        }
        // Not closing: a stream cut after k deltas must not lose the items after this one.
        self.push(FrameKind::Opening, &format!("{name}.done"), &with(at, key, json!(text)));
    }
}
