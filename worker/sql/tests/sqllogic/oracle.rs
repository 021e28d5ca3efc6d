//! The answer of a batch engine: DataFusion, whole, over the same lines.
//!
//! The engine under test takes types and scalar expressions from the same project, and nothing else: how rows are read, filtered, grouped,
//! put into windows, retracted and written is compared here with an implementation that has none of it in common. A window is
//! `date_bin`; a text in which only Flink's form differs is rewritten, anything else gives its own text in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::json::ReaderBuilder;
use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use regex::Regex;
use sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use watershed_sql::TableDef;

use crate::file::File;
use crate::sink::texts;

/// The tables of a file, ready to be asked.
pub(crate) struct Batch {
    context: SessionContext,
    runtime: tokio::runtime::Runtime,
}

fn rewritten(sql: &str) -> String {
    let window = Regex::new(r"TABLE\(TUMBLE\(TABLE\s+(\S+),\s*DESCRIPTOR\(([^)]+)\),\s*(INTERVAL\s+'[^']+'\s+\w+)\)\)");
    let bin = "date_bin($3, $2, TIMESTAMP '1970-01-01 00:00:00')";
    let columns = format!(
        "(SELECT *, {bin} AS window_start, {bin} + $3 AS window_end, {bin} + $3 - INTERVAL '1' MILLISECOND AS window_time FROM $1)"
    );
    let sql = window.unwrap().replace_all(sql, columns).into_owned();
    let millis = Regex::new(r"TO_TIMESTAMP_LTZ\((\w+), 3\)").unwrap().replace_all(&sql, "to_timestamp_millis($1)").into_owned();
    named(&millis.replace("AS STRING)", "AS VARCHAR)"))
}

/// Every column of the outermost SELECT gets a name: the batch engine wants them to differ, Flink does not.
fn named(sql: &str) -> String {
    let mut parsed = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    for statement in &mut parsed {
        match statement {
            Statement::Query(q) => name_columns(&mut q.body, true),
            Statement::CreateView(v) if v.columns.is_empty() => name_columns(&mut v.query.body, false),
            _ => {}
        }
    }
    parsed.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
}

fn name_columns(body: &mut SetExpr, plain: bool) {
    match body {
        SetExpr::Select(select) => {
            for (i, item) in select.projection.iter_mut().enumerate() {
                if let SelectItem::UnnamedExpr(e) = item
                    && (plain || !matches!(e, Expr::Identifier(_)))
                {
                    *item = SelectItem::ExprWithAlias { expr: e.clone(), alias: Ident::new(format!("column_{i}")) };
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            name_columns(left, plain);
            name_columns(right, plain);
        }
        _ => {}
    }
}

/// The statements of a text.
pub(crate) fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(';')
        .map(|s| s.trim().trim_start_matches("EXECUTE STATEMENT SET BEGIN").trim())
        .filter(|s| !s.is_empty() && *s != "END")
}

impl Batch {
    /// Loads the tables of a file, which the engine under test has planned.
    pub(crate) fn new(file: &File, tables: &BTreeMap<String, Arc<TableDef>>) -> Self {
        let mut config = SessionConfig::new().with_target_partitions(1);
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.parse_float_as_decimal = true;
        let this = Self {
            context: SessionContext::new_with_config(config),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        };
        for table in tables.values() {
            let lines: Vec<&str> =
                file.inputs.get(&table.name).into_iter().flatten().flat_map(|s| &s.lines).map(String::as_str).collect();
            let schema = table.physical();
            let batches = ReaderBuilder::new(Arc::clone(&schema)).build(std::io::Cursor::new(lines.join("\n"))).unwrap();
            let stored = MemTable::try_new(schema, vec![batches.map(Result::unwrap).collect()]).unwrap();
            this.context.register_table(format!("stored_{}", table.name), Arc::new(stored)).unwrap();
        }
        for statement in statements(&file.tables) {
            this.define(statement);
        }
        this
    }

    /// A view, or a table over its stored columns.
    fn define(&self, statement: &str) {
        if statement.starts_with("CREATE VIEW") {
            return self.execute(&rewritten(statement));
        }
        let Some((name, columns)) = statement.trim_start_matches("CREATE TABLE ").split_once('(') else { return };
        let columns = columns.rsplit_once("WITH").map_or(columns, |(c, _)| c).trim().trim_end_matches(')');
        let mut select = Vec::new();
        for column in top_level(columns) {
            match column.split_once(' ') {
                Some(("WATERMARK" | "PRIMARY", _)) | None => {}
                Some((name, rest)) => match rest.trim().strip_prefix("AS ") {
                    Some(expression) => select.push(format!("{expression} AS {name}")),
                    None => select.push(name.to_owned()),
                },
            }
        }
        let name = name.trim().trim_matches('`');
        self.execute(&rewritten(&format!("CREATE VIEW {name} AS SELECT {} FROM stored_{name}", select.join(", "))));
    }

    fn execute(&self, sql: &str) {
        let done = self.runtime.block_on(async { self.context.sql(sql).await?.collect().await });
        if let Err(e) = done {
            panic!("the batch engine refuses {sql}: {e}");
        }
    }

    /// The rows of a SELECT as text, in the types of the sink, sorted.
    pub(crate) fn select(&self, sql: &str, to: &SchemaRef) -> Vec<String> {
        let sql = rewritten(sql);
        let batches = self.runtime.block_on(async { self.context.sql(&sql).await?.collect().await });
        let batches = batches.unwrap_or_else(|e| panic!("the batch engine refuses {sql}: {e}"));
        let mut rows = Vec::new();
        for batch in &batches {
            let columns = batch.columns().iter().zip(to.fields()).map(|(c, f)| cast(c, f.data_type()).unwrap()).collect();
            let fields = to.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
            let schema = Arc::new(arrow::datatypes::Schema::new(fields));
            rows.extend(texts(&RecordBatch::try_new(schema, columns).unwrap()));
        }
        rows.sort();
        rows
    }

    /// The rows of one sink of a whole text.
    pub(crate) fn answer(&self, sql: &str, sink: &str, to: &SchemaRef) -> Vec<String> {
        let mut rows = Vec::new();
        let mut views = Vec::new();
        for statement in statements(sql) {
            if let Some(view) = statement.strip_prefix("CREATE VIEW ") {
                self.define(statement);
                views.push(view.split_whitespace().next().unwrap_or_default().to_owned());
            }
            let into = statement.strip_prefix("INSERT INTO ").and_then(|s| s.split_once(char::is_whitespace));
            if let Some((_, select)) = into.filter(|(table, _)| table.trim_matches('`') == sink) {
                rows.extend(self.select(select, to));
            }
        }
        for view in views {
            self.execute(&format!("DROP VIEW {view}"));
        }
        rows.sort();
        rows
    }
}

/// Cuts at commas that are in no parentheses and no quotes.
fn top_level(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from, mut parts) = (0, false, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts
}
