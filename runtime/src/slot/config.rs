//! The beginning of a slot: one constructor for each way in which a slot comes to be.

use std::sync::Arc;
use std::task::Waker;

use super::Tuning;
use crate::coordinator::NewSlot;
use crate::graph::Graph;
use crate::key::{Assignment, SlotId};
use crate::messages::Barrier;
use crate::protocol::manifest::Manifest;

/// The parts from which a slot is made.
#[derive(Debug)]
pub struct SlotConfig {
    /// The slot's number.
    pub id: SlotId,
    /// The term of its run: part of every staged name.
    pub term: u64,
    /// The job.
    pub graph: Arc<Graph>,
    /// The owner of each key group.
    pub assignment: Assignment,
    /// All slots that take part, this one included.
    pub members: Vec<SlotId>,
    /// The epoch that begins now.
    pub epoch: u64,
    /// Rows that may be under way on each channel.
    pub window: u32,
    /// Higher than every output segment in the manifest.
    pub segment: u64,
    /// The barrier at which it joins a running job: splits that move to it are announced there, and hold its watermark.
    pub joins_at: Option<Arc<Barrier>>,
    /// Wakes the thread that runs this slot.
    pub waker: Waker,
    /// Sizes of its pieces of work.
    pub tuning: Tuning,
}

/// The surroundings that a slot has from its process.
#[derive(Clone, Debug)]
pub struct SlotSeat {
    /// The job.
    pub graph: Arc<Graph>,
    /// The term of the run.
    pub term: u64,
    /// Rows that may be under way on each channel, until the slot knows its own speed.
    pub window: u32,
    /// Sizes of its pieces of work.
    pub tuning: Tuning,
    /// Wakes the thread that runs the slot.
    pub waker: Waker,
}

impl SlotConfig {
    /// A slot of a run that begins from a manifest. Its segments lie above all that the manifest names and above the table's version (I3).
    #[must_use]
    pub fn restored(seat: SlotSeat, id: SlotId, manifest: &Manifest, table: &Assignment) -> Self {
        let written = manifest.handles.iter().map(|h| h.handle.version).max().unwrap_or(0);
        let SlotSeat { graph, term, window, tuning, waker } = seat;
        let (assignment, members) = (table.clone(), manifest.members.clone());
        let (epoch, segment) = (manifest.epoch + 1, written.max(table.version) + 1);
        Self { id, term, graph, assignment, members, epoch, window, segment, joins_at: None, waker, tuning }
    }

    /// A slot that joins a running job. It owns nothing: its segments rise with what it is given (I3).
    #[must_use]
    pub fn joining(seat: SlotSeat, new: NewSlot) -> Self {
        let NewSlot { id, epoch, members, table, joins_at } = new;
        let SlotSeat { graph, term, window, tuning, waker } = seat;
        let (assignment, segment, joins_at) = ((*table).clone(), 1, Some(joins_at));
        Self { id, term, graph, assignment, members, epoch, window, segment, joins_at, waker, tuning }
    }
}
