//! The three roles in a cut-over, as one slot plays them: what the pure roles of [`crate::protocol::cut`] decide is done here to
//! channels, rows and tables.
//!
//! The order inside a step matters more than anything else in this file; each place where it does says which law it serves.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::container::Batch;
use crate::error::Result;
use crate::frame::Item;
use crate::key::GroupSet;
use crate::operator::{Flow, Watermarks};
use crate::protocol::cut::frozen::FrozenCopies;
use crate::protocol::cut::hold::Holds;
use crate::protocol::cut::source::{Complete, SourceCut, SourcePhase};
use crate::protocol::cut::target::{TargetCut, TargetEffect, TargetPhase};
use crate::protocol::cut::{ChannelId, CutPlan, Frontiers, Tag};
use crate::protocol::rules::RuleSet;
use crate::state::ShipFinal;
use crate::time::Time;

use super::event::{Bulk, Report};
use super::flow::Call;
use super::node::{Body, Out, Part, Then};
use super::{Event, Outbox, Slot};

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
    fn gated(&mut self, micros: u64) {
        let at = GATE_MILLIS.iter().position(|ms| micros <= ms * 1000).unwrap_or(GATE_MILLIS.len());
        if let Some(n) = self.gates.get_mut(at) {
            *n += 1;
        }
        self.longest_gate = self.longest_gate.max(micros);
    }
}

/// How many dropped warm-ups a slot remembers.
const FORGOTTEN: usize = 256;

/// What a slot knows of the cuts since the last barrier.
#[derive(Debug)]
pub(super) struct Moving {
    rules: RuleSet,
    warming: VecDeque<Arc<CutPlan>>,
    /// Batches of which something has come in.
    arriving: Vec<Arc<CutPlan>>,
    /// The last warm-ups that were dropped: what still comes of them is not wanted.
    forgotten: VecDeque<u64>,
    /// Batches whose tables keep book of what the target lacks.
    shipping: Vec<u64>,
    sources: Vec<SourceCut>,
    /// Cuts whose last fence has come; Final waits only for nodes in the middle of a call.
    complete: Vec<(Arc<CutPlan>, Complete)>,
    targets: Vec<Receiving>,
    holds: Holds,
    frozen: FrozenCopies,
    stats: MoveStats,
}

/// A batch on its way in.
#[derive(Debug)]
struct Receiving {
    cut: TargetCut,
    /// Gated rows: node, port, rows; in the order in which they came.
    gate: VecDeque<(usize, u8, Batch)>,
    /// Nodes whose timers have not fired yet.
    firing: Vec<usize>,
    /// When it was first heard of.
    since: i64,
}

impl Moving {
    pub(super) fn new() -> Self {
        let rules = RuleSet::ALL;
        Self {
            rules,
            warming: VecDeque::new(),
            shipping: Vec::new(),
            arriving: Vec::new(),
            forgotten: VecDeque::new(),
            sources: Vec::new(),
            complete: Vec::new(),
            targets: Vec::new(),
            holds: Holds::new(rules),
            frozen: FrozenCopies::new(rules),
            stats: MoveStats::default(),
        }
    }

    pub(super) fn stats(&self) -> MoveStats {
        self.stats
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
        let one = |t: &Receiving| t.cut.tag_at(stage).map(|tag| (t.cut.plan().groups.clone(), tag, t.cut.batch_watermark(stage, own)));
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

    /// What this slot's cuts wait for.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.moving.waiting()
    }

    fn is_keyed(&self, i: usize) -> bool {
        self.nodes.get(i).is_some_and(|n| matches!(n.body, Body::Operator { keyed: true, .. }))
    }

