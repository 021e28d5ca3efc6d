//! A worker writes its own state files: what its slots changed goes to the storage from here, and the coordinator hears only the name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use watershed_runtime::error::Result;
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::{EpochPart, Report};
use watershed_runtime::state::StateDesc;

use crate::host::write_delta;
use crate::pool::Worker;
use crate::store::Store;

/// The uploads of one run.
#[derive(Debug)]
pub(super) struct Uploads {
    /// Taken when the run is over.
    worker: Option<Worker>,
    store: Store,
    bits: u8,
    term: u64,
    descs: Arc<Vec<(u64, StateDesc)>>,
    /// Counts the bytes of all runs.
    written: Arc<AtomicU64>,
}

impl Uploads {
    pub(super) fn new(
        store: Store,
        bits: u8,
        term: u64,
        descs: Arc<Vec<(u64, StateDesc)>>,
        written: Arc<AtomicU64>,
    ) -> Result<Self> {
        Ok(Self { worker: Some(Worker::new("upload")?), store, bits, term, descs, written })
    }

    /// Passes a report on; one with entries, once they are durable.
    pub(super) fn pass(&self, slot: SlotId, report: Report, on: impl FnOnce(SlotId, Report) + Send + 'static) {
        let Report::Sealed(epoch, mut part) = report else { return on(slot, report) };
        part.runs.retain(|(_, run)| !run.is_empty());
        if part.runs.is_empty() {
            return on(slot, Report::Sealed(epoch, part));
        }
        let (store, bits, at, descs) = (self.store.clone(), self.bits, (self.term, epoch), self.descs.clone());
        let written = self.written.clone();
        let Some(worker) = &self.worker else { return };
        worker.run(move || {
            let EpochPart { runs, mut files, splits, watermarks, handles, changed } = *part;
            let said = match write_delta(&store, bits, &descs, at, &runs) {
                Ok(file) => {
                    written.fetch_add(file.bytes, Ordering::Relaxed);
                    files.push(file);
                    let part = EpochPart { runs: Vec::new(), files, splits, watermarks, handles, changed };
                    Report::Sealed(epoch, Box::new(part))
                }
                Err(e) => Report::Failed(e),
            };
            on(slot, said);
        });
    }
}

impl Drop for Uploads {
    /// A run that is over does not wait for a store that is away: what it still wrote nobody will name.
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.leave();
        }
    }
}
