//! Flink's time functions: from numbers and texts to time-stamps, and back.
//!
//! Patterns are those of Java's `DateTimeFormatter` as far as SQL text uses them (`yyyy-MM-dd HH:mm:ss.SSS`); a letter that is not known is
//! an error, never printed as it stands. All is UTC.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType::{self, Date32, Int32, Int64, Null, Timestamp, Utf8};
use arrow::datatypes::TimeUnit::{self, Microsecond, Millisecond, Second};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike};
use datafusion_common::{DataFusionError, Result, exec_datafusion_err, exec_err};
use datafusion_expr::ScalarUDF;

use super::helper::{cast, exactly, micros, number, plain, rows, text};
use crate::text::types::{sql_name, utc};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let text_of = |_: &[DataType]| Ok(Utf8);
    vec![
        plain("to_timestamp_ltz", ltz_args, |_| Ok(Timestamp(Millisecond, utc())), to_timestamp_ltz),
        plain("to_timestamp", parse_args, |_| Ok(Timestamp(Millisecond, None)), to_timestamp),
        plain("date_format", |got| with_time(got, &[Utf8]), text_of, date_format),
        plain("from_unixtime", from_unixtime_args, text_of, from_unixtime),
        plain("unix_timestamp", parse_args, |_| Ok(Int64), unix_timestamp),
        plain("timestampdiff", diff_args, |_| Ok(Int32), timestampdiff),
        plain("timestampadd", add_args, |got| got.get(2).cloned().ok_or_else(|| "takes three arguments".into()), timestampadd),
        timestamp_text(),
    ]
}

/// The function that CAST of a time-stamp to STRING becomes: `2020-01-01 12:00:00.123`, as many digits as the type has.
pub(crate) fn timestamp_text() -> Arc<ScalarUDF> {
    plain("timestamp_text", |got| with_time(got, &[]), |_| Ok(Utf8), to_text)
}

fn is_time(t: &DataType) -> bool {
    matches!(t, Timestamp(..) | Date32)
}

fn as_time(t: &DataType) -> Result<DataType, String> {
    match t {
        Timestamp(..) => Ok(t.clone()),
        Date32 | Utf8 | Null => Ok(Timestamp(Millisecond, None)),
        other => Err(format!("expects a time-stamp, not {}", sql_name(other))),
    }
}

fn with_time(got: &[DataType], rest: &[DataType]) -> Result<Vec<DataType>, String> {
    let (Some(first), Some(others)) = (got.first(), got.get(1..)) else { return Err("takes a time-stamp".into()) };
    let mut types = vec![as_time(first)?];
    types.extend(exactly(others, rest)?);
    Ok(types)
}

fn ltz_args(got: &[DataType]) -> Result<Vec<DataType>, String> {
    match got {
        [t] | [t, _] if *t == Utf8 => exactly(got, &vec![Utf8; got.len()]),
        [_] => exactly(got, &[Int64]),
        _ => exactly(got, &[Int64, Int64]),
    }
}

fn parse_args(got: &[DataType]) -> Result<Vec<DataType>, String> {
    match got.len() {
        1 => exactly(got, &[Utf8]),
        _ => exactly(got, &[Utf8, Utf8]),
    }
}

fn from_unixtime_args(got: &[DataType]) -> Result<Vec<DataType>, String> {
    match got.len() {
        1 => exactly(got, &[Int64]),
        _ => exactly(got, &[Int64, Utf8]),
    }
}

fn diff_args(got: &[DataType]) -> Result<Vec<DataType>, String> {
    match got {
        [_, a, b] => Ok(vec![Utf8, as_time(a)?, as_time(b)?]),
        _ => Err("takes a unit and two time-stamps".into()),
    }
}

fn add_args(got: &[DataType]) -> Result<Vec<DataType>, String> {
    match got {
        [_, n, t] if n.is_integer() && is_time(t) => Ok(vec![Utf8, Int64, as_time(t)?]),
        _ => Err("takes a unit, a whole number and a time-stamp".into()),
    }
}

/// `(number)` and `(number, 3)` count milliseconds, `(number, 0)` seconds; a text is parsed.
fn to_timestamp_ltz(columns: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let Some(value) = columns.first() else { return exec_err!("TO_TIMESTAMP_LTZ takes one or two arguments") };
    if *value.data_type() == Utf8 {
        return cast(&to_timestamp(columns, &Timestamp(Millisecond, None))?, to);
    }
    let precision = columns.get(1).and_then(|p| (0..p.len()).find_map(|row| number(p, row)));
    let unit = match precision {
        None | Some(3) => Millisecond,
        Some(0) => Second,
        Some(p) => return exec_err!("TO_TIMESTAMP_LTZ takes a precision of 0 (seconds) or 3 (milliseconds), not {p}"),
    };
    cast(&cast(value, &Timestamp(unit, utc()))?, to)
}

