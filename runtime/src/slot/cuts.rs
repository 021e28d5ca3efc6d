//! Cuts as one slot plays its roles in them: what it warms up, what comes in, the gates, holds and frozen copies. What the pure roles of
//! [`crate::protocol::cut`] decide is kept here; what it means for channels, rows and tables is done in `cut_source` and `cut_target`.

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

use super::event::Bulk;
use super::node::{Channel, NodeState, Part};
use super::nodes::Nodes;

/// Figures of a slot's cuts: for metrics, and to see that a simulation goes everywhere.
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

/// The number of dropped warm-ups that a slot remembers.
const FORGOTTEN: usize = 256;

/// The cuts that a slot knows of since the last barrier.
#[derive(Debug)]
pub(super) struct Cuts {
    pub(super) rules: RuleSet,
    pub(super) warming: VecDeque<Warming>,
    /// State of batches on their way in that has not been worked on: taken up piece by piece between batches of rows.
    pub(super) incoming: VecDeque<Bulk>,
    /// Batches of which something has come in.
    pub(super) arriving: Vec<Arc<CutPlan>>,
    /// The last warm-ups that were dropped: what still comes of them is not wanted.
    forgotten: VecDeque<u64>,
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
    /// The time at which it was first heard of.
    pub(super) since: i64,
}

impl Cuts {
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

    /// True if some batch's rows go to a gate now.
    pub(super) fn gating(&self) -> bool {
        self.targets.iter().any(|t| t.cut.gates())
    }

    /// Removes a rule: for the simulator's mutants.
    #[cfg(feature = "mutants")]
    pub(super) fn set_rules(&mut self, rules: RuleSet) {
        self.rules = rules;
        self.holds = Holds::new(rules);
        self.frozen = FrozenCopies::new(rules);
    }

    /// True if rows may belong to a batch that is coming in.
    pub(super) fn receives(&self) -> bool {
        !self.targets.is_empty()
    }

    /// True if some cut concerns this slot's watermarks.
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

    /// For which slots this one waits.
    pub(super) fn waiting(&self) -> Vec<String> {
        let sources = self.sources.iter().filter_map(SourceCut::waiting);
        sources.chain(self.targets.iter().filter_map(|t| t.cut.waiting())).collect()
    }
}

/// Warm-ups, and the state that comes in.
impl Cuts {
    /// Forgets a warm-up at its source; the target remembers that what still comes of it is not wanted.
    pub(super) fn forget(&mut self, batch: u64) {
        if self.forgotten.len() >= FORGOTTEN {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(batch);
    }

    /// Nothing more of a warm-up is sent.
    pub(super) fn stop_warming(&mut self, batch: u64) {
        self.warming.retain(|w| w.plan.batch != batch);
    }

    /// True if this warm-up was dropped.
    pub(super) fn is_forgotten(&self, batch: u64) -> bool {
        self.forgotten.contains(&batch)
    }

    /// A batch that is on its way in and of this kind; it is on its way no more.
    pub(super) fn take_arriving(&mut self, which: impl Fn(&CutPlan) -> bool) -> Option<Arc<CutPlan>> {
        let at = self.arriving.iter().position(|p| which(p))?;
        Some(self.arriving.remove(at))
    }

    /// The target has taken an item of a warm-up in. Of a warm-up that was dropped, or overtaken by its cut, no count is kept.
    pub(super) fn acknowledged(&mut self, batch: u64) {
        if let Some(warming) = self.warming.iter_mut().find(|w| w.plan.batch == batch) {
            warming.under_way = warming.under_way.saturating_sub(1);
        }
    }

    /// A warm-up that is over because its target has all of it: a cut then finds nothing before its Final.
    pub(super) fn warmed(&mut self) -> Option<u64> {
        self.warming.pop_front_if(|w| w.sent && w.under_way == 0).map(|w| w.plan.batch)
    }

    /// The next piece of state to take up, by a slot that knows this version of the table. `cut`: only if rows wait behind it, that is,
    /// if a Final is among it.
    pub(super) fn next_bulk(&mut self, cut: bool, known: u64) -> Option<Bulk> {
        let waits = self.rules.final_after_table();
        let may = |b: &Bulk| match b {
            Bulk::Final { table, .. } => *table <= known || !waits,
            Bulk::Warm { .. } => true,
        };
        if cut && !self.incoming.iter().any(|b| matches!(b, Bulk::Final { .. }) && may(b)) {
            return None;
        }
        // Nothing of a batch comes behind its Final, so what goes past one that waits belongs to other batches.
        self.incoming.iter().position(may).and_then(|at| self.incoming.remove(at))
    }
}

/// The roles in cuts.
impl Cuts {
    /// Role S of a plan; begun, if this is the first word of it.
    pub(super) fn source(&mut self, plan: &Arc<CutPlan>, nodes: &Nodes) -> &mut SourceCut {
        if let Some(at) = self.sources.iter().position(|s| s.plan().batch == plan.batch) {
            return self.sources.get_mut(at).expect("found just now");
        }
        let mut cut = SourceCut::new(plan.clone(), &nodes.stage_channels(), self.rules);
        if self.rules.idle_at_fence() {
            for (i, node) in nodes.iter().enumerate().filter(|(_, n)| n.is_keyed()) {
                cut.reached(i as u32, node.own);
            }
        }
        self.sources.push(cut);
        self.sources.last_mut().expect("pushed just now")
    }

