//! Approvals: a second person's signature over the very content of a pack.

use crate::support::{ACME, at};
use placement::{
    PackChoice, Problems, Terms,
    terms::{
        Approver, CedarFile, PackApproval, SideFile, TermsInput,
        approval::{Approval, Draft, PublicKey, SigningKey, content_hash, read, sign, verify},
    },
};

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}

fn approvers() -> Vec<Approver> {
    ["john.roe", "mary.poe"]
        .iter()
        .zip(1..)
        .map(|(name, n)| Approver { name: (*name).into(), key: key(n).public() })
        .collect()
}

fn approval(hash: &str, by: &str, signer: &SigningKey) -> Approval {
    let draft = Draft { pack: "acme-bank", hash, by, of: "jane.doe", at: at("2026-11-21T10:00:00.5Z") };
    sign(&draft, signer).unwrap()
}

fn compile(pack: &str, approvals: &str, required: bool) -> Result<Terms, Problems> {
    compile_with(pack, None, approvals, required)
}

fn compile_with(pack: &str, cedar: Option<&str>, approvals: &str, required: bool) -> Result<Terms, Problems> {
    let approvers = approvers();
    let cedar: Vec<CedarFile<'_>> = cedar
        .into_iter()
        .map(|text| CedarFile { pack: "acme-bank", file: "terms/acme-bank.cedar", text })
        .collect();
    Terms::compile_all(&TermsInput {
        packs: &[PackChoice { file: "terms/acme-bank.toml", text: pack, mode: None }],
        cedar: &cedar,
        approvals: Some(SideFile { file: "terms/approvals.toml", text: approvals }),
        approvers: &approvers,
        require_approved: required,
        ..TermsInput::default()
    })
}

#[test]
fn what_is_signed_is_read_again_and_verified() {
    let own = approval(&content_hash(ACME, None), "john.roe", &key(1));
    let (read, problems) = read("terms/approvals.toml", &own.to_toml());
    assert!(problems.0.is_empty(), "{problems}");
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].message(), read[0].signature), (own.message(), own.signature));
    assert_eq!(verify(&read[0], &approvers()), Ok(()));
    // Keys go through text.
    assert_eq!(SigningKey::parse(&key(1).to_text()).unwrap().public(), key(1).public());
    assert_eq!(PublicKey::parse(&key(1).public().to_string()).unwrap(), key(1).public());
    assert!(!format!("{:?}", key(1)).contains("cabotage-secret"));
    for (text, expected) in [
        ("ed25519:xyz!", "not base64"),
        ("ed25519:AAAA", "32 bytes, this has 3"),
        ("rsa:AAAA", "begins with `ed25519:`"),
        // The neutral element: every signature is good under it.
        ("ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "weak"),
    ] {
        assert!(PublicKey::parse(text).unwrap_err().contains(expected), "{text}");
    }
}

#[test]
fn nobody_approves_his_own_pack_and_names_are_one_line() {
    let hash = content_hash(ACME, None);
    let draft =
        Draft { pack: "acme-bank", hash: &hash, by: "Jane.Doe", of: "jane.doe", at: at("2026-11-21") };
    assert!(sign(&draft, &key(1)).unwrap_err().contains("second person"));
    let two_lines = Draft { by: "john.roe\nof: x", ..draft };
    assert!(sign(&two_lines, &key(1)).unwrap_err().contains("one line"));
    assert!(sign(&Draft { by: "john.roe", hash: "blake3:12", ..draft }, &key(1)).is_err());
    // The author that the pack names may not approve it, whatever the approval says.
    let authored = ACME.replacen("status =", "author = \"John.Roe\"\nstatus =", 1);
    let own = approval(&content_hash(&authored, None), "john.roe", &key(1));
    let problems = compile(&authored, &own.to_toml(), true).unwrap_err().to_string();
    assert!(problems.contains("`john.roe` approves his own pack"), "{problems}");
}

