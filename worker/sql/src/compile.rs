//! A text to its plan: statement by statement, with every error at its place.
//!
//! Planning walks trees as deep as the text makes them, so it runs on a thread of its own with a large stack; together with the limits of
//! `text::split` no text can overflow it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion_expr::LogicalPlan;
use datafusion_sql::planner::SqlToRel;
use sqlparser::ast::{Expr as Sql, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Value};
use watershed_runtime::error::{Error, Kind, Result};

use crate::catalog::{Connectors, SinkTraits, TableDef};
use crate::plan::{Builder, InsertPlace, Plan, coerce, lower, sink};
use crate::planner::{Clause, Provider, analyse, define_table, define_view, optimise, parser_options, translate};
use crate::position::{Position, did_you_mean, invalid};
use crate::scalar::Scalar;
use crate::text::{InsertText, Statement, parse};

/// The stack of the planning thread; touched pages only are ever used.
const STACK: usize = 512 << 20;

/// A text, planned.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan of its INSERTs; `None` if the text only explains.
    pub plan: Option<Plan>,
    /// The texts of its EXPLAINs, in order.
    pub explanations: Vec<String>,
    /// Every table, by name.
    pub tables: BTreeMap<String, Arc<TableDef>>,
}

/// Plans a text. Nothing outside is touched; the connectors only judge options.
///
/// Connectors are an object and no type parameter: the planner of DataFusion is generic, and a caller with a type of its own
/// would compile it again.
pub fn compile(sql: &str, connectors: &(dyn Connectors + Sync)) -> Result<Compiled> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sql".into()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, || Compiler::new(connectors).run(sql));
        let running = running.map_err(|e| Error::new(Kind::Unavailable, "no thread for the planner").because(e))?;
        running.join().unwrap_or_else(|_| Err(Error::broken("planner", "the planner failed on this text")))
    })
}

struct Compiler<'a> {
    connectors: &'a dyn Connectors,
    provider: Provider,
    tables: BTreeMap<String, Arc<TableDef>>,
    event_times: HashMap<String, Scalar>,
    defined: BTreeMap<String, Position>,
    batch: Option<bool>,
}

impl<'a> Compiler<'a> {
    fn new(connectors: &'a dyn Connectors) -> Self {
        Self {
            connectors,
            provider: Provider::new(),
            tables: BTreeMap::new(),
            event_times: HashMap::new(),
            defined: BTreeMap::new(),
            batch: None,
        }
    }

    fn run(mut self, sql: &str) -> Result<Compiled> {
        let mut inserts = Vec::new();
        let mut explained = Vec::new();
        for statement in parse(sql)? {
            match statement {
                Statement::Table(t) if t.if_not_exists && self.defined.contains_key(&t.name) => {}
                Statement::Table(t) => {
                    self.name_is_free(&t.name, t.at)?;
                    let (def, event_time) = define_table(&mut self.provider, t)?;
                    def.connector()?;
                    self.event_times.extend(event_time.map(|e| (def.name.clone(), e)));
                    self.tables.insert(def.name.clone(), def);
                }
                Statement::View(v) if v.if_not_exists && self.defined.contains_key(&v.name) => {}
                Statement::View(v) => {
                    self.name_is_free(&v.name, v.at)?;
                    let plan = self.query(&v.query, v.at)?;
                    define_view(&mut self.provider, &v, plan)?;
                }
                Statement::Mode { batch } => self.batch = batch.or(self.batch),
                Statement::Insert(i) => {
                    // Planned at once, so that an error in it comes before errors of later statements.
                    let plan = self.query(&i.query, i.at_query)?;
                    let plan = self.optimised(plan, &i)?;
                    if i.explain { &mut explained } else { &mut inserts }.push((i, plan));
                }
            }
        }
        let mut explanations = Vec::new();
        for one in explained {
            explanations.push(self.plan(std::slice::from_ref(&one))?.explain());
        }
        if inserts.is_empty() && explanations.is_empty() {
            let advice = "a job ends in a sink: add INSERT INTO sink SELECT …";
            return Err(invalid(Position { line: 1, column: 1 }, "the text has no INSERT INTO", advice));
        }
        let plan = if inserts.is_empty() { None } else { Some(self.plan(&inserts)?) };
        Ok(Compiled { plan, explanations, tables: self.tables })
    }

    fn name_is_free(&mut self, name: &str, at: Position) -> Result<()> {
        match self.defined.insert(name.to_owned(), at) {
            Some(first) => Err(invalid(at, format!("'{name}' is already defined at {first}"), "give it another name")),
            None => Ok(()),
        }
    }

    /// A query, planned and typed.
    fn query(&self, query: &Query, at: Position) -> Result<LogicalPlan> {
        self.try_query(query, at).map_err(|(e, exact)| {
            if exact {
                return e;
            }
            // The error has no position of its own: the first clause that fails alone is to blame.
            clauses(query, at).into_iter().find_map(|c| self.try_query(&c.query, c.at).err()).map_or(e, |(e, _)| e)
        })
    }

    /// A typed query, made cheaper; what only shows then is blamed on the first clause in which it shows.
    fn optimised(&self, plan: LogicalPlan, i: &InsertText) -> Result<LogicalPlan> {
        optimise(plan).map_err(|e| {
            let (e, exact) = translate(e, i.at_query);
            let blame = |c: Clause| {
                let plan = self.try_query(&c.query, c.at).ok()?;
                optimise(plan).err().map(|e| translate(e, c.at).0)
            };
            if exact { e } else { clauses(&i.query, i.at_query).into_iter().find_map(blame).unwrap_or(e) }
        })
    }

