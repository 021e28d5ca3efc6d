//! The three roles in a cut-over, as one slot plays them: what the pure roles of [`crate::protocol::cut`] decide is done here to
//! channels, rows and tables.
//!
//! The order inside a step matters more than anything else in this file; each place where it does says which law it serves.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::container::Batch;
use crate::error::Result;
use crate::key::{GroupSet, SlotId};
use crate::operator::Watermarks;
use crate::protocol::cut::frozen::FrozenCopies;
use crate::protocol::cut::hold::Holds;
use crate::protocol::cut::source::{Complete, SourceCut, SourcePhase};
use crate::protocol::cut::target::{TargetCut, TargetPhase};
use crate::protocol::cut::{ChannelId, ChannelWatermark, CutPlan, Tag};
use crate::protocol::rules::RuleSet;
use crate::time::Time;

use super::Slot;
use super::event::Bulk;
use super::node::{Body, Channel};

/// What a slot's cuts have come across: for metrics, and to see that a simulation goes everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveStats {
    /// Batches that came in.
    pub batches_in: u64,
    /// Batches that went out.
    pub batches_out: u64,
    /// Cuts whose Final came before any fence.
    pub final_first: u64,
    /// Rows that waited in a gate.
    pub gated_rows: u64,
    /// Tagged frames that were set aside.
    pub frames_aside: u64,
    /// Batches by how long their rows waited from the first fence or Final to work: at most [`GATE_MILLIS`], the last one longer.
    pub gates: [u32; GATE_MILLIS.len() + 1],
    /// The longest of those waits, in microseconds.
    pub longest_gate: u64,
}

/// Bounds of [`MoveStats::gates`], in milliseconds.
pub const GATE_MILLIS: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 500];

impl MoveStats {
    pub(super) fn gated(&mut self, micros: u64) {
        let at = GATE_MILLIS.iter().position(|ms| micros <= ms * 1000).unwrap_or(GATE_MILLIS.len());
        if let Some(n) = self.gates.get_mut(at) {
            *n += 1;
        }
        self.longest_gate = self.longest_gate.max(micros);
    }
}

/// How many dropped warm-ups a slot remembers.
pub(super) const FORGOTTEN: usize = 256;

/// What a slot knows of the cuts since the last barrier.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) rules: RuleSet,
    pub(super) warming: VecDeque<Warming>,
    /// What came for batches on their way in and has not been worked on: taken up piece by piece between batches of rows.
    pub(super) incoming: VecDeque<Bulk>,
    /// Batches of which something has come in.
    pub(super) arriving: Vec<Arc<CutPlan>>,
    /// The last warm-ups that were dropped: what still comes of them is not wanted.
    pub(super) forgotten: VecDeque<u64>,
    /// Batches whose tables keep book of what the target lacks.
    pub(super) shipping: Vec<u64>,
    pub(super) sources: Vec<SourceCut>,
    /// Cuts whose last fence has come; Final waits only for nodes in the middle of a call.
    pub(super) complete: Vec<(Arc<CutPlan>, Complete)>,
    pub(super) targets: Vec<Receiving>,
    pub(super) holds: Holds,
    pub(super) frozen: FrozenCopies,
    pub(super) stats: MoveStats,
    /// Credits that only a mutant keeps: (edge, sender, rows).
    pub(super) owed: Vec<(u32, SlotId, usize)>,
}

/// A warm-up at its source. Its items are bounded: what waits at the target would otherwise wait before Final, and the gate with it.
#[derive(Debug)]
pub(super) struct Warming {
    pub(super) plan: Arc<CutPlan>,
    /// Items sent that the target has not taken in.
    pub(super) under_way: u32,
    /// Everything there was has been sent.
    pub(super) sent: bool,
}

/// Items of one warm-up that may be under way.
pub(super) const WARM_ITEMS: u32 = 2;

/// A batch on its way in.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) cut: TargetCut,
    /// Gated rows: node, port, rows; in the order in which they came.
    pub(super) gate: VecDeque<(usize, u8, Batch)>,
    /// Nodes whose timers have not fired yet.
    pub(super) firing: Vec<usize>,
    /// Channels whose fence has come.
    pub(super) fenced: Vec<ChannelId>,
    /// When it was first heard of.
    pub(super) since: i64,
}

