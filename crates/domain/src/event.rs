//! The atom of a streamed answer, and the fold that makes an answer of events.

use crate::{
    bag::Bag,
    dialect::Dialect,
    fault::Fault,
    item::{Item, ItemKind, Message, Origin, Part, PartKind, Reasoning, Role, Signature, ToolCall},
    raw::Raw,
    reply::{Candidate, Finish, Reply},
    usage::Usage,
};

/// The atom of a streamed answer.
///
/// Order, checked by the conformance tests of every dialect: `Started` once, first; per item `Opened`, its
/// `Delta`s, `Closed`; items of one candidate may be open at the same time (OpenAI interleaves parallel tool
/// calls); `Usage` any number of times, cumulative, the last one holds; `CandidateFinished` once per
/// candidate; then exactly one `Finished` or `Failed`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Started {
        /// The provider's id of the answer.
        id: Box<str>,
        /// The model as the provider names it.
        model: Box<str>,
        /// Unix seconds, where said.
        created: Option<i64>,
    },
    /// An item begins.
    Opened {
        /// Index of the candidate.
        candidate: u32,
        /// Index of the item within the candidate, from 0, without gaps.
        item: u32,
        /// What it will be.
        opened: Opened,
    },
    /// A piece of an item.
    Delta {
        /// Index of the candidate.
        candidate: u32,
        /// Index of the item.
        item: u32,
        /// The piece.
        delta: Delta,
    },
    /// An item is complete.
    Closed {
        /// Index of the candidate.
        candidate: u32,
        /// Index of the item.
        item: u32,
    },
    /// Likelihoods of the text just sent, in the form of the dialect they came from.
    Logprobs {
        /// Index of the candidate.
        candidate: u32,
        /// As received.
        value: Raw,
    },
    /// Tokens so far; cumulative, the last one holds.
    Usage(Usage),
    /// The tier that really serves the call.
    ServiceTier(Box<str>),
    /// A candidate has ended.
    CandidateFinished {
        /// Index of the candidate.
        candidate: u32,
        /// Why.
        finish: Finish,
    },
    /// Fields of the answer (candidate `None`) or of a candidate that only the dialect knows.
    Extra {
        /// Index of the candidate, or none for the whole answer.
        candidate: Option<u32>,
        /// The fields.
        bag: Bag,
    },
    /// The answer is complete.
    Finished,
    /// The answer broke off. Nothing follows; what came so far is not a complete answer.
    Failed(Fault),
}

/// What an item will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Something said by the model.
    Message,
    /// Something thought.
    Reasoning,
    /// A tool is asked for.
    ToolCall {
        /// Id that ties the result to the call.
        id: Box<str>,
        /// The tool's name.
        name: Box<str>,
    },
    /// A block that only its dialect knows; its wire type. The block follows as [`Delta::Block`].
    Foreign(Box<str>),
}

/// A piece of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Visible text.
    Text(String),
    /// Thought text.
    Reasoning(String),
    /// A declining text.
    Refusal(String),
    /// A piece of a tool call's arguments.
    Arguments(String),
    /// The provider's proof of a thought, text or tool call.
    Signature(Signature),
    /// An encrypted thought, whole.
    Redacted(Signature),
    /// A note on the text (citation, annotation), in the form of its dialect.
    Annotation {
        /// The dialect that knows the note.
        dialect: Dialect,
        /// The wire field that lists such notes.
        field: Box<str>,
        /// The note.
        value: Raw,
    },
    /// A whole block that only its dialect knows.
    Block {
        /// That dialect.
        dialect: Dialect,
        /// The block.
        value: Raw,
    },
    /// The item as its host writes it out, besides its pieces: at the beginning, with what is known before
    /// the first piece (`done` false), or at the end, whole. It replaces what the pieces made, so that nothing
    /// of a host that says items whole is lost; pieces tell the same text before it.
    Settled {
        /// The item; at the beginning without text.
        item: Box<Item>,
        /// True at the end: no piece follows.
        done: bool,
    },
    /// An event about the item that holds nothing of the answer itself and that only its dialect knows (a
    /// search is under way, a part begins). No loss where a target leaves it out.
    Progress {
        /// The dialect that knows the event.
        dialect: Dialect,
        /// The wire event, whole.
        event: Raw,
    },
}

