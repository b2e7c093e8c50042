//! Dates as whole numbers: milliseconds since 1970-01-01T00:00:00Z, by the Gregorian calendar, from 1970 on.

/// Milliseconds of a second.
pub(crate) const SECOND: i64 = 1_000;
/// Milliseconds of a day. UTC as computers count it has no leap seconds.
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// Days before each month of a year that is no leap year.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Leap days up to the end of this year, counted from year 1.
const fn leap_days(year: i64) -> i64 {
    year / 4 - year / 100 + year / 400
}

const fn is_leap(year: i64) -> bool {
    leap_days(year) > leap_days(year - 1)
}

/// The first millisecond of a day in UTC.
pub(crate) const fn day(year: i64, month: usize, day: i64) -> i64 {
    let before = 365 * (year - 1970) + leap_days(year - 1) - leap_days(1969);
    let leap = if month > 2 && is_leap(year) { 1 } else { 0 };
    (before + BEFORE[month - 1] + leap + day - 1) * DAY
}

#[test]
fn days_are_where_they_are() {
    // `date -u -d DATE +%s`
    for (found, seconds) in [
        (day(1970, 1, 1), 0),
        (day(2000, 2, 29), 951_782_400),
        (day(2000, 3, 1), 951_868_800),
        (day(2024, 12, 31), 1_735_603_200),
        (day(2026, 4, 27), 1_777_248_000),
        (day(2033, 1, 1), 1_988_150_400),
    ] {
        assert_eq!(found, seconds * SECOND);
    }
    assert!(is_leap(2024) && is_leap(2000) && !is_leap(2100) && !is_leap(2026));
}
