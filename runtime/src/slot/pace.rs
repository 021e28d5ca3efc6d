//! Rows under way to a slot: so many that it works them off within [`IN_FLIGHT_MICROS`].
//!
//! Rows in channels are what a barrier waits behind and what the gate of a moving batch waits behind, so they are bounded in *time*, not in
//! rows. A slot measures how fast it is while it is busy: the rows it took from its channels in stretches in which it always had something
//! to do, by the length of these stretches. The window of one channel is its share of that; each credit that goes back carries it, and
//! the sender moves its account by the difference. A slot that rests measures nothing and keeps its window.
//!
//! The road not taken: stamping frames with times and bounding their age. It needs one clock for both ends, and says too late what a
//! window says before the row is sent.

/// The time for which rows may be under way to a slot, all its channels together.
const IN_FLIGHT_MICROS: u64 = 20_000;
/// Time between two looks at the measure.
const LOOK_MICROS: i64 = 50_000;
/// Busy time without which a measure says nothing.
const ENOUGH_MICROS: u64 = 5_000;
/// Fewer rows than that make frames that cost more than the rows in them.
const LEAST: u32 = 256;

/// One slot's measure and the window that follows from it.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    window: u32,
    /// Rows a microsecond of work, smoothed.
    rate: Option<f64>,
    /// Rows and microseconds of work since the last look.
    rows: u64,
    busy: u64,
    /// Rows of the run under way, whose length is not known yet.
    run: u64,
    looked: i64,
    /// The beginning of the run under way, if work has not ended since.
    since: Option<i64>,
}

impl Pace {
    /// Begins with the largest window there will be.
    pub(super) fn new(most: u32) -> Self {
        Self { most, window: most, rate: None, rows: 0, busy: 0, run: 0, looked: 0, since: None }
    }

    /// Rows that may be under way on one channel.
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// Rows were taken from a channel.
    pub(super) fn took(&mut self, rows: usize) {
        self.run += rows as u64;
    }

    /// A run begins. `channels` are those that share the time.
    pub(super) fn begin(&mut self, now: i64, channels: usize) {
        let run = std::mem::take(&mut self.run);
        if let Some(since) = self.since.replace(now) {
            self.busy += u64::try_from(now.saturating_sub(since)).unwrap_or(0);
            self.rows += run;
        }
        if now.saturating_sub(self.looked) < LOOK_MICROS {
            return;
        }
        self.looked = now;
        let (rows, busy) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.busy));
        if busy < ENOUGH_MICROS || rows == 0 {
            return;
        }
        let seen = rows as f64 / busy as f64;
        let rate = self.rate.map_or(seen, |r| r + (seen - r) * 0.3);
        self.rate = Some(rate);
        let share = rate * IN_FLIGHT_MICROS as f64 / channels.max(1) as f64;
        let window = (share as u32).clamp(LEAST.min(self.most), self.most);
        // A word about every small change would be worth less than it costs.
        if window.abs_diff(self.window) * 4 > self.window {
            self.window = window;
        }
    }

    /// A run has ended with nothing left to do. How long it took nobody will know, so its rows do not count.
    pub(super) fn rest(&mut self) {
        self.since = None;
        self.run = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works for `seconds` at `rate` rows a second, in runs of a millisecond.
    fn work(pace: &mut Pace, from: i64, seconds: i64, rate: usize, channels: usize) -> i64 {
        let runs = seconds * 1000;
        for run in 0..runs {
            pace.begin(from + run * 1000, channels);
            pace.took(rate / 1000);
        }
        from + runs * 1000
    }

    #[test]
    fn what_is_under_way_takes_twenty_milliseconds_whatever_the_rate() {
        for (rate, channels) in [(1_000_000, 4), (200_000, 2), (50_000, 1)] {
            let mut pace = Pace::new(1 << 20);
            work(&mut pace, 1, 2, rate, channels);
            let all = f64::from(pace.window()) * channels as f64;
            let millis = all * 1000.0 / rate as f64;
            assert!((14.0..=26.0).contains(&millis), "{rate} rows a second, {channels} channels: {millis} ms");
        }
    }

    #[test]
    fn a_window_is_never_above_the_first_nor_below_what_a_frame_is_worth() {
        let mut pace = Pace::new(16_384);
        let at = work(&mut pace, 1, 1, 50_000_000, 1);
        assert_eq!(pace.window(), 16_384);
        work(&mut pace, at, 3, 1000, 8);
        assert!((LEAST..LEAST * 3 / 2).contains(&pace.window()), "{}", pace.window());
    }

    #[test]
    fn rest_is_not_slowness() {
        let mut pace = Pace::new(1 << 20);
        let at = work(&mut pace, 1, 1, 1_000_000, 1);
        let before = pace.window();
        // A hundred rows a second, each worked off in a microsecond.
        for n in 0..100 {
            let now = at + n * 10_000;
            pace.begin(now, 1);
            pace.took(1);
            pace.rest();
        }
        assert_eq!(pace.window(), before);
    }
}
