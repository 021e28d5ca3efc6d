//! Syntax tree to DataFusion's logical plan: names are resolved, types inferred, expressions folded, filters and columns pushed down.
//!
//! DataFusion's plan lives only between here and `plan::lower`, which turns it into our own. The rules that assume a finite input are left
//! out of its optimiser (see [`analyse`](mod@analyse)).

mod analyse;
mod errors;
mod interval;
mod provider;
mod stream_table;
mod tables;
mod tumble;

pub(crate) use analyse::{analyse, optimise};
pub(crate) use errors::{Clause, translate};
pub(crate) use provider::{Provider, parser_options};
pub(crate) use stream_table::StreamTable;
pub(crate) use tables::{define_table, define_view};
pub(crate) use tumble::{TumbleNode, trace_window};
