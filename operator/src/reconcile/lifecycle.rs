//! The life of a job: starting, stopping for a purpose, waiting for the last pod, being deleted. Pure.
//!
//! ```text
//!            ┌──────────────► Start ──► Run ──► Stop(purpose) ──► Terminate ──┐
//!            │                                                               │
//!            └── not suspended ◄── no pod is left ◄──────────────────────────┘
//! ```
//!
//! A running job is stopped by a request to its coordinator, which takes a snapshot and then *stays*, answering that it has stopped, until
//! its pod is taken away. So there is no moment at which a process that ended is started again by Kubernetes, and every step can be seen
//! from outside. Templates of another revision are applied only when no pod of the old one is left: a StatefulSet with `OnDelete` makes a
//! pod that died anew from the newest template.
//!
//! A stop without its snapshot is a *fallback*: the job goes on from the latest epoch, and reads again what came after it. No row is lost
//! by that, but it is not what was asked for, so it is reported ([`Fallback`]) and the Deployment's annotation keeps it.

use std::time::Duration;

use watershed_crds::LastSnapshot;
use watershed_job::manifest::{OnDelete, OnSnapshotFailure, UpdateMode};
use watershed_wire::v1::Phase;

use super::answer::{Answer, CoordinatorStatus};
use super::cluster::ClusterState;
use super::input::Input;
use super::names::{FINISHED, SNAPSHOT_FAILED};
use super::plan::{Decision, Fallback, LATER, Plan, Request, SOON, State};
use super::purpose::Purpose;
use super::times::time;
use super::validate::Validated;
use super::workloads::{Replicas, revision_map, start_map, workloads};

/// The time that a deleted job waits for its last snapshot. The deletion never hangs.
const LAST_SNAPSHOT: Duration = Duration::from_secs(60);

/// The stage of a job's life, which follows from its spec and its workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No pod runs, and the job is to run.
    Start,
    /// The job runs, and is to run.
    Run,
    /// The job runs, and is not to run, or not like this.
    Stop(Purpose),
    /// The last pods of the job are ending.
    Terminate(Purpose),
    /// The job is suspended and has no pod.
    Suspended,
    /// The job is finished and has no pod.
    Finished,
}

/// The stage of a job.
pub(crate) fn stage(validated: &Validated, cluster: &ClusterState) -> Stage {
    let workloads = &cluster.workloads;
    let same = workloads.are_of(&validated.revision);
    let suspend = validated.job.suspend;
    let purpose = if suspend { Purpose::Suspend } else { Purpose::Update };
    if workloads.want_pods() {
        return match cluster.coordinator.phase() {
            _ if suspend || !same => Stage::Stop(purpose),
            Some(Phase::Finished) => Stage::Stop(Purpose::Finish),
            Some(Phase::Stopped) => Stage::Stop(Purpose::Restart),
            // A coordinator without replicas was being taken away.
            _ if workloads.coordinator_is_down() => Stage::Stop(Purpose::Restart),
            _ => Stage::Run,
        };
    }
    let finished = same && workloads.finished();
    match (cluster.pods.all().next().is_some(), finished, suspend) {
        (true, finished, _) => Stage::Terminate(if finished { Purpose::Finish } else { purpose }),
        (false, true, _) => Stage::Finished,
        (false, false, true) => Stage::Suspended,
        (false, false, false) => Stage::Start,
    }
}

/// The start of a job: all its objects are applied.
pub(crate) fn start(of: Input<'_>) -> Decision {
    let replicas = of.validated.job.replicas.get();
    let starting = |why: &str| State::Starting { why: why.to_owned(), problem: None };
    let Some(parameters) = start_map(of, replicas) else {
        return Decision::new(starting("the coordinator's Service has no address yet"), SOON, of.cluster);
    };
    let pods = Replicas { revision: &of.validated.revision, coordinator: 1, workers: replicas, outcome: "" };
    let mut decision = Decision::new(starting("the coordinator and its workers are being started"), SOON, of.cluster);
    decision.objects.extend(revision_map(of));
    decision.objects.push(parameters);
    decision.objects.extend(workloads(of, pods));
    decision.rescale = None;
    decision
}

