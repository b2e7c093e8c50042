//! Who keeps state for a call? The class, its evidence, and the conversation that the call really belongs to.
//!
//! Three questions, kept apart because they have different consequences:
//! 1. **What does a provider keep?** Read from the request's own members ([`classify`], [`Classification`]). This
//!    is what terms judge.
//! 2. **Which conversation is it?** Discovered from the words themselves ([`Chain`], [`Conversations`]): calls that
//!    are self-contained each can still be turns of one talk, whose state then lives in the client.
//! 3. **What is the workload like?** Counted over its calls ([`Profile`]), with a verdict and the operator's word.
//!
//! # What terms judge, and why a client cannot talk itself out of a rule
//!
//! Rules speak of classes: "stateless calls only there". A class that the caller could choose would be a way
//! around them, so:
//! - A header changes no class. It is evidence for 2 and 3 (`domain::agent`).
//! - A sign in the body *adds* a class, and takes "stateless" away only where the call cannot be answered without what
//!   the provider keeps ([`Sign::leans`]: `previous_response_id` in an API that has it; a host refuses an id that it
//!   does not know). `store: true`, a file's id, or a member that this API does not have leave the call what it
//!   also is: a self-contained call. It must then be permitted as *both* ([`Judged`]).
//! - What we discovered (2) and learnt (3) changes no class by itself. The operator's word does: `class` of a
//!   workload, with a reason, takes the place of "stateless" for all of its calls. It never takes away what a
//!   call says of the provider.

mod chain;
mod profile;
mod table;

pub use chain::{Chain, ChainKey, RUNS_MAX};
pub use domain::class::Counts;
pub use domain::{CallClass, Certainty, Classed, ConversationRef, Keeper, Link, Sign, Signs, class::Turn};
pub use profile::{AgentCount, Override, Profile, ProfileReport, Verdict};
pub use table::{Conversations, ENTRIES_MAX, Found, TTL_S};

use domain::{Agent, Call, Dialect, ItemKind, MediaSource, PartKind, Raw, Tool, ToolKind};
use serde::Serialize;

/// The class of a call with what showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Classification {
    /// The class: what the request says that a provider keeps.
    pub class: CallClass,
    /// The signs. None for a stateless call.
    pub signs: Signs,
}

/// One sign with what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it is.
    pub sign: Sign,
    /// Where it stood in the request, as a path; `header` for a header.
    pub place: &'static str,
    /// Who therefore keeps state.
    pub keeper: Keeper,
    /// How sure that is in this dialect.
    pub certainty: Certainty,
}

impl Classification {
    /// The class that these signs make. For callers that saw the signs without decoding the call.
    #[must_use]
    pub fn of(signs: impl IntoIterator<Item = Sign>) -> Self {
        Self::by(signs.into_iter().collect())
    }

    /// The same for a set.
    #[must_use]
    pub fn by(signs: Signs) -> Self {
        Self { class: signs.class(), signs }
    }

    /// Each sign with its place, its keeper and how sure it is in the call's dialect.
    #[must_use]
    pub fn evidence(self, dialect: Dialect) -> Vec<Evidence> {
        evidence(self.signs, dialect)
    }

    /// How sure the class is: as its surest sign. Without any sign it is certain that nothing was asked to be kept.
    #[must_use]
    pub fn certainty(self, dialect: Dialect) -> Certainty {
        let of_class = self.signs.iter().filter(|sign| sign.class() == self.class);
        match self.class {
            CallClass::Stateless => Certainty::Certain,
            _ => of_class.map(|sign| sign.certainty(dialect)).max().unwrap_or_default(),
        }
    }

    /// Every class that terms must permit the call as. See the head of this module.
    #[must_use]
    pub fn judged(self, dialect: Dialect, operators: Option<CallClass>) -> Judged {
        let leans = self.signs.iter().any(|sign| sign.leans(dialect));
        let ground = operators.unwrap_or(CallClass::Stateless);
        if leans || self.class == CallClass::Stateless {
            let first = if leans { self.class } else { ground };
            return Judged {
                first,
                also: operators.filter(|class| leans && *class != first && *class != CallClass::Stateless),
            };
        }
        Judged { first: self.class, also: Some(ground).filter(|ground| *ground != self.class) }
    }
}

/// The classes that terms judge a call by: it must be permitted as each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The class that is shown.
    pub first: CallClass,
    /// Another one that the call also is.
    pub also: Option<CallClass>,
}

/// Each sign with its place, its keeper and how sure it is in a dialect.
#[must_use]
pub fn evidence(signs: Signs, dialect: Dialect) -> Vec<Evidence> {
    let one = |sign: Sign| Evidence {
        sign,
        place: sign.place(dialect),
        keeper: sign.keeper(),
        certainty: sign.certainty(dialect),
    };
    signs.iter().map(one).collect()
}

