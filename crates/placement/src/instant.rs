//! Instants as people write them in sheets and as Cedar reads them: UTC, to the millisecond.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Reads an instant: RFC 3339 with an offset, or a plain date, which means its first moment in UTC.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let instant = if text.len() == 10 {
        text.parse::<civil::Date>()
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map(|zoned| zoned.timestamp())
            .map_err(|error| format!("`{text}` is not a date: {error}"))?
    } else {
        text.parse::<Timestamp>()
            .map_err(|error| format!("`{text}` is not an instant with a zone: {error}"))?
    };
    if instant.as_nanosecond() % 1_000_000 == 0 {
        Ok(instant)
    } else {
        Err(format!("`{text}` is finer than a millisecond"))
    }
}

/// Writes an instant as `2026-04-27T00:00:00Z`, with milliseconds only where there are any.
#[must_use]
pub fn format(instant: Timestamp) -> String {
    if instant.as_millisecond() % 1_000 == 0 {
        instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

/// Writes an instant for a sentence: `2026-04-27 00:00 UTC`, to the second where it is not a full minute.
#[must_use]
pub fn for_people(instant: Timestamp) -> String {
    if instant.as_second() % 60 == 0 {
        instant.strftime("%Y-%m-%d %H:%M UTC").to_string()
    } else {
        instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_instants() {
        for (text, written) in [
            ("2026-04-27", "2026-04-27T00:00:00Z"),
            ("2026-04-27T02:00:00+02:00", "2026-04-27T00:00:00Z"),
            ("2026-04-26T23:59:59.999Z", "2026-04-26T23:59:59.999Z"),
        ] {
            assert_eq!(format(parse(text).unwrap()), written);
        }
        for bad in ["2026-02-30", "2026-04-27T00:00:00", "soon", "2026-04-27T00:00:00.0001Z"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(for_people(parse("2026-04-27").unwrap()), "2026-04-27 00:00 UTC");
    }
}
