//! A live rescale: from the slots that take part now to those that are wanted.
//!
//! ```text
//!   Provision (wanted slots register, join at a barrier) ─► per batch: Warm ─► Cut (its turn: I9, I11) ─► Active
//!      ─► Settle (a published manifest carries the table) ─► Release (who owns nothing leaves at a barrier; I8)
//! ```
//!
//! The newest wish wins: warm-ups under way are dropped, and the plan is made again from the table as it is, which has every cut
//! that was begun. Cancel and revert are wishes too. A cut that has begun completes, or its slot is lost and recovery takes over:
//! there is no way back inside a cut and no recovery code here. Several batches warm up at once, so that the next is ready when a cut ends.

pub mod progress;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::cut::CutPlan;
use super::plan::{MAX_BATCH, Move, plan};
use super::turns::Turns;
use crate::error::Result;
use crate::key::SlotId;

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Groups a batch.
    pub max_batch: usize,
    /// Batches that warm up, or are warm, at once.
    pub max_warming: usize,
    /// Cuts open at once.
    pub max_open: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { max_batch: MAX_BATCH, max_warming: 4, max_open: 1 }
    }
}

/// An effect that the coordinator is to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum RescaleEffect {
    /// These take part from the next barrier on ([`super::epoch::Epochs::change_members`]); answer [`Rescale::members`] when it has
    /// aligned.
    Members(BTreeSet<SlotId>),
    /// Let target and source warm the batch up (its version is 0: it is not cut yet); answer [`Rescale::warmed`].
    Warm(Arc<CutPlan>),
    /// Drop a warm-up.
    Forget(u64),
    /// Send the plan to every slot: switch routing and fence. The target answers [`Rescale::active`].
    Cut(Arc<CutPlan>),
    /// These slots own nothing, take no part, and no live manifest or handle needs them: their pods may go.
    Release(BTreeSet<SlotId>),
}

/// The rescale of one job; idle when the wish is met.
#[derive(Clone, Debug)]
pub struct Rescale {
    sizes: Sizes,
    wanted: BTreeSet<SlotId>,
    registered: BTreeSet<SlotId>,
    members: BTreeSet<SlotId>,
    asked: Option<BTreeSet<SlotId>>,
    todo: Option<VecDeque<Move>>,
    batches: BTreeMap<u64, Batch>,
    leaving: BTreeSet<SlotId>,
    next_batch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Batch {
    mv: Move,
    phase: Phase,
}

/// The phase of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Warming,
    Warm,
    Cutting,
}

impl Rescale {
    /// Nothing wanted but what is. Batch ids start at `next_batch`, which no coordinator of this job has used.
    #[must_use]
    pub fn new(sizes: Sizes, members: BTreeSet<SlotId>, next_batch: u64) -> Self {
        Self {
            sizes,
            wanted: members.clone(),
            registered: members.clone(),
            members,
            asked: None,
            todo: None,
            batches: BTreeMap::new(),
            leaving: BTreeSet::new(),
            next_batch,
        }
    }

