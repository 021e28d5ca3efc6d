//! A slot's nodes from the graph, and putting stored state back into them.

use std::collections::VecDeque;

use crate::env::SplitId;
use crate::error::{Error, Kind, Result};
use crate::graph::{Graph, NodeId, NodeIndex, Path, Role};
use crate::key::{GroupSet, SlotId};
use crate::messages::Barrier;
use crate::protocol::cut::consumer::Consumer;
use crate::protocol::manifest::Manifest;
use crate::protocol::rules::RuleSet;
use crate::state::codec::Item;
use crate::time::Time;

use super::clock::Clock;
use super::cuts::Cuts;
use super::epochs::Epochs;
use super::node::{Body, Channel, EdgeIn, NodeState, Out};
use super::nodes::Nodes;
use super::route::Exchange;
use super::routing::Routing;
use super::schedule::Schedule;
use super::sink::SinkState;
use super::source::SourceState;
use super::{Slot, SlotConfig, Tuning};

impl Slot {
    /// A slot that owns what the assignment says, with empty state; see [`Slot::restore`] and [`Slot::start`].
    pub fn new(config: SlotConfig) -> Result<Self> {
        let SlotConfig { id, term, graph, assignment, members, epoch, window, segment, joins_at, waker, tuning } = config;
        let space = assignment.space();
        let mut nodes = Vec::new();
        for (i, node) in graph.nodes().iter().enumerate() {
            let body = match &node.role {
                Role::Source { source, event_time } => {
                    let mut state = SourceState::new(node.id, source.clone(), event_time.clone(), tuning);
                    let moves = joins_at.iter().flat_map(|b| &b.moves).filter(|m| m.node == node.id && m.to == id);
                    state.expecting = moves.map(|m| m.split.clone()).collect();
                    if joins_at.as_ref().is_some_and(|b| b.ends.contains(&node.id)) {
                        state.close();
                    }
                    Body::Source(Box::new(state))
                }
                Role::Operator { make, keyed } => Body::Operator { op: make(space)?, keyed: *keyed },
                Role::Sink(sink) => Body::Sink(SinkState::new(node.id, sink.open(id.0, term)?)),
            };
            let channels = input_channels(&graph, i, &members, id);
            nodes.push(node_state(&graph, i, body, channels, epoch));
        }
        let senders = connect(&graph, &mut nodes, &members, window, tuning);
        let routing = Routing::new(id, assignment, &graph, senders);
        let mut slot = Self {
            id,
            graph,
            nodes: Nodes::new(nodes),
            routing,
            clock: Clock::default(),
            schedule: Schedule::new(tuning, window, waker),
            epochs: Epochs::new(term, epoch, segment),
            cuts: Cuts::new(),
            emitted: Vec::new(),
            ended: false,
            failed: false,
        };
        slot.nodes.each_table(|_, t| t.begin_epoch(epoch))?;
        Ok(slot)
    }

    /// Puts one stored entry of a table back. Later ones win, so files are restored oldest first.
    pub fn restore(&mut self, table: u64, item: &Item<'_>) -> Result<()> {
        self.nodes.each_table(|id, t| if id == table { t.absorb_item(item) } else { Ok(()) })
    }

    /// The slot owns its groups from now on. `watermarks` are the stored ones of stages: then everything is as it was at the
    /// manifest's barrier.
    pub fn start(&mut self, watermarks: &[(NodeId, Time)]) -> Result<()> {
        self.start_ahead(watermarks, &[])
    }

    /// Like [`Slot::start`], with everything a manifest says about time.
    pub fn start_from(&mut self, manifest: &Manifest) -> Result<()> {
        self.epochs.base = Some((manifest.injected_term, manifest.epoch));
        let rules = self.cuts.rules;
        let stored = manifest.watermarks.iter().filter(|_| rules.watermark_restored());
        let watermarks: Vec<(NodeId, Time)> = stored.map(|(n, t)| (NodeId(*n), *t)).collect();
        let table = manifest.table.assignment()?;
        let ahead = manifest.ahead.iter().filter(|_| rules.ahead_restored());
        let ahead: Vec<_> = ahead.map(|a| (NodeId(a.node), table.groups_of(a.slot), a.watermark)).collect();
        self.start_ahead(&watermarks, &ahead)
    }

    /// `ahead` are groups for which more has fired than a stage's stored watermark says, because their owner was further than others.
    fn start_ahead(&mut self, watermarks: &[(NodeId, Time)], ahead: &[(NodeId, GroupSet, Time)]) -> Result<()> {
        let owned = self.routing.assignment.groups_of(self.id);
        self.nodes.each_table(|_, t| {
            t.activate(&owned);
            Ok(())
        })?;
        for (id, time) in watermarks {
            if let Some(NodeIndex(i)) = self.graph.find(*id) {
                let node = self.nodes.at(i);
                node.own = *time;
                for c in &mut node.channels {
                    c.watermark = *time;
                }
            }
        }
        for node in self.nodes.iter_mut() {
            let Body::Operator { op, .. } = &mut node.body else { continue };
            let mut rest = owned.clone();
            for (_, groups, watermark) in ahead.iter().filter(|(id, ..)| *id == node.id) {
                let mut mine = groups.clone();
                mine.intersect(&owned);
                rest.subtract(&mine);
                op.after_absorb(&mine, *watermark)?;
            }
            op.after_absorb(&rest, node.own)?;
        }
        Ok(())
    }