impl Delta {
    /// True for content that a caller can see or act on: after the first such delta the gateway never
    /// switches deployments. A signature or note alone is none.
    #[must_use]
    pub const fn is_content(&self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::Reasoning(_) | Self::Refusal(_) | Self::Arguments(_) | Self::Block { .. }
        )
    }
}

/// Makes an answer of events: the law `reply = fold(events)`.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    reply: Reply,
    failed: Option<Fault>,
    finished: bool,
}

/// A stream may not open more items or candidates than this; more are ignored, as the decoders' own
/// bound refuses them earlier.
const MAX_ITEMS: usize = 16_384;

impl Fold {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Started { id, model, created } => {
                self.reply.id.clone_from(id);
                self.reply.model.clone_from(model);
                self.reply.created = *created;
            }
            Event::Opened { candidate, item, opened } => self.open(*candidate, *item, opened),
            Event::Delta { candidate, item, delta } => {
                if let Some(item) = self.item(*candidate, *item) {
                    apply(item, delta);
                }
            }
            Event::Closed { .. } => {}
            Event::Logprobs { candidate, value } => {
                if let Some(candidate) = self.candidate(*candidate) {
                    candidate.logprobs = Some(join_logprobs(candidate.logprobs.take(), value));
                }
            }
            Event::Usage(usage) => self.reply.usage = Some(*usage),
            Event::ServiceTier(tier) => self.reply.service_tier = Some(tier.clone()),
            Event::CandidateFinished { candidate, finish } => {
                if let Some(candidate) = self.candidate(*candidate) {
                    candidate.finish = Some(finish.clone());
                }
            }
            Event::Extra { candidate, bag } => {
                let target = match candidate {
                    None => Some(&mut self.reply.bag),
                    Some(index) => self.candidate(*index).map(|candidate| &mut candidate.bag),
                };
                if let Some(target) = target {
                    target.merge(bag);
                }
            }
            Event::Finished => self.finished = true,
            Event::Failed(fault) => self.failed = Some(fault.clone()),
        }
    }

    /// The answer so far: complete where `Finished` was seen.
    #[must_use]
    pub const fn reply(&self) -> &Reply {
        &self.reply
    }

    /// True once `Finished` was seen.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The answer, or the fault that broke it off.
    ///
    /// # Errors
    /// The fault of a `Failed` event.
    pub fn into_reply(self) -> Result<Reply, Box<Fault>> {
        match self.failed {
            Some(fault) => Err(Box::new(fault)),
            None => Ok(self.reply),
        }
    }

    fn candidate(&mut self, index: u32) -> Option<&mut Candidate> {
        let index = index as usize;
        if index >= MAX_ITEMS {
            return None;
        }
        while self.reply.candidates.len() <= index {
            let index = u32::try_from(self.reply.candidates.len()).ok()?;
            self.reply.candidates.push(Candidate { index, ..Candidate::default() });
        }
        self.reply.candidates.get_mut(index)
    }

    fn item(&mut self, candidate: u32, item: u32) -> Option<&mut Item> {
        self.candidate(candidate)?.items.get_mut(item as usize)
    }

    fn open(&mut self, candidate: u32, item: u32, opened: &Opened) {
        let Some(candidate) = self.candidate(candidate) else { return };
        if candidate.items.len() != item as usize || candidate.items.len() >= MAX_ITEMS {
            return;
        }
        let kind = match opened {
            Opened::Message => ItemKind::Message(Message { role: Role::Assistant, parts: Vec::new() }),
            Opened::Reasoning => ItemKind::Reasoning(Reasoning::default()),
            Opened::ToolCall { id, name } => ItemKind::ToolCall(ToolCall {
                id: id.to_string(),
                name: name.to_string(),
                arguments: String::new(),
                signature: None,
            }),
            Opened::Foreign(what) => ItemKind::Foreign { what: what.clone() },
        };
        candidate.items.push(Item::new(kind, Origin { message: 0, part: item }));
    }
}

