//! The rows of a source: a pure function of seed, split and number, so that a position is one number and the oracle needs no engine.
//!
//! Row `i` of a split has a time in `[i * step, i * step + disorder)`, so it is never behind `highest - disorder - 1`. If `late` is set,
//! now and then a row comes from far back instead; it is *gated*: its split gives it only when event time has passed its last window
//! everywhere, which makes its lateness a fact and not a matter of schedule.

use watershed_runtime::time::Time;

use super::row::Row;
use crate::world::rng::mix;

/// The rows of one source.
#[derive(Clone, Debug)]
pub struct Input {
    /// The seed.
    pub seed: u64,
    /// The number of splits.
    pub splits: usize,
    /// The number of rows in each split.
    pub rows: usize,
    /// The number of keys.
    pub keys: u32,
    /// Microseconds of event time from row to row.
    pub step: i64,
    /// By how much rows of a split are out of order, in microseconds.
    pub disorder: i64,
    /// The rows of each split after a drain has cut them short.
    pub read: Option<Vec<usize>>,
    /// Every how many rows one is late, and how long a window is.
    pub late: Option<(usize, i64)>,
}

impl Input {
    fn base(&self, i: usize) -> i64 {
        i as i64 * self.step
    }

    fn is_late(&self, i: usize) -> Option<i64> {
        let (every, window) = self.late?;
        let time = self.base(i) - 4 * self.disorder - 3 * window - 2;
        (i % every == every - 1 && time >= 0).then_some(time)
    }

    /// A row.
    #[must_use]
    pub fn row(&self, split: usize, i: usize) -> Row {
        let id = (split as u64) << 32 | i as u64;
        let h = mix(self.seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let keys = if h & 7 == 0 { self.keys.min(3) } else { self.keys };
        let key = ((h >> 8) % u64::from(keys.max(1))) as u32;
        let jitter = (h >> 40) as i64 % self.disorder.max(1);
        let time = self.is_late(i).unwrap_or_else(|| self.base(i) + jitter);
        Row { key, value: (h >> 33 & 63) as i64 - 31, time, id }
    }

    /// Up to where event time must have come everywhere before row `i` is given; `None` for ordinary rows.
    #[must_use]
    pub fn gate(&self, i: usize) -> Option<Time> {
        let (_, window) = self.late?;
        self.is_late(i).map(|t| Time(t + window))
    }

    fn count(&self, split: usize) -> usize {
        self.read.as_ref().and_then(|all| all.get(split)).map_or(self.rows, |n| self.rows.min(*n))
    }

    /// Every row.
    pub fn all(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.splits).flat_map(move |s| (0..self.count(s)).map(move |i| self.row(s, i)))
    }

    /// Every row that is late, or every row that is not.
    pub fn by_lateness(&self, late: bool) -> impl Iterator<Item = Row> + '_ {
        (0..self.splits)
            .flat_map(move |s| (0..self.count(s)).map(move |i| (s, i)))
            .filter(move |(_, i)| self.is_late(*i).is_some() == late)
            .map(move |(s, i)| self.row(s, i))
    }
}
