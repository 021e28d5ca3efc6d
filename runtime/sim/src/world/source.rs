//! The sources of a simulated job: rows from [`Input`], in batches of any size, with pauses.
//!
//! A reader that says `Pending` leaves its waker with [`Readers`]; the world wakes some of them whenever it likes, and all of them when
//! nothing else can go on. A gated row (see [`Input::gate`]) is given only when the world has seen event time pass everywhere.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use watershed_runtime::container::Rows;
use watershed_runtime::env::{Discovered, Position, Read, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::stream::TypedSource;
use watershed_runtime::time::Time;

use super::rng::Rng;
use crate::jobs::input::Input;
use crate::jobs::row::Row;

/// State that the readers of one process share with the world.
#[derive(Debug)]
pub struct Readers {
    wakers: Mutex<Vec<Waker>>,
    gated: AtomicBool,
    floor: AtomicI64,
    rows: AtomicU64,
    opened: AtomicU64,
    seed: u64,
    /// Out of 16 reads, so many say `Pending`.
    pending: usize,
    asked: AtomicU64,
    /// So many discoveries do not know yet whether there are more splits.
    patience: u64,
    /// So many rows may be read before somebody is woken again.
    ration: AtomicI64,
}

impl Readers {
    /// The readers of one process.
    #[must_use]
    pub fn new(seed: u64, pending: usize, patience: u64) -> Self {
        Self {
            wakers: Mutex::default(),
            gated: AtomicBool::new(false),
            floor: AtomicI64::new(i64::MIN),
            rows: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            seed,
            pending,
            asked: AtomicU64::new(0),
            patience,
            ration: AtomicI64::new(i64::MAX),
        }
    }

    /// So many rows may be read from now on.
    pub fn ration(&self, rows: i64) {
        self.ration.store(rows, Ordering::Relaxed);
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of rows read so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// The number of readers that wait to be woken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.wakers().len()
    }

    /// Wakes one.
    pub fn wake_one(&self, rng: &mut Rng) {
        let mut wakers = self.wakers();
        if !wakers.is_empty() {
            let at = rng.below(wakers.len());
            wakers.swap_remove(at).wake();
        }
    }

    /// True if a reader waits for event time to pass.
    #[must_use]
    pub fn gated(&self) -> bool {
        self.gated.load(Ordering::Relaxed)
    }

    /// Event time has passed this everywhere.
    pub fn passed(&self, floor: Time) {
        self.gated.store(false, Ordering::Relaxed);
        self.floor.store(floor.0, Ordering::Relaxed);
    }
}

/// A source.
#[derive(Debug)]
pub struct SimSource {
    input: Arc<Input>,
    readers: Arc<Readers>,
    index: usize,
}

impl SimSource {
    /// The source of an input.
    #[must_use]
    pub fn new(input: Arc<Input>, readers: Arc<Readers>, index: usize) -> Self {
        Self { input, readers, index }
    }

    /// The name of a split.
    #[must_use]
    pub fn split(n: usize) -> SplitId {
        SplitId::from(format!("{n:02}").as_str())
    }
}

impl TypedSource for SimSource {
    type Row = Row;
}

impl Source for SimSource {
    fn discover(&self) -> Result<Discovered> {
        // That this was all is perhaps said much later: until then nothing is to be expected of whoever has read its splits, and nothing is
        // over.
        let asked = self.readers.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Discovered { splits: (0..self.input.splits).map(Self::split).collect(), complete: asked >= self.readers.patience })
    }

    fn discovery_interval_millis(&self) -> Option<u64> {
        Some(0)
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>> {
        let number = split.0.parse::<usize>().map_err(|e| Error::new(Kind::Invalid, "no such split").because(e))?;
        let next = position.try_into().map_or(0, u32::from_le_bytes) as usize;
        let opened = self.readers.opened.fetch_add(1, Ordering::Relaxed);
        let rng = Rng::new(self.readers.seed ^ (opened << 8) ^ self.index as u64);
        Ok(Box::new(SimReader { input: self.input.clone(), readers: self.readers.clone(), split: number, next, rng }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct SimReader {
    input: Arc<Input>,
    readers: Arc<Readers>,
    split: usize,
    next: usize,
    rng: Rng,
}

impl SimReader {
    fn may_give(&self, i: usize) -> bool {
        self.input.gate(i).is_none_or(|g| self.readers.floor.load(Ordering::Relaxed) >= g.0)
    }
}

impl SplitReader for SimReader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read> {
        if self.next >= self.input.rows {
            return Ok(Read::Finished);
        }
        let gated = !self.may_give(self.next);
        let ration = self.readers.ration.load(Ordering::Relaxed);
        if gated || ration == 0 || self.rng.chance(self.readers.pending, 16) {
            if gated {
                self.readers.gated.store(true, Ordering::Relaxed);
            }
            self.readers.wakers().push(waker.clone());
            return Ok(Read::Pending);
        }
        let n = self.rng.range(1, max_rows.max(1)).min(self.input.rows - self.next).min(ration as usize);
        let n = (0..n).take_while(|k| *k == 0 || self.input.gate(self.next + k).is_none()).count();
        let rows: Vec<Row> = (self.next..self.next + n).map(|i| self.input.row(self.split, i)).collect();
        self.next += n;
        self.readers.rows.fetch_add(n as u64, Ordering::Relaxed);
        self.readers.ration.store(ration - n as i64, Ordering::Relaxed);
        Ok(Read::Batch(Box::new(Rows::from(rows))))
    }

    fn position(&self) -> Position {
        (self.next as u32).to_le_bytes().to_vec()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        Some((self.next as u64, self.input.rows as u64))
    }
}
