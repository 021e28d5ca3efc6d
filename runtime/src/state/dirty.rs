//! Dirty marks of a table: what a write leaves in the list of its epoch (see `epochs`), and what becomes of it when the entry goes.

use super::epochs::{Mark, Old, VOID};
use super::key::{StateKey, StateValue};
use super::slab::SHIPPED;
use super::table::Table;
use crate::error::Result;
use crate::key::KeyGroup;

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// A barrier has passed: from now on writes belong to `epoch`.
    pub fn begin_epoch(&mut self, epoch: u64) -> Result<()> {
        let now = self.epochs.current.epoch;
        if epoch == now {
            return Ok(());
        }
        if epoch < now {
            return Err(self.broken("I2", format!("epoch {epoch} begins after epoch {now}")));
        }
        self.next_epoch(epoch);
        Ok(())
    }

    fn next_epoch(&mut self, epoch: u64) {
        if self.epochs.last_stamp >= SHIPPED - 2 {
            self.renumber();
        }
        let ended = self.epochs.open(epoch);
        self.epochs.ended.push_back(ended);
        self.hot_stamp();
    }

    /// The running epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epochs.current.epoch
    }

    /// The youngest published epoch.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.epochs.published()
    }

    /// After two thousand million epochs the count starts again: one pass over everything, once in three years.
    #[cold]
    fn renumber(&mut self) {
        let mut new = std::collections::BTreeMap::new();
        let epochs = &mut self.epochs;
        for (n, e) in epochs.ended.iter_mut().chain([&mut epochs.current]).enumerate() {
            new.insert(e.stamp, n as u32 + 1);
            e.stamp = n as u32 + 1;
        }
        epochs.last_stamp = epochs.current.stamp;
        let to = |stamp: u32| new.get(&stamp).copied().unwrap_or(0);
        for e in epochs.ended.iter_mut().chain([&mut epochs.current]) {
            for i in 0..e.marks.len() as u32 {
                if let Some(m) = e.marks.get_mut(i) {
                    m.stamp = to(m.stamp);
                }
            }
        }
        for slot in 0..self.slab.cells() {
            if let Some(entry) = self.slab.get_mut(slot) {
                entry.stamp = (entry.stamp & SHIPPED) | to(entry.written());
            }
        }
        for r in &mut self.epochs.retired {
            r.stamp = 0;
        }
    }

    /// The slow path of every write: whatever has to happen before an entry may change.
    ///
    /// Three things may be pending: the entry is in the delta of an older epoch and not encoded yet; it has no record in this
    /// epoch; the target of a move holds its present value.
    #[cold]
    #[inline(never)]
    pub(super) fn touch(&mut self, slot: u32) -> Result<()> {
        let stamp = self.epochs.current.stamp;
        let Some(entry) = self.slab.get_mut(slot) else { return Ok(()) };
        entry.touched = self.ttl.now;
        let group = self.space.group(entry.hash);
        if entry.shipped() {
            entry.stamp &= !SHIPPED;
            self.moves.rewritten(group, slot);
        }
        if entry.stamp == stamp {
            return Ok(());
        }
        let (was, dirty) = (entry.stamp, entry.dirty);
        let old = match &entry.value {
            Some(v) => Old::Value(v.clone()),
            None => Old::Tombstone,
        };
        self.encode_ahead(slot, was, dirty)?;
        self.record(slot, group, old);
        Ok(())
    }

    /// Puts an entry on the running epoch's list.
    pub(super) fn record(&mut self, slot: u32, group: KeyGroup, old: Old<V>) {
        let current = &mut self.epochs.current;
        if let Some(entry) = self.slab.get_mut(slot) {
            let mark = Mark { slot, stamp: entry.written(), dirty: entry.dirty, group, encoded: false };
            entry.stamp = current.stamp | (entry.stamp & SHIPPED);
            entry.dirty = current.push(mark, old);
        }
    }

    /// A value has just been taken out of a touched entry: leaves a tombstone, or nothing if the entry was born in this epoch.
    pub(super) fn tombstone(&mut self, slot: u32) {
        let Some(entry) = self.slab.get(slot) else { return };
        let at = entry.dirty;
        let current = &mut self.epochs.current;
        if !matches!(current.olds.get(at), Some(Old::Fresh)) {
            current.tombstones.push(slot);
            return;
        }
        current.olds.swap_remove(at);
        current.marks.swap_remove(at);
        if let Some(moved) = current.marks.get(at).filter(|m| m.slot != VOID)
            && let Some(entry) = self.slab.get_mut(moved.slot)
        {
            entry.dirty = at;
        }
        self.free(slot);
    }

    /// A tombstone that came with a move has to be freed in its time like one of ours.
    pub(super) fn keep_tombstone(&mut self, slot: u32) {
        self.epochs.current.tombstones.push(slot);
    }

    /// Makes every record of an entry void: it is about to be freed outside of undo and publish.
    pub(super) fn forget(&mut self, slot: u32) {
        let Some(entry) = self.slab.get(slot) else { return };
        let (mut stamp, mut dirty) = (entry.written(), entry.dirty);
        while let Some(epoch) = self.epochs.by_stamp(stamp) {
            let Some(mark) = epoch.marks.get_mut(dirty).filter(|m| m.slot == slot) else { return };
            mark.slot = VOID;
            let older = (mark.stamp, mark.dirty);
            if let Some(old) = epoch.olds.get_mut(dirty) {
                *old = Old::Fresh;
            }
            (stamp, dirty) = older;
        }
    }
}
