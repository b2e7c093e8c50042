//! A call that got no answer, and what is told of it.

use bytes::Bytes;
use domain::{CallId, DecisionId, DeploymentId, Fault, Losses, record::ServedBy};

/// What the answer's head says of the call, already cut down to what its caller may see.
#[derive(Clone, Debug)]
pub struct Head {
    /// The call.
    pub call: CallId,
    /// The decision behind it.
    pub decision: Option<DecisionId>,
    /// The deployment that answered.
    pub deployment: Option<DeploymentId>,
    /// `deployment=outcome` of each attempt, in order.
    pub attempts: String,
    /// One line: why it ran where it ran.
    pub why: String,
    /// Rules in `warn` mode that would have refused.
    pub warning: String,
    /// Rules that would have refused where it ran, were it not for a waiver.
    pub waived: String,
    /// Its class and the signs that show it.
    pub class: String,
    /// The conversation that it continues.
    pub conversation: String,
    /// What the translation lost.
    pub losses: Losses,
    /// Cost in dollars with its basis, where it is known by now.
    pub cost: Option<String>,
    /// Who served it, as far as we could see.
    pub served_by: Option<ServedBy>,
}

impl Head {
    /// A head that says nothing but the call's id.
    #[must_use]
    pub const fn of(call: CallId) -> Self {
        Self {
            call,
            decision: None,
            deployment: None,
            attempts: String::new(),
            why: String::new(),
            warning: String::new(),
            waived: String::new(),
            class: String::new(),
            conversation: String::new(),
            losses: Losses::none(),
            cost: None,
            served_by: None,
        }
    }
}

/// A call that got no answer.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What went wrong.
    pub fault: Fault,
    /// What is told of it.
    pub head: Head,
    /// The upstream's own error body, where the caller speaks its dialect and the error tells of the request.
    pub relayed: Option<Relayed>,
}

/// An upstream's error that is handed on as it came.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// Its status.
    pub status: http::StatusCode,
    /// Its body.
    pub body: Bytes,
}
