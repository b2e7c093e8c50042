//! Policies in Cedar beside a pack: they act like rows, and what would outlive a window or never match is refused.

use crate::support::{ACME, World, at};
use placement::{
    Attribute, CallClass, Mode, PackChoice, Problems, Terms,
    terms::{CedarFile, SideFile, TermsInput},
};

const HEAD: &str = "@id(\"raw-rule\")\n@title(\"A raw rule\")\n@says(\"Nothing runs there; never forbid twice.\")\n@source(\"s\")\n@clause(\"c\")\n";

fn compile(cedar: &str) -> Result<Terms, Problems> {
    compile_with(cedar, None, ACME)
}

fn compile_with(cedar: &str, waivers: Option<&str>, pack: &str) -> Result<Terms, Problems> {
    Terms::compile_all(&TermsInput {
        packs: &[PackChoice { file: "terms/acme-bank.toml", text: pack, mode: None }],
        cedar: &[CedarFile { pack: "acme-bank", file: "terms/acme-bank.cedar", text: cedar }],
        waivers: waivers.map(|text| SideFile { file: "terms/waivers.toml", text }),
        ..TermsInput::default()
    })
}

fn policy(condition: &str) -> String {
    format!(
        "{HEAD}forbid (principal, action in [Action::\"infer\"], resource)\nwhen {{\n  {condition}\n}};\n"
    )
}

