//! The part of a decision that health does not change, and the ranking that adds health to it.
//!
//! A [`Standing`] holds for one class of workloads, model, call class, data-class set and surface in one
//! window; a gateway keeps it and per call only runs [`rank`], which allocates nothing once its buffer has
//! grown.

use crate::{
    attribute::Attribute,
    classify::CallClass,
    facts::Availability,
    instant,
    permission::{
        Action, DataClasses, DeploymentIndex, Finding, Permission, PermissionKey, PrincipalClass, Surface,
        WindowIndex,
    },
    place::Placement,
};
use domain::{DecisionId, DeploymentId, ModelName};
use jiff::Timestamp;
use serde_json::json;
use std::{cmp::Reverse, sync::Arc};

/// Whether a deployment can carry the call, whatever its health. *May* is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Can {
    /// It can.
    Yes,
    /// The model lacks something that the call needs; what, in a few words.
    Lacks(Box<str>),
    /// The translation would lose something that the workload refuses to lose; what.
    Loses(Box<str>),
    /// It is not offered there at that time: since or until when.
    NotOffered {
        /// Retired, or not offered.
        availability: Availability,
        /// When that changes next, where it is known.
        changes: Option<Timestamp>,
    },
}

impl Can {
    /// True for [`Can::Yes`].
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Why not, in words; `None` where it can.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Yes => None,
            Self::Lacks(what) => Some(format!("the model lacks {what}")),
            Self::Loses(what) => Some(format!("the translation would lose {what}")),
            Self::NotOffered { availability: Availability::Retired, .. } => Some("retired there".to_owned()),
            Self::NotOffered { changes: Some(date), .. } => {
                Some(format!("not offered there before {}", instant::for_people(*date)))
            }
            Self::NotOffered { changes: None, .. } => Some("not offered there".to_owned()),
        }
    }
}

/// A deployment that serves the model, with what the engine knows about it and this call.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which.
    pub deployment: DeploymentIndex,
    /// Whether it can carry the call; that it is not offered there is added from the facts.
    pub can: Can,
    /// The operator's order: lower first.
    pub order: u32,
    /// Among equals of order: higher first.
    pub weight: u32,
    /// Price of a typical call in pico-dollars, for ranking only; `None` where unknown (ranked last).
    pub cost: Option<u64>,
}

/// What is asked: which of these deployments may serve such a call then?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// For whom.
    pub principal: PrincipalClass,
    /// The model as the catalog calls it.
    pub model: &'a ModelName,
    /// Who keeps state for the call.
    pub call_class: CallClass,
    /// Kinds of data in it.
    pub data_classes: DataClasses,
    /// The client API.
    pub surface: Surface,
    /// The deployments that serve the model.
    pub candidates: &'a [Candidate],
    /// The instant.
    pub now: Timestamp,
}

/// Looks a permission up: in a memo, else by [`Placement::evaluate`].
pub type Lookup<'a> = &'a dyn Fn(PermissionKey) -> Arc<Permission>;

/// A candidate with what was found about it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Which.
    pub deployment: DeploymentIndex,
    /// Its name.
    pub id: DeploymentId,
    /// May: what the terms say.
    pub permission: Arc<Permission>,
    /// Can: whether it can carry the call, whatever its health.
    pub can: Can,
    /// Whether it is offered there, and how.
    pub availability: Availability,
    /// The operator's order.
    pub order: u32,
    /// The operator's weight.
    pub weight: u32,
    /// Price for ranking.
    pub cost: Option<u64>,
    /// One line: why a call would run here, or why not.
    pub why: Arc<str>,
}

/// The part of a decision that health does not change.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Hash of the decision's body.
    pub decision: DecisionId,
    /// The decision as canonical JSON, for the journal.
    pub body: Arc<str>,
    /// The window in which it holds.
    pub window: WindowIndex,
    /// First instant at which it no longer holds; `None`: no boundary is known.
    pub expires: Option<Timestamp>,
    /// Permitted, by order, weight, cost, name; those that cannot carry the call among them.
    pub permitted: Box<[Seat]>,
    /// The permitted seats that can carry the call, in the same order: all that a ranking looks at.
    able: Box<[AbleSeat]>,
    /// Whether a permitted seat is offered, be it unable to carry the call.
    offered: bool,
    /// Whether a permitted seat is so by a waiver.
    waives: bool,
    /// Refused, by order and name.
    pub refused: Box<[Seat]>,
    /// Rules in `warn` that would have refused a permitted seat: `id, id`; empty where there are none.
    pub warning: Arc<str>,
    /// One line for refusals: which rules refuse which deployments.
    pub refusal: Arc<str>,
}

