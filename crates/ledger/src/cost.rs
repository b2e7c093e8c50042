//! Usage × price → money, exact to the pico-dollar.

use crate::price::{PriceRow, PriceSheet, Rates, Tier};
use domain::{Usage, UsageSource, money::PicoDollars, record::CostBasis};

/// What else is known about how an attempt is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// The tier that the answer says it was served at.
    pub tier: Tier,
    /// What the provider itself says it billed (OpenRouter, xAI), where it does.
    pub provider_reported: Option<PicoDollars>,
    /// The answer came from a simulator.
    pub simulated: bool,
    /// The caller left and the provider bills such calls to their end, which we cannot see.
    pub billed_to_end: bool,
}

/// The cost of an attempt at `at_us` (microseconds of Unix time, the attempt's start), and how it is to be read.
///
/// `None` always comes with [`CostBasis::Unpriced`]: no row, no price for the tier, or a usage that nobody
/// counted. It is a gap to show, never a cost of 0.
#[must_use]
pub fn price_usage(
    usage: &Usage,
    sheet: &PriceSheet,
    at_us: i64,
    billing: &Billing,
) -> (Option<PicoDollars>, CostBasis) {
    if let Some(reported) = billing.provider_reported {
        let basis = if billing.simulated { CostBasis::Simulated } else { CostBasis::ProviderReported };
        return (Some(reported), basis);
    }
    if usage.source == UsageSource::Unknown {
        return (None, CostBasis::Unpriced);
    }
    let cost = sheet.at_us(at_us).and_then(|row| row_cost(usage, row, billing.tier, sheet.geo()));
    let basis = match cost {
        None => CostBasis::Unpriced,
        Some(_) if billing.simulated => CostBasis::Simulated,
        Some(_) if billing.billed_to_end => CostBasis::BilledToEndEstimated,
        Some(_) if usage.source == UsageSource::Estimated => CostBasis::ListEstimated,
        Some(_) => CostBasis::List,
    };
    (cost, basis)
}

/// The cost of a usage by one row, its surcharge for `geo` included. `None` where the row has no price for the
/// tier, or the sum is beyond 18.4 million dollars (a damaged count, which no saturated figure should hide).
#[must_use]
pub fn row_cost(usage: &Usage, row: &PriceRow, tier: Tier, geo: &str) -> Option<PicoDollars> {
    let rates = row.rates(tier, usage.input_total())?;
    let listed = tokens_cost(usage, rates);
    let permille = u128::from(row.uplift_permille(geo));
    // Rounded up: half a pico-dollar is nothing, a sum below the invoice is not.
    let charged = listed.checked_mul(permille)?.div_ceil(1000);
    u64::try_from(charged).ok().map(PicoDollars)
}

/// The list price of a usage in pico-dollars, exact: eight products of two `u64` cannot overflow a `u128` by
/// more than their sum, which saturates.
#[must_use]
pub fn tokens_cost(usage: &Usage, rates: &Rates) -> u128 {
    let cache_write = rates.cache_write.unwrap_or(rates.input);
    let (audio_in, uncached) = split(usage.uncached_in, usage.audio_in);
    let (audio_out, visible) = split(usage.out_visible, usage.audio_out);
    let parts = [
        (uncached, rates.input),
        (audio_in, rates.audio_in.unwrap_or(rates.input)),
        (usage.cache_read, rates.cache_read.unwrap_or(rates.input)),
        (usage.cache_write, cache_write),
        (usage.cache_write_1h, rates.cache_write_1h.unwrap_or(cache_write)),
        (visible, rates.output),
        (audio_out, rates.audio_out.unwrap_or(rates.output)),
        (usage.out_reasoning, rates.reasoning.unwrap_or(rates.output)),
    ];
    parts
        .into_iter()
        .fold(0u128, |sum, (tokens, price)| sum.saturating_add(u128::from(tokens) * u128::from(price)))
}

