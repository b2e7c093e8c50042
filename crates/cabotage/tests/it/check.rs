//! `cabotage check`.

use crate::{cabotage, folder};

const BROKEN: &str = "[listen]\nprot = 1\n\n[[deployment]]\nprovider = \"asure\"\nmodel = \"gpt-5.4\"\n";

#[test]
fn a_bad_configuration_exits_1_and_tells_everything() {
    let dir = folder(&[("cabotage.toml", BROKEN)]);
    let output = cabotage(dir.path()).args(["check", "-c", "cabotage.toml"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "cabotage.toml:2:1: `listen` has no `prot`",
        "cabotage.toml:5:12: `asure` is not a provider",
        "did you mean `azure`?",
        "there is no key",
        "3 problems",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn json_says_the_same() {
    let dir = folder(&[("cabotage.toml", BROKEN)]);
    let output = cabotage(dir.path()).args(["check", "--json", "-c", "cabotage.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["problems"][1]["line"], 2);
}

#[test]
fn a_good_one_exits_0_with_a_summary() {
    let text = "[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n[[key]]\nid = \"me\"\nsecret = { env = \"K\" }\n";
    let dir = folder(&[("cabotage.toml", text)]);
    let output = cabotage(dir.path())
        .args(["check", "-c", "cabotage.toml"])
        .env("K", "sk-canary-0123456789-abcdef")
        .env("OPENAI_API_KEY", "sk-canary-openai")
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ok: 1 deployment, 1 model, 1 workload, 1 key, 2 packs"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn nothing_to_start_from_is_told_with_what_to_do() {
    let dir = folder(&[]);
    let output = cabotage(dir.path()).arg("serve").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("OPENAI_API_KEY") && text.contains("cabotage demo"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let dir = folder(&[]);
    let output = cabotage(dir.path()).args(["serve", "-c", "none.toml"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("none.toml:1:1: cannot read the configuration"), "{text}");
}
