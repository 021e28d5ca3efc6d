//! Syntax tree to DataFusion's logical plan: names are resolved, types inferred, expressions folded, filters and columns pushed down.
//!
//! DataFusion's plan lives only between here and `plan::lower`, which turns it into our own. The rules that assume a finite input are left
//! out of its optimiser (see [`analyse`]).

mod analyse;
mod errors;
mod provider;
mod tables;
mod tumble;

pub(crate) use analyse::{analyse, optimise};
pub(crate) use errors::{Clause, translate};
pub(crate) use provider::{Provider, StreamTable, parser_options};
pub(crate) use tables::{define_table, define_view};
pub use tumble::{Tumble, WindowColumn};
pub(crate) use tumble::{TumbleNode, trace_window};
