//! `CREATE TABLE` and `CREATE VIEW`: from what is written to what can be planned with.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion_sql::planner::{PlannerContext, SqlToRel};
use sqlparser::ast::{BinaryOperator, Expr as Sql};
use watershed_runtime::error::Result;

use super::analyse::analyse;
use super::errors::translate;
use super::interval::literal_micros;
use super::provider::{Provider, parser_options};
use super::stream_table::StreamTable;
use crate::catalog::{ColumnDef, TableDef, WatermarkDef};
use crate::position::{Position, did_you_mean, invalid};
use crate::scalar::Scalar;
use crate::text::types::sql_name;
use crate::text::{ColumnKindText, TableText, ViewText, WatermarkText};

/// Checks a table and defines its name.
/// Also gives the event time of a row over the stored columns, if the table has a watermark.
pub(crate) fn define_table(provider: &mut Provider, text: TableText) -> Result<(Arc<TableDef>, Option<Scalar>)> {
    let mut def = TableDef {
        name: text.name.clone(),
        at: text.at,
        columns: physical_columns(&text),
        options: text.options.clone(),
        watermark: None,
        primary_key: Vec::new(),
    };
    if def.columns.is_empty() {
        return Err(invalid(
            text.at,
            format!("table '{}' has no stored column", text.name),
            "declare at least one column with a type",
        ));
    }
    primary_key(&text, &mut def)?;
    let plan = computed(provider, &text, &mut def)?;
    if let Some(w) = &text.watermark {
        def.watermark = Some(watermark(provider, w, &def)?);
    }
    let def = Arc::new(def);
    // The plan refers to the definition, which was not complete when the computed columns were planned.
    let event_time = event_time(&def, plan.as_deref())?;
    let plan = plan.map(|exprs| project(&def, exprs)).transpose()?;
    provider.define(&text.name, plan, Some(Arc::clone(&def)));
    Ok((def, event_time))
}

fn event_time(def: &Arc<TableDef>, computed: Option<&[Expr]>) -> Result<Option<Scalar>> {
    let Some(w) = &def.watermark else { return Ok(None) };
    let raw = scan(def)?;
    let stored = datafusion_expr::col(datafusion_common::Column::new(Some(def.name.as_str()), w.column.as_str()));
    let index = def.columns.iter().position(|c| c.name == w.column);
    let expr = computed.and_then(|all| all.get(index?)).unwrap_or(&stored);
    Scalar::of(expr, raw.schema()).map(Some).map_err(|e| translate(e, w.at).0)
}

fn physical_columns(text: &TableText) -> Vec<ColumnDef> {
    let columns = text.columns.iter().filter_map(|c| match &c.kind {
        ColumnKindText::Physical(data_type, nullable) => {
            Some(ColumnDef { name: c.name.clone(), at: c.at, data_type: data_type.clone(), nullable: *nullable, computed: false })
        }
        ColumnKindText::Computed(_) => None,
    });
    columns.collect()
}

fn primary_key(text: &TableText, def: &mut TableDef) -> Result<()> {
    for (name, at) in &text.primary_key {
        let names: Vec<&str> = def.columns.iter().map(|c| c.name.as_str()).collect();
        if !names.contains(&name.as_str()) {
            let what = format!("the primary key names '{name}', which is no stored column of '{}'", def.name);
            return Err(invalid(*at, what, did_you_mean(name, names)));
        }
        if def.primary_key.contains(name) {
            return Err(invalid(*at, format!("the primary key names '{name}' twice"), "name each column once"));
        }
        for c in def.columns.iter_mut().filter(|c| c.name == *name) {
            c.nullable = false;
        }
        def.primary_key.push(name.clone());
    }
    Ok(())
}

/// The projection of a table with computed columns: every column in order. `None` if it has none.
fn computed(provider: &Provider, text: &TableText, def: &mut TableDef) -> Result<Option<Vec<Expr>>> {
    if text.columns.len() == def.columns.len() {
        return Ok(None);
    }
    let planner = SqlToRel::new_with_options(provider, parser_options());
    let raw = scan(&Arc::new(def.clone()))?;
    let mut exprs = Vec::new();
    let mut columns = Vec::new();
    for c in &text.columns {
        match &c.kind {
            ColumnKindText::Physical(..) => {
                columns.extend(def.columns.iter().find(|d| d.name == c.name).cloned());
                exprs.push(datafusion_expr::col(datafusion_common::Column::new(Some(def.name.as_str()), c.name.as_str())));
            }
            ColumnKindText::Computed(sql) => {
                let expr = planner
                    .sql_to_expr(sql.clone(), raw.schema(), &mut PlannerContext::new())
                    .map_err(|e| translate(e, c.at).0)?;
                let (expr, field) = typed(&raw, expr, &c.name, c.at)?;
                columns.push(ColumnDef { name: c.name.clone(), at: c.at, data_type: field.0, nullable: field.1, computed: true });
                exprs.push(expr);
            }
        }
    }
    def.columns = columns;
    Ok(Some(exprs))
}

