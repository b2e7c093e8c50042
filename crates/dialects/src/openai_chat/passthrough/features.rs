//! What a request asks for, as far as it decides who can serve it and how it is classified.

use domain::{Effort, Signs};

/// What a request asks for. Read in the same pass that checks the body; exact, not guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Function or custom tools are offered.
    pub tools: bool,
    /// Tools that the provider runs are offered (any other tool type, `web_search_options`).
    pub server_tools: bool,
    /// Custom (free text) tools are offered.
    pub custom_tools: bool,
    /// A tool must be called (`required` or a named one).
    pub forced_tool: bool,
    /// `parallel_tool_calls: true` was said.
    pub parallel_tools: bool,
    /// The history holds tool calls or tool results.
    pub tool_history: bool,
    /// Thoughts of an earlier answer with their proofs stand in the messages (`reasoning_details`).
    pub thoughts: bool,
    /// Images stand in the messages.
    pub images: bool,
    /// Some of the images are URLs to fetch.
    pub image_urls: bool,
    /// Sound stands in the messages.
    pub audio: bool,
    /// Documents stand in the messages.
    pub files: bool,
    /// A part of a kind that OpenAI does not document stands in the messages (`video_url`, `document_url`).
    pub other_parts: bool,
    /// The answer shall be spoken (`modalities` with `audio`).
    pub audio_output: bool,
    /// The shape that the answer must have.
    pub output: Output,
    /// The asked-for effort, where it is a known word.
    pub effort: Option<Effort>,
    /// Likelihoods are asked for.
    pub logprobs: bool,
    /// `temperature`, `top_p` or a penalty is set.
    pub sampling: bool,
    /// The last message is the assistant's: the answer shall continue it.
    pub prefill: bool,
    /// `prompt_cache_key` or cache marks are set.
    pub cache: bool,
    /// Sign of state: `store: true`.
    pub store: bool,
    /// Sign of state: a file or an earlier spoken answer is named by an id that only one provider knows.
    pub provider_ids: bool,
    /// Sign of state: a member that belongs to a stateful API (`previous_response_id`, `conversation`,
    /// `background`, `thread_id`, `assistant_id`).
    pub stateful_members: bool,
    /// All signs of state, each by its name.
    pub signs: Signs,
}

/// The shape that the answer must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Nothing said, or text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that obeys a schema.
    JsonSchema,
    /// A format of a host's own.
    Other,
}
