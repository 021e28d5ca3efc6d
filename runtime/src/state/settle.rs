//! The end of an epoch for good: published, or undone.

use super::epochs::{Epoch, Old, VOID};
use super::key::{StateKey, StateValue};
use super::table::Table;
use crate::error::Result;

/// Records a sweep frees in one step.
const STEP: usize = 1024;

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// Manifest `epoch` exists: the undo images up to it, its tombstones, and the groups cut away before its barrier are
    /// not needed any more. Freeing itself is left to [`Self::sweep`].
    pub fn publish(&mut self, epoch: u64) -> Result<()> {
        if epoch >= self.epochs.current.epoch {
            return Err(self.broken("I5", format!("epoch {epoch} is published before it has ended")));
        }
        if let Some(e) = self.epochs.ended.iter().find(|e| e.epoch <= epoch && !e.encoded()) {
            return Err(self.broken("I5", format!("epoch {} is published before its delta is complete", e.epoch)));
        }
        while self.epochs.ended.front().is_some_and(|e| e.epoch <= epoch) {
            if let Some(e) = self.epochs.ended.pop_front() {
                self.epochs.retire(e);
            }
        }
        self.epochs.set_published(epoch);
        self.arrivals.retain(|(at, _)| *at > epoch);
        self.settle_frozen(epoch);
        Ok(())
    }

    /// Frees about `budget` entries or images of what was published, frozen and dropped, or discarded. `true` when nothing is left.
    pub fn sweep(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while left > 0 {
            if let Some(spent) = self.sweep_retired(left) {
                left = left.saturating_sub(spent.max(1));
            } else if let Some(spent) = self.sweep_garbage(left) {
                left = left.saturating_sub(spent.max(1));
            } else {
                return true;
            }
        }
        self.epochs.retired.is_empty() && self.garbage.is_empty()
    }

    /// About how many entries and images wait to be freed.
    #[must_use]
    pub fn debt(&self) -> usize {
        self.epochs.retired.iter().map(|r| r.tombstones.len() + r.olds.len()).sum::<usize>() + self.garbage.len() * STEP
    }

    fn sweep_retired(&mut self, budget: usize) -> Option<usize> {
        let front = self.epochs.retired.front_mut()?;
        let stamp = front.stamp;
        let tombstones = front.tombstones.split_off(front.tombstones.len().saturating_sub(budget));
        if tombstones.is_empty() {
            let more = front.olds.drop_chunk();
            if !more {
                self.epochs.retired.pop_front();
            }
            return Some(if more { STEP } else { 1 });
        }
        let spent = tombstones.len();
        for slot in tombstones {
            // The cell may hold another entry by now, or this one may have come back to life.
            if self.slab.get(slot).is_some_and(|e| e.value.is_none() && e.written() <= stamp) {
                self.free(slot);
            }
        }
        Some(spent)
    }

    /// Goes back to the state as of barrier `epoch` (the end of that epoch), which must be unpublished or the youngest published one.
    ///
    /// Groups that arrived since are discarded, groups cut away since are active again, moves under way are forgotten. The running
    /// epoch is then `epoch + 1`.
    pub fn undo_to(&mut self, epoch: u64) -> Result<()> {
        if epoch < self.epochs.published() {
            let published = self.epochs.published();
            return Err(self.broken("I2", format!("undo to epoch {epoch}, but {published} is published and its images are gone")));
        }
        if epoch >= self.epochs.current.epoch {
            return Err(self.broken("I2", format!("undo to the end of epoch {epoch}, which has not ended")));
        }
        self.moves.clear();
        self.thaw_where(|f| f.epoch > epoch)?;
        let mut youngest = self.epochs.open(epoch + 1);
        self.hot_stamp();
        // Each list is played back while the older ones are still open: what they know of a tombstone matters.
        self.undo(&mut youngest);
        while let Some(mut e) = self.epochs.ended.pop_back_if(|e| e.epoch > epoch) {
            self.undo(&mut e);
        }
        let arrived: Vec<_> = self.arrivals.extract_if(.., |(at, _)| *at > epoch).collect();
        for (_, groups) in arrived {
            self.discard(&groups);
        }
        Ok(())
    }

    fn undo(&mut self, epoch: &mut Epoch<V>) {
        while let Some((mark, old)) = epoch.pop() {
            if mark.slot == VOID {
                continue;
            }
            let free = match old {
                Old::Fresh => true,
                Old::Tombstone => {
                    self.put_value(mark.slot, None);
                    // The tombstone's epoch may be published by now, and the sweep may have passed.
                    self.epochs.by_stamp(mark.stamp).is_none()
                }
                Old::Arrived => false,
                Old::Value(v) => {
                    self.put_value(mark.slot, Some(v));
                    false
                }
            };
            if free {
                self.put_value(mark.slot, None);
                self.free(mark.slot);
            } else if let Some(entry) = self.slab.get_mut(mark.slot) {
                (entry.stamp, entry.dirty) = (mark.stamp, mark.dirty);
            }
        }
    }

    /// Sets a value and keeps count and digest right.
    pub(super) fn put_value(&mut self, slot: u32, value: Option<V>) {
        let Some(entry) = self.slab.get_mut(slot) else { return };
        let (was, is) = (entry.value.is_some(), value.is_some());
        entry.value = value;
        if was != is {
            let (group, mixed) = (self.space.group(entry.hash), super::index::remix(entry.hash, entry.key.sub()));
            if is { self.groups.born(group, mixed) } else { self.groups.died(group, mixed) }
        }
    }
}
