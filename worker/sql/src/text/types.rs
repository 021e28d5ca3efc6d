//! SQL types to Arrow types and back to their SQL names.
//!
//! Event time is microseconds, so time-stamps of more than six digits are refused; fewer digits keep their own unit because the printed
//! form and CAST depend on it. ROW, ARRAY, MAP and MULTISET have a clean place here and are refused for now.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};

/// Words that begin a type which this version does not have.
pub(crate) const NESTED: [&str; 4] = ["ROW", "ARRAY", "MAP", "MULTISET"];

/// The zone of every TIMESTAMP_LTZ.
pub(crate) fn utc() -> Option<Arc<str>> {
    Some("UTC".into())
}

/// The Arrow type of a SQL type, or what to say about it.
pub(crate) fn to_arrow(sql: &Sql) -> Result<DataType, String> {
    Ok(match sql {
        Sql::Varchar(_) | Sql::CharacterVarying(_) | Sql::String(_) | Sql::Text | Sql::Char(_) | Sql::Character(_) => {
            DataType::Utf8
        }
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) => DataType::Int32,
        Sql::BigInt(_) => DataType::Int64,
        Sql::Float(_) | Sql::Real => DataType::Float32,
        Sql::Double(_) | Sql::DoublePrecision => DataType::Float64,
        Sql::Decimal(info) | Sql::Numeric(info) | Sql::Dec(info) => decimal(info)?,
        Sql::Date => DataType::Date32,
        Sql::Bytes(_) | Sql::Varbinary(_) | Sql::Binary(_) => DataType::Binary,
        Sql::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => DataType::Timestamp(unit(p.unwrap_or(6))?, None),
        Sql::Custom(name, args) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            let p = args
                .first()
                .map_or(Ok(6), |p| p.parse())
                .map_err(|_| "the precision of TIMESTAMP_LTZ must be a number".to_owned())?;
            DataType::Timestamp(unit(p)?, utc())
        }
        other => return Err(format!("the type {other} is not supported")),
    })
}

fn unit(precision: u64) -> Result<TimeUnit, String> {
    match precision {
        0 => Ok(TimeUnit::Second),
        1..=3 => Ok(TimeUnit::Millisecond),
        4..=6 => Ok(TimeUnit::Microsecond),
        p => Err(format!("a time-stamp of {p} digits: event time is kept in microseconds, six digits at most")),
    }
}

fn decimal(info: &ExactNumberInfo) -> Result<DataType, String> {
    let (p, s) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(p) => (*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (*p, *s),
    };
    match (u8::try_from(p), i8::try_from(s)) {
        (Ok(p), Ok(s)) if (1..=38).contains(&p) && s >= 0 && i16::from(s) <= i16::from(p) => Ok(DataType::Decimal128(p, s)),
        _ => Err(format!("DECIMAL({p}, {s}): the precision goes from 1 to 38 and the scale from 0 to the precision")),
    }
}

/// The SQL text of a type; for messages and EXPLAIN.
pub(crate) fn sql_name(t: &DataType) -> String {
    let digits = |u: &TimeUnit| match u {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match t {
        DataType::Null => "NULL".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Date32 => "DATE".into(),
        DataType::Binary | DataType::LargeBinary => "BYTES".into(),
        DataType::Timestamp(u, None) => format!("TIMESTAMP({})", digits(u)),
        DataType::Timestamp(u, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(u)),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        other => other.to_string(),
    }
}
