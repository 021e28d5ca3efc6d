//! The scalar functions by their names, and the syntax that stands for some of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_expr::planner::{ExprPlanner, PlannerResult};
use datafusion_expr::{Expr, ScalarUDF, Volatility};

use super::{strings, times};

/// Every scalar function by each of its names, in lower case.
pub(crate) fn scalars() -> BTreeMap<String, Arc<ScalarUDF>> {
    let mut all = BTreeMap::new();
    let stable_clock = ["now", "current_timestamp", "current_date", "today", "current_time", "version"];
    let datafusion = datafusion_functions::all_default_functions()
        .into_iter()
        .filter(|f| f.signature().volatility != Volatility::Volatile && !stable_clock.contains(&f.name()));
    for f in datafusion.chain(strings::all()).chain(times::all()) {
        for alias in f.aliases() {
            all.insert(alias.to_lowercase(), Arc::clone(&f));
        }
        all.insert(f.name().to_lowercase(), f);
    }
    all
}

/// Plans the syntax that stands for a function: EXTRACT, POSITION, SUBSTRING, OVERLAY.
#[derive(Debug)]
pub(crate) struct Syntax;

impl ExprPlanner for Syntax {
    fn plan_extract(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(datafusion_functions::datetime::date_part().call(args)))
    }

    fn plan_position(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(datafusion_functions::unicode::strpos().call(args)))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(datafusion_functions::unicode::substr().call(args)))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(datafusion_functions::core::overlay().call(args)))
    }
}
