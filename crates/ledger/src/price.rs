//! Dated prices of one model at one provider: what a token costs, by tier, by length of the prompt, by day.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::sync::Arc;

/// The service tier that a call was *resolved* to, as the answer says it; not the one that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// The provider's default.
    #[default]
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster (OpenAI's `fast` since 2026-07-30).
    Priority,
    /// By the batch API.
    Batch,
    /// OpenAI's `ultrafast`.
    Ultrafast,
    /// Between flex and standard (Fireworks, Novita).
    Balanced,
}

impl Tier {
    /// All tiers, in the order of the catalog's file.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Flex, Self::Priority, Self::Batch, Self::Ultrafast, Self::Balanced];

    /// The word in the catalog.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
            Self::Ultrafast => "ultrafast",
            Self::Balanced => "balanced",
        }
    }

    /// The tier of a word as providers and the catalog write it; `None` for a word that nobody has told us of.
    /// No word, `auto`, `default`, `standard`, `on_demand` are the standard tier.
    #[must_use]
    pub fn from_name(word: &str) -> Option<Self> {
        match word {
            "" | "auto" | "default" | "standard" | "on_demand" | "standard_only" => Some(Self::Standard),
            "flex" => Some(Self::Flex),
            "priority" | "fast" => Some(Self::Priority),
            "batch" | "batches" => Some(Self::Batch),
            "ultrafast" => Some(Self::Ultrafast),
            "balanced" => Some(Self::Balanced),
            _ => None,
        }
    }
}

/// Prices of one token in pico-dollars, by kind. `None` where the list names none; what is charged then is said
/// at each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input that no cache served.
    pub input: u64,
    /// Visible output.
    pub output: u64,
    /// Input read from a cache; without a price: as `input` (no discount is known).
    pub cache_read: Option<u64>,
    /// Input written to a cache for minutes; without a price: as `input` (writing is not charged apart).
    pub cache_write: Option<u64>,
    /// Input written for an hour or longer; without a price: as `cache_write`.
    pub cache_write_1h: Option<u64>,
    /// Output that the model thought; without a price: as `output`.
    pub reasoning: Option<u64>,
    /// Input of sound; without a price: as `input`.
    pub audio_in: Option<u64>,
    /// Output of sound; without a price: as `output`.
    pub audio_out: Option<u64>,
}

/// Rates that hold for one tier where the prompt is longer than `above_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// The tier.
    pub tier: Tier,
    /// Holds for prompts of more tokens than this, for the whole call; 0 for the tier's base rates.
    pub above_tokens: u64,
    /// The prices.
    pub rates: Rates,
}

/// The prices of one model at one provider in one geography for a range of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The provider, by our name for it.
    pub provider: Arc<str>,
    /// The model as it stands on the wire.
    pub model: Arc<str>,
    /// Where the price holds: `eu`, `us`, `global`, a region; empty where the list makes no difference.
    pub geo: Arc<str>,
    /// First day (UTC) that the price holds; `None`: as long as anybody remembers.
    pub from: Option<Date>,
    /// First day (UTC) that it holds no more; `None`: still.
    pub until: Option<Date>,
    /// Tiers and bands, sorted by tier, then by `above_tokens`. Never empty, at most 64.
    pub bands: Vec<Band>,
    /// The surcharge for processing in a region, in thousandths of the price, by geography (`eu`: 1100).
    pub uplift_permille: Vec<(Arc<str>, u32)>,
}

impl PriceRow {
    /// A row of the operator's own: a contract price, or what a self-hosted token costs him.
    #[must_use]
    pub fn flat(provider: &str, model: &str, rates: Rates) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            geo: "".into(),
            from: None,
            until: None,
            bands: vec![Band { tier: Tier::Standard, above_tokens: 0, rates }],
            uplift_permille: Vec::new(),
        }
    }

    /// True where the price holds on `day`.
    #[must_use]
    pub fn holds_on(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }

    /// The rates of a tier for a prompt of `input_tokens`: those of the highest band that it exceeds. `None`
    /// where the list has no price for the tier: never that of another tier instead.
    #[must_use]
    pub fn rates(&self, tier: Tier, input_tokens: u64) -> Option<&Rates> {
        let fits =
            |band: &&Band| band.tier == tier && (band.above_tokens == 0 || input_tokens > band.above_tokens);
        self.bands.iter().filter(fits).max_by_key(|band| band.above_tokens).map(|band| &band.rates)
    }

    /// The surcharge for processing in `geo`, in thousandths; 1000 where there is none.
    #[must_use]
    pub fn uplift_permille(&self, geo: &str) -> u32 {
        self.uplift_permille.iter().find(|(place, _)| &**place == geo).map_or(1000, |(_, permille)| *permille)
    }
}

