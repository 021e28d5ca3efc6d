//! Journals of a process's slots, so that the next coordinator of the job can take them over while they run.
//!
//! A coordinator keeps nothing that lasts but the manifest log. What it has said since the last manifest, and what it was told, is
//! therefore written down where it was heard and said: a [`WorkerJournal`] in each process, a [`SlotJournal`] in it for each slot. Both
//! are fed by what goes by anyway, the commands to a slot and its reports, and forget what a published manifest carries; so a journal is
//! as long as what is under way: a few barriers, the parts of their epochs, the cuts since the last manifest, names of splits. Rows,
//! state and encoded entries are never in it. From the journals of all processes and the end of the log `Coordinator::adopt` makes a
//! coordinator that goes on where the last one stopped.
//!
//! Enough is kept: every word of a coordinator to a slot goes through one queue, so each slot has heard a beginning of what was said to
//! it, and a word that no slot has heard has had no effect. A word that some slot has heard is in its journal, and the successor repeats
//! it to the others.
//!
//! Three things its keeper must do. It notes a command when it hands it to the slot, and a report when it passes it on, a `Sealed` once its
//! entries are durable ([`crate::messages::EpochPart::files`], no `runs`). It gives a journal away and takes its first order from the
//! same session; from then on it obeys no older coordinator ([`TaskManager`]). And it drops the journal when it begins another run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::effects::NewSlot;
use super::parts::part_of;
use crate::env::SplitId;
use crate::error::{Error, Kind};
use crate::graph::{Graph, NodeId};
use crate::key::{Assignment, SlotId};
use crate::messages::{Barrier, Command, Report, SplitState};
use crate::protocol::cut::CutPlan;
use crate::protocol::merge::Part;
use crate::protocol::plan::SplitKey;

/// Warm-ups that were dropped are remembered so long, by number.
const FORGOTTEN: usize = 64;

/// A run of the job: all slots that were made together from one manifest, and those that joined them. Its term is in the names of all they
/// write, whoever coordinates them: names stay unique, because a term begins one run at most, and ordered, because files of a run
/// lie above those of the runs before it (I5, I10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The term under which it was begun.
    pub term: u64,
    /// The epoch of the manifest that it was begun from.
    pub epoch: u64,
}

/// The journal that one process keeps of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerJournal {
    /// The run.
    pub run: Run,
    /// The slots that may be made in this process.
    pub room: BTreeSet<SlotId>,
    /// Those that are there.
    pub slots: BTreeMap<SlotId, SlotJournal>,
}

impl WorkerJournal {
    /// A process that takes part in a run and has no slot yet.
    #[must_use]
    pub fn new(run: Run, room: BTreeSet<SlotId>) -> Self {
        Self { run, room, slots: BTreeMap::new() }
    }

    /// A slot was made from the manifest that the run began from.
    pub fn begun(&mut self, slot: SlotId, table: &Assignment, members: &[SlotId]) {
        let journal = SlotJournal::begun(self.run.epoch, Arc::new(table.clone()), members);
        self.slots.insert(slot, journal);
    }

    /// A slot was made that joins.
    pub fn joined(&mut self, new: &NewSlot) {
        self.slots.insert(new.id, SlotJournal::joined(new));
    }

    /// A slot is gone.
    pub fn released(&mut self, slot: SlotId) {
        self.slots.remove(&slot);
    }

    /// A command is handed to a slot.
    pub fn note_command(&mut self, graph: &Graph, slot: SlotId, command: &Command) {
        if let Some(journal) = self.slots.get_mut(&slot) {
            journal.note_command(graph, slot, command);
        }
    }

    /// A report goes out.
    pub fn note_report(&mut self, slot: SlotId, report: &Report) {
        if let Some(journal) = self.slots.get_mut(&slot) {
            journal.note_report(report);
        }
    }
}

