//! Numbered rows, made and not read: every generator is a function of the row's number.
//!
//! Rows are dealt to a fixed number of splits in blocks, round and round, so that splits advance together in event time and any
//! position of any split gives the same rows again. A rate is kept on the I/O side: a split that is ahead of its time answers
//! `Pending` and a timer wakes the slot. The row `i` is due `i / rate` after the first; a restart begins anew at its position.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use watershed_runtime::container::{Batch, Data, Rows};
use watershed_runtime::env::{Discovered, Position, Read, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind};

use crate::io::timer;

/// Makes rows from their numbers: the same number, the same row.
pub trait RowMaker: Send + Sync + fmt::Debug {
    /// The rows of these numbers, in order.
    fn make(&self, rows: Range<u64>) -> Result<Batch, Error>;
}

/// The number of splits of an unbounded generator.
const SPLITS: u64 = 16;
/// The number of rows of a block, unless a rate asks for shorter ones.
const BLOCK: u64 = 4096;
/// Slots are not woken more often than this for the sake of a rate.
const NAP: Duration = Duration::from_millis(1);

/// A source of numbered rows.
#[derive(Clone, Debug)]
pub struct Generator {
    maker: Arc<dyn RowMaker>,
    rows: Option<u64>,
    rate: Option<f64>,
}

impl Generator {
    /// Rows by a maker: unbounded, as fast as they are taken.
    pub fn new(maker: impl RowMaker + 'static) -> Self {
        Self { maker: Arc::new(maker), rows: None, rate: None }
    }

    /// Rows of a Rust type by a function of their number.
    pub fn of<T: Data>(row: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        Self::new(Function(row))
    }

    /// Ends after so many rows.
    #[must_use]
    pub fn rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    /// At most so many rows a second, over all splits.
    #[must_use]
    pub fn rows_per_second(mut self, rate: f64) -> Self {
        self.rate = (rate > 0.0 && rate.is_finite()).then_some(rate);
        self
    }

    fn deal(&self) -> Deal {
        let block = self.rate.map_or(BLOCK, |r| (r / 100.0).clamp(1.0, BLOCK as f64) as u64);
        let splits = self.rows.map_or(SPLITS, |n| n.div_ceil(block).clamp(1, SPLITS));
        Deal { block, splits, rows: self.rows }
    }
}

/// The distribution of rows over splits.
#[derive(Clone, Copy, Debug)]
struct Deal {
    block: u64,
    splits: u64,
    rows: Option<u64>,
}

impl Deal {
    /// The number of the `i`th row of split `k`.
    fn number(self, k: u64, i: u64) -> u64 {
        ((i / self.block).saturating_mul(self.splits).saturating_add(k)).saturating_mul(self.block).saturating_add(i % self.block)
    }

    /// The number of rows of split `k`.
    fn total(self, k: u64) -> u64 {
        let Some(rows) = self.rows else { return u64::MAX };
        let round = self.block * self.splits;
        let part = (rows % round).saturating_sub(k * self.block).min(self.block);
        rows / round * self.block + part
    }
}

struct Function<F>(F);

impl<F> fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}

impl<T: Data, F: Fn(u64) -> T + Send + Sync> RowMaker for Function<F> {
    fn make(&self, rows: Range<u64>) -> Result<Batch, Error> {
        Ok(Box::new(Rows::from(rows.map(&self.0).collect::<Vec<T>>())))
    }
}

