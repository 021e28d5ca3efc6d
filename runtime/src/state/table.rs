//! The calls of a hot operator: get, update, modify, insert, remove.
//!
//! One flat table per operator state; key groups are a logical partition in it. A read-modify-write is one look-up in the
//! index, one entry, one comparison (was this entry already written in this epoch?) and the caller's closure. Everything
//! that has to happen at the first write of an epoch, for a delta under way, for a move, and for expiry hides behind that one
//! comparison.
//!
//! Refused: any access to a key group that is not active here (I1). A missing entry means "default" only in a group this slot
//! owns; anywhere else it would be silent loss, so it is an error, on a cold path.
//!
//! Memory: 48 bytes an entry of two `u64`s, 8 to 16 in the index, 4 in the list of its group.

use std::fmt;

use super::desc::StateDesc;
use super::epochs::{Epochs, Old};
use super::groups::Groups;
use super::index::{Index, remix};
use super::key::{StateKey, StateValue};
use super::moves::{Arrivals, Frozen, Moves};
use super::slab::{Entry, Slab};
use super::ttl::Ttl;
use crate::error::{Error, Result};
use crate::key::{GroupSet, KeyGroup, KeySpace};

/// Names an entry without its key, until the entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The stamp no entry has: makes every write take the slow path.
const NEVER: u32 = u32::MAX;

/// The keyed state of one operator on one slot.
pub struct Table<K, V> {
    pub(super) desc: StateDesc,
    pub(super) space: KeySpace,
    pub(super) active: GroupSet,
    pub(super) index: Index,
    pub(super) slab: Slab<K, V>,
    pub(super) groups: Groups,
    pub(super) epochs: Epochs<V>,
    /// The running epoch's stamp, or [`NEVER`] where each write has to note its time.
    hot: u32,
    pub(super) ttl: Ttl,
    pub(super) moves: Moves,
    pub(super) frozen: Vec<Frozen>,
    pub(super) arrivals: Arrivals,
    /// Groups whose entries nobody needs; freed by and by.
    pub(super) garbage: Vec<KeyGroup>,
    /// Bytes and number of items encoded lately: how large values are, for budgets.
    pub(super) measured: (u64, u64),
    /// The cell at which the incremental expiry goes on.
    pub(super) hand: u32,
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.desc.name).field("live", &self.groups.live).finish_non_exhaustive()
    }
}

impl<K: StateKey, V: StateValue> Table<K, V> {
    /// An empty table with no active group.
    #[must_use]
    pub fn new(desc: StateDesc, space: KeySpace) -> Self {
        let mut table = Self {
            ttl: Ttl::new(desc.ttl_micros),
            desc,
            space,
            active: GroupSet::new(space),
            index: Index::new(),
            slab: Slab::new(),
            groups: Groups::new(space.groups()),
            epochs: Epochs::new(),
            hot: NEVER,
            moves: Moves::default(),
            frozen: Vec::new(),
            arrivals: Arrivals::new(),
            garbage: Vec::new(),
            measured: (0, 0),
            hand: 0,
        };
        table.hot_stamp();
        table
    }

    /// The present of expiring entries. Cheap; once a batch is enough.
    pub fn set_now(&mut self, micros: i64) {
        self.ttl.set_now(micros);
    }

    pub(super) fn hot_stamp(&mut self) {
        self.hot = if self.ttl.on() { NEVER } else { self.epochs.current.stamp };
    }

    #[inline]
    fn check(&self, hash: u64) -> Result<()> {
        if self.active.contains_hash(hash) { Ok(()) } else { Err(self.inactive(hash)) }
    }

    #[cold]
    #[inline(never)]
    fn inactive(&self, hash: u64) -> Error {
        let group = self.space.group(hash).0;
        self.broken("I1", format!("key group {group} is accessed but not active here"))
    }

    #[cold]
    pub(super) fn broken(&self, law: &str, what: String) -> Error {
        Error::broken(law, what).at(format!("state `{}`", self.desc.name))
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, sub: u64, mut eq: impl FnMut(&K) -> bool) -> Option<u32> {
        self.index.find(remix(hash, sub), |slot| self.slab.get(slot).is_some_and(|e| eq(&e.key)))
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, hash: u64, sub: u64, eq: impl FnMut(&K) -> bool) -> Result<Option<&V>> {
        self.check(hash)?;
        Ok(self.find(hash, sub, eq).and_then(|slot| self.slab.get(slot)).and_then(|e| self.present(e)))
    }

