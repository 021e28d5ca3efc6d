//! Files: as a source of lines and as an exactly-once sink.
//!
//! ```text
//! paths ──► splits (path@offset) ──► cutter (whole lines) ──► chunks (I/O thread → slot) ──► reader ──► rows
//!                                          rows ──► writer (segments) ──► staged files ──► commit (rename)
//! ```
//!
//! Reading order: [`source`] and [`cutter`] (the law of splits), then [`sink`], [`staged`] and [`commit`] (the law of commits).

pub(crate) mod chunks;
mod commit;
pub(crate) mod cutter;
mod error;
mod malformed;
pub(crate) mod paths;
pub(crate) mod reader;
mod rename;
pub mod sink;
pub mod source;
mod staged;
mod writer;

#[cfg(test)]
mod tests;

pub use sink::FileSink;
pub use source::FileSource;
