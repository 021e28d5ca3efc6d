//! What a node may promise downstream: watermarks, and that nothing is to be expected.
//!
//! A node's own watermark is the minimum of its channels; timers fire first, under every watermark that holds, then it is passed on,
//! unless a cut holds it back (I6). A idle channel is left out of the minimum, but never stands for the end of input. When the last channel
//! goes idle, the node first comes to the highest promise of all: slots hear of the same promises and silences in different orders, and one
//! that stayed behind would later fire timers that others, who no longer waited for it, have passed. For the same reason what a channel promised before
//! it ended counts as long as others of its edge are only idle.

use std::collections::VecDeque;

use crate::error::Result;
use crate::frame::Item;
use crate::operator::{Flow, Watermarks};
use crate::protocol::cut::Tag;
use crate::time::Time;

use super::node::{Body, Out, Then};
use super::{Outbox, Slot};

use super::flow::Call;

impl Slot {
    /// The watermark of a source node follows from its splits.
    pub(super) fn source_watermark(&mut self, i: usize) {
        let now = self.now;
        let node = self.node(i);
        let Body::Source(source) = &mut node.body else { return };
        if !source.expecting.is_empty() || !source.told {
            return;
        }
        match source.watermark(now) {
            Some(w) if w > node.emitted || node.idle => {
                node.own = w;
                self.forward_watermark(i, w, false);
            }
            Some(_) => {}
            None => self.forward_idle(i),
        }
    }

    /// A channel's watermark or quietness changed: the node's own may have.
    pub(super) fn advance(&mut self, i: usize, out: &mut dyn Outbox) -> Result<()> {
        self.observe_cuts(i);
        let Some(minimum) = self.input_watermark(i) else {
            // What a combiner holds back must not come after others have been told not to wait for it (I6).
            let rests = self.node(i).idle || !matches!(self.node(i).body, Body::Operator { .. });
            let flow = if rests { Flow::Done } else { self.call(i, Call::Idle)? };
            return self.after(i, flow, Then::Idle, out);
        };
        let node = self.node(i);
        if minimum <= node.own && !node.idle {
            // Nothing new is due; but after a restart nobody has been promised what the node had come to.
            self.advance_output_watermark(i);
            return Ok(());
        }
        node.own = node.own.max(minimum);
        if !matches!(node.body, Body::Operator { .. }) {
            self.advance_output_watermark(i);
            return Ok(());
        }
        let mut phases = self.watermark_phases(i);
        let Some((first, tag)) = phases.pop_front() else { return Ok(()) };
        self.node(i).tag = tag;
        let flow = self.call(i, Call::Watermark(&first))?;
        self.after(i, flow, Then::Watermark(phases), out)
    }

    /// What the channels of a node have promised together; `None` if nothing is to be expected of any.
    pub(super) fn input_watermark(&self, i: usize) -> Option<Time> {
        let node = self.nodes.get(i)?;
        let left_behind = node.channels.iter().all(|c| c.idle || !c.joined);
        node.minimum().filter(|_| !left_behind || self.moving.rules.highest_before_idle())
    }

    /// The watermarks under which timers fire now: first all groups that are not tagged, then each tagged batch for itself.
    pub(super) fn watermark_phases(&mut self, i: usize) -> VecDeque<(Watermarks, Option<Tag>)> {
        let own = self.node(i).own;
        let mut phases = VecDeque::with_capacity(1);
        let mut first = self.watermarks(i);
        for (groups, tag, watermark) in self.moving.tagged(i as u32, own) {
            first.moving.insert(0, (groups.clone(), Time::MIN));
            phases.push_back((Watermarks { own: Time::MIN, moving: vec![(groups, watermark)] }, Some(tag)));
        }
        phases.push_front((first, None));
        phases
    }

    /// Passes on what the node may promise now: its own watermark, unless a cut holds it back.
    pub(super) fn advance_output_watermark(&mut self, i: usize) {
        let w = self.bound(i);
        let node = self.node(i);
        if w > node.emitted || node.idle {
            let (w, urgent) = (w.max(node.emitted), std::mem::take(&mut node.urgent));
            self.forward_watermark(i, w, urgent);
        }
    }

    /// Sends a watermark downstream.
    pub(super) fn forward_watermark(&mut self, i: usize, w: Time, urgent: bool) {
        let id = self.id;
        let mut shipped = std::mem::take(&mut self.shipped);
        let node = self.node(i);
        node.emitted = w;
        node.idle = false;
        let mut local = Vec::new();
        for o in &mut node.outs {
            match o {
                Out::Local { node, channel, .. } => local.push((*node, *channel)),
                Out::Exchange { exchange, .. } => exchange.watermark(w, urgent, id, &mut shipped),
            }
        }
        self.shipped = shipped;
        for (n, c) in local {
            self.queue(n, c, Item::Watermark(w));
        }
    }

    /// Tells downstream that nothing is to be expected for now. Never for a moving stage while groups of this slot move: a idle channel
    /// bounds nobody's watermark.
    pub(super) fn forward_idle(&mut self, i: usize) {
        if self.node(i).idle || self.moving.open() && self.is_keyed(i) {
            return;
        }
        let id = self.id;
        let mut shipped = std::mem::take(&mut self.shipped);
        let node = self.node(i);
        node.idle = true;
        let mut local = Vec::new();
        for o in &mut node.outs {
            match o {
                Out::Local { node, channel, .. } => local.push((*node, *channel)),
                Out::Exchange { exchange, .. } => exchange.set_idle(id, &mut shipped),
            }
        }
        self.shipped = shipped;
        for (n, c) in local {
            self.queue(n, c, Item::Idle);
        }
    }
}
