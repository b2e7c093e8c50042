//! What ships inside the binary: facts, prices, packs.

use config::{Shipped, Sources};
use domain::Clock;
use ledger::Catalog;
use std::sync::Arc;

/// The fact book's name in messages.
const FACTS: (&str, &str) = ("(shipped) catalog/facts.toml", include_str!("../../../../catalog/facts.toml"));

/// The price catalog. 2,000 lines that nobody parses before they are asked for.
pub(crate) const PRICES: &str = include_str!("../../../../catalog/prices.jsonl");

/// Packs that are of use to everybody. A customer's own come from `terms.dir`.
const PACKS: &[(&str, &str)] = &[
    ("microsoft-openai", include_str!("../../../../terms/microsoft-openai.toml")),
    ("eu-residency", include_str!("../../../../terms/eu-residency.toml")),
];

/// For [`config::check`].
pub(crate) const SHIPPED: Shipped<'static> = Shipped { facts: FACTS, packs: PACKS };

/// For [`config::build()`].
pub(crate) fn sources(clock: Arc<dyn Clock>) -> anyhow::Result<Sources> {
    Ok(Sources::new(Catalog::parse(PRICES)?, clock))
}
