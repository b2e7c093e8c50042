//! Who keeps state for a call, and what shows it: the words of classification, shared by placement, records and
//! the screen. How they are put together is the matter of `placement::classify`.

use crate::dialect::Dialect;
use serde::{Serialize, Serializer, ser::SerializeSeq};
use std::fmt;

/// Who keeps state for a call, as terms read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallClass {
    /// Nobody behind the gateway: all of it is in the request.
    #[default]
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

/// Where state lives, as far as a call shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// Nowhere that can be seen: one request, one answer.
    #[default]
    Nobody,
    /// In the application: it sends the whole conversation anew with each call.
    Client,
    /// In a store or a managed runtime outside of both, in front of the gateway.
    OutsideStore,
    /// In this gateway.
    Gateway,
    /// At the provider.
    Provider,
}

impl Keeper {
    /// Every keeper, weakest first: where several keep something, the last one that does is named.
    pub const ALL: [Self; 5] =
        [Self::Nobody, Self::Client, Self::OutsideStore, Self::Gateway, Self::Provider];

    /// The word in records, JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Client => "client",
            Self::OutsideStore => "outside-store",
            Self::Gateway => "gateway",
            Self::Provider => "provider",
        }
    }

    /// As the end of "state lives …".
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Nobody => "nowhere: nothing is kept between calls",
            Self::Client => "in the client",
            Self::OutsideStore => "in a store or runtime outside of client and gateway",
            Self::Gateway => "in this gateway",
            Self::Provider => "at the provider",
        }
    }

    /// The keeper of this word.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keeper| keeper.name() == name)
    }
}

/// How sure something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// It may be so; other readings are as good.
    Possible,
    /// It is so unless somebody behaves oddly.
    Likely,
    /// The API's documentation or the bytes themselves say so.
    #[default]
    Certain,
}

