//! Durations and sizes as Flink writes them: `10 s`, `500ms`, `1 min`, `64 mb`.
//!
//! A number without a unit is milliseconds or bytes. Sizes are powers of 1024, as there. Anything else, overflow included, is
//! no value rather than a guess.

use std::time::Duration;

fn split(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

/// Reads a duration.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (n, unit) = split(text)?;
    let micros = match unit.as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => return Some(Duration::from_nanos(n)),
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000,
        "h" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        _ => return None,
    };
    n.checked_mul(micros).map(Duration::from_micros)
}

/// Reads a size in bytes.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let (n, unit) = split(text)?;
    let shift = match unit.as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    n.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_flink_units() {
        assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration(" 1 min "), Some(Duration::from_secs(60)));
        assert_eq!(duration("7"), Some(Duration::from_millis(7)));
        assert_eq!(duration("3 weeks"), None);
        assert_eq!(duration("-1 s"), None);
        assert_eq!(duration("99999999999999999 d"), None);
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(bytes("64 mb"), Some(64 << 20));
        assert_eq!(bytes("1G"), Some(1 << 30));
        assert_eq!(bytes("12"), Some(12));
        assert_eq!(bytes("99999999999 tb"), None);
        assert_eq!(bytes("mb"), None);
    }
}
