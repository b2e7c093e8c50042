//! What went wrong: whose fault it is, whether the same may be tried again, and why.
//!
//! One type for every layer, because every layer's fault ends in the same three places: the caller's error
//! body, the attempt's record, the breaker. What a caller reads is [`Fault::message`]; what only the
//! operator may read (an upstream's own words) is [`Fault::detail`] and never leaves in an error body.

use std::{borrow::Cow, fmt, time::Duration};

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The caller's request.
    Caller,
    /// A rule of contract, law or access.
    Terms,
    /// This gateway: full, broken, misconfigured.
    Gateway,
    /// The deployment that was called, or the way to it.
    Upstream,
}

impl Source {
    /// The word in records and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Terms => "terms",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// What may be tried after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// The same deployment, once more, at once (a stale connection, an expired token).
    SameAgain,
    /// The next candidate.
    NextCandidate,
    /// Nothing: every candidate would say the same.
    Stop,
}

/// Stable codes of errors: in the body's `code`, in `x-cabotage-code`, in records. Codes are never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 400: the body is not JSON, or breaks a bound (depth, duplicate keys, UTF-8).
    InvalidJson,
    /// 400: the JSON does not say a call.
    InvalidRequest,
    /// 400: the call asks for something that no permitted target can do (`n` of 2, an unknown tool type).
    UnsupportedParameter,
    /// 400: the context is too long for the model.
    ContextLengthExceeded,
    /// 400: the provider's filter refused the prompt.
    ContentFilter,
    /// 401: no key or a wrong key; one body for both.
    InvalidApiKey,
    /// 403: terms permit no deployment.
    PlacementRefused,
    /// 404: no such model.
    ModelNotFound,
    /// 404: terms permit it, nobody offers it there (then).
    NotAvailableThere,
    /// 404: no such route.
    RouteNotFound,
    /// 404: the response to follow is not there, or not the caller's; one body for both.
    PreviousResponseNotFound,
    /// 404: the response is not there, or not the caller's; one body for both.
    ResponseNotFound,
    /// 404: the conversation is not there, or not the caller's; one body for both.
    ConversationNotFound,
    /// 404: the item is not in the conversation.
    ItemNotFound,
    /// 405: the route has other methods.
    MethodNotAllowed,
    /// 408: the request took too long to arrive.
    RequestTimeout,
    /// 409: the response is still running.
    ResponseInProgress,
    /// 409: another turn has the conversation.
    ConversationLocked,
    /// 413: the body is above the bound.
    BodyTooLarge,
    /// 413: an item or a conversation is above the bound of what is kept.
    ItemTooLarge,
    /// 400: there is nothing to compact.
    NothingToCompact,
    /// 415: a content type or encoding that we do not read.
    UnsupportedMediaType,
    /// 429: the provider's rate limit, with no other candidate left.
    RateLimited,
    /// 429: the provider's quota or billing limit, with no other candidate left.
    QuotaExhausted,
    /// 499 in records only: the caller left.
    CallerLeft,
    /// 500: a bug of ours.
    Internal,
    /// 502: the upstream could not be reached.
    UpstreamUnreachable,
    /// 502: TLS to the upstream failed.
    UpstreamTls,
    /// 502: the upstream rejected *our* credentials; never shown as the caller's.
    UpstreamAuth,
    /// 502: the upstream's answer is not what its API promises (HTML, truncated, wrong type, redirect).
    UpstreamBadResponse,
    /// 502: the upstream failed.
    UpstreamError,
    /// 502: the upstream refused our request as malformed; a fault of translation or configuration.
    UpstreamRejected,
    /// 404: the deployment or its model is gone, as its host says.
    UpstreamModelUnavailable,
    /// 503: permitted deployments are down or saturated.
    PermittedUnavailable,
    /// 503: the gateway is at one of its bounds.
    Overloaded,
    /// 503: the journal cannot take a record (disk full), so no call may run.
    JournalUnavailable,
    /// 503: the state store cannot be read or written.
    StateUnavailable,
    /// 504: the upstream did not answer in time.
    UpstreamTimeout,
}

