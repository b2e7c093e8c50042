//! Standing and ranking: outcomes, order, and decision ids.

use crate::support::{Memo, World, at, compile, spec};
use domain::{ModelName, SnapshotEpoch, WorkloadId};
use placement::{
    Availability,
    CallClass::Stateless,
    Can, Candidate, DeploymentIndex, FactBook, Fleet, Live, Outcome, Placement, Question, Standing, Surface,
    WorkloadProfile,
    decision::{PlaceInput, place},
    rank, rank_by_latency,
    standing::Seat,
};
use proptest::prelude::*;
use std::{
    cmp::Reverse,
    sync::{Arc, LazyLock},
};

#[test]
fn may_and_can_are_two_questions_with_two_answers() {
    let world = World::enforced();
    let up = |_: DeploymentIndex| Live::Up { latency_us: 0 };
    let mut ranked = Vec::new();
    // Bedrock on 2026-03-15: refused, and not offered there either; both are told.
    let march = world.standing("research", "gpt-5.4", Stateless, "2026-03-15");
    assert_eq!(rank(&march, up, usize::MAX, &mut ranked), Outcome::Placed);
    let bedrock = &march.refused[0];
    assert_eq!(bedrock.id.as_str(), "bedrock-us-east-2/gpt-5.4");
    assert_eq!(bedrock.can.why_not().as_deref(), Some("not offered there before 2026-04-28 00:00 UTC"));
    assert_eq!(march.withheld(&up).count(), 0, "what is not offered is not withheld");
    // On 2026-05-01 it is permitted, in a gated preview; on 2026-06-02 offered.
    let may = world.standing("research", "gpt-5.4", Stateless, "2026-05-01");
    assert_eq!(may.permitted.last().unwrap().availability.name(), "gated-preview");
    assert!(may.refused.is_empty());
    let june = world.standing("research", "gpt-5.4", Stateless, "2026-06-02");
    assert_eq!(june.permitted.last().unwrap().availability.name(), "ga");
    // Permitted everywhere, offered nowhere.
    let early = world.standing("research", "gpt-6.1-sol", Stateless, "2026-06-02");
    assert!(early.permitted.iter().filter(|seat| seat.can.is_yes()).count() <= 1);
}

#[test]
fn outcomes_are_those_of_the_design() {
    let world = World::enforced();
    let name = domain::ModelName::new("gpt-5.4");
    let all = world.candidates("gpt-5.4");
    let up = |_: DeploymentIndex| Live::Up { latency_us: 0 };
    let outcome = |workload: &str, now: &str, pick: &[usize], live: &dyn Fn(DeploymentIndex) -> Live| {
        let candidates: Vec<_> = pick.iter().map(|index| all[*index].clone()).collect();
        let question = world.question(workload, &name, Stateless, at(now), &candidates);
        let lookup = |key| Arc::new(world.placement.evaluate(key));
        place(&PlaceInput { placement: &world.placement, question, lookup: &lookup, live }).outcome
    };
    // 0 westeurope, 1 swedencentral, 2 openai, 3 bedrock
    assert_eq!(outcome("research", "2026-11-21", &[0, 1, 2, 3], &up), Outcome::Placed);
    assert_eq!(outcome("support-eu", "2026-11-21", &[2, 3], &up), Outcome::Refused);
    assert_eq!(
        outcome("support-eu", "2026-11-21", &[0, 1, 3], &world.down(&["azure"])),
        Outcome::PermittedUnavailable
    );
    assert_eq!(outcome("research", "2026-04-27", &[3], &up), Outcome::NotAvailableThere);
    assert_eq!(outcome("research", "2026-11-21", &[], &up), Outcome::NotAvailableThere);
    assert_eq!(outcome("research", "2026-11-21", &[0], &|_| Live::Saturated), Outcome::PermittedUnavailable);
    assert_eq!(outcome("research", "2026-11-21", &[0], &|_| Live::Unable), Outcome::Unable);
}

