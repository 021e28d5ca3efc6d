//! A table without its types: what a slot does with state.
//!
//! Everything here runs once a barrier, a slice or a move, never once a row, so a virtual call costs nothing. Each method is the
//! method of the same name of [`Table`]; what it does is said there.

use std::any::Any;
use std::fmt::Debug;

use super::codec::{EncodedRun, Item};
use super::desc::StateDesc;
use super::key::{StateKey, StateValue};
use super::moves::ShipFinal;
use super::table::Table;
use crate::error::Result;
use crate::key::GroupSet;

/// The calls of a [`Table`] that need no types.
pub trait ErasedTable: Send + Debug {
    /// The description of the state.
    fn desc(&self) -> &StateDesc;
    /// Live entries.
    fn entries(&self) -> usize;
    /// About how many bytes the table takes.
    fn bytes(&self) -> usize;
    /// About how many bytes undo images take (I13).
    fn undo_bytes(&self) -> usize;
    /// The groups that may be accessed.
    fn active(&self) -> &GroupSet;
    /// The present of expiring entries.
    fn set_now(&mut self, micros: i64);
    /// See [`Table::begin_epoch`].
    fn begin_epoch(&mut self, epoch: u64) -> Result<()>;
    /// See [`Table::encode_dirty`].
    fn encode_dirty(&mut self, epoch: u64, budget: usize, out: &mut EncodedRun) -> Result<bool>;
    /// See [`Table::publish`].
    fn publish(&mut self, epoch: u64) -> Result<()>;
    /// See [`Table::undo_to`].
    fn undo_to(&mut self, epoch: u64) -> Result<()>;
    /// See [`Table::sweep`].
    fn sweep(&mut self, budget: usize) -> bool;
    /// See [`Table::debt`].
    fn debt(&self) -> usize;
    /// See [`Table::expire`].
    fn expire(&mut self, budget: usize) -> Result<usize>;
    /// See [`Table::ship_start`].
    fn ship_start(&mut self, batch: u64, groups: &GroupSet) -> Result<()>;
    /// See [`Table::ship_slice`].
    fn ship_slice(&mut self, batch: u64, budget: usize, out: &mut Vec<u8>) -> Result<bool>;
    /// See [`Table::ship_final`].
    fn ship_final(&mut self, batch: u64) -> Result<ShipFinal>;
    /// See [`Table::ship_cancel`].
    fn ship_cancel(&mut self, batch: u64);
    /// See [`Table::freeze`].
    fn freeze(&mut self, batch: u64, version: u64) -> Result<()>;
    /// See [`Table::drop_frozen`].
    fn drop_frozen(&mut self, version: u64);
    /// See [`Table::keeps`].
    fn keeps(&self, version: u64) -> bool;
    /// See [`Table::absorb`].
    fn absorb(&mut self, bytes: &[u8]) -> Result<()>;
    /// See [`Table::absorb_item`].
    fn absorb_item(&mut self, item: &Item<'_>) -> Result<()>;
    /// See [`Table::absorb_final`].
    fn absorb_final(&mut self, last: &ShipFinal, groups: &GroupSet) -> Result<()>;
    /// See [`Table::activate`].
    fn activate(&mut self, groups: &GroupSet);
    /// See [`Table::discard`].
    fn discard(&mut self, groups: &GroupSet);
    /// See [`Table::keep_only`].
    fn keep_only(&mut self, groups: &GroupSet);
    /// Changes places with a table of the same types; false if it has others.
    fn swap(&mut self, other: &mut dyn ErasedTable) -> bool;
    /// For the operator that knows the types.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<K: StateKey, V: StateValue> ErasedTable for Table<K, V> {
    fn desc(&self) -> &StateDesc {
        &self.desc
    }

    fn entries(&self) -> usize {
        self.len()
    }

    fn bytes(&self) -> usize {
        Self::bytes(self)
    }

    fn undo_bytes(&self) -> usize {
        Self::undo_bytes(self)
    }

    fn active(&self) -> &GroupSet {
        Self::active(self)
    }

    fn set_now(&mut self, micros: i64) {
        Self::set_now(self, micros);
    }

    fn begin_epoch(&mut self, epoch: u64) -> Result<()> {
        Self::begin_epoch(self, epoch)
    }

    fn encode_dirty(&mut self, epoch: u64, budget: usize, out: &mut EncodedRun) -> Result<bool> {
        Self::encode_dirty(self, epoch, budget, out)
    }

    fn publish(&mut self, epoch: u64) -> Result<()> {
        Self::publish(self, epoch)
    }

    fn undo_to(&mut self, epoch: u64) -> Result<()> {
        Self::undo_to(self, epoch)
    }

    fn sweep(&mut self, budget: usize) -> bool {
        Self::sweep(self, budget)
    }

    fn debt(&self) -> usize {
        Self::debt(self)
    }

    fn expire(&mut self, budget: usize) -> Result<usize> {
        Self::expire(self, budget)
    }

    fn ship_start(&mut self, batch: u64, groups: &GroupSet) -> Result<()> {
        Self::ship_start(self, batch, groups)
    }

    fn ship_slice(&mut self, batch: u64, budget: usize, out: &mut Vec<u8>) -> Result<bool> {
        Self::ship_slice(self, batch, budget, out)
    }

    fn ship_final(&mut self, batch: u64) -> Result<ShipFinal> {
        Self::ship_final(self, batch)
    }

    fn ship_cancel(&mut self, batch: u64) {
        Self::ship_cancel(self, batch);
    }

    fn freeze(&mut self, batch: u64, version: u64) -> Result<()> {
        Self::freeze(self, batch, version)
    }

    fn drop_frozen(&mut self, version: u64) {
        Self::drop_frozen(self, version);
    }

    fn keeps(&self, version: u64) -> bool {
        self.keeps(version)
    }

    fn absorb(&mut self, bytes: &[u8]) -> Result<()> {
        Self::absorb(self, bytes)
    }

    fn absorb_item(&mut self, item: &Item<'_>) -> Result<()> {
        Self::absorb_item(self, item)
    }

    fn absorb_final(&mut self, last: &ShipFinal, groups: &GroupSet) -> Result<()> {
        Self::absorb_final(self, last, groups)
    }

    fn activate(&mut self, groups: &GroupSet) {
        Self::activate(self, groups);
    }

    fn discard(&mut self, groups: &GroupSet) {
        Self::discard(self, groups);
    }

    fn keep_only(&mut self, groups: &GroupSet) {
        Self::keep_only(self, groups);
    }

    fn swap(&mut self, other: &mut dyn ErasedTable) -> bool {
        let Some(other) = other.as_any_mut().downcast_mut::<Self>() else { return false };
        std::mem::swap(self, other);
        true
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