impl Code {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }

    const fn row(self) -> (&'static str, u16) {
        match self {
            Self::InvalidJson => ("invalid_json", 400),
            Self::InvalidRequest => ("invalid_request", 400),
            Self::UnsupportedParameter => ("unsupported_parameter", 400),
            Self::ContextLengthExceeded => ("context_length_exceeded", 400),
            Self::ContentFilter => ("content_filter", 400),
            Self::InvalidApiKey => ("invalid_api_key", 401),
            Self::PlacementRefused => ("placement_refused", 403),
            Self::ModelNotFound => ("model_not_found", 404),
            Self::NotAvailableThere => ("not_available_there", 404),
            Self::RouteNotFound => ("route_not_found", 404),
            Self::PreviousResponseNotFound => ("previous_response_not_found", 404),
            Self::ResponseNotFound => ("response_not_found", 404),
            Self::ConversationNotFound => ("conversation_not_found", 404),
            Self::ItemNotFound => ("item_not_found", 404),
            Self::MethodNotAllowed => ("method_not_allowed", 405),
            Self::RequestTimeout => ("request_timeout", 408),
            Self::ResponseInProgress => ("response_in_progress", 409),
            Self::ConversationLocked => ("conversation_locked", 409),
            Self::ItemTooLarge => ("item_too_large", 413),
            Self::NothingToCompact => ("nothing_to_compact", 400),
            Self::StateUnavailable => ("state_unavailable", 503),
            Self::BodyTooLarge => ("body_too_large", 413),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415),
            Self::RateLimited => ("rate_limit_exceeded", 429),
            Self::QuotaExhausted => ("insufficient_quota", 429),
            Self::CallerLeft => ("caller_left", 499),
            Self::Internal => ("internal_error", 500),
            Self::UpstreamUnreachable => ("upstream_unreachable", 502),
            Self::UpstreamTls => ("upstream_tls", 502),
            Self::UpstreamAuth => ("upstream_auth", 502),
            Self::UpstreamBadResponse => ("upstream_bad_response", 502),
            Self::UpstreamError => ("upstream_error", 502),
            Self::UpstreamRejected => ("upstream_rejected", 502),
            Self::UpstreamModelUnavailable => ("upstream_model_unavailable", 404),
            Self::PermittedUnavailable => ("permitted_unavailable", 503),
            Self::Overloaded => ("overloaded", 503),
            Self::JournalUnavailable => ("journal_unavailable", 503),
            Self::UpstreamTimeout => ("upstream_timeout", 504),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Whose fault it is.
    pub source: Source,
    /// What may be tried after it.
    pub retry: RetryClass,
    /// The stable code.
    pub code: Code,
    /// For the caller: what is wrong, where, and what to do. Holds no secret, host name or upstream text.
    pub message: Cow<'static, str>,
    /// The request field that is at fault, as the caller spells it (`messages[3].tool_call_id`).
    pub param: Option<Box<str>>,
    /// How long to wait, where waiting helps.
    pub retry_after: Option<Duration>,
    /// The upstream's HTTP status, where there was one.
    pub upstream_status: Option<u16>,
    /// For the operator only: the cause in the upstream's or the system's words, at most 512 bytes.
    pub detail: Option<Box<str>>,
    /// True where the fault tells of the deployment's health and the breaker should count it.
    pub counts_against_health: bool,
}

impl Fault {
    /// A fault of `source`, with no more said than the code and the sentence.
    #[must_use]
    pub fn new(source: Source, retry: RetryClass, code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            source,
            retry,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            upstream_status: None,
            detail: None,
            counts_against_health: false,
        }
    }

    /// The caller's request is wrong; nothing is to be tried.
    #[must_use]
    pub fn caller(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Source::Caller, RetryClass::Stop, code, message)
    }

    /// The upstream failed in a way that another deployment may not, and that tells of its health.
    #[must_use]
    pub fn upstream(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            counts_against_health: true,
            ..Self::new(Source::Upstream, RetryClass::NextCandidate, code, message)
        }
    }

    /// Names the request field.
    #[must_use]
    pub fn at(mut self, param: impl Into<Box<str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds the operator's detail, cut at 512 bytes on a character boundary.
    #[must_use]
    pub fn because(mut self, detail: &str) -> Self {
        let mut end = detail.len().min(512);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        self.detail = detail.get(..end).map(Into::into);
        self
    }

    /// Says how long to wait.
    #[must_use]
    pub const fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The HTTP status for the caller.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.source.name(), self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " [{detail}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
