//! Aggregation without windows: partial values to a changelog, consolidated inside an epoch.
//!
//! A group that changes remembers what was last emitted of it; when the epoch ends (or the slot is idle) one row says what it is now: `+I`
//! for a new group, `-U` and `+U` for another value, `-D` for a group without rows. A group whose result has not changed says nothing. With
//! [`EmitMode::End`] every group speaks once, when the input has ended.

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use watershed_runtime::container::Batch;
use watershed_runtime::error::Result;
use watershed_runtime::key::{GroupSet, KeySpace};
use watershed_runtime::operator::aggregate::Aggregation;
use watershed_runtime::operator::combine::Partial;
use watershed_runtime::operator::{Context, Flow, Operator};
use watershed_runtime::state::{ErasedTable, Plain, Slot, StateDesc, Table};
use watershed_runtime::time::Time;

use super::call::CallKind;
use super::finish::{build, results};
use super::state::{Cell, Group, Grouping, WIDE};
use crate::key::{KeyBytes, KeyLayout};
use crate::{Columns, Op, Parts};

/// From how many groups on the table is larger than the cache.
const LARGE: usize = 1 << 14;
/// The number of look-ups that are begun before the first of them is needed.
const AHEAD: usize = 32;

/// The time at which groups are emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitMode {
    /// Each changed one at the end of each epoch.
    Changes,
    /// Each once, at the end of the input.
    End,
}

/// A group and what was last emitted of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    group: Group,
    /// The group has been emitted: readers have a row of it.
    emitted: bool,
    /// Changed since it last spoke. Never so at a barrier, so never stored.
    #[serde(skip)]
    changed: bool,
    /// The group as it was last emitted, kept while `changed`; `None` if it had not been emitted.
    #[serde(skip)]
    before: Option<Group>,
}

/// Keyed aggregation that updates its results.
pub struct Changelog {
    layout: KeyLayout,
    grouping: Grouping,
    schema: SchemaRef,
    speak: EmitMode,
    table: Table<Plain<KeyBytes>, Held>,
    changed: Vec<Slot>,
    ending: Option<Vec<Slot>>,
}

impl std::fmt::Debug for Changelog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changelog").field("speak", &self.speak).field("table", &self.table).finish_non_exhaustive()
    }
}

/// Rows on their way out.
#[derive(Default)]
struct Out {
    keys: Vec<KeyBytes>,
    groups: Vec<Group>,
    hashes: Vec<u64>,
    ops: Vec<Op>,
}

impl Out {
    fn push(&mut self, op: Op, key: &KeyBytes, group: Group, hash: u64) {
        self.keys.push(key.clone());
        self.groups.push(group);
        self.hashes.push(hash);
        self.ops.push(op);
    }
}

impl Changelog {
    /// An aggregation whose results have the columns of `schema`: keys, then aggregates.
    #[must_use]
    pub fn new(layout: KeyLayout, grouping: Grouping, schema: SchemaRef, speak: EmitMode, space: KeySpace) -> Self {
        let table = Table::new(StateDesc::of::<KeyBytes, Group>("groups"), space);
        Self { layout, grouping, schema, speak, table, changed: Vec::new(), ending: None }
    }

    /// True if readers see a row for the group. Without a key they always do: a sum over nothing is a row.
    fn exists(&self, group: &Group) -> bool {
        group.rows > 0 || self.layout.is_empty()
    }

