//! Routing of a slot: which node an edge leads to, which slot a row goes to, and frames on their way out.

use std::sync::Arc;

use crate::container::Batch;
use crate::frame::{Frame, Item};
use crate::graph::{Graph, NodeId, Path, Role};
use crate::key::{Assignment, SlotId};
use crate::protocol::cut::{CutPlan, Tag};
use crate::time::Time;

use super::node::Out;
use super::nodes::Nodes;
use super::route::{Exchange, Shipped};
use super::{Event, Outbox};

/// One edge of the graph, as this slot sends and receives on it.
#[derive(Debug)]
struct EdgeRoute {
    /// The receiving node and its input.
    to: usize,
    input: u8,
    exchanged: bool,
    /// The sending node, and the place among its outputs.
    from: usize,
    out: usize,
    /// The sources whose rows reach the edge without passing keyed state.
    fed_by: Vec<NodeId>,
}

/// The destinations of this slot's rows.
#[derive(Debug)]
pub(super) struct Routing {
    me: SlotId,
    /// The owner of each key group, as this slot's routers know it.
    pub(super) assignment: Assignment,
    edges: Vec<EdgeRoute>,
    shipped: Shipped,
}

impl Routing {
    /// `senders` are, for each edge, the sending node and the place among its outputs.
    pub(super) fn new(me: SlotId, assignment: Assignment, graph: &Graph, senders: Vec<(usize, usize)>) -> Self {
        let route = |(e, (from, out)): (usize, (usize, usize))| {
            let edge = graph.edges().get(e)?;
            let (to, exchanged, fed_by) = (edge.to.0, edge.path == Path::Exchange, sources_of(graph, e));
            Some(EdgeRoute { to, input: edge.input, exchanged, from, out, fed_by })
        };
        let edges = senders.into_iter().enumerate().filter_map(route).collect();
        Self { me, assignment, edges, shipped: Vec::new() }
    }

    /// True if rows of this source reach the edge without passing keyed state.
    pub(super) fn feeds(&self, source: NodeId, edge: u32) -> bool {
        self.edges.get(edge as usize).is_some_and(|e| e.fed_by.contains(&source))
    }

    /// True if the edge is an exchange.
    pub(super) fn exchanged(&self, edge: u32) -> bool {
        self.edges.get(edge as usize).is_some_and(|e| e.exchanged)
    }

    /// The exchange edges into a node, with its inputs.
    pub(super) fn exchanges_into(&self, i: usize) -> Vec<(u32, u8)> {
        let into = self.edges.iter().enumerate().filter(|(_, e)| e.to == i && e.exchanged);
        into.map(|(n, e)| (n as u32, e.input)).collect()
    }

    /// A frame goes into its channel's queue.
    pub(super) fn deliver(&self, nodes: &mut Nodes, frame: Frame) {
        let Some(edge) = self.edges.get(frame.edge as usize) else { return };
        let node = nodes.at(edge.to);
        let c = node.channel(frame.edge, edge.input, frame.from);
        if let Some(channel) = node.channels.get_mut(c) {
            channel.queue.push_back(frame.item);
        }
    }

    /// Credits of a receiver go to the exchange that sends to it.
    pub(super) fn credit(&mut self, nodes: &mut Nodes, edge: u32, from: SlotId, (rows, window): (u32, u32)) {
        let Some(edge) = self.edges.get(edge as usize) else { return };
        if let Some(Out::Exchange { exchange, .. }) = nodes.at(edge.from).outs.get_mut(edge.out) {
            exchange.credit(from, rows, window, self.me, &mut self.shipped);
        }
    }

    /// Frames to other slots leave; those to this slot go straight into their channels. True if any came here.
    pub(super) fn send(&mut self, nodes: &mut Nodes, out: &mut dyn Outbox) -> bool {
        if self.shipped.is_empty() {
            return false;
        }
        let mut here = false;
        let mut shipped = std::mem::take(&mut self.shipped);
        for (to, frame) in shipped.drain(..) {
            if to == self.me {
                here = true;
                self.deliver(nodes, frame);
            } else {
                out.send(to, Event::Frame(frame));
            }
        }
        self.shipped = shipped;
        here
    }

