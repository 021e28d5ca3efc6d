//! The one operator trait.
//!
//! An operator is synchronous and owns its state: typed tables that it shows to the slot behind [`ErasedTable`]. It is driven by
//! one slot, one call at a time, and never blocks: what it emits goes into buffers that the slot routes after the call. A call that
//! could produce without bound (a window close, a join, a timer) stops after a while and says [`Flow::More`]; the slot first runs what
//! is downstream and then calls [`Operator::resume`] (I12).
//!
//! Chains without an exchange between them are fused: the slot runs the most downstream node that has work, so a batch goes
//! through the whole chain before the next one is touched, without a queue filling anywhere.

#![allow(
    missing_debug_implementations,
    reason = "operators hold closures and tables of user types; a dump shows their stats instead"
)]

pub mod aggregate;
pub mod apply;
pub mod combine;
pub mod process;
pub mod rolling;
pub mod window;

use std::sync::Arc;

use crate::container::Batch;
use crate::error::Result;
use crate::key::{GroupSet, KeySpace};
use crate::state::ErasedTable;
use crate::time::Time;

/// The end of a call: finished, or to be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// All done.
    Done,
    /// Call [`Operator::resume`] before anything else.
    More,
}

/// About how many rows an operator may emit in one call before it should say [`Flow::More`], unless [`Context::call_rows`] says otherwise.
pub const CALL_ROWS: usize = 4096;

/// The watermark that holds for each key group: one for all, with exceptions while groups are moving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// For every group without an exception.
    pub own: Time,
    /// Groups of open cuts, with the watermark that holds for them instead.
    pub moving: Vec<(Arc<GroupSet>, Time)>,
}

impl Watermarks {
    /// The same for all groups.
    #[must_use]
    pub fn uniform(own: Time) -> Self {
        Self { own, moving: Vec::new() }
    }

    /// The watermark for rows with this key hash.
    #[inline]
    #[must_use]
    pub fn of_hash(&self, hash: u64) -> Time {
        if self.moving.is_empty() {
            return self.own;
        }
        self.moving.iter().find(|(groups, _)| groups.contains_hash(hash)).map_or(self.own, |(_, w)| *w)
    }

    /// The highest watermark of any group: nothing above it is due anywhere.
    #[must_use]
    pub fn highest(&self) -> Time {
        self.moving.iter().map(|(_, w)| *w).fold(self.own, Time::max)
    }

    /// The lowest watermark of any group: everything at or below it is due everywhere.
    #[must_use]
    pub fn lowest(&self) -> Time {
        self.moving.iter().map(|(_, w)| *w).fold(self.own, Time::min)
    }
}

/// The context of a call: what an operator may ask and do.
#[derive(Debug)]
pub struct Context<'a> {
    /// Event-time progress, by key group.
    pub watermarks: &'a Watermarks,
    /// Processing time in microseconds since the Unix epoch, as the host passed it in. The same within a call.
    pub now: i64,
    /// The key space of the job.
    pub space: KeySpace,
    /// About how many rows to emit in this call before saying [`Flow::More`].
    pub call_rows: usize,
    pub(crate) out: &'a mut Vec<(u8, Batch)>,
    pub(crate) late: &'a mut u64,
}

impl<'a> Context<'a> {
    /// A context of one's own, for driving an operator by hand.
    #[must_use]
    pub fn new(watermarks: &'a Watermarks, now: i64, space: KeySpace, out: &'a mut Vec<(u8, Batch)>, late: &'a mut u64) -> Self {
        Self { watermarks, now, space, call_rows: CALL_ROWS, out, late }
    }

    /// With another size of a call.
    #[must_use]
    pub fn rows_a_call(mut self, rows: usize) -> Self {
        self.call_rows = rows.max(1);
        self
    }

    /// Emits a batch on the main output. Empty batches are dropped.
    pub fn emit(&mut self, batch: Batch) {
        self.emit_to(0, batch);
    }

    /// Emits on one of the outputs (0 is the main one, others are side outputs).
    pub fn emit_to(&mut self, output: u8, batch: Batch) {
        if !batch.is_empty() {
            self.out.push((output, batch));
        }
    }

    /// Counts late rows.
    pub fn count_late(&mut self, rows: u64) {
        *self.late += rows;
    }

    /// The number of rows that this call has emitted so far.
    #[must_use]
    pub fn emitted(&self) -> usize {
        self.out.iter().map(|(_, b)| b.len()).sum()
    }
}

/// One node of the dataflow, on one slot.
pub trait Operator: Send {
    /// Rows on input `port`.
    fn on_batch(&mut self, port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow>;

    /// Event time moved on (see `cx.watermarks`): close windows, fire timers that are due.
    fn on_watermark(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let _ = cx;
        Ok(Flow::Done)
    }

    /// Goes on with a call that said [`Flow::More`].
    fn resume(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let _ = cx;
        Ok(Flow::Done)
    }

    /// Everything held back without being state (a combiner's partial sums, an epoch's consolidated changes) must be emitted now:
    /// a barrier or a fence follows.
    fn on_flush(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let _ = cx;
        Ok(Flow::Done)
    }

    /// The slot has nothing else to do. A combiner emits here, so that a lone record never waits.
    fn on_idle(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let _ = cx;
        Ok(Flow::Done)
    }

    /// Shows each keyed state, always in the same order.
    fn tables(&mut self, visit: &mut dyn FnMut(&mut dyn ErasedTable)) {
        let _ = visit;
    }

    /// Entries of these groups have come in from outside (restore or move): rebuild indexes that are not state. Everything due at
    /// `watermark` has fired where they come from.
    fn after_absorb(&mut self, groups: &GroupSet, watermark: Time) -> Result<()> {
        let _ = (groups, watermark);
        Ok(())
    }

    /// These groups' entries have left or gone back in time: forget them in indexes that are not state.
    fn after_release(&mut self, groups: &GroupSet) {
        let _ = groups;
    }
}
