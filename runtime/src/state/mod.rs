//! Keyed state: typed tables, their epochs, their moves, and the files they are stored in.
//!
//! Reading order: [`key`] (what a key is), [`table`] (the calls of a hot operator), `entries`, `epochs` and `dirty` (dirty lists and undo
//! images),
//! `encode` (a delta while the next epoch already runs), `moves`, `moving` and `absorbing` (a move of key groups and its two ends),
//! [`erased`] (all of it without types, for slots), [`snapshot`] (files).
//!
//! Nothing here does I/O, reads a clock or knows a protocol: a table answers for *one* slot's share of *one* operator state, and
//! gives bytes to whoever asks.

mod absorbing;
pub mod codec;
pub mod desc;
mod dirty;
mod encode;
mod entries;
mod epochs;
pub mod erased;
mod groups;
mod index;
pub mod key;
mod moves;
mod moving;
mod settle;
mod slab;
pub mod snapshot;
pub mod table;
mod ttl;

pub use codec::EncodedRun;
pub use desc::StateDesc;
pub use erased::ErasedTable;
pub use key::{Plain, StateKey, StateValue, Windowed};
pub use moves::ShipFinal;
pub use table::{Slot, Table};

#[cfg(test)]
mod tests;
