//! The reader of each split.
//!
//! A split is read by one slot at a time (I5). One that nobody reads is given away at once; one that is being read changes its reader
//! only at a barrier, and the new reader gets it when the old one has said where it stopped.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::Expected;
use super::run_journal::RunJournal;
use crate::env::{Discovered, Position, SplitId};
use crate::graph::{Graph, NodeId, NodeIndex};
use crate::key::SlotId;
use crate::messages::{SplitMove, SplitState};
use crate::protocol::manifest::{Manifest, SourceEntry, SplitEntry};
use crate::protocol::plan::{SplitKey, deal};
use crate::protocol::rules::RuleSet;
use crate::time::Time;

/// One split.
#[derive(Clone, Debug)]
struct Split {
    reader: Option<SlotId>,
    /// The slot that reads it after the barrier under way.
    next: Option<SlotId>,
    position: Position,
    watermark: Time,
    finished: bool,
}

/// All splits of all sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Splits {
    splits: BTreeMap<SplitKey, Split>,
    complete: BTreeMap<u64, bool>,
    nodes: Vec<(NodeIndex, u64)>,
}

/// Splits for a slot: where, which, from where on.
pub(super) type Given = (SlotId, NodeIndex, Vec<From>);
/// A split and from where on it is to be read.
type From = (SplitId, Position, Time);

impl Splits {
    pub(super) fn new(graph: &Graph, manifest: &Manifest, rules: RuleSet) -> Self {
        let nodes: Vec<(NodeIndex, u64)> = graph.sources().map(|(i, n, _)| (i, n.id.0)).collect();
        let mut all = Self { nodes, ..Self::default() };
        for (node, entry) in &manifest.sources {
            all.complete.insert(*node, entry.discovery_complete);
            for s in &entry.splits {
                let split = Split {
                    reader: None,
                    next: None,
                    position: if rules.split_rewinds() { s.position.clone() } else { Vec::new() },
                    watermark: s.watermark,
                    finished: s.finished,
                };
                all.splits.insert((*node, s.split.clone()), split);
            }
        }
        all
    }

    /// The readers of splits, as the slots have them. What comes out is to be given to its reader, after the barrier of that epoch and
    /// before the next: a split that its old reader has given up, and that its new one has not got.
    pub(super) fn adopt(&mut self, graph: &Graph, run_journal: &RunJournal<'_>, rules: RuleSet) -> Vec<(u64, Given)> {
        let unread = || Split { reader: None, next: None, position: Vec::new(), watermark: Time::MIN, finished: false };
        for (slot, journal) in &run_journal.journals {
            for key in journal.reads.iter().filter(|_| rules.adopts_readers()) {
                self.splits.entry(key.clone()).or_insert_with(unread).reader = Some(*slot);
            }
            for (_, key) in &journal.finished {
                let split = self.splits.entry(key.clone()).or_insert_with(unread);
                // A split that a barrier moves which the slot has not heard is handed over when it hears it: no slot begins it again (I2).
                (split.finished, split.reader) = (true, Some(*slot));
            }
        }
        let heard = run_journal.journals.iter().flat_map(|(s, d)| d.expects.iter().map(|e| (*s, e.clone())));
        let unheard = run_journal.unheard.iter().flat_map(|(s, b)| Expected::of(b, *s).map(|e| (*s, e)));
        let mut given = Vec::new();
        let mut expected: Vec<(SlotId, Expected)> = heard.chain(unheard).collect();
        // One that moves twice goes by way of the slot in the middle, which alone can say where it stops (I2).
        expected.sort_by_key(|(_, e)| e.epoch);
        for (to, Expected { epoch, split: key }) in expected {
            let split = self.splits.entry(key.clone()).or_insert_with(unread);
            split.next = Some(to);
            if split.reader.is_some() {
                // The old reader will say where it stops.
                continue;
            }
            let same = |(e, s): &&(u64, crate::messages::SplitState)| *e == epoch && (s.node.0, &s.split) == (key.0, &key.1);
            let handed =
                run_journal.journals.values().find_map(|d| d.handed.iter().find(same)).filter(|_| rules.split_handed_over());
            // The last manifest knows where the old reader stopped, if no slot does any more.
            let state = SplitState {
                node: NodeId(key.0),
                split: key.1.clone(),
                position: handed.map_or_else(|| split.position.clone(), |(_, s)| s.position.clone()),
                watermark: handed.map_or(split.watermark, |(_, s)| s.watermark),
                finished: handed.map_or(split.finished, |(_, s)| s.finished),
            };
            if let Some((slot, node)) = self.handed(graph, &state) {
                given.push((epoch, (slot, node, vec![(state.split, state.position, state.watermark)])));
            }
        }
        given
    }

    /// Every split as a manifest has it that knows nothing more of it.
    pub(super) fn entries(&self) -> Vec<(u64, SourceEntry)> {
        let mut all: BTreeMap<u64, SourceEntry> = BTreeMap::new();
        for ((node, split), s) in &self.splits {
            let entry =
                SplitEntry { split: split.clone(), position: s.position.clone(), watermark: s.watermark, finished: false };
            all.entry(*node).or_default().splits.push(entry);
        }
        all.into_iter().collect()
    }

