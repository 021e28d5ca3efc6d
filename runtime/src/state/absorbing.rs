//! The target's end of a move, and a restore: entries come in, then their groups become active.
//!
//! Until then nothing of it is reachable or part of any delta, so a crash costs a `discard` and nothing else. What came with a
//! move belongs to the epoch in which it arrived: an undo to an earlier barrier discards it all, since the former owner
//! has it too.

use super::codec::{Frames, Item, get};
use super::epochs::Old;
use super::key::{StateKey, StateValue};
use super::moves::ShipFinal;
use super::table::Table;
use crate::error::Result;
use crate::key::{GroupSet, KeyGroup};

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// Takes framed items in. A later item of a key wins; a tombstone deletes.
    pub fn absorb(&mut self, bytes: &[u8]) -> Result<()> {
        for item in Frames::new(bytes) {
            self.absorb_item(&item?)?;
        }
        Ok(())
    }

    /// Takes one item in.
    pub fn absorb_item(&mut self, item: &Item<'_>) -> Result<()> {
        let group = self.space.group(item.hash);
        if self.active.contains(group) {
            return Err(self.broken("I1", format!("key group {} is to be absorbed but active here", group.0)));
        }
        self.make_room(group);
        let key: K = item.key().map_err(|e| e.at(format!("state `{}`", self.desc.name)))?;
        let found = self.find(item.hash, key.sub(), |k| *k == key);
        let Some(bytes) = item.value else {
            if let Some(slot) = found {
                self.free(slot);
            }
            return Ok(());
        };
        let value: V = get(bytes, "value").map_err(|e| e.at(format!("state `{}`", self.desc.name)))?;
        let touched = self.ttl.loaded(item.time);
        match found {
            Some(slot) => {
                self.put_value(slot, Some(value));
                if let Some(entry) = self.slab.get_mut(slot) {
                    entry.touched = touched;
                }
            }
            None => {
                self.place(item.hash, key, Some(value), touched);
            }
        }
        Ok(())
    }

    /// A group that comes back while we still keep or free its former entries: they go at once (I11 says that they may).
    fn make_room(&mut self, group: KeyGroup) {
        if self.frozen.iter().any(|f| f.groups.contains(group)) {
            self.drop_where(|f| f.groups.contains(group));
        }
        if let Some(i) = self.garbage.iter().position(|g| *g == group) {
            self.garbage.swap_remove(i);
            while self.free_some(group, usize::MAX) > 0 {}
        }
    }

    /// Applies the last message of a move, checks that everything came (I2), and makes the groups active.
    pub fn absorb_final(&mut self, last: &ShipFinal, groups: &GroupSet) -> Result<()> {
        for g in groups.iter() {
            self.make_room(g);
        }
        self.absorb(&last.items)?;
        let (mut entries, mut digest) = (0, 0u64);
        for g in groups.iter().filter_map(|g| self.groups.get(g)) {
            entries += g.live;
            digest = digest.wrapping_add(g.digest);
        }
        if (entries, digest) != (last.entries, last.digest) {
            let (e, d, we, wd) = (entries, digest, last.entries, last.digest);
            return Err(
                self.broken("I2", format!("a move brought {e} entries (digest {d:016x}), its source had {we} ({wd:016x})"))
            );
        }
        for name in Frames::new(&last.names) {
            self.mark_arrived(&name?)?;
        }
        self.active.union(groups);
        self.arrivals.push((self.epochs.current.epoch, groups.clone()));
        Ok(())
    }

    /// The former owner did not store this entry's change any more: our next delta has to.
    fn mark_arrived(&mut self, name: &Item<'_>) -> Result<()> {
        let key: K = name.key()?;
        let slot = match self.find(name.hash, key.sub(), |k| *k == key) {
            Some(slot) => slot,
            None => {
                let slot = self.place(name.hash, key, None, self.ttl.now);
                self.keep_tombstone(slot);
                slot
            }
        };
        if self.slab.get(slot).is_some_and(|e| e.written() != self.epochs.current.stamp) {
            self.record(slot, self.space.group(name.hash), Old::Arrived);
        }
        Ok(())
    }

    /// Makes groups active whose state, if any, has been absorbed from the last manifest: part of no epoch.
    pub fn activate(&mut self, groups: &GroupSet) {
        for g in groups.iter().filter(|g| !self.active.contains(*g)).collect::<Vec<_>>() {
            self.make_room(g);
        }
        self.active.union(groups);
    }

    /// Forgets all entries of these groups, which are not active afterwards. They are freed by and by.
    pub fn discard(&mut self, groups: &GroupSet) {
        self.active.subtract(groups);
        for (_, arrived) in &mut self.arrivals {
            arrived.subtract(groups);
        }
        for g in groups.iter() {
            if !self.garbage.contains(&g) {
                self.garbage.push(g);
            }
        }
    }

    /// Forgets everything but these groups: what else was active, and what a move had begun to bring and nobody has made active.
    pub fn keep_only(&mut self, groups: &GroupSet) {
        let mut others = GroupSet::all(self.space);
        others.subtract(groups);
        self.active.intersect(groups);
        // An empty group is not worth a place on the list of what is to be freed.
        let full = others.iter().filter(|g| self.groups.get(*g).is_some_and(|group| !group.slots.is_empty()));
        let full = GroupSet::of(self.space, full);
        self.discard(&full);
    }

    /// Frees up to `budget` entries of forgotten groups; `None` when there is none.
    pub(super) fn sweep_garbage(&mut self, budget: usize) -> Option<usize> {
        let group = *self.garbage.last()?;
        let spent = self.free_some(group, budget);
        if spent < budget {
            self.garbage.pop();
        }
        Some(spent)
    }

    fn free_some(&mut self, group: KeyGroup, budget: usize) -> usize {
        let mut spent = 0;
        while spent < budget
            && let Some(slot) = self.groups.get(group).and_then(|g| g.slots.last().copied())
        {
            self.forget(slot);
            self.free(slot);
            spent += 1;
        }
        spent
    }
}
