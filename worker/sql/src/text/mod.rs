//! Text to statements: a dialect, a splitter, and our own parser for the statements that are not queries.
//!
//! Queries and expressions are parsed by sqlparser; `CREATE TABLE` with its watermarks, computed columns and dotted options, statement
//! sets and `SET` are parsed here over sqlparser's public primitives, because no dialect of it knows Flink's forms. No fork.

mod ddl;
mod dialect;
mod prepare;
mod refuse;
mod split;
mod statement;
pub(crate) mod types;

pub(crate) use ddl::{ColumnKindText, TableText, WatermarkText};
pub(crate) use dialect::Flink;
pub(crate) use statement::{InsertText, Statement, ViewText, parse};
