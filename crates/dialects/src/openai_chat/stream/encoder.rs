//! Events → chunks.

use crate::{
    codec::{ReplyContext, StreamEncoder},
    openai_chat::{
        OWN,
        encode::{answer_id, is_own_logprobs, usage},
        error::stream_error_frame,
        finish, reasoning,
        response::FINISH,
        writer::Object,
    },
    sse,
};
use domain::{
    Bag, Delta, Dialect, Event, Finish, Item, ItemKind, Losses, Opened, Origin, Raw, Reasoning, Usage,
};
use std::collections::BTreeMap;

/// Thoughts with a proof are written once more as a whole when they end, up to this many bytes.
const MAX_THOUGHT: usize = 1 << 20;

/// Writes a streamed answer: the role once and first, one id, model and time on every chunk, the finish
/// reason in a chunk with an empty delta, then usage where asked for, then the end mark.
pub(in crate::openai_chat) struct Encoder {
    fallback_id: Box<str>,
    shown_model: Option<Box<str>>,
    fallback_created: i64,
    include_usage: bool,
    id: Box<str>,
    model: Box<str>,
    created: i64,
    tier: Option<Box<str>>,
    usage: Option<Usage>,
    notes: Bag,
    fields: Bag,
    candidates: BTreeMap<u32, Candidate>,
    losses: Losses,
    over: bool,
}

#[derive(Default)]
struct Candidate {
    role_sent: bool,
    tools: u32,
    items: BTreeMap<u32, Shown>,
    finish: Option<Raw>,
    fields: Bag,
}

enum Shown {
    Message,
    Tool(u32),
    Thought(Box<Reasoning>),
    Nothing,
}

impl Encoder {
    pub(in crate::openai_chat) fn new(context: &ReplyContext<'_>) -> Self {
        Self {
            fallback_id: context.id.into(),
            shown_model: context.model.map(Into::into),
            fallback_created: context.created,
            include_usage: context.include_usage,
            id: context.id.into(),
            model: context.model.unwrap_or_default().into(),
            created: context.created,
            tier: None,
            usage: None,
            notes: Bag::new(),
            fields: Bag::new(),
            candidates: BTreeMap::new(),
            losses: Losses::none(),
            over: false,
        }
    }

    /// One chunk with one choice.
    fn chunk(
        &mut self,
        index: u32,
        finish: Option<&Raw>,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
    ) {
        self.chunk_with(index, finish, None, out, delta);
    }

    fn chunk_with(
        &mut self,
        index: u32,
        finish: Option<&Raw>,
        logprobs: Option<&Raw>,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
    ) {
        let candidate = self.candidates.entry(index).or_default();
        let own = std::mem::take(&mut candidate.fields);
        let mut json = Vec::with_capacity(256);
        let mut object = Object::begin(&mut json);
        self.head(&mut object);
        object.list("choices", |list| {
            list.object(|choice| {
                choice.put("index", &index);
                choice.object("delta", delta);
                choice.raw("logprobs", logprobs.unwrap_or(&Raw::null()));
                choice.raw("finish_reason", finish.unwrap_or(&Raw::null()));
                for (name, value) in own.fields_for(OWN) {
                    choice.raw(name, value);
                }
            });
        });
        if self.include_usage {
            object.raw("usage", &Raw::null());
        }
        object.end();
        write_frame(&json, out);
    }

    fn head(&mut self, object: &mut Object<'_>) {
        object.put("id", &self.id);
        object.put("object", "chat.completion.chunk");
        object.put("created", &self.created);
        object.put("model", &self.model);
        object.put_some("service_tier", self.tier.as_ref());
        for (name, value) in std::mem::take(&mut self.fields).fields_for(OWN) {
            object.raw(name, value);
        }
    }

    fn role(&mut self, index: u32, out: &mut Vec<u8>) {
        let candidate = self.candidates.entry(index).or_default();
        if !candidate.role_sent {
            candidate.role_sent = true;
            self.chunk(index, None, out, |delta| {
                delta.put("role", "assistant");
                delta.put("content", "");
            });
        }
    }

    fn opened(&mut self, index: u32, item: u32, opened: &Opened, out: &mut Vec<u8>) {
        self.role(index, out);
        let candidate = self.candidates.entry(index).or_default();
        let shown = match opened {
            Opened::Message => Shown::Message,
            Opened::Reasoning => Shown::Thought(Box::default()),
            Opened::Foreign(what) => {
                self.losses.add(&format!("content.{what}"));
                Shown::Nothing
            }
            Opened::ToolCall { .. } => {
                candidate.tools += 1;
                Shown::Tool(candidate.tools - 1)
            }
        };
        if let (Shown::Tool(tool), Opened::ToolCall { id, name }) = (&shown, opened) {
            let tool = *tool;
            candidate.items.insert(item, shown);
            self.chunk(index, None, out, |delta| {
                delta.list("tool_calls", |list| {
                    list.object(|call| {
                        call.put("index", &tool);
                        call.put("id", id);
                        call.put("type", "function");
                        call.object("function", |function| {
                            function.put("name", name);
                            function.put("arguments", "");
                        });
                    });
                });
            });
        } else {
            candidate.items.insert(item, shown);
        }
    }

