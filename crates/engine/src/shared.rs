//! What all calls of one gateway share.

use crate::{
    budget::{BufferBudget, RetryBudget},
    classify::Discovery,
    metrics::Metrics,
    upstream::PoolRegistry,
};
use domain::{CallId, Clock, WorkloadId, journal::Journal, record::OutcomeRecord};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// What all calls of one gateway share, whatever the snapshot.
pub struct Shared {
    /// The one way to learn the time.
    pub clock: Arc<dyn Clock>,
    /// Where records go.
    pub journal: Arc<dyn Journal>,
    /// Counters.
    pub metrics: Metrics,
    /// Bound of bytes in memory.
    pub buffers: BufferBudget,
    /// Bound of retries.
    pub retries: RetryBudget,
    /// Connections.
    pub pools: PoolRegistry,
    /// Conversations that were seen, and what workloads are like.
    pub discovery: Discovery,
    /// The last calls, for `GET /cabotage/v1/calls/{id}` before the drainer has indexed them.
    pub recent: Recent,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// The outcomes of the last attempts, in memory.
#[derive(Debug)]
pub struct Recent {
    ring: Mutex<VecDeque<(WorkloadId, OutcomeRecord)>>,
}

/// How many outcomes are kept.
const RECENT: usize = 1_024;

impl Default for Recent {
    fn default() -> Self {
        Self { ring: Mutex::new(VecDeque::with_capacity(RECENT)) }
    }
}

impl Recent {
    pub(crate) fn push(&self, workload: WorkloadId, record: OutcomeRecord) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if ring.len() == RECENT { ring.pop_front() } else { None };
        ring.push_back((workload, record));
        drop(ring);
        drop(oldest);
    }

    /// The outcomes of one call's attempts that are still in memory, in order, if the call is `workload`'s.
    #[must_use]
    pub fn of(&self, workload: &WorkloadId, call: CallId) -> Vec<OutcomeRecord> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter()
            .filter(|(owner, record)| record.call == call && owner == workload)
            .map(|(_, record)| record.clone())
            .collect()
    }
}
