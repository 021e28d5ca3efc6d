//! Roles T and X in a cut-over: gate, take state in, drain, fire, be active; and wait for the old owner's last row.
//!
//! The gate drains under Final's watermark, then the batch's timers fire, then the output watermark is released (I6).
//!
//! A Final waits until this slot has been told of every cut that its source knew. Otherwise a row that S sent to the new owner of a group
//! of the next stage, where it is gated, would be overtaken: this slot would send later rows of the same key to the old owner, which
//! works on them at once (I3). The wait ends by itself: the coordinator tells all slots of a cut in one step, in the order of versions.

use std::sync::Arc;

use crate::error::Result;
use crate::frame::Item;
use crate::messages::Report;
use crate::operator::Watermarks;
use crate::protocol::cut::CutPlan;
use crate::protocol::cut::target::{TargetEffect, TargetPhase};
use crate::state::ShipFinal;
use crate::time::Time;

use super::event::Bulk;
use super::flow::Call;
use super::node::{Body, Part, Then};
use super::{Event, Outbox, Slot};

impl Slot {
    /// Role X: the old owner has sent its last row on this channel.
    pub(super) fn take_drained(&mut self, i: usize, c: usize, plan: &Arc<CutPlan>) -> Result<()> {
        let keyed = self.nodes.is_keyed(i);
        let node = self.nodes.at(i);
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
            self.routing.control(&mut self.nodes, i, || Item::Drained(plan.clone()));
        }
        Ok(())
    }

    /// Role T: takes up one piece of the state that has come in. `cut`: only if rows wait behind it, that is, if a Final is among it.
    pub(super) fn absorb_some(&mut self, cut: bool, out: &mut dyn Outbox) -> Result<bool> {
        match self.cuts.next_bulk(cut, self.routing.assignment.version) {
            Some(bulk) => self.take_bulk(bulk, out).map(|()| true),
            None => Ok(false),
        }
    }

    fn take_bulk(&mut self, bulk: Bulk, out: &mut dyn Outbox) -> Result<()> {
        match bulk {
            Bulk::Warm { plan, tables } => {
                out.send(plan.source, Event::WarmupAck(plan.batch));
                // The source heard later than this slot that the warm-up was dropped.
                if self.cuts.is_forgotten(plan.batch) {
                    return Ok(());
                }
                if !self.cuts.arriving.iter().any(|p| p.batch == plan.batch) {
                    // Some older warm-up of these groups was dropped, and this slot has not heard of it yet.
                    self.forget_arrived(|p| p.groups.intersects(&plan.groups))?;
                    self.cuts.arriving.push(plan.clone());
                }
                self.nodes.each_table(|id, t| tables.iter().filter(|(i, _)| *i == id).try_for_each(|(_, b)| t.absorb(b)))
            }
            Bulk::Final { plan, watermarks, tables, segment, table: _ } => {
                self.cuts.arriving.retain(|p| p.batch != plan.batch);
                if self.cuts.rules.segment_rises() {
                    self.epochs.raise_segment(segment);
                }
                self.cuts.stats.batches_in += 1;
                let receiving = self.cuts.receiving(&plan, self.clock.now());
                let first = receiving.cut.phase() == TargetPhase::Waiting;
                let effects = receiving.cut.final_(watermarks.into_iter().collect());
                self.cuts.stats.final_first += u64::from(first);
                let effects = effects?;
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
                TargetEffect::DropFrozen => self.drop_superseded(plan),
                TargetEffect::StartHold => self.cuts.holds.start(plan.batch),
                TargetEffect::Apply => {
                    for (id, last) in tables.unwrap_or_default() {
                        self.nodes.each_table(|t_id, t| if t_id == *id { t.absorb_final(last, &plan.groups) } else { Ok(()) })?;
                    }
                    let cut = self.cuts.targets.iter().find(|t| t.cut.plan().batch == plan.batch);
                    for (i, node) in self.nodes.iter_mut().enumerate() {
                        let watermark = cut.map_or(node.own, |t| t.cut.batch_watermark(i as u32, node.own));
                        if let Body::Operator { op, keyed: true } = &mut node.body
                            && self.cuts.rules.arrival_finds_timers()
                        {
                            op.after_absorb(&plan.groups, watermark)?;
                        }
                        // A call under way began without these groups: for them it goes no further than they have come (I6).
                        if let Some(under) = &mut node.under {
                            under.moving.insert(0, (plan.groups.clone(), watermark));
                        }
                    }
                }
                TargetEffect::FireTimers => {
                    self.cuts.receiving(plan, self.clock.now()).firing = self.nodes.keyed().collect();
                }
                TargetEffect::ReleaseHold => {
                    if self.cuts.holds.release(plan.batch) {
                        for i in 0..self.nodes.len() {
                            if self.nodes.is_keyed(i) {
                                self.advance_output_watermark(i);
                            }
                        }
                    }
                }
                TargetEffect::ReportActive => {
                    let waited = self.clock.now().saturating_sub(self.cuts.receiving(plan, self.clock.now()).since);
                    self.cuts.stats.gated(u64::try_from(waited).unwrap_or(0));
                    out.report(Report::Active(plan.batch));
                }
            }
        }
        Ok(())
    }

    /// Role T: works the gates off, one batch of rows at a time, then fires the timers, one node at a time.
    pub(super) fn drain_some(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        for at in 0..self.cuts.targets.len() {
            let Some(receiving) = self.cuts.targets.get_mut(at) else { continue };
            let (plan, phase) = (receiving.cut.plan().clone(), receiving.cut.phase());
            match phase {
                TargetPhase::Draining => {
                    if let Some((i, _, _)) = receiving.gate.front() {
                        let i = *i;
                        if !self.nodes.free(i) {
                            continue;
                        }
                        let Some(receiving) = self.cuts.targets.get_mut(at) else { continue };
                        let tag = receiving.cut.tag_at(i as u32);
                        if let Some((_, port, batch)) = receiving.gate.pop_front() {
                            self.take_part(i, Part { port, batch, tag }, out)?;
                        }
                        return Ok(true);
                    }
                    if !self.nodes.keyed_rest() {
                        continue;
                    }
                    for i in 0..self.nodes.len() {
                        if self.cuts.trust_final(i as u32, self.nodes.at(i)) {
                            self.advance(i, out)?;
                            return Ok(true);
                        }
                    }
                    let own: Vec<Time> = self.nodes.iter().map(|n| n.own).collect();
                    let Some(receiving) = self.cuts.targets.get_mut(at) else { continue };
                    let effects = receiving.cut.gate_empty(|stage| own.get(stage as usize).copied().unwrap_or(Time::MIN));
                    self.obey(&plan, effects, None, out)?;
                    for (edge, from, rows) in std::mem::take(&mut self.cuts.owed) {
                        self.give_credit(edge, from, rows, out);
                    }
                    return Ok(true);
                }
                TargetPhase::Firing => {
                    let Some(i) = receiving.firing.first().copied() else {
                        if !self.nodes.keyed_rest() {
                            continue;
                        }
                        let Some(receiving) = self.cuts.targets.get_mut(at) else { continue };
                        receiving.cut.timers_fired();
                        return Ok(true);
                    };
                    if !self.nodes.free(i) {
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
    pub(super) fn fire_node(&mut self, at: usize, i: usize, out: &mut dyn Outbox) -> Result<()> {
        let own = self.nodes.at(i).own;
        let Some(receiving) = self.cuts.targets.get_mut(at) else { return Ok(()) };
        receiving.firing.retain(|n| *n != i);
        let (plan, tag) = (receiving.cut.plan().clone(), receiving.cut.tag_at(i as u32));
        let upto = receiving.cut.batch_watermark(i as u32, own);
        let upto = if self.cuts.rules.fire_as_of_empty_gate() { upto } else { upto.max(own) };
        let watermarks = Watermarks { own: Time::MIN, moving: vec![(plan.groups.clone(), upto)] };
        self.nodes.at(i).tag = tag;
        let flow = self.call(i, Call::Watermark(&watermarks))?;
        self.after(i, flow, Then::Fired, out)
    }

    /// A newer cut brings groups back: their older frozen copy goes, published or not heard of yet (I11).
    pub(super) fn drop_superseded(&mut self, plan: &CutPlan) {
        for old in self.cuts.frozen.superseded(plan) {
            self.nodes.drop_frozen(old.version);
        }
    }

    /// A manifest carries cuts up to this version: frozen copies made by them go.
    pub(super) fn drop_carried(&mut self, version: u64) {
        for old in self.cuts.frozen.published(version) {
            self.nodes.drop_frozen(old.version);
        }
    }
}