#[test]
fn ranking_goes_by_order_then_weight_then_price_then_latency() {
    let world = World::enforced();
    let name = domain::ModelName::new("gpt-5.4");
    let mut candidates = world.candidates("gpt-5.4");
    let names = |candidates: &[placement::Candidate],
                 live: &dyn Fn(DeploymentIndex) -> Live|
     -> Vec<String> {
        let question = world.question("research", &name, Stateless, at("2026-11-21"), candidates);
        let lookup = |key| Arc::new(world.placement.evaluate(key));
        let decision = place(&PlaceInput { placement: &world.placement, question, lookup: &lookup, live });
        decision.seats().map(|seat| seat.id.as_str().split('/').next().unwrap().to_owned()).collect()
    };
    let latency = |index: DeploymentIndex| Live::Up { latency_us: 100 - u32::from(index.0) };
    assert_eq!(
        names(&candidates, &latency),
        ["azure-westeurope", "azure-swedencentral", "openai", "bedrock-us-east-2"]
    );
    candidates.iter_mut().for_each(|candidate| candidate.order = 0);
    assert_eq!(
        names(&candidates, &latency),
        ["bedrock-us-east-2", "openai", "azure-swedencentral", "azure-westeurope"]
    );
    candidates[1].cost = Some(5);
    candidates[2].cost = Some(4);
    assert_eq!(
        names(&candidates, &latency),
        ["openai", "azure-swedencentral", "bedrock-us-east-2", "azure-westeurope"]
    );
    candidates[0].weight = 9;
    candidates[3].can = Can::Lacks("vision".into());
    assert_eq!(names(&candidates, &latency), ["azure-westeurope", "openai", "azure-swedencentral"]);
}

#[test]
fn a_decision_id_is_the_hash_of_what_was_decided() {
    let world = World::enforced();
    let a = world.standing("research", "gpt-5.4", Stateless, "2026-11-21");
    let again = world.standing("research-2", "gpt-5.4", Stateless, "2026-11-22");
    assert_eq!(a.decision, again.decision, "same class of workloads, same window");
    assert_eq!(a.decision, placement::standing::decision_id(&a.body));
    for other in [
        world.standing("support-eu", "gpt-5.4", Stateless, "2026-11-21"),
        world.standing("research", "gpt-6.1-sol", Stateless, "2026-11-21"),
        world.standing("research", "gpt-5.4", Stateless, "2026-03-15"),
    ] {
        assert_ne!(a.decision, other.decision);
    }
    let body: serde_json::Value = serde_json::from_str(&a.body).unwrap();
    assert_eq!(body["terms"], world.placement.terms().hash());
    assert_eq!(body["permitted"][0]["deployment"], "azure-westeurope/gpt-5.4");
}

/// A fleet of 40 deployments of one model, of which the terms refuse each fourth.
static FORTY: LazyLock<Placement> = LazyLock::new(|| {
    let rules = "[pack]\nid = \"p\"\ntitle = \"P\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n\
        [[rule]]\nid = \"r\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nfrom = 2026-01-01\n\
        applies_to = { family = \"openai-proprietary\" }\nallowed_only = { cloud = [\"azure\"] }\n";
    let terms = compile(&[("p.toml", rules, None)]);
    let facts = (0..40).map(|index| {
        let cloud = if index % 4 == 3 { "cloud=aws" } else { "cloud=azure" };
        let stated = ["family=openai-proprietary", cloud, "product=api"];
        FactBook::default().describe(&spec(&format!("d{index}"), "p", "m", &stated))
    });
    let workloads = [WorkloadProfile::new(WorkloadId::new("w"))];
    let fleet = Fleet::new(facts.collect(), &workloads, &terms).unwrap();
    Placement::new(SnapshotEpoch(1), Arc::new(terms), Arc::new(fleet))
});

