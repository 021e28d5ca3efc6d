//! Intervals of a fixed length: of windows and of watermarks.

use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use watershed_runtime::error::Result;

use crate::position::{Position, invalid};

/// The length of a literal interval, in microseconds.
pub(super) fn literal_micros(expr: &Expr, at: Position) -> Result<i64> {
    let advice = "write an interval of fixed length: INTERVAL '10' SECOND, INTERVAL '1' HOUR, INTERVAL '1' DAY";
    let value = match expr {
        Expr::Literal(v, _) => v,
        Expr::Negative(inner) => return literal_micros(inner, at).map(|n| n.saturating_neg()),
        _ => return Err(invalid(at, "this is no interval", advice)),
    };
    let micros = match value {
        ScalarValue::IntervalMonthDayNano(Some(i)) if i.months == 0 => {
            i64::from(i.days).checked_mul(86_400_000_000).and_then(|d| d.checked_add(i.nanoseconds / 1000))
        }
        ScalarValue::IntervalDayTime(Some(i)) => {
            i64::from(i.days).checked_mul(86_400_000_000).and_then(|d| d.checked_add(i64::from(i.milliseconds) * 1000))
        }
        ScalarValue::IntervalMonthDayNano(Some(_)) | ScalarValue::IntervalYearMonth(_) => {
            return Err(invalid(at, "months and years have no fixed length", advice));
        }
        _ => return Err(invalid(at, "this is no interval", advice)),
    };
    micros.ok_or_else(|| invalid(at, "the interval is too long", advice))
}
