//! Role S in a cut-over, and what every slot does for one: warm the target up, fence, send Final, say Drained.
//!
//! The order inside a step matters: Final goes behind the warm-up, Drained behind the last row, the released watermark behind Drained.

use std::sync::Arc;

use crate::error::Result;
use crate::frame::Item;
use crate::messages::Report;
use crate::operator::{Flow, Watermarks};
use crate::protocol::cut::source::Complete;
use crate::protocol::cut::{ChannelId, CutPlan, Frontiers};

use super::cuts::{WARM_ITEMS, Warming};
use super::event::Bulk;
use super::flow::Call;
use super::node::{Body, Then};
use super::{Event, Outbox, Slot};

impl Slot {
    /// Role S: begin to send what the target will need.
    pub(super) fn start_warm(&mut self, plan: Arc<CutPlan>) -> Result<()> {
        self.ship_start(&plan)?;
        self.cuts.warming.push_back(Warming { plan, under_way: 0, sent: false });
        Ok(())
    }

    /// A warm-up that is not needed any more: at the source nothing more is sent, at the target what came is dropped.
    pub(super) fn forget_warm(&mut self, batch: u64) -> Result<()> {
        self.cuts.stop_warming(batch);
        self.cuts.shipping.retain(|b| *b != batch);
        self.forget_arrived(|p| p.batch == batch)?;
        self.cuts.forget(batch);
        self.nodes.each_table(|_, t| {
            t.ship_cancel(batch);
            Ok(())
        })
    }

