//! Gives rows the columns' names of where they go, and a sink the changes it takes.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use watershed_columnar::{Columns, Op, Parts};
use watershed_runtime::container::Batch;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::operator::{Context, Flow, Operator};

/// Renames columns; for a sink, checks NOT NULL and makes upserts of updates.
#[derive(Debug)]
pub(super) struct Reshape {
    output: SchemaRef,
    /// The sink's name, if this is before one.
    sink: Option<Arc<str>>,
    upsert: bool,
}

impl Reshape {
    /// For a union: the same columns under the names of its first input. NULL is allowed wherever an input has it.
    pub(super) fn renaming(output: &Schema) -> Self {
        let fields = output.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
        Self { output: Arc::new(Schema::new(fields.collect::<Vec<_>>())), sink: None, upsert: false }
    }

    /// Before a sink.
    pub(super) fn sink(output: SchemaRef, name: &str, upsert: bool) -> Self {
        Self { output, sink: Some(name.into()), upsert }
    }

    fn check(&self, batch: &RecordBatch) -> Result<()> {
        let Some(sink) = &self.sink else { return Ok(()) };
        for (f, c) in self.output.fields().iter().zip(batch.columns()) {
            if !f.is_nullable() && c.null_count() > 0 {
                let what = format!("a row has NULL in the column '{}', which is NOT NULL", f.name());
                return Err(Error::new(Kind::Data, what)
                    .at(format!("table '{sink}'"))
                    .advise("filter such rows out with WHERE … IS NOT NULL, or COALESCE the column"));
            }
        }
        Ok(())
    }
}

/// A row before its update is not needed where the row after it follows; alone (its successor was filtered out) it is a deletion.
fn upserts(ops: &[Op]) -> (Vec<bool>, Vec<Op>) {
    let mut keep = Vec::with_capacity(ops.len());
    let mut out = Vec::with_capacity(ops.len());
    for (i, op) in ops.iter().enumerate() {
        let followed = *op == Op::UpdateBefore && ops.get(i + 1) == Some(&Op::UpdateAfter);
        keep.push(!followed);
        if !followed {
            out.push(if *op == Op::UpdateBefore { Op::Delete } else { *op });
        }
    }
    (keep, out)
}

impl Operator for Reshape {
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let mut columns = Columns::expect(batch)?;
        if self.upsert && !columns.ops().is_empty() {
            let (keep, ops) = upserts(columns.ops());
            columns = columns.filter(&keep.into())?.with_ops(ops);
        }
        let Parts { batch, hashes, times, ops } = columns.into_parts()?;
        self.check(&batch)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.output), batch.columns().to_vec(), &options)
            .map_err(|e| Error::broken("union", format!("the columns are not what the plan says: {e}")))?;
        cx.emit(Box::new(Columns::from(Parts { batch, hashes, times, ops })));
        Ok(Flow::Done)
    }
}
