//! Job status: the one model that the command line, the operator, monitors and the status page read.

use std::collections::BTreeMap;

use watershed_runtime::coordinator::{Coordinator, EpochProgress};
use watershed_runtime::protocol::rescale::progress::RescaleProgress;

use crate::manager::{JobManager, Phase as Life, Running};
use crate::membership::Target;
use crate::messages::Member;

/// The phase of a job, as users see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The first run of this manager has not begun.
    #[default]
    Starting,
    /// Rows flow.
    Running,
    /// Key groups move.
    Rescaling,
    /// A run has ended, and the next has not begun.
    Recovering,
    /// Nothing more is read.
    Draining,
    /// The job is over.
    Ended,
}

/// A stretch of key groups with one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first group.
    pub first: u32,
    /// The number of groups.
    pub groups: u32,
    /// The slot that owns them.
    pub slot: u16,
    /// The worker of that slot.
    pub worker: u32,
}

/// A rescale under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescaleStatus {
    /// Workers that owned something when it began.
    pub from: u32,
    /// Key groups that had changed hands by now, of those to move.
    pub groups_moved: u32,
    /// All that are to change hands.
    pub groups_to_move: u32,
    /// The step that it has come to, and its batches.
    pub progress: RescaleProgress,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The worker.
    pub member: Member,
    /// True if the worker's session has a connection.
    pub connected: bool,
    /// Microseconds since it was heard of.
    pub silent: i64,
    /// The worker was told to end.
    pub leaving: bool,
    /// Key groups that its slots own.
    pub key_groups: u32,
}

/// The status of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobStatus {
    /// The job.
    pub job: String,
    /// The phase.
    pub phase: Phase,
    /// The manager's term.
    pub term: u64,
    /// The term under which the run began: each way back to a manifest raises it. 0 where there is no run.
    pub run: u64,
    /// The last published epoch.
    pub epoch: u64,
    /// Microseconds since an epoch was published here.
    pub epoch_age: Option<i64>,
    /// The wanted number of workers, or of slots for one worker that has room for any number.
    pub wanted: u32,
    /// The number of key groups.
    pub key_groups: u32,
    /// The version of the assignment.
    pub version: u64,
    /// Slots that take part.
    pub slots: Vec<u16>,
    /// The newest wish is met and durable.
    pub settled: bool,
    /// Epochs that are not published, oldest first.
    pub epochs: Vec<EpochProgress>,
    /// A rescale under way.
    pub rescale: Option<RescaleStatus>,
    /// The owners of all key groups.
    pub ranges: Vec<KeyRange>,
    /// All workers that are known.
    pub workers: Vec<WorkerStatus>,
    /// Reasons for which the job waits, besides for rows.
    pub waiting: Vec<String>,
    /// Runs begun or taken over here.
    pub runs: u64,
    /// Workers that were lost while they took part.
    pub lost: u64,
}

impl JobStatus {
    /// Key groups by slot.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<u16, u32> {
        let mut groups = BTreeMap::new();
        self.ranges.iter().for_each(|r| *groups.entry(r.slot).or_default() += r.groups);
        groups
    }
}

impl JobManager {
    /// The status of the job at this moment.
    #[must_use]
    pub fn status(&self, now: i64) -> JobStatus {
        let wanted = match self.wishes.target {
            Target::Workers(n) => n,
            Target::Slots(n) => u32::from(n),
        };
        let mut status = JobStatus {
            job: self.settings.job.clone(),
            phase: self.phase_now(),
            term: self.runs.term,
            wanted,
            key_groups: u32::try_from(self.settings.keys.groups()).unwrap_or(u32::MAX),
            waiting: self.waiting(),
            runs: self.runs.begun,
            lost: self.runs.lost,
            ..JobStatus::default()
        };
        if let Some(running) = self.running() {
            self.of_run(running, now, &mut status);
        }
        let mut groups: BTreeMap<u32, u32> = BTreeMap::new();
        status.ranges.iter().for_each(|r| *groups.entry(r.worker).or_default() += r.groups);
        let leaving = self.members.leaving();
        let worker = |member: &Member| {
            let (connected, silent) = self.members.state(member.worker, now).unwrap_or((false, 0));
            let key_groups = groups.get(&member.worker).copied().unwrap_or(0);
            WorkerStatus { member: member.clone(), connected, silent, leaving: leaving.contains(&member.worker), key_groups }
        };
        status.workers = self.members.all().map(worker).collect();
        status
    }

    fn of_run(&self, running: &Running, now: i64, status: &mut JobStatus) {
        let coordinator = &running.coordinator;
        status.run = running.run.term;
        status.epoch = coordinator.last().epoch;
        status.epoch_age = running.published.map(|at| (now - at).max(0));
        status.version = coordinator.table().version;
        status.slots = coordinator.members().iter().map(|s| s.0).collect();
        status.settled = coordinator.settled();
        status.epochs = coordinator.epochs_under_way().collect();
        status.rescale = self.rescale(running);
        let mut first = 0;
        for (groups, slot) in coordinator.table().runs() {
            status.ranges.push(KeyRange { first, groups, slot: slot.0, worker: self.members.worker_of(slot) });
            first += groups;
        }
    }

    fn rescale(&self, running: &Running) -> Option<RescaleStatus> {
        let progress = running.coordinator.rescale_under_way()?;
        let (begun, now) = (running.began_rescale.as_ref()?, running.coordinator.table());
        let moved = begun.table().iter().zip(now.table()).filter(|(a, b)| a != b).count();
        let owners: std::collections::BTreeSet<u32> = match self.wishes.target {
            Target::Workers(_) => begun.table().iter().map(|s| self.members.worker_of(*s)).collect(),
            Target::Slots(_) => begun.table().iter().map(|s| u32::from(s.0)).collect(),
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (groups_moved, groups_to_move) = (count(moved), count(moved + progress.groups_left));
        Some(RescaleStatus { from: count(owners.len()), groups_moved, groups_to_move, progress })
    }

    fn phase_now(&self) -> Phase {
        match &self.phase {
            Life::Ended => Phase::Ended,
            Life::Running(r) if r.coordinator.draining() => Phase::Draining,
            Life::Running(r) if !r.coordinator.settled() => Phase::Rescaling,
            Life::Running(_) => Phase::Running,
            Life::Gathering(_) | Life::Reading(_) | Life::Claiming(_) | Life::Committing(_) | Life::Resting(_) => {
                if self.runs.recovering.is_some() { Phase::Recovering } else { Phase::Starting }
            }
        }
    }

    /// Reasons for which the job waits, besides for rows.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(match &self.phase {
            Life::Reading(_) => Some("for the storage: the end of the log is read".to_owned()),
            Life::Claiming(_) => Some("for the storage: the next term is claimed".to_owned()),
            Life::Committing(_) => Some("for the storage: the last output is committed".to_owned()),
            Life::Gathering(_) | Life::Running(_) | Life::Resting(_) | Life::Ended => None,
        });
        all.extend(self.runs.recovering.clone());
        let missing: Vec<String> = self.members.missing(self.wishes.target).iter().map(u32::to_string).collect();
        if !missing.is_empty() && !self.ended() {
            all.push(format!("for worker {} to register", missing.join(", ")));
        }
        all.extend(self.leavers_wait());
        all.extend(self.coordinator().into_iter().flat_map(Coordinator::waiting));
        all
    }
}