#[test]
fn each_changed_byte_makes_an_approval_worthless() {
    let good = approval(&content_hash(ACME, None), "john.roe", &key(1));
    assert_eq!(verify(&good, &approvers()), Ok(()));
    let mut flipped = good.signature;
    flipped[17] ^= 1;
    for (bad, expected) in [
        (Approval { by: "mary.poe".into(), ..good.clone() }, "signature is not that of `mary.poe`"),
        (Approval { by: "nobody".into(), ..good.clone() }, "`nobody` is not among the approvers"),
        (Approval { of: "john.roe".into(), ..good.clone() }, "approves his own pack"),
        (Approval { of: "x".into(), ..good.clone() }, "signature"),
        (Approval { pack: "other".into(), ..good.clone() }, "signature"),
        (Approval { at: at("2026-11-22"), ..good.clone() }, "signature"),
        (Approval { hash: content_hash("", None).into(), ..good.clone() }, "signature"),
        (Approval { signature: flipped, ..good.clone() }, "signature"),
        (approval(&good.hash, "john.roe", &key(2)), "signature is not that of `john.roe`"),
    ] {
        let why = verify(&bad, &approvers()).unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn an_unapproved_or_changed_pack_is_refused_where_approval_is_required() {
    let good = approval(&content_hash(ACME, None), "john.roe", &key(1)).to_toml();
    let terms = compile(ACME, &good, true).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(matches!(terms.approval_of("acme-bank"), PackApproval::Approved(own) if &*own.by == "john.roe"));
    assert!(terms.notes(at("2026-11-21")).0.is_empty());
    let changed = ACME.replace("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z");
    let problems = compile(&changed, &good, true).unwrap_err().to_string();
    for expected in [
        "terms/acme-bank.toml:1:1: the pack `acme-bank` is not approved as it is",
        "cabotage terms approve acme-bank",
        "terms/approvals.toml:1:1: this approval of `acme-bank` counts for nothing: it is of another content",
    ] {
        assert!(problems.contains(expected), "expected {expected:?} in\n{problems}");
    }
    assert!(compile(ACME, "", true).is_err());
    // History stays: an approval of an older content beside the valid one is nothing to be told.
    let old = approval(&content_hash(&changed, None), "mary.poe", &key(2)).to_toml();
    let terms =
        compile(ACME, &format!("{old}\n{good}"), true).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(terms.notes(at("2026-11-21")).0.is_empty());
    // Approvals change no decision, so they are not in the hash of the terms.
    assert_eq!(terms.hash(), compile(ACME, "", false).unwrap().hash());
}

#[test]
fn a_status_is_only_believed_with_a_signature() {
    let claims = ACME.replacen("status = \"draft\"", "status = \"approved\"", 1);
    let terms = compile(&claims, "", false).unwrap();
    assert_eq!(terms.approval_of("acme-bank"), PackApproval::Claimed);
    let notes = terms.notes(at("2026-11-21")).to_string();
    assert!(
        notes.contains("says that it is approved, and nothing proves it: it counts as a draft"),
        "{notes}"
    );
    let good = approval(&content_hash(&claims, None), "mary.poe", &key(2)).to_toml();
    assert!(matches!(
        compile(&claims, &good, false).unwrap().approval_of("acme-bank"),
        PackApproval::Approved(_)
    ));
    assert_eq!(compile(ACME, "", false).unwrap().approval_of("acme-bank"), PackApproval::Draft);
}

#[test]
fn raw_policies_are_part_of_what_is_signed() {
    let cedar = "@id(\"raw\") @title(\"T\") @says(\"S.\") @source(\"s\") @clause(\"c\")\nforbid (principal, action, resource) when { resource.cloud == \"oci\" };\n";
    let both = approval(&content_hash(ACME, Some(cedar)), "john.roe", &key(1)).to_toml();
    assert!(compile_with(ACME, Some(cedar), &both, true).is_ok());
    assert!(compile_with(ACME, None, &both, true).is_err());
    let more = cedar.replace("oci", "aws");
    assert!(compile_with(ACME, Some(&more), &both, true).is_err());
    assert_ne!(content_hash("ab", Some("c")), content_hash("a", Some("bc")));
    assert_ne!(content_hash("ab", Some("")), content_hash("ab", None));
}

#[test]
fn mistakes_in_the_file_have_their_place() {
    let good = approval(&content_hash(ACME, None), "john.roe", &key(1)).to_toml();
    for (text, expected) in [
        (
            good.replace("by = \"john.roe\"", "by = \"jane.doe\""),
            "approvals.toml:4:6: `jane.doe` approves his own pack",
        ),
        (good.replace("blake3:", "sha256:"), "approvals.toml:3:8: `sha256:"),
        (
            good.replace("signature = \"", "signature = \"A"),
            "approvals.toml:7:13: `signature` is not 64 bytes in base64",
        ),
        (good.replace("of =", "off ="), "an approval knows no `off`\n    hint: did you mean `of`?"),
        (good.replace("at = 2026-11-21", "at = 2026-11-31"), "approvals.toml:6"),
        ("approval = 5".to_owned(), "`approval` must be a list of tables"),
    ] {
        let problems = compile(ACME, &text, false).unwrap_err().to_string();
        assert!(problems.contains(expected), "expected {expected:?} in\n{problems}");
    }
}
