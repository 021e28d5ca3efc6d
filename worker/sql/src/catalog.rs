//! Tables as the planner and the connectors see them, and the seam between the two.
//!
//! The planner knows nothing of files or generators: it asks [`Connectors`] what a table can do ([`SourceTraits`], [`SinkTraits`]) while
//! it plans, and for the thing itself when the graph is built. Options keep their positions, so that a wrong one is reported where
//! it stands in the text.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::{Error, Result};

use crate::position::{Position, did_you_mean, invalid};

/// A table, checked: names are unique, the watermark's and the key's columns exist.
#[derive(Clone, Debug)]
pub struct TableDef {
    /// The name, as written.
    pub name: String,
    /// Where the name stands.
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
    /// Where it stands.
    pub at: Position,
    /// The type.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether it is `AS expression`: not stored, so unknown to the connector.
    pub computed: bool,
}

/// `WATERMARK FOR column AS column - delay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkDef {
    /// The event-time column.
    pub column: String,
    /// How far rows may be out of order, in microseconds.
    pub delay_micros: i64,
    /// Where it stands.
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

    /// The error for an option that nobody knows: names the nearest right one.
    #[must_use]
    pub fn unknown_option<'a>(&self, key: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
        let at = self.options.get(key).map_or(self.at, |(_, at)| *at);
        invalid(at, format!("table '{}' has no option '{key}'", self.name), did_you_mean(key, known))
    }

    /// The error for an option with a wrong value.
    #[must_use]
    pub fn wrong_option(&self, key: &str, why: impl Into<String>, advice: impl Into<String>) -> Error {
        let at = self.options.get(key).map_or(self.at, |(_, at)| *at);
        invalid(at, why, advice).at(format!("option '{key}'"))
    }
}

/// What a table can do as a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceTraits {
    /// Whether it ends by itself; `batch` needs that.
    pub bounded: bool,
}

/// Which changes a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// New rows only.
    Append,
    /// New rows, and the newest row of a primary key; deletions by key.
    Upsert,
    /// Every change, with the row as it was before.
    Retract,
}

/// What a table can do as a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkTraits {
    /// Which changes it takes.
    pub accepts: Accepts,
}

/// What the caller supplies: the tables' real ends.
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