    /// All channels that lead into moving stages, each with its stage.
    fn stage_channels(&self) -> Vec<(ChannelId, u32)> {
        let mut all = Vec::new();
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| self.is_keyed(*i)) {
            let inputs = node.channels.iter().filter(|c| c.exchanged && c.joined);
            all.extend(inputs.map(|c| (ChannelId { edge: c.edge, from: c.from }, i as u32)));
        }
        all
    }

    fn source_cut(&mut self, plan: &Arc<CutPlan>) -> &mut SourceCut {
        if let Some(at) = self.moving.sources.iter().position(|s| s.plan().batch == plan.batch) {
            return self.moving.sources.get_mut(at).expect("found just now");
        }
        let channels = self.stage_channels();
        self.moving.sources.push(SourceCut::new(plan.clone(), &channels, self.moving.rules));
        self.moving.sources.last_mut().expect("pushed just now")
    }

    fn receiving(&mut self, plan: &Arc<CutPlan>) -> &mut Receiving {
        if let Some(at) = self.moving.targets.iter().position(|t| t.cut.plan().batch == plan.batch) {
            return self.moving.targets.get_mut(at).expect("found just now");
        }
        let cut = TargetCut::new(plan.clone(), self.moving.rules);
        self.moving.targets.push(Receiving { cut, gate: VecDeque::new(), firing: Vec::new(), since: self.now });
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
        let current = |c: ChannelId| self.channel_watermark(i, c);
        for s in self.moving.sources.iter().filter(|s| s.phase() != SourcePhase::Frozen) {
            all.moving.push((s.plan().groups.clone(), s.batch_watermark(stage, current).min(node.own)));
        }
        for t in self.moving.targets.iter().filter(|t| t.cut.active() && t.cut.phase() != TargetPhase::Active) {
            all.moving.push((t.cut.plan().groups.clone(), t.cut.batch_watermark(stage, node.own)));
        }
        all
    }

    /// What a channel of a stage has promised; one that is quiet stands at the node's own watermark.
    fn channel_watermark(&self, i: usize, id: ChannelId) -> Time {
        let Some(node) = self.nodes.get(i) else { return Time::MIN };
        let channel = node.channels.iter().find(|c| c.edge == id.edge && c.from == id.from);
        channel.map_or(Time::MIN, |c| if c.quiet { c.watermark.max(node.own) } else { c.watermark })
    }

    /// How far a node may promise: law I6 while groups move.
    pub(super) fn bound(&self, i: usize) -> Time {
        let Some(node) = self.nodes.get(i) else { return Time::MIN };
        if !self.is_keyed(i) {
            return node.own;
        }
        let current = |c: ChannelId| self.channel_watermark(i, c);
        let own = self.moving.sources.iter().fold(node.own, |w, s| s.output_bound(i as u32, w, current));
        self.moving.holds.bound(node.emitted, own)
    }

    /// Role S: begin to send what the target will need.
    pub(super) fn start_warm(&mut self, plan: Arc<CutPlan>) -> Result<()> {
        self.ship_start(&plan)?;
        self.moving.warming.push_back(plan);
        Ok(())
    }

    /// A warm-up that is not needed any more: at the source nothing more is sent, at the target what came is dropped.
    pub(super) fn forget_warm(&mut self, batch: u64) -> Result<()> {
        self.moving.warming.retain(|p| p.batch != batch);
        self.moving.shipping.retain(|b| *b != batch);
        self.forget_arrived(|p| p.batch == batch)?;
        if self.moving.forgotten.len() >= FORGOTTEN {
            self.moving.forgotten.pop_front();
        }
        self.moving.forgotten.push_back(batch);
        self.each_table(|_, t| {
            t.ship_cancel(batch);
            Ok(())
        })
    }

    /// Drops what came in of these warm-ups.
    fn forget_arrived(&mut self, which: impl Fn(&CutPlan) -> bool) -> Result<()> {
        while let Some(at) = self.moving.arriving.iter().position(|p| which(p)) {
            let plan = self.moving.arriving.remove(at);
            self.each_table(|_, t| {
                t.discard(&plan.groups);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// From here on the tables know which entries of the batch the target lacks.
    fn ship_start(&mut self, plan: &CutPlan) -> Result<()> {
        if self.moving.shipping.contains(&plan.batch) {
            return Ok(());
        }
        self.moving.shipping.push(plan.batch);
        self.each_table(|_, t| t.ship_start(plan.batch, &plan.groups))
    }

    /// What must not wait behind new rows: Final for cuts whose fences are all here.
    pub(super) fn finish_cuts(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        if self.moving.complete.is_empty() || !self.keyed_nodes_rest() {
            return Ok(false);
        }
        // What an operator holds back of the batch was made here and must leave before Drained (I3).
        for i in 0..self.nodes.len() {
            if self.is_keyed(i) {
                self.node(i).tag = None;
                if self.call(i, Call::Flush)? == Flow::More {
                    self.node(i).unfinished = Some(Then::Nothing);
                    return Ok(true);
                }
            }
        }
        let (plan, complete) = self.moving.complete.remove(0);
        self.put_final(&plan, complete, out)?;
        Ok(true)
    }

    /// Encodes a slice of the oldest warm-up.
    pub(super) fn warm_some(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let Some(plan) = self.moving.warming.front().cloned() else { return Ok(false) };
        let (mut budget, mut done, mut tables) = (self.tuning.warm_bytes, true, Vec::new());
        self.each_table(|id, t| {
            if done && budget > 0 {
                let mut bytes = Vec::new();
                done = t.ship_slice(plan.batch, budget, &mut bytes)?;
                budget = budget.saturating_sub(bytes.len());
                if !bytes.is_empty() {
                    tables.push((id, bytes));
                }
            } else {
                done = false;
            }
            Ok(())
        })?;
        if !tables.is_empty() {
            out.send(plan.target, Event::Bulk(Bulk::Warm { plan: plan.clone(), tables }));
        }
        if done {
            self.moving.warming.pop_front();
            out.report(Report::Warmed(plan.batch));
        }
        Ok(true)
    }

    /// Every slot: switch routing and, in the same step, fence the channels to source and target.
    pub(super) fn start_cut(&mut self, plan: &Arc<CutPlan>, out: &mut dyn Outbox) -> Result<()> {
        if plan.source == self.id {
            // What is not warmed up by now goes with Final.
            self.ship_start(plan)?;
            self.moving.warming.retain(|p| p.batch != plan.batch);
            self.source_cut(plan);
        }
        if plan.target == self.id {
            self.receiving(plan);
        }
        let keyed: Vec<bool> = (0..self.nodes.len()).map(|i| self.is_keyed(i)).collect();
        let (id, graph, mut shipped) = (self.id, self.graph.clone(), std::mem::take(&mut self.shipped));
        for (edge, (node, o)) in graph.edges().iter().zip(self.senders.clone()) {
            if !keyed.get(edge.to.0).copied().unwrap_or(false) {
                continue;
            }
            if let Some(Out::Exchange { exchange, .. }) = self.node(node).outs.get_mut(o) {
                exchange.control_to(plan.source, Item::Fence(plan.clone()), id, &mut shipped);
                exchange.control_to(plan.target, Item::Fence(plan.clone()), id, &mut shipped);
            }
        }
        self.shipped = shipped;
        self.assignment.set(&plan.groups, plan.target, plan.version);
        self.send_shipped(out);
        Ok(())
    }

    /// A fence has been taken from a channel.
    pub(super) fn take_fence(&mut self, i: usize, c: usize, plan: &Arc<CutPlan>, out: &mut dyn Outbox) -> Result<()> {
        let Some(id) = self.node(i).channels.get(c).map(|c| ChannelId { edge: c.edge, from: c.from }) else { return Ok(()) };
        if plan.source == self.id {
            self.ship_start(plan)?;
            self.moving.warming.retain(|p| p.batch != plan.batch);
            self.source_cut(plan);
            let at = self.moving.sources.iter().position(|s| s.plan().batch == plan.batch);
            let mut cut = self.moving.sources.remove(at.unwrap_or(0));
            // The fence's channel belongs to the node that took it; each stage asks for channels of its own.
            let stages: Vec<(ChannelId, u32)> = self.stage_channels();
            let stage = |c: ChannelId| stages.iter().find(|(id, _)| *id == c).map_or(i, |(_, s)| *s as usize);
            let complete = cut.fence(id, |c| self.channel_watermark(stage(c), c));
            self.moving.sources.push(cut);
            if let Some(complete) = complete? {
                self.moving.complete.push((plan.clone(), complete));
            }
        }
        if plan.target == self.id {
            let effects = self.receiving(plan).cut.fence();
            self.obey(plan, effects, None, out)?;
        }
        Ok(())
    }

    /// Role S, when every fence is here, in one step: Final behind the warm-up; freeze; Drained on every output; then the watermark.
    fn put_final(&mut self, plan: &Arc<CutPlan>, complete: Complete, out: &mut dyn Outbox) -> Result<()> {
        let mut tables = Vec::new();
        self.each_table(|id, t| {
            tables.push((id, t.ship_final(plan.batch)?));
            t.freeze(plan.batch, plan.version)
        })?;
        let watermarks = complete.frontiers.iter().collect();
        out.send(plan.target, Event::Bulk(Bulk::Final { plan: plan.clone(), watermarks, tables, segment: self.segment }));
        for i in 0..self.nodes.len() {
            if let Body::Operator { op, keyed: true } = &mut self.node(i).body {
                op.after_release(&plan.groups);
                self.forward_control(i, || Item::Drained(plan.clone()));
            }
        }
        if let Some(cut) = self.moving.sources.iter_mut().find(|s| s.plan().batch == plan.batch) {
            cut.put_drained();
        }
        self.moving.shipping.retain(|b| *b != plan.batch);
        self.moving.frozen.freeze(plan.clone());
        self.moving.stats.batches_out += 1;
        for i in 0..self.nodes.len() {
            if self.is_keyed(i) {
                self.promise(i);
            }
        }
        Ok(())
    }

    /// Role X: the old owner has sent its last row on this channel.
    pub(super) fn take_drained(&mut self, i: usize, c: usize, plan: &Arc<CutPlan>) -> Result<()> {
        let keyed = self.is_keyed(i);
        let node = self.node(i);
        let Some(channel) = node.channels.get(c) else { return Ok(()) };
        if channel.exchanged {
            if let Some(edge) = node.edges.iter_mut().find(|e| e.edge == channel.edge) {
                let _released = edge.consumer.drained(plan.source, plan.batch, plan.version);
            }
            return Ok(());
        }
        if keyed {
            // A keyed node says Drained for itself.
            return Ok(());
        }
        let came = match node.drained.iter_mut().find(|(b, _)| *b == plan.batch) {
            Some((_, n)) => {
                *n += 1;
                *n
            }
            None => {
                node.drained.push((plan.batch, 1));
                1
            }
        };
        if came >= node.keyed_inputs {
            node.drained.retain(|(b, _)| *b != plan.batch);
            self.forward_control(i, || Item::Drained(plan.clone()));
        }
        Ok(())
    }

    /// Role T: state comes in.
    pub(super) fn take_bulk(&mut self, bulk: Bulk, out: &mut dyn Outbox) -> Result<()> {
        match bulk {
            Bulk::Warm { plan, tables } => {
                // Its source heard later than this slot that the warm-up was dropped.
                if self.moving.forgotten.contains(&plan.batch) {
                    return Ok(());
                }
                if !self.moving.arriving.iter().any(|p| p.batch == plan.batch) {
                    // Some older warm-up of these groups was dropped, and this slot has not heard of it yet.
                    self.forget_arrived(|p| p.groups.intersects(&plan.groups))?;
                    self.moving.arriving.push(plan.clone());
                }
                self.each_table(|id, t| tables.iter().filter(|(i, _)| *i == id).try_for_each(|(_, b)| t.absorb(b)))
            }
            Bulk::Final { plan, watermarks, tables, segment } => {
                self.moving.arriving.retain(|p| p.batch != plan.batch);
                self.segment = self.segment.max(segment) + 1;
                self.moving.stats.batches_in += 1;
                let first = self.receiving(&plan).cut.phase() == TargetPhase::Waiting;
                self.moving.stats.final_first += u64::from(first);
                let effects = self.receiving(&plan).cut.final_(watermarks.into_iter().collect())?;
                self.obey(&plan, effects, Some(&tables), out)
            }
        }
    }

    fn obey(
        &mut self,
        plan: &Arc<CutPlan>,
        effects: Vec<TargetEffect>,
        tables: Option<&[(u64, ShipFinal)]>,
        out: &mut dyn Outbox,
    ) -> Result<()> {
        for effect in effects {
            match effect {
                TargetEffect::DropFrozen => self.drop_superseded(plan)?,
                // The gate is the answer of `TargetCut::gates`; credits are given back when an item is taken.
                TargetEffect::StartGate => {}
                TargetEffect::StartHold => self.moving.holds.start(plan.batch),
                TargetEffect::Apply => {
                    for (id, last) in tables.unwrap_or_default() {
                        self.each_table(|t_id, t| if t_id == *id { t.absorb_final(last, &plan.groups) } else { Ok(()) })?;
                    }
                    let cut = self.moving.targets.iter().find(|t| t.cut.plan().batch == plan.batch);
                    for (i, node) in self.nodes.iter_mut().enumerate() {
                        let watermark = cut.map_or(node.own, |t| t.cut.batch_watermark(i as u32, node.own));
                        if let Body::Operator { op, keyed: true } = &mut node.body {
                            op.after_absorb(&plan.groups, watermark)?;
                        }
                    }
                }
                TargetEffect::FireTimers { upto } => self.fire(plan, &upto),
                TargetEffect::ReleaseHold => {
                    if self.moving.holds.release(plan.batch) {
                        for i in 0..self.nodes.len() {
                            if self.is_keyed(i) {
                                self.promise(i);
                            }
                        }
                    }
                }
                TargetEffect::ReportActive => {
                    let waited = self.now.saturating_sub(self.receiving(plan).since);
                    self.moving.stats.gated(u64::try_from(waited).unwrap_or(0));
                    out.report(Report::Active(plan.batch));
                }
            }
        }
        Ok(())
    }

    fn fire(&mut self, plan: &Arc<CutPlan>, _upto: &Frontiers) {
        let firing = (0..self.nodes.len()).filter(|i| self.is_keyed(*i)).collect();
        self.receiving(plan).firing = firing;
    }

    /// Role T: works the gates off, one batch of rows at a time, then fires the timers, one node at a time.
    pub(super) fn drain_some(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        for at in 0..self.moving.targets.len() {
            let Some(receiving) = self.moving.targets.get_mut(at) else { continue };
            let (plan, phase) = (receiving.cut.plan().clone(), receiving.cut.phase());
            match phase {
                TargetPhase::Draining => {
                    if let Some((i, _, _)) = receiving.gate.front() {
                        let i = *i;
                        if !self.free(i) {
                            continue;
                        }
                        let Some(receiving) = self.moving.targets.get_mut(at) else { continue };
                        let tag = receiving.cut.tag_at(i as u32);
                        if let Some((_, port, batch)) = receiving.gate.pop_front() {
                            self.take_part(i, Part { port, batch, tag }, out)?;
                        }
                        return Ok(true);
                    }
                    if !self.keyed_nodes_rest() {
                        continue;
                    }
                    let own: Vec<Time> = self.nodes.iter().map(|n| n.own).collect();
                    let Some(receiving) = self.moving.targets.get_mut(at) else { continue };
                    let effects = receiving.cut.gate_empty(|stage| own.get(stage as usize).copied().unwrap_or(Time::MIN));
                    self.obey(&plan, effects, None, out)?;
                    return Ok(true);
                }
                TargetPhase::Firing => {
                    let Some(i) = receiving.firing.first().copied() else {
                        if !self.keyed_nodes_rest() {
                            continue;
                        }
                        let Some(receiving) = self.moving.targets.get_mut(at) else { continue };
                        receiving.cut.timers_fired();
                        return Ok(true);
                    };
                    if !self.free(i) {
                        continue;
                    }
                    self.fire_node(at, i, out)?;
                    return Ok(true);
                }
                TargetPhase::Waiting | TargetPhase::Gating | TargetPhase::Active => {}
            }
        }
        Ok(false)
    }

    /// The batch's timers at one node, and no others, up to the node's watermark.
    fn fire_node(&mut self, at: usize, i: usize, out: &mut dyn Outbox) -> Result<()> {
        let own = self.node(i).own;
        let Some(receiving) = self.moving.targets.get_mut(at) else { return Ok(()) };
        receiving.firing.retain(|n| *n != i);
        let (plan, tag) = (receiving.cut.plan().clone(), receiving.cut.tag_at(i as u32));
        let upto = receiving.cut.batch_watermark(i as u32, own);
        let upto = if self.moving.rules.fire_as_of_empty_gate() { upto } else { upto.max(own) };
        let watermarks = Watermarks { own: Time::MIN, moving: vec![(plan.groups.clone(), upto)] };
        self.node(i).tag = tag;
        let flow = self.call(i, Call::Watermark(&watermarks))?;
        self.after(i, flow, Then::Fired(plan.batch), out)
    }

    pub(super) fn fired(&mut self, i: usize, _batch: u64, _out: &mut dyn Outbox) -> Result<()> {
        self.node(i).tag = None;
        Ok(())
    }

    /// Rows at a keyed node by the batch they belong to: gated ones to the gate, tagged ones into parts of their own.
    pub(super) fn split_rows(&mut self, i: usize, port: u8, batch: Batch) {
        let targets = &self.moving.targets;
        let class = |h: &u64| targets.iter().position(|t| t.cut.plan().groups.contains_hash(*h)).map_or(0, |k| k as u16 + 1);
        let classes: Vec<u16> = batch.hashes().iter().map(class).collect();
        let mut parts: Vec<Option<Batch>> = Vec::new();
        parts.resize_with(targets.len() + 1, || None);
        if classes.iter().all(|c| *c == 0) {
            self.node(i).parts.push_back(Part { port, batch, tag: None });
            return;
        }
        batch.scatter(&classes, &mut parts);
        let mut gated = 0;
        for (k, part) in parts.into_iter().enumerate() {
            let Some(batch) = part else { continue };
            let receiving = k.checked_sub(1).and_then(|k| self.moving.targets.get_mut(k));
            match receiving {
                Some(r) if r.cut.gates() => {
                    gated += batch.len() as u64;
                    r.gate.push_back((i, port, batch));
                }
                Some(r) => {
                    let tag = r.cut.tag_at(i as u32);
                    self.node(i).parts.push_back(Part { port, batch, tag });
                }
                None => self.node(i).parts.push_back(Part { port, batch, tag: None }),
            }
        }
        self.moving.stats.gated_rows += gated;
    }

    /// A newer cut brings groups back: their older frozen copy goes, published or not heard of yet (I11).
    fn drop_superseded(&mut self, plan: &CutPlan) -> Result<()> {
        for old in self.moving.frozen.superseded(plan) {
            self.each_table(|_, t| {
                t.drop_frozen(old.version);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A manifest carries cuts up to this version: frozen copies made by them go.
    pub(super) fn drop_carried(&mut self, version: u64) -> Result<()> {
        for old in self.moving.frozen.published(version) {
            self.each_table(|_, t| {
                t.drop_frozen(old.version);
                Ok(())
            })?;
        }
        Ok(())
    }
}
