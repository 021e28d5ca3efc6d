//! A slot: one thread's share of a job, run to completion, sharing nothing.
//!
//! A slot is driven from outside: [`Slot::handle`] takes an [`Event`], [`Slot::run`] works for a bounded number of steps and says
//! whether there is more. It never waits. What it wants to say goes to an [`Outbox`]. So a thread with a queue, and a simulator that
//! holds all slots of a job in one thread, drive exactly the same code.
//!
//! Scheduling is law I12: of all nodes that can run, the most downstream one runs. A node can run when it has an item and everything
//! it may emit has somewhere to go; then no wait can close a circle, because what is furthest downstream can always run.
//!
//! | file | what |
//! |---|---|
//! | `event` | what comes in and what goes out |
//! | `node`, `source`, `sink` | the receiving end of a node; reading splits; writing |
//! | `route` | the sending end of an exchange: builders and credits |
//! | `flow`, `output_watermark` | taking one item through one node; what it may promise then |
//! | `epoch` | barriers: alignment, membership, encoding, sealing |
//! | `moving`, `cut_source`, `cut_target` | the three roles in a cut-over |

mod build;
mod config;
mod cut_source;
mod cut_target;
mod epoch;
mod event;
mod flow;
mod moving;
mod node;
mod output_watermark;
mod pace;
mod retained;
pub mod route;
mod sink;
mod source;
mod tuning;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::container::Batch;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::graph::{Graph, NodeId, NodeIndex, Path};
use crate::key::{Assignment, GroupSet, SlotId};
use crate::time::Time;

pub use crate::messages::{Barrier, Command, EpochPart, Report, SplitMove, SplitState};
pub use config::{SlotConfig, SlotSeat};
pub use event::{Bulk, Event, Outbox, Status};
use moving::Moving;
pub use moving::{GATE_MILLIS, MoveStats};
use node::{Body, NodeState, Out};
use pace::Pace;
pub use retained::RetainedState;
use route::Shipped;
pub use tuning::Tuning;

/// While there is other work, each step frees this share of what waits to be freed, up to so many entries (about 0.1 ms). A share, not a
/// number: a job that closes windows as fast as it can otherwise frees less than it buries, and keeps all of it (I13).
const SWEEP_SHARE: usize = 64;
const SWEEP_AT_WORK: usize = 2048;
/// At rest there is time.
const SWEEP_AT_REST: usize = 16384;

/// One engine thread's share of a job.
pub struct Slot {
    id: SlotId,
    graph: Arc<Graph>,
    assignment: Assignment,
    members: Vec<SlotId>,
    nodes: Vec<NodeState>,
    /// For each edge, the sending node and its output's index.
    senders: Vec<(usize, usize)>,
    /// For each edge, the sources whose rows reach it without passing keyed state.
    fed_by: Vec<Vec<NodeId>>,
    epoch: u64,
    segment: u64,
    /// Its own time: it goes forward as the clock outside does, and stands where that one goes back.
    now: i64,
    /// What the clock outside said last.
    outside: i64,
    waker: Waker,
    tuning: Tuning,
    woken: bool,
    ended: bool,
    failed: bool,
    /// A batch went somewhere since the operators were last told that the slot is idle.
    stirred: bool,
    turn: usize,
    /// The coordinator's term.
    term: u64,
    /// The manifest it began from: (term of its injection, epoch).
    base: Option<crate::protocol::gc::Age>,
    /// More has changed since the last publication than this slot may remember: sources rest (I13).
    held: bool,
    pace: Pace,
    aligning: Option<epoch::Aligning>,
    sealing: VecDeque<epoch::Sealing>,
    moving: Moving,
    shipped: Shipped,
    emitted: Vec<(u8, Batch)>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("id", &self.id).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// A look at a node, for metrics and dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStats {
    /// The node.
    pub id: NodeId,
    /// Rows in, rows out, late rows.
    pub rows_in: u64,
    /// Rows it emitted.
    pub rows_out: u64,
    /// Rows it dropped as late or sent to its side output.
    pub late: u64,
    /// The node's watermark.
    pub watermark: Time,
    /// Items waiting in its channels.
    pub queued: usize,
    /// Entries and bytes of its keyed state.
    pub entries: u64,
    /// Bytes of its keyed state.
    pub bytes: u64,
    /// Source progress: thousandths of splits done, and of how many; (0, 0) where the input has no end.
    pub progress: (u64, u64),
}