impl Certainty {
    /// The word in records, JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

macro_rules! signs {
    ($($(#[doc = $doc:literal])+ $variant:ident = $bit:literal, $name:literal, $keeper:ident, $says:literal;)+) => {
        /// Something in a call that shows who keeps state. The numbers are those of records: never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Sign {
            $($(#[doc = $doc])+ $variant = $bit,)+
        }

        impl Sign {
            /// Every sign.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in records, JSON and headers.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Who therefore keeps state.
            #[must_use]
            pub const fn keeper(self) -> Keeper {
                match self { $(Self::$variant => Keeper::$keeper,)+ }
            }

            /// What it tells, in a few words.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$variant => $says,)+ }
            }
        }
    };
}

signs! {
    /// `store: true`, or an API that keeps answers unless it is told not to.
    Store = 0, "store", Provider, "the provider keeps the answer";
    /// `previous_response_id`: the provider continues a thread that it keeps.
    PreviousResponse = 1, "previous_response", Provider, "the provider continues an answer that it keeps";
    /// `conversation` or a thread id.
    Conversation = 2, "conversation", Provider, "the provider continues a thread that it keeps";
    /// `background: true`: the provider runs it later and keeps the result.
    Background = 3, "background", Provider, "the provider runs it later and keeps the result";
    /// A session of a server-side runtime, named in the body.
    Session = 4, "session", Provider, "the provider keeps a session";
    /// Content cached at the provider by name (`cachedContent`).
    CachedContent = 5, "cached_content", Provider, "content cached at the provider is named";
    /// A file (or a spoken answer) that the provider holds.
    FileId = 6, "file_id", Provider, "a file that the provider holds is named";
    /// A container of the provider's code tool.
    Container = 7, "container", Provider, "a container of the provider is named";
    /// An item that the provider kept, by reference.
    ItemReference = 8, "item_reference", Provider, "an item that the provider keeps is named";
    /// A prompt that the provider keeps, by id.
    StoredPrompt = 9, "stored_prompt", Provider, "a prompt that the provider keeps is named";
    /// A vector store of the provider, by id.
    VectorStore = 10, "vector_store", Provider, "a vector store of the provider is named";
    /// A session header of a known agent.
    AgentSession = 11, "agent_session", Client, "an agent names its session in a header";
    /// The model's own earlier words stand in the request.
    History = 12, "history", Client, "the client sends the model's earlier words along";
    /// Its beginning is a call that was seen before, with the model's answer behind it.
    Continues = 13, "continues", Client, "it continues a conversation seen before";
    /// This gateway put an earlier turn in front of it.
    GatewayState = 14, "gateway_state", Gateway, "the gateway keeps the conversation";
}

impl Sign {
    /// Its bit in [`Signs`].
    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The class that the sign by itself makes: what a *provider* keeps. What an agent says in a header, what the
    /// client sends along and what we discovered ourselves make none.
    #[must_use]
    pub const fn class(self) -> CallClass {
        match self {
            Self::Store | Self::PreviousResponse | Self::Conversation | Self::Background | Self::Session => {
                CallClass::Stateful
            }
            Self::CachedContent
            | Self::FileId
            | Self::Container
            | Self::ItemReference
            | Self::StoredPrompt
            | Self::VectorStore => CallClass::Hybrid,
            Self::AgentSession | Self::History | Self::Continues | Self::GatewayState => CallClass::Stateless,
        }
    }

    /// Where it stands in a request of a dialect, as a path.
    #[must_use]
    pub const fn place(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Store, _) => "store",
            (Self::PreviousResponse, _) => "previous_response_id",
            (Self::Conversation, Dialect::OpenAiChat) => "thread_id",
            (Self::Conversation, _) => "conversation",
            (Self::Background, _) => "background",
            (Self::Session, _) => "session_id",
            (Self::CachedContent, _) => "cachedContent",
            (Self::FileId, Dialect::OpenAiChat) => "messages[].content[].file.file_id",
            (Self::FileId, Dialect::OpenAiResponses) => "input[].content[].file_id",
            (Self::FileId, Dialect::AnthropicMessages) => "messages[].content[].source.file_id",
            (Self::FileId, Dialect::Gemini) => "contents[].parts[].fileData.fileUri",
            (Self::FileId, Dialect::BedrockConverse) => "messages[].content[].document.source",
            (Self::Container, Dialect::OpenAiResponses) => "tools[].container",
            (Self::Container, _) => "container",
            (Self::ItemReference, _) => "input[].type",
            (Self::StoredPrompt, _) => "prompt.id",
            (Self::VectorStore, _) => "tools[].vector_store_ids",
            (Self::AgentSession, _) => "header",
            (Self::History | Self::Continues, Dialect::OpenAiResponses) => "input",
            (Self::History | Self::Continues, Dialect::Gemini) => "contents",
            (Self::History | Self::Continues, _) => "messages",
            (Self::GatewayState, _) => "gateway",
        }
    }

    /// How sure the sign is in a dialect. A member that the API of this dialect documents is certain. One that
    /// belongs to another API is ignored by most hosts and obeyed by some: it is possible.
    #[must_use]
    pub const fn certainty(self, dialect: Dialect) -> Certainty {
        match (self, dialect) {
            (
                Self::PreviousResponse
                | Self::Conversation
                | Self::Background
                | Self::StoredPrompt
                | Self::VectorStore,
                Dialect::OpenAiResponses,
            )
            | (Self::Store | Self::FileId, Dialect::OpenAiChat | Dialect::OpenAiResponses)
            | (Self::Container, Dialect::OpenAiResponses | Dialect::AnthropicMessages)
            | (Self::FileId, Dialect::AnthropicMessages | Dialect::Gemini)
            | (Self::CachedContent, Dialect::Gemini)
            | (Self::ItemReference, Dialect::OpenAiResponses)
            | (Self::Continues | Self::GatewayState, _) => Certainty::Certain,
            // An agent that lies about its session harms nobody but its owner's statistics. History may be made
            // of examples that no model ever said.
            (Self::AgentSession | Self::History, _) => Certainty::Likely,
            _ => Certainty::Possible,
        }
    }

    /// Whether the call cannot be answered without what the provider keeps of earlier calls. A host that documents
    /// the member refuses an id that it does not know, so nobody can claim it falsely.
    #[must_use]
    pub const fn leans(self, dialect: Dialect) -> bool {
        matches!(self, Self::PreviousResponse | Self::Conversation)
            && matches!(self.certainty(dialect), Certainty::Certain)
    }
}

/// A set of signs. One word, `Copy`: it is made for every call.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Signs(u32);

impl Signs {
    /// No sign.
    pub const NONE: Self = Self(0);

    /// The bits, as records keep them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From the bits of a record. Bits that this binary does not know are kept and shown by nobody.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, sign: Sign, when: bool) -> Self {
        if when { Self(self.0 | sign.bit()) } else { self }
    }

    /// Adds one.
    pub const fn add(&mut self, sign: Sign) {
        self.0 |= sign.bit();
    }