    /// More splits to read.
    pub(super) fn take_splits(&mut self, node: NodeIndex, splits: Vec<(SplitId, Vec<u8>, Time)>) -> Result<()> {
        let now = self.clock.now();
        let NodeState { body: Body::Source(source), .. } = self.nodes.at(node.0) else {
            return Err(Error::new(Kind::Broken, "splits were given to a node that is not a source"));
        };
        source.add(splits, now);
        self.source_watermark(node.0);
        Ok(())
    }

    /// A barrier that brings splits here has passed a node: what the node has promised says nothing of their rows. The receivers took the
    /// same step when they aligned, so no promise that anybody relied on is broken; a slot that joins at this barrier is promised
    /// nothing until the splits have come (I6).
    pub(super) fn promise_nothing(&mut self, i: usize, barrier: &Barrier) {
        let me = self.id;
        let mut comes = barrier.moves.iter().filter(|m| m.to == me).map(|m| m.node);
        let fed: Vec<usize> = match self.graph.nodes().get(i) {
            Some(n) if matches!(n.role, Role::Source { .. }) && comes.any(|c| c == n.id) => Vec::new(),
            Some(n) if matches!(n.role, Role::Operator { keyed: false, .. }) => {
                let comes: Vec<NodeId> = comes.collect();
                let fed = |e: u32| comes.iter().any(|s| self.routing.feeds(*s, e));
                let Some(node) = self.nodes.get(i) else { return };
                let fed = node.channels.iter().enumerate().filter(|(_, c)| !c.exchanged && fed(c.edge)).map(|(c, _)| c);
                let fed: Vec<usize> = fed.collect();
                if fed.is_empty() {
                    return;
                }
                fed
            }
            Some(_) | None => return,
        };
        let node = self.nodes.at(i);
        node.emitted = Time::MIN;
        node.own = Time::MIN;
        for c in fed {
            if let Some(channel) = node.channels.get_mut(c) {
                channel.watermark = Time::MIN;
                channel.idle = false;
            }
        }
        for o in &mut node.outs {
            if let Out::Exchange { exchange, .. } = o {
                exchange.promise_nothing();
            }
        }
    }
}

fn input_channels(graph: &Graph, node: usize, members: &[SlotId], me: SlotId) -> Vec<Channel> {
    let mut channels = Vec::new();
    for (e, edge) in graph.edges().iter().enumerate().filter(|(_, e)| e.to.0 == node) {
        match edge.path {
            Path::Local => channels.push(Channel::new(e as u32, me, edge.input, false, true)),
            Path::Exchange => channels.extend(members.iter().map(|m| Channel::new(e as u32, *m, edge.input, true, true))),
        }
    }
    channels
}

/// A node that has done nothing yet.
fn node_state(graph: &Graph, i: usize, body: Body, channels: Vec<Channel>, epoch: u64) -> NodeState {
    NodeState {
        id: graph.nodes().get(i).map_or(NodeId(0), |n| n.id),
        body,
        channels,
        outs: Vec::new(),
        edges: exchange_inputs(graph, i),
        parts: VecDeque::new(),
        drained: Vec::new(),
        keyed_inputs: graph
            .edges()
            .iter()
            .filter(|e| e.to.0 == i && e.path == Path::Local && after_keyed(graph, e.from.0))
            .count(),
        epoch,
        own: Time::MIN,
        emitted: Time::MIN,
        idle: false,
        turn: 0,
        unfinished: None,
        under: None,
        urgent: false,
        tag: None,
        rows_in: 0,
        rows_out: 0,
        late: 0,
    }
}

fn exchange_inputs(graph: &Graph, node: usize) -> Vec<EdgeIn> {
    let inputs = graph.edges().iter().enumerate().filter(|(_, e)| e.to.0 == node && e.path == Path::Exchange);
    inputs.map(|(e, _)| EdgeIn { edge: e as u32, consumer: Consumer::new(RuleSet::ALL), aside: Vec::new() }).collect()
}

/// True if what a node emits was made by a keyed node of the same slot.
fn after_keyed(graph: &Graph, node: usize) -> bool {
    match graph.nodes().get(node).map(|n| &n.role) {
        Some(Role::Operator { keyed: true, .. }) => true,
        Some(Role::Operator { keyed: false, .. }) => {
            graph.edges().iter().any(|e| e.to.0 == node && e.path == Path::Local && after_keyed(graph, e.from.0))
        }
        Some(Role::Source { .. } | Role::Sink(_)) | None => false,
    }
}

fn connect(graph: &Graph, nodes: &mut [NodeState], members: &[SlotId], window: u32, tuning: Tuning) -> Vec<(usize, usize)> {
    let mut senders = Vec::new();
    for (e, edge) in graph.edges().iter().enumerate() {
        let channel = nodes.get(edge.to.0).and_then(|n| n.channels.iter().position(|c| c.edge == e as u32)).unwrap_or(0);
        let out = match edge.path {
            Path::Local => Out::Local { output: edge.output, node: edge.to.0, channel },
            Path::Exchange => {
                Out::Exchange { output: edge.output, exchange: Box::new(Exchange::new(e as u32, members, window, tuning)) }
            }
        };
        let from = nodes.get_mut(edge.from.0).expect("edges join nodes of the graph");
        senders.push((edge.from.0, from.outs.len()));
        from.outs.push(out);
    }
    senders
}
