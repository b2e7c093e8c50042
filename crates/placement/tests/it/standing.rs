//! Standing and ranking: outcomes, order, and decision ids.

use crate::support::{World, at};
use placement::{
    CallClass::Stateless,
    Can, DeploymentIndex, Live, Outcome,
    decision::{PlaceInput, place},
    rank,
};
use std::sync::Arc;

#[test]
fn may_and_can_are_two_questions_with_two_answers() {
    let world = World::enforced();
    let up = |_: DeploymentIndex| Live::Up { latency_us: 0 };
    let mut ranked = Vec::new();
    // Bedrock on 2026-03-15: refused, and not offered there either; both are told.
    let march = world.standing("research", "gpt-5.4", Stateless, "2026-03-15");
    assert_eq!(rank(&march, &up, &mut ranked), Outcome::Placed);
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
