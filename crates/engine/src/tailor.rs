//! A place as the stateful side sees it, what it may change of a call for it, and where its state may lie.

use crate::{caller::Caller, deployment::Deployment, engine::Engine};
use domain::{Call, DeploymentId, Dialect, Fault, Losses, RetryClass, Source};
use placement::{Action, CallClass, DeploymentFacts, DeploymentIndex, Permission, PermissionKey, Surface};
use std::{fmt, sync::Arc};

/// A deployment, as far as it decides what of a conversation it can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The operator's name for it.
    pub deployment: DeploymentId,
    /// The dialect that it speaks.
    pub dialect: Dialect,
    /// Where its opaque blobs (signatures, encrypted thoughts, file ids) are valid: its host, with the port where
    /// that is not the scheme's own. Two deployments of one realm take each other's.
    pub realm: Box<str>,
    /// The model as its host knows it.
    pub model: Box<str>,
}

impl Deployment {
    /// As the stateful side sees it.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            deployment: self.id.clone(),
            dialect: self.endpoint.dialect(),
            realm: self.endpoint.origin().authority().into(),
            model: self.endpoint.wire_model().into(),
        }
    }
}

/// Fits a call to each place that is tried: what is valid at one is not at the other.
pub trait Tailor: Send + Sync + fmt::Debug {
    /// The call for a place with what it lost; `None` where it is as it should be.
    fn fit(&self, call: &Call, place: &Place) -> Option<(Call, Losses)>;
}

impl Engine {
    /// What the terms say of a place outside of the fleet (a state store) for a caller. Asks Cedar where the
    /// memo does not know, on a thread for such things.
    ///
    /// # Errors
    /// `internal_error` where the question could not be put.
    pub async fn judge_elsewhere(
        &self,
        caller: &Caller,
        action: Action,
        facts: &Arc<DeploymentFacts>,
    ) -> Result<Arc<Permission>, Fault> {
        let snapshot = &caller.snapshot;
        let key = PermissionKey {
            epoch: snapshot.epoch,
            window: snapshot.placement.window_at(self.shared.clock.now()),
            action,
            principal: caller.workload.principal,
            // Its facts are replaced; the key only has to name some deployment.
            deployment: DeploymentIndex(0),
            call_class: CallClass::Stateful,
            data_classes: caller.workload.data_classes,
            surface: Surface::OpenAiResponses,
        };
        let named = (key, facts.id.clone());
        if let Some(known) = snapshot.memo.elsewhere.get(&named) {
            return Ok(known);
        }
        let (placement, facts) = (Arc::clone(&snapshot.placement), Arc::clone(facts));
        let asked = tokio::task::spawn_blocking(move || placement.evaluate_elsewhere(key, action, &facts));
        let permission = asked.await.map(Arc::new).map_err(|_| {
            let message = "the placement of the state failed; this is a bug";
            Fault::new(Source::Gateway, RetryClass::Stop, domain::Code::Internal, message)
        })?;
        snapshot.memo.elsewhere.insert(named, Arc::clone(&permission));
        Ok(permission)
    }
}
