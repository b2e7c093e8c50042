//! A call on its way: the bytes as they came, what was read of them, and the inner form where one is needed.

use crate::{
    deployment::Deployment, needs::Needs, settle::BYTES_PER_TOKEN, tailor::Tailor, upstream::Pieces,
};
use bytes::Bytes;
use dialects::{
    Encoded, Envelope, Target,
    openai_chat::passthrough::{Changes, Output, ReplyPeek, Request},
    openai_embeddings,
};
use domain::{
    AgentMarks, Call, CallId, Dialect, Fault, Usage, UsageSource,
    atom::{self, Hears},
};
use placement::{CallClass, Classification, Surface, classify::Found};
use providers::Operation;
use std::sync::{Arc, OnceLock};

/// A call on its way.
#[derive(Debug)]
pub struct ActiveCall {
    id: CallId,
    request: Asked,
    /// The inner form; made when the first target of another dialect comes up.
    decoded: OnceLock<Result<Call, Fault>>,
    /// What the caller's headers tell of an agent.
    pub(crate) agent: AgentMarks,
    /// Its place among earlier calls, once it was looked for.
    pub(crate) found: OnceLock<Option<Found>>,
}

/// What is asked, by the surface it came through.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per call, never moved in bulk; a box would cost every chat"
)]
enum Asked {
    Chat(Request),
    Embeddings(openai_embeddings::Request),
    /// A turn of the stateful side, or a dialect that is always read whole: the inner form, made before it came here.
    Items(Box<Items>),
}

/// A call that came as items.
#[derive(Debug)]
struct Items {
    call: Call,
    surface: Surface,
    classification: Classification,
    /// What fits it to each place.
    tailor: Option<Arc<dyn Tailor>>,
}

/// A request body for one target.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) body: Pieces,
    /// The caller's own bytes, with the closed list of edits.
    pub(crate) passed: bool,
    /// We asked for usage that the caller did not ask for.
    pub(crate) usage_put_in: bool,
    pub(crate) losses: domain::Losses,
}

impl ActiveCall {
    /// Reads the envelope of a Chat Completions request in one strict pass. The rest is read when needed.
    ///
    /// # Errors
    /// `invalid_json` or `invalid_request` with the place.
    pub fn openai_chat(id: CallId, body: Bytes) -> Result<Self, Fault> {
        Ok(Self {
            id,
            request: Asked::Chat(Request::scan(body)?),
            decoded: OnceLock::new(),
            agent: AgentMarks::default(),
            found: OnceLock::new(),
        })
    }

    /// Reads an Embeddings request in one strict pass. It only passes through.
    ///
    /// # Errors
    /// `invalid_json` or `invalid_request` with the place.
    pub fn openai_embeddings(id: CallId, body: Bytes) -> Result<Self, Fault> {
        let request = Asked::Embeddings(openai_embeddings::Request::scan(body)?);
        Ok(Self {
            id,
            request,
            decoded: OnceLock::new(),
            agent: AgentMarks::default(),
            found: OnceLock::new(),
        })
    }

    /// A call in the inner form: of a dialect that is always read whole, or of the stateful side, whose context was
    /// put together from what it keeps.
    ///
    /// What keeps state for it is said by the caller of this function (`classification`): the items alone no
    /// longer show it once an earlier turn has been put in front of them.
    #[must_use]
    pub fn items(id: CallId, call: Call, surface: Surface, classification: Classification) -> Self {
        let request = Asked::Items(Box::new(Items { call, surface, classification, tailor: None }));
        Self { id, request, decoded: OnceLock::new(), agent: AgentMarks::default(), found: OnceLock::new() }
    }

    /// Has items fitted to each place that is tried. Without effect on a call that came in its own bytes.
    #[must_use]
    pub fn tailored(mut self, tailor: Arc<dyn Tailor>) -> Self {
        if let Asked::Items(items) = &mut self.request {
            items.tailor = Some(tailor);
        }
        self
    }

    /// The API that it came through, for the terms.
    #[must_use]
    pub const fn surface(&self) -> Surface {
        match &self.request {
            Asked::Chat(_) => Surface::OpenAiChat,
            Asked::Embeddings(_) => Surface::OpenAiEmbeddings,
            Asked::Items(items) => items.surface,
        }
    }

