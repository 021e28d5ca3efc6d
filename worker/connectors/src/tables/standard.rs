//! `stdin`, `stdout`, `print`, `blackhole`.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::Sink;
use watershed_runtime::error::Error;

use super::{Accepts, Counted, filesystem, json_in};
use crate::json::columns::JsonColumns;
use crate::json::columns::encode::{ColumnLines, Shape};
use crate::options::Reader;
use crate::stdio::{Blackhole, Output, Stdin, Target};

pub(super) fn stdin(options: &mut Reader<'_>, projected: &SchemaRef) -> Result<Counted, Error> {
    let (ignore, strict) = json_in(options)?;
    let source = Stdin::new(JsonColumns::new(Arc::clone(projected), strict)?).ignore_parse_errors(ignore);
    let metrics = source.metrics();
    Ok((Arc::new(source), Some(metrics)))
}

pub(super) fn stdout(options: &mut Reader<'_>, input: &SchemaRef) -> Result<(Arc<dyn Sink>, Accepts), Error> {
    let (lines, accepts) = filesystem::lines(options, input)?;
    Ok((Arc::new(Output::new(Target::Stdout, lines)), accepts))
}

pub(super) fn print(options: &mut Reader<'_>, input: &SchemaRef) -> Result<(Arc<dyn Sink>, Accepts), Error> {
    let prefix = options.text("print-identifier").map(|p| format!("{p}> ")).unwrap_or_default();
    let target = if options.boolean("standard-error")?.unwrap_or(false) { Target::Stderr } else { Target::Stdout };
    let lines = ColumnLines::new(Arc::clone(input), Shape::Print(prefix))?;
    Ok((Arc::new(Output::new(target, lines)), Accepts::Changes))
}

pub(super) fn blackhole() -> (Arc<dyn Sink>, Accepts) {
    (Arc::new(Blackhole::new()), Accepts::Changes)
}