/// The ranking as it is meant: of all that can and are up, sorted, the first `most`, each with its latency.
fn plain_ranking(
    standing: &Standing,
    live: impl Fn(DeploymentIndex) -> Live,
    most: usize,
) -> (Outcome, Vec<(u16, u32)>) {
    let able: Vec<_> = (0_u16..).zip(&standing.permitted).filter(|(_, seat)| seat.can.is_yes()).collect();
    let mut up: Vec<_> = able
        .iter()
        .filter_map(|(index, seat)| match live(seat.deployment) {
            Live::Up { latency_us } => {
                let cost = seat.cost.unwrap_or(u64::MAX);
                Some((seat.order, Reverse(seat.weight), cost, latency_us, *index))
            }
            _ => None,
        })
        .collect();
    up.sort_unstable();
    let offered = |seat: &Seat| !matches!(seat.can, Can::NotOffered { .. });
    let outcome = if !up.is_empty() {
        Outcome::Placed
    } else if standing.permitted.is_empty() && !standing.refused.is_empty() {
        Outcome::Refused
    } else if able.iter().any(|(_, seat)| live(seat.deployment) != Live::Unable) {
        Outcome::PermittedUnavailable
    } else if standing.permitted.iter().any(offered) {
        Outcome::Unable
    } else {
        Outcome::NotAvailableThere
    };
    (outcome, up.into_iter().take(most).map(|(_, _, _, latency_us, seat)| (seat, latency_us)).collect())
}

fn any_can() -> impl Strategy<Value = Can> {
    prop_oneof![
        6 => Just(Can::Yes),
        1 => Just(Can::Lacks("vision".into())),
        1 => Just(Can::NotOffered { availability: Availability::Retired, changes: None }),
    ]
}

fn any_live() -> impl Strategy<Value = Live> {
    prop_oneof![
        4 => prop_oneof![Just(0), 0..6_u32, Just(u32::MAX), any::<u32>()]
            .prop_map(|latency_us| Live::Up { latency_us }),
        1 => Just(Live::Down),
        1 => Just(Live::Saturated),
        1 => Just(Live::Unable),
    ]
}

thread_local! {
    /// What the terms say of the forty, asked once.
    static MEMO: Memo = Memo::default();
}

proptest! {
    /// The best `most` are the first `most` of all, whatever is down, equal, unknown or unable.
    #[test]
    fn the_best_few_are_the_first_of_all(
        seats in prop::collection::vec(
            (any_can(), 0..3_u32, 0..2_u32, prop::option::of(0..2_u64), any_live()), 0..40,
        ),
        (only, all_is) in (0..4_u16, prop::option::weighted(0.2, any_live())),
        most in prop_oneof![0..12_usize, Just(usize::MAX)],
    ) {
        let placement = &*FORTY;
        // At times one kind of deployment only: all refused (3), all permitted.
        let deployment = |index: u16| DeploymentIndex(if only == 3 { index / 4 * 4 + 3 } else { index });
        let live = |index: DeploymentIndex| {
            let one = if only == 3 { index.0 / 4 * 4 } else { index.0 };
            all_is.unwrap_or_else(|| seats[usize::from(one)].4)
        };
        let candidates: Vec<_> = (0_u16..)
            .zip(&seats)
            .filter(|(index, _)| only != 3 || index % 4 == 0)
            .map(|(index, (can, order, weight, cost, _))| {
                let (can, order, weight, cost) = (can.clone(), *order, *weight, *cost);
                Candidate { deployment: deployment(index), can, order, weight, cost }
            })
            .collect();
        let model = ModelName::new("m");
        let (principal, data_classes) = placement.fleet().workload(&WorkloadId::new("w")).unwrap();
        let question = Question {
            principal,
            model: &model,
            call_class: Stateless,
            data_classes,
            surface: Surface::OpenAiChat,
            candidates: &candidates,
            now: at("2026-11-21"),
        };
        let standing = placement.standing(&question, &|key| MEMO.with(|memo| memo.get(placement, key)));
        let mut ranked = vec![];
        let outcome = rank(&standing, live, most, &mut ranked);
        let found: Vec<_> = ranked.iter().map(|ranked| (ranked.seat, ranked.latency_us)).collect();
        prop_assert_eq!((outcome, found), plain_ranking(&standing, live, most));
        // One that is not up has a latency too, as a rule a low one: it fails fast.
        let latency = |index: DeploymentIndex| match live(index) {
            Live::Up { latency_us } => latency_us,
            _ => 0,
        };
        macro_rules! alike {
            ($($most:literal),*) => {$(
                let outcome = rank(&standing, live, $most, &mut ranked);
                let mut by_latency = vec![];
                let outcome_by_latency = rank_by_latency::<$most>(&standing, latency, live, &mut by_latency);
                prop_assert_eq!((outcome_by_latency, &by_latency), (outcome, &ranked));
            )*};
        }
        alike!(0, 1, 3, 8, 12, 64);
    }
}
