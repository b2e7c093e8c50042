//! The path of one call, on one page.

use crate::{
    attempt::{AnswerBody, Course, Failure, health_of},
    breaker::Gate,
    call::ActiveCall,
    caller::{Caller, Explains},
    deployment::Deployment,
    engine::{Engine, journal_fault},
    place::Placed,
    refusal::{Head, Refused},
    tailor::Place,
};
use domain::{Code, DeploymentId, Fault, RetryClass};
use std::{fmt::Write, sync::Arc};

/// An answer, ready for the caller.
pub struct Served {
    /// What its head says.
    pub head: Head,
    /// What it says.
    pub body: AnswerBody,
    /// Unix seconds, for dialects that want a date.
    pub created: i64,
    /// Where it ran. For the stateful side, not for callers.
    pub place: Place,
}

impl Engine {
    /// Answers one call: admit → place → attempt, candidate by candidate → settle.
    ///
    /// (A guard that reads content will stand between admit and place: its findings may raise the call's data
    /// classes, and placement must know them.)
    ///
    /// # Errors
    /// What is to be told to the caller. It is in the journal by then.
    pub async fn infer(&self, caller: &Caller, call: ActiveCall) -> Result<Served, Refused> {
        // Room for the call's end comes first: what cannot be recorded may not run.
        let permit = match self.shared.journal.admit() {
            Ok(permit) => permit,
            Err(error) => return Err(self.refused_early(&call, journal_fault(&error))),
        };
        self.shared.retries.deposit();
        // May it run, can it run, in which order: terms from the memo, health as it is now.
        let placed = match self.place(caller, &call).await {
            Ok(placed) => placed,
            Err(refused) => return Err(*refused),
        };
        let mut trail = Trail::default();
        let mut course = Course {
            engine: self,
            caller,
            call: &call,
            decision: placed.decision,
            placed: &placed,
            permit: Some(permit),
            before: None,
            attempts: 0,
            shortest_wait: None,
        };
        // Each candidate in turn; the same one again only for a reason that lies in our own connection or token.
        for candidate in &placed.candidates {
            let mut again = true;
            while std::mem::take(&mut again) {
                if course.attempts > 0 && !self.shared.retries.withdraw(self.shared.clock.monotonic()) {
                    trail.note(candidate, "no_retry_budget");
                    break;
                }
                let gate = candidate.breaker().pass(self.shared.clock.monotonic());
                if let Gate::Open(_) = gate
                    && !placed.last_resort
                {
                    trail.note(candidate, "breaker_open");
                    break;
                }
                // Boxed, so that the calls' own futures stay small enough to be moved.
                match Box::pin(course.attempt(candidate, gate)).await {
                    Ok(success) => {
                        trail.note(candidate, "ok");
                        let mut head = self.head(caller, &call, &placed, &trail, Some(&candidate.id));
                        head.deployment = visible(caller, || candidate.id.clone());
                        head.served_by = visible(caller, || success.served_by);
                        head.cost = success.settled.and_then(|settled| {
                            visible(caller, || {
                                settled.cost.map(|cost| format!("{cost} {}", settled.basis.name()))
                            })
                            .flatten()
                        });
                        head.losses = success.losses;
                        let created = self.shared.clock.now().as_second();
                        return Ok(Served { head, body: success.body, created, place: candidate.place() });
                    }
                    Err(failure) => {
                        trail.note(candidate, failure.fault.code.name());
                        let retry = failure.fault.retry;
                        self.keep(&mut course, failure);
                        match retry {
                            RetryClass::SameAgain => again = trail.first_time(candidate),
                            RetryClass::NextCandidate => {}
                            RetryClass::Stop => return Err(self.give_up(course, &placed, &trail)),
                        }
                    }
                }
            }
        }
        Err(self.give_up(course, &placed, &trail))
    }

