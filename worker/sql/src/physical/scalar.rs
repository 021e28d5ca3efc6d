//! Expressions ready to be evaluated over batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, Operator};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use watershed_runtime::error::{Error, Kind, Result};

use crate::plan::Scalar;

/// An expression over a known input.
#[derive(Debug)]
pub(super) struct Evaluator {
    expr: Arc<dyn PhysicalExpr>,
    /// What the column must be; the text of the expression is in messages.
    data_type: DataType,
    text: String,
    /// If it is nothing but a column.
    column: Option<usize>,
}

impl Evaluator {
    pub(super) fn new(scalar: &Scalar, input: &Schema) -> Result<Self> {
        let numbered =
            input.fields().iter().enumerate().map(|(i, f)| Field::new(format!("#{i}"), f.data_type().clone(), f.is_nullable()));
        let schema = DFSchema::try_from(Schema::new(numbered.collect::<Vec<_>>())).map_err(|e| unbuildable(&e))?;
        let expr = create_physical_expr(&scalar.expr, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default());
        let name = |i: usize| input.fields().get(i).map_or_else(|| format!("#{i}"), |f| f.name().clone());
        Ok(Self {
            expr: expr.map_err(|e| unbuildable(&e))?,
            data_type: scalar.data_type.clone(),
            text: scalar.text(&name),
            column: scalar.as_column(),
        })
    }

    /// The column of its values.
    pub(super) fn column(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        if let Some(column) = self.column.and_then(|i| batch.columns().get(i)) {
            return Ok(Arc::clone(column));
        }
        let rows = batch.num_rows();
        let column = self.expr.evaluate(batch).and_then(|v| v.into_array(rows)).map_err(|e| self.failed(&e))?;
        if *column.data_type() == self.data_type {
            return Ok(column);
        }
        cast(&column, &self.data_type).map_err(|e| self.failed(&DataFusionError::from(e)))
    }

    /// The column of its truth values.
    pub(super) fn truth(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let column = self.column(batch)?;
        match column.as_any().downcast_ref::<BooleanArray>() {
            Some(truth) => Ok(truth.clone()),
            None => Err(Error::broken("calc", format!("{} is no condition", self.text))),
        }
    }

    fn failed(&self, e: &DataFusionError) -> Error {
        let why = e.strip_backtrace();
        let why = why.trim_start_matches("Arrow error: ").trim_start_matches("Execution error: ").to_owned();
        Error::new(Kind::Data, format!("{} cannot be computed: {why}", self.text))
            .advise("guard the expression with CASE or WHERE, or use TRY_CAST, which gives NULL")
    }
}

fn unbuildable(e: &DataFusionError) -> Error {
    Error::broken("planner", format!("an expression of the plan cannot be evaluated: {}", e.strip_backtrace()))
}

/// Whether evaluating it may fail on a row that a condition before it has excluded.
pub(super) fn can_fail(scalar: &Scalar) -> bool {
    let mut fails = false;
    // The closure never fails, so neither does the walk.
    let _ = scalar.expr.apply(|e| {
        fails |= match e {
            Expr::BinaryExpr(b) => matches!(b.op, Operator::Divide | Operator::Modulo),
            Expr::Cast(_) | Expr::ScalarFunction(_) | Expr::Negative(_) => true,
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    });
    fails
}
