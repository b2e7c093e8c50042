//! What the terms have said before: permissions by their whole key, and standings by what they are made of.
//! Both bounded; both die with their snapshot. A standing never outlives its window, because the window is
//! part of its key.

use crate::{needs::Needs, snapshot::Snapshot};
use domain::{DeploymentId, ModelName};
use jiff::Timestamp;
use placement::{
    CallClass, Can, Candidate, DataClasses, DeploymentIndex, Permission, PermissionKey, PrincipalClass,
    Question, Standing, Surface, WindowIndex,
};
use quick_cache::sync::Cache;
use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// Permissions kept: 200 principal classes × 300 deployments, 100 bytes each.
const PERMISSIONS: usize = 65_536;
/// Standings kept; one of 64 candidates takes about 20 KB.
const STANDINGS: usize = 1_024;
/// At most this many standings of a window, those that were asked for last, are hot: made ahead of a boundary and
/// of a swap. Half of those that are kept, so that two windows find room.
pub(crate) const HOT: usize = STANDINGS / 2;
/// Judgements of places outside of the fleet kept: 100 workloads × 5 stores × 2 actions.
const ELSEWHERE: usize = 1_024;

/// Everything that a standing is made of, beside the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StandingKey {
    pub(crate) window: WindowIndex,
    pub(crate) principal: PrincipalClass,
    pub(crate) data_classes: DataClasses,
    pub(crate) model: ModelName,
    pub(crate) pin: Option<DeploymentIndex>,
    pub(crate) class: CallClass,
    pub(crate) surface: Surface,
    pub(crate) needs: Needs,
}

/// What the terms have said before.
pub(crate) struct Memo {
    permissions: Cache<PermissionKey, Arc<Permission>>,
    pub(crate) standings: Cache<StandingKey, Arc<Kept>>,
    /// Of places outside of the fleet, by the question and the place's name.
    pub(crate) elsewhere: Cache<(PermissionKey, DeploymentId), Arc<Permission>>,
    /// Counts looks at the clock; what was used at which look tells the hot standings.
    look: AtomicU32,
    /// Calls that found no standing and waited for one.
    awaited: AtomicU64,
}

/// A standing, and when it was asked for last.
#[derive(Debug)]
pub(crate) struct Kept {
    standing: Arc<Standing>,
    used: AtomicU32,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            permissions: Cache::new(PERMISSIONS),
            standings: Cache::new(STANDINGS),
            elsewhere: Cache::new(ELSEWHERE),
            look: AtomicU32::new(0),
            awaited: AtomicU64::new(0),
        }
    }
}

impl Memo {
    /// A standing that is known. Wait-free but for the cache's own short lock.
    pub(crate) fn known(&self, key: &StandingKey) -> Option<Arc<Standing>> {
        let kept = self.standings.get(key)?;
        let look = self.look.load(Relaxed);
        // Written once per look, not per call: calls on all threads share this line.
        if kept.used.load(Relaxed) != look {
            kept.used.store(look, Relaxed);
        }
        Some(Arc::clone(&kept.standing))
    }

    /// A standing as it is kept.
    pub(crate) fn kept(&self, standing: Arc<Standing>) -> Arc<Kept> {
        Arc::new(Kept { standing, used: AtomicU32::new(self.look.load(Relaxed)) })
    }

    /// Time has passed: what is asked for from now on is hotter than what was asked for before.
    pub(crate) fn look_again(&self) {
        self.look.fetch_add(1, Relaxed);
    }

    /// One more call that has to wait for its standing.
    pub(crate) fn has_to_wait(&self) {
        self.awaited.fetch_add(1, Relaxed);
    }

    /// The questions of a window that were asked last, the last one first, at most [`HOT`].
    pub(crate) fn hot(&self, window: WindowIndex) -> Vec<StandingKey> {
        let mut asked: Vec<(u32, StandingKey)> = self
            .standings
            .iter()
            .filter(|(key, _)| key.window == window)
            .map(|(key, kept)| (kept.used.load(Relaxed), key))
            .collect();
        asked.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        asked.truncate(HOT);
        asked.into_iter().map(|(_, key)| key).collect()
    }
}

impl Kept {
    /// The standing.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }
}

impl Snapshot {
    /// A permission, from the memo or by asking Cedar. Slow on a miss: not for a data thread.
    pub(crate) fn permission(&self, key: PermissionKey) -> Arc<Permission> {
        if let Some(known) = self.memo.permissions.get(&key) {
            return known;
        }
        let permission = Arc::new(self.placement.evaluate(key));
        self.memo.permissions.insert(key, Arc::clone(&permission));
        permission
    }

    /// How many calls of this snapshot found no standing in the memo and had to wait until it was made.
    #[must_use]
    pub fn awaited(&self) -> u64 {
        self.memo.awaited.load(Relaxed)
    }

    /// Makes the standing of a key for an instant of its window. Slow: not for a data thread.
    pub(crate) fn make_standing(&self, key: &StandingKey, now: Timestamp) -> Standing {
        // The key was made when the call was admitted. Should the window have ended since, its own answer is
        // made all the same: one of the next window must not be kept under this one's key.
        let windows = self.placement.windows();
        let now = if windows.at(now) == key.window { now } else { windows.inside(key.window).unwrap_or(now) };
        let candidates = self.candidates(key, now);
        let question = Question {
            principal: key.principal,
            model: &key.model,
            call_class: key.class,
            data_classes: key.data_classes,
            surface: key.surface,
            candidates: &candidates,
            now,
        };
        self.placement.standing(&question, &|key| self.permission(key))
    }

    /// The deployments that serve the model, each with whether it can carry such a call.
    pub(crate) fn candidates(&self, key: &StandingKey, now: Timestamp) -> Vec<Candidate> {
        let Some(model) = self.models.get(&key.model) else { return Vec::new() };
        let chosen = model.deployments.iter().filter(|index| key.pin.is_none_or(|pin| pin == **index));
        chosen
            .filter_map(|index| {
                let deployment = self.deployment(*index)?;
                let missing = key.needs.missing(deployment.offers);
                let can = if missing.is_empty() {
                    Can::Yes
                } else {
                    Can::Lacks(missing.names().collect::<Vec<_>>().join(", ").into())
                };
                Some(Candidate {
                    deployment: *index,
                    can,
                    order: deployment.order.into(),
                    weight: 0,
                    cost: deployment.typical_cost(now),
                })
            })
            .collect()
    }
}
