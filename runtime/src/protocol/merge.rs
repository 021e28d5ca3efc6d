//! One epoch on its way, and how the slots' parts become a manifest.
//!
//! A part says what changed in a slot; what it does not mention is carried over from the manifest before. Watermarks of a stage are
//! the minimum over slots, since after a recovery a slot may get any other slot's groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::manifest::{Ahead, HandleEntry, Manifest, SourceEntry, SplitEntry, StateFile};
use crate::env::SinkHandle;
use crate::graph::NodeId;
use crate::key::{Assignment, SlotId};
use crate::time::Time;

/// A slot's part of a manifest: everything in it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The slot's state files of the epoch.
    pub files: Vec<StateFile>,
    /// The splits that it read, by source node.
    pub splits: Vec<(u64, SplitEntry)>,
    /// The watermark of each stage at the barrier.
    pub watermarks: Vec<(u64, Time)>,
    /// The output that its sinks staged.
    pub handles: Vec<SinkHandle>,
    /// True if anything went through it in the epoch.
    pub changed: bool,
}

/// An epoch that is injected and not yet published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The epoch.
    pub epoch: u64,
    /// The term under which its barrier was injected.
    pub injected_term: u64,
    /// The table as of the barrier.
    pub table: Arc<Assignment>,
    /// The slots that must align and upload.
    pub expect: BTreeSet<SlotId>,
    /// The slots that take part afterwards.
    pub next_members: BTreeSet<SlotId>,
    /// The slots that have aligned.
    pub aligned: BTreeSet<SlotId>,
    /// The parts that they have uploaded.
    pub parts: BTreeMap<SlotId, Part>,
    /// Sources that end at its barrier.
    pub ends: Vec<NodeId>,
    /// The job's last.
    pub last: bool,
}

impl Flight {
    /// Just injected.
    #[must_use]
    pub fn new(
        epoch: u64,
        injected_term: u64,
        table: Arc<Assignment>,
        expect: BTreeSet<SlotId>,
        next_members: BTreeSet<SlotId>,
        last: bool,
    ) -> Self {
        Self {
            epoch,
            injected_term,
            table,
            expect,
            next_members,
            aligned: BTreeSet::new(),
            parts: BTreeMap::new(),
            ends: Vec::new(),
            last,
        }
    }

    /// True if every part is there.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.expect.iter().all(|s| self.parts.contains_key(s))
    }

    /// True if any slot saw a row.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.parts.values().any(|p| p.changed || !p.files.is_empty() || !p.handles.is_empty())
    }

    /// For whom the epoch waits.
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        let without = |have: &dyn Fn(&SlotId) -> bool| {
            let names: Vec<String> = self.expect.iter().filter(|s| !have(s)).map(|s| s.0.to_string()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let done = |s: &SlotId| self.aligned.contains(s) || self.parts.contains_key(s);
        if let Some(slots) = without(&done) {
            return Some(format!("epoch {} waits for slot {slots} to align", self.epoch));
        }
        without(&|s| self.parts.contains_key(s)).map(|slots| format!("epoch {} waits for the upload of slot {slots}", self.epoch))
    }

    /// The manifest that follows `last`.
    #[must_use]
    pub fn manifest(&self, last: &Manifest) -> Manifest {
        let mut next = last.clone();
        next.epoch = self.epoch;
        next.injected_term = self.injected_term;
        next.table = (&*self.table).into();
        next.members = self.next_members.iter().copied().collect();
        next.last = self.last;
        next.watermarks.clear();
        next.ahead.clear();
        for (slot, part) in &self.parts {
            next.files.extend(part.files.iter().cloned());
            for (node, split) in &part.splits {
                put_split(next.sources.entry(*node).or_default(), split);
            }
            for (node, w) in &part.watermarks {
                next.watermarks.entry(*node).and_modify(|old| *old = (*old).min(*w)).or_insert(*w);
            }
            let entry = |handle: &SinkHandle| HandleEntry { epoch: self.epoch, slot: *slot, handle: handle.clone() };
            next.handles.extend(part.handles.iter().map(entry));
        }
        // A split that nobody read when the barrier came has no part, and ends all the same.
        for node in &self.ends {
            let source = next.sources.entry(node.0).or_default();
            source.discovery_complete = true;
            source.splits.iter_mut().for_each(|s| s.finished = true);
        }
        let owns = |slot: &SlotId| self.table.table().contains(slot);
        for (slot, part) in self.parts.iter().filter(|(s, _)| owns(s)) {
            let ahead = part.watermarks.iter().filter(|(node, w)| next.watermarks.get(node).is_some_and(|min| min < w));
            next.ahead.extend(ahead.map(|(node, w)| Ahead { node: *node, slot: *slot, watermark: *w }));
        }
        next
    }
}

fn put_split(source: &mut SourceEntry, split: &SplitEntry) {
    match source.splits.iter_mut().find(|s| s.split == split.split) {
        // One that has ended has ended, though whoever it has moved to has not come to its end again.
        Some(old) => *old = SplitEntry { finished: old.finished || split.finished, ..split.clone() },
        None => source.splits.push(split.clone()),
    }
}
