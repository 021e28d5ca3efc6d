//! Events by their numbers: the arithmetic of the benchmark's event stream.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};

use crate::random::RandomColumn;

/// Kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Person,
    Auction,
    Bid,
}

/// Events in a round, and how many of each kind, in this order.
pub(crate) const ROUND: u64 = 50;
pub(crate) const PERSONS: u64 = 1;
pub(crate) const AUCTIONS: u64 = 3;
pub(crate) const BIDS: u64 = 46;

/// The first ids.
pub(crate) const FIRST_PERSON: u64 = 1000;
pub(crate) const FIRST_AUCTION: u64 = 1000;
pub(crate) const FIRST_CATEGORY: u64 = 10;

/// The number of the youngest people that bid and sell, and how far ahead of their birth they may.
const ACTIVE: u64 = 1000;
const LEAD: u64 = 10;
/// The number of the youngest auctions that are bid on.
const IN_FLIGHT: u64 = 100;
/// 2015-07-15 00:00:00, the benchmark's base time, in microseconds.
const BASE: i64 = 1_436_918_400_000_000;

impl Event {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Auction => "auction",
            Self::Bid => "bid",
        }
    }

    /// The number of events of the kind in a round, and the place in it where they begin.
    fn share(self) -> (u64, u64) {
        match self {
            Self::Person => (PERSONS, 0),
            Self::Auction => (AUCTIONS, PERSONS),
            Self::Bid => (BIDS, PERSONS + AUCTIONS),
        }
    }
}

/// One seed's stream, seen as the rows of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    seed: u64,
    share: (u64, u64),
    density: u64,
    base: i64,
}

impl Stream {
    pub(crate) fn new(seed: u64, kind: Event, density: u64, base: Option<i64>) -> Self {
        Self { seed, share: kind.share(), density, base: base.unwrap_or(BASE) }
    }

    /// The random numbers of a column. Salts differ by kind too, since rows are told apart by their event.
    pub(crate) fn chance(&self, salt: u64) -> RandomColumn {
        RandomColumn::new(self.seed, salt)
    }

    /// The events of some rows.
    #[inline]
    pub(crate) fn events(&self, rows: Range<u64>) -> impl Iterator<Item = u64> {
        let (n, first) = self.share;
        let mut round = rows.start / n;
        let mut within = rows.start % n;
        rows.map(move |_| {
            let event = round * ROUND + first + within;
            within += 1;
            if within == n {
                within = 0;
                round += 1;
            }
            event
        })
    }

    /// The number of events of this kind among the first `events`.
    pub(crate) fn rows_of(&self, events: u64) -> u64 {
        let (n, first) = self.share;
        events / ROUND * n + (events % ROUND).saturating_sub(first).min(n)
    }

    /// The time of an event, in milliseconds.
    #[inline]
    pub(crate) fn millis(&self, event: u64) -> i64 {
        (self.base + (u128::from(event) * 1_000_000 / u128::from(self.density)) as i64) / 1000
    }

    /// The time column.
    pub(crate) fn times(&self, rows: Range<u64>, after: impl Fn(u64) -> i64) -> ArrayRef {
        // A multiplication instead of the wide division of `millis` where both are exact.
        let values: Vec<i64> = self.events(rows).map(|e| self.millis(e) + after(e)).collect();
        Arc::new(TimestampMillisecondArray::from(values))
    }

    pub(crate) fn density(&self) -> u64 {
        self.density
    }
}

/// The youngest person born by an event, counted from 0.
#[inline]
pub(crate) fn last_person(event: u64) -> u64 {
    // A round's person comes first.
    event / ROUND
}

/// The youngest auction opened by an event, counted from 0.
#[inline]
pub(crate) fn last_auction(event: u64) -> u64 {
    let within = event % ROUND;
    let opened = within.saturating_sub(PERSONS - 1).min(AUCTIONS);
    (event / ROUND * AUCTIONS + opened).saturating_sub(1)
}

/// A person who is active around an event.
#[inline]
pub(crate) fn some_person(event: u64, bits: u64) -> u64 {
    let people = last_person(event) + 1;
    let active = people.min(ACTIVE);
    people - active + below(bits, active + LEAD)
}

/// An auction that is open around an event.
#[inline]
pub(crate) fn some_auction(event: u64, bits: u64) -> u64 {
    let last = last_auction(event);
    let first = last.saturating_sub(IN_FLIGHT);
    first + below(bits, last - first + 1 + LEAD)
}

/// From random bits to a number below `n`.
#[inline]
pub(crate) fn below(bits: u64, n: u64) -> u64 {
    ((u128::from(bits) * u128::from(n)) >> 64) as u64
}

/// A price: the logarithm is even, from 100 to 100 million.
#[inline]
pub(crate) fn price(unit: f64) -> i64 {
    // 10^(6u) = 2^n · 2^½ · e^y with y small. Products and sums are the same on every machine, and cost a tenth of `powf`.
    let x = unit * (6.0 * std::f64::consts::LOG2_10);
    let whole = x.floor();
    let y = (x - whole - 0.5) * std::f64::consts::LN_2;
    let power = f64::from_bits((1023 + whole as u64) << 52) * std::f64::consts::SQRT_2;
    let series = [1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let e = series.iter().fold(0.0, |sum, c| sum * y + c);
    (e * power * 100.0).round() as i64
}
