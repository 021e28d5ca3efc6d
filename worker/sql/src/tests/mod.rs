//! Text in, plan or refusal out.

mod accepts;
mod connectors;
mod fuzz;
mod refuses;
mod run;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::{Error, Kind, Result};

use crate::{Accepts, Compiled, Connectors, SinkTraits, SourceTraits, TableDef, compile};

/// Connectors for planning only: a table's 'connector' says what it can do.
#[derive(Debug)]
pub(crate) struct Fake;

impl Connectors for Fake {
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

/// The tables that the tests read and write.
pub(crate) const TABLES: &str = "CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, `value` BIGINT, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'stream');
CREATE TABLE counts (word STRING, n BIGINT) WITH ('connector' = 'print');
CREATE TABLE appended (word STRING, n BIGINT) WITH ('connector' = 'sink');
CREATE TABLE upserted (word STRING, n BIGINT, PRIMARY KEY (word) NOT ENFORCED) WITH ('connector' = 'upsert');
CREATE TABLE windows (w TIMESTAMP(3), k STRING, n BIGINT) WITH ('connector' = 'sink');
";

pub(crate) fn job(sql: &str) -> Result<Compiled> {
    compile(&format!("{TABLES}{sql}"), &Fake)
}

/// The plan's text, without ids.
pub(crate) fn explain(sql: &str) -> String {
    let plan = match job(sql) {
        Ok(job) => job.plan.expect("the text has an INSERT"),
        Err(e) => return watershed_runtime::error::explain(&e),
    };
    let text = plan.explain();
    let mut out = String::new();
    for line in text.lines() {
        let cut = line.rfind(" [").unwrap_or(line.len());
        out.push_str(line[..cut].trim_end());
        out.push('\n');
    }
    out
}

/// The error of a text, with lines counted after the tables.
pub(crate) fn refusal(sql: &str) -> String {
    match job(&format!("\n{sql}")) {
        Ok(_) => "accepted".into(),
        Err(e) => {
            let text = watershed_runtime::error::explain(&e);
            let first = TABLES.lines().count() as u64 + 1;
            match text.strip_prefix("error: line ").and_then(|t| t.split_once(',')) {
                Some((line, rest)) => {
                    format!("error: line {},{rest}", line.parse::<u64>().expect("a line number").saturating_sub(first))
                }
                None => text,
            }
        }
    }
}
