//! The job under the clock: rows that arrive at a fixed rate, a count by key, and a sink that notes when each came out.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use watershed_runtime::container::{Batch, Rows};
use watershed_runtime::env::{
    Discovered, Position, Read, Sealed, Segment, Sink, SinkHandle, SinkWriter, Source, SplitId, SplitReader,
};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::operator::apply::typed;
use watershed_runtime::operator::process::Keyed;
use watershed_runtime::stream::{Job, TypedSink, TypedSource};

use crate::world::rng::mix;

/// A row: its key, and when it arrived, in nanoseconds; before the beginning for rows that only fill the state.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Row {
    key: u64,
    at: i64,
}

/// State that the job and the clock share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Now, in nanoseconds.
    pub(super) now: AtomicI64,
    /// The time at which rows began to arrive; 0 before that.
    pub(super) open: AtomicI64,
    /// Rows that fill the state are no longer given.
    pub(super) full: AtomicBool,
    pub(super) filled: AtomicI64,
    wakers: Mutex<Vec<Waker>>,
    /// By row that came out: its key, when it came out, for how long it was under way.
    out: Mutex<Vec<(u64, i64, i64)>>,
}

impl Shared {
    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time has passed: readers look again.
    pub(super) fn wake(&self) {
        let all = std::mem::take(&mut *self.wakers());
        all.into_iter().for_each(Waker::wake);
    }

    /// Rows that came out since the last call.
    pub(super) fn take(&self) -> Vec<(u64, i64, i64)> {
        std::mem::take(&mut *self.out.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Splits of the input.
pub(super) const SPLITS: usize = 32;

/// Keys and rate of arriving rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrivals {
    /// Keys there are.
    pub(super) keys: u64,
    /// Nanoseconds from one row of a split to the next.
    pub(super) every: i64,
}

#[derive(Debug)]
struct Arriving {
    shared: Arc<Shared>,
    how: Arrivals,
}

impl TypedSource for Arriving {
    type Row = Row;
}

impl Source for Arriving {
    fn discover(&self) -> Result<Discovered> {
        let name = |n: usize| SplitId::from(format!("{n:03}").as_str());
        Ok(Discovered { splits: (0..SPLITS).map(name).collect(), complete: true })
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>> {
        let number = split.0.parse::<u64>().map_err(|e| Error::new(Kind::Invalid, "no such split").because(e))?;
        let mut two = position.chunks_exact(8).filter_map(|c| c.try_into().ok()).map(u64::from_le_bytes);
        let (filled, next) = (two.next().unwrap_or(0), two.next().unwrap_or(0));
        Ok(Box::new(Reader { shared: self.shared.clone(), how: self.how, number, filled, next }))
    }

    fn bounded(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Reader {
    shared: Arc<Shared>,
    how: Arrivals,
    number: u64,
    /// Keys filled, and rows given since the opening.
    filled: u64,
    next: u64,
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read> {
        let splits = SPLITS as u64;
        let mine = self.how.keys / splits;
        if self.filled < mine && !self.shared.full.load(Ordering::Relaxed) {
            let n = (mine - self.filled).min(max_rows as u64);
            let rows: Vec<Row> = (self.filled..self.filled + n).map(|i| Row { key: i * splits + self.number, at: -1 }).collect();
            self.filled += n;
            self.shared.filled.fetch_add(n as i64, Ordering::Relaxed);
            return Ok(Read::Batch(Box::new(Rows::from(rows))));
        }
        let open = self.shared.open.load(Ordering::Relaxed);
        // Splits are out of step with each other, as rows of the world are.
        let first = open + self.how.every * self.number as i64 / splits as i64;
        let due = if open == 0 { 0 } else { (self.shared.now.load(Ordering::Relaxed) - first).max(0) / self.how.every };
        let n = (due as u64).saturating_sub(self.next).min(max_rows as u64);
        if n == 0 {
            self.shared.wakers().push(waker.clone());
            return Ok(Read::Pending);
        }
        let row = |i: u64| {
            let key = mix(i * splits + self.number) % self.how.keys;
            Row { key, at: first + self.how.every * (i as i64 + 1) }
        };
        let rows: Vec<Row> = (self.next..self.next + n).map(row).collect();
        self.next += n;
        Ok(Read::Batch(Box::new(Rows::from(rows))))
    }

    fn position(&self) -> Position {
        [self.filled, self.next].iter().flat_map(|n| n.to_le_bytes()).collect()
    }
}

#[derive(Debug)]
struct Measure(Arc<Shared>);

impl TypedSink for Measure {
    type Row = Row;
}

impl Sink for Measure {
    fn open(&self, _: u16, _: u64) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Noted(self.0.clone())))
    }

    fn commit(&self, _: &[SinkHandle]) -> Result<()> {
        Ok(())
    }

    fn immediate(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Noted(Arc<Shared>);

impl SinkWriter for Noted {
    fn write(&mut self, batch: Batch, _: Segment) -> Result<()> {
        let now = self.0.now.load(Ordering::Relaxed);
        let Rows { rows, .. } = typed::<Row>(batch)?;
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.extend(rows.iter().filter(|r| r.at >= 0).map(|r| (r.key, now, now - r.at)));
        Ok(())
    }

    fn seal(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn sealed(&mut self, _: u64, _: &Waker) -> Result<Option<Sealed>> {
        Ok(Some(Vec::new()))
    }

    fn backlog(&self, _: &Waker) -> usize {
        0
    }
}

/// The job.
pub(super) fn graph(shared: &Arc<Shared>, how: Arrivals) -> Result<Graph> {
    let job = Job::new();
    let source = job.source("rows", Arriving { shared: shared.clone(), how });
    let row = |r: Row, cx: &mut Keyed<'_, u64, u64, Row>| {
        *cx.state += 1;
        cx.emit(r);
    };
    let (counted, _) = source.key_by(|r: &Row| r.key).process(row, |_: &mut Keyed<'_, u64, u64, Row>| {});
    counted.sink("out", Measure(shared.clone()));
    job.build()
}
