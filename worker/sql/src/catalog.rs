//! Tables as the planner and the connectors see them, and the seam between the two.
//!
//! The planner knows nothing of files or generators: it asks [`Connectors`] what a table can do ([`SourceTraits`], [`SinkTraits`]) while
//! it plans, and for the thing itself when the graph is built. Options keep their positions, so that a wrong one is reported where
//! it stands in the text.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
pub use watershed_connectors::tables::{Accepts, SinkTraits, SourceTraits};
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::Result;

use crate::position::{Position, invalid};

/// A table, checked: names are unique, the watermark's and the key's columns exist.
#[derive(Clone, Debug)]
pub struct TableDef {
    /// The name, as written.
    pub name: String,
    /// The position of the name.
    pub at: Position,
    /// Every column, in order.
    pub columns: Vec<ColumnDef>,
    /// The options of `WITH`, each with the position of its name.
    pub options: BTreeMap<String, (String, Position)>,
    /// The watermark, if there is one.
    pub watermark: Option<WatermarkDef>,
    /// The columns of the primary key; empty if there is none.
    pub primary_key: Vec<String>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct ColumnDef {
    /// The name, as written.
    pub name: String,
    /// The position in the text.
    pub at: Position,
    /// The type.
    pub data_type: DataType,
    /// True if the column may be NULL.
    pub nullable: bool,
    /// True for a column `AS expression`: not stored, so unknown to the connector.
    pub computed: bool,
}

/// `WATERMARK FOR column AS column - delay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkDef {
    /// The event-time column.
    pub column: String,
    /// The bound on disorder, in microseconds.
    pub delay_micros: i64,
    /// The position in the text.
    pub at: Position,
}

impl TableDef {
    /// The stored columns, in order: what a row of the connector has.
    #[must_use]
    pub fn physical(&self) -> SchemaRef {
        let fields = self.columns.iter().filter(|c| !c.computed).map(|c| Field::new(&c.name, c.data_type.clone(), c.nullable));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The value of an option.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(|(v, _)| v.as_str())
    }

    /// The connector's name; an error at the table if it is missing.
    pub fn connector(&self) -> Result<&str> {
        self.option("connector").ok_or_else(|| {
            invalid(
                self.at,
                format!("table '{}' does not say what it is connected to", self.name),
                "add 'connector' = '…' to WITH",
            )
        })
    }
}

/// The connectors as the planner sees them: what tables can do, and their real ends.
pub trait Connectors: Debug {
    /// Judges the options of a table that is read. Called while planning; touches nothing outside.
    fn describe_source(&self, table: &TableDef) -> Result<SourceTraits>;
    /// Judges the options of a table that is written. Called while planning; touches nothing outside.
    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits>;
    /// The source, decoding only `projected` (some of [`TableDef::physical`], in its order) into `watershed_columnar` batches.
    fn source(&self, table: &TableDef, projected: &SchemaRef) -> Result<Arc<dyn Source>>;
    /// The sink for batches of `input`, which has the columns of [`TableDef::physical`].
    fn sink(&self, table: &TableDef, input: &SchemaRef) -> Result<Arc<dyn Sink>>;
}
