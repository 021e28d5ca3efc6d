//! One run: a seed to its end.

use super::cluster_world;
pub use super::outcome::{Outcome, Wanted};

/// Runs a seed to its end.
#[must_use]
pub fn run(wanted: &Wanted) -> Outcome {
    cluster_world::run(wanted)
}
