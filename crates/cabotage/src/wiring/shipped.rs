//! What ships inside the binary: facts, prices, packs.

use config::{Shipped, Sources};
use domain::Clock;
use ledger::Catalog;
use std::sync::Arc;

/// The fact book's name in messages.
const FACTS: (&str, &str) = ("(shipped) catalog/facts.toml", include_str!("../../../../catalog/facts.toml"));

/// The price catalog. 2,000 lines that nobody parses before they are asked for.
pub(crate) const PRICES: &str = include_str!("../../../../catalog/prices.jsonl");

/// Packs that are in force unless the configuration turns them off. A customer's own come from `terms.dir`.
const PACKS: &[(&str, &str)] = &[
    ("microsoft-openai", include_str!("../../../../terms/microsoft-openai.toml")),
    ("eu-residency", include_str!("../../../../terms/eu-residency.toml")),
];

/// Packs that are in force where the configuration names them: `[[terms.pack]]` with `id` and `mode`.
const OPTIONAL: &[(&str, &str)] = &[
    ("us-only", include_str!("../../../../terms/us-only.toml")),
    ("sovereign", include_str!("../../../../terms/sovereign.toml")),
    ("zero-retention", include_str!("../../../../terms/zero-retention.toml")),
    ("regulated", include_str!("../../../../terms/regulated.toml")),
    ("data-classes", include_str!("../../../../terms/data-classes.toml")),
    ("latency-class", include_str!("../../../../terms/latency-class.toml")),
    ("commitments", include_str!("../../../../terms/commitments.toml")),
    ("access", include_str!("../../../../terms/access.toml")),
];

/// What is to be proved of them, by `cabotage terms prove`.
pub(crate) const QUESTIONS: &[(&str, &str)] = &[
    ("microsoft-openai", include_str!("../../../../terms/microsoft-openai.prove.toml")),
    ("eu-residency", include_str!("../../../../terms/eu-residency.prove.toml")),
];

/// Golden cases of them, for `cabotage terms test` and the book.
pub(crate) const CASES: &[(&str, &str)] = &[
    ("microsoft-openai", include_str!("../../../../terms/microsoft-openai.cases.toml")),
    ("eu-residency", include_str!("../../../../terms/eu-residency.cases.toml")),
    ("us-only", include_str!("../../../../terms/us-only.cases.toml")),
    ("sovereign", include_str!("../../../../terms/sovereign.cases.toml")),
    ("zero-retention", include_str!("../../../../terms/zero-retention.cases.toml")),
    ("regulated", include_str!("../../../../terms/regulated.cases.toml")),
    ("data-classes", include_str!("../../../../terms/data-classes.cases.toml")),
    ("latency-class", include_str!("../../../../terms/latency-class.cases.toml")),
    ("commitments", include_str!("../../../../terms/commitments.cases.toml")),
    ("access", include_str!("../../../../terms/access.cases.toml")),
];

/// Every pack that ships, by id.
pub(crate) fn packs() -> impl Iterator<Item = (&'static str, &'static str)> {
    PACKS.iter().chain(OPTIONAL).copied()
}

/// For [`config::check`].
pub(crate) const SHIPPED: Shipped<'static> = Shipped { facts: FACTS, packs: PACKS, optional: OPTIONAL };

/// For [`config::build()`].
pub(crate) fn sources(clock: Arc<dyn Clock>) -> anyhow::Result<Sources> {
    Ok(Sources::new(Catalog::parse(PRICES)?, clock))
}
