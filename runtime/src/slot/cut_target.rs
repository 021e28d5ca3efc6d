//! Roles T and X in a cut-over: gate, take state in, drain, fire, be active; and wait for the old owner's last row.
//!
//! The gate drains under Final's watermark, then the batch's timers fire, then the output watermark is released (I6).
//!
//! A Final waits until this slot has been told of every cut that its source knew. Otherwise a row that S sent to the new owner of a group of
//! the next stage, where it is gated, would be overtaken: this slot would send later rows of the same key to the old owner, which works on
//! them at once (I3). The wait ends by itself: the coordinator tells all slots of a cut in one step, in the order of versions.

use std::sync::Arc;

use crate::container::Batch;
use crate::error::Result;
use crate::frame::Item;
use crate::messages::Report;
use crate::operator::Watermarks;
use crate::protocol::cut::target::{TargetEffect, TargetPhase};
use crate::protocol::cut::{ChannelId, CutPlan};
use crate::state::ShipFinal;
use crate::time::Time;

use super::event::Bulk;
use super::flow::Call;
use super::node::{Body, Channel, Part, Then};
use super::{Event, Outbox, Slot};

impl Slot {
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

    /// Role T: takes up one piece of the state that has come in. `cut`: only if rows wait behind it, that is, if a Final is among it.
    pub(super) fn absorb_some(&mut self, cut: bool, out: &mut dyn Outbox) -> Result<bool> {
        let (known, waits) = (self.assignment.version, self.moving.rules.final_after_table());
        let may = |b: &Bulk| match b {
            Bulk::Final { table, .. } => *table <= known || !waits,
            Bulk::Warm { .. } => true,
        };
        let incoming = &mut self.moving.incoming;
        if cut && !incoming.iter().any(|b| matches!(b, Bulk::Final { .. }) && may(b)) {
            return Ok(false);
        }
        // Nothing of a batch comes behind its Final, so what goes past one that waits belongs to other batches.
        match incoming.iter().position(may).and_then(|at| incoming.remove(at)) {
            Some(bulk) => self.take_bulk(bulk, out).map(|()| true),
            None => Ok(false),
        }
    }

    fn take_bulk(&mut self, bulk: Bulk, out: &mut dyn Outbox) -> Result<()> {
        match bulk {
            Bulk::Warm { plan, tables } => {
                out.send(plan.source, Event::WarmupAck(plan.batch));
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
            Bulk::Final { plan, watermarks, tables, segment, table: _ } => {
                self.moving.arriving.retain(|p| p.batch != plan.batch);
                if self.moving.rules.segment_rises() {
                    self.segment = self.segment.max(segment) + 1;
                }
                self.moving.stats.batches_in += 1;
                let first = self.receiving(&plan).cut.phase() == TargetPhase::Waiting;
                self.moving.stats.final_first += u64::from(first);
                let effects = self.receiving(&plan).cut.final_(watermarks.into_iter().collect())?;
                self.obey(&plan, effects, Some(&tables), out)
            }
        }
    }

    pub(super) fn obey(
        &mut self,
        plan: &Arc<CutPlan>,
        effects: Vec<TargetEffect>,
        tables: Option<&[(u64, ShipFinal)]>,
        out: &mut dyn Outbox,
    ) -> Result<()> {
        for effect in effects {
            match effect {
                TargetEffect::DropFrozen => self.drop_superseded(plan)?,
                TargetEffect::StartHold => self.moving.holds.start(plan.batch),
                TargetEffect::Apply => {
                    for (id, last) in tables.unwrap_or_default() {
                        self.each_table(|t_id, t| if t_id == *id { t.absorb_final(last, &plan.groups) } else { Ok(()) })?;
                    }
                    let cut = self.moving.targets.iter().find(|t| t.cut.plan().batch == plan.batch);
                    for (i, node) in self.nodes.iter_mut().enumerate() {
                        let watermark = cut.map_or(node.own, |t| t.cut.batch_watermark(i as u32, node.own));
                        if let Body::Operator { op, keyed: true } = &mut node.body
                            && self.moving.rules.arrival_finds_timers()
                        {
                            op.after_absorb(&plan.groups, watermark)?;
                        }
                        // A call under way began without these groups: for them it goes no further than they have come (I6).
                        if let Some(under) = &mut node.under {
                            under.moving.insert(0, (plan.groups.clone(), watermark));
                        }
                    }
                }
                TargetEffect::FireTimers => self.fire(plan),
                TargetEffect::ReleaseHold => {
                    if self.moving.holds.release(plan.batch) {
                        for i in 0..self.nodes.len() {
                            if self.is_keyed(i) {
                                self.advance_output_watermark(i);
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

    pub(super) fn fire(&mut self, plan: &Arc<CutPlan>) {
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
                    for i in 0..self.nodes.len() {
                        if self.trust_final(i) {
                            self.advance(i, out)?;
                            return Ok(true);
                        }
                    }
                    let own: Vec<Time> = self.nodes.iter().map(|n| n.own).collect();
                    let Some(receiving) = self.moving.targets.get_mut(at) else { continue };
                    let effects = receiving.cut.gate_empty(|stage| own.get(stage as usize).copied().unwrap_or(Time::MIN));
                    self.obey(&plan, effects, None, out)?;
                    for (edge, from, rows) in std::mem::take(&mut self.moving.owed) {
                        self.give_credit(edge, from, rows, out);
                    }
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

    /// A newcomer has not heard of other newcomers what everybody else knew of them before they came. A Final says it: on a channel whose fence
    /// has come, nothing follows that is older. Without that the newcomer would stand before what has fired for the groups it has, and
    /// a snapshot, or the next owner, would fire it again. True if some channel of the node knows more now.
    pub(super) fn trust_final(&mut self, i: usize) -> bool {
        let mut learned = false;
        let Some(node) = self.nodes.get_mut(i).filter(|_| self.moving.rules.newcomer_trusts_final()) else { return false };
        for t in self.moving.targets.iter().filter(|t| t.cut.active()) {
            let upto = t.cut.final_watermark(i as u32);
            let silent = |c: &&mut Channel| c.joined && !c.idle && c.watermark == Time::MIN && upto > Time::MIN;
            let fenced = |c: &Channel| t.fenced.contains(&ChannelId { edge: c.edge, from: c.from });
            for c in node.channels.iter_mut().filter(silent).filter(|c| fenced(c)) {
                c.watermark = upto;
                learned = true;
            }
        }
        learned
    }

    /// The batch's timers at one node, and no others, up to the node's watermark.
    pub(super) fn fire_node(&mut self, at: usize, i: usize, out: &mut dyn Outbox) -> Result<()> {
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
    pub(super) fn drop_superseded(&mut self, plan: &CutPlan) -> Result<()> {
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
