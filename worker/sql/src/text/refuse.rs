//! SQL that this version does not have, refused before anything is planned: with line, column, reason, and what to write.
//!
//! Each refusal is one line in one place, so that the change which adds the feature deletes that line. Whatever passes here and is still
//! not known to the planner is refused there, with less precise words.

use std::ops::ControlFlow;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArguments, GroupByExpr, Join, Query, Select, SelectItem, SetExpr, SetOperator,
    SetQuantifier, Spanned, TableFactor, Visit, Visitor,
};
use watershed_runtime::error::{Error, Result};

use crate::position::{Position, invalid};

/// Functions that read the clock: their value would be frozen when planning.
const CLOCK: [&str; 10] = [
    "NOW",
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "CURRENT_ROW_TIMESTAMP",
    "PROCTIME",
    "CURRENT_WATERMARK",
    "TODAY",
];

/// Functions that give another value each time.
const CHANCE: [&str; 6] = ["RAND", "RANDOM", "RAND_INTEGER", "UUID", "UUID_STRING", "GEN_RANDOM_UUID"];

/// Refuses what a query may not contain.
pub(super) fn query(query: &Query, at: Position) -> Result<()> {
    check(query, at)
}

/// Refuses what an expression outside a query may not contain.
pub(super) fn expr(expr: &Expr, at: Position) -> Result<()> {
    check(expr, at)
}

