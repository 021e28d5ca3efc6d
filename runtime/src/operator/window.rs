//! Keyed aggregation over event-time windows, tumbling and sliding.
//!
//! Windows share panes: a pane is as long as the greatest common divisor of size and slide, a row is added to exactly one pane, and a
//! window is the merge of its panes. So a sliding window costs a row no more than a tumbling one. State is (pane, key) → value; which
//! entries a pane has is kept beside it in an index that is not state and is rebuilt when entries come in from outside.
//!
//! A window `[s, e)` fires once, when the watermark reaches `e - 1`. A row whose last window has fired is late: it is counted, and goes
//! to output 1 if somebody reads that.

use std::collections::BTreeMap;

use crate::container::{Batch, Data, Rows};
use crate::error::{Error, Kind, Result};
use crate::key::{GroupSet, Key, KeySpace};
use crate::operator::aggregate::Aggregation;
use crate::operator::apply::typed;
use crate::operator::combine::{Partial, pane_of};
use crate::operator::{Context, Flow, Operator};
use crate::state::{ErasedTable, Slot, StateDesc, Table, Windowed};
use crate::time::Time;

/// Size and slide of windows, in microseconds; tumbling windows slide by their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    size: i64,
    slide: i64,
    pane: i64,
}

impl Windows {
    /// Windows of `size` that begin every `slide`.
    pub fn new(size: i64, slide: i64) -> Result<Self> {
        if size <= 0 || slide <= 0 || slide > size {
            return Err(Error::new(Kind::Invalid, format!("a window of {size} us that slides by {slide} us does not exist"))
                .advise("give a size above zero and a slide above zero and not longer than the size"));
        }
        let (mut a, mut b) = (size, slide);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Ok(Self { size, slide, pane: a })
    }

    /// The length of a pane.
    #[must_use]
    pub fn pane(self) -> i64 {
        self.pane
    }

    /// The end of the last window that a pane is in.
    fn last_end(self, pane: i64) -> i64 {
        pane_of(Time(pane), self.slide).saturating_add(self.size)
    }

    /// The end of the first window that a pane is in.
    fn first_end(self, pane: i64) -> i64 {
        // Window starts s = k * slide with s > pane + length - size, the least of them.
        let least = pane.saturating_add(self.pane).saturating_sub(self.size);
        let start = pane_of(Time(least), self.slide);
        let start = if start < least { start.saturating_add(self.slide) } else { start };
        start.saturating_add(self.size)
    }
}

/// A result: what came out for a key in a window.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WindowResult<K, A> {
    /// The key.
    pub key: K,
    /// The window's first microsecond.
    pub start: Time,
    /// The first microsecond after the window.
    pub end: Time,
    /// The aggregate.
    pub value: A,
}

/// The input of a window aggregation: raw rows with their key, or a combiner's partial values.
pub trait Feed<T, K, G: Aggregation<T>>: Data {
    /// The key.
    fn key(&self) -> &K;
    /// The start of the pane.
    fn pane(&self, time: Time, length: i64) -> i64;
    /// The number of rows in it.
    fn rows(&self) -> u64;
    /// Adds it.
    fn add(self, aggregation: &G, value: &mut G::Value);
}

impl<T: Data, K: Key, G: Aggregation<T>> Feed<T, K, G> for Partial<K, G::Value> {
    fn key(&self) -> &K {
        &self.key
    }
    fn pane(&self, _time: Time, _length: i64) -> i64 {
        self.pane
    }
    fn rows(&self) -> u64 {
        u64::from(self.rows)
    }
    fn add(self, aggregation: &G, value: &mut G::Value) {
        aggregation.merge(value, self.value);
    }
}

impl<T: Data, K: Key, G: Aggregation<T>> Feed<T, K, G> for (K, T) {
    fn key(&self) -> &K {
        &self.0
    }
    fn pane(&self, time: Time, length: i64) -> i64 {
        pane_of(time, length)
    }
    fn rows(&self) -> u64 {
        1
    }
    fn add(self, aggregation: &G, value: &mut G::Value) {
        aggregation.add(value, &self.1);
    }
}

