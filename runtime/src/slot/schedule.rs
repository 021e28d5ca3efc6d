//! Scheduling of a slot: whose turn it is, what rests, and by whom the slot was woken.

use std::task::Waker;

use super::Tuning;
use super::pace::Pace;

/// The order of work in one slot.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Sizes of the slot's pieces of work.
    pub(super) tuning: Tuning,
    /// The slot's speed, and the windows that follow from it.
    pub(super) pace: Pace,
    /// The waker of the thread that runs the slot.
    pub(super) waker: Waker,
    /// A change beyond what the slot may remember since the last publication: sources rest (I13).
    pub(super) held: bool,
    /// A wake-up since sinks were last asked what is durable.
    woken: bool,
    /// A batch went somewhere since the operators were last told that the slot is idle.
    stirred: bool,
    turn: usize,
}

/// One step's order of work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Moving batches go before nodes: their gates and their Finals go before new rows.
    pub(super) moves_first: bool,
    /// A slice of a move goes before nodes.
    pub(super) warms: bool,
}

impl Schedule {
    pub(super) fn new(tuning: Tuning, window: u32, waker: Waker) -> Self {
        Self { tuning, pace: Pace::new(window), waker, held: false, woken: false, stirred: false, turn: 0 }
    }

    /// The next step.
    pub(super) fn step(&mut self) -> Step {
        self.turn = self.turn.wrapping_add(1);
        Step {
            moves_first: !self.turn.is_multiple_of(self.tuning.moves_yield),
            warms: self.turn.is_multiple_of(self.tuning.warm_every),
        }
    }

    /// True if a slice of an epoch is encoded before this step of a run.
    pub(super) fn encodes(&self, step: usize) -> bool {
        step.is_multiple_of(self.tuning.encode_every)
    }

    /// A wake-up: sinks are worth asking.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// True if there was a wake-up since the last question.
    pub(super) fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// A batch goes somewhere.
    pub(super) fn stir(&mut self) {
        self.stirred = true;
    }

    /// True if a batch went somewhere since the last question.
    pub(super) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }
}