    /// A fence of a plan has come to its source, on this channel. `node` took it; each stage asks for channels of its own.
    pub(super) fn source_fence(&mut self, plan: &Arc<CutPlan>, id: ChannelId, node: usize, nodes: &Nodes) -> Result<()> {
        let (stages, rules) = (nodes.stage_channels(), self.rules);
        let stage = |c: ChannelId| stages.iter().find(|(id, _)| *id == c).map_or(node, |(_, s)| *s as usize);
        let complete = self.source(plan, nodes).fence(id, |c| match nodes.get(stage(c)) {
            Some(node) => channel_promise(rules, node, c),
            None => ChannelWatermark::from(Time::MIN),
        })?;
        if let Some(complete) = complete {
            self.complete.push((plan.clone(), complete));
        }
        Ok(())
    }

    /// Role T of a plan; begun now, if this is the first word of it.
    pub(super) fn receiving(&mut self, plan: &Arc<CutPlan>, now: i64) -> &mut Receiving {
        if let Some(at) = self.targets.iter().position(|t| t.cut.plan().batch == plan.batch) {
            return self.targets.get_mut(at).expect("found just now");
        }
        let cut = TargetCut::new(plan.clone(), self.rules);
        let (gate, firing, fenced) = (VecDeque::new(), Vec::new(), Vec::new());
        self.targets.push(Receiving { cut, gate, firing, fenced, since: now });
        self.targets.last_mut().expect("pushed just now")
    }

    /// Rows at a keyed node by the batch they belong to: gated ones to the gate, tagged ones into parts of their own.
    pub(super) fn split_rows(&mut self, i: usize, port: u8, batch: Batch, into: &mut VecDeque<Part>) {
        let targets = &self.targets;
        let class = |h: &u64| targets.iter().position(|t| t.cut.plan().groups.contains_hash(*h)).map_or(0, |k| k as u16 + 1);
        let classes: Vec<u16> = batch.hashes().iter().map(class).collect();
        let mut parts: Vec<Option<Batch>> = Vec::new();
        parts.resize_with(targets.len() + 1, || None);
        if classes.iter().all(|c| *c == 0) {
            into.push_back(Part { port, batch, tag: None });
            return;
        }
        batch.scatter(&classes, &mut parts);
        for (k, part) in parts.into_iter().enumerate() {
            let Some(batch) = part else { continue };
            match k.checked_sub(1).and_then(|k| self.targets.get_mut(k)) {
                Some(r) if r.cut.gates() => {
                    self.stats.gated_rows += batch.len() as u64;
                    r.gate.push_back((i, port, batch));
                }
                Some(r) => into.push_back(Part { port, batch, tag: r.cut.tag_at(i as u32) }),
                None => into.push_back(Part { port, batch, tag: None }),
            }
        }
    }

