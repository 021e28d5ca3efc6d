//! Role T: the slot that gets a batch.
//!
//! ```text
//!  Waiting ──fence──► Gating ──Final──► Draining ──gate empty, timers have fired as far as the slot is──► Active
//!     └──────────────Final──────────────────▲ │
//!                                           │ └──gate empty──► Firing ──┐
//!                                           └───────timers fired────────┘
//! ```
//!
//! Laws. A row of the batch is gated from the first fence until T is Active, and rows that arrive while the gate drains or timers
//! fire join its tail (I1, I3). The gate drains under F, the watermark that S gave the batch, so that no gated row is late. When it is
//! empty, timers fire up to T's own watermark *of that moment*: firing takes time, rows may come to the gate and T's watermark may rise
//! meanwhile, so it starts over until the gate is empty **and** nothing is left to fire. Only then is the output watermark,
//! held since the first word of the cut, released (I6). T need not have every fence, and a fence after Final is ignored: it would gate
//! for ever.
//!
//! A Final that is the first word lets gate and hold live only while it is being worked off: the gate is empty, so the slot reports
//! [`TargetCut::gate_empty`] at once, no fence has come, so its own watermark is at most F, and nothing is held up. That is what
//! makes it safe to apply Final in slices.

use std::sync::Arc;

use super::{CutPlan, Frontiers, Tag};
use crate::error::{Error, Result};
use crate::protocol::rules::RuleSet;
use crate::time::Time;

/// The state of one batch at its target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetCut {
    plan: Arc<CutPlan>,
    phase: TargetPhase,
    /// The batch's watermark a stage, from Final on: F, later how far timers have fired.
    frontiers: Frontiers,
    /// Final has come: rows of the batch that leave are tagged.
    tagging: bool,
    /// Stages that have passed the first barrier after the cut, and tag no more.
    passed: Vec<u32>,
    /// The number of rounds in which timers have fired.
    rounds: u8,
    rules: RuleSet,
}

/// The phase of a batch at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetPhase {
    /// Nothing has been heard of the cut.
    Waiting,
    /// A fence came: rows of the batch go to the gate.
    Gating,
    /// Final is applied: the gate is being worked off under F, row by row.
    Draining,
    /// The gate was empty: the batch's timers fire up to the slot's own watermark.
    Firing,
    /// The batch is this slot's like any other.
    Active,
}

/// An effect that the slot is to carry out, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum TargetEffect {
    /// Drop an older frozen copy of the groups ([`super::frozen::FrozenCopies::superseded`]).
    DropFrozen,
    /// Hold the output watermark of every moving stage ([`super::hold::Holds::start`]).
    StartHold,
    /// Apply Final: check counts and digest, install values and timers, mark the named entries dirty, issue pending calls again.
    /// Then drain the gate, and report [`TargetCut::gate_empty`] as soon as it is empty (at once, if it is).
    Apply,
    /// Fire the batch's timers at each stage up to [`TargetCut::batch_watermark`], even if the slot's own watermark has risen since: rows
    /// that came to the gate in between would be late. Report [`TargetCut::timers_fired`].
    FireTimers,
    /// Release the hold of this batch ([`super::hold::Holds::release`]) and send the watermark that then holds.
    ReleaseHold,
    /// Tell the coordinator that the cut is over.
    ReportActive,
}

impl TargetCut {
    /// A batch that is to come.
    #[must_use]
    pub fn new(plan: Arc<CutPlan>, rules: RuleSet) -> Self {
        Self {
            plan,
            phase: TargetPhase::Waiting,
            frontiers: Frontiers::default(),
            tagging: false,
            passed: Vec::new(),
            rounds: 0,
            rules,
        }
    }

    /// The plan of the cut.
    #[must_use]
    pub fn plan(&self) -> &Arc<CutPlan> {
        &self.plan
    }

    /// The phase of the batch.
    #[must_use]
    pub fn phase(&self) -> TargetPhase {
        self.phase
    }

    /// True if a row of the batch that arrives now goes to the tail of the gate.
    #[must_use]
    pub fn gates(&self) -> bool {
        match self.phase {
            TargetPhase::Waiting | TargetPhase::Active => false,
            TargetPhase::Gating => self.rules.gate(),
            TargetPhase::Draining | TargetPhase::Firing => self.rules.gate() && self.rules.gate_tail(),
        }
    }

    /// True if this slot has the batch's state: its rows, out of the gate, and its timers may touch it (I1).
    #[must_use]
    pub fn active(&self) -> bool {
        matches!(self.phase, TargetPhase::Draining | TargetPhase::Firing | TargetPhase::Active)
    }

    /// A fence of the batch has come, in whatever channel.
    pub fn fence(&mut self) -> Vec<TargetEffect> {
        match self.phase {
            TargetPhase::Waiting => {
                self.phase = TargetPhase::Gating;
                self.start()
            }
            TargetPhase::Active if !self.rules.late_fence_ignored() => {
                self.phase = TargetPhase::Gating;
                self.start()
            }
            TargetPhase::Gating | TargetPhase::Draining | TargetPhase::Firing | TargetPhase::Active => Vec::new(),
        }
    }

