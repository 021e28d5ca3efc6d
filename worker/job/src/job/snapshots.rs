//! Snapshot settings: when snapshots are taken, and how long they live.

use std::time::Duration;

use super::{EpochPeriod, Schedule, Storage};
use crate::manifest;

/// Snapshots of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// The object storage; none means that a local run keeps it in [`Storage::local_directory`].
    pub storage: Option<Storage>,
    /// The period after which sinks commit.
    pub epoch_period: EpochPeriod,
    /// The times at which a snapshot gets a name.
    pub cadence: Cadence,
    /// The number of named snapshots that are kept, and for how long.
    pub retention: Retention,
    /// The policy for a last snapshot when the job is deleted.
    pub on_delete: manifest::OnDelete,
    /// The policy for the snapshots when the job is deleted.
    pub deletion_policy: manifest::DeletionPolicy,
}

/// The times at which a snapshot gets a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// After so long.
    Every(Duration),
    /// By the calendar.
    At {
        /// The calendar schedule.
        schedule: Schedule,
        /// The IANA name of the time zone; UTC where absent.
        time_zone: Option<String>,
    },
}

/// The number of named snapshots that are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The most that are kept.
    pub max_count: u32,
    /// The longest that one is kept.
    pub max_age: Duration,
}

/// The start state of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// A named snapshot.
    Snapshot(String),
    /// The address of a manifest in object storage.
    Location(String),
}
