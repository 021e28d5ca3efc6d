//! The life of a job: starting, stopping for a purpose, waiting for the last pod, being deleted. Pure, apart from one probe at the end.
//!
//! ```text
//!            ┌──────────────► Start ──► Up ──► Stop(purpose) ──► Wait ──┐
//!            │                                                        │
//!            └── not suspended ◄── no pod is left ◄───────────────────┘
//! ```
//!
//! A running job is stopped by asking its coordinator, which takes a snapshot and then *stays*, telling that it has stopped, until its
//! pod is taken away. So there is no moment at which a process that ended is started again by Kubernetes, and every step can be seen
//! from outside. Templates of another revision are applied only when no pod of the old one is left: a StatefulSet with `OnDelete` makes a
//! pod that died anew from the newest template.

use std::time::Duration;

use serde_json::Value;
use watershed_crds::LastSnapshot;
use watershed_job::manifest::{OnDelete, OnSnapshotFailure, UpdateMode};
use watershed_wire::v1::Phase;

use super::ask::Answer;
use super::build::{self, Surroundings, Told};
use super::names::Names;
use super::observe::World;
use super::plan::{Ask, Plan, Purpose, Removal, SOON, State};
use super::pods::Trouble;
use super::validate::Judged;

/// How long deleting waits for the last snapshot. Deleting never hangs.
const LAST_SNAPSHOT: Duration = Duration::from_secs(60);
/// For how long a coordinator that used to answer is silent before its node is looked at.
pub(crate) const SUSPICION: Duration = Duration::from_secs(3);
/// How a job ended whose input is at its end.
pub(crate) const FINISHED: &str = "Finished";

/// What a job's life asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing runs, and it is to.
    Start,
    /// It runs, and is to.
    Up,
    /// It runs, and is not to, or not like this.
    Stop(Purpose),
    /// Its last pods are going.
    Wait(Purpose),
    /// It is to rest, and does.
    Suspended,
    /// It is over.
    Finished,
}

/// Which it is.
pub(crate) fn stage(judged: &Judged, world: &World) -> Stage {
    let workloads = [&world.coordinator, &world.workers];
    let same = workloads.into_iter().flatten().all(|w| w.revision == judged.revision);
    let purpose = if judged.job.suspend { Purpose::Suspend } else { Purpose::Update };
    if workloads.into_iter().flatten().any(|w| w.replicas > 0) {
        return match phase(world) {
            _ if judged.job.suspend || !same => Stage::Stop(purpose),
            Some(Phase::Finished) => Stage::Stop(Purpose::Finish),
            Some(Phase::Stopped) => Stage::Stop(Purpose::Restart),
            // A coordinator without replicas was being taken away.
            _ if world.coordinator.as_ref().is_some_and(|c| c.replicas == 0) => Stage::Stop(Purpose::Restart),
            _ => Stage::Up,
        };
    }
    let over = same && world.coordinator.as_ref().is_some_and(|c| c.outcome.as_deref() == Some(FINISHED));
    let pods = !world.worker_pods.is_empty() || !world.coordinator_pods.is_empty();
    match (pods, over, judged.job.suspend) {
        (true, over, _) => Stage::Wait(if over { Purpose::Finish } else { purpose }),
        (false, true, _) => Stage::Finished,
        (false, false, true) => Stage::Suspended,
        (false, false, false) => Stage::Start,
    }
}

fn phase(world: &World) -> Option<Phase> {
    match &world.answer {
        Some(Answer::Says(says)) => Some(says.phase),
        Some(Answer::Silent(_)) | None => None,
    }
}

/// What is wrong with the coordinator's pod, if anything.
pub(crate) fn coordinator_trouble(world: &World) -> Option<Trouble> {
    world.coordinator_pods.iter().find(|p| !p.deleting).and_then(|p| p.trouble.clone())
}

/// Whether there is nothing to take a snapshot of: the coordinator cannot start, or has never come so far as to run the job.
fn hopeless(world: &World) -> bool {
    coordinator_trouble(world).is_some() || world.coordinator_pods.is_empty() || world.status.term.is_none()
}