    /// True if no other split of a source will ever come.
    pub(super) fn all_known(&self, node: u64) -> bool {
        self.complete.get(&node).copied().unwrap_or(false)
    }

    /// Slots know which splits a source has, or that nothing will ever come of it again.
    pub(super) fn heard_of(&mut self, node: u64, complete: bool) {
        *self.complete.entry(node).or_default() |= complete;
    }

    /// New splits; what the manifest must know of them.
    pub(super) fn discovered(&mut self, graph: &Graph, node: NodeIndex, found: &Discovered) -> SourceEntry {
        let id = graph.id(node).0;
        let complete = self.complete.entry(id).or_default();
        if *complete {
            // A source that has ended: what is found now comes too late (I15).
            return SourceEntry::default();
        }
        *complete |= found.complete;
        let mut entry = SourceEntry { splits: Vec::new(), discovery_complete: *complete };
        for split in &found.splits {
            self.splits.entry((id, split.clone())).or_insert_with(|| {
                let new = SplitEntry { split: split.clone(), position: Vec::new(), watermark: Time::MIN, finished: false };
                entry.splits.push(new);
                Split { reader: None, next: None, position: Vec::new(), watermark: Time::MIN, finished: false }
            });
        }
        entry
    }

    /// These sources end: nothing more is read of what is known, and nothing more will be.
    pub(super) fn end(&mut self, sources: &[NodeId]) {
        for node in sources {
            self.complete.insert(node.0, true);
        }
        let of = |(node, _): &SplitKey| sources.contains(&NodeId(*node));
        self.splits.iter_mut().filter(|(key, _)| of(key)).for_each(|(_, s)| s.finished = true);
    }

    fn open(&self) -> impl Iterator<Item = (&SplitKey, &Split)> {
        self.splits.iter().filter(|(_, s)| !s.finished)
    }

    /// Gives splits without a reader away, of these sources, evenly, leaving all others where they are.
    pub(super) fn give(&mut self, graph: &Graph, members: &BTreeSet<SlotId>, of: impl Fn(u64) -> bool) -> Vec<Given> {
        let mut load: BTreeMap<SlotId, usize> = members.iter().map(|m| (*m, 0)).collect();
        for (_, s) in self.open() {
            if let Some(n) = s.next.or(s.reader).and_then(|r| load.get_mut(&r)) {
                *n += 1;
            }
        }
        let mut given: BTreeMap<(SlotId, NodeIndex), Vec<From>> = BTreeMap::new();
        let unread =
            |((node, _), s): &(&SplitKey, &mut Split)| !s.finished && s.reader.is_none() && s.next.is_none() && of(*node);
        for ((node, id), split) in self.splits.iter_mut().filter(unread) {
            let Some((slot, n)) = load.iter_mut().min_by_key(|(s, n)| (**n, **s)) else { break };
            let Some(place) = graph.find(NodeId(*node)) else { continue };
            *n += 1;
            split.reader = Some(*slot);
            given.entry((*slot, place)).or_default().push((id.clone(), split.position.clone(), split.watermark));
        }
        given.into_iter().map(|((slot, node), splits)| (slot, node, splits)).collect()
    }

    /// Deals the splits over the slots that take part after a barrier: what must change its reader there.
    pub(super) fn deal(&mut self, graph: &Graph, members: &BTreeSet<SlotId>) -> Vec<SplitMove> {
        let readers = self.open().map(|(k, s)| (k.clone(), s.reader)).collect();
        let mut moves = Vec::new();
        for (key, from, to) in deal(&readers, members) {
            let Some(split) = self.splits.get_mut(&key) else { continue };
            let Some(from) = from.filter(|_| graph.find(NodeId(key.0)).is_some()) else { continue };
            split.next = Some(to);
            moves.push(SplitMove { node: NodeId(key.0), split: key.1, from, to });
        }
        moves
    }

    /// The old reader has stopped here: who reads on.
    pub(super) fn handed(&mut self, graph: &Graph, state: &SplitState) -> Option<(SlotId, NodeIndex)> {
        let split = self.splits.get_mut(&(state.node.0, state.split.clone()))?;
        let to = split.next.take()?;
        split.reader = Some(to);
        split.finished = state.finished;
        Some((to, graph.find(state.node)?))
    }

    pub(super) fn finished(&mut self, node: NodeId, split: &SplitId) {
        if let Some(s) = self.splits.get_mut(&(node.0, split.clone())) {
            s.finished = true;
        }
    }

    /// Sources whose splits, if any, are known.
    pub(super) fn known(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.nodes.iter().filter(|(_, id)| self.complete.contains_key(id)).map(|(i, _)| *i)
    }

    /// Sources of which nothing will ever come again.
    pub(super) fn over(&self) -> Vec<NodeIndex> {
        let over = |id: u64| {
            self.complete.get(&id).copied().unwrap_or(false)
                && self.splits.iter().filter(|((n, _), _)| *n == id).all(|(_, s)| s.finished)
        };
        self.nodes.iter().filter(|(_, id)| over(*id)).map(|(i, _)| *i).collect()
    }
}
