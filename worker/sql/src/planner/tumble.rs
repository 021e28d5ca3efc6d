//! `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))`: the table function as a plan node that adds three columns.
//!
//! The descriptor must be the event-time column that the table's watermark is for, reached unchanged through views, projections and
//! filters ([`is_event_time`]): rows carry their event time beside their columns, and the window is computed from that. HOP, CUMULATE and
//! SESSION are refused here by name; their places are the other arms of [`WindowFunctions::plan`].

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError, Result, TableReference};
use datafusion_expr::logical_plan::{Extension, UserDefinedLogicalNodeCore};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, LogicalPlan};
use sqlparser::ast::{Expr as Sql, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TableFactor};
use watershed_runtime::error::Error;

use super::errors::translate;
use super::interval::literal_micros;
use super::stream_table::StreamTable;
use crate::position::{Position, did_you_mean, invalid};
use crate::window::{Tumble, WindowColumn};

/// The names of the added columns, in order.
pub(crate) const COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// The plan node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TumbleNode {
    pub(crate) input: LogicalPlan,
    pub(crate) window: Tumble,
    /// The type of the event-time column; `window_time` has its zone.
    event_time: DataType,
    /// The name that the new columns belong to; kept, because the input may lose all its columns when none is used.
    qualifier: Option<TableReference>,
    schema: DFSchemaRef,
}

impl PartialOrd for TumbleNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.window.partial_cmp(&other.window)
    }
}

impl TumbleNode {
    /// The function's result is a relation of its own, so the new columns belong to the input's name where it has one.
    fn over(input: LogicalPlan, window: Tumble, event_time: DataType) -> Result<Self> {
        let qualifier = input.schema().iter().next().and_then(|(q, _)| q.cloned());
        Self::new(input, window, event_time, qualifier)
    }

    fn new(input: LogicalPlan, window: Tumble, event_time: DataType, qualifier: Option<TableReference>) -> Result<Self> {
        let zone = if let DataType::Timestamp(_, zone) = &event_time { zone.clone() } else { None };
        let plain = DataType::Timestamp(TimeUnit::Millisecond, None);
        let types = [plain.clone(), plain, DataType::Timestamp(TimeUnit::Millisecond, zone)];
        let mut fields: Vec<(Option<TableReference>, Arc<Field>)> =
            input.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        for (name, t) in COLUMNS.iter().zip(types) {
            fields.push((qualifier.clone(), Arc::new(Field::new(*name, t, false))));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
        Ok(Self { input, window, event_time, qualifier, schema })
    }
}

impl UserDefinedLogicalNodeCore for TumbleNode {
    fn name(&self) -> &str {
        "Tumble"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        COLUMNS.iter().map(|c| (*c).to_owned()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tumble: size={}us offset={}us", self.window.size_micros, self.window.offset_micros)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) => Self::new(input, self.window, self.event_time.clone(), self.qualifier.clone()),
            None => Err(DataFusionError::Plan("a window needs an input".into())),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let n = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|i| *i < n).collect()])
    }
}

/// The table functions.
#[derive(Debug)]
pub(crate) struct WindowFunctions;

