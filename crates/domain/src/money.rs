//! Money as integers.

use std::fmt;

/// US dollars in pico-dollars (10⁻¹² $): one token at $0.01 per million tokens is 10,000 of them, so prices
/// per token are whole numbers and sums are exact. A `u64` holds 18.4 million dollars; sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoDollars(pub u64);

impl PicoDollars {
    /// The price of `tokens` at this price per token.
    #[must_use]
    pub const fn times(self, tokens: u64) -> Self {
        Self(self.0.saturating_mul(tokens))
    }

    /// The sum, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Dollars, decimal, without trailing zeros but with at least two places: `0.00`, `0.0000125`.
impl fmt::Display for PicoDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / 1_000_000_000_000;
        let fraction = format!("{:012}", self.0 % 1_000_000_000_000);
        let kept = fraction.trim_end_matches('0');
        write!(f, "{whole}.{kept:0<2}")
    }
}

#[cfg(test)]
mod tests {
    use super::PicoDollars;

    #[test]
    fn prints_dollars() {
        for (pico, text) in [
            (0, "0.00"),
            (1, "0.000000000001"),
            (12_500_000, "0.0000125"),
            (1_500_000_000_000, "1.50"),
            (10_000_000_000_000, "10.00"),
        ] {
            assert_eq!(PicoDollars(pico).to_string(), text);
        }
    }
}
