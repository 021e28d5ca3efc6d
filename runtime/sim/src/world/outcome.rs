//! Run request, and run outcome.

use watershed_runtime::protocol::rules::RuleSet;

use super::cover::Covered;
use super::plan::Plan;
use crate::jobs::JobKind;

/// A run's request: which seed, job and rules.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The seed.
    pub seed: u64,
    /// The job; the seed's own, if none.
    pub job: Option<JobKind>,
    /// True if the job runs in many processes.
    pub cluster: bool,
    /// The rules that hold.
    pub rules: RuleSet,
    /// True if the record is wanted as text.
    pub text: bool,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The job.
    pub job: JobKind,
    /// The law that was broken, if one was.
    pub breach: Option<String>,
    /// The number of the record.
    pub hash: u64,
    /// The number of steps.
    pub steps: u64,
    /// Rows read, those read again included.
    pub rows: u64,
    /// Manifests published.
    pub epochs: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Wishes for another number of slots.
    pub rescales: u64,
    /// The coverage of the run.
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
