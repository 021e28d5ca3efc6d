//! Barriers at one slot: alignment, what changes at one, encoding what an epoch wrote, sealing what its sinks got.
//!
//! A barrier goes into the stream at the sources and passes node by node. When the last node has it, the slot's part of the exclusive
//! window (I9) is over. Then, between batches, the entries that the epoch wrote are encoded in slices; when that is done and the sinks'
//! output is durable, the slot hands its part of the manifest over.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::Item;
use crate::graph::{NodeId, Path};
use crate::key::SlotId;
use crate::messages::{Barrier, EpochPart, Report};
use crate::time::Time;

use super::node::{Body, Channel, NodeState, Out};
use super::{Outbox, Slot};

/// A barrier on its way through the slot's nodes.
#[derive(Debug)]
pub(super) struct Aligning {
    epoch: u64,
    nodes_left: usize,
    part: EpochPart,
}

/// An epoch that is being encoded and made durable.
#[derive(Debug)]
pub(super) struct Sealing {
    epoch: u64,
    encoded: bool,
    part: EpochPart,
}

impl Slot {
    /// The coordinator's barrier goes into the stream: behind everything the sources have emitted.
    pub(super) fn inject(&mut self, barrier: &Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        if barrier.epoch != self.epoch {
            return Err(Error::broken(
                "I9",
                format!("barrier {} came to slot {} in epoch {}", barrier.epoch, self.id.0, self.epoch),
            ));
        }
        let closes = self.moving.rules.drain_at_barrier();
        let (me, mut part, mut handed) = (self.id, EpochPart::default(), Vec::new());
        for node in &mut self.nodes {
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
        self.aligning = Some(Aligning { epoch: barrier.epoch, nodes_left: self.nodes.len(), part });
        for i in 0..self.nodes.len() {
            if matches!(self.node(i).body, Body::Source(_)) {
                self.align(i, barrier, out)?;
            }
        }
        Ok(())
    }

    /// A channel's barrier: the channel waits until the node's other channels have theirs.
    pub(super) fn take_barrier(&mut self, i: usize, c: usize, barrier: &Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        let node = self.node(i);
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
        let (epoch, id) = (barrier.epoch, self.graph.nodes().get(i).map_or(NodeId(0), |n| n.id));
        let node = self.node(i);
        for edge in &mut node.edges {
            edge.consumer.barrier()?;
        }
        self.moving.stage_barrier(i as u32)?;
        let node = self.node(i);
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
        self.node(i).epoch = epoch + 1;
        self.forward_control(i, || Item::Barrier(barrier.clone()));
        for channel in &mut self.node(i).channels {
            channel.aligned = false;
        }
        self.promise_nothing(i, barrier);
        self.lower_for_moves(i, barrier);
        if let Some(members) = &barrier.members {
            self.change_members(i, members);
        }
        let Some(aligning) = self.aligning.as_mut().filter(|a| a.epoch == epoch) else {
            return Err(Error::broken(
                "I9",
                format!("node {} aligned for epoch {epoch}, which has not begun here", self.name(i)),
            ));
        };
        aligning.part.watermarks.push((id, own));
        aligning.nodes_left -= 1;
        if aligning.nodes_left == 0 { self.aligned(barrier, out) } else { Ok(()) }
    }

    fn aligned(&mut self, barrier: &Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        let Some(aligning) = self.aligning.take() else { return Ok(()) };
        self.epoch = barrier.epoch + 1;
        if let Some(members) = &barrier.members {
            self.members.clone_from(members);
        }
        self.moving.barrier()?;
        out.report(Report::Aligned(aligning.epoch));
        self.sealing.push_back(Sealing { epoch: aligning.epoch, encoded: false, part: aligning.part });
        Ok(())
    }

    /// At a barrier that moves splits from one slot to another, the receiver lets the new reader's channel stand no higher than the old
    /// reader's: the split's rows come there from now on (I6).
    fn lower_for_moves(&mut self, i: usize, barrier: &Barrier) {
        if !self.moving.rules.moved_split_lowers() {
            return;
        }
        for m in &barrier.moves {
            for c in 0..self.node(i).channels.len() {
                let Some((edge, from)) = self.node(i).channels.get(c).map(|c| (c.edge, c.from)) else { continue };
                if from != m.to || !self.exchanged(edge) || !self.fed_by.get(edge as usize).is_some_and(|s| s.contains(&m.node)) {
                    continue;
                }
                let node = self.node(i);
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
        let id = self.id;
        let graph = self.graph.clone();
        let into = graph.edges().iter().enumerate().filter(|(_, e)| e.to.0 == i && e.path == Path::Exchange);
        let inputs: Vec<(u32, u8)> = into.map(|(e, g)| (e as u32, g.input)).collect();
        let node = self.node(i);
        let own = node.own;
        for (edge, port) in inputs {
            for m in members {
                let c = node.channel(edge, port, *m);
                if let Some(channel) = node.channels.get_mut(c).filter(|c| !c.joined) {
                    // Whatever comes from the new slot was bounded by somebody's promise before: what is due up to here has fired, and a
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
        // One that has left speaks to nobody: a word of its, still on its way, would be taken for a word of its successor.
        let members = if members.contains(&id) { members } else { &[] };
        let mut shipped = std::mem::take(&mut self.shipped);
        for o in &mut self.node(i).outs {
            if let Out::Exchange { exchange, .. } = o {
                exchange.set_members(members, id, &mut shipped);
            }
        }
        self.shipped = shipped;
    }

    /// Encodes a slice of the oldest epoch that is not sealed; when all is encoded and durable, hands it over. True if it did something.
    pub(super) fn seal_some(&mut self, out: &mut dyn Outbox) -> Result<bool> {
        let Some(mut sealing) = self.sealing.pop_front() else { return Ok(false) };
        if !sealing.encoded {
            sealing.encoded = self.encode_slice(&mut sealing)?;
            self.sealing.push_front(sealing);
            self.woken = true;
            return Ok(true);
        }
        if !std::mem::take(&mut self.woken) {
            self.sealing.push_front(sealing);
            return Ok(false);
        }
        let waker = self.waker.clone();
        let mut durable = true;
        for node in &mut self.nodes {
            if let Body::Sink(sink) = &mut node.body {
                match sink.sealed(sealing.epoch, &waker)? {
                    Some(handles) => sealing.part.handles.extend(handles),
                    None => durable = false,
                }
            }
        }
        if !durable && self.moving.rules.output_before_part() {
            self.sealing.push_front(sealing);
            return Ok(false);
        }
        sealing.part.changed |= !sealing.part.handles.is_empty() || sealing.part.runs.iter().any(|(_, r)| !r.is_empty());
        out.report(Report::Sealed(sealing.epoch, Box::new(sealing.part)));
        // The next one may be ready too.
        self.woken = !self.sealing.is_empty();
        Ok(true)
    }

    /// One slice of every table's dirty entries; true when all are done.
    fn encode_slice(&mut self, sealing: &mut Sealing) -> Result<bool> {
        let (mut done, epoch, budget) = (true, sealing.epoch, self.tuning.encode_bytes);
        self.each_table(|id, t| {
            if !done {
                return Ok(());
            }
            let at = match sealing.part.runs.iter().position(|(r, _)| *r == id) {
                Some(at) => at,
                None => {
                    sealing.part.runs.push((id, crate::state::EncodedRun::default()));
                    sealing.part.runs.len() - 1
                }
            };
            if let Some((_, run)) = sealing.part.runs.get_mut(at) {
                done = t.encode_dirty(epoch, budget, run)?;
            }
            Ok(())
        })?;
        Ok(done)
    }

    /// The manifest of an epoch exists: what was kept to go back before it is dropped.
    pub(super) fn published(&mut self, epoch: u64, version: u64) -> Result<()> {
        self.each_table(|_, t| t.publish(epoch))?;
        self.drop_carried(version)
    }

    /// Whether every node is at rest: no unfinished call, no parts. Then a step that concerns them all may be taken.
    pub(super) fn keyed_nodes_rest(&self) -> bool {
        let rests = |n: &NodeState| {
            !matches!(n.body, Body::Operator { keyed: true, .. })
                || n.unfinished.is_none() && n.parts.is_empty() && n.channels.iter().all(|c| c.exchanged || c.queue.is_empty())
        };
        self.nodes.iter().all(rests)
    }
}
