//! `cabotage terms`, from outside.

use crate::{cabotage, folder};
use serde_json::Value;
use std::{path::Path, process::Command};

const ACME: &str = include_str!("../../../../terms/acme-bank.toml");
const ACME_CASES: &str = include_str!("../../../../terms/acme-bank.cases.toml");
const PAGE: &str = include_str!("../../../../docs/terms-commands.md");

/// Exit code, standard output, standard error.
fn ask(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = cabotage(dir).arg("terms").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn good(dir: &Path, arguments: &[&str]) -> String {
    let (code, out, err) = ask(dir, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
    out
}

fn json(dir: &Path, arguments: &[&str]) -> Value {
    let out = good(dir, &[arguments, &["--json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn bad(dir: &Path, arguments: &[&str], says: &[&str]) {
    let (code, out, err) = ask(dir, arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {out}{err}");
    for part in says {
        assert!(err.contains(part), "{part} is not in:\n{err}");
    }
}

fn acme() -> tempfile::TempDir {
    folder(&[("terms/acme-bank.toml", ACME), ("terms/acme-bank.cases.toml", ACME_CASES)])
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn what_ships_is_listed_and_shown() {
    let dir = folder(&[]);
    let text = good(dir.path(), &["list", "--at", "2026-03-15"]);
    has(
        &text,
        &[
            "rules are in force at 2026-03-15T00:00:00Z · 10 packs",
            "the terms next change at 2026-04-27T00:00:00Z",
            "  binds our vendors, not us · draft · blake3:",
            "msoai-2026-02-stateless",
        ],
    );
    for id in ["msoai-2023-01", "eu-residency-logs", "regulated-hipaa", "access-frontier"] {
        has(
            &good(dir.path(), &["show", id]),
            &[&format!("{id}: "), "  source    ", "  stands at (shipped) terms/"],
        );
    }
    let notice = good(dir.path(), &["show", "msoai-2026-04", "--cedar"]);
    has(&notice, &["none: a notice refuses nothing", "@id(\"msoai-2026-04\")", "forbid"]);
    bad(dir.path(), &["show", "msoai-2026-03"], &["did you mean `msoai-2026-0"]);
}

#[test]
fn every_shipped_rule_is_shown_as_a_sentence() {
    let dir = folder(&[]);
    let listed = json(dir.path(), &["list"]);
    let packs = listed["packs"].as_array().unwrap();
    let rules = packs.iter().flat_map(|pack| pack["rules"].as_array().unwrap());
    let ids: Vec<&str> = rules.map(|rule| rule["id"].as_str().unwrap()).collect();
    assert!(ids.len() >= 60, "{}", ids.len());
    let shown = json(dir.path(), &[&["show"], ids.as_slice()].concat());
    for id in ids {
        let own = shown.as_array().unwrap().iter().find(|own| own["id"] == id);
        let sentence = own.and_then(|own| own["sentence"].as_str()).unwrap_or_default();
        assert!(sentence.ends_with('.') && sentence.contains(", by “"), "{id}: {sentence}");
    }
}

#[test]
fn cases_are_green_and_a_broken_one_is_red() {
    let dir = acme();
    has(&good(dir.path(), &["test", "--dir", "terms"]), &["ok: acme-bank: ", "1 pack, ", " 0 failed"]);
    let broken = ACME.replacen("until = 2026-12-01T00:00:00Z", "until = 2026-12-02T00:00:00Z", 1);
    assert_ne!(broken, ACME);
    std::fs::write(dir.path().join("terms/acme-bank.toml"), broken).unwrap();
    let (code, out, err) = ask(dir.path(), &["test", "--dir", "terms"]);
    assert_eq!(code, Some(1), "{out}{err}");
    has(&out, &["acme-bank", "acme-aws-contract", "expected"]);
}

#[test]
fn what_looks_wrong_is_told_with_its_line() {
    let dir = acme();
    let never = ACME.replacen(
        "[[rule]]",
        "[[rule]]\nid = \"never\"\ntitle = \"T\"\nsource = \"s\"\nclause = \"c\"\napplies_to = { cloud = \"azure\" }\nforbidden = { cloud = \"aws\" }\n\n[[rule]]",
        1,
    );
    std::fs::write(dir.path().join("terms/acme-bank.toml"), never).unwrap();
    let (code, out, err) = ask(dir.path(), &["lint", "--dir", "terms"]);
    assert_eq!(code, Some(1), "{out}{err}");
    has(&out, &["error: never: it can never apply: no cloud is both", "warning: never: nobody owns it"]);
    let (code, out, _) = ask(&folder(&[]).keep(), &["lint"]);
    assert_eq!(code, Some(0), "{out}");
    has(&out, &["0 errors"]);
}

#[test]
fn mistakes_in_a_pack_are_told_by_every_command() {
    let slip = ACME.replace("cloud = \"aws\"", "clod = \"aws\"");
    let dir = folder(&[("terms/acme-bank.toml", &slip), ("empty/readme.txt", ""), ("bad.key", "x")]);
    let says =
        ["terms/acme-bank.toml:", "there is no attribute `clod`", "did you mean `cloud`?", "2 problems"];
    for command in ["list", "lint", "test", "book"] {
        let more: &[&str] = if command == "book" { &["-o", "b.html"] } else { &[] };
        bad(dir.path(), &[&[command, "--dir", "terms"], more].concat(), &says);
    }
    bad(dir.path(), &["diff", "terms", "microsoft-openai"], &says);
    bad(dir.path(), &["list", "--dir", "empty"], &["there is no pack in empty"]);
    bad(dir.path(), &["list", "--dir", "nowhere"], &["nowhere cannot be read"]);
    bad(dir.path(), &["show", "x", "-c", "nowhere.toml"], &["nowhere.toml cannot be read"]);
    bad(dir.path(), &["diff", "microsoft-opnai", "eu-residency"], &["did you mean `microsoft-openai`?"]);
    bad(dir.path(), &["diff", "--observe", "--journal", "empty"], &["empty holds no journal"]);
    bad(
        dir.path(),
        &["approve", "microsoft-openai", "--by", "a", "--of", "b", "--key", "bad.key"],
        &["ships with the program; copy it"],
    );
}

#[test]
fn two_dates_and_two_packs_are_compared_without_a_fleet() {
    let dir = acme();
    let found = json(dir.path(), &["diff", "--from", "2026-04-26T23:59:59Z", "--to", "2026-04-27"]);
    let changes = found["amendment"]["changes"].as_array().unwrap();
    assert!(
        changes.iter().any(|own| own["effect"] == "would-open"
            && own["before"]["observed"].as_array().unwrap().contains(&"msoai-2026-02-stateless".into())),
        "{found:#}"
    );
    assert!(found["compared"].as_str().unwrap().contains("kinds of deployments"), "{found:#}");
    let longer = ACME.replacen("until = 2026-12-01T00:00:00Z", "until = 2027-03-01T00:00:00Z", 1);
    std::fs::write(dir.path().join("longer.toml"), longer).unwrap();
    let text = good(dir.path(), &["diff", "terms/acme-bank.toml", "longer.toml", "--at", "2026-11-21"]);
    has(
        &text,
        &[
            // Everywhere without zero retention the pack refuses anyhow.
            "REFUSED AS BEFORE, by other rules",
            "calls of organisation acme-bank",
            "refused by acme-zero-retention → refused by acme-aws-contract, acme-zero-retention (from",
        ],
    );
    assert!(
        !text.contains("tags") && !text.contains("latency_class"),
        "kinds that nothing changes for: {text}"
    );
    has(&good(dir.path(), &["diff", "terms", "terms"]), &["nothing changes"]);
}

#[test]
fn a_pack_counts_once_a_second_person_has_signed_it_as_it_is() {
    let dir = acme();
    let made = good(dir.path(), &["approve", "--new-key", "john.key"]);
    let public = made.lines().find_map(|line| line.strip_prefix("public key: ")).unwrap().to_owned();
    let again = ["approve", "--new-key", "john.key"];
    bad(dir.path(), &again, &["john.key is there already; a key is never overwritten"]);
    let config = format!(
        "[terms]\ndir = \"terms\"\nrequire_approved = true\n[[terms.approver]]\nname = \"john.roe\"\nkey = \"{public}\"\n\
         [[terms.pack]]\nid = \"microsoft-openai\"\nmode = \"off\"\n[[terms.pack]]\nid = \"eu-residency\"\nmode = \"off\"\n\
         [[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n[[key]]\nid = \"me\"\nsecret = {{ env = \"K\" }}\n"
    );
    std::fs::write(dir.path().join("cabotage.toml"), config).unwrap();
    let list = ["list", "-c", "cabotage.toml"];
    bad(dir.path(), &list, &["acme-bank.toml", "approved"]);
    let sign = |by: &str, of: &str| {
        let named = ["approve", "acme-bank", "--dir", "terms", "--by", by, "--of", of, "--key", "john.key"];
        ask(dir.path(), &named)
    };
    let (code, _, err) = sign("jane.doe", "Jane.Doe");
    assert_eq!(code, Some(1));
    assert!(err.contains("a second person must approve it"), "{err}");
    assert!(!dir.path().join("terms/approvals.toml").exists());
    let (code, out, err) = sign("john.roe", "jane.doe");
    assert_eq!(code, Some(0), "{err}");
    has(&out, &["acme-bank is approved by john.roe", "[[terms.approver]]", &public]);
    has(&good(dir.path(), &list), &["approved by john.roe"]);
    has(&good(dir.path(), &["list", "--dir", "terms"]), &["draft; signed by john.roe"]);
    // One more blank, and it is another pack than the one that was signed.
    std::fs::write(dir.path().join("terms/acme-bank.toml"), format!("{ACME}\n")).unwrap();
    bad(dir.path(), &list, &["acme-bank.toml", "approved"]);
}

#[test]
fn the_book_is_one_page_that_loads_nothing() {
    let dir = folder(&[]);
    let said =
        good(dir.path(), &["book", "-o", "book.html", "--title", "Ours & theirs", "--at", "2026-11-21"]);
    has(&said, &["book.html: 10 packs, ", "open it in a browser"]);
    let page = std::fs::read_to_string(dir.path().join("book.html")).unwrap();
    for outside in ["<script", "src=", "url(", "@import", "<link", "<iframe", "<img"] {
        assert!(!page.contains(outside), "{outside}");
    }
    has(
        &page,
        &["Ours &amp; theirs", "golden cases come out", "id=\"rule-msoai-2026-02-stateless\"", "Signatures"],
    );
}

/// Every command of the page, in its order, in one folder.
#[test]
fn the_page_of_commands_is_true() {
    let dir = folder(&[]);
    let program = Path::new(env!("CARGO_BIN_EXE_cabotage")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let mut run = 0;
    for block in PAGE.split("```sh\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            let output = Command::new("/bin/sh")
                .args(["-c", line])
                .current_dir(dir.path())
                .env_clear()
                .env("PATH", &path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            run += 1;
        }
    }
    assert!(run > 12, "{run}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = folder(&[]);
    let program = env!("CARGO_BIN_EXE_cabotage");
    let line =
        format!("{program} terms list --json | /usr/bin/head -1; {program} terms list | /usr/bin/true");
    let output = Command::new("/bin/sh").args(["-c", &line]).current_dir(dir.path()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.is_empty(), "{err}");
}
