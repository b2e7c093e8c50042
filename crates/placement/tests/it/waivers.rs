//! Waivers: the second before and after their start and end, what must not be waived, and who is marked.

use crate::support::{ACME, EU, FACTS, MSOAI, World, at, compile, demo_specs, workloads};
use domain::{ModelName, SnapshotEpoch, WorkloadId};
use placement::{
    CallClass, Can, Candidate, DeploymentIndex, FactBook, Fleet, Live, Mode, PackChoice, Placement, Problems,
    Terms, WorkloadProfile,
    decision::PlaceInput,
    explain::{explain, render_text},
    terms::{SideFile, TermsInput},
};
use std::{collections::BTreeSet, sync::Arc};

const FILE: &str = "terms/waivers.toml";
const AWS: &str = "bedrock-us-east-2/gpt-5.4";

fn waiver(rule: &str, workload: &str, from: &str, until: &str) -> String {
    format!(
        "[[waiver]]\nrule = \"{rule}\"\nworkload = \"{workload}\"\nreason = \"migration weekend\"\nrequester = \"jane.doe\"\napprover = \"john.roe\"\nfrom = {from}\nuntil = {until}\n"
    )
}

fn try_terms(waivers: &str) -> Result<Terms, Problems> {
    let pack = |file, text, mode| PackChoice { file, text, mode };
    let packs = [
        pack("terms/microsoft-openai.toml", MSOAI, Some(Mode::Enforce)),
        pack("terms/eu-residency.toml", EU, None),
        pack("terms/acme-bank.toml", ACME, None),
    ];
    let waivers = Some(SideFile { file: FILE, text: waivers });
    Terms::compile_all(&TermsInput { packs: &packs, waivers, ..TermsInput::default() })
}

fn world(waivers: &str) -> World {
    World::new(try_terms(waivers).unwrap_or_else(|problems| panic!("{problems}")))
}

#[test]
fn a_waiver_lifts_its_rule_for_its_workload_from_its_first_to_its_last_instant() {
    let world = world(&waiver("acme-aws-contract", "advice", "2026-11-21T08:00:00Z", "2026-11-28T18:00:00Z"));
    let rule = ["acme-aws-contract"];
    for (workload, now, refused, waived) in [
        ("advice", "2026-11-21T07:59:59Z", &rule[..], &[][..]),
        ("advice", "2026-11-21T07:59:59.999Z", &rule, &[]),
        ("advice", "2026-11-21T08:00:00Z", &[], &rule),
        ("advice", "2026-11-21T08:00:01Z", &[], &rule),
        ("advice", "2026-11-28T17:59:59Z", &[], &rule),
        ("advice", "2026-11-28T17:59:59.999Z", &[], &rule),
        ("advice", "2026-11-28T18:00:00Z", &rule, &[]),
        ("advice", "2026-11-28T18:00:01Z", &rule, &[]),
        // Where the rule does not hold, nothing is waived.
        ("advice", "2026-12-01", &[], &[]),
        // Nobody else's rule is lifted.
        ("research", "2026-11-25", &[], &[]),
    ] {
        let found = world.permission(workload, AWS, CallClass::Stateless, now);
        assert_eq!(found.refusing_ids().collect::<Vec<_>>(), refused, "{workload} {now}");
        let ids: Vec<&str> = found.waived.iter().map(|finding| &*finding.rule.id).collect();
        assert_eq!(ids, waived, "{workload} {now}");
    }
    // Another workload of the same organisation is still refused: it must not share the class.
    let mut all = workloads();
    all.push(WorkloadProfile {
        organisation: "acme-bank".into(),
        ..WorkloadProfile::new(WorkloadId::new("advice-2"))
    });
    let terms = try_terms(&waiver("acme-aws-contract", "advice", "2026-11-21", "2026-11-28")).unwrap();
    let book = FactBook::parse(&[("f", FACTS)]).unwrap();
    let fleet =
        Fleet::new(demo_specs().iter().map(|spec| book.describe(spec)).collect(), &all, &terms).unwrap();
    let world = World { placement: Placement::new(SnapshotEpoch(7), Arc::new(terms), Arc::new(fleet)) };
    assert_eq!(world.refusals("advice-2", AWS, CallClass::Stateless, "2026-11-25"), rule);
    assert!(world.refusals("advice", AWS, CallClass::Stateless, "2026-11-25").is_empty());
    let classes: BTreeSet<u32> =
        all.iter().map(|own| world.placement.fleet().workload(&own.id).unwrap().0.0).collect();
    assert_eq!(classes.len(), all.len() - 1, "research and research-2 still share one");
}

