//! Connections kept for the next call, one pool per identity, and the bound on calls under way.

use super::{
    connect::{self, ConnectSettings},
    driver::Driver,
    exchange::Answer,
    pieces::Pieces,
};
use domain::{Code, Fault, RetryClass};
use hyper::client::conn::http1::SendRequest;
use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What connections may be shared by: origin, TLS identity and proxy. Never across any of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    host: Arc<str>,
    port: u16,
    tls: Option<[u8; 16]>,
    proxy: Option<super::ProxyRule>,
}

impl PoolKey {
    /// The key of these settings.
    #[must_use]
    pub fn of(settings: &ConnectSettings) -> Self {
        Self {
            host: Arc::clone(&settings.host),
            port: settings.port,
            tls: settings.tls.as_ref().map(|identity| identity.fingerprint),
            proxy: settings.proxy.clone(),
        }
    }
}

/// Bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// At most this many unused connections are kept.
    pub idle_max: usize,
    /// An unused connection is closed after this time.
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    /// 1,024 unused connections for at most 50 s: below the 60 s after which common front ends close them.
    fn default() -> Self {
        Self { idle_max: 1_024, idle_timeout: Duration::from_secs(50) }
    }
}

/// A connection that nobody uses.
struct Idle {
    sender: SendRequest<Pieces>,
    driver: Driver,
    since: Duration,
}

/// Connections to one upstream identity.
pub struct Pool {
    settings: ConnectSettings,
    limits: PoolLimits,
    idle: Mutex<Vec<Idle>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(settings: ConnectSettings, limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self { settings, limits, idle: Mutex::new(Vec::new()) })
    }

    /// Sends `request` and waits for the answer's head. `now` is monotonic time.
    ///
    /// # Errors
    /// A fault of the upstream. [`RetryClass::SameAgain`] where a kept connection turned out to be closed
    /// before any byte of an answer came: the same deployment may be tried once more.
    pub async fn send(
        self: &Arc<Self>,
        request: http::Request<Pieces>,
        now: Duration,
    ) -> Result<Answer, Fault> {
        let (mut sender, mut driver, reused) = match self.take(now) {
            Some(idle) => (idle.sender, idle.driver, true),
            None => {
                // Boxed: resolving and handshakes hold much, and most calls need none of it.
                let (sender, driver) = Box::pin(connect::connect(&self.settings)).await?;
                (sender, driver, false)
            }
        };
        let mut head = std::pin::pin!(sender.send_request(request));
        let result = poll_fn(|cx| driver.poll_with(cx, |cx| head.as_mut().poll(cx))).await;
        match result {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Ok(Answer::new(parts, body, sender, driver, Arc::clone(self)))
            }
            Err(error) => Err(send_fault(&error, reused)),
        }
    }

    /// The youngest kept connection that is still open.
    fn take(&self, now: Duration) -> Option<Idle> {
        loop {
            let mut idle = self.lock().pop()?;
            if now.saturating_sub(idle.since) > self.limits.idle_timeout {
                continue;
            }
            // This tells whether the upstream has closed it meanwhile.
            if idle.driver.settle() && idle.sender.is_ready() {
                return Some(idle);
            }
        }
    }

    /// Keeps a connection whose answer was read to the end, where it can take another request.
    pub(super) fn give_back(&self, sender: SendRequest<Pieces>, mut driver: Driver, now: Duration) {
        if !driver.settle() || !sender.is_ready() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() < self.limits.idle_max {
            idle.push(Idle { sender, driver, since: now });
        }
    }

    /// Closes connections that nobody used for the idle timeout.
    pub fn sweep(&self, now: Duration) {
        let timeout = self.limits.idle_timeout;
        let stale: Vec<Idle> = {
            let mut idle = self.lock();
            let (stale, kept) = idle.drain(..).partition(|entry| now.saturating_sub(entry.since) > timeout);
            *idle = kept;
            stale
        };
        drop(stale);
    }

    /// How many unused connections are kept.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send_fault(error: &hyper::Error, reused: bool) -> Fault {
    let closed = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
    let reset = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| {
            matches!(cause.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe)
        });
    let code = if error.is_parse() { Code::UpstreamBadResponse } else { Code::UpstreamUnreachable };
    let mut fault = Fault::upstream(code, "the connection to the provider broke before an answer came")
        .because(&error.to_string());
    if reused && (closed || reset) {
        fault.retry = RetryClass::SameAgain;
        fault.counts_against_health = false;
    }
    fault
}

/// All pools, by key: deployments of old and new snapshots share connections where they may.
#[derive(Debug, Default)]
pub struct PoolRegistry {
    pools: Mutex<HashMap<PoolKey, Arc<Pool>>>,
}

impl PoolRegistry {
    /// The pool for these settings, made where there is none.
    pub fn pool(&self, settings: &ConnectSettings, limits: PoolLimits) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pools.entry(PoolKey::of(settings)).or_insert_with(|| Pool::new(settings.clone(), limits)))
    }

    /// Closes old unused connections and forgets pools that no snapshot uses any more.
    pub fn sweep(&self, now: Duration) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| {
            pool.sweep(now);
            Arc::strong_count(pool) > 1
        });
    }
}
