//! The answer of a job's coordinator to a status request, as the plan needs it. Pure.
//!
//! The rule that protects workers from being taken away too early is here ([`CoordinatorStatus::may_go`]). A worker may go only if a
//! coordinator that has a run says so, or does not know the worker at all. A coordinator that has just started knows no worker and has no
//! run: until it has adopted the run of its predecessor, or has begun one, its silence about a worker means nothing.

use std::collections::{BTreeMap, BTreeSet};

use watershed_wire::v1::{Phase, ReleasableReply, StatusReply};

use super::pause::MoveCounts;

/// The answer of a coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The coordinator did not answer, for this reason.
    Silent(String),
    /// The coordinator's status.
    Status(CoordinatorStatus),
}

/// The status of a job as its coordinator has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CoordinatorStatus {
    /// The phase of the job.
    pub(crate) phase: Phase,
    /// The coordinator's term and the dataflow's generation; none as long as the coordinator has neither begun nor adopted a run.
    pub(crate) era: Option<(u64, u64)>,
    /// The last published epoch.
    pub(crate) epoch: u64,
    /// The number of workers that is wanted.
    pub(crate) wanted: u32,
    /// The workers that the coordinator knows.
    pub(crate) workers: Vec<WorkerState>,
    /// The reasons why the job waits, as the coordinator words them.
    pub(crate) waiting: Vec<String>,
    /// The workers whose slots own key groups, registered or not.
    pub(crate) owners: BTreeSet<u32>,
    /// The workers that may go or may not; none where the question was not asked.
    pub(crate) releasable: Option<BTreeMap<u32, bool>>,
    /// The moved batches that each worker has counted.
    pub(crate) moves: MoveCounts,
}

/// A worker as its coordinator sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerState {
    /// The worker's number.
    pub(crate) number: u32,
    /// The worker has a session.
    pub(crate) connected: bool,
    /// The number of key groups that the worker owns.
    pub(crate) groups: u32,
}

impl CoordinatorStatus {
    /// The status of a reply. `releasable` was answered *before* `reply`: where the coordinator was replaced between the two questions, the
    /// reply is the newer one, and a coordinator without a run is seen to have none.
    pub(crate) fn of(reply: StatusReply, releasable: Option<ReleasableReply>) -> Self {
        let state =
            |w: &watershed_wire::v1::WorkerStatus| WorkerState { number: w.worker, connected: w.connected, groups: w.key_groups };
        Self {
            phase: reply.phase(),
            era: reply.era.map(|e| (e.term, e.generation)),
            epoch: reply.epoch,
            wanted: reply.wanted,
            workers: reply.workers.iter().map(state).collect(),
            owners: reply.ranges.iter().map(|r| r.worker).collect(),
            releasable: releasable.map(|r| r.workers.iter().map(|w| (w.worker, w.releasable)).collect()),
            moves: reply.workers.iter().filter_map(|w| Some((w.worker, w.moves.clone()?))).collect(),
            waiting: reply.waiting,
        }
    }

    /// A worker may be taken away: a run exists, and the coordinator has released the worker or has never heard of it. Nothing is lost
    /// with a worker that a coordinator with a run does not know: its slots own nothing, and no session of it can be adopted any more.
    pub(crate) fn may_go(&self, worker: u32) -> bool {
        let Some(releasable) = self.releasable.as_ref().filter(|_| self.era.is_some()) else { return false };
        match releasable.get(&worker) {
            Some(released) => *released,
            None => !self.workers.iter().any(|w| w.number == worker) && !self.owners.contains(&worker),
        }
    }

    /// The number of pods to go down to, from `there` and no lower than `target`: the last worker that may not go keeps those before it.
    pub(crate) fn lowest(&self, there: u32, target: u32) -> u32 {
        (target..there).rev().find(|w| !self.may_go(*w)).map_or(target, |last| last + 1)
    }

    /// A worker has a session.
    pub(crate) fn connected(&self, worker: u32) -> bool {
        self.workers.iter().any(|w| w.number == worker && w.connected)
    }

    /// The number of key groups that a worker owns.
    pub(crate) fn groups_of(&self, worker: u32) -> u32 {
        self.workers.iter().find(|w| w.number == worker).map_or(0, |w| w.groups)
    }

    /// Exactly the first so many workers own key groups.
    pub(crate) fn owned_by_first(&self, workers: u32) -> bool {
        let owners: Vec<u32> = self.workers.iter().filter(|w| w.groups > 0).map(|w| w.number).collect();
        owners.len() == workers as usize && owners.iter().all(|w| *w < workers)
    }
}

#[cfg(test)]
mod tests {
    use watershed_wire::v1::{Era, KeyRange, Releasable, WorkerStatus};

    use super::*;

    fn reply(term: Option<u64>, workers: &[u32], owners: &[u32]) -> StatusReply {
        StatusReply {
            era: term.map(|term| Era { term, generation: 1 }),
            workers: workers.iter().map(|n| WorkerStatus { worker: *n, ..WorkerStatus::default() }).collect(),
            ranges: owners.iter().map(|n| KeyRange { worker: *n, groups: 1, ..KeyRange::default() }).collect(),
            ..StatusReply::default()
        }
    }

    fn released(workers: &[(u32, bool)]) -> Option<ReleasableReply> {
        let each =
            |(worker, releasable): &(u32, bool)| Releasable { worker: *worker, releasable: *releasable, ..Releasable::default() };
        Some(ReleasableReply { workers: workers.iter().map(each).collect() })
    }

    #[test]
    fn a_coordinator_without_a_run_lets_no_worker_go() {
        let restarted = CoordinatorStatus::of(reply(None, &[], &[]), released(&[]));
        assert!(!restarted.may_go(3), "it knows no worker yet, and has not adopted the run that worker 3 takes part in");
        let replaced = CoordinatorStatus::of(reply(None, &[], &[]), released(&[(3, true)]));
        assert!(!replaced.may_go(3), "its predecessor answered the first of the two questions");
        assert_eq!(replaced.lowest(4, 2), 4);
    }

    #[test]
    fn a_worker_that_is_not_in_the_answer_may_go_only_if_a_run_exists_without_it() {
        let status =
            |workers: &[u32], owners: &[u32]| CoordinatorStatus::of(reply(Some(5), workers, owners), released(&[(0, false)]));
        assert!(status(&[0], &[0]).may_go(3), "its pod never came so far as to register");
        assert!(!status(&[0, 3], &[0]).may_go(3), "it registered after the question");
        assert!(!status(&[0], &[0, 3]).may_go(3), "its slots own key groups, whatever became of its session");
        assert!(!CoordinatorStatus::of(reply(Some(5), &[0], &[0]), None).may_go(3), "the question was not asked");
        assert!(!status(&[0], &[0]).may_go(0));
    }

    #[test]
    fn the_last_worker_that_is_needed_keeps_those_before_it() {
        let all = |of: &[(u32, bool)]| CoordinatorStatus::of(reply(Some(1), &[0, 1, 2, 3], &[]), released(of));
        assert_eq!(all(&[(0, false), (1, false), (2, false), (3, true)]).lowest(4, 2), 3);
        assert_eq!(all(&[(0, false), (1, false), (2, true), (3, false)]).lowest(4, 2), 4);
        assert_eq!(all(&[(0, false), (1, false), (2, true), (3, true)]).lowest(4, 2), 2);
    }
}
