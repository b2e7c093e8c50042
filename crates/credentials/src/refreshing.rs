//! A secret that is fetched, kept and renewed: the rules that hold for every source.
//!
//! - Nothing is fetched before the first [`SecretSource::fetch`].
//! - One fetch serves all who wait; it runs in a task of its own, so a caller who leaves does not break it off.
//! - From 80 % of its life on a secret is renewed in the background while the old one stays in use until it ends.
//! - After a failure the next try waits 1 s, then twice as long each time, at most [`LONGEST_WAIT`]; meanwhile who
//!   needs a secret gets the last failure at once.
//! - A secret that the upstream refused is renewed once, at most every [`REFUSED_GAP`].

use crate::fault;
use arc_swap::ArcSwapOption;
use domain::{Clock, Fault, Secret, SecretSource, secret::Fetch};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};

/// The share of a secret's life after which it is renewed, in percent.
pub const RENEW_AT_PERCENT: u32 = 80;
/// The longest wait between two tries after failures.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The shortest time between two renewals that refusals ask for.
pub const REFUSED_GAP: Duration = Duration::from_secs(5);
/// The longest that one fetch may take.
pub const LONGEST_FETCH: Duration = Duration::from_secs(15);

/// Where a secret comes from.
pub trait Obtain: Send + Sync + 'static {
    /// What it is, for logs: `entra`, `file /run/secrets/key`.
    fn name(&self) -> &str;

    /// A secret, fetched anew. `refused` tells that the upstream refused the last one, so caches below must not
    /// give it out again.
    fn obtain(&self, refused: bool) -> impl Future<Output = Result<Obtained, Fault>> + Send;
}

/// A secret as it was fetched.
#[derive(Debug)]
pub struct Obtained {
    /// The secret.
    pub secret: Secret,
    /// When to look again although the secret has not ended, for sources that do not tell a life (a file, a
    /// library with a cache of its own).
    pub look_again: Option<Duration>,
    /// How long to use it at most where it does not tell its end and nothing newer can be had; `None`: for ever.
    pub keep_for: Option<Duration>,
}

/// A [`SecretSource`] over anything that can [`Obtain`]. Time is the clock's.
pub struct Refreshing<F> {
    inner: Arc<Inner<F>>,
}

impl<F: Obtain> std::fmt::Debug for Refreshing<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refreshing({})", self.inner.obtain.name())
    }
}

struct Inner<F> {
    obtain: F,
    clock: Arc<dyn Clock>,
    longest_fetch: Duration,
    held: ArcSwapOption<Held>,
    /// Held while one fetch runs; knows the failures since the last success.
    flight: Mutex<Failures>,
    renewing: AtomicBool,
}

/// The secret at hand; moments are the clock's monotonic readings.
struct Held {
    secret: Arc<Secret>,
    since: Duration,
    renew_at: Option<Duration>,
    ends_at: Option<Duration>,
}

impl Held {
    fn is_over(&self, now: Duration) -> bool {
        self.ends_at.is_some_and(|end| now >= end)
    }

    fn is_due(&self, now: Duration) -> bool {
        self.renew_at.is_some_and(|at| now >= at)
    }
}

#[derive(Default)]
struct Failures {
    count: u32,
    not_before: Duration,
    last: Option<Fault>,
}

/// Why a fetch was asked for.
enum Why {
    /// None is at hand.
    Missing,
    /// The one at hand nears its end.
    Due,
    /// The upstream refused this one.
    Refused(Arc<Secret>),
}

impl<F: Obtain> Refreshing<F> {
    /// Over `obtain`; nothing runs yet.
    #[must_use]
    pub fn new(obtain: F, clock: Arc<dyn Clock>) -> Self {
        Self::bounded(obtain, clock, LONGEST_FETCH)
    }

    fn bounded(obtain: F, clock: Arc<dyn Clock>, longest_fetch: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                obtain,
                clock,
                longest_fetch,
                held: ArcSwapOption::empty(),
                flight: Mutex::default(),
                renewing: AtomicBool::new(false),
            }),
        }
    }

    /// Runs a fetch in a task of its own and waits for it.
    fn run(&self, why: Why) -> Fetch<'_> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            tokio::spawn(async move { inner.renew(why).await })
                .await
                .unwrap_or_else(|error| Err(fault(&format!("fetching the secret broke off: {error}"))))
        })
    }
}

