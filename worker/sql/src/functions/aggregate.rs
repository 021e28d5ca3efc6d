//! The aggregates as the planner sees them: names and Flink's result types.
//!
//! DataFusion only ever asks these for their type. They are evaluated by our own accumulators, which retract, snapshot and move; the
//! accumulator asked for here is therefore an error. Result types are Flink's: SUM and AVG of an integer keep its type, SUM of a decimal
//! widens to 38 digits.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err, plan_err};
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility, lit};

use crate::text::types::sql_name;

/// An aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// `COUNT(x)`, and `COUNT(*)` as the count of a constant.
    Count,
    /// `SUM(x)`.
    Sum,
    /// `AVG(x)`.
    Avg,
    /// `MIN(x)`.
    Min,
    /// `MAX(x)`.
    Max,
}

impl AggregateKind {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Avg, Self::Min, Self::Max];

    /// The SQL name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// The type of the result for an argument of this type; `None` if there is no such aggregate.
    #[must_use]
    pub fn result(self, arg: &DataType) -> Option<DataType> {
        use DataType as T;
        match (self, arg) {
            (Self::Count, _) => Some(T::Int64),
            (Self::Sum | Self::Avg, T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64) => Some(arg.clone()),
            (Self::Sum, T::Decimal128(_, s)) => Some(T::Decimal128(38, *s)),
            (Self::Avg, T::Decimal128(_, s)) => Some(T::Decimal128(38, (*s).max(6))),
            (Self::Min | Self::Max, T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(..)) => {
                Some(arg.clone())
            }
            (Self::Min | Self::Max, T::Utf8 | T::Date32 | T::Timestamp(..) | T::Boolean | T::Binary) => Some(arg.clone()),
            _ => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Declared {
    kind: AggregateKind,
    signature: Signature,
}

impl AggregateUDFImpl for Declared {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [arg] = arg_types else { return plan_err!("{} takes one argument", self.kind.name().to_uppercase()) };
        match self.kind.result(arg) {
            Some(t) => Ok(t),
            None => plan_err!("{} of {} does not exist", self.kind.name().to_uppercase(), sql_name(arg)),
        }
    }

    fn is_nullable(&self) -> bool {
        self.kind != AggregateKind::Count
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("aggregates are evaluated by the engine")
    }
}

/// The aggregate of that name.
pub(crate) fn named(name: &str) -> Option<Arc<AggregateUDF>> {
    let kind = AggregateKind::ALL.into_iter().find(|k| k.name() == name)?;
    Some(Arc::new(AggregateUDF::from(Declared { kind, signature: Signature::any(1, Volatility::Immutable) })))
}

/// The aggregate that a planned function is.
pub(crate) fn kind_of(function: &AggregateFunction) -> Option<AggregateKind> {
    AggregateKind::ALL.into_iter().find(|k| k.name() == function.func.name())
}

/// Plans `COUNT(*)` as the count of a constant.
#[derive(Debug)]
pub(crate) struct CountStar;

impl ExprPlanner for CountStar {
    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        #[expect(deprecated, reason = "the parser still makes wildcards; there is no other form to match")]
        let star = raw.args.is_empty() || matches!(raw.args.as_slice(), [Expr::Wildcard { .. }]);
        if raw.func.name() != AggregateKind::Count.name() || !star {
            return Ok(PlannerResult::Original(raw));
        }
        raw.args = vec![lit(1i64)];
        let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = raw;
        let params = AggregateFunctionParams { args, distinct, filter, order_by, null_treatment };
        Ok(PlannerResult::Planned(Expr::AggregateFunction(AggregateFunction { func, params })))
    }
}
