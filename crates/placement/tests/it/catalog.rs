//! The catalog's questions: what counts and what it shadows, who offers a model, what changes, what is stale. And
//! that no shipped row is there in vain.

use crate::support::{FACTS, at, demo_specs, spec};
use placement::{
    Attribute, DeploymentSpec, FactBook,
    attribute::{Owner, Value},
    facts::{self, StaleLimits},
};
use std::collections::BTreeSet;

const OVERLAY: &str = r#"
as_of = 2026-06-01
[[fact]]
of = { provider = "openai" }
says = { retention = "zero" }
basis = "declared-by-contract"
source = ["contract 4711", "mail of the vendor"]
confidence = "verified"
[[fact]]
of = { provider = "bedrock", region = "us-east-2" }
until = 2027-01-31
says = { attestations = ["soc2"] }
basis = "operator"
source = "report of 2026"
confidence = "stated"
[[fact]]
of = { provider = "azure", model = "gpt-5.4" }
from = 2026-12-15
says = { availability = "retired" }
basis = "documented"
source = "vendor's mail"
confidence = "primary"
"#;

fn shipped() -> FactBook {
    FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap_or_else(|problems| panic!("{problems}"))
}

fn overlaid() -> FactBook {
    FactBook::parse(&[("catalog/facts.toml", FACTS), ("own.toml", OVERLAY)]).unwrap()
}

/// One spec that the row matches, made of the row's own words.
fn example_of(row: &facts::BookRow) -> DeploymentSpec {
    let word = |attribute: Attribute| {
        let own = row.of.iter().find(|(own, _)| *own == attribute);
        own.and_then(|(_, words)| words.first()).map(|word| word.replace('*', "x"))
    };
    let mut stated: Vec<String> = Vec::new();
    for attribute in
        [Attribute::Region, Attribute::GeoTier, Attribute::HostedOn, Attribute::Seller, Attribute::Family]
    {
        stated.extend(word(attribute).map(|word| format!("{attribute}={word}")));
    }
    let stated: Vec<&str> = stated.iter().map(String::as_str).collect();
    let provider = word(Attribute::Provider).unwrap_or_else(|| "openai-compatible".to_owned());
    let model = word(Attribute::Model).unwrap_or_else(|| "some-model".to_owned());
    spec("example", &provider, &model, &stated)
}

#[test]
fn every_shipped_row_matches_something_and_counts_somewhere() {
    let book = shipped();
    for row in book.rows() {
        let found = facts::stale(
            &book,
            Some(&[example_of(row)]),
            at("2026-11-21"),
            StaleLimits { older_than_days: 90, within_days: 90 },
        );
        let place = row.place();
        assert!(!found.unmatched.iter().any(|other| other.place == place), "{place} matches not even itself");
        // These two are what the example itself states.
        if matches!(row.attribute, Attribute::HostedOn | Attribute::Family) {
            continue;
        }
        // Named by its own words, the row is the one that counts, or a more specific one says so.
        let dates: Vec<_> = [row.dated.from, row.dated.until].into_iter().flatten().collect();
        let inside = dates.first().copied().map_or_else(
            || at("2026-11-21"),
            |date| if row.dated.from.is_some() { date } else { date - jiff::Span::new().seconds(1) },
        );
        let shown = facts::show(&book, &example_of(row), inside);
        let shown = shown.iter().find(|fact| fact.attribute == row.attribute).unwrap();
        let counts = shown.place.as_deref() == Some(&place);
        let shadowed = shown.shadows.iter().any(|other| other.place == place);
        assert!(counts || shadowed, "{place} neither counts nor is shadowed: {shown:#?}");
    }
}

#[test]
fn providers_in_the_book_are_known_or_told_in_its_head() {
    let adapters = [
        "openai",
        "azure",
        "bedrock",
        "anthropic",
        "gemini",
        "vertex",
        "openai-compatible",
        "vllm",
        "ollama",
        "mistral",
        "groq",
        "together",
        "deepseek",
        "xai",
        "openrouter",
        "cerebras",
        "perplexity",
        "huggingface",
    ];
    let sellers: BTreeSet<&str> = ["oracle", "snowflake", "databricks"].into();
    for row in shipped().rows() {
        for (attribute, words) in &row.of {
            for word in words {
                match attribute {
                    Attribute::Provider => assert!(adapters.contains(&&**word), "{}: {word}", row.place()),
                    Attribute::Seller => assert!(sellers.contains(&**word), "{}: {word}", row.place()),
                    _ => {}
                }
            }
        }
        assert!(row.attribute.owner() == Owner::Deployment);
        assert!(!row.dated.fact.source.contains("[R]"), "{}", row.place());
        assert_ne!(
            row.attribute,
            Attribute::Attestations,
            "{}: attestations are the operator's",
            row.place()
        );
    }
}

