//! Taking one item through one node.
//!
//! A node takes nothing while a call of its operator is unfinished, while parts of the last item are left, or while what it emits
//! would have nowhere to go. What an operator emits is routed when its call returns: to the next node's queue, or to the builders of
//! an exchange.

use std::sync::Arc;

use crate::container::Batch;
use crate::error::{Error, Kind, Result};
use crate::frame::Item;
use crate::key::SlotId;
use crate::messages::{Barrier, Report};
use crate::operator::{Context, Flow, Watermarks};
use crate::protocol::cut::Tag;
use crate::protocol::cut::consumer::Verdict;

use super::node::{Body, Part, Then};
use super::source::Turn;
use super::{Event, Outbox, Slot};

/// A call of an operator.
pub(super) enum Call<'a> {
    Batch(u8, Batch),
    Watermark(&'a Watermarks),
    Flush,
    Idle,
    Resume,
}

impl Slot {
    /// Lets a node do one thing, if it can. True if it did.
    pub(super) fn run_node(&mut self, i: usize, out: &mut dyn Outbox) -> Result<bool> {
        let node = self.nodes.at(i);
        if node.rests() && !matches!(node.body, Body::Source(_)) && !node.has_item() {
            return Ok(false);
        }
        if !self.nodes.outputs_open(i) {
            return Ok(false);
        }
        if self.nodes.at(i).unfinished.is_some() {
            self.resume(i, out)?;
            return Ok(true);
        }
        if let Some(part) = self.nodes.at(i).parts.pop_front() {
            self.take_part(i, part, out)?;
            return Ok(true);
        }
        let waker = self.schedule.waker.clone();
        match &mut self.nodes.at(i).body {
            Body::Source(_) => return self.read(i, out),
            Body::Sink(sink) if !sink.open(&waker) => return Ok(false),
            Body::Operator { .. } | Body::Sink(_) => {}
        }
        if self.cuts.rules.released_first() && self.take_released(i, out)? {
            return Ok(true);
        }
        let node = self.nodes.at(i);
        let n = node.channels.len();
        let Some(c) = (0..n).map(|k| (node.turn + k) % n).find(|c| node.channels.get(*c).is_some_and(|c| c.ready())) else {
            return if self.cuts.rules.released_first() { Ok(false) } else { self.take_released(i, out) };
        };
        node.turn = c + 1;
        let Some(item) = node.channels.get_mut(c).and_then(|c| c.queue.pop_front()) else { return Ok(false) };
        self.take_item(i, c, item, out)?;
        Ok(true)
    }

    pub(super) fn read(&mut self, i: usize, out: &mut dyn Outbox) -> Result<bool> {
        if self.schedule.held {
            self.schedule.held = self.over_budget();
        }
        if self.schedule.held {
            return Ok(false);
        }
        let (now, waker, rows) = (self.clock.now(), self.schedule.waker.clone(), self.schedule.tuning.read_rows);
        let Body::Source(source) = &mut self.nodes.at(i).body else { return Ok(false) };
        if !source.readable() {
            return Ok(false);
        }
        let turn = match source.read(rows, now, &waker) {
            Err(e) if e.kind() == Kind::Data => {
                source.stop();
                out.report(Report::Poisoned(e.at(self.name(i).to_owned())));
                return Ok(false);
            }
            turn => turn?,
        };
        match turn {
            Turn::Rows(batch) => {
                self.schedule.stir();
                self.nodes.at(i).rows_in += batch.len() as u64;
                self.routing.emit(&mut self.nodes, i, 0, batch, None);
                self.source_watermark(i);
                Ok(true)
            }
            Turn::Finished(split) => {
                if let Some(node) = self.graph.nodes().get(i) {
                    out.report(Report::SplitFinished(node.id, split));
                }
                self.source_watermark(i);
                Ok(true)
            }
            Turn::Nothing => Ok(false),
        }
    }

    pub(super) fn take_item(&mut self, i: usize, c: usize, item: Item, out: &mut dyn Outbox) -> Result<()> {
        match item {
            Item::Data(batch, tag) => self.take_data(i, c, batch, tag, out),
            Item::Watermark(w) => {
                if let Some(channel) = self.nodes.at(i).channels.get_mut(c) {
                    channel.promised(w);
                }
                self.advance(i, out)
            }
            Item::Idle => {
                if let Some(channel) = self.nodes.at(i).channels.get_mut(c) {
                    channel.idle = true;
                }
                self.advance(i, out)
            }
            Item::Barrier(barrier) => self.take_barrier(i, c, &barrier, out),
            Item::Fence(plan) => self.take_fence(i, c, &plan, out),
            Item::Drained(plan) => self.take_drained(i, c, &plan),
        }
    }

