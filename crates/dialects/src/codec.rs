//! What every dialect can do, and what a translation needs to know of its target.

use domain::{Call, Capabilities, Dialect, Event, Fault, Losses, Reply};

/// One dialect, both ways. Inbound: `decode_call`, `encode_reply`, `stream_encoder`, `encode_error`.
/// Upstream: `encode_call`, `decode_reply`, `stream_decoder`, `decode_error`.
pub trait Codec: Send + Sync {
    /// Which dialect it is.
    fn dialect(&self) -> Dialect;

    /// Wire request → call.
    ///
    /// # Errors
    /// A fault of the caller (`invalid_json`, `invalid_request`) that names the place.
    fn decode_call(&self, body: &[u8], envelope: &Envelope<'_>) -> Result<Call, Fault>;

    /// Call → wire request for `target`, with what could not be carried.
    ///
    /// # Errors
    /// A fault of the caller where the target cannot do what is asked and leaving it out would change the
    /// answer's meaning (`n` of 2, an image for a model without eyes).
    fn encode_call(&self, call: &Call, target: &Target<'_>) -> Result<Encoded, Fault>;

    /// Wire reply → reply.
    ///
    /// # Errors
    /// `upstream_bad_response` where the body is not what the API promises, or the fault that a 2xx body
    /// carries inside.
    fn decode_reply(&self, body: &[u8]) -> Result<Reply, Fault>;

    /// Reply → wire reply, with what could not be carried.
    fn encode_reply(&self, reply: &Reply, context: &ReplyContext<'_>) -> Encoded;

    /// Reads a streamed answer.
    fn stream_decoder(&self) -> Box<dyn StreamDecoder>;

    /// Writes a streamed answer.
    fn stream_encoder(&self, context: &ReplyContext<'_>) -> Box<dyn StreamEncoder>;

    /// What an upstream's error body says. Never fails: HTML and nonsense are an error without a kind.
    fn decode_error(&self, status: u16, body: &[u8]) -> WireError;

    /// The error body for a caller who speaks this dialect.
    fn encode_error(&self, fault: &Fault) -> Vec<u8>;
}

/// What stands outside the body in some dialects (Gemini and Bedrock name the model in the path).
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// The model, where the path names it.
    pub model: Option<&'a str>,
    /// Whether the path asks for a stream.
    pub stream: bool,
}

/// A body that was written, and what it could not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// The bytes to send.
    pub body: Vec<u8>,
    /// What was lost, by names of the dialect that the call (or reply) came from.
    pub losses: Losses,
}

/// The target of a translated call.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name there, for dialects that have it in the body.
    pub model: &'a str,
    /// What the model can do there.
    pub capabilities: &'a Capabilities,
    /// How the host deviates from the dialect.
    pub quirks: Quirks,
}

/// How a host deviates from the dialect it speaks. Every field's default is the dialect as documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// How the host wants the answer's token limit (openai-chat).
    pub max_tokens_field: MaxTokensField,
    /// The host knows no `developer` role: it is written `system` (openai-chat).
    pub no_developer_role: bool,
    /// The host demands tool-call ids of nine letters and digits (openai-chat on Mistral).
    pub short_tool_ids: bool,
    /// The host refuses a user message straight after a tool message (openai-chat on Mistral).
    pub assistant_between_tool_and_user: bool,
    /// The host refuses `name` on messages (openai-chat on Mistral).
    pub no_message_name: bool,
    /// The host does not know `stream_options`; usage comes anyway or not at all (openai-chat).
    pub no_stream_options: bool,
    /// The host takes no `reasoning_effort` although the model thinks (openai-chat).
    pub no_reasoning_effort: bool,
    /// The host names its API version in the body and the model in the path (anthropic-messages on Vertex).
    pub anthropic_version_in_body: Option<&'static str>,
    /// The host refuses ids on function calls (gemini on Vertex).
    pub no_function_call_ids: bool,
    /// The host refuses image URLs; bytes only (bedrock-converse, some openai-chat hosts).
    pub no_image_urls: bool,
}

/// How an openai-chat host wants the answer's token limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokensField {
    /// As the caller spelled it.
    #[default]
    AsGiven,
    /// `max_completion_tokens`: OpenAI's reasoning models refuse the old name.
    MaxCompletionTokens,
    /// `max_tokens`: older hosts ignore or refuse the new name.
    MaxTokens,
}

/// What a reply's encoder must know of the call.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyContext<'a> {
    /// The id to give the answer where the upstream's id is not of this dialect's form.
    pub id: &'a str,
    /// The model's name as the caller asked for it; shown instead of the upstream's where set.
    pub model: Option<&'a str>,
    /// Unix seconds for `created` where the upstream said none.
    pub created: i64,
    /// The caller asked for usage in the stream.
    pub include_usage: bool,
}

/// Reads a streamed answer from bytes as they arrive, split anywhere. Bounded: one line or frame at most
/// 1 MiB, at most 16,384 items.
pub trait StreamDecoder: Send {
    /// Takes bytes, appends the events that they complete to `out`. After an `Event::Failed` or
    /// `Event::Finished` it yields nothing more.
    ///
    /// # Errors
    /// `upstream_bad_response` where the bytes are not a stream of this dialect. Content errors that the
    /// upstream reports inside the stream are `Event::Failed`.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault>;

    /// The upstream closed the connection. Yields what was pending.
    ///
    /// # Errors
    /// `upstream_bad_response` where the stream broke off before its end mark.
    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault>;
}

/// Writes a streamed answer.
pub trait StreamEncoder: Send {
    /// Appends the bytes that say `event` to `out`: none, one or several frames, each complete.
    fn push(&mut self, event: &Event, out: &mut Vec<u8>);

    /// What could not be carried so far.
    fn losses(&self) -> &Losses;
}

/// What an upstream's error body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireError {
    /// What it means for the call, where the dialect's words or codes say so.
    pub kind: WireErrorKind,
    /// The upstream's code or type, as spelled, at most 64 bytes.
    pub code: Option<Box<str>>,
    /// The upstream's words, at most 512 bytes. For the operator only.
    pub message: Option<Box<str>>,
    /// The request field that the upstream blames.
    pub param: Option<Box<str>>,
}

/// What an error means for the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireErrorKind {
    /// Only the status tells.
    #[default]
    Unknown,
    /// Too many requests or tokens for now.
    RateLimit,
    /// The account's quota or credit is used up.
    Quota,
    /// The host is overloaded.
    Overloaded,
    /// The credentials are wrong, expired or lack the right.
    Auth,
    /// The model or deployment does not exist there (any more).
    ModelNotFound,
    /// The context is too long.
    ContextLength,
    /// A filter refused the prompt.
    ContentFilter,
    /// The request is malformed.
    Invalid,
    /// The host failed.
    Server,
    /// A reasoning signature of another host was refused; strip it and try once more.
    ForeignSignature,
}