impl RelationPlanner for WindowFunctions {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let TableFactor::TableFunction { expr, alias } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = plan_function(&expr, context).map_err(|e| match e {
            Wrong::Ours(e) => DataFusionError::External(e.into()),
            Wrong::Theirs(e) => e,
        })?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

enum Wrong {
    Ours(Error),
    Theirs(DataFusionError),
}

impl From<Error> for Wrong {
    fn from(e: Error) -> Self {
        Self::Ours(e)
    }
}

impl From<DataFusionError> for Wrong {
    fn from(e: DataFusionError) -> Self {
        Self::Theirs(e)
    }
}

const FORM: &str = "write TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))";

fn plan_function(expr: &Sql, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan, Wrong> {
    let at = Position::of(expr, Position::default());
    let Sql::Function(f) = expr else { return Err(invalid(at, "TABLE(…) takes a table function", FORM).into()) };
    let name = f.name.to_string().to_uppercase();
    match name.as_str() {
        "TUMBLE" => tumble(f, at, context),
        "HOP" | "CUMULATE" | "SESSION" => Err(invalid(
            at,
            format!("{name} windows are not supported yet"),
            "TUMBLE windows are; a view can combine several of them",
        )
        .into()),
        _ => Err(invalid(at, format!("there is no table function {name}"), did_you_mean(&name, ["TUMBLE"])).into()),
    }
}

/// The arguments by position or by Flink's names.
fn arguments(f: &Function, at: Position) -> Result<Vec<Sql>, Error> {
    const NAMES: [&str; 4] = ["DATA", "TIMECOL", "SIZE", "OFFSET"];
    let FunctionArguments::List(list) = &f.args else { return Err(invalid(at, "TUMBLE without arguments", FORM)) };
    let mut slots: Vec<Option<Sql>> = vec![None; NAMES.len()];
    for (i, a) in list.args.iter().enumerate() {
        let (slot, value) = match a {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => (Some(i), e),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), .. } => {
                (NAMES.iter().position(|n| name.value.eq_ignore_ascii_case(n)), e)
            }
            _ => return Err(invalid(at, "an argument of TUMBLE cannot be read", FORM)),
        };
        match slot.and_then(|s| slots.get_mut(s)) {
            Some(s @ None) => *s = Some(value.clone()),
            _ => return Err(invalid(Position::of(value, at), "TUMBLE has an argument too many", FORM)),
        }
    }
    let given: Vec<Sql> = slots.into_iter().flatten().collect();
    if given.len() < 3 {
        return Err(invalid(at, "TUMBLE takes a table, a descriptor and a length", FORM));
    }
    Ok(given)
}

fn tumble(f: &Function, at: Position, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan, Wrong> {
    let args = arguments(f, at)?;
    let (table, descriptor, size) = match args.as_slice() {
        [t, d, s, ..] => (t, d, s),
        _ => return Err(invalid(at, "TUMBLE takes a table, a descriptor and a length", FORM).into()),
    };
    let input = context.plan(table_factor(table, at)?)?;
    let event_time = descriptor_type(descriptor, &input, at)?;
    let mut lengths = Vec::new();
    for e in [Some(size), args.get(3)].into_iter().flatten() {
        let at = Position::of(e, at);
        let length = context.sql_to_expr(e.clone(), &DFSchema::empty()).map_err(|e| translate(e, at).0)?;
        lengths.push((literal_micros(&length, at)?, at));
    }
    let (size, at_size) = lengths.first().copied().unwrap_or((0, at));
    if size <= 0 {
        let what = if size == 0 { "a window of zero length" } else { "a window of negative length" };
        return Err(invalid(at_size, what, "write how long a window is, for example INTERVAL '10' SECOND").into());
    }
    if size % 1000 != 0 {
        return Err(invalid(at_size, "a window that is no whole number of milliseconds", "window_start has three digits").into());
    }
    let (offset, at_offset) = lengths.get(1).copied().unwrap_or((0, at));
    if offset % 1000 != 0 {
        return Err(
            invalid(at_offset, "an offset that is no whole number of milliseconds", "window_start has three digits").into()
        );
    }
    if offset.rem_euclid(size) != 0 {
        return Err(invalid(
            at_offset,
            "a window with an offset is not supported yet",
            "leave the offset out: windows start at multiples of their length",
        )
        .into());
    }
    let window = Tumble { size_micros: size, offset_micros: 0 };
    for (_, f) in input.schema().iter() {
        if COLUMNS.contains(&f.name().as_str()) {
            let what = format!("the input of TUMBLE already has a column '{}'", f.name());
            return Err(invalid(at, what, "give it another name in a view").into());
        }
    }
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(TumbleNode::over(input, window, event_time)?) }))
}

fn table_factor(table: &Sql, at: Position) -> Result<TableFactor, Error> {
    match table {
        Sql::Prefixed { prefix, value } if prefix.value == "TABLE" => {
            let Sql::CompoundIdentifier(parts) = &**value else { return Err(invalid(at, "expected a table name", FORM)) };
            Ok(plain_table(parts.clone()))
        }
        other => Err(invalid(Position::of(other, at), "the first argument must be TABLE t", FORM)),
    }
}