    fn delta(&mut self, index: u32, item: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(shown) = self.candidates.get_mut(&index).and_then(|c| c.items.get_mut(&item)) else {
            return;
        };
        match (shown, delta) {
            (_, Delta::Text(text)) => self.chunk(index, None, out, |delta| delta.put("content", text)),
            (_, Delta::Refusal(text)) => self.chunk(index, None, out, |delta| delta.put("refusal", text)),
            (Shown::Thought(thought), Delta::Reasoning(text)) => {
                if thought.text.len() + text.len() <= MAX_THOUGHT {
                    thought.text.push_str(text);
                }
                self.chunk(index, None, out, |delta| delta.put("reasoning_content", text));
            }
            (Shown::Thought(thought), Delta::Signature(proof)) => match &mut thought.signature {
                Some(so_far) => so_far.data = format!("{}{}", so_far.data, proof.data).into(),
                none => *none = Some(proof.clone()),
            },
            (Shown::Thought(thought), Delta::Redacted(proof)) => {
                thought.redacted = true;
                thought.signature = Some(proof.clone());
            }
            (Shown::Tool(tool), Delta::Arguments(text)) => {
                let tool = *tool;
                self.chunk(index, None, out, |delta| {
                    delta.list("tool_calls", |list| {
                        list.object(|call| {
                            call.put("index", &tool);
                            call.object("function", |function| function.put("arguments", text));
                        });
                    });
                });
            }
            (Shown::Tool(tool), Delta::Signature(proof)) if proof.dialect == Dialect::Gemini => {
                let (tool, extra) = (*tool, reasoning::google_extra(proof));
                self.chunk(index, None, out, |delta| {
                    delta.list("tool_calls", |list| {
                        list.object(|call| {
                            call.put("index", &tool);
                            call.raw("extra_content", &extra);
                        });
                    });
                });
            }
            (Shown::Message, Delta::Signature(proof)) if proof.dialect == Dialect::Gemini => {
                let extra = reasoning::google_extra(proof);
                self.chunk(index, None, out, |delta| delta.raw("extra_content", &extra));
            }
            (_, Delta::Signature(_)) => self.losses.add("content.signature"),
            (_, Delta::Annotation { dialect: OWN, field, value }) => {
                self.chunk(index, None, out, |delta| delta.list_of_one(field, value));
            }
            (_, Delta::Settled { item, done: true }) => {
                item.lose_into(OWN, "choices.message", &mut self.losses);
            }
            (_, Delta::Annotation { field, .. }) => self.losses.add(&format!("content.{field}")),
            // The loss of a foreign block was told when it was opened.
            _ => {}
        }
    }

    /// A thought with a proof ends: the whole of it, for the client to send back.
    fn closed(&mut self, index: u32, item: u32, out: &mut Vec<u8>) {
        let shown = self.candidates.get_mut(&index).and_then(|c| c.items.remove(&item));
        if let Some(Shown::Thought(thought)) = shown
            && thought.signature.is_some()
        {
            let whole = Item::new(ItemKind::Reasoning(Reasoning::default()), Origin::default());
            let element = reasoning::to_detail(&whole, &thought);
            self.chunk(index, None, out, |delta| delta.list_of_one("reasoning_details", &element));
        }
    }

    fn extra(&mut self, candidate: Option<u32>, bag: &Bag) {
        match candidate {
            None => {
                bag.lose_into(OWN, "", &mut self.losses);
                self.notes.merge(bag);
                for (name, value) in bag.fields_for(OWN) {
                    self.fields.put(OWN, name, value.clone());
                }
            }
            Some(index) => {
                bag.lose_into(OWN, "choices", &mut self.losses);
                let candidate = self.candidates.entry(index).or_default();
                candidate.finish = bag.get(OWN, FINISH).cloned().or(candidate.finish.take());
                for (name, value) in bag.fields_for(OWN) {
                    candidate.fields.put(OWN, name, value.clone());
                }
            }
        }
    }

    fn candidate_finished(&mut self, index: u32, class: &Finish, out: &mut Vec<u8>) {
        self.role(index, out);
        let as_written = self.candidates.get_mut(&index).and_then(|c| c.finish.take());
        if as_written.is_none() && matches!(class, Finish::Other(_)) {
            self.losses.add("finish_reason");
        }
        let word = as_written.unwrap_or_else(|| Raw::from(&serde_json::Value::from(finish::write(class))));
        self.chunk(index, Some(&word), out, |_| {});
    }

    fn finished(&mut self, out: &mut Vec<u8>) {
        let counted = usage(self.usage, &self.notes).filter(|_| self.include_usage);
        if let Some(counted) = counted {
            let mut json = Vec::with_capacity(256);
            let mut object = Object::begin(&mut json);
            self.head(&mut object);
            object.list("choices", |_| {});
            object.raw("usage", &counted);
            object.end();
            write_frame(&json, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

fn write_frame(json: &[u8], out: &mut Vec<u8>) {
    sse::write_data(out, std::str::from_utf8(json).unwrap_or("{}"));
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Started { id, model, created } => {
                let context = ReplyContext { id: &self.fallback_id, ..ReplyContext::default() };
                let id = answer_id(id, false, &context).into();
                self.id = id;
                self.model = self.shown_model.clone().unwrap_or_else(|| model.clone());
                self.created = created.filter(|at| *at > 0).unwrap_or(self.fallback_created);
            }
            Event::Opened { candidate, item, opened } => self.opened(*candidate, *item, opened, out),
            Event::Delta { candidate, item, delta } => self.delta(*candidate, *item, delta, out),
            Event::Closed { candidate, item } => self.closed(*candidate, *item, out),
            Event::Logprobs { candidate, value } if is_own_logprobs(value) => {
                self.chunk_with(*candidate, None, Some(value), out, |_| {});
            }
            Event::Logprobs { .. } => self.losses.add("logprobs"),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::CandidateFinished { candidate, finish } => {
                self.candidate_finished(*candidate, finish, out)
            }
            Event::Extra { candidate, bag } => self.extra(*candidate, bag),
            Event::Finished => {
                self.over = true;
                self.finished(out);
            }
            Event::Failed(fault) => {
                self.over = true;
                stream_error_frame(fault, out);
            }
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
