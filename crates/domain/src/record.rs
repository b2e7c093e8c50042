//! What the journal keeps: one record per decision, per attempt, per outcome. No prompt, no answer, no secret.
//!
//! The codec (canonical CBOR) is the ledger's, the frames and files are the storage's.

use crate::{
    class::Classed,
    fault::Code,
    ids::{CallId, DecisionId, DeploymentId, KeyId, ModelName, WorkloadId},
    money::PicoDollars,
    usage::Usage,
};

/// A record of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Why calls of one kind run where they run. Once per segment and decision.
    Decision(DecisionRecord),
    /// A request is about to leave for a deployment.
    Attempt(AttemptRecord),
    /// An attempt ended, and with it (where `last`) the call.
    Outcome(OutcomeRecord),
    /// A call ended without any attempt: refused, unavailable, malformed after its caller was known.
    Refusal(RefusalRecord),
    /// Something that concerns the gateway as a whole.
    Notice(NoticeRecord),
}

/// Why calls of one kind run where they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Hash of the rest.
    pub id: DecisionId,
    /// The whole decision as JSON: terms hash, window, permitted, refused with rules.
    pub body: Box<str>,
}

/// A request is about to leave.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// The call.
    pub call: CallId,
    /// Counts the attempts of the call from 1.
    pub attempt: u16,
    /// When, in microseconds of Unix time.
    pub at_us: i64,
    /// Who pays and is judged.
    pub workload: WorkloadId,
    /// The caller's key id.
    pub key: KeyId,
    /// The model as asked for.
    pub model: ModelName,
    /// Where it goes.
    pub deployment: DeploymentId,
    /// Why it may go there.
    pub decision: DecisionId,
    /// True for a streamed call.
    pub stream: bool,
    /// Length of the request body sent upstream, in bytes.
    pub request_bytes: u64,
    /// Rules that would have refused the deployment, were it not for a waiver: `id, id`. Empty where there are none.
    pub waived: Box<str>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeRecord {
    /// The call.
    pub call: CallId,
    /// The attempt.
    pub attempt: u16,
    /// True where no further attempt follows: the terminal of the call.
    pub last: bool,
    /// When, in microseconds of Unix time.
    pub at_us: i64,
    /// How.
    pub outcome: Outcome,
    /// The upstream's status, 0 where there was none.
    pub upstream_status: u16,
    /// Tokens.
    pub usage: Usage,
    /// Price of the tokens; `None` where no price is known. Never 0 for "unknown".
    pub cost: Option<PicoDollars>,
    /// How the cost is to be read.
    pub cost_basis: CostBasis,
    /// Finish class of the answer (`stop`, `length` …), empty where there was none.
    pub finish: Box<str>,
    /// Who served the call, as far as we could see.
    pub served_by: ServedBy,
    /// The upstream's own id of the request, at most 64 bytes.
    pub upstream_request_id: Box<str>,
    /// Names of what the translation lost, as in the header.
    pub losses: Box<str>,
    /// Microseconds from the attempt's start to the first content, 0 where there was none.
    pub first_content_us: u64,
    /// Microseconds from the attempt's start to its end.
    pub total_us: u64,
    /// Bytes of content handed to the caller.
    pub released_bytes: u64,
    /// Who keeps state for the call, and its place in a conversation.
    pub class: Classed,
}

/// A call that ended without an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalRecord {
    /// The call.
    pub call: CallId,
    /// When, in microseconds of Unix time.
    pub at_us: i64,
    /// Who asked.
    pub workload: WorkloadId,
    /// The caller's key id.
    pub key: KeyId,
    /// The model as asked for.
    pub model: ModelName,
    /// The decision, where one was made.
    pub decision: Option<DecisionId>,
    /// Why it was refused.
    pub code: Code,
}

/// Something that concerns the gateway as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRecord {
    /// When, in microseconds of Unix time.
    pub at_us: i64,
    /// What: `start`, `snapshot`, `clock-jump`, `recovered-unknown`, `drain`.
    pub kind: Box<str>,
    /// About what.
    pub text: Box<str>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is complete.
    Done,
    /// The upstream or the way to it failed before any content was released.
    Failed(Code),
    /// It broke off after content had been released.
    Cut(Code),
    /// The caller left.
    CallerLeft,
    /// The gateway died with the attempt open; found at the next start.
    Unknown,
}

/// How a cost is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostBasis {
    /// No price row for it: a visible gap.
    #[default]
    Unpriced,
    /// List price × reported tokens.
    List,
    /// List price × tokens that we estimated.
    ListEstimated,
    /// The provider said what it billed.
    ProviderReported,
    /// The answer was simulated: list price, not billed.
    Simulated,
    /// The caller left and the provider bills such a call to its end, which we cannot see.
    BilledToEndEstimated,
}

impl CostBasis {
    /// The word in records, headers and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unpriced => "unpriced",
            Self::List => "list",
            Self::ListEstimated => "list-estimated",
            Self::ProviderReported => "provider-reported",
            Self::Simulated => "list-price-not-billed",
            Self::BilledToEndEstimated => "billed-to-end-estimated",
        }
    }
}

/// Who served a call, as far as we could see: never more than the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServedBy {
    /// No evidence either way.
    #[default]
    Unknown,
    /// Our simulator.
    Simulated,
    /// Headers agree with what was declared; headers can be forged.
    Consistent,
    /// An id or field that only this host writes.
    Confirmed,
    /// Evidence of another host than declared.
    Contradicted,
}

impl ServedBy {
    /// The word in records, headers and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Simulated => "simulated",
            Self::Consistent => "consistent",
            Self::Confirmed => "confirmed",
            Self::Contradicted => "contradicted",
        }
    }
}
