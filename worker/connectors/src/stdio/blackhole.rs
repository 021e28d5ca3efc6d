//! The sink that drops rows: for measuring everything before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use watershed_runtime::container::Batch;
use watershed_runtime::env::{Segment, Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::Error;

/// A sink that counts rows and drops them.
#[derive(Clone, Debug, Default)]
pub struct Blackhole {
    rows: Arc<AtomicU64>,
}

impl Blackhole {
    /// The sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of rows that have come so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

impl Sink for Blackhole {
    fn open(&self, _slot: u16, _term: u64) -> Result<Box<dyn SinkWriter>, Error> {
        Ok(Box::new(CountingWriter(Arc::clone(&self.rows))))
    }

    fn commit(&self, _handles: &[SinkHandle]) -> Result<(), Error> {
        Ok(())
    }

    fn immediate(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct CountingWriter(Arc<AtomicU64>);

impl SinkWriter for CountingWriter {
    fn write(&mut self, batch: Batch, _segment: Segment) -> Result<(), Error> {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn seal(&mut self, _epoch: u64) -> Result<(), Error> {
        Ok(())
    }

    fn sealed(&mut self, _epoch: u64, _waker: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>, Error> {
        Ok(Some(Vec::new()))
    }

    fn backlog(&self, _waker: &Waker) -> usize {
        0
    }
}
