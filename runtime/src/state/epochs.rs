//! Dirty lists and undo images: what changed in which epoch, and what was there before.
//!
//! The first write of an entry in an epoch appends one record to that epoch's list: the cell, the entry's former stamp and
//! position, and the former value. That one record is both the dirty mark (what the delta of the epoch must hold) and the undo
//! image (what recovery restores), so there is one rule to get right. The stamp in an entry is an internal count, not the epoch: it is
//! never used twice, so that an undo followed by new epochs of the same numbers cannot confuse anything.
//!
//! - `begin_epoch` opens a list; at most a handful are open (those not published).
//! - `undo_to(e)` plays the lists younger than e backwards; each record also restores the stamp, so the lists of e and older stay
//!   exact.
//! - `publish(e)` retires the lists up to e. Freeing is not done there but by `sweep`, in steps: dropping a million
//!   images at once would stop the slot.
//!
//! Bytes of images not yet freed are counted (I13); the slot back-pressures when they exceed its budget.

use std::collections::VecDeque;

use super::codec::EncodedRun;
use super::key::{StateKey, StateValue};
use super::slab::{Chunked, SHIPPED};
use super::table::Table;
use crate::error::Result;
use crate::key::KeyGroup;

/// A record whose entry is gone.
pub(super) const VOID: u32 = u32::MAX;

/// The dirty mark: small, so that a cut that looks for a batch's names reads 16 bytes a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// The entry's cell, or [`VOID`].
    pub(super) slot: u32,
    /// The entry's stamp before.
    pub(super) stamp: u32,
    /// The entry's position in the list of that stamp.
    pub(super) dirty: u32,
    /// The entry's key group.
    pub(super) group: KeyGroup,
    /// Already in the delta (a younger epoch was about to overwrite it).
    pub(super) encoded: bool,
}

/// What an entry was before the epoch.
#[derive(Debug)]
pub(super) enum Old<V> {
    /// Not in the table. If it goes in the same epoch, nobody will ever know.
    Fresh,
    /// A tombstone of an older epoch.
    Tombstone,
    /// Came with a move and is dirty by its former owner's word; an undo discards its whole group.
    Arrived,
    /// This value.
    Value(V),
}

/// One unpublished epoch.
#[derive(Debug)]
pub(super) struct Epoch<V> {
    pub(super) epoch: u64,
    pub(super) stamp: u32,
    pub(super) marks: Chunked<Mark>,
    olds: Chunked<Old<V>>,
    /// Cells that became tombstones.
    tombstones: Vec<u32>,
    /// Marks before this one are in the delta.
    pub(super) cursor: u32,
    /// What had to be encoded ahead of its turn.
    pub(super) early: EncodedRun,
}

impl<V> Epoch<V> {
    fn new(epoch: u64, stamp: u32) -> Self {
        let (marks, olds) = (Chunked::default(), Chunked::default());
        Self { epoch, stamp, marks, olds, tombstones: Vec::new(), cursor: 0, early: EncodedRun::default() }
    }

    fn push(&mut self, mark: Mark, old: Old<V>) -> u32 {
        self.olds.push(old);
        self.marks.push(mark)
    }

    /// The youngest record.
    pub(super) fn pop(&mut self) -> Option<(Mark, Old<V>)> {
        Some((self.marks.pop()?, self.olds.pop()?))
    }

    pub(super) fn encoded(&self) -> bool {
        self.cursor as usize >= self.marks.len() && self.early.is_empty()
    }
}

/// What a published epoch leaves to free.
#[derive(Debug)]
pub(super) struct Retired<V> {
    pub(super) stamp: u32,
    pub(super) olds: Chunked<Old<V>>,
    pub(super) tombstones: Vec<u32>,
}

/// All unpublished epochs of a table.
#[derive(Debug)]
pub(super) struct Epochs<V> {
    /// The running epoch.
    pub(super) current: Epoch<V>,
    /// Ended, not published; oldest first.
    pub(super) ended: VecDeque<Epoch<V>>,
    pub(super) retired: VecDeque<Retired<V>>,
    published: u64,
    pub(super) last_stamp: u32,
}

impl<V> Epochs<V> {
    pub(super) fn new() -> Self {
        Self { current: Epoch::new(0, 1), ended: VecDeque::new(), retired: VecDeque::new(), published: 0, last_stamp: 1 }
    }

    /// Starts a new list; the former one comes back.
    pub(super) fn open(&mut self, epoch: u64) -> Epoch<V> {
        self.last_stamp += 1;
        std::mem::replace(&mut self.current, Epoch::new(epoch, self.last_stamp))
    }

    pub(super) fn by_stamp(&mut self, stamp: u32) -> Option<&mut Epoch<V>> {
        if self.current.stamp == stamp {
            return Some(&mut self.current);
        }
        self.ended.iter_mut().rev().find(|e| e.stamp == stamp)
    }

    pub(super) fn published(&self) -> u64 {
        self.published
    }

    pub(super) fn set_published(&mut self, epoch: u64) {
        self.published = self.published.max(epoch);
    }

    pub(super) fn retire(&mut self, epoch: Epoch<V>) {
        let Epoch { epoch: _, stamp, marks: _, olds, tombstones, cursor: _, early: _ } = epoch;
        self.retired.push_back(Retired { stamp, olds, tombstones });
    }

    /// The fixed part of a record.
    pub(super) fn record_bytes(&self) -> usize {
        size_of::<Mark>() + size_of::<Old<V>>()
    }

    /// Bytes encoded ahead of their turn.
    pub(super) fn early_bytes(&self) -> usize {
        self.ended.iter().map(|e| e.early.byte_len()).sum()
    }

    /// Records not yet freed.
    pub(super) fn records(&self) -> usize {
        let open: usize = self.ended.iter().map(|e| e.olds.len()).sum();
        open + self.current.olds.len() + self.retired.iter().map(|r| r.olds.len()).sum::<usize>()
    }
}

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
        self.epochs.published
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