impl<F: Obtain> SecretSource for Refreshing<F> {
    fn current(&self) -> Option<Arc<Secret>> {
        let held = self.inner.held.load();
        let held = held.as_ref()?;
        let now = self.inner.clock.monotonic();
        if held.is_over(now) {
            return None;
        }
        if held.is_due(now) {
            self.inner.renew_behind();
        }
        Some(Arc::clone(&held.secret))
    }

    fn fetch(&self) -> Fetch<'_> {
        match self.current() {
            Some(secret) => Box::pin(async move { Ok(secret) }),
            None => self.run(Why::Missing),
        }
    }

    fn refresh(&self, rejected: &Arc<Secret>) -> Fetch<'_> {
        self.run(Why::Refused(Arc::clone(rejected)))
    }
}

impl<F: Obtain> Inner<F> {
    /// Renews in the background, unless that is under way. Outside of a runtime the next fetch does it.
    fn renew_behind(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        runtime.spawn(async move {
            if let Err(error) = inner.renew(Why::Due).await {
                tracing::warn!(source = inner.obtain.name(), %error, "the secret could not be renewed");
            }
            inner.renewing.store(false, Ordering::Release);
        });
    }

    async fn renew(&self, why: Why) -> Result<Arc<Secret>, Fault> {
        let mut failures = self.flight.lock().await;
        let now = self.clock.monotonic();
        let held = self.held.load_full();
        if let Some(held) = held.as_ref().filter(|held| !held.is_over(now)) {
            // Somebody fetched it while this one waited.
            let settled = match &why {
                Why::Missing => true,
                Why::Due => !held.is_due(now),
                Why::Refused(rejected) => !Arc::ptr_eq(&held.secret, rejected),
            };
            if settled {
                return Ok(Arc::clone(&held.secret));
            }
            if matches!(why, Why::Refused(_)) && now.saturating_sub(held.since) < REFUSED_GAP {
                return Err(fault("the upstream refused a secret that was fetched a moment ago"));
            }
        }
        if let Some(last) = failures.last.as_ref().filter(|_| now < failures.not_before) {
            return Err(last.clone());
        }
        let refused = matches!(why, Why::Refused(_));
        let fetched = timeout(self.longest_fetch, self.obtain.obtain(refused))
            .await
            .unwrap_or_else(|_| Err(fault("the source of the secret did not answer in time")))
            .and_then(|obtained| self.hold(obtained, &why));
        match fetched {
            Ok(secret) => {
                *failures = Failures::default();
                Ok(secret)
            }
            Err(error) => {
                let doubled = Duration::from_secs(1).saturating_mul(1 << failures.count.min(6));
                failures.count = failures.count.saturating_add(1);
                failures.not_before = self.clock.monotonic() + doubled.min(LONGEST_WAIT);
                failures.last = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Puts a fetched secret in the place of the old one.
    fn hold(&self, obtained: Obtained, why: &Why) -> Result<Arc<Secret>, Fault> {
        let Obtained { secret, look_again, keep_for } = obtained;
        if let Why::Refused(rejected) = why
            && same(rejected, &secret)
        {
            return Err(fault("the upstream refused the secret, and its source gives no other"));
        }
        let now = self.clock.monotonic();
        let life = secret
            .expires_at()
            .map(|end| Duration::try_from(end.duration_since(self.clock.now())).unwrap_or(Duration::ZERO));
        if life == Some(Duration::ZERO) {
            return Err(fault("the source of the secret gave one that has ended; is the clock right?"));
        }
        let due = life.map(|life| life * RENEW_AT_PERCENT / 100);
        let renew_in = match (due, look_again) {
            (Some(due), Some(look)) => Some(due.min(look)),
            (due, look) => due.or(look),
        };
        let secret = match self.held.load().as_ref() {
            // The same once more: who compares pointers sees no change.
            Some(held) if same(&held.secret, &secret) => Arc::clone(&held.secret),
            _ => Arc::new(secret),
        };
        self.held.store(Some(Arc::new(Held {
            secret: Arc::clone(&secret),
            since: now,
            renew_at: renew_in.map(|wait| now + wait),
            ends_at: life.or(keep_for).map(|life| now + life),
        })));
        Ok(secret)
    }
}

/// Whether two secrets say the same. Both are ours, so time tells nobody anything.
fn same(one: &Secret, other: &Secret) -> bool {
    match (one, other) {
        (Secret::None, Secret::None) => true,
        (Secret::Token { value: one, .. }, Secret::Token { value: other, .. }) => one == other,
        (
            Secret::Aws { access_key_id: id, secret_access_key: key, session_token: token, .. },
            Secret::Aws { access_key_id, secret_access_key, session_token, .. },
        ) => id == access_key_id && key == secret_access_key && token == session_token,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