/// An entry in an index list. The hash tells its group without touching the table.
type Listed = (Slot, u64);

/// A window end that is being fired.
#[derive(Default)]
struct Firing {
    end: i64,
    todo: Vec<Listed>,
    /// Entries of groups whose watermark is behind.
    left: Vec<Listed>,
    /// Entries whose last window this is; they go when all of it has been read.
    last: Vec<Slot>,
}

/// Keyed aggregation over windows. Output 0: results; output 1: late input.
pub struct WindowAggregate<I, T, K: Key, G: Aggregation<T>> {
    windows: Windows,
    aggregation: G,
    table: Table<Windowed<K>, G::Value>,
    /// Entries by the next window end they take part in. May name entries that are gone.
    due: BTreeMap<i64, Vec<Listed>>,
    firing: Option<Firing>,
    /// Lists of ends that are due for some groups only, kept aside while the others fire.
    behind: Vec<(i64, Vec<Listed>)>,
    input: std::marker::PhantomData<fn(I, T)>,
}

impl<I, T, K, G> WindowAggregate<I, T, K, G>
where
    I: Feed<T, K, G>,
    T: Data,
    K: Key,
    G: Aggregation<T>,
{
    /// An aggregation over `windows`.
    pub fn new(windows: Windows, aggregation: G, space: KeySpace) -> Self {
        let table = Table::new(StateDesc::of::<(i64, K), G::Value>("panes"), space);
        Self {
            windows,
            aggregation,
            table,
            due: BTreeMap::new(),
            firing: None,
            behind: Vec::new(),
            input: std::marker::PhantomData,
        }
    }

    /// Fires what is due, a call's worth at a time.
    fn fire(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let limit = cx.watermarks.highest().0.saturating_add(1);
        let mut out = Rows::<WindowResult<K, G::Value>>::default();
        loop {
            let mut firing = match self.firing.take() {
                Some(firing) => firing,
                None => match self.due.first_key_value() {
                    Some((end, _)) if *end <= limit => {
                        let (end, todo) = self.due.pop_first().unwrap_or_default();
                        Firing { end, todo, ..Firing::default() }
                    }
                    Some(_) | None => break,
                },
            };
            while let Some(listed) = firing.todo.pop() {
                self.fire_one(&mut firing, listed, cx, &mut out)?;
                if out.rows.len() >= cx.call_rows {
                    self.firing = Some(firing);
                    cx.emit(Box::new(out));
                    return Ok(Flow::More);
                }
            }
            for slot in firing.last {
                self.table.remove_at(slot)?;
            }
            if !firing.left.is_empty() {
                self.behind.push((firing.end, firing.left));
            }
        }
        for (end, left) in self.behind.drain(..) {
            self.due.entry(end).or_default().extend(left);
        }
        cx.emit(Box::new(out));
        Ok(Flow::Done)
    }

    /// One entry of a window: its key's result, if this is the key's first pane in the window.
    fn fire_one(
        &mut self,
        firing: &mut Firing,
        (slot, hash): Listed,
        cx: &Context<'_>,
        out: &mut Rows<WindowResult<K, G::Value>>,
    ) -> Result<()> {
        let end = firing.end;
        if cx.watermarks.of_hash(hash).0.saturating_add(1) < end {
            firing.left.push((slot, hash));
            return Ok(());
        }
        let Some((key, value, found)) = self.table.at(slot)? else { return Ok(()) };
        let (from, pane) = (end.saturating_sub(self.windows.size), key.start);
        if found != hash || pane < from || pane >= end {
            return Ok(());
        }
        let (key, mut value) = (key.key.clone(), value.clone());
        if end >= self.windows.last_end(pane) {
            firing.last.push(slot);
        } else {
            self.due.entry(end.saturating_add(self.windows.slide)).or_default().push((slot, hash));
        }
        if self.windows.pane != self.windows.size {
            let mut p = from;
            while p < end {
                if p != pane
                    && let Some(v) = self.table.get(hash, p as u64, |k| k.start == p && k.key == key)?
                {
                    if p < pane {
                        // An earlier pane of the key speaks for the window.
                        return Ok(());
                    }
                    self.aggregation.merge(&mut value, v.clone());
                }
                p = p.saturating_add(self.windows.pane);
            }
        }
        out.hashes.push(hash);
        out.times.push(Time(end.saturating_sub(1)));
        out.rows.push(WindowResult { key, start: Time(from), end: Time(end), value });
        Ok(())
    }

    /// The first window end of a pane that a watermark has not fired yet.
    fn next_end(&self, pane: i64, watermark: Time) -> i64 {
        let end = self.windows.first_end(pane);
        let fired = watermark.0.saturating_add(1);
        if end > fired {
            return end;
        }
        let steps = (fired - end) / self.windows.slide + 1;
        end.saturating_add(steps.saturating_mul(self.windows.slide))
    }
}

