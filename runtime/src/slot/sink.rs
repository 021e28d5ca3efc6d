//! A sink node of one slot: rows go to its writer under the slot's present segment; at a barrier the writer seals.

use std::collections::VecDeque;
use std::task::Waker;

use crate::container::Batch;
use crate::env::{SINK_BUDGET, Segment, SinkHandle, SinkWriter};
use crate::error::Result;
use crate::graph::NodeId;

/// A sink's writer and the epochs it has sealed.
#[derive(Debug)]
pub(super) struct SinkState {
    pub(super) id: NodeId,
    writer: Box<dyn SinkWriter>,
    sealing: VecDeque<u64>,
}

impl SinkState {
    pub(super) fn new(id: NodeId, writer: Box<dyn SinkWriter>) -> Self {
        Self { id, writer, sealing: VecDeque::new() }
    }

    /// True if it takes more rows now (I13).
    pub(super) fn open(&self, waker: &Waker) -> bool {
        self.writer.backlog(waker) < SINK_BUDGET
    }

    pub(super) fn write(&mut self, batch: Batch, segment: Segment) -> Result<()> {
        self.writer.write(batch, segment)
    }

    pub(super) fn seal(&mut self, epoch: u64) -> Result<()> {
        self.sealing.push_back(epoch);
        self.writer.seal(epoch)
    }

    /// The handles of `epoch`, once all of it is durable.
    pub(super) fn sealed(&mut self, epoch: u64, waker: &Waker) -> Result<Option<Vec<SinkHandle>>> {
        if self.sealing.front() != Some(&epoch) {
            return Ok(Some(Vec::new()));
        }
        let Some(parts) = self.writer.sealed(epoch, waker)? else { return Ok(None) };
        self.sealing.pop_front();
        Ok(Some(parts.into_iter().map(|(version, data)| SinkHandle { sink: self.id.0, version, data }).collect()))
    }
}
