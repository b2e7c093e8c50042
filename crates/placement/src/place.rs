//! Terms, fleet and time together: what a permission key means, and what the terms say of it.

use crate::{
    attribute::{Attribute, Value},
    facts::DeploymentFacts,
    fleet::Fleet,
    permission::{Action, Permission, PermissionKey, WindowIndex},
    terms::{
        Terms,
        evaluate::{Ask, policy_error},
        windows::Windows,
    },
};
use domain::SnapshotEpoch;
use jiff::Timestamp;
use std::sync::Arc;

/// Everything that permissions depend on, for one snapshot.
#[derive(Debug)]
pub struct Placement {
    epoch: SnapshotEpoch,
    terms: Arc<Terms>,
    fleet: Arc<Fleet>,
    windows: Windows,
}

impl Placement {
    /// Puts terms and fleet together. The fleet must have been made with these terms.
    #[must_use]
    pub fn new(epoch: SnapshotEpoch, terms: Arc<Terms>, fleet: Arc<Fleet>) -> Self {
        let facts = fleet.deployments().flat_map(|(_, facts)| facts.boundaries().collect::<Vec<_>>());
        let windows = Windows::new(terms.boundaries().iter().copied().chain(facts));
        Self { epoch, terms, fleet, windows }
    }

    /// The snapshot that keys of this placement belong to.
    #[must_use]
    pub const fn epoch(&self) -> SnapshotEpoch {
        self.epoch
    }

    /// The terms.
    #[must_use]
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// The fleet.
    #[must_use]
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Time, cut where a rule or a fact changes.
    #[must_use]
    pub const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The window in which `now` lies.
    #[must_use]
    pub fn window_at(&self, now: Timestamp) -> WindowIndex {
        self.windows.at(now)
    }

    /// The next instant after `now` at which a rule or a fact changes. Nothing memoised outlives it.
    #[must_use]
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.next(now)
    }

    /// What the terms say of a key. Slow: for a memo's miss. A key of another snapshot, or one whose indices
    /// are not in the tables, is refused.
    #[must_use]
    pub fn evaluate(&self, key: PermissionKey) -> Permission {
        match self.ask(key) {
            Ok(ask) => self.terms.evaluate(&ask),
            Err(why) => Permission { refused: [policy_error("key", why)].into(), ..Permission::default() },
        }
    }

    /// The question that a key stands for: every attribute, from the key and the tables alone.
    ///
    /// # Errors
    /// What of the key is not in the tables.
    pub fn ask(&self, key: PermissionKey) -> Result<Ask, &'static str> {
        // Every field by name: a field that is added must find its place here, or this does not compile.
        let PermissionKey { epoch, window, action, principal, deployment, call_class, data_classes, surface } =
            key;
        if epoch != self.epoch {
            return Err("the key belongs to another snapshot");
        }
        let now = self.windows.inside(window).ok_or("there is no such window")?;
        let facts = self.fleet.deployment(deployment).ok_or("there is no such deployment")?;
        let class = self.fleet.class_values(principal).ok_or("there is no such class of workloads")?;
        let mut ask = Ask::new(action, now);
        for attribute in Attribute::facts() {
            ask.set(attribute, facts.value(attribute, now));
        }
        for (attribute, value) in class {
            ask.set(*attribute, value.clone());
        }
        ask.raised = self.fleet.raised(principal).cloned().unwrap_or_default();
        ask.set(Attribute::Class, Value::word(call_class.name()));
        ask.set(Attribute::DataClasses, self.fleet.data_class_names(data_classes));
        ask.set(Attribute::Surface, Value::word(surface.name()));
        Ok(ask)
    }

    /// What the terms say of something that is no deployment of the fleet, for instance the host of a
    /// stateful runtime: the question of `key` with these facts instead of the deployment's.
    #[must_use]
    pub fn evaluate_elsewhere(
        &self,
        key: PermissionKey,
        action: Action,
        facts: &DeploymentFacts,
    ) -> Permission {
        let mut ask = match self.ask(PermissionKey { action, ..key }) {
            Ok(ask) => ask,
            Err(why) => {
                return Permission { refused: [policy_error("key", why)].into(), ..Permission::default() };
            }
        };
        for attribute in Attribute::facts() {
            ask.set(attribute, facts.value(attribute, ask.now));
        }
        self.terms.evaluate(&ask)
    }
}
