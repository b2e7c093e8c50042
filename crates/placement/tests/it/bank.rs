//! A customer's own pack: a contract that comes into force at midnight, a hosting option, zero retention.

use crate::support::{ACME, EU, World, at, compile};
use domain::ModelName;
use placement::{CallClass::Stateless, Outcome, rank};

#[test]
fn the_contract_comes_into_force_at_midnight_utc() {
    let world = World::enforced();
    let aws = "bedrock-us-east-2/gpt-5.4";
    assert_eq!(world.refusals("advice", aws, Stateless, "2026-11-30T23:59:40Z"), ["acme-aws-contract"]);
    assert_eq!(world.refusals("advice", aws, Stateless, "2026-11-30T23:59:59.999Z"), ["acme-aws-contract"]);
    assert!(world.refusals("advice", aws, Stateless, "2026-12-01T00:00:00Z").is_empty());
    assert!(
        world.refusals("advice", "azure-westeurope/gpt-5.4", Stateless, "2026-11-30T23:59:40Z").is_empty()
    );
    assert_eq!(world.refusals("advice", "openai/gpt-5.4", Stateless, "2026-12-01"), ["acme-zero-retention"]);
    assert!(world.refusals("research", aws, Stateless, "2026-11-30").is_empty());
}

#[test]
fn claude_in_foundry_only_where_it_is_said_to_be_hosted_on_azure() {
    let world = World::enforced();
    for (deployment, expected) in [
        ("foundry-azure/claude", &[][..]),
        ("foundry-anthropic/claude", &["acme-foundry-hosting"]),
        ("foundry-unsaid/claude", &["acme-foundry-hosting"]),
    ] {
        assert_eq!(world.refusals("advice", deployment, Stateless, "2026-11-21"), expected, "{deployment}");
    }
}

#[test]
fn with_azure_down_the_bank_waits_until_midnight_and_is_told_what_is_withheld() {
    let world = World::enforced();
    let down = world.down(&["azure"]);
    let mut ranked = Vec::new();
    let before = world.standing("advice", "gpt-5.4", Stateless, "2026-11-30T23:59:40Z");
    assert_eq!(rank(&before, &down, usize::MAX, &mut ranked), Outcome::PermittedUnavailable);
    let withheld: Vec<String> = before.withheld(&down).map(|seat| seat.why.to_string()).collect();
    assert_eq!(
        withheld,
        [
            "openai/gpt-5.4: refused by acme-zero-retention",
            "bedrock-us-east-2/gpt-5.4: refused by acme-aws-contract"
        ]
    );
    assert_eq!(before.expires, Some(at("2026-12-01")), "the standing itself says when to ask again");
    let after = world.standing("advice", "gpt-5.4", Stateless, "2026-12-01");
    assert_eq!(rank(&after, &down, usize::MAX, &mut ranked), Outcome::Placed);
    assert_eq!(after.permitted[usize::from(ranked[0].seat)].id.as_str(), "bedrock-us-east-2/gpt-5.4");
    assert_ne!(before.decision, after.decision);
}

#[test]
fn an_edited_line_changes_the_verdict_the_hash_and_names_its_place() {
    let edited = ACME.replace("until = 2026-12-01T00:00:00Z", "until = 2027-03-01T00:00:00Z");
    let before = compile(&[("terms/acme-bank.toml", ACME, None), ("terms/eu-residency.toml", EU, None)]);
    let after = compile(&[("terms/acme-bank.toml", &edited, None), ("terms/eu-residency.toml", EU, None)]);
    assert_ne!(before.hash(), after.hash());
    assert_eq!(before.next_boundary(at("2026-11-21")), Some(at("2026-12-01")));
    assert_eq!(after.next_boundary(at("2026-11-21")), Some(at("2027-03-01")));
    let world = World::new(after);
    let model = ModelName::new("gpt-5.4");
    let _ = model;
    let permission = world.permission("advice", "bedrock-us-east-2/gpt-5.4", Stateless, "2026-12-01");
    let rule = &permission.refused[0].rule;
    assert_eq!((&*rule.id, &*rule.file), ("acme-aws-contract", "terms/acme-bank.toml"));
    let line = edited.lines().nth(usize::try_from(rule.line).unwrap() - 1).unwrap();
    assert_eq!(line, "[[rule]]", "the line of the row");
}
