//! From a JSON token to the value of a typed column.

use arrow::datatypes::{DataType, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::columns::{decimal, times};
use crate::json::de::finite;
use crate::json::scan::{Bad, Cursor, Number, unescape};

/// One value of a row that is not finished yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    Text(&'a str),
    Owned(String),
    Bytes(Vec<u8>),
}

/// The values that a column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Bool,
    Int { min: i64, max: i64 },
    Float,
    Decimal { precision: u8, scale: i8 },
    Text,
    Bytes,
    Date,
    Time { unit: TimeUnit, zoned: bool },
}

impl Wants {
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        let int = |min: i64, max: i64| Some(Self::Int { min, max });
        // Every type that `columns::supported` names.
        if let DataType::Decimal128(precision, scale) = data_type {
            return Some(Self::Decimal { precision: *precision, scale: *scale });
        }
        if let DataType::Timestamp(unit, zone) = data_type {
            return Some(Self::Time { unit: *unit, zoned: zone.is_some() });
        }
        let plain = [
            (DataType::Boolean, Some(Self::Bool)),
            (DataType::Int8, int(i8::MIN.into(), i8::MAX.into())),
            (DataType::Int16, int(i16::MIN.into(), i16::MAX.into())),
            (DataType::Int32, int(i32::MIN.into(), i32::MAX.into())),
            (DataType::Int64, int(i64::MIN, i64::MAX)),
            (DataType::Float32, Some(Self::Float)),
            (DataType::Float64, Some(Self::Float)),
            (DataType::Utf8, Some(Self::Text)),
            (DataType::Binary, Some(Self::Bytes)),
            (DataType::Date32, Some(Self::Date)),
        ];
        plain.into_iter().find(|(t, _)| t == data_type).and_then(|(_, w)| w)
    }

    /// The name of the type in a message.
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int { max, .. } if max == i64::MAX => "whole number (BIGINT)",
            Self::Int { max, .. } if max == i64::from(i32::MAX) => "whole number (INT)",
            Self::Int { max, .. } if max == i64::from(i16::MAX) => "whole number (SMALLINT)",
            Self::Int { .. } => "whole number (TINYINT)",
            Self::Float => "number",
            Self::Decimal { .. } => "decimal of this precision",
            Self::Text => "text",
            Self::Bytes => "base64 text",
            Self::Date => "date like '2026-01-31'",
            Self::Time { zoned: false, .. } => "time-stamp like '2026-01-31 12:30:00.125' (no zone: that is TIMESTAMP_LTZ)",
            Self::Time { zoned: true, .. } => "time-stamp like '2026-01-31 12:30:00.125Z'",
        }
    }
}

/// The reason why a value does not suit.
#[derive(Debug)]
pub(super) enum Fail {
    /// The row is no JSON object.
    Syntax,
    /// The value of a field is not of its type.
    Type(String),
}

impl From<Bad> for Fail {
    fn from(_: Bad) -> Self {
        Self::Syntax
    }
}

#[cold]
fn unfit(token: &str, wants: Wants) -> Fail {
    let shown: String = token.chars().take(40).collect();
    Fail::Type(format!("{shown} is no {}", wants.name()))
}

/// Reads the value at the cursor for a column.
#[inline]
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, wants: Wants) -> Result<Value<'a>, Fail> {
    cursor.blanks();
    let start = cursor.at();
    match cursor.peek() {
        b'"' => {
            cursor.bump();
            let raw = cursor.string()?;
            if raw.escaped {
                let mut text = String::with_capacity(raw.text.len());
                unescape(raw.text, &mut text)?;
                if wants == Wants::Text {
                    return Ok(Value::Owned(text));
                }
                return of_text(&text, wants).ok_or_else(|| unfit(&format!("'{text}'"), wants));
            }
            if wants == Wants::Text {
                return Ok(Value::Text(raw.text));
            }
            of_text(raw.text, wants).ok_or_else(|| unfit(&format!("'{}'", raw.text), wants))
        }
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            of_number(number, cursor.text().get(start..cursor.at()).unwrap_or_default(), wants)
        }
        b'n' => {
            cursor.word("null")?;
            Ok(Value::Null)
        }
        b't' | b'f' => {
            let truth = cursor.peek() == b't';
            let word = if truth { "true" } else { "false" };
            cursor.word(word)?;
            if wants == Wants::Bool {
                return Ok(Value::Bool(truth));
            }
            if wants == Wants::Text { Ok(Value::Text(word)) } else { Err(unfit(word, wants)) }
        }
        _ => {
            cursor.skip()?;
            let text = cursor.text().get(start..cursor.at()).unwrap_or_default();
            if wants == Wants::Text { Ok(Value::Text(text)) } else { Err(unfit(text, wants)) }
        }
    }
}

/// A quoted value for a column that is not text.
fn of_text(text: &str, wants: Wants) -> Option<Value<'static>> {
    let trimmed = text.trim();
    Some(match wants {
        Wants::Text => return None,
        Wants::Bool => Value::Bool(trimmed.to_ascii_lowercase().parse().ok()?),
        Wants::Int { min, max } => Value::Int(trimmed.parse().ok().filter(|n| (min..=max).contains(n))?),
        Wants::Float => Value::Float(trimmed.parse().ok()?),
        Wants::Decimal { precision, scale } => Value::Decimal(decimal::parse(trimmed, precision, scale)?),
        Wants::Bytes => Value::Bytes(STANDARD.decode(text).ok()?),
        Wants::Date => Value::Int(i64::from(times::parse_date(text)?)),
        Wants::Time { unit, zoned } => Value::Int(times::parse_timestamp(text, unit, zoned)?),
    })
}

#[inline]
fn of_number<'a>(number: Number<'a>, text: &'a str, wants: Wants) -> Result<Value<'a>, Fail> {
    let value = match (wants, number) {
        (Wants::Int { min, max }, number) => whole(number).filter(|n| (min..=max).contains(n)).map(Value::Int),
        (Wants::Float, Number::Positive(n)) => Some(Value::Float(n as f64)),
        (Wants::Float, Number::Negative(n)) => Some(Value::Float(n as f64)),
        (Wants::Float, Number::Other(text)) => finite(text).ok().map(Value::Float),
        (Wants::Decimal { precision, scale }, _) => decimal::parse(text, precision, scale).map(Value::Decimal),
        (Wants::Text, _) => Some(Value::Text(text)),
        (Wants::Bool | Wants::Bytes | Wants::Date | Wants::Time { .. }, _) => None,
    };
    value.ok_or_else(|| unfit(text, wants))
}

/// The whole number, also one written like `3.0` or `1e3`.
#[inline]
fn whole(number: Number<'_>) -> Option<i64> {
    match number {
        Number::Positive(n) => i64::try_from(n).ok(),
        Number::Negative(n) => Some(n),
        Number::Other(text) => {
            let value = finite(text).ok()?;
            (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as i64)
        }
    }
}
