//! JSON lines as Arrow columns: only the fields somebody wants are looked at.
//!
//! [`decode`] walks a row once; fields nobody wants are skipped (checked for being JSON, never parsed). A row's values are put
//! aside in [`value`] and reach the builders in [`build`] only when the row's end is reached, so that a malformed row leaves no
//! trace. [`encode`] is the way back: plain JSON for new rows, Debezium's envelope for changes.
//!
//! Types follow Flink's JSON format: numbers may be quoted, time-stamps are text, `BYTES` is base64; text columns take any
//! value's JSON text. A number with a fraction is no integer, and one out of range is malformed, never wrapped or null.

mod build;
mod decode;
pub(crate) mod encode;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use decode::JsonColumns;

/// Decodes a line into columns of every type: whatever is taken for a row must be a JSON object, and must be written again.
pub(crate) fn fuzz(line: &str) -> Result<(), String> {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

    use crate::format::{LineFormat, SinkFormat};

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
    let format = encode::ColumnLines::new(schema, encode::Shape::Debezium).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    format.encoder().encode(batch, &mut out).map_err(|e| e.to_string())?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&out).map(drop).map_err(|e| format!("{line:?} is written as no JSON: {e}"))
}
