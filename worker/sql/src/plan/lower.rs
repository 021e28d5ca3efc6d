//! DataFusion's optimised plan to ours, bottom up.
//!
//! The columns of the node that a call returns are those of the plan that it was given, in the same order. What has no arm here is refused:
//! this is the clean place for each operator that is still to come.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_common::DataFusionError;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::logical_plan::{Aggregate, TableScan};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Case, Expr, LogicalPlan, lit};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::NodeId;

use super::build::{Builder, appends, identity, unique_schema};
use super::node::{AggregateCall, AggregateNode, Changes, Node, NodeKind, SourceNode, WindowAggregateNode};
use crate::catalog::TableDef;
use crate::functions::aggregate::{AggregateKind, kind_of};
use crate::planner::{StreamTable, TumbleNode, trace_window, translate};
use crate::position::{Position, invalid};
use crate::scalar::Scalar;
use crate::window::{Tumble, WindowColumn};

/// Lowers a plan; `at` is the position of last resort.
pub(crate) fn lower(b: &mut Builder, plan: &LogicalPlan, at: Position) -> Result<usize> {
    let theirs = |e: DataFusionError| translate(e, at).0;
    match plan {
        LogicalPlan::SubqueryAlias(s) => lower(b, &s.input, at),
        LogicalPlan::TableScan(scan) => lower_scan(b, scan, at),
        LogicalPlan::Projection(p) => {
            let input = lower(b, &p.input, at)?;
            let mut project = Vec::new();
            for (e, (_, f)) in p.expr.iter().zip(p.schema.iter()) {
                project.push((f.name().clone(), Scalar::of(e, p.input.schema()).map_err(theirs)?));
            }
            Ok(b.calc(input, Vec::new(), project))
        }
        LogicalPlan::Filter(f) => {
            let input = lower(b, &f.input, at)?;
            let mut filters = Vec::new();
            for part in split_conjunction(&f.predicate) {
                filters.push(Scalar::of(part, f.input.schema()).map_err(theirs)?);
            }
            let project = identity(b.node(input));
            Ok(b.calc(input, filters, project))
        }
        LogicalPlan::Union(u) => {
            let mut inputs = Vec::new();
            for input in &u.inputs {
                let index = lower(b, input, at)?;
                let project = identity(b.node(index));
                // A source's columns may be pruned, but only under a calc.
                inputs.push(if matches!(b.node(index).kind, NodeKind::Source(_)) {
                    b.calc(index, Vec::new(), project)
                } else {
                    index
                });
            }
            let fields = u.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
            let schema = unique_schema(fields);
            let changes = if inputs.iter().all(|i| appends(b.node(*i))) { Changes::Append } else { Changes::Retract };
            Ok(b.add("union", "", Node { id: NodeId(0), kind: NodeKind::Union, inputs, schema, changes, key: None }))
        }
        LogicalPlan::Extension(e) => match e.node.as_any().downcast_ref::<TumbleNode>() {
            Some(t) => lower_window(b, t, at),
            None => Err(unsupported(plan, at)),
        },
        LogicalPlan::Aggregate(a) => lower_aggregate(b, a, at),
        _ => Err(unsupported(plan, at)),
    }
}

fn unsupported(plan: &LogicalPlan, at: Position) -> Error {
    let what = plan.display().to_string();
    let what = what.split([':', ' ']).next().unwrap_or("this").to_owned();
    invalid(
        at,
        format!("the query needs the operator {what}, which is not supported yet"),
        "write it as filters, windows and GROUP BY",
    )
}

fn lower_scan(b: &mut Builder, scan: &TableScan, at: Position) -> Result<usize> {
    let Some(table) = scan.source.downcast_ref::<StreamTable>() else {
        return Err(invalid(at, "the query reads something that is no table", "read from a table or a view"));
    };
    let source = source(b, &table.def, at)?;
    let all = identity(b.node(source));
    let project = match &scan.projection {
        Some(columns) => columns.iter().filter_map(|i| all.get(*i).cloned()).collect(),
        None => all,
    };
    Ok(b.calc(source, Vec::new(), project))
}

