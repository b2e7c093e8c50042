//! What the terms have said before: permissions by their whole key, and standings by what they are made of.
//! Both bounded; both die with their snapshot. A standing never outlives its window, because the window is
//! part of its key.

use crate::{needs::Needs, snapshot::Snapshot};
use domain::ModelName;
use jiff::Timestamp;
use placement::{
    CallClass, Can, Candidate, DataClasses, DeploymentIndex, Permission, PermissionKey, PrincipalClass,
    Question, Standing, Surface, WindowIndex,
};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Permissions kept: 200 principal classes × 300 deployments, 100 bytes each.
const PERMISSIONS: usize = 65_536;
/// Standings kept; one of 64 candidates takes about 20 KB.
const STANDINGS: usize = 1_024;

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
    pub(crate) standings: Cache<StandingKey, Arc<Standing>>,
}

impl Default for Memo {
    fn default() -> Self {
        Self { permissions: Cache::new(PERMISSIONS), standings: Cache::new(STANDINGS) }
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

    /// Makes the standing of a key for an instant of its window. Slow: not for a data thread.
    pub(crate) fn make_standing(&self, key: &StandingKey, now: Timestamp) -> Standing {
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