    /// As a coordinator before this one left it: `members` take part, `then` after the barrier under way, these cuts are open and these
    /// slots have left. The wish is lost; until it is said again, those who take part are wanted.
    #[must_use]
    pub fn adopted<'a>(
        sizes: Sizes,
        members: BTreeSet<SlotId>,
        then: BTreeSet<SlotId>,
        open: impl Iterator<Item = &'a CutPlan>,
        leaving: BTreeSet<SlotId>,
        next_batch: u64,
    ) -> Self {
        let mv = |c: &CutPlan| Move { source: c.source, target: c.target, groups: Arc::clone(&c.groups) };
        let batches = open.map(|c| (c.batch, Batch { mv: mv(c), phase: Phase::Cutting })).collect();
        let asked = (then != members).then(|| then.clone());
        let registered = members.union(&then).copied().collect();
        Self { wanted: then, registered, asked, batches, leaving, ..Self::new(sizes, members, next_batch) }
    }

    /// Those who take part after a barrier that is to come: nobody may be let go who is about to join (I8).
    pub fn asked(&self) -> impl Iterator<Item = &SlotId> {
        self.asked.iter().flatten()
    }

    /// With other sizes.
    pub fn resize(&mut self, sizes: Sizes) {
        self.sizes = sizes;
    }

    /// The newest wish.
    pub fn want(&mut self, slots: BTreeSet<SlotId>) -> Vec<RescaleEffect> {
        if slots == self.wanted || slots.is_empty() {
            return Vec::new();
        }
        self.wanted = slots;
        self.todo = None;
        let dropped: Vec<u64> = self.batches.iter().filter(|(_, b)| b.phase != Phase::Cutting).map(|(id, _)| *id).collect();
        self.batches.retain(|_, b| b.phase == Phase::Cutting);
        dropped.into_iter().map(RescaleEffect::Forget).collect()
    }

    /// A slot has registered and has its channels open.
    pub fn registered(&mut self, slot: SlotId) {
        self.registered.insert(slot);
    }

    /// Slots that are gone before they took part. They join when they have registered again.
    pub fn gone(&mut self, which: impl Fn(SlotId) -> bool) {
        self.registered.retain(|s| !which(*s));
    }

    /// A barrier has aligned; these take part from now on.
    pub fn members(&mut self, members: BTreeSet<SlotId>) {
        self.leaving.extend(self.members.difference(&members).copied());
        self.leaving.retain(|s| !members.contains(s));
        if self.asked.as_ref() == Some(&members) {
            self.asked = None;
        }
        if self.members != members {
            self.todo = None;
        }
        self.members = members;
    }

    /// A batch is warm: cutting it now is short.
    pub fn warmed(&mut self, batch: u64) {
        if let Some(b) = self.batches.get_mut(&batch).filter(|b| b.phase == Phase::Warming) {
            b.phase = Phase::Warm;
        }
    }

    /// The target has the batch.
    pub fn active(&mut self, batch: u64, turns: &mut Turns) {
        turns.active(batch);
        self.batches.remove(&batch);
    }

    /// Everything that can be done now. `needed` are slots with a part in an unpublished epoch, or with sink handles that are not
    /// committed (I8). `stay`: no slot may leave now.
    pub fn step(&mut self, turns: &mut Turns, needed: &BTreeSet<SlotId>, stay: bool) -> Result<Vec<RescaleEffect>> {
        let mut effects = Vec::new();
        self.provision(&mut effects);
        self.plan(turns);
        self.warm(turns, &mut effects);
        self.cut(turns, &mut effects)?;
        if !stay {
            self.leave(turns, &mut effects);
        }
        self.release(turns, needed, &mut effects);
        Ok(effects)
    }

    /// True if the wish is met and durable.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.members == self.wanted
            && self.asked.is_none()
            && self.batches.is_empty()
            && self.leaving.is_empty()
            && self.todo.as_ref().is_none_or(VecDeque::is_empty)
    }

    /// For whom the rescale waits (I13).
    #[must_use]
    pub fn waiting(&self, turns: &Turns) -> Option<String> {
        let missing: Vec<String> = self.wanted.difference(&self.registered).map(|s| s.0.to_string()).collect();
        if !missing.is_empty() {
            return Some(format!("the rescale waits for slot {} to register", missing.join(", ")));
        }
        if self.asked.is_some() {
            return Some("the rescale waits for the barrier at which its slots join or leave".into());
        }
        let by = |phase| self.batches.iter().find(move |(_, b)| b.phase == phase);
        if let Some((id, b)) = by(Phase::Cutting) {
            return Some(format!("batch {id} waits for slot {} to report it active", b.mv.target.0));
        }
        if let Some((id, b)) = by(Phase::Warm) {
            return Some(turns.cut_waits(&b.mv.groups).unwrap_or_else(|| format!("batch {id} is about to be cut")));
        }
        if let Some((id, b)) = by(Phase::Warming) {
            return Some(format!("batch {id} warms up at slot {}", b.mv.target.0));
        }
        if let Some(version) = self.todo.as_ref().and_then(VecDeque::front).and_then(|mv| turns.previous_cut(&mv.groups)) {
            return Some(format!("the next batch waits for a manifest that carries table version {version}"));
        }
        let names: Vec<String> = self.leaving.iter().map(|s| s.0.to_string()).collect();
        (!names.is_empty())
            .then(|| format!("slot {} waits for a manifest that does not need it, and for its commits", names.join(", ")))
    }

    fn provision(&mut self, effects: &mut Vec<RescaleEffect>) {
        let joiners: BTreeSet<SlotId> = self.wanted.difference(&self.members).copied().collect();
        // A slot that has left and is wanted again joins as a new slot, once the old one is released.
        let gone = joiners.is_disjoint(&self.leaving);
        if self.asked.is_none() && !joiners.is_empty() && joiners.is_subset(&self.registered) && gone {
            self.ask(self.members.union(&joiners).copied().collect(), effects);
        }
    }

    fn ask(&mut self, members: BTreeSet<SlotId>, effects: &mut Vec<RescaleEffect>) {
        self.asked = Some(members.clone());
        effects.push(RescaleEffect::Members(members));
    }

    fn plan(&mut self, turns: &Turns) {
        // Not while a cut is open: its target has its groups in the table, but not yet in its hands, and cannot warm them up for others.
        // Nor while slots are about to join or leave: what is planned is for those that take part.
        let still = self.asked.is_none() && turns.open().next().is_none();
        if self.todo.is_none() && self.wanted.is_subset(&self.members) && still {
            self.todo = Some(plan(turns.table(), &self.wanted, self.sizes.max_batch).into());
        }
    }

    fn warm(&mut self, turns: &Turns, effects: &mut Vec<RescaleEffect>) {
        while self.batches.values().filter(|b| b.phase != Phase::Cutting).count() < self.sizes.max_warming {
            // The batch that comes in takes the place of the copy that its target may still keep from giving the same groups away (I11).
            let may_come = |mv: &mut Move| turns.previous_cut(&mv.groups).is_none();
            let Some(mv) = self.todo.as_mut().and_then(|todo| todo.pop_front_if(may_come)) else { break };
            let batch = self.next_batch;
            self.next_batch += 1;
            let plan = CutPlan { batch, version: 0, groups: Arc::clone(&mv.groups), source: mv.source, target: mv.target };
            effects.push(RescaleEffect::Warm(Arc::new(plan)));
            self.batches.insert(batch, Batch { mv, phase: Phase::Warming });
        }
    }

    fn cut(&mut self, turns: &mut Turns, effects: &mut Vec<RescaleEffect>) -> Result<()> {
        let mut open = turns.open().count();
        for (id, batch) in &mut self.batches {
            let ready = batch.phase == Phase::Warm && turns.cut_waits(&batch.mv.groups).is_none();
            if !ready || open >= self.sizes.max_open || self.asked.is_some() {
                continue;
            }
            batch.phase = Phase::Cutting;
            open += 1;
            effects.push(RescaleEffect::Cut(turns.cut(*id, Arc::clone(&batch.mv.groups), batch.mv.source, batch.mv.target)?));
        }
        Ok(())
    }

    fn leave(&mut self, turns: &Turns, effects: &mut Vec<RescaleEffect>) {
        let moved = self.todo.as_ref().is_some_and(VecDeque::is_empty) && self.batches.is_empty();
        let settled = turns.published_version() == turns.table().version;
        let leavers = self.members.difference(&self.wanted).next().is_some();
        if moved && settled && leavers && self.asked.is_none() {
            self.ask(self.wanted.clone(), effects);
        }
    }

    fn release(&mut self, turns: &Turns, needed: &BTreeSet<SlotId>, effects: &mut Vec<RescaleEffect>) {
        let owner = |s: &SlotId| turns.table().table().contains(s);
        let waits = |s: &SlotId| needed.contains(s) && turns.rules().needed_till_over();
        let go: BTreeSet<SlotId> = self.leaving.iter().filter(|s| !waits(s) && !owner(s)).copied().collect();
        if !go.is_empty() {
            self.leaving.retain(|s| !go.contains(s));
            self.registered.retain(|s| !go.contains(s) || self.wanted.contains(s));
            effects.push(RescaleEffect::Release(go));
        }
    }
}

#[cfg(test)]
#[path = "rescale_tests.rs"]
mod tests;
