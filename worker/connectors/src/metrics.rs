//! Counters of a source.
//!
//! Relaxed atomics, added to once a read and not once a row: no other memory is ordered by them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one source, shared by its splits.
#[derive(Debug, Default)]
pub struct SourceMetrics {
    rows: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
}

impl SourceMetrics {
    /// Rows handed out.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes they were decoded from.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Malformed rows that were skipped because the table says so.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }
}
