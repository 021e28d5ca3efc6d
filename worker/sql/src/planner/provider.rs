//! Names for DataFusion's planner: tables, functions and types.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::planner::{NullOrdering, ParserOptions};

use super::stream_table::StreamTable;
use super::tumble::WindowFunctions;
use crate::catalog::TableDef;
use crate::functions::aggregate::{self, AggregateKind, CountStar};
use crate::functions::{Syntax, scalars};
use crate::position::did_you_mean;
use crate::text::types::to_arrow;

/// A relation with a plan of its own: a view, or a table with computed columns.
#[derive(Debug)]
struct Derived {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for Derived {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// The names of a job, and the functions.
pub(crate) struct Provider {
    relations: BTreeMap<String, Arc<dyn TableSource>>,
    scalars: BTreeMap<String, Arc<ScalarUDF>>,
    options: ConfigOptions,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl Provider {
    pub(crate) fn new() -> Self {
        Self {
            relations: BTreeMap::new(),
            scalars: scalars(),
            options: ConfigOptions::default(),
            expr_planners: vec![Arc::new(CountStar), Arc::new(Syntax)],
            relation_planners: vec![Arc::new(WindowFunctions)],
        }
    }

    /// Gives a table or a view its name.
    pub(crate) fn define(&mut self, name: &str, plan: Option<LogicalPlan>, table: Option<Arc<TableDef>>) {
        let source: Option<Arc<dyn TableSource>> = match (plan, table) {
            (Some(plan), _) => {
                let schema = Arc::clone(plan.schema().inner());
                Some(Arc::new(Derived { plan, schema }))
            }
            (None, Some(def)) => Some(Arc::new(StreamTable::new(def))),
            (None, None) => None,
        };
        if let Some(source) = source {
            self.relations.insert(name.to_owned(), source);
        }
    }

    /// Every defined name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.relations.keys().map(String::as_str)
    }
}

/// Flink's rules for names and literals.
pub(crate) fn parser_options() -> ParserOptions {
    ParserOptions {
        parse_float_as_decimal: true,
        enable_ident_normalization: false,
        support_varchar_with_length: true,
        enable_options_value_normalization: false,
        collect_spans: true,
        map_string_types_to_utf8view: false,
        default_null_ordering: NullOrdering::NullsMax,
    }
}

/// CAST's types are those of CREATE TABLE.
#[derive(Debug)]
struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &sqlparser::ast::DataType) -> Result<Option<FieldRef>> {
        match to_arrow(sql) {
            Ok(t) => Ok(Some(Arc::new(Field::new("", t, true)))),
            Err(why) => plan_err!("{why}"),
        }
    }
}

impl ContextProvider for Provider {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match self.relations.get(name.table()) {
            Some(source) => Ok(Arc::clone(source)),
            None => plan_err!("there is no table or view '{}': {}", name.table(), did_you_mean(name.table(), self.names())),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(&name.to_lowercase()).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        aggregate::named(&name.to_lowercase())
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        AggregateKind::ALL.iter().map(|k| k.name().to_owned()).collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
