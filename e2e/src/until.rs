//! Waiting for a condition, with an end to the patience. Nothing in the suite sleeps for a time instead.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something, or `within` is over; an error of `look` counts as nothing yet, and the last one is told.
pub(crate) fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + within;
    loop {
        let last = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => String::new(),
            Err(e) => format!("; last: {e:#}"),
        };
        if Instant::now() >= end {
            bail!("waited {} s for {what}{last}", within.as_secs());
        }
        std::thread::sleep(EVERY);
    }
}