    pub(super) fn take_data(&mut self, i: usize, c: usize, batch: Batch, tag: Option<Tag>, out: &mut dyn Outbox) -> Result<()> {
        let node = self.nodes.at(i);
        let Some(channel) = node.channels.get_mut(c) else { return Ok(()) };
        channel.idle = false;
        let (edge, from, port, exchanged) = (channel.edge, channel.from, channel.port, channel.exchanged);
        if exchanged {
            let rows = batch.len();
            self.schedule.pace.took(rows);
            if tag.is_some() {
                let node = self.nodes.at(i);
                let Some(input) = node.edges.iter_mut().find(|e| e.edge == edge) else { return Ok(()) };
                if input.consumer.offer(tag) == Verdict::SetAside {
                    input.set_aside(tag, c, batch);
                    if let Some(channel) = node.channels.get_mut(c) {
                        channel.aside += 1;
                    }
                    self.cuts.stats.frames_aside += 1;
                    if self.cuts.rules.set_aside_credits() {
                        self.give_credit(edge, from, rows, out);
                    }
                    return Ok(());
                }
            }
            // Rows on their way into a gate give theirs back too: a gate waits for others, and nobody may wait for it (I12).
            if self.cuts.rules.gate_credits() || !self.cuts.gating() {
                self.give_credit(edge, from, rows, out);
            } else {
                self.cuts.owed.push((edge, from, rows));
            }
        }
        self.take_rows(i, port, batch, tag, out)
    }

    /// Rows set aside whose wait is over go before anything else of their edge (I3).
    pub(super) fn take_released(&mut self, i: usize, out: &mut dyn Outbox) -> Result<bool> {
        let node = self.nodes.at(i);
        let mut found = None;
        for input in node.edges.iter_mut().filter(|e| !e.aside.is_empty()) {
            let Some(tag) = input.consumer.next_released() else { continue };
            let Some((c, batch)) = input.take_aside(tag) else {
                return Err(Error::broken("I3", "a released frame is not where it was set aside"));
            };
            input.consumer.took(tag);
            found = Some((c, batch, tag));
            break;
        }
        let Some((c, batch, tag)) = found else { return Ok(false) };
        let Some(channel) = node.channels.get_mut(c) else { return Ok(false) };
        channel.aside -= 1;
        let (port, edge, from) = (channel.port, channel.edge, channel.from);
        if !self.cuts.rules.set_aside_credits() {
            self.give_credit(edge, from, batch.len(), out);
        }
        self.take_rows(i, port, batch, Some(tag), out)?;
        Ok(true)
    }

    /// Rows for the node itself: parts by the cuts they belong to, then one call a part.
    pub(super) fn take_rows(&mut self, i: usize, port: u8, batch: Batch, tag: Option<Tag>, out: &mut dyn Outbox) -> Result<()> {
        self.schedule.stir();
        let receives = self.cuts.receives();
        let node = self.nodes.at(i);
        node.rows_in += batch.len() as u64;
        match node.body {
            Body::Operator { keyed: true, .. } if receives => {
                self.cuts.split_rows(i, port, batch, &mut node.parts);
                match node.parts.pop_front() {
                    Some(part) => self.take_part(i, part, out),
                    None => Ok(()),
                }
            }
            Body::Operator { keyed: true, .. } => self.take_part(i, Part { port, batch, tag: None }, out),
            Body::Operator { keyed: false, .. } | Body::Sink(_) | Body::Source(_) => {
                self.take_part(i, Part { port, batch, tag }, out)
            }
        }
    }

    pub(super) fn take_part(&mut self, i: usize, part: Part, out: &mut dyn Outbox) -> Result<()> {
        let node = self.nodes.at(i);
        if let Body::Sink(sink) = &mut node.body {
            let epoch = if self.cuts.rules.epoch_by_node() { node.epoch } else { self.epochs.current() };
            return sink.write(part.batch, self.epochs.segment_of(epoch, self.id.0));
        }
        node.tag = part.tag;
        let flow = self.call(i, Call::Batch(part.port, part.batch))?;
        self.after(i, flow, Then::Nothing, out)
    }

    /// Goes on with an unfinished call.
    pub(super) fn resume(&mut self, i: usize, out: &mut dyn Outbox) -> Result<()> {
        let flow = self.call(i, Call::Resume)?;
        let then = self.nodes.at(i).unfinished.take().unwrap_or(Then::Nothing);
        self.after(i, flow, then, out)
    }

    /// The step that follows a call: if it is not finished, later.
    pub(super) fn after(&mut self, i: usize, flow: Flow, then: Then, out: &mut dyn Outbox) -> Result<()> {
        if flow == Flow::More {
            self.nodes.at(i).unfinished = Some(then);
            return Ok(());
        }
        match then {
            Then::Nothing => Ok(()),
            Then::Watermark(mut left) => match left.pop_front() {
                Some((watermarks, tag)) => {
                    self.nodes.at(i).tag = tag;
                    let flow = self.call(i, Call::Watermark(&watermarks))?;
                    self.after(i, flow, Then::Watermark(left), out)
                }
                None => {
                    self.nodes.at(i).tag = None;
                    self.advance_output_watermark(i);
                    Ok(())
                }
            },
            Then::Align(barrier) => self.align(i, &barrier, out),
            Then::Fired => {
                self.nodes.at(i).tag = None;
                Ok(())
            }
            Then::Idle => {
                self.forward_idle(i);
                Ok(())
            }
        }
    }