impl Moving {
    pub(super) fn new() -> Self {
        let rules = RuleSet::ALL;
        Self {
            rules,
            warming: VecDeque::new(),
            incoming: VecDeque::new(),
            shipping: Vec::new(),
            arriving: Vec::new(),
            forgotten: VecDeque::new(),
            sources: Vec::new(),
            complete: Vec::new(),
            targets: Vec::new(),
            holds: Holds::new(rules),
            frozen: FrozenCopies::new(rules),
            stats: MoveStats::default(),
            owed: Vec::new(),
        }
    }

    pub(super) fn stats(&self) -> MoveStats {
        self.stats
    }

    /// Whether some batch's rows go to a gate now.
    pub(super) fn gating(&self) -> bool {
        self.targets.iter().any(|t| t.cut.gates())
    }

    pub(super) fn set_aside(&mut self) {
        self.stats.frames_aside += 1;
    }

    /// Removes a rule: for the simulator's mutants.
    #[cfg(feature = "mutants")]
    pub(super) fn set_rules(&mut self, rules: RuleSet) {
        self.rules = rules;
        self.holds = Holds::new(rules);
        self.frozen = FrozenCopies::new(rules);
    }

    /// Whether rows may belong to a batch that is coming in.
    pub(super) fn receives(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Whether some cut concerns this slot's watermarks.
    pub(super) fn open(&self) -> bool {
        !self.sources.is_empty() || !self.targets.is_empty()
    }

    /// Batches whose rows leave a stage in frames of their own, and the watermark that holds for them there.
    pub(super) fn tagged(&self, stage: u32, own: Time) -> Vec<(Arc<GroupSet>, Tag, Time)> {
        let one =
            |t: &Receiving| t.cut.tag_at(stage).map(|tag| (t.cut.plan().groups.clone(), tag, t.cut.batch_watermark(stage, own)));
        self.targets.iter().filter_map(one).collect()
    }

    /// A barrier has aligned at one stage: its rows are tagged no more.
    pub(super) fn stage_barrier(&mut self, stage: u32) -> Result<()> {
        self.targets.iter_mut().try_for_each(|t| t.cut.stage_barrier(stage))
    }

    /// A barrier has aligned at this slot: what was cut before it is over.
    pub(super) fn barrier(&mut self) -> Result<()> {
        for t in &mut self.targets {
            t.cut.barrier()?;
        }
        self.targets.clear();
        self.sources.clear();
        Ok(())
    }

    /// For whom this slot waits.
    pub(super) fn waiting(&self) -> Vec<String> {
        let sources = self.sources.iter().filter_map(SourceCut::waiting);
        sources.chain(self.targets.iter().filter_map(|t| t.cut.waiting())).collect()
    }
}

impl Slot {
    /// Removes rules from this slot's roles: for the simulator's mutants.
    #[cfg(feature = "mutants")]
    pub fn set_rules(&mut self, rules: RuleSet) {
        self.moving.set_rules(rules);
        for node in &mut self.nodes {
            for e in &mut node.edges {
                e.consumer = crate::protocol::cut::consumer::Consumer::new(rules);
            }
        }
    }

