//! The plan of a job: our own typed dataflow, the seam between DataFusion's planner and the engine.
//!
//! Nodes stand in topological order and have stable ids: hashes of their role, their canonical text and their inputs, so that reordering
//! statements or adding an INSERT renames nothing. Two INSERTs that compute the same share the node, because the same computation has the
//! same id. Every node knows which changes leave it ([`Changes`]): that is what sinks are checked against, here, before anything runs.
//!
//! No type of DataFusion is public; a [`Scalar`] hides the one that it needs.

mod build;
mod coerce;
mod explain;
mod lower;
mod scalar;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use watershed_runtime::graph::NodeId;

use crate::catalog::TableDef;
pub use crate::functions::AggregateKind;
pub use crate::planner::{Tumble, WindowColumn};
pub use scalar::Scalar;
pub(crate) use scalar::text_of;

pub(crate) use build::Builder;
pub(crate) use coerce::{InsertPlace, coerce, sink};
pub(crate) use lower::lower;

/// Which changes leave a node.
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
    /// Whether the job is a batch: all sources end and only final results leave.
    pub batch: bool,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The stable id.
    pub id: NodeId,
    /// What it does.
    pub kind: Kind,
    /// The nodes that feed it, by index.
    pub inputs: Vec<usize>,
    /// The columns of what leaves it.
    pub schema: SchemaRef,
    /// Which changes leave it.
    pub changes: Changes,
    /// Columns by which a row that leaves it can be told from all others, if known.
    pub key: Option<Vec<usize>>,
}

/// What a node does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Reads a table.
    Source(SourceNode),
    /// Filters, then computes columns.
    Calc(Calc),
    /// Adds the columns of the row's window.
    Window(Tumble),
    /// Aggregates by window and key; a result leaves when its window closes.
    WindowAggregate(WindowAggregate),
    /// Aggregates by key; a result leaves when it changes.
    Aggregate(Aggregate),
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
    /// Which of its stored columns are decoded, in order: only those that somebody uses.
    pub columns: Vec<usize>,
    /// The event time of a row, over the decoded columns.
    pub event_time: Option<Scalar>,
    /// Whether it ends by itself.
    pub bounded: bool,
}

/// A filter and a projection.
#[derive(Clone, Debug)]
pub struct Calc {
    /// Conditions, each looked at only for rows that passed those before it.
    pub filters: Vec<Scalar>,
    /// The columns.
    pub project: Vec<Scalar>,
}

/// One aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AggregateCall {
    /// Which.
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
pub struct WindowAggregate {
    /// The window.
    pub window: Tumble,
    /// How many of the input's first columns are keys.
    pub keys: usize,
    /// The aggregates.
    pub calls: Vec<AggregateCall>,
    /// Which columns of the window leave, in this order.
    pub emit: Vec<WindowColumn>,
}

/// An aggregation without a window. The input's columns are the keys, then arguments; the output's are keys, then aggregates.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// How many of the input's first columns are keys.
    pub keys: usize,
    /// The aggregates.
    pub calls: Vec<AggregateCall>,
    /// Whether the input takes rows back.
    pub retracting: bool,
    /// Emit once, at the end of the input.
    pub final_only: bool,
}

/// What a sink is sent.
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
    /// What it is sent.
    pub mode: SinkMode,
}