#[test]
fn a_raw_policy_refuses_by_name_and_its_dates_are_boundaries() {
    let text = policy(
        "resource.cloud == \"aws\" && context.now >= datetime(\"2027-01-01\") &&\n  datetime(\"2027-02-01T00:00:00Z\") > context.now && principal.country != \"de\" && context.data_classes.contains(\"pii\")",
    );
    let text = format!("// A comment; with a semicolon and a \" in it.\n{text}");
    let terms = compile(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(terms.boundaries().contains(&at("2027-01-01")) && terms.boundaries().contains(&at("2027-02-01")));
    for attribute in [Attribute::Country, Attribute::DataClasses, Attribute::Cloud] {
        assert!(terms.reads(attribute), "{attribute}");
    }
    assert!(terms.data_classes().any(|class| class == "pii"), "it has a bit of its own");
    let info = terms.rule("raw-rule").unwrap();
    assert_eq!((&*info.pack, &*info.file, info.line), ("acme-bank", "terms/acme-bank.cedar", 2));
    assert_eq!(
        terms.rules_at(at("2026-11-21")).find(|(rule, _)| &*rule.id == "raw-rule").unwrap().1,
        Mode::Enforce
    );
    let world = World::new(
        compile(&policy("resource.cloud == \"aws\" && context.now >= datetime(\"2027-01-01\")")).unwrap(),
    );
    let refusals = |now| world.refusals("research", "bedrock-us-east-2/gpt-5.4", CallClass::Stateless, now);
    assert!(refusals("2026-12-31T23:59:59Z").is_empty());
    assert_eq!(refusals("2027-01-01"), ["raw-rule"]);
}

#[test]
fn its_mode_its_waiver_and_the_hash_work_as_those_of_rows() {
    let observed = policy("resource.cloud == \"aws\"").replacen("@clause", "@mode(\"observe\")\n@clause", 1);
    let world = World::new(compile(&observed).unwrap());
    let found = world.permission("research", "bedrock-us-east-2/gpt-5.4", CallClass::Stateless, "2027-01-01");
    assert!(found.permits());
    assert_eq!(found.observed.iter().map(|finding| &*finding.rule.id).collect::<Vec<_>>(), ["raw-rule"]);
    let waiver = "[[waiver]]\nrule = \"raw-rule\"\nworkload = \"research\"\nreason = \"r\"\nrequester = \"a\"\napprover = \"b\"\nfrom = 2027-01-01\nuntil = 2027-01-05\n";
    let plain = policy("resource.cloud == \"aws\"");
    let world = World::new(compile_with(&plain, Some(waiver), ACME).unwrap());
    let found = |now| world.permission("research", "bedrock-us-east-2/gpt-5.4", CallClass::Stateless, now);
    assert_eq!(found("2026-12-31T23:59:59Z").refusing_ids().collect::<Vec<_>>(), ["raw-rule"]);
    assert!(found("2027-01-01").permits() && found("2027-01-01").waived.len() == 1);
    assert_eq!(found("2027-01-05").refusing_ids().collect::<Vec<_>>(), ["raw-rule"]);
    assert_ne!(compile(&plain).unwrap().hash(), compile("").unwrap().hash());
}

#[test]
fn what_must_not_be_there_is_refused_with_its_line_and_a_hint() {
    let mut missed = String::new();
    for (text, expected) in [
        // Time: only compared with a literal.
        (
            policy("context.now == datetime(\"2027-01-01\")"),
            "acme-bank.cedar:8:11: `context.now` may only be compared",
        ),
        (
            policy("context.now.toDate() < datetime(\"2027-01-01\")"),
            "cedar:8:11: `context.now` may only be compared",
        ),
        (
            policy(
                "context.now < datetime(\"2027-01-01\") && context.now.offset(duration(\"1d\")) > datetime(\"2027-01-01\")",
            ),
            "cedar:8:51: `context.now` may only be compared",
        ),
        (policy("context[\"now\"] < context.now"), "compared with something that is no literal"),
        (policy("context.now < datetime(\"2027-01-01\").offset(duration(\"1d\"))"), "is no literal"),
        (policy("context.now < datetime(\"2027-02-30\")"), "2027-02-30"),
        (
            policy("if context.now > datetime(\"2027-01-01\") then true else [context.now].isEmpty()"),
            "may only be compared",
        ),
        // Entities: none can be named.
        (policy("resource == Deployment::\"azure\""), "names an entity"),
        (policy("principal == resource"), "`principal` stands alone"),
        (policy("context == {}"), "`context` stands alone"),
        (
            format!("{HEAD}forbid (principal == Workload::\"advice\", action, resource);"),
            "cedar:1:1: the scope names a principal, and there are no entities to name",
        ),
        (
            format!("{HEAD}forbid (principal, action == Action::\"infr\", resource);"),
            "cedar:6:39: there is no action `infr`\n    hint: did you mean `infer`?",
        ),
        // Attributes and words: only ours.
        (
            policy("resource.clowd == \"aws\""),
            "cedar:8:12: `resource` has no attribute `clowd`\n    hint: did you mean `cloud`?",
        ),
        (policy("principal.cloud == \"aws\""), "`principal` has no attribute `cloud`"),
        (policy("resource.availability == \"ga\""), "terms cannot read `availability`"),
        (
            policy("resource.cloud == \"awz\""),
            "cedar:8:21: `cloud` knows no value `awz`\n    hint: did you mean `aws`?",
        ),
        (policy("resource.jurisdictions.containsAny([\"dee\"])"), "`jurisdictions` knows no value `dee`"),
        // Types: Cedar's own strict validation.
        (policy("resource.cloud < 5"), "cedar:1:1:"),
        (policy("resource.cloud.contains(\"aws\")"), "cedar:1:1:"),
        // Form.
        (policy("resource.cloud == "), "not Cedar"),
        (policy("true").replace("};", "}"), "cedar:1:1: the policy does not end\n    hint: end it with `;`"),
        (policy("true").replace("forbid (", "permit ("), "cedar:1:1: a pack may only forbid"),
        (policy("true").replace("@source(\"s\")\n", ""), "the policy has no `@source`"),
        (policy("true").replace("@source(\"s\")", "@source(\"\")"), "the policy has no `@source`"),
        (
            policy("true").replace("@source(\"s\")", "@source(\"s\")\n@sauce(\"s\")"),
            "policies know no `@sauce`\n    hint: did you mean `source`?",
        ),
        (policy("true").replace("raw-rule", "Raw Rule"), "`Raw Rule` cannot be a rule id"),
        (
            policy("true").replace("raw-rule", "acme-aws-contract"),
            "the rule id `acme-aws-contract` is there twice",
        ),
        (
            policy("true").replace("@source", "@mode(\"enforced\")\n@source"),
            "`@mode` knows no `enforced`\n    hint: did you mean `enforce`?",
        ),
        (policy("true").replace("(principal,", "(principal == ?principal,"), "not Cedar"),
    ] {
        let problems = compile(&text).map_or_else(|problems| problems.to_string(), |_| "accepted".to_owned());
        if !problems.contains(expected) {
            missed.push_str(&format!("expected {expected:?}\n--- in\n{text}\n--- got\n{problems}\n"));
        }
    }
    assert!(missed.is_empty(), "{missed}");
    let law =
        ACME.replacen("binds = \"us\"", "binds = \"law\"", 1).replace("waivable = true", "waivable = false");
    let waivable = policy("true").replace("@source", "@waivable(\"true\")\n@source");
    let problems = compile_with(&waivable, None, &law).unwrap_err().to_string();
    assert!(problems.contains("a rule of a law pack is not waivable"), "{problems}");
}

#[test]
fn the_mistakes_of_all_policies_are_told_at_once() {
    let first = policy("resource.clowd == \"aws\"");
    let second = policy("resource.cloud == \"awz\" && context.now == datetime(\"2027-01-01\")")
        .replace("raw-rule", "raw-2");
    let problems = compile(&format!("{first}\n{second}")).unwrap_err();
    let lines: Vec<u32> = problems.0.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [8, 18, 18], "{problems}");
}

#[test]
fn policies_without_their_pack_are_told() {
    let terms = Terms::compile_all(&TermsInput {
        packs: &[PackChoice { file: "terms/acme-bank.toml", text: ACME, mode: None }],
        cedar: &[CedarFile { pack: "acme", file: "terms/acme.cedar", text: &policy("true") }],
        ..TermsInput::default()
    });
    let problems = terms.unwrap_err().to_string();
    assert!(
        problems.contains("terms/acme.cedar:1:1: there is no pack `acme` that these policies belong to"),
        "{problems}"
    );
}
