//! Entries from birth to burial: the part of a table that is not once a row.
//!
//! Everything an entry is part of (slab, index, the list of its group, count and digest) is entered and left here and nowhere else.

use super::codec::put_item;
use super::index::remix;
use super::key::{StateKey, StateValue};
use super::slab::Entry;
use super::table::{Slot, Table};
use crate::error::Result;
use crate::key::{GroupSet, KeyGroup};

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// Takes the value out of a live entry and leaves what has to be left.
    pub(super) fn take(&mut self, slot: u32) -> Result<Option<V>> {
        self.touch(slot)?;
        let value = self.slab.get_mut(slot).and_then(|e| e.value.take());
        if value.is_some()
            && let Some(entry) = self.slab.get(slot)
        {
            self.groups.died(self.space.group(entry.hash), remix(entry.hash, entry.key.sub()));
            self.tombstone(slot);
        }
        Ok(value)
    }

    /// Puts an entry that is not in the table into it, on no list of any epoch.
    pub(super) fn place(&mut self, hash: u64, key: K, value: Option<V>, touched: u32) -> u32 {
        let (group, mixed) = (self.space.group(hash), remix(hash, key.sub()));
        if value.is_some() {
            self.groups.born(group, mixed);
        }
        let slot = self.slab.insert(Entry::new(hash, 0, touched, key, value));
        self.index.insert(mixed, slot);
        let place = self.groups.push(group, slot);
        if let Some(entry) = self.slab.get_mut(slot) {
            entry.set_place(place);
        }
        slot
    }

    /// Takes an entry without a value out of everything.
    pub(super) fn free(&mut self, slot: u32) {
        let Some(entry) = self.slab.remove(slot) else { return };
        let group = self.space.group(entry.hash);
        let mixed = remix(entry.hash, entry.key.sub());
        if entry.value.is_some() {
            self.groups.died(group, mixed);
        }
        self.index.remove(mixed, slot);
        if let Some(moved) = self.groups.remove(group, entry.place())
            && let Some(other) = self.slab.get_mut(moved)
        {
            other.set_place(entry.place());
        }
        if entry.sent()
            && !entry.shipped()
            && let Some(tombs) = self.moves.tombs(group)
        {
            // Encoding a key that was encoded before cannot fail; if it does, the digest at the target says so.
            let _ = put_item(tombs, entry.hash, &entry.key, None::<&V>, None);
        }
    }

    /// All live entries of a group.
    pub fn group(&self, group: KeyGroup) -> Result<impl Iterator<Item = (Slot, &K, &V, u64)>> {
        if !self.active.contains(group) {
            return Err(self.broken("I1", format!("key group {} is listed but not active here", group.0)));
        }
        Ok(self.group_entries(group))
    }

    fn group_entries(&self, group: KeyGroup) -> impl Iterator<Item = (Slot, &K, &V, u64)> {
        let slots = self.groups.get(group).map(|g| g.slots.as_slice()).unwrap_or_default();
        slots.iter().filter_map(|slot| {
            let e = self.slab.get(*slot)?;
            Some((Slot(*slot), &e.key, self.present(e)?, e.hash))
        })
    }

    /// All live entries of the active groups, group by group.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &K, &V, u64)> {
        self.active.iter().flat_map(|g| self.group_entries(g))
    }

    /// Removes up to the next expired entries among `budget` cells, going round. How many were removed.
    pub fn expire(&mut self, budget: usize) -> Result<usize> {
        let mut removed = 0;
        if !self.ttl.on() || self.slab.cells() == 0 {
            return Ok(0);
        }
        for _ in 0..budget.min(self.slab.cells() as usize) {
            self.hand = (self.hand + 1) % self.slab.cells();
            let expired = |e: &Entry<K, V>| e.value.is_some() && self.ttl.expired(e.touched) && self.active.contains_hash(e.hash);
            if self.slab.get(self.hand).is_some_and(expired) {
                self.take(self.hand)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The groups this slot may access.
    #[must_use]
    pub fn active(&self) -> &GroupSet {
        &self.active
    }

    /// Live entries, frozen and arriving ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.live as usize
    }

    /// True if there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.live == 0
    }
}
