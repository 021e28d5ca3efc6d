//! From a table of SQL to a connector. The planner and the connectors know nothing of one another; this is where they meet.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed::Result;
use watershed::connectors::options::Options;
use watershed::connectors::tables::{self, TableSpec};
use watershed::runtime::env::{Sink, Source};
use watershed::runtime::error::Error;
use watershed_sql::{Accepts, Connectors, SinkTraits, SourceTraits, TableDef};

/// The connectors of this build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables;

fn spec(table: &TableDef) -> Result<TableSpec> {
    let mut options = Options::new();
    for (key, (value, at)) in &table.options {
        options.set(key, value, Some(at.to_string()))?;
    }
    Ok(TableSpec { name: table.name.clone(), schema: table.physical(), options, primary_key: table.primary_key.clone() })
}

/// An error that does not say where stands at the table.
fn at(table: &TableDef) -> impl Fn(Error) -> Error + '_ {
    move |e| if e.to_string().contains("line ") { e } else { e.at(table.at.to_string()) }
}

impl Connectors for Tables {
    fn describe_source(&self, table: &TableDef) -> Result<SourceTraits> {
        let bounded = tables::bounded(&spec(table)?).map_err(at(table))?;
        Ok(SourceTraits { bounded })
    }

    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits> {
        let accepts = match tables::accepts(&spec(table)?).map_err(at(table))? {
            tables::Accepts::Append => Accepts::Append,
            tables::Accepts::Changes => Accepts::Retract,
        };
        Ok(SinkTraits { accepts })
    }

    fn source(&self, table: &TableDef, projected: &SchemaRef) -> Result<Arc<dyn Source>> {
        tables::source(&spec(table)?, projected).map_err(at(table))
    }

    fn sink(&self, table: &TableDef, input: &SchemaRef) -> Result<Arc<dyn Sink>> {
        tables::sink(&spec(table)?, input).map_err(at(table))
    }
}
