//! Functions: DataFusion's, and Flink's under Flink's names where the meaning differs.
//!
//! A function whose value depends on the clock or on chance is not here (see `text::refuse`).

pub(crate) mod aggregate;
mod helper;
mod scalars;
mod strings;
mod times;

pub use aggregate::AggregateKind;
pub(crate) use scalars::{Syntax, scalars};
pub(crate) use times::timestamp_text;
