//! A whole decision: standing and ranking together, for those who ask once (`explain`, replay, what-if).

use crate::{
    permission::DeploymentIndex,
    place::Placement,
    standing::{Live, Lookup, Outcome, Question, Ranked, Seat, Standing, rank},
};
use domain::DecisionId;

/// What a decision is made from.
#[derive(Clone, Copy)]
pub struct PlaceInput<'a> {
    /// Terms, fleet and windows.
    pub placement: &'a Placement,
    /// What is asked.
    pub question: Question<'a>,
    /// Where permissions come from.
    pub lookup: Lookup<'a>,
    /// How the deployments are.
    pub live: &'a dyn Fn(DeploymentIndex) -> Live,
}

/// A decision with its reasons.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What health does not change: permitted, refused, the id.
    pub standing: Standing,
    /// Permitted, able and up, best first.
    pub ranked: Vec<Ranked>,
    /// What comes of it.
    pub outcome: Outcome,
    /// Healthy deployments that the terms withhold: indices into [`Standing::refused`].
    pub withheld: Vec<usize>,
}

impl Decision {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> DecisionId {
        self.standing.decision
    }

    /// The seats to try, best first.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.ranked.iter().filter_map(|ranked| self.standing.permitted.get(usize::from(ranked.seat)))
    }
}

/// Makes a decision. Pure: the same input gives the same decision.
#[must_use]
pub fn place(input: &PlaceInput<'_>) -> Decision {
    let standing = input.placement.standing(&input.question, input.lookup);
    let mut ranked = Vec::new();
    let outcome = rank(&standing, input.live, usize::MAX, &mut ranked);
    let withheld = standing
        .refused
        .iter()
        .enumerate()
        .filter(|(_, seat)| seat.can.is_yes() && matches!((input.live)(seat.deployment), Live::Up { .. }))
        .map(|(index, _)| index)
        .collect();
    Decision { standing, ranked, outcome, withheld }
}
