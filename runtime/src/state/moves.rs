//! Moves of key groups as a table keeps them: batches under way, groups cut away, groups that arrived.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::key::{GroupSet, KeyGroup, KeySpace};

/// Groups that arrived, and in which epoch; until that epoch is published.
pub(super) type Arrivals = Vec<(u64, GroupSet)>;

/// One move under way.
#[derive(Debug)]
pub(super) struct Move {
    batch: u64,
    pub(super) groups: GroupSet,
    /// Groups still to be walked, the next one last, and how many of its entries are left.
    pub(super) todo: Vec<KeyGroup>,
    pub(super) left: Option<u32>,
    /// Groups whose walk has begun: what is born there has to be queued.
    pub(super) walked: GroupSet,
    /// Cells to send again.
    pub(super) queue: VecDeque<u32>,
    /// Framed tombstones of entries that are gone altogether.
    pub(super) tombs: Vec<u8>,
}

/// All moves under way.
#[derive(Debug, Default)]
pub(super) struct Moves(Vec<Move>);

impl Moves {
    /// True if a move has this batch number or one of these groups.
    pub(super) fn concerns(&self, batch: u64, groups: &GroupSet) -> bool {
        self.0.iter().any(|m| m.batch == batch || m.groups.intersects(groups))
    }

    /// Opens a move: its groups are walked in their order.
    pub(super) fn open(&mut self, batch: u64, groups: GroupSet, space: KeySpace) {
        let mut todo: Vec<KeyGroup> = groups.iter().collect();
        todo.reverse();
        let walked = GroupSet::new(space);
        self.0.push(Move { batch, groups, todo, left: None, walked, queue: VecDeque::new(), tombs: Vec::new() });
    }

    /// Takes a move out, to work on it beside its table.
    pub(super) fn take(&mut self, batch: u64) -> Option<Move> {
        let at = self.0.iter().position(|m| m.batch == batch)?;
        Some(self.0.swap_remove(at))
    }

    /// Puts a move back that was taken out.
    pub(super) fn put(&mut self, taken: Move) {
        self.0.push(taken);
    }

    /// Forgets a move.
    pub(super) fn cancel(&mut self, batch: u64) {
        self.0.retain(|m| m.batch != batch);
    }

    fn of(&mut self, group: KeyGroup) -> Option<&mut Move> {
        self.0.iter_mut().find(|m| m.groups.contains(group))
    }

    /// A sent entry is about to change.
    pub(super) fn rewritten(&mut self, group: KeyGroup, slot: u32) {
        if let Some(m) = self.of(group) {
            m.queue.push_back(slot);
        }
    }

    /// An entry was born.
    #[inline]
    pub(super) fn created(&mut self, group: KeyGroup, slot: u32) {
        if !self.0.is_empty()
            && let Some(m) = self.of(group).filter(|m| m.walked.contains(group))
        {
            m.queue.push_back(slot);
        }
    }

    /// The place for the tombstone of an entry that is gone.
    pub(super) fn tombs(&mut self, group: KeyGroup) -> Option<&mut Vec<u8>> {
        self.of(group).map(|m| &mut m.tombs)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|m| m.queue.capacity() * 4 + m.tombs.capacity()).sum()
    }
}

/// Groups that were cut away, kept for an undo.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) version: u64,
    /// The epoch in which they were cut.
    pub(super) epoch: u64,
    pub(super) groups: GroupSet,
    /// Their entries are being freed; only the fact of the cut is still needed.
    pub(super) dropped: bool,
}

/// The last message of a move, for one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipFinal {
    /// Framed items: everything written since it was last sent.
    pub items: Vec<u8>,
    /// Framed tombstones that only name: every entry the target has to put into its next delta.
    pub names: Vec<u8>,
    /// Live entries of the groups.
    pub entries: u64,
    /// Order-independent digest of their keys.
    pub digest: u64,
}
