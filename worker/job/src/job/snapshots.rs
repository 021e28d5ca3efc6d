//! When snapshots are taken and how long they live.

use std::time::Duration;

use super::{EpochPeriod, Schedule, Storage};
use crate::manifest;

/// Snapshots of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// The object storage; none means that a local run keeps it in [`Storage::local_directory`].
    pub storage: Option<Storage>,
    /// How often sinks commit.
    pub epoch_period: EpochPeriod,
    /// How often a snapshot gets a name.
    pub cadence: Cadence,
    /// How many named ones are kept, and how long.
    pub retention: Retention,
    /// Whether deleting the job takes a last one.
    pub on_delete: manifest::OnDelete,
    /// What deleting the job does with them.
    pub deletion_policy: manifest::DeletionPolicy,
}

/// How often a snapshot gets a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// After so long.
    Every(Duration),
    /// By the calendar.
    At {
        /// When.
        schedule: Schedule,
        /// The IANA name of the time zone; UTC where absent.
        time_zone: Option<String>,
    },
}

/// How many named snapshots are kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The most that are kept.
    pub max_count: u32,
    /// The longest that one is kept.
    pub max_age: Duration,
}

/// What a job starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// A named snapshot.
    Snapshot(String),
    /// The address of a manifest in object storage.
    Location(String),
}
