//! The combiner: aggregates in columns what one slot reads, across batches, before the exchange.
//!
//! Groups are numbered densely within a pane (a window; or the one pane of an aggregation without windows): first every row's group is
//! looked up, then each lane adds all rows. Rows of a batch nearly always fall into one pane, which then needs no list of rows. The
//! combiner gives up what it holds before a barrier or a fence, at a watermark that closes it, when it is full, and when its slot is idle.

use hashbrown::HashTable;
use watershed_runtime::container::{Batch, Rows};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::operator::combine::{Partial, WHOLE, pane_of};
use watershed_runtime::operator::{Context, Flow, Operator};
use watershed_runtime::time::Time;

use super::lanes::{Lanes, Picked};
use super::state::{Group, Grouping};
use super::stored;
use crate::key::{BatchKeys, KeyBytes, KeyLayout};
use crate::{Columns, Parts};

/// The most groups that a combiner holds before it emits them.
const MAX_GROUPS: usize = 1 << 16;

/// The groups of one pane.
struct Pane {
    start: i64,
    index: HashTable<u32>,
    hashes: Vec<u64>,
    keys: Vec<KeyBytes>,
    lanes: Lanes,
}

/// Aggregates rows into partial values, by key and pane. The key's columns are the first ones of the input.
pub struct Combiner {
    layout: KeyLayout,
    grouping: Grouping,
    /// Pane length in microseconds; 0 without windows.
    pane: i64,
    panes: Vec<Pane>,
    groups: usize,
    /// The group of each row of a batch; kept for its memory.
    scratch: Vec<u32>,
}

impl Combiner {
    /// A combiner over panes of `pane` microseconds (0: one pane).
    #[must_use]
    pub fn new(layout: KeyLayout, grouping: Grouping, pane: i64) -> Self {
        Self { layout, grouping, pane, panes: Vec::new(), groups: 0, scratch: Vec::new() }
    }

    fn pane(&mut self, start: i64) -> usize {
        if let Some(at) = self.panes.iter().rposition(|p| p.start == start) {
            return at;
        }
        let lanes = Lanes::new(&self.grouping);
        self.panes.push(Pane { start, index: HashTable::new(), hashes: Vec::new(), keys: Vec::new(), lanes });
        self.panes.len() - 1
    }

    fn add(&mut self, start: i64, rows: Option<&[u32]>, parts: &Parts, keys: &BatchKeys, hashes: &[u64]) -> Result<()> {
        let at = self.pane(start);
        let mut groups = std::mem::take(&mut self.scratch);
        groups.clear();
        if let Some(pane) = self.panes.get_mut(at) {
            let before = pane.keys.len();
            pane.look_up(rows, keys, hashes, &mut groups);
            self.groups += pane.keys.len() - before;
            pane.lanes.grow(pane.keys.len());
            pane.lanes.add(&parts.batch, &Picked { rows, groups: &groups, ops: &parts.ops })?;
        }
        self.scratch = groups;
        Ok(())
    }

    /// The panes of a batch: one for all rows, or a list of rows each.
    fn panes_of(&self, times: &[Time], rows: usize) -> Result<Vec<(i64, Option<Vec<u32>>)>> {
        if self.pane == 0 {
            return Ok(vec![(WHOLE, None)]);
        }
        let Some(first) = times.first() else {
            return Err(Error::broken("time", format!("{rows} rows for a window have no event time")));
        };
        let mut start = pane_of(*first, self.pane);
        let inside = |start: i64, t: &Time| t.0 >= start && t.0 - start < self.pane;
        if times.iter().all(|t| inside(start, t)) {
            return Ok(vec![(start, None)]);
        }
        let mut panes: Vec<(i64, Vec<u32>)> = Vec::new();
        let mut at = usize::MAX;
        for (row, t) in times.iter().enumerate() {
            if at == usize::MAX || !inside(start, t) {
                start = pane_of(*t, self.pane);
                at = panes.iter().position(|(s, _)| *s == start).unwrap_or_else(|| {
                    panes.push((start, Vec::with_capacity(rows)));
                    panes.len() - 1
                });
            }
            if let Some((_, list)) = panes.get_mut(at) {
                list.push(row as u32);
            }
        }
        Ok(panes.into_iter().map(|(start, list)| (start, Some(list))).collect())
    }

    /// Emits all panes that end at or before `upto` (all with `Time::MAX`).
    fn give_up(&mut self, upto: Time, cx: &mut Context<'_>) {
        let length = self.pane;
        let closed = |p: &Pane| upto == Time::MAX || (length > 0 && p.start.saturating_add(length) <= upto.0.saturating_add(1));
        let (gone, kept) = std::mem::take(&mut self.panes).into_iter().partition(|p| closed(p));
        self.panes = kept;
        for mut pane in gone {
            self.groups -= pane.keys.len();
            pane.emit(cx);
        }
    }
}