#[test]
fn the_rules_beside_it_still_refuse_and_a_stateful_call_is_waived_as_one() {
    let world = world(&waiver("acme-aws-contract", "advice", "2026-03-01", "2026-03-20"));
    assert_eq!(
        world.refusals("advice", AWS, CallClass::Stateless, "2026-03-15"),
        ["msoai-2026-02-stateless"],
        "the vendors' rule is not lifted with it"
    );
    let found = world.permission("advice", "bedrock/claude", CallClass::Stateful, "2026-03-15");
    let ids: Vec<&str> = found.waived.iter().map(|finding| &*finding.rule.id).collect();
    assert_eq!(ids, ["acme-aws-contract"]);
}

#[test]
fn a_waived_rule_of_a_pack_that_observes_is_marked_in_that_mode() {
    let text = ACME.replacen("mode = \"enforce\"", "mode = \"observe\"", 1);
    let packs = [PackChoice { file: "a.toml", text: &text, mode: None }];
    let waivers = waiver("acme-aws-contract", "advice", "2026-11-01", "2026-11-30");
    let waivers = Some(SideFile { file: FILE, text: &waivers });
    let terms = Terms::compile_all(&TermsInput { packs: &packs, waivers, ..TermsInput::default() }).unwrap();
    let found = World::new(terms).permission("advice", AWS, CallClass::Stateless, "2026-11-15");
    assert!(found.permits() && found.observed.iter().all(|finding| &*finding.rule.id != "acme-aws-contract"));
    assert_eq!((found.waived.len(), found.waived[0].mode), (1, Mode::Observe));
}

#[test]
fn the_windows_the_hash_and_the_explanation_know_it() {
    let text = waiver("acme-aws-contract", "advice", "2026-11-21T08:00:00Z", "2026-11-28T18:00:00Z");
    let own = world(&text);
    for date in ["2026-11-21T08:00:00Z", "2026-11-28T18:00:00Z"] {
        assert!(own.placement.terms().boundaries().contains(&at(date)), "{date}");
    }
    let plain = world("");
    assert_ne!(own.placement.terms().hash(), plain.placement.terms().hash());
    let compiled = compile(&[
        ("terms/microsoft-openai.toml", MSOAI, Some(Mode::Enforce)),
        ("terms/eu-residency.toml", EU, None),
        ("terms/acme-bank.toml", ACME, None),
    ]);
    assert_eq!(compiled.hash(), plain.placement.terms().hash(), "an empty file of waivers changes nothing");
    let cedar = own.placement.terms().cedar("acme-aws-contract").unwrap();
    assert!(cedar.contains("principal.workload == \"advice\"") || cedar.contains("\"advice\""), "{cedar}");

    let name = ModelName::new("gpt-5.4");
    let index = own.index(AWS);
    let candidates = [Candidate { deployment: index, can: Can::Yes, order: 0, weight: 1, cost: None }];
    let question = own.question("advice", &name, CallClass::Stateless, at("2026-11-25"), &candidates);
    let lookup = |key| Arc::new(own.placement.evaluate(key));
    let live = |_: DeploymentIndex| Live::Up { latency_us: 0 };
    let input = PlaceInput { placement: &own.placement, question, lookup: &lookup, live: &live };
    let explained = explain(&input, "advice", None);
    let json = serde_json::to_value(&explained).unwrap();
    let waived = &json["permitted"][0]["waived"][0];
    assert_eq!(waived["rule"]["id"], "acme-aws-contract");
    assert_eq!(waived["waiver"]["approver"], "john.roe");
    assert_eq!(waived["waiver"]["until"], "2026-11-28T18:00:00Z");
    let text = render_text(&explained);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("WAIVED: would be refused"), "{text}");
    assert!(words.contains("granted by john.roe: migration weekend"), "{text}");
    let standing = own.placement.standing(&question, &lookup);
    assert!(standing.body.contains("\"waived\":[\"acme-aws-contract\"]"), "{}", standing.body);
    assert!(standing.permitted[0].why.contains("waived: acme-aws-contract"), "{}", standing.permitted[0].why);
}

