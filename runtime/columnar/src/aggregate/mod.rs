//! Aggregation over Arrow columns: a vectorised combiner before the exchange, typed state after it, Arrow columns out.
//!
//! Reading order: [`call`] (what is computed), [`state`] (a group's value: merges, retracts, is stored), `lanes` (many groups' values as
//! columns), [`combine`] (rows to partial values), [`update`] (partial values to a changelog), [`finish`] (closed windows to columns).
//!
//! A partial value travels as [`Partial`](watershed_runtime::operator::combine::Partial), the same as in the Rust API, so the windowed
//! aggregation after the exchange *is* the engine's own.
//!
//! Cost a row: one hash, one look-up in a small table, one addition a lane; nothing is called through a pointer and nothing is allocated,
//! except for a group's first row.

pub mod call;
pub mod combine;
pub mod finish;
mod lanes;
pub mod state;
pub mod update;

pub use call::{Call, CallKind};
pub use combine::Combiner;
pub use finish::{Finish, WindowField};
pub use state::{Group, Grouping};
pub use update::{Changelog, EmitMode};

use arrow::array::Array;

use crate::key::{BatchKeys, KeyBytes};

/// The stored form of a row's key.
pub(crate) fn stored(keys: &BatchKeys, row: usize) -> KeyBytes {
    match keys {
        BatchKeys::None(_) => KeyBytes::new(&[]),
        BatchKeys::Text(a) if a.is_valid(row) => KeyBytes::new(a.value(row).as_bytes()),
        BatchKeys::Bytes(a) if a.is_valid(row) => KeyBytes::new(a.value(row)),
        BatchKeys::Int(a) if a.is_valid(row) => KeyBytes::new(&a.value(row).to_le_bytes()),
        BatchKeys::Text(_) | BatchKeys::Bytes(_) | BatchKeys::Int(_) => KeyBytes::NULL,
        BatchKeys::Many { rows, .. } => KeyBytes::new(rows.row(row).as_ref()),
    }
}

#[cfg(test)]
mod tests;