/// The objects of a revision with so many pods. The templates are those the revision was made with.
pub(crate) fn workloads(plan: &mut Plan, judged: &Judged, names: &Names, world: &World, around: &Surroundings, pods: Pods<'_>) {
    let Pods { revision, coordinator, workers, outcome } = pods;
    let made;
    let templates: &Value = match world.revisions.get(revision) {
        Some(held) => held,
        None => {
            made = build::templates(judged, names, around);
            &made
        }
    };
    let null = Value::Null;
    let of = |component: &str| templates.get(component).unwrap_or(&null);
    plan.objects.push(build::deployment(names, revision, of("coordinator"), coordinator, outcome));
    plan.objects.push(build::stateful_set(names, revision, of("worker"), workers));
}

/// How many pods of which revision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pods<'a> {
    pub(crate) revision: &'a str,
    pub(crate) coordinator: u32,
    pub(crate) workers: u32,
    pub(crate) outcome: &'a str,
}

/// Everything comes up.
pub(crate) fn start(plan: &mut Plan, judged: &Judged, names: &Names, world: &World, around: &Surroundings) {
    let replicas = judged.job.replicas.get();
    plan.again = SOON;
    let Some(address) = world.address.as_deref() else {
        plan.state = State::Starting { why: "the coordinator's Service has no address yet".into(), trouble: None };
        return;
    };
    if !world.revisions.contains_key(&judged.revision) {
        plan.objects.push(build::revision_map(judged, names, around));
    }
    plan.objects.push(build::told_map(judged, names, Told { replicas, address }, around));
    let pods = Pods { revision: &judged.revision, coordinator: 1, workers: replicas, outcome: "" };
    workloads(plan, judged, names, world, around, pods);
    plan.state = State::Starting { why: "the coordinator and its workers are being started".into(), trouble: None };
    plan.rescale = None;
}

/// The job is stopped, by asking first where somebody can be asked.
pub(crate) fn stop(plan: &mut Plan, purpose: Purpose, judged: &Judged, names: &Names, world: &World, around: &Surroundings) {
    plan.again = SOON;
    let update = judged.job.update;
    let quick = purpose == Purpose::Update && update.mode != UpdateMode::Snapshot;
    let deadline = update.progress_deadline;
    let may_fall_back = purpose != Purpose::Update || update.on_snapshot_failure == OnSnapshotFailure::Fallback;
    let why = match &world.answer {
        _ if quick => None,
        // Its pod is being taken away already.
        None => None,
        Some(Answer::Says(says)) if matches!(says.phase, Phase::Stopped | Phase::Finished) => {
            // Stopped before anything was published, or with its storage away: there is none to speak of.
            if says.epoch > 0 {
                plan.snapshot = Some(LastSnapshot {
                    epoch: i64::try_from(says.epoch).unwrap_or(i64::MAX),
                    location: Some(judged.storage.clone()),
                    trigger: purpose.word().to_owned(),
                    completion_time: Some(super::report::time(world.now)),
                    replicas: i32::try_from(says.wanted).unwrap_or(i32::MAX),
                });
            }
            None
        }
        Some(Answer::Says(_)) => {
            plan.ask = Some(Ask::Stop(purpose));
            Some("a last snapshot is being taken".to_owned())
        }
        Some(Answer::Silent(why)) => {
            (!hopeless(world)).then(|| format!("the coordinator is to take a last snapshot and does not answer: {why}"))
        }
    };
    let Some(why) = why else {
        return down(plan, purpose, judged, names, world, around);
    };
    if world.stopping(purpose) > deadline && may_fall_back {
        return down(plan, purpose, judged, names, world, around);
    }
    plan.state = State::Stopping { purpose, why };
}

