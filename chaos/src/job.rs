//! The job under fire, and what it has to say: two dataflows whose every output row can be foretold from its number.
//!
//! *Counted*: rows from files that go on coming; the rows of each key are numbered, so a lost row is a gap, a row counted twice a
//! number too many, and rows of a key that overtake each other are numbers out of order. *Windowed*: generated rows with event time, one
//! a half millisecond, counted and summed by key and second; a row read twice or left out changes a sum, and one that comes behind
//! the end of its window goes to an output of its own, which has to stay empty.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed::{Job, Result, Time, io};

/// Keys of the counted rows.
pub(crate) const KEYS: u64 = 499;
/// Rows of one input file: each key comes a few times, in order.
pub(crate) const FILE_ROWS: u64 = 2000;
/// Keys of the windowed rows.
pub(crate) const TICK_KEYS: u64 = 101;
/// Windowed rows a second of event time, and of the clock if nothing is in their way.
pub(crate) const TICKS: u64 = 2000;

/// A counted row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) key: u64,
}

impl Row {
    /// The row of a number.
    pub(crate) fn of(id: u64) -> Self {
        Self { id, key: id * 7 % KEYS }
    }
}

/// A counted row with its number within its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) id: u64,
    pub(crate) key: u64,
    pub(crate) number: u64,
}

/// A windowed row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) n: u64,
}

impl Tick {
    fn key(&self) -> u64 {
        self.n * 7 % TICK_KEYS
    }

    fn time(&self) -> Time {
        Time(i64::try_from(self.n * (1_000_000 / TICKS)).unwrap_or(i64::MAX))
    }
}

/// The result of a window for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) key: u64,
    /// The second of event time it is about.
    pub(crate) second: u64,
    pub(crate) rows: u64,
    pub(crate) sum: u64,
}

impl Window {
    /// The right result.
    pub(crate) fn expected(key: u64, second: u64) -> Self {
        let numbers = (second * TICKS..(second + 1) * TICKS).filter(|n| Tick { n: *n }.key() == key);
        let (rows, sum) = numbers.fold((0, 0), |(rows, sum), n| (rows + 1, sum + n));
        Self { key, second, rows, sum }
    }
}

/// Builds the job: reads `in`, writes `out/counted`, `out/windows` and `out/late`.
pub(crate) fn build(job: &Job) -> Result<()> {
    let rows = io::json_lines::<Row>("in").watch(Duration::from_millis(50));
    let (counted, _) = job.source("rows", rows).key_by(|r| r.key).process(
        |row, cx| {
            *cx.state += 1u64;
            let number = *cx.state;
            cx.emit(Numbered { id: row.id, key: row.key, number });
        },
        |_| {},
    );
    counted.sink("counted", io::json_files(Path::new("out/counted")));
    let ticks = job.source("ticks", io::generate(|n| Tick { n }).rows_per_second(TICKS as f64));
    let ticks = ticks.event_time(Tick::time, Duration::ZERO);
    let (windows, late) = ticks.key_by(Tick::key).tumbling(Duration::from_secs(1))?.aggregate_with_late(
        (0u64, 0u64),
        |(rows, sum), tick| {
            *rows += 1;
            *sum += tick.n;
        },
        |(rows, sum), (more, and)| {
            *rows += more;
            *sum += and;
        },
    );
    let second = |start: Time| u64::try_from(start.0 / 1_000_000).unwrap_or(0);
    windows
        .map(move |w| Window { key: w.key, second: second(w.start), rows: w.value.0, sum: w.value.1 })
        .sink("windows", io::json_files(Path::new("out/windows")));
    late.map(|(_, tick)| tick).sink("late", io::json_files(Path::new("out/late")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_windows_of_a_second_hold_all_of_its_rows() {
        for second in [0, 1, 77] {
            let all = (0..TICK_KEYS).map(|k| Window::expected(k, second));
            assert_eq!(all.map(|w| w.rows).sum::<u64>(), TICKS);
        }
        assert_eq!(Window::expected(7, 0).sum, (0..20).map(|i| 1 + i * TICK_KEYS).filter(|n| *n < TICKS).sum::<u64>());
    }
}
