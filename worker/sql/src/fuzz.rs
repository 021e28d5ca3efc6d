//! The law of refusals, as a function over any text: planning never panics, and whatever is refused has a place in the text and an advice.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::{Error, Kind, Result};

use crate::{Accepts, Connectors, SinkTraits, SourceTraits, TableDef, compile};

/// Tables that the text may read and write besides its own.
const TABLES: &str = "CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE o (a STRING, b BIGINT) WITH ('connector' = 'append');
CREATE TABLE c (a STRING, b BIGINT) WITH ('connector' = 'print');
CREATE TABLE u (a STRING, b BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH ('connector' = 'upsert');
";

/// Connectors for planning only.
#[derive(Debug)]
struct Nothing;

impl Connectors for Nothing {
    fn describe_source(&self, table: &TableDef) -> Result<SourceTraits> {
        Ok(SourceTraits { bounded: table.connector()? == "files" })
    }

    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits> {
        let accepts = match table.connector()? {
            "print" => Accepts::Retract,
            "upsert" => Accepts::Upsert,
            _ => Accepts::Append,
        };
        Ok(SinkTraits { accepts })
    }

    fn source(&self, _: &TableDef, _: &SchemaRef) -> Result<Arc<dyn Source>> {
        Err(Error::new(Kind::Invalid, "planning only"))
    }

    fn sink(&self, _: &TableDef, _: &SchemaRef) -> Result<Arc<dyn Sink>> {
        Err(Error::new(Kind::Invalid, "planning only"))
    }
}

/// Plans the text alone and behind some tables; says what breaks the law.
pub(crate) fn check(text: &str) -> Result<(), String> {
    one(text)?;
    one(&format!("{TABLES}{text}"))
}

fn one(text: &str) -> Result<(), String> {
    let Err(e) = compile(text, &Nothing) else { return Ok(()) };
    if e.kind() == Kind::Broken {
        return Err(format!("{e}, for {text:?}"));
    }
    if e.advice().is_none() {
        return Err(format!("{e} says nothing to do, for {text:?}"));
    }
    if inside(&e.to_string(), text) { Ok(()) } else { Err(format!("{e} has no place in {text:?}")) }
}

/// True if a message begins with a line and a column of the text; one behind the end of a line is in it.
fn inside(message: &str, text: &str) -> bool {
    let place = message.strip_prefix("line ").and_then(|m| m.split_once(':')).and_then(|(m, _)| m.split_once(", column "));
    let Some((Ok(line), Ok(column))) = place.map(|(l, c)| (l.parse::<usize>(), c.parse::<usize>())) else { return false };
    let lines: Vec<&str> = text.split('\n').collect();
    let Some(found) = line.checked_sub(1).and_then(|l| lines.get(l)) else { return false };
    (1..=found.chars().count() + 1).contains(&column)
}
