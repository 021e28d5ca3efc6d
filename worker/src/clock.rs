//! The one place that reads the clock: microseconds since the Unix epoch, never going back within a process.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch: the wall clock at the process's start, and monotonic time since.
pub(crate) fn now() -> i64 {
    static START: OnceLock<(Instant, i64)> = OnceLock::new();
    let (instant, micros) = START.get_or_init(|| {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), i64::try_from(wall.as_micros()).unwrap_or(i64::MAX))
    });
    micros.saturating_add(i64::try_from(instant.elapsed().as_micros()).unwrap_or(i64::MAX))
}

/// A name that no other process will choose: time, process id, and a counter.
pub(crate) fn unique() -> String {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{:x}-{:x}-{n:x}", now(), std::process::id())
}
