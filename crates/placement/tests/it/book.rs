//! The fact book: dates, precedence, what the operator states, and that every row says where it comes from.

use crate::support::{FACTS, at, demo_specs, spec};
use placement::{Attribute, Availability, Basis, FactBook};

fn book() -> FactBook {
    FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn openai_is_on_azure_by_declaration_until_the_amendment_and_undisclosed_after() {
    let facts = book().describe(&spec("o", "openai", "gpt-5.4", &[]));
    let before = facts.at(Attribute::Cloud, at("2026-04-26T23:59:59Z"));
    assert_eq!((before.value.as_word(), before.basis), ("azure", Basis::DeclaredByContract));
    let after = facts.at(Attribute::Cloud, at("2026-04-27"));
    assert_eq!((after.value.as_word(), after.basis), ("undisclosed", Basis::Documented));
    assert_eq!(facts.next_change(Attribute::Cloud, at("2026-04-01")), Some(at("2026-04-27")));
}

#[test]
fn availability_on_bedrock_follows_its_dates_and_regions() {
    let book = book();
    let offered = |region: &str, now: &str| {
        let stated = format!("region={region}");
        book.describe(&spec("b", "bedrock", "gpt-5.4", &[&stated])).availability(at(now))
    };
    for (region, now, expected) in [
        ("us-east-2", "2026-03-15", Availability::NotOffered),
        ("us-east-2", "2026-04-27T23:59:59Z", Availability::NotOffered),
        ("us-east-2", "2026-04-28", Availability::GatedPreview),
        ("us-east-2", "2026-05-31T23:59:59Z", Availability::GatedPreview),
        ("us-east-2", "2026-06-01", Availability::Ga),
        ("us-west-2", "2026-06-02", Availability::Ga),
        ("eu-central-1", "2026-06-02", Availability::NotOffered),
    ] {
        assert_eq!(offered(region, now), expected, "{region} {now}");
    }
}

#[test]
fn five_facts_are_five_facts_and_the_hosting_option_decides() {
    let book = book();
    let now = at("2026-11-21");
    let row = |stated: &[&str], provider: &str| {
        let facts = book.describe(&spec("c", provider, "claude-opus-5-5", stated));
        [Attribute::Seller, Attribute::Operator, Attribute::Processor, Attribute::Cloud]
            .map(|attribute| facts.value(attribute, now).to_string())
    };
    assert_eq!(row(&["hosted_on=azure"], "azure"), ["anthropic", "microsoft", "anthropic", "azure"]);
    assert_eq!(
        row(&["hosted_on=anthropic"], "azure"),
        ["anthropic", "anthropic", "anthropic", "undisclosed"]
    );
    assert_eq!(row(&[], "azure"), ["anthropic", "unknown", "anthropic", "unknown"]);
    assert_eq!(row(&["hosted_on=gcp"], "vertex"), ["google", "google", "google", "gcp"]);
    assert_eq!(row(&["hosted_on=anthropic"], "vertex"), ["google", "anthropic", "anthropic", "gcp"]);
    assert_eq!(row(&[], "bedrock"), ["aws", "aws", "aws", "aws"]);
}

#[test]
fn the_operator_wins_and_an_overlay_wins_over_the_book() {
    let overlay = r#"
        as_of = 2026-11-22
        [[fact]]
        of = { provider = "openai" }
        from = 2026-11-22
        says = { retention = "zero" }
        basis = "operator"
        source = "contract 4711"
        confidence = "stated"
    "#;
    let book = FactBook::parse(&[("a", FACTS), ("b", overlay)]).unwrap();
    let facts = book.describe(&spec("o", "openai", "gpt-5.4", &[]));
    assert_eq!(facts.value(Attribute::Retention, at("2026-11-21")).as_word(), "days30");
    let fact = facts.at(Attribute::Retention, at("2026-11-22"));
    assert_eq!((fact.value.as_word(), &*fact.as_of), ("zero", "2026-11-22"));
    let facts = book.describe(&spec("o", "openai", "gpt-5.4", &["retention=longer"]));
    let fact = facts.at(Attribute::Retention, at("2026-11-22"));
    assert_eq!((fact.value.as_word(), fact.basis, &*fact.source), ("longer", Basis::Operator, "test.toml:1"));
}

#[test]
fn what_nobody_stated_is_unknown_and_every_demo_deployment_has_a_family() {
    let book = book();
    let facts = book.describe(&spec("x", "nobody", "nothing", &[]));
    for attribute in [Attribute::Cloud, Attribute::Jurisdictions, Attribute::Retention, Attribute::Family] {
        let fact = facts.at(attribute, at("2026-11-21"));
        assert!(fact.value.has("unknown"), "{attribute}");
        assert_eq!(fact.basis, Basis::Unstated);
    }
    assert_eq!(facts.availability(at("2026-11-21")), Availability::Unknown);
    for spec in demo_specs() {
        let facts = book.describe(&spec);
        let family = facts.value(Attribute::Family, at("2026-11-21"));
        assert_ne!(family.as_word(), "unknown", "{}", spec.id);
        let basis = facts.at(Attribute::Family, at("2026-11-21"));
        assert!(!basis.source.is_empty() && !basis.as_of.is_empty());
    }
    let oss = book.describe(&spec("x", "vllm", "gpt-oss-120b", &[]));
    assert_eq!(oss.value(Attribute::Family, at("2026-11-21")).as_word(), "openai-open-weight");
}

#[test]
fn mistakes_in_a_book_are_all_told() {
    let text = "as_of = 2026-11-21\n[[fact]]\nof = { providr = \"x\" }\nsays = { cloud = \"asure\", colour = \"red\" }\nbasis = \"rumour\"\nconfidence = \"verified\"\n[[fact]]\nof = {}\nfrom = 2026-01-02\nuntil = 2026-01-01\nsays = { region = \"x\" }\nbasis = \"documented\"\nsource = \"s\"\nconfidence = \"primary\"\n";
    let problems = FactBook::parse(&[("f.toml", text)]).unwrap_err().to_string();
    for expected in [
        "f.toml:3:8: rows cannot match on `providr`\n    hint: did you mean `provider`?",
        "f.toml:4:18: `cloud` knows no value `asure`\n    hint: did you mean `azure`?",
        "f.toml:4:27: there is no fact `colour`",
        "f.toml:5:9: `basis` knows no `rumour`",
        "f.toml:2:1: a fact has no `source`",
        "is not after `from`",
        "`region` cannot be dated",
    ] {
        assert!(problems.contains(expected), "{expected}\n---\n{problems}");
    }
}

#[test]
fn attestations_of_all_matching_rows_in_force_add_up() {
    let text = r#"
as_of = 2026-11-21
[[fact]]
of = { provider = "bedrock" }
says = { attestations = "iso-27001", seller = "aws" }
basis = "documented"
source = "https://example.com/iso"
confidence = "primary"
[[fact]]
of = { provider = "bedrock", region = "us-east-2" }
says = { attestations = ["hipaa-baa", "soc-2"] }
until = 2027-03-01
basis = "declared-by-contract"
source = "https://example.com/baa"
confidence = "secondary"
as_of = 2026-10-01
[[fact]]
of = { provider = "bedrock", region = "eu-central-1" }
says = { attestations = "c5" }
basis = "documented"
source = "https://example.com/c5"
confidence = "primary"
"#;
    let book = FactBook::parse(&[("b.toml", text)]).unwrap_or_else(|problems| panic!("{problems}"));
    let facts = book.describe(&spec("b", "bedrock", "m", &["region=us-east-2", "attestations=our-audit"]));
    let before = facts.at(Attribute::Attestations, at("2027-02-28T23:59:59Z"));
    assert_eq!(before.value.to_string(), "hipaa-baa, iso-27001, our-audit, soc-2");
    assert_eq!(before.basis, Basis::DeclaredByContract, "the weakest basis, never a stronger one");
    assert_eq!(before.confidence.name(), "stated");
    assert_eq!(&*before.as_of, "2026-10-01");
    assert!(before.source.contains("/baa") && before.source.contains("/iso"), "{}", before.source);
    // The scope of the third row is another region; the second has expired.
    let after = facts.value(Attribute::Attestations, at("2027-03-01"));
    assert_eq!(after.to_string(), "iso-27001, our-audit");
    assert_eq!(facts.next_change(Attribute::Attestations, at("2026-11-21")), Some(at("2027-03-01")));
    // Where no row is in force, nobody knows.
    let none = book.describe(&spec("n", "nobody", "m", &[]));
    assert_eq!(none.value(Attribute::Attestations, at("2026-11-21")).to_string(), "unknown");
}
