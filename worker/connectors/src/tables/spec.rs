//! A table as its definition says, and what it can do as a source or a sink.

use arrow::datatypes::SchemaRef;

use crate::options::Options;

/// A table as its definition says.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// The name, for messages.
    pub name: String,
    /// The place of the definition ("line 4, column 14"), for messages about no option in particular.
    pub place: Option<String>,
    /// The stored columns.
    pub schema: SchemaRef,
    /// The options of `WITH`.
    pub options: Options,
}

impl TableSpec {
    /// A table that stands in no text.
    pub fn new(name: impl Into<String>, schema: SchemaRef, options: Options) -> Self {
        Self { name: name.into(), place: None, schema, options }
    }
}

/// A table's traits as a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceTraits {
    /// True if the source ends by itself; a batch job needs that.
    pub bounded: bool,
}

/// A table's traits as a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkTraits {
    /// The changes that the sink takes.
    pub accepts: Accepts,
}

/// The changes that a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// New rows only.
    Append,
    /// New rows, and the newest row of a primary key; deletions by key.
    Upsert,
    /// Every change, with the row as it was before.
    Retract,
}
