//! How thoughts are spelled in chat messages: which host writes what, and how a proof of another dialect
//! survives a round trip through a chat client.
//!
//! The documented form has no place for thoughts. Five spellings are in use; an item made by the decoder
//! notes its own under `$form`, so that it goes back as it came.

use domain::{Bag, Dialect, Item, ItemKind, Raw, Reasoning, Signature};
use serde_json::{Map, Value};

use super::OWN;

/// Note on a reasoning item: how it was spelled.
pub(super) const FORM: &str = "$form";
/// Note on a reasoning item from `reasoning_details`: the element without its text and proof.
pub(super) const DETAIL: &str = "$detail";

/// How a reasoning item is spelled on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `reasoning_content`: DeepSeek, vLLM, and our default.
    Content,
    /// `reasoning`: OpenRouter, Groq, newer vLLM.
    Reasoning,
    /// An element of `reasoning_details`: OpenRouter; and ours for anything with a proof.
    Detail,
    /// A `thinking` part of the content: Mistral.
    Thinking,
}

impl Form {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Content => "reasoning_content",
            Self::Reasoning => "reasoning",
            Self::Detail => "reasoning_details",
            Self::Thinking => "thinking",
        }
    }

    /// The spelling of an item: as it came, else by what it holds.
    pub(super) fn of(item: &Item, reasoning: &Reasoning) -> Self {
        let noted = item.bag.get(OWN, FORM).and_then(|raw| raw.read::<String>().ok());
        match noted.as_deref() {
            Some("reasoning_content") => Self::Content,
            Some("reasoning") => Self::Reasoning,
            Some("reasoning_details") => Self::Detail,
            Some("thinking") => Self::Thinking,
            _ if reasoning.signature.is_some() => Self::Detail,
            _ => Self::Content,
        }
    }

    /// Writes the note.
    pub(super) fn note(self, bag: &mut Bag) {
        if let Ok(raw) = Raw::of(self.name()) {
            bag.put(OWN, FORM, raw);
        }
    }
}

/// The dialect that a `format` names: ours, or OpenRouter's words. Anything else stays with chat hosts.
fn dialect_of(format: &str) -> Dialect {
    match format {
        "anthropic-claude-v1" => Dialect::AnthropicMessages,
        "google-gemini-v1" => Dialect::Gemini,
        other => Dialect::ALL.into_iter().find(|dialect| dialect.name() == other).unwrap_or(OWN),
    }
}

/// An element of `reasoning_details` as an item. `None` where it is no object.
pub(super) fn from_detail(element: &Raw) -> Option<(Reasoning, Bag)> {
    let Value::Object(mut rest) = element.value() else { return None };
    let format = rest.get("format").and_then(Value::as_str).unwrap_or_default();
    let dialect = dialect_of(format);
    let proof = |text: String| Signature { dialect, data: text.into() };
    let mut reasoning = Reasoning::default();
    match rest.get("type").and_then(Value::as_str).unwrap_or_default() {
        "reasoning.encrypted" => {
            reasoning.redacted = true;
            reasoning.signature = take_text(&mut rest, "data").map(proof);
        }
        "reasoning.summary" => reasoning.text = take_text(&mut rest, "summary").unwrap_or_default(),
        _ => {
            reasoning.text = take_text(&mut rest, "text").unwrap_or_default();
            reasoning.signature = take_text(&mut rest, "signature").map(proof);
        }
    }
    let mut bag = Bag::new();
    Form::Detail.note(&mut bag);
    bag.put(OWN, DETAIL, Raw::from(Value::Object(rest)));
    Some((reasoning, bag))
}

fn take_text(object: &mut Map<String, Value>, name: &str) -> Option<String> {
    match object.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        Some(other) => {
            object.insert(name.to_owned(), other);
            None
        }
        None => None,
    }
}

/// An item as an element of `reasoning_details`.
pub(super) fn to_detail(item: &Item, reasoning: &Reasoning) -> Raw {
    let noted = item.bag.get(OWN, DETAIL).map(Raw::value);
    let noted_detail = noted.is_some();
    let mut object = match noted {
        Some(Value::Object(object)) => object,
        _ => {
            let mut object = Map::new();
            let kind = if reasoning.redacted { "reasoning.encrypted" } else { "reasoning.text" };
            object.insert("type".to_owned(), kind.into());
            if let Some(signature) = &reasoning.signature {
                object.insert("format".to_owned(), signature.dialect.name().into());
            }
            object
        }
    };
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind.as_str() {
        "reasoning.encrypted" => {
            if let Some(signature) = &reasoning.signature {
                object.insert("data".to_owned(), (*signature.data).into());
            }
        }
        "reasoning.summary" if noted_detail && reasoning.text.is_empty() => {}
        "reasoning.summary" => {
            object.insert("summary".to_owned(), reasoning.text.clone().into());
        }
        _ => {
            if !noted_detail || !reasoning.text.is_empty() {
                object.insert("text".to_owned(), reasoning.text.clone().into());
            }
            if let Some(signature) = &reasoning.signature {
                object.insert("signature".to_owned(), (*signature.data).into());
            }
        }
    }
    Raw::from(Value::Object(object))
}

/// All thoughts of a list of items, joined.
pub(super) fn joined<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    items
        .filter_map(|item| match &item.kind {
            ItemKind::Reasoning(reasoning) => Some(reasoning.text.as_str()),
            _ => None,
        })
        .collect()
}

/// `extra_content` that carries a proof of Gemini's, as its compatibility surface writes it.
pub(super) fn google_proof(raw: &Raw) -> Option<Signature> {
    let Value::Object(outer) = raw.value() else { return None };
    let inner = outer.get("google")?.as_object()?;
    let proof = inner.get("thought_signature")?.as_str()?;
    let alone = outer.len() == 1 && inner.len() == 1;
    alone.then(|| Signature { dialect: Dialect::Gemini, data: proof.into() })
}

/// The other way.
pub(super) fn google_extra(signature: &Signature) -> Raw {
    Raw::from(serde_json::json!({"google": {"thought_signature": &*signature.data}}))
}
