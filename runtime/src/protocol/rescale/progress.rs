//! Progress of a rescale, for people.

use super::super::plan::plan;
use super::super::turns::Turns;
use super::{Phase, Rescale};
use crate::key::SlotId;

/// The phases of a rescale, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Slots join at a barrier.
    Provisioning,
    /// A batch is copied ahead of its cut.
    Warming,
    /// A batch changes hands.
    Cutting,
    /// A manifest is awaited that carries the table.
    Settling,
    /// Slots that own nothing leave.
    Releasing,
}

/// A batch under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchProgress {
    /// The batch's number.
    pub batch: u64,
    /// Warming or cutting.
    pub step: Step,
    /// From.
    pub source: SlotId,
    /// To.
    pub target: SlotId,
    /// Key groups.
    pub groups: usize,
}

/// A rescale under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescaleProgress {
    /// The furthest thing it does.
    pub step: Step,
    /// Key groups that have not changed hands and will.
    pub groups_left: usize,
    /// The batches under way.
    pub batches: Vec<BatchProgress>,
}

impl Rescale {
    /// The progress, for people.
    #[must_use]
    pub fn progress(&self, turns: &Turns) -> RescaleProgress {
        let batches: Vec<BatchProgress> = self
            .batches
            .iter()
            .map(|(id, b)| BatchProgress {
                batch: *id,
                step: if b.phase == Phase::Cutting { Step::Cutting } else { Step::Warming },
                source: b.mv.source,
                target: b.mv.target,
                groups: b.mv.groups.len(),
            })
            .collect();
        let groups_left = match &self.todo {
            Some(todo) => todo.iter().map(|m| m.groups.len()).sum::<usize>() + batches.iter().map(|b| b.groups).sum::<usize>(),
            None => plan(turns.table(), &self.wanted, self.sizes.max_batch).iter().map(|m| m.groups.len()).sum(),
        };
        let furthest = batches.iter().map(|b| b.step).max();
        let step = match furthest {
            Some(step) => step,
            None if !self.wanted.is_subset(&self.members) => Step::Provisioning,
            None if groups_left > 0 || self.asked.is_some() => Step::Settling,
            None => Step::Releasing,
        };
        RescaleProgress { step, groups_left, batches }
    }
}
