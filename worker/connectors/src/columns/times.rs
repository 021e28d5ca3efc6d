//! Dates and times of day as text: `2026-01-31 12:30:00.125`, with a space (SQL) or a `T` (ISO 8601), by the Gregorian calendar.

use std::io::Write;

use arrow::datatypes::TimeUnit;

/// The separator between date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Sql,
    Iso,
}

/// Days since 1970-01-01 of a date that exists.
pub(crate) fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Years that begin in March put the leap day last; eras of 400 years are all alike.
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The year, month and day of a number of days since 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn digits(&mut self, n: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(n)?;
        let mut value = 0;
        for b in head {
            value = value * 10 + i64::from(b.checked_sub(b'0').filter(|d| *d < 10)?);
        }
        self.0 = tail;
        Some(value)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        self.take(b'-')?;
        let month = self.digits(2)?;
        self.take(b'-')?;
        let day = self.digits(2)?;
        days(year, month as u8, day as u8)
    }

    /// Seconds of the day and nanoseconds.
    fn time(&mut self) -> Option<(i64, u32)> {
        let hour = self.digits(2)?;
        self.take(b':')?;
        let minute = self.digits(2)?;
        let mut second = 0;
        let mut nanos = 0;
        if self.take(b':').is_some() {
            second = self.digits(2)?;
            if self.take(b'.').is_some() {
                nanos = self.fraction()?;
            }
        }
        (hour < 24 && minute < 60 && second < 60).then_some((hour * 3600 + minute * 60 + second, nanos))
    }

    fn fraction(&mut self) -> Option<u32> {
        let n = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if n == 0 || n > 9 {
            return None;
        }
        let value = self.digits(n)?;
        u32::try_from(value * 10_i64.pow(9 - n as u32)).ok()
    }

    /// Seconds east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        if self.take(b'Z').is_some() {
            return Some(0);
        }
        let sign = match self.0.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.digits_after_sign(sign)
    }

    fn digits_after_sign(&mut self, sign: i64) -> Option<i64> {
        self.0 = self.0.get(1..)?;
        let hours = self.digits(2)?;
        self.take(b':')?;
        let minutes = self.digits(2)?;
        (hours < 19 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

/// Reads a date as days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut text = Text(text.as_bytes());
    let date = text.date()?;
    text.0.is_empty().then_some(date)?.try_into().ok()
}

/// Reads a time-stamp in a unit. With `zoned`, a zone may follow (none is UTC); without, none may.
pub(crate) fn parse_timestamp(text: &str, unit: TimeUnit, zoned: bool) -> Option<i64> {
    let mut text = Text(text.as_bytes());
    let date = text.date()?;
    text.take(b' ').or_else(|| text.take(b'T'))?;
    let (of_day, nanos) = text.time()?;
    let zone = if zoned && !text.0.is_empty() { text.zone()? } else { 0 };
    if !text.0.is_empty() {
        return None;
    }
    let seconds = date * 86_400 + of_day - zone;
    let (per, nanos_per) = scale(unit);
    seconds.checked_mul(per)?.checked_add(i64::from(nanos) / nanos_per)
}

/// Units in a second, and nanoseconds in a unit.
pub(crate) fn scale(unit: TimeUnit) -> (i64, i64) {
    match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    }
}

/// Writes a date.
pub(crate) fn write_date(days: i32, out: &mut Vec<u8>) {
    let (y, m, d) = civil(i64::from(days));
    // Writing to memory cannot fail.
    let _ = write!(out, "{y:04}-{m:02}-{d:02}");
}

/// Writes a time-stamp; its fraction without trailing zeros.
pub(crate) fn write_timestamp(value: i64, unit: TimeUnit, zoned: bool, style: Style, out: &mut Vec<u8>) {
    let (per, nanos_per) = scale(unit);
    let (seconds, fraction) = (value.div_euclid(per), value.rem_euclid(per));
    let (y, m, d) = civil(seconds.div_euclid(86_400));
    let s = seconds.rem_euclid(86_400);
    let between = if style == Style::Sql { ' ' } else { 'T' };
    let _ = write!(out, "{y:04}-{m:02}-{d:02}{between}{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    if fraction != 0 {
        let _ = write!(out, ".{:09}", fraction * nanos_per);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    if zoned {
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_are_read() {
        let micros = |t, zoned| parse_timestamp(t, TimeUnit::Microsecond, zoned);
        assert_eq!(micros("1970-01-01 00:00:00", false), Some(0));
        assert_eq!(micros("2026-11-21T11:33:45.5", false), Some(1_795_260_825_500_000));
        assert_eq!(micros("2026-11-21 13:33:45.5+02:00", true), Some(1_795_260_825_500_000));
        assert_eq!(micros("2026-11-21 11:33:45.5Z", true), Some(1_795_260_825_500_000));
        assert_eq!(micros("1969-12-31 23:59", false), Some(-60_000_000));
        assert_eq!(parse_timestamp("2000-02-29 00:00:00.9999", TimeUnit::Second, false), Some(951_782_400));
        assert_eq!(parse_date("1970-01-31"), Some(30));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for bad in [
            "",
            "2026",
            "2026-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-01-01",
            "2026-01-01 24:00:00",
            "2026-01-01 00:00:00.",
            "2026-01-01 00:00:00 ",
            "2026-01-01 00:00:00Z",
            "+026-01-01 00:00:00",
            "2026-01-00 00:00:00",
            "1700000000000",
        ] {
            assert_eq!(parse_timestamp(bad, TimeUnit::Microsecond, false), None, "{bad}");
        }
        assert_eq!(parse_timestamp("9999-12-31 00:00:00", TimeUnit::Nanosecond, false), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(value in -62_000_000_000_000_000i64..250_000_000_000_000_000, iso: bool, zoned: bool) {
            let mut out = Vec::new();
            let style = if iso { Style::Iso } else { Style::Sql };
            write_timestamp(value, TimeUnit::Microsecond, zoned, style, &mut out);
            let text = String::from_utf8(out).unwrap();
            proptest::prop_assert_eq!(parse_timestamp(&text, TimeUnit::Microsecond, zoned), Some(value), "{}", text);
        }

        #[test]
        fn days_count_one_by_one(day in -700_000i64..2_900_000) {
            let (y, m, d) = civil(day);
            proptest::prop_assert_eq!(days(y, m as u8, d as u8), Some(day));
        }
    }
}
