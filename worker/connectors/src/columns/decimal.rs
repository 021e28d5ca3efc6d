//! Decimals as text, exactly: `-12.30` at scale 2 is -1230.

use std::io::Write;

/// Reads decimal text (digits, fraction, exponent) at a scale; digits beyond it are rounded half away from zero. `None` if it is
/// no number or has more than `precision` digits.
pub(crate) fn parse(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)?),
        [b'+', ..] => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (number, exponent) = match rest.split_once(['e', 'E']) {
        Some((n, e)) => (n, e.parse::<i32>().ok().filter(|e| e.abs() <= 1000)?),
        None => (rest, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // The number of written digits that count: the point, moved by the exponent, plus the scale.
    let keep = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value: i128 = 0;
    let mut round = false;
    let mut seen = 0;
    for b in whole.bytes().chain(fraction.bytes()) {
        let digit = i128::from(b.checked_sub(b'0').filter(|d| *d < 10)?);
        if seen < keep {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else if seen == keep {
            round = digit >= 5;
        }
        seen += 1;
    }
    if value != 0 {
        for _ in seen..keep {
            value = value.checked_mul(10)?;
        }
    }
    value += i128::from(round);
    if value >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// Writes a decimal.
pub(crate) fn write(value: i128, scale: i8, out: &mut Vec<u8>) {
    let scale = usize::try_from(scale).unwrap_or(0);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>1$}", value.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale).unwrap_or((digits.as_str(), ""));
    // Writing to memory cannot fail.
    let _ = if fraction.is_empty() { write!(out, "{sign}{whole}") } else { write!(out, "{sign}{whole}.{fraction}") };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        assert_eq!(parse("12.30", 10, 2), Some(1230));
        assert_eq!(parse("-0.005", 10, 2), Some(-1));
        assert_eq!(parse("0.004", 10, 2), Some(0));
        assert_eq!(parse("1e3", 10, 2), Some(100_000));
        assert_eq!(parse("12345e-3", 10, 2), Some(1235));
        assert_eq!(parse("99999999999999999999999999999999999999", 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(parse("0e999", 5, 2), Some(0));
        assert_eq!(parse("5e-4", 5, 2), Some(0));
    }

    #[test]
    fn what_does_not_fit_or_is_no_number_is_refused() {
        for bad in ["", "-", ".", "1.2.3", "1e", "abc", "100", "99.995", "1e400", "1e99999"] {
            assert_eq!(parse(bad, 4, 2), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(value in -9_999_999_999i128..=9_999_999_999, scale in 0i8..10) {
            let mut out = Vec::new();
            write(value, scale, &mut out);
            proptest::prop_assert_eq!(parse(std::str::from_utf8(&out).unwrap(), 10, scale), Some(value));
        }
    }
}
