//! The manifest: everything that a job is at one barrier, as one JSON object.
//!
//! Law (I5): it names only complete, immutable files, and each key group, split and sink segment has exactly one owner in it. It is
//! JSON because people read it when something is wrong; it carries no rows, so its size is a matter of files and splits.
//! Fields are only ever added, with a default; a change that an older reader would misread raises [`FORMAT`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::env::{Position, SinkHandle, SplitId};
use crate::error::{Error, Kind, Result};
use crate::graph::NodeShape;
use crate::key::{Assignment, GroupSet, KeyGroup, KeySpace, SlotId};
use crate::state::snapshot::{FileMeta, plan_merge};
use crate::time::Time;

/// The format this version writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// The table key group → slot, run-length coded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Raised by each cut.
    pub version: u64,
    /// The key space.
    pub space: KeySpace,
    /// (groups, slot) in group order.
    pub runs: Vec<(u32, SlotId)>,
}

impl From<&Assignment> for Table {
    fn from(a: &Assignment) -> Self {
        Self { version: a.version, space: a.space(), runs: a.runs() }
    }
}

impl Table {
    /// The full table; `Corrupt` if the runs do not add up.
    pub fn assignment(&self) -> Result<Assignment> {
        Assignment::from_runs(self.space, self.version, &self.runs)
            .ok_or_else(|| Error::new(Kind::Corrupt, "the runs of the assignment do not add up to the number of key groups"))
    }
}

/// The groups of which a file may hold entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Groups {
    /// Any, as far as the file's own footer says.
    All,
    /// These runs: (first group, number of groups).
    Runs(Vec<(u16, u16)>),
}

impl Groups {
    /// The runs of a set.
    #[must_use]
    pub fn of(set: &GroupSet) -> Self {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for KeyGroup(g) in set.iter() {
            match runs.last_mut() {
                Some((first, n)) if u32::from(*first) + u32::from(*n) == u32::from(g) => *n += 1,
                _ => runs.push((g, 1)),
            }
        }
        Self::Runs(runs)
    }

    /// True if `group` may be in it.
    #[must_use]
    pub fn contains(&self, group: KeyGroup) -> bool {
        match self {
            Self::All => true,
            Self::Runs(runs) => runs.iter().any(|(first, n)| group.0 >= *first && group.0 - first < *n),
        }
    }
}

/// One immutable object with state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// The file's name under the job's root.
    pub name: String,
    /// The file's size.
    pub bytes: u64,
    /// The first epoch whose writes are in it.
    pub from_epoch: u64,
    /// The last one.
    pub to_epoch: u64,
    /// The number of entries, deletions included.
    pub entries: u64,
    /// The number of times that its contents have been merged.
    #[serde(default)]
    pub level: u8,
    /// The groups in it.
    pub groups: Groups,
}

impl StateFile {
    fn meta(&self) -> FileMeta {
        FileMeta { bytes: self.bytes, level: self.level, epochs: (self.from_epoch, self.to_epoch) }
    }
}

/// A split and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// The split.
    pub split: SplitId,
    /// The position at which to read on.
    #[serde(with = "crate::error::hex")]
    pub position: Position,
    /// The split's own watermark.
    pub watermark: Time,
    /// Nothing is left in it.
    #[serde(default)]
    pub finished: bool,
}

/// One source node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Every split known.
    pub splits: Vec<SplitEntry>,
    /// No other split will ever appear.
    #[serde(default)]
    pub discovery_complete: bool,
}

/// Staged output of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleEntry {
    /// The epoch whose output it is.
    pub epoch: u64,
    /// The slot that staged it.
    pub slot: SlotId,
    /// The output to commit.
    pub handle: SinkHandle,
}

/// A stage of one slot that was further in event time than the stage as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// The stage, by node id.
    pub node: u64,
    /// The slot.
    pub slot: SlotId,
    /// The slot's watermark there.
    pub watermark: Time,
}

/// An epoch of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The barrier.
    pub epoch: u64,
    /// The term under which the barrier was injected: the term in the names of its files.
    pub injected_term: u64,
    /// The log slot of the manifest before it.
    pub parent: Option<u64>,
    /// The job: a hash of its text or program. Written as 0 so far, and compared by nothing: [`NodeShape`]s say what fits.
    pub fingerprint: u64,
    /// The graph, node by node.
    pub graph: Vec<NodeShape>,
    /// The table **as of the barrier**, not as of the publication.
    pub table: Table,
    /// The state.
    pub files: Vec<StateFile>,
    /// The sources, by node id.
    pub sources: BTreeMap<u64, SourceEntry>,
    /// The watermark of each stage, by node id.
    pub watermarks: BTreeMap<u64, Time>,
    /// Slots that were further than that: what is due up to there has fired for the groups that the table gives them, and must not
    /// fire again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<Ahead>,
    /// Staged output not known to be committed, of this epoch and of earlier ones.
    pub handles: Vec<HandleEntry>,
    /// By sink: every epoch up to this one is committed.
    pub committed_through: BTreeMap<u64, u64>,
    /// The slots that take part from the next epoch on.
    pub members: Vec<SlotId>,
    /// The job reads nothing after it: it was stopped here, or has ended.
    #[serde(default)]
    pub last: bool,
}

impl Manifest {
    /// The files that are to become one now, oldest first, and whether they are a new base: with nothing older, tombstones go.
    #[must_use]
    pub fn merge_due(&self) -> Option<(Vec<StateFile>, bool)> {
        let mut files = self.files.clone();
        files.sort_by_key(|f| (f.from_epoch, f.to_epoch));
        let metas: Vec<FileMeta> = files.iter().map(StateFile::meta).collect();
        let range = plan_merge(&metas)?;
        let base = range.start == 0;
        Some((files.drain(range).collect(), base))
    }

    /// The origin of a job that has no manifest yet: epoch 0, nothing read.
    #[must_use]
    pub fn origin(fingerprint: u64, graph: Vec<NodeShape>, table: &Assignment, members: Vec<SlotId>) -> Self {
        Self {
            epoch: 0,
            injected_term: 0,
            parent: None,
            fingerprint,
            graph,
            table: table.into(),
            files: Vec::new(),
            sources: BTreeMap::new(),
            watermarks: BTreeMap::new(),
            ahead: Vec::new(),
            handles: Vec::new(),
            committed_through: BTreeMap::new(),
            members,
            last: false,
        }
    }

    /// True if it is the end of the job: everything has been read, and everything that came of it has come out. A job that was stopped in
    /// between has read all there is and still has windows to close.
    #[must_use]
    pub fn finished(&self) -> bool {
        let read = |s: &SourceEntry| s.discovery_complete && s.splits.iter().all(|x| x.finished);
        self.last && self.sources.values().all(read) && self.watermarks.values().all(|w| *w == Time::MAX)
    }

    /// The handles in the order in which to commit them: by sink, epoch, assignment version (I3), slot.
    #[must_use]
    pub fn handles_in_order(&self) -> Vec<HandleEntry> {
        let mut all = self.handles.clone();
        all.sort_by_key(|h| (h.handle.sink, h.epoch, h.handle.version, h.slot));
        all
    }
}