/// A permitted seat that can carry the call, as small as it can be: a ranking passes over all of them.
#[derive(Clone, Copy, Debug)]
struct AbleSeat {
    /// Index into [`Standing::permitted`].
    seat: u16,
    /// How many different fixed ranks stand before it.
    rank: u16,
    deployment: DeploymentIndex,
}

impl AbleSeat {
    /// Fixed rank, latency and seat in one number: lower is better. Seats stand in their fixed order, so equals
    /// are neighbours and only latencies among them decide; ties end at the name.
    fn key(self, latency_us: u32) -> u64 {
        u64::from(self.rank) << 48 | u64::from(latency_us) << 16 | u64::from(self.seat)
    }
}

/// How a deployment is just now, for this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// It takes calls.
    Up {
        /// Latency to rank by, in microseconds; 0 where unknown.
        latency_us: u32,
    },
    /// Its breaker is open, or it is assumed to be down.
    Down,
    /// At its limit.
    Saturated,
    /// It cannot carry this very call (a capability that this call needs, a loss that it refuses).
    Unable,
}

/// A place in the ranking: index into [`Standing::permitted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Index into [`Standing::permitted`].
    pub seat: u16,
    /// The latency that it was ranked by.
    pub latency_us: u32,
    /// Fixed rank, latency and seat in one number.
    key: u64,
}

impl Ranked {
    /// From an [`AbleSeat::key`].
    #[expect(clippy::cast_possible_truncation, reason = "parts of the number")]
    const fn of_key(key: u64) -> Self {
        Self { seat: key as u16, latency_us: (key >> 16) as u32, key }
    }
}

/// What comes of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is at least one deployment to try.
    Placed,
    /// 403: the terms permit none.
    Refused,
    /// 503: permitted, but down or saturated.
    PermittedUnavailable,
    /// 404: permitted, but not offered there (then).
    NotAvailableThere,
    /// 400: permitted and offered, but none can carry this call.
    Unable,
}

impl Standing {
    /// Whether a waiver permits a deployment here that a rule would have refused.
    #[must_use]
    pub const fn waives(&self) -> bool {
        self.waives
    }
}

impl Placement {
    /// The permission of a deployment for a call of this kind. A call for which a provider keeps state is two
    /// things at once, hosting the state and inferring, and each inner call by itself is a stateless one: it
    /// is permitted only where all of these are.
    pub fn permission(
        &self,
        question: &Question<'_>,
        deployment: DeploymentIndex,
        lookup: Lookup<'_>,
    ) -> Arc<Permission> {
        let key = self.key(question, Action::Infer, deployment);
        let inference = lookup(key);
        if question.call_class == CallClass::Stateless {
            return inference;
        }
        let hosting = lookup(PermissionKey { action: Action::HostState, ..key });
        let inner = lookup(PermissionKey { call_class: CallClass::Stateless, ..key });
        Arc::new(inference.and(&hosting).and(&inner))
    }

    /// The key of a question about one deployment.
    #[must_use]
    pub fn key(&self, question: &Question<'_>, action: Action, deployment: DeploymentIndex) -> PermissionKey {
        PermissionKey {
            epoch: self.epoch(),
            window: self.window_at(question.now),
            action,
            principal: question.principal,
            deployment,
            call_class: question.call_class,
            data_classes: question.data_classes,
            surface: question.surface,
        }
    }

    /// Everything about a question that health does not change.
    pub fn standing(&self, question: &Question<'_>, lookup: Lookup<'_>) -> Standing {
        let window = self.window_at(question.now);
        let (mut permitted, mut refused) = (Vec::new(), Vec::new());
        for candidate in question.candidates {
            let Some(facts) = self.fleet().deployment(candidate.deployment) else { continue };
            let permission = self.permission(question, candidate.deployment, lookup);
            let availability = facts.availability(question.now);
            let can = if availability.offered() {
                candidate.can.clone()
            } else {
                let changes = facts.next_change(Attribute::Availability, question.now);
                Can::NotOffered { availability, changes }
            };
            let why = why(facts.id.as_str(), &permission, &can, availability).into();
            let seat = Seat {
                deployment: candidate.deployment,
                id: facts.id.clone(),
                can,
                availability,
                order: candidate.order,
                weight: candidate.weight,
                cost: candidate.cost,
                why,
                permission,
            };
            if seat.permission.permits() { permitted.push(seat) } else { refused.push(seat) }
        }
        permitted.sort_by(|a, b| fixed_rank(a).cmp(&fixed_rank(b)).then_with(|| a.id.cmp(&b.id)));
        refused.sort_by(|a, b| a.order.cmp(&b.order).then_with(|| a.id.cmp(&b.id)));
        let body = self.body(question, window, &permitted, &refused);
        let decision = decision_id(&body);
        Standing {
            decision,
            body: body.into(),
            window,
            expires: self.windows().end(window),
            warning: warning(&permitted).into(),
            refusal: refusal(&refused).into(),
            able: able(&permitted),
            waives: permitted.iter().any(|seat| !seat.permission.waived.is_empty()),
            offered: permitted.iter().any(|seat| !matches!(seat.can, Can::NotOffered { .. })),
            permitted: permitted.into(),
            refused: refused.into(),
        }
    }