impl Slot {
    /// The slot's number.
    #[must_use]
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// The table as this slot's routers use it now.
    #[must_use]
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The epoch being filled.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether something it has to pass on waits for others to take what they were sent.
    #[must_use]
    pub fn blocked(&self) -> bool {
        !self.nodes.iter().all(NodeState::exchanges_open)
    }

    /// A source, a sink or a timer of this slot called its waker.
    pub fn wake(&mut self) {
        self.woken = true;
        for node in &mut self.nodes {
            if let Body::Source(s) = &mut node.body {
                s.wake();
            }
        }
    }

    /// Takes an event. Cheap: frames are queued, commands noted; work is done by [`Slot::run`].
    pub fn handle(&mut self, event: Event, now: i64, out: &mut dyn Outbox) {
        if self.failed {
            return;
        }
        self.clock(now);
        if let Err(e) = self.take_event(event, out) {
            self.fail(e, out);
        }
        self.send_shipped(out);
    }

    /// A clock that goes back costs nobody who waits more than what he has waited for: the rest of his time passes from there.
    fn clock(&mut self, outside: i64) {
        self.now = self.now.saturating_add(outside.saturating_sub(self.outside).max(0));
        self.outside = outside;
    }

    fn fail(&mut self, error: Error, out: &mut dyn Outbox) {
        self.failed = true;
        out.report(Report::Failed(error));
    }

    fn take_event(&mut self, event: Event, out: &mut dyn Outbox) -> Result<()> {
        match event {
            Event::Frame(frame) => {
                self.deliver(frame);
                Ok(())
            }
            Event::Credit { edge, from, rows, window } => {
                self.credit(edge, from, rows, window);
                Ok(())
            }
            Event::Bulk(bulk) => {
                self.moving.incoming.push_back(bulk);
                Ok(())
            }
            Event::WarmupAck(batch) => {
                self.take_taken(batch, out);
                Ok(())
            }
            Event::Command(command) => self.take_command(command, out),
        }
    }

    fn take_command(&mut self, command: Command, out: &mut dyn Outbox) -> Result<()> {
        match command {
            Command::Splits(node, splits) => self.take_splits(node, splits),
            Command::EndOfSource(NodeIndex(i)) => {
                if let Some(NodeState { body: Body::Source(s), .. }) = self.nodes.get_mut(i) {
                    s.end();
                }
                self.source_watermark(i);
                Ok(())
            }
            Command::Barrier(barrier) => self.inject(&barrier, out),
            Command::Published { epoch, version } => self.published(epoch, version),
            Command::Warm(plan) => self.start_warm(plan),
            Command::Forget(batch) => self.forget_warm(batch),
            Command::Cut(plan) => self.start_cut(&plan, out),
        }
    }

    /// Works until there is nothing to do or [`Tuning::steps`] steps are done.
    pub fn run(&mut self, now: i64, out: &mut dyn Outbox) -> Status {
        if self.failed {
            return Status::Idle(None);
        }
        self.clock(now);
        let channels = self.nodes.iter().flat_map(|n| &n.channels).filter(|c| c.exchanged && c.joined).count();
        self.pace.begin(self.now, channels);
        self.held = self.over_budget();
        match self.run_steps(out) {
            Ok(status) => {
                if matches!(status, Status::Idle(_)) {
                    self.pace.rest();
                }
                status
            }
            Err(e) => {
                self.fail(e, out);
                Status::Idle(None)
            }
        }
    }

