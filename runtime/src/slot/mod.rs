//! A slot: one thread's share of a job, run to completion, sharing nothing.
//!
//! A slot is driven from outside: [`Slot::handle`] takes an [`Event`], [`Slot::run`] works for a bounded number of steps and says
//! whether there is more. It never waits. What it wants to say goes to an [`Outbox`]. So a thread with a queue, and a simulator that
//! holds all slots of a job in one thread, drive exactly the same code.
//!
//! Scheduling is law I12: of all nodes that can run, the most downstream one runs. A node can run when it has an item and everything
//! it may emit has somewhere to go; then no wait can close a circle, because what is furthest downstream can always run.
//!
//! A slot is made of parts, each with methods that need nothing else; what needs several of them is a method of [`Slot`].
//!
//! | part | what |
//! |---|---|
//! | `nodes`, `node`, `source`, `sink` | nodes: the receiving end of a channel; reading splits; writing |
//! | `routing`, `route` | edges and the assignment; the sending end of an exchange: builders and credits |
//! | `clock`, `schedule`, `pace` | time; turns, wake-ups and what rests; the slot's speed |
//! | `epochs` | the epoch being filled, the barrier on its way, epochs being encoded and sealed |
//! | `cuts` | the roles in cut-overs |
//!
//! | steps of the whole slot | what |
//! |---|---|
//! | `event`, `config`, `build` | what comes in and what goes out; what a slot begins with |
//! | `flow`, `output_watermark` | taking one item through one node; what it may promise then |
//! | `epoch` | barriers: alignment, membership, encoding, sealing |
//! | `cut_source`, `cut_target` | the roles in a cut-over, done to channels, rows and tables |
//! | `retained` | tables that survive the end of a run |

mod build;
mod clock;
mod config;
mod cut_source;
mod cut_target;
mod cuts;
mod epoch;
mod epochs;
mod event;
mod flow;
mod node;
mod nodes;
mod output_watermark;
mod pace;
mod retained;
pub mod route;
mod routing;
mod schedule;
mod sink;
mod source;
mod tuning;

use std::sync::Arc;

use crate::container::Batch;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeIndex};
use crate::key::{Assignment, GroupSet, SlotId};

