//! Assignments to a sink: a query's columns against a sink's, and a query's changes against what the sink takes.
//!
//! The implicit conversions are Flink's: numbers widen, time-stamps change their digits. Everything else needs a CAST in the text, where
//! the reader sees it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::{Cast, Expr};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::NodeId;

use super::build::Builder;
use super::node::{Changes, Node, NodeKind, SinkMode, SinkNode};
use crate::catalog::{Accepts, SinkTraits, TableDef};
use crate::position::{Position, did_you_mean, invalid};
use crate::scalar::Scalar;
use crate::text::types::sql_name;

/// Positions in an INSERT, for messages.
pub(crate) struct InsertPlace<'a> {
    pub(crate) at: Position,
    pub(crate) columns: &'a [(String, Position)],
    /// The position of each column of the query; the INSERT's own where it is not known.
    pub(crate) items: Vec<Position>,
}

/// Brings a query's columns to those of the sink.
pub(crate) fn coerce(b: &mut Builder, input: usize, table: &TableDef, place: &InsertPlace<'_>) -> Result<usize> {
    let schema = table.physical();
    let given = Arc::clone(&b.node(input).schema);
    let targets = targets(&schema, table, place)?;
    if targets.len() != given.fields().len() {
        let what = format!("the query gives {} columns, '{}' takes {}", given.fields().len(), table.name, targets.len());
        let names: Vec<String> = schema.fields().iter().map(|f| format!("{} {}", f.name(), sql_name(f.data_type()))).collect();
        return Err(invalid(place.at, what, format!("'{}' has the columns {}", table.name, names.join(", "))));
    }
    let mut project = Vec::new();
    for (t, field) in schema.fields().iter().enumerate() {
        let want = field.data_type();
        let Some(from) = targets.iter().position(|x| *x == t) else {
            if !field.is_nullable() {
                let what = format!("column '{}' of '{}' is NOT NULL and gets no value", field.name(), table.name);
                return Err(invalid(place.at, what, "name it in the INSERT and select a value"));
            }
            let null = ScalarValue::try_from(want).unwrap_or(ScalarValue::Null);
            project.push((
                field.name().clone(),
                Scalar { expr: Expr::Literal(null, None), data_type: want.clone(), nullable: true },
            ));
            continue;
        };
        let at = place.items.get(from).copied().unwrap_or(place.at);
        let Some(got) = given.fields().get(from) else { continue };
        let column = Scalar::column(from, got.data_type().clone(), got.is_nullable());
        if !implicit(got.data_type(), want) && !literal_fits(b.node(input), from, want) {
            let what = format!(
                "column '{}' of '{}' is {}, the query gives {}",
                field.name(),
                table.name,
                sql_name(want),
                sql_name(got.data_type())
            );
            return Err(invalid(at, what, format!("write CAST(… AS {}), or change the table", sql_name(want))));
        }
        let value = if got.data_type() == want {
            column
        } else {
            Scalar {
                expr: Expr::Cast(Cast::new(Box::new(column.expr), want.clone())),
                data_type: want.clone(),
                nullable: got.is_nullable(),
            }
        };
        project.push((field.name().clone(), value));
    }
    Ok(b.calc(input, Vec::new(), project))
}

/// For each column of the query, the column of the sink that it goes to.
fn targets(schema: &arrow::datatypes::Schema, table: &TableDef, place: &InsertPlace<'_>) -> Result<Vec<usize>> {
    if place.columns.is_empty() {
        return Ok((0..schema.fields().len()).collect());
    }
    let mut targets = Vec::new();
    for (name, at) in place.columns {
        let Some(i) = schema.fields().iter().position(|f| f.name() == name) else {
            let names = schema.fields().iter().map(|f| f.name().as_str());
            return Err(invalid(*at, format!("'{}' has no stored column '{name}'", table.name), did_you_mean(name, names)));
        };
        if targets.contains(&i) {
            return Err(invalid(*at, format!("column '{name}' is named twice"), "name each column once"));
        }
        targets.push(i);
    }
    Ok(targets)
}

