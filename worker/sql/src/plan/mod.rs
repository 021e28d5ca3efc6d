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
pub(crate) mod node;

pub use crate::functions::AggregateKind;
pub use crate::scalar::Scalar;
pub use crate::window::{Tumble, WindowColumn};
pub use node::{
    AggregateCall, AggregateNode, CalcNode, Changes, Node, NodeKind, Plan, SinkMode, SinkNode, SourceNode, WindowAggregateNode,
};

pub(crate) use build::Builder;
pub(crate) use coerce::{InsertPlace, coerce, sink};
pub(crate) use lower::lower;