/// Top-level members of any dialect that are signs. A member counts where it is there and is neither `null` nor
/// `false` nor an empty text.
const MEMBERS: [(&str, Sign); 11] = [
    ("store", Sign::Store),
    ("previous_response_id", Sign::PreviousResponse),
    ("conversation", Sign::Conversation),
    ("thread_id", Sign::Conversation),
    ("assistant_id", Sign::Conversation),
    ("background", Sign::Background),
    ("session_id", Sign::Session),
    ("cachedContent", Sign::CachedContent),
    ("cached_content", Sign::CachedContent),
    ("container", Sign::Container),
    ("prompt", Sign::StoredPrompt),
];

/// The class of a call in the inner form.
#[must_use]
pub fn classify(call: &Call) -> Classification {
    let mut signs = Signs::NONE;
    // OpenAI's Responses keep every answer unless they are told not to.
    let keeps_by_itself = call.dialect == Dialect::OpenAiResponses;
    if call.options.store == Some(true) || (keeps_by_itself && call.options.store.is_none()) {
        signs.add(Sign::Store);
    }
    for (member, sign) in MEMBERS {
        if call.bag.get(call.dialect, member).is_some_and(says_something) {
            signs.add(sign);
        }
    }
    call.tools.iter().for_each(|tool| of_tool(tool, call.dialect, &mut signs));
    for item in &call.items {
        let parts = match &item.kind {
            ItemKind::Message(message) => {
                if message.role == domain::Role::Assistant {
                    signs.add(Sign::History);
                }
                message.parts.as_slice()
            }
            ItemKind::ToolResult(result) => result.parts.as_slice(),
            ItemKind::ToolCall(_) | ItemKind::Reasoning(_) => {
                signs.add(Sign::History);
                continue;
            }
            ItemKind::Foreign { what } => {
                of_block(what, &mut signs);
                continue;
            }
        };
        for part in parts {
            match &part.kind {
                PartKind::Image(media)
                | PartKind::Document(media)
                | PartKind::Audio(media)
                | PartKind::Video(media) => {
                    if held_by_provider(&media.source) {
                        signs.add(Sign::FileId);
                    }
                }
                PartKind::Foreign { what } => of_block(what, &mut signs),
                PartKind::Text { .. } | PartKind::Refusal(_) => {}
            }
        }
    }
    // Claude Code puts the session's id into the end user's.
    if call.options.end_user.as_deref().is_some_and(|user| user.contains("_session_")) {
        signs.add(Sign::AgentSession);
    }
    Classification::by(signs)
}

fn says_something(value: &Raw) -> bool {
    !matches!(value.text().trim(), "null" | "false" | "\"\"")
}

/// Tools of the provider that work on something it keeps.
fn of_tool(tool: &Tool, dialect: Dialect, signs: &mut Signs) {
    if tool.kind != ToolKind::Server {
        return;
    }
    let Some(object) = tool.bag.get(dialect, "$tool").map(Raw::value) else { return };
    if object.get("vector_store_ids").and_then(serde_json::Value::as_array).is_some_and(|ids| !ids.is_empty())
    {
        signs.add(Sign::VectorStore);
    }
    // `{"type": "auto"}` makes a container for this call alone; a text names one that is there.
    if object.get("container").is_some_and(serde_json::Value::is_string) {
        signs.add(Sign::Container);
    }
}

/// Blocks that name something of the provider's by their type alone.
fn of_block(what: &str, signs: &mut Signs) {
    match what {
        "item_reference" => signs.add(Sign::ItemReference),
        "container_upload" => signs.add(Sign::FileId),
        _ => {}
    }
}

/// A file that was uploaded to a provider: by id, or by the address that its files API gave out.
fn held_by_provider(source: &MediaSource) -> bool {
    match source {
        MediaSource::FileId(_) => true,
        MediaSource::Url(url) => {
            url.contains("generativelanguage.googleapis.com/") && url.contains("/files/")
        }
        MediaSource::Base64(_) | MediaSource::Text(_) => false,
    }
}

/// Everything about a call as records keep it.
#[must_use]
pub fn classed(
    classification: Classification,
    dialect: Dialect,
    agent: Option<Agent>,
    found: Option<Found>,
) -> Classed {
    let mut signs = classification.signs;
    let mut certainty = classification.certainty(dialect);
    let (mut link, mut turn) = (Link::Unseen, None);
    if let Some(found) = found {
        link = found.link;
        turn = Some(found.turn);
        signs = signs.with(Sign::History, found.history);
        if matches!(link, Link::Second | Link::Further) {
            signs.add(Sign::Continues);
            certainty = certainty.min(found.certainty);
        }
    }
    Classed { class: classification.class, signs, certainty, agent, link, turn }
}

#[cfg(test)]
mod tests;
