//! What people do with terms: read them as sentences, test them, look for what is wrong, compare, sign.

use crate::support::{ACME, EU, FACTS, MSOAI, at, compile, demo_specs, spec, workloads};
use placement::{
    FactBook, PackChoice, Terms,
    terms::{
        amend::{Effect, Given, compare_dates, compare_terms},
        book,
        cases::{CasesFile, Report, World, run},
        lint::{Severity, Vocabulary, lint},
        sentence,
    },
};
use std::{collections::BTreeMap, sync::Arc};

fn facts() -> FactBook {
    FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap()
}

fn all_packs() -> Vec<(String, String)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terms");
    let mut packs: Vec<(String, String)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| placement::terms::is_pack_file(name))
        .map(|name| (format!("terms/{name}"), std::fs::read_to_string(format!("{dir}/{name}")).unwrap()))
        .collect();
    packs.sort();
    packs
}

fn shipped() -> Terms {
    let packs = all_packs();
    let packs: Vec<PackChoice<'_>> =
        packs.iter().map(|(file, text)| PackChoice { file, text, mode: None }).collect();
    Terms::compile(&packs, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Read this snapshot as somebody who has never seen a sheet: who, what, where, from when to when, except whom, by
/// which source.
#[test]
fn every_shipped_rule_is_a_plain_sentence() {
    let terms = shipped();
    let mut text = String::new();
    for pack in terms.packs() {
        for row in &pack.rows {
            let says = sentence::with_source(terms.rule(&row.id).unwrap());
            assert!(
                says.ends_with('.') && says.contains(&*row.source) && says.contains(&*row.clause),
                "{says}"
            );
            assert!(row.from.is_none() || says.starts_with("From ") || row.says.is_some(), "{says}");
            assert!(row.until.is_none() || says.contains(":59 UTC") || row.says.is_some(), "{says}");
            text.push_str(&format!("{}\n    {says}\n", row.id));
        }
    }
    insta::assert_snapshot!("sentences", text);
}

fn cases(text: &str, terms: &Terms) -> Report {
    let book = facts();
    let deployments: Vec<_> = demo_specs().iter().map(|spec| book.describe(spec)).collect();
    let world = World { terms, book: Some(&book), deployments: &deployments, workloads: &workloads() };
    let file = CasesFile::read("m.cases.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    file.check("microsoft-openai", &world).unwrap_or_else(|problems| panic!("{problems}"));
    run(&file, "microsoft-openai", &world)
}

const GOOD: &str = r#"
[deployment.aws]
family = "openai-proprietary"
cloud = "aws"
product = "api"

[deployment.book]
book = true
provider = "bedrock"
model = "gpt-5.4"
region = "us-east-2"

[workload.natsec]
tags = "us-gov-natsec"

[[case]]
name = "The amendment opens AWS"
at = 2026-04-27
boundary = true
deployment = ["aws", "book", "bedrock-us-east-2/gpt-5.4"]
before = { refused = ["msoai-2026-02-stateless"] }
expect = { notices = ["msoai-2026-04", "msoai-2026-04-licence", "msoai-2026-04-revshare"] }

[[case]]
name = "National security is spared"
at = [2025-12-01, 2026-03-15]
deployment = "aws"
workload = ["natsec", { tags = "us-gov-natsec" }]
expect = "permitted"

[[case]]
name = "A stateful runtime is hosting and inner calls"
at = 2026-03-15
class = ["stateful", "hybrid"]
deployment = { family = "openai-proprietary", cloud = "gcp", product = "api" }
expect = { refused = ["msoai-2026-02-stateful", "msoai-2026-02-stateless"] }

[[case]]
name = "Hosting alone may be on AWS"
at = 2026-03-15
class = "stateful"
action = "host_state"
deployment = "aws"
expect = "permitted"

[[case]]
name = "Permission is not availability"
at = 2026-05-10
deployment = "book"
expect = { availability = "gated-preview" }
"#;

#[test]
fn cases_are_judged_with_the_complete_set_of_rules() {
    let terms = compile(&[("m.toml", MSOAI, None)]);
    let report = cases(GOOD, &terms);
    let failures: Vec<_> = report.failed().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(report.results[0].checks, 6);
    assert_eq!(report.results[1].checks, 4);
    assert!(report.unnamed.iter().any(|id| **id == *"msoai-2023-01"), "{:?}", report.unnamed);
}

#[test]
fn a_case_fails_where_anything_else_comes_out() {
    let terms = compile(&[("m.toml", MSOAI, None)]);
    for (right, wrong, found) in [
        ("expect = \"permitted\"", "expect = { refused = [\"msoai-2025-10\"] }", "permitted"),
        (
            "[\"msoai-2026-02-stateful\", \"msoai-2026-02-stateless\"]",
            "[\"msoai-2026-02-stateless\"]",
            "refused by msoai-2026-02-stateful, msoai-2026-02-stateless",
        ),
        (
            "availability = \"gated-preview\"",
            "availability = \"ga\"",
            "permitted; availability gated-preview",
        ),
        ("at = 2026-04-27\n", "at = 2026-04-28\n", "permitted"),
        (
            "\"msoai-2026-04\", ",
            "",
            "permitted; notices msoai-2026-04, msoai-2026-04-licence, msoai-2026-04-revshare",
        ),
    ] {
        let report = cases(&GOOD.replacen(right, wrong, 1), &terms);
        let failed: Vec<_> = report.failed().collect();
        assert_eq!(failed.len(), 1, "{wrong}: {failed:#?}");
        assert_eq!(failed[0].failures[0].found, found, "{wrong}");
    }
}

#[test]
fn a_bad_file_of_cases_tells_everything_at_once() {
    let bad = r#"
[defaults]
clas = "stateless"

[deployment.x]
cloud = "asure"

[deployment.y]
book = true

[[case]]
name = "one"
at = "soon"
deployment = "x"
expect = "allowed"

[[case]]
name = "one"
at = 2026-01-01
boundary = true
deployment = "x"
expect = { observed = ["a"] }
colour = 1
"#;
    let problems = CasesFile::read("b.cases.toml", bad).unwrap_err().to_string();
    for part in [
        "b.cases.toml:3:1: `defaults` knows no `clas`",
        "b.cases.toml:6:9: `cloud` knows no value `asure`",
        "did you mean `azure`",
        "a deployment out of the fact book has no `provider`",
        "b.cases.toml:13:6: `at`",
        "`expect` knows no `allowed`",
        "two cases are called “one”",
        "has no `before`",
        "`observed` is told apart only by the packs' own modes",
        "knows no `colour`",
    ] {
        assert!(problems.contains(part), "{part} is not in:\n{problems}");
    }
    let terms = compile(&[("m.toml", MSOAI, None)]);
    let file = CasesFile::read(
        "c.cases.toml",
        &GOOD.replace("msoai-2026-02-stateful\"", "msoai-2026-02-statefull\""),
    )
    .unwrap();
    let world = World { terms: &terms, book: None, deployments: &[], workloads: &[] };
    let problems = file.check("microsoft-openai", &world).unwrap_err().to_string();
    assert!(problems.contains("did you mean `msoai-2026-02-stateful`?"), "{problems}");
    assert!(problems.contains("there is no deployment `bedrock-us-east-2/gpt-5.4`"), "{problems}");
}

fn lints(rules: &str) -> Vec<(Severity, String)> {
    let head = "[pack]\nid = \"p\"\ntitle = \"P\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n";
    let text = format!("{head}{rules}");
    let events = [("done".to_owned(), at("2020-01-01"))].into();
    let pack = PackChoice { file: "p.toml", text: &text, mode: None };
    let terms = Terms::compile(&[pack], &events).unwrap_or_else(|problems| panic!("{problems}"));
    let book = facts();
    let vocabulary = Vocabulary {
        book: Some(&book),
        providers: &["azure"],
        models: &["gpt-5.4"],
        ..Vocabulary::default()
    };
    let found = lint(&terms, &vocabulary, at("2026-11-21")).into_iter();
    found
        .filter(|own| !(own.severity == Severity::Note && rules.contains("until_event")))
        .map(|found| (found.severity, found.to_string()))
        .collect()
}

const CARE: &str = "title = \"T\"\nsource = \"s\"\nclause = \"c\"\nowner = \"o\"\nreviewed = 2026-11-01\n";

fn rule(id: &str, body: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\n{CARE}{body}\n")
}

#[test]
fn each_lint_finds_its_fault_and_a_good_rule_has_none() {
    let good = rule("good", "applies_to = { family = \"claude\" }\nforbidden = { cloud = \"aws\" }");
    assert_eq!(lints(&good), []);
    for (body, severity, says) in [
        (
            "from = 2025-01-01\nuntil_event = \"done\"\nforbidden = { cloud = \"aws\" }",
            Severity::Error,
            "it can never apply: it would begin",
        ),
        (
            "applies_to = { cloud = \"azure\" }\nforbidden = { cloud = \"aws\" }",
            Severity::Error,
            "no cloud is both",
        ),
        (
            "applies_to = { action = \"host_state\", class = \"stateless\" }\nforbidden = { cloud = \"aws\" }",
            Severity::Error,
            "no state to host",
        ),
        (
            "applies_to = { family = \"claude\" }\nforbidden = { cloud = \"aws\" }\nexcept = [{ family = [\"claude\", \"gemini\"] }]",
            Severity::Error,
            "an exception lifts every model family",
        ),
        (
            "applies_to = { cloud = \"aws\" }\nallowed_only = { cloud = [\"aws\", \"azure\"] }",
            Severity::Error,
            "it can never refuse",
        ),
        ("forbidden = { cloud = \"ibm\" }", Severity::Warning, "no fact of the catalog is `cloud` = `ibm`"),
        (
            "forbidden = { provider = \"asure\" }",
            Severity::Warning,
            "no fact of the catalog is `provider` = `asure`",
        ),
        ("forbidden = { model = \"gpt-9*\" }", Severity::Warning, "`model` = `gpt-9*`"),
        ("notice = \"Know this\"", Severity::Warning, "a notice without an end"),
    ] {
        let found = lints(&rule("bad", body));
        assert_eq!(found.len(), 1, "{body}: {found:#?}");
        assert_eq!(found[0].0, severity, "{body}");
        assert!(found[0].1.starts_with("p.toml:7: ") && found[0].1.contains(says), "{says}: {}", found[0].1);
    }
    let careless = lints(
        &rule("bad", "forbidden = { cloud = \"aws\" }")
            .replace("owner = \"o\"\n", "")
            .replace("2026-11-01", "2024-11-01"),
    );
    assert_eq!(careless.len(), 2, "{careless:#?}");
    let future = lints(&rule("bad", "forbidden = { cloud = \"aws\" }").replace("2026-11-01", "2027-11-01"));
    assert!(future[0].1.contains("in the future"), "{future:#?}");
    let over = lints(&rule("old", "until = 2025-01-01\nforbidden = { cloud = \"aws\" }"));
    assert_eq!(over.iter().map(|found| found.0).collect::<Vec<_>>(), [Severity::Note]);
}

#[test]
fn a_shadowed_rule_is_told_with_the_one_that_shadows_it() {
    let narrow = rule(
        "narrow",
        "from = 2026-01-01\nuntil = 2027-01-01\napplies_to = { family = \"claude\", tags = \"x\" }\nforbidden = { cloud = \"aws\" }",
    );
    let wide = rule(
        "wide",
        "applies_to = { family = [\"claude\", \"gemini\"] }\nforbidden = { cloud = [\"aws\", \"gcp\"] }",
    );
    let found = lints(&format!("{narrow}{wide}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].1.contains("narrow: `wide` refuses everything that this rule refuses, at all its dates"),
        "{}",
        found[0].1
    );
    let partly = wide.replace("title", "until = 2026-06-01\ntitle");
    let found = lints(&format!("{narrow}{partly}"));
    assert!(
        found[0].1.contains("from 1 January 2026, 00:00:00 UTC, to 31 May 2026, 23:59:59 UTC"),
        "{found:#?}"
    );
    // Not shadowed: an exception of the wide one that the narrow one has not, dates that do not meet, a narrower wide one.
    for wide in [
        wide.replace("forbidden", "except = [{ tags = \"y\" }]\nforbidden"),
        wide.replace("title", "until = 2025-12-01\ntitle"),
        wide.replace("[\"aws\", \"gcp\"]", "\"gcp\""),
    ] {
        let found = lints(&format!("{narrow}{wide}"));
        assert!(found.iter().all(|own| !own.1.contains("refuses everything")), "{found:#?}");
    }
}

#[test]
fn two_dates_tell_what_opens_and_whom_it_concerns() {
    let book = facts();
    let deployments: Vec<_> = demo_specs().iter().map(|spec| book.describe(spec)).collect();
    let workloads = workloads();
    let given = Given { deployments: &deployments, workloads: &workloads };
    let enforced = MSOAI.replacen("mode = \"observe\"", "mode = \"enforce\"", 1);
    let terms = Arc::new(compile(&[("m.toml", &enforced, None)]));
    let (before, after) = (at("2026-04-26T23:59:59Z"), at("2026-04-27"));
    let opens = compare_dates(&terms, given, before, after).unwrap();
    assert!(opens.changes.iter().all(|change| change.effect == Effect::Opens), "{:#?}", opens.changes);
    let affected = opens.deployments_affected();
    assert!(
        affected.contains("bedrock-us-east-2/gpt-5.4") && affected.contains("gcp/gpt-6.1-sol"),
        "{affected:?}"
    );
    assert!(
        !affected.contains("azure-westeurope/gpt-5.4") && !affected.contains("bedrock/gpt-oss-120b"),
        "{affected:?}"
    );
    assert!(opens.workloads_affected().contains("research"));
    let natsec =
        |change: &&placement::terms::amend::Change| change.workloads.iter().any(|own| own == "natsec");
    // Of the spared workload only the vendor's own product and the hosting of state elsewhere open.
    assert!(
        opens
            .changes
            .iter()
            .filter(natsec)
            .all(|change| { !change.before.refused.iter().any(|id| **id == *"msoai-2026-02-stateless") })
    );
    let closes = compare_dates(&terms, given, after, before).unwrap();
    assert!(closes.changes.iter().all(|change| change.effect == Effect::Closes));
    assert_eq!(closes.deployments_affected(), affected);
    // The same by a pack that only observes: nothing opens, everything would.
    let observing = Arc::new(compile(&[("m.toml", MSOAI, None)]));
    let would = compare_dates(&observing, given, before, after).unwrap();
    assert!(would.changes.iter().all(|change| change.effect == Effect::WouldOpen), "{:#?}", would.changes);
    assert_eq!(would.deployments_affected(), affected);
}

#[test]
fn an_amendment_shows_today_what_it_changes_later() {
    let book = facts();
    let deployments = vec![book.describe(&spec("aws", "bedrock", "claude-opus-5-5", &["region=us-east-2"]))];
    let workloads = workloads();
    let given = Given { deployments: &deployments, workloads: &workloads };
    let old = Arc::new(compile(&[("a.toml", ACME, None)]));
    let longer = ACME.replace("until = 2026-12-01T00:00:00Z", "until = 2027-03-01T00:00:00Z");
    assert_ne!(longer, ACME);
    let new = Arc::new(compile(&[("a.toml", &longer, None)]));
    let amendment = compare_terms(&old, &new, given, at("2026-11-21")).unwrap();
    let stretches: Vec<_> = amendment.changes.iter().map(|change| (change.from, change.until)).collect();
    assert!(
        stretches.iter().all(|own| *own == (Some(at("2026-12-01")), Some(at("2027-03-01")))),
        "{:#?}",
        amendment.changes
    );
    assert_eq!(amendment.workloads_affected().into_iter().collect::<Vec<_>>(), ["advice"]);
    assert!(compare_terms(&old, &old, given, at("2026-11-21")).unwrap().changes.is_empty());
}

#[test]
fn the_book_loads_nothing_and_escapes_everything() {
    let hostile = EU.replace("title = \"Processed", "title = \"<script>alert(1)</script>Processed");
    let terms = compile(&[("m.toml", MSOAI, None), ("eu.toml", &hostile, None)]);
    let reports = [cases(GOOD, &terms)];
    let hashes = BTreeMap::from([("microsoft-openai".to_owned(), "blake3:00".to_owned())]);
    let page = book::html(&book::Book {
        title: "A & B",
        terms: &terms,
        now: at("2026-11-21"),
        hashes: &hashes,
        reports: &reports,
        approvals: &[],
        made_by: "cabotage test",
    });
    assert!(!page.contains("<script"), "a title became markup");
    for outside in ["src=", "url(", "@import", "<link", "<iframe", "<img"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for part in [
        "A &amp; B",
        "blake3:00",
        "All 5 golden cases come out",
        "The amendment opens AWS",
        "<svg",
        "Signatures",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for row in terms.packs().iter().flat_map(|pack| &pack.rows) {
        assert!(page.contains(&format!("id=\"rule-{}\"", row.id)), "{}", row.id);
    }
}
