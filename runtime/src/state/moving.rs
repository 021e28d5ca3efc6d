//! The source's end of a move of key groups: warm-up, final, freeze.
//!
//! - `ship_start` opens a move. `ship_slice` sends entries in slices between batches: first every entry of the groups, then, again
//!   and again, what was written since. A sent entry carries a flag in its stamp, so that its next write takes the slow path
//!   and queues it; writes of other groups pay nothing.
//! - `ship_final` sends what is left: the queue, the *names* of all entries that the next delta has to hold, number and digest.
//! - `freeze` ends access in the same step. Frozen entries stay, in the index too: taking a million entries out of it would be
//!   the pause that a live move must not have, and nobody can reach them (I1). They go when a manifest whose barrier came after
//!   the cut is published, or are active again after an undo.
//!
//! Sending too much is harmless (later items win), forgetting is not; so every doubt is decided for sending.

use super::codec::put_item;
use super::epochs::VOID;
use super::key::{StateKey, StateValue};
use super::moves::{Frozen, Move, ShipFinal};
use super::table::Table;
use crate::error::Result;
use crate::key::GroupSet;

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// Opens a move of active groups under a batch number.
    pub fn ship_start(&mut self, batch: u64, groups: &GroupSet) -> Result<()> {
        if let Some(g) = groups.iter().find(|g| !self.active.contains(*g)) {
            return Err(self.broken("I1", format!("key group {} is to be moved but not active here", g.0)));
        }
        if self.moves.concerns(batch, groups) {
            return Err(self.broken("I1", format!("batch {batch} or one of its key groups is being moved already")));
        }
        self.moves.open(batch, groups.clone(), self.space);
        Ok(())
    }

    /// Appends about `budget` bytes of framed items; `true` when, for now, everything has been sent.
    pub fn ship_slice(&mut self, batch: u64, budget: usize, out: &mut Vec<u8>) -> Result<bool> {
        let mut m = self.take_move(batch)?;
        let done = self.ship_some(&mut m, budget, out);
        self.moves.put(m);
        done
    }

    fn take_move(&mut self, batch: u64) -> Result<Move> {
        self.moves.take(batch).ok_or_else(|| self.broken("I4", format!("batch {batch} is not being moved")))
    }

    fn ship_some(&mut self, m: &mut Move, budget: usize, out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        // Tombstones of the gone first: a key that came back since is in the queue.
        out.append(&mut m.tombs);
        while out.len() - start < budget {
            if let Some(slot) = m.queue.pop_front() {
                // A reused cell may belong to anyone by now; a flagged one has been sent after its last write.
                let wanted = |hash: u64| m.groups.contains_hash(hash);
                if self.slab.get(slot).is_some_and(|e| !e.shipped() && wanted(e.hash)) {
                    self.ship(slot, out)?;
                }
            } else if let Some(slot) = self.walk(m) {
                self.ship(slot, out)?;
            } else if m.todo.is_empty() {
                return Ok(true);
            }
        }
        Ok(m.queue.is_empty() && m.todo.is_empty())
    }

    /// The next cell of the walk. From the end of each group's list to its start, since a removal fills its hole from the end:
    /// an entry may be met twice, none is missed.
    fn walk(&self, m: &mut Move) -> Option<u32> {
        let group = *m.todo.last()?;
        let slots = self.groups.get(group).map(|g| g.slots.as_slice()).unwrap_or_default();
        m.walked.insert(group);
        let left = m.left.unwrap_or(u32::MAX).min(slots.len() as u32);
        if left == 0 {
            m.todo.pop();
            m.left = None;
            return None;
        }
        m.left = Some(left - 1);
        slots.get(left as usize - 1).copied()
    }

    fn ship(&mut self, slot: u32, out: &mut Vec<u8>) -> Result<()> {
        if let Some(entry) = self.slab.get_mut(slot) {
            put_item(out, entry.hash, &entry.key, entry.value.as_ref(), self.ttl.stored(entry.touched))?;
            entry.mark_shipped();
        }
        Ok(())
    }

    /// The rest that the target still needs. The move stays open until [`Self::freeze`], which must follow in the same step.
    pub fn ship_final(&mut self, batch: u64) -> Result<ShipFinal> {
        let mut last = ShipFinal::default();
        let mut m = self.take_move(batch)?;
        let done = self.ship_some(&mut m, usize::MAX, &mut last.items);
        for g in m.groups.iter().filter_map(|g| self.groups.get(g)) {
            last.entries += g.live;
            last.digest = last.digest.wrapping_add(g.digest);
        }
        let named = self.names(&m.groups, &mut last.names);
        self.moves.put(m);
        done.and(named).map(|()| last)
    }

    /// Names all entries of the groups that are dirty since the last barrier or in a delta that is not complete.
    fn names(&self, groups: &GroupSet, out: &mut Vec<u8>) -> Result<()> {
        let open = self.epochs.ended.iter().filter(|e| !e.encoded()).chain([&self.epochs.current]);
        for mark in open.flat_map(|e| e.marks.iter()) {
            if mark.slot != VOID
                && groups.contains(mark.group)
                && let Some(entry) = self.slab.get(mark.slot)
            {
                put_item(out, entry.hash, &entry.key, None::<&V>, None)?;
            }
        }
        Ok(())
    }

    /// Gives up a move; nothing has happened.
    pub fn ship_cancel(&mut self, batch: u64) {
        self.moves.cancel(batch);
    }

    /// Ends a move by cutting its groups away under a version: any access is an error from now on.
    pub fn freeze(&mut self, batch: u64, version: u64) -> Result<()> {
        let groups = self.take_move(batch)?.groups;
        self.active.subtract(&groups);
        self.frozen.push(Frozen { version, epoch: self.epochs.current.epoch, groups, dropped: false });
        Ok(())
    }

    /// The cuts up to `version` are known to be durable: frees what was kept for them, by and by.
    pub fn drop_frozen(&mut self, version: u64) {
        self.drop_where(|f| f.version <= version);
    }

    /// True if what was frozen for a cut is still all there.
    #[must_use]
    pub fn keeps(&self, version: u64) -> bool {
        self.frozen.iter().any(|f| f.version == version && !f.dropped)
    }

    /// Manifest `epoch` carries these cuts.
    pub(super) fn settle_frozen(&mut self, epoch: u64) {
        self.drop_where(|f| f.epoch <= epoch);
        self.frozen.retain(|f| f.epoch > epoch);
    }

    pub(super) fn drop_where(&mut self, which: impl Fn(&Frozen) -> bool) {
        for f in self.frozen.iter_mut().filter(|f| !f.dropped && which(f)) {
            f.dropped = true;
            self.garbage.extend(f.groups.iter());
        }
    }

    /// Makes the groups of these cuts active again.
    pub(super) fn thaw_where(&mut self, which: impl Fn(&Frozen) -> bool) -> Result<()> {
        if let Some(f) = self.frozen.iter().find(|f| f.dropped && which(f)) {
            let version = f.version;
            return Err(self.broken("I11", format!("cut {version} is to be undone, but its frozen state was dropped")));
        }
        for f in self.frozen.extract_if(.., |f| which(f)) {
            self.active.union(&f.groups);
        }
        Ok(())
    }
}
