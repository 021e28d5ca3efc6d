//! The delta of an epoch, encoded while the next one already runs.
//!
//! `encode_dirty` walks the epoch's list in slices between batches. An entry that the running epoch is about to overwrite and that
//! the walk has not reached is encoded first, by the write itself (at most once an entry, like its undo image). So the delta holds
//! exactly the values as of the barrier, and nobody waits for it. Order is the order of first writes; sorting by key group
//! is left to the upload.
//!
//! Groups cut away during the epoch are skipped: the new owner was told their names and stores them (I5). Of older epochs they are
//! ours.

use super::codec::EncodedRun;
use super::epochs::VOID;
use super::key::{StateKey, StateValue};
use super::slab::Entry;
use super::table::Table;
use super::ttl::Ttl;
use crate::error::Result;
use crate::key::KeyGroup;

/// Appends one entry to a run; how many bytes it took.
fn put<K: StateKey, V: StateValue>(run: &mut EncodedRun, ttl: &Ttl, group: KeyGroup, e: &Entry<K, V>) -> Result<u32> {
    run.put(group, e.hash, &e.key, e.value.as_ref(), ttl.stored(e.touched))
}

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// Encodes dirty entries of an ended epoch until about `budget` bytes are written; `true` when all are.
    pub fn encode_dirty(&mut self, epoch: u64, budget: usize, out: &mut EncodedRun) -> Result<bool> {
        if epoch >= self.epochs.current.epoch {
            return Err(self.broken("I5", format!("the delta of epoch {epoch} is wanted before its barrier")));
        }
        let Some(e) = self.epochs.ended.iter_mut().find(|e| e.epoch == epoch) else { return Ok(true) };
        let start = out.byte_len();
        out.append(&mut e.early);
        // A mark without bytes (gone, or encoded ahead) costs time too.
        let mut skipped = 0;
        while out.byte_len() - start + skipped < budget {
            let Some(mark) = e.marks.get(e.cursor) else { return Ok(true) };
            let (slot, group) = (mark.slot, mark.group);
            let ours = slot != VOID && !mark.encoded && !self.frozen.iter().any(|f| f.epoch <= epoch && f.groups.contains(group));
            match self.slab.get(slot).filter(|_| ours) {
                Some(entry) => {
                    let len = put(out, &self.ttl, group, entry)?;
                    self.measured.0 += u64::from(len);
                    self.measured.1 += 1;
                }
                None => skipped += 16,
            }
            e.cursor += 1;
        }
        Ok(e.encoded())
    }

    /// The entry is about to change: if an older epoch's delta still needs its present value, that is encoded now.
    pub(super) fn encode_ahead(&mut self, slot: u32, stamp: u32, dirty: u32) -> Result<()> {
        let Some(e) = self.epochs.ended.iter_mut().rev().find(|e| e.stamp == stamp) else { return Ok(()) };
        if dirty < e.cursor {
            return Ok(());
        }
        let Some(mark) = e.marks.get_mut(dirty).filter(|m| m.slot == slot && !m.encoded) else { return Ok(()) };
        if let Some(entry) = self.slab.get(slot) {
            put(&mut e.early, &self.ttl, mark.group, entry)?;
            mark.encoded = true;
        }
        Ok(())
    }

    /// Average encoded size of an entry lately, for budgets.
    fn entry_bytes(&self) -> usize {
        if std::mem::needs_drop::<(K, V)>() { (self.measured.0 / self.measured.1.max(1)) as usize } else { 0 }
    }

    /// About how many bytes undo images take that are not freed yet (I13).
    #[must_use]
    pub fn undo_bytes(&self) -> usize {
        let heap = if std::mem::needs_drop::<V>() { self.entry_bytes() } else { 0 };
        self.epochs.records() * (self.epochs.record_bytes() + heap) + self.epochs.early_bytes()
    }

    /// About how many bytes the whole table takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let heap = self.slab.len() * self.entry_bytes();
        self.slab.bytes() + heap + self.index.bytes() + self.groups.bytes() + self.undo_bytes() + self.moves.bytes()
    }
}