    /// Routes one batch that a node emitted on one of its outputs.
    pub(super) fn emit(&mut self, nodes: &mut Nodes, i: usize, output: u8, batch: Batch, tag: Option<Tag>) {
        let node = nodes.at(i);
        node.rows_out += batch.len() as u64;
        let of = |o: &Out| match o {
            Out::Local { output, .. } | Out::Exchange { output, .. } => *output,
        };
        // A side output that nobody reads has no reader; one that several read is copied for all but the last.
        let readers: Vec<usize> = if let [only] = node.outs.as_slice() {
            if of(only) == output { vec![0] } else { Vec::new() }
        } else {
            node.outs.iter().enumerate().filter(|(_, o)| of(o) == output).map(|(k, _)| k).collect()
        };
        let mut batch = Some(batch);
        let mut local = Vec::new();
        for (n, k) in readers.iter().enumerate() {
            let last = n + 1 == readers.len();
            let copy = if last { batch.take() } else { batch.as_ref().map(|b| b.copy()) };
            match (node.outs.get_mut(*k), copy) {
                (Some(Out::Local { node, channel, .. }), Some(b)) => local.push((*node, *channel, b)),
                (Some(Out::Exchange { exchange, .. }), Some(b)) => {
                    exchange.push(b, tag, &self.assignment, self.me, &mut self.shipped);
                }
                (_, None) | (None, Some(_)) => {}
            }
        }
        for (n, c, batch) in local {
            nodes.queue(n, c, Item::Data(batch, tag));
        }
    }

    /// A control item on every output of a node, behind everything it has emitted.
    pub(super) fn control(&mut self, nodes: &mut Nodes, i: usize, item: impl Fn() -> Item) {
        self.forward(nodes, i, &item, |exchange, me, shipped| exchange.control(me, shipped, &item));
    }

    /// A watermark on every output of a node. `urgent`: rows were emitted because of it.
    pub(super) fn watermark(&mut self, nodes: &mut Nodes, i: usize, w: Time, urgent: bool) {
        let node = nodes.at(i);
        node.emitted = w;
        node.idle = false;
        self.forward(nodes, i, || Item::Watermark(w), |exchange, me, shipped| exchange.watermark(w, urgent, me, shipped));
    }

    /// A word on every output of a node that nothing is to be expected for now.
    pub(super) fn idle(&mut self, nodes: &mut Nodes, i: usize) {
        nodes.at(i).idle = true;
        self.forward(nodes, i, || Item::Idle, Exchange::set_idle);
    }

    fn forward(
        &mut self,
        nodes: &mut Nodes,
        i: usize,
        item: impl Fn() -> Item,
        send: impl Fn(&mut Exchange, SlotId, &mut Shipped),
    ) {
        let mut local = Vec::new();
        for o in &mut nodes.at(i).outs {
            match o {
                Out::Local { node, channel, .. } => local.push((*node, *channel)),
                Out::Exchange { exchange, .. } => send(exchange, self.me, &mut self.shipped),
            }
        }
        for (n, c) in local {
            nodes.queue(n, c, item());
        }
    }

    /// Rows that wait in builders leave, as far as there are credits.
    pub(super) fn ship_waiting(&mut self, nodes: &mut Nodes) {
        for node in nodes.iter_mut() {
            for o in &mut node.outs {
                if let Out::Exchange { exchange, .. } = o {
                    exchange.ship_all(false, self.me, &mut self.shipped);
                }
            }
        }
    }

    /// Other destinations of a node's exchanges, from a barrier on. A slot that has left speaks to none: a word of its, still on its way,
    /// would be taken for a word of its successor.
    pub(super) fn set_members(&mut self, nodes: &mut Nodes, i: usize, members: &[SlotId]) {
        let members = if members.contains(&self.me) { members } else { &[] };
        for o in &mut nodes.at(i).outs {
            if let Out::Exchange { exchange, .. } = o {
                exchange.set_members(members, self.me, &mut self.shipped);
            }
        }
    }

    /// Fences for a cut on every channel into a moving stage at its source and its target; rows go to the target from now on.
    pub(super) fn fence(&mut self, nodes: &mut Nodes, plan: &Arc<CutPlan>) {
        for edge in &self.edges {
            if !nodes.is_keyed(edge.to) {
                continue;
            }
            if let Some(Out::Exchange { exchange, .. }) = nodes.at(edge.from).outs.get_mut(edge.out) {
                for to in [plan.source, plan.target] {
                    exchange.control_to(to, Item::Fence(plan.clone()), self.me, &mut self.shipped);
                }
            }
        }
        self.assignment.set(&plan.groups, plan.target, plan.version);
    }
}

/// The sources whose rows reach an edge without passing a keyed node.
fn sources_of(graph: &Graph, edge: usize) -> Vec<NodeId> {
    let Some(edge) = graph.edges().get(edge) else { return Vec::new() };
    let Some(node) = graph.nodes().get(edge.from.0) else { return Vec::new() };
    match &node.role {
        Role::Source { .. } => vec![node.id],
        Role::Operator { keyed: true, .. } | Role::Sink(_) => Vec::new(),
        Role::Operator { keyed: false, .. } => {
            let into = graph.edges().iter().enumerate().filter(|(_, e)| e.to == edge.from).map(|(i, _)| i);
            into.flat_map(|e| sources_of(graph, e)).collect()
        }
    }
}