/// Tokens of sound are told *of* the others, not beside them: `(sound, rest)`, sound never above the whole.
const fn split(whole: u64, sound: u64) -> (u64, u64) {
    let sound = if sound > whole { whole } else { sound };
    (sound, whole - sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const SONNET: Rates = Rates {
        input: 3_000_000,
        output: 15_000_000,
        cache_read: Some(300_000),
        cache_write: Some(3_750_000),
        cache_write_1h: Some(6_000_000),
        reasoning: None,
        audio_in: None,
        audio_out: None,
    };

    fn sheet(rates: Rates) -> PriceSheet {
        PriceSheet::new(vec![PriceRow::flat("p", "m", rates)], "")
    }

    #[test]
    fn by_hand() {
        let usage = Usage {
            uncached_in: 1_000,
            cache_read: 2_000,
            cache_write: 400,
            cache_write_1h: 100,
            out_visible: 50,
            out_reasoning: 150,
            source: UsageSource::Reported,
            ..Usage::default()
        };
        let (cost, basis) = price_usage(&usage, &sheet(SONNET), 0, &Billing::default());
        // 0.003 + 0.0006 + 0.0015 + 0.0006 + 200 × 0.000015
        assert_eq!(cost.unwrap().to_string(), "0.0087");
        assert_eq!(basis, CostBasis::List);
    }

    #[test]
    fn sound_is_priced_apart_and_counted_once() {
        let rates =
            Rates { audio_in: Some(10), audio_out: Some(100), input: 1, output: 2, ..Rates::default() };
        let usage = Usage { uncached_in: 7, audio_in: 3, out_visible: 5, audio_out: 9, ..Usage::default() };
        assert_eq!(tokens_cost(&usage, &rates), 4 + 30 + 500);
    }

    #[test]
    fn what_is_unknown_is_a_gap_and_never_nothing() {
        let counted = Usage::from_inclusive(10, 0, 10, 0);
        let billing = Billing::default();
        let gap = (None, CostBasis::Unpriced);
        assert_eq!(price_usage(&counted, &PriceSheet::default(), 0, &billing), gap);
        assert_eq!(price_usage(&Usage::default(), &sheet(SONNET), 0, &billing), gap);
        let flex = Billing { tier: Tier::Flex, ..billing };
        assert_eq!(price_usage(&counted, &sheet(SONNET), 0, &flex), gap);
        let damaged = Usage { out_visible: u64::MAX, ..counted };
        assert_eq!(price_usage(&damaged, &sheet(SONNET), 0, &billing), gap);
        let free = price_usage(&counted, &sheet(Rates::default()), 0, &billing);
        assert_eq!(free, (Some(PicoDollars(0)), CostBasis::List));
    }

    #[test]
    fn the_basis_says_how_to_read_it() {
        let counted = Usage::from_inclusive(10, 0, 10, 0);
        let estimated = Usage { source: UsageSource::Estimated, ..counted };
        let basis = |usage: &Usage, billing: Billing| price_usage(usage, &sheet(SONNET), 0, &billing).1;
        assert_eq!(basis(&estimated, Billing::default()), CostBasis::ListEstimated);
        let left = Billing { billed_to_end: true, ..Billing::default() };
        assert_eq!(basis(&estimated, left), CostBasis::BilledToEndEstimated);
        assert_eq!(basis(&counted, Billing { simulated: true, ..left }), CostBasis::Simulated);
        let told = Billing { provider_reported: Some(PicoDollars(5)), ..Billing::default() };
        assert_eq!(
            price_usage(&Usage::default(), &PriceSheet::default(), 0, &told),
            (Some(PicoDollars(5)), CostBasis::ProviderReported)
        );
    }

    #[test]
    fn a_region_costs_its_surcharge() {
        let mut row = PriceRow::flat("openai", "m", Rates { input: 15, ..Rates::default() });
        row.uplift_permille = vec![("eu".into(), 1100)];
        let usage = Usage::from_inclusive(3, 0, 0, 0);
        assert_eq!(row_cost(&usage, &row, Tier::Standard, ""), Some(PicoDollars(45)));
        assert_eq!(row_cost(&usage, &row, Tier::Standard, "eu"), Some(PicoDollars(50)));
    }

    #[test]
    fn the_row_of_the_day_is_taken() {
        let old = PriceRow {
            until: Some(jiff::civil::Date::constant(2026, 7, 1)),
            ..PriceRow::flat("p", "m", Rates { input: 2, ..Rates::default() })
        };
        let new = PriceRow {
            from: Some(jiff::civil::Date::constant(2026, 7, 1)),
            ..PriceRow::flat("p", "m", Rates { input: 1, ..Rates::default() })
        };
        let sheet = PriceSheet::new(vec![old, new], "");
        let usage = Usage::from_inclusive(1, 0, 0, 0);
        let on = |at: &str| {
            let at: Timestamp = at.parse().unwrap();
            price_usage(&usage, &sheet, at.as_microsecond(), &Billing::default()).0
        };
        assert_eq!(on("2026-06-30T23:59:59Z"), Some(PicoDollars(2)));
        assert_eq!(on("2026-07-01T00:00:00Z"), Some(PicoDollars(1)));
    }

    fn any_tokens(max: u64) -> impl Strategy<Value = Usage> {
        proptest::array::uniform6(0..=max).prop_map(|n| Usage {
            uncached_in: n[0],
            cache_read: n[1],
            cache_write: n[2],
            cache_write_1h: n[3],
            out_visible: n[4],
            out_reasoning: n[5],
            audio_in: 0,
            audio_out: 0,
            source: UsageSource::Reported,
        })
    }

    fn any_rates() -> impl Strategy<Value = Rates> {
        (any::<[u64; 2]>(), any::<[Option<u64>; 4]>()).prop_map(|(n, o)| Rates {
            input: n[0] >> 16,
            output: n[1] >> 16,
            cache_read: o[0].map(|n| n >> 16),
            cache_write: o[1].map(|n| n >> 16),
            cache_write_1h: o[2].map(|n| n >> 16),
            reasoning: o[3].map(|n| n >> 16),
            audio_in: None,
            audio_out: None,
        })
    }

    fn sum(a: &Usage, b: &Usage) -> Usage {
        Usage {
            uncached_in: a.uncached_in + b.uncached_in,
            cache_read: a.cache_read + b.cache_read,
            cache_write: a.cache_write + b.cache_write,
            cache_write_1h: a.cache_write_1h + b.cache_write_1h,
            out_visible: a.out_visible + b.out_visible,
            out_reasoning: a.out_reasoning + b.out_reasoning,
            ..*a
        }
    }

    proptest! {
        #[test]
        fn never_overflows(usage in any_tokens(u64::MAX), rates in any_rates()) {
            let exact = tokens_cost(&usage, &rates);
            let told = row_cost(&usage, &PriceRow::flat("p", "m", rates), Tier::Standard, "");
            prop_assert_eq!(told.map(|cost| u128::from(cost.0)), u64::try_from(exact).ok().map(u128::from));
        }

        #[test]
        fn adds_up(a in any_tokens(1 << 40), b in any_tokens(1 << 40), rates in any_rates()) {
            prop_assert_eq!(
                tokens_cost(&sum(&a, &b), &rates),
                tokens_cost(&a, &rates) + tokens_cost(&b, &rates)
            );
        }

        #[test]
        fn more_tokens_never_cost_less(a in any_tokens(1 << 40), b in any_tokens(1 << 40), rates in any_rates()) {
            prop_assert!(tokens_cost(&sum(&a, &b), &rates) >= tokens_cost(&a, &rates));
        }
    }
}