    fn run_steps(&mut self, out: &mut dyn Outbox) -> Result<Status> {
        for step in 0..self.tuning.steps {
            let encoded = step % self.tuning.encode_every == 0 && self.seal_some(out)?;
            let worked = self.step(out)?;
            self.send_shipped(out);
            self.sweep(|debt| (debt / SWEEP_SHARE).min(SWEEP_AT_WORK));
            if !worked && !encoded && !self.seal_some(out)? && !self.rest(out)? {
                return Ok(Status::Idle(self.next_timeout()));
            }
        }
        Ok(Status::Busy)
    }

    /// The most downstream node that can run does one thing.
    fn step(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        self.turn = self.turn.wrapping_add(1);
        // Rows of a moving batch wait: its gate and its Final go before new rows.
        let first = !self.turn.is_multiple_of(self.tuning.moves_yield);
        if first && self.move_on(out)? {
            return Ok(true);
        }
        if self.turn.is_multiple_of(self.tuning.warm_every) && (self.absorb_some(false, out)? || self.warm_some(out)?) {
            return Ok(true);
        }
        for i in (0..self.nodes.len()).rev() {
            if self.run_node(i, out)? {
                return Ok(true);
            }
        }
        Ok(!first && self.move_on(out)? || self.absorb_some(false, out)? || self.warm_some(out)?)
    }

    /// Final for cuts whose fences are here, state that came with one, and what waits in gates.
    fn move_on(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        Ok(self.absorb_some(true, out)? || self.moving.open() && (self.finish_cuts(out)? || self.drain_some(out)?))
    }

    /// Nothing can run: operators give up what they hold back, builders ship what they have.
    fn rest(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let mut worked = false;
        if std::mem::take(&mut self.stirred) {
            for i in 0..self.nodes.len() {
                worked |= self.idle_node(i)?;
            }
        }
        for node in &mut self.nodes {
            for o in &mut node.outs {
                if let Out::Exchange { exchange, .. } = o {
                    exchange.ship_all(false, self.id, &mut self.shipped);
                }
            }
        }
        for i in 0..self.nodes.len() {
            if matches!(self.node(i).body, Body::Source(_)) {
                self.source_watermark(i);
            } else if self.owes_word(i) {
                self.advance(i, out)?;
                worked = true;
            }
        }
        worked |= self.send_shipped(out);
        self.report_end(out);
        let swept = self.sweep(|_| SWEEP_AT_REST);
        // What was held back for its images may go on when the last of them has gone.
        Ok(worked || !swept || self.held && !self.over_budget())
    }