impl<I, T, K, G> Operator for WindowAggregate<I, T, K, G>
where
    I: Feed<T, K, G>,
    T: Data,
    K: Key,
    G: Aggregation<T>,
{
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let rows = typed::<I>(batch)?;
        let mut late = Rows::<I>::default();
        let (length, mut times) = (self.windows.pane, rows.times.into_iter());
        // Rows of a pane come together: its list is looked up once.
        let (mut listed, mut list_end): (Vec<Listed>, i64) = (Vec::new(), i64::MIN);
        for (row, hash) in rows.rows.into_iter().zip(rows.hashes) {
            let time = times.next().unwrap_or(Time::MIN);
            let (pane, watermark) = (row.pane(time, length), cx.watermarks.of_hash(hash));
            if self.windows.last_end(pane) <= watermark.0.saturating_add(1) {
                cx.count_late(row.rows());
                late.rows.push(row);
                late.hashes.push(hash);
                late.times.push(time);
                continue;
            }
            let key = row.key().clone();
            let (aggregation, mut made) = (&self.aggregation, false);
            let make = || {
                made = true;
                (Windowed { start: pane, key: key.clone() }, aggregation.zero())
            };
            let add = |value: &mut G::Value| row.add(aggregation, value);
            let (slot, ()) = self.table.update_slot(hash, pane as u64, |k| k.start == pane && k.key == key, make, add)?;
            if made {
                let end = self.next_end(pane, watermark);
                if end != list_end {
                    if !listed.is_empty() {
                        self.due.entry(list_end).or_default().append(&mut listed);
                    }
                    list_end = end;
                }
                listed.push((slot, hash));
            }
        }
        if !listed.is_empty() {
            self.due.entry(list_end).or_default().append(&mut listed);
        }
        cx.emit_to(1, Box::new(late));
        Ok(Flow::Done)
    }

    fn on_watermark(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.fire(cx)
    }

    fn resume(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.fire(cx)
    }

    fn tables(&mut self, visit: &mut dyn FnMut(&mut dyn ErasedTable)) {
        visit(&mut self.table);
    }

    fn after_absorb(&mut self, groups: &GroupSet, watermark: Time) -> Result<()> {
        let mut found = Vec::new();
        for group in groups.iter() {
            found.extend(self.table.group(group)?.map(|(slot, key, _, hash)| (slot, hash, key.start)));
        }
        for (slot, hash, pane) in found {
            let end = self.next_end(pane, watermark);
            self.due.entry(end).or_default().push((slot, hash));
        }
        Ok(())
    }

    fn after_release(&mut self, groups: &GroupSet) {
        self.due.retain(|_, listed| {
            listed.retain(|(_, hash)| !groups.contains_hash(*hash));
            !listed.is_empty()
        });
    }
}
