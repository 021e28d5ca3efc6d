//! A source that first makes one row for every key, as fast as they are taken, and then random rows at a rate until it is told to stop.
//!
//! Rows do not wait for the job: after a silence everything that became due in it comes at once, with the time at which it was due. Each
//! row is a function of its split and number, so that the whole input can be counted again at the end. Positions are row numbers, and
//! splits move between slots.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use watershed::Result;
use watershed::runtime::container::Rows;
use watershed::runtime::env::{Discovered, Position, Read, Source, SplitId, SplitReader};
use watershed::stream::TypedSource;

/// Splits, which share the keys.
pub const SPLITS: u64 = 16;

/// A row: a key and when it was due, in nanoseconds since [`Load::begin`].
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Due {
    /// The key.
    pub key: u64,
    /// The time at which the row was due; 0 for a row that fills.
    pub at: u64,
}

#[derive(Debug)]
struct Shared {
    keys: u64,
    rate: f64,
    begin: Instant,
    started: OnceLock<Instant>,
    stopped: AtomicBool,
    done: Vec<AtomicU64>,
    waiting: Mutex<Vec<Waker>>,
}

/// The source.
#[derive(Clone, Debug)]
pub struct Load {
    shared: Arc<Shared>,
}

impl Load {
    /// So many keys, then so many rows a second.
    #[must_use]
    pub fn new(keys: u64, rate: f64) -> Self {
        let done = (0..SPLITS).map(|_| AtomicU64::new(0)).collect();
        let (begin, waiting) = (Instant::now(), Mutex::default());
        let stopped = AtomicBool::new(false);
        Self { shared: Arc::new(Shared { keys, rate, begin, started: OnceLock::new(), stopped, done, waiting }) }
    }

    /// The instant from which rows count their time.
    #[must_use]
    pub fn begin(&self) -> Instant {
        self.shared.begin
    }

    /// The keys are filled: rows at the rate from now on.
    pub fn start(&self) {
        let _twice = self.shared.started.set(Instant::now());
    }

    /// No row becomes due from now on.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
    }

    /// Wakes waiting readers until the source is stopped and `over` says so.
    pub fn tick(&self, over: impl Fn() -> bool) {
        while !over() {
            std::thread::sleep(Duration::from_millis(1));
            let all = std::mem::take(&mut *self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            all.into_iter().for_each(Waker::wake);
        }
    }

    fn fill(&self, split: u64) -> u64 {
        (self.shared.keys + SPLITS - 1 - split) / SPLITS
    }

    fn key(&self, split: u64, i: u64) -> u64 {
        if i < self.fill(split) {
            return i * SPLITS + split;
        }
        let mut z = (i * SPLITS + split).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % self.shared.keys
    }

    /// The number of times that each key has been handed out. Call it only after the job.
    #[must_use]
    pub fn expected(&self) -> Vec<u32> {
        let mut all = vec![0u32; usize::try_from(self.shared.keys).unwrap_or(0)];
        for (split, done) in (0..SPLITS).zip(&self.shared.done) {
            for i in 0..done.load(Ordering::Acquire) {
                if let Some(n) = all.get_mut(self.key(split, i) as usize) {
                    *n += 1;
                }
            }
        }
        all
    }
}

impl Source for Load {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered { splits: (0..SPLITS).map(|k| SplitId(k.to_string().into())).collect(), complete: true })
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>> {
        let done = position.try_into().map_or(0, u64::from_le_bytes);
        Ok(Box::new(Reader { load: self.clone(), split: split.0.parse().unwrap_or(0), done }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

impl TypedSource for Load {
    type Row = Due;
}

#[derive(Debug)]
struct Reader {
    load: Load,
    split: u64,
    done: u64,
}

impl Reader {
    fn wait(&self, waker: &Waker) -> Read {
        self.load.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waker.clone());
        Read::Pending
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read> {
        let shared = &self.load.shared;
        let (fill, most) = (self.load.fill(self.split), max_rows.max(1) as u64);
        let every = SPLITS as f64 / shared.rate;
        let (n, zero) = if self.done < fill {
            ((fill - self.done).min(most), None)
        } else {
            let Some(started) = shared.started.get() else { return Ok(self.wait(waker)) };
            if shared.stopped.load(Ordering::Acquire) {
                return Ok(Read::Finished);
            }
            let due = (started.elapsed().as_secs_f64() / every) as u64;
            let n = due.saturating_sub(self.done - fill).min(most);
            if n == 0 {
                return Ok(self.wait(waker));
            }
            (n, Some(started.duration_since(shared.begin).as_secs_f64()))
        };
        let at = |i: u64| zero.map_or(0, |zero| ((zero + (i - fill + 1) as f64 * every) * 1e9) as u64);
        let rows: Vec<Due> = (self.done..self.done + n).map(|i| Due { key: self.load.key(self.split, i), at: at(i) }).collect();
        self.done += n;
        if let Some(done) = shared.done.get(self.split as usize) {
            done.store(self.done, Ordering::Release);
        }
        Ok(Read::Batch(Box::new(Rows::from(rows))))
    }

    fn position(&self) -> Position {
        self.done.to_le_bytes().to_vec()
    }
}
