//! The plan of a reconciliation: objects, requests, removals, and the state of the job that follows. Types only; [`super::decide`] makes
//! plans.

use std::time::Duration;

use serde_json::Value;
use watershed_crds::{LastSnapshot, RescaleStatus};

use super::cluster::ClusterState;
use super::pods::Problem;
use super::purpose::Purpose;
use super::rescale_step::RescaleStep;
use super::validate::Invalid;

/// The interval of reconciliations while something is under way. Changes of objects wake the operator anyway; a coordinator does not.
pub(crate) const SOON: Duration = Duration::from_millis(500);
/// The interval while the job runs as its spec asks: its coordinator may have lost a worker.
pub(crate) const LATER: Duration = Duration::from_secs(5);
/// The interval while nothing can happen that no watch tells.
pub(crate) const AT_REST: Duration = Duration::from_secs(60);

/// The plan of a reconciliation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The decision for the job's stage of life.
    pub(crate) decision: Decision,
    /// The pods to delete at once, without waiting for their node.
    pub(crate) removals: Vec<Removal>,
    /// The revisions whose ConfigMap is needed no more.
    pub(crate) prune: Vec<String>,
    /// The finaliser is to be on the job, or not; none leaves it as it is.
    pub(crate) finalizer: Option<bool>,
}

/// The decision for a stage of the job's life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// The objects to apply, in this order.
    pub(crate) objects: Vec<Value>,
    /// The request to the coordinator.
    pub(crate) request: Option<Request>,
    /// The state of the job.
    pub(crate) state: State,
    /// The rescale under way, or the last one.
    pub(crate) rescale: Option<RescaleStatus>,
    /// The last snapshot that was taken for a purpose.
    pub(crate) snapshot: Option<LastSnapshot>,
    /// The fallback of this reconciliation: the job is stopped without the snapshot that was to be taken.
    pub(crate) fallback: Option<Fallback>,
    /// The status is not written: one answer that did not come is no news.
    pub(crate) quiet: bool,
    /// The time until the next reconciliation.
    pub(crate) again: Duration,
}

/// A request to a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The job is to have so many workers.
    Scale(u32),
    /// The job is to stop with a snapshot, for a purpose.
    Stop(Purpose),
}

/// A stop without the last snapshot that was to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fallback {
    /// The purpose of the stop.
    pub(crate) purpose: Purpose,
    /// The reason why no snapshot was taken.
    pub(crate) why: String,
}

/// A pod that is deleted at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// The pod's name.
    pub(crate) name: String,
    /// The pod's identity: a successor of the same name stays.
    pub(crate) uid: String,
    /// The reason why that is safe.
    pub(crate) why: String,
}

/// The state of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Reconciliation is paused by an annotation.
    Paused,
    /// The job cannot be run as it is written.
    Invalid(Invalid),
    /// The job's processes come up.
    Starting {
        /// The event that is awaited.
        why: String,
        /// The problem that is in the way.
        problem: Option<Problem>,
    },
    /// The job runs as its spec asks.
    Running,
    /// The job runs, and its number of workers changes.
    Rescaling {
        /// The step of the rescale.
        step: RescaleStep,
        /// The event that is awaited.
        why: String,
        /// The problem that is in the way.
        problem: Option<Problem>,
    },
    /// The job runs, and a worker that was told to end hands its key groups over. Its successor takes them again.
    Leaving {
        /// The worker, and how many key groups are left.
        why: String,
    },
    /// The job runs with fewer workers than it should, or begins anew after a loss.
    Recovering {
        /// The event that is awaited.
        why: String,
        /// The problem that is in the way.
        problem: Option<Problem>,
    },
    /// The job may run, but its coordinator does not answer.
    Unreachable {
        /// The reason.
        why: String,
        /// The problem that is in the way.
        problem: Option<Problem>,
    },
    /// The job is being stopped.
    Stopping {
        /// The purpose of the stop.
        purpose: Purpose,
        /// The event that is awaited.
        why: String,
    },
    /// The job is stopped, as `spec.suspend` asks.
    Suspended,
    /// The input of the job is at its end, and all output is committed.
    Finished,
}

impl State {
    /// The problem that is in the way.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Starting { problem, .. }
            | Self::Rescaling { problem, .. }
            | Self::Recovering { problem, .. }
            | Self::Unreachable { problem, .. } => problem.as_ref(),
            Self::Paused
            | Self::Invalid(_)
            | Self::Running
            | Self::Leaving { .. }
            | Self::Stopping { .. }
            | Self::Suspended
            | Self::Finished => None,
        }
    }

    /// The job is as its spec asks: it runs, rests or is finished.
    pub(crate) fn is_as_wanted(&self) -> bool {
        matches!(self, Self::Running | Self::Suspended | Self::Finished)
    }
}

impl Decision {
    /// A decision that changes nothing but the reported state.
    pub(crate) fn new(state: State, again: Duration, cluster: &ClusterState) -> Self {
        Self {
            objects: Vec::new(),
            request: None,
            state,
            rescale: cluster.job.status.rescale.clone(),
            snapshot: cluster.job.status.last_snapshot.clone(),
            fallback: None,
            quiet: false,
            again,
        }
    }

    /// The plan that holds this decision and nothing else.
    pub(crate) fn alone(self) -> Plan {
        Plan { decision: self, removals: Vec::new(), prune: Vec::new(), finalizer: None }
    }
}
