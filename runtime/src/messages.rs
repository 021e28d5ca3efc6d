//! Messages between coordinator and slots: barriers, commands, reports. Types only; frames, slots and the coordinator lie above them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::env::{Position, SinkHandle, SplitId};
use crate::error::Error;
use crate::graph::{NodeId, NodeIndex};
use crate::key::SlotId;
use crate::protocol::cut::CutPlan;
use crate::protocol::manifest::StateFile;
use crate::state::EncodedRun;
use crate::time::Time;

/// A barrier: the end of `epoch`, and what changes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// The epoch that ends here.
    pub epoch: u64,
    /// The slots that take part from the next epoch on, if that changes.
    pub members: Option<Vec<SlotId>>,
    /// Splits that change their reader here.
    pub moves: Vec<SplitMove>,
    /// Sources that end here, wherever they are: nothing of them is read after it (I15).
    pub ends: Vec<NodeId>,
    /// Sources read nothing after it: the job is being stopped with a snapshot.
    pub last: bool,
}

/// A split that changes its reader at a barrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMove {
    /// The source node.
    pub node: NodeId,
    /// The split.
    pub split: SplitId,
    /// The slot that reads it up to the barrier.
    pub from: SlotId,
    /// The slot that reads it after the barrier.
    pub to: SlotId,
}

/// A split and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitState {
    /// The source node.
    pub node: NodeId,
    /// The split.
    pub split: SplitId,
    /// The position at which to read on.
    #[serde(with = "crate::error::hex")]
    pub position: Position,
    /// The split's own watermark.
    pub watermark: Time,
    /// Nothing is left in it.
    pub finished: bool,
}

/// A command of the coordinator to a slot.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Read these splits (node, split, position, watermark). Adds to those it reads already.
    Splits(NodeIndex, Vec<(SplitId, Position, Time)>),
    /// Every split there will ever be has been read to its end, by somebody.
    EndOfSource(NodeIndex),
    /// Put this barrier into the stream.
    Barrier(Arc<Barrier>),
    /// Manifest of this epoch exists; it carries all cuts up to this version.
    Published {
        /// The epoch.
        epoch: u64,
        /// The version of the assignment in that manifest.
        version: u64,
    },
    /// Begin to send the groups' entries to the target.
    Warm(Arc<CutPlan>),
    /// Drop a warm-up that is not needed any more.
    Forget(u64),
    /// Switch routing and fence.
    Cut(Arc<CutPlan>),
}

/// A slot's part of an epoch, and of its manifest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EpochPart {
    /// Changed entries by table id.
    pub runs: Vec<(u64, EncodedRun)>,
    /// State files that hold such entries already: a process that is not the coordinator's writes its own.
    pub files: Vec<StateFile>,
    /// The splits it read in the epoch, moved ones included.
    pub splits: Vec<SplitState>,
    /// The watermark of each stage at the barrier.
    pub watermarks: Vec<(NodeId, Time)>,
    /// The output that the sinks staged.
    pub handles: Vec<SinkHandle>,
    /// True if a row went through a source or sink in the epoch; if not, nothing need be published.
    pub changed: bool,
}

/// A report of a slot to the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// All its nodes have aligned: the exclusive window is over for this slot.
    Aligned(u64),
    /// Splits given up at a barrier, for their next reader.
    Handed(u64, Vec<SplitState>),
    /// All of the epoch is encoded and its sinks' output is durable.
    Sealed(u64, Box<EpochPart>),
    /// A split has ended.
    SplitFinished(NodeId, SplitId),
    /// Everything before the cut has been sent: cutting now would be short.
    Warmed(u64),
    /// The target of the cut is active.
    Active(u64),
    /// Every sink has seen the end of all input.
    Ended,
    /// A source met a row that it cannot read. It reads nothing more; everything before the row is fine.
    Poisoned(Error),
    /// The slot cannot go on. It does nothing more.
    Failed(Error),
}