/// The pods are taken away.
fn down(plan: &mut Plan, purpose: Purpose, judged: &Judged, names: &Names, world: &World, around: &Surroundings) {
    let revision =
        world.coordinator.as_ref().or(world.workers.as_ref()).map_or(judged.revision.as_str(), |w| w.revision.as_str());
    let outcome = if purpose == Purpose::Finish { FINISHED } else { "" };
    workloads(plan, judged, names, world, around, Pods { revision, coordinator: 0, workers: 0, outcome });
    plan.state = State::Stopping { purpose, why: pods_left(world) };
}

/// Who is awaited.
pub(crate) fn pods_left(world: &World) -> String {
    let left: Vec<&str> = world.coordinator_pods.iter().chain(&world.worker_pods).map(|p| p.name.as_str()).collect();
    match left.len() {
        0 => "its pods are gone".to_owned(),
        1..=5 => format!("waiting for these pods to end: {}", left.join(", ")),
        many => format!("waiting for {many} pods to end"),
    }
}

/// Pods whose node does not answer are removed once they are fenced, so that others take their places.
pub(crate) fn removals(world: &World) -> Vec<Removal> {
    let mut all = Vec::new();
    for pod in world.coordinator_pods.iter().filter(|p| p.node_gone || world.host_gone && !p.deleting) {
        let why = "its node does not answer; a coordinator is fenced by its successor's term".to_owned();
        all.push(Removal { name: pod.name.clone(), uid: pod.uid.clone(), why });
    }
    let says = match &world.answer {
        Some(Answer::Says(says)) => Some(says),
        Some(Answer::Silent(_)) | None => None,
    };
    for pod in world.worker_pods.iter().filter(|p| p.node_gone) {
        let fenced = match (says, pod.ordinal) {
            // The run goes on, or has begun anew, without it.
            (Some(says), Some(n)) => !says.connected(n),
            (None, _) => world.coordinator.as_ref().is_none_or(|c| c.replicas == 0),
            (Some(_), None) => false,
        };
        if fenced {
            let why = "its node does not answer, and the job has gone on without it".to_owned();
            all.push(Removal { name: pod.name.clone(), uid: pod.uid.clone(), why });
        }
    }
    all
}

/// Only a job that takes a snapshot when it is deleted needs to be asked before it goes.
pub(crate) fn wants_finalizer(judged: &Judged, world: &World) -> Option<bool> {
    let wanted = judged.job.snapshots.on_delete == OnDelete::Take;
    (wanted != world.finalizer).then_some(wanted)
}

/// The job is being deleted. Its objects go with it; all that is done here is the last snapshot, within its deadline.
pub(crate) fn leave(judged: Option<&Judged>, world: &World) -> Plan {
    let purpose = Purpose::Delete;
    let mut plan = Plan::idle(State::Stopping { purpose, why: "the job is being deleted".into() }, world);
    if !world.finalizer {
        return plan;
    }
    plan.again = SOON;
    let late = world.deleted.unwrap_or_default() > LAST_SNAPSHOT;
    let takes = judged.is_some_and(|j| j.job.snapshots.on_delete == OnDelete::Take);
    let done = match &world.answer {
        Some(Answer::Says(says)) if matches!(says.phase, Phase::Stopped | Phase::Finished) => true,
        Some(Answer::Says(_)) => {
            plan.ask = Some(Ask::Stop(purpose));
            false
        }
        Some(Answer::Silent(_)) => hopeless(world),
        // There is nobody to ask.
        None => true,
    };
    if done || late || !takes {
        plan.ask = None;
        plan.finalizer = Some(false);
    } else {
        plan.state = State::Stopping { purpose, why: "a last snapshot is being taken before the job is deleted".into() };
    }
    plan
}

/// Whether a node is gone from the network: its kubelet's port neither takes a connection nor refuses one. Only asked about the node of a
/// coordinator that used to answer and has stopped to.
pub(crate) async fn host_gone(host: &str) -> bool {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let dial = tokio::net::TcpStream::connect(format!("{host}:10250"));
    match tokio::time::timeout(Duration::from_secs(1), dial).await {
        Err(_) => true,
        Ok(Err(e)) => matches!(
            e.kind(),
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::TimedOut
        ),
        Ok(Ok(_)) => false,
    }
}