impl Pane {
    fn emit(&mut self, cx: &mut Context<'_>) {
        let values = self.lanes.drain();
        let mut out = Rows::<Partial<KeyBytes, Group>>::with_capacity(values.len().min(cx.call_rows));
        for ((key, value), hash) in self.keys.drain(..).zip(values).zip(self.hashes.drain(..)) {
            let rows = u32::try_from(value.rows.unsigned_abs()).unwrap_or(u32::MAX);
            out.hashes.push(hash);
            out.rows.push(Partial { key, pane: self.start, value, rows });
            if out.rows.len() >= cx.call_rows {
                cx.emit(Box::new(std::mem::take(&mut out)));
            }
        }
        cx.emit(Box::new(out));
    }

    /// The group of each row, made where there is none. One loop for each kind of key.
    fn look_up(&mut self, rows: Option<&[u32]>, keys: &BatchKeys, hashes: &[u64], out: &mut Vec<u32>) {
        match keys {
            BatchKeys::None(_) => self.each(rows, keys, hashes, |_| Some(&[]), out),
            BatchKeys::Text(a) if arrow::array::Array::null_count(a) == 0 => {
                let (offsets, data) = (a.value_offsets(), a.value_data());
                let bytes = |row: usize| {
                    let (from, to) = (*offsets.get(row)?, *offsets.get(row + 1)?);
                    data.get(from as usize..to as usize)
                };
                self.each(rows, keys, hashes, bytes, out);
            }
            BatchKeys::Text(a) => {
                let valid = |row: usize| arrow::array::Array::is_valid(a, row);
                self.each(rows, keys, hashes, |row| valid(row).then(|| a.value(row).as_bytes()), out);
            }
            BatchKeys::Bytes(a) => {
                let valid = |row: usize| arrow::array::Array::is_valid(a, row);
                self.each(rows, keys, hashes, |row| valid(row).then(|| a.value(row)), out);
            }
            BatchKeys::Int(a) => {
                let bytes: Vec<[u8; 8]> = a.values().iter().map(|v| v.to_le_bytes()).collect();
                let valid = |row: usize| arrow::array::Array::is_valid(a, row);
                self.each(rows, keys, hashes, |row| bytes.get(row).filter(|_| valid(row)).map(|b| b.as_slice()), out);
            }
            BatchKeys::Many { rows: encoded, .. } => self.each(rows, keys, hashes, |row| Some(encoded.row(row).data()), out),
        }
    }

    #[inline]
    fn each<'k>(
        &mut self,
        rows: Option<&[u32]>,
        keys: &BatchKeys,
        hashes: &[u64],
        bytes: impl Fn(usize) -> Option<&'k [u8]>,
        out: &mut Vec<u32>,
    ) {
        match rows {
            None => out.extend((0..hashes.len()).map(|row| self.group(row, keys, hashes, &bytes))),
            Some(rows) => out.extend(rows.iter().map(|row| self.group(*row as usize, keys, hashes, &bytes))),
        }
    }

    #[inline]
    fn group<'k>(&mut self, row: usize, keys: &BatchKeys, hashes: &[u64], bytes: &impl Fn(usize) -> Option<&'k [u8]>) -> u32 {
        let hash = hashes.get(row).copied().unwrap_or_default();
        let wanted = bytes(row);
        let known = &self.keys;
        if let Some(g) = self.index.find(hash, |g| known.get(*g as usize).is_some_and(|k| k.bytes() == wanted)) {
            return *g;
        }
        let group = self.keys.len() as u32;
        self.keys.push(stored(keys, row));
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.index.insert_unique(hash, group, |g| hashes.get(*g as usize).copied().unwrap_or_default());
        group
    }
}

impl Operator for Combiner {
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let parts = Columns::expect(batch)?.into_parts()?;
        let rows = parts.batch.num_rows();
        if rows == 0 {
            return Ok(Flow::Done);
        }
        let columns = parts.batch.columns().get(..self.layout.len()).unwrap_or_default();
        let keys = self.layout.read(columns, rows)?;
        let hashes = keys.hashes(cx.space);
        for (start, list) in self.panes_of(&parts.times, rows)? {
            self.add(start, list.as_deref(), &parts, &keys, &hashes)?;
        }
        if self.groups >= MAX_GROUPS {
            self.give_up(Time::MAX, cx);
        }
        Ok(Flow::Done)
    }

    fn on_watermark(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let upto = cx.watermarks.highest();
        self.give_up(upto, cx);
        Ok(Flow::Done)
    }

    fn on_flush(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.give_up(Time::MAX, cx);
        Ok(Flow::Done)
    }

    fn on_idle(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.give_up(Time::MAX, cx);
        Ok(Flow::Done)
    }
}

impl std::fmt::Debug for Combiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Combiner").field("groups", &self.groups).field("grouping", &self.grouping).finish_non_exhaustive()
    }
}