/// The source of a table: one for all its readers. Its id says which table, not how it is read, so that an option may change on restart.
fn source(b: &mut Builder, table: &Arc<TableDef>, at: Position) -> Result<usize> {
    let Some(traits) = b.sources.get(&table.name).copied() else {
        return Err(invalid(at, format!("nothing is known of the source '{}'", table.name), "declare it with CREATE TABLE"));
    };
    let schema = table.physical();
    let text = format!("{} {}", table.connector()?, table.name);
    let columns = (0..schema.fields().len()).collect();
    let kind = NodeKind::Source(SourceNode {
        table: Arc::clone(table),
        columns,
        event_time: b.event_times.get(&table.name).cloned(),
        bounded: traits.bounded,
    });
    Ok(b.add("source", &text, Node { id: NodeId(0), kind, inputs: Vec::new(), schema, changes: Changes::Append, key: None }))
}

fn lower_window(b: &mut Builder, t: &TumbleNode, at: Position) -> Result<usize> {
    use datafusion_expr::logical_plan::UserDefinedLogicalNodeCore;
    let mut input = lower(b, &t.input, at)?;
    if matches!(b.node(input).kind, NodeKind::Source(_)) {
        let all = identity(b.node(input));
        input = b.calc(input, Vec::new(), all);
    }
    if !appends(b.node(input)) {
        let advice = "aggregate in the window first: put TUMBLE on the table itself";
        return Err(invalid(at, "a window over rows that are updated later is not supported yet", advice));
    }
    let own = t.schema().fields().iter().skip(b.node(input).schema.fields().len());
    let fields = b.node(input).schema.fields().iter().chain(own).map(|f| f.as_ref().clone());
    let schema = unique_schema(fields.collect::<Vec<Field>>().into_iter());
    let text = window_text(t.window);
    let kind = NodeKind::Window(t.window);
    let key = b.node(input).key.clone();
    Ok(b.add("window", &text, Node { id: NodeId(0), kind, inputs: vec![input], schema, changes: Changes::Append, key }))
}

fn window_text(w: Tumble) -> String {
    format!("tumble {} us offset {} us", w.size_micros, w.offset_micros)
}

/// An aggregation of DataFusion's, taken apart.
struct AggregateParts {
    /// For each group expression: a window's column, or a key by its index.
    groups: Vec<GroupColumn>,
    /// Keys, then arguments.
    project: Vec<(String, Scalar)>,
    keys: usize,
    calls: Vec<AggregateCall>,
    window: Option<Tumble>,
}

enum GroupColumn {
    Window(WindowColumn),
    Key(usize),
}

fn lower_aggregate(b: &mut Builder, a: &Aggregate, at: Position) -> Result<usize> {
    let input = lower(b, &a.input, at)?;
    let parts = parts(a, at)?;
    let names: Vec<String> = a.schema.fields().iter().map(|f| f.name().clone()).collect();
    let calc = b.calc(input, Vec::new(), parts.project.clone());
    let calc = without_window(b, calc);
    match parts.window {
        Some(window) => window_aggregate(b, calc, window, &parts, &names, at),
        None => Ok(updating_aggregate(b, calc, parts, &names)),
    }
}

fn parts(a: &Aggregate, at: Position) -> Result<AggregateParts> {
    let theirs = |e: DataFusionError| translate(e, at).0;
    let schema = a.input.schema();
    let mut parts = AggregateParts { groups: Vec::new(), project: Vec::new(), keys: 0, calls: Vec::new(), window: None };
    for e in &a.group_expr {
        if matches!(e, Expr::GroupingSet(_)) {
            return Err(invalid(at, "grouping sets are not supported yet", "write one INSERT for each grouping"));
        }
        let column = if let Expr::Column(c) = e { schema.maybe_index_of_column(c) } else { None };
        match column.and_then(|i| trace_window(&a.input, i)) {
            Some((column, window)) => {
                parts.window = Some(window);
                parts.groups.push(GroupColumn::Window(column));
            }
            None => {
                parts.groups.push(GroupColumn::Key(parts.keys));
                parts.project.push((e.schema_name().to_string(), Scalar::of(e, schema).map_err(theirs)?));
                parts.keys += 1;
            }
        }
    }
    for e in &a.aggr_expr {
        let mut e = e;
        while let Expr::Alias(inner) = e {
            e = &inner.expr;
        }
        let Expr::AggregateFunction(f) = e else {
            return Err(invalid(at, format!("{e} is no aggregate"), "COUNT, SUM, AVG, MIN and MAX are"));
        };
        let call = call(f, schema, &mut parts.project, at)?;
        parts.calls.push(call);
    }
    Ok(parts)
}

