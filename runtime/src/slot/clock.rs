//! Time as a slot sees it: a clock that goes forward as the one outside does, and stands where that one goes back.

/// A slot's clock, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: i64,
    /// The last time that the clock outside showed.
    outside: i64,
}

impl Clock {
    /// The clock outside shows this now. Where it goes back, a waiter waits no longer for it: the rest of the wait passes from there.
    pub(super) fn advance(&mut self, outside: i64) {
        self.now = self.now.saturating_add(outside.saturating_sub(self.outside).max(0));
        self.outside = outside;
    }

    /// The slot's time.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// A time of this clock in the time of the clock outside.
    pub(super) fn outside(&self, time: i64) -> i64 {
        time.saturating_sub(self.now).saturating_add(self.outside)
    }
}