    /// Whether every state still has the copy that this slot froze for a cut: what recovery would go back to.
    pub fn keeps(&mut self, version: u64) -> bool {
        let mut all = true;
        for node in &mut self.nodes {
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut |t| all &= t.keeps(version));
            }
        }
        all
    }

    /// What this slot's cuts wait for.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let mut all = self.moving.waiting();
        if self.held {
            let mib = self.tuning.undo_bytes >> 20;
            all.push(format!("slot {} waits for a snapshot to be published: more than {mib} MiB of changes are not", self.id.0));
        }
        all
    }

    pub(super) fn is_keyed(&self, i: usize) -> bool {
        self.nodes.get(i).is_some_and(|n| matches!(n.body, Body::Operator { keyed: true, .. }))
    }

    /// All channels that lead into moving stages, each with its stage.
    pub(super) fn stage_channels(&self) -> Vec<(ChannelId, u32)> {
        let mut all = Vec::new();
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| self.is_keyed(*i)) {
            let inputs = node.channels.iter().filter(|c| c.exchanged && c.joined);
            all.extend(inputs.map(|c| (ChannelId { edge: c.edge, from: c.from }, i as u32)));
        }
        all
    }

    pub(super) fn source_cut(&mut self, plan: &Arc<CutPlan>) -> &mut SourceCut {
        if let Some(at) = self.moving.sources.iter().position(|s| s.plan().batch == plan.batch) {
            return self.moving.sources.get_mut(at).expect("found just now");
        }
        let channels = self.stage_channels();
        let mut cut = SourceCut::new(plan.clone(), &channels, self.moving.rules);
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| self.is_keyed(*i) && self.moving.rules.idle_at_fence()) {
            cut.reached(i as u32, node.own);
        }
        self.moving.sources.push(cut);
        self.moving.sources.last_mut().expect("pushed just now")
    }

    pub(super) fn receiving(&mut self, plan: &Arc<CutPlan>) -> &mut Receiving {
        if let Some(at) = self.moving.targets.iter().position(|t| t.cut.plan().batch == plan.batch) {
            return self.moving.targets.get_mut(at).expect("found just now");
        }
        let cut = TargetCut::new(plan.clone(), self.moving.rules);
        self.moving.targets.push(Receiving {
            cut,
            gate: VecDeque::new(),
            firing: Vec::new(),
            fenced: Vec::new(),
            since: self.now,
        });
        self.moving.targets.last_mut().expect("pushed just now")
    }

    /// The watermarks that hold at a node: its own, and those of batches on their way out or in.
    pub(super) fn watermarks(&self, i: usize) -> Watermarks {
        let Some(node) = self.nodes.get(i) else { return Watermarks::uniform(Time::MIN) };
        let mut all = Watermarks::uniform(node.own);
        if !self.moving.open() || !self.is_keyed(i) {
            return all;
        }
        let stage = i as u32;
        let current = |c: ChannelId| self.channel_promise(i, c);
        for s in self.moving.sources.iter().filter(|s| s.phase() != SourcePhase::Frozen) {
            all.moving.push((s.plan().groups.clone(), s.batch_watermark(stage, current).min(node.own)));
        }
        for t in self.moving.targets.iter().filter(|t| t.cut.active() && t.cut.phase() != TargetPhase::Active) {
            all.moving.push((t.cut.plan().groups.clone(), t.cut.batch_watermark(stage, node.own)));
        }
        all
    }

    /// What a channel of a stage has promised.
    pub(super) fn channel_promise(&self, i: usize, id: ChannelId) -> ChannelWatermark {
        let channel = self.nodes.get(i).and_then(|n| n.channels.iter().find(|c| c.edge == id.edge && c.from == id.from));
        let promise = channel.map_or_else(|| ChannelWatermark::from(Time::MIN), Channel::channel_watermark);
        if promise.idle && !self.moving.rules.idle_at_fence() {
            return ChannelWatermark::from(promise.watermark.max(self.nodes.get(i).map_or(Time::MIN, |n| n.own)));
        }
        promise
    }

    /// The promises of a node's channels may have changed: what that means for batches on their way out.
    pub(super) fn observe_cuts(&mut self, i: usize) {
        if self.moving.sources.is_empty() || !self.is_keyed(i) || !self.moving.rules.idle_at_fence() {
            return;
        }
        let mut sources = std::mem::take(&mut self.moving.sources);
        sources.iter_mut().for_each(|s| s.observe(i as u32, |c| self.channel_promise(i, c)));
        self.moving.sources = sources;
    }

    /// How far a node may promise: law I6 while groups move.
    pub(super) fn bound(&self, i: usize) -> Time {
        let Some(node) = self.nodes.get(i) else { return Time::MIN };
        if !self.is_keyed(i) {
            return node.own;
        }
        let current = |c: ChannelId| self.channel_promise(i, c);
        let own = self.moving.sources.iter().fold(node.own, |w, s| s.output_bound(i as u32, w, current));
        self.moving.holds.bound(node.emitted, own)
    }
}
