//! The journal of a run since its last manifest, put together from the journals of its slots.
//!
//! Barriers are numbered and cuts raise the table's version by one, and a journal says of each barrier which version it found; so the
//! words of all journals have one order. Walking along it gives who took part and who owned what at each moment, what is under way, and
//! what each slot has not heard.
//!
//! A run that cannot be gone on with is refused: a slot that is needed and gone, and words that contradict each other or the log. Then
//! the caller begins a new run from the last manifest, which is always right and costs a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effects::NewSlot;
use super::journal::{BarrierRecord, Checkpoint, CutRecord, Run, SlotJournal, WorkerJournal};
use crate::error::{Error, Kind, Result};
use crate::graph::NodeId;
use crate::key::SlotId;
use crate::messages::{Barrier, Command};
use crate::protocol::cut::CutPlan;
use crate::protocol::manifest::Manifest;
use crate::protocol::merge::Flight;
use crate::protocol::rules::RuleSet;

/// A run as its slots have it.
#[derive(Debug)]
pub(super) struct RunJournal<'a> {
    pub(super) run: Run,
    /// The newest epoch that a manifest describes.
    pub(super) published: u64,
    /// The members right after it, and the version of its table.
    pub(super) carried: (BTreeSet<SlotId>, u64),
    /// After everything that was said: the last barrier, the table, and who takes part.
    pub(super) now: Checkpoint,
    /// The members until the last barrier has aligned everywhere.
    pub(super) current: BTreeSet<SlotId>,
    /// Epochs that are not published, in order.
    pub(super) flights: Vec<Flight>,
    /// Cuts that no manifest carries, and whether they are open, in order.
    pub(super) cuts: Vec<(Arc<CutPlan>, bool)>,
    /// Slots that are to join and were never made.
    pub(super) starts: Vec<NewSlot>,
    /// The rest of those among them that had been there before: they have left, and have not heard that they may go.
    pub(super) remains: Vec<SlotId>,
    /// Words to be said again, in order.
    pub(super) again: Vec<(SlotId, Command)>,
    /// Splits come with these to slots that have not heard of it.
    pub(super) unheard: Vec<(SlotId, Arc<Barrier>)>,
    /// Sources that a barrier has ended.
    pub(super) ends: Vec<NodeId>,
    pub(super) journals: BTreeMap<SlotId, &'a SlotJournal>,
    room: BTreeSet<SlotId>,
    rules: RuleSet,
}

fn contradiction(what: impl Into<String>) -> Error {
    Error::new(Kind::Unavailable, what).advise("a new run is begun from the last manifest")
}

impl<'a> RunJournal<'a> {
    /// From the journals of all processes and the last manifest.
    pub(super) fn of(journals: &'a [WorkerJournal], last: &Manifest, rules: RuleSet) -> Result<Self> {
        let run = journals.iter().map(|b| b.run).max_by_key(|r| r.term).ok_or_else(|| contradiction("no slot runs"))?;
        let workers: Vec<&WorkerJournal> = journals.iter().filter(|b| b.run == run).collect();
        let journals: BTreeMap<SlotId, &SlotJournal> =
            workers.iter().flat_map(|b| b.slots.iter().map(|(s, d)| (*s, d))).collect();
        if let Some((slot, e)) = journals.iter().find_map(|(s, d)| d.failed.as_ref().map(|e| (s, e))) {
            return Err(Error::from(e).at(format!("slot {}", slot.0)));
        }
        let ours = last.injected_term == run.term && last.epoch > run.epoch;
        if rules.adopts_its_own_run() && !ours && last.epoch != run.epoch {
            let (epoch, term) = (last.epoch, last.injected_term);
            return Err(contradiction(format!(
                "the last manifest, of epoch {epoch}, is of the run of term {term}, not of term {}",
                run.term
            )));
        }
        let published = journals.values().map(|d| d.published).max().unwrap_or(0).max(last.epoch);
        let newest = journals.values().map(|d| &d.base).filter(|b| b.epoch <= published).max_by_key(|b| b.epoch);
        let base = newest.ok_or_else(|| contradiction("no slot knows where the run began"))?.clone();
        let mut run_journal = Self {
            run,
            published,
            carried: (base.members.clone(), base.table.version),
            current: base.members.clone(),
            now: base,
            flights: Vec::new(),
            cuts: Vec::new(),
            starts: Vec::new(),
            remains: Vec::new(),
            again: Vec::new(),
            unheard: Vec::new(),
            ends: Vec::new(),
            journals,
            room: workers.iter().flat_map(|b| b.room.iter().copied()).collect(),
            rules,
        };
        run_journal.walk()?;
        run_journal.agrees_with(last, ours)?;
        run_journal.nobody_is_lost()?;
        Ok(run_journal)
    }

