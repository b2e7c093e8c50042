//! Durations and sizes as people write them: `"30 s"`, `"500ms"`, `"64 MiB"`.

use std::time::Duration;

/// What a wrong duration is told.
pub(crate) const DURATION_HINT: &str = "write a number and a unit: ms, s, m, h or d, for instance \"30s\"";
/// What a wrong size is told.
pub(crate) const SIZE_HINT: &str = "write a number and a unit: B, KiB, MiB or GiB, for instance \"64 MiB\"";

/// A duration: a number and `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(ms).map(Duration::from_millis)
}

/// A size in bytes: a number and `B`, `KiB`, `MiB` or `GiB`.
pub(crate) fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(bytes)?).ok()
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_number_and_a_unit() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration(" 500 ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Some(Duration::from_hours(720)));
        assert_eq!(size("64 MiB"), Some(64 << 20));
        assert_eq!(size("1GiB"), Some(1 << 30));
        for bad in ["", "30", "s", "-1s", "1.5s", "1 week", "99999999999999999999s", "18446744073709551615d"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
        for bad in ["64", "64 MB", "MiB", "18446744073709551615GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
