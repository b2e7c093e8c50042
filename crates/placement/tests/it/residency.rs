//! Data that must stay in the EU and the EEA: unknown is refused, and so is "anywhere".

use crate::support::World;
use placement::CallClass::Stateless;

#[test]
fn only_what_is_declared_to_stay_in_the_eu_is_permitted() {
    let world = World::enforced();
    let rule = ["eu-residency"];
    for (deployment, expected) in [
        ("azure-westeurope/gpt-5.4", &[][..]),
        ("azure-swedencentral/gpt-5.4", &[]),
        ("vllm/gpt-oss-120b", &[]),
        ("bedrock-us-east-2/gpt-5.4", &rule),
        // Nobody stated where OpenAI processes: unknown is refused.
        ("openai/gpt-5.4", &rule),
        // Declared to be anywhere.
        ("anthropic/claude", &rule),
        // In an EU data zone by its region, but this hosting option may leave it.
        ("foundry-anthropic/claude", &rule),
        ("foundry-unsaid/claude", &rule),
    ] {
        assert_eq!(
            world.refusals("support-eu", deployment, Stateless, "2026-11-21"),
            expected,
            "{deployment}"
        );
    }
    assert!(world.refusals("research", "openai/gpt-5.4", Stateless, "2026-11-21").is_empty());
}

#[test]
fn a_rule_of_law_is_never_waivable() {
    let world = World::enforced();
    let rule = world.placement.terms().rule("eu-residency").unwrap();
    assert!(!rule.waivable);
    assert!(rule.says.contains("the EU or the EEA"), "{}", rule.says);
}
