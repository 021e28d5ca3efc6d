//! The tables of SQL: from a connector's name and its options to a source or a sink of columns.
//!
//! This is the only list of connectors. Judging options touches nothing outside: a plan can be made and explained where the
//! files are not. What a table is made of is Arrow's schema; SQL is not known here.

mod datagen;
mod filesystem;
mod standard;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::{Error, Kind};

use crate::metrics::SourceMetrics;
use crate::nexmark;
use crate::options::{Options, Reader, nearest};

/// A table as its definition says.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// The name, for messages.
    pub name: String,
    /// The stored columns.
    pub schema: SchemaRef,
    /// What stands in `WITH`.
    pub options: Options,
    /// The columns of the primary key.
    pub primary_key: Vec<String>,
}

/// Which changes a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// New rows only.
    Append,
    /// Every change, with the row as it was before.
    Changes,
}

/// Every connector's name, and what it can be.
pub const CONNECTORS: [(&str, bool, bool); 7] = [
    ("filesystem", true, true),
    ("datagen", true, false),
    ("nexmark", true, false),
    ("print", false, true),
    ("blackhole", false, true),
    ("stdin", true, false),
    ("stdout", false, true),
];

/// The source of a table, decoding only `projected` (some of the table's columns, in its order).
pub fn source(table: &TableSpec, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
    source_with_metrics(table, projected).map(|(source, _)| source)
}

/// The same, with what it counts (skipped rows among others) if it reads anything that can be malformed.
pub fn source_with_metrics(table: &TableSpec, projected: &SchemaRef) -> Result<Counted, Error> {
    let owner = table.owner();
    let mut options = table.options.reader(&owner);
    let source = match table.connector(&mut options, |c| c.1, "read")? {
        "filesystem" => filesystem::source(&mut options, projected)?,
        "stdin" => standard::stdin(&mut options, projected)?,
        "datagen" => (datagen::source(&mut options, &table.schema, projected)?, None),
        _ => (nexmark::source(&mut options, &table.schema, projected)?, None),
    };
    options.finish()?;
    Ok(source)
}

/// A source and its counters.
pub type Counted = (Arc<dyn Source>, Option<Arc<SourceMetrics>>);

/// Whether the table ends by itself, as a source.
pub fn bounded(table: &TableSpec) -> Result<bool, Error> {
    Ok(source(table, &table.schema)?.bounded())
}

/// The sink of a table for rows of the schema `input`.
pub fn sink(table: &TableSpec, input: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
    open_sink(table, input).map(|(sink, _)| sink)
}

/// Which changes the table takes, as a sink.
pub fn accepts(table: &TableSpec) -> Result<Accepts, Error> {
    open_sink(table, &table.schema).map(|(_, accepts)| accepts)
}

fn open_sink(table: &TableSpec, input: &SchemaRef) -> Result<(Arc<dyn Sink>, Accepts), Error> {
    let owner = table.owner();
    let mut options = table.options.reader(&owner);
    let sink = match table.connector(&mut options, |c| c.2, "written")? {
        "filesystem" => filesystem::sink(&mut options, input)?,
        "stdout" => standard::stdout(&mut options, input)?,
        "print" => standard::print(&mut options, input)?,
        _ => standard::blackhole(),
    };
    options.finish()?;
    Ok(sink)
}

impl TableSpec {
    fn owner(&self) -> String {
        format!("table '{}'", self.name)
    }

    fn connector<'a>(
        &self,
        options: &mut Reader<'a>,
        can: impl Fn(&(&str, bool, bool)) -> bool,
        done: &str,
    ) -> Result<&'a str, Error> {
        let name = options.required("connector")?;
        let names = || CONNECTORS.iter().filter(|c| can(c)).map(|c| c.0);
        match CONNECTORS.iter().find(|c| c.0 == name) {
            Some(c) if can(c) => Ok(name),
            Some(_) => Err(options
                .refuse("connector", format!("a '{name}' table cannot be {done}"))
                .advise(format!("connectors that can be {done}: {}", names().collect::<Vec<_>>().join(", ")))),
            None => {
                let error = options.refuse("connector", format!("there is no connector '{name}'"));
                Err(match nearest(name, names()) {
                    Some(near) => error.advise(format!("did you mean '{near}'?")),
                    None => error.advise(format!("connectors that can be {done}: {}", names().collect::<Vec<_>>().join(", "))),
                })
            }
        }
    }
}

/// The options of JSON that belong to reading: whether to skip malformed rows, and whether fields may be missing.
fn json_in(options: &mut Reader<'_>) -> Result<(bool, bool), Error> {
    format(options, &["json"])?;
    let ignore = options.boolean("json.ignore-parse-errors")?.unwrap_or(false);
    let strict = options.boolean("json.fail-on-missing-field")?.unwrap_or(false);
    if ignore && strict {
        return Err(options
            .refuse("json.fail-on-missing-field", "rows cannot be both skipped and refused")
            .advise("set only one of 'json.ignore-parse-errors' and 'json.fail-on-missing-field'")
            .because(Error::new(Kind::Invalid, "both are 'true'")));
    }
    Ok((ignore, strict))
}

fn format(options: &mut Reader<'_>, known: &[&'static str]) -> Result<&'static str, Error> {
    options.required("format")?;
    Ok(options.choice("format", known)?.unwrap_or("json"))
}

#[cfg(test)]
mod tests;
