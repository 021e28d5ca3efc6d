//! The nodes of a slot, and the questions and small steps that need nothing but nodes.

use crate::error::Result;
use crate::frame::Item;
use crate::graph::NodeId;
use crate::key::GroupSet;
use crate::protocol::cut::ChannelId;
use crate::state::ErasedTable;
use crate::time::Time;

use super::node::{Body, NodeState, Out};

/// All nodes of a slot, in the order of the graph: a node stands behind those that feed it.
pub(super) struct Nodes(Vec<NodeState>);

/// A look at a node, for metrics and dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStats {
    /// The node.
    pub id: NodeId,
    /// Rows in, rows out, late rows.
    pub rows_in: u64,
    /// Rows it emitted.
    pub rows_out: u64,
    /// Rows it dropped as late or sent to its side output.
    pub late: u64,
    /// The node's watermark.
    pub watermark: Time,
    /// Items waiting in its channels.
    pub queued: usize,
    /// Entries and bytes of its keyed state.
    pub entries: u64,
    /// Bytes of its keyed state.
    pub bytes: u64,
    /// Source progress: thousandths of splits done, and of how many; (0, 0) where the input has no end.
    pub progress: (u64, u64),
}

impl Nodes {
    pub(super) fn new(nodes: Vec<NodeState>) -> Self {
        Self(nodes)
    }

