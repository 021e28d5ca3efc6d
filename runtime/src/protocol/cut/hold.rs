//! The output watermark of a moving stage at T, held by batch.
//!
//! Law (I6): while any batch holds, the watermark sent stays where it is; a stage that gets two batches at once sends the next
//! one only when both are Active. One `Holds` serves all moving stages of a slot: a hold concerns them all.

use std::collections::BTreeSet;

use crate::protocol::rules::RuleSet;
use crate::time::Time;

/// The batches that hold the output watermark.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Holds {
    batches: BTreeSet<u64>,
    rules: RuleSet,
}

impl Holds {
    /// No batch holds.
    #[must_use]
    pub fn new(rules: RuleSet) -> Self {
        Self { batches: BTreeSet::new(), rules }
    }

    /// `batch` holds from now on.
    pub fn start(&mut self, batch: u64) {
        self.batches.insert(batch);
    }

    /// `batch` holds no longer; whether nobody does.
    pub fn release(&mut self, batch: u64) -> bool {
        self.batches.remove(&batch);
        if !self.rules.hold_by_batch() {
            self.batches.clear();
        }
        self.batches.is_empty()
    }

    /// True if some batch holds.
    #[must_use]
    pub fn held(&self) -> bool {
        !self.batches.is_empty()
    }

    /// The watermark to send: `next`, or the one already `sent` while held. Never lower than `sent`.
    #[must_use]
    pub fn bound(&self, sent: Time, next: Time) -> Time {
        if self.held() { sent } else { next.max(sent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_is_held_until_the_last_batch_lets_go() {
        let mut h = Holds::new(RuleSet::ALL);
        assert_eq!(h.bound(Time(3), Time(5)), Time(5));
        h.start(1);
        h.start(2);
        assert_eq!(h.bound(Time(3), Time(5)), Time(3));
        assert!(!h.release(1));
        assert!(h.held());
        assert!(h.release(2));
        assert_eq!(h.bound(Time(3), Time(2)), Time(3));
    }
}
