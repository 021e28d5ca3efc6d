//! Inputs and effects of the coordinator: two closed enums.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::env::Discovered;
use crate::error::Error;
use crate::graph::NodeIndex;
use crate::key::{Assignment, SlotId};
use crate::messages::{Barrier, Command, Report};
use crate::protocol::log::{LogEffect, Put};
use crate::protocol::manifest::{HandleEntry, Manifest, StateFile};

/// An input of the coordinator: something happened.
#[derive(Debug)]
pub enum Input {
    /// Time passed. Epochs are paced by this.
    Tick,
    /// A slot spoke.
    Slot(SlotId, Report),
    /// The answer to [`LogEffect::Create`].
    LogPut(Put),
    /// The answer to [`LogEffect::Get`].
    LogGot(Option<Vec<u8>>),
    /// Splits that a source's discovery found.
    Discovered(NodeIndex, Discovered),
    /// The answer to [`Effect::Commit`].
    Committed,
    /// The newest wish: these slots, each ready to be made.
    Want(BTreeSet<SlotId>),
    /// Stop with a snapshot.
    Stop,
    /// Read nothing more, let everything that is open come out, and finish.
    Drain,
    /// A merge of state files is durable.
    Merged(StateFile, Vec<String>),
}

impl Input {
    /// The wish for the first `n` slots.
    #[must_use]
    pub fn want(n: u16) -> Self {
        Self::Want((0..n).map(SlotId).collect())
    }
}

/// An effect: something is to be done, in the order given.
#[derive(Debug)]
#[must_use]
pub enum Effect {
    /// Tell a slot.
    Send(SlotId, Command),
    /// Make a slot that takes part from `epoch` on, before anything is sent to anybody.
    Start(NewSlot),
    /// A slot has left: its thread may end.
    Release(SlotId),
    /// The log wants something of the store.
    Log(LogEffect),
    /// Commit these handles in this order; answer [`Input::Committed`].
    Commit(Vec<HandleEntry>),
    /// A manifest is in the log: merging and collection may look at it.
    Published(Box<Manifest>),
    /// The last epoch is published and committed.
    Done,
    /// The job cannot go on.
    Failed(Error),
}

/// A slot that joins a running job.
#[derive(Clone, Debug)]
pub struct NewSlot {
    /// The slot's number.
    pub id: SlotId,
    /// The first epoch it takes part in.
    pub epoch: u64,
    /// The slots that take part in that epoch.
    pub members: Vec<SlotId>,
    /// The table as the others' routers use it now.
    pub table: Arc<Assignment>,
    /// The barrier at which it joins: splits that move to it are announced there.
    pub joins_at: Arc<Barrier>,
}