    pub(super) fn into_inner(self) -> Vec<NodeState> {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &NodeState> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut NodeState> {
        self.0.iter_mut()
    }

    pub(super) fn get(&self, i: usize) -> Option<&NodeState> {
        self.0.get(i)
    }

    pub(super) fn get_mut(&mut self, i: usize) -> Option<&mut NodeState> {
        self.0.get_mut(i)
    }

    /// The node of this number, which comes from the graph.
    pub(super) fn at(&mut self, i: usize) -> &mut NodeState {
        self.0.get_mut(i).expect("node numbers come from the graph")
    }

    pub(super) fn is_keyed(&self, i: usize) -> bool {
        self.0.get(i).is_some_and(NodeState::is_keyed)
    }

    /// The numbers of the keyed nodes.
    pub(super) fn keyed(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(|i| self.is_keyed(*i))
    }

    /// Calls `visit` with each table and its id.
    pub(super) fn each_table(&mut self, mut visit: impl FnMut(u64, &mut dyn ErasedTable) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        for node in &mut self.0 {
            if let Body::Operator { op, .. } = &mut node.body {
                let node = node.id;
                op.tables(&mut |t| {
                    if result.is_ok() {
                        let id = node.table(&t.desc().name);
                        result = visit(id, t);
                    }
                });
            }
        }
        result
    }

    /// Drops the frozen copies that cuts up to this version left.
    pub(super) fn drop_frozen(&mut self, version: u64) {
        self.tables(|t| t.drop_frozen(version));
    }

    /// Bytes of all undo images.
    pub(super) fn undo_bytes(&mut self) -> usize {
        let mut bytes = 0;
        self.tables(|t| bytes += t.undo_bytes());
        bytes
    }

    /// Frees entries that are needed no more: of those that wait in a table as many as `budget` says. True when none is left.
    pub(super) fn sweep(&mut self, budget: impl Fn(usize) -> usize) -> bool {
        let mut done = true;
        self.tables(|t| done &= t.sweep(budget(t.debt())));
        done
    }

    /// True if every state still has the copy that was frozen for a cut.
    pub(super) fn keeps(&mut self, version: u64) -> bool {
        let mut all = true;
        self.tables(|t| all &= t.keeps(version));
        all
    }

    /// For each keyed state, the groups that may be accessed (I1).
    pub(super) fn active_groups(&mut self) -> Vec<GroupSet> {
        let mut all = Vec::new();
        self.tables(|t| all.push(t.active().clone()));
        all
    }

    fn tables(&mut self, mut visit: impl FnMut(&mut dyn ErasedTable)) {
        for node in &mut self.0 {
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut visit);
            }
        }
    }

    /// True if every exchange can still take a frame for each destination.
    pub(super) fn exchanges_open(&self) -> bool {
        self.0.iter().all(NodeState::exchanges_open)
    }

    /// True if everything the node may emit has somewhere to go.
    pub(super) fn outputs_open(&self, i: usize) -> bool {
        let Some(node) = self.0.get(i) else { return false };
        let next_free = |n: &usize, c: &usize| {
            self.0.get(*n).is_some_and(|n| n.unfinished.is_none() && n.channels.get(*c).is_some_and(|c| c.queue.is_empty()))
        };
        node.exchanges_open()
            && node.outs.iter().all(|o| match o {
                Out::Local { node, channel, .. } => next_free(node, channel),
                Out::Exchange { .. } => true,
            })
    }

    /// True if a node can take a call now.
    pub(super) fn free(&self, i: usize) -> bool {
        self.outputs_open(i) && self.0.get(i).is_some_and(NodeState::rests)
    }

    /// True if every keyed node is at rest: no unfinished call, no parts. Then a step that concerns them all may be taken.
    pub(super) fn keyed_rest(&self) -> bool {
        let rests = |n: &NodeState| n.rests() && n.channels.iter().all(|c| c.exchanged || c.queue.is_empty());
        self.0.iter().all(|n| !n.is_keyed() || rests(n))
    }

    /// An item for a channel of a node of this slot.
    pub(super) fn queue(&mut self, node: usize, channel: usize, item: Item) {
        if let Some(c) = self.at(node).channels.get_mut(channel) {
            c.queue.push_back(item);
        }
    }

    /// The number of channels that share the slot's time.
    pub(super) fn exchanged_channels(&self) -> usize {
        self.0.iter().flat_map(|n| &n.channels).filter(|c| c.exchanged && c.joined).count()
    }

    /// All channels that lead into moving stages, each with its stage.
    pub(super) fn stage_channels(&self) -> Vec<(ChannelId, u32)> {
        let mut all = Vec::new();
        for (i, node) in self.0.iter().enumerate().filter(|(_, n)| n.is_keyed()) {
            let inputs = node.channels.iter().filter(|c| c.exchanged && c.joined);
            all.extend(inputs.map(|c| (ChannelId { edge: c.edge, from: c.from }, i as u32)));
        }
        all
    }

    /// The next time at which a source's watermark changes by itself.
    pub(super) fn next_timeout(&self, now: i64) -> Option<i64> {
        let of = |n: &NodeState| match &n.body {
            Body::Source(s) => s.next_timeout(now),
            Body::Operator { .. } | Body::Sink(_) => None,
        };
        self.0.iter().filter_map(of).min()
    }

    /// True if every sink has seen the end of all input.
    pub(super) fn ended(&self) -> bool {
        self.0.iter().all(|n| !matches!(n.body, Body::Sink(_)) || n.own == Time::MAX)
    }

    /// Each node's numbers.
    pub(super) fn stats(&mut self) -> Vec<NodeStats> {
        let stats = |node: &mut NodeState| {
            let (mut entries, mut bytes) = (0, 0);
            if let Body::Operator { op, .. } = &mut node.body {
                op.tables(&mut |t| {
                    entries += t.entries() as u64;
                    bytes += t.bytes() as u64;
                });
            }
            NodeStats {
                id: node.id,
                rows_in: node.rows_in,
                rows_out: node.rows_out,
                late: node.late,
                watermark: if matches!(node.body, Body::Source(_)) { node.emitted } else { node.own },
                queued: node.channels.iter().map(|c| c.queue.len()).sum(),
                entries,
                bytes,
                progress: if let Body::Source(s) = &node.body { s.progress() } else { (0, 0) },
            }
        };
        self.0.iter_mut().map(stats).collect()
    }
}
