//! JSON lines: one object a line, both ways.
//!
//! `serde_json` is the judge: what it accepts is a row, what it rejects is malformed, with its reason. It is not what runs in the
//! common case: [`scan`] is a cursor that finds tokens eight bytes at a time in text already known to be UTF-8, [`de`] feeds
//! them to serde, and a line on which they give up goes to `serde_json` whole. So the fast path may refuse anything, and must
//! never accept what `serde_json` rejects nor read it differently (a law test and a fuzz target hold that).

pub(crate) mod de;
pub(crate) mod fuzz;
mod rows;
pub(crate) mod scan;
mod write;

#[cfg(feature = "columnar")]
pub(crate) mod columns;

#[cfg(test)]
mod tests;

pub use rows::JsonLines;
pub use write::JsonRows;