pub use crate::messages::{Barrier, Command, EpochPart, Report, SplitMove, SplitState};
use clock::Clock;
pub use config::{SlotConfig, SlotSeat};
use cuts::Cuts;
pub use cuts::{GATE_MILLIS, MoveStats};
use epochs::Epochs;
pub use event::{Bulk, Event, Outbox, Status};
use node::{Body, NodeState};
pub use nodes::NodeStats;
use nodes::Nodes;
pub use retained::RetainedState;
use routing::Routing;
use schedule::Schedule;
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
    nodes: Nodes,
    routing: Routing,
    clock: Clock,
    schedule: Schedule,
    epochs: Epochs,
    cuts: Cuts,
    /// Batches that the call under way has emitted and that are not routed.
    emitted: Vec<(u8, Batch)>,
    /// The end of all input has been reported.
    ended: bool,
    /// An error has been reported: nothing more is done.
    failed: bool,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("id", &self.id).field("epoch", &self.epochs.current()).finish_non_exhaustive()
    }
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
        &self.routing.assignment
    }

    /// The epoch being filled.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epochs.current()
    }

    /// True if rows that are to be passed on wait for other slots to take what they were sent.
    #[must_use]
    pub fn blocked(&self) -> bool {
        !self.nodes.exchanges_open()
    }

    /// A source, a sink or a timer of this slot called its waker.
    pub fn wake(&mut self) {
        self.schedule.wake();
        for node in self.nodes.iter_mut() {
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
        self.clock.advance(now);
        if let Err(e) = self.take_event(event, out) {
            self.fail(e, out);
        }
        self.routing.send(&mut self.nodes, out);
    }

    fn fail(&mut self, error: Error, out: &mut dyn Outbox) {
        self.failed = true;
        out.report(Report::Failed(error));
    }

    fn take_event(&mut self, event: Event, out: &mut dyn Outbox) -> Result<()> {
        match event {
            Event::Frame(frame) => {
                self.routing.deliver(&mut self.nodes, frame);
                Ok(())
            }
            Event::Credit { edge, from, rows, window } => {
                self.routing.credit(&mut self.nodes, edge, from, (rows, window));
                Ok(())
            }
            Event::Bulk(bulk) => {
                self.cuts.incoming.push_back(bulk);
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
        self.clock.advance(now);
        self.schedule.pace.begin(self.clock.now(), self.nodes.exchanged_channels());
        self.schedule.held = self.over_budget();
        match self.run_steps(out) {
            Ok(status) => {
                if matches!(status, Status::Idle(_)) {
                    self.schedule.pace.rest();
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
        for step in 0..self.schedule.tuning.steps {
            let encoded = self.schedule.encodes(step) && self.seal_some(out)?;
            let worked = self.step(out)?;
            self.routing.send(&mut self.nodes, out);
            self.nodes.sweep(|debt| (debt / SWEEP_SHARE).min(SWEEP_AT_WORK));
            if !worked && !encoded && !self.seal_some(out)? && !self.rest(out)? {
                let next = self.nodes.next_timeout(self.clock.now());
                return Ok(Status::Idle(next.map(|time| self.clock.outside(time))));
            }
        }
        Ok(Status::Busy)
    }

    /// The most downstream node that can run does one thing.
    fn step(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let step = self.schedule.step();
        if step.moves_first && self.move_on(out)? {
            return Ok(true);
        }
        if step.warms && (self.absorb_some(false, out)? || self.warm_some(out)?) {
            return Ok(true);
        }
        for i in (0..self.nodes.len()).rev() {
            if self.run_node(i, out)? {
                return Ok(true);
            }
        }
        Ok(!step.moves_first && self.move_on(out)? || self.absorb_some(false, out)? || self.warm_some(out)?)
    }

    /// Final for cuts whose fences are here, state that came with one, and what waits in gates.
    fn move_on(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        Ok(self.absorb_some(true, out)? || self.cuts.open() && (self.finish_cuts(out)? || self.drain_some(out)?))
    }

    /// Nothing can run: operators give up what they hold back, builders ship what they have.
    fn rest(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let mut worked = false;
        if self.schedule.take_stirred() {
            for i in 0..self.nodes.len() {
                worked |= self.idle_node(i)?;
            }
        }
        self.routing.ship_waiting(&mut self.nodes);
        for i in 0..self.nodes.len() {
            if matches!(self.nodes.at(i).body, Body::Source(_)) {
                self.source_watermark(i);
            } else if self.owes_word(i) {
                self.advance(i, out)?;
                worked = true;
            }
        }
        worked |= self.routing.send(&mut self.nodes, out);
        self.report_end(out);
        let swept = self.nodes.sweep(|_| SWEEP_AT_REST);
        // A source that was held back for images may go on when the last of them has gone.
        Ok(worked || !swept || self.schedule.held && !self.over_budget())
    }

    /// True if undo images take more than they may. Barriers go on, so that some epoch is published, and its images go.
    fn over_budget(&mut self) -> bool {
        self.nodes.undo_bytes() > self.schedule.tuning.undo_bytes
    }

    /// True if a node has more to say about time than its channels made it say. It could not say that nothing is to be expected while
    /// groups moved; and where the slots that left at a barrier were what held it back, no channel that stays has to say anything more.
    fn owes_word(&self, i: usize) -> bool {
        let rests = |n: &&NodeState| n.rests() && !n.channels.is_empty();
        let Some(node) = self.nodes.get(i).filter(rests) else { return false };
        match node.input_watermark(self.cuts.rules) {
            None => !node.idle && !self.cuts.open(),
            Some(together) => together > node.own && self.nodes.outputs_open(i),
        }
    }

    fn report_end(&mut self, out: &mut dyn Outbox) {
        if !self.ended && self.nodes.ended() {
            self.ended = true;
            out.report(Report::Ended);
        }
    }

    /// Each node's numbers.
    pub fn stats(&mut self) -> Vec<NodeStats> {
        self.nodes.stats()
    }

    /// Rows that came too late, at all nodes together.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.nodes.iter().map(|n| n.late).sum()
    }

    /// For each keyed state, the groups that may be accessed (I1).
    pub fn active_groups(&mut self) -> Vec<GroupSet> {
        self.nodes.active_groups()
    }

    /// Figures of this slot's cuts since it was made.
    #[must_use]
    pub fn move_stats(&self) -> MoveStats {
        self.cuts.stats
    }

    /// Removes rules from this slot's roles: for the simulator's mutants.
    #[cfg(feature = "mutants")]
    pub fn set_rules(&mut self, rules: crate::protocol::rules::RuleSet) {
        self.cuts.set_rules(rules);
        for edge in self.nodes.iter_mut().flat_map(|n| &mut n.edges) {
            edge.consumer = crate::protocol::cut::consumer::Consumer::new(rules);
        }
    }

    /// True if every state still has the copy that this slot froze for a cut: what recovery would go back to.
    pub fn keeps(&mut self, version: u64) -> bool {
        self.nodes.keeps(version)
    }

    /// Texts that say for what this slot's cuts wait.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let mut all = self.cuts.waiting();
        if self.schedule.held {
            let mib = self.schedule.tuning.undo_bytes >> 20;
            all.push(format!("slot {} waits for a snapshot to be published: more than {mib} MiB of changes are not", self.id.0));
        }
        all
    }
}

#[cfg(test)]
mod tests;