fn call(
    f: &AggregateFunction,
    schema: &datafusion_common::DFSchema,
    project: &mut Vec<(String, Scalar)>,
    at: Position,
) -> Result<AggregateCall> {
    let theirs = |e: DataFusionError| translate(e, at).0;
    let (Some(kind), Some(arg)) = (kind_of(f), f.params.args.first()) else {
        return Err(invalid(at, format!("the aggregate {} is not supported", f.func.name()), "COUNT, SUM, AVG, MIN and MAX are"));
    };
    if f.params.distinct || !f.params.order_by.is_empty() {
        return Err(invalid(
            at,
            "DISTINCT and ORDER BY in an aggregate are not supported yet",
            "group by the column in a view first",
        ));
    }
    let star = kind == AggregateKind::Count && matches!(arg, Expr::Literal(v, _) if !v.is_null());
    let arg = match (&f.params.filter, star) {
        (None, true) => None,
        (None, false) => Some(arg.clone()),
        (Some(only), _) => {
            let value = if star { lit(1i32) } else { arg.clone() };
            Some(Expr::Case(Case::new(None, vec![(only.clone(), Box::new(value))], None)))
        }
    };
    let Some(arg) = arg else {
        return Ok(AggregateCall { kind, argument: None, argument_type: None, result: arrow::datatypes::DataType::Int64 });
    };
    let scalar = Scalar::of(&arg, schema).map_err(theirs)?;
    let Some(result) = kind.result(&scalar.data_type) else {
        let what = format!("{}({}) does not exist", kind.name().to_uppercase(), crate::text::types::sql_name(&scalar.data_type));
        return Err(invalid(at, what, "CAST the argument to a type that it takes"));
    };
    let text = |s: &Scalar| s.text(&|i| format!("#{i}"));
    let wanted = text(&scalar);
    let argument_type = Some(scalar.data_type.clone());
    let index = project.iter().position(|(_, s)| text(s) == wanted && s.data_type == scalar.data_type).unwrap_or_else(|| {
        project.push((arg.schema_name().to_string(), scalar));
        project.len() - 1
    });
    Ok(AggregateCall { kind, argument: Some(index), argument_type, result })
}

/// The columns that leave an aggregation: its keys and its results.
fn output_fields(b: &Builder, calc: usize, parts: &AggregateParts) -> Vec<Field> {
    let keys = b.node(calc).schema.fields().iter().take(parts.keys).map(|f| f.as_ref().clone());
    let results = parts.calls.iter().enumerate();
    keys.chain(
        results.map(|(i, c)| Field::new(format!("{}_{i}", c.kind.name()), c.result.clone(), c.kind != AggregateKind::Count)),
    )
    .collect()
}