/// The words that one slot has heard and said, as far as no published manifest carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlotJournal {
    /// The point at which the journal begins.
    pub(super) base: Checkpoint,
    /// The newest epoch whose publication it has heard of.
    pub(super) published: u64,
    /// The barrier at which the slot joined, until it is published.
    pub(super) joined: Option<Arc<Barrier>>,
    /// Barriers after the base.
    pub(super) barriers: Vec<BarrierRecord>,
    /// Cuts after the base.
    pub(super) cuts: Vec<CutRecord>,
    /// Batches that it warms up for others.
    pub(super) warming: Vec<u64>,
    /// Warm-ups that it was told to drop.
    pub(super) forgotten: VecDeque<u64>,
    /// The highest batch it has heard of.
    pub(super) batch: u64,
    /// Sources of which it has heard which splits are its own.
    pub(super) dealt: BTreeSet<NodeId>,
    /// Sources of which it has heard that they are over.
    pub(super) over: BTreeSet<NodeId>,
    /// Splits it reads.
    pub(super) reads: BTreeSet<SplitKey>,
    /// Splits that come to it with a barrier and have not come.
    pub(super) expects: Vec<Expected>,
    /// Splits it has given up at a barrier.
    pub(super) handed: Vec<(u64, SplitState)>,
    /// Splits that ended and are still here, and an epoch that has it at the latest.
    pub(super) finished: Vec<(u64, SplitKey)>,
    /// The slot has seen the end of all input.
    pub(super) ended: bool,
    /// The error for which the slot reads nothing more.
    pub(super) poisoned: Option<ReportedError>,
    /// The error for which the slot does nothing more.
    pub(super) failed: Option<ReportedError>,
}

/// Members and table right after a barrier.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) epoch: u64,
    #[serde(with = "as_table")]
    pub(super) table: Arc<Assignment>,
    pub(super) members: BTreeSet<SlotId>,
}

impl Checkpoint {
    /// A barrier changes who takes part.
    pub(super) fn pass(&mut self, barrier: &Barrier) {
        self.epoch = barrier.epoch;
        if let Some(members) = &barrier.members {
            self.members = members.iter().copied().collect();
        }
    }

    /// A cut changes who owns what.
    pub(super) fn cut(&mut self, plan: &CutPlan) {
        Arc::make_mut(&mut self.table).set(&plan.groups, plan.target, plan.version);
    }
}

/// A barrier that a slot has heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BarrierRecord {
    pub(super) barrier: Arc<Barrier>,
    /// The version of the table that it found. No cut is open at a barrier (I9), so it is the same at every slot.
    pub(super) version: u64,
    pub(super) aligned: bool,
    /// The slot's part of the epoch.
    pub(super) part: Option<Part>,
}

/// A cut that a slot has heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CutRecord {
    pub(super) plan: Arc<CutPlan>,
    /// The cut is the slot's own, and is over.
    pub(super) active: bool,
}

/// A split that a barrier moves to a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expected {
    pub(super) epoch: u64,
    pub(super) split: SplitKey,
}

impl Expected {
    /// The splits that a barrier moves to `me`.
    pub(super) fn of(barrier: &Barrier, me: SlotId) -> impl Iterator<Item = Self> + '_ {
        let mine = barrier.moves.iter().filter(move |m| m.to == me);
        mine.map(|m| Self { epoch: barrier.epoch, split: (m.node.0, m.split.clone()) })
    }
}

/// An error that a slot has reported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReportedError {
    kind: Kind,
    what: String,
    advice: Option<String>,
}

impl ReportedError {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), advice: None }
    }
}

impl From<&Error> for ReportedError {
    fn from(e: &Error) -> Self {
        Self { kind: e.kind(), what: e.to_string(), advice: e.advice().map(str::to_owned) }
    }
}

impl From<&ReportedError> for Error {
    fn from(t: &ReportedError) -> Self {
        let e = Self::new(t.kind, t.what.clone());
        match &t.advice {
            Some(advice) => e.advise(advice.clone()),
            None => e,
        }
    }
}

impl SlotJournal {
    fn begun(epoch: u64, table: Arc<Assignment>, members: &[SlotId]) -> Self {
        Self {
            base: Checkpoint { epoch, table, members: members.iter().copied().collect() },
            published: epoch,
            joined: None,
            barriers: Vec::new(),
            cuts: Vec::new(),
            warming: Vec::new(),
            forgotten: VecDeque::new(),
            batch: 0,
            dealt: BTreeSet::new(),
            over: BTreeSet::new(),
            reads: BTreeSet::new(),
            expects: Vec::new(),
            handed: Vec::new(),
            finished: Vec::new(),
            ended: false,
            poisoned: None,
            failed: None,
        }
    }

    fn joined(new: &NewSlot) -> Self {
        let mut journal = Self::begun(new.joins_at.epoch, new.table.clone(), &new.members);
        journal.published = 0;
        journal.expects = Expected::of(&new.joins_at, new.id).collect();
        journal.joined = Some(new.joins_at.clone());
        journal
    }

    /// The version of the table as the slot's routers use it.
    pub(super) fn version(&self) -> u64 {
        self.cuts.last().map_or(self.base.table.version, |c| c.plan.version)
    }

