//! The combiner: partial aggregation before the exchange (see [`super::aggregate`]).
//!
//! Keyed by (pane, key). A job without windows has the one pane [`WHOLE`]. Panes are kept apart so that a watermark takes just the
//! panes that it closes, and because the rows of a pane come together: the last pane's map is the one looked at first.
//! Cost: one hash of the key and one look-up in a small map a row; the hash is the one the exchange and the state use.

use std::sync::Arc;

use hashbrown::HashTable;

use serde::{Deserialize, Serialize};

use crate::container::{Batch, Data, Rows};
use crate::error::Result;
use crate::key::Key;
use crate::operator::aggregate::Aggregation;
use crate::operator::apply::typed;
use crate::operator::{Context, Flow, Operator};
use crate::time::Time;

/// The pane of rows without a window.
pub const WHOLE: i64 = i64::MIN;

/// The most entries that a combiner holds before it gives them up.
const MAX_ENTRIES: usize = 1 << 16;

/// One partial value on its way to the key's owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Partial<K, A> {
    /// The key.
    pub key: K,
    /// Start of its pane.
    pub pane: i64,
    /// The value.
    pub value: A,
    /// The number of rows in it.
    pub rows: u32,
}

struct Entry<K, A> {
    hash: u64,
    key: K,
    rows: u32,
    value: A,
}

struct Pane<K, A> {
    start: i64,
    map: HashTable<Entry<K, A>>,
}

/// Aggregates what one slot reads, before the exchange.
pub struct Combiner<T, K, F, G: Aggregation<T>> {
    key: Arc<F>,
    aggregation: G,
    /// Pane length in microseconds; 0 without windows.
    pane: i64,
    panes: Vec<Pane<K, G::Value>>,
    entries: usize,
    row: std::marker::PhantomData<fn(T)>,
}

impl<T, K, F, G: Aggregation<T>> Combiner<T, K, F, G> {
    /// A combiner by `key` over panes of `pane` microseconds (0: one pane).
    pub fn new(key: Arc<F>, aggregation: G, pane: i64) -> Self {
        Self { key, aggregation, pane, panes: Vec::new(), entries: 0, row: std::marker::PhantomData }
    }
}

/// The start of the pane of a time.
#[inline]
#[must_use]
pub fn pane_of(time: Time, length: i64) -> i64 {
    time.0.saturating_sub(time.0.rem_euclid(length))
}

impl<T, K, F, G> Combiner<T, K, F, G>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send + Sync,
    G: Aggregation<T>,
{
    /// Makes the pane of `start` the last one: the one that is looked at first.
    fn find_pane(&mut self, start: i64) {
        match self.panes.iter().position(|p| p.start == start) {
            Some(at) => {
                let last = self.panes.len() - 1;
                self.panes.swap(at, last);
            }
            None => self.panes.push(Pane { start, map: HashTable::new() }),
        }
    }

    /// Emits all panes that end at or before `upto` (all with `Time::MAX`).
    fn give_up(&mut self, upto: Time, cx: &mut Context<'_>) {
        let length = self.pane;
        let closed = |p: &Pane<K, G::Value>| {
            upto == Time::MAX || (length > 0 && p.start.saturating_add(length) <= upto.0.saturating_add(1))
        };
        let mut kept = Vec::new();
        for pane in self.panes.drain(..) {
            if !closed(&pane) {
                kept.push(pane);
                continue;
            }
            self.entries -= pane.map.len();
            let mut out = Rows::<Partial<K, G::Value>>::with_capacity(pane.map.len().min(cx.call_rows));
            for e in pane.map {
                out.hashes.push(e.hash);
                out.rows.push(Partial { key: e.key, pane: pane.start, value: e.value, rows: e.rows });
                if out.rows.len() >= cx.call_rows {
                    cx.emit(Box::new(std::mem::take(&mut out)));
                }
            }
            cx.emit(Box::new(out));
        }
        self.panes = kept;
    }
}

impl<T, K, F, G> Operator for Combiner<T, K, F, G>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send + Sync,
    G: Aggregation<T>,
{
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let rows = typed::<T>(batch)?;
        let mut times = rows.times.iter();
        for row in &rows.rows {
            let time = times.next().copied().unwrap_or(Time::MIN);
            let start = if self.pane > 0 { pane_of(time, self.pane) } else { WHOLE };
            if self.panes.last().is_none_or(|p| p.start != start) {
                self.find_pane(start);
            }
            let Some(pane) = self.panes.last_mut() else { continue };
            let key = (self.key)(row);
            let hash = Key::hash(&key, cx.space);
            match pane.map.find_mut(hash, |e| e.key == key) {
                Some(e) => {
                    e.rows += 1;
                    self.aggregation.add(&mut e.value, row);
                }
                None => {
                    let mut value = self.aggregation.zero();
                    self.aggregation.add(&mut value, row);
                    pane.map.insert_unique(hash, Entry { hash, key, rows: 1, value }, |e| e.hash);
                    self.entries += 1;
                }
            }
        }
        if self.entries >= MAX_ENTRIES {
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
