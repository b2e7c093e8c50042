//! Bounds that all calls share: how many retries, and how many buffered bytes.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicI64, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Duration,
};

/// Retries are paid from a budget, so that an outage does not multiply the load: every call deposits a tenth of
/// a retry, and ten a second come for free. (Finagle's retry budgets; the figures are the design's.)
#[derive(Debug)]
pub struct RetryBudget {
    /// Thousandths of a retry.
    balance: AtomicI64,
    refilled_ms: AtomicU64,
}

const RETRY: i64 = 1_000;
const PER_CALL: i64 = RETRY / 10;
const PER_MS: i64 = 10 * RETRY / 1_000;
const MAX_BALANCE: i64 = 100 * RETRY;

impl Default for RetryBudget {
    fn default() -> Self {
        Self { balance: AtomicI64::new(MAX_BALANCE), refilled_ms: AtomicU64::new(0) }
    }
}

impl RetryBudget {
    /// A call begins.
    pub fn deposit(&self) {
        if self.balance.load(Relaxed) < MAX_BALANCE {
            self.balance.fetch_add(PER_CALL, Relaxed);
        }
    }

    /// Takes one retry, if the budget has one.
    pub fn withdraw(&self, now: Duration) -> bool {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let before = self.refilled_ms.swap(now_ms, AcqRel);
        let earned = i64::try_from(now_ms.saturating_sub(before)).unwrap_or(i64::MAX).saturating_mul(PER_MS);
        let refilled = |balance: i64| balance.saturating_add(earned).min(MAX_BALANCE);
        // One step, so that two calls never spend the same retry.
        let taken = self.balance.fetch_update(AcqRel, Relaxed, |balance| {
            let balance = refilled(balance);
            Some(if balance < RETRY { balance } else { balance - RETRY })
        });
        taken.is_ok_and(|before| refilled(before) >= RETRY)
    }
}

/// All buffered bodies together may hold this many bytes.
#[derive(Clone, Debug)]
pub struct BufferBudget {
    used: Arc<AtomicUsize>,
    max: usize,
}

/// Bytes set aside from a [`BufferBudget`]; given back when dropped.
#[derive(Debug)]
pub struct Buffered {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl BufferBudget {
    /// A budget of `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { used: Arc::default(), max }
    }

    /// Sets `bytes` aside, or says that the budget is used up.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Buffered> {
        let before = self.used.fetch_add(bytes, AcqRel);
        let taken = Buffered { used: Arc::clone(&self.used), bytes };
        (before.saturating_add(bytes) <= self.max).then_some(taken)
    }

    /// Bytes set aside now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

impl Buffered {
    /// Several as one.
    #[must_use]
    pub fn join(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or(Self { used: Arc::default(), bytes: 0 });
        for mut part in parts {
            all.bytes = all.bytes.saturating_add(std::mem::take(&mut part.bytes));
        }
        all
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_bounded_and_come_back() {
        let budget = RetryBudget::default();
        let mut taken = 0;
        while budget.withdraw(Duration::from_secs(1)) {
            taken += 1;
            assert!(taken <= 200);
        }
        assert_eq!(taken, 100);
        for _ in 0..10 {
            budget.deposit();
        }
        assert!(budget.withdraw(Duration::from_secs(1)));
        assert!(!budget.withdraw(Duration::from_secs(1)));
        assert!(budget.withdraw(Duration::from_millis(1_100)), "ten a second for free");
    }

    #[test]
    fn buffered_bytes_are_given_back() {
        let budget = BufferBudget::new(100);
        let first = budget.take(60).unwrap();
        assert!(budget.take(41).is_none());
        assert_eq!(budget.used(), 60);
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}