    /// Calls the operator and routes what it emitted.
    pub(super) fn call(&mut self, i: usize, call: Call<'_>) -> Result<Flow> {
        let own;
        let watermarks = match &call {
            Call::Watermark(w) => *w,
            Call::Resume => {
                let under = self.nodes.at(i).under.take();
                own = under.unwrap_or_else(|| self.cuts.watermarks(i, self.nodes.at(i)));
                &own
            }
            Call::Batch(..) | Call::Flush | Call::Idle => {
                own = self.cuts.watermarks(i, self.nodes.at(i));
                &own
            }
        };
        let (now, space, rows) = (self.clock.now(), self.routing.assignment.space(), self.schedule.tuning.call_rows);
        let timed = matches!(call, Call::Watermark(_) | Call::Resume);
        let mut emitted = std::mem::take(&mut self.emitted);
        let node = self.nodes.at(i);
        let Body::Operator { op, .. } = &mut node.body else { return Ok(Flow::Done) };
        let mut cx = Context::new(watermarks, now, space, &mut emitted, &mut node.late).rows_a_call(rows);
        let flow = match call {
            Call::Batch(port, batch) => op.on_batch(port, batch, &mut cx),
            Call::Watermark(_) => op.on_watermark(&mut cx),
            Call::Flush => op.on_flush(&mut cx),
            Call::Idle => op.on_idle(&mut cx),
            Call::Resume => op.resume(&mut cx),
        };
        let flow = flow.map_err(|e| match self.graph.nodes().get(i) {
            Some(n) => e.at(n.name.clone()),
            None => e,
        })?;
        let node = self.nodes.at(i);
        if timed && flow == Flow::More {
            node.under = Some(watermarks.clone());
        }
        node.urgent |= timed && !emitted.is_empty();
        let tag = node.tag;
        for (output, batch) in emitted.drain(..) {
            if tag.is_none() && self.cuts.receives() {
                self.emit_by_batch(i, output, batch);
            } else {
                self.routing.emit(&mut self.nodes, i, output, batch, tag);
            }
        }
        self.emitted = emitted;
        Ok(flow)
    }

    /// Rows of several batches that left in one call (what was held back until a barrier): each part under its own tag (I3). A keyed
    /// operator gives each row the hash of its own key.
    fn emit_by_batch(&mut self, i: usize, output: u8, batch: Batch) {
        let node = self.nodes.at(i);
        let tagged = if node.is_keyed() { self.cuts.tagged(i as u32, node.own) } else { Vec::new() };
        let class = |h: &u64| tagged.iter().position(|(groups, ..)| groups.contains_hash(*h)).map_or(0, |k| k as u16 + 1);
        let classes: Vec<u16> = if tagged.is_empty() { Vec::new() } else { batch.hashes().iter().map(class).collect() };
        if classes.iter().all(|c| *c == 0) {
            self.routing.emit(&mut self.nodes, i, output, batch, None);
            return;
        }
        let mut parts: Vec<Option<Batch>> = Vec::new();
        parts.resize_with(tagged.len() + 1, || None);
        batch.scatter(&classes, &mut parts);
        for (k, part) in parts.into_iter().enumerate() {
            let tag = k.checked_sub(1).and_then(|k| tagged.get(k)).map(|(_, tag, _)| *tag);
            if let Some(part) = part {
                self.routing.emit(&mut self.nodes, i, output, part, tag);
            }
        }
    }

    pub(super) fn give_credit(&mut self, edge: u32, from: SlotId, rows: usize, out: &mut dyn Outbox) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let window = self.schedule.pace.window();
        if from == self.id {
            self.routing.credit(&mut self.nodes, edge, from, (rows, window));
        } else {
            out.send(from, Event::Credit { edge, from: self.id, rows, window });
        }
    }

    /// The slot has nothing else to do: what an operator holds back may go.
    pub(super) fn idle_node(&mut self, i: usize) -> Result<bool> {
        if !matches!(self.nodes.at(i).body, Body::Operator { .. })
            || self.nodes.at(i).unfinished.is_some()
            || !self.nodes.outputs_open(i)
        {
            return Ok(false);
        }
        let before = self.nodes.at(i).rows_out;
        self.nodes.at(i).tag = None;
        if self.call(i, Call::Idle)? == Flow::More {
            self.nodes.at(i).unfinished = Some(Then::Nothing);
        }
        Ok(self.nodes.at(i).rows_out > before)
    }

    /// Flushes a node and goes on with the barrier.
    pub(super) fn flush(&mut self, i: usize, barrier: Arc<Barrier>, out: &mut dyn Outbox) -> Result<()> {
        self.nodes.at(i).tag = None;
        let flushes = self.cuts.rules.flush_before_barrier() && matches!(self.nodes.at(i).body, Body::Operator { .. });
        let flow = if flushes { self.call(i, Call::Flush)? } else { Flow::Done };
        self.after(i, flow, Then::Align(barrier), out)
    }

    /// The node's place, for messages.
    pub(super) fn name(&self, i: usize) -> &str {
        self.graph.nodes().get(i).map_or("", |n| n.name.as_str())
    }
}
