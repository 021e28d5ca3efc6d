//! SQL text to a graph, through the library: what the command line does, without a manifest.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed::runtime::env::{Sink, Source};
use watershed::runtime::graph::Graph;
use watershed::{Error, Kind, Result};
use watershed_connectors::options::Options;
use watershed_connectors::tables::{self, TableSpec};
use watershed_sql::{Accepts, Connectors, SinkTraits, SourceTraits, TableDef};

/// Every connector that the tables know.
#[derive(Clone, Copy, Debug)]
pub struct Tables;

fn spec(table: &TableDef) -> Result<TableSpec> {
    let mut options = Options::new();
    for (key, (value, at)) in &table.options {
        options.set(key, value, Some(at.to_string()))?;
    }
    Ok(TableSpec { name: table.name.clone(), schema: table.physical(), options, primary_key: table.primary_key.clone() })
}

impl Connectors for Tables {
    fn describe_source(&self, table: &TableDef) -> Result<SourceTraits> {
        Ok(SourceTraits { bounded: tables::bounded(&spec(table)?)? })
    }

    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits> {
        let accepts = match tables::accepts(&spec(table)?)? {
            tables::Accepts::Append => Accepts::Append,
            tables::Accepts::Changes => Accepts::Retract,
        };
        Ok(SinkTraits { accepts })
    }

    fn source(&self, table: &TableDef, projected: &SchemaRef) -> Result<Arc<dyn Source>> {
        tables::source(&spec(table)?, projected)
    }

    fn sink(&self, table: &TableDef, input: &SchemaRef) -> Result<Arc<dyn Sink>> {
        tables::sink(&spec(table)?, input)
    }
}

/// The graph of a text.
pub fn graph(text: &str) -> Result<Graph> {
    let plan = watershed_sql::compile(text, &Tables)?.plan;
    let plan =
        plan.ok_or_else(|| Error::new(Kind::Invalid, "the text has no INSERT").advise("end it in INSERT INTO … SELECT"))?;
    watershed_sql::build(&plan, &Tables)
}

/// A text in single quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