    /// Takes those of another set in.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, sign: Sign) -> bool {
        self.0 & sign.bit() != 0
    }

    /// True where there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The signs, in their order.
    pub fn iter(self) -> impl Iterator<Item = Sign> {
        Sign::ALL.iter().copied().filter(move |sign| self.has(*sign))
    }

    /// The class that they make together: a thread at the provider outweighs a thing that it holds.
    #[must_use]
    pub fn class(self) -> CallClass {
        let mut class = CallClass::Stateless;
        for sign in self.iter() {
            match sign.class() {
                CallClass::Stateful => return CallClass::Stateful,
                CallClass::Hybrid => class = CallClass::Hybrid,
                CallClass::Stateless => {}
            }
        }
        class
    }

    /// Where state lives by these signs: the strongest keeper among them.
    #[must_use]
    pub fn keeper(self) -> Keeper {
        self.iter().map(Sign::keeper).max().unwrap_or_default()
    }
}

impl fmt::Debug for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Sign> for Signs {
    fn from_iter<I: IntoIterator<Item = Sign>>(signs: I) -> Self {
        signs.into_iter().fold(Self::NONE, |all, sign| all.with(sign, true))
    }
}

impl Serialize for Signs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for sign in self.iter() {
            list.serialize_element(sign.name())?;
        }
        list.end()
    }
}

/// A conversation that was discovered, by an opaque name: a keyed hash, so it tells nothing of what was said. It
/// holds while the process lives; the next start begins new ones. Written `cref_` + 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationRef(pub u64);

impl fmt::Display for ConversationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cref_{:016x}", self.0)
    }
}

impl fmt::Debug for ConversationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ConversationRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a call stands to the calls before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Nobody looked: switched off, too large, or it ended before.
    #[default]
    Unseen,
    /// Its beginning was not seen before: the first of a conversation, or alone.
    First,
    /// It is the first continuation of an earlier call: from here on the two are a conversation.
    Second,
    /// It continues a conversation of two calls or more.
    Further,
}

/// A call's place in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Which conversation.
    pub conversation: ConversationRef,
    /// Counts the calls of the conversation that we saw, from 1. A call sent twice has the same number twice.
    pub turn: u32,
}

/// What a record keeps of a call's classification. No content: numbers and a keyed hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classed {
    /// The class by what the call says of the provider.
    pub class: CallClass,
    /// What showed it.
    pub signs: Signs,
    /// How sure the class and the link are: the weaker of both.
    pub certainty: Certainty,
    /// Which agent made the call, as its headers say.
    pub agent: Option<crate::agent::Agent>,
    /// How it stands to the calls before it.
    pub link: Link,
    /// Its place in the conversation, where one was looked for.
    pub turn: Option<Turn>,
}

impl Classed {
    /// Where state lives, by signs and agent.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        let agent = self.agent.map_or(Keeper::Nobody, crate::agent::Agent::keeper);
        // A session header says "client" in general; the agent knows better.
        let signs = if agent == Keeper::OutsideStore {
            Signs(self.signs.0 & !(Sign::AgentSession.bit() | Sign::History.bit() | Sign::Continues.bit()))
        } else {
            self.signs
        };
        signs.keeper().max(if self.signs.has(Sign::AgentSession) { agent } else { Keeper::Nobody })
    }
}

/// Agents that can be counted apart: their numbers are below this.
pub const AGENTS_MAX: usize = 16;

/// How many calls of a workload were of which kind. Bounded by construction; sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls by class, in the order of [`CallClass::ALL`].
    pub classes: [u64; 3],
    /// Calls by where state lives, in the order of [`Keeper::ALL`].
    pub keepers: [u64; 5],
    /// Calls by the number of their agent; at 0 those without.
    pub agents: [u64; AGENTS_MAX],
    /// Calls whose conversation was looked for.
    pub looked: u64,
    /// Calls that continue an earlier one.
    pub continued: u64,
    /// Conversations that reached their second call.
    pub conversations: u64,
    /// The highest turn.
    pub turns_max: u64,
    /// First and last call, microseconds of Unix time; 0 where there was none.
    pub first_us: i64,
    /// The last one.
    pub last_us: i64,
}

