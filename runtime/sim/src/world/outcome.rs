//! What a run is asked for, and how it went.

use watershed_runtime::protocol::rules::RuleSet;

use super::cover::Covered;
use super::plan::Plan;
use crate::jobs::JobKind;

/// What a run is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The seed.
    pub seed: u64,
    /// The job; the seed's own, if none.
    pub job: Option<JobKind>,
    /// Whether the job runs in many processes.
    pub cluster: bool,
    /// The rules that hold.
    pub rules: RuleSet,
    /// Whether the record is wanted as text.
    pub text: bool,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The job.
    pub job: JobKind,
    /// What went wrong.
    pub breach: Option<String>,
    /// The number of the record.
    pub hash: u64,
    /// How many steps it took.
    pub steps: u64,
    /// Rows read, those read again included.
    pub rows: u64,
    /// Manifests published.
    pub epochs: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Wishes for another number of slots.
    pub rescales: u64,
    /// What it came across.
    pub seen: Covered,
    /// The record, if it was wanted.
    pub lines: Vec<String>,
}

impl Outcome {
    /// A run that did not come to its end.
    #[must_use]
    pub fn lost(wanted: &Wanted, breach: String) -> Self {
        let kind = Plan::new(wanted.seed, wanted.job).kind;
        Self {
            seed: wanted.seed,
            job: kind,
            breach: Some(breach),
            hash: 0,
            steps: 0,
            rows: 0,
            epochs: 0,
            faults: 0,
            rescales: 0,
            seen: Covered::default(),
            lines: Vec::new(),
        }
    }
}
