//! The packs that ship: each compiles, alone and with all others, and each row says where it comes from, who
//! answers for it and when it was last read against its source.

use crate::support::{CASES, FACTS, SHIPPED, at, compile};
use placement::{
    Binds, FactBook, Mode, PackChoice, Terms,
    terms::{
        cases::{self, CasesFile, World},
        sheet::Verdict,
    },
};
use std::collections::BTreeSet;

#[test]
fn every_pack_compiles_alone_and_all_compile_together() {
    for (id, text) in SHIPPED {
        let terms = compile(&[(id, text, None)]);
        assert_eq!(terms.packs().len(), 1, "{id}");
        assert_eq!(&*terms.packs()[0].id, id, "the file is called as the pack");
        assert!(terms.packs()[0].rows.len() >= 4, "{id}");
    }
    let all: Vec<(&str, &str, Option<Mode>)> =
        SHIPPED.iter().map(|(id, text)| (*id, *text, Some(Mode::Enforce))).collect();
    let terms = compile(&all);
    assert_eq!(terms.packs().len(), SHIPPED.len());
}

#[test]
fn every_row_has_an_owner_a_day_of_review_and_a_source() {
    let mut ids = BTreeSet::new();
    for (id, text) in SHIPPED {
        let terms = compile(&[(id, text, None)]);
        let pack = &terms.packs()[0];
        for row in &pack.rows {
            assert!(row.owner.is_some() && row.reviewed.is_some(), "{id}: {}", row.id);
            assert!(!row.source.is_empty() && !row.clause.is_empty(), "{id}: {}", row.id);
            assert!(row.reviewed < Some(at("2026-11-22")), "{id}: {} is reviewed in the future", row.id);
            assert!(!row.waivable || pack.binds != Binds::Law, "{id}: {}", row.id);
            assert!(ids.insert(row.id.to_string()), "{id}: {} twice", row.id);
        }
        assert!(text.contains("draft until") || id == "acme-bank", "{id} says that it is a draft");
    }
}

#[test]
fn the_four_terms_of_the_joint_statement_are_four_dated_rules() {
    let terms = compile(&[("microsoft-openai", SHIPPED[0].1, None)]);
    let on = |now: &str| -> Vec<String> {
        let now = at(now);
        let holds = |row: &&placement::terms::Row| {
            row.from.is_none_or(|from| from <= now) && row.until.is_none_or(|until| now < until)
        };
        terms.packs()[0].rows.iter().filter(holds).map(|row| row.id.to_string()).collect()
    };
    assert_eq!(
        on("2026-02-27"),
        [
            "msoai-2025-10-licence",
            "msoai-2026-02-stateless",
            "msoai-2026-02-stateful",
            "msoai-2026-02-frontier",
            "msoai-2026-02-revshare"
        ]
    );
    assert_eq!(on("2025-01-21"), ["msoai-2025-01", "msoai-2025-01-rofr"]);
    assert_eq!(on("2026-04-27"), ["msoai-2026-04", "msoai-2026-04-licence", "msoai-2026-04-revshare"]);
}

fn judge(id: &str, terms: &Terms, book: &FactBook, text: &str) -> cases::Report {
    let file = CasesFile::read(id, text).unwrap_or_else(|problems| panic!("{problems}"));
    let world = World { terms, book: Some(book), deployments: &[], workloads: &[] };
    file.check(id, &world).unwrap_or_else(|problems| panic!("{problems}"));
    cases::run(&file, id, &world)
}

#[test]
fn every_golden_case_holds_and_every_rule_has_one_that_it_refuses() {
    let book = FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap();
    for ((id, text), (of, cases)) in SHIPPED.into_iter().zip(CASES) {
        assert_eq!(id, of);
        let terms = compile(&[(id, text, None)]);
        let report = judge(id, &terms, &book, cases);
        let failed: Vec<String> = report.failed().map(|case| format!("{case:#?}")).collect();
        assert!(failed.is_empty(), "{id}: {}", failed.join("\n"));
        assert!(report.unnamed.is_empty(), "{id}: no case names {:?}", report.unnamed);
        assert!(report.checks() >= 9, "{id}: {} checks", report.checks());
    }
}

#[test]
fn every_date_of_a_rule_has_a_case_at_its_second() {
    for ((id, text), (_, cases)) in SHIPPED.into_iter().zip(CASES) {
        let terms = compile(&[(id, text, None)]);
        let file = CasesFile::read(id, cases).unwrap_or_else(|problems| panic!("{problems}"));
        let judged: BTreeSet<_> =
            file.cases.iter().filter(|case| case.before.is_some()).flat_map(|case| case.at.clone()).collect();
        for row in &terms.packs()[0].rows {
            for date in [row.from, row.until].into_iter().flatten() {
                assert!(judged.contains(&date), "{id}: {} turns at {date}, and no case is there", row.id);
            }
        }
    }
}

/// The cases are not hollow: of each pack without one of its rules, some case that names it fails.
#[test]
fn a_pack_that_lost_a_rule_fails_its_cases() {
    let book = FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap();
    for ((id, text), (_, cases)) in SHIPPED.into_iter().zip(CASES) {
        let whole = compile(&[(id, text, None)]);
        for row in whole.packs()[0].rows.iter().filter(|row| row.verdict != Verdict::Notice) {
            // The rule stays by name and refuses nobody: it is for an organisation that is not there.
            let own = format!("id = \"{}\"\n", row.id);
            let at = text.find(&own).unwrap();
            let (head, tail) = text.split_at(at);
            let tail = if row.applies_to.iter().any(|clause| clause.attribute.name() == "organisation") {
                tail.replacen("organisation = \"acme-bank\"", "organisation = \"nobody\"", 1)
            } else {
                tail.replacen("applies_to = { ", "applies_to = { organisation = \"nobody\", ", 1)
            };
            let broken = format!("{head}{tail}");
            let choice = PackChoice { file: id, text: &broken, mode: None };
            let terms = Terms::compile(&[choice], &std::collections::BTreeMap::new())
                .unwrap_or_else(|problems| panic!("{problems}\n{broken}"));
            let mut file = CasesFile::read(id, cases).unwrap();
            file.cases.retain(|case| case.names().any(|named| named.word == row.id));
            let world = World { terms: &terms, book: Some(&book), deployments: &[], workloads: &[] };
            let report = cases::run(&file, id, &world);
            assert!(report.failed().next().is_some(), "{id} without {}: every case still holds", row.id);
        }
    }
}
