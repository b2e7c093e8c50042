//! The end of an attempt: counted, priced and in the journal exactly once, whoever ends it.
//!
//! A [`Settlement`] is made together with the attempt's record and owned by whoever reads the answer. It is
//! closed by the answer's end, by a fault, or by being dropped: then the caller has left (or the gateway is
//! going down with the call open) and what had passed until then is what is booked. The room for the record
//! was taken at admission, so closing cannot fail for want of room.

use crate::{deployment::Deployment, shared::Shared};
use domain::{
    CallId, Classed, Code, Losses, Usage, UsageSource, WorkloadId,
    journal::Permit,
    money::PicoDollars,
    record::{CostBasis, Outcome, OutcomeRecord, Record, ServedBy},
};
use ledger::Billing;
use placement::classify::Profile;
use std::{sync::Arc, time::Duration};

/// The open end of one attempt.
#[derive(Debug)]
pub struct Settlement {
    shared: Arc<Shared>,
    deployment: Arc<Deployment>,
    permit: Option<Permit>,
    record: Option<Box<OutcomeRecord>>,
    started: Duration,
    probe: bool,
    /// Tokens as far as reported. Without a report they are estimated from bytes at the end.
    pub usage: Option<Usage>,
    /// The tier that really served, where the provider said so.
    pub tier: Option<Box<str>>,
    /// What the provider says that it bills, where it does.
    pub provider_reported: Option<PicoDollars>,
    /// What the workload is like: counted at the call's end.
    profile: Option<Arc<Profile>>,
    /// Who asked, for the owner's look-up.
    workload: WorkloadId,
    /// Length of the request in bytes, for the estimate.
    request_bytes: u64,
}

/// Characters per token assumed where nobody counted: the usual figure for English text. An estimate is
/// always marked as one.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;

impl Settlement {
    /// Opens the end of the attempt whose record has just been written.
    pub(crate) fn open(opening: Opening) -> Self {
        let Opening { shared, deployment, permit, workload, call, attempt, started, probe, request_bytes } =
            opening;
        deployment.metrics.in_flight.inc();
        let record = OutcomeRecord {
            call,
            attempt,
            last: true,
            at_us: 0,
            outcome: Outcome::CallerLeft,
            upstream_status: 0,
            usage: Usage::default(),
            cost: None,
            cost_basis: CostBasis::Unpriced,
            finish: "".into(),
            served_by: ServedBy::Unknown,
            upstream_request_id: "".into(),
            losses: "".into(),
            first_content_us: 0,
            total_us: 0,
            released_bytes: 0,
            class: Classed::default(),
        };
        Self {
            shared,
            deployment,
            permit: Some(permit),
            record: Some(Box::new(record)),
            started,
            probe,
            usage: None,
            tier: None,
            provider_reported: None,
            profile: None,
            workload,
            request_bytes,
        }
    }

    /// The deployment of the attempt.
    #[must_use]
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// The upstream answered: status, its id of the request, and what the headers tell of who answers.
    pub fn answered(&mut self, status: u16, upstream_request_id: &str, served_by: ServedBy) {
        if let Some(record) = &mut self.record {
            record.upstream_status = status;
            record.upstream_request_id = upstream_request_id.chars().take(64).collect::<String>().into();
            record.served_by = served_by;
        }
    }

    /// Stronger evidence came with the body.
    pub fn served_by(&mut self, served_by: ServedBy) {
        if let Some(record) = &mut self.record {
            record.served_by = served_by;
        }
    }

    /// Who keeps state for the call, and which conversation it is, as far as known by now.
    pub(crate) fn classed(&mut self, class: Classed, profile: &Arc<Profile>) {
        if let Some(record) = &mut self.record {
            record.class = class;
        }
        self.profile.get_or_insert_with(|| Arc::clone(profile));
    }

    /// What is known of who served it.
    #[must_use]
    pub fn evidence(&self) -> ServedBy {
        self.record.as_ref().map_or(ServedBy::Unknown, |record| record.served_by)
    }

    /// Content came for the first time.
    pub fn first_content(&mut self) {
        let now = self.shared.clock.monotonic();
        if let Some(record) = &mut self.record
            && record.first_content_us == 0
        {
            record.first_content_us = micros(now.saturating_sub(self.started)).max(1);
        }
    }

