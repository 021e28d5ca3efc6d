//! The job: a manifest that has been judged, once.
//!
//! A [`Job`] needs no further check: a name is a DNS label, key groups are a power of two, there is exactly one program and at most one
//! storage, and fields that may be absent in the text have their defaults. Made by [`Job::from_manifest`] only. Checks that need the world
//! are not made here: whether a bucket exists, whether SQL has a plan.

mod bounds;
mod judge;
mod name;
mod program;
mod schedule;
mod snapshots;
mod storage;
mod whole;

pub use bounds::{EpochPeriod, KeyGroups, Replicas, ThreadsPerWorker};
pub use judge::Fault;
pub use name::JobName;
pub use program::{Place, Program, SqlText};
pub use schedule::Schedule;
pub use snapshots::{Cadence, Restore, Retention, Snapshots};
pub use storage::{Bucket, Prefix, Storage};
pub use whole::{Health, Job, Nonces, Pod, Rescale, Update};

pub(crate) use program::Origin;