fn plain_table(parts: Vec<Ident>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(parts),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

/// The type of the descriptor's column, which must be the event time of the input.
fn descriptor_type(descriptor: &Sql, input: &LogicalPlan, at: Position) -> Result<DataType, Error> {
    let at = Position::of(descriptor, at);
    let column = match descriptor {
        Sql::Function(f) if f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") => match &f.args {
            FunctionArguments::List(l) => match l.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(Sql::Identifier(i)))] => Some(i),
                _ => None,
            },
            FunctionArguments::None | FunctionArguments::Subquery(_) => None,
        },
        _ => None,
    };
    let Some(column) = column else { return Err(invalid(at, "the second argument must be DESCRIPTOR(column)", FORM)) };
    let at = Position::of_span(column.span).unwrap_or(at);
    let Some(index) = input.schema().iter().position(|(_, f)| *f.name() == column.value) else {
        let names: Vec<&str> = input.schema().iter().map(|(_, f)| f.name().as_str()).collect();
        return Err(invalid(at, format!("there is no column '{}' here", column.value), did_you_mean(&column.value, names)));
    };
    if !is_event_time(input, index) {
        let what = format!("'{}' is not the event time of the window's input", column.value);
        let advice = format!(
            "declare WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND in the table, and pass the column through views unchanged",
            column.value
        );
        return Err(invalid(at, what, advice));
    }
    Ok(input.schema().field(index).data_type().clone())
}

fn column_index(e: &Expr, input: &LogicalPlan) -> Option<usize> {
    match e {
        Expr::Column(c) => input.schema().maybe_index_of_column(c),
        Expr::Alias(a) => column_index(&a.expr, input),
        _ => None,
    }
}

/// True if a column is the event time with which rows travel.
fn is_event_time(plan: &LogicalPlan, index: usize) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(s) => is_event_time(&s.input, index),
        LogicalPlan::Filter(f) => is_event_time(&f.input, index),
        LogicalPlan::Union(u) => u.inputs.iter().all(|i| is_event_time(i, index)),
        LogicalPlan::Projection(p) => {
            if let (LogicalPlan::TableScan(scan), Some((_, field))) = (&*p.input, p.schema.iter().nth(index))
                && let Some(t) = scan.source.downcast_ref::<StreamTable>()
                && t.def.columns.iter().any(|c| c.computed)
            {
                // The table's own projection: its columns have their declared names.
                return t.def.watermark.as_ref().is_some_and(|w| w.column == *field.name());
            }
            p.expr.get(index).and_then(|e| column_index(e, &p.input)).is_some_and(|i| is_event_time(&p.input, i))
        }
        LogicalPlan::TableScan(scan) => {
            let Some(t) = scan.source.downcast_ref::<StreamTable>() else { return false };
            let name = scan.projected_schema.field(index).name();
            t.def.watermark.as_ref().is_some_and(|w| w.column == *name)
        }
        LogicalPlan::Extension(e) => match e.node.as_any().downcast_ref::<TumbleNode>() {
            Some(t) => index < t.input.schema().fields().len() && is_event_time(&t.input, index),
            None => false,
        },
        LogicalPlan::Aggregate(a) => {
            let column = a.group_expr.get(index).and_then(|e| column_index(e, &a.input));
            column.and_then(|i| trace_window(&a.input, i)).is_some_and(|(c, _)| c == WindowColumn::Time)
        }
        _ => false,
    }
}

/// If a column is one that a window added, unchanged since: which, and of what window.
pub(crate) fn trace_window(plan: &LogicalPlan, index: usize) -> Option<(WindowColumn, Tumble)> {
    match plan {
        LogicalPlan::SubqueryAlias(s) => trace_window(&s.input, index),
        LogicalPlan::Filter(f) => trace_window(&f.input, index),
        LogicalPlan::Projection(p) => trace_window(&p.input, column_index(p.expr.get(index)?, &p.input)?),
        LogicalPlan::Extension(e) => {
            let t = e.node.as_any().downcast_ref::<TumbleNode>()?;
            let own = index.checked_sub(t.input.schema().fields().len())?;
            Some((*WindowColumn::ALL.get(own)?, t.window))
        }
        _ => None,
    }
}