    /// What its upstreams are asked for.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self.request {
            Asked::Chat(_) | Asked::Items(_) => Operation::Chat,
            Asked::Embeddings(_) => Operation::Embeddings,
        }
    }

    pub(crate) const fn chat(&self) -> Option<&Request> {
        match &self.request {
            Asked::Chat(request) => Some(request),
            Asked::Embeddings(_) | Asked::Items(_) => None,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// The dialect of its caller; for embeddings, the one whose error bodies they share.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match &self.request {
            Asked::Chat(_) | Asked::Embeddings(_) => Dialect::OpenAiChat,
            Asked::Items(items) => items.call.dialect,
        }
    }

    /// The model as asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        match &self.request {
            Asked::Chat(request) => request.model(),
            Asked::Embeddings(request) => request.model(),
            Asked::Items(items) => items.call.model.as_str(),
        }
    }

    /// Whether the answer is to be streamed.
    #[must_use]
    pub const fn stream(&self) -> bool {
        match &self.request {
            Asked::Chat(request) => request.stream(),
            Asked::Items(items) => items.call.stream.is_some(),
            Asked::Embeddings(_) => false,
        }
    }

    /// Whether the caller asked for usage in the stream.
    #[must_use]
    pub const fn include_usage(&self) -> bool {
        matches!(&self.request, Asked::Chat(request) if request.include_usage())
    }

    /// What it needs of a model.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let request = match &self.request {
            Asked::Chat(request) => request,
            Asked::Embeddings(_) => return Needs::EMBEDDINGS,
            Asked::Items(items) => return Needs::of(&items.call),
        };
        let features = request.features();
        Needs::default()
            .with(Needs::TOOLS, features.tools)
            .with(Needs::FORCED_TOOLS, features.forced_tool)
            .with(Needs::VISION, features.images)
            .with(Needs::DOCUMENTS, features.files)
            .with(Needs::JSON_SCHEMA, features.output == Output::JsonSchema)
            .with(Needs::LOGPROBS, features.logprobs)
            .with(Needs::CANDIDATES, request.candidates().is_some_and(|n| n > 1))
            .with(Needs::AUDIO, features.audio || features.audio_output)
    }

    /// Who keeps state for it, read from the request itself.
    #[must_use]
    pub fn class(&self) -> CallClass {
        self.classification().class
    }

    /// The body for a target, in the target's dialect.
    pub(crate) fn encode_for(&self, deployment: &Deployment, target: &Target<'_>) -> Result<Wire, Fault> {
        let dialect = deployment.endpoint.dialect();
        let model_in_body = deployment.endpoint.model_in_body();
        let request = match &self.request {
            Asked::Chat(request) => request,
            Asked::Embeddings(request) => {
                let body = request.edit(target.model).into();
                return Ok(Wire { body, passed: true, usage_put_in: false, losses: domain::Losses::none() });
            }
            Asked::Items(items) => {
                let fitted =
                    items.tailor.as_ref().and_then(|tailor| tailor.fit(&items.call, &deployment.place()));
                let (call, mut lost) = match &fitted {
                    Some((call, lost)) => (call, lost.clone()),
                    None => (&items.call, domain::Losses::none()),
                };
                let Encoded { body, losses } = dialects::codec(dialect).encode_call(call, target)?;
                lost.extend(&losses);
                let losses = lost;
                return Ok(Wire {
                    body: Bytes::from(body).into(),
                    passed: false,
                    usage_put_in: false,
                    losses,
                });
            }
        };
        if dialect == self.dialect() && model_in_body && passes_unread(request, target) {
            let usage_put_in = self.stream() && !self.include_usage() && !target.quirks.no_stream_options;
            let changes = Changes {
                model: Some(target.model),
                include_usage: usage_put_in,
                max_tokens_field: target.quirks.max_tokens_field,
                max_output_tokens: Some(target.capabilities.max_output_tokens).filter(|max| *max > 0),
            };
            let body = request.edit(&changes).into();
            return Ok(Wire { body, passed: true, usage_put_in, losses: domain::Losses::none() });
        }
        let call = self.decoded.get_or_init(|| {
            dialects::codec(self.dialect()).decode_call(request.body(), &Envelope::default())
        });
        let Encoded { body, losses } =
            dialects::codec(dialect).encode_call(call.as_ref().map_err(Clone::clone)?, target)?;
        Ok(Wire { body: Bytes::from(body).into(), passed: false, usage_put_in: false, losses })
    }

    /// What settlement needs of a whole answer that passes through.
    pub(crate) fn peek(&self, answer: &[u8]) -> Result<ReplyPeek, Fault> {
        let Asked::Embeddings(request) = &self.request else { return ReplyPeek::read(answer) };
        let mut peek = ReplyPeek::read_embeddings(answer)?;
        // Vectors are no output tokens: where nobody counted, the input alone is estimated.
        peek.usage.get_or_insert_with(|| Usage {
            uncached_in: (request.body().len() as u64).div_ceil(BYTES_PER_TOKEN),
            source: UsageSource::Estimated,
            ..Usage::default()
        });
        Ok(peek)
    }
}

impl ActiveCall {
    /// Who keeps state for it, with the signs that show it.
    #[must_use]
    pub fn classification(&self) -> Classification {
        if let Asked::Items(items) = &self.request {
            return items.classification;
        }
        self.chat().map(|request| Classification::by(request.features().signs)).unwrap_or_default()
    }

    /// Says its words, for whoever wants to know it again.
    pub(crate) fn words(&self, out: &mut impl Hears) {
        match &self.request {
            Asked::Chat(request) => request.words(out),
            Asked::Embeddings(_) => {}
            Asked::Items(items) => atom::of_call(&items.call, out),
        }
    }

    /// About how long its words are, in bytes. Of items, which are in memory anyhow, 0.
    pub(crate) const fn words_length(&self) -> usize {
        match &self.request {
            Asked::Chat(request) => request.body().len(),
            Asked::Embeddings(_) | Asked::Items(_) => 0,
        }
    }
}

/// Whether the caller's bytes can go to this target with the closed list of edits alone. Where a quirk of the
/// host may touch them, the call is read and written anew, so that nothing is refused or lost in silence.
fn passes_unread(request: &Request, target: &Target<'_>) -> bool {
    let features = request.features();
    let quirks = &target.quirks;
    let mentions = |word: &[u8]| memchr::memmem::find(request.body(), word).is_some();
    // Thoughts of another provider must not leak to this one; the codec strips them by name.
    !(features.thoughts
        || quirks.no_developer_role && mentions(b"\"developer\"")
        || quirks.no_message_name && mentions(b"\"name\"")
        || (quirks.short_tool_ids || quirks.assistant_between_tool_and_user) && features.tool_history
        || quirks.no_stream_options && mentions(b"\"stream_options\"")
        || quirks.no_reasoning_effort && features.effort.is_some()
        || quirks.no_image_urls && features.image_urls
        || !target.capabilities.sampling && features.sampling)
}