    /// Every word in its order.
    fn walk(&mut self) -> Result<()> {
        let mut cuts = self.all_cuts()?.into_values().peekable();
        for (epoch, (barrier, version)) in self.all_barriers()? {
            if epoch <= self.now.epoch {
                continue;
            }
            while let Some(plan) = cuts.next_if(|c| c.version <= version) {
                self.cut(plan)?;
            }
            self.barrier(barrier, version)?;
        }
        cuts.try_for_each(|plan| self.cut(plan))
    }

    /// By epoch: each barrier that some slot has heard, and the version of the table that it found.
    fn all_barriers(&self) -> Result<BTreeMap<u64, (Arc<Barrier>, u64)>> {
        let mut all: BTreeMap<u64, (Arc<Barrier>, u64)> = BTreeMap::new();
        let heard = |d: &&'a SlotJournal| {
            let joined = d.joined.iter().map(|b| (b.clone(), d.base.table.version)).collect::<Vec<_>>();
            joined.into_iter().chain(d.barriers.iter().map(|p| (p.barrier.clone(), p.version)))
        };
        for (barrier, version) in self.journals.values().flat_map(heard) {
            let epoch = barrier.epoch;
            let known = all.entry(epoch).or_insert_with(|| (barrier.clone(), version));
            if *known != (barrier, version) {
                return Err(contradiction(format!("slots have heard different barriers {epoch}")));
            }
        }
        Ok(all)
    }

    /// By version: each cut that some slot has heard.
    fn all_cuts(&self) -> Result<BTreeMap<u64, Arc<CutPlan>>> {
        let mut all: BTreeMap<u64, Arc<CutPlan>> = BTreeMap::new();
        for CutRecord { plan, .. } in self.journals.values().flat_map(|d| &d.cuts) {
            if plan.version > self.now.table.version && all.entry(plan.version).or_insert_with(|| plan.clone()) != plan {
                return Err(contradiction(format!("slots have heard different cuts of version {}", plan.version)));
            }
        }
        Ok(all)
    }

    fn cut(&mut self, plan: Arc<CutPlan>) -> Result<()> {
        if plan.version != self.now.table.version + 1 {
            return Err(contradiction(format!("nobody has heard the cut before that of version {}", plan.version)));
        }
        self.now.cut(&plan);
        // Every slot has heard of what a manifest describes.
        if self.now.epoch >= self.published {
            self.say(&self.now.members.clone(), |d| d.version() >= plan.version, || Command::Cut(plan.clone()))?;
        }
        let over = self.journals.get(&plan.target).is_some_and(|d| d.active(&plan));
        self.cuts.push((plan, !over && self.rules.adopts_open_cuts()));
        Ok(())
    }

    fn barrier(&mut self, barrier: Arc<Barrier>, version: u64) -> Result<()> {
        let epoch = barrier.epoch;
        if let Some((open, _)) = self.cuts.iter().find(|(_, open)| *open && epoch > self.published) {
            return Err(contradiction(format!("batch {} was open at barrier {epoch}", open.batch)));
        }
        if self.flights.last().is_some_and(|f| f.aligned != f.expect) && self.rules.adopts_alignment() {
            return Err(contradiction(format!("barrier {epoch} came before the last one had aligned")));
        }
        if epoch != self.now.epoch + 1 || version != self.now.table.version {
            return Err(contradiction(format!("barrier {epoch} does not follow from what is known")));
        }
        let expect = self.now.members.clone();
        self.now.pass(&barrier);
        self.ends.extend(&barrier.ends);
        if epoch > self.published {
            self.say(&expect, |d| d.heard(epoch), || Command::Barrier(barrier.clone()))?;
            self.fly(&barrier, expect.clone());
        }
        if epoch >= self.published {
            self.start_joiners(&barrier, &expect);
        }
        if epoch <= self.published {
            self.current.clone_from(&self.now.members);
            self.carried = (self.now.members.clone(), version);
            self.cuts.clear();
        }
        Ok(())
    }

    fn fly(&mut self, barrier: &Arc<Barrier>, expect: BTreeSet<SlotId>) {
        let (epoch, table, next) = (barrier.epoch, self.now.table.clone(), self.now.members.clone());
        let mut flight = Flight::new(epoch, self.run.term, table, expect, next, barrier.last);
        flight.ends.clone_from(&barrier.ends);
        for slot in &flight.expect {
            if let Some(passed) = self.journals.get(slot).and_then(|d| d.passed(epoch)) {
                flight.aligned.extend(passed.aligned.then_some(*slot));
                let part = passed.part.clone().filter(|_| self.rules.adopts_parts());
                flight.parts.extend(part.map(|p| (*slot, p)));
            }
        }
        let aligned = flight.aligned == flight.expect || !self.rules.adopts_alignment();
        self.current.clone_from(if aligned { &flight.next_members } else { &flight.expect });
        self.flights.push(flight);
    }

    /// Slots that were to join at a barrier and have not been made.
    fn start_joiners(&mut self, barrier: &Arc<Barrier>, before: &BTreeSet<SlotId>) {
        // A slot that joins has heard of its barrier: what has not left at an earlier one.
        let made = |s: &SlotId| self.journals.get(s).is_some_and(|d| d.heard(barrier.epoch));
        let new = |s: &&SlotId| !before.contains(s) && !made(s) && self.room.contains(s);
        let ids: Vec<SlotId> = barrier.members.iter().flatten().filter(new).copied().collect();
        for id in ids {
            self.remains.extend(self.journals.remove(&id).map(|_| id));
            let members = self.now.members.iter().copied().collect();
            let (epoch, table) = (barrier.epoch + 1, self.now.table.clone());
            self.unheard.push((id, barrier.clone()));
            self.starts.push(NewSlot { id, epoch, members, table, joins_at: barrier.clone() });
        }
    }

    /// Says something again to those who have not heard it.
    fn say(&mut self, to: &BTreeSet<SlotId>, heard: impl Fn(&SlotJournal) -> bool, command: impl Fn() -> Command) -> Result<()> {
        for slot in to {
            match self.journals.get(slot) {
                Some(journal) if heard(journal) => {
                    if self.again.iter().any(|(s, _)| s == slot) {
                        return Err(contradiction(format!("slot {} has heard a word and not the one before it", slot.0)));
                    }
                }
                Some(_) => self.repeat(*slot, command()),
                None if self.starts.iter().any(|n| n.id == *slot) => self.repeat(*slot, command()),
                None if !self.rules.adopts_only_all() => {}
                None => return Err(lost(*slot)),
            }
        }
        Ok(())
    }

    fn repeat(&mut self, slot: SlotId, command: Command) {
        if !self.rules.adopter_repeats() {
            return;
        }
        if let Command::Barrier(barrier) = &command {
            self.unheard.push((slot, barrier.clone()));
        }
        self.again.push((slot, command));
    }

    /// The log and the slots tell the same story.
    fn agrees_with(&self, last: &Manifest, ours: bool) -> Result<()> {
        if self.now.epoch < self.published {
            return Err(contradiction(format!("nobody has heard the barrier of epoch {}", self.published)));
        }
        let members: BTreeSet<SlotId> = last.members.iter().copied().collect();
        if ours && last.epoch == self.published && (last.table.version, &members) != (self.carried.1, &self.carried.0) {
            return Err(contradiction(format!("the manifest of epoch {} says otherwise than its slots", last.epoch)));
        }
        Ok(())
    }

    fn nobody_is_lost(&self) -> Result<()> {
        // A slot that a barrier strikes out takes part until that barrier has aligned.
        let last = self.flights.last().filter(|f| f.aligned != f.expect).map(|f| f.epoch);
        let aligning = |d: &SlotJournal| last.is_some_and(|epoch| d.passed(epoch).is_some());
        let there = |s: &SlotId| {
            self.journals.get(s).is_some_and(|d| d.takes_part(*s) || aligning(d)) || self.starts.iter().any(|n| n.id == *s)
        };
        let gone = self.now.members.iter().chain(&self.current).find(|s| !there(s));
        match gone.filter(|_| self.rules.adopts_only_all()) {
            Some(slot) => Err(lost(*slot)),
            None => Ok(()),
        }
    }

    /// Slots that are there, or will be.
    pub(super) fn started(&self) -> BTreeSet<SlotId> {
        self.journals.keys().copied().chain(self.starts.iter().map(|n| n.id)).collect()
    }
}

fn lost(slot: SlotId) -> Error {
    contradiction(format!("slot {} took part and is gone", slot.0))
}

impl SlotJournal {
    /// True if the slot has heard the barrier of an epoch, or joined at it or later.
    fn heard(&self, epoch: u64) -> bool {
        self.base.epoch >= epoch || self.passed(epoch).is_some()
    }

    /// True if the slot takes part, or is about to, as far as it has heard.
    fn takes_part(&self, me: SlotId) -> bool {
        let newest = self.barriers.iter().rev().find_map(|p| p.barrier.members.as_ref());
        newest.map_or_else(|| self.base.members.contains(&me), |m| m.contains(&me))
    }

    fn passed(&self, epoch: u64) -> Option<&BarrierRecord> {
        self.barriers.iter().find(|p| p.barrier.epoch == epoch)
    }

    /// True if a cut to this slot is over.
    fn active(&self, plan: &CutPlan) -> bool {
        self.base.table.version >= plan.version || self.cuts.iter().any(|c| c.plan.batch == plan.batch && c.active)
    }
}