/// The progress of a stop.
enum Progress {
    /// The pods may go: the snapshot is taken, or none was to be taken.
    Done(Option<LastSnapshot>),
    /// No snapshot can be taken, for this reason.
    Failed(String),
    /// The end of the stop is awaited; `failed` says why it will be without a snapshot.
    Awaited { why: String, request: Option<Request>, failed: Option<String> },
}

/// The reason of a fallback where the coordinator was asked to stop a job of which it had no run: it stops at once.
const NO_RUN: &str = "the job was recovering when it was to stop, so there was nothing to take a snapshot of";

/// The stop of a job: the coordinator is asked for a last snapshot, where it can be asked, and then the pods are taken away.
pub(crate) fn stop(of: Input<'_>, purpose: Purpose) -> Decision {
    let update = of.validated.job.update;
    let without_snapshot = purpose == Purpose::Update && update.mode != UpdateMode::Snapshot;
    let may_fall_back = purpose != Purpose::Update || update.on_snapshot_failure == OnSnapshotFailure::Fallback;
    let (why, request, failed) = match if without_snapshot { Progress::Done(None) } else { progress(of, purpose) } {
        Progress::Done(snapshot) => return down(of, purpose, snapshot, None),
        Progress::Failed(why) => return down(of, purpose, None, Some(why)),
        Progress::Awaited { why, request, failed } => (why, request, failed),
    };
    let deadline = update.progress_deadline;
    if of.cluster.stopping_for(purpose) > deadline && may_fall_back {
        let why = format!("{why}; that took longer than {} s (spec.update.progressDeadlineSeconds)", deadline.as_secs());
        return down(of, purpose, None, Some(why));
    }
    let mut decision = Decision::new(State::Stopping { purpose, why }, SOON, of.cluster);
    decision.request = request;
    decision.fallback = failed.map(|why| Fallback { purpose, why });
    decision
}

fn progress(of: Input<'_>, purpose: Purpose) -> Progress {
    let cluster = of.cluster;
    let silence = match &cluster.coordinator.answer {
        Some(Answer::Status(status)) if is_over(status) => return stopped(of, purpose, status),
        Some(Answer::Status(status)) => {
            let request = Some(Request::Stop(purpose));
            return if status.era.is_none() && cluster.job.has_run() {
                let why = "the job is recovering, and is stopped without a last snapshot".to_owned();
                Progress::Awaited { why, request, failed: Some(NO_RUN.to_owned()) }
            } else {
                Progress::Awaited { why: "a last snapshot is being taken".to_owned(), request, failed: None }
            };
        }
        Some(Answer::Silent(why)) => why.as_str(),
        // The coordinator's pod is being taken away already.
        None if cluster.workloads.coordinator.as_ref().is_none_or(|c| c.replicas == 0) => return Progress::Done(None),
        None => "its Service has no address",
    };
    if !cluster.job.has_run() {
        // There is nothing to take a snapshot of.
        return Progress::Done(None);
    }
    if let Some(problem) = cluster.coordinator_problem() {
        return Progress::Failed(format!("the coordinator cannot take it: {}", problem.message));
    }
    let why = format!("the coordinator is to take a last snapshot and does not answer: {silence}");
    Progress::Awaited { why, request: None, failed: None }
}

fn is_over(status: &CoordinatorStatus) -> bool {
    matches!(status.phase, Phase::Stopped | Phase::Finished)
}