impl Counts {
    /// One call.
    #[must_use]
    pub fn of(call: &Classed, at_us: i64) -> Self {
        let mut one = Self { first_us: at_us, last_us: at_us, ..Self::default() };
        let [stateless, stateful, hybrid] = &mut one.classes;
        *match call.class {
            CallClass::Stateless => stateless,
            CallClass::Stateful => stateful,
            CallClass::Hybrid => hybrid,
        } = 1;
        let keeper = call.keeper();
        let places = one.keepers.iter_mut().zip(Keeper::ALL);
        places.filter(|(_, own)| *own == keeper).for_each(|(place, _)| *place = 1);
        if let Some(place) = one.agents.get_mut(call.agent.map_or(0, |agent| usize::from(agent.number()))) {
            *place = 1;
        }
        one.looked = u64::from(call.link != Link::Unseen);
        one.continued = u64::from(matches!(call.link, Link::Second | Link::Further));
        one.conversations = u64::from(call.link == Link::Second);
        one.turns_max = call.turn.map_or(0, |turn| turn.turn.into());
        one
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let plus = |to: &mut [u64], from: &[u64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = to.saturating_add(*from));
        };
        plus(&mut self.classes, &other.classes);
        plus(&mut self.keepers, &other.keepers);
        plus(&mut self.agents, &other.agents);
        self.looked = self.looked.saturating_add(other.looked);
        self.continued = self.continued.saturating_add(other.continued);
        self.conversations = self.conversations.saturating_add(other.conversations);
        self.turns_max = self.turns_max.max(other.turns_max);
        if other.first_us != 0 && (self.first_us == 0 || other.first_us < self.first_us) {
            self.first_us = other.first_us;
        }
        self.last_us = self.last_us.max(other.last_us);
    }

    /// All calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.classes.iter().fold(0, |sum, calls| sum.saturating_add(*calls))
    }

    /// Calls that belong to a conversation of two or more: those that continue one, and the ones that opened them.
    #[must_use]
    pub fn in_conversations(&self) -> u64 {
        self.continued.saturating_add(self.conversations).min(self.looked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_has_its_own_bit_and_word() {
        let mut words: Vec<&str> = Sign::ALL.iter().map(|sign| sign.name()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Sign::ALL.len());
        for sign in Sign::ALL {
            let alone: Signs = [*sign].into_iter().collect();
            assert_eq!(alone.bits().count_ones(), 1);
            assert_eq!(alone.iter().collect::<Vec<_>>(), [*sign]);
            assert_eq!((alone.class(), alone.keeper()), (sign.class(), sign.keeper()));
            assert_eq!(Signs::from_bits(alone.bits()), alone);
        }
    }

    #[test]
    fn a_thread_outweighs_a_file_and_headers_make_no_class() {
        let both: Signs = [Sign::FileId, Sign::PreviousResponse].into_iter().collect();
        assert_eq!(both.class(), CallClass::Stateful);
        let client: Signs = [Sign::AgentSession, Sign::History, Sign::Continues].into_iter().collect();
        assert_eq!((client.class(), client.keeper()), (CallClass::Stateless, Keeper::Client));
        assert_eq!(client.with(Sign::FileId, true).keeper(), Keeper::Provider);
    }

    #[test]
    fn what_an_api_documents_is_certain_and_what_is_foreign_to_it_is_possible() {
        let of = |sign: Sign, dialect| sign.certainty(dialect);
        assert_eq!(of(Sign::PreviousResponse, Dialect::OpenAiResponses), Certainty::Certain);
        assert_eq!(of(Sign::PreviousResponse, Dialect::OpenAiChat), Certainty::Possible);
        assert_eq!(of(Sign::Store, Dialect::OpenAiChat), Certainty::Certain);
        assert_eq!(of(Sign::CachedContent, Dialect::Gemini), Certainty::Certain);
        assert!(Sign::PreviousResponse.leans(Dialect::OpenAiResponses));
        assert!(!Sign::PreviousResponse.leans(Dialect::OpenAiChat), "a host would ignore it");
        assert!(!Sign::Store.leans(Dialect::OpenAiChat), "the request is whole");
    }

    #[test]
    fn a_runtime_outside_keeps_state_there() {
        let mut classed = Classed {
            signs: [Sign::AgentSession, Sign::Continues].into_iter().collect(),
            agent: Some(crate::agent::Agent::AgentCore),
            ..Classed::default()
        };
        assert_eq!(classed.keeper(), Keeper::OutsideStore);
        classed.agent = Some(crate::agent::Agent::ClaudeCode);
        assert_eq!(classed.keeper(), Keeper::Client);
        classed.signs.add(Sign::Store);
        assert_eq!(classed.keeper(), Keeper::Provider);
    }
}