    fn try_query(&self, query: &Query, at: Position) -> Result<LogicalPlan, (Error, bool)> {
        let planner = SqlToRel::new_with_options(&self.provider, parser_options());
        let statement = sqlparser::ast::Statement::Query(Box::new(query.clone()));
        let plan = planner.sql_statement_to_plan(statement).map_err(|e| translate(e, at))?;
        analyse(plan).map_err(|e| translate(e, at))
    }

    /// The dataflow of some INSERTs.
    fn plan(&self, inserts: &[(InsertText, LogicalPlan)]) -> Result<Plan> {
        let mut b = Builder::new(self.batch.unwrap_or(false), self.event_times.clone());
        for (i, plan) in inserts {
            self.describe_sources(&mut b, plan, i)?;
        }
        let mut sinks: Vec<(Arc<TableDef>, SinkTraits, Vec<usize>, Position)> = Vec::new();
        for (i, plan) in inserts {
            let (table, traits) = self.sink(i)?;
            let root = lower(&mut b, plan, i.at_query)?;
            let place = InsertPlace { at: i.at, columns: &i.columns, items: items(&i.query) };
            let root = coerce(&mut b, root, &table, &place)?;
            match sinks.iter_mut().find(|s| s.0.name == table.name) {
                Some(s) => s.2.push(root),
                None => sinks.push((table, traits, vec![root], i.at)),
            }
        }
        let mut roots = Vec::new();
        for (table, traits, inputs, at) in sinks {
            roots.push(sink(&mut b, &table, inputs, traits, at)?);
        }
        Ok(b.finish(&roots))
    }

    fn describe_sources(&self, b: &mut Builder, plan: &LogicalPlan, insert: &InsertText) -> Result<()> {
        let mut names = Vec::new();
        collect_scans(plan, &mut names);
        for name in names {
            let Some(table) = self.tables.get(&name) else { continue };
            if b.sources.contains_key(&name) {
                continue;
            }
            let traits = self.connectors.describe_source(table)?;
            if b.batch && !traits.bounded {
                let what = format!("the table '{name}' never ends, but 'execution.runtime-mode' is 'batch'");
                return Err(invalid(
                    insert.at_query,
                    what,
                    "read a bounded source, or SET 'execution.runtime-mode' = 'streaming'",
                ));
            }
            b.sources.insert(name, traits);
        }
        Ok(())
    }

    fn sink(&self, i: &InsertText) -> Result<(Arc<TableDef>, SinkTraits)> {
        let Some(table) = self.tables.get(&i.table) else {
            if self.defined.contains_key(&i.table) {
                return Err(invalid(i.at, format!("'{}' is a view, which cannot be written", i.table), "insert into a table"));
            }
            let names = self.tables.keys().map(String::as_str);
            return Err(invalid(i.at, format!("there is no table '{}'", i.table), did_you_mean(&i.table, names)));
        };
        let traits = self.connectors.describe_sink(table)?;
        Ok((Arc::clone(table), traits))
    }
}

fn collect_scans(plan: &LogicalPlan, names: &mut Vec<String>) {
    if let LogicalPlan::TableScan(scan) = plan {
        names.push(scan.table_name.table().to_owned());
    }
    for input in plan.inputs() {
        collect_scans(input, names);
    }
}

/// The select whose columns are the query's.
fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(s) => Some(s),
        SetExpr::Query(q) => first_select(&q.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

/// The positions of a query's columns; none if there is a wildcard, behind which they cannot be counted.
fn items(query: &Query) -> Vec<Position> {
    let Some(select) = first_select(&query.body) else { return Vec::new() };
    let mut all = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => {
                all.push(Position::of(e, Position::default()))
            }
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                return Vec::new();
            }
        }
    }
    if all.iter().any(|p| p.line == 0) { Vec::new() } else { all }
}

/// The parts of a query that can be planned alone, in the order in which they are blamed.
fn clauses(query: &Query, at: Position) -> Vec<Clause> {
    let mut all = Vec::new();
    branches(query, &query.body, at, &mut all);
    all
}

fn branches(query: &Query, body: &SetExpr, at: Position, all: &mut Vec<Clause>) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            branches(query, left, at, all);
            branches(query, right, at, all);
        }
        SetExpr::Query(q) => branches(q, &q.body, at, all),
        SetExpr::Select(s) => select_clauses(query, s, at, all),
        _ => {}
    }
}

fn select_clauses(query: &Query, s: &Select, at: Position, all: &mut Vec<Clause>) {
    let one =
        SelectItem::ExprWithAlias { expr: Sql::Value(Value::Number("1".into(), false).into()), alias: Ident::new("EXPR$0") };
    let bare = Select {
        projection: vec![one],
        selection: None,
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        having: None,
        ..s.clone()
    };
    let mut push = |at: Position, select: Select| {
        let body = Box::new(SetExpr::Select(Box::new(select)));
        all.push(Clause { at, query: Box::new(Query { body, ..query.clone() }) });
    };
    if let Some(table) = s.from.first() {
        push(Position::of(table, at), bare.clone());
    }
    if let Some(w) = &s.selection {
        push(Position::of(w, at), Select { selection: Some(w.clone()), ..bare.clone() });
    }
    if let GroupByExpr::Expressions(keys, _) = &s.group_by {
        for key in keys {
            let item = SelectItem::ExprWithAlias { expr: key.clone(), alias: Ident::new("EXPR$0") };
            push(Position::of(key, at), Select { projection: vec![item], ..bare.clone() });
        }
    }
    for item in &s.projection {
        push(Position::of(item, at), Select { projection: vec![item.clone()], selection: None, having: None, ..s.clone() });
    }
    if let Some(h) = &s.having {
        push(Position::of(h, at), s.clone());
    }
}
