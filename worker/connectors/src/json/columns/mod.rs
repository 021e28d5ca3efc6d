//! JSON lines as Arrow columns: only the fields of the schema are looked at.
//!
//! [`decode`] walks a row once; other fields are skipped (checked for being JSON, never parsed). A row's values are put
//! aside in [`value`] and reach the builders in [`build`] only when the row's end is reached, so that a malformed row leaves no
//! trace. [`encode`] is the way back: plain JSON for new rows, Debezium's envelope for changes.
//!
//! Types follow Flink's JSON format: numbers may be quoted, time-stamps are text, `BYTES` is base64; text columns take any
//! value's JSON text. A number with a fraction is no integer, and one out of range is malformed, never wrapped or null.

mod build;
mod decode;
pub(crate) mod encode;
pub(crate) mod fuzz;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use decode::JsonColumns;