fn check(node: &impl Visit, at: Position) -> Result<()> {
    match node.visit(&mut Refuse { at }) {
        ControlFlow::Break(e) => Err(*e),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Refuse {
    at: Position,
}

type Flow = ControlFlow<Box<Error>>;

impl Refuse {
    fn no(&self, node: &impl Spanned, what: impl Into<String>, advice: &str) -> Flow {
        ControlFlow::Break(Box::new(invalid(Position::of(node, self.at), what, advice)))
    }

    fn set_expr(&self, body: &SetExpr) -> Flow {
        match body {
            SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right } => {
                self.set_expr(left)?;
                self.set_expr(right)
            }
            SetExpr::SetOperation { op: SetOperator::Union, .. } => self.no(
                body,
                "UNION without ALL is not supported yet",
                "write UNION ALL, and GROUP BY every column if the rows must be distinct",
            ),
            SetExpr::SetOperation { op, .. } => self.no(body, format!("{op} is not supported yet"), "UNION ALL is"),
            SetExpr::Values(_) => {
                let advice = "put the rows into a file and read it with 'connector' = 'filesystem', or make some with 'connector' = 'datagen'";
                self.no(body, "VALUES is not supported yet", advice)
            }
            SetExpr::Table(_) => self.no(body, "the TABLE command is not supported", "write SELECT * FROM t"),
            SetExpr::Select(_) | SetExpr::Query(_) => ControlFlow::Continue(()),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.no(body, "a statement where a query is expected", "write SELECT …")
            }
        }
    }

    fn function(&self, node: &Expr, f: &Function) -> Flow {
        let name = f.name.to_string().to_ascii_uppercase();
        let no_args = match &f.args {
            FunctionArguments::None => true,
            FunctionArguments::List(l) => l.args.is_empty(),
            FunctionArguments::Subquery(_) => return self.no(node, "a query as an argument", "name the query with CREATE VIEW"),
        };
        if CLOCK.contains(&name.as_str()) || (name == "UNIX_TIMESTAMP" && no_args) {
            let advice = "use the row's own time: a column with a watermark";
            return self.no(node, format!("{name} reads the clock, which is not supported yet"), advice);
        }
        if CHANCE.contains(&name.as_str()) {
            let advice = "let the source make the value: a restart would otherwise give the same row another one";
            return self.no(node, format!("{name} gives another value each time, which is not supported yet"), advice);
        }
        if f.over.is_some() {
            let advice = "group by a window instead: FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end";
            return self.no(node, format!("{name}(…) OVER is not supported yet"), advice);
        }
        if !f.within_group.is_empty() {
            return self.no(node, "WITHIN GROUP is not supported yet", "leave it out");
        }
        let FunctionArguments::List(list) = &f.args else { return ControlFlow::Continue(()) };
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            let advice = "group by the column in a view first, then aggregate over the view";
            return self.no(node, format!("{name}(DISTINCT …) is not supported yet"), advice);
        }
        if !list.clauses.is_empty() {
            return self.no(
                node,
                format!("{name} with a clause inside its arguments is not supported yet"),
                "leave the clause out",
            );
        }
        ControlFlow::Continue(())
    }

    fn join(&self, join: &Join) -> Flow {
        let advice = "aggregate both inputs into one with UNION ALL and GROUP BY, or keep the two in separate jobs";
        self.no(&join.relation, "JOIN is not supported yet", advice)
    }

    fn select_clauses(&self, s: &Select) -> Flow {
        if s.distinct.is_some() {
            let at = s.projection.first();
            let what = "SELECT DISTINCT is not supported yet";
            let advice = "write GROUP BY with the same columns";
            return match at {
                Some(item) => self.no(item, what, advice),
                None => self.no(s, what, advice),
            };
        }
        if let Some(e) = &s.qualify {
            return self.no(e, "QUALIFY is not supported", "filter in an outer query");
        }
        if !s.lateral_views.is_empty() || !s.sort_by.is_empty() || !s.cluster_by.is_empty() || !s.distribute_by.is_empty() {
            return self.no(s, "LATERAL VIEW, SORT BY, CLUSTER BY and DISTRIBUTE BY are not supported", "leave them out");
        }
        if s.top.is_some() || s.into.is_some() || s.prewhere.is_some() || !s.connect_by.is_empty() || !s.named_window.is_empty() {
            return self.no(s, "TOP, INTO, PREWHERE, CONNECT BY and WINDOW are not supported", "leave them out");
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Refuse {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, q: &Query) -> Flow {
        if let Some(with) = q.with.as_ref().filter(|w| w.recursive) {
            return self.no(
                with,
                "WITH RECURSIVE is not supported yet",
                "leave RECURSIVE out if the query does not refer to itself",
            );
        }
        if let Some(order) = &q.order_by {
            let advice = "a stream has no end to sort before: sort where the rows are read";
            return self.no(order, "ORDER BY is not supported yet", advice);
        }
        if q.limit_clause.is_some() || q.fetch.is_some() {
            let advice = "filter with WHERE: which rows come first is not decided in a stream";
            return match (&q.limit_clause, &q.fetch) {
                (Some(limit), _) => self.no(limit, "LIMIT is not supported yet", advice),
                _ => self.no(q, "FETCH is not supported yet", advice),
            };
        }
        if !q.locks.is_empty()
            || q.for_clause.is_some()
            || q.settings.is_some()
            || q.format_clause.is_some()
            || !q.pipe_operators.is_empty()
        {
            return self.no(q, "this query has a clause of another SQL dialect", "leave out FOR, SETTINGS, FORMAT and |>");
        }
        self.set_expr(&q.body)
    }

    fn pre_visit_select(&mut self, s: &Select) -> Flow {
        self.select_clauses(s)?;
        for item in &s.projection {
            if let SelectItem::ExprWithAliases { expr, .. } = item {
                return self.no(expr, "several names for one expression", "give each expression one name");
            }
        }
        if let GroupByExpr::Expressions(_, modifiers) | GroupByExpr::All(modifiers) = &s.group_by
            && (!modifiers.is_empty() || matches!(s.group_by, GroupByExpr::All(_)))
        {
            return self.no(&s.group_by, "GROUP BY ALL and WITH ROLLUP are not supported yet", "name the columns");
        }
        if let Some(second) = s.from.get(1) {
            return self.no(
                second,
                "several tables in FROM (a join) are not supported yet",
                "read one table, or write UNION ALL",
            );
        }
        if s.from.is_empty() {
            return self.no(
                s,
                "SELECT without FROM is not supported yet",
                "read from a table: 'connector' = 'datagen' makes rows",
            );
        }
        s.from.iter().flat_map(|t| &t.joins).try_for_each(|j| self.join(j))
    }

    fn pre_visit_table_factor(&mut self, t: &TableFactor) -> Flow {
        match t {
            TableFactor::Table { args: None, version: None, sample: None, .. } | TableFactor::TableFunction { .. } => {
                ControlFlow::Continue(())
            }
            TableFactor::Derived { lateral: false, .. } => ControlFlow::Continue(()),
            TableFactor::Table { version: Some(_), .. } => {
                self.no(t, "FOR SYSTEM_TIME AS OF is not supported yet", "join the data before it reaches the job")
            }
            TableFactor::NestedJoin { .. } => self.no(t, "JOIN is not supported yet", "write UNION ALL and GROUP BY"),
            _ => self.no(
                t,
                "this form of table in FROM is not supported yet",
                "a table, a view, a query in parentheses, or TABLE(TUMBLE(…))",
            ),
        }
    }

    fn pre_visit_expr(&mut self, e: &Expr) -> Flow {
        match e {
            Expr::Function(f) => self.function(e, f),
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => {
                self.no(e, "a query inside an expression is not supported yet", "filter with values: IN ('a', 'b')")
            }
            Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_) => {
                self.no(e, "GROUPING SETS, ROLLUP and CUBE are not supported yet", "write one INSERT for each grouping")
            }
            Expr::Array(_)
            | Expr::Map(_)
            | Expr::Struct { .. }
            | Expr::Tuple(_)
            | Expr::Dictionary(_)
            | Expr::CompoundFieldAccess { .. } => {
                self.no(e, "ROW, ARRAY and MAP values are not supported yet", "use columns of their own")
            }
            Expr::AtTimeZone { .. } => self.no(e, "AT TIME ZONE is not supported yet", "TIMESTAMP_LTZ is shown in UTC"),
            Expr::Value(v) if matches!(v.value, sqlparser::ast::Value::Placeholder(_)) => {
                self.no(e, "a placeholder", "write the value itself: a job takes no parameters in its text")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
