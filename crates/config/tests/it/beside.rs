//! What stands beside the packs: waivers, approvals, raw policies, and who may approve.

use crate::{FACTS, OPTIONAL, PACKS, around};
use config::{Checked, Problems, Shipped, Text};
use placement::terms::{
    PackApproval,
    approval::{Draft, SigningKey, content_hash, sign},
};
use std::path::Path;

const BASE: &str = "[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n[[workload]]\nname = \"advice\"\norganisation = \"acme-bank\"\n[[key]]\nid = \"me\"\nsecret = { env = \"GATEWAY_KEY\" }\nworkload = \"advice\"\n";
const ACME: &str = include_str!("../../../../terms/acme-bank.toml");
const WAIVER: &str = "[[waiver]]\nrule = \"acme-aws-contract\"\nworkload = \"advice\"\nreason = \"r\"\nrequester = \"jane\"\napprover = \"john\"\nfrom = 2026-11-21\nuntil = 2026-11-28\n";
const RAW: &str = "@id(\"raw-1\") @title(\"T\") @says(\"S.\") @source(\"s\") @clause(\"c\")\nforbid (principal, action, resource) when { resource.cloud == \"oci\" };\n";

/// Checks with these files in the folder of packs.
fn check(head: &str, files: &[(&str, &str)]) -> Result<Checked, Problems> {
    let mut around = around();
    for (name, text) in files {
        around.files.insert(format!("etc/terms/{name}").into(), text.as_bytes().to_vec());
    }
    let text = format!("[terms]\ndir = \"terms\"\n{head}\n{BASE}");
    let shipped = Shipped { facts: FACTS, packs: PACKS, optional: OPTIONAL };
    config::check(Text { file: Path::new("etc/cabotage.toml"), text: &text }, shipped, &around)
}

fn said(head: &str, files: &[(&str, &str)]) -> String {
    check(head, files).map_or_else(|problems| problems.to_string(), |_| "accepted".to_owned())
}

#[test]
fn they_are_read_and_watched_and_other_files_are_no_packs() {
    let files = [
        ("waivers.toml", WAIVER),
        ("acme-bank.cedar", RAW),
        ("acme-bank.cases.toml", "not = \"a pack\""),
        ("acme-bank.prove.toml", "not = \"a pack\""),
        ("approvals.toml", ""),
    ];
    let checked = check("", &files).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(checked.terms.waivers().len(), 1);
    assert!(checked.terms.rule("raw-1").is_some());
    for file in ["waivers.toml", "approvals.toml", "acme-bank.cedar", "acme-bank.toml"] {
        assert!(checked.files.contains(&format!("etc/terms/{file}").into()), "{file} is watched");
    }
    assert_eq!(checked.terms_dir.as_deref(), Some(Path::new("etc/terms")));
}

#[test]
fn mistakes_in_all_of_them_are_told_at_once() {
    let files = [
        ("waivers.toml", WAIVER.replace("\"john\"", "\"Jane\"")),
        ("acme-bank.cedar", RAW.replace("oci", "occi")),
        ("approvals.toml", "[[approval]]\npack = \"x\"\n".to_owned()),
        ("broken.toml", "[pack]\nid = \"broken\"\n".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let said = said("", &files);
    for expected in [
        "etc/terms/waivers.toml:6:12: `Jane` asks for the waiver and grants it",
        "etc/terms/acme-bank.cedar:2:63: `cloud` knows no value `occi`\n    hint: did you mean `oci`?",
        "etc/terms/approvals.toml:1:1: an approval has no `signature`",
        "etc/terms/broken.toml:1:1: `pack` has no `title`",
    ] {
        assert!(said.contains(expected), "expected {expected:?} in\n{said}");
    }
}

#[test]
fn a_waiver_for_a_workload_that_is_not_there_is_an_error() {
    let said = said("", &[("waivers.toml", &WAIVER.replace("advice", "advise"))]);
    assert!(
        said.contains("waivers.toml:1:1: the waiver of `acme-aws-contract` is for the workload `advise`"),
        "{said}"
    );
    // A pack that is off has no rules to be waived, and its raw policies are off with it.
    let off = "[[terms.pack]]\nid = \"acme-bank\"\nmode = \"off\"\n";
    let checked = check(off, &[("acme-bank.cedar", RAW)]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(checked.terms.rule("raw-1").is_none());
    let said = said_off(off);
    assert!(said.contains("there is no rule `acme-aws-contract` to be waived"), "{said}");
}

fn said_off(off: &str) -> String {
    said(off, &[("waivers.toml", WAIVER)])
}

#[test]
fn required_approval_is_by_a_listed_approver_over_the_very_content() {
    let key = SigningKey::from_seed([7; 32]);
    let head = format!(
        "require_approved = true\napprover = [{{ name = \"john\", key = \"{}\" }}]\npack = [{{ id = \"microsoft-openai\", mode = \"off\" }}, {{ id = \"eu-residency\", mode = \"off\" }}]\n",
        key.public()
    );
    let hash = content_hash(ACME, None);
    let at = placement::instant::parse("2026-11-21").unwrap();
    let draft = Draft { pack: "acme-bank", hash: &hash, by: "john", of: "jane", at };
    let signed = sign(&draft, &key).unwrap().to_toml();
    let checked =
        check(&head, &[("approvals.toml", &signed)]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(matches!(checked.terms.approval_of("acme-bank"), PackApproval::Approved(_)));
    assert!(checked.require_approved && checked.approvers.len() == 1);
    assert!(said(&head, &[]).contains("the pack `acme-bank` is not approved as it is"));
    // A raw policy slipped in beside the approved pack.
    let slipped = said(&head, &[("approvals.toml", &signed), ("acme-bank.cedar", RAW)]);
    assert!(slipped.contains("it is of another content"), "{slipped}");
    // The shipped packs count as well.
    let all = said(&head.replace("pack = [", "#"), &[("approvals.toml", &signed)]);
    assert!(all.contains("the pack `eu-residency` is not approved as it is"), "{all}");
    for (from, to, expected) in [
        ("ed25519:", "rsa:", "a key begins with `ed25519:`"),
        ("approver = [", "#", "nobody is listed who may approve"),
    ] {
        let said = said(&head.replacen(from, to, 1), &[("approvals.toml", &signed)]);
        assert!(said.contains(expected), "expected {expected:?} in\n{said}");
    }
}