    /// The epoch that it fills.
    fn epoch(&self) -> u64 {
        self.barriers.last().map_or(self.base.epoch, |b| b.barrier.epoch) + 1
    }

    fn note_command(&mut self, graph: &Graph, me: SlotId, command: &Command) {
        match command {
            Command::Splits(node, splits) => {
                let node = graph.id(*node);
                // As the slot takes it: what a barrier moves to it says nothing of the splits that nobody reads.
                let moved = |split: &SplitId| self.expects.iter().any(|e| (e.split.0, &e.split.1) == (node.0, split));
                if splits.is_empty() || !splits.iter().all(|(split, ..)| moved(split)) {
                    self.dealt.insert(node);
                }
                for (split, ..) in splits {
                    let key = (node.0, split.clone());
                    self.expects.retain(|e| e.split != key);
                    self.reads.insert(key);
                }
            }
            Command::EndOfSource(node) => {
                self.over.insert(graph.id(*node));
            }
            Command::Barrier(barrier) => {
                self.expects.extend(Expected::of(barrier, me));
                let version = self.version();
                self.barriers.push(BarrierRecord { barrier: barrier.clone(), version, aligned: false, part: None });
            }
            Command::Published { epoch, .. } => self.carried(*epoch),
            Command::Warm(plan) => {
                self.batch = self.batch.max(plan.batch);
                self.warming.push(plan.batch);
            }
            Command::Forget(batch) => {
                self.warming.retain(|b| b != batch);
                if self.forgotten.len() >= FORGOTTEN {
                    self.forgotten.pop_front();
                }
                self.forgotten.push_back(*batch);
            }
            Command::Cut(plan) => {
                self.batch = self.batch.max(plan.batch);
                self.warming.retain(|b| *b != plan.batch);
                self.cuts.push(CutRecord { plan: plan.clone(), active: false });
            }
        }
    }

    /// A manifest carries everything up to a barrier: it becomes the base.
    fn carried(&mut self, epoch: u64) {
        self.published = self.published.max(epoch);
        let n = self.barriers.partition_point(|b| b.barrier.epoch <= epoch);
        for passed in self.barriers.drain(..n) {
            let cuts = self.cuts.partition_point(|c| c.plan.version <= passed.version);
            self.cuts.drain(..cuts).for_each(|c| self.base.cut(&c.plan));
            self.base.pass(&passed.barrier);
        }
        self.joined.take_if(|b| b.epoch <= epoch);
        self.handed.retain(|(e, _)| *e > epoch);
        self.finished.retain(|(e, ..)| *e > epoch);
    }

    fn note_report(&mut self, report: &Report) {
        match report {
            Report::Aligned(epoch) => {
                if let Some(passed) = self.barriers.iter_mut().find(|b| b.barrier.epoch == *epoch) {
                    passed.aligned = true;
                }
            }
            Report::Handed(epoch, states) => {
                for state in states {
                    let key = (state.node.0, state.split.clone());
                    self.reads.remove(&key);
                    self.finished.retain(|(_, k)| *k != key);
                    self.handed.push((*epoch, state.clone()));
                }
            }
            Report::Sealed(epoch, part) => {
                if part.runs.iter().any(|(_, run)| !run.is_empty()) {
                    let what = format!("the part of epoch {epoch} was passed on before its entries were durable");
                    self.failed = Some(ReportedError::new(Kind::Broken, what));
                }
                if let Some(passed) = self.barriers.iter_mut().find(|b| b.barrier.epoch == *epoch) {
                    passed.part = Some(part_of(part));
                }
            }
            Report::SplitFinished(node, split) => {
                let (epoch, key) = (self.epoch(), (node.0, split.clone()));
                self.reads.remove(&key);
                self.finished.push((epoch, key));
            }
            Report::Active(batch) => {
                if let Some(cut) = self.cuts.iter_mut().find(|c| c.plan.batch == *batch) {
                    cut.active = true;
                }
            }
            Report::Ended => self.ended = true,
            Report::Poisoned(e) => self.poisoned = Some(e.into()),
            Report::Failed(e) => self.failed = Some(e.into()),
            // A warm-up without a cut is begun again by whoever comes.
            Report::Warmed(_) => {}
        }
    }
}

/// A table on its way is its runs.
mod as_table {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::key::Assignment;
    use crate::protocol::manifest::Table;

    pub(super) fn serialize<S: Serializer>(table: &Arc<Assignment>, s: S) -> Result<S::Ok, S::Error> {
        Table::from(&**table).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Assignment>, D::Error> {
        Table::deserialize(d)?.assignment().map(Arc::new).map_err(de::Error::custom)
    }
}
