//! Rows of one kind of event, column by column: only those that are projected.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use watershed_runtime::container::Batch;
use watershed_runtime::error::Error;

use super::bid::BID;
use super::column::Make;
use super::person_auction::{AUCTION, PERSON};
use super::stream::{Event, Stream};
use crate::columns::batch::wrap;
use crate::generate::RowMaker;

/// The columns of a kind: name without its underscores in lower case, and how it is made.
pub(crate) fn columns_of(kind: Event) -> &'static [(&'static str, Make)] {
    match kind {
        Event::Person => PERSON,
        Event::Auction => AUCTION,
        Event::Bid => BID,
    }
}

/// Rows of some columns of a kind.
#[derive(Debug)]
pub(crate) struct EventRows {
    stream: Stream,
    columns: Vec<Make>,
    schema: SchemaRef,
}

impl EventRows {
    /// One column for each field of the schema, in its order.
    pub(crate) fn new(stream: Stream, columns: Vec<Make>, schema: SchemaRef) -> Self {
        Self { stream, columns, schema }
    }
}

impl RowMaker for EventRows {
    fn make(&self, rows: Range<u64>) -> Result<Batch, Error> {
        let broken = |e| Error::broken("nexmark", format!("made columns do not fit the table: {e}"));
        let mut columns = Vec::with_capacity(self.columns.len());
        for (make, field) in self.columns.iter().zip(self.schema.fields()) {
            let made = make(&self.stream, rows.clone());
            columns.push(if made.data_type() == field.data_type() {
                made
            } else {
                cast(&made, field.data_type()).map_err(broken)?
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map(wrap).map_err(broken)
    }
}
