//! Types and rewrites over DataFusion's plan.
//!
//! [`analyse`] gives every expression its type under Flink's rules. [`optimise`] folds constants, pushes filters and columns down, and
//! shares common sub-expressions. Left out of the stock list, because they assume an input that ends or a clock that stands still:
//! everything about limits, joins, sub-queries and empty relations, and the folding of `now()`.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::optimize_unions::OptimizeUnions;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{AnalyzerRule, Optimizer, OptimizerContext};

use crate::evaluate::check_constant;
use crate::functions::timestamp_text;
use crate::scalar::text_of;

/// Gives every expression its type.
pub(crate) fn analyse(plan: LogicalPlan) -> Result<LogicalPlan> {
    let config = ConfigOptions::default();
    let plan = each_expression(plan, plain)?;
    let plan = TypeCoercion::new().analyze(plan, &config)?;
    let plan = each_expression(plan, cast_to_text)?;
    check_constants(&plan)?;
    plan.check_invariants(datafusion_expr::logical_plan::InvariantLevel::Executable)?;
    Ok(plan)
}

/// Computes what has no column in it, so that `1 / 0` and `2147483647 + 1` are refused where they stand.
fn check_constants(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| {
        node.apply_expressions(|e| {
            e.apply(|e| {
                if !is_constant(e)? {
                    return Ok(TreeNodeRecursion::Continue);
                }
                match check_constant(e) {
                    Ok(()) => Ok(TreeNodeRecursion::Jump),
                    // Some functions are only computed once they have been simplified.
                    Err(DataFusionError::Internal(_)) => Ok(TreeNodeRecursion::Continue),
                    Err(why) => {
                        let why = why.strip_backtrace();
                        plan_err!("{} cannot be computed: {}", text_of(e), why.trim_start_matches("Arrow error: "))
                    }
                }
            })
        })
    })
    .map(|_| ())
}

/// True if the expression is computed, and from literals alone.
fn is_constant(e: &Expr) -> Result<bool> {
    let computed = matches!(e, Expr::BinaryExpr(_) | Expr::Cast(_) | Expr::Negative(_) | Expr::ScalarFunction(_) | Expr::Case(_));
    let only = |e: &Expr| {
        matches!(
            e,
            Expr::Literal(..)
                | Expr::BinaryExpr(_)
                | Expr::Cast(_)
                | Expr::TryCast(_)
                | Expr::Negative(_)
                | Expr::ScalarFunction(_)
                | Expr::Case(_)
                | Expr::Not(_)
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
        )
    };
    Ok(computed && !e.exists(|e| Ok(!only(e)))?)
}

/// Makes an analysed plan cheaper.
pub(crate) fn optimise(plan: LogicalPlan) -> Result<LogicalPlan> {
    let optimizer = Optimizer::with_rules(vec![
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]);
    let context = OptimizerContext::new().without_query_execution_start_time().with_skip_failing_rules(false).with_max_passes(6);
    optimizer.optimize(plan, &context, |_, _| {})
}

/// Rewrites the expressions of every node, bottom up, and keeps the names of the columns.
fn each_expression(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr, &datafusion_common::DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let done = node.map_expressions(|e| {
            let saved = names.save(&e);
            let new = e.transform_up(|e| rewrite(e, &schema))?;
            Ok(new.update_data(|e| saved.restore(e)))
        })?;
        if done.transformed { done.map_data(LogicalPlan::recompute_schema) } else { Ok(done) }
    })
    .map(|t| t.data)
}

/// A whole number that fits is an INT, as in Flink, not a BIGINT; a function gives types that columns may have.
fn plain(e: Expr, schema: &datafusion_common::DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::ScalarFunction(_) = &e
        && let Ok(t) = e.get_type(schema)
        && let Some(to) = storable(&t)
    {
        return Ok(Transformed::yes(Expr::Cast(Cast::new(Box::new(e), to))));
    }
    if let Expr::Literal(ScalarValue::Int64(Some(n)), meta) = &e
        && let Ok(n) = i32::try_from(*n)
    {
        return Ok(Transformed::yes(Expr::Literal(ScalarValue::Int32(Some(n)), meta.clone())));
    }
    Ok(Transformed::no(e))
}

/// The type of a column for a type that only functions have.
fn storable(t: &DataType) -> Option<DataType> {
    Some(match t {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => return None,
    })
}

/// The text of a time-stamp and of a truth value is Flink's.
fn cast_to_text(e: Expr, schema: &datafusion_common::DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(c) = &e else { return Ok(Transformed::no(e)) };
    if *c.field.data_type() != DataType::Utf8 {
        return Ok(Transformed::no(e));
    }
    match c.expr.get_type(schema)? {
        DataType::Timestamp(..) => Ok(Transformed::yes(timestamp_text().call(vec![(*c.expr).clone()]))),
        DataType::Boolean => Ok(Transformed::yes(datafusion_functions::string::upper().call(vec![e]))),
        _ => Ok(Transformed::no(e)),
    }
}