impl Source for Generator {
    fn discover(&self) -> Result<Discovered, Error> {
        let deal = self.deal();
        let name = |k| SplitId(format!("rows@{k}/{}x{}", deal.splits, deal.block).into());
        Ok(Discovered { splits: (0..deal.splits).map(name).collect(), complete: true })
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>, Error> {
        let corrupt = || {
            Error::new(Kind::Corrupt, "the split or position in the snapshot is not one of this generator")
                .at(split.0.to_string())
                .advise("were its rate or number of rows changed? start afresh, or restore the old options")
        };
        let deal = self.deal();
        let shape = format!("/{}x{}", deal.splits, deal.block);
        let k = split.0.strip_prefix("rows@").and_then(|s| s.strip_suffix(&shape)).and_then(|k| k.parse::<u64>().ok());
        let k = k.filter(|k| *k < deal.splits).ok_or_else(corrupt)?;
        let done = match position {
            [] => 0,
            bytes => u64::from_le_bytes(bytes.try_into().map_err(|_| corrupt())?),
        };
        // The first row of the round the split stands in: splits opened together keep together.
        let base = done / deal.block * deal.block * deal.splits;
        Ok(Box::new(Reader { maker: Arc::clone(&self.maker), deal, k, done, rate: self.rate, started: None, base }))
    }

    fn bounded(&self) -> bool {
        self.rows.is_some()
    }
}

#[derive(Debug)]
struct Reader {
    maker: Arc<dyn RowMaker>,
    deal: Deal,
    k: u64,
    done: u64,
    rate: Option<f64>,
    started: Option<Instant>,
    base: u64,
}

impl Reader {
    /// The number of rows that are due of the `n` from `first` on; if none is, when the first will be.
    fn due(&mut self, first: u64, n: u64) -> Result<u64, Instant> {
        let Some(rate) = self.rate else { return Ok(n) };
        let now = Instant::now();
        let started = *self.started.get_or_insert(now);
        let due = (now.duration_since(started).as_secs_f64() * rate) as u64;
        let ahead = first - self.base;
        if due > ahead {
            return Ok(n.min(due - ahead));
        }
        let at = started + Duration::try_from_secs_f64((ahead + 1) as f64 / rate).unwrap_or(Duration::MAX / 4);
        Err(at.max(now + NAP))
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read, Error> {
        let left = self.deal.total(self.k).saturating_sub(self.done);
        if left == 0 {
            return Ok(Read::Finished);
        }
        let first = self.deal.number(self.k, self.done);
        let n = left.min(self.deal.block - self.done % self.deal.block).min(max_rows.max(1) as u64);
        match self.due(first, n) {
            Ok(n) => {
                let batch = self.maker.make(first..first + n)?;
                self.done += n;
                Ok(Read::Batch(batch))
            }
            Err(at) => {
                timer::wake_at(at, waker);
                Ok(Read::Pending)
            }
        }
    }

    fn position(&self) -> Position {
        self.done.to_le_bytes().to_vec()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.deal.rows.map(|_| (self.done, self.deal.total(self.k)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(source: &Generator, step: usize, stop_after: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        for split in source.discover().unwrap().splits {
            let mut reader = source.open(&split, &[]).unwrap();
            let mut n = 0;
            while let Read::Batch(b) = reader.read(step, Waker::noop()).unwrap() {
                n += b.len() as u64;
                seen.extend(Rows::<u64>::downcast(b).unwrap().rows);
                if n >= stop_after {
                    n = 0;
                    reader = source.open(&split, &reader.position()).unwrap();
                }
            }
        }
        seen
    }

    proptest::proptest! {
        #[test]
        fn every_row_comes_exactly_once_from_any_position(rows in 0u64..200_000, step in 500usize..5000, stop in 1u64..9000) {
            let mut seen = read_all(&Generator::of(|i| i).rows(rows), step, stop);
            seen.sort_unstable();
            proptest::prop_assert!(seen.into_iter().eq(0..rows));
        }
    }

    #[test]
    fn a_rate_makes_a_reader_wait() {
        let source = Generator::of(|i| i).rows_per_second(0.001);
        let split = source.discover().unwrap().splits.remove(0);
        let mut reader = source.open(&split, &[]).unwrap();
        assert!(matches!(reader.read(10, Waker::noop()).unwrap(), Read::Pending));
    }

    #[test]
    fn another_shape_of_the_same_generator_is_refused() {
        let split = Generator::of(|i| i).discover().unwrap().splits.remove(3);
        assert!(Generator::of(|i| i).rows(10).open(&split, &[]).is_err());
    }
}
