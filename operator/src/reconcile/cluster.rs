//! The state of a job in the cluster, as one reconciliation has observed it: the input of the plan. Values only; [`super::observe`] fills
//! them in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use watershed_crds::{Condition, JobStatus};
use watershed_wire::v1::Phase;

use super::answer::{Answer, CoordinatorStatus};
use super::names::{FINISHED, SNAPSHOT_FAILED};
use super::pause::MoveCounts;
use super::pods::{PodState, Problem};
use super::purpose::Purpose;

/// The silence of a coordinator that used to answer after which its node is probed and the silence is reported.
pub(crate) const SILENCE_LIMIT: Duration = Duration::from_secs(3);

/// The condition that tells how the last stop with a snapshot went.
pub(crate) const LAST_SNAPSHOT: &str = "LastSnapshotSucceeded";

/// The state of a job in the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterState {
    /// The StreamJob object.
    pub(crate) job: JobObject,
    /// The workloads of the job.
    pub(crate) workloads: Workloads,
    /// The pods of the job.
    pub(crate) pods: Pods,
    /// The coordinator as the operator reaches it.
    pub(crate) coordinator: CoordinatorView,
    /// The stop under way: its purpose, and for how long it has lasted.
    pub(crate) stopping: Option<(Purpose, Duration)>,
    /// The time of the observation in seconds since 1970.
    pub(crate) now: i64,
}

/// The StreamJob object, apart from its spec.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobObject {
    /// The status that was reported last.
    pub(crate) status: JobStatus,
    /// The operator's finaliser is on the object.
    pub(crate) finalizer: bool,
    /// The annotation is there that pauses reconciliation.
    pub(crate) paused: bool,
    /// The time since the object was deleted.
    pub(crate) deleted: Option<Duration>,
}

/// The coordinator's Deployment, the workers' StatefulSet, and the revisions of their pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workloads {
    /// The coordinator's Deployment.
    pub(crate) coordinator: Option<Workload>,
    /// The workers' StatefulSet.
    pub(crate) workers: Option<Workload>,
    /// The pod templates of each revision that is stored.
    pub(crate) revisions: BTreeMap<String, Value>,
    /// Objects of a deleted job of the same name still exist.
    pub(crate) foreign: bool,
}

/// A Deployment or a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Workload {
    /// The revision of the workload's pods.
    pub(crate) revision: String,
    /// The number of pods that the workload is to have.
    pub(crate) replicas: u32,
    /// The outcome of the job or of its stop, an annotation of the coordinator's Deployment.
    pub(crate) outcome: Option<String>,
    /// The reason why the workload's controller cannot create pods.
    pub(crate) problem: Option<Problem>,
}

/// The pods of a job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pods {
    /// The coordinator's pods: one, or two while one replaces the other.
    pub(crate) coordinator: Vec<PodState>,
    /// The workers' pods, in the order of their numbers.
    pub(crate) workers: Vec<PodState>,
}

/// The coordinator as the operator reaches it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoordinatorView {
    /// The address of the coordinator's Service, as it is or as the workers were given it.
    pub(crate) address: Option<String>,
    /// The answer to the status request; none where no request was possible.
    pub(crate) answer: Option<Answer>,
    /// The time for which the coordinator has not answered.
    pub(crate) silent: Duration,
    /// The coordinator's node does not answer either.
    pub(crate) node_gone: bool,
    /// The counts of moved batches before the rescale under way, if this operator has seen the rescale begin.
    pub(crate) counted: Option<MoveCounts>,
}

impl ClusterState {
    /// The time for which the job has been stopped for this purpose.
    pub(crate) fn stopping_for(&self, purpose: Purpose) -> Duration {
        self.stopping.filter(|(of, _)| *of == purpose).map_or(Duration::ZERO, |(_, since)| since)
    }

    /// The problem of the coordinator: of its pod, or of the Deployment that cannot create one.
    pub(crate) fn coordinator_problem(&self) -> Option<Problem> {
        let of_pod = self.pods.coordinator.iter().find(|p| !p.deleting).and_then(|p| p.problem.clone());
        of_pod.or_else(|| self.workloads.coordinator.as_ref().and_then(|c| c.problem.clone()))
    }
}

impl JobObject {
    /// The job has run since it was started last: a coordinator has reported a term.
    pub(crate) fn has_run(&self) -> bool {
        self.status.term.is_some()
    }

    /// The condition of this type that was reported last.
    pub(crate) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    /// The condition that reports a stop without its last snapshot. Each request to stop resets it, so while the job stops it is about
    /// this stop.
    pub(crate) fn snapshot_failed(&self) -> Option<&Condition> {
        self.condition(LAST_SNAPSHOT).filter(|c| c.reason == SNAPSHOT_FAILED)
    }
}

impl Workloads {
    fn both(&self) -> impl Iterator<Item = &Workload> {
        [&self.coordinator, &self.workers].into_iter().flatten()
    }

    /// All workloads are of this revision.
    pub(crate) fn are_of(&self, revision: &str) -> bool {
        self.both().all(|w| w.revision == revision)
    }

    /// A workload is to have pods.
    pub(crate) fn want_pods(&self) -> bool {
        self.both().any(|w| w.replicas > 0)
    }

    /// The coordinator's Deployment is scaled to zero: the coordinator is being taken away, or is gone.
    pub(crate) fn coordinator_is_down(&self) -> bool {
        self.coordinator.as_ref().is_some_and(|c| c.replicas == 0)
    }

    /// The revision of the workloads.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.coordinator.as_ref().or(self.workers.as_ref()).map(|w| w.revision.as_str())
    }

    /// The number of pods that the StatefulSet is to have.
    pub(crate) fn worker_replicas(&self) -> u32 {
        self.workers.as_ref().map_or(0, |w| w.replicas)
    }

    /// The outcome of the job or of its stop, as the coordinator's Deployment keeps it.
    pub(crate) fn outcome(&self) -> &str {
        self.coordinator.as_ref().and_then(|c| c.outcome.as_deref()).unwrap_or_default()
    }

    /// The input of the job is at its end, and all output is committed.
    pub(crate) fn finished(&self) -> bool {
        self.outcome() == FINISHED
    }

    /// The revisions that the workloads are of.
    pub(crate) fn running_revisions(&self) -> impl Iterator<Item = &str> {
        self.both().map(|w| w.revision.as_str())
    }
}

impl Pods {
    /// All pods of the job.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PodState> {
        self.coordinator.iter().chain(&self.workers)
    }

    /// The pod of the worker with this number.
    pub(crate) fn worker(&self, number: u32) -> Option<&PodState> {
        self.workers.iter().find(|p| p.ordinal == Some(number))
    }

    /// A sentence that names the pods which are left, for a job that waits for them to end.
    pub(crate) fn left(&self) -> String {
        let left: Vec<&str> = self.all().map(|p| p.name.as_str()).collect();
        match left.len() {
            0 => "its pods are gone".to_owned(),
            1..=5 => format!("waiting for these pods to end: {}", left.join(", ")),
            many => format!("waiting for {many} pods to end"),
        }
    }
}

impl CoordinatorView {
    /// The status, if the coordinator has answered.
    pub(crate) fn status(&self) -> Option<&CoordinatorStatus> {
        match &self.answer {
            Some(Answer::Status(status)) => Some(status),
            Some(Answer::Silent(_)) | None => None,
        }
    }

    /// The phase of the job, if the coordinator has answered.
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.status().map(|s| s.phase)
    }

    /// The coordinator was asked and has not answered.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.answer, Some(Answer::Silent(_)))
    }
}
