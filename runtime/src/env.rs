//! The seams: what the engine asks of the world around it.
//!
//! Nothing here blocks. A source that has no bytes yet says [`Read::Pending`] and wakes its slot later; a sink hands its bytes
//! to somebody else's thread and answers with a handle when they are durable. The same traits are implemented by the
//! real shell (threads, files, object storage) and by the simulator, so that the engine itself cannot tell the difference.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::Waker;

use serde::{Deserialize, Serialize};

use crate::container::Batch;
use crate::error::Error;
use crate::time::Time;

/// Names one split of a source: a byte range of a file, a partition, a range of a generator. Stable for ever: it is a key in
/// manifests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SplitId(pub Arc<str>);

impl From<&str> for SplitId {
    fn from(s: &str) -> Self {
        Self(s.into())
    }
}

/// The position from which a split is read on: opaque bytes of the source, empty at the start.
pub type Position = Vec<u8>;

/// The result of one read.
#[derive(Debug)]
pub enum Read {
    /// Rows; there may be more at once.
    Batch(Batch),
    /// Nothing yet: the waker will be called.
    Pending,
    /// The split has ended for good.
    Finished,
}

/// The splits that a discovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Splits in the order in which they should be opened. Those already known are ignored.
    pub splits: Vec<SplitId>,
    /// No other split will ever appear: the source is bounded and this is all of it.
    pub complete: bool,
}

/// A table or program input: finds splits and opens them. Shared by all slots.
pub trait Source: Send + Sync + Debug {
    /// Looks for splits. Called off the hot thread, at the start and then every [`Source::discovery_interval_millis`]; may block.
    fn discover(&self) -> Result<Discovered, Error>;
    /// The interval between discoveries; `None` for a source whose first discovery is complete.
    fn discovery_interval_millis(&self) -> Option<u64> {
        None
    }
    /// Opens a split at a position (empty = start). Must not block for long: real opening is done by the first reads.
    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>, Error>;
    /// True if the source ends by itself.
    fn bounded(&self) -> bool;
}

/// Reads one split on a slot's thread. Never blocks.
pub trait SplitReader: Send + Debug {
    /// Gives at most about `max_rows` rows, or says why not. On `Pending` the waker is called when it is worth asking again.
    /// A malformed row must be reported only *after* the rows before it have been handed out.
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read, Error>;
    /// The position after the last row handed out: reading from here gives exactly the rows not handed out yet.
    fn position(&self) -> Position;
    /// For progress displays: (bytes or rows done, total), if the split has an end.
    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Output that a sink instance made durable, but not yet visible, for one epoch: an opaque handle that goes into the manifest and
/// with which *any* process can commit, more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkHandle {
    /// The sink node's stable id.
    pub sink: u64,
    /// The assignment version of the rows in it: handles of an epoch are committed in this order (I3).
    pub version: u64,
    /// The bytes that the sink needs to commit.
    #[serde(with = "crate::error::hex")]
    pub data: Vec<u8>,
}

/// Identifies one stretch of output of one sink instance: names staged objects, orders commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The epoch whose output this is.
    pub epoch: u64,
    /// The assignment version under which it was written.
    pub version: u64,
    /// The slot that wrote it.
    pub slot: u16,
}

/// A table or program output. Shared by all slots; hands out one writer a slot, and commits.
pub trait Sink: Send + Sync + Debug {
    /// A writer for one slot. `term` is part of every staged name, so that a zombie can only write names nobody refers to.
    fn open(&self, slot: u16, term: u64) -> Result<Box<dyn SinkWriter>, Error>;
    /// Makes the handles' output visible: idempotent, in the given order, called off the hot thread, may block. Only ever called
    /// after the manifest that names the handles exists (I7).
    fn commit(&self, handles: &[SinkHandle]) -> Result<(), Error>;
    /// Checked once before the job runs (permissions, existing files that are not ours). May block.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
    /// True if rows are visible as soon as they are written (print, blackhole): such a sink has no handles.
    fn immediate(&self) -> bool {
        false
    }
}

/// The output that a writer staged for an epoch: (version, handle data), in write order.
pub type Sealed = Vec<(u64, Vec<u8>)>;

/// Takes one slot's output on the slot's thread. Never blocks: bytes go to another thread.
pub trait SinkWriter: Send + Debug {
    /// Takes a batch that belongs to `segment`. Segments only grow.
    fn write(&mut self, batch: Batch, segment: Segment) -> Result<(), Error>;
    /// The epoch ended: everything written so far belongs to it. Starts making it durable.
    fn seal(&mut self, epoch: u64) -> Result<(), Error>;
    /// The (version, handle data) pairs of `epoch` once all is durable, in write order; `None` while it is not; the waker is called then.
    fn sealed(&mut self, epoch: u64, waker: &Waker) -> Result<Option<Sealed>, Error>;
    /// Bytes taken and not yet written out: above [`SINK_BUDGET`] the slot stops feeding this sink until the waker is called (I13).
    fn backlog(&self, waker: &Waker) -> usize;
}

/// The most bytes that a sink may have taken without having written them.
pub const SINK_BUDGET: usize = 8 << 20;

/// Turns a batch of a source into rows with event times, and tells the highest one: computed columns and `WATERMARK FOR`.
pub trait TimeStamper: Send + Debug {
    /// The batch (perhaps with columns added) and the highest event time in it; `None` if it has no row with a time.
    fn stamp(&mut self, batch: Batch) -> Result<(Batch, Option<Time>), Error>;
}