    /// Bytes of content went to the caller.
    pub fn released(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.released_bytes = record.released_bytes.saturating_add(bytes as u64);
        }
    }

    /// Why the answer ended, in the class of the records.
    pub fn finish(&mut self, class: &str) {
        if let Some(record) = &mut self.record {
            record.finish = class.into();
        }
    }

    /// What the translation lost.
    pub fn losses(&mut self, losses: &Losses) {
        if let Some(record) = &mut self.record {
            record.losses = losses.to_string().into();
        }
    }

    /// The attempt ended well: the terminal of the call. Returns the priced record's cost.
    pub fn done(mut self) -> Settled {
        self.note_health(Health::Good);
        self.close(Outcome::Done, true)
    }

    /// The attempt failed before any content was released, and it was the call's last.
    pub fn failed(mut self, code: Code, health: Health) -> Settled {
        self.note_health(health);
        self.close(Outcome::Failed(code), true)
    }

    /// The attempt failed before any content was released and another follows: gives the room for its end on.
    pub(crate) fn failed_over(mut self, code: Code, health: Health) -> Option<Permit> {
        self.note_health(health);
        let permit = self.permit.take();
        self.close(Outcome::Failed(code), false);
        permit
    }

    /// The answer broke off after content had been released: the terminal of the call.
    pub fn cut(mut self, code: Code, health: Health) -> Settled {
        self.note_health(health);
        self.close(Outcome::Cut(code), true)
    }

    fn note_health(&self, health: Health) {
        match health {
            Health::Bad(asked) => {
                self.deployment.breaker().failure(self.started, self.shared.clock.monotonic(), asked);
            }
            Health::Good => self.deployment.breaker().success(self.started),
            Health::Unknown => {}
        }
        if self.probe {
            self.deployment.breaker().abandon();
        }
    }

    fn close(&mut self, outcome: Outcome, last: bool) -> Settled {
        let Some(mut record) = self.record.take() else { return Settled::default() };
        let now = self.shared.clock.monotonic();
        let at = self.shared.clock.now();
        record.outcome = outcome;
        record.last = last;
        record.at_us = at.as_microsecond();
        record.total_us = micros(now.saturating_sub(self.started));
        let answered = record.upstream_status != 0;
        record.usage = self.usage.unwrap_or_else(|| self.estimate(outcome, answered, record.released_bytes));
        let billing = Billing {
            tier: Deployment::tier(self.tier.as_deref()),
            provider_reported: self.provider_reported,
            simulated: record.served_by == ServedBy::Simulated,
            billed_to_end: outcome == Outcome::CallerLeft
                && answered
                && self.deployment.endpoint.provider().bills_cancelled(),
        };
        (record.cost, record.cost_basis) = self.deployment.price(&record.usage, &billing, at);
        let settled = Settled { cost: record.cost, basis: record.cost_basis, usage: record.usage };
        let metrics = &self.deployment.metrics;
        metrics.in_flight.dec();
        metrics.ended(outcome);
        metrics.input_tokens.inc_by(record.usage.input_total());
        metrics.output_tokens.inc_by(record.usage.output_total());
        metrics.duration.observe(Duration::from_micros(record.total_us).as_secs_f64());
        if record.first_content_us > 0 {
            self.deployment.note_latency(record.first_content_us);
            metrics.first_content.observe(Duration::from_micros(record.first_content_us).as_secs_f64());
        }
        if let Some(cost) = record.cost {
            metrics.cost.inc_by(dollars(cost.0));
        }
        if last && let Some(profile) = &self.profile {
            profile.note(&record.class, record.at_us);
        }
        let record = Record::Outcome(*record);
        if let Err(error) = self.shared.journal.append(&record) {
            tracing::error!(%error, "an outcome could not be journalled; new calls are refused until the journal recovers");
        }
        if let Record::Outcome(record) = record {
            self.shared.recent.push(self.workload.clone(), record);
        }
        drop(self.permit.take());
        settled
    }

    /// Tokens where nobody reported them: unknown where nothing was answered, else from the bytes that passed.
    fn estimate(&self, outcome: Outcome, answered: bool, released: u64) -> Usage {
        let served = matches!(outcome, Outcome::Done | Outcome::Cut(_) | Outcome::CallerLeft);
        if !answered || !served {
            return Usage::default();
        }
        Usage {
            uncached_in: self.request_bytes.div_ceil(BYTES_PER_TOKEN),
            out_visible: released.div_ceil(BYTES_PER_TOKEN),
            source: UsageSource::Estimated,
            ..Usage::default()
        }
    }
}

impl Drop for Settlement {
    /// The caller left: the record is finished and moves into its reserved place.
    fn drop(&mut self) {
        if self.record.is_some() {
            self.note_health(Health::Unknown);
            self.close(Outcome::CallerLeft, true);
        }
    }
}

/// What [`Settlement::open`] needs.
pub(crate) struct Opening {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) permit: Permit,
    pub(crate) workload: WorkloadId,
    pub(crate) call: CallId,
    pub(crate) attempt: u16,
    pub(crate) started: Duration,
    pub(crate) probe: bool,
    pub(crate) request_bytes: u64,
}

/// What an attempt's end tells of its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works; the fault was not its own.
    Good,
    /// It does not; with the wait it asked for.
    Bad(Option<Duration>),
    /// Nothing.
    Unknown,
}

/// What was booked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settled {
    /// Price, where one is known.
    pub cost: Option<PicoDollars>,
    /// How to read it.
    pub basis: CostBasis,
    /// Tokens.
    pub usage: Usage,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// For the metric only, where the rounding of a float does not matter; money itself stays an integer.
fn dollars(pico: u64) -> f64 {
    pico as f64 / 1e12
}
