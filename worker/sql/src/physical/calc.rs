//! Filter and projection in one step.
//!
//! Conditions that cannot fail are joined by AND over the whole batch; one that can (a division, a cast, a function) only sees rows that
//! passed those before it, as in a loop over rows. A batch of which every row passes is not copied, nor is a plain column.

use arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::and_kleene;
use arrow::datatypes::{Schema, SchemaRef};
use watershed_columnar::{Columns, Parts};
use watershed_runtime::container::Batch;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::operator::{Context, Flow, Operator};

use crate::evaluate::{Evaluator, can_fail};
use crate::plan::node::CalcNode;

/// The operator.
#[derive(Debug)]
pub(super) struct CalcOperator {
    /// Conditions, in stages.
    stages: Vec<Vec<Evaluator>>,
    project: Vec<Evaluator>,
    output: SchemaRef,
}

impl CalcOperator {
    pub(super) fn new(calc: &CalcNode, input: &Schema, output: SchemaRef) -> Result<Self> {
        let mut stages: Vec<Vec<Evaluator>> = Vec::new();
        for f in &calc.filters {
            let evaluator = Evaluator::new(f, input)?;
            match stages.last_mut() {
                Some(stage) if !can_fail(f) => stage.push(evaluator),
                Some(_) | None => stages.push(vec![evaluator]),
            }
        }
        let project = calc.project.iter().map(|s| Evaluator::new(s, input)).collect::<Result<_>>()?;
        Ok(Self { stages, project, output })
    }

    /// The rows that pass a stage.
    fn passed(stage: &[Evaluator], columns: Columns) -> Result<Columns> {
        let mut columns = columns;
        let batch = columns.join()?;
        let mut keep: Option<BooleanArray> = None;
        for condition in stage {
            let truth = condition.truth(&batch)?;
            keep = Some(match keep {
                None => truth,
                Some(k) => and_kleene(&k, &truth).map_err(|e| Error::broken("calc", e.to_string()))?,
            });
        }
        match keep {
            Some(keep) if keep.null_count() > 0 || keep.true_count() < keep.len() => columns.filter(&keep),
            Some(_) | None => Ok(columns),
        }
    }
}

impl Operator for CalcOperator {
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let mut columns = Columns::expect(batch)?;
        for stage in &self.stages {
            columns = Self::passed(stage, columns)?;
        }
        let Parts { batch, times, ops, .. } = columns.into_parts()?;
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(Flow::Done);
        }
        let project = self.project.iter().map(|e| e.column(&batch)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.output), project, &options)
            .map_err(|e| Error::broken("calc", format!("the columns are not what the plan says: {e}")))?;
        // The hash is of another key's columns, if of any.
        cx.emit(Box::new(Columns::from(Parts { batch, hashes: Vec::new(), times, ops })));
        Ok(Flow::Done)
    }
}
