//! Epochs, seen by the coordinator: inject, collect, publish in order, commit.
//!
//! ```text
//!   tick ─► Inject(e) ─► Aligned(e) from all ─► Uploaded(e) from all ─► Publish(e) ─► Published(e) to all ─► Commit(e)
//!            (the table as of now)   (ends the exclusive window)    (in order, one at a time)          (in order, I7)
//! ```
//!
//! Several epochs may be uploading, at most `max_in_flight`; a slow store thus slows epochs, never data. An epoch in which nothing
//! changed publishes nothing: the last manifest still describes it. The last epoch of a job (stopped, or all input ended) is an
//! ordinary one with `last` set, and the job is done when its output is committed.
//!
//! A manifest carries every handle that is not known to be committed, older epochs' too: whoever recovers from it commits them again.

use std::collections::{BTreeSet, VecDeque};

use super::manifest::{HandleEntry, Manifest, SourceEntry, StateFile};
use super::merge::{Flight, Part};
use super::rules::RuleSet;
use super::turns::Turns;
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::key::SlotId;

/// The pace of barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// From one barrier to the next, in microseconds of the coordinator's clock.
    pub interval_micros: u64,
    /// The most epochs that may be injected and not yet published.
    pub max_in_flight: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { interval_micros: 10_000_000, max_in_flight: 3 }
    }
}

/// A barrier to go into the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inject {
    /// The epoch that the barrier ends.
    pub epoch: u64,
    /// The slots that align it.
    pub members: Vec<SlotId>,
    /// The slots that take part afterwards, if that changes here.
    pub next_members: Option<Vec<SlotId>>,
    /// Sources that end at it.
    pub ends: Vec<NodeId>,
    /// Nothing is read after it.
    pub last: bool,
}

/// An effect that the coordinator is to carry out, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum EpochEffect {
    /// Send the barrier to every source slot.
    Inject(Inject),
    /// Put the manifest into the log; answer [`Epochs::published`] (or stop, if fenced).
    Publish(Box<Manifest>),
    /// Tell every slot: undo and frozen state up to here may go.
    Published {
        /// The epoch.
        epoch: u64,
        /// The table version that the manifest carries.
        version: u64,
    },
    /// Commit these handles in this order; answer [`Epochs::committed`].
    Commit {
        /// Everything up to this epoch.
        through: u64,
        /// In order.
        handles: Vec<HandleEntry>,
    },
    /// The last epoch is published and committed: the job is over, or stopped.
    Done {
        /// The last epoch.
        epoch: u64,
    },
}

/// The coordinator's epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epochs {
    pace: Pace,
    term: u64,
    last: Manifest,
    members: BTreeSet<SlotId>,
    next_members: Option<BTreeSet<SlotId>>,
    flights: VecDeque<Flight>,
    publishing: Option<Box<Manifest>>,
    next_epoch: u64,
    due: u64,
    ended: BTreeSet<SlotId>,
    stopping: bool,
    /// Sources that end at the next barrier.
    ending: Vec<NodeId>,
    committing: Option<u64>,
    done: bool,
    /// Merged files that no manifest has, and what they replace.
    merges: Vec<(StateFile, Vec<String>)>,
    /// Something that no slot reported has changed: new splits, merged files.
    amended: bool,
    rules: RuleSet,
}

impl Epochs {
    /// From the manifest that the job starts from, at time `now`. Its uncommitted handles are committed first ([`Epochs::start`]).
    #[must_use]
    pub fn new(pace: Pace, term: u64, mut last: Manifest, now: u64, rules: RuleSet) -> Self {
        if !rules.owed_is_committed() {
            last.handles.clear();
        }
        Self {
            pace,
            term,
            members: last.members.iter().copied().collect(),
            next_members: None,
            flights: VecDeque::new(),
            publishing: None,
            next_epoch: last.epoch + 1,
            due: now.saturating_add(pace.interval_micros),
            ended: BTreeSet::new(),
            stopping: false,
            ending: Vec::new(),
            committing: None,
            done: false,
            merges: Vec::new(),
            amended: false,
            last,
            rules,
        }
    }

    /// The debt at the start: the commits of the manifest, if any.
    pub fn start(&mut self) -> Vec<EpochEffect> {
        self.commit_next().into_iter().collect()
    }

    /// The last published manifest.
    #[must_use]
    pub fn last(&self) -> &Manifest {
        &self.last
    }

