//! Numbers with limits: how many workers, slots and key groups, how often an epoch ends.
//!
//! The limits have reasons: a slot without a key group would have nothing to do, so the 32768 key groups that a snapshot can name bound
//! everything else; below 256 a job could not be spread evenly; epochs under 10 ms would spend more on manifests than on rows.

use std::time::Duration;

use crate::problem::Why;

/// A whole number within limits, or why not.
pub(crate) fn within(value: i64, least: i64, most: i64, unit: &str) -> Result<i64, Why> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let near = value.clamp(least, most);
    Err(Why::new(format!("{value} is out of range: {least} to {most}{unit}"))
        .advise(format!("the nearest value allowed is {near}")))
}

/// As [`within`], as a `u32`.
pub(crate) fn count(value: i64, least: u32, most: u32) -> Result<u32, Why> {
    let value = within(value, least.into(), most.into(), "")?;
    Ok(u32::try_from(value).unwrap_or(most))
}

/// Whole seconds within limits.
pub(crate) fn seconds(value: i64, least: u32, most: u32) -> Result<Duration, Why> {
    let value = within(value, least.into(), most.into(), " seconds")?;
    Ok(Duration::from_secs(u64::try_from(value).unwrap_or_default()))
}

/// The number of workers of a job: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replicas(u32);

impl Replicas {
    /// Judges a number of workers.
    pub fn new(value: i64) -> Result<Self, Why> {
        match value {
            0 => Err(Why::new("a job has at least one worker")
                .advise("to stop the job with a final snapshot, set `spec.suspend: true`")),
            _ => count(value, 1, 32_768).map(Self),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The number of slots (engine threads) of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadsPerWorker(u32);

impl ThreadsPerWorker {
    /// Judges a number of threads.
    pub fn new(value: i64) -> Result<Self, Why> {
        count(value, 1, 256).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The number of key groups: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroups(u32);

impl KeyGroups {
    /// Judges a number of key groups.
    pub fn new(value: i64) -> Result<Self, Why> {
        let value = count(value, 256, 32_768)?;
        if value.is_power_of_two() {
            return Ok(Self(value));
        }
        let above = value.next_power_of_two();
        Err(Why::new(format!("{value} is not a power of two")).advise(format!("use {} or {above}", above / 2)))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Judges a number of slots: each must own at least one key group.
    pub fn admit(self, slots: u64) -> Result<u32, Why> {
        match u32::try_from(slots) {
            Ok(0) => Err(Why::new("a job has at least one slot")),
            Ok(slots) if slots <= self.0 => Ok(slots),
            Ok(_) | Err(_) => Err(Why::new(format!("{slots} slots need more than the {} key groups there are", self.0))
                .advise("lower `replicas` or `threadsPerWorker`; for a new job, raise `keyGroups`")),
        }
    }
}

/// The period of epochs, at whose ends sinks commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochPeriod(Duration);

impl EpochPeriod {
    /// Judges a period in milliseconds.
    pub fn from_milliseconds(value: i64) -> Result<Self, Why> {
        let value = within(value, 10, 600_000, " milliseconds")?;
        Ok(Self(Duration::from_millis(u64::try_from(value).unwrap_or_default())))
    }

    /// The period.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_groups_are_a_power_of_two_within_limits() {
        let legal: Vec<i64> = (0..=40_000).filter(|n| KeyGroups::new(*n).is_ok()).collect();
        assert_eq!(legal, [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768]);
        assert_eq!(KeyGroups::new(1000).unwrap_err().advice.unwrap(), "use 512 or 1024");
    }

    #[test]
    fn every_slot_owns_a_key_group() {
        let groups = KeyGroups::new(256).unwrap();
        assert_eq!(groups.admit(256), Ok(256));
        for slots in [0, 257, u64::MAX] {
            assert!(groups.admit(slots).is_err(), "{slots}");
        }
    }

    #[test]
    fn no_replicas_points_to_suspend() {
        assert!(Replicas::new(0).unwrap_err().advice.unwrap().contains("suspend"));
        assert!(Replicas::new(-1).is_err());
        assert!(Replicas::new(i64::MAX).is_err());
        assert_eq!(Replicas::new(3).unwrap().get(), 3);
    }
}
