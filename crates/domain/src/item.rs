//! The atom of context. Dialects convert to items and from items; nothing else translates.
//!
//! Items alone would lose what dialects group: cache marks per block, tool results in one turn, the
//! position of a system message. So every item and part knows which wire message and part it came from
//! ([`Origin`]), and carries a [`Bag`] of what only its own dialect can say.
//! Law, tested for every dialect: `encode(decode(x)) = x` as JSON.

use crate::{bag::Bag, dialect::Dialect, loss::Losses};

/// Where something stood on the wire. Items that came from one wire message share `message`; an item
/// that we made ourselves has the position it should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Index into [`crate::Call::turns`].
    pub message: u32,
    /// Index of the part (content block) in that message.
    pub part: u32,
}

/// One atom of context.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Where it stood on the wire.
    pub origin: Origin,
    /// What only its dialect can say of it.
    pub bag: Bag,
}

impl Item {
    /// An item without a bag.
    #[must_use]
    pub const fn new(kind: ItemKind, origin: Origin) -> Self {
        Self { kind, origin, bag: Bag::new() }
    }

    /// Reports every field of the item and of its parts that `target` cannot carry, under `prefix`.
    pub fn lose_into(&self, target: Dialect, prefix: &str, losses: &mut Losses) {
        self.bag.lose_into(target, prefix, losses);
        let parts: &[Part] = match &self.kind {
            ItemKind::Message(said) => &said.parts,
            ItemKind::ToolResult(result) => &result.parts,
            ItemKind::Reasoning(_) | ItemKind::ToolCall(_) | ItemKind::Foreign { .. } => &[],
        };
        for part in parts {
            part.bag.lose_into(target, prefix, losses);
        }
    }
}

/// The kinds of items.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// Something said by somebody.
    Message(Message),
    /// What the model thought, with what the provider needs to take it back.
    Reasoning(Reasoning),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// The tool's answer.
    ToolResult(ToolResult),
    /// A whole content block that only its own dialect knows (a server tool's call or result, a search
    /// result). The block is in the item's bag under `$block`; `what` is its wire type, for the loss.
    Foreign {
        /// Wire type of the block, for instance `server_tool_use`.
        what: Box<str>,
    },
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the application, in the older word.
    System,
    /// Instructions of the application, in OpenAI's newer word.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// A tool. Only of turns: a tool's answer is [`ItemKind::ToolResult`].
    Tool,
}

/// Something said: a role and parts in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks; never [`Role::Tool`].
    pub role: Role,
    /// What is said. May be empty (an assistant turn with tool calls only has no message item at all).
    pub parts: Vec<Part>,
}

/// One part (content block) of a message or tool result.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Index of the block in its wire message.
    pub index: u32,
    /// What only its dialect can say of it (cache marks, annotations, image detail).
    pub bag: Bag,
}

impl Part {
    /// A text part without a bag.
    #[must_use]
    pub fn text(text: impl Into<String>, index: u32) -> Self {
        Self { kind: PartKind::Text { text: text.into(), signature: None }, index, bag: Bag::new() }
    }

    /// A part without a bag.
    #[must_use]
    pub const fn new(kind: PartKind, index: u32) -> Self {
        Self { kind, index, bag: Bag::new() }
    }
}

/// The kinds of parts.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// A provider's proof on visible text (Gemini's `thoughtSignature`).
        signature: Option<Signature>,
    },
    /// The model declines. A text of its own kind in OpenAI's dialects.
    Refusal(String),
    /// An image.
    Image(Media),
    /// A document (PDF, text, office file).
    Document(Media),
    /// Sound.
    Audio(Media),
    /// Moving pictures.
    Video(Media),
    /// A part that only its own dialect knows; the block is in the bag under `$block`.
    Foreign {
        /// Wire type of the part, for the loss.
        what: Box<str>,
    },
}

/// An image, document, sound or film.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Where its bytes are.
    pub source: MediaSource,
    /// MIME type, lower case, without parameters, if known. `image/jpg` is written `image/jpeg`.
    pub mime: Option<Box<str>>,
    /// File name or title, if given.
    pub name: Option<Box<str>>,
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource {
    /// In the call itself, as base64 text (kept encoded: most dialects send it so).
    Base64(Box<str>),
    /// Behind a URL (`https`, `gs`, `s3`). The gateway does not fetch it.
    Url(Box<str>),
    /// A file that was uploaded to a provider before; valid only there.
    FileId(Box<str>),
    /// Plain text in place of bytes (Anthropic text documents).
    Text(Box<str>),
}

/// What the model thought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// The text, if it was shown. Empty where the provider hides it.
    pub text: String,
    /// The provider's proof, needed to send this block back to it. Never shown to another provider.
    pub signature: Option<Signature>,
    /// True where `signature` holds the whole, encrypted thought (`redacted_thinking`, `redactedContent`).
    pub redacted: bool,
}

/// An opaque blob of a provider, valid only where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The dialect in which it was received.
    pub dialect: Dialect,
    /// The blob, byte-identical as received.
    pub data: Box<str>,
}

/// The model asks for a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Id that ties the result to the call. Made up (deterministically) where the dialect has none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Arguments as the model wrote them: JSON text as a rule, but a model cut off at its token limit
    /// leaves half a text, which is carried, not dropped.
    pub arguments: String,
    /// A provider's proof on the call (Gemini's `thoughtSignature`).
    pub signature: Option<Signature>,
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The id of the call that it answers.
    pub call_id: String,
    /// The tool's name where the dialect says it.
    pub name: Option<String>,
    /// The answer: text, images, documents.
    pub parts: Vec<Part>,
    /// True where the tool failed, `None` where the dialect cannot say.
    pub is_error: Option<bool>,
}