#[test]
fn a_fact_tells_its_dates_its_place_and_what_it_shadows() {
    let own = spec("o", "openai", "gpt-5.4", &[]);
    let shown = facts::show(&overlaid(), &own, at("2026-11-21"));
    let fact = |attribute| shown.iter().find(|fact| fact.attribute == attribute).unwrap();
    let retention = fact(Attribute::Retention);
    assert_eq!(retention.fact.value, Value::word("zero"));
    assert_eq!(retention.place.as_deref(), Some("own.toml:3"));
    assert!(retention.overlay);
    assert_eq!(&*retention.fact.source, "contract 4711; mail of the vendor");
    assert_eq!(retention.shadows.len(), 1);
    assert_eq!(retention.shadows[0].value, Value::word("days30"));
    let cloud = fact(Attribute::Cloud);
    assert_eq!((cloud.since, cloud.until), (Some(at("2026-04-27")), None));
    let before = facts::show(&overlaid(), &own, at("2026-03-15"));
    let cloud = before.iter().find(|fact| fact.attribute == Attribute::Cloud).unwrap();
    assert_eq!((cloud.until, cloud.then.clone()), (Some(at("2026-04-27")), Some(Value::word("undisclosed"))));
    let accelerator = fact(Attribute::Accelerator);
    assert!(accelerator.place.is_none() && accelerator.fact.value.has("unknown"));
}

#[test]
fn attestations_add_up_and_shadow_nothing() {
    let own = spec("b", "bedrock", "gpt-5.4", &["region=us-east-2", "attestations=iso27001"]);
    let shown = facts::show(&overlaid(), &own, at("2026-11-21"));
    let found = shown.iter().find(|fact| fact.attribute == Attribute::Attestations).unwrap();
    assert_eq!(found.fact.value.to_string(), "iso27001, soc2");
    assert!(found.shadows.is_empty());
    assert_eq!(found.until, Some(at("2027-01-31")));
    let later = facts::show(&overlaid(), &own, at("2027-01-31"));
    let found = later.iter().find(|fact| fact.attribute == Attribute::Attestations).unwrap();
    assert_eq!(found.fact.value.to_string(), "iso27001");
}

#[test]
fn a_model_is_offered_at_its_hosts_with_their_regions_and_hosting_options() {
    let book = shipped();
    let hosts = |model: &str, now: &str| {
        let model = domain::ModelName::new(model);
        let hosts = facts::hosts(&book, &model, &[], at(now));
        let line = |host: &facts::HostShown| {
            let only: Vec<String> = host.only.iter().map(|(_, word)| format!(" {word}")).collect();
            format!("{}{}: {}", host.host, only.concat(), host.availability.fact.value)
        };
        hosts.iter().map(line).collect::<Vec<_>>()
    };
    let found = hosts("gpt-5.5", "2026-06-01");
    for expected in ["bedrock: not-offered", "bedrock us-east-2: ga"] {
        assert!(found.iter().any(|line| line == expected), "{expected} is not in {found:#?}");
    }
    assert!(hosts("gpt-5.5", "2026-05-10").contains(&"bedrock us-east-2: gated-preview".to_owned()));
    let found = hosts("gpt-6.1-sol", "2026-11-21");
    for expected in
        ["azure: ga", "openai: ga", "vertex: gated-preview", "snowflake: unknown", "oracle: unknown"]
    {
        assert!(found.iter().any(|line| line == expected), "{expected} is not in {found:#?}");
    }
    let found = hosts("claude-opus-5-5", "2026-11-21");
    assert!(found.contains(&"azure anthropic: ga".to_owned()), "{found:#?}");
    assert!(found.contains(&"vertex gcp: ga".to_owned()), "{found:#?}");
    assert!(hosts("no-such-model", "2026-11-21").is_empty());
}

#[test]
fn a_seller_is_not_a_cloud() {
    let book = shipped();
    let snowflake =
        book.describe(&spec("s", "openai-compatible", "gpt-6.1-sol", &["seller=snowflake", "region=AWS_US"]));
    let word = |attribute| snowflake.value(attribute, at("2026-11-21")).to_string();
    assert_eq!(word(Attribute::Seller), "snowflake");
    assert_eq!((word(Attribute::Cloud), word(Attribute::Jurisdictions)), ("aws".to_owned(), "us".to_owned()));
    assert_eq!(word(Attribute::Processor), "unknown");
    let oracle = book.describe(&spec("x", "openai-compatible", "gpt-5", &["seller=oracle"]));
    assert_eq!(oracle.value(Attribute::Cloud, at("2026-11-21")).as_word(), "unknown");
    assert_eq!(oracle.availability(at("2026-06-09")), placement::Availability::NotOffered);
    let platform = book.describe(&spec("p", "anthropic", "claude-opus-5-5", &["hosted_on=aws"]));
    let word = |attribute| platform.value(attribute, at("2026-11-21")).to_string();
    assert_eq!(
        (word(Attribute::Processor), word(Attribute::Cloud)),
        ("anthropic".to_owned(), "unknown".to_owned())
    );
}

