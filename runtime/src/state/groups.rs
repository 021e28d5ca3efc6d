//! The entries of each key group, their number and their digest.
//!
//! A dense list of cells a group and the position in each entry: listing reads a contiguous array, adding touches no other entry,
//! taking out touches one. (A linked list through the entries would touch two on every insert and remove.) Count and digest are
//! kept up to date by the writes that change the set of keys, so that a cut compares 64 pairs of numbers instead of walking
//! a million entries.

use crate::key::KeyGroup;

/// One key group's share of a table.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Cells of entries and tombstones.
    pub(super) slots: Vec<u32>,
    /// Live entries.
    pub(super) live: u64,
    /// Sum of the mixed hashes of the live entries, which no order changes.
    pub(super) digest: u64,
}

/// All key groups of a table.
#[derive(Debug)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// Live entries over all groups.
    pub(super) live: u64,
}

impl Groups {
    pub(super) fn new(n: usize) -> Self {
        Self { groups: std::iter::repeat_with(Group::default).take(n).collect(), live: 0 }
    }

    pub(super) fn get(&self, group: KeyGroup) -> Option<&Group> {
        self.groups.get(usize::from(group.0))
    }

    /// Adds a cell and says where.
    pub(super) fn push(&mut self, group: KeyGroup, slot: u32) -> u32 {
        match self.groups.get_mut(usize::from(group.0)) {
            Some(g) => {
                g.slots.push(slot);
                (g.slots.len() - 1) as u32
            }
            None => 0,
        }
    }

    /// Takes a cell out; the cell that takes its place, if any.
    pub(super) fn remove(&mut self, group: KeyGroup, place: u32) -> Option<u32> {
        let slots = &mut self.groups.get_mut(usize::from(group.0))?.slots;
        if (place as usize) < slots.len() {
            slots.swap_remove(place as usize);
        }
        if slots.is_empty() {
            *slots = Vec::new();
        }
        slots.get(place as usize).copied()
    }

    /// An entry came to life.
    pub(super) fn born(&mut self, group: KeyGroup, mixed: u64) {
        if let Some(g) = self.groups.get_mut(usize::from(group.0)) {
            g.live += 1;
            g.digest = g.digest.wrapping_add(mixed | 1);
            self.live += 1;
        }
    }

    /// An entry is gone (or is a tombstone now).
    pub(super) fn died(&mut self, group: KeyGroup, mixed: u64) {
        if let Some(g) = self.groups.get_mut(usize::from(group.0)) {
            g.live -= 1;
            g.digest = g.digest.wrapping_sub(mixed | 1);
            self.live -= 1;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.groups.iter().map(|g| size_of::<Group>() + g.slots.capacity() * 4).sum()
    }
}
