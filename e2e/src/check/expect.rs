//! What the job of the suite must write, as arithmetic.
//!
//! The source counts: row `i` has `seq = i` and event time `i / rate`. It deals rows to 16 splits in blocks of `rate / 100`, so
//! with `keys = 16 · rate / 100` and `k = seq mod keys` all rows of a key come from one split, in order. Hence the output is known
//! without running anything, whatever happened on the way:
//!
//! ```text
//! the n-th row of key k (from 1)       seq = (n - 1) · keys + k
//! after n rows of key k                MAX(seq) = the n-th;  SUM(seq) = keys · n (n - 1) / 2 + n · k
//! window w of key k                    all i ≡ k (mod keys) with w · rate · width ≤ i < (w + 1) · rate · width
//! ```
//!
//! A lost or doubled row shows in the next count of its key, since `n` no longer fits `MAX` or `SUM`.

/// How many splits a generator without an end has.
const SPLITS: u64 = 16;

/// The numbers of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expect {
    /// Rows a second; a multiple of 100.
    pub(crate) rate: u64,
    /// Seconds of a window.
    pub(crate) width: u64,
}

/// A count of one key, as a query wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// Rows.
    pub(crate) n: u64,
    /// The smallest `seq`, where the query has it.
    pub(crate) low: Option<u64>,
    /// The largest.
    pub(crate) top: u64,
    /// Their sum.
    pub(crate) total: u64,
}

impl Expect {
    /// How many keys there are.
    #[must_use]
    pub(crate) fn keys(&self) -> u64 {
        SPLITS * (self.rate / 100)
    }

    /// The `seq` of the n-th row of a key, from 1.
    #[must_use]
    pub(crate) fn nth(&self, key: u64, n: u64) -> u64 {
        (n - 1) * self.keys() + key
    }

    /// What is known of a key after `n` rows, `n ≥ 1`.
    #[must_use]
    pub(crate) fn after(&self, key: u64, n: u64) -> Count {
        Count { n, low: None, top: self.nth(key, n), total: self.keys() * (n * (n - 1) / 2) + n * key }
    }

    /// What a window holds of a key; `None` if nothing.
    #[must_use]
    pub(crate) fn window(&self, key: u64, window: u64) -> Option<Count> {
        // Rows of the key before row `i`.
        let before = |i: u64| if i > key { (i - key).div_ceil(self.keys()) } else { 0 };
        let rows = self.rate * self.width;
        let (from, to) = (before(window * rows), before((window + 1) * rows));
        if from == to {
            return None;
        }
        let sum = |n: u64| if n == 0 { 0 } else { self.after(key, n).total };
        Some(Count { n: to - from, low: Some(self.nth(key, from + 1)), top: self.nth(key, to), total: sum(to) - sum(from) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_is_that_of_counting() {
        let expect = Expect { rate: 300, width: 2 };
        let keys = expect.keys();
        for key in [0, 1, 17, keys - 1] {
            let rows: Vec<u64> = (0..10_000).filter(|i| i % keys == key).collect();
            for n in 1..rows.len() {
                let Count { top, total, .. } = expect.after(key, n as u64);
                assert_eq!((top, total), (rows[n - 1], rows[..n].iter().sum()));
            }
            for w in 0..16 {
                let inside: Vec<u64> = rows.iter().copied().filter(|i| (w * 600..(w + 1) * 600).contains(i)).collect();
                let count = Count {
                    n: inside.len() as u64,
                    low: inside.first().copied(),
                    top: *inside.last().unwrap(),
                    total: inside.iter().sum(),
                };
                assert_eq!(expect.window(key, w), Some(count));
            }
        }
        assert_eq!(Expect { rate: 100, width: 1 }.keys(), 16);
    }
}