#[test]
fn expired_waivers_are_notes_and_unknown_workloads_are_told_where_they_are_known() {
    let text = waiver("acme-aws-contract", "advise", "2026-11-01", "2026-11-08");
    let terms = try_terms(&text).unwrap();
    assert!(terms.notes(at("2026-11-07T23:59:59Z")).0.is_empty());
    let notes = terms.notes(at("2026-11-08")).to_string();
    assert!(
        notes.contains("terms/waivers.toml:1:1: the waiver of `acme-aws-contract` for `advise` expired"),
        "{notes}"
    );
    let problems = terms.check_workloads(&["research", "advice"]).to_string();
    assert!(
        problems.contains("workload `advise`, which is not there\n    hint: did you mean `advice`?"),
        "{problems}"
    );
    assert!(terms.check_workloads(&["advise"]).0.is_empty());
}

#[test]
fn every_mistake_in_the_file_is_told_at_once_with_its_line() {
    let ok = waiver("acme-aws-contract", "advice", "2026-11-21", "2026-11-28");
    let all = [
        waiver("acme-aws-contrakt", "advice", "2026-11-21", "2026-11-28"),
        waiver("eu-residency", "support-eu", "2026-11-21", "2026-11-28"),
        waiver("acme-zero-retention", "advice", "2026-11-21", "2026-11-28"),
        waiver("msoai-2026-04", "advice", "2026-11-21", "2026-11-28"),
        waiver("acme-aws-contract", "advice", "2026-11-28", "2026-11-21"),
        waiver("acme-aws-contract", "advice", "2026-11-01", "2026-12-01T00:00:01Z"),
        ok.replace("john.roe", " Jane.Doe "),
        ok.replace("reason = \"migration weekend\"\n", ""),
        waiver("acme-aws-contract", "advice", "2026-02-30", "2026-11-28"),
        ok.replace("reason =", "raeson ="),
    ]
    .concat();
    let problems = try_terms(&all).unwrap_err();
    let said = problems.to_string();
    for expected in [
        "waivers.toml:1:1: there is no rule `acme-aws-contrakt` to be waived\n    hint: did you mean `acme-aws-contract`?",
        "waivers.toml:9:1: `eu-residency` is a rule of a law pack: it is not waivable",
        "waivers.toml:17:1: `acme-zero-retention` is not waivable",
        "waivers.toml:25:1: `msoai-2026-04` is a notice",
        "waivers.toml:40:9: `until` (2026-11-21T00:00:00Z) is not after `from`",
        "waivers.toml:48:9: the waiver is longer than 30 days\n    hint: `until` may be 2026-12-01T00:00:00Z at the latest",
        "waivers.toml:54:12: `Jane.Doe` asks for the waiver and grants it",
        "waivers.toml:57:1: a waiver has no `reason`",
        "waivers.toml:70:8: not TOML: invalid date",
        "a waiver knows no `raeson`\n    hint: did you mean `reason`?",
    ] {
        assert!(said.contains(expected), "expected {expected:?} in\n{said}");
    }
    assert_eq!(said.matches("waivers.toml:70:").count(), 1, "one mistake, one message: {said}");
    assert!(
        try_terms(&waiver("acme-aws-contract", "advice", "2026-11-01", "2026-12-01")).is_ok(),
        "30 days are fine"
    );
    let broken = try_terms("[[waiver]]\nrule = \"x\n").unwrap_err().to_string();
    assert!(broken.contains("waivers.toml:2:") && broken.contains("not TOML"), "{broken}");
}
