//! Progress for people: epochs that are not published, and where a rescale is.

use super::machine::Coordinator;
use crate::protocol::rescale::progress::RescaleProgress;

/// An epoch that is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochProgress {
    /// The epoch.
    pub epoch: u64,
    /// Slots whose barrier has aligned.
    pub aligned: usize,
    /// Slots whose part is durable.
    pub uploaded: usize,
    /// Slots that take part.
    pub slots: usize,
}

impl Coordinator {
    /// Epochs that are not published, oldest first.
    pub fn epochs_under_way(&self) -> impl Iterator<Item = EpochProgress> + '_ {
        self.epochs.flights().map(|f| EpochProgress {
            epoch: f.epoch,
            aligned: f.aligned.len(),
            uploaded: f.parts.len(),
            slots: f.expect.len(),
        })
    }

    /// The epoch that the next barrier ends.
    #[must_use]
    pub fn next_epoch(&self) -> u64 {
        self.epochs.next_epoch()
    }

    /// The last barrier as of which the last manifest describes the job: of an epoch in which nothing changed there is none of its own.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.epochs.flights().next().map_or_else(|| self.epochs.next_epoch(), |f| f.epoch) - 1
    }

    /// The rescale, unless the newest wish is met and durable.
    #[must_use]
    pub fn rescale_under_way(&self) -> Option<RescaleProgress> {
        (!self.rescale.idle()).then(|| self.rescale.progress(&self.turns))
    }
}
