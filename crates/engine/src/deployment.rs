//! One place where one model can be called, ready to be called: the unit of placement at run time.

use crate::{breaker::Breaker, metrics::DeploymentMetrics, needs::Needs, upstream::Pool};
use domain::{Capabilities, DeploymentId, SecretSource, Usage, money::PicoDollars, record::CostBasis};
use jiff::Timestamp;
use ledger::{Billing, PriceSheet, Tier};
use placement::DeploymentIndex;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// Bounds on the time of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first content (of a stream) or the head (of a whole answer).
    pub first_content: Duration,
    /// Between two pieces of content of a stream.
    pub idle_content: Duration,
    /// The whole attempt.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 120 s, 60 s, 600 s. Reasoning models think long before they speak.
    fn default() -> Self {
        Self {
            first_content: Duration::from_secs(120),
            idle_content: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// What outlives a snapshot: a deployment of the same name keeps its health and its places over a reload.
#[derive(Debug)]
pub struct Vitals {
    /// Its health as calls have seen it.
    pub breaker: Breaker,
    /// Calls at a time.
    pub places: Arc<Semaphore>,
    /// Time to the first content, a moving average in microseconds; 0 before the first call.
    latency_us: AtomicU32,
}

impl Vitals {
    /// Of a new deployment that takes `concurrency` calls at a time.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self {
            breaker: Breaker::default(),
            places: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            latency_us: AtomicU32::new(0),
        }
    }

    /// Time to the first content, a moving average in microseconds; 0 where unknown.
    #[must_use]
    pub fn latency_us(&self) -> u32 {
        self.latency_us.load(Relaxed)
    }

    /// A call's first content came after this time. The average with it.
    fn note_latency(&self, us: u64) -> u32 {
        let us = u32::try_from(us).unwrap_or(u32::MAX);
        let before = self.latency_us.load(Relaxed);
        let after = if before == 0 { us } else { before - before / 8 + us / 8 };
        self.latency_us.store(after, Relaxed);
        after
    }
}

/// The latencies of a snapshot's deployments side by side, each as its [`Vitals`] have it: a ranking reads all of
/// them for every call, and sixteen stand in one line of the processor's cache.
///
/// What a call under an older snapshot still learns is in the vitals at once and here with the next call.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Arc<[AtomicU32]>);

impl Latencies {
    /// As they are now.
    pub(crate) fn of(vitals: impl Iterator<Item = u32>) -> Self {
        Self(vitals.map(AtomicU32::new).collect())
    }

    /// Of the deployment at this index, in microseconds; 0 where unknown.
    pub(crate) fn get(&self, index: DeploymentIndex) -> u32 {
        self.0.get(usize::from(index.0)).map_or(0, |latency_us| latency_us.load(Relaxed))
    }

    fn set(&self, index: DeploymentIndex, latency_us: u32) {
        if let Some(slot) = self.0.get(usize::from(index.0)) {
            slot.store(latency_us, Relaxed);
        }
    }
}

/// One place where one model can be called.
pub struct Deployment {
    /// The operator's name for it.
    pub id: DeploymentId,
    /// Who is called, and how.
    pub endpoint: providers::Endpoint,
    /// Where its secret comes from.
    pub secret: Arc<dyn SecretSource>,
    /// What the model can do there.
    pub capabilities: Capabilities,
    /// The same as a set, for the filter.
    pub offers: Needs,
    /// What its tokens cost.
    pub prices: Arc<PriceSheet>,
    /// Bounds on time.
    pub timeouts: Timeouts,
    /// Its position in the operator's order: lower is tried first.
    pub order: u16,
    pub(crate) pool: Arc<Pool>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) metrics: DeploymentMetrics,
    /// Its index in its snapshot, and the latencies of all that stand there.
    pub(crate) latencies: (DeploymentIndex, Latencies),
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("id", &self.id)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Deployment {
    /// Its breaker.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.vitals.breaker
    }

    /// A call's first content came after this time.
    pub(crate) fn note_latency(&self, us: u64) {
        let (own, all) = &self.latencies;
        all.set(*own, self.vitals.note_latency(us));
    }

    /// The price of a usage and how to read it.
    #[must_use]
    pub fn price(&self, usage: &Usage, billing: &Billing, at: Timestamp) -> (Option<PicoDollars>, CostBasis) {
        ledger::price_usage(usage, &self.prices, at.as_microsecond(), billing)
    }

    /// The list price of a typical call (1,000 tokens in, 500 out), for ranking only.
    #[must_use]
    pub fn typical_cost(&self, at: Timestamp) -> Option<u64> {
        let rates = self.prices.at(at)?.rates(Tier::Standard, 1_000)?;
        Some(rates.input.saturating_mul(1_000).saturating_add(rates.output.saturating_mul(500)))
    }

    /// The tier that a word of the answer stands for.
    #[must_use]
    pub fn tier(word: Option<&str>) -> Tier {
        word.and_then(Tier::from_name).unwrap_or_default()
    }
}