#[test]
fn partitions_follow_the_region() {
    let book = shipped();
    for (region, expected) in [
        ("us-east-2", "commercial"),
        ("us-gov-west-1", "us-gov"),
        ("eusc-de-east-1", "eu-sovereign"),
        ("cn-north-1", "cn"),
    ] {
        let stated = format!("region={region}");
        let facts = book.describe(&spec("b", "bedrock", "gpt-5.4", &[&stated]));
        assert_eq!(facts.value(Attribute::Partition, at("2026-11-21")).as_word(), expected, "{region}");
    }
}

#[test]
fn two_dates_are_compared_in_rows_and_in_the_fleet() {
    let book = shipped();
    let fleet = demo_specs();
    let turns = facts::turns(&book, at("2026-04-26T23:59:59Z"), at("2026-04-27"));
    let said: Vec<String> =
        turns.iter().map(|turn| format!("{} {} {}", turn.attribute, turn.begins, turn.of)).collect();
    assert!(said.contains(&"cloud true provider openai".to_owned()), "{said:#?}");
    assert!(said.contains(&"cloud false provider openai".to_owned()), "{said:#?}");
    let found = facts::compare_dates(&book, &fleet, at("2026-04-26T23:59:59Z"), at("2026-04-27"));
    let said: BTreeSet<String> =
        found.iter().map(|own| format!("{} {}", own.deployment, own.attribute)).collect();
    let expected: BTreeSet<String> =
        ["openai/gpt-5.4 cloud", "openai/gpt-6.1-sol cloud", "gcp/gpt-6.1-sol availability"]
            .map(str::to_owned)
            .into();
    assert_eq!(said, expected);
    assert!(facts::compare_dates(&book, &fleet, at("2026-11-21"), at("2026-11-22")).is_empty());
}

#[test]
fn two_books_are_compared_in_rows_and_in_the_fleet() {
    let (old, new) = (shipped(), overlaid());
    let fleet = demo_specs();
    assert!(facts::compare_rows(&old, &shipped()).is_empty());
    let rows = facts::compare_rows(&old, &new);
    assert_eq!(rows.len(), 3, "{rows:#?}");
    let changed = rows.iter().find(|row| row.attribute == Attribute::Retention).unwrap();
    assert_eq!(
        (changed.before.len(), changed.after.len()),
        (1, 2),
        "beside the shipped row stands the overlay's"
    );
    let found = facts::compare_books(&old, &new, &fleet);
    let said: BTreeSet<String> =
        found.iter().map(|own| format!("{} {}", own.deployment, own.attribute)).collect();
    for expected in
        ["openai/gpt-5.4 retention", "azure-westeurope/gpt-5.4 availability", "bedrock/claude attestations"]
    {
        assert!(said.contains(expected), "{expected} is not in {said:#?}");
    }
    assert!(!said.iter().any(|line| line.starts_with("anthropic/")), "{said:#?}");
}

#[test]
fn what_is_stale_is_told_by_kind() {
    let fleet = demo_specs();
    let limits = StaleLimits { older_than_days: 90, within_days: 180 };
    let found = facts::stale(&overlaid(), Some(&fleet), at("2026-11-21"), limits);
    let old: BTreeSet<&str> = found.old.iter().map(|row| row.place.as_str()).collect();
    assert_eq!(old, ["own.toml:16", "own.toml:3", "own.toml:9"].into(), "the shipped book is of today");
    assert!(found.single_source.iter().all(|row| row.confidence.name() != "verified"));
    assert!(found.single_source.iter().any(|row| row.place == "own.toml:16"));
    assert!(found.second_source_unnamed.iter().all(|row| row.sources == 1));
    assert!(!found.second_source_unnamed.iter().any(|row| row.place == "own.toml:3"), "it names two");
    let coming: Vec<String> =
        found.coming.iter().map(|own| format!("{} {}", own.what, own.deployments.len())).collect();
    assert_eq!(coming, ["retired 2", "attestation ends: soc2 5"]);
    assert!(found.unmatched.iter().any(|row| row.of.contains("snowflake")));
    assert!(!found.unmatched.iter().any(|row| row.place.starts_with("own.toml")));
    let calm = StaleLimits { older_than_days: 365, within_days: 5 };
    let found = facts::stale(&overlaid(), None, at("2026-11-21"), calm);
    assert!(found.old.is_empty() && found.coming.is_empty() && found.unmatched.is_empty());
    // A year on, everything shipped is old as well.
    let found = facts::stale(&shipped(), None, at("2027-11-22"), limits);
    assert_eq!(found.old.len(), FACTS.matches("\n[[fact]]").count());
}
