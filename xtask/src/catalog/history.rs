//! Prices that changed: the old row ends on the day of the new map, the new one begins.

use super::convert::{Key, Written};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Joins what the new map says to what the catalog said before. Idempotent: the same map again changes nothing.
pub(super) fn join(before: Vec<Written>, now: BTreeMap<Key, Written>, as_of: Date) -> Vec<Written> {
    let mut all = Vec::new();
    let mut open: BTreeMap<Key, Written> = BTreeMap::new();
    for row in before {
        if row.until.is_some() {
            all.push(row);
        } else {
            open.insert(row.key(), row);
        }
    }
    for (key, mut row) in now {
        match open.remove(&key) {
            // The price stands; what else is known of the model is the new map's word.
            Some(old) if old.rates == row.rates && old.uplift == row.uplift => row.from = old.from,
            Some(old) if old.from == Some(as_of) => row.from = old.from,
            Some(old) => {
                row.from = Some(as_of);
                all.push(Written { until: Some(as_of), ..old });
            }
            None => {}
        }
        all.push(row);
    }
    // What the new map no longer has: its price is known up to that day.
    all.extend(open.into_values().map(|old| Written { until: Some(as_of), ..old }));
    all.sort_by_key(|row| (row.key(), row.from));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(price: u64) -> Written {
        let mut row = Written { provider: "p".into(), model: "m".into(), ..Written::default() };
        row.rates.insert("standard".into(), vec![Some(price), Some(price)]);
        row
    }

    fn map(price: u64) -> BTreeMap<Key, Written> {
        BTreeMap::from([(row(price).key(), row(price))])
    }

    #[test]
    fn a_changed_price_ends_and_begins_on_the_day() {
        let day = |day| Date::constant(2026, 11, day);
        let first = join(Vec::new(), map(1), day(1));
        assert_eq!(first, [row(1)]);
        assert_eq!(join(first.clone(), map(1), day(2)), first);
        let second = join(first, map(2), day(3));
        let old = Written { until: Some(day(3)), ..row(1) };
        let new = Written { from: Some(day(3)), ..row(2) };
        assert_eq!(second, [old.clone(), new.clone()]);
        assert_eq!(join(second.clone(), map(2), day(9)), second);
        let gone = join(second, BTreeMap::new(), day(9));
        assert_eq!(gone, [old, Written { until: Some(day(9)), ..new }]);
        assert_eq!(join(gone.clone(), BTreeMap::new(), day(10)), gone);
    }
}
