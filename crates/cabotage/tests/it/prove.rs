//! `cabotage terms prove`: shipped claims, and for each kind of claim a pack broken on purpose.

use crate::{cabotage, folder};
use serde_json::Value;
use std::{path::Path, process::Command};

const MSOAI: &str = include_str!("../../../../terms/microsoft-openai.toml");
const MSOAI_CLAIMS: &str = include_str!("../../../../terms/microsoft-openai.prove.toml");
const EU: &str = include_str!("../../../../terms/eu-residency.toml");
const EU_CLAIMS: &str = include_str!("../../../../terms/eu-residency.prove.toml");

/// The solver on this machine; without one the test is skipped, unless the machine must have it.
fn solver() -> Option<String> {
    let program = std::env::var("CVC5").unwrap_or_else(|_| "/usr/bin/cvc5".to_owned());
    if Command::new(&program).arg("--version").output().is_ok() {
        return Some(program);
    }
    assert!(
        std::env::var_os("CABOTAGE_REQUIRE_CVC5").is_none(),
        "CABOTAGE_REQUIRE_CVC5 is set, and there is no cvc5"
    );
    eprintln!("skipped: no cvc5 on this machine (apt-get install cvc5)");
    None
}

/// Exit code and report.
fn prove(dir: &Path, solver: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = cabotage(dir)
        .env("CVC5", solver)
        .args(["terms", "prove", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")))
}

/// Breaks a pack, and expects of one claim a counterexample; gives it.
fn refuted(pack: &str, claims: &str, name: &str, break_it: (&str, &str), claim: &str) -> Option<Value> {
    let solver = solver()?;
    let broken = pack.replace(break_it.0, break_it.1);
    assert_ne!(broken, pack, "nothing was broken");
    let (sheet, asked) = (format!("{name}.toml"), format!("{name}.prove.toml"));
    let dir = folder(&[(&sheet, &broken), (&asked, claims)]);
    let (code, report) = prove(dir.path(), &solver, &[&sheet, "--only", claim]);
    assert_eq!(code, Some(3), "{report:#}");
    assert_eq!(report["claims"][0]["verdict"], "refuted", "{report:#}");
    Some(report["claims"][0]["counterexample"].clone())
}

#[test]
fn what_ships_is_proved() {
    let Some(solver) = solver() else { return };
    let dir = folder(&[("m/microsoft-openai.toml", MSOAI), ("m/microsoft-openai.prove.toml", MSOAI_CLAIMS)]);
    let (code, report) = prove(dir.path(), &solver, &["m"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(report["claims"].as_array().unwrap().len() >= 8);
    assert!(report["meaning"].as_str().unwrap().contains("nothing about whether the facts"));
}

#[test]
fn a_day_too_few_is_found() {
    let broken = (
        "until = 2026-04-27\napplies_to = { class = \"stateless\"",
        "until = 2026-04-26\napplies_to = { class = \"stateless\"",
    );
    let Some(found) = refuted(MSOAI, MSOAI_CLAIMS, "microsoft-openai", broken, "msoai-stateless-stays")
    else {
        return;
    };
    assert_eq!(found["at"], "2026-04-26T00:00:00Z", "{found:#}");
}

#[test]
fn an_exception_too_many_is_found() {
    let broken = ("{ tags = \"us-gov-natsec\" }, {", "{ tags = \"vip\" }, { tags = \"us-gov-natsec\" }, {");
    let Some(found) = refuted(MSOAI, MSOAI_CLAIMS, "microsoft-openai", broken, "msoai-only-exceptions")
    else {
        return;
    };
    assert_eq!(found["stated"]["tags"][0], "vip", "{found:#}");
}

#[test]
fn an_amendment_that_closes_something_is_found() {
    let broken = (
        "from = 2026-04-27\napplies_to = { action = [\"infer\", \"host_state\"], family = \"openai-proprietary\" }\nnotice =",
        "from = 2026-04-27\napplies_to = { family = \"openai-proprietary\" }\nforbidden = { cloud = \"azure\" }\nquote =",
    );
    let Some(found) = refuted(MSOAI, MSOAI_CLAIMS, "microsoft-openai", broken, "msoai-april-only-opens")
    else {
        return;
    };
    assert_eq!(found["said"][0]["refused"][0]["id"], "msoai-2026-04", "{found:#}");
    assert_eq!(found["said"][1]["refused"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_pin_that_lets_the_unknown_pass_is_found() {
    let broken = (
        "allowed_only = { jurisdictions = \"@eu-eea\" }",
        "allowed_only = { jurisdictions = [\"@eu-eea\", \"unknown\"] }",
    );
    let Some(found) = refuted(EU, EU_CLAIMS, "eu-residency", broken, "eu-inference-unknown") else { return };
    assert_eq!(found["stated"]["jurisdictions"][0], "unknown", "{found:#}");
}

#[test]
fn a_rule_that_fails_is_found_and_nothing_else_is_asked_of_its_pack() {
    let Some(solver) = solver() else { return };
    let raw = "@id(\"sum\") @title(\"Sum\") @says(\"Fails.\") @source(\"s\") @clause(\"c\")\nforbid (principal, action in [Action::\"infer\"], resource) when { 9223372036854775807 + 1 > 0 };\n";
    let files = [
        ("microsoft-openai.toml", MSOAI),
        ("microsoft-openai.prove.toml", MSOAI_CLAIMS),
        ("microsoft-openai.cedar", raw),
    ];
    let dir = folder(&files);
    let (code, report) = prove(dir.path(), &solver, &["microsoft-openai.toml"]);
    assert_eq!(code, Some(3), "{report:#}");
    assert_eq!(
        report["claims"][0]["counterexample"]["said"][0]["refused"][0]["id"], "policy-error:sum",
        "{report:#}"
    );
    assert_eq!(report["claims"][1]["verdict"], "undecided");
}

#[test]
fn without_a_solver_the_message_says_what_to_do() {
    let dir = folder(&[]);
    let output = cabotage(dir.path()).env("CVC5", "/nowhere/cvc5").args(["terms", "prove"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("apt-get install cvc5"), "{text}");
}
