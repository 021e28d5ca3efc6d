//! Barriers at one slot: alignment, what changes at one, encoding what an epoch wrote, sealing what its sinks got.
//!
//! A barrier goes into the stream at the sources and passes node by node. When the last node has it, the slot's part of the exclusive
//! window (I9) is over. Then, between batches, the entries that the epoch wrote are encoded in slices; when that is done and the sinks'
//! output is durable, the slot hands its part of the manifest over.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::Item;
use crate::key::SlotId;
use crate::messages::{Barrier, EpochPart, Report};
use crate::time::Time;

use super::node::{Body, Channel};
use super::{Outbox, Slot};

impl Slot {
    /// The coordinator's barrier goes into the stream: behind everything the sources have emitted.
    pub(super) fn inject(&mut self, barrier: &Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        if barrier.epoch != self.epochs.current() {
            return Err(Error::broken(
                "I9",
                format!("barrier {} came to slot {} in epoch {}", barrier.epoch, self.id.0, self.epochs.current()),
            ));
        }
        let closes = self.cuts.rules.drain_at_barrier();
        let (me, mut part, mut handed) = (self.id, EpochPart::default(), Vec::new());
        for node in self.nodes.iter_mut() {
            if let Body::Source(s) = &mut node.body {
                if closes && barrier.ends.contains(&s.id) {
                    s.close();
                }
                let (all, gone) = s.barrier(barrier, me);
                part.changed |= std::mem::take(&mut s.changed);
                part.splits.extend(all);
                handed.extend(gone);
            }
        }
        if !handed.is_empty() {
            out.report(Report::Handed(barrier.epoch, handed));
        }
        self.epochs.begin(barrier.epoch, self.nodes.len(), part);
        for i in 0..self.nodes.len() {
            if matches!(self.nodes.at(i).body, Body::Source(_)) {
                self.align(i, barrier, out)?;
            }
        }
        Ok(())
    }

    /// A channel's barrier: the channel waits until the node's other channels have theirs.
    pub(super) fn take_barrier(&mut self, i: usize, c: usize, barrier: &Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        let node = self.nodes.at(i);
        if let Some(channel) = node.channels.get_mut(c) {
            channel.aligned = true;
        }
        if !node.all_aligned() {
            return Ok(());
        }
        self.flush(i, barrier.clone(), out)
    }

    /// All channels of a node have the barrier and the node has emitted all it held back.
    pub(super) fn align(&mut self, i: usize, barrier: &Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        let epoch = barrier.epoch;
        let node = self.nodes.at(i);
        let id = node.id;
        for edge in &mut node.edges {
            edge.consumer.barrier()?;
        }
        self.cuts.stage_barrier(i as u32)?;
        let (own, mut result) = (node.own, Ok(()));
        match &mut node.body {
            Body::Operator { op, .. } => op.tables(&mut |t| {
                if result.is_ok() {
                    result = t.begin_epoch(epoch + 1);
                }
            }),
            Body::Sink(sink) => result = sink.seal(epoch),
            Body::Source(_) => {}
        }
        result?;
        node.epoch = epoch + 1;
        self.routing.control(&mut self.nodes, i, || Item::Barrier(barrier.clone()));
        for channel in &mut self.nodes.at(i).channels {
            channel.aligned = false;
        }
        self.promise_nothing(i, barrier);
        self.lower_for_moves(i, barrier);
        if let Some(members) = &barrier.members {
            self.change_members(i, members);
        }
        match self.epochs.node_aligned(epoch, id, own) {
            Some(true) => self.aligned(out),
            Some(false) => Ok(()),
            None => {
                Err(Error::broken("I9", format!("node {} aligned for epoch {epoch}, which has not begun here", self.name(i))))
            }
        }
    }

    fn aligned(&mut self, out: &mut dyn Outbox) -> Result<()> {
        self.cuts.barrier()?;
        if let Some(epoch) = self.epochs.aligned() {
            out.report(Report::Aligned(epoch));
        }
        Ok(())
    }

    /// At a barrier that moves splits from one slot to another, the receiver lets the new reader's channel stand no higher than the old
    /// reader's: the split's rows come there from now on (I6).
    fn lower_for_moves(&mut self, i: usize, barrier: &Barrier) {
        if !self.cuts.rules.moved_split_lowers() {
            return;
        }
        for m in &barrier.moves {
            for c in 0..self.nodes.at(i).channels.len() {
                let Some((edge, from)) = self.nodes.at(i).channels.get(c).map(|c| (c.edge, c.from)) else { continue };
                if from != m.to || !self.routing.exchanged(edge) || !self.routing.feeds(m.node, edge) {
                    continue;
                }
                let node = self.nodes.at(i);
                let own = node.own;
                let old = node.channels.iter().find(|c| c.edge == edge && c.from == m.from).map_or(Time::MIN, |c| c.watermark);
                if let Some(channel) = node.channels.get_mut(c) {
                    // Never below the node itself: a idle channel may stand anywhere, but what is due up to here has fired.
                    channel.watermark = channel.watermark.min(old).max(own);
                    channel.idle = false;
                }
            }
        }
    }

    /// From the next epoch on, other slots take part.
    fn change_members(&mut self, i: usize, members: &[SlotId]) {
        let inputs = self.routing.exchanges_into(i);
        let node = self.nodes.at(i);
        let own = node.own;
        for (edge, port) in inputs {
            for m in members {
                let c = node.channel(edge, port, *m);
                if let Some(channel) = node.channels.get_mut(c).filter(|c| !c.joined) {
                    // The rows of a new slot were bounded by another's promise before: what is due up to here has fired, and a
                    // cut must not say that it has not.
                    channel.watermark = channel.watermark.max(own);
                    channel.joined = true;
                }
            }
            // A slot that leaves says no more; if it comes back, it begins anew.
            for channel in node.channels.iter_mut().filter(|c| c.edge == edge && !members.contains(&c.from)) {
                *channel = Channel::new(edge, channel.from, port, true, false);
            }
        }
        self.routing.set_members(&mut self.nodes, i, members);
    }

    /// Encodes a slice of the oldest epoch that is not sealed; when all is encoded and durable, hands it over. True if it did something.
    pub(super) fn seal_some(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let Some(sealing) = self.epochs.oldest() else { return Ok(false) };
        if !sealing.encoded {
            sealing.encoded = sealing.encode_slice(&mut self.nodes, self.schedule.tuning.encode_bytes)?;
            self.schedule.wake();
            return Ok(true);
        }
        if !self.schedule.take_woken() {
            return Ok(false);
        }
        let durable = sealing.take_handles(&mut self.nodes, &self.schedule.waker)?;
        if !durable && self.cuts.rules.output_before_part() {
            return Ok(false);
        }
        if let Some((epoch, part)) = self.epochs.hand_over() {
            out.report(Report::Sealed(epoch, Box::new(part)));
        }
        // The next one may be ready too.
        if self.epochs.seals() {
            self.schedule.wake();
        }
        Ok(true)
    }

    /// The manifest of an epoch exists: what was kept to go back before it is dropped.
    pub(super) fn published(&mut self, epoch: u64, version: u64) -> Result<()> {
        self.nodes.each_table(|_, t| t.publish(epoch))?;
        self.drop_carried(version);
        Ok(())
    }
}