/// Flink's implicit conversions.
fn implicit(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let rank = |t: &DataType| match t {
        T::Int8 => Some(1),
        T::Int16 => Some(2),
        T::Int32 => Some(3),
        T::Int64 => Some(4),
        _ => None,
    };
    if from == to || *from == T::Null {
        return true;
    }
    match (from, to) {
        (T::Decimal128(..), T::Decimal128(..)) => true,
        (f, T::Decimal128(p, s)) => match rank(f) {
            Some(r) => i16::from(*p) - i16::from(*s) >= [3, 5, 10, 19].get(r - 1).copied().unwrap_or(19),
            None => matches!(f, T::Float32 | T::Float64),
        },
        (T::Decimal128(..), T::Float32 | T::Float64) | (T::Float32, T::Float64) => true,
        (f, T::Float32 | T::Float64) => rank(f).is_some(),
        (T::Timestamp(..), T::Timestamp(..)) => true,
        (f, t) => matches!((rank(f), rank(t)), (Some(f), Some(t)) if f <= t),
    }
}

/// A literal may go into a smaller type that holds it.
fn literal_fits(node: &Node, column: usize, want: &DataType) -> bool {
    let NodeKind::Calc(c) = &node.kind else { return false };
    let Some(Expr::Literal(v, _)) = c.project.get(column).map(|s| &s.expr) else { return false };
    v.data_type().is_integer() && want.is_integer() && v.cast_to(want).is_ok()
}

/// The mode in which a sink is sent a node's rows, or why it cannot take them.
pub(crate) fn sink_mode(node: &Node, table: &TableDef, traits: SinkTraits, at: Position) -> Result<SinkMode> {
    if node.changes == Changes::Append {
        return Ok(SinkMode::Append);
    }
    match traits.accepts {
        Accepts::Retract => Ok(SinkMode::Retract),
        Accepts::Append => Err(updating(table, at)),
        Accepts::Upsert => upsert(node, table, at),
    }
}

fn updating(table: &TableDef, at: Position) -> Error {
    let what = format!("the query updates rows that it has already given, but '{}' only takes new rows", table.name);
    let advice = "group by a window (TUMBLE), or write into a sink with a PRIMARY KEY that updates rows, or with 'format' = 'debezium-json', \
                  or SET 'execution.runtime-mode' = 'batch' so that only final results leave";
    invalid(at, what, advice)
}

fn upsert(node: &Node, table: &TableDef, at: Position) -> Result<SinkMode> {
    if table.primary_key.is_empty() {
        let what = format!("the query updates rows, and '{}' has no PRIMARY KEY by which to find them", table.name);
        return Err(invalid(at, what, "add PRIMARY KEY (…) NOT ENFORCED with the columns of GROUP BY"));
    }
    let name = |i: &usize| node.schema.fields().get(*i).map(|f| f.name().clone()).unwrap_or_default();
    let schema = table.physical();
    let index = |n: &String| schema.fields().iter().position(|f| f.name() == n);
    let wanted: Option<Vec<usize>> = table.primary_key.iter().map(index).collect();
    let (Some(wanted), Some(key)) = (wanted, &node.key) else {
        let what =
            format!("nothing is known that makes the query's rows unique, but '{}' updates them by PRIMARY KEY", table.name);
        return Err(invalid(at, what, "select every column of GROUP BY unchanged"));
    };
    let same = wanted.len() == key.len() && wanted.iter().all(|w| key.contains(w));
    if !same {
        let names: Vec<String> = key.iter().map(name).collect();
        let what = format!(
            "the query's rows are unique by ({}), but the PRIMARY KEY of '{}' is ({})",
            names.join(", "),
            table.name,
            table.primary_key.join(", ")
        );
        return Err(invalid(at, what, "make the two the same: the sink finds a row by its key"));
    }
    Ok(SinkMode::Upsert(wanted))
}

/// The sink of a table: one for all INSERTs into it.
pub(crate) fn sink(
    b: &mut Builder,
    table: &Arc<TableDef>,
    inputs: Vec<usize>,
    traits: SinkTraits,
    at: Position,
) -> Result<usize> {
    let input = match inputs.as_slice() {
        [one] => *one,
        _ => b.union(inputs),
    };
    let node = b.node(input);
    let mode = sink_mode(node, table, traits, at)?;
    // Columns are matched by place, so what leaves has the table's names.
    let (changes, key, schema) = (node.changes, node.key.clone(), table.physical());
    let text = format!("{} {}", table.connector()?, table.name);
    let kind = NodeKind::Sink(SinkNode { table: Arc::clone(table), mode });
    Ok(b.add_sink(&text, Node { id: NodeId(0), kind, inputs: vec![input], schema, changes, key }))
}
