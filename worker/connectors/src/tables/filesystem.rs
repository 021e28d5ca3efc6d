//! `filesystem`: files as a table.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::Sink;
use watershed_runtime::error::Error;

use super::{Accepts, Counted, format, json_in};
use crate::columns::times::Style;
use crate::fs::{FileSink, FileSource};
use crate::json::columns::JsonColumns;
use crate::json::columns::encode::{ColumnLines, Shape};
use crate::options::Reader;

pub(super) fn source(options: &mut Reader<'_>, projected: &SchemaRef) -> Result<Counted, Error> {
    let path = options.required("path")?;
    let (ignore, strict) = json_in(options)?;
    let mut source = FileSource::new(path, JsonColumns::new(Arc::clone(projected), strict)?).ignore_parse_errors(ignore);
    if let Some(every) = options.duration("source.monitor-interval")? {
        if every.is_zero() {
            return Err(options.refuse("source.monitor-interval", "the interval is zero").advise("look every '1 s', say"));
        }
        source = source.watch(every);
    }
    let metrics = source.metrics();
    Ok((Arc::new(source), Some(metrics)))
}

pub(super) fn sink(options: &mut Reader<'_>, input: &SchemaRef) -> Result<(Arc<dyn Sink>, Accepts), Error> {
    let path = options.required("path")?;
    let (lines, accepts) = lines(options, input)?;
    let path = crate::fs::paths::local(path)?;
    let mut sink = FileSink::new(path, lines);
    if let Some(bytes) = options.bytes("sink.rolling-policy.file-size")? {
        sink = sink.roll_at(bytes);
    }
    Ok((Arc::new(sink), accepts))
}

/// The line format of a sink, and which changes it can write down.
pub(super) fn lines(options: &mut Reader<'_>, input: &SchemaRef) -> Result<(ColumnLines, Accepts), Error> {
    let format = format(options, &["json", "debezium-json"])?;
    let (shape, accepts) = match format {
        "json" => (Shape::Json, Accepts::Append),
        _ => (Shape::Debezium, Accepts::Changes),
    };
    let mut lines = ColumnLines::new(Arc::clone(input), shape)?;
    // Both formats share the code, and their options differ by the prefix.
    if options.choice(&format!("{format}.timestamp-format.standard"), &["SQL", "ISO-8601"])? == Some("ISO-8601") {
        lines.style = Style::Iso;
    }
    lines.ignore_nulls = options.boolean(&format!("{format}.encode.ignore-null-fields"))?.unwrap_or(false);
    Ok((lines, accepts))
}
