//! A queue of events by virtual time: the earliest first, and of those at one time the one that was pushed first.

use watershed_cluster::{Envelope, IoReply, Request, ToCoordinator, ToWorker, WorkerEvent};
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::Event;

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum What {
    /// A slot hears another.
    Event(SlotId, Event),
    /// A slot runs.
    Run(SlotId),
    /// The worker hears its manager.
    Down(Envelope, Box<ToWorker>),
    /// The manager hears its worker.
    Up(Envelope, Box<ToCoordinator>),
    /// The worker hears a slot, or its store.
    Worker(Box<WorkerEvent>),
    /// The manager hears its store, its sinks or its sources.
    Io(u64, Box<IoReply>),
    /// A user asks.
    Request(Request),
    /// Time passed.
    Tick,
}

pub(super) struct Due(pub(super) i64, pub(super) u64, pub(super) What);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}