    /// Whether undo images take more than they may. Barriers go on, so that some epoch is published, and its images go.
    fn over_budget(&mut self) -> bool {
        let mut bytes = 0;
        for node in &mut self.nodes {
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut |t| bytes += t.undo_bytes());
            }
        }
        bytes > self.tuning.undo_bytes
    }

    /// Frees entries that nobody needs any more: as many as `budget` says of those that wait. True when none is left.
    fn sweep(&mut self, budget: impl Fn(usize) -> usize) -> bool {
        let mut done = true;
        for node in &mut self.nodes {
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut |t| done &= t.sweep(budget(t.debt())));
            }
        }
        done
    }

    /// Whether a node has more to say about time than its channels made it say. It could not say that nothing is to be expected while groups
    /// moved; and where the slots that left at a barrier were what held it back, no channel that stays has to say anything more.
    fn owes_word(&self, i: usize) -> bool {
        let rests = |n: &&NodeState| n.unfinished.is_none() && n.parts.is_empty() && !n.channels.is_empty();
        let Some(node) = self.nodes.get(i).filter(rests) else { return false };
        match self.input_watermark(i) {
            None => !node.idle && !self.moving.open(),
            Some(together) => together > node.own && self.outputs_open(i),
        }
    }

    fn report_end(&mut self, out: &mut dyn Outbox) {
        let done = |n: &NodeState| !matches!(n.body, Body::Sink(_)) || n.own == Time::MAX;
        if !self.ended && self.nodes.iter().all(done) {
            self.ended = true;
            out.report(Report::Ended);
        }
    }

    fn next_timeout(&self) -> Option<i64> {
        let of = |n: &NodeState| match &n.body {
            Body::Source(s) => s.next_timeout(self.now),
            Body::Operator { .. } | Body::Sink(_) => None,
        };
        let own = self.nodes.iter().filter_map(of).min()?;
        Some(own.saturating_sub(self.now).saturating_add(self.outside))
    }

    fn node(&mut self, i: usize) -> &mut NodeState {
        self.nodes.get_mut(i).expect("node numbers come from the graph")
    }

    /// A frame goes into its channel's queue.
    fn deliver(&mut self, frame: Frame) {
        let Some(edge) = self.graph.edges().get(frame.edge as usize).copied() else { return };
        let node = self.node(edge.to.0);
        let c = node.channel(frame.edge, edge.input, frame.from);
        if let Some(channel) = node.channels.get_mut(c) {
            channel.queue.push_back(frame.item);
        }
    }

    fn credit(&mut self, edge: u32, from: SlotId, rows: u32, window: u32) {
        let (id, Some((node, o))) = (self.id, self.senders.get(edge as usize).copied()) else { return };
        let mut shipped = std::mem::take(&mut self.shipped);
        if let Some(Out::Exchange { exchange, .. }) = self.node(node).outs.get_mut(o) {
            exchange.credit(from, rows, window, id, &mut shipped);
        }
        self.shipped = shipped;
    }

    /// Frames to other slots leave; those to this slot go straight into their channels. True if any came here.
    fn send_shipped(&mut self, out: &mut dyn Outbox) -> bool {
        if self.shipped.is_empty() {
            return false;
        }
        let mut here = false;
        let mut shipped = std::mem::take(&mut self.shipped);
        for (to, frame) in shipped.drain(..) {
            if to == self.id {
                here = true;
                self.deliver(frame);
            } else {
                out.send(to, Event::Frame(frame));
            }
        }
        self.shipped = shipped;
        here
    }

    /// Each node's numbers.
    pub fn stats(&mut self) -> Vec<NodeStats> {
        let ids: Vec<NodeId> = self.graph.nodes().iter().map(|n| n.id).collect();
        let stats = |(node, id): (&mut NodeState, NodeId)| {
            let (mut entries, mut bytes) = (0, 0);
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut |t| {
                    entries += t.entries() as u64;
                    bytes += t.bytes() as u64;
                });
            }
            NodeStats {
                id,
                rows_in: node.rows_in,
                rows_out: node.rows_out,
                late: node.late,
                watermark: if matches!(node.body, Body::Source(_)) { node.emitted } else { node.own },
                queued: node.channels.iter().map(|c| c.queue.len()).sum(),
                entries,
                bytes,
                progress: if let Body::Source(s) = &node.body { s.progress() } else { (0, 0) },
            }
        };
        self.nodes.iter_mut().zip(ids).map(stats).collect()
    }

    /// Rows that came too late, at all nodes together.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.nodes.iter().map(|n| n.late).sum()
    }

    /// For each keyed state, the groups that may be accessed (I1).
    pub fn active_groups(&mut self) -> Vec<GroupSet> {
        let mut all = Vec::new();
        for node in &mut self.nodes {
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut |t| all.push(t.active().clone()));
            }
        }
        all
    }

    /// What this slot's cuts have come across since it was made.
    #[must_use]
    pub fn move_stats(&self) -> MoveStats {
        self.moving.stats()
    }

    /// Whether the edge is an exchange.
    fn exchanged(&self, edge: u32) -> bool {
        self.graph.edges().get(edge as usize).is_some_and(|e| e.path == Path::Exchange)
    }
}

#[cfg(test)]
mod tests;
