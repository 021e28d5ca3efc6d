//! The Arrow container of Watershed: record batches with an operation, an event time and a key hash beside each row.
//!
//! [`Columns`] is what flows between the operators of SQL and what its connectors read and write. Hash, time and operation are plain
//! vectors beside the batch and not columns of it: they are looked at row by row on the way, long before anybody needs Arrow's form of
//! them, and most batches have no operations at all (all rows are new).
//!
//! Appending is lazy: a container keeps the batches it was given and joins them when somebody asks for *the* batch. Splitting to
//! destinations is one `take` a destination; where all rows go to one place, nothing is copied.
//!
//! [`aggregate`] computes over them: hashing keys ([`key`]), combining rows in columns, keeping groups, finishing them to columns again.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums matched with a wildcard are Arrow's types, most of which no column here has"
)]

pub mod aggregate;
mod columns;
pub mod key;
mod op;

pub use columns::{Columns, Parts};
pub use key::{KeyBytes, KeyLayout};
pub use op::Op;