fn to_timestamp(columns: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let parsed = parse_column(columns, |t| t.and_utc().timestamp_millis())?;
    cast(&cast(&parsed, &Timestamp(Millisecond, None))?, to)
}

fn unix_timestamp(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    parse_column(columns, |t| t.and_utc().timestamp())
}

/// A text that is no time is NULL, as in Flink.
fn parse_column(columns: &[ArrayRef], value: fn(NaiveDateTime) -> i64) -> Result<ArrayRef> {
    let Some(s) = columns.first() else { return exec_err!("takes one or two arguments") };
    let mut out: Vec<Option<i64>> = Vec::with_capacity(s.len());
    for row in 0..s.len() {
        let pattern = columns.get(1).map_or(Some("yyyy-MM-dd HH:mm:ss"), |p| text(p, row));
        let (Some(s), Some(pattern)) = (text(s, row), pattern) else {
            out.push(None);
            continue;
        };
        let format = strftime(pattern)?;
        let fraction = if columns.len() == 1 { "%.f" } else { "" };
        let time = NaiveDateTime::parse_from_str(s, &format!("{format}{fraction}"))
            .or_else(|_| NaiveDate::parse_from_str(s, &format).map(|d| d.and_time(chrono::NaiveTime::MIN)))
            .or_else(|_| NaiveDate::parse_from_str(s, "%Y-%m-%d").map(|d| d.and_time(chrono::NaiveTime::MIN)));
        out.push(time.ok().map(value));
    }
    Ok(Arc::new(Int64Array::from(out)))
}

/// Java's pattern as chrono's.
fn strftime(pattern: &str) -> Result<String> {
    let mut out = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(c) = letters.next() {
        let mut n = 1;
        while c.is_ascii_alphabetic() && letters.next_if_eq(&c).is_some() {
            n += 1;
        }
        let item = match (c, n) {
            ('y' | 'u', 4) => "%Y",
            ('y' | 'u', 2) => "%y",
            ('M', 1) => "%-m",
            ('M', 2) => "%m",
            ('M', 3) => "%b",
            ('M', 4) => "%B",
            ('d', 1) => "%-d",
            ('d', 2) => "%d",
            ('H', 1) => "%-H",
            ('H', 2) => "%H",
            ('h', 2) => "%I",
            ('m', 1) => "%-M",
            ('m', 2) => "%M",
            ('s', 1) => "%-S",
            ('s', 2) => "%S",
            ('S', 3) => "%3f",
            ('S', 6) => "%6f",
            ('S', 9) => "%9f",
            ('a', 1) => "%p",
            ('E', 1..=3) => "%a",
            ('E', 4) => "%A",
            ('D', 3) => "%j",
            ('\'', _) => {
                quoted(&mut letters, &mut out);
                continue;
            }
            (c, _) if c.is_ascii_alphabetic() => return exec_err!("the pattern '{pattern}' has an unknown part '{c}' (x{n})"),
            ('%', _) => "%%",
            (c, _) => {
                out.push(c);
                continue;
            }
        };
        out.push_str(item);
    }
    Ok(out)
}

fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    if letters.next_if_eq(&'\'').is_some() {
        out.push('\'');
        return;
    }
    for c in letters.by_ref().take_while(|c| *c != '\'') {
        out.push_str(if c == '%' { "%%" } else { "" });
        if c != '%' {
            out.push(c);
        }
    }
}

fn moment(micros: i64) -> Result<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros)
        .map(|t| t.naive_utc())
        .ok_or_else(|| exec_datafusion_err!("the time-stamp {micros} µs is out of range"))
}

fn formatted(time: NaiveDateTime, format: &str) -> Result<String> {
    let mut s = String::new();
    write!(s, "{}", time.format(format)).map_err(|_| exec_datafusion_err!("the pattern cannot be printed"))?;
    Ok(s)
}

fn date_format(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let [time, pattern] = columns else { return exec_err!("DATE_FORMAT takes two arguments") };
    format_rows(&micros(time)?, |row| Ok(text(pattern, row)), 1)
}

fn from_unixtime(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let Some(seconds) = columns.first() else { return exec_err!("FROM_UNIXTIME takes one or two arguments") };
    format_rows(seconds, |row| Ok(columns.get(1).map_or(Some("yyyy-MM-dd HH:mm:ss"), |p| text(p, row))), 1_000_000)
}

