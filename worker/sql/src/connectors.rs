//! The connectors of `watershed-connectors`, behind the seam of [`catalog`](crate::catalog).
//!
//! The planner knows the seam and no connector; the connectors know names, Arrow schemas and options, and no SQL. This is the one
//! file that knows both: every program that runs SQL text takes its tables from here, so that a text means the same in all of them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_connectors::options::Options;
use watershed_connectors::tables::{self, TableSpec};
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::Result;

use crate::catalog::{Connectors, SinkTraits, SourceTraits, TableDef};

/// The connectors of this build.
#[derive(Clone, Copy, Debug)]
pub struct StandardConnectors;

/// A table of SQL as the connectors see it; every option and the table itself with its place in the text.
fn spec(table: &TableDef) -> Result<TableSpec> {
    let mut options = Options::new();
    for (key, (value, at)) in &table.options {
        options.set(key, value, Some(at.to_string()))?;
    }
    Ok(TableSpec { name: table.name.clone(), place: Some(table.at.to_string()), schema: table.physical(), options })
}

impl Connectors for StandardConnectors {
    fn describe_source(&self, table: &TableDef) -> Result<SourceTraits> {
        tables::describe_source(&spec(table)?)
    }

    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits> {
        tables::describe_sink(&spec(table)?)
    }

    fn source(&self, table: &TableDef, projected: &SchemaRef) -> Result<Arc<dyn Source>> {
        tables::source(&spec(table)?, projected)
    }

    fn sink(&self, table: &TableDef, input: &SchemaRef) -> Result<Arc<dyn Sink>> {
        tables::sink(&spec(table)?, input)
    }
}
