//! The explanation: both columns, the split verdict, lines that fit.

use crate::support::{World, at};
use placement::{
    CallClass::{self, Stateful, Stateless},
    DeploymentIndex, Live,
    decision::PlaceInput,
    explain::{Explanation, Host, SplitVerdict, WIDTH, explain, render_text},
};
use std::sync::Arc;

fn ask(
    world: &World,
    workload: &str,
    model: &str,
    class: CallClass,
    now: &str,
    host: Option<&str>,
) -> Explanation {
    let name = domain::ModelName::new(model);
    let candidates = world.candidates(model);
    let question = world.question(workload, &name, class, at(now), &candidates);
    let lookup = |key| Arc::new(world.placement.evaluate(key));
    let live = |_: DeploymentIndex| Live::Up { latency_us: 0 };
    let host = host.map(|cloud| Host::Cloud(cloud.into()));
    explain(
        &PlaceInput { placement: &world.placement, question, lookup: &lookup, live: &live },
        workload,
        host.as_ref(),
    )
}

#[test]
fn a_stateful_runtime_on_aws_gets_a_split_verdict() {
    let world = World::enforced();
    let march = ask(&world, "research", "gpt-5.4", Stateful, "2026-03-15", Some("aws")).split.unwrap();
    assert_eq!(march.verdict, SplitVerdict::Split);
    assert!(march.state.may);
    let inner: Vec<(&str, bool)> = march.inner.iter().map(|hop| (hop.place.as_str(), hop.may)).collect();
    assert_eq!(
        inner,
        [
            ("azure-westeurope/gpt-5.4", true),
            ("azure-swedencentral/gpt-5.4", true),
            ("openai/gpt-5.4", true),
            ("bedrock-us-east-2/gpt-5.4", false),
        ]
    );
    assert_eq!(march.inner[3].rules[0].rule.id.as_ref(), "msoai-2026-02-stateless");
    assert_eq!((&*march.state.hosts, &*march.state.bills), ("aws", "aws"));
    let verdict = |now: &str, host: &str| {
        ask(&world, "research", "gpt-5.4", Stateful, now, Some(host)).split.unwrap().verdict
    };
    assert_eq!(verdict("2026-03-15", "gcp"), SplitVerdict::Refused);
    assert_eq!(verdict("2026-03-15", "azure"), SplitVerdict::Together);
    assert_eq!(verdict("2026-04-26T23:59:59Z", "aws"), SplitVerdict::Split);
    assert_eq!(verdict("2026-04-27", "aws"), SplitVerdict::Together);
    assert_eq!(verdict("2026-04-27", "gcp"), SplitVerdict::Split);
}

#[test]
fn the_json_has_what_was_promised() {
    let world = World::enforced();
    let json =
        serde_json::to_value(ask(&world, "research", "gpt-5.4", Stateless, "2026-03-15", None)).unwrap();
    assert_eq!(json["outcome"], "placed");
    let first = &json["permitted"][0];
    for field in ["deployment", "provider", "seller", "operator", "cloud", "region"] {
        assert!(first[field].is_string(), "{field}");
    }
    assert_eq!(first["can"]["able"], true);
    let refused = &json["refused"][0];
    assert_eq!(refused["rules"][0]["id"], "msoai-2026-02-stateless");
    assert_eq!(refused["rules"][0]["binds"], "our-vendors");
    assert_eq!(refused["rules"][0]["mode"], "enforce");
    assert_eq!(refused["can"]["able"], false);
    assert_eq!(json["permitted"][2]["facts"]["cloud"]["basis"], "declared-by-contract");
    assert_eq!(json["holds_until"], "2026-04-27T00:00:00Z");
}

#[test]
fn the_text_fits_and_names_rules_and_places() {
    let world = World::enforced();
    for (workload, now) in
        [("research", "2026-03-15"), ("support-eu", "2026-11-21"), ("advice", "2026-11-30T23:59:40Z")]
    {
        let text = render_text(&ask(&world, workload, "gpt-5.4", Stateful, now, Some("aws")));
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        println!("{text}");
    }
    let text = render_text(&ask(&world, "advice", "gpt-5.4", Stateless, "2026-11-30T23:59:40Z", None));
    assert!(text.contains("terms/acme-bank.toml:"), "{text}");
    assert!(text.contains("acme-aws-contract [enforce, binds us]"), "{text}");
}

#[test]
fn every_shipped_rule_is_a_sentence() {
    let world = World::enforced();
    for (rule, _) in world.placement.terms().rules_at(at("2026-11-21")) {
        println!("{rule}");
        assert!(rule.says.ends_with('.') && !rule.says.contains("  "), "{rule}");
        assert!(!rule.source.is_empty() && !rule.clause.is_empty() && rule.line > 0);
    }
}
