//! When output came: how long nothing did, and how late rows were.
//!
//! The source makes row `i` at `i / rate` seconds of its own clock, which begins anew when a split is opened again. So a delay is told
//! against the best one of the same stretch of time, not against a wall clock.

use std::time::{Duration, Instant};

/// What came when.
#[derive(Debug)]
pub(crate) struct Timeline {
    rate: u64,
    start: Instant,
    /// For each file of rows: milliseconds since the start, and the `seq` of its rows.
    files: Vec<(u32, Vec<u64>)>,
}

/// How late rows were, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delays {
    /// Half of them were less late.
    pub(crate) p50: i64,
    /// One in a hundred was later.
    pub(crate) p99: i64,
    /// The latest.
    pub(crate) max: i64,
}

impl Timeline {
    /// Of a source of `rate` rows a second.
    #[must_use]
    pub(crate) fn new(rate: u64, start: Instant) -> Self {
        Self { rate, start, files: Vec::new() }
    }

    /// A file came.
    pub(crate) fn came(&mut self, at: Instant, seqs: Vec<u64>) {
        self.files.push((self.millis(at), seqs));
    }

    fn millis(&self, at: Instant) -> u32 {
        u32::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(u32::MAX)
    }

    /// When rows came first after a moment.
    #[must_use]
    pub(crate) fn next(&self, after: Instant) -> Option<Instant> {
        let ms = self.millis(after);
        let (found, _) = self.files.iter().find(|(at, _)| *at > ms)?;
        Some(self.start + Duration::from_millis(u64::from(*found)))
    }

    /// The longest time without a row that touches a stretch of time; the stretch counts to its end.
    #[must_use]
    pub(crate) fn silence(&self, from: Instant, to: Instant) -> Duration {
        let (from, to) = (self.millis(from), self.millis(to));
        let mut last = self.files.iter().rev().map(|f| f.0).find(|at| *at <= from).unwrap_or(from);
        let mut longest = 0;
        for at in self.files.iter().map(|f| f.0).filter(|at| *at > from && *at <= to).chain([to]) {
            longest = longest.max(at - last);
            last = at;
        }
        Duration::from_millis(u64::from(longest))
    }

    /// How late the rows of a stretch of time were, against the row that was least late in a base stretch.
    #[must_use]
    pub(crate) fn delays(&self, from: Instant, to: Instant, base: (Instant, Instant)) -> Option<Delays> {
        let all = |from: Instant, to: Instant| {
            let (from, to) = (self.millis(from), self.millis(to));
            let files = self.files.iter().filter(move |(at, _)| *at >= from && *at <= to);
            files.flat_map(|(at, seqs)| seqs.iter().map(|s| i64::from(*at) - (s * 1000 / self.rate) as i64))
        };
        let least = all(base.0, base.1).min()?;
        let mut late: Vec<i64> = all(from, to).map(|d| d - least).collect();
        late.sort_unstable();
        let at = |part: usize| late.get((late.len().saturating_sub(1)) * part / 100).copied();
        Some(Delays { p50: at(50)?, p99: at(99)?, max: at(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn silence_reaches_back_and_to_the_end() {
        let start = Instant::now();
        let mut line = Timeline::new(1000, start);
        for ms in [100, 200, 900, 1000] {
            line.came(at(start, ms), vec![]);
        }
        let silence = |from, to| line.silence(at(start, from), at(start, to)).as_millis();
        assert_eq!((silence(100, 1000), silence(500, 600), silence(900, 3000), silence(100, 210)), (700, 400, 2000, 100));
        assert_eq!(line.next(at(start, 200)), Some(at(start, 900)));
        assert_eq!(line.next(at(start, 0)), Some(at(start, 100)));
    }

    #[test]
    fn delays_are_told_against_the_least() {
        let start = Instant::now();
        let mut line = Timeline::new(1000, start);
        line.came(at(start, 510), (0..10).collect());
        line.came(at(start, 520), (10..20).collect());
        let all = (at(start, 0), at(start, 1000));
        let got = line.delays(all.0, all.1, all).unwrap();
        assert_eq!(got, Delays { p50: 4, p99: 9, max: 9 });
        assert_eq!(line.delays(at(start, 600), at(start, 700), all), None);
    }
}
