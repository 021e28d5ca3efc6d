//! The plan to the engine's graph: one operator a step, aggregations as combiner, owner and finish.
//!
//! DataFusion evaluates scalar expressions, a batch at a time ([`crate::evaluate`]); everything with state is ours. Only an aggregation
//! crosses slots: partial values are exchanged, rows never are.

mod build;
mod calc;
mod shape;
mod stamp;

pub use build::build;
