//! Sources, sinks and formats of Watershed.
//!
//! A connector is a [`Source`](watershed_runtime::env::Source) or a [`Sink`](watershed_runtime::env::Sink) and knows no rows; a
//! [`format`] knows rows and no files. A slot never blocks on either: bytes move on a few I/O threads.
//!
//! The part for Rust jobs is lean: files ([`fs`]), JSON ([`json`]), standard input and output ([`stdio`]), numbered rows
//! ([`generate`]). The feature `columnar` adds the tables of SQL: Arrow batches in and out of JSON, `datagen`, `nexmark`, and the
//! registry of `tables` from connector names to both. This crate refuses to know SQL: a table comes as names, an Arrow schema and
//! options.

#[cfg(feature = "columnar")]
mod columns;
pub mod format;
pub mod fs;
pub mod generate;
mod io;
pub mod json;
pub mod metrics;
#[cfg(feature = "columnar")]
mod nexmark;
pub mod options;
#[cfg(feature = "columnar")]
mod random;
pub mod stdio;
#[cfg(feature = "columnar")]
pub mod tables;
pub mod units;

pub use fs::{FileSink, FileSource};
pub use json::{JsonLines, JsonRows};
pub use metrics::SourceMetrics;

/// Feeds any bytes to the JSON decoders; panics with the line that breaks a law. For fuzzing.
///
/// # Panics
/// If the fast decoder accepts a line that `serde_json` rejects, or reads it differently.
pub fn fuzz_json_lines(data: &[u8]) {
    let outcome = json::fuzz::check(data);
    assert!(outcome.is_ok(), "{outcome:?}");
}