    fn emit(&mut self, slot: Slot, out: &mut Out) -> Result<()> {
        let Some((key, held, hash)) = self.table.at(slot)? else { return Ok(()) };
        if !held.changed {
            return Ok(());
        }
        let key = &key.0;
        let old = held.before.as_ref().filter(|g| self.exists(g));
        let now = self.grouping.visible(&held.group);
        let new = Some(&now).filter(|g| self.exists(g));
        match (old, new) {
            (None, Some(new)) => out.push(Op::Insert, key, new.clone(), hash),
            (Some(old), Some(new)) if !self.alike(old, new) => {
                out.push(Op::UpdateBefore, key, old.clone(), hash);
                out.push(Op::UpdateAfter, key, new.clone(), hash);
            }
            (Some(old), None) => out.push(Op::Delete, key, old.clone(), hash),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let emitted = new.is_some();
        if !emitted && held.group.rows == 0 {
            self.table.remove_at(slot)?;
        } else {
            self.table.modify_at(slot, |held| {
                held.emitted = emitted;
                held.changed = false;
                held.before = None;
            })?;
        }
        Ok(())
    }

    /// True if two values of a group have the same results.
    fn alike(&self, a: &Group, b: &Group) -> bool {
        let mut cells = a.cells.iter().zip(b.cells.iter());
        self.grouping.calls.iter().all(|call| {
            if call.argument.is_none() {
                return a.rows == b.rows;
            }
            match (cells.next(), call.kind) {
                (Some((Cell::Sum(a, n), Cell::Sum(b, m))), CallKind::Sum) => a == b && (*n == 0) == (*m == 0),
                // The same sum can be cut into parts in several ways.
                (Some((Cell::Wide(a, b, n), Cell::Wide(c, d, m))), CallKind::Sum) => {
                    (a - c).checked_mul(WIDE) == Some(d - b) && (*n == 0) == (*m == 0)
                }
                (Some((a, b)), _) => a == b,
                (None, _) => true,
            }
        })
    }

    fn send(&self, out: Out, cx: &mut Context<'_>) -> Result<()> {
        let Out { keys, groups, hashes, ops } = out;
        if keys.is_empty() {
            return Ok(());
        }
        let groups: Vec<&Group> = groups.iter().collect();
        let mut columns = self.layout.columns(keys.iter())?;
        columns.extend(results(&self.grouping, &groups)?);
        let batch = build(&self.schema, columns, keys.len())?;
        let ops = if ops.iter().all(|op| *op == Op::Insert) { Vec::new() } else { ops };
        cx.emit(Box::new(Columns::from(Parts { batch, hashes, times: Vec::new(), ops })));
        Ok(())
    }

    fn say_changes(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let mut out = Out::default();
        while let Some(slot) = self.changed.pop() {
            self.emit(slot, &mut out)?;
            if out.keys.len() >= cx.call_rows {
                break;
            }
        }
        self.send(out, cx)?;
        Ok(if self.changed.is_empty() { Flow::Done } else { Flow::More })
    }

    fn say_all(&mut self, mut slots: Vec<Slot>, cx: &mut Context<'_>) -> Result<Flow> {
        let mut out = Out::default();
        while let Some(slot) = slots.pop() {
            // Removed as it leaves: a job that starts again after its end says nothing twice.
            if let Some((hash, (key, held))) = self.table.at(slot)?.map(|(_, _, hash)| hash).zip(self.table.remove_at(slot)?)
                && self.exists(&held.group)
            {
                out.push(Op::Insert, &key.0, held.group, hash);
            }
            if out.keys.len() >= cx.call_rows {
                break;
            }
        }
        self.send(out, cx)?;
        let flow = if slots.is_empty() { Flow::Done } else { Flow::More };
        self.ending = Some(slots);
        Ok(flow)
    }
}

impl Operator for Changelog {
    fn on_batch(&mut self, _port: u8, batch: Batch, _cx: &mut Context<'_>) -> Result<Flow> {
        let rows = watershed_runtime::operator::apply::typed::<Partial<KeyBytes, Group>>(batch)?;
        let track = self.speak == EmitMode::Changes;
        let large = self.table.len() > LARGE;
        for (i, (row, hash)) in rows.rows.into_iter().zip(&rows.hashes).enumerate() {
            if large && i % AHEAD == 0 {
                rows.hashes.iter().skip(i).take(AHEAD).for_each(|h| self.table.warm(*h, 0));
            }
            let hash = *hash;
            let Partial { key, value, .. } = row;
            let grouping = &self.grouping;
            let make = || (Plain(key.clone()), Held { group: grouping.empty(), emitted: false, changed: false, before: None });
            let (slot, first) = self.table.update_slot(
                hash,
                0,
                |k| k.0 == key,
                make,
                |held| {
                    let first = track && !std::mem::replace(&mut held.changed, track);
                    if first && held.emitted {
                        held.before = Some(grouping.visible(&held.group));
                    }
                    grouping.merge(&mut held.group, value);
                    first
                },
            )?;
            if first {
                self.changed.push(slot);
            }
        }
        Ok(Flow::Done)
    }

    fn on_watermark(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        if self.speak == EmitMode::Changes || cx.watermarks.own != Time::MAX || self.ending.is_some() {
            return Ok(Flow::Done);
        }
        if self.layout.is_empty() {
            // No key: there is a result even if there was no row, on the slot that owns the one group.
            let hash = cx.space.hash_bytes(&[]);
            if self.table.active().contains_hash(hash) {
                let grouping = &self.grouping;
                let make = || {
                    (Plain(KeyBytes::new(&[])), Held { group: grouping.empty(), emitted: false, changed: false, before: None })
                };
                self.table.update(hash, 0, |_| true, make, |_| ())?;
            }
        }
        let slots = self.table.iter().map(|(slot, ..)| slot).collect();
        self.say_all(slots, cx)
    }

    fn resume(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        match self.ending.take() {
            Some(slots) => self.say_all(slots, cx),
            None => self.say_changes(cx),
        }
    }

    fn on_flush(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.say_changes(cx)
    }

    fn on_idle(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.say_changes(cx)
    }

    fn tables(&mut self, visit: &mut dyn FnMut(&mut dyn ErasedTable)) {
        visit(&mut self.table);
    }

    fn after_release(&mut self, groups: &GroupSet) {
        // Changes are emitted before a fence, so nothing of these groups is waiting; their slots may be somebody else's soon.
        let table = &self.table;
        self.changed.retain(|slot| table.at(*slot).ok().flatten().is_some_and(|(_, _, hash)| !groups.contains_hash(hash)));
    }
}
