//! Expressions ready to be evaluated over batches.
//!
//! DataFusion's own evaluation wraps integers around and computes both sides of AND and OR for every row. Here a sum, a difference or a
//! product that leaves its type is an error, and the second side of AND and OR is computed only where the first leaves it open, so that
//! `n <> 0 AND 10 / n > 2` is safe wherever it stands. Constants are evaluated like rows when a query is planned, by the same code.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator, lit, when};
use datafusion_physical_expr::expressions::BinaryExpr as PhysicalBinary;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use watershed_runtime::error::{Error, Kind, Result};

use crate::scalar::Scalar;

/// An expression over a known input.
#[derive(Debug)]
pub(crate) struct Evaluator {
    expr: Arc<dyn PhysicalExpr>,
    /// The type of the column; the text of the expression is in messages.
    data_type: DataType,
    text: String,
    /// If it is nothing but a column.
    column: Option<usize>,
}

impl Evaluator {
    pub(crate) fn new(scalar: &Scalar, input: &Schema) -> Result<Self> {
        let numbered =
            input.fields().iter().enumerate().map(|(i, f)| Field::new(format!("#{i}"), f.data_type().clone(), f.is_nullable()));
        let schema = DFSchema::try_from(Schema::new(numbered.collect::<Vec<_>>())).map_err(|e| unbuildable(&e))?;
        let expr = physical(&scalar.expr, &schema);
        let name = |i: usize| input.fields().get(i).map_or_else(|| format!("#{i}"), |f| f.name().clone());
        Ok(Self {
            expr: expr.map_err(|e| unbuildable(&e))?,
            data_type: scalar.data_type.clone(),
            text: scalar.text(&name),
            column: scalar.as_column(),
        })
    }

    /// The column of its values.
    pub(crate) fn column(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        if let Some(column) = self.column.and_then(|i| batch.columns().get(i)) {
            return Ok(Arc::clone(column));
        }
        let rows = batch.num_rows();
        let column = self.expr.evaluate(batch).and_then(|v| v.into_array(rows)).map_err(|e| self.failed(&e))?;
        if *column.data_type() == self.data_type {
            return Ok(column);
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&column, &self.data_type, &strict).map_err(|e| self.failed(&DataFusionError::from(e)))
    }

    /// The column of its truth values.
    pub(crate) fn truth(&self, batch: &RecordBatch) -> Result<BooleanArray> {
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

/// DataFusion's evaluation of an expression, made strict.
fn physical(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let expr = expr.clone().transform_up(|e| strict(e, schema))?.data;
    let plain = create_physical_expr(&expr, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    let checked = plain.transform_up(|e| match e.downcast_ref::<PhysicalBinary>() {
        Some(b) if matches!(b.op(), Operator::Plus | Operator::Minus | Operator::Multiply) => {
            let checked = PhysicalBinary::new(Arc::clone(b.left()), *b.op(), Arc::clone(b.right())).with_fail_on_overflow(true);
            Ok(Transformed::yes(Arc::new(checked) as Arc<dyn PhysicalExpr>))
        }
        _ => Ok(Transformed::no(e)),
    })?;
    Ok(checked.data)
}

/// AND and OR whose second side can fail become CASE, which looks at it only where it matters; -x of an integer becomes 0 - x, which is
/// checked.
fn strict(e: Expr, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
    match e {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) if may_fail(&right) => {
            let both = Expr::BinaryExpr(BinaryExpr { left: left.clone(), op, right });
            let lazy = match op {
                Operator::And => when(left.is_not_false(), both).otherwise(lit(false))?,
                _ => when(left.is_not_true(), both).otherwise(lit(true))?,
            };
            Ok(Transformed::yes(lazy))
        }
        Expr::Negative(x) => match x.get_type(schema)? {
            t if t.is_signed_integer() => Ok(Transformed::yes(Expr::Literal(ScalarValue::new_zero(&t)?, None) - *x)),
            _ => Ok(Transformed::no(Expr::Negative(x))),
        },
        other => Ok(Transformed::no(other)),
    }
}

/// Fails where an expression without columns does; DataFusion's own folding of constants would wrap them around.
pub(crate) fn check_constant(expr: &Expr) -> Result<(), DataFusionError> {
    let expr = physical(expr, &DFSchema::empty())?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    expr.evaluate(&row).map(|_| ())
}

/// True if evaluating the expression may fail on a row that a condition before it has excluded.
pub(crate) fn can_fail(scalar: &Scalar) -> bool {
    may_fail(&scalar.expr)
}

fn may_fail(expr: &Expr) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    let mut fails = false;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply(|e| {
        fails |= match e {
            Expr::BinaryExpr(b) => matches!(b.op, Divide | Modulo | Plus | Minus | Multiply),
            Expr::Cast(_) | Expr::ScalarFunction(_) | Expr::Negative(_) => true,
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    });
    fails
}
