//! The simulator's only look at the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z. Zero should the machine's clock stand before that.
#[allow(clippy::disallowed_methods, reason = "a simulated cloud has its own clock, as the real ones do")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `ms` as RFC 3339 with whole seconds, such as `2026-11-21T10:00:00Z`.
pub(crate) fn rfc3339_seconds(ms: u64) -> String {
    timestamp(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `ms` as RFC 3339 with microseconds, as Google writes `createTime`.
pub(crate) fn rfc3339_micros(ms: u64) -> String {
    timestamp(ms).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn timestamp(ms: u64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}
