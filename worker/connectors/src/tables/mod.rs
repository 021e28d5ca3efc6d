//! The tables of SQL: from a connector's name and its options to a source or a sink of columns.
//!
//! A connector is one file, which ends in one [`Connector`](connector::Connector); [`registry`] is the only list of them. Options
//! are judged before anything is built, and judging touches nothing outside: a plan can be made and explained where the files
//! are not. What a table is made of is Arrow's schema; SQL is not known here.

mod blackhole;
mod connector;
mod datagen;
mod filesystem;
mod json;
mod nexmark;
mod print;
mod registry;
mod spec;
mod stdin;
mod stdout;

#[cfg(test)]
mod tests;

pub use registry::{describe_sink, describe_source, sink, source};
pub use spec::{Accepts, SinkTraits, SourceTraits, TableSpec};
