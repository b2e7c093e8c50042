//! The class of a call, from the call itself: who keeps state for it?
//!
//! A call is stateless unless it carries an explicit sign. A sign that a provider keeps or continues a thread
//! makes it stateful; a reference to something a provider holds (a file, a cache) in an otherwise
//! self-contained call makes it hybrid.

use domain::{Call, ItemKind, MediaSource, PartKind};
use serde::Serialize;

/// Who keeps state for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallClass {
    /// Nobody: all of it is in the request.
    Stateless,
    /// The provider: it keeps or continues a thread.
    Stateful,
    /// The request is whole but for things that a provider holds.
    Hybrid,
}

impl CallClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Stateless, Self::Stateful, Self::Hybrid];

    /// The name in sheets, in Cedar and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Stateful => "stateful",
            Self::Hybrid => "hybrid",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// Something in a call that shows who keeps state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// `store: true`: the provider keeps the answer.
    Store,
    /// `previous_response_id`: the provider continues a thread that it keeps.
    PreviousResponse,
    /// `conversation` or a thread id.
    Conversation,
    /// `background: true`: the provider runs it later and keeps the result.
    Background,
    /// A session of a server-side runtime.
    Session,
    /// Content cached at the provider by name (`cachedContent`).
    CachedContent,
    /// A file that was uploaded to the provider before.
    FileId,
    /// A container of the provider's code tool.
    Container,
    /// An item that the provider kept, by reference.
    ItemReference,
}

impl Sign {
    /// The class that the sign by itself makes.
    #[must_use]
    pub const fn class(self) -> CallClass {
        match self {
            Self::Store | Self::PreviousResponse | Self::Conversation | Self::Background | Self::Session => {
                CallClass::Stateful
            }
            Self::CachedContent | Self::FileId | Self::Container | Self::ItemReference => CallClass::Hybrid,
        }
    }
}

/// The class of a call with what showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Classification {
    /// The class.
    pub class: CallClass,
    /// The signs, sorted, each once. Empty for a stateless call.
    pub evidence: Vec<Sign>,
}

impl Classification {
    /// The class that these signs make. For callers that saw the signs without decoding the call.
    #[must_use]
    pub fn of(signs: impl IntoIterator<Item = Sign>) -> Self {
        let mut evidence: Vec<Sign> = signs.into_iter().collect();
        evidence.sort_unstable();
        evidence.dedup();
        let class = if evidence.iter().any(|sign| sign.class() == CallClass::Stateful) {
            CallClass::Stateful
        } else if evidence.is_empty() {
            CallClass::Stateless
        } else {
            CallClass::Hybrid
        };
        Self { class, evidence }
    }
}

/// Top-level fields of any dialect that are signs, with the sign. A field counts where it is there and is
/// neither `null` nor `false`.
const FIELDS: [(&str, Sign); 8] = [
    ("store", Sign::Store),
    ("previous_response_id", Sign::PreviousResponse),
    ("conversation", Sign::Conversation),
    ("thread_id", Sign::Conversation),
    ("background", Sign::Background),
    ("session_id", Sign::Session),
    ("cachedContent", Sign::CachedContent),
    ("container", Sign::Container),
];

/// The class of a call in the inner form.
#[must_use]
pub fn classify(call: &Call) -> Classification {
    let mut signs = Vec::new();
    if call.options.store == Some(true) {
        signs.push(Sign::Store);
    }
    for (field, sign) in FIELDS {
        if let Some(value) = call.bag.get(call.dialect, field)
            && !matches!(value.text().trim(), "null" | "false")
        {
            signs.push(sign);
        }
    }
    for item in &call.items {
        let parts = match &item.kind {
            ItemKind::Message(message) => message.parts.as_slice(),
            ItemKind::ToolResult(result) => result.parts.as_slice(),
            ItemKind::Foreign { what } if &**what == "item_reference" => {
                signs.push(Sign::ItemReference);
                continue;
            }
            _ => continue,
        };
        for part in parts {
            if let PartKind::Image(media)
            | PartKind::Document(media)
            | PartKind::Audio(media)
            | PartKind::Video(media) = &part.kind
                && matches!(media.source, MediaSource::FileId(_))
            {
                signs.push(Sign::FileId);
            }
        }
    }
    Classification::of(signs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Dialect, Item, Media, Message, ModelName, Origin, Part, Raw, Role};

    fn call() -> Call {
        let mut call = Call::new(Dialect::OpenAiChat, ModelName::new("gpt-5.4"));
        call.items.push(Item::new(
            ItemKind::Message(Message { role: Role::User, parts: vec![Part::text("hello", 0)] }),
            Origin::default(),
        ));
        call
    }

    #[test]
    fn a_call_without_signs_is_stateless() {
        assert_eq!(classify(&call()), Classification { class: CallClass::Stateless, evidence: vec![] });
        let mut call = call();
        call.options.store = Some(false);
        call.bag.put(Dialect::OpenAiChat, "conversation", Raw::null());
        call.bag.put(Dialect::OpenAiChat, "background", Raw::parse("false").unwrap());
        assert_eq!(classify(&call).class, CallClass::Stateless);
    }

    #[test]
    fn each_sign_is_evidence() {
        let mut stored = call();
        stored.options.store = Some(true);
        assert_eq!(
            classify(&stored),
            Classification { class: CallClass::Stateful, evidence: vec![Sign::Store] }
        );
        for (field, sign) in FIELDS {
            let mut call = call();
            call.bag.put(Dialect::OpenAiChat, field, Raw::parse("\"x\"").unwrap());
            assert_eq!(classify(&call), Classification { class: sign.class(), evidence: vec![sign] });
        }
    }

    #[test]
    fn a_file_at_the_provider_makes_a_call_hybrid_and_a_thread_outweighs_it() {
        let media = Media { source: MediaSource::FileId("file-1".into()), mime: None, name: None };
        let part = Part::new(PartKind::Document(media), 0);
        let mut call = call();
        let message = ItemKind::Message(Message { role: Role::User, parts: vec![part.clone(), part] });
        call.items.push(Item::new(message, Origin::default()));
        assert_eq!(
            classify(&call),
            Classification { class: CallClass::Hybrid, evidence: vec![Sign::FileId] }
        );
        call.bag.put(Dialect::OpenAiChat, "previous_response_id", Raw::parse("\"resp_1\"").unwrap());
        let both = classify(&call);
        assert_eq!(both.class, CallClass::Stateful);
        assert_eq!(both.evidence, [Sign::PreviousResponse, Sign::FileId]);
    }
}
