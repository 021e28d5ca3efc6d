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
use super::slab::Chunked;
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

/// An entry as it was before the epoch.
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
    pub(super) olds: Chunked<Old<V>>,
    /// Cells that became tombstones.
    pub(super) tombstones: Vec<u32>,
    /// Marks before this one are in the delta.
    pub(super) cursor: u32,
    /// Entries that had to be encoded ahead of their turn.
    pub(super) early: EncodedRun,
}

impl<V> Epoch<V> {
    fn new(epoch: u64, stamp: u32) -> Self {
        let (marks, olds) = (Chunked::default(), Chunked::default());
        Self { epoch, stamp, marks, olds, tombstones: Vec::new(), cursor: 0, early: EncodedRun::default() }
    }

    pub(super) fn push(&mut self, mark: Mark, old: Old<V>) -> u32 {
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

/// The records that a published epoch leaves to free.
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
