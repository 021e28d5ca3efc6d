//! Process clocks: each was set independently, runs fast or slow, and jumps.
//!
//! The world's own time only goes forward. Wherever production code is told the time it is told its own process's; what it waits for until
//! a time of its own is waited for until the world's time at which that clock would say so, as a host does that sleeps for the difference.

use super::rng::Rng;

/// A clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset: i64,
    /// Thousandths of the world's speed.
    rate: i64,
}

impl Clock {
    /// Set by somebody: seconds before or after the others.
    pub(super) fn any(rng: &mut Rng) -> Self {
        Self { offset: 10_000_000_000 + rng.below(60_000_000) as i64, rate: 900 + rng.below(201) as i64 }
    }

    /// The clock's reading at a time of the world.
    pub(super) fn at(self, time: i64) -> i64 {
        (time / 1000 * self.rate + time % 1000 * self.rate / 1000).saturating_add(self.offset)
    }

    /// The world's time in which the clock advances by `micros`.
    pub(super) fn lasts(self, micros: i64) -> i64 {
        micros.saturating_mul(1000) / self.rate + 1
    }

    /// The clock jumps, but never below zero.
    pub(super) fn jump(&mut self, by: i64) {
        self.offset = self.offset.saturating_add(by).max(0);
    }
}
