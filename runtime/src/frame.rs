//! Frames on channels: nothing else travels between slots.
//!
//! A channel is (exchange edge, sending slot, receiving slot). Its items arrive in the order in which they were sent, and control
//! items never overtake data (they bypass credits, not the order): barrier, fence and watermark cut the stream at one exact place.

use std::sync::Arc;

use crate::container::Batch;
use crate::key::SlotId;
use crate::messages::Barrier;
use crate::protocol::cut::{CutPlan, Tag};
use crate::time::Time;

/// One item on one channel.
#[derive(Debug)]
pub struct Frame {
    /// The exchange edge.
    pub edge: u32,
    /// The sender.
    pub from: SlotId,
    /// The item.
    pub item: Item,
}

/// An item that an edge carries, exchanged or local.
#[derive(Debug)]
pub enum Item {
    /// Rows; `tag` names the cut after which a new owner made them.
    Data(Batch, Option<Tag>),
    /// No later row at or below this time.
    Watermark(Time),
    /// Nothing is to be expected for now: leave this channel out of the minimum until it speaks again.
    Idle,
    /// The end of an epoch.
    Barrier(Arc<Barrier>),
    /// From here on, rows of the plan's groups go to the target.
    Fence(Arc<CutPlan>),
    /// The plan's source has sent all it will ever send for these groups.
    Drained(Arc<CutPlan>),
}