fn apply(item: &mut Item, delta: &Delta) {
    match (&mut item.kind, delta) {
        (ItemKind::Message(message), Delta::Text(text)) => match message.parts.last_mut() {
            Some(Part { kind: PartKind::Text { text: so_far, .. }, .. }) => so_far.push_str(text),
            _ => push_part(message, PartKind::Text { text: text.clone(), signature: None }),
        },
        (ItemKind::Message(message), Delta::Refusal(text)) => match message.parts.last_mut() {
            Some(Part { kind: PartKind::Refusal(so_far), .. }) => so_far.push_str(text),
            _ => push_part(message, PartKind::Refusal(text.clone())),
        },
        (ItemKind::Message(message), Delta::Signature(proof)) => {
            if !matches!(message.parts.last(), Some(Part { kind: PartKind::Text { .. }, .. })) {
                push_part(message, PartKind::Text { text: String::new(), signature: None });
            }
            if let Some(Part { kind: PartKind::Text { signature, .. }, .. }) = message.parts.last_mut() {
                *signature = Some(proof.clone());
            }
        }
        (ItemKind::Reasoning(reasoning), Delta::Reasoning(text)) => reasoning.text.push_str(text),
        (ItemKind::Reasoning(reasoning), Delta::Signature(proof)) => match &mut reasoning.signature {
            Some(so_far) => {
                let joined = format!("{}{}", so_far.data, proof.data);
                so_far.data = joined.into();
            }
            none => *none = Some(proof.clone()),
        },
        (ItemKind::Reasoning(reasoning), Delta::Redacted(blob)) => {
            reasoning.redacted = true;
            reasoning.signature = Some(blob.clone());
        }
        (ItemKind::ToolCall(call), Delta::Arguments(text)) => call.arguments.push_str(text),
        (ItemKind::ToolCall(call), Delta::Signature(proof)) => call.signature = Some(proof.clone()),
        (
            ItemKind::Message(_) | ItemKind::Reasoning(_) | ItemKind::ToolCall(_),
            Delta::Annotation { dialect, field, value },
        ) => {
            item.bag.append(*dialect, field, value);
        }
        (_, Delta::Settled { item: whole, .. }) => {
            let origin = item.origin;
            *item = (**whole).clone();
            item.origin = origin;
        }
        (ItemKind::Foreign { .. }, Delta::Block { dialect, value }) => {
            item.bag.put(*dialect, "$block", value.clone())
        }
        _ => {}
    }
}

fn push_part(message: &mut Message, kind: PartKind) {
    let index = u32::try_from(message.parts.len()).unwrap_or(u32::MAX);
    message.parts.push(Part::new(kind, index));
}

/// Joins the `content` and `refusal` lists of OpenAI-style likelihood chunks; any other form: the last holds.
fn join_logprobs(so_far: Option<Raw>, next: &Raw) -> Raw {
    let Some(so_far) = so_far else { return next.clone() };
    let (mut left, right) = (so_far.value(), next.value());
    let (Some(into), Some(from)) = (left.as_object_mut(), right.as_object()) else { return next.clone() };
    for (name, value) in from {
        match (into.get_mut(name).and_then(serde_json::Value::as_array_mut), value.as_array()) {
            (Some(list), Some(more)) => list.extend(more.iter().cloned()),
            (None, _) => {
                into.insert(name.clone(), value.clone());
            }
            (Some(_), None) => {}
        }
    }
    Raw::from(left)
}