    /// Final has come, with its F a stage.
    ///
    /// # Errors
    /// `Broken` for a second Final.
    pub fn final_(&mut self, frontiers: Frontiers) -> Result<Vec<TargetEffect>> {
        let mut effects = match self.phase {
            TargetPhase::Waiting => self.start(),
            TargetPhase::Gating => Vec::new(),
            TargetPhase::Draining | TargetPhase::Firing | TargetPhase::Active => {
                return Err(Error::broken("I1", format!("a second Final of batch {} came", self.plan.batch)));
            }
        };
        self.phase = TargetPhase::Draining;
        self.frontiers = frontiers;
        self.tagging = true;
        effects.push(TargetEffect::Apply);
        Ok(effects)
    }

    /// No gated row is left and none is being worked on. `own` tells the slot's own watermark at a stage.
    pub fn gate_empty(&mut self, own: impl Fn(u32) -> Time) -> Vec<TargetEffect> {
        if self.phase != TargetPhase::Draining {
            return Vec::new();
        }
        // S has fired everything up to F, and each round of firing raises the frontiers to what it has fired.
        let fired = self.frontiers.iter().all(|(stage, f)| own(stage) <= f);
        if fired || self.released_early() {
            self.phase = TargetPhase::Active;
            return vec![TargetEffect::ReleaseHold, TargetEffect::ReportActive];
        }
        self.phase = TargetPhase::Firing;
        self.rounds = self.rounds.saturating_add(1);
        self.frontiers = self.frontiers.iter().map(|(stage, f)| (stage, own(stage).max(f))).collect();
        let fire = TargetEffect::FireTimers;
        if self.rules.timers_then_release() { vec![fire] } else { vec![TargetEffect::ReleaseHold, fire] }
    }

    /// The timers have fired: the batch drains again what has come to the gate, then [`TargetCut::gate_empty`] is due again.
    pub fn timers_fired(&mut self) {
        if self.phase == TargetPhase::Firing {
            self.phase = TargetPhase::Draining;
        }
    }

    /// Without the rule: one round of firing is enough.
    fn released_early(&self) -> bool {
        self.rounds > 0 && !self.rules.fires_until_level()
    }

    /// The watermark under which the batch's rows are worked on at `stage`, if the slot's own is `own`.
    #[must_use]
    pub fn batch_watermark(&self, stage: u32, own: Time) -> Time {
        match self.phase {
            TargetPhase::Draining | TargetPhase::Firing if self.rules.drain_under_final() => self.frontiers.get(stage),
            TargetPhase::Waiting | TargetPhase::Gating | TargetPhase::Draining | TargetPhase::Firing | TargetPhase::Active => own,
        }
    }

    /// The watermark that Final gave `stage`, or how far the batch has fired since.
    #[must_use]
    pub fn final_watermark(&self, stage: u32) -> Time {
        self.frontiers.get(stage)
    }

    /// The tag on frames of the batch's rows that leave `stage`; such rows go into frames of their own. A key group would not be
    /// enough for X: rows may have been re-keyed.
    #[must_use]
    pub fn tag_at(&self, stage: u32) -> Option<Tag> {
        (self.tagging && !self.passed.contains(&stage)).then(|| self.plan.tag())
    }

    /// A barrier has aligned at one stage: what leaves that stage from now on is not tagged. Stage by stage, because a consumer that
    /// has aligned forgets what was drained before: a tag behind the barrier would wait for ever, and a row without one before it
    /// would not wait at all.
    ///
    /// # Errors
    /// `Broken` while the cut is open (I9).
    pub fn stage_barrier(&mut self, stage: u32) -> Result<()> {
        self.check_over()?;
        if self.rules.tag_ends_by_stage() && !self.passed.contains(&stage) {
            self.passed.push(stage);
        }
        Ok(())
    }

    /// A barrier has aligned at every stage of this slot: the batch is over and all its fences have come.
    ///
    /// # Errors
    /// `Broken` while the cut is open (I9).
    pub fn barrier(&mut self) -> Result<()> {
        self.check_over()?;
        self.tagging = false;
        Ok(())
    }

    fn check_over(&self) -> Result<()> {
        match self.phase {
            TargetPhase::Active => Ok(()),
            TargetPhase::Waiting | TargetPhase::Gating | TargetPhase::Draining | TargetPhase::Firing => {
                Err(Error::broken("I9", format!("a barrier aligned while batch {} is {:?}", self.plan.batch, self.phase)))
            }
        }
    }

    /// For whom T waits (I13).
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        let (batch, source) = (self.plan.batch, self.plan.source.0);
        match self.phase {
            TargetPhase::Waiting => {
                Some(format!("batch {batch} waits at its target for the first fence or the Final of slot {source}"))
            }
            TargetPhase::Gating => Some(format!("batch {batch} waits at its target for the Final of slot {source}")),
            TargetPhase::Draining | TargetPhase::Firing => {
                Some(format!("batch {batch} drains at its target, slot {}", self.plan.target.0))
            }
            TargetPhase::Active => None,
        }
    }

    fn start(&self) -> Vec<TargetEffect> {
        let mut effects = Vec::with_capacity(3);
        effects.push(TargetEffect::DropFrozen);
        if self.rules.hold_output() {
            effects.push(TargetEffect::StartHold);
        }
        effects
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
