//! SQL text to the dataflow of Watershed.
//!
//! Reading order: [`compile`] (a text to its [`plan::Plan`]), [`plan`] (our typed dataflow: nodes with stable ids, which changes leave
//! them), [`catalog`] (tables, and what connectors must supply), [`connectors`] (the real ones), [`physical`] (the plan to the engine's
//! graph). The syntax is Flink's; DataFusion resolves names, infers types and evaluates scalar expressions. Every stateful operator is
//! ours, and no type of DataFusion is public or stored.
//!
//! Floors, each of which imports only those below it: `compile`, `physical`; `plan`; `planner`; `evaluate`, `functions`;
//! `scalar`, `catalog`; `text`, `window`; `position`.
//!
//! SQL that is not supported is refused when planned: with line and column, the reason, and what to write instead. Never a wrong result,
//! never a panic.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums matched with a wildcard are Arrow's, sqlparser's and DataFusion's: what is not named is refused or left as it is"
)]

pub mod catalog;
mod compile;
pub mod connectors;
mod evaluate;
mod functions;
mod fuzz;
pub mod physical;
pub mod plan;
mod planner;
mod position;
mod scalar;
#[cfg(test)]
mod tests;
mod text;
mod window;

pub use catalog::{Accepts, ColumnDef, Connectors, SinkTraits, SourceTraits, TableDef, WatermarkDef};
pub use compile::{Compiled, compile};
pub use connectors::StandardConnectors;
pub use physical::build;
pub use position::Position;

/// Plans any text; panics with what breaks the law of refusals. For fuzzing.
#[allow(clippy::panic, reason = "a finding is a panic")]
pub fn fuzz_compile(text: &str) {
    if let Err(broken) = fuzz::check(text) {
        panic!("{broken}");
    }
}
