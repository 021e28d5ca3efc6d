//! Expiry by processing time.
//!
//! The time of the last write is kept in 32 bits of ticks (a 1024th of the time to live), which costs an entry nothing and is
//! 0.1 % exact; on disk it is in microseconds. The clock is the caller's. The signed difference of two ticks is right for
//! two million times the time to live, and a sweep meets every entry long before.

/// Ticks in a time to live.
const TICKS: i64 = 1024;

/// The expiry of a table and its idea of now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttl {
    /// Zero: nothing expires.
    micros: i64,
    tick: i64,
    /// The present, in ticks.
    pub(super) now: u32,
    now_micros: i64,
}

impl Ttl {
    pub(super) fn new(micros: Option<u64>) -> Self {
        let micros = i64::try_from(micros.unwrap_or(0)).unwrap_or(i64::MAX);
        Self { micros, tick: (micros / TICKS).max(1), now: 0, now_micros: 0 }
    }

    pub(super) fn on(&self) -> bool {
        self.micros != 0
    }

    pub(super) fn set_now(&mut self, micros: i64) {
        self.now_micros = micros;
        self.now = self.ticks(micros);
    }

    fn ticks(&self, micros: i64) -> u32 {
        micros.div_euclid(self.tick) as u32
    }

    fn limit(&self) -> i64 {
        self.micros / self.tick
    }

    pub(super) fn expired(&self, touched: u32) -> bool {
        self.on() && i64::from(self.now.wrapping_sub(touched) as i32) >= self.limit()
    }

    /// For storage: the time of the last write in microseconds, if it matters.
    pub(super) fn stored(&self, touched: u32) -> Option<i64> {
        self.on().then(|| self.now_micros.saturating_sub(i64::from(self.now.wrapping_sub(touched) as i32) * self.tick))
    }

    /// From storage. What expired long ago (a job was down for a year) must not come back as young by wrapping around.
    pub(super) fn loaded(&self, stored: Option<i64>) -> u32 {
        match stored {
            Some(at) if self.now_micros.saturating_sub(at) >= self.micros => self.now.wrapping_sub(self.limit() as u32),
            Some(at) => self.ticks(at),
            None => self.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_expire_after_their_time_and_stay_expired_over_a_restart() {
        let mut t = Ttl::new(Some(1_000_000));
        t.set_now(1_700_000_000_000_000);
        let (born, at) = (t.now, t.stored(t.now));
        t.set_now(1_700_000_000_990_000);
        assert!(!t.expired(born));
        t.set_now(1_700_000_001_001_000);
        assert!(t.expired(born));
        t.set_now(1_900_000_000_000_000);
        assert!(t.expired(t.loaded(at)), "a year later it must not look young");
        assert!(!Ttl::new(None).expired(0));
    }

    #[test]
    fn the_stored_time_survives_the_round_trip_to_a_tick() {
        let mut t = Ttl::new(Some(3_600_000_000));
        t.set_now(1_700_000_000_000_000);
        let touched = t.now;
        t.set_now(1_700_000_900_000_000);
        let back = t.loaded(t.stored(touched));
        assert!((back.wrapping_sub(touched) as i32).abs() <= 1, "{back} {touched}");
    }
}
