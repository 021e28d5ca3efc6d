//! The nodes of a plan.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use watershed_runtime::graph::NodeId;

use crate::catalog::TableDef;
use crate::functions::AggregateKind;
use crate::scalar::Scalar;
use crate::window::{Tumble, WindowColumn};

/// The changes that leave a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Changes {
    /// New rows only.
    Append,
    /// New rows, rows taken back, and updates as both.
    Retract,
}

/// A whole job.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The nodes; inputs come before their users.
    pub nodes: Vec<Node>,
    /// True for a batch: all sources end and only final results leave.
    pub batch: bool,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The stable id.
    pub id: NodeId,
    /// The operation.
    pub kind: NodeKind,
    /// The nodes that feed it, by index.
    pub inputs: Vec<usize>,
    /// The columns of what leaves it.
    pub schema: SchemaRef,
    /// The changes that leave it.
    pub changes: Changes,
    /// Columns by which a row that leaves it can be told from all others, if known.
    pub key: Option<Vec<usize>>,
}

/// A node's operation.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// Reads a table.
    Source(SourceNode),
    /// Filters, then computes columns.
    Calc(CalcNode),
    /// Adds the columns of the row's window.
    Window(Tumble),
    /// Aggregates by window and key; a result leaves when its window closes.
    WindowAggregate(WindowAggregateNode),
    /// Aggregates by key; a result leaves when it changes.
    Aggregate(AggregateNode),
    /// All rows of all inputs.
    Union,
    /// Writes a table.
    Sink(SinkNode),
}

/// A table that is read.
#[derive(Clone, Debug)]
pub struct SourceNode {
    /// The table.
    pub table: Arc<TableDef>,
    /// The stored columns that are decoded, in order: only those that are used.
    pub columns: Vec<usize>,
    /// The event time of a row, over the decoded columns.
    pub event_time: Option<Scalar>,
    /// True if the source ends by itself.
    pub bounded: bool,
}

/// A filter and a projection.
#[derive(Clone, Debug)]
pub struct CalcNode {
    /// Conditions, each looked at only for rows that passed those before it.
    pub filters: Vec<Scalar>,
    /// The columns.
    pub project: Vec<Scalar>,
}

/// One aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AggregateCall {
    /// The function.
    pub kind: AggregateKind,
    /// The column that it is over; `None` for `COUNT(*)`.
    pub argument: Option<usize>,
    /// The type of that column.
    pub argument_type: Option<DataType>,
    /// The type of its result.
    pub result: DataType,
}

/// An aggregation by window. The input's columns are the keys, then arguments; the output's are keys, aggregates, window columns.
#[derive(Clone, Debug)]
pub struct WindowAggregateNode {
    /// The window.
    pub window: Tumble,
    /// The number of the input's first columns that are keys.
    pub keys: usize,
    /// The aggregates.
    pub calls: Vec<AggregateCall>,
    /// The columns of the window that leave, in this order.
    pub emit: Vec<WindowColumn>,
}

/// An aggregation without a window. The input's columns are the keys, then arguments; the output's are keys, then aggregates.
#[derive(Clone, Debug)]
pub struct AggregateNode {
    /// The number of the input's first columns that are keys.
    pub keys: usize,
    /// The aggregates.
    pub calls: Vec<AggregateCall>,
    /// True if the input takes rows back.
    pub retracting: bool,
    /// Emit once, at the end of the input.
    pub final_only: bool,
}

/// The rows that a sink is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkMode {
    /// New rows.
    Append,
    /// The newest row of each value of these columns, and deletions.
    Upsert(Vec<usize>),
    /// Every change.
    Retract,
}

/// A table that is written.
#[derive(Clone, Debug)]
pub struct SinkNode {
    /// The table.
    pub table: Arc<TableDef>,
    /// The rows that it is sent.
    pub mode: SinkMode,
}
