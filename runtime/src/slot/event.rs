//! Events of a slot and what it hands out. With [`crate::messages`] nothing else crosses a slot's border.

use std::sync::Arc;

use crate::frame::Frame;
use crate::key::SlotId;
use crate::messages::{Command, Report};
use crate::protocol::cut::CutPlan;
use crate::state::ShipFinal;
use crate::time::Time;

/// An event that a slot is told.
#[derive(Debug)]
pub enum Event {
    /// An item on one of its channels.
    Frame(Frame),
    /// Slot `from` has taken `rows` rows of edge `edge`: so many more may be sent to it.
    Credit {
        /// The edge.
        edge: u32,
        /// The receiver that gives them.
        from: SlotId,
        /// The number of rows.
        rows: u32,
        /// The most rows that may be under way from now on (see [`super::Slot`], pace).
        window: u32,
    },
    /// Encoded entries of a moving batch, source to target, in order: warm-up items, then the one `Final`.
    Bulk(Bulk),
    /// The target has taken one warm-up item of this batch in: another may be sent.
    WarmupAck(u64),
    /// From the coordinator.
    Command(Command),
}

/// Items of the state FIFO of one cut.
#[derive(Debug)]
pub enum Bulk {
    /// Entries as they were at some time; later items win.
    Warm {
        /// The cut.
        plan: Arc<CutPlan>,
        /// (table id, encoded entries).
        tables: Vec<(u64, Vec<u8>)>,
    },
    /// All that was missing, sent in one step with the freeze.
    Final {
        /// The cut.
        plan: Arc<CutPlan>,
        /// The watermark of the batch at each stage (node place): the minimum of the fenced channels.
        watermarks: Vec<(u32, Time)>,
        /// (table id, final part: entries, counts, digest and the names of dirty entries).
        tables: Vec<(u64, ShipFinal)>,
        /// The source's output segment: the target's is higher, so that sinks commit in order (I3).
        segment: u64,
        /// The version of the source's table: rows of the batch went where it says, and the target's may not go by an older one (I3).
        table: u64,
    },
}

/// Takes what a slot sends: implemented by threads with queues, and by the simulator.
pub trait Outbox {
    /// To another slot.
    fn send(&mut self, to: SlotId, event: Event);
    /// To the coordinator.
    fn report(&mut self, report: Report);
}

/// The status with which a run of a slot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is more to do at once.
    Busy,
    /// Nothing to do until an event, a wake-up, or this time (micros), if any.
    Idle(Option<i64>),
}
