//! The store as processes meet it: calm, slow, or lying.

use watershed_runtime::protocol::log::Put;

use super::cover::Cover;
use super::env::SimEnv;
use super::store::Bytes;

/// The store's outcome of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Lost,
    Failed,
    Late,
    Slow,
}

impl SimEnv {
    pub(super) fn fate(&mut self) -> Fate {
        let step = self.trace.steps();
        if step >= self.lies {
            return Fate::Done;
        }
        match self.rng.below(8) {
            0 | 1 => Fate::Lost,
            2 => Fate::Failed,
            3 => Fate::Late,
            4 => Fate::Slow,
            _ => Fate::Done,
        }
    }

    /// A create-only put with an answer that may be wrong. `None`: no answer yet.
    pub(super) fn put(&mut self, name: &str, bytes: &Bytes) -> Option<Put> {
        let fate = self.fate();
        self.trace.note(5, name.len() as u64, fate as u64, || format!("store: create {name}: {fate:?}"));
        match fate {
            Fate::Done => Some(if self.store.create(name, bytes) { Put::Created } else { Put::Exists }),
            Fate::Lost => {
                self.store.create(name, bytes);
                self.seen.see(Cover::AckLost);
                Some(Put::Ambiguous)
            }
            Fate::Failed => {
                self.seen.see(Cover::Ambiguous);
                Some(Put::Ambiguous)
            }
            Fate::Late => {
                self.store.later(name, bytes);
                Some(Put::Ambiguous)
            }
            Fate::Slow => {
                self.seen.see(Cover::StoreSlow);
                None
            }
        }
    }

    /// True if a discovery needs another turn.
    pub(super) fn lists(&mut self) -> bool {
        let turns = self.plan.listing;
        turns > 1 && !self.rng.chance(1, turns)
    }

    /// A get; `None`: it failed and will be tried again.
    pub(super) fn get(&mut self, name: &str) -> Option<Option<Bytes>> {
        if matches!(self.fate(), Fate::Failed | Fate::Slow) {
            self.seen.see(Cover::GetFailed);
            return None;
        }
        Some(self.store.get(name))
    }
}