    /// A newcomer has not heard of other newcomers what everybody else knew of them before they came. A Final says it: on a channel whose
    /// fence has come, nothing follows that is older. Without that the newcomer would stand before what has fired for the groups it has,
    /// and a snapshot, or the next owner, would fire it again. True if some channel of the node knows more now.
    pub(super) fn trust_final(&self, stage: u32, node: &mut NodeState) -> bool {
        let mut learned = false;
        if !self.rules.newcomer_trusts_final() {
            return false;
        }
        for t in self.targets.iter().filter(|t| t.cut.active()) {
            let upto = t.cut.final_watermark(stage);
            let silent = |c: &&mut Channel| c.joined && !c.idle && c.watermark == Time::MIN && upto > Time::MIN;
            let fenced = |c: &Channel| t.fenced.contains(&ChannelId { edge: c.edge, from: c.from });
            for c in node.channels.iter_mut().filter(silent).filter(|c| fenced(c)) {
                c.watermark = upto;
                learned = true;
            }
        }
        learned
    }
}

/// Watermarks while groups move.
impl Cuts {
    /// The watermarks that hold at a node: its own, and those of batches on their way out or in.
    pub(super) fn watermarks(&self, i: usize, node: &NodeState) -> Watermarks {
        let mut all = Watermarks::uniform(node.own);
        if !self.open() || !node.is_keyed() {
            return all;
        }
        let stage = i as u32;
        let current = |c: ChannelId| channel_promise(self.rules, node, c);
        for s in self.sources.iter().filter(|s| s.phase() != SourcePhase::Frozen) {
            all.moving.push((s.plan().groups.clone(), s.batch_watermark(stage, current).min(node.own)));
        }
        for t in self.targets.iter().filter(|t| t.cut.active() && t.cut.phase() != TargetPhase::Active) {
            all.moving.push((t.cut.plan().groups.clone(), t.cut.batch_watermark(stage, node.own)));
        }
        all
    }

    /// The watermarks under which timers fire now: first all groups that are not tagged, then each tagged batch for itself.
    pub(super) fn watermark_phases(&self, i: usize, node: &NodeState) -> VecDeque<(Watermarks, Option<Tag>)> {
        let mut phases = VecDeque::with_capacity(1);
        let mut first = self.watermarks(i, node);
        for (groups, tag, watermark) in self.tagged(i as u32, node.own) {
            first.moving.insert(0, (groups.clone(), Time::MIN));
            phases.push_back((Watermarks { own: Time::MIN, moving: vec![(groups, watermark)] }, Some(tag)));
        }
        phases.push_front((first, None));
        phases
    }

    /// The promises of a node's channels may have changed: what that means for batches on their way out.
    pub(super) fn observe(&mut self, i: usize, node: &NodeState) {
        let rules = self.rules;
        if node.is_keyed() && rules.idle_at_fence() {
            self.sources.iter_mut().for_each(|s| s.observe(i as u32, |c| channel_promise(rules, node, c)));
        }
    }

    /// The bound of a node's promises: law I6 while groups move.
    pub(super) fn bound(&self, i: usize, node: &NodeState) -> Time {
        if !node.is_keyed() {
            return node.own;
        }
        let current = |c: ChannelId| channel_promise(self.rules, node, c);
        let own = self.sources.iter().fold(node.own, |w, s| s.output_bound(i as u32, w, current));
        self.holds.bound(node.emitted, own)
    }
}

/// The promise of a channel into a stage.
fn channel_promise(rules: RuleSet, node: &NodeState, id: ChannelId) -> ChannelWatermark {
    let channel = node.channels.iter().find(|c| c.edge == id.edge && c.from == id.from);
    let promise = channel.map_or_else(|| ChannelWatermark::from(Time::MIN), Channel::channel_watermark);
    if promise.idle && !rules.idle_at_fence() {
        return ChannelWatermark::from(promise.watermark.max(node.own));
    }
    promise
}