fn format_rows<'a>(times: &ArrayRef, pattern: impl Fn(usize) -> Result<Option<&'a str>>, scale: i64) -> Result<ArrayRef> {
    let mut out = Vec::with_capacity(times.len());
    let mut last: Option<(&str, String)> = None;
    for row in 0..times.len() {
        let (Some(t), Some(p)) = (number(times, row), pattern(row)?) else {
            out.push(None);
            continue;
        };
        if last.as_ref().is_none_or(|(l, _)| *l != p) {
            last = Some((p, strftime(p)?));
        }
        let format = last.as_ref().map_or("", |(_, f)| f);
        out.push(Some(formatted(moment(t.saturating_mul(scale))?, format)?));
    }
    Ok(Arc::new(out.into_iter().collect::<StringArray>()))
}

fn to_text(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let [time] = columns else { return exec_err!("takes one argument") };
    let pattern = match time.data_type() {
        Timestamp(TimeUnit::Second, _) => "yyyy-MM-dd HH:mm:ss",
        Timestamp(Millisecond, _) => "yyyy-MM-dd HH:mm:ss.SSS",
        _ => "yyyy-MM-dd HH:mm:ss.SSSSSS",
    };
    format_rows(&micros(time)?, |_| Ok(Some(pattern)), 1)
}

/// Whole units from `a` to `b`, cut towards zero.
fn timestampdiff(columns: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let [unit, a, b] = columns else { return exec_err!("TIMESTAMPDIFF takes three arguments") };
    let (a, b) = (micros(a)?, micros(b)?);
    let mut out: Vec<Option<i64>> = Vec::with_capacity(rows(columns));
    for row in 0..rows(columns) {
        out.push(match (text(unit, row), number(&a, row), number(&b, row)) {
            (Some(unit), Some(a), Some(b)) => Some(match length(unit)? {
                Length::Micros(n) => b.checked_sub(a).ok_or_else(out_of_range)? / n,
                Length::Months(n) => whole_months(moment(a)?, moment(b)?) / n,
            }),
            _ => None,
        });
    }
    let out: ArrayRef = Arc::new(Int64Array::from(out));
    cast(&out, to)
}

fn timestampadd(columns: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let [unit, n, time] = columns else { return exec_err!("TIMESTAMPADD takes three arguments") };
    let times = micros(time)?;
    let mut out: Vec<Option<i64>> = Vec::with_capacity(rows(columns));
    for row in 0..rows(columns) {
        out.push(match (text(unit, row), number(n, row), number(&times, row)) {
            (Some(unit), Some(n), Some(t)) => Some(match length(unit)? {
                Length::Micros(size) => n.checked_mul(size).and_then(|n| t.checked_add(n)).ok_or_else(out_of_range)?,
                Length::Months(size) => add_months(moment(t)?, n.saturating_mul(size))?,
            }),
            _ => None,
        });
    }
    let zone = if let Timestamp(_, zone) = to { zone.clone() } else { None };
    let out: ArrayRef = Arc::new(Int64Array::from(out));
    cast(&cast(&out, &Timestamp(Microsecond, zone))?, to)
}

enum Length {
    Micros(i64),
    Months(i64),
}

fn length(unit: &str) -> Result<Length> {
    Ok(match unit {
        "SECOND" => Length::Micros(1_000_000),
        "MINUTE" => Length::Micros(60_000_000),
        "HOUR" => Length::Micros(3_600_000_000),
        "DAY" => Length::Micros(86_400_000_000),
        "WEEK" => Length::Micros(7 * 86_400_000_000),
        "MONTH" => Length::Months(1),
        "QUARTER" => Length::Months(3),
        "YEAR" => Length::Months(12),
        other => return exec_err!("'{other}' is no unit: SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER or YEAR"),
    })
}

fn whole_months(a: NaiveDateTime, b: NaiveDateTime) -> i64 {
    let months = i64::from(b.year() - a.year()) * 12 + i64::from(b.month()) - i64::from(a.month());
    let part = |t: NaiveDateTime| (t.day(), t.num_seconds_from_midnight(), t.nanosecond());
    match months.signum() {
        1 if part(b) < part(a) => months - 1,
        -1 if part(b) > part(a) => months + 1,
        _ => months,
    }
}

fn add_months(t: NaiveDateTime, n: i64) -> Result<i64> {
    let count = u32::try_from(n.unsigned_abs()).map_or(Months::new(u32::MAX), Months::new);
    let moved = if n < 0 { t.checked_sub_months(count) } else { t.checked_add_months(count) };
    moved.map(|t| t.and_utc().timestamp_micros()).ok_or_else(out_of_range)
}

fn out_of_range() -> DataFusionError {
    exec_datafusion_err!("the result is out of the range of time-stamps")
}