    #[inline]
    pub(super) fn present<'a>(&self, entry: &'a Entry<K, V>) -> Option<&'a V> {
        entry.value.as_ref().filter(|_| !self.ttl.expired(entry.touched))
    }

    /// Brings what the next access of a key will need into the cache, without waiting for it.
    ///
    /// Called for the next few dozen rows before they are applied one by one, it lets their cache misses overlap; a row's own
    /// first-write branch would otherwise stop the processor from looking ahead. Worth it for tables larger than the cache.
    #[inline]
    pub fn warm(&self, hash: u64, sub: u64) {
        let slot = self.index.find(remix(hash, sub), |_| true);
        std::hint::black_box(slot.and_then(|slot| self.slab.get(slot)).map_or(0, |e| e.stamp));
    }

    /// Changes the value of a key, after making one if there is none. `f` runs in both cases.
    #[inline]
    pub fn update<R>(
        &mut self,
        hash: u64,
        sub: u64,
        eq: impl FnMut(&K) -> bool,
        make: impl FnOnce() -> (K, V),
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<R> {
        self.update_slot(hash, sub, eq, make, f).map(|(_, r)| r)
    }

    /// Like [`Self::update`], and says where the entry is.
    #[inline]
    pub fn update_slot<R>(
        &mut self,
        hash: u64,
        sub: u64,
        eq: impl FnMut(&K) -> bool,
        make: impl FnOnce() -> (K, V),
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<(Slot, R)> {
        self.check(hash)?;
        let Some(slot) = self.find(hash, sub, eq) else {
            let (key, mut value) = make();
            let result = f(&mut value);
            return Ok((Slot(self.create(hash, key, value)), result));
        };
        if let Some(entry) = self.slab.get_mut(slot)
            && entry.stamp == self.hot
            && let Some(value) = &mut entry.value
        {
            return Ok((Slot(slot), f(value)));
        }
        if !self.ready(slot)? {
            self.put_value(slot, Some(make().1));
        }
        match self.slab.get_mut(slot).and_then(|e| e.value.as_mut()) {
            Some(value) => Ok((Slot(slot), f(value))),
            None => Err(self.broken("I1", "an entry in the index has no value".into())),
        }
    }

    /// Changes the value of a key if there is one.
    #[inline]
    pub fn modify<R>(
        &mut self,
        hash: u64,
        sub: u64,
        eq: impl FnMut(&K) -> bool,
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<Option<R>> {
        self.check(hash)?;
        match self.find(hash, sub, eq) {
            Some(slot) => self.modify_found(slot, f),
            None => Ok(None),
        }
    }

    /// Changes the value at a slot if there is one.
    #[inline]
    pub fn modify_at<R>(&mut self, slot: Slot, f: impl FnOnce(&mut V) -> R) -> Result<Option<R>> {
        match self.slab.get(slot.0).map(|e| e.hash) {
            Some(hash) => self.check(hash)?,
            None => return Ok(None),
        }
        self.modify_found(slot.0, f)
    }

    #[inline]
    fn modify_found<R>(&mut self, slot: u32, f: impl FnOnce(&mut V) -> R) -> Result<Option<R>> {
        let Some(entry) = self.slab.get_mut(slot) else { return Ok(None) };
        if entry.value.is_none() {
            return Ok(None);
        }
        if entry.stamp != self.hot && !self.ready(slot)? {
            self.tombstone(slot);
            return Ok(None);
        }
        Ok(self.slab.get_mut(slot).and_then(|e| e.value.as_mut()).map(f))
    }

    /// Sets the value of a key; the former one comes back.
    pub fn insert(&mut self, hash: u64, key: K, value: V) -> Result<Option<V>> {
        self.check(hash)?;
        let Some(slot) = self.find(hash, key.sub(), |k| *k == key) else {
            self.create(hash, key, value);
            return Ok(None);
        };
        if self.ready(slot)? {
            return Ok(self.slab.get_mut(slot).and_then(|e| e.value.replace(value)));
        }
        self.put_value(slot, Some(value));
        Ok(None)
    }

    /// Removes a key; its value comes back.
    pub fn remove(&mut self, hash: u64, sub: u64, eq: impl FnMut(&K) -> bool) -> Result<Option<V>> {
        self.check(hash)?;
        match self.find(hash, sub, eq) {
            Some(slot) => self.remove_found(slot),
            None => Ok(None),
        }
    }

    /// Key, value and hash of an entry.
    #[inline]
    pub fn at(&self, slot: Slot) -> Result<Option<(&K, &V, u64)>> {
        let Some(entry) = self.slab.get(slot.0) else { return Ok(None) };
        self.check(entry.hash)?;
        Ok(self.present(entry).map(|v| (&entry.key, v, entry.hash)))
    }

    /// Removes an entry; key and value come back.
    pub fn remove_at(&mut self, slot: Slot) -> Result<Option<(K, V)>> {
        let Some(entry) = self.slab.get(slot.0) else { return Ok(None) };
        self.check(entry.hash)?;
        let key = entry.key.clone();
        Ok(self.remove_found(slot.0)?.map(|v| (key, v)))
    }

    fn remove_found(&mut self, slot: u32) -> Result<Option<V>> {
        let Some(entry) = self.slab.get(slot) else { return Ok(None) };
        if entry.value.is_none() {
            return Ok(None);
        }
        let expired = self.ttl.expired(entry.touched);
        let value = self.take(slot)?;
        Ok(value.filter(|_| !expired))
    }

    /// Makes an entry ready to be written; `false` if it has no value (a tombstone, or one that has just expired).
    #[inline(never)]
    fn ready(&mut self, slot: u32) -> Result<bool> {
        let expired = self.slab.get(slot).is_some_and(|e| e.value.is_some() && self.ttl.expired(e.touched));
        self.touch(slot)?;
        if expired {
            self.put_value(slot, None);
        }
        Ok(self.slab.get(slot).is_some_and(|e| e.value.is_some()))
    }

    fn create(&mut self, hash: u64, key: K, value: V) -> u32 {
        let slot = self.place(hash, key, Some(value), self.ttl.now);
        let group = self.space.group(hash);
        self.record(slot, group, Old::Fresh);
        self.moves.created(group, slot);
        slot
    }
}
