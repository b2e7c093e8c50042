//! How long a host asks to wait, from the headers in which hosts say so, clamped to one hour.
//!
//! Read in this order: `retry-after-ms` (milliseconds: Azure, OpenAI), `retry-after` (seconds or an HTTP date),
//! and where neither stands the reset of a limit that is used up: `anthropic-ratelimit-*-reset` (RFC 3339) and
//! `x-ratelimit-reset-*` (`120ms`, `6m0s`, or bare seconds).

use http::HeaderMap;
use jiff::Timestamp;
use std::time::Duration;

/// The longest wait that is believed.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// How long to wait, `None` where the host does not say or says what cannot be read.
#[must_use]
pub fn read(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    millis(headers)
        .or_else(|| retry_after(headers, now))
        .or_else(|| resets(headers, now))
        .map(|wait| wait.min(LONGEST))
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn millis(headers: &HeaderMap) -> Option<Duration> {
    // Azure writes 0 here beside a whole second in the other header.
    seconds(value(headers, "retry-after-ms")?).map(|wait| wait / 1000).filter(|wait| !wait.is_zero())
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = value(headers, "retry-after")?;
    seconds(text).or_else(|| {
        let at = httpdate::parse_http_date(text).ok()?;
        Some(until(Timestamp::try_from(at).ok()?, now))
    })
}

/// Of the limits that are used up (`remaining` is 0) the longest reset; where no `remaining` says so, the
/// shortest of all resets, which is the least that the host can have meant.
fn resets(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let mut used_up: Option<Duration> = None;
    let mut any: Option<Duration> = None;
    for (name, text) in headers {
        let name = name.as_str();
        let (reset, remaining) = if let Some(what) = name.strip_prefix("x-ratelimit-reset-") {
            (text.to_str().ok().and_then(span), format!("x-ratelimit-remaining-{what}"))
        } else if let Some(what) =
            name.strip_prefix("anthropic-ratelimit-").and_then(|n| n.strip_suffix("-reset"))
        {
            let at = text.to_str().ok().and_then(|text| text.parse::<Timestamp>().ok());
            (at.map(|at| until(at, now)), format!("anthropic-ratelimit-{what}-remaining"))
        } else {
            continue;
        };
        let Some(reset) = reset else { continue };
        any = Some(any.map_or(reset, |least| least.min(reset)));
        if value(headers, &remaining) == Some("0") {
            used_up = Some(used_up.map_or(reset, |most| most.max(reset)));
        }
    }
    used_up.or(any)
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// A number of seconds, whole or with a fraction.
fn seconds(text: &str) -> Option<Duration> {
    let plain = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = text.parse::<f64>().ok().filter(|_| plain)?;
    Duration::try_from_secs_f64(number).ok()
}

/// A span such as `120ms`, `6m0s`, `1h2m3.5s`, or bare seconds.
fn span(text: &str) -> Option<Duration> {
    if let Some(bare) = seconds(text) {
        return Some(bare);
    }
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() || rest.len() > 32 {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "ns" => 1e-6,
            "d" => 86_400.0,
            _ => return None,
        };
        let number = number.parse::<f64>().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * scale).ok()?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn wait(rows: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = rows
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        read(&headers, "2026-11-21T10:00:00Z".parse().expect("instant"))
    }

    type Row = (&'static [(&'static str, &'static str)], Option<Duration>);

    #[test]
    fn every_form_in_which_hosts_say_it() {
        let ms = |n| Some(Duration::from_millis(n));
        let table: &[Row] = &[
            (&[], None),
            (&[("retry-after", "7")], ms(7000)),
            (&[("retry-after", "1.5")], ms(1500)),
            (&[("retry-after", "0")], ms(0)),
            (&[("retry-after", "Sat, 21 Nov 2026 10:00:30 GMT")], ms(30_000)),
            (&[("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")], ms(0)),
            (&[("retry-after", "99999999")], ms(3_600_000)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "1e400")], None),
            (&[("retry-after-ms", "0"), ("retry-after", "1")], ms(1000)),
            (&[("retry-after-ms", "250"), ("retry-after", "9")], ms(250)),
            (&[("x-ratelimit-reset-requests", "120ms")], ms(120)),
            (&[("x-ratelimit-reset-tokens", "6m0s")], ms(360_000)),
            (&[("x-ratelimit-reset-tokens", "1h2m3.5s")], ms(3_600_000)),
            (&[("x-ratelimit-reset-tokens", "12")], ms(12_000)),
            (&[("x-ratelimit-reset-tokens", "six minutes")], None),
            (&[("x-ratelimit-reset-tokens", "6x")], None),
            (
                &[
                    ("x-ratelimit-reset-requests", "120ms"),
                    ("x-ratelimit-remaining-requests", "9"),
                    ("x-ratelimit-reset-tokens", "30s"),
                    ("x-ratelimit-remaining-tokens", "0"),
                ],
                ms(30_000),
            ),
            (&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "30s")], ms(1000)),
            (&[("anthropic-ratelimit-requests-reset", "2026-11-21T10:01:00Z")], ms(60_000)),
            (
                &[
                    ("anthropic-ratelimit-requests-reset", "2026-11-21T10:00:01Z"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T10:00:40Z"),
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ],
                ms(40_000),
            ),
        ];
        for (rows, expected) in table {
            assert_eq!(wait(rows), *expected, "{rows:?}");
        }
    }
}