    /// Keeps the failure to be told if no other candidate helps. One that was never journalled does not displace
    /// one that was: its end is still open.
    fn keep(&self, course: &mut Course<'_>, failure: Failure) {
        if let Some(wait) = failure.fault.retry_after {
            course.shortest_wait = Some(course.shortest_wait.map_or(wait, |other| other.min(wait)));
        }
        match &mut course.before {
            Some(before) if before.settlement.is_some() && failure.settlement.is_none() => {
                if failure.fault.retry == RetryClass::Stop {
                    before.fault = failure.fault;
                }
            }
            _ => course.before = Some(failure),
        }
    }

    /// No candidate helped: the last attempt's end is the call's, and the caller is told what would.
    fn give_up(&self, mut course: Course<'_>, placed: &Placed, trail: &Trail) -> Refused {
        let head = self.head(course.caller, course.call, placed, trail, None);
        let Some(Failure { mut fault, settlement, relayed }) = course.before.take() else {
            let fault = placed.unavailable(course.caller, self.shared.clock.monotonic());
            self.journal_refusal(
                course.caller,
                course.call.id(),
                course.call.model(),
                Some(placed.decision),
                &fault,
            );
            return Refused { fault, head, relayed: None };
        };
        match settlement {
            Some(settlement) => {
                settlement.failed(fault.code, health_of(&fault));
            }
            None => self.journal_refusal(
                course.caller,
                course.call.id(),
                course.call.model(),
                Some(placed.decision),
                &fault,
            ),
        }
        // A provider that cannot be reached or says that it is overloaded is no answer to a caller who asked for
        // a model: the permitted deployments are down, and the record names what was withheld.
        let down = matches!(fault.code, Code::UpstreamUnreachable | Code::PermittedUnavailable)
            || fault.code == Code::UpstreamError && matches!(fault.upstream_status, Some(503 | 529));
        if down {
            let detail = fault.detail.take();
            fault = Fault { detail, ..placed.unavailable(course.caller, self.shared.clock.monotonic()) };
        } else if matches!(fault.code, Code::RateLimited | Code::QuotaExhausted) {
            // Whichever candidate has room first will do.
            fault.retry_after = course.shortest_wait;
        }
        Refused { fault, head, relayed }
    }

    /// What the head says, cut down to what the caller may see.
    fn head(
        &self,
        caller: &Caller,
        call: &ActiveCall,
        placed: &Placed,
        trail: &Trail,
        ran_at: Option<&DeploymentId>,
    ) -> Head {
        let mut head = Head::of(call.id());
        head.decision = Some(placed.decision);
        if caller.workload.explains == Explains::Full {
            head.attempts.clone_from(&trail.text);
            head.why = placed.why(ran_at);
            let class = call.classed();
            head.class = crate::classify::class_header(&class);
            head.conversation = crate::classify::conversation_header(&class);
        }
        if caller.workload.explains != Explains::None {
            head.warning = placed.warning();
            head.waived = ran_at.map(|at| placed.waived(at)).unwrap_or_default();
        }
        head
    }

    /// Before there was room for a record: counted, and told to the caller.
    fn refused_early(&self, call: &ActiveCall, fault: Fault) -> Refused {
        self.shared.metrics.refused(fault.code);
        Refused { fault, head: Head::of(call.id()), relayed: None }
    }
}

/// Something that only callers with full view are told.
fn visible<T>(caller: &Caller, value: impl FnOnce() -> T) -> Option<T> {
    (caller.workload.explains == Explains::Full).then(value)
}

/// What was tried, in order: `deployment=outcome`.
#[derive(Default)]
struct Trail {
    text: String,
    again: Vec<usize>,
}

impl Trail {
    fn note(&mut self, deployment: &Arc<Deployment>, outcome: &str) {
        let comma = if self.text.is_empty() { "" } else { ", " };
        let _ = write!(self.text, "{comma}{}={outcome}", deployment.id);
    }

    /// Whether this deployment has not been tried a second time yet.
    fn first_time(&mut self, deployment: &Arc<Deployment>) -> bool {
        let address = Arc::as_ptr(deployment).addr();
        let first = !self.again.contains(&address);
        self.again.push(address);
        first
    }
}
