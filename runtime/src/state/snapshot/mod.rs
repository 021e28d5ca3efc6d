//! The files state is stored in: one format for deltas and for what merging makes of them.
//!
//! Pure functions over bytes. A file is immutable and complete or it is damaged: blocks, index and trailer carry checksums, and
//! any input at all gives an answer or an error with an offset, never a panic.
//!
//! Reading order: [`format`](self::format) (the layout), `write`, `read`, `merge`, [`policy`] (when to merge what).

pub mod format;
mod merge;
pub mod policy;
mod read;
mod write;

pub use format::{Block, BlockMeta, FileInfo, Index, Stored};
pub use merge::merge;
pub use policy::{FileMeta, MAX_DELTAS, plan_merge};
pub use read::{Fetch, Tail, each_item, fuzz_decode};
pub use write::{BLOCK, FileWriter, write_file};

#[cfg(test)]
mod tests;