    /// Drops what came in of these warm-ups.
    pub(super) fn forget_arrived(&mut self, which: impl Fn(&CutPlan) -> bool) -> Result<()> {
        while let Some(plan) = self.cuts.take_arriving(&which) {
            self.nodes.each_table(|_, t| {
                t.discard(&plan.groups);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// From here on the tables know which entries of the batch the target lacks.
    pub(super) fn ship_start(&mut self, plan: &CutPlan) -> Result<()> {
        if self.cuts.shipping.contains(&plan.batch) {
            return Ok(());
        }
        self.cuts.shipping.push(plan.batch);
        self.nodes.each_table(|_, t| t.ship_start(plan.batch, &plan.groups))
    }

    /// Moves that must not wait behind new rows: Final for cuts whose fences are all here.
    pub(super) fn finish_cuts(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        if self.cuts.complete.is_empty() || !self.nodes.keyed_rest() {
            return Ok(false);
        }
        if self.fire_up_to_final()? {
            return Ok(true);
        }
        // Rows of the batch that an operator holds back were made here and must leave before Drained (I3).
        for i in 0..self.nodes.len() {
            if self.nodes.is_keyed(i) && self.cuts.rules.flush_before_drained() {
                self.nodes.at(i).tag = None;
                if self.call(i, Call::Flush)? == Flow::More {
                    self.nodes.at(i).unfinished = Some(Then::Nothing);
                    return Ok(true);
                }
            }
        }
        let (plan, complete) = self.cuts.complete.remove(0);
        self.put_final(&plan, complete, out)?;
        Ok(true)
    }

    /// Final says that everything up to its watermark has fired. Where channels went idle and spoke again the slot's own may be behind
    /// it: then the batch, and nothing else, catches up. True if a node has more to fire.
    fn fire_up_to_final(&mut self) -> Result<bool> {
        let Some((plan, complete)) = self.cuts.complete.first() else { return Ok(false) };
        let (groups, frontiers) = (plan.groups.clone(), complete.frontiers.clone());
        for (stage, upto) in frontiers.iter() {
            let i = stage as usize;
            if upto <= self.nodes.at(i).own {
                continue;
            }
            self.nodes.at(i).tag = None;
            let watermarks = Watermarks { own: crate::time::Time::MIN, moving: vec![(groups.clone(), upto)] };
            if self.call(i, Call::Watermark(&watermarks))? == Flow::More {
                self.nodes.at(i).unfinished = Some(Then::Nothing);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Encodes a slice of the oldest warm-up.
    pub(super) fn warm_some(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let Some(warming) = self.cuts.warming.front().filter(|w| !w.sent && w.under_way < WARM_ITEMS) else { return Ok(false) };
        let plan = warming.plan.clone();
        let (mut budget, mut done, mut tables) = (self.schedule.tuning.warm_bytes, true, Vec::new());
        self.nodes.each_table(|id, t| {
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
        if let Some(warming) = self.cuts.warming.front_mut() {
            warming.under_way += u32::from(!tables.is_empty());
            warming.sent = done;
        }
        if !tables.is_empty() {
            out.send(plan.target, Event::Bulk(Bulk::Warm { plan, tables }));
        }
        self.warmed(out);
        Ok(true)
    }

    /// The target has taken an item in.
    pub(super) fn take_taken(&mut self, batch: u64, out: &mut dyn Outbox) {
        self.cuts.acknowledged(batch);
        self.warmed(out);
    }

    /// Says that a warm-up is over once its target has all of it: a cut then finds nothing before its Final.
    fn warmed(&mut self, out: &mut dyn Outbox) {
        if let Some(batch) = self.cuts.warmed() {
            out.report(Report::Warmed(batch));
        }
    }

    /// Every slot: switch routing and, in the same step, fence the channels to source and target.
    pub(super) fn start_cut(&mut self, plan: &Arc<CutPlan>, out: &mut dyn Outbox) -> Result<()> {
        if plan.source == self.id {
            // Entries that are not warmed up by now go with Final.
            self.ship_start(plan)?;
            self.cuts.stop_warming(plan.batch);
            self.cuts.source(plan, &self.nodes);
            if self.nodes.stage_channels().is_empty() {
                // A job without keyed state: no channel leads into a moving stage, so no fence will ever come.
                self.cuts.complete.push((plan.clone(), Complete { frontiers: Frontiers::default() }));
            }
        }
        if plan.target == self.id {
            self.cuts.receiving(plan, self.clock.now());
        }
        self.routing.fence(&mut self.nodes, plan);
        self.routing.send(&mut self.nodes, out);
        Ok(())
    }

    /// A fence has been taken from a channel.
    pub(super) fn take_fence(&mut self, i: usize, c: usize, plan: &Arc<CutPlan>, out: &mut dyn Outbox) -> Result<()> {
        let Some(id) = self.nodes.at(i).channels.get(c).map(|c| ChannelId { edge: c.edge, from: c.from }) else { return Ok(()) };
        if plan.source == self.id {
            self.ship_start(plan)?;
            self.cuts.stop_warming(plan.batch);
            self.cuts.source_fence(plan, id, i, &self.nodes)?;
        }
        if plan.target == self.id {
            let receiving = self.cuts.receiving(plan, self.clock.now());
            receiving.fenced.push(id);
            let effects = receiving.cut.fence();
            self.obey(plan, effects, None, out)?;
            if self.cuts.trust_final(i as u32, self.nodes.at(i)) {
                self.advance(i, out)?;
            }
        }
        Ok(())
    }

    /// Role S, when every fence is here, in one step: Final behind the warm-up; freeze; Drained on every output; then the watermark.
    pub(super) fn put_final(&mut self, plan: &Arc<CutPlan>, complete: Complete, out: &mut dyn Outbox) -> Result<()> {
        let (mut tables, rules) = (Vec::new(), self.cuts.rules);
        self.nodes.each_table(|id, t| {
            let mut last = t.ship_final(plan.batch)?;
            if !rules.final_covers() {
                last.items.clear();
            }
            if !rules.dirty_moves() {
                last.names.clear();
            }
            tables.push((id, last));
            t.freeze(plan.batch, plan.version)?;
            if !rules.undo_stays() {
                t.drop_frozen(plan.version);
            }
            Ok(())
        })?;
        let watermarks = complete.frontiers.iter().collect();
        let (segment, table) = (self.epochs.segment(), self.routing.assignment.version);
        out.send(plan.target, Event::Bulk(Bulk::Final { plan: plan.clone(), watermarks, tables, segment, table }));
        for i in 0..self.nodes.len() {
            if let Body::Operator { op, keyed: true } = &mut self.nodes.at(i).body {
                op.after_release(&plan.groups);
                if !rules.drained_then_watermark() {
                    let own = self.nodes.at(i).own;
                    self.routing.watermark(&mut self.nodes, i, own, true);
                }
                self.routing.control(&mut self.nodes, i, || Item::Drained(plan.clone()));
            }
        }
        if let Some(cut) = self.cuts.sources.iter_mut().find(|s| s.plan().batch == plan.batch) {
            cut.put_drained();
        }
        self.cuts.shipping.retain(|b| *b != plan.batch);
        self.cuts.frozen.freeze(plan.clone());
        self.cuts.stats.batches_out += 1;
        for i in 0..self.nodes.len() {
            if self.nodes.is_keyed(i) {
                self.advance_output_watermark(i);
            }
        }
        Ok(())
    }
}
