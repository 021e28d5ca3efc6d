//! Promises of a node downstream: watermarks, and that nothing is to be expected.
//!
//! A node's own watermark is the minimum of its channels; timers fire first, under every watermark that holds, then it is passed on,
//! unless a cut holds it back (I6). An idle channel is left out of the minimum, but never stands for the end of input. When the last
//! channel goes idle, the node first comes to the highest promise of all: slots hear of the same promises and silences in different
//! orders, and one that stayed behind would later fire timers that others, who no longer waited for it, have passed. For the same reason
//! what a channel promised before it ended counts as long as others of its edge are only idle.

use crate::error::Result;
use crate::operator::Flow;

use super::node::{Body, Then};
use super::{Outbox, Slot};

use super::flow::Call;

impl Slot {
    /// The watermark of a source node follows from its splits.
    pub(super) fn source_watermark(&mut self, i: usize) {
        let now = self.clock.now();
        let node = self.nodes.at(i);
        let Body::Source(source) = &mut node.body else { return };
        if !source.expecting.is_empty() || !source.told {
            return;
        }
        match source.watermark(now) {
            Some(w) if w > node.emitted || node.idle => {
                node.own = w;
                self.routing.watermark(&mut self.nodes, i, w, false);
            }
            Some(_) => {}
            None => self.forward_idle(i),
        }
    }

    /// A channel's watermark or quietness changed: the node's own may have.
    pub(super) fn advance(&mut self, i: usize, out: &mut dyn Outbox) -> Result<()> {
        let node = self.nodes.at(i);
        self.cuts.observe(i, node);
        let Some(minimum) = node.input_watermark(self.cuts.rules) else {
            // Rows that a combiner holds back must not come after others have been told not to wait for it (I6).
            let rests = self.nodes.at(i).idle || !matches!(self.nodes.at(i).body, Body::Operator { .. });
            let flow = if rests { Flow::Done } else { self.call(i, Call::Idle)? };
            return self.after(i, flow, Then::Idle, out);
        };
        let node = self.nodes.at(i);
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
        let mut phases = self.cuts.watermark_phases(i, node);
        let Some((first, tag)) = phases.pop_front() else { return Ok(()) };
        node.tag = tag;
        let flow = self.call(i, Call::Watermark(&first))?;
        self.after(i, flow, Then::Watermark(phases), out)
    }

    /// Passes on what the node may promise now: its own watermark, unless a cut holds it back.
    pub(super) fn advance_output_watermark(&mut self, i: usize) {
        let node = self.nodes.at(i);
        let w = self.cuts.bound(i, node);
        if w > node.emitted || node.idle {
            let (w, urgent) = (w.max(node.emitted), std::mem::take(&mut node.urgent));
            self.routing.watermark(&mut self.nodes, i, w, urgent);
        }
    }

    /// Tells downstream that nothing is to be expected for now. Never for a moving stage while groups of this slot move: an idle channel
    /// bounds no watermark.
    pub(super) fn forward_idle(&mut self, i: usize) {
        let node = self.nodes.at(i);
        if node.idle || self.cuts.open() && node.is_keyed() {
            return;
        }
        self.routing.idle(&mut self.nodes, i);
    }
}
