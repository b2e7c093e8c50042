//! The golden cases of the vendors' dated terms: complete determining sets, at the second before and after
//! each boundary.

use crate::support::{World, terms};
use placement::{
    CallClass::{self, Hybrid, Stateful, Stateless},
    Mode,
};

const AZURE: &str = "azure-westeurope/gpt-5.4";
const OPENAI: &str = "openai/gpt-5.4";
const AWS: &str = "bedrock-us-east-2/gpt-5.4";
const FRONTIER: &str = "frontier-on-aws";
const STATELESS: &str = "msoai-2026-02-stateless";

fn check(cases: &[(&str, &str, CallClass, &str, &[&str])]) {
    let world = World::enforced();
    for (workload, deployment, class, now, expected) in cases {
        let found = world.refusals(workload, deployment, *class, now);
        assert_eq!(&found, expected, "{workload} {deployment} {class:?} {now}");
    }
}

#[test]
fn one_rule_refuses_at_a_time_and_each_boundary_is_exact() {
    check(&[
        ("research", AWS, Stateless, "2023-01-22T23:59:59Z", &[]),
        ("research", AWS, Stateless, "2023-01-23T00:00:00Z", &["msoai-2023-01"]),
        ("research", AWS, Stateless, "2025-01-20T23:59:59Z", &["msoai-2023-01"]),
        ("research", AWS, Stateless, "2025-01-21T00:00:00Z", &["msoai-2025-01"]),
        ("research", AWS, Stateless, "2025-10-27T23:59:59Z", &["msoai-2025-01"]),
        ("research", AWS, Stateless, "2025-10-28T00:00:00Z", &["msoai-2025-10"]),
        ("research", AWS, Stateless, "2026-02-26T23:59:59Z", &["msoai-2025-10"]),
        ("research", AWS, Stateless, "2026-02-27T00:00:00Z", &[STATELESS]),
        ("research", AWS, Stateless, "2026-03-15", &[STATELESS]),
        ("research", AWS, Stateless, "2026-04-26T23:59:59Z", &[STATELESS]),
        ("research", AWS, Stateless, "2026-04-26T23:59:59.999Z", &[STATELESS]),
        ("research", AWS, Stateless, "2026-04-27T00:00:00Z", &[]),
        ("research", AWS, Stateless, "2026-05-10", &[]),
        ("research", AWS, Stateless, "2026-06-01", &[]),
    ]);
}

#[test]
fn azure_is_permitted_throughout_and_so_is_openai_while_it_declares_azure() {
    for now in [
        "2023-06-01",
        "2025-02-01",
        "2025-12-01",
        "2026-03-15",
        "2026-04-26T23:59:59Z",
        "2026-04-27",
        "2033-01-01",
    ] {
        check(&[("research", AZURE, Stateless, now, &[]), ("research", OPENAI, Stateless, now, &[])]);
    }
}

#[test]
fn open_weights_other_families_and_national_security_are_out_of_scope() {
    for now in ["2023-06-01", "2025-02-01", "2025-12-01", "2026-03-15", "2026-04-26T23:59:59Z"] {
        check(&[
            ("research", "bedrock/gpt-oss-120b", Stateless, now, &[]),
            ("research", "bedrock/claude", Stateless, now, &[]),
            ("research", "bedrock/claude", Stateful, now, &[]),
            ("research", "anthropic/claude", Hybrid, now, &[]),
        ]);
    }
    check(&[
        ("natsec", AWS, Stateless, "2026-03-15", &[]),
        ("natsec", AWS, Stateless, "2025-12-01", &[]),
        // The exception came with the agreement of October 2025.
        ("natsec", AWS, Stateless, "2025-10-27T23:59:59Z", &["msoai-2025-01"]),
        ("natsec", AWS, Stateless, "2025-10-28", &[]),
    ]);
}