    /// The decision as canonical JSON: keys sorted, no white space.
    fn body(
        &self,
        question: &Question<'_>,
        window: WindowIndex,
        permitted: &[Seat],
        refused: &[Seat],
    ) -> String {
        let ids = |findings: &[Finding]| findings.iter().map(|f| f.rule.id.to_string()).collect::<Vec<_>>();
        let seat = |seat: &Seat| {
            let mut row = json!({
                "deployment": seat.id.as_str(),
                "availability": seat.availability.name(),
            });
            if let Some(row) = row.as_object_mut() {
                for (name, findings) in [
                    ("rules", &seat.permission.refused),
                    ("warned", &seat.permission.warnings),
                    ("observed", &seat.permission.observed),
                    ("waived", &seat.permission.waived),
                ] {
                    if !findings.is_empty() {
                        row.insert(name.to_owned(), json!(ids(findings)));
                    }
                }
                if let Some(why) = seat.can.why_not() {
                    row.insert("cannot".to_owned(), json!(why));
                }
            }
            row
        };
        // What no rule reads is alike for all and tells nothing.
        let mut workload: serde_json::Map<String, serde_json::Value> = self
            .fleet()
            .class_values(question.principal)
            .unwrap_or_default()
            .iter()
            .filter(|(attribute, value)| {
                self.terms().reads(*attribute) || *attribute == Attribute::Workload && !value.has("any")
            })
            .map(|(attribute, value)| (attribute.name().to_owned(), json!(value)))
            .collect();
        if let Some(raised) = self.fleet().raised(question.principal).filter(|raised| !raised.is_empty()) {
            let modes = raised.iter().map(|(pack, mode)| (pack.to_string(), json!(mode.name())));
            workload.insert("raised".to_owned(), serde_json::Value::Object(modes.collect()));
        }
        json!({
            "terms": self.terms().hash(),
            "facts": self.fleet().hash(),
            "from": self.windows().start(window).map(instant::format),
            "until": self.windows().end(window).map(instant::format),
            "workload": workload,
            "model": question.model.as_str(),
            "class": question.call_class.name(),
            "data_classes": self.fleet().data_class_names(question.data_classes),
            "surface": question.surface.name(),
            "permitted": permitted.iter().map(seat).collect::<Vec<_>>(),
            "refused": refused.iter().map(seat).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

/// First 64 bits of the hash of the decision's body.
#[must_use]
pub fn decision_id(body: &str) -> DecisionId {
    let hash = blake3::hash(body.as_bytes());
    let first = hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    DecisionId(u64::from_be_bytes(first))
}

/// What ranks a seat before its health is known: order, weight (higher first), price (unknown last).
fn fixed_rank(seat: &Seat) -> (u32, Reverse<u32>, u64) {
    (seat.order, Reverse(seat.weight), seat.cost.unwrap_or(u64::MAX))
}

/// Filters the permitted by what they can and by health, ranks them, and says what comes of it. `out` is
/// cleared first; it then holds the best `most` places, best first. Ties end at the name.
pub fn rank(
    standing: &Standing,
    live: impl Fn(DeploymentIndex) -> Live,
    most: usize,
    out: &mut Vec<Ranked>,
) -> Outcome {
    out.clear();
    let mut able = false;
    for seat in &standing.able {
        match live(seat.deployment) {
            Live::Up { latency_us } => out.push(Ranked::of_key(seat.key(latency_us))),
            Live::Down | Live::Saturated => able = true,
            Live::Unable => {}
        }
    }
    let up = !out.is_empty();
    out.sort_unstable_by_key(|place| place.key);
    out.truncate(most);
    if up {
        Outcome::Placed
    } else if standing.permitted.is_empty() {
        if standing.refused.is_empty() { Outcome::NotAvailableThere } else { Outcome::Refused }
    } else if able {
        Outcome::PermittedUnavailable
    } else if standing.offered {
        Outcome::Unable
    } else {
        Outcome::NotAvailableThere
    }
}

/// What [`rank`] says of the best `MOST`, where latencies are at hand without asking how a deployment is: only those
/// that would be placed are asked, and all of them only where one of those is not up. `latency_us` says what `live`
/// would. This runs for every call and every candidate.
pub fn rank_by_latency<const MOST: usize>(
    standing: &Standing,
    latency_us: impl Fn(DeploymentIndex) -> u32,
    live: impl Fn(DeploymentIndex) -> Live,
    out: &mut Vec<Ranked>,
) -> Outcome {
    // The lowest keys so far, in order; places that are free hold the highest number there is.
    let mut kept = [u64::MAX; MOST];
    for seat in &standing.able {
        let worst = kept.last().copied().unwrap_or_default();
        // Seats behind one that the lowest latency does not bring among them are no better.
        if seat.key(0) > worst {
            break;
        }
        let mut key = seat.key(latency_us(seat.deployment));
        if key < worst {
            for place in &mut kept {
                (*place, key) = ((*place).min(key), (*place).max(key));
            }
        }
    }
    out.clear();
    out.extend(kept.into_iter().filter(|key| *key != u64::MAX).map(Ranked::of_key));
    let is_up = |place: &Ranked| {
        let seat = standing.permitted.get(usize::from(place.seat));
        seat.is_some_and(|seat| matches!(live(seat.deployment), Live::Up { .. }))
    };
    if !out.is_empty() && out.iter().all(is_up) { Outcome::Placed } else { rank(standing, live, MOST, out) }
}

/// The seats that can carry the call. Seats of equal order, weight and price share a rank.
fn able(permitted: &[Seat]) -> Box<[AbleSeat]> {
    let mut rank = 0_u16;
    let mut before = None;
    let able = (0_u16..).zip(permitted).filter_map(|(index, seat)| {
        let fixed = fixed_rank(seat);
        if before.replace(fixed).is_some_and(|before| before != fixed) {
            rank = rank.saturating_add(1);
        }
        seat.can.is_yes().then_some(AbleSeat { seat: index, rank, deployment: seat.deployment })
    });
    able.collect()
}

impl Standing {
    /// The healthy deployments that are offered and could carry the call, but are withheld by the terms, each
    /// with the rules that withhold it: what a 503 names.
    pub fn withheld<'s>(
        &'s self,
        live: &'s dyn Fn(DeploymentIndex) -> Live,
    ) -> impl Iterator<Item = &'s Seat> {
        self.refused
            .iter()
            .filter(|seat| seat.can.is_yes() && matches!(live(seat.deployment), Live::Up { .. }))
    }
}

fn why(id: &str, permission: &Permission, can: &Can, availability: Availability) -> String {
    if let Some(first) = permission.refused.first() {
        let more = permission.refused.len() - 1;
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        return format!("{id}: refused by {}{others}", first.rule.id);
    }
    let mut line = format!("{id}: permitted");
    if let Some(why) = can.why_not() {
        line.push_str(", but ");
        line.push_str(&why);
    } else {
        line.push_str(", ");
        line.push_str(match availability {
            Availability::Ga => "offered",
            Availability::Preview => "offered in preview",
            Availability::GatedPreview => "offered in a gated preview",
            _ => "offered as far as is known",
        });
    }
    for finding in &permission.waived {
        line.push_str("; waived: ");
        line.push_str(&finding.rule.id);
    }
    if let Some(first) = permission.observed.first() {
        line.push_str("; would be refused by ");
        line.push_str(&first.rule.id);
        line.push_str(" (observed)");
    }
    line
}

fn warning(permitted: &[Seat]) -> String {
    let mut ids: Vec<&str> = permitted
        .iter()
        .flat_map(|seat| &seat.permission.warnings)
        .map(|finding| &*finding.rule.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.join(", ")
}

fn refusal(refused: &[Seat]) -> String {
    let parts: Vec<String> = refused
        .iter()
        .map(|seat| {
            format!("{} by {}", seat.id, seat.permission.refusing_ids().collect::<Vec<_>>().join(" and "))
        })
        .collect();
    parts.join("; ")
}