/// All rows for one deployment, resolved once per snapshot, so that a settlement searches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceSheet {
    rows: Vec<PriceRow>,
    geo: Arc<str>,
}

impl PriceSheet {
    /// A sheet of these rows for a deployment in `geo`. Where two hold on a day, the earlier in the list wins:
    /// put the operator's own rows first.
    #[must_use]
    pub fn new(rows: Vec<PriceRow>, geo: &str) -> Self {
        Self { rows, geo: geo.into() }
    }

    /// The row that holds at an instant, by its day in UTC. `None` is an unknown price, never a price of 0.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<&PriceRow> {
        let day = day_of(at);
        self.rows.iter().find(|row| row.holds_on(day))
    }

    /// The same by microseconds of Unix time, as records have it.
    #[must_use]
    pub fn at_us(&self, at_us: i64) -> Option<&PriceRow> {
        Timestamp::from_microsecond(at_us).ok().and_then(|at| self.at(at))
    }

    /// The geography of the deployment, for surcharges.
    #[must_use]
    pub fn geo(&self) -> &str {
        &self.geo
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[PriceRow] {
        &self.rows
    }
}

/// The day of an instant in UTC: price lists change at midnight UTC for us, whatever the provider's own zone.
#[must_use]
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> PriceRow {
        let rates = |input| Rates { input, output: input * 5, ..Rates::default() };
        PriceRow {
            from: Some(Date::constant(2026, 3, 5)),
            until: Some(Date::constant(2026, 11, 1)),
            bands: vec![
                Band { tier: Tier::Standard, above_tokens: 0, rates: rates(100) },
                Band { tier: Tier::Standard, above_tokens: 200_000, rates: rates(150) },
                Band { tier: Tier::Standard, above_tokens: 272_000, rates: rates(200) },
                Band { tier: Tier::Flex, above_tokens: 0, rates: rates(50) },
            ],
            uplift_permille: vec![("eu".into(), 1100)],
            ..PriceRow::flat("openai", "m", rates(1))
        }
    }

    #[test]
    fn bands_hold_above_their_bound_and_tiers_do_not_stand_in_for_each_other() {
        let row = row();
        let input = |tier, tokens| row.rates(tier, tokens).map(|rates| rates.input);
        assert_eq!(input(Tier::Standard, 200_000), Some(100));
        assert_eq!(input(Tier::Standard, 200_001), Some(150));
        assert_eq!(input(Tier::Standard, u64::MAX), Some(200));
        assert_eq!(input(Tier::Flex, 300_000), Some(50));
        assert_eq!(input(Tier::Priority, 1), None);
        assert_eq!(row.uplift_permille("eu"), 1100);
        assert_eq!(row.uplift_permille(""), 1000);
    }

    #[test]
    fn days_begin_at_midnight_utc_and_until_is_exclusive() {
        let sheet = PriceSheet::new(vec![row()], "eu");
        let known = |at: &str| sheet.at(at.parse().unwrap()).is_some();
        assert!(!known("2026-03-04T23:59:59.999999Z"));
        assert!(known("2026-03-05T00:00:00Z"));
        assert!(known("2026-10-31T23:59:59Z"));
        assert!(!known("2026-11-01T00:00:00Z"));
        assert!(known("2026-11-01T00:30:00+02:00"));
        assert!(sheet.at_us(i64::MAX).is_none());
    }

    #[test]
    fn tiers_have_words() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
        }
        assert_eq!(Tier::from_name("fast"), Some(Tier::Priority));
        assert_eq!(Tier::from_name("hyper"), None);
    }
}