#[test]
fn a_stateful_call_is_hosting_and_inner_stateless_calls() {
    check(&[
        ("research", AWS, Stateful, "2026-03-15", &[STATELESS]),
        ("research", AWS, Hybrid, "2026-03-15", &[STATELESS]),
        ("research", AZURE, Stateful, "2026-03-15", &[]),
        ("research", "gcp/gpt-6.1-sol", Stateful, "2026-03-15", &["msoai-2026-02-stateful", STATELESS]),
        ("research", "gcp/gpt-6.1-sol", Stateful, "2026-04-27", &[]),
        ("natsec", AWS, Stateful, "2026-03-15", &[]),
    ]);
}

#[test]
fn own_products_have_a_rule_of_their_own() {
    check(&[
        ("research", FRONTIER, Stateless, "2024-06-01", &["msoai-2023-01"]),
        ("research", FRONTIER, Stateless, "2025-06-01", &[]),
        ("research", FRONTIER, Stateless, "2026-03-15", &["msoai-2026-02-frontier", STATELESS]),
        ("natsec", FRONTIER, Stateless, "2026-03-15", &["msoai-2026-02-frontier"]),
        ("research", FRONTIER, Stateless, "2026-04-27", &[]),
    ]);
}

#[test]
fn notices_expire() {
    let world = World::enforced();
    let notices = |now: &str| -> Vec<String> {
        let permission = world.permission("research", AWS, Stateless, now);
        assert!(permission.permits());
        permission.notices.iter().map(|finding| finding.rule.id.to_string()).collect()
    };
    let (any, licence, revshare) = ("msoai-2026-04", "msoai-2026-04-licence", "msoai-2026-04-revshare");
    assert_eq!(notices("2026-04-27"), [any, licence, revshare]);
    assert_eq!(notices("2030-12-31T23:59:59Z"), [any, licence, revshare]);
    assert_eq!(notices("2031-01-01"), [any, licence]);
    assert_eq!(notices("2032-12-31T23:59:59Z"), [any, licence]);
    assert_eq!(notices("2033-01-01"), [any]);
}

#[test]
fn a_mode_decides_what_a_rule_does_and_not_whether_it_applies() {
    for (mode, refused, warned, observed) in
        [(Mode::Enforce, 1, 0, 0), (Mode::Warn, 0, 1, 0), (Mode::Observe, 0, 0, 1)]
    {
        let world = World::new(terms(mode));
        let permission = world.permission("research", AWS, Stateless, "2026-03-15");
        let counts = (permission.refused.len(), permission.warnings.len(), permission.observed.len());
        assert_eq!(counts, (refused, warned, observed), "{mode:?}");
        assert_eq!(permission.permits(), refused == 0);
    }
}

#[test]
fn modes_start_on_their_dates() {
    let dated = crate::support::MSOAI.replace(
        "mode = \"observe\"",
        "mode = [{ mode = \"observe\" }, { mode = \"warn\", from = 2026-03-01 }, { mode = \"enforce\", from = 2026-03-10 }]",
    );
    let world = World::new(crate::support::compile(&[("m.toml", &dated, None)]));
    let counts = |now: &str| {
        let permission = world.permission("research", AWS, Stateless, now);
        (permission.observed.len(), permission.warnings.len(), permission.refused.len())
    };
    assert_eq!(counts("2026-02-28T23:59:59Z"), (1, 0, 0));
    assert_eq!(counts("2026-03-01"), (0, 1, 0));
    assert_eq!(counts("2026-03-09T23:59:59Z"), (0, 1, 0));
    assert_eq!(counts("2026-03-10"), (0, 0, 1));
}

#[test]
fn an_event_that_an_operator_dates_ends_a_rule() {
    let pack =
        placement::PackChoice { file: "m.toml", text: crate::support::MSOAI, mode: Some(Mode::Enforce) };
    let events = [("agi_verified_by_expert_panel".to_owned(), crate::support::at("2025-12-24"))].into();
    let world = World::new(placement::Terms::compile(&[pack], &events).unwrap());
    assert_eq!(world.refusals("research", AWS, Stateless, "2025-12-23T23:59:59Z"), ["msoai-2025-10"]);
    assert!(world.refusals("research", AWS, Stateless, "2025-12-24").is_empty());
}
