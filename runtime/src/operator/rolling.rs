//! Keyed aggregation without windows: one value a key.
//!
//! Emits each changed key once an epoch (updates inside an epoch are consolidated before they leave), or, with [`When::End`], each key
//! once, when the input has ended. Merges the partial values of combiners.

use crate::container::{Batch, Data, Rows};
use crate::error::Result;
use crate::key::{GroupSet, Key, KeySpace};
use crate::operator::aggregate::Aggregation;
use crate::operator::apply::typed;
use crate::operator::combine::Partial;
use crate::operator::{Context, Flow, Operator};
use crate::state::{ErasedTable, Plain, Slot, StateDesc, StateValue, Table};
use crate::time::Time;

/// The moment at which an aggregation without windows emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Each changed key at the end of each epoch.
    Changed,
    /// Each key at the end of the input.
    End,
}

/// A value, and whether it has changed since it was last emitted.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Held<A> {
    value: A,
    #[serde(skip)]
    changed: bool,
}

/// Keyed aggregation without windows.
pub struct Rolling<T, K: Key, G: Aggregation<T>> {
    aggregation: G,
    when: When,
    table: Table<Plain<K>, Held<G::Value>>,
    changed: Vec<Slot>,
    ending: Option<Vec<Slot>>,
}

impl<T, K: Key, G: Aggregation<T>> Rolling<T, K, G> {
    /// An aggregation that speaks `when`.
    pub fn new(aggregation: G, when: When, space: KeySpace) -> Self {
        let table = Table::new(StateDesc::of::<K, G::Value>("value"), space);
        Self { aggregation, when, table, changed: Vec::new(), ending: None }
    }
}

impl<T, K, G> Rolling<T, K, G>
where
    T: Data,
    K: Key,
    G: Aggregation<T>,
    G::Value: StateValue,
{
    /// Emits entries from the end of `slots`, at most a call's worth.
    fn emit(&mut self, slots: &mut Vec<Slot>, cx: &mut Context<'_>) -> Result<Flow> {
        let mut out = Rows::<(K, G::Value)>::with_capacity(slots.len().min(cx.call_rows));
        while let Some(slot) = slots.pop() {
            if let Some((key, held, hash)) = self.table.at(slot)? {
                out.rows.push((key.0.clone(), held.value.clone()));
                out.hashes.push(hash);
                if held.changed {
                    self.table.modify_at(slot, |h| h.changed = false)?;
                }
            }
            if out.rows.len() >= cx.call_rows {
                break;
            }
        }
        cx.emit(Box::new(out));
        Ok(if slots.is_empty() { Flow::Done } else { Flow::More })
    }

    /// Emits entries at the end of the input, and forgets them: nobody who comes back to a snapshot or gets the group says them again.
    fn end(&mut self, slots: &mut Vec<Slot>, cx: &mut Context<'_>) -> Result<Flow> {
        let mut out = Rows::<(K, G::Value)>::with_capacity(slots.len().min(cx.call_rows));
        while out.rows.len() < cx.call_rows
            && let Some(slot) = slots.pop()
        {
            let Some(hash) = self.table.at(slot)?.map(|(_, _, hash)| hash) else { continue };
            if let Some((key, held)) = self.table.remove_at(slot)? {
                out.rows.push((key.0, held.value));
                out.hashes.push(hash);
            }
        }
        cx.emit(Box::new(out));
        Ok(if slots.is_empty() { Flow::Done } else { Flow::More })
    }

    fn emit_changed(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let mut slots = std::mem::take(&mut self.changed);
        let flow = self.emit(&mut slots, cx)?;
        self.changed = slots;
        Ok(flow)
    }
}

impl<T, K, G> Operator for Rolling<T, K, G>
where
    T: Data,
    K: Key,
    G: Aggregation<T>,
    G::Value: StateValue,
{
    fn on_batch(&mut self, _port: u8, batch: Batch, _cx: &mut Context<'_>) -> Result<Flow> {
        let rows = typed::<Partial<K, G::Value>>(batch)?;
        let track = self.when == When::Changed;
        for (row, hash) in rows.rows.into_iter().zip(rows.hashes) {
            let Partial { key, value, .. } = row;
            let aggregation = &self.aggregation;
            let make = || (Plain(key.clone()), Held { value: aggregation.zero(), changed: false });
            let (slot, first) = self.table.update_slot(
                hash,
                0,
                |k| k.0 == key,
                make,
                |held| {
                    aggregation.merge(&mut held.value, value);
                    !std::mem::replace(&mut held.changed, track)
                },
            )?;
            if track && first {
                self.changed.push(slot);
            }
        }
        Ok(Flow::Done)
    }

    fn on_watermark(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        if self.when == When::Changed || cx.watermarks.highest() != Time::MAX {
            return Ok(Flow::Done);
        }
        let over = |hash| cx.watermarks.of_hash(hash) == Time::MAX;
        self.ending = Some(self.table.iter().filter(|(.., hash)| over(*hash)).map(|(slot, ..)| slot).collect());
        self.resume(cx)
    }

    fn resume(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        match self.ending.take() {
            Some(mut slots) => {
                let flow = self.end(&mut slots, cx)?;
                self.ending = (flow == Flow::More).then_some(slots);
                Ok(flow)
            }
            None => self.emit_changed(cx),
        }
    }

    fn on_flush(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.emit_changed(cx)
    }

    fn tables(&mut self, visit: &mut dyn FnMut(&mut dyn ErasedTable)) {
        visit(&mut self.table);
    }

    fn after_release(&mut self, _groups: &GroupSet) {}
}