fn calls_text(calls: &[AggregateCall]) -> String {
    let one = |c: &AggregateCall| format!("{}({})", c.kind.name(), c.argument.map_or_else(|| "*".into(), |a| format!("#{a}")));
    calls.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn updating_aggregate(b: &mut Builder, calc: usize, parts: AggregateParts, names: &[String]) -> usize {
    let retracting = !appends(b.node(calc));
    let fields = output_fields(b, calc, &parts).into_iter().zip(names).map(|(f, n)| f.with_name(n));
    let schema = unique_schema(fields);
    let final_only = b.batch;
    let changes = if final_only || (parts.calls.is_empty() && !retracting) { Changes::Append } else { Changes::Retract };
    let text = format!("keys {} calls {}", parts.keys, calls_text(&parts.calls));
    let key = Some((0..parts.keys).collect());
    let kind = NodeKind::Aggregate(AggregateNode { keys: parts.keys, calls: parts.calls, retracting, final_only });
    b.add("aggregate", &text, Node { id: NodeId(0), kind, inputs: vec![calc], schema, changes, key })
}

fn window_aggregate(
    b: &mut Builder,
    calc: usize,
    window: Tumble,
    parts: &AggregateParts,
    names: &[String],
    at: Position,
) -> Result<usize> {
    if !appends(b.node(calc)) {
        return Err(invalid(
            at,
            "a window over rows that are updated later is not supported yet",
            "put TUMBLE on the table itself",
        ));
    }
    let mut emit: Vec<WindowColumn> = Vec::new();
    for g in &parts.groups {
        if let GroupColumn::Window(c) = g
            && !emit.contains(c)
        {
            emit.push(*c);
        }
    }
    let mut fields = output_fields(b, calc, parts);
    let first_window = fields.len();
    let mut project = Vec::new();
    for (i, g) in parts.groups.iter().enumerate() {
        let name = names.get(i).cloned().unwrap_or_default();
        match g {
            GroupColumn::Key(k) => project.push((name, *k)),
            GroupColumn::Window(c) => project.push((name, first_window + emit.iter().position(|e| e == c).unwrap_or(0))),
        }
    }
    for i in 0..parts.calls.len() {
        project.push((names.get(parts.groups.len() + i).cloned().unwrap_or_default(), parts.keys + i));
    }
    let zone = |c: &WindowColumn| if *c == WindowColumn::Time { window_zone(b, calc) } else { None };
    for c in &emit {
        let name = format!("window_{c:?}").to_lowercase();
        let t = arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, zone(c));
        fields.push(Field::new(name, t, false));
    }
    let text = format!("{} keys {} calls {} emit {emit:?}", window_text(window), parts.keys, calls_text(&parts.calls));
    let key = emit.contains(&WindowColumn::Start) || emit.contains(&WindowColumn::End) || emit.contains(&WindowColumn::Time);
    let key = key.then(|| (0..parts.keys).chain([first_window]).collect());
    let kind = NodeKind::WindowAggregate(WindowAggregateNode { window, keys: parts.keys, calls: parts.calls.clone(), emit });
    let node = Node {
        id: NodeId(0),
        kind,
        inputs: vec![calc],
        schema: unique_schema(fields.into_iter()),
        changes: Changes::Append,
        key,
    };
    let index = b.add("window-aggregate", &text, node);
    let all = identity(b.node(index));
    let project = project.into_iter().filter_map(|(n, i)| all.get(i).map(|(_, s)| (n, s.clone()))).collect();
    Ok(b.calc(index, Vec::new(), project))
}

/// The zone of `window_time`: that of the event-time column of the sources below.
fn window_zone(b: &Builder, node: usize) -> Option<Arc<str>> {
    let node = b.node(node);
    if let NodeKind::Source(s) = &node.kind {
        let column = s.table.watermark.as_ref().map(|w| &w.column);
        let def = s.table.columns.iter().find(|c| Some(&c.name) == column)?;
        return if let arrow::datatypes::DataType::Timestamp(_, zone) = &def.data_type { zone.clone() } else { None };
    }
    node.inputs.first().and_then(|i| window_zone(b, *i))
}

/// The aggregation computes windows from the rows' times, so the step that adds the columns is dropped where
/// they are not read.
fn without_window(b: &mut Builder, calc: usize) -> usize {
    let node = b.node(calc);
    let (NodeKind::Calc(c), Some(&window)) = (&node.kind, node.inputs.first()) else { return calc };
    let (NodeKind::Window(_), Some(&below)) = (&b.node(window).kind, b.node(window).inputs.first()) else { return calc };
    let n = b.node(below).schema.fields().len();
    if c.filters.iter().chain(&c.project).flat_map(Scalar::columns).any(|i| i >= n) {
        return calc;
    }
    let names = node.schema.fields().iter().map(|f| f.name().clone());
    let (filters, project) = (c.filters.clone(), names.zip(c.project.clone()).collect());
    b.calc(below, filters, project)
}