/// The analysed expression under its name, and its type.
fn typed(raw: &LogicalPlan, expr: Expr, name: &str, at: Position) -> Result<(Expr, (DataType, bool))> {
    let wrong = |e| translate(e, at).0;
    let plan =
        LogicalPlanBuilder::from(raw.clone()).project([expr.alias(name)]).and_then(LogicalPlanBuilder::build).map_err(wrong)?;
    let plan = analyse(plan).map_err(wrong)?;
    let LogicalPlan::Projection(p) = &plan else {
        return Err(invalid(at, "no such expression", "write an expression over the columns"));
    };
    let Some(expr) = p.expr.first() else {
        return Err(invalid(at, "no such expression", "write an expression over the columns"));
    };
    let field = (expr.get_type(raw.schema()).map_err(wrong)?, expr.nullable(raw.schema()).map_err(wrong)?);
    Ok((expr.clone(), field))
}

fn scan(def: &Arc<TableDef>) -> Result<LogicalPlan> {
    let source = Arc::new(StreamTable::new(Arc::clone(def)));
    LogicalPlanBuilder::scan(def.name.as_str(), source, None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| translate(e, def.at).0)
}

fn project(def: &Arc<TableDef>, exprs: Vec<Expr>) -> Result<LogicalPlan> {
    let plan = LogicalPlanBuilder::from(scan(def)?).project(exprs).and_then(LogicalPlanBuilder::build);
    plan.map_err(|e| translate(e, def.at).0)
}

/// `WATERMARK FOR c AS c` and `AS c - INTERVAL …`: anything else cannot be turned into a bound on disorder.
fn watermark(provider: &Provider, w: &WatermarkText, def: &TableDef) -> Result<WatermarkDef> {
    let Some(column) = def.columns.iter().find(|c| c.name == w.column) else {
        let names = def.columns.iter().map(|c| c.name.as_str());
        return Err(invalid(
            w.at,
            format!("the watermark is for '{}', which is no column", w.column),
            did_you_mean(&w.column, names),
        ));
    };
    if !matches!(column.data_type, DataType::Timestamp(..)) {
        let what = format!("the watermark's column '{}' is {}, not a time-stamp", w.column, sql_name(&column.data_type));
        let advice = "add a column `ts AS TO_TIMESTAMP_LTZ(millis, 3)` and put the watermark on it";
        return Err(invalid(w.at, what, advice));
    }
    let is_column = |e: &Sql| matches!(e, Sql::Identifier(i) if i.value == w.column);
    let delay = match &w.expr {
        e if is_column(e) => 0,
        Sql::BinaryOp { left, op: BinaryOperator::Minus, right } if is_column(left) => {
            let at = Position::of(&**right, w.at);
            let delay = interval_micros(provider, right, at)?;
            if delay < 0 {
                return Err(invalid(
                    at,
                    "the watermark's delay is negative",
                    "write how far rows may be out of order, for example INTERVAL '5' SECOND",
                ));
            }
            delay
        }
        other => {
            let what = format!("the watermark of '{}' is not the column minus an interval", w.column);
            let advice = format!("write WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND", w.column);
            return Err(invalid(Position::of(other, w.at), what, advice));
        }
    };
    Ok(WatermarkDef { column: w.column.clone(), delay_micros: delay, at: w.at })
}

/// An interval of a fixed length, in microseconds.
fn interval_micros(provider: &Provider, sql: &Sql, at: Position) -> Result<i64> {
    let planner = SqlToRel::new_with_options(provider, parser_options());
    let expr =
        planner.sql_to_expr(sql.clone(), &DFSchema::empty(), &mut PlannerContext::new()).map_err(|e| translate(e, at).0)?;
    literal_micros(&expr, at)
}

/// Plans a view and defines its name. The plan comes analysed, so that its columns have their final types.
pub(crate) fn define_view(provider: &mut Provider, view: &ViewText, plan: LogicalPlan) -> Result<()> {
    let plan = if view.columns.is_empty() { plan } else { rename(view, plan)? };
    provider.define(&view.name, Some(plan), None);
    Ok(())
}

fn rename(view: &ViewText, plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    if columns.len() != view.columns.len() {
        let what = format!("the view names {} columns, its query gives {}", view.columns.len(), columns.len());
        return Err(invalid(view.at, what, "name every column, or none"));
    }
    let exprs: Vec<Expr> = columns.into_iter().zip(&view.columns).map(|(c, (name, _))| Expr::Column(c).alias(name)).collect();
    LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build).map_err(|e| translate(e, view.at).0)
}
