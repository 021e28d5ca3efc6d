//! A connector: a name, and the two functions that judge the options of a table that is read or written.
//!
//! A table whose options are judged knows its traits and builds the source or the sink: options are parsed once for both, so that a
//! description cannot contradict what is built, and describing builds nothing.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::Error;

use super::spec::{SinkTraits, SourceTraits};
use crate::options::Reader;

/// Judges the options of a table of this schema that is read.
pub(super) type ParseSource = fn(&mut Reader<'_>, &SchemaRef) -> Result<Box<dyn SourceTable>, Error>;
/// Judges the options of a table of this schema that is written.
pub(super) type ParseSink = fn(&mut Reader<'_>, &SchemaRef) -> Result<Box<dyn SinkTable>, Error>;

/// A connector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector {
    /// The name in `'connector' = '…'`.
    pub(super) name: &'static str,
    /// The options of its sources; absent if its tables cannot be read.
    pub(super) source: Option<ParseSource>,
    /// The options of its sinks; absent if its tables cannot be written.
    pub(super) sink: Option<ParseSink>,
}

/// A table that is read, its options judged.
pub(super) trait SourceTable {
    /// The traits of the source that [`build`](Self::build) makes.
    fn traits(&self) -> SourceTraits;
    /// The source, decoding only `projected`: some of the table's columns, in its order.
    fn build(&self, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error>;
}

/// A table that is written, its options judged.
pub(super) trait SinkTable {
    /// The traits of the sink that [`build`](Self::build) makes.
    fn traits(&self) -> SinkTraits;
    /// The sink for rows of the schema `input`, which has the table's columns.
    fn build(&self, input: &SchemaRef) -> Result<Arc<dyn Sink>, Error>;
}
