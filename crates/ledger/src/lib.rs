//! What was spent: the codec of journal records, the dated price catalog, the price of a usage, and the sums
//! that `ledger show` prints.
//!
//! Pure: no files, no clock, no environment. `storage` frames and keeps the bytes that [`codec`] makes; the
//! binary embeds the catalog's text; the instant of a price is an argument.

pub mod catalog;
pub mod codec;
pub mod cost;
pub mod price;
pub mod show;

pub use catalog::{Catalog, CatalogError, Entry};
pub use codec::{DecodeError, decode, encode};
pub use cost::{Billing, price_usage, tokens_cost};
pub use price::{PriceRow, PriceSheet, Rates, Tier};
pub use show::{Dimension, Report, Row};
