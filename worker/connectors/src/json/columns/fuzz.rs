//! The law of the column decoder, as a function over any line: it takes only JSON objects for rows, and writes them as JSON again.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::decode::JsonColumns;
use super::encode::{ColumnLines, Shape};
use crate::format::{LineFormat, SinkFormat};

/// A line decoded into columns of every type: if it is taken for a row, it must be a JSON object, and must be written again.
pub(crate) fn check(line: &str) -> Result<(), String> {
    let types = [
        ("a", DataType::Utf8),
        ("b", DataType::Int64),
        ("c", DataType::Binary),
        ("d", DataType::Decimal128(20, 4)),
        ("e", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("f", DataType::Float64),
        ("g", DataType::Date32),
        ("h", DataType::Boolean),
    ];
    let schema = Arc::new(Schema::new(types.map(|(n, t)| Field::new(n, t, true)).to_vec()));
    let mut decoder = JsonColumns::new(Arc::clone(&schema), false).map_err(|e| e.to_string())?.decoder();
    decoder.decode(line, 1);
    if decoder.is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(line)
        .map_err(|e| format!("{line:?}: we take it for a row, serde_json says {e}"))?;
    let batch = decoder.take().map_err(|e| e.to_string())?;
    let format = ColumnLines::new(schema, Shape::Debezium).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    format.encoder().encode(batch, &mut out).map_err(|e| e.to_string())?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&out).map(drop).map_err(|e| format!("{line:?} is written as no JSON: {e}"))
}