    /// The time at which the next barrier is due.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.due
    }

    /// The slots that take part now.
    #[must_use]
    pub fn members(&self) -> &BTreeSet<SlotId> {
        &self.members
    }

    /// Slots that take part from the next barrier on; the barrier comes at once.
    pub fn change_members(&mut self, members: BTreeSet<SlotId>) {
        self.next_members = (members != self.members).then_some(members);
    }

    /// Stop with a snapshot: the next barrier is the last, and comes at once. Whether a drain whose barrier was still to come has been
    /// given up for it.
    pub fn stop(&mut self) -> bool {
        self.stopping = true;
        !std::mem::take(&mut self.ending).is_empty()
    }

    /// Drain: at the next barrier, which comes at once, these sources end; the job is over when what is open has come out (I15). The
    /// newest wish counts: a stop whose barrier is still to come is not made.
    pub fn drain(&mut self, sources: Vec<NodeId>) {
        self.stopping = false;
        self.ending = sources;
    }

    /// True if the last barrier has gone out.
    #[must_use]
    pub fn closing(&self) -> bool {
        self.done || self.flights.back().is_some_and(|f| f.last)
    }

    /// A slot has seen the end of all input.
    pub fn ended(&mut self, slot: SlotId) {
        self.ended.insert(slot);
    }

    /// Time has passed, or something has changed: injects a barrier if one is due and it is its turn (I9).
    pub fn tick(&mut self, now: u64, turns: &mut Turns) -> Result<Option<EpochEffect>> {
        let ended = !self.members.is_empty() && self.members.is_subset(&self.ended);
        // A clock that goes back delays a barrier by one interval, and not by as much as it went back.
        if self.rules.due_within_interval() {
            self.due = self.due.min(now.saturating_add(self.pace.interval_micros));
        }
        let due = now >= self.due || self.stopping || ended || self.next_members.is_some() || !self.ending.is_empty();
        if !due || self.closing() || self.flights.len() >= self.pace.max_in_flight {
            return Ok(None);
        }
        if turns.barrier_waits().is_some() {
            turns.barrier_due();
            return Ok(None);
        }
        let epoch = self.next_epoch;
        let table = turns.inject(epoch, self.members.iter().copied())?;
        let next = self.next_members.take();
        let inject = Inject {
            epoch,
            members: self.members.iter().copied().collect(),
            next_members: next.as_ref().map(|n| n.iter().copied().collect()),
            ends: std::mem::take(&mut self.ending),
            last: self.stopping || ended,
        };
        let expect = std::mem::take(&mut self.members);
        self.members = next.unwrap_or_else(|| expect.clone());
        let flight = Flight::new(epoch, self.term, table, expect, self.members.clone(), inject.last);
        let ends = if self.rules.drain_in_manifest() { inject.ends.clone() } else { Vec::new() };
        self.flights.push_back(Flight { ends, ..flight });
        self.next_epoch += 1;
        self.due = now.saturating_add(self.pace.interval_micros);
        Ok(Some(EpochEffect::Inject(inject)))
    }

    /// A slot has aligned. The exclusive window ends with the last.
    pub fn aligned(&mut self, epoch: u64, slot: SlotId, turns: &mut Turns) -> bool {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.epoch == epoch) {
            flight.aligned.insert(slot);
        }
        turns.aligned(epoch, slot)
    }

    /// A slot's part of an epoch is durable.
    pub fn uploaded(&mut self, epoch: u64, slot: SlotId, part: Part, turns: &mut Turns) -> Result<Vec<EpochEffect>> {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.epoch == epoch) {
            flight.parts.insert(slot, part);
        }
        self.publish_next(turns)
    }

    /// A file that takes the place of others: it goes into the next manifest that still has these, not into one that is being put.
    pub fn merged(&mut self, new: StateFile, replaces: Vec<String>) {
        self.merges.push((new, replaces));
        self.amended = true;
    }

    /// Splits that a discovery found, at a source node: they go into the next manifest. One that is being put takes the place of the
    /// last: it must know it too.
    pub fn discovered(&mut self, node: u64, found: SourceEntry) {
        for manifest in std::iter::once(&mut self.last).chain(self.publishing.as_deref_mut()) {
            let known = manifest.sources.entry(node).or_default();
            self.amended |= found.discovery_complete && !known.discovery_complete;
            known.discovery_complete |= found.discovery_complete;
            for split in &found.splits {
                if !known.splits.iter().any(|s| s.split == split.split) {
                    known.splits.push(split.clone());
                    self.amended = true;
                }
            }
        }
    }

    /// The manifest in hand is in the log at `seq`.
    pub fn published(&mut self, seq: u64, turns: &mut Turns) -> Result<Vec<EpochEffect>> {
        let Some(manifest) = self.publishing.take() else {
            return Err(Error::broken("I7", format!("log slot {seq} was reported published, but nothing was being published")));
        };
        self.last = *manifest;
        self.last.parent = Some(seq);
        let mut effects = Vec::new();
        self.over(turns, &mut effects);
        effects.extend(self.publish_next(turns)?);
        Ok(effects)
    }

    /// Everything handed out in the last `Commit` is visible.
    pub fn committed(&mut self) -> Vec<EpochEffect> {
        if let Some(through) = self.committing.take() {
            for h in &self.last.handles {
                if h.epoch <= through {
                    let sink = self.last.committed_through.entry(h.handle.sink).or_default();
                    *sink = through.max(*sink);
                }
            }
            self.last.handles.retain(|h| h.epoch > through);
            if let Some(p) = &mut self.publishing {
                // The put is under way with these handles in it; committing them again is harmless.
                p.committed_through = self.last.committed_through.clone();
                p.handles.retain(|h| h.epoch > through);
            }
        }
        self.commit_next().into_iter().chain(self.done()).collect()
    }

    /// The epoch that the next barrier ends.
    #[must_use]
    pub fn next_epoch(&self) -> u64 {
        self.next_epoch
    }

    /// Epochs that are not published, oldest first.
    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    /// The slots whose part in an epoch or whose output is still to come or to be committed (I8).
    #[must_use]
    pub fn needed(&self) -> BTreeSet<SlotId> {
        let parts = self.flights.iter().flat_map(|f| f.expect.iter().copied());
        parts.chain(self.last.handles.iter().map(|h| h.slot)).collect()
    }

    /// The lowest (term, epoch) of a file that an unpublished epoch may still name; see [`super::gc`].
    #[must_use]
    pub fn floor(&self) -> (u64, u64) {
        let flights = self.flights.iter().map(|f| (f.injected_term, f.epoch));
        flights.min().unwrap_or((self.term, self.next_epoch))
    }

    /// Takes over an epoch that a coordinator before this one has injected. In order.
    pub fn adopt(&mut self, flight: Flight) {
        self.next_epoch = self.next_epoch.max(flight.epoch + 1);
        self.members.clone_from(&flight.next_members);
        self.flights.push_back(flight);
    }

    /// The manifest that was found is the job's last: nothing is left but what it owes.
    pub fn was_last(&mut self) -> Vec<EpochEffect> {
        self.done = true;
        self.done().into_iter().collect()
    }

    /// The slots are already writing `epoch`: those before it were skipped or are adopted.
    pub fn resume_at(&mut self, epoch: u64) {
        self.next_epoch = self.next_epoch.max(epoch);
    }

    /// For whom epochs wait (I13).
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        if let Some(p) = &self.publishing {
            return Some(format!("epoch {} waits for the object store to take its manifest", p.epoch));
        }
        let head = self.flights.front().and_then(Flight::waiting);
        head.or_else(|| self.committing.map(|e| format!("epoch {e} waits for its sinks to commit")))
    }

    fn publish_next(&mut self, turns: &mut Turns) -> Result<Vec<EpochEffect>> {
        let mut effects = Vec::new();
        while self.publishing.is_none() && self.flights.front().is_some_and(Flight::complete) {
            let Some(flight) = self.flights.front() else { break };
            let mut manifest = flight.manifest(&self.last);
            for (new, replaces) in std::mem::take(&mut self.merges) {
                if replaces.iter().all(|r| manifest.files.iter().any(|f| f.name == *r)) {
                    manifest.files.retain(|f| !replaces.contains(&f.name));
                    manifest.files.push(new);
                }
            }
            if !self.rules.table_at_barrier() {
                manifest.table = (&**turns.table()).into();
            }
            let moved = manifest.table != self.last.table || manifest.members != self.last.members;
            if flight.changed() || moved || flight.last || !flight.ends.is_empty() || self.amended {
                self.amended = false;
                let manifest = Box::new(manifest);
                if !self.rules.commit_after_manifest() {
                    effects.push(EpochEffect::Commit { through: manifest.epoch, handles: manifest.handles_in_order() });
                }
                effects.push(EpochEffect::Publish(manifest.clone()));
                self.publishing = Some(manifest);
            } else {
                self.last.epoch = flight.epoch;
                self.over(turns, &mut effects);
            }
        }
        Ok(effects)
    }

    /// The head epoch is described by the last manifest in the log.
    fn over(&mut self, turns: &mut Turns, effects: &mut Vec<EpochEffect>) {
        let Some(flight) = self.flights.pop_front() else { return };
        let version = self.last.table.version;
        turns.published(version);
        self.done |= flight.last;
        effects.push(EpochEffect::Published { epoch: flight.epoch, version });
        effects.extend(self.commit_next());
        effects.extend(self.done());
    }

    fn commit_next(&mut self) -> Option<EpochEffect> {
        if self.committing.is_some() || self.last.handles.is_empty() {
            return None;
        }
        let through = self.last.epoch;
        self.committing = Some(through);
        let mut handles = self.last.handles_in_order();
        if !self.rules.commit_in_version_order() {
            handles.reverse();
        }
        Some(EpochEffect::Commit { through, handles })
    }

    fn done(&self) -> Option<EpochEffect> {
        let idle = self.committing.is_none() && self.last.handles.is_empty();
        (self.done && idle).then_some(EpochEffect::Done { epoch: self.last.epoch })
    }
}

#[cfg(test)]
#[path = "epoch_tests.rs"]
mod tests;