/// The progress of a stop whose coordinator answers that the job is over.
fn stopped(of: Input<'_>, purpose: Purpose, status: &CoordinatorStatus) -> Progress {
    let asked = matches!(purpose, Purpose::Suspend | Purpose::Update);
    if of.cluster.job.has_run() && asked && of.cluster.job.snapshot_failed().is_some() {
        return Progress::Failed(NO_RUN.to_owned());
    }
    if status.epoch == 0 {
        return if of.cluster.job.has_run() {
            let why = "the coordinator has stopped and knows of no epoch: none was published, or its storage does not answer";
            Progress::Failed(why.to_owned())
        } else {
            Progress::Done(None)
        };
    }
    // A coordinator whose job is over knows its workers no more; the StatefulSet has kept their number.
    let workers = status.wanted.max(of.cluster.workloads.worker_replicas());
    Progress::Done(Some(LastSnapshot {
        epoch: i64::try_from(status.epoch).unwrap_or(i64::MAX),
        location: Some(of.validated.storage.clone()),
        trigger: purpose.word().to_owned(),
        completion_time: Some(time(of.cluster.now)),
        replicas: i32::try_from(workers).unwrap_or(i32::MAX),
    }))
}

/// The pods are taken away: with the snapshot, or without it for a reason.
fn down(of: Input<'_>, purpose: Purpose, snapshot: Option<LastSnapshot>, failed: Option<String>) -> Decision {
    let held = &of.cluster.workloads;
    let outcome = match &failed {
        _ if purpose == Purpose::Finish => FINISHED,
        Some(_) => SNAPSHOT_FAILED,
        // An earlier reconciliation has decided it.
        None if held.coordinator_is_down() => held.outcome(),
        None => "",
    };
    let revision = held.revision().unwrap_or(&of.validated.revision);
    let state = State::Stopping { purpose, why: of.cluster.pods.left() };
    let mut decision = Decision::new(state, SOON, of.cluster);
    decision.objects = workloads(of, Replicas { revision, coordinator: 0, workers: 0, outcome });
    decision.snapshot = snapshot.or(decision.snapshot);
    decision.fallback = failed.map(|why| Fallback { purpose, why });
    decision
}

/// The change of the finaliser. Only a job that takes a snapshot when it is deleted needs one.
pub(crate) fn wants_finalizer(validated: &Validated, cluster: &ClusterState) -> Option<bool> {
    let wanted = validated.job.snapshots.on_delete == OnDelete::Take;
    (wanted != cluster.job.finalizer).then_some(wanted)
}

/// The deletion of a job. Its objects are deleted with it; all that is done here is the last snapshot, within its deadline.
pub(crate) fn delete(validated: Option<&Validated>, cluster: &ClusterState) -> Plan {
    let purpose = Purpose::Delete;
    let stopping = |why: &str| State::Stopping { purpose, why: why.to_owned() };
    if !cluster.job.finalizer {
        return Decision::new(stopping("the job is being deleted"), LATER, cluster).alone();
    }
    let late = cluster.job.deleted.unwrap_or_default() > LAST_SNAPSHOT;
    let takes = validated.is_some_and(|v| v.job.snapshots.on_delete == OnDelete::Take);
    let (done, request) = match &cluster.coordinator.answer {
        Some(Answer::Status(status)) if is_over(status) => (true, None),
        Some(Answer::Status(_)) => (false, Some(Request::Stop(purpose))),
        Some(Answer::Silent(_)) => (cannot_be_asked(cluster), None),
        // There is no coordinator to ask.
        None => (true, None),
    };
    if done || late || !takes {
        let decision = Decision::new(stopping("the job is being deleted"), SOON, cluster);
        return Plan { finalizer: Some(false), ..decision.alone() };
    }
    let mut decision = Decision::new(stopping("a last snapshot is being taken before the job is deleted"), SOON, cluster);
    decision.request = request;
    decision.alone()
}

/// A silent coordinator will not answer soon: it cannot start, has no pod, or has never run the job.
fn cannot_be_asked(cluster: &ClusterState) -> bool {
    cluster.coordinator_problem().is_some() || cluster.pods.coordinator.is_empty() || !cluster.job.has_run()
}
