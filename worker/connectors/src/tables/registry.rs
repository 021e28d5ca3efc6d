//! Every connector, and the way from a table's `connector` option to its source or its sink.
//!
//! An entry of the list is the connector itself: its name leads to its own functions and to no others, so that a connector which
//! is added cannot be taken for another one, and one that is not added does not exist.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::Error;

use super::connector::{Connector, SinkTable, SourceTable};
use super::spec::{SinkTraits, SourceTraits, TableSpec};
use super::{blackhole, datagen, filesystem, nexmark, print, stdin, stdout};
use crate::options::{Reader, nearest};

/// Every connector of this build.
pub(super) const CONNECTORS: &[Connector] = &[
    filesystem::CONNECTOR,
    datagen::CONNECTOR,
    nexmark::CONNECTOR,
    print::CONNECTOR,
    blackhole::CONNECTOR,
    stdin::CONNECTOR,
    stdout::CONNECTOR,
];

/// Judges the options of a table that is read; builds nothing.
pub fn describe_source(table: &TableSpec) -> Result<SourceTraits, Error> {
    source_of(CONNECTORS, table).map(|t| t.traits())
}

/// Judges the options of a table that is written; builds nothing.
pub fn describe_sink(table: &TableSpec) -> Result<SinkTraits, Error> {
    sink_of(CONNECTORS, table).map(|t| t.traits())
}

/// The source of a table, decoding only `projected` (some of the table's columns, in its order).
pub fn source(table: &TableSpec, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
    source_of(CONNECTORS, table)?.build(projected)
}

/// The sink of a table for rows of the schema `input`.
pub fn sink(table: &TableSpec, input: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
    sink_of(CONNECTORS, table)?.build(input)
}

pub(super) fn source_of(connectors: &[Connector], table: &TableSpec) -> Result<Box<dyn SourceTable>, Error> {
    judged(table, |options| find(connectors, options, "read", |c| c.source)?(options, &table.schema))
}

pub(super) fn sink_of(connectors: &[Connector], table: &TableSpec) -> Result<Box<dyn SinkTable>, Error> {
    judged(table, |options| find(connectors, options, "written", |c| c.sink)?(options, &table.schema))
}

/// A table's options as `parse` judges them, if it has asked for all of them.
fn judged<T>(table: &TableSpec, parse: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>) -> Result<T, Error> {
    let owner = format!("table '{}'", table.name);
    let mut options = table.options.reader(&owner, table.place.as_deref());
    let judged = parse(&mut options)?;
    options.finish()?;
    Ok(judged)
}

/// The half of the table's connector that is `done` to it.
fn find<F>(
    connectors: &[Connector],
    options: &mut Reader<'_>,
    done: &str,
    half: impl Fn(&Connector) -> Option<F>,
) -> Result<F, Error> {
    let name = options.required("connector")?;
    let names = || connectors.iter().filter(|c| half(c).is_some()).map(|c| c.name);
    let list = || format!("connectors that can be {done}: {}", names().collect::<Vec<_>>().join(", "));
    let Some(connector) = connectors.iter().find(|c| c.name == name) else {
        let error = options.refuse("connector", format!("there is no connector '{name}'"));
        return Err(match nearest(name, names()) {
            Some(near) => error.advise(format!("did you mean '{near}'?")),
            None => error.advise(list()),
        });
    };
    half(connector).ok_or_else(|| options.refuse("connector", format!("a '{name}' table cannot be {done}")).advise(list()))
}
