//! The executor of a task manager's slots: threads that run them, the state they begin with, and the state files that they write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use watershed_cluster::task_manager::WorkerEvent;
use watershed_cluster::{Begin, Member};
use watershed_runtime::coordinator::NewSlot;
use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::manifest::{Manifest, StateFile};
use watershed_runtime::protocol::state_file;
use watershed_runtime::slot::{Command, Event, RetainedState, Slot, SlotConfig, SlotSeat, Tuning};
use watershed_runtime::state::{EncodedRun, StateDesc};

use crate::clock::unique;
use crate::pool::Worker;
use crate::slots::{Directory, Reports, SlotMessage, SlotThread};
use crate::store::Store;
use crate::stored::each_stored;

/// Rows that may be under way on a channel, until a slot knows how fast it is.
pub(crate) const WINDOW: u32 = 16384;

/// Takes what happens to a worker.
pub(crate) type Events = Arc<dyn Fn(WorkerEvent) + Send + Sync>;

/// The way to the slots of other workers.
pub(crate) trait Ways {
    /// A run begins with these workers: nothing of the run before comes in any more.
    fn enter(&mut self, run: u64, members: &[Member], directory: &Directory);
}

/// The storage of a run, and its window.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) window: u32,
}

/// State files that are written for a run. Dropping it waits for nothing: no manifest names what a run that is over still writes.
#[derive(Debug)]
struct Uploads {
    pool: Option<Worker>,
    store: Store,
    bits: u8,
}

impl Drop for Uploads {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.leave();
        }
    }
}

/// The slots of a worker.
pub(crate) struct WorkerHost {
    graph: Arc<Graph>,
    /// Every keyed state of the job, by table id: goes into each state file.
    descs: Arc<Vec<(u64, StateDesc)>>,
    directory: Directory,
    slots: BTreeMap<SlotId, SlotThread>,
    events: Events,
    uploads: Option<Uploads>,
    /// Bytes of state files written.
    written: Arc<AtomicU64>,
    window: u32,
}

impl WorkerHost {
    /// No run has begun. `written` counts bytes of state files.
    pub(crate) fn new(graph: Arc<Graph>, directory: Directory, events: Events, written: Arc<AtomicU64>) -> Result<Self> {
        let descs = Arc::new(state_file::descriptors(&graph.shape()?.nodes));
        Ok(Self { graph, descs, directory, slots: BTreeMap::new(), events, uploads: None, written, window: WINDOW })
    }

    /// A run begins: the slots of the one before end, keeping what they have, and these are made as the manifest has them. Routes exist
    /// before slots that may use them.
    pub(crate) fn begin(&mut self, begin: Begin, mine: &[SlotId], place: Place, ways: &mut impl Ways) -> Result<()> {
        let Begin { run, manifest, table, members } = begin;
        let slots = std::mem::take(&mut self.slots);
        let mut kept: BTreeMap<SlotId, RetainedState> =
            slots.into_iter().filter_map(|(id, slot)| Some((id, slot.end()?))).collect();
        self.directory.clear();
        ways.enter(run.term, &members, &self.directory);
        let Place { store, window } = place;
        let (pool, bits) = (Some(Worker::new("upload")?), table.space().bits);
        self.uploads = Some(Uploads { pool, store: store.clone(), bits });
        self.window = window;
        let restore = Arc::new(Restore { store, manifest, table });
        for id in mine {
            let (restore, kept, id) = (restore.clone(), kept.remove(id), *id);
            self.start_slot(run.term, id, move |seat| restore.slot(seat, id, kept))?;
        }
        Ok(())
    }

    /// Makes a slot that joins the run.
    pub(crate) fn start(&mut self, run: u64, new: NewSlot) -> Result<()> {
        self.start_slot(run, new.id, move |seat| {
            let mut slot = Slot::new(SlotConfig::joining(seat, new))?;
            slot.start(&[])?;
            Ok(slot)
        })
    }

    fn start_slot(&mut self, run: u64, id: SlotId, make: impl FnOnce(SlotSeat) -> Result<Slot> + Send + 'static) -> Result<()> {
        // A slot of this number may have left a moment ago.
        self.release(id);
        let (events, graph, window) = (self.events.clone(), self.graph.clone(), self.window);
        let reports: Reports = Arc::new(move |slot, report| events(WorkerEvent::Report(run, slot, report)));
        let make = move |waker: Waker| make(SlotSeat { graph, term: run, window, tuning: Tuning::default(), waker });
        self.slots.insert(id, SlotThread::start(id, &self.directory, reports, make)?);
        Ok(())
    }

    /// Tells a slot something.
    pub(crate) fn command(&self, slot: SlotId, command: Command) {
        self.directory.send(slot, SlotMessage::Event(Event::Command(command)));
    }

    /// Ends a slot.
    pub(crate) fn release(&mut self, slot: SlotId) {
        drop(self.slots.remove(&slot));
    }

    /// Ends all slots.
    #[cfg(feature = "grpc")]
    pub(crate) fn end(&mut self) {
        self.slots.clear();
    }

    /// Writes entries as one state file, and answers.
    pub(crate) fn upload(&self, run: u64, slot: SlotId, epoch: u64, runs: Vec<(u64, EncodedRun)>) {
        let Some(Uploads { pool: Some(pool), store, bits }) = &self.uploads else { return };
        let (store, bits, descs) = (store.clone(), *bits, self.descs.clone());
        let (events, written) = (self.events.clone(), self.written.clone());
        pool.run(move || {
            let file = write_delta(&store, bits, &descs, (run, epoch), &runs);
            written.fetch_add(file.as_ref().map_or(0, |f| f.bytes), Ordering::Relaxed);
            events(WorkerEvent::Uploaded { run, slot, epoch, file });
        });
    }
}

/// Writes the entries of an epoch as one state file.
fn write_delta(
    store: &Store,
    bits: u8,
    descs: &[(u64, StateDesc)],
    age: (u64, u64),
    runs: &[(u64, EncodedRun)],
) -> Result<StateFile> {
    let (file, bytes) = state_file::delta(bits, descs, age, &unique(), runs)?;
    store.create_own(&file.name, bytes)?;
    Ok(file)
}

/// The state of a manifest, for slots that begin with it.
#[derive(Debug)]
struct Restore {
    store: Store,
    manifest: Manifest,
    table: Assignment,
}

impl Restore {
    /// A slot with the entries of its groups: those that it had in the run before go back in memory, the others are read.
    fn slot(&self, seat: SlotSeat, id: SlotId, kept: Option<RetainedState>) -> Result<Slot> {
        let manifest = &self.manifest;
        let mut slot = Slot::new(SlotConfig::restored(seat, id, manifest, &self.table))?;
        let mut groups = self.table.groups_of(id);
        if let Some(kept) = kept {
            groups.subtract(&slot.inherit(kept, manifest));
        }
        let mut files: Vec<_> = manifest.files.iter().collect();
        files.sort_by_key(|f| (f.to_epoch, f.from_epoch));
        for file in files.into_iter().filter(|_| !groups.is_empty()) {
            each_stored(&self.store, file, &groups, |stored| slot.restore(stored.table, &stored.item))?;
        }
        slot.start_from(manifest)?;
        Ok(slot)
    }
}
