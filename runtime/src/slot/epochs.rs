//! Epochs of a slot: the one being filled, the barrier on its way through the nodes, and the ones being encoded and made durable.

use std::collections::VecDeque;
use std::task::Waker;

use crate::env::Segment;
use crate::error::Result;
use crate::graph::NodeId;
use crate::messages::EpochPart;
use crate::protocol::gc::Age;
use crate::state::EncodedRun;
use crate::time::Time;

use super::node::Body;
use super::nodes::Nodes;

/// The epochs of one slot that are not handed over.
#[derive(Debug)]
pub(super) struct Epochs {
    /// The coordinator's term.
    pub(super) term: u64,
    /// The manifest that the slot began from: (term of its injection, epoch).
    pub(super) base: Option<Age>,
    /// The epoch being filled.
    current: u64,
    /// The version of the output segments that the slot writes now.
    segment: u64,
    aligning: Option<Aligning>,
    sealing: VecDeque<Sealing>,
}

/// A barrier on its way through the slot's nodes.
#[derive(Debug)]
struct Aligning {
    epoch: u64,
    nodes_left: usize,
    part: EpochPart,
}

/// An epoch that is being encoded and made durable.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) epoch: u64,
    pub(super) encoded: bool,
    part: EpochPart,
}

impl Epochs {
    pub(super) fn new(term: u64, current: u64, segment: u64) -> Self {
        Self { term, base: None, current, segment, aligning: None, sealing: VecDeque::new() }
    }

    /// The epoch being filled.
    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// The version of the output segments that the slot writes now.
    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    /// The output segment for rows of an epoch.
    pub(super) fn segment_of(&self, epoch: u64, slot: u16) -> Segment {
        Segment { epoch, version: self.segment, slot }
    }

    /// Groups came in whose former owner wrote this segment: the slot's own lies above it, so that sinks commit in order (I3).
    pub(super) fn raise_segment(&mut self, above: u64) {
        self.segment = self.segment.max(above) + 1;
    }

    /// A barrier begins its way: `part` is what its sources have to say.
    pub(super) fn begin(&mut self, epoch: u64, nodes: usize, part: EpochPart) {
        self.aligning = Some(Aligning { epoch, nodes_left: nodes, part });
    }

    /// A node has aligned at this watermark: whether it was the last one. `None` if the barrier has not begun here.
    pub(super) fn node_aligned(&mut self, epoch: u64, node: NodeId, watermark: Time) -> Option<bool> {
        let aligning = self.aligning.as_mut().filter(|a| a.epoch == epoch)?;
        aligning.part.watermarks.push((node, watermark));
        aligning.nodes_left -= 1;
        Some(aligning.nodes_left == 0)
    }

    /// All nodes have aligned: the next epoch is filled, this one is to be encoded. Its number.
    pub(super) fn aligned(&mut self) -> Option<u64> {
        let Aligning { epoch, part, .. } = self.aligning.take()?;
        self.current = epoch + 1;
        self.sealing.push_back(Sealing { epoch, encoded: false, part });
        Some(epoch)
    }

    /// The oldest epoch that is not handed over.
    pub(super) fn oldest(&mut self) -> Option<&mut Sealing> {
        self.sealing.front_mut()
    }

    /// The oldest epoch is encoded and durable: it is handed over.
    pub(super) fn hand_over(&mut self) -> Option<(u64, EpochPart)> {
        let Sealing { epoch, mut part, .. } = self.sealing.pop_front()?;
        part.changed |= !part.handles.is_empty() || part.runs.iter().any(|(_, r)| !r.is_empty());
        Some((epoch, part))
    }

    /// True if some epoch is not handed over.
    pub(super) fn seals(&self) -> bool {
        !self.sealing.is_empty()
    }
}

impl Sealing {
    /// One slice of every table's dirty entries; true when all are done.
    pub(super) fn encode_slice(&mut self, nodes: &mut Nodes, budget: usize) -> Result<bool> {
        let (mut done, epoch, runs) = (true, self.epoch, &mut self.part.runs);
        nodes.each_table(|id, t| {
            if !done {
                return Ok(());
            }
            let at = match runs.iter().position(|(r, _)| *r == id) {
                Some(at) => at,
                None => {
                    runs.push((id, EncodedRun::default()));
                    runs.len() - 1
                }
            };
            if let Some((_, run)) = runs.get_mut(at) {
                done = t.encode_dirty(epoch, budget, run)?;
            }
            Ok(())
        })?;
        Ok(done)
    }

    /// Takes the handles of sinks whose output of the epoch is durable; true if that of all is.
    pub(super) fn take_handles(&mut self, nodes: &mut Nodes, waker: &Waker) -> Result<bool> {
        let mut durable = true;
        for node in nodes.iter_mut() {
            if let Body::Sink(sink) = &mut node.body {
                match sink.sealed(self.epoch, waker)? {
                    Some(handles) => self.part.handles.extend(handles),
                    None => durable = false,
                }
            }
        }
        Ok(durable)
    }
}
