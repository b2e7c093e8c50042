//! The configuration from outside: a good one, many broken ones with what is said about them, the published
//! schema, the environment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail"
)]

mod beside;
mod broken;
mod class;
mod environment;
mod good;
mod levels;
mod schema;

use config::{Checked, Imagined, Problems, Shipped, Text};
use std::{path::Path, sync::Arc};

const FACTS: (&str, &str) = ("(shipped) catalog/facts.toml", include_str!("../../../../catalog/facts.toml"));
const PRICES: &str = include_str!("../../../../catalog/prices.jsonl");
const PACKS: &[(&str, &str)] = &[
    ("microsoft-openai", include_str!("../../../../terms/microsoft-openai.toml")),
    ("eu-residency", include_str!("../../../../terms/eu-residency.toml")),
];
const OPTIONAL: &[(&str, &str)] = &[("us-only", include_str!("../../../../terms/us-only.toml"))];

/// Variables and files that the tests' configurations may name.
fn around() -> Imagined {
    let mut around = Imagined::default();
    for (name, value) in [
        ("OPENAI_API_KEY", "sk-canary-openai"),
        ("AZURE_KEY", "canary-azure"),
        ("GATEWAY_KEY", "sk-canary-gateway-0123456789"),
        ("OTHER_KEY", "sk-canary-other-0123456789"),
        ("PROXY_AUTH", "canary:proxy"),
        ("EMPTY", "  "),
    ] {
        around.variables.insert(name.to_owned(), value.to_owned());
    }
    for (path, text) in [
        ("etc/secret.txt", "sk-canary-file-0123456789\n"),
        ("etc/two-lines.txt", "sk-canary-one\nsk-canary-two\n"),
        ("etc/not.pem", "no block in here"),
        ("etc/terms/acme-bank.toml", include_str!("../../../../terms/acme-bank.toml")),
        ("etc/terms/README.md", "not a pack"),
        ("etc/own-terms/us-only.toml", include_str!("../../../../terms/us-only.toml")),
        (
            "etc/lab-facts.toml",
            "as_of = 2026-11-01\n[[fact]]\nof = { provider = \"openai\" }\nsays = { retention = \"zero\" }\nbasis = \"declared-by-contract\"\nsource = \"contract 4711\"\nconfidence = \"stated\"\n",
        ),
        ("etc/broken-terms/house.toml", "[pack]\nid = \"house\"\ntitel = \"Ours\"\n"),
        (
            "etc/own-facts.toml",
            "as_of = 2026-11-01\n[[fact]]\nof = { provider = \"openai\" }\nsays = { retention = \"never\" }\n",
        ),
    ] {
        around.files.insert(path.into(), text.as_bytes().to_vec());
    }
    around
}

fn check(text: &str) -> Result<Checked, Problems> {
    let shipped = Shipped { facts: FACTS, packs: PACKS, optional: OPTIONAL };
    config::check(Text { file: Path::new("etc/cabotage.toml"), text }, shipped, &around())
}

fn sources() -> config::Sources {
    let clock = domain::ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
    config::Sources::new(ledger::Catalog::parse(PRICES).unwrap(), Arc::new(clock))
}
