//! Standings that are made before they are asked for, so that no call waits for Cedar: at a boundary of terms or
//! facts those of the next window, at a swap those of the new snapshot. What is hot is what was asked for last.
//!
//! Nothing is ever answered by what held before: the window and the snapshot are part of what a standing is found
//! by, so one that was not made ahead is made when it is asked for.

use crate::{
    engine::Engine,
    memo::{HOT, StandingKey},
    snapshot::Snapshot,
};
use jiff::{SignedDuration, Timestamp};
use placement::{DataClasses, PrincipalClass, WindowIndex};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// Windows that begin within this time are made ahead.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// Of the windows that begin within that time, at most this many.
const WINDOWS_AHEAD: usize = 4;
/// A new snapshot waits at most this long for its hot standings; the rest is made when it is asked for. In the
/// meantime the old snapshot serves, as it does while a new configuration is read.
const REBUILD_MAX: Duration = Duration::from_secs(30);

impl Engine {
    /// Makes the hot standings of each window that begins within a minute, so that no call waits at the boundary.
    /// To be called every few seconds, not on a data thread. Does nothing else where no boundary is near.
    pub fn prepare_next_window(&self) {
        let Some(snapshot) = self.snapshot() else { return };
        snapshot.memo.look_again();
        let now = self.shared.clock.now();
        let coming = snapshot.coming(now);
        if coming.is_empty() {
            return;
        }
        let hot = snapshot.memo.hot(snapshot.placement.window_at(now));
        for instant in coming {
            let window = snapshot.placement.window_at(instant);
            for key in &hot {
                self.make_ahead(&snapshot, StandingKey { window, ..key.clone() }, instant);
            }
        }
    }

    /// Makes in a snapshot that is not in force yet what is hot in the one that is.
    pub(crate) fn rebuild_hot(&self, next: &Snapshot) {
        let Some(old) = self.snapshot() else { return };
        let (started, now) = (self.shared.clock.monotonic(), self.shared.clock.now());
        let late = || self.shared.clock.monotonic().saturating_sub(started) > REBUILD_MAX;
        let hot = carried(&old, next, old.memo.hot(old.placement.window_at(now)));
        for instant in std::iter::once(now).chain(next.coming(now)) {
            let window = next.placement.window_at(instant);
            for key in &hot {
                if late() {
                    tracing::warn!(
                        "the hot decisions of the new configuration took longer than {} s; the others are made when they are asked for",
                        REBUILD_MAX.as_secs()
                    );
                    return;
                }
                self.make_ahead(next, StandingKey { window, ..key.clone() }, instant);
            }
        }
    }

    /// Makes a standing that is not there yet. What the journal does not take is not kept: a call that asks for
    /// it makes it again, from permissions that are known by then.
    fn make_ahead(&self, snapshot: &Snapshot, key: StandingKey, instant: Timestamp) {
        if snapshot.memo.standings.contains_key(&key) {
            return;
        }
        let standing = Arc::new(snapshot.make_standing(&key, instant));
        if self.journal_decision(&standing).is_ok() {
            snapshot.memo.standings.insert(key, snapshot.memo.kept(standing));
        }
    }
}

impl Snapshot {
    /// The boundaries within the next minute, the nearest first.
    fn coming(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut last = now;
        std::iter::from_fn(|| {
            last = self.placement.next_boundary(last)?;
            Some(last)
        })
        .take_while(|boundary| boundary.duration_since(now) <= AHEAD)
        .take(WINDOWS_AHEAD)
        .collect()
    }
}

/// The same questions in the words of another snapshot, whose tables number workloads, deployments and data
/// classes anew. Workloads that could not be told apart may be told apart now, so one question may become
/// several; at most [`HOT`] come back, those of the hottest first. Their window is still to be set.
fn carried(old: &Snapshot, next: &Snapshot, hot: Vec<StandingKey>) -> Vec<StandingKey> {
    let mut became: HashMap<(PrincipalClass, DataClasses), HashSet<(PrincipalClass, DataClasses)>> =
        HashMap::new();
    for (id, before) in &old.workloads {
        if let Some(after) = next.workloads.get(id) {
            let after = (after.principal, after.data_classes);
            became.entry((before.principal, before.data_classes)).or_default().insert(after);
        }
    }
    let mut keys = Vec::with_capacity(hot.len());
    for key in hot {
        let pin = match key.pin {
            None => None,
            Some(index) => {
                let Some(there) = old.deployment(index).and_then(|old| next.index_of(old.id.as_str())) else {
                    continue;
                };
                Some(there)
            }
        };
        if !next.models.contains_key(&key.model) {
            continue;
        }
        let now = became.get(&(key.principal, key.data_classes)).into_iter().flatten();
        for (principal, data_classes) in now.take(HOT.saturating_sub(keys.len())) {
            keys.push(StandingKey {
                window: WindowIndex(0),
                principal: *principal,
                data_classes: *data_classes,
                pin,
                ..key.clone()
            });
        }
    }
    keys
}

#[cfg(test)]
mod tests;
