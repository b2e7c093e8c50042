//! Whatever is wrong with a pack is told at once, with file, line, column and a hint; and then none is in force.

use crate::support::{EU, MSOAI};
use placement::{PackChoice, Problems, Terms};
use std::collections::BTreeMap;

const HEAD: &str =
    "[pack]\nid = \"p\"\ntitle = \"P\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n";

fn wrong(files: &[(&str, &str)]) -> Problems {
    let packs: Vec<PackChoice<'_>> =
        files.iter().map(|(file, text)| PackChoice { file, text, mode: None }).collect();
    Terms::compile(&packs, &BTreeMap::new()).unwrap_err()
}

fn rule(rest: &str) -> String {
    format!("{HEAD}[[rule]]\nid = \"r\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\n{rest}\n")
}

#[test]
fn each_kind_of_mistake_has_its_place_and_its_hint() {
    for (text, expected) in [
        (
            rule("applies_to = { famly = \"claude\" }\nforbidden = { cloud = \"aws\" }"),
            "p.toml:12:16: there is no attribute `famly`\n    hint: did you mean `family`?",
        ),
        (
            rule("forbidden = { cloud = \"awz\" }"),
            "p.toml:12:23: `cloud` knows no value `awz`\n    hint: did you mean `aws`?",
        ),
        (rule("forbidden = { jurisdictions = \"@eu\" }"), "`jurisdictions` knows no group `@eu`"),
        (rule("forbidden = { availability = \"ga\" }"), "terms cannot read `availability`"),
        (
            rule("applies_to = { action = \"infr\" }\nforbidden = { cloud = \"aws\" }"),
            "hint: did you mean `infer`?",
        ),
        (
            rule("from = 2026-02-27\nuntil = 2026-02-27\nforbidden = { cloud = \"aws\" }"),
            "p.toml:13:9: `until` (2026-02-27T00:00:00Z) is not after `from`",
        ),
        (rule("from = 2026-02-30\nforbidden = { cloud = \"aws\" }"), "p.toml:12:"),
        (
            rule("from = 2026-02-27T00:00:00\nforbidden = { cloud = \"aws\" }"),
            "is not an instant with a zone",
        ),
        (rule(""), "the rule does nothing"),
        (rule("forbidden = { cloud = \"aws\" }\nallowed_only = { cloud = \"aws\" }"), "more than one of"),
        (rule("forbidden = {}"), "names nothing"),
        (rule("forbidden = { cloud = [] }"), "`cloud` lists nothing"),
        (rule("except = [{}]\nforbidden = { cloud = \"aws\" }"), "lifts the whole rule"),
        (rule("owner = 5\nforbidden = { cloud = \"aws\" }"), "`owner` must be a string, not an integer"),
        (
            rule("sauce = \"x\"\nforbidden = { cloud = \"aws\" }"),
            "a rule knows no `sauce`\n    hint: did you mean `source`?",
        ),
        (rule("forbidden = { cloud = \"aws\" ").replace("title = \"P\"\n", ""), "not TOML"),
        (
            rule("forbidden = { cloud = \"aws\" }").replace("binds = \"us\"", "binds = \"them\""),
            "`binds` knows no `them`",
        ),
        (
            rule("forbidden = { cloud = \"aws\" }").replace("source = \"s\"\n", ""),
            "p.toml:7:1: a rule has no `source`",
        ),
        (
            rule("forbidden = { cloud = \"aws\" }").replace("id = \"r\"", "id = \"R 1\""),
            "cannot be a rule id",
        ),
        (
            rule("waivable = true\nforbidden = { cloud = \"aws\" }").replace("\"us\"", "\"law\""),
            "law pack is not waivable",
        ),
        (String::new(), "a pack file has no `pack`"),
    ] {
        let problems = wrong(&[("p.toml", &text)]).to_string();
        assert!(problems.contains(expected), "expected {expected:?}\n--- in\n{text}\n--- got\n{problems}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_told_at_once() {
    let first = rule("forbidden = { cloud = \"awz\" }");
    let second = rule("sauce = \"x\"\nforbidden = { colour = \"red\" }").replace("source = \"s\"\n", "");
    let problems = wrong(&[("a.toml", &first), ("b.toml", &second), ("eu.toml", EU)]);
    let places: Vec<(&str, u32)> = problems.0.iter().map(|problem| (&*problem.file, problem.line)).collect();
    assert_eq!(
        places,
        [("a.toml", 12), ("b.toml", 1), ("b.toml", 7), ("b.toml", 11), ("b.toml", 12)],
        "{problems}"
    );
}

#[test]
fn doubles_are_found_across_packs() {
    let twice = MSOAI.replace("id = \"microsoft-openai\"", "id = \"another\"");
    let problems = wrong(&[("a.toml", MSOAI), ("b.toml", &twice)]).to_string();
    assert!(
        problems.contains("the rule id `msoai-2026-04` is there twice\n    hint: the first is at a.toml:"),
        "{problems}"
    );
    let problems = wrong(&[("a.toml", EU), ("b.toml", EU)]).to_string();
    assert!(problems.contains("the pack `eu-residency` is there twice"), "{problems}");
}

#[test]
fn quotes_and_control_characters_in_a_sheet_do_not_break_the_policy() {
    let text =
        rule("says = \"say \\\"x\\\" \\\\ and\\nthen \\u0007 ü\"\nforbidden = { region = \"a\\\"b\" }");
    let pack = PackChoice { file: "p.toml", text: &text, mode: None };
    let terms = Terms::compile(&[pack], &BTreeMap::new()).unwrap();
    assert!(terms.rule("r").unwrap().says.contains("say \"x\" \\ and\nthen \u{7} ü"));
}
